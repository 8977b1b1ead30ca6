import math

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_GENERATOR, NOT_A_POSITIVE_COUNT, NOT_AN_EXPONENT, NOT_INPUTS
from helpers import assert_refused, frozen, refusals
from numpy.testing import assert_allclose
from scipy.optimize import linprog, minimize
from scipy.stats import beta, kstest

from adv_companion.norms import (
    dual_exponent,
    dual_norm,
    expected_best_of_random,
    linear_maximizer,
    project,
    random_score_cdf,
    sample_ball,
)
from adv_companion.rrandom import RRandom

P = [1, 2, math.inf]
SHAPES = [(1, 1), (1, 7), (5, 1), (20, 3), (40, 30)]


def plain(rng, n, d):
    return rng.standard_normal((n, d))


def with_ties(rng, n, d):
    return rng.integers(-2, 3, size=(n, d)).astype(float)


def with_zero_rows(rng, n, d):
    return rng.standard_normal((n, d)) * rng.integers(0, 2, size=(n, 1))


def of_every_size(rng, n, d):
    return rng.standard_normal((n, d)) * 10.0 ** rng.integers(-250, 250, size=(n, 1))


def of_mixed_features(rng, n, d):
    return rng.standard_normal((n, d)) * 10.0 ** rng.integers(-20, 20, size=(n, d))


def length(v, p):
    """numpy's ||v||_p of each row, of rows brought to size 1 first, since numpy's squares over- and underflow."""
    size = np.abs(v).max(axis=1)
    size = np.where(size > 0, size, 1)
    return size * np.linalg.norm(v / size[:, None], p, axis=1)


@pytest.mark.parametrize("p, q", [(1, math.inf), (2, 2), (math.inf, 1), (np.float64(math.inf), 1), (2.0, 2)])
def test_dual_exponents_have_inverses_that_sum_to_one(p, q):
    assert dual_exponent(p) == q
    assert 1 / p + 1 / q == 1
    assert dual_exponent(q) == p


@pytest.mark.parametrize("kind", [plain, with_ties, with_zero_rows, of_every_size, of_mixed_features])
@pytest.mark.parametrize("p", P)
def test_dual_norm_is_numpys_norm_with_the_dual_exponent(p, kind):
    g = kind(np.random.default_rng(1), 40, 9)
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    np.testing.assert_allclose(dual_norm(g, p), length(g, q), rtol=1e-14)


@pytest.mark.claim("C06", "supports")
@pytest.mark.parametrize("kind", [plain, with_ties, with_zero_rows, of_every_size, of_mixed_features])
@pytest.mark.parametrize("n, d", SHAPES)
@pytest.mark.parametrize("p", P)
def test_the_maximiser_reaches_hoelders_bound_with_the_whole_budget(p, n, d, kind):
    rng = np.random.default_rng(2)
    g, eps = kind(rng, n, d), rng.uniform(0.01, 10)
    delta = linear_maximizer(g, eps, p)
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    # Every term of g.delta is >= 0, so nothing cancels: d roundings of 1e-16 stay far below 1e-13.
    np.testing.assert_allclose((g * delta).sum(axis=1), eps * length(g, q), rtol=1e-13)
    np.testing.assert_allclose((g * delta).sum(axis=1), eps * dual_norm(g, p), rtol=1e-13)
    moved = g.any(axis=1)
    # With p = inf a feature of zero gradient stays, so the norm is eps as long as one is not zero.
    np.testing.assert_allclose(np.linalg.norm(delta, p, axis=1), np.where(moved, eps, 0), rtol=1e-13)
    assert not delta[~moved].any()


@pytest.mark.claim("C07", "supports")
def test_under_l_inf_every_feature_moves_by_eps_in_the_direction_of_its_sign():
    g = np.array([[0.3, -2.0, 0.0, 1e-300], [-1.0, -1.0, 5.0, -0.0]])
    np.testing.assert_array_equal(linear_maximizer(g, 0.25, math.inf), 0.25 * np.array([[1, -1, 0, 1], [-1, -1, 1, 0]]))
    np.testing.assert_allclose(dual_norm(g, math.inf), [2.3, 7.0], rtol=1e-15)


@pytest.mark.claim("C08", "supports")
def test_under_l_2_the_step_points_along_the_gradient():
    g = np.array([[3.0, -4.0], [0.0, 7.0]])
    np.testing.assert_allclose(linear_maximizer(g, 10.0, 2), [[6.0, -8.0], [0.0, 10.0]], rtol=1e-15)
    np.testing.assert_allclose(dual_norm(g, 2), [5.0, 7.0], rtol=1e-15)


@pytest.mark.claim("C09", "supports")
def test_under_l_1_the_whole_budget_goes_to_the_first_largest_coordinate():
    g = np.array([[1.0, -3.0, 2.0], [2.0, -2.0, 2.0], [0.0, 1.0, -1.0]])
    np.testing.assert_array_equal(linear_maximizer(g, 0.5, 1), [[0, -0.5, 0], [0.5, 0, 0], [0, 0.5, 0]])
    np.testing.assert_array_equal(dual_norm(g, 1), [3.0, 2.0, 1.0])


@pytest.mark.claim("C06", "supports")
@pytest.mark.parametrize("p", P)
def test_no_point_of_the_ball_gains_more_than_the_maximiser(p):
    rng = np.random.default_rng(3)
    g, eps = rng.standard_normal((6, 2)), 0.7
    points = rng.standard_normal((20000, 2))
    points *= eps / np.linalg.norm(points, p, axis=1, keepdims=True)  # on the sphere, dense in two dimensions
    gain = (g * linear_maximizer(g, eps, p)).sum(axis=1)
    best = (points @ g.T).max(axis=0)
    assert (best <= gain * (1 + 1e-14)).all()
    assert (best > 0.999 * gain).all()  # so the bound is no looser than it must be


def solved(g, eps, p):
    """The maximiser of g.delta over the ball, by a general solver."""
    d = len(g)
    if p == 2:
        ball = {"type": "ineq", "fun": lambda delta: eps**2 - delta @ delta, "jac": lambda delta: -2 * delta}
        start = np.full(d, eps / d)
        options = {"ftol": 1e-15, "maxiter": 500}
        found = minimize(lambda v: -g @ v, start, jac=lambda v: -g, constraints=ball, method="SLSQP", options=options)
        return found.x
    if p == math.inf:
        return linprog(-g, bounds=(-eps, eps)).x
    parts = linprog(np.append(-g, g), A_ub=np.ones((1, 2 * d)), b_ub=[eps], bounds=(0, None)).x
    return parts[:d] - parts[d:]


@pytest.mark.claim("C06", "supports")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("p", P)
def test_the_maximiser_is_what_a_general_solver_finds(p, seed):
    rng = np.random.default_rng(seed)
    g, eps = rng.standard_normal((1, 6)), rng.uniform(0.1, 2)
    # Without ties there is one maximiser. SLSQP reaches it to about the root of its tolerance.
    np.testing.assert_allclose(linear_maximizer(g, eps, p)[0], solved(g[0], eps, p), atol=1e-6)


def test_the_l_1_step_gains_more_than_the_gradient_scaled_to_unit_l_1_norm():
    g = np.array([[2.6, 1.0, -0.9, 0.8, 0.7, -0.6, 0.5, 0.4, -0.3, 0.2]])
    scaled = g / np.abs(g).sum()
    gain = (g * linear_maximizer(g, 1.0, 1)).sum()
    assert gain == 2.6
    assert (g * scaled).sum() < gain / 1.9  # a step some libraries take: within the budget, but far from the best


@pytest.mark.parametrize("size", [1e-6, 1e-8, 1e-30, 1e-200, 1e-310, 5e-324, 1e200, 1e308])
def test_an_l_2_step_is_of_full_length_however_small_or_large_the_gradient(size):
    delta = linear_maximizer(size * np.array([[1.0, -1.0, 1.0, 1.0]]), 0.5, 2)
    np.testing.assert_allclose(delta, [[0.25, -0.25, 0.25, 0.25]], rtol=1e-15)


@pytest.mark.parametrize("p", P)
def test_a_zero_gradient_gives_a_zero_step_and_a_zero_norm(p):
    np.testing.assert_array_equal(linear_maximizer(np.zeros((3, 4)), 2.0, p), np.zeros((3, 4)))
    np.testing.assert_array_equal(dual_norm(np.zeros((3, 4)), p), np.zeros(3))


@pytest.mark.parametrize("p", P)
def test_a_zero_budget_gives_a_zero_step(p):
    assert not linear_maximizer(np.random.default_rng(4).standard_normal((5, 3)), 0, p).any()


@pytest.mark.parametrize("p", P)
def test_a_row_does_not_depend_on_its_batch(p):
    g = of_every_size(np.random.default_rng(5), 30, 8)
    together, norms = linear_maximizer(g, 0.3, p), dual_norm(g, p)
    for i in range(len(g)):
        np.testing.assert_array_equal(together[i], linear_maximizer(g[i : i + 1], 0.3, p)[0])
        assert norms[i] == dual_norm(g[i : i + 1], p)[0]


@pytest.mark.parametrize("eps", [0.1, 1, np.float64(0.1), np.float32(0.1)])
@pytest.mark.parametrize("p", P)
def test_float32_gradients_give_float32_steps(p, eps):
    g = np.random.default_rng(6).standard_normal((10, 5)).astype(np.float32)
    delta = linear_maximizer(g, eps, p)
    assert delta.dtype == np.float32 and dual_norm(g, p).dtype == np.float32
    # A float32 carries 24 bits, 6e-8; the sum of squares adds a few roundings.
    np.testing.assert_allclose(np.linalg.norm(delta.astype(float), p, axis=1), float(eps), rtol=5e-7)
    np.testing.assert_allclose(delta, linear_maximizer(g.astype(float), eps, p), rtol=5e-7)


@pytest.mark.parametrize("p", P)
def test_integer_gradients_give_float64_steps(p):
    delta = linear_maximizer([[1, -2, 0]], 0.5, p)
    assert delta.dtype == np.float64
    np.testing.assert_array_equal(delta, linear_maximizer([[1.0, -2.0, 0.0]], 0.5, p))
    assert dual_norm([[3, -4]], p).dtype == np.float64


@pytest.mark.parametrize("p", P)
def test_gradients_are_left_as_they_were(p):
    g = frozen(np.random.default_rng(7).standard_normal((4, 3)))
    before = g.copy()
    linear_maximizer(g, 0.3, p)
    dual_norm(g, p)
    np.testing.assert_array_equal(g, before)


# Samples are drawn once from a fixed generator. A threshold of 0.001 would then fail one correct sampler in a
# thousand; with 4000 points a wrong law is off by many orders more.


def uniform_points(p, d, eps=0.7, n=4000):
    return sample_ball(n, d, eps, p, np.random.default_rng(10 * d + 8))


@pytest.mark.parametrize("d", [1, 2, 5, 30])
@pytest.mark.parametrize("p", P)
def test_sampled_points_lie_inside_the_ball(p, d):
    points = uniform_points(p, d)
    assert points.shape == (4000, d) and points.dtype == np.float64
    assert np.linalg.norm(points, p, axis=1).max() <= 0.7 * (1 + 1e-14)  # a direction's norm is rounded
    assert len(np.unique(points, axis=0)) == 4000


@pytest.mark.parametrize("d", [1, 2, 5, 30])
@pytest.mark.parametrize("p", P)
def test_sampled_radii_follow_the_law_of_volume(p, d):
    radius = np.linalg.norm(uniform_points(p, d), p, axis=1) / 0.7
    assert kstest(radius**d, "uniform").pvalue > 1e-3  # radius is U^(1/d)


# The law of a coordinate, as the uniforms that it gives: of its share of the norm, or of the coordinate itself.
UNIFORMS = {
    1: lambda v, d: beta(1, d - 1).cdf(np.abs(v) / np.abs(v).sum(axis=1, keepdims=True)),
    2: lambda v, d: beta(0.5, (d - 1) / 2).cdf(np.square(v) / np.square(v).sum(axis=1, keepdims=True)),
    math.inf: lambda v, d: (v / 0.7 + 1) / 2,
}


@pytest.mark.parametrize("d", [2, 5, 30])
@pytest.mark.parametrize("p", P)
def test_every_coordinate_of_a_sampled_point_follows_its_exact_law(p, d):
    for column in UNIFORMS[p](uniform_points(p, d), d).T:
        assert kstest(column, "uniform").pvalue > 1e-3 / d


@pytest.mark.parametrize("d", [1, 3, 8])
@pytest.mark.parametrize("p", P)
def test_sampled_signs_are_fair_and_independent(p, d):
    signs = np.sign(uniform_points(p, d))
    products = signs.T @ signs / len(signs) - np.eye(d)
    # Means of 4000 fair signs have standard deviation 0.0158; 4.5 of them leave room for 36 pairs and 8 means.
    assert np.abs(signs.mean(axis=0)).max() < 4.5 / math.sqrt(4000)
    assert np.abs(products).max() < 4.5 / math.sqrt(4000)


def mean_and_error(values):
    return values.mean(), values.std() / math.sqrt(values.size)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_a_coordinate_in_the_l_1_ball_has_mean_size_one_over_d_plus_one(d):
    mean, error = mean_and_error(np.abs(sample_ball(20000, d, 1.0, 1, np.random.default_rng(11))[:, 0]))
    assert abs(mean - 1 / (d + 1)) < 4 * error


@pytest.mark.parametrize("d", [1, 2, 6])
def test_a_point_in_the_l_2_ball_has_mean_squared_length_d_over_d_plus_two(d):
    mean, error = mean_and_error(np.square(sample_ball(20000, d, 1.0, 2, np.random.default_rng(12))).sum(axis=1))
    assert abs(mean - d / (d + 2)) < 4 * error


@pytest.mark.parametrize("p", P)
def test_the_ball_of_radius_zero_is_its_centre(p):
    assert not sample_ball(5, 3, 0, p, np.random.default_rng(13)).any()


@pytest.mark.parametrize("p", P)
def test_the_first_points_do_not_depend_on_how_many_are_drawn(p):
    few, many = (sample_ball(n, 4, 1.0, p, np.random.default_rng(15)) for n in (3, 50))
    np.testing.assert_allclose(few, many[:3], rtol=1e-15)


@pytest.mark.parametrize("p", P)
def test_the_generator_alone_decides_the_sample(p):
    rng = np.random.default_rng(14)
    first, second = sample_ball(5, 3, 1.0, p, rng), sample_ball(5, 3, 1.0, p, rng)
    np.testing.assert_array_equal(first, sample_ball(5, 3, 1.0, p, np.random.default_rng(14)))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(dual_exponent, {"p": 2}, p=NOT_AN_EXPONENT),
        *refusals(dual_norm, {"g": np.ones((2, 2)), "p": 2}, g=NOT_INPUTS, p=NOT_AN_EXPONENT),
        *refusals(
            linear_maximizer,
            {"g": np.ones((2, 2)), "eps": 0.1, "p": 2},
            g=NOT_INPUTS,
            eps=NOT_A_BUDGET,
            p=NOT_AN_EXPONENT,
        ),
        *refusals(
            sample_ball,
            {"n": 2, "d": 3, "eps": 0.1, "p": 2, "rng": np.random.default_rng(0)},
            n=NOT_A_POSITIVE_COUNT,
            d=NOT_A_POSITIVE_COUNT,
            eps=NOT_A_BUDGET,
            p=NOT_AN_EXPONENT,
            rng=NOT_A_GENERATOR,
        ),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


# Random search.


def test_the_law_of_a_random_step_in_two_dimensions_is_a_triangle():
    s = np.linspace(-1, 1, 9)
    exact = np.where(s < 0, (1 + s) ** 2 / 2, 1 - (1 - s) ** 2 / 2)
    assert np.abs(random_score_cdf(np.ones(2), 0.5, s) - exact).max() < 1e-7


def test_the_law_of_a_random_step_in_one_dimension_is_uniform_and_zeros_do_not_count():
    assert_allclose(random_score_cdf([0.0, -2.0, 0.0], 0.5, [-2, -1, -0.5, 0, 0.25, 1, 3]), [0, 0, 0.25, 0.5, 0.625, 1, 1])


@pytest.mark.parametrize("g", [[3.0, 2.0, 1.0], [1.0, 0.01], list(range(1, 30))], ids=len)
def test_the_law_of_a_random_step_is_that_of_a_sample(g):
    steps = sample_ball(40_000, len(g), 0.3, math.inf, np.random.default_rng(5))
    assert kstest(steps @ g, lambda s: random_score_cdf(g, 0.3, s)).pvalue > 0.01


@pytest.mark.claim("X05", "refutes")
@pytest.mark.parametrize("wrong_signs, share", [(0, 0.5), (25, 1.0)])
def test_a_step_that_is_not_the_best_beats_the_chapters_random_search_too(wrong_signs, share):
    g = RRandom(7).rnorm(50)
    direction = share * np.sign(g)
    direction[np.argsort(np.abs(g))[:wrong_signs]] *= -1
    assert 1.952219 < 0.1 * g @ direction < 0.8 * 0.1 * np.abs(g).sum()


@pytest.mark.claim("X05", "supports")
def test_only_the_best_step_reaches_the_bound():
    g, rng = RRandom(7).rnorm(50), np.random.default_rng(7)
    bound = 0.1 * np.abs(g).sum()
    assert linear_maximizer(g[None], 0.1, math.inf)[0] @ g == pytest.approx(bound, rel=1e-14)
    for _ in range(200):  # move any one coordinate inwards, and it is missed
        delta, k = 0.1 * np.sign(g), rng.integers(50)
        delta[k] *= rng.uniform(-1, 0.99)
        assert delta @ g < bound - 1e-6


@pytest.mark.claim("C36", "supports")
def test_the_expected_best_of_n_random_steps_is_that_of_many_runs():
    g, rng = RRandom(7).rnorm(50), np.random.default_rng(6)
    for n in (1, 10, 1000):
        runs = (sample_ball(400 * n, 50, 0.1, math.inf, rng) @ g).reshape(400, n).max(axis=1)
        standard_error = runs.std() / 20
        assert abs(runs.mean() - expected_best_of_random(g, 0.1, n)) < 3 * standard_error


def test_the_expected_best_of_uniform_numbers_is_known():
    for n in (1, 2, 9, 99):
        assert_allclose(expected_best_of_random([1.0], 1.0, n), (n - 1) / (n + 1), atol=1e-4)


# The nearest point of ball and box.


def nearest_by_solver(u, center, eps, p, low, high):
    """The same by SLSQP, which knows nothing of sorting or pinning: for p = 1 in the parts u+ and u- of the step."""
    d = len(u)
    if p == 1:
        room = np.concatenate([np.minimum(high - center, 10), np.minimum(center - low, 10)])
        distance = lambda w: np.sum((center + w[:d] - w[d:] - u) ** 2)
        budget = {"type": "ineq", "fun": lambda w: eps - w.sum()}
        found = minimize(distance, np.zeros(2 * d), bounds=[(0, r) for r in room], constraints=budget, options={"ftol": 1e-13, "maxiter": 500})
        return center + found.x[:d] - found.x[d:]
    budget = {"type": "ineq", "fun": lambda z: eps**2 - np.sum((z - center) ** 2)}
    box = list(zip(np.maximum(low, center - 10), np.minimum(high, center + 10)))
    return minimize(lambda z: np.sum((z - u) ** 2), center, bounds=box, constraints=budget, options={"ftol": 1e-13, "maxiter": 500}).x


@pytest.mark.claim("C15", "supports")
@pytest.mark.claim("C16", "supports")
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("p", P)
def test_no_point_of_ball_and_box_is_nearer_than_the_projection(p, bounds):
    rng = np.random.default_rng(7)
    low, high = bounds or (-np.inf, np.inf)
    for _ in range(40):
        d, eps = rng.integers(1, 7), rng.uniform(0.05, 1.5)
        center = rng.uniform(0, 1, d) if rng.uniform() < 0.8 else rng.integers(0, 2, d) * 1.0
        u = center + rng.normal(size=d) * rng.choice([0.1, 1.0, 3.0])
        ours = project(u[None], center[None], eps, p, bounds)[0]
        assert np.linalg.norm(ours - center, p) <= eps * (1 + 1e-12)
        assert (ours >= low).all() and (ours <= high).all()
        others = center + sample_ball(200, d, eps, p, rng)
        others = np.concatenate([others[((others >= low) & (others <= high)).all(axis=1)], center[None]])
        if p != math.inf:
            others = np.append(others, [nearest_by_solver(u, center, eps, p, low, high)], axis=0)
        excess = np.linalg.norm(ours - u) - np.linalg.norm(others - u, axis=1).min()
        assert excess < 1e-6  # the solver's own tolerance: it may leave the ball by a trifle


@pytest.mark.claim("C17", "limits")
def test_for_l_2_clipping_in_sequence_stays_inside_but_is_not_nearest_while_for_l_inf_it_is():
    u, center = np.array([[1.6, 0.9, 0.2]]), np.array([[0.9, 0.5, 0.5]])
    ball_then_box = np.clip(project(u, center, 0.5, 2), 0, 1)
    exact = project(u, center, 0.5, 2, (0, 1))
    assert np.linalg.norm(ball_then_box - center) <= 0.5
    assert np.linalg.norm(exact - u) < np.linalg.norm(ball_then_box - u) - 0.01
    assert_allclose(np.clip(project(u, center, 0.5, math.inf), 0, 1), project(u, center, 0.5, math.inf, (0, 1)))


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("p", P)
def test_projecting_twice_is_projecting_once_and_points_inside_stay(p, bounds):
    rng = np.random.default_rng(8)
    center = rng.uniform(0, 1, (30, 9))
    once = project(center + rng.normal(size=center.shape), center, 0.7, p, bounds)
    assert_allclose(project(once, center, 0.7, p, bounds), once, atol=1e-12)
    assert_allclose(project(center, center, 0.7, p, bounds), center)
    assert_allclose(project(once, center, 0.0, p, bounds), center)


def test_in_float32_no_feature_leaves_the_l_inf_ball_by_rounding():
    rng = np.random.default_rng(9)
    center = rng.uniform(size=(2000, 50)).astype(np.float32)
    u = center + rng.normal(size=center.shape).astype(np.float32)
    found = project(u, center, 0.1, math.inf)
    assert found.dtype == np.float32
    assert np.abs(found - center).max() <= np.float32(0.1)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e200])
def test_a_projection_onto_a_tiny_or_huge_l_2_ball_keeps_its_direction(scale):
    found = project(np.array([[3.0, 4.0]]) * scale, np.zeros((1, 2)), scale, 2)
    assert_allclose(found, np.array([[0.6, 0.8]]) * scale, rtol=1e-14)


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(
            project,
            {"u": np.ones((2, 2)), "center": np.full((2, 2), 0.5), "eps": 0.1, "p": 2, "bounds": (0, 1)},
            u=NOT_INPUTS,
            center=NOT_INPUTS | {"outside": np.full((2, 2), 1.5), "another shape": np.full((2, 3), 0.5)},
            eps=NOT_A_BUDGET,
            p=NOT_AN_EXPONENT,
            bounds={"reversed": (1, 0), "one number": 1, "three": (0, 0.5, 1), "None inside": (None, 1)},
        ),
        *refusals(
            random_score_cdf,
            {"g": np.ones(3), "eps": 0.1, "s": np.zeros(2)},
            g={"zero": np.zeros(3), "rows": np.ones((1, 3)), "nan": [np.nan, 1], "None": None},
            eps=NOT_A_BUDGET | {"zero": 0},
            s={"number": 0.1, "nan": [np.nan], "rows": [[0.1]]},
        ),
        *refusals(
            expected_best_of_random,
            {"g": np.ones(3), "eps": 0.1, "n": 3},
            g={"zero": np.zeros(3), "rows": np.ones((1, 3))},
            eps=NOT_A_BUDGET | {"zero": 0},
            n={"zero": 0, "float": 2.0, "negative": -1},
        ),
    ],
)
def test_bad_input_to_projections_and_random_search_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_points_like_an_array_are_the_same_points_in_its_precision(p):
    plain = sample_ball(20, 3, 0.5, p, np.random.default_rng(9))
    like = sample_ball(20, 3, 0.5, p, np.random.default_rng(9), like=np.zeros(1, dtype=np.float32))
    assert like.dtype == np.float32
    np.testing.assert_array_equal(like, plain.astype(np.float32))


def test_beyond_its_support_the_law_of_a_random_step_is_sure():
    bound = 0.1 * 3.5
    beyond = np.array([-9.0, -1.2, -1.01, 1.01, 1.7, 30.0]) * bound
    found = random_score_cdf(np.array([1.0, -2.0, 0.5]), 0.1, beyond)
    np.testing.assert_allclose(found, [0, 0, 0, 1, 1, 1], atol=1e-12)
    assert found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize("p", [1, 2])
def test_no_sum_rounds_out_of_the_box(p):
    rng = np.random.default_rng(17)
    center = rng.uniform(0.1, 0.7, (4000, 3))
    for side in (-1, 1):
        found = project(center + side * rng.uniform(0, 2, center.shape), center, 1.5, p, (0.1, 0.7))
        assert found.min() >= 0.1 and found.max() <= 0.7
        assert ((found == 0.1) | (found == 0.7)).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_budget_that_can_be_spent_to_the_last_digit_is(kind):
    found = project(np.array([[9.0, -9.0]], kind), np.zeros((1, 2), kind), 0.5, math.inf)
    assert found.tolist() == [[0.5, -0.5]] and found.dtype == kind


def test_a_budget_that_single_precision_would_round_up_is_rounded_down():
    eps = 1.043280315784345  # the nearest number in single precision lies above
    assert float(np.float32(eps)) > eps
    found = project(np.array([[2.0, -2.0]], np.float32), np.zeros((1, 2), np.float32), eps, math.inf).astype(float)
    assert (np.abs(found) <= eps).all() and (np.abs(found) > eps - 1.2e-7).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_budget_below_the_spacing_of_numbers_moves_nothing_the_wrong_way(kind):
    rng = np.random.default_rng(5)
    center = rng.uniform(-255, 255, (50, 40)).astype(kind)
    u, eps = center + rng.choice([-1, 1], center.shape).astype(kind), float(10 * np.finfo(kind).eps)
    moved = (project(u, center, eps, math.inf).astype(np.longdouble) - center) * np.sign(u - center)
    assert (moved >= 0).all() and (moved <= eps).all() and (moved > 0).any()


@pytest.mark.parametrize("bounds", [None, (0, 1)])
@pytest.mark.parametrize("far", [1e3, 1e5, 1e7, 1e30])
def test_from_however_far_no_projection_leaves_the_l_1_ball(far, bounds):
    u = np.array([[far, -far, far / 2, 0.5], [far, 0.4, 0.5, 0.6]], dtype=np.float32)
    found = project(u, np.full_like(u, 0.5), 0.1, 1, bounds)
    assert (np.abs(found - 0.5).sum(axis=1) <= 0.1002).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2])
def test_what_has_no_room_left_stands_at_the_bound_to_the_last_digit(p, kind):
    rng = np.random.default_rng(12)
    center = rng.random((3000, 5)).astype(kind)
    u = center + rng.normal(size=center.shape).astype(kind)
    found = project(u, center, 0.8, p, (0, 1))
    near = np.minimum(found, 1 - found) < 8 * np.finfo(kind).eps
    assert near.sum() > 500 and np.isin(found[near], [0, 1]).all()
