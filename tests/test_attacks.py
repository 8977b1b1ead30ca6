import itertools
import math

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_NUMBER, NOT_AN_EXPONENT, NOT_BINARY_LABELS, NOT_INPUTS, NOT_LABELS, RAGGED
from helpers import assert_refused, frozen, refusals
from scipy.special import expit

from adv_companion.attacks import accuracy, fgsm, robust_accuracy
from adv_companion.models import LogisticRegression

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


@pytest.mark.claim("C03")
def test_the_score_moves_by_eps_times_the_l_1_norm_of_the_coefficients():
    model, x, y = logistic_problem(1)
    moved = model.logits(fgsm(model, x, y, 0.3))[:, 1] - model.logits(x)[:, 1]
    np.testing.assert_allclose(moved, np.where(y == 1, -1, 1) * 0.3 * np.abs(model.coef).sum(), rtol=1e-12)


@pytest.mark.claim("C05")
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


@pytest.mark.claim("C31")
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


@pytest.mark.claim("C31")
@pytest.mark.parametrize("p", [1, math.inf])
def test_fgsm_is_the_worst_corner_of_the_ball_for_logistic_regression(p):
    model, x, y = logistic_problem(5, d=6)
    # The loss is convex in the input, so over the ball it is largest in a corner: this is a proof by trial.
    tried = np.max([model.loss(x + step, y) for step in corners(6, 0.8, p)], axis=0)
    np.testing.assert_allclose(model.loss(fgsm(model, x, y, 0.8, p), y), tried, rtol=1e-12)


@pytest.mark.claim("C32")
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


@pytest.mark.claim("C10")
@pytest.mark.parametrize("p", P)
def test_to_first_order_the_robust_loss_adds_eps_times_the_dual_norm_of_the_gradient(p):
    model, x, y = logistic_problem(7)
    coarse, fine = surrogate_gap(model, x, y, 1e-2, p), surrogate_gap(model, x, y, 1e-3, p)
    # The rest is of second order: a tenth of the budget leaves a hundredth of it, up to a third-order tenth or so.
    np.testing.assert_allclose(fine / coarse, 0.01, rtol=0.1)


@pytest.mark.claim("C11")
@pytest.mark.parametrize("p", P)
def test_the_robust_logistic_loss_lies_above_its_surrogate_by_half_the_curvature(p):
    model, x, y = logistic_problem(8)
    assert (surrogate_gap(model, x, y, 1.0, p) > 0).all()
    probability = expit(model.logits(x)[:, 1])
    curvature = probability * (1 - probability) * np.linalg.norm(model.coef, DUAL[p]) ** 2
    # The gap at eps = 1e-4 is about 1e-9, out of numbers of size 1 that carry 1e-16.
    np.testing.assert_allclose(surrogate_gap(model, x, y, 1e-4, p), 1e-8 * curvature / 2, rtol=1e-3, atol=1e-15)


@pytest.mark.claim("C11")
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


@pytest.mark.parametrize("gap", [40.0, 700.0])
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


@pytest.mark.claim("C05")
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
        *refusals(accuracy, BATCH, x=NOT_FOR_MODEL, y=NOT_LABELS),
        *refusals(robust_accuracy, BATCH | {"attack": lambda model, x, y: x}, x=NOT_FOR_MODEL, y=NOT_LABELS),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)
