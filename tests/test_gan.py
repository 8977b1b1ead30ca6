import itertools
import math

import numpy as np
import pytest
from helpers import (
    NOT_A_BUDGET,
    NOT_A_GENERATOR,
    NOT_A_NUMBER,
    NOT_A_POSITIVE_COUNT,
    NOT_INPUTS,
    assert_refused,
    frozen,
    not_an_array,
    refusals,
)
from scipy.optimize import linprog, minimize_scalar
from scipy.spatial.distance import cdist, jensenshannon
from scipy.special import expit
from scipy.stats import entropy, norm, uniform, wasserstein_distance

from adv_companion.gan import (
    game_value,
    generator_gradient,
    jensen_shannon,
    kl_divergence,
    mode_shares,
    optimal_discriminator,
    play_bilinear,
    ring_centers,
    sample_mixture,
    train_gan,
    wasserstein_1d,
)
from adv_companion.models import MLP, LogisticRegression, Network
from adv_companion.training import Adam, train

LOG2 = math.log(2)
X, STEP = np.linspace(-12, 20, 32_001, retstep=True)
W = np.full(len(X), STEP)


def random_laws(many, size=6, seed=0):
    """Pairs of histograms of all kinds: nearly even, nearly one point, with zeros in one, in the other or in both."""
    rng = np.random.default_rng(seed)
    for _ in range(many):
        laws = rng.dirichlet(np.full(size, rng.choice([0.05, 1, 50])), size=2)
        laws[(rng.random((2, size)) < rng.choice([0, 0.4])) | (laws < 1e-12)] = 0
        totals = laws.sum(axis=1, keepdims=True)
        if totals.all():
            yield laws / totals


def normal(mean, sd=1.0):
    return norm.pdf(X, mean, sd)


def log_ratio_value(p, q, d):
    """The value by its definition, one point after the other, in plain Python."""
    total = 0.0
    for a, b, answer in zip(p, q, d):
        total += a * math.log(answer) if a > 0 else 0
        total += b * math.log(1 - answer) if b > 0 else 0
    return total


# The best discriminator.


@pytest.mark.claim("C37", "supports")
def test_no_answer_beats_the_optimal_one_at_any_point():
    for p, q in random_laws(40):
        best = optimal_discriminator(p, q)
        for a, b, d in zip(p, q, best):
            if a + b > 0:
                share = a / (a + b)  # scale out, or a tiny integrand looks flat
                found = minimize_scalar(
                    lambda t: -share * math.log(t) - (1 - share) * math.log(1 - t),
                    bounds=(1e-12, 1 - 1e-12), method="bounded", options={"xatol": 1e-10},
                )  # fmt: skip
                assert d == pytest.approx(found.x, abs=1e-5)


@pytest.mark.claim("C37", "supports")
def test_every_other_discriminator_is_worth_less():
    rng = np.random.default_rng(1)
    for p, q in random_laws(100, seed=1):
        best = optimal_discriminator(p, q)
        top = game_value(p, q)
        assert game_value(p, q, best) == pytest.approx(top, abs=1e-12)
        visited = p + q > 0
        for _ in range(5):
            other = rng.random(len(p))
            gap = top - game_value(p, q, other)
            m = (p + q) / 2  # the loss is a divergence between the answers, averaged over the mixture
            expected = 2 * sum(w * entropy([d, 1 - d], [o, 1 - o]) for w, d, o in zip(m, best, other) if w > 0)
            assert gap == pytest.approx(expected, abs=1e-12)
            assert gap > 0 or np.allclose(other[visited], best[visited])


@pytest.mark.claim("C37", "supports")
def test_a_trained_discriminator_comes_near_the_formula_where_there_is_data():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, (8000, 1)), rng.normal(1.5, 0.7, (8000, 1))])
    net = train(MLP([1, 32, 2], rng), x, np.repeat([1, 0], 8000), epochs=20, batch_size=200, lr=0.003, rng=rng)
    learned = expit(np.diff(net.logits(X[:, None]), axis=1)[:, 0])
    p, q = normal(0), normal(1.5, 0.7)
    error = np.abs(learned - optimal_discriminator(p, q))
    assert W @ (error * (p + q) / 2) < 0.02
    assert error[np.abs(X - 8) < 1].min() > 0.9  # out there is no data, and the net says the opposite
    near = np.abs(X) < 6  # farther out the net is so sure that D rounds to 1
    best, reached = (game_value(p[near], q[near], d, W[near]) for d in (None, learned[near]))
    assert best - 0.005 < reached < best


@pytest.mark.claim("C37", "limits")
def test_where_nobody_goes_every_answer_is_optimal():
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0.5, 0.5, 0])
    for anything in (0.0, 0.3, 1.0):
        assert game_value(p, q, np.array([1, 0.5, 0, anything])) == game_value(p, q)


@pytest.mark.claim("C37", "limits")
def test_a_discriminator_of_a_small_family_cannot_be_the_optimal_one():
    # Two normals of one mean: the best *linear* discriminator says 1/2 everywhere, Eq. 62.4 does not.
    p, q = normal(0), normal(0, 2)
    slopes = np.linspace(-1, 1, 41)
    values = [game_value(p, q, expit(slope * X), W) for slope in slopes]
    assert slopes[np.argmax(values)] == pytest.approx(0, abs=1e-12)
    assert max(values) == pytest.approx(-2 * LOG2) and game_value(p, q, None, W) > -2 * LOG2 + 0.1
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(0, 2, 20_000)])[:, None]
    fit = LogisticRegression.fit(x, np.repeat([1, 0], 20_000))
    assert abs(fit.coef[0]) < 0.03 and abs(fit.intercept) < 0.03


@pytest.mark.claim("C37", "limits")
def test_the_derivative_has_no_zero_where_only_one_of_them_goes():
    p, q = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    values = [game_value(p, q, np.array([2 / 3, d])) for d in (1e-1, 1e-3, 1e-6, 0.0)]
    assert (np.diff(values) > 0).all()  # the best answer is 0 itself, which no network with a sigmoid gives
    assert optimal_discriminator(p, q)[1] == 0 and values[-1] == pytest.approx(game_value(p, q))


def test_the_optimal_discriminator_survives_numbers_of_any_size():
    tiny, huge = 5e-324, 1.7e308
    p = np.array([tiny, tiny, huge, huge, 0, 1, 0])
    q = np.array([tiny, 0, huge, tiny, 0, 1e-300, 2])
    np.testing.assert_allclose(optimal_discriminator(p, q), [0.5, 1, 0.5, 1, 0.5, 1, 0])


def test_swapping_the_players_swaps_the_answers():
    for p, q in random_laws(50, seed=2):
        np.testing.assert_allclose(optimal_discriminator(p, q) + optimal_discriminator(q, p), 1)


# The value of the game.


def test_the_value_is_its_definition():
    rng = np.random.default_rng(4)
    for p, q in random_laws(50, seed=3):
        d = rng.uniform(0.01, 0.99, len(p))
        assert game_value(p, q, d) == pytest.approx(log_ratio_value(p, q, d), abs=1e-12)


def test_a_sure_discriminator_costs_nothing_if_right_and_everything_if_wrong():
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert game_value(p, q, np.array([1.0, 0.0])) == 0 == game_value(p, q)
    assert game_value(p, q, np.array([0.0, 0.0])) == -math.inf
    assert game_value(p, q, np.array([1.0, 1.0])) == -math.inf


def test_points_without_weight_play_no_part():
    p, q, weights = np.array([0.5, 0.5, 3.0]), np.array([0.25, 0.75, 0.0]), np.array([1.0, 1.0, 0.0])
    d = np.array([0.5, 0.5, 0.0])
    assert game_value(p, q, d, weights) == pytest.approx(-math.log(4)) == game_value(p[:2], q[:2], d[:2])
    for function in (kl_divergence, jensen_shannon):
        assert function(p, q, weights) == pytest.approx(function(p[:2], q[:2]), abs=1e-15)


@pytest.mark.claim("C38", "supports")
def test_the_value_is_2_jsd_minus_log_4_for_histograms():
    for p, q in random_laws(300, seed=4):
        assert game_value(p, q) == pytest.approx(-math.log(4) + 2 * jensenshannon(p, q) ** 2, abs=1e-12)


@pytest.mark.claim("C38", "supports")
def test_the_value_is_2_jsd_minus_log_4_by_quadrature_and_by_monte_carlo():
    rng = np.random.default_rng(5)
    for t in (0, 0.5, 2, 6):
        value = 2 * jensen_shannon(normal(0), normal(t), W) - math.log(4)
        assert game_value(normal(0), normal(t), None, W) == pytest.approx(value, abs=1e-10)
        real, fake = rng.normal(0, 1, 100_000), rng.normal(t, 1, 100_000)
        parts = [-np.logaddexp(0, t * real - t * t / 2), -np.logaddexp(0, t * t / 2 - t * fake)]
        error = math.sqrt(sum(part.var() / len(part) for part in parts))
        assert abs(sum(part.mean() for part in parts) - value) < 4 * error + 1e-9


@pytest.mark.claim("C38", "supports")
def test_the_value_of_two_uniforms_is_known():
    x = (np.arange(4000) + 0.5) / 1000 - 0.5  # midpoints, so that no edge is counted half
    for t in (0, 0.25, 0.5, 1, 1.7):
        p, q, w = uniform.pdf(x), uniform.pdf(x, t), np.full(4000, 1e-3)
        assert jensen_shannon(p, q, w) == pytest.approx(min(t, 1) * LOG2, abs=1e-9)
        assert game_value(p, q, None, w) == pytest.approx(-2 * LOG2 * (1 - min(t, 1)), abs=1e-9)


def test_the_value_at_the_optimum_does_not_suffer_from_a_d_that_rounds_to_1():
    p, q = normal(0), normal(12)
    assert game_value(p, q, optimal_discriminator(p, q), W) == -math.inf  # the trap
    assert game_value(p, q, None, W) == pytest.approx(2 * jensen_shannon(p, q, W) - math.log(4), abs=1e-9)


def test_the_value_survives_a_ratio_that_is_more_than_a_float_can_hold():
    tiny, even = np.array([1.0, 1e-320]), np.array([0.5, 0.5])
    known = math.log(2 / 3) + 0.5 * math.log(1 / 3)
    assert game_value(tiny, even) == pytest.approx(known) == game_value(even, tiny)


# Divergences.


def test_kl_is_scipy_s():
    for p, q in random_laws(300, seed=5):
        assert kl_divergence(p, q) == pytest.approx(entropy(p, q), abs=1e-12)


def test_kl_of_two_normals_is_known():
    for mean, sd in ((0, 1), (1, 1), (-2, 0.7), (3, 2)):
        known = math.log(sd) + (1 + mean**2) / (2 * sd**2) - 0.5
        assert kl_divergence(normal(0), normal(mean, sd), W) == pytest.approx(known, abs=1e-9)


def test_kl_and_zeros():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.0, 0.0])
    assert kl_divergence(q, p) == pytest.approx(LOG2) and kl_divergence(p, q) == math.inf
    assert kl_divergence(p, p) == 0
    tiny = np.array([1.0, 1e-320])
    assert 0 <= kl_divergence(tiny, np.array([1.0, 1e-300])) < 1e-12
    known = -LOG2 - math.log(1e-320) / 2  # the ratio 0.5 / 1e-320 itself is more than a float can hold
    assert kl_divergence(np.array([0.5, 0.5]), tiny) == pytest.approx(known)


def test_jsd_is_the_square_of_scipy_s_distance():
    for p, q in random_laws(300, seed=6):
        assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)


def test_jsd_is_the_mean_of_two_divergences_from_the_mixture():
    for p, q in random_laws(100, seed=7):
        m = (p + q) / 2
        assert jensen_shannon(p, q) == pytest.approx((entropy(p, m) + entropy(q, m)) / 2, abs=1e-12)


def test_jsd_is_what_the_optimal_discriminator_knows_about_the_label():
    # log 2 minus the entropy that is left of real-or-fake once x is seen
    for p, q in random_laws(100, seed=8):
        d = optimal_discriminator(p, q)
        left = sum(w * entropy([a, 1 - a]) for w, a in zip((p + q) / 2, d))
        assert jensen_shannon(p, q) == pytest.approx(LOG2 - left, abs=1e-12)


def test_jsd_is_symmetric_between_0_and_log_2_and_0_only_for_equal_laws():
    for p, q in random_laws(300, seed=9):
        value = jensen_shannon(p, q)
        assert value == pytest.approx(jensen_shannon(q, p), abs=1e-15)
        assert 0 <= value <= LOG2 and (value > 0) == (not np.array_equal(p, q))
        assert jensen_shannon(p, p) == 0


def test_the_root_of_the_jsd_is_a_distance_and_the_jsd_is_not():
    rng, broken = np.random.default_rng(10), 0
    for _ in range(300):
        p, q, r = rng.dirichlet(np.full(4, 0.3), size=3)
        pq, qr, pr = (jensen_shannon(*pair) for pair in ((p, q), (q, r), (p, r)))
        assert math.sqrt(pr) <= math.sqrt(pq) + math.sqrt(qr) + 1e-12
        broken += pr > pq + qr
    assert broken > 0
    p, q, r = np.eye(2)[0], np.full(2, 0.5), np.eye(2)[1]
    assert jensen_shannon(p, r) == pytest.approx(LOG2) and jensen_shannon(p, q) + jensen_shannon(q, r) < 0.9 * LOG2


def test_jsd_of_laws_that_nearly_agree_is_a_chi_square():
    for size in (1e-3, 1e-6, 1e-9):
        p = np.array([0.2, 0.3, 0.5])
        q = p + size * np.array([1, 1, -2])
        known = np.sum((q - p) ** 2 / p) / 8
        assert jensen_shannon(p, q) == pytest.approx(known, rel=10 * size + 1e-6)


def test_jsd_of_tiny_entries_is_not_nan_or_infinite():
    p, q = np.array([1.0, 5e-324, 0]), np.array([1.0, 0, 5e-324])
    assert jensen_shannon(p, q) == 0
    assert jensen_shannon(np.array([1.0, 5e-324]), np.array([5e-324, 1.0])) == pytest.approx(LOG2)


def test_the_reference_numbers_of_two_normals():
    for t, known in ((1, 0.111421), (2, 0.336831), (4, 0.632720)):
        assert jensen_shannon(normal(0), normal(t), W) == pytest.approx(known, abs=5e-7)


# The earth-mover distance.


def test_the_earth_mover_distance_is_scipy_s():
    rng = np.random.default_rng(11)
    for n, m in ((1, 1), (1, 7), (5, 5), (40, 13), (200, 201)):
        for _ in range(20):
            x, y = rng.normal(size=n), rng.normal(1, 3, size=m).round(rng.integers(0, 4))
            assert wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y), abs=1e-12)


def test_the_earth_mover_distance_is_the_cheapest_transport():
    rng = np.random.default_rng(12)
    for n, m in ((3, 3), (4, 6), (1, 5)):
        x, y = rng.normal(size=n), rng.normal(2, 1, size=m)
        rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
        masses = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
        plan = linprog(np.abs(x[:, None] - y).ravel(), A_eq=np.vstack([rows, columns]), b_eq=masses)
        assert wasserstein_1d(x, y) == pytest.approx(plan.fun, abs=1e-9)


def test_the_earth_mover_distance_of_equal_sizes_is_the_mean_gap_of_the_sorted():
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(2, 50))
    assert wasserstein_1d(x, y) == pytest.approx(np.abs(np.sort(x) - np.sort(y)).mean())


def test_the_earth_mover_distance_is_a_distance():
    rng = np.random.default_rng(14)
    for _ in range(100):
        x, y, z = rng.normal(size=4), rng.normal(1, 2, size=6), rng.normal(size=9)
        assert wasserstein_1d(x, y) == pytest.approx(wasserstein_1d(y, x)) and wasserstein_1d(x, x) == 0
        assert wasserstein_1d(x, z) <= wasserstein_1d(x, y) + wasserstein_1d(y, z) + 1e-12
        assert wasserstein_1d(3 * x - 1, 3 * y - 1) == pytest.approx(3 * wasserstein_1d(x, y))
        assert wasserstein_1d(np.repeat(x, 3), y) == pytest.approx(wasserstein_1d(x, y))  # mass, not count
        assert wasserstein_1d(x[::-1], y) == wasserstein_1d(x, y)


# One minimum.


@pytest.mark.claim("C39", "supports")
def test_the_value_is_smallest_at_the_data_s_own_law_and_nowhere_else():
    values = {}
    for mean, sd in itertools.product(np.linspace(-2, 2, 9), (0.5, 0.8, 1.0, 1.25, 2.0)):
        values[mean, sd] = game_value(normal(0), normal(mean, sd), None, W)
    best, *others = sorted(values, key=values.get)
    assert best == (0, 1) and values[best] == pytest.approx(-math.log(4), abs=1e-10)
    assert values[others[0]] > -math.log(4) + 0.01
    assert (optimal_discriminator(normal(0), normal(0)) == 0.5).all()


@pytest.mark.claim("C39", "supports")
def test_no_histogram_but_the_data_s_own_reaches_minus_log_4():
    for p, q in random_laws(300, seed=15):
        excess = game_value(p, q) + math.log(4)
        assert excess >= np.abs(p - q).sum() ** 2 / 4 - 1e-12  # Pinsker: equality needs equal laws
        assert game_value(p, p) == pytest.approx(-math.log(4), abs=1e-12)


@pytest.mark.claim("C39", "limits")
def test_a_family_without_the_data_s_law_has_a_higher_minimum_and_maybe_two():
    data = (normal(-2, 0.5) + normal(2, 0.5)) / 2
    means = np.linspace(-4, 4, 81)
    values = np.array([game_value(data, normal(mean, 0.5), None, W) for mean in means])
    low = means[values < values.min() + 1e-9]
    assert values.min() == pytest.approx(math.log(1 / 3) / 2 + math.log(2 / 3), abs=1e-3)  # one bump out of two
    np.testing.assert_allclose(np.abs(low), 2, atol=0.1)
    assert len(low) == 2


@pytest.mark.claim("C39", "limits")
def test_a_small_family_of_discriminators_makes_other_laws_optimal():
    # No linear discriminator tells N(0, 1) from N(0, s): the value is -log 4 for every s.
    for sd in (0.5, 1.5, 2):
        values = [game_value(normal(0), normal(0, sd), expit(slope * X), W) for slope in np.linspace(-2, 2, 41)]
        assert max(values) == pytest.approx(-math.log(4), abs=1e-9)


# From overlapping to disjoint.


def jsd_slope(t, h=1e-4):
    return (jensen_shannon(normal(0), normal(t + h), W) - jensen_shannon(normal(0), normal(t - h), W)) / (2 * h)


def uniform_jsd(t):
    x = (np.arange(8000) + 0.5) / 1000 - 2
    return jensen_shannon(uniform.pdf(x), uniform.pdf(x, t), np.full(8000, 1e-3))


@pytest.mark.claim("C40", "supports")
def test_the_jsd_of_uniforms_that_share_nothing_is_log_2_and_its_slope_0():
    for t in (1.1, 1.5, 3.0):
        assert uniform_jsd(t) == pytest.approx(LOG2, abs=1e-12) == uniform_jsd(t + 0.01)
    for p, q in random_laws(50, seed=16):
        apart = np.concatenate([p, 0 * q]), np.concatenate([0 * p, q])
        assert jensen_shannon(*apart) == pytest.approx(LOG2, abs=1e-12)


@pytest.mark.claim("C40", "supports")
def test_the_game_s_own_gradient_is_twice_the_slope_of_the_jsd_and_dies_with_distance():
    # Eq. 62.3 again: the discriminator is at its best, so the gradient goes past it.
    slopes = []
    for t in (0.5, 1, 2, 4, 8):
        best = optimal_discriminator(normal(0), normal(t))
        saturating = W @ (normal(t) * best * t)  # d/dx log(1 - D) = -D s', and the score s falls at the rate t
        assert saturating == pytest.approx(2 * jsd_slope(t), abs=1e-5)
        slopes.append(saturating)
    assert slopes[3] < slopes[2] / 3 and 0 < slopes[4] < slopes[2] / 1000


@pytest.mark.claim("C40", "limits")
def test_normals_are_never_disjoint_so_their_slope_is_small_but_not_zero():
    assert 0 < jsd_slope(8) < 1e-3 < jsd_slope(4) < jsd_slope(2)
    assert jensen_shannon(normal(0), normal(8), W) < LOG2


@pytest.mark.claim("C40", "limits")
def test_at_the_border_the_slope_jumps_from_log_2_to_0():
    assert (uniform_jsd(1.0) - uniform_jsd(0.9)) / 0.1 == pytest.approx(LOG2, abs=1e-9)
    assert uniform_jsd(1.1) == pytest.approx(uniform_jsd(1.0), abs=1e-12)


@pytest.mark.claim("C40", "limits")
def test_the_other_loss_grows_where_the_game_s_own_dies():
    # Its gradient is that of KL(p_g || p_data) - 2 JSD (Arjovsky and Bottou, 2017), here t - 2 JSD'(t).
    found = []
    for t in (1, 2, 4, 8):
        best = optimal_discriminator(normal(0), normal(t))
        other = W @ (normal(t) * (1 - best) * t)
        assert other == pytest.approx(t - 2 * jsd_slope(t), abs=1e-5)
        found.append(other)
    assert (np.diff(found) > 0).all() and found[-1] > 7.99


@pytest.mark.claim("C40", "supports")
def test_a_better_discriminator_starves_the_generator_and_feeds_it_under_the_other_loss():
    rng = np.random.default_rng(17)
    generator = Network([1, 1], rng).with_params(np.array([0.5, 6.0]))  # 6 + z / 2, and the data z / 2
    x = 0.5 * rng.standard_normal((2000, 1)) + np.repeat([0.0, 6.0], 1000)[:, None]
    z, sizes = rng.standard_normal((1000, 1)), []

    def look(epoch, net):
        sizes.append([abs(generator_gradient(generator, net, z, saturating)[1][1]) for saturating in (True, False)])

    net = MLP([1, 16, 2], rng)
    train(net, x, np.repeat([1, 0], 1000), epochs=30, batch_size=100, lr=0.01, rng=rng, after_epoch=look)
    saturating, other = np.array(sizes).T
    assert saturating[-1] < 0.05 * saturating[0] and saturating[-1] < saturating[10]
    assert other[-1] > other[0] and other[-1] > 1000 * saturating[-1]


@pytest.mark.claim("C41", "supports")
def test_the_earth_mover_distance_of_a_shift_goes_on_at_slope_1():
    x = np.random.default_rng(18).uniform(size=500)
    for t in (0.3, 0.9, 1.0, 1.1, 2.0, 50.0):
        assert wasserstein_1d(x, x + t) == pytest.approx(t)
    grid = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for t in (1, 2, 4):
        assert wasserstein_1d(grid, grid + t) == pytest.approx(t)


@pytest.mark.claim("C41", "supports")
def test_it_never_changes_faster_than_the_samples_move():
    rng = np.random.default_rng(19)
    for _ in range(100):
        x, y, move = rng.normal(size=30), rng.normal(3, 2, size=20), rng.normal(0, 0.1, size=30)
        change = wasserstein_1d(x + move, y) - wasserstein_1d(x, y)
        assert abs(change) <= np.abs(move).mean() + 1e-12


@pytest.mark.claim("C41", "limits")
def test_it_has_a_kink_where_the_laws_meet():
    x = np.arange(5.0)
    left, right = wasserstein_1d(x, x - 0.01), wasserstein_1d(x, x + 0.01)
    assert left == pytest.approx(0.01) and right == pytest.approx(0.01)  # slope -1, then +1


@pytest.mark.claim("C41", "limits")
def test_it_can_be_flat_between_laws_that_share_nothing():
    for t in (-0.9, -0.2, 0.0, 0.7):
        assert wasserstein_1d(np.array([-1.0, 1.0]), np.array([t])) == pytest.approx(1)


@pytest.mark.claim("C41", "limits")
def test_it_can_have_a_kink_between_laws_that_share_nothing():
    def distance(angle):  # two points of the data, two generated points on a smaller circle; the cheaper matching
        data = np.array([[-2.0, 0], [2, 0]])
        made = np.array([[math.cos(angle), math.sin(angle)], [-math.cos(angle), -math.sin(angle)]])
        cost = cdist(data, made)
        return min(np.trace(cost), np.trace(cost[::-1])) / 2

    h, turn = 1e-5, math.pi / 2
    before = (distance(turn) - distance(turn - h)) / h
    after = (distance(turn + h) - distance(turn)) / h
    assert before == pytest.approx(2 / math.sqrt(5), abs=1e-3) and after == pytest.approx(-2 / math.sqrt(5), abs=1e-3)


# The generator's gradient.


@pytest.mark.parametrize("saturating", [True, False])
@pytest.mark.parametrize("d", [1, 3])
def test_the_generator_s_gradient_is_that_of_its_loss(saturating, d):
    rng = np.random.default_rng(20)
    players = Network([2, 7, d], rng), MLP([d, 9, 2], rng)  # with biases, or a sample at 0 sits on a kink
    generator, discriminator = (net.with_params(rng.standard_normal(len(net.params))) for net in players)
    z = rng.standard_normal((11, 2))
    losses, gradient = generator_gradient(generator, discriminator, z, saturating)

    def loss(params):  # from the definition
        gap = np.diff(discriminator.logits(generator.with_params(params).outputs(z)), axis=1)
        return np.mean(np.log(expit(-gap)) if saturating else -np.log(expit(gap)))

    assert losses.shape == (11,) and losses.mean() == pytest.approx(loss(generator.params))
    for k in range(len(generator.params)):
        step = 1e-6 * np.eye(len(generator.params))[k]
        slope = (loss(generator.params + step) - loss(generator.params - step)) / 2e-6
        assert gradient[k] == pytest.approx(slope, abs=1e-7)


def test_the_two_losses_share_a_direction_on_every_sample_and_d_splits_their_sizes():
    rng = np.random.default_rng(21)
    discriminator = MLP([1, 9, 2], rng)
    for shift in (-3.0, 0.5, 2.0):
        generator = Network([1, 1], rng).with_params(np.array([0.0, shift]))
        own, other = (generator_gradient(generator, discriminator, np.ones((1, 1)), s)[1] for s in (True, False))
        d = expit(np.diff(discriminator.logits(np.array([[shift]])), axis=1)[0, 0])
        np.testing.assert_allclose(own * (1 - d), other * d, atol=1e-14)


def test_a_gradient_behind_a_gap_of_80_is_tiny_and_not_zero():
    generator = Network([1, 1], np.random.default_rng(0)).with_params(np.array([1.0, 0.0]))
    judge = MLP([1, 2], np.random.default_rng(0)).with_params(np.array([1.0, 0.0, 80.0, 0.0]))  # s(x) = -x - 80
    _, gradient = generator_gradient(generator, judge, np.zeros((1, 1)), saturating=True)
    assert gradient[1] == pytest.approx(math.exp(-80), rel=1e-9)


# The smallest game.


@pytest.mark.claim("X08", "refutes")
def test_two_players_who_each_answer_exactly_run_in_circles():
    corners = np.array([-1.0, 1.0])  # a linear game over [-1, 1] has its best answers there
    x, seen = 1.0, []
    for _ in range(10):
        y = corners[np.argmax(x * corners)]
        seen.append((x, y))
        x = corners[np.argmin(corners * y)]
    assert seen == [(1.0, 1.0), (-1.0, -1.0)] * 5


@pytest.mark.claim("X08", "supports")
@pytest.mark.parametrize("start", [-0.83, 0.4, 1.0])
def test_small_steps_against_the_exact_maximum_come_to_the_equilibrium(start):
    x = start
    for step in range(1, 2001):
        y = np.sign(x)  # the inner problem, solved exactly; its gradient in x is y (Eq. 62.3)
        x -= y / step
    assert abs(x) < 1e-3


@pytest.mark.claim("C42", "supports")
@pytest.mark.parametrize("lr", [0.05, 0.3, 1.0])
def test_the_three_rules_have_their_closed_forms(lr):
    start, steps = (0.6, -0.8), 50
    k = np.arange(steps + 1)
    together = play_bilinear(*start, lr, steps, "simultaneous")
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), (1 + lr**2) ** (k / 2))
    x, y = play_bilinear(*start, lr, steps, "alternating").T
    np.testing.assert_allclose(x**2 + y**2 - lr * x * y, 1 + 0.48 * lr)  # an ellipse, and never nearer
    ahead = play_bilinear(*start, lr, steps, "extragradient")
    np.testing.assert_allclose(np.linalg.norm(ahead, axis=1), (1 - lr**2 + lr**4) ** (k / 2))
    assert together.shape == (steps + 1, 2) and tuple(ahead[0]) == start


@pytest.mark.claim("C42", "supports")
def test_taking_turns_goes_round_and_round():
    lr = 0.2
    x, y = play_bilinear(1.0, 0.0, lr, 2000, "alternating").T
    radius = np.hypot(x, y)
    assert radius.min() >= 1 / math.sqrt(1 + lr / 2) - 1e-9 and radius.max() <= 1 / math.sqrt(1 - lr / 2) + 1e-9
    turns = np.unwrap(np.arctan2(y, x))[-1] / (2 * math.pi)
    assert turns == pytest.approx(2000 * 2 * math.asin(lr / 2) / (2 * math.pi), abs=0.1)
    x_last = play_bilinear(1.0, 0.0, lr, 2000, "extragradient")[-1]
    assert np.linalg.norm(x_last) < 1e-12


def test_the_rules_stop_working_at_their_borders():
    assert np.linalg.norm(play_bilinear(1.0, 0.0, 1.0, 100, "extragradient")[-1]) == pytest.approx(1)
    assert np.linalg.norm(play_bilinear(1.0, 0.0, 1.1, 100, "extragradient")[-1]) > 10
    assert np.abs(play_bilinear(1.0, 0.0, 1.99, 1000, "alternating")).max() < 20
    assert np.abs(play_bilinear(1.0, 0.0, 2.0, 1000, "alternating")).max() > 1000


# Training.


def two_bumps(n, rng):
    return sample_mixture(n, np.array([[1.0], [3.0]]), 0.3, rng)


@pytest.mark.claim("C39", "supports")
def test_a_small_gan_comes_near_a_one_dimensional_law():
    real = two_bumps(4000, np.random.default_rng(100))[:, 0]
    z, first, last = np.random.default_rng(101).standard_normal((4000, 1)), [], []

    def look(step, generator, _):
        if step == 1 or step > 1500 and step % 100 == 0:
            (first if step == 1 else last).append(wasserstein_1d(real, generator.outputs(z)[:, 0]))

    for seed in range(3):
        rng = np.random.default_rng(seed)
        players = Network([1, 32, 1], rng), MLP([1, 32, 2], rng)
        train_gan(*players, two_bumps, steps=2000, batch_size=128, lr=0.01, rng=rng, after_step=look)
    assert np.median(last) < np.median(first) / 5


def modes_covered(momentum, seed, steps=2000):
    centers, rng = ring_centers(8), np.random.default_rng(seed)
    z, counts = np.random.default_rng(99).standard_normal((1000, 2)), []

    def look(step, generator, _):
        if step > steps // 2 and step % 100 == 0:
            counts.append(np.sum(mode_shares(generator.outputs(z), centers, 0.05) > 1 / 32))

    train_gan(
        Network([2, 32, 32, 2], rng), MLP([2, 64, 2], rng), lambda n, r: sample_mixture(n, centers, 0.05, r),
        steps=steps, batch_size=128, lr=0.01, rng=rng, momentum=momentum, after_step=look,
    )  # fmt: skip
    return np.mean(counts)


@pytest.mark.claim("C49", "supports")
def test_on_a_ring_of_eight_a_gan_with_momentum_collapses_and_one_with_less_does_not():
    heavy, light = ([modes_covered(momentum, seed) for seed in range(3)] for momentum in (0.9, 0.5))
    assert np.median(heavy) < 2 and np.median(light) > 6


def test_training_is_repeatable_and_leaves_the_players_as_they_are():
    def play(seed):
        players = Network([1, 4, 1], np.random.default_rng(1)), MLP([1, 4, 2], np.random.default_rng(2))
        before, seen = [player.params.copy() for player in players], []
        after = train_gan(
            *players, two_bumps, steps=3, batch_size=8, lr=0.01, rng=np.random.default_rng(seed),
            after_step=lambda step, *_: seen.append(step),
        )  # fmt: skip
        assert seen == [1, 2, 3]
        for player, params, new in zip(players, before, after):
            np.testing.assert_array_equal(player.params, params)
            assert not np.array_equal(new.params, params)
        return np.concatenate([player.params for player in after])

    np.testing.assert_array_equal(play(3), play(3))
    assert not np.array_equal(play(3), play(4))


@pytest.mark.parametrize("saturating", [True, False])
def test_the_players_take_turns_as_written_out_here(saturating):
    generator, judge = Network([1, 3, 1], np.random.default_rng(1)), MLP([1, 3, 2], np.random.default_rng(2))
    options = {"steps": 4, "batch_size": 16, "lr": 0.01, "momentum": 0.3, "saturating": saturating}
    trained = train_gan(generator, judge, two_bumps, rng=np.random.default_rng(5), **options)
    rng, of_judge, of_generator = np.random.default_rng(5), Adam(0.01, 0.3), Adam(0.01, 0.3)
    for _ in range(4):
        z, fresh = rng.standard_normal((2, 16, 1))
        x = np.concatenate([two_bumps(16, rng), generator.outputs(z)])
        _, grad = judge.loss_and_param_grad(x, np.repeat([1, 0], 16))
        judge = judge.with_params(of_judge.descend(judge.params, grad))
        _, grad = generator_gradient(generator, judge, fresh, saturating)
        generator = generator.with_params(of_generator.descend(generator.params, grad))
    np.testing.assert_array_equal(trained[0].params, generator.params)
    np.testing.assert_array_equal(trained[1].params, judge.params)


# The ring.


def test_the_ring_and_its_counts():
    centers, rng = ring_centers(8, 2.0), np.random.default_rng(22)
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 2)
    np.testing.assert_allclose(centers[2], [0, 2], atol=1e-15)
    x = sample_mixture(20_000, centers, 0.05, rng)
    shares = mode_shares(x, centers, 0.05)
    np.testing.assert_allclose(shares, (1 - math.exp(-4.5)) / 8, atol=0.01)
    assert mode_shares(centers[:1], centers, 0.05).tolist() == [1] + [0] * 7
    assert mode_shares(np.zeros((5, 2)), centers, 0.05).sum() == 0
    noise = x - centers[np.argmin(cdist(x, centers), axis=1)]
    np.testing.assert_allclose(noise.std(axis=0), 0.05, rtol=0.03)


# Inputs.


def test_inputs_are_left_alone():
    p, q, w = frozen(np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.25, 0.75]), np.ones(3))
    for function in (kl_divergence, jensen_shannon):
        function(p, q), function(p, q, w)
    optimal_discriminator(p, q), game_value(p, q, frozen(np.full(3, 0.5)), w)
    x, y = frozen(np.array([3.0, 1.0]), np.array([2.0, 5.0, 4.0]))
    wasserstein_1d(x, y)
    generator, judge = Network([1, 2], np.random.default_rng(0)), MLP([2, 2], np.random.default_rng(0))
    generator_gradient(generator, judge, frozen(np.ones((3, 1))))
    mode_shares(frozen(np.ones((3, 2))), frozen(ring_centers()), 0.1)


def test_integers_and_single_precision_are_taken_as_numbers():
    assert jensen_shannon(np.array([1, 0]), np.array([0, 1])) == pytest.approx(LOG2)
    assert kl_divergence(np.array([0.5, 0.5], np.float32), np.array([1, 1]) / 2) == 0
    assert wasserstein_1d(np.array([1, 3]), np.array([2])) == 1


GOOD = {"p": np.array([0.5, 0.3, 0.2]), "q": np.array([0.1, 0.2, 0.7])}
NOT_A_DENSITY = not_an_array(3) | {"negative": np.array([1.2, -0.2, 0]), "barely negative": np.array([1, -1e-300, 0])}
NOT_A_LAW = NOT_A_DENSITY | {
    "too much": np.array([0.5, 0.3, 0.3]),
    "too little": np.array([0.5, 0.3, 0.1999]),
    "counts": np.array([5, 3, 2]),
    "all zero": np.zeros(3),
}
OTHER_LENGTH = {"longer": np.full(4, 0.25)}
NOT_WEIGHTS = {k: v for k, v in NOT_A_DENSITY.items() if k != "None"} | OTHER_LENGTH
NET, JUDGE = Network([2, 3], np.random.default_rng(0)), MLP([3, 4, 2], np.random.default_rng(0))
WRONG_JUDGE = {
    "other features": MLP([2, 4, 2], np.random.default_rng(0)),
    "three classes": MLP([3, 4, 3], np.random.default_rng(0)),
}
TRAINING = {
    "generator": NET, "discriminator": JUDGE, "sample": lambda n, rng: rng.standard_normal((n, 3)),
    "steps": 1, "batch_size": 2, "lr": 0.1, "rng": np.random.default_rng(0),
}  # fmt: skip
GAME = {"x": 1.0, "y": 0.5, "lr": 0.1, "steps": 3, "rule": "simultaneous"}

REFUSED = [
    *refusals(
        optimal_discriminator,
        {"p_data": GOOD["p"], "p_g": GOOD["q"]},
        p_data=NOT_A_DENSITY,
        p_g=NOT_A_DENSITY | OTHER_LENGTH,
    ),
    *refusals(
        game_value,
        {"p_data": GOOD["p"], "p_g": GOOD["q"], "discriminator": np.full(3, 0.5)},
        p_data=NOT_A_LAW,
        p_g=NOT_A_LAW | OTHER_LENGTH,
        discriminator=NOT_WEIGHTS | {"logits": np.array([0.0, 2.0, 0.5])},
        weights=NOT_WEIGHTS,
    ),
    *refusals(kl_divergence, GOOD, p=NOT_A_LAW, q=NOT_A_LAW | OTHER_LENGTH, weights=NOT_WEIGHTS),
    *refusals(jensen_shannon, GOOD, p=NOT_A_LAW, q=NOT_A_LAW | OTHER_LENGTH, weights=NOT_WEIGHTS),
    *refusals(wasserstein_1d, {"x": np.ones(3), "y": np.ones(2)}, x=not_an_array(3), y=not_an_array(3)),
    *refusals(
        generator_gradient,
        {"generator": NET, "discriminator": JUDGE, "z": np.ones((4, 2))},
        discriminator=WRONG_JUDGE,
        z=NOT_INPUTS | {"other noise": np.ones((4, 3))},
    ),
    *refusals(
        train_gan,
        TRAINING,
        discriminator=WRONG_JUDGE,
        steps=NOT_A_POSITIVE_COUNT,
        batch_size=NOT_A_POSITIVE_COUNT,
        lr=NOT_A_BUDGET | {"zero": 0.0},
        rng=NOT_A_GENERATOR,
        momentum=NOT_A_BUDGET | {"one": 1.0},
        sample={
            "too few": lambda n, rng: np.ones((n - 1, 3)),
            "other features": lambda n, rng: np.ones((n, 2)),
            "flat": lambda n, rng: np.ones(n),
            "nan": lambda n, rng: np.full((n, 3), math.nan),
        },
    ),
    *refusals(
        play_bilinear,
        GAME,
        x=NOT_A_NUMBER,
        y=NOT_A_NUMBER,
        lr=NOT_A_BUDGET | {"zero": 0, "so large that the path overflows": 1e200},
        steps=NOT_A_POSITIVE_COUNT,
        rule={"None": None, "other": "optimistic", "list": ["simultaneous"], "number": 1},
    ),
    *refusals(ring_centers, {"modes": 3, "radius": 1.0}, modes=NOT_A_POSITIVE_COUNT, radius=NOT_A_BUDGET | {"zero": 0}),
    *refusals(
        sample_mixture,
        {"n": 2, "centers": np.ones((3, 2)), "sd": 0.1, "rng": np.random.default_rng(0)},
        n=NOT_A_POSITIVE_COUNT,
        centers=NOT_INPUTS,
        sd=NOT_A_BUDGET | {"zero": 0},
        rng=NOT_A_GENERATOR,
    ),
    *refusals(
        mode_shares,
        {"samples": np.ones((2, 2)), "centers": np.ones((3, 2)), "sd": 0.1},
        samples=NOT_INPUTS,
        centers=NOT_INPUTS | {"other dimension": np.ones((3, 3))},
        sd=NOT_A_BUDGET | {"zero": 0},
    ),
]


@pytest.mark.parametrize("function, good, name, value", REFUSED)
def test_bad_input_is_refused(function, good, name, value):
    assert_refused(function, good, name, value)


def test_what_is_wrong_is_named_with_its_numbers():
    with pytest.raises(ValueError, match="^discriminator must hold probabilities, got -0.5 to 2.0$"):
        game_value(GOOD["p"], GOOD["q"], np.array([-0.5, 0.5, 2.0]))


def test_a_game_may_last_one_step_and_is_refused_where_its_last_step_overflows():
    assert play_bilinear(1.0, 0.0, 0.5, 1, "simultaneous").tolist() == [[1, 0], [1, 0.5]]
    with pytest.raises(ValueError, match="^lr must be smaller"):
        play_bilinear(1e200, 1e200, 1e200, 1, "simultaneous")


def test_the_generators_loss_is_the_other_one_unless_asked_for():
    z, other = np.random.default_rng(2).standard_normal((4, 2)), dict(steps=2, batch_size=1, lr=0.1)
    for plain, chosen in (
        (generator_gradient(NET, JUDGE, z)[1], generator_gradient(NET, JUDGE, z, saturating=False)[1]),
        *[
            [train_gan(NET, JUDGE, TRAINING["sample"], rng=np.random.default_rng(3), **other, **more)[k].params for more in ({}, {"saturating": False})]
            for k in (0, 1)
        ],
    ):
        np.testing.assert_array_equal(plain, chosen)
    assert not np.array_equal(generator_gradient(NET, JUDGE, z)[1], generator_gradient(NET, JUDGE, z, saturating=True)[1])


def test_both_players_are_shown_after_each_step():
    seen = []
    train_gan(**TRAINING, after_step=lambda *shown: seen.append([type(each) for each in shown]))
    assert seen == [[int, Network, MLP]]


def test_the_smallest_mixtures_and_rings():
    assert ring_centers().shape == (8, 2) and ring_centers(1).tolist() == [[1, 0]]
    assert sample_mixture(1, np.zeros((1, 3)), 1.0, np.random.default_rng(0)).shape == (1, 3)


def test_a_sample_hits_a_mode_up_to_three_standard_deviations_away():
    hits = [mode_shares(np.array([[x, 0.0]]), np.zeros((1, 2)), 1.0).tolist() for x in (3.0, 3.001)]
    assert hits == [[1.0], [0.0]]


def test_a_density_without_its_weights_is_refused():
    with pytest.raises(ValueError, match="^p must add up to 1"):
        jensen_shannon(normal(0), normal(1))
    half = X < 0
    with pytest.raises(ValueError, match="^q must add up to 1"):  # a tail was lost
        kl_divergence(normal(-6, 0.5)[half], normal(0)[half], W[half])
