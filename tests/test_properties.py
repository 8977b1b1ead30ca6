"""What holds whatever the shapes, precisions, norms, budgets and boxes: Hypothesis looks for a case where it does not.

`make test` looks at the same few cases each time; `make test-properties EXAMPLES=1000` at many, new ones in each run.
"""

import math
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from adv_companion.attacks import fgsm, pgd, smallest_budget
from adv_companion.danskin import angle, finite_difference_gradient
from adv_companion.evaluation import Rounded, shift_images, sign_search, worst_case
from adv_companion.gan import game_value, jensen_shannon, kl_divergence, optimal_discriminator, wasserstein_1d
from adv_companion.models import MLP, LogisticRegression
from adv_companion.norms import distance_to_hyperplane, dual_norm, linear_maximizer, project, sample_ball
from adv_companion.rrandom import RRandom
from adv_companion.smoothing import NoiseAveraged, SmoothedClassifier, certified_radius, largest_radius, lower_confidence_bound
from adv_companion.tradeoff import TsiprasDistribution

# The same few cases in each run, unless EXAMPLES asks for so many new ones.
EXAMPLES = os.environ.get("EXAMPLES")
settings.register_profile("few", derandomize=True, max_examples=25, database=None, deadline=None)
settings.register_profile("many", max_examples=int(EXAMPLES or 1), deadline=None, print_blob=True)
settings.load_profile("many" if EXAMPLES else "few")

ORDERS = st.sampled_from([1, 2, math.inf])
SEEDS = st.integers(0, 2**32 - 1)
UNITS = st.floats(0, 1)
BUDGETS = st.just(0.0) | st.floats(1e-6, 100)
INSIDE = st.floats(0.001, 0.999)


def double(v):
    return np.asarray(v, dtype=np.float64)


def length(v, p):
    return np.linalg.norm(double(v), ord=p, axis=1)


def rounding(array):
    """A relative tolerance: a few dozen times the precision of the numbers."""
    return 64 * np.finfo(array.dtype).eps


@st.composite
def batches(draw, shape=None, unit=True):
    """Rows of numbers with ties and zeros among them, in either precision, in any unit."""
    shape = shape or (draw(st.integers(1, 4)), draw(st.integers(1, 7)))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    element = st.integers(-2, 2) | st.floats(-2, 2)
    numbers = np.array(draw(st.lists(element, min_size=math.prod(shape), max_size=math.prod(shape))), dtype=np.float64)
    numbers[np.abs(numbers) < 1e-3] = 0  # what a unit below takes out of range is not the question
    scale = 10.0 ** draw(st.integers(-12, 12)) if unit else 1.0
    return (scale * numbers).reshape(shape).astype(kind)


@st.composite
def balls(draw):
    """Points u, a center, a budget, a norm and a box around the center, or none."""
    u, p, eps = draw(batches(unit=False)), draw(ORDERS), draw(BUDGETS)
    center = draw(batches(shape=u.shape, unit=False)).astype(u.dtype)
    below, above = draw(st.tuples(UNITS, UNITS))
    bounds = draw(st.sampled_from([None, (float(center.min()) - below, float(center.max()) + above)]))
    return u, center, eps, p, bounds


# Norms.


@given(batches(), BUDGETS, ORDERS)
def test_the_maximiser_spends_the_budget_and_reaches_the_dual_norm(g, eps, p):
    delta = linear_maximizer(g, eps, p)
    assert delta.shape == g.shape and delta.dtype == g.dtype
    gain, best = np.sum(double(g) * delta, axis=1), eps * double(dual_norm(g, p))
    np.testing.assert_allclose(gain, best, rtol=rounding(g))
    np.testing.assert_allclose(length(delta, p), np.where(g.any(axis=1), eps, 0), rtol=rounding(g))


@given(batches(), batches(), BUDGETS, ORDERS)
def test_no_other_step_of_that_length_gains_more(g, z, eps, p):
    z = np.resize(z, g.shape)
    sizes = length(z, p)[:, None]
    z = eps * np.divide(z, sizes, out=np.zeros(g.shape), where=sizes > 0)
    assert (np.sum(g * z, axis=1) <= eps * double(dual_norm(g, p)) * (1 + rounding(g))).all()


@given(balls())
def test_a_projection_lies_in_ball_and_box_and_stays_there(ball):
    u, center, eps, p, bounds = ball
    found = project(*ball)
    assert found.shape == u.shape and found.dtype == u.dtype
    deviation = length(double(found) - center, p)
    slack = 0 if p == math.inf else rounding(u) * max(1, np.abs(center).max())
    assert (deviation <= eps + slack).all()
    if bounds:
        low, high = u.dtype.type(bounds[0]), u.dtype.type(bounds[1])
        assert (found >= low).all() and (found <= high).all()
    np.testing.assert_allclose(project(found, *ball[1:]), found, atol=3 * rounding(u))


@given(balls(), batches(unit=False))
def test_no_point_of_ball_and_box_lies_beyond_the_projection(ball, z):
    """The nearest point of a convex set sees every other one at an angle of 90 degrees or more."""
    u, center, eps, p, bounds = ball
    z = np.resize(z, u.shape).astype(np.float64)
    z = np.clip(z, *bounds) if bounds else z
    sizes = length(z - center, p)[:, None]
    z = center + np.minimum(1, np.divide(eps, sizes, out=np.ones(sizes.shape), where=sizes > 0)) * (z - center)
    found = double(project(*ball))
    assert (np.sum((u - found) * (z - found), axis=1) <= 100 * rounding(u)).all()


@given(balls(), SEEDS)
def test_features_and_rows_may_come_in_any_order(ball, seed):
    u, center, eps, p, bounds = ball
    rng = np.random.default_rng(seed)
    rows, features = rng.permutation(u.shape[0])[:, None], rng.permutation(u.shape[1])
    np.testing.assert_allclose(
        project(u[rows, features], center[rows, features], eps, p, bounds), project(*ball)[rows, features], atol=rounding(u)
    )


@given(st.integers(1, 30), st.integers(1, 9), st.floats(0, 1e6), ORDERS, SEEDS)
def test_random_points_lie_in_the_ball(n, d, eps, p, seed):
    points = sample_ball(n, d, eps, p, np.random.default_rng(seed))
    assert points.shape == (n, d) and (length(points, p) <= eps * (1 + 1e-14)).all()
    np.testing.assert_array_equal(sample_ball(n + 5, d, eps, p, np.random.default_rng(seed))[:n], points)


@given(batches(shape=(1, 4), unit=False), st.floats(-3, 3), batches(shape=(5, 4), unit=False), ORDERS)
def test_the_distance_to_a_hyperplane_is_reached_and_no_less(w, b, x, p):
    w, x = double(w[0]), double(x)
    assume(w.any())
    distance = distance_to_hyperplane(w, b, x, p)
    step = linear_maximizer(-np.sign(x @ w + b)[:, None] * w, 1.0, p)
    np.testing.assert_allclose((x + distance[:, None] * step) @ w + b, 0, atol=1e-12)


# Attacks on networks with random weights.


@st.composite
def attacked(draw):
    """A network, inputs in [0, 1] in either precision, their labels, and a budget, a norm and a box or none."""
    d, k, n = draw(st.tuples(st.integers(1, 6), st.integers(2, 4), st.integers(1, 5)))
    rng = np.random.default_rng(draw(SEEDS))
    x, y = rng.random((n, d)).astype(draw(st.sampled_from([np.float32, np.float64]))), rng.integers(0, k, n)
    x.flags.writeable = y.flags.writeable = False
    bounds = draw(st.sampled_from([None, (0.0, 1.0)]))
    return MLP([d, 5, k], rng), x, y, draw(st.just(0.0) | st.floats(1e-3, 2)), draw(ORDERS), bounds


def in_reach(z, x, eps, p, bounds):
    assert z.shape == x.shape and z.dtype == x.dtype
    slack = 0 if p == math.inf else rounding(x) * (1 + eps)
    assert (length(double(z) - x, p) <= eps + slack).all()
    assert bounds is None or (z.min() >= bounds[0] and z.max() <= bounds[1])


@given(attacked(), st.integers(1, 5), SEEDS)
def test_attacks_stay_in_reach_and_do_no_good(task, steps, seed):
    model, x, y, eps, p, bounds = task
    in_reach(fgsm(*task), x, eps, p, bounds)
    found = pgd(*task[:5], steps=steps, bounds=bounds, rng=np.random.default_rng(seed))
    in_reach(found, x, eps, p, bounds)
    assert (model.loss(found, y) >= model.loss(x, y)).all()
    aimed = pgd(*task[:5], steps=steps, bounds=bounds, targeted=True)
    assert (model.loss(aimed, y) <= model.loss(x, y)).all()
    if eps == 0:
        assert (fgsm(*task) == x).all() and (found == x).all()


@given(attacked(), st.integers(1, 4))
def test_more_steps_and_more_restarts_never_help_the_defender(task, number):
    model, x, y, eps, p, bounds = task
    assume(eps > 0)
    options = {"bounds": bounds, "step_size": eps}
    one = pgd(*task[:5], steps=1, random_start=False, **options)
    several = pgd(*task[:5], steps=number, random_start=False, **options)
    once, again = (pgd(*task[:5], steps=2, restarts=restarts, **options) for restarts in (1, 1 + number))
    slack = rounding(x) * 10
    assert (model.loss(several, y) >= model.loss(one, y) - slack).all()
    assert (model.loss(again, y) >= model.loss(once, y) - slack).all()
    if bounds is None:
        assert (model.loss(one, y) >= model.loss(fgsm(*task), y) - slack).all()


@given(attacked())
def test_a_row_does_not_depend_on_the_rows_behind_it(task):
    model, x, y, eps, p, bounds = task
    x = x.astype(np.float64)
    whole = pgd(model, x, y, eps, p, steps=3, bounds=bounds)
    first = pgd(model, x[:1], y[:1], eps, p, steps=3, bounds=bounds)
    np.testing.assert_allclose(model.loss(first, y[:1]), model.loss(whole, y)[:1], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fgsm(model, x[:1], y[:1], eps, p), fgsm(model, x, y, eps, p)[:1], atol=1e-9)


@given(attacked(), st.integers(1, 9))
def test_attacks_without_gradients_stay_in_reach_and_the_worst_is_kept(task, queries):
    model, x, y, eps, _, bounds = task
    x, found = double(x), sign_search(*task[:4], queries, bounds)
    in_reach(found, task[1], eps, math.inf, bounds)
    both = worst_case(model, x, y, [double(found), np.clip(x + eps, 0, 1)])
    wrong, right = model.predict(both) != y, model.predict(x) == y
    assert (wrong | right).all()
    assert (wrong | (model.loss(both, y) >= model.loss(found, y) - 1e-5)).all()


@given(batches(shape=(1, 3), unit=False), st.floats(-1, 1), SEEDS, ORDERS)
def test_the_smallest_budget_against_a_line_is_the_distance_to_it(w, b, seed, p):
    w, x = double(w[0]), np.random.default_rng(seed).uniform(-1, 1, (4, 3))
    assume(np.abs(w).max() > 0.1)
    model = LogisticRegression(w, b)
    distance = distance_to_hyperplane(w, b, x, p)
    assume((distance > 1e-6).all())
    found = smallest_budget(model, x, model.predict(x), [0.5, 2.0, 1.01 * distance.max() + 3], p, steps=3)
    np.testing.assert_allclose(found, distance, rtol=1e-6)


@given(SEEDS, st.integers(1, 4), st.integers(2, 4), st.sampled_from(["network", "staircase", "average", "logistic"]))
def test_every_input_gradient_is_the_slope_of_its_loss(seed, d, k, kind):
    rng = np.random.default_rng(seed)
    x, y, net = rng.standard_normal((3, d)), rng.integers(0, k, 3), MLP([d, 6, k], rng)
    model = {
        "network": net,
        "staircase": Rounded(net, 0.7, 5.0),
        "average": NoiseAveraged(net, rng.standard_normal((4, d))),
        "logistic": LogisticRegression(rng.standard_normal(d), 0.3),
    }[kind]
    y = np.minimum(y, 1) if kind == "logistic" else y
    loss, gradient = model.loss_and_input_grad(x, y)
    np.testing.assert_allclose(loss, model.loss(x, y), rtol=1e-12)
    slopes = finite_difference_gradient(lambda v: float(model.loss(v.reshape(3, d), y).sum()), x.ravel(), h=1e-6)
    behind, ahead = (model.loss(x + side * 1e-6, y) - loss for side in (-1, 1))
    assume(np.abs(behind + ahead).max() < 1e-9)  # no kink of a ReLU between
    np.testing.assert_allclose(slopes, gradient.ravel(), atol=1e-5 * (1 + np.abs(gradient).max()))


@given(SEEDS, st.integers(1, 4), st.integers(2, 4))
def test_every_parameter_gradient_is_the_slope_of_the_mean_loss(seed, d, k):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((3, d)), rng.integers(0, k, 3)
    for model in (MLP([d, 4, k], rng), LogisticRegression(rng.standard_normal(d), 0.3)):
        labels = y if isinstance(model, MLP) else np.minimum(y, 1)
        _, gradient = model.loss_and_param_grad(x, labels)
        slopes = finite_difference_gradient(lambda v: float(model.with_params(v).loss(x, labels).mean()), model.params, h=1e-6)
        hidden = np.abs(x @ model.weights[0] + model.biases[0]).min() if isinstance(model, MLP) else 1
        assume(hidden > 1e-4)
        np.testing.assert_allclose(slopes, gradient, atol=1e-6 * (1 + np.abs(gradient).max()))


# Certificates.


@given(batches(shape=(1, 4), unit=False), st.floats(-2, 2), batches(shape=(1, 4), unit=False), st.floats(0.1, 10))
def test_the_radius_of_a_smoothed_line_is_the_distance_to_it_for_every_sigma(w, b, x, sigma):
    w, score = double(w[0]), float(double(x[0]) @ double(w[0]) + b)
    assume(np.abs(w).max() > 0.1)
    distance = abs(score) / float(np.linalg.norm(w))
    assume(distance < 6 * sigma)
    radius = certified_radius(norm.cdf(distance / sigma), norm.sf(distance / sigma), sigma)
    np.testing.assert_allclose(radius, distance, rtol=1e-6, atol=1e-9 * sigma)


@given(st.integers(1, 300), INSIDE, INSIDE)
def test_the_confidence_bound_exceeds_the_truth_in_a_share_alpha_of_samples_at_most(n, alpha, truth):
    counts = np.arange(n + 1)
    bounds = lower_confidence_bound(counts, n, alpha)
    assert binom.pmf(counts[bounds > truth], n, truth).sum() <= alpha * (1 + 1e-9)
    assert (np.diff(bounds) > 0).all() and bounds[0] == 0
    np.testing.assert_allclose(binom.sf(counts[1:] - 1, n, bounds[1:]), alpha, rtol=1e-6)


@given(attacked(), st.integers(1, 40), INSIDE, SEEDS)
def test_votes_add_up_and_no_certificate_exceeds_the_unanimous_one(task, n, alpha, seed):
    model, x, _, _, _, _ = task
    smooth = SmoothedClassifier(model, 0.5, model.sizes[-1])
    votes = smooth.votes(x, n, np.random.default_rng(seed))
    assert votes.shape == (len(x), model.sizes[-1]) and (votes.sum(axis=1) == n).all() and votes.min() >= 0
    np.testing.assert_array_equal(smooth.votes(x[:1], n, np.random.default_rng(seed)), votes[:1])
    enough = math.floor(-math.log2(alpha)) + 1
    classes, radii = smooth.certify(x, 1, enough + n, alpha, np.random.default_rng(seed))
    assert ((classes == -1) == (radii == 0)).all()
    assert radii.max() <= largest_radius(enough + n, alpha, 0.5)


@given(st.lists(UNITS, min_size=2, max_size=2), st.floats(0.01, 10))
def test_a_surer_vote_has_a_larger_radius(shares, sigma):
    low, high = sorted(shares)
    assume(low > 0)
    top = certified_radius(np.array([high, high]), np.array([0.0, low]) * [1, 1 - 1e-9], sigma)
    assert top[0] == math.inf and top[1] >= 0
    np.testing.assert_allclose(certified_radius(high, low, 3 * sigma), 3 * certified_radius(high, low, sigma), rtol=1e-12)


# The game and its distances.


@st.composite
def laws(draw, number=2, m=None):
    m = m or draw(st.integers(1, 8))
    masses = [np.array(draw(st.lists(st.integers(0, 5), min_size=m, max_size=m))) for _ in range(number)]
    assume(all(mass.sum() for mass in masses))
    return [mass / mass.sum() for mass in masses]


@given(laws(), st.data())
def test_divergences_are_what_they_must_be(pair, data):
    p, q = pair
    jsd = jensen_shannon(p, q)
    assert 0 <= jsd <= math.log(2) and math.isclose(jsd, jensen_shannon(q, p), rel_tol=1e-12, abs_tol=1e-15)
    assert (jsd == 0) == (np.abs(p - q).max() == 0) or jsd < 1e-15
    middle = (p + q) / 2
    np.testing.assert_allclose(jsd, (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2, atol=1e-14)
    assert jensen_shannon(np.add.reduceat(p, [0]), np.add.reduceat(q, [0])) <= jsd + 1e-15  # all bins in one
    np.testing.assert_allclose(game_value(p, q), 2 * jsd - 2 * math.log(2), atol=1e-13)
    other = np.array(data.draw(st.lists(UNITS, min_size=len(p), max_size=len(p))))
    assert game_value(p, q, other) <= game_value(p, q) + 1e-13
    np.testing.assert_allclose(game_value(p, q, optimal_discriminator(p, q)), game_value(p, q), atol=1e-13)


SAMPLES = st.lists(st.integers(-3, 3) | st.floats(-10, 10), min_size=1, max_size=9).map(np.array)


@given(SAMPLES, SAMPLES, SAMPLES, st.floats(-5, 5))
def test_the_earth_movers_distance_is_a_distance(x, y, z, shift):
    there, back = wasserstein_1d(x, y), wasserstein_1d(y, x)
    assert math.isclose(there, back, rel_tol=1e-12, abs_tol=1e-15) and there >= 0
    assert there <= wasserstein_1d(x, z) + wasserstein_1d(z, y) + 1e-12
    assert wasserstein_1d(x, np.repeat(x, 3)) < 1e-14
    np.testing.assert_allclose(wasserstein_1d(x, x + shift), abs(shift), atol=1e-12)
    np.testing.assert_allclose(wasserstein_1d(-2 * x, -2 * y), 2 * there, atol=1e-12)
    assert there >= abs(np.mean(x) - np.mean(y)) - 1e-12


# The law on which accuracy and robustness conflict, angles, R's numbers, images.


@given(st.integers(1, 500), st.floats(0.5, 0.999), st.floats(0.01, 5), st.floats(-5, 5))
def test_no_rule_beats_the_bound_of_tsipras(d, p, c, weight):
    law = TsiprasDistribution(d, p, c)
    eps = 2 * law.eta
    for accuracy in (law.mean_accuracy, law.x1_accuracy, lambda eps: law.snapped_accuracy(weight, eps)):
        clean, kept = accuracy(0.0), accuracy(eps)
        assert 0 <= kept <= clean <= 1
        assert kept <= law.robust_accuracy_bound(clean) + 1e-12
    assert law.snapped_accuracy(weight, 0.0) <= law.bayes_accuracy() + 1e-12
    rule = weight * law.mean_rule + law.x1_rule
    np.testing.assert_allclose(law.linear_accuracy(7 * rule, eps=0.1), law.linear_accuracy(rule, eps=0.1), atol=1e-12)


@given(batches(shape=(2, 4)), st.floats(1e-6, 1e6))
def test_angles_know_directions_only(pair, factor):
    a, b = double(pair)
    assume(a.any() and b.any())
    between = angle(a, b)
    assert 0 <= between <= 180
    np.testing.assert_allclose([angle(b, a), angle(factor * a, b), 180 - angle(-a, b)], between, atol=1e-6)


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(1, 60), st.data())
def test_rs_sample_is_a_choice_without_repetition(seed, n, data):
    size = data.draw(st.integers(0, n))
    drawn = RRandom(seed).sample(n, size)
    assert len(set(drawn.tolist())) == size and set(drawn.tolist()) <= set(range(1, n + 1))
    u, z = RRandom(seed).runif(n, -1, 2), RRandom(seed).rnorm(n)
    assert u.min() > -1 and u.max() < 2
    np.testing.assert_allclose(RRandom(seed).rnorm(n, 5, 2), 5 + 2 * z, rtol=1e-14)


@given(SEEDS, st.integers(1, 5), st.integers(-4, 4), st.integers(-4, 4))
def test_an_image_moved_there_and_back_has_lost_its_rim_only(seed, side, down, right):
    assume(max(abs(down), abs(right)) < side)
    image = np.random.default_rng(seed).random((2, side * side))
    back = shift_images(shift_images(image, down, right), -down, -right)
    assert np.isin(back[back != 0], image).all()
    np.testing.assert_array_equal(back[back != 0], image[back != 0])
    assert (back != 0).sum() == 2 * (side - abs(down)) * (side - abs(right))


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_the_search_would_find_a_wrong_step(p):
    """The direction that a public library takes for p = 1, g / ||g||_1, has the length but not the gain."""

    @given(batches())
    def fails(g):
        sizes = length(g, p)[:, None]
        step = np.divide(g, sizes, out=np.zeros(g.shape), where=sizes > 0)
        np.testing.assert_allclose(np.sum(g * step, axis=1), dual_norm(g, p), rtol=rounding(g))

    if p == 2:
        fails()
    else:
        with pytest.raises(AssertionError):
            fails()
