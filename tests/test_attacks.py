import itertools
import math
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_GENERATOR, NOT_A_NUMBER, NOT_A_POSITIVE_COUNT, NOT_AN_EXPONENT
from helpers import NOT_BINARY_LABELS, NOT_INPUTS, NOT_LABELS, RAGGED
from helpers import assert_refused, frozen, refusals, surer
from scipy.optimize import linprog, minimize
from scipy.special import expit
from scipy.stats import kstest

from adv_companion import attacks
from adv_companion.attacks import _Best, _blocks, _higher, _times_sign, accuracy, fgsm, pgd, robust_accuracy
from adv_companion.datasets import two_moons
from adv_companion.models import MLP, LogisticRegression
from adv_companion.norms import dual_norm, project
from adv_companion.training import train

P = [1, 2, math.inf]
DUAL = {1: math.inf, 2: 2, math.inf: 1}


class Quadratic:
    """A model with a curved loss: slope.x + curvature / 2 ||x||^2. Counts how often it is asked."""

    def __init__(self, slope, curvature):
        self.slope, self.curvature, self.asked = np.asarray(slope), curvature, 0

    def loss(self, x, y):
        return x @ self.slope + self.curvature / 2 * np.square(x).sum(axis=1)

    def loss_and_input_grad(self, x, y):
        self.asked += 1
        return self.loss(x, y), self.slope + self.curvature * x


def logistic_problem(seed, n=12, d=4):
    rng = np.random.default_rng(seed)
    return LogisticRegression(rng.standard_normal(d), 0.3), rng.standard_normal((n, d)), rng.integers(0, 2, n)


def points_of_ball(rng, n, d, eps, p):
    """Points in the ball, half of them on its surface."""
    points = rng.standard_normal((n, d))
    radius = np.where(np.arange(n) % 2, eps, eps * rng.uniform(size=n))
    return points * (radius / np.linalg.norm(points, p, axis=1))[:, None]


def corners(d, eps, p):
    """The points of which the ball is the convex hull, for p = 1 and inf."""
    if p == 1:
        return eps * np.concatenate([np.eye(d), -np.eye(d)])
    return eps * np.array(list(itertools.product([-1.0, 1.0], repeat=d)))


# The fast gradient sign method.


@pytest.mark.claim("C03", "supports")
def test_the_score_moves_by_eps_times_the_l_1_norm_of_the_coefficients():
    model, x, y = logistic_problem(1)
    moved = model.logits(fgsm(model, x, y, 0.3))[:, 1] - model.logits(x)[:, 1]
    np.testing.assert_allclose(moved, np.where(y == 1, -1, 1) * 0.3 * np.abs(model.coef).sum(), rtol=1e-12)


@pytest.mark.claim("C05", "supports")
@pytest.mark.parametrize("p", P)
def test_fgsm_maximises_the_linearised_loss_and_asks_for_one_gradient(p):
    rng = np.random.default_rng(2)
    model, x = Quadratic(rng.standard_normal(4), 1.7), rng.standard_normal((8, 4))
    y, eps = np.zeros(8, dtype=int), 0.4
    attacked = fgsm(model, x, y, eps, p)
    assert model.asked == 1
    _, gradient = model.loss_and_input_grad(x, y)
    gain = (gradient * (attacked - x)).sum(axis=1)
    tried = (gradient @ points_of_ball(rng, 5000, 4, eps, p).T).max(axis=1)
    assert (tried <= gain + 1e-14).all()
    np.testing.assert_allclose(gain, eps * np.linalg.norm(gradient, DUAL[p], axis=1), rtol=1e-12)


@pytest.mark.claim("C31", "supports")
@pytest.mark.parametrize("eps", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("p", P)
def test_fgsm_is_the_worst_case_for_logistic_regression(p, eps):
    model, x, y = logistic_problem(3)
    found = model.loss(fgsm(model, x, y, eps, p), y)
    score = np.where(y == 1, 1, -1) * model.logits(x)[:, 1]
    worst = np.logaddexp(0, eps * np.linalg.norm(model.coef, DUAL[p]) - score)
    np.testing.assert_allclose(found, worst, rtol=1e-12)
    for step in points_of_ball(np.random.default_rng(4), 1000, 4, eps, p):
        assert (model.loss(x + step, y) <= found * (1 + 1e-12)).all()


@pytest.mark.claim("C31", "supports")
@pytest.mark.parametrize("p", [1, math.inf])
def test_fgsm_is_the_worst_corner_of_the_ball_for_logistic_regression(p):
    model, x, y = logistic_problem(5, d=6)
    # The loss is convex in the input, so over the ball it is largest in a corner: this is a proof by trial.
    tried = np.max([model.loss(x + step, y) for step in corners(6, 0.8, p)], axis=0)
    np.testing.assert_allclose(model.loss(fgsm(model, x, y, 0.8, p), y), tried, rtol=1e-12)


@pytest.mark.claim("C32", "supports")
@pytest.mark.parametrize("p", P)
def test_the_direction_is_one_for_each_class_and_opposite_between_them(p):
    model, x, y = logistic_problem(6, n=40)
    step = fgsm(model, x, y, 0.5, p) - x
    first = step[y == 1][0]
    # x + delta - x is delta up to a rounding of x + delta, a number below 4.
    np.testing.assert_allclose(step[y == 1], np.broadcast_to(first, step[y == 1].shape), atol=1e-15)
    np.testing.assert_allclose(step[y == 0], np.broadcast_to(-first, step[y == 0].shape), atol=1e-15)


def surrogate_gap(model, x, y, eps, p):
    """Loss on the attacked inputs, minus the loss and eps times the dual norm of its gradient (Eq. 62.2)."""
    loss, gradient = model.loss_and_input_grad(x, y)
    return model.loss(fgsm(model, x, y, eps, p), y) - loss - eps * np.linalg.norm(gradient, DUAL[p], axis=1)


@pytest.mark.claim("C10", "supports")
@pytest.mark.parametrize("p", P)
def test_to_first_order_the_robust_loss_adds_eps_times_the_dual_norm_of_the_gradient(p):
    model, x, y = logistic_problem(7)
    coarse, fine = surrogate_gap(model, x, y, 1e-2, p), surrogate_gap(model, x, y, 1e-3, p)
    # The rest is of second order: a tenth of the budget leaves a hundredth of it, up to a third-order tenth or so.
    np.testing.assert_allclose(fine / coarse, 0.01, rtol=0.1)


@pytest.mark.claim("C11", "supports")
@pytest.mark.parametrize("p", P)
def test_the_robust_logistic_loss_lies_above_its_surrogate_by_half_the_curvature(p):
    model, x, y = logistic_problem(8)
    assert (surrogate_gap(model, x, y, 1.0, p) > 0).all()
    probability = expit(model.logits(x)[:, 1])
    curvature = probability * (1 - probability) * np.linalg.norm(model.coef, DUAL[p]) ** 2
    # The gap at eps = 1e-4 is about 1e-9, out of numbers of size 1 that carry 1e-16.
    np.testing.assert_allclose(surrogate_gap(model, x, y, 1e-4, p), 1e-8 * curvature / 2, rtol=1e-3, atol=1e-15)


@pytest.mark.claim("C11", "limits")
@pytest.mark.parametrize("p", P)
def test_a_concave_loss_lies_below_its_surrogate(p):
    rng = np.random.default_rng(9)
    model, x, y = Quadratic([2.0, -1.0, 0.5], -0.8), rng.standard_normal((6, 3)), np.zeros(6, dtype=int)
    loss, gradient = model.loss_and_input_grad(x, y)
    surrogate = loss + 0.5 * np.linalg.norm(gradient, DUAL[p], axis=1)
    for step in points_of_ball(rng, 3000, 3, 0.5, p):  # not only the one step: every point of the ball is below
        assert (model.loss(x + step, y) < surrogate).all()
    assert (surrogate_gap(model, x, y, 0.5, p) < 0).all()


@pytest.mark.parametrize("eps", [1e-3, 0.1, 7.0])
@pytest.mark.parametrize("p", P)
def test_the_step_spends_the_budget_and_no_more(p, eps):
    model, x, y = logistic_problem(10)
    spent = np.linalg.norm(fgsm(model, x, y, eps, p) - x, p, axis=1)
    # x + delta is rounded to 16 digits, in each of four features.
    np.testing.assert_allclose(spent, eps, rtol=0, atol=4e-15)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("eps", [0.1, 0.3, 8 / 255])
def test_under_l_inf_no_feature_moves_by_more_than_eps_rounding_included(eps, kind):
    model, x, y = logistic_problem(10, n=500)
    model, x = LogisticRegression(model.coef.astype(kind), model.intercept), x.astype(kind)
    attacked = fgsm(model, x, y, eps)
    assert attacked.dtype == kind
    assert np.abs(attacked - x).max() <= kind(eps)


@pytest.mark.parametrize("bounds", [None, (-5, 5)])
@pytest.mark.parametrize("p", P)
def test_a_zero_budget_changes_nothing(p, bounds):
    model, x, y = logistic_problem(11)
    attacked = fgsm(model, x, y, 0, p, bounds)
    np.testing.assert_array_equal(attacked, x)
    assert attacked is not x and not np.shares_memory(attacked, x)


@pytest.mark.parametrize("bounds", [None, (-5, 5)])
@pytest.mark.parametrize("p", P)
def test_the_inputs_are_left_as_they_were(p, bounds):
    model, x, y = logistic_problem(12)
    x, y = frozen(x, y)
    before = x.copy()
    fgsm(model, x, y, 0.4, p, bounds)
    robust_accuracy(model, x, y, lambda model, x, y: fgsm(model, x, y, 0.4, p))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("p", P)
def test_a_row_does_not_depend_on_its_batch(p):
    model, x, y = logistic_problem(13)
    attacked = fgsm(model, x, y, 0.4, p)
    for i in range(len(x)):
        np.testing.assert_allclose(attacked[i], fgsm(model, x[i : i + 1], y[i : i + 1], 0.4, p)[0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("gap", [40.0, 700.0, 1e5])
def test_a_confident_point_is_attacked_with_the_full_budget(gap):
    model = LogisticRegression([3.0, 4.0], 0.0)
    x = np.array([[gap / 3, 0.0], [1.0, 1.0]])
    for p, delta in [(1, [0, -0.5]), (2, [-0.3, -0.4]), (math.inf, [-0.5, -0.5])]:
        np.testing.assert_allclose(fgsm(model, x, [1, 1], 0.5, p) - x, [delta, delta], atol=1e-13)


@pytest.mark.parametrize("p", P)
def test_bounds_are_respected_within_the_budget(p):
    rng = np.random.default_rng(14)
    model, y = LogisticRegression(rng.standard_normal(4), 0.0), rng.integers(0, 2, 50)
    x = rng.uniform(-1, 2, size=(50, 4))
    attacked, free = fgsm(model, x, y, 0.6, p, bounds=(-1, 2)), fgsm(model, x, y, 0.6, p)
    assert attacked.min() >= -1 and attacked.max() <= 2
    assert (np.linalg.norm(attacked - x, p, axis=1) <= 0.6 + 2e-15).all()  # four roundings of x + delta
    assert (np.abs(attacked - free) > 0.01).any()
    np.testing.assert_allclose(attacked, np.minimum(np.maximum(free, -1), 2), rtol=0, atol=1e-15)


@pytest.mark.claim("C05", "supports")
def test_within_bounds_fgsm_is_still_the_worst_case_for_l_inf():
    rng = np.random.default_rng(15)
    model, x, y = LogisticRegression(rng.standard_normal(5), 0.1), rng.uniform(0, 1, (10, 5)), rng.integers(0, 2, 10)
    attacked = fgsm(model, x, y, 0.4, bounds=(0, 1))
    tried = np.max([model.loss(np.clip(x + step, 0, 1), y) for step in corners(5, 0.4, math.inf)], axis=0)
    np.testing.assert_allclose(model.loss(attacked, y), tried, rtol=1e-12)
    assert (model.loss(attacked, y) < model.loss(fgsm(model, x, y, 0.4), y)).any()


def test_inputs_on_the_bounds_are_inside_them():
    model = LogisticRegression([1.0, -1.0], 0.0)
    np.testing.assert_array_equal(fgsm(model, [[0.0, 1.0]], [1], 0.3, bounds=(0, 1)), [[0.0, 1.0]])
    np.testing.assert_array_equal(fgsm(model, [[2.0, 2.0]], [1], 0.3, bounds=(2, 2)), [[2.0, 2.0]])


def test_integer_inputs_are_attacked_as_floats():
    model = LogisticRegression([1.0, -1.0], 0.0)
    np.testing.assert_array_equal(fgsm(model, [[1, 2]], [1], 0.25), [[0.75, 2.25]])


# Projected gradient descent.


class Wiggle:
    """A loss with many local maxima, slope.x + sum of sin(9 x_i). Remembers every point it was asked about."""

    def __init__(self, slope):
        self.slope, self.seen = np.asarray(slope), []

    def loss(self, x, y):
        self.seen.append(np.array(x))
        return x @ self.slope + np.sin(9 * x).sum(axis=1)

    def loss_and_input_grad(self, x, y):
        return self.loss(x, y), self.slope + 9 * np.cos(9 * x)


class Flat:
    """No slope anywhere."""

    def loss(self, x, y):
        return np.zeros(len(x))

    def loss_and_input_grad(self, x, y):
        return np.zeros(len(x)), np.zeros_like(x)


def wiggly_problem(n=20, d=3):
    rng = np.random.default_rng(20)
    return Wiggle(rng.uniform(-1, 1, d)), rng.uniform(0.2, 0.8, (n, d)), np.zeros(n, dtype=int)


def moons_problem():
    """A small trained network and 60 fresh points."""
    rng = np.random.default_rng(0)
    x, y = two_moons(300, rng, noise=0.15)
    net = train(MLP([2, 16, 16, 2], rng), x, y, epochs=40, batch_size=50, lr=1e-2, rng=rng)
    return net, *two_moons(60, rng, noise=0.15)


NET, X_MOONS, Y_MOONS = moons_problem()


@pytest.mark.claim("C18", "supports")
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("p, eps", [(1, 0.6), (2, 0.4), (math.inf, 0.3)])
def test_pgd_returns_for_each_row_the_worst_point_it_saw(p, eps, targeted, bounds):
    model, x, y = wiggly_problem()
    found = pgd(model, x, y, eps, p, steps=7, restarts=3, targeted=targeted, bounds=bounds)
    seen = np.array(model.seen)
    assert len(seen) == 3 * (1 + 7 + 1)  # each restart looks at the clean point, too
    np.testing.assert_array_equal(seen[0], x)
    losses = np.array([model.loss(points, y) for points in seen])
    best = losses.min(axis=0) if targeted else losses.max(axis=0)
    np.testing.assert_array_equal(model.loss(found, y), best)
    assert all((points == row).all(axis=1).any() for points, row in zip(seen.transpose(1, 0, 2), found))
    assert (losses[8] != best).any() and (losses[-1] != best).any()  # neither end of a run is the best for all rows
    assert (losses[0] != best).any()


def test_where_no_point_is_worse_the_clean_point_is_returned():
    model = Quadratic(np.zeros(3), -1.0)  # largest at 0
    x, y = np.zeros((5, 3)), np.zeros(5, dtype=int)
    np.testing.assert_array_equal(pgd(model, x, y, 0.5, restarts=2), x)


@pytest.mark.claim("C57", "supports")
@pytest.mark.parametrize("p, eps", [(1, 0.6), (2, 0.4), (math.inf, 0.3)])
def test_the_loss_never_falls_with_more_restarts(p, eps):
    model, x, y = wiggly_problem()
    losses = [model.loss(x, y)]
    for restarts in (1, 2, 3, 6, 12):
        found = pgd(model, x, y, eps, p, steps=5, restarts=restarts, rng=np.random.default_rng(1))
        losses.append(model.loss(found, y))
    growth = np.diff(losses, axis=0)
    assert (growth >= 0).all()
    assert (growth > 0).any(axis=1).all()


@pytest.mark.claim("C57", "supports")
def test_more_restarts_lower_a_networks_robust_accuracy_and_a_single_one_depends_on_luck():
    left = {}
    for restarts in (1, 10):
        left[restarts] = [
            robust_accuracy(
                NET, X_MOONS, Y_MOONS,
                lambda *batch: pgd(*batch, 0.4, steps=10, restarts=restarts, rng=np.random.default_rng(seed)),
            )
            for seed in range(5)
        ]  # fmt: skip
    assert np.ptp(left[1]) > 0
    assert max(left[10]) < min(left[1])


@pytest.mark.parametrize("p", P)
def test_more_steps_of_the_same_size_never_weaken_the_attack(p):
    model, x, y = wiggly_problem()
    losses = [model.loss(pgd(model, x, y, 0.3, p, steps=k, step_size=0.1), y) for k in range(1, 12)]
    assert (np.diff(losses, axis=0) >= 0).all()


@pytest.mark.claim("C14", "supports")
def test_a_pgd_step_is_an_fgsm_step_and_a_clip():
    x, y, alpha, eps = X_MOONS, Y_MOONS, 0.06, 0.25
    z, points = x, [x]
    for _ in range(9):
        _, gradient = NET.loss_and_input_grad(z, y)
        u = z + alpha * np.sign(gradient)
        np.testing.assert_allclose(fgsm(NET, z, y, alpha), u, rtol=0, atol=1e-15)
        z = np.minimum(np.maximum(u, x - eps), x + eps)
        points.append(z)
    losses = np.array([NET.loss(z, y) for z in points])
    best = np.array(points)[losses.argmax(axis=0), np.arange(len(x))]
    found = pgd(NET, x, y, eps, steps=9, step_size=alpha, random_start=False)
    np.testing.assert_allclose(found, best, rtol=0, atol=1e-15)


@pytest.mark.claim("C16", "supports")
def test_an_l_2_step_goes_along_the_gradient_and_is_shrunk_to_the_ball():
    x, y, alpha, eps = X_MOONS, Y_MOONS, 0.1, 0.3
    z = x
    for _ in range(6):
        _, gradient = NET.loss_and_input_grad(z, y)
        u = z + alpha * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
        length = np.linalg.norm(u - x, axis=1, keepdims=True)
        z = x + (u - x) * np.minimum(1, eps / length)
    found = pgd(NET, x, y, eps, 2, steps=6, step_size=alpha, random_start=False)
    at_end = NET.loss(found, y) <= NET.loss(z, y) * (1 + 1e-9)  # the last point is the best one seen
    assert at_end.mean() > 0.5
    np.testing.assert_allclose(found[at_end], z[at_end], atol=1e-12)


def test_the_default_step_is_two_and_a_half_times_the_budget_over_the_steps():
    model = LogisticRegression([1.0], 0.0)
    seen = Recorder(model)
    pgd(seen, [[0.0]], [1], 1.0, steps=10, random_start=False)
    np.testing.assert_allclose(np.ravel(seen.points)[:5], [0, -0.25, -0.5, -0.75, -1], atol=1e-15)


class Recorder:
    """A model that notes where its gradient was asked."""

    def __init__(self, model):
        self.model, self.points, self.loss = model, [], model.loss

    def loss_and_input_grad(self, x, y):
        self.points.append(np.array(x))
        return self.model.loss_and_input_grad(x, y)


# What a linear score tells: the best point of ball and box is known.


def best_of_ball_and_box(g, x, eps, p, bounds):
    """The largest g.delta with ||delta||_p <= eps and x + delta between the bounds, by solvers that know no norms."""
    low, high = bounds[0] - x, bounds[1] - x
    if p == math.inf:
        return -linprog(-g, bounds=list(zip(np.maximum(low, -eps), np.minimum(high, eps)))).fun
    if p == 1:
        parts = [(0, h) for h in high] + [(0, -l) for l in low]
        return -linprog(np.append(-g, g), A_ub=np.ones((1, 2 * len(g))), b_ub=[eps], bounds=parts).fun
    ball = {"type": "ineq", "fun": lambda d: eps**2 - d @ d, "jac": lambda d: -2 * d}
    rules = {"bounds": list(zip(low, high)), "constraints": ball, "options": {"ftol": 1e-13}}
    return -minimize(lambda d: -g @ d, np.zeros(len(g)), jac=lambda d: -g, **rules).fun


@pytest.mark.parametrize("p, eps", [(1, 0.3), (1, 1.7), (2, 0.2), (2, 1.1), (math.inf, 0.1), (math.inf, 0.7)])
def test_pgd_finds_the_best_point_of_ball_and_box_against_a_linear_score(p, eps):
    rng = np.random.default_rng(21)
    model = LogisticRegression(rng.standard_normal(6), 0.2)
    x, y = rng.uniform(size=(15, 6)).round(1), rng.integers(0, 2, 15)  # some features stand on a bound
    x[0] = np.where(model.coef > 0, 0, 1)
    x[1] = np.where(model.coef > 0, 1, 0)
    sign = np.where(y == 1, -1, 1)
    found = pgd(model, x, y, eps, p, steps=300, random_start=False, bounds=(0, 1))
    gained = sign * (model.logits(found) - model.logits(x))[:, 1]
    wanted = [best_of_ball_and_box(s * model.coef, row, eps, p, (0, 1)) for s, row in zip(sign, x)]
    np.testing.assert_allclose(gained, wanted, atol=2e-3)  # the last of 300 steps may overshoot by part of a step


def test_a_saturated_feature_does_not_hold_an_l_1_attack_up():
    model = LogisticRegression([5.0, 2.0, 1.0, -4.0], 0.0)
    x = np.array([[1.0, 0.5, 0.5, 0.0]])  # the two features that matter most stand at their bounds
    found = pgd(model, x, [0], 0.4, 1, steps=1, step_size=0.4, random_start=False, bounds=(0, 1))
    np.testing.assert_allclose(found, [[1.0, 0.9, 0.5, 0.0]])
    found = pgd(model, x, [0], 0.8, 1, random_start=False, bounds=(0, 1))
    np.testing.assert_allclose(found, [[1.0, 1.0, 0.8, 0.0]], atol=0.05)


@pytest.mark.claim("C18", "limits")
@pytest.mark.parametrize("p", P)
def test_on_a_linear_score_more_steps_do_not_beat_one(p):
    model, x, y = logistic_problem(22)
    one, many = fgsm(model, x, y, 0.5, p), pgd(model, x, y, 0.5, p, steps=40, random_start=False)
    np.testing.assert_allclose(model.loss(many, y), model.loss(one, y), rtol=1e-12)


@pytest.mark.claim("C18", "limits")
def test_steps_too_small_to_cross_the_ball_do_worse_than_one_step():
    single = robust_accuracy(NET, X_MOONS, Y_MOONS, lambda *batch: fgsm(*batch, 0.4))
    timid = robust_accuracy(
        NET, X_MOONS, Y_MOONS, lambda *batch: pgd(*batch, 0.4, steps=40, step_size=0.4 / 80, random_start=False)
    )
    assert timid > single + 0.1


@pytest.mark.claim("C18", "supports")
@pytest.mark.parametrize("eps", [0.2, 0.3, 0.4, 0.5])
def test_with_steps_that_cross_the_ball_pgd_beats_fgsm_on_average(eps):
    single = NET.loss(fgsm(NET, X_MOONS, Y_MOONS, eps), Y_MOONS)
    many = NET.loss(pgd(NET, X_MOONS, Y_MOONS, eps, steps=20, restarts=5), Y_MOONS)
    assert many.mean() > single.mean() + 0.01


@pytest.mark.claim("C56", "supports")
@pytest.mark.parametrize("multiple, crosses", [(0.5, False), (0.95, False), (1.05, True), (2.5, True), (10, True)])
def test_from_the_centre_k_steps_cross_the_ball_if_they_add_up_to_its_radius(multiple, crosses):
    model, x, y = logistic_problem(23)
    found = pgd(model, x, y, 0.5, steps=20, step_size=multiple * 0.5 / 20, random_start=False)
    reached = np.abs(found - x).max(axis=1) / 0.5
    np.testing.assert_allclose(reached, min(multiple, 1), rtol=1e-9)
    assert (reached > 1 - 1e-9).all() == crosses


@pytest.mark.claim("C56", "supports")
@pytest.mark.parametrize("multiple, crosses", [(1.0, False), (1.8, False), (2.0, True), (2.5, True)])
def test_from_anywhere_k_steps_cross_the_ball_if_they_add_up_to_its_diameter(multiple, crosses):
    model = LogisticRegression(np.ones(3), 0.0)
    x, y = np.zeros((2000, 3)), np.ones(2000, dtype=int)
    found = pgd(model, x, y, 0.5, steps=20, step_size=multiple * 0.5 / 20)
    assert (np.abs(found + 0.5).max() < 1e-9) == crosses


# What the largest loss says of the label, and whose step the sign is.


@pytest.mark.claim("X01", "supports")
def test_with_two_classes_the_largest_loss_is_a_mistake_where_there_is_one():
    model, x, y = logistic_problem(25, n=40, d=6)
    corners = 0.4 * np.array(list(itertools.product([-1, 1], repeat=6)))
    mistaken = np.any([model.predict(x + corner) != y for corner in corners], axis=0)
    found = pgd(model, x, y, 0.4)
    np.testing.assert_array_equal(model.predict(found) != y, mistaken)
    assert mistaken.any() and not mistaken.all()


@pytest.mark.claim("X01", "limits")
def test_with_three_classes_the_largest_loss_can_be_right_beside_a_mistake():
    model = MLP([1, 3], np.random.default_rng(0)).with_params([0, 0.06, -4.975, 0, -0.01, -5.025])
    x, y, line = np.zeros((1, 1)), np.zeros(1, dtype=int), np.linspace(-1, 1, 201)[:, None]
    losses, right = model.loss(line, np.zeros(201, dtype=int)), model.predict(line) == 0
    assert right[losses.argmax()] and not right.all() and losses[~right].max() < 0.75 * losses.max()
    np.testing.assert_array_equal(pgd(model, x, y, 1.0, restarts=20), line[[losses.argmax()]])


def l_2_walk(model, x, y, eps, rule):
    """Ten steps of PGD under l_2, a tenth of 2.5 eps times what the rule makes of the gradient."""
    z = x
    for _ in range(10):
        z = project(z + 0.25 * eps * rule(model.loss_and_input_grad(z, y)[1]), x, eps, 2)
    return z


def at_length_one(g):
    return g / np.linalg.norm(g, axis=1, keepdims=True)


@pytest.mark.claim("X02", "supports")
@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
def test_under_l_2_the_gradient_at_length_one_reaches_the_best_of_a_linear_score(scale):
    model, x, y = logistic_problem(27, n=10, d=64)
    model = LogisticRegression(scale * model.coef, 0.0)
    moved = model.logits(l_2_walk(model, x, y, 0.5, at_length_one))[:, 1] - model.logits(x)[:, 1]
    np.testing.assert_allclose(np.abs(moved), 0.5 * np.linalg.norm(model.coef))


@pytest.mark.claim("X02", "limits")
def test_under_l_2_the_gradient_itself_does_not_cross_the_ball_and_signs_cross_it_askew():
    model, x, y = logistic_problem(27, n=10, d=64)
    best = 0.5 * np.linalg.norm(model.coef)
    signs = l_2_walk(model, x, y, 0.5, lambda g: at_length_one(np.sign(g)))
    gained = np.abs(model.logits(signs)[:, 1] - model.logits(x)[:, 1])
    np.testing.assert_allclose(gained, 0.5 * np.abs(model.coef).sum() / 8, rtol=1e-9)
    assert (gained < 0.9 * best).all()
    confident = np.where(model.logits(x)[:, 1] > 0, 1, 0)  # the labels that the model gives anyway
    calm = LogisticRegression(model.coef / 20, 0.0)
    itself = l_2_walk(calm, x, confident, 0.5, lambda g: g)
    assert np.linalg.norm(itself - x, axis=1).max() < 0.5 / 2


# The random start.


@pytest.mark.parametrize("p", P)
def test_the_random_start_is_uniform_in_the_ball(p):
    seen = Recorder(Flat())
    x = np.tile([3.0, -1.0, 0.0], (3000, 1))
    pgd(seen, x, np.zeros(3000, dtype=int), 0.4, p, steps=1)
    radius = np.linalg.norm(seen.points[0] - x, p, axis=1) / 0.4
    assert kstest(radius**3, "uniform").pvalue > 1e-3
    assert np.abs((seen.points[0] > x).mean(axis=0) - 0.5).max() < 0.05


@pytest.mark.parametrize("p", P)
def test_a_random_start_that_leaves_the_box_is_projected(p):
    seen = Recorder(Flat())
    x = np.zeros((500, 2))
    pgd(seen, x, np.zeros(500, dtype=int), 0.4, p, steps=1, bounds=(0, 1))
    start = seen.points[0]
    assert start.min() == 0 and np.linalg.norm(start, p, axis=1).max() <= 0.4 * (1 + 1e-12)
    assert ((start == 0).all(axis=1).mean()) == pytest.approx(0.25, abs=0.08)


def test_each_restart_starts_elsewhere_and_each_call_anew():
    seen, rng = Recorder(Flat()), np.random.default_rng(2)
    x, y = np.zeros((4, 3)), np.zeros(4, dtype=int)
    pgd(seen, x, y, 0.4, steps=1, restarts=3, rng=rng)
    pgd(seen, x, y, 0.4, steps=1, rng=rng)
    assert len({points.tobytes() for points in seen.points}) == 4
    again = Recorder(Flat())
    pgd(again, x, y, 0.4, steps=1, restarts=3, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(again.points, seen.points[:3])


def test_without_a_generator_the_same_call_gives_the_same_answer():
    first, second = (pgd(NET, X_MOONS, Y_MOONS, 0.3, steps=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = pgd(NET, X_MOONS, Y_MOONS, 0.3, steps=3, rng=np.random.default_rng(1))
    assert (first != other).any()


def plateau():
    """A network of one feature that is flat below 0.6 and rises beyond: its label 0 is lost only there."""
    return MLP([1, 1, 2], np.random.default_rng(0)).with_params([1.0, -0.6, 0.0, 4.0, 0.0, 0.0])


@pytest.mark.claim("C13", "supports")
def test_a_random_start_leaves_a_flat_region_that_does_not_fill_the_ball():
    model, x, y = plateau(), np.zeros((4000, 1)), np.zeros(4000, dtype=int)
    np.testing.assert_array_equal(pgd(model, x, y, 1.0, random_start=False), x)
    for restarts, expected in ((1, 0.2), (3, 1 - 0.8**3)):  # a start beyond 0.6, out of [-1, 1]
        found = pgd(model, x, y, 1.0, steps=10, restarts=restarts)
        left = found[:, 0] > 0
        assert abs(left.mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
        np.testing.assert_array_equal(found[left], 1.0)


@pytest.mark.claim("C13", "limits")
def test_a_random_start_is_no_help_where_all_of_the_ball_is_flat_and_can_harm_elsewhere():
    x, y = np.zeros((50, 1)), np.zeros(50, dtype=int)
    np.testing.assert_array_equal(pgd(plateau(), x, y, 0.5, restarts=5), x)
    rng = np.random.default_rng(24)
    model, x, y = LogisticRegression(rng.standard_normal(64), 0.0), rng.uniform(size=(50, 64)), np.ones(50, dtype=int)
    centre = model.loss(pgd(model, x, y, 4.0, 1, bounds=(0, 1), random_start=False), y)
    start = model.loss(pgd(model, x, y, 4.0, 1, bounds=(0, 1)), y)
    assert (start < centre).all()  # an l_1 attack, one feature a step, has to take back what the start spent on all


# Rows, budgets, bounds.


@pytest.mark.parametrize("p", P)
def test_a_rows_attack_does_not_depend_on_its_batch(p):
    arguments = {"eps": 0.3, "p": p, "steps": 10, "bounds": (-2.0, 3.0)}
    together = pgd(NET, X_MOONS, Y_MOONS, random_start=False, **arguments)
    for i in range(0, 60, 7):
        alone = pgd(NET, X_MOONS[i : i + 1], Y_MOONS[i : i + 1], random_start=False, **arguments)
        np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-10)
    all_rows = pgd(NET, X_MOONS, Y_MOONS, restarts=2, rng=np.random.default_rng(3), **arguments)
    first_rows = pgd(NET, X_MOONS[:11], Y_MOONS[:11], restarts=2, rng=np.random.default_rng(3), **arguments)
    np.testing.assert_allclose(first_rows, all_rows[:11], rtol=0, atol=1e-10)


@pytest.mark.parametrize("gap", [40.0, 700.0, 1e5])
@pytest.mark.parametrize("p", P)
def test_a_confident_row_is_attacked_as_far_as_the_others(p, gap):
    model = LogisticRegression([3.0, 4.0], 0.0)
    x = np.array([[gap / 3, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    step = pgd(model, x, [1, 1, 1], 0.5, p, random_start=False) - x
    np.testing.assert_allclose(step, np.broadcast_to(step[1], step.shape), atol=1e-12)
    assert np.linalg.norm(step[0], p) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("attack", [fgsm, pgd])
@pytest.mark.parametrize("p", P)
def test_however_sure_a_model_of_two_classes_is_it_is_attacked_alike(p, attack, kind):
    """Logits times 2^14 label alike, but the loss of most rows rounds to zero, and its gradient with it."""
    x, sure = X_MOONS.astype(kind), surer(NET, 2**14)
    assert np.median(np.abs(np.diff(sure.logits(x)))) > 1e4
    np.testing.assert_array_equal(attack(sure, x, Y_MOONS, 0.3, p), attack(NET, x, Y_MOONS, 0.3, p))


@pytest.mark.parametrize("base", [MLP, LogisticRegression])
@pytest.mark.parametrize("attack", [fgsm, partial(pgd, random_start=False)])
def test_a_subclass_with_a_loss_of_its_own_is_attacked_by_that_loss(base, attack):
    class Upside(base):
        def loss(self, x, y):
            return -super().loss(x, y)

        def loss_and_input_grad(self, x, y):
            loss, gradient = super().loss_and_input_grad(x, y)
            return -loss, -gradient

    class Renamed(base):
        """Nothing that an attack asks for is different."""

    def made(kind):
        return kind([2, 2], np.random.default_rng(0)) if base is MLP else kind([1.0, -2.0], 0.1)

    model, x, y = made(base), np.array([[0.3, -0.2], [1.0, 0.5]]), np.array([0, 1])
    np.testing.assert_array_equal(attack(made(Renamed), x, y, 0.1), attack(model, x, y, 0.1))
    assert (model.loss(attack(model, x, y, 0.1), y) > model.loss(x, y)).all()
    assert (model.loss(attack(made(Upside), x, y, 0.1), y) < model.loss(x, y)).all()


def test_a_subclass_with_half_a_loss_of_its_own_is_attacked_by_that_half():
    class Lower(MLP):
        def loss(self, x, y):
            return -super().loss(x, y)

    class Downhill(MLP):
        def loss_and_input_grad(self, x, y):
            loss, gradient = super().loss_and_input_grad(x, y)
            return loss, -gradient

    model, lower, downhill = (kind([2, 2], np.random.default_rng(0)) for kind in (MLP, Lower, Downhill))
    x, y = X_MOONS, Y_MOONS
    np.testing.assert_array_equal(pgd(lower, x, y, 0.1, random_start=False, steps=1), x)  # no step raises its loss
    assert (model.loss(fgsm(downhill, x, y, 0.1), y) < model.loss(x, y)).all()


def test_a_model_may_be_no_more_than_its_two_functions():
    model = SimpleNamespace(loss=NET.loss, loss_and_input_grad=NET.loss_and_input_grad)
    attacked = pgd(model, X_MOONS, Y_MOONS, 0.3, steps=5)
    assert (NET.loss(attacked, Y_MOONS) > NET.loss(X_MOONS, Y_MOONS)).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-150, 1e150])
@pytest.mark.parametrize("p", P)
def test_the_size_of_the_gradient_does_not_matter(p, scale):
    slope = np.array([2.0, -1.0, 2.0])  # with a tie between the largest
    model, x = Quadratic(scale * slope, 0.0), np.zeros((3, 3))
    found = pgd(model, x, np.zeros(3, dtype=int), 0.3, p, random_start=False)
    np.testing.assert_allclose(found @ slope, 0.3 * np.linalg.norm(slope, DUAL[p]), rtol=1e-12)


@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("p", P)
def test_where_the_gradient_is_zero_nothing_moves(p, random_start):
    x, y = np.ones((4, 3)), np.zeros(4, dtype=int)
    np.testing.assert_array_equal(pgd(Flat(), x, y, 0.3, p, random_start=random_start), x)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("model_kind", [np.float32, np.float64])
@pytest.mark.parametrize("p, eps", [(1, 0.7), (2, 0.3), (math.inf, 0.1), (math.inf, 8 / 255)])
def test_budget_and_bounds_hold_in_either_precision(p, eps, kind, model_kind):
    rng = np.random.default_rng(25)
    model = MLP([20, 8, 3], rng)
    model = model.with_params(model.params.astype(model_kind))
    x, y = rng.uniform(size=(200, 20)).astype(kind), rng.integers(0, 3, 200)
    for attacked in (fgsm(model, x, y, eps, p, (0, 1)), pgd(model, x, y, eps, p, steps=5, restarts=2, bounds=(0, 1))):
        assert attacked.dtype == kind
        assert attacked.min() >= 0 and attacked.max() <= 1
        if p == math.inf:
            assert np.abs(attacked - x).max() <= kind(eps)
        else:
            spent = np.linalg.norm(attacked.astype(np.float64) - x.astype(np.float64), p, axis=1)
            assert spent.max() <= eps + 20 * np.finfo(kind).eps  # a rounding of x + delta for each of 20 features
        assert (model.loss(attacked, y) >= model.loss(x, y)).mean() > 0.99


@pytest.mark.parametrize("p", P)
def test_the_model_is_asked_in_the_precision_of_the_inputs(p):
    seen = Recorder(NET)
    pgd(seen, X_MOONS.astype(np.float32), Y_MOONS, 0.2, p, steps=3)
    assert [points.dtype for points in seen.points] == [np.float32] * 3


@pytest.mark.parametrize("bounds", [None, (-2, 3)])
@pytest.mark.parametrize("p", P)
def test_pgd_with_a_zero_budget_changes_nothing(p, bounds):
    attacked = pgd(NET, X_MOONS, Y_MOONS, 0, p, restarts=2, bounds=bounds)
    np.testing.assert_array_equal(attacked, X_MOONS)
    assert not np.shares_memory(attacked, X_MOONS)


@pytest.mark.parametrize("p", P)
def test_a_budget_beyond_the_data_leaves_no_accuracy_and_success_grows_with_the_budget(p):
    left = [
        robust_accuracy(NET, X_MOONS, Y_MOONS, lambda *batch: pgd(*batch, eps, p, restarts=2))
        for eps in (0, 0.1, 0.2, 0.4, 0.8, 20.0)
    ]
    assert left == sorted(left, reverse=True)
    assert left[0] > 0.95 and left[-1] == 0


@pytest.mark.parametrize("p", P)
def test_a_targeted_attack_drives_towards_its_target(p):
    rng = np.random.default_rng(26)
    model, x = MLP([6, 12, 4], rng), rng.standard_normal((80, 6))
    target = (model.predict(x) + rng.integers(1, 4, 80)) % 4
    attacked = pgd(model, x, target, 4.0, p, targeted=True, random_start=False)
    assert (model.loss(attacked, target) <= model.loss(x, target)).all()
    assert accuracy(model, attacked, target) > 0.6 and accuracy(model, x, target) == 0


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("p", P)
def test_pgd_leaves_its_inputs_and_the_models_arrays_as_they_were(p, targeted):
    slope = np.array([1.0, -2.0])

    class ReadOnly(Flat):
        def loss(self, x, y):
            return frozen(x @ slope)

        def loss_and_input_grad(self, x, y):
            return frozen(x @ slope, np.tile(slope, (len(x), 1)))

    x, y = frozen(np.full((3, 2), 0.5), np.zeros(3, dtype=int))
    before = x.copy()
    pgd(ReadOnly(), x, y, 0.9, p, restarts=2, targeted=targeted, bounds=(0, 1))
    np.testing.assert_array_equal(x, before)


def test_a_gradient_that_is_not_finite_is_refused():
    class Broken(Flat):
        def loss_and_input_grad(self, x, y):
            return np.zeros(len(x)), np.full_like(x, math.nan)

    with pytest.raises(ValueError, match="^model must have a finite gradient"):
        pgd(Broken(), [[0.0]], [0], 0.1)


def test_restarts_without_a_random_start_are_refused():
    with pytest.raises(ValueError, match="^restarts must be 1 without random_start"):
        pgd(NET, X_MOONS, Y_MOONS, 0.1, restarts=2, random_start=False)


# The projections of section 62.1.2, written as the chapter writes them.


def far_points(n=300, d=5):
    rng = np.random.default_rng(27)
    x = rng.uniform(size=(n, d))
    return rng, x, x + rng.standard_normal((n, d)) * rng.choice([0.1, 1.0], size=(n, 1))


@pytest.mark.claim("C15", "supports")
def test_clipping_is_the_nearest_point_of_the_l_inf_ball():
    rng, x, u = far_points()
    clipped = np.minimum(np.maximum(u, x - 0.3), x + 0.3)
    np.testing.assert_allclose(project(u, x, 0.3, math.inf), clipped, rtol=0, atol=1e-15)
    for step in points_of_ball(rng, 2000, 5, 0.3, math.inf):
        assert (np.linalg.norm(x + step - u, axis=1) >= np.linalg.norm(clipped - u, axis=1)).all()


@pytest.mark.claim("C16", "supports")
def test_shrinking_is_the_nearest_point_of_the_l_2_ball():
    rng, x, u = far_points()
    shrunk = x + (u - x) * np.minimum(1, 0.5 / np.linalg.norm(u - x, axis=1, keepdims=True))
    np.testing.assert_allclose(project(u, x, 0.5, 2), shrunk, rtol=0, atol=1e-14)
    for step in points_of_ball(rng, 2000, 5, 0.5, 2):
        assert (np.linalg.norm(x + step - u, axis=1) >= np.linalg.norm(shrunk - u, axis=1) - 1e-12).all()


def in_sequence(u, x, eps, p):
    """Ball then box, and box then ball."""
    return np.clip(project(u, x, eps, p), 0, 1), project(np.clip(u, 0, 1), x, eps, p)


@pytest.mark.claim("C17", "supports")
def test_for_l_inf_clipping_in_sequence_is_the_nearest_point_of_ball_and_box():
    _, x, u = far_points()
    exact = project(u, x, 0.3, math.inf, bounds=(0, 1))
    for point in in_sequence(u, x, 0.3, math.inf):
        np.testing.assert_allclose(point, exact, rtol=0, atol=1e-15)


@pytest.mark.claim("C17", "limits")
@pytest.mark.parametrize("p", [1, 2])
def test_for_l_1_and_l_2_clipping_in_sequence_is_feasible_but_not_nearest(p):
    _, x, u = far_points()
    exact = project(u, x, 0.5, p, bounds=(0, 1))
    for point in in_sequence(u, x, 0.5, p):
        assert point.min() >= -1e-15 and point.max() <= 1 + 1e-15
        assert np.linalg.norm(point - x, p, axis=1).max() <= 0.5 * (1 + 1e-12)
        to_point, to_exact = np.linalg.norm(point - u, axis=1), np.linalg.norm(exact - u, axis=1)
        assert (to_point >= to_exact - 1e-12).all()
        assert (to_point > 1.01 * to_exact).mean() > 0.1


# Accuracy.

RAMP = LogisticRegression([1.0], 0.0)
X, Y = np.array([[-2.0], [-0.5], [0.5], [2.0], [3.0]]), np.array([0, 0, 1, 1, 0])


def test_accuracy_is_the_share_of_right_labels():
    assert accuracy(RAMP, X, Y) == 4 / 5
    assert accuracy(RAMP, X, 1 - Y) == 1 / 5
    assert accuracy(RAMP, X[:4], Y[:4]) == 1.0
    assert isinstance(accuracy(RAMP, X, Y), float)


@pytest.mark.parametrize("eps, expected", [(0, 4 / 5), (0.4, 4 / 5), (0.6, 2 / 5), (2.5, 0)])
def test_robust_accuracy_is_accuracy_on_the_attacked_inputs(eps, expected):
    assert robust_accuracy(RAMP, X, Y, lambda model, x, y: fgsm(model, x, y, eps)) == expected


def test_an_attack_that_helps_is_reported_as_it_is():
    assert robust_accuracy(RAMP, X, Y, lambda model, x, y: np.where(y == 1, 1.0, -1.0)[:, None]) == 1.0


def test_the_attack_is_given_the_model_the_inputs_and_the_labels_once():
    calls = []

    def attack(model, x, y):
        calls.append((model, x, y))
        return -x

    assert robust_accuracy(RAMP, X, Y, attack) == 1 / 5
    (model, x, y), = calls
    assert model is RAMP
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_labels_of_many_classes_are_counted():
    class Rounding:
        def predict(self, x):
            return np.round(x[:, 0]).astype(int)

    assert accuracy(Rounding(), [[0.1], [6.8], [2.0], [5.2]], [0, 7, 3, 5]) == 3 / 4


# Bad input.


@pytest.mark.parametrize(
    "returned",
    [X[:3], X[:, 0], np.hstack([X, X]), X[None], X.astype(str), None, X * math.nan, X * math.inf, 1.0, RAGGED],
    ids=["fewer", "flat", "wider", "deeper", "text", "nothing", "nan", "infinite", "number", "ragged"],
)
def test_an_attack_that_returns_something_else_is_refused(returned):
    with pytest.raises(ValueError, match=r"^attack\b"):
        robust_accuracy(RAMP, X, Y, lambda model, x, y: returned)


NOT_FOR_MODEL = NOT_INPUTS | {"another width": np.ones((2, 3))}
MODEL = LogisticRegression([1.0, 2.0], 0.5)
BATCH = {"model": MODEL, "x": np.eye(2), "y": np.array([0, 1])}
ATTACK = {"model": MODEL, "x": np.eye(2), "y": np.array([0, 1]), "eps": 0.1, "p": 2, "bounds": (0.0, 1.0)}
PGD = ATTACK | {"steps": 2}
NOT_A_STEP = {what: bad for what, bad in NOT_A_BUDGET.items() if bad is not None} | {"zero": 0.0}
NOT_A_GENERATOR_OR_NONE = {what: bad for what, bad in NOT_A_GENERATOR.items() if bad is not None}
NOT_BOUNDS = {
    "reversed": (1.0, 0.0),
    "one": (0.0,),
    "three": (0.0, 0.5, 1.0),
    "number": 1.0,
    "text": "01",
    "set": {0.0, 1.0},
    "array for each feature": (np.zeros(2), np.ones(2)),
    "ragged": RAGGED,
    "a list and a number": ((0.0, 1.0), 1.0),
}
NOT_BOUNDS |= {f"{what} below": (bad, 1.0) for what, bad in NOT_A_NUMBER.items()}
NOT_BOUNDS |= {f"{what} above": (0.0, bad) for what, bad in NOT_A_NUMBER.items()}
OUTSIDE = {"below": np.array([[0.0, -0.01], [0.5, 0.5]]), "above": np.array([[0.0, 0.5], [1.01, 0.5]])}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(fgsm, ATTACK, x=NOT_FOR_MODEL | OUTSIDE, y=NOT_BINARY_LABELS, eps=NOT_A_BUDGET),
        *refusals(fgsm, ATTACK, p=NOT_AN_EXPONENT, bounds=NOT_BOUNDS),
        *refusals(pgd, PGD, x=NOT_FOR_MODEL | OUTSIDE, y=NOT_BINARY_LABELS, eps=NOT_A_BUDGET, p=NOT_AN_EXPONENT),
        *refusals(pgd, PGD | {"targeted": True}, y=NOT_BINARY_LABELS),
        *refusals(pgd, PGD, steps=NOT_A_POSITIVE_COUNT, restarts=NOT_A_POSITIVE_COUNT, step_size=NOT_A_STEP),
        *refusals(pgd, PGD, bounds=NOT_BOUNDS, rng=NOT_A_GENERATOR_OR_NONE),
        *refusals(accuracy, BATCH, x=NOT_FOR_MODEL, y=NOT_LABELS),
        *refusals(robust_accuracy, BATCH | {"attack": lambda model, x, y: x}, x=NOT_FOR_MODEL, y=NOT_LABELS),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


# What makes the walk fast, and spreads it.


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.01, -0.25, 1e6])
def test_the_fast_sign_is_the_sign(kind, size):
    info = np.finfo(kind)
    sizes = [0, info.smallest_subnormal, info.smallest_normal, 1e-20, 0.5, 3, info.max]
    gradient = np.array([[s * v for v in sizes for s in (1, -1)]], dtype=kind)
    found = _times_sign(size, gradient, out=np.full_like(gradient, 7))
    np.testing.assert_array_equal(found, (size * np.sign(gradient)).astype(kind))


def test_a_gradient_of_another_precision_takes_the_slow_sign():
    found = _times_sign(0.5, np.array([[1e-300, -2.0, 0.0]]), out=np.zeros((1, 3), dtype=np.float32))
    np.testing.assert_array_equal(found, np.array([[0.5, -0.5, 0.0]], dtype=np.float32))
    assert found.dtype == np.float32


def test_the_best_point_of_each_row_is_kept():
    rng = np.random.default_rng(50)
    points, losses = rng.standard_normal((6, 4, 2)), rng.standard_normal((6, 4))
    memory, buffers = np.full((4, 2), np.nan), [np.empty((4, 2)), np.empty((4, 2))]
    best = _Best(points[0], losses[0], memory)
    for k in range(1, 6):
        buffers[k % 2][:] = points[k]  # as the walk does: two buffers in turn
        best.see(buffers[k % 2], losses[k])
    found = best.points()
    np.testing.assert_array_equal(found, points[losses.argmax(axis=0), np.arange(4)])
    np.testing.assert_array_equal(best.loss, losses.max(axis=0))
    assert not np.shares_memory(found, memory)


@pytest.mark.parametrize("p", P)
def test_the_number_of_jobs_changes_nothing(p):
    options = dict(p=p, steps=5, restarts=4, bounds=(-3, 3))
    results = [pgd(NET, X_MOONS, Y_MOONS, 0.3, **options, n_jobs=n_jobs) for n_jobs in (None, 1, 2, 4)]
    for found in results[1:]:
        np.testing.assert_array_equal(found, results[0])


def test_of_two_walks_the_first_is_kept_where_both_come_as_high():
    points, losses = _higher((np.zeros((3, 2)), np.array([1.0, 1.0, 1.0])), (np.ones((3, 2)), np.array([0.0, 1.0, 2.0])))
    np.testing.assert_array_equal(points, [[0, 0], [0, 0], [1, 1]])
    np.testing.assert_array_equal(losses, [1, 1, 2])


@pytest.mark.parametrize("random_start", [True, False])
def test_a_call_takes_the_generator_as_far_whether_or_not_it_starts_at_random(random_start):
    rng = np.random.default_rng(3)
    pgd(NET, X_MOONS, Y_MOONS, 0.3, steps=1, random_start=random_start, rng=rng)
    assert rng.spawn(1)[0].random() == np.random.default_rng(3).spawn(2)[1].random()


@pytest.mark.parametrize("blocks", [2, 8])
@pytest.mark.parametrize("p", P)
def test_workers_share_rows_in_blocks_that_do_not_depend_on_their_number(p, blocks, monkeypatch):
    monkeypatch.setattr(attacks, "BLOCK", X_MOONS.size // blocks)
    monkeypatch.setattr(attacks, "ROWS", 7)
    options = dict(p=p, steps=5, restarts=2, bounds=(-3, 3))
    whole = pgd(NET, X_MOONS, Y_MOONS, 0.3, **options)
    one, *others = [pgd(NET, X_MOONS, Y_MOONS, 0.3, **options, n_jobs=n_jobs) for n_jobs in (1, 2, 4)]
    np.testing.assert_allclose(one, whole, rtol=0, atol=1e-9)
    for found in others:
        np.testing.assert_array_equal(found, one)


def test_a_worker_sees_the_rows_of_its_block_alone(monkeypatch):
    class Counted:
        """The network; it notes how many rows come at once."""

        def loss(self, x, y):
            rows.add(len(x))
            return NET.loss(x, y)

        def loss_and_input_grad(self, x, y):
            rows.add(len(x))
            return NET.loss_and_input_grad(x, y)

    monkeypatch.setattr(attacks, "BLOCK", X_MOONS.size // 4)
    monkeypatch.setattr(attacks, "ROWS", 1)
    for n_jobs, batch in ((None, len(X_MOONS)), (2, len(X_MOONS) // 4)):
        rows = set()
        pgd(Counted(), X_MOONS, Y_MOONS, 0.3, steps=2, n_jobs=n_jobs)
        assert rows == {batch}


@pytest.mark.parametrize(
    "n, d, n_jobs, sizes",
    [
        (1000, 784, None, [1000]),
        (1000, 784, 1, [500] * 2),
        (1000, 784, -1, [500] * 2),
        (2001, 784, 2, [500, 500, 500, 501]),
        (3 * 2**17, 1, 2, [3 * 2**17]),  # no more numbers than one block takes
        (3 * 2**17 + 1, 1, 2, [3 * 2**16, 3 * 2**16 + 1]),
        (255, 10_000, 2, [255]),  # too few rows for two blocks
        (256, 10_000, 2, [128, 128]),
        (511, 10_000, 2, [255, 256]),
    ],
)
def test_blocks_are_as_large_as_the_rule_says(n, d, n_jobs, sizes):
    x = np.broadcast_to(0.0, (n, d))
    blocks = _blocks(x, n_jobs)
    assert [len(x[rows]) for rows in blocks] == sizes
    assert (blocks[0].start, blocks[-1].stop) == (0, n)
    assert all(block.stop == after.start for block, after in zip(blocks, blocks[1:]))


def test_a_bar_is_shown_only_if_asked_for(capsys):
    silent = pgd(NET, X_MOONS, Y_MOONS, 0.3, steps=2, restarts=3)
    assert capsys.readouterr() == ("", "")
    shown = pgd(NET, X_MOONS, Y_MOONS, 0.3, steps=2, restarts=3, progress=True)
    assert "walks: 100%" in capsys.readouterr().err
    np.testing.assert_array_equal(shown, silent)


def test_forty_steps_are_the_default():
    rng = np.random.default_rng(90)
    net, x, y = MLP([5, 16, 3], rng), rng.uniform(-1, 1, (20, 5)), rng.integers(0, 3, 20)
    plain, forty, other = (pgd(net, x, y, 0.3, **steps) for steps in ({}, {"steps": 40}, {"steps": 41}))
    np.testing.assert_array_equal(plain, forty)
    assert not np.array_equal(plain, other)


def test_of_two_classes_the_way_to_the_other_is_the_way_from_its_own():
    rng = np.random.default_rng(91)
    net, x, y = MLP([5, 16, 2], rng), rng.uniform(-1, 1, (20, 5)), rng.integers(0, 2, 20)
    away, towards = pgd(net, x, y, 0.3, steps=3), pgd(net, x, 1 - y, 0.3, steps=3, targeted=True)
    np.testing.assert_allclose(net.loss(towards, y), net.loss(away, y), rtol=1e-9)


def test_a_walk_ends_where_nobody_waits_for_it_any_more(monkeypatch):
    model, x, y = logistic_problem(3)
    stopped = threading.Event()
    monkeypatch.setattr(attacks._parallel, "_worker", SimpleNamespace(stopped=stopped))
    pgd(model, x, y, 0.1)
    stopped.set()
    with pytest.raises(SystemExit):
        pgd(model, x, y, 0.1)


# Answers of a model that would be stretched to fit.


@pytest.mark.parametrize("answer", [lambda y: y[:, None], lambda y: y[:1], lambda y: y[0], lambda y: y[:1].tolist()])
def test_predictions_of_another_shape_are_refused(answer):
    x, y = np.zeros((6, 4)), np.arange(6)
    with pytest.raises(ValueError, match=r"^model.predict\(x\) must have shape \(6,\), got "):
        accuracy(SimpleNamespace(predict=lambda x: answer(y)), x, y)


def test_predictions_may_come_as_a_list():
    assert accuracy(SimpleNamespace(predict=lambda x: [0, 1, 1]), np.zeros((3, 1)), [0, 1, 0]) == 2 / 3


@pytest.mark.parametrize("change", [np.mean, lambda loss: loss[:, None], lambda loss: loss[:1], list])
def test_losses_that_are_not_one_a_row_are_refused(change):
    model, x, y = logistic_problem(3)
    plain = SimpleNamespace(loss=lambda x, y: change(model.loss(x, y)), loss_and_input_grad=model.loss_and_input_grad)
    with pytest.raises(ValueError, match=r"^model.loss\(x, y\) must have shape \(12,\), got "):
        pgd(plain, x, y, 0.1)

    def changed(x, y):
        return change(model.loss(x, y)), model.loss_and_input_grad(x, y)[1]

    for attack in (fgsm, pgd):
        with pytest.raises(ValueError, match=r"^the loss of model.loss_and_input_grad\(x, y\) must have shape \(12,\), got "):
            attack(SimpleNamespace(loss=model.loss, loss_and_input_grad=changed), x, y, 0.1)


@pytest.mark.parametrize("change", [np.transpose, lambda g: g[:1], lambda g: g[:, :1], lambda g: g.mean(axis=0), list])
def test_gradients_of_another_shape_are_refused(change):
    model, x, y = logistic_problem(3)

    def changed(x, y):
        return model.loss(x, y), change(model.loss_and_input_grad(x, y)[1])

    for attack in (fgsm, pgd):
        with pytest.raises(ValueError, match=r"^the gradient of model.loss_and_input_grad\(x, y\) must have shape \(12, 4\), got "):
            attack(SimpleNamespace(loss=model.loss, loss_and_input_grad=changed), x, y, 0.1)


@pytest.mark.parametrize("p", P)
def test_other_precisions_are_attacked_in_double(p):
    model, x, y = logistic_problem(3)
    for kind in (np.longdouble, np.float16):
        found = pgd(model, x.astype(kind), y, 0.1, p)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, pgd(model, x.astype(kind).astype(np.float64), y, 0.1, p))


@pytest.mark.parametrize("seed", [117, 120])
def test_a_walk_along_a_bound_does_not_hang_on_the_last_digit(seed):
    """Where a feature ended a digit short of the bound, its row took another way than in a batch of another size."""
    rng = np.random.default_rng(seed)
    x, y, model = rng.random((4, 6)), rng.integers(0, 2, 4), MLP([6, 5, 2], rng)
    whole, alone = (pgd(model, x[:n], y[:n], 1.75, 2, bounds=(0, 1))[:1] for n in (4, 1))
    np.testing.assert_allclose(alone, whole, atol=1e-12)
