import math
import warnings

import numpy as np
import pytest
from helpers import (
    NOT_A_GENERATOR,
    NOT_A_NUMBER,
    NOT_A_POSITIVE_COUNT,
    NOT_INPUTS,
    NOT_LABELS,
    assert_refused,
    frozen,
    not_an_array,
    refusals,
)
from joblib import Memory
from scipy.special import ndtr, ndtri
from scipy.stats import binom, binomtest, kstest, ncx2

from adv_companion import smoothing
from adv_companion.attacks import accuracy, pgd
from adv_companion.datasets import digits
from adv_companion.models import MLP, LogisticRegression
from adv_companion.smoothing import (
    ABSTAIN,
    NoiseAveraged,
    SmoothedClassifier,
    certified_radius,
    largest_radius,
    lower_confidence_bound,
)
from adv_companion.training import train


class Pieces:
    """A classifier of the first feature: one label between each two cuts. All its probabilities are known exactly."""

    def __init__(self, cuts, labels):
        self.cuts, self.labels = np.asarray(cuts, dtype=float), np.asarray(labels)

    def predict(self, x):
        return self.labels[np.searchsorted(self.cuts, x[:, 0])]

    def probabilities(self, points, sigma, n_classes):
        """(m, n_classes) for points (m,) on the first axis."""
        below = ndtr((np.r_[-np.inf, self.cuts, np.inf] - np.asarray(points)[:, None]) / sigma)
        pieces = np.diff(below, axis=1)
        return np.stack([pieces[:, self.labels == c].sum(axis=1) for c in range(n_classes)], axis=1)


class Recorder:
    """Answers 0 and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def predict(self, x):
        self.asked.append(x.copy())
        return np.zeros(len(x), dtype=int)


def random_pieces(rng, n_classes=3):
    cuts = np.sort(rng.normal(0, 1.5, size=rng.integers(1, 7)))
    return Pieces(cuts, rng.integers(0, n_classes, size=len(cuts) + 1))


RNG = np.random.default_rng(0)  # for what does not depend on the draws
COIN = Pieces([0.0], [0, 1])
CONSTANT = Pieces([], [2])


# The radius.


@pytest.mark.parametrize("sigma", [0.1, 1.0, 7.0])
def test_the_radius_is_the_formula(sigma):
    for p_a, p_b in ((0.9, 0.05), (0.7, 0.3), (0.4, 0.3), (0.999, 1e-5), (0.51, 0.49)):
        # Phi is inverted by bisection here, so that nothing is shared with the module.
        quantile = [bisect(lambda z, p=p: ndtr(z) - p) for p in (p_a, p_b)]
        assert certified_radius(p_a, p_b, sigma) == pytest.approx(sigma / 2 * (quantile[0] - quantile[1]), rel=1e-9)
    assert certified_radius(0.8, 0.2, sigma) == pytest.approx(sigma * ndtri(0.8))
    assert certified_radius(0.5, 0.5, sigma) == certified_radius(1, 1, sigma) == certified_radius(0, 0, sigma) == 0
    assert certified_radius(1, 0.5, sigma) == certified_radius(0.5, 0, sigma) == math.inf
    assert isinstance(certified_radius(0.8, 0.2, sigma), float)


def bisect(function, low=-40.0, high=40.0):
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


def test_arrays_of_probabilities_give_arrays_of_radii():
    p_a, p_b = frozen([[0.5, 0.9], [0.6, 1.0]], [[0.5, 0.1], [0.3, 0.0]])
    radii = certified_radius(p_a, p_b, 0.3)
    one_by_one = [[certified_radius(a, b, 0.3) for a, b in zip(*rows)] for rows in zip(p_a, p_b)]
    assert radii.shape == (2, 2) and np.array_equal(radii, one_by_one)


def test_the_radius_rises_with_p_a_and_sigma_and_falls_with_p_b():
    grid = np.linspace(0.5, 0.999, 50)
    assert (np.diff(certified_radius(grid, np.full(50, 0.2), 1.0)) > 0).all()
    assert (np.diff(certified_radius(np.full(50, 0.999), grid, 1.0)) < 0).all()
    assert [certified_radius(0.9, 0.1, s) for s in (1, 2, 4)] == pytest.approx([1.2815516, 2.5631031, 5.1262063])


# Equation 62.6: C50.


@pytest.mark.claim("C50", "supports")
@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_a_smoothed_linear_classifier_certifies_its_distance_to_the_boundary(sigma):
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=7), 0.4, rng.normal(size=(40, 7))
    distance = np.abs(x @ w + b) / np.linalg.norm(w)
    p_a = ndtr(distance / sigma)
    keep = p_a < 1 - 1e-12  # beyond, 1 - p_a has no digits left
    np.testing.assert_allclose(certified_radius(p_a, 1 - p_a, sigma)[keep], distance[keep], rtol=1e-3)
    assert keep.sum() > 5


@pytest.mark.claim("X09", "supports")
@pytest.mark.claim("C50", "supports")
def test_no_classifier_of_a_line_changes_its_vote_within_the_radius():
    rng, tried = np.random.default_rng(1), 0
    for _ in range(400):
        model, sigma, center = random_pieces(rng), rng.uniform(0.2, 2), rng.normal()
        p = model.probabilities([center], sigma, 3)[0]
        p_b, p_a = np.sort(p)[-2:]
        radius = certified_radius(p_a, p_b, sigma)
        if radius > 0 and p_a < 1 - 1e-9:  # nearer to 1, p_a is known to too few digits
            inside = center + (1 - 1e-9) * radius * np.linspace(-1, 1, 201)
            assert (model.probabilities(inside, sigma, 3).argmax(axis=1) == p.argmax()).all()
            tried += 1
    assert tried > 300


@pytest.mark.claim("C50", "supports")
@pytest.mark.claim("C54", "supports")
def test_nor_does_a_smoothed_network_under_attack():
    x_train, y_train, x, y = digits()
    model = noise_trained(x_train, y_train, sigma=0.25, epochs=8)
    smooth, rng = SmoothedClassifier(model, 0.25, 10), np.random.default_rng(2)
    classes, radii = smooth.certify(x[:60], 50, 1000, 0.001, rng)
    soft = NoiseAveraged(model, 0.25 * rng.standard_normal((16, 64)))
    sure = classes != ABSTAIN
    assert sure.sum() > 45
    for row in np.flatnonzero(sure):
        attacked = pgd(soft, x[row : row + 1], classes[row : row + 1], 0.999 * radii[row], p=2, steps=10)
        assert smooth.predict(attacked, 1000, 1e-6, rng)[0] in (classes[row], ABSTAIN)


def noise_trained(x, y, sigma, epochs, seed=0):
    rng = np.random.default_rng(seed)

    def noise(model, x, y):
        return x + sigma * rng.standard_normal(x.shape)

    start = MLP((64, 64, 10), np.random.default_rng(seed))
    return train(start, x, y, epochs=epochs, batch_size=64, lr=5e-3, rng=rng, attack=noise)


@pytest.mark.claim("C50", "limits")
@pytest.mark.parametrize("p_a, p_b", [(0.7, 0.3), (0.5, 0.2), (0.45, 0.4), (0.999, 0.0005)])
def test_at_the_radius_itself_the_vote_may_tie_and_beyond_it_turns(p_a, p_b):
    # The winner on a half line and the runner-up on the opposite one, a third class in between.
    model, sigma = Pieces([ndtri(p_a), ndtri(1 - p_b)], [0, 2, 1]), 1.0
    radius = certified_radius(p_a, p_b, sigma)
    before, at, beyond = model.probabilities([radius - 1e-6, radius, radius + 1e-6], sigma, 3)
    assert before[0] > before[1] and at[0] == pytest.approx(at[1], abs=1e-12) and beyond[0] < beyond[1]


@pytest.mark.claim("C50", "limits")
def test_a_winner_that_is_not_known_to_lead_has_no_radius():
    with pytest.raises(ValueError, match="no class leads"):
        certified_radius(0.4, 0.45, 1.0)  # bounds from 100 draws of 50 against 35 can look like this
    # The formula would give a negative number here, and the true winner may be either.
    assert ndtri(0.4) - ndtri(0.45) < 0


def test_separate_bounds_may_add_to_more_than_one_and_are_then_loose():
    assert 0 < certified_radius(0.9, 0.3, 1.0) < certified_radius(0.9, 0.1, 1.0)


# Half-spaces are the worst case: C51.


def shifted_bounds(p, shift):
    return ndtr(ndtri(p) - shift), ndtr(ndtri(p) + shift)


@pytest.mark.claim("C51", "supports")
def test_no_union_of_intervals_changes_its_probability_by_more_than_a_half_line():
    rng = np.random.default_rng(3)
    for _ in range(300):
        model, shift = random_pieces(rng, 2), rng.uniform(0, 3)
        p, moved = model.probabilities([0.0, shift], 1.0, 2)[:, 1]
        low, high = shifted_bounds(p, shift)
        assert low - 1e-12 <= moved <= high + 1e-12


@pytest.mark.claim("C51", "supports")
@pytest.mark.parametrize("d", [1, 2, 64])
def test_no_ball_does_either(d):
    for offset in (0.0, 0.5, 2.0):
        for radius in math.sqrt(d) * np.array([0.5, 0.9, 1.0, 1.1, 2.0]):
            for shift in (0.1, 0.5, 2.0):
                before, after = (ncx2.cdf(radius**2, d, max(c, 1e-9) ** 2) for c in (offset, offset + shift))
                low, high = shifted_bounds(before, shift)
                assert low - 1e-9 <= after <= high + 1e-9


@pytest.mark.claim("C51", "supports")
def test_half_spaces_across_the_shift_reach_both_bounds_and_others_do_not():
    for p in (0.01, 0.5, 0.9):
        for shift in (0.1, 1.0, 3.0):
            behind, ahead = Pieces([ndtri(p)], [1, 0]), Pieces([ndtri(1 - p)], [0, 1])
            low, high = shifted_bounds(p, shift)
            assert behind.probabilities([shift], 1.0, 2)[0, 1] == pytest.approx(low)
            assert ahead.probabilities([shift], 1.0, 2)[0, 1] == pytest.approx(high)
            # Turned by an angle, only the part of the shift across the boundary counts.
            assert low < shifted_bounds(p, shift * math.cos(0.5))[0] < p


@pytest.mark.claim("C51", "supports")
def test_the_half_line_is_the_most_powerful_of_all_sets_of_cells():
    # Neyman and Pearson: of the sets with probability p, the one that gains most holds the largest likelihood ratios.
    edges = np.r_[-np.inf, ndtri(np.linspace(0, 1, 11)[1:-1]), np.inf]  # ten cells of probability 1/10
    gain = np.diff(ndtr(edges - 0.8))
    sets = np.array([[mask >> cell & 1 for cell in range(10)] for mask in range(1024)])
    for size in range(11):
        after = sets[sets.sum(axis=1) == size] @ gain
        low, high = shifted_bounds(size / 10, 0.8)
        assert (after.min(), after.max()) == pytest.approx((low, high), abs=1e-12)


# The confidence bound: C52.


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.5])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 10_000])
def test_the_bound_is_the_probability_at_which_the_count_is_barely_believable(n, alpha):
    for count in sorted({0, 1, n // 2, n - 1, n}):
        bound = lower_confidence_bound(count, n, alpha)
        assert isinstance(bound, float)
        if count == 0:
            assert bound == 0
            continue
        assert binom.sf(count - 1, n, bound) == pytest.approx(alpha, rel=1e-6)
        independent = binomtest(count, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low
        assert bound == pytest.approx(independent, rel=1e-9)
        assert bound < count / n or n == count


@pytest.mark.parametrize("count", [1, 5, 10])
def test_the_bound_is_a_number_below_one_at_any_alpha(count):
    bounds = [lower_confidence_bound(count, 10, alpha) for alpha in (5e-324, 1e-300, 1e-200, 1e-100, 1e-9, 1 - 1e-16)]
    assert 0 <= bounds[0] and (np.diff(bounds) >= 0).all() and bounds[-1] < 1
    assert np.isfinite(largest_radius(10, 1 - 1e-16, 1.0))


def test_the_bound_takes_arrays_and_rises_with_the_count_and_with_alpha():
    counts = frozen(np.arange(101).reshape(1, -1))
    bounds = lower_confidence_bound(counts, 100, 0.01)
    assert bounds.shape == (1, 101) and (np.diff(bounds) > 0).all()
    assert bounds[0, 37] == lower_confidence_bound(37, 100, 0.01)
    assert (lower_confidence_bound(counts, 100, 0.02)[0, 1:] > bounds[0, 1:]).all()
    assert lower_confidence_bound(np.uint8(200), 255, 0.01) == lower_confidence_bound(200, 255, 0.01)


def test_the_reference_numbers():
    found = [largest_radius(n, 0.001, 1.0) for n in (100, 1000, 10_000, 100_000)]
    np.testing.assert_allclose(found, [1.5005, 2.4633, 3.1986, 3.8115], atol=5e-5)
    p_a = lower_confidence_bound(9900, 10_000, 0.001)
    assert certified_radius(p_a, 1 - p_a, 1.0) == pytest.approx(2.2124, abs=5e-5)
    assert lower_confidence_bound(5100, 10_000, 0.001) < 0.5


def test_the_largest_radius_scales_with_sigma_and_grows_with_n_and_alpha():
    assert largest_radius(500, 0.01, 3.0) == pytest.approx(3 * ndtri(0.01 ** (1 / 500)))
    assert (np.diff([largest_radius(n, 0.001, 1.0) for n in range(1, 200)]) >= 0).all()
    assert (np.diff([largest_radius(50, alpha, 1.0) for alpha in (1e-9, 0.001, 0.1, 0.9)]) > 0).all()
    assert largest_radius(9, 0.001, 1.0) == 0 < largest_radius(10, 0.001, 1.0)


def interval_of(agree, runs):
    """The 99.99 % interval of a share."""
    return binomtest(int(agree), runs).proportion_ci(0.9999, method="exact")


def exact_failure(n, alpha, p):
    """The probability that the bound from n draws lies above p."""
    counts = np.arange(n + 1)
    return binom.pmf(counts, n, p)[lower_confidence_bound(counts, n, alpha) > p].sum()


@pytest.mark.claim("C52", "supports")
def test_the_bound_fails_at_most_as_often_as_it_says_and_nearly_as_often_at_its_worst():
    for n, alpha in ((20, 0.05), (100, 0.05), (1000, 0.001)):
        grid = np.linspace(0.01, 0.999, 400)
        just_below = lower_confidence_bound(np.arange(1, n + 1), n, alpha) * (1 - 1e-12)
        worst = [exact_failure(n, alpha, p) for p in np.r_[grid, just_below]]
        assert alpha * 0.999 < max(worst) <= alpha * (1 + 1e-9)


@pytest.mark.claim("X09", "refutes")
@pytest.mark.claim("C52", "supports")
@pytest.mark.parametrize("distance", [0.3, 0.9744])  # p_a 0.618 and, nearly at a step of the bound, 0.835
def test_certificates_fail_in_at_most_alpha_of_all_runs(distance):
    runs, n, alpha = 6000, 100, 0.05
    x = np.full((runs, 1), distance)  # the same point again and again, each row with its own noise
    classes, radii = SmoothedClassifier(COIN, 1.0, 2).certify(x, 20, n, alpha, np.random.default_rng(4))
    failures = np.sum((classes != ABSTAIN) & ((classes != 1) | (radii > distance)))
    p = ndtr(distance)
    right_choice = binom.sf(10, 20, p)  # ten to ten goes to class 0
    never_true = binom.pmf(np.arange(n + 1), n, 1 - p)[lower_confidence_bound(np.arange(n + 1), n, alpha) > 0.5].sum()
    expected = right_choice * exact_failure(n, alpha, p) + (1 - right_choice) * never_true
    interval = interval_of(failures, runs)
    assert interval.low <= expected <= interval.high and 0.01 < expected <= alpha


@pytest.mark.claim("C52", "limits")
def test_one_sample_for_choosing_and_bounding_fails_twice_as_often():
    # On the boundary itself both classes have one half, and every certificate is wrong.
    runs, n, alpha = 6000, 100, 0.05
    smooth, rng, x = SmoothedClassifier(COIN, 1.0, 2), np.random.default_rng(5), np.zeros((runs, 1))
    once = smooth.votes(x, n, rng).max(axis=1)
    reused = np.sum(lower_confidence_bound(once, n, alpha) > 0.5)
    apart = np.sum(smooth.certify(x, n, n, alpha, rng)[0] != ABSTAIN)
    exact = exact_failure(n, alpha, 0.5)
    assert 0.04 < exact <= alpha
    assert interval_of(apart, runs).low <= exact <= interval_of(apart, runs).high
    assert interval_of(reused, runs).low <= 2 * exact <= interval_of(reused, runs).high
    assert interval_of(reused, runs).low > alpha


@pytest.mark.claim("C52", "limits")
def test_without_a_correction_half_of_the_certificates_are_wrong():
    runs, n, distance = 2000, 1000, 0.5
    votes = SmoothedClassifier(COIN, 1.0, 2).votes(np.full((runs, 1), distance), n, np.random.default_rng(6))
    assert 0.4 < np.mean(ndtri(votes[:, 1] / n) > distance) < 0.6


def test_monte_carlo_comes_to_the_exact_radius_from_below():
    w, x = np.array([0.6, 0.8]), np.array([[0.6, 0.8], [-0.3, -0.4]])  # distances 1 and 1/2
    smooth = SmoothedClassifier(LogisticRegression(w, 0.0), 0.5, 2)
    for n in (100, 10_000, 100_000):
        classes, radii = smooth.certify(x, 50, n, 1e-6, np.random.default_rng(7))
        assert classes.tolist() == [1, 0] and (radii < [1.0, 0.5]).all()
    assert (radii > [0.97, 0.485]).all()


# Sigma: C53.


@pytest.mark.claim("C53", "supports")
def test_the_largest_radius_in_reach_is_proportional_to_sigma():
    for sigma in (0.12, 0.5, 1.0):
        _, radii = SmoothedClassifier(CONSTANT, sigma, 3).certify(np.ones((2, 4)), 5, 300, 0.01, RNG)
        assert radii == pytest.approx(2 * [sigma * ndtri(0.01 ** (1 / 300))])


@pytest.mark.claim("C53", "limits")
def test_a_larger_sigma_can_certify_less_and_a_linear_classifier_does_not_care():
    island = Pieces([-1.0, 1.0], [0, 1, 0])  # class 1 within distance 1 of the origin
    radii = {}
    for sigma in (0.25, 0.5, 1.0, 1.4):
        p = island.probabilities([0.0], sigma, 2)[0, 1]
        radii[sigma] = certified_radius(p, 1 - p, sigma)
    assert radii[0.25] > 0.95 and list(radii.values()) == sorted(radii.values(), reverse=True)
    assert island.probabilities([0.0], 1.6, 2)[0, 1] < 0.5  # and then the answer itself is lost
    for sigma in (0.5, 1.0, 4.0):
        p = ndtr(0.7 / sigma)
        assert certified_radius(p, 1 - p, sigma) == pytest.approx(0.7)


@pytest.mark.claim("C53", "supports")
def test_on_digits_more_noise_reaches_farther_and_costs_clean_accuracy():
    x_train, y_train, x, y = digits()
    at = {}
    for sigma in (0.12, 0.5):
        smooth = SmoothedClassifier(noise_trained(x_train, y_train, sigma, epochs=10), sigma, 10)
        classes, radii = smooth.certify(x[:100], 50, 500, 0.001, np.random.default_rng(8))
        at[sigma] = [np.mean((classes == y[:100]) & (radii > r)) for r in (0, 0.1, 0.5)]
    assert at[0.5][2] > at[0.12][2] == 0  # out of reach: 0.12 * 2.24 = 0.27
    assert at[0.12][0] > at[0.5][0] + 0.05 and at[0.12][1] > at[0.5][1]


# Attacks on the vote: C54.


@pytest.mark.claim("C54", "supports")
def test_an_exact_attack_meets_an_exact_certificate_on_a_linear_classifier():
    rng = np.random.default_rng(9)
    model = LogisticRegression(rng.normal(size=5), 0.2)
    x = rng.normal(size=(200, 5))
    y = model.predict(x)
    distance = np.abs(x @ model.coef + 0.2) / np.linalg.norm(model.coef)
    for eps in (0.2, 0.5, 1.0):
        attacked = pgd(model, x, y, eps, p=2, steps=5, random_start=False)  # smoothing leaves a linear model's answers
        assert accuracy(model, attacked, y) == np.mean(distance > eps)


@pytest.mark.claim("C54", "limits")
def test_the_attacked_base_model_bounds_nothing():
    # The base model answers 0 in thin slits, near every point, so an attack on it succeeds; the vote never notices.
    slits = np.arange(-10, 11)
    comb = Pieces(np.sort(np.r_[slits - 0.02, slits + 0.02]), np.arange(43) % 2 == 0)
    points = np.linspace(-3, 3, 61)
    nearest = comb.predict(np.round(points)[:, None])
    assert (np.abs(np.round(points) - points) <= 0.5).all() and not nearest.any()
    p = comb.probabilities(points, 1.0, 2)[:, 1]
    assert (certified_radius(p, 1 - p, 1.0) > 1.5).all()


def test_the_averaged_loss_is_the_cross_entropy_of_the_averaged_probability():
    rng = np.random.default_rng(10)
    model, noise = MLP((4, 8, 3), rng), rng.normal(size=(6, 4))
    x, y = frozen(rng.normal(size=(5, 4)), np.array([0, 1, 2, 0, 1]))
    logits = np.stack([model.logits(x + row) for row in noise])
    shares = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    expected = -np.log(shares.mean(axis=0)[np.arange(5), y])
    soft = NoiseAveraged(model, frozen(noise))
    np.testing.assert_allclose(soft.loss(x, y), expected)
    np.testing.assert_allclose(soft.loss_and_input_grad(x, y)[0], expected)
    assert NoiseAveraged(model, np.zeros((1, 4))).loss(x, y) == pytest.approx(model.loss(x, y))
    kept = NoiseAveraged(model, noise)
    noise += 1
    np.testing.assert_allclose(kept.loss(x, y), expected)  # it took a copy


def test_its_gradient_agrees_with_finite_differences():
    rng = np.random.default_rng(11)
    soft = NoiseAveraged(MLP((4, 8, 3), rng), 0.5 * rng.normal(size=(7, 4)))
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, size=6)
    _, gradient = soft.loss_and_input_grad(x, y)
    for j, step in enumerate(1e-6 * np.eye(4)):
        slope = (soft.loss(x + step, y) - soft.loss(x - step, y)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], slope, atol=1e-7)


def test_a_confident_model_does_not_round_the_averaged_gradient_away():
    sharp = LogisticRegression(np.array([2000.0, 0.0]), 0.0)
    soft = NoiseAveraged(sharp, np.array([[0.1, 0.0], [-0.1, 0.0]]))
    loss, gradient = soft.loss_and_input_grad(np.array([[5.0, 1.0]]), np.array([0]))
    assert loss[0] == pytest.approx(9800 + math.log(2)) and gradient[0] == pytest.approx([2000, 0])


# Votes, streams, chunks.


def test_votes_add_up_and_follow_the_law():
    model = Pieces([-0.5, 0.7], [2, 0, 1])
    points = np.array([[0.0, 9.0], [1.0, -9.0]])
    votes = SmoothedClassifier(model, 0.8, 4).votes(frozen(points), 20_000, np.random.default_rng(12))
    assert votes.shape == (2, 4) and (votes.sum(axis=1) == 20_000).all() and not votes[:, 3].any()
    exact = model.probabilities(points[:, 0], 0.8, 4)
    assert (np.abs(votes / 20_000 - exact) <= 5 * np.sqrt(exact * (1 - exact) / 20_000)).all()


def test_the_noise_is_normal_with_the_right_spread_and_independent():
    model = Recorder()
    SmoothedClassifier(model, 0.3, 2).votes(np.array([[1.0, -2.0], [1.0, -2.0]]), 5000, np.random.default_rng(13))
    noise = np.concatenate(model.asked) - [1.0, -2.0]
    assert noise.shape == (10_000, 2) and len(np.unique(noise)) == noise.size
    np.testing.assert_allclose(np.cov(noise.T), 0.09 * np.eye(2), atol=0.09 * 5 * math.sqrt(2 / 10_000))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_each_row_is_tried_with_the_noise_of_its_own_stream(kind):
    model = Recorder()
    SmoothedClassifier(model, 1.0, 2).votes(np.zeros((2, 3), dtype=kind), 5, np.random.default_rng(4))
    for batch, stream in zip(model.asked, np.random.default_rng(4).spawn(2), strict=True):
        noise = np.empty(15, dtype=kind)
        if kind == np.float32:
            smoothing._box_muller(noise, np.random.Generator(np.random.SFC64(stream.bit_generator.seed_seq)))
        else:
            stream.standard_normal(out=noise)
        assert batch.dtype == kind
        np.testing.assert_array_equal(batch, noise.reshape(5, 3))


def test_no_chunk_size_changes_an_answer(monkeypatch):
    x, model = np.random.default_rng(14).normal(size=(5, 3)), random_pieces(np.random.default_rng(1))
    smooth, found = SmoothedClassifier(model, 0.7, 3), []
    monkeypatch.setattr(smoothing, "ROWS", 1)
    for chunk in (smoothing.CHUNK, 1, 3 * 7, 3 * 250):
        monkeypatch.setattr(smoothing, "CHUNK", chunk)
        rng = np.random.default_rng(15)
        classes, radii = smooth.certify(x, 40, 250, 0.01, rng)
        found.append([*classes, *radii, *smooth.predict(x, 100, 0.05, rng), *smooth.votes(x, 33, rng).ravel()])
    assert all(row == found[0] for row in found)


@pytest.mark.parametrize(("width", "batches"), [(2**11, [128, 128, 44]), (2**14, [64, 64, 64, 64, 44])])
def test_memory_stays_within_the_chunk_or_a_few_long_rows(width, batches):
    model = Recorder()
    SmoothedClassifier(model, 1.0, 2).votes(np.zeros((1, width)), 300, np.random.default_rng(0))
    assert [len(batch) for batch in model.asked] == batches
    assert max(batch.size for batch in model.asked) == max(smoothing.CHUNK, smoothing.ROWS * width)


def test_a_row_does_not_depend_on_the_other_rows():
    rng, model = np.random.default_rng(16), random_pieces(np.random.default_rng(1))
    x = rng.normal(size=(6, 2))
    other = x.copy()
    other[[0, 1, 2, 4, 5]] += 100
    smooth = SmoothedClassifier(model, 0.7, 3)
    whole = smooth.certify(x, 30, 200, 0.01, np.random.default_rng(17))
    for part, rows in ((x[:4], slice(0, 4)), (other, slice(3, 4))):
        alone = smooth.certify(part, 30, 200, 0.01, np.random.default_rng(17))
        for found, expected in zip(alone, whole):
            assert np.array_equal(found[3:4] if rows.start else found, expected[rows])
    votes = [smooth.votes(points, 100, np.random.default_rng(18))[3] for points in (x, other)]
    assert np.array_equal(*votes)


def test_the_generator_decides_and_a_second_call_draws_afresh():
    smooth, x = SmoothedClassifier(COIN, 1.0, 2), np.zeros((20, 1))
    rng, again = np.random.default_rng(19), np.random.default_rng(19)
    kept = np.random.get_state()[1].copy()
    first, second = smooth.votes(x, 100, rng), smooth.votes(x, 100, rng)
    assert np.array_equal(first, smooth.votes(x, 100, again)) and not np.array_equal(first, second)
    assert len(np.unique(first[:, 0])) > 5  # equal rows do not get equal noise
    assert np.array_equal(kept, np.random.get_state()[1])


@pytest.mark.parametrize("rows", [1, 7, 30, 31, 70, 1000])
def test_certifying_uses_other_draws_than_choosing(rows, monkeypatch):
    monkeypatch.setattr(smoothing, "CHUNK", 2 * rows), monkeypatch.setattr(smoothing, "ROWS", 1)
    model = Recorder()
    smooth, x = SmoothedClassifier(model, 1.0, 2), np.zeros((1, 2))
    smooth.certify(x, 30, 40, 0.01, np.random.default_rng(0))
    draws = np.concatenate(model.asked)
    assert draws.shape == (70, 2) and len(np.unique(draws)) == 140

    class InTurn:
        """Says 1 to the draws that choose, 0 to those that bound."""

        def predict(self, x):
            return np.array([next(answers) for _ in x])

    answers = iter([1] * 30 + [0] * 40)
    (votes,) = SmoothedClassifier(InTurn(), 1.0, 2)._votes(x, (30, 40), np.random.default_rng(0))
    assert votes.tolist() == [[0, 30], [40, 0]]


def test_single_precision_and_whole_numbers():
    x = np.random.default_rng(20).normal(size=(4, 2)).astype(np.float32)
    model = Recorder()
    classes, radii = SmoothedClassifier(model, 0.5, 2).certify(frozen(x), 10, 100, 0.01, np.random.default_rng(0))
    assert model.asked[0].dtype == np.float32 and radii.dtype == np.float64 and classes.dtype.kind == "i"
    whole = SmoothedClassifier(COIN, 0.5, 2).certify([[3], [-3]], 10, 100, 0.01, np.random.default_rng(0))
    assert whole[0].tolist() == [1, 0]


# Abstention.


def test_certify_bounds_the_chosen_class_by_fresh_votes():
    # Every radius is the one that some count gives, never above the largest, and 0 exactly with ABSTAIN.
    model, sigma, n = random_pieces(np.random.default_rng(1)), 0.6, 150
    x = np.random.default_rng(21).normal(size=(200, 1))
    classes, radii = SmoothedClassifier(model, sigma, 3).certify(x, 30, n, 0.01, np.random.default_rng(22))
    bounds = lower_confidence_bound(np.arange(n + 1), n, 0.01)
    possible = sigma * ndtri(bounds[bounds > 0.5])
    for label, radius in zip(classes, radii):
        assert (label == ABSTAIN) == (radius == 0)
        assert radius == 0 or np.abs(possible - radius).min() < 1e-12
    assert radii.max() <= largest_radius(n, 0.01, sigma) * (1 + 1e-12)
    exact = model.probabilities(x[:, 0], sigma, 3).argmax(axis=1)
    assert 0 < np.mean(classes == ABSTAIN) < 0.9 and (classes == exact)[classes != ABSTAIN].mean() > 0.97


def test_a_class_below_one_half_is_never_certified_even_if_it_leads():
    thirds = Pieces(ndtri([0.46, 0.73]), [0, 1, 2])  # 0.46, 0.27, 0.27: a true radius of 0.256 that 1 - p_a misses
    smooth, x = SmoothedClassifier(thirds, 1.0, 3), np.zeros((50, 1))
    classes, radii = smooth.certify(x, 200, 1000, 0.001, np.random.default_rng(23))
    assert (classes == ABSTAIN).all() and not radii.any()
    assert certified_radius(0.46, 0.27, 1.0) == pytest.approx(0.256, abs=5e-4)
    assert (smooth.predict(x, 1000, 0.001, np.random.default_rng(23)) == 0).all()  # predict asks for a lead only


def test_predict_abstains_exactly_where_the_test_says():
    model, x = random_pieces(np.random.default_rng(1)), np.random.default_rng(24).normal(size=(100, 1))
    smooth = SmoothedClassifier(model, 0.7, 3)
    votes = smooth.votes(x, 60, np.random.default_rng(25))
    answers = smooth.predict(x, 60, 0.05, np.random.default_rng(25))
    for row, answer in zip(votes, answers):
        second, first = np.sort(row)[-2:]
        p_value = min(1.0, 2 * binom.sf(first - 1, first + second, 0.5))
        assert answer == (row.argmax() if p_value <= 0.05 else ABSTAIN)
    assert 0 < np.mean(answers == ABSTAIN) < 1


def test_predict_is_wrong_in_at_most_alpha_of_all_runs():
    runs, alpha = 4000, 0.05
    answers = SmoothedClassifier(COIN, 1.0, 2).predict(np.full((runs, 1), 0.02), 100, alpha, np.random.default_rng(26))
    assert 0 < np.mean(answers == 0) < alpha / 2 + 0.01 and np.mean(answers == ABSTAIN) > 0.9


def test_degenerate_counts():
    smooth, x = SmoothedClassifier(CONSTANT, 1.0, 3), np.zeros((2, 1))
    assert smooth.predict(x, 50, 0.001, np.random.default_rng(0)).tolist() == [2, 2]
    split = Pieces([0.0], [0, 1])  # chosen by one vote, then by none of the others, in some rows
    classes, radii = SmoothedClassifier(split, 1.0, 2).certify(np.zeros((300, 1)), 1, 12, 0.01, RNG)
    assert np.isfinite(radii).all() and (classes == ABSTAIN).mean() > 0.9


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.25, 2.0**-10])
def test_too_few_votes_warn_and_name_how_many_it_takes(alpha):
    smooth, x, rng = SmoothedClassifier(CONSTANT, 1.0, 3), np.zeros((2, 1)), np.random.default_rng(0)
    for call, few in (
        (lambda n: smooth.certify(x, 5, n, alpha, rng)[0], math.floor(math.log(alpha) / math.log(0.5))),
        (lambda n: smooth.predict(x, n, alpha, rng), math.ceil(math.log(alpha / 2) / math.log(0.5)) - 1),
    ):
        with pytest.warns(UserWarning, match=rf"^n = {few} votes are too few at alpha = {alpha}: .* n >= {few + 1}$"):
            assert (call(few) == ABSTAIN).all()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (call(few + 1) == 2).all()


def test_the_warning_of_too_few_votes_points_at_the_callers_line():
    smooth, x, rng = SmoothedClassifier(CONSTANT, 1.0, 3), np.zeros((2, 1)), np.random.default_rng(0)
    for call in (lambda: smooth.certify(x, 5, 3, 0.01, rng), lambda: smooth.predict(x, 3, 0.01, rng)):
        with pytest.warns(UserWarning) as caught:
            call()
        assert caught[0].filename == __file__


def test_at_the_very_limit_of_alpha_a_unanimous_vote_is_an_answer_and_one_half_is_none():
    smooth, x, rng = SmoothedClassifier(CONSTANT, 1.0, 3), np.zeros((2, 1)), np.random.default_rng(0)
    assert (smooth.predict(x, 5, 2 * 0.5**5, rng) == 2).all()  # the p-value of five of five is alpha, and nothing warns
    with pytest.warns(UserWarning, match="^n = 1 votes are too few"):
        assert (smooth.certify(x, 1, 1, 0.5, rng)[0] == ABSTAIN).all()
    assert (smooth.certify(x, 1, 1, 0.51, rng)[0] == 2).all()
    with pytest.warns(UserWarning, match="^n = 1 votes are too few"):
        assert (smooth.predict(x, 1, 0.5, rng) == ABSTAIN).all()


def test_no_bar_is_shown_unless_asked_for(capfd):
    SmoothedClassifier(CONSTANT, 1.0, 3).votes(np.zeros((2, 1)), 5, np.random.default_rng(0))
    assert capfd.readouterr() == ("", "")


def test_what_cannot_lead_is_named_with_its_numbers():
    with pytest.raises(ValueError, match="^p_a must be at least p_b, got 0.1 below 0.8: no class leads$"):
        certified_radius(np.array([0.9, 0.1, 0.4]), np.array([0.95, 0.8, 0.3]), 1.0)


# Bad input.


class Answers:
    def __init__(self, answer):
        self.answer = answer

    def predict(self, x):
        return self.answer(len(x))


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: np.full(n, 3),
        lambda n: np.full(n, -1),
        lambda n: np.zeros(n),
        lambda n: np.zeros((n, 1), dtype=int),
        lambda n: np.zeros(n - 1, dtype=int),
        lambda n: 0,
        lambda n: None,
        lambda n: np.full(n, "0"),
    ],
    ids=["too large", "negative", "floats", "column", "too few", "one", "None", "text"],
)
def test_answers_that_are_not_labels_are_refused(answer):
    smooth, rng = SmoothedClassifier(Answers(answer), 1.0, 3), np.random.default_rng(0)
    for call in (
        lambda: smooth.votes(np.zeros((2, 2)), 10, rng),
        lambda: smooth.predict(np.zeros((2, 2)), 10, 0.1, rng),
        lambda: smooth.certify(np.zeros((2, 2)), 10, 10, 0.1, rng),
    ):
        with pytest.raises(ValueError, match=r"^model\.predict\(x\) must"):
            call()


NOT_POSITIVE = NOT_A_NUMBER | {"zero": 0.0, "negative": -1.0}
NOT_A_LEVEL = NOT_A_NUMBER | {"above one": 1.5, "zero": 0, "one": 1.0, "negative": -0.05, "percent": 5}
NOT_A_PROBABILITY = NOT_A_NUMBER | {"negative": -1e-300, "above one": 1 + 1e-15, "empty": []}
SMOOTH = SmoothedClassifier(COIN, 1.0, 2)
SOFT = NoiseAveraged(LogisticRegression(np.ones(2), 0.0), np.ones((3, 2)))

REFUSED = [
    *refusals(
        certified_radius,
        {"p_a": 0.8, "p_b": 0.1, "sigma": 1.0},
        p_a={what: bad for what, bad in NOT_A_PROBABILITY.items() if what != "list"} | {"behind": 0.05},
        p_b=NOT_A_PROBABILITY | {"another shape": [0.1, 0.1]},
        sigma=NOT_POSITIVE,
    ),
    *refusals(
        lower_confidence_bound,
        {"count": 5, "n": 10, "alpha": 0.05},
        count={
            "negative": -1,
            "above n": 11,
            "float": 5.0,
            "bool": True,
            "text": "5",
            "None": None,
            "nan": math.nan,
            "empty": np.array([], dtype=int),
            "ragged": [[1, 2], [3]],
            "one of many": [1, 11],
        },
        n=NOT_A_POSITIVE_COUNT,
        alpha=NOT_A_LEVEL,
    ),
    *refusals(
        largest_radius,
        {"n": 100, "alpha": 0.05, "sigma": 1.0},
        n=NOT_A_POSITIVE_COUNT,
        alpha=NOT_A_LEVEL,
        sigma=NOT_POSITIVE,
    ),
    *refusals(
        SmoothedClassifier,
        {"model": COIN, "sigma": 1.0, "n_classes": 2},
        model={"None": None, "function": np.sign, "attribute": type("M", (), {"predict": 3})()},
        sigma=NOT_POSITIVE,
        n_classes=NOT_A_POSITIVE_COUNT | {"one": 1},
    ),
    *refusals(
        SMOOTH.votes,
        {"x": np.ones((2, 2)), "n": 5, "rng": RNG},
        x=NOT_INPUTS,
        n=NOT_A_POSITIVE_COUNT,
        rng=NOT_A_GENERATOR,
    ),
    *refusals(
        SMOOTH.predict,
        {"x": np.ones((2, 2)), "n": 20, "alpha": 0.05, "rng": RNG},
        x=NOT_INPUTS,
        n=NOT_A_POSITIVE_COUNT,
        alpha=NOT_A_LEVEL,
        rng=NOT_A_GENERATOR,
    ),
    *refusals(
        SMOOTH.certify,
        {"x": np.ones((2, 2)), "n0": 5, "n": 20, "alpha": 0.05, "rng": RNG},
        x=NOT_INPUTS,
        n0=NOT_A_POSITIVE_COUNT,
        n=NOT_A_POSITIVE_COUNT,
        alpha=NOT_A_LEVEL,
        rng=NOT_A_GENERATOR,
    ),
    *refusals(
        NoiseAveraged,
        {"model": SOFT.model, "noise": np.ones((3, 2))},
        model={"None": None, "predict only": COIN},
        noise=not_an_array(3, 2),
    ),
    *[
        row
        for method in (SOFT.loss, SOFT.loss_and_input_grad)
        for row in refusals(
            method,
            {"x": np.ones((2, 2)), "y": np.array([0, 1])},
            x=NOT_INPUTS | {"another width": np.ones((2, 3))},
            y=NOT_LABELS,
        )
    ],
]


@pytest.mark.parametrize("function, good, name, value", REFUSED)
def test_bad_input_is_refused(function, good, name, value):
    assert_refused(function, good, name, value)


# Many cores, and a certification that goes on where it stopped.

CROWD = np.random.default_rng(60).standard_normal((9, 3))


class Interrupted(Pieces):
    """Fails when it has been asked too often."""

    def __init__(self, patience):
        super().__init__([0.0], [0, 1])
        self.patience = patience

    def predict(self, x):
        LEFT[0] -= 1
        if LEFT[0] < 0:
            raise KeyboardInterrupt
        return super().predict(x)


LEFT = [0]  # outside of the model, which would be another one at each call if it counted itself


@pytest.mark.parametrize("model", [Pieces([0.2], [0, 1]), MLP([3, 8, 2], np.random.default_rng(61))], ids=["any", "network"])
def test_the_number_of_jobs_changes_no_certificate(model):
    smooth = SmoothedClassifier(model, 0.5, 2)
    runs = [smooth.certify(CROWD, 20, 300, 0.01, np.random.default_rng(3), n_jobs=k) for k in (None, 1, 2, 4)]
    for classes, radii in runs[1:]:
        np.testing.assert_array_equal(classes, runs[0][0])
        np.testing.assert_array_equal(radii, runs[0][1])


def test_an_interrupted_certification_goes_on_where_it_stopped(tmp_path):
    def certify(memory):
        rng = np.random.default_rng(4)
        return SmoothedClassifier(Interrupted(1), 0.5, 2).certify(CROWD, 20, 300, 0.01, rng, memory=memory)

    memory = Memory(tmp_path, verbose=0)
    LEFT[0] = 10**6
    whole = certify(None)
    used = 10**6 - LEFT[0]
    LEFT[0] = used // 2
    with pytest.raises(KeyboardInterrupt):
        certify(memory)
    LEFT[0] = 10**6
    resumed = certify(memory)
    assert 0 < 10**6 - LEFT[0] < used  # asked for the second half only
    for found, wanted in zip(resumed, whole):
        np.testing.assert_array_equal(found, wanted)


def test_a_bar_is_shown_over_the_points_only_if_asked_for(capsys):
    smooth = SmoothedClassifier(Pieces([0.2], [0, 1]), 0.5, 2)
    smooth.certify(CROWD, 20, 300, 0.01, np.random.default_rng(3))
    assert capsys.readouterr() == ("", "")
    smooth.certify(CROWD, 20, 300, 0.01, np.random.default_rng(3), progress=True)
    assert "points: 100%" in capsys.readouterr().err


def test_a_narrow_first_layer_gives_the_same_share_of_votes():
    rng = np.random.default_rng(62)
    net, n = MLP([30, 4, 3], rng), 40_000
    x = rng.standard_normal((5, 30))

    class Plain:
        predict = net.predict

    fast, slow = (SmoothedClassifier(m, 0.8, 3).votes(x, n, np.random.default_rng(5)) / n for m in (net, Plain()))
    assert not np.array_equal(fast, slow)  # other draws
    assert np.abs(fast - slow).max() < 5 * math.sqrt(0.5 / n)  # of the same law: within five standard errors


# Noise in single precision, drawn another way.


def drawn(n, seed=70):
    out = np.empty(n, dtype=np.float32)
    smoothing._box_muller(out, np.random.default_rng(seed))
    return out.astype(np.float64)


def test_the_fast_noise_is_standard_normal():
    z, n = drawn(1_000_000), 1_000_000
    assert kstest(z, "norm").pvalue > 0.001
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**power) - moment) < 4.5 * math.sqrt(variance / n)
    for tail in (2, 3, 4):  # as many beyond as there should be
        p = 2 * ndtr(-tail)
        assert abs(np.sum(np.abs(z) > tail) - n * p) < 4.5 * math.sqrt(n * p)
    assert np.isfinite(z).all() and np.abs(z).max() < 6.8


def test_the_two_numbers_of_a_pair_and_their_squares_are_independent():
    first, second = drawn(1_000_000).reshape(2, -1)
    for f in (lambda z: z, np.square, np.abs):
        assert abs(np.corrcoef(f(first), f(second))[0, 1]) < 4.5 / math.sqrt(len(first))
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4.5 / math.sqrt(len(first))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_fast_noise_fills_an_array_of_any_length_and_can_be_repeated(n):
    assert (drawn(n) != 0).all()
    np.testing.assert_array_equal(drawn(n), drawn(n))
    assert not np.array_equal(drawn(n), drawn(n, seed=71))


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_the_fast_noise_is_box_and_mullers_formula(n):
    half = (n + 1) // 2
    bits = np.random.default_rng(70).integers(0, 2**64, half, dtype=np.uint64).view(np.uint32).astype(np.float64)
    length, angle = np.sqrt(-2 * np.log((bits[:half] + 0.5) / 2**32)), 2 * math.pi * bits[half:] / 2**32
    wanted = np.concatenate([length * np.cos(angle), length * np.sin(angle)])[:n]
    np.testing.assert_allclose(drawn(n), wanted, atol=1e-5)


def test_the_longest_pair_of_the_fast_noise_is_as_long_as_said():
    class Zeros:
        def integers(self, low, high, n, dtype):
            return np.zeros(n, dtype)

    out = np.empty(2, np.float32)
    smoothing._box_muller(out, Zeros())
    np.testing.assert_allclose(out, [math.sqrt(66 * math.log(2)), 0], rtol=1e-6)


def test_single_precision_certifies_what_double_does():
    net, x = MLP([10, 12, 3], np.random.default_rng(72)), np.random.default_rng(73).standard_normal((6, 10))
    smooth = SmoothedClassifier(net, 0.5, 3)
    single = smooth.votes(x.astype(np.float32), 40_000, np.random.default_rng(74)) / 40_000
    double = smooth.votes(x, 40_000, np.random.default_rng(74)) / 40_000
    assert not np.array_equal(single, double)
    assert np.abs(single - double).max() < 5 * math.sqrt(0.5 / 40_000)


def test_a_network_refuses_inputs_of_another_size():
    smooth = SmoothedClassifier(MLP([4, 3, 2], np.random.default_rng(75)), 0.5, 2)
    for call in (lambda x, rng: smooth.votes(x, 10, rng), lambda x, rng: smooth.certify(x, 10, 20, 0.01, rng)):
        with pytest.raises(ValueError, match=r"^x must have shape \(any, 4\), got \(2, 5\)"):
            call(np.zeros((2, 5)), np.random.default_rng(0))


@pytest.mark.parametrize("model", [MLP([4, 3, 2], np.random.default_rng(76)), Pieces([0.2], [0, 1])], ids=["network", "any"])
def test_inputs_of_more_precision_than_noise_has_are_rounded(model):
    smooth, x = SmoothedClassifier(model, 0.5, 2), np.random.default_rng(77).standard_normal((3, 4))
    long = smooth.votes(x.astype(np.longdouble), 50, np.random.default_rng(0))
    np.testing.assert_array_equal(long, smooth.votes(x, 50, np.random.default_rng(0)))
