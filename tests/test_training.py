import math
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_GENERATOR, NOT_A_POSITIVE_COUNT, NOT_AN_EXPONENT, NOT_BINARY_LABELS, NOT_INPUTS
from helpers import RAGGED, assert_refused, frozen, refusals
from scipy.optimize import minimize
from scipy.special import expit

from adv_companion import training
from adv_companion.attacks import accuracy, fgsm, pgd, robust_accuracy
from adv_companion.datasets import DEMO, TwoGaussians, chapter_demo, two_moons
from adv_companion.models import MLP, LogisticRegression
from adv_companion.training import Adam, augmented_logistic, robust_logistic, train

P = [1, 2, math.inf]
DUAL = {1: math.inf, 2: 2, math.inf: 1}


# The chapter's defence.


def test_the_augmented_fit_to_the_chapters_data_is_that_of_r():
    x, y, _, _ = chapter_demo()
    model = augmented_logistic(x, y, 1.0)
    np.testing.assert_allclose(model.intercept, -0.0112194163042504, atol=1e-8)
    np.testing.assert_allclose(model.coef, [0.4982151459706531, 0.7097855651692860], atol=1e-8)


@pytest.mark.parametrize("p", P)
def test_the_augmented_fit_is_the_fit_to_clean_and_once_attacked_points(p):
    x, y, _, _ = chapter_demo(seed=2, n=100)
    first = LogisticRegression.fit(x, y)
    # The worst step, by hand: towards the other class along the direction that Hoelder's equality names.
    direction = {
        1: np.sign(first.coef) * (np.abs(first.coef) == np.abs(first.coef).max()),
        2: first.coef / np.linalg.norm(first.coef),
        math.inf: np.sign(first.coef),
    }[p]
    attacked = x - 0.5 * np.where(y == 1, 1, -1)[:, None] * direction
    expected = LogisticRegression.fit(np.concatenate([attacked, x]), np.concatenate([y, y]))
    model = augmented_logistic(x, y, 0.5, p)
    np.testing.assert_allclose(model.coef, expected.coef, rtol=1e-9)
    np.testing.assert_allclose(model.intercept, expected.intercept, atol=1e-9)


# Training by minibatches.


def moons(seed, n=200):
    return two_moons(n, np.random.default_rng(seed), noise=0.1)


def trained(seed=0, model=None, **arguments):
    rng = np.random.default_rng(seed)
    model = model or MLP([2, 16, 16, 2], rng)
    return train(model, *moons(100), **{"epochs": 40, "batch_size": 25, "lr": 1e-2, "rng": rng} | arguments)


@pytest.mark.parametrize("seed", range(3))
def test_training_learns(seed):
    untrained = MLP([2, 16, 16, 2], np.random.default_rng(seed))
    assert accuracy(untrained, *moons(101)) < 0.9
    assert accuracy(trained(seed), *moons(101)) > 0.97


def test_training_a_linear_model_finds_the_maximum_likelihood_fit():
    x, y, _, _ = chapter_demo()
    rng, model = np.random.default_rng(1), LogisticRegression(np.zeros(2), 0.0)
    for lr in (0.1, 0.01):
        model = train(model, x, y, epochs=400, batch_size=len(x), lr=lr, rng=rng)
    # The order of the points within the one batch changes the last digits of its sums, nothing else.
    np.testing.assert_allclose(model.params, LogisticRegression.fit(x, y).params, atol=1e-4)


def test_the_model_and_the_data_are_left_as_they_were():
    model = MLP([2, 8, 2], np.random.default_rng(2))
    before, (x, y) = model.params.copy(), frozen(*moons(102))

    def careless(model, x, y):
        x += 1
        return x

    other = train(model, x, y, epochs=2, batch_size=50, lr=1e-2, rng=np.random.default_rng(2), attack=careless)
    np.testing.assert_array_equal(model.params, before)
    assert (other.params != before).any() and other is not model


def test_the_generator_alone_decides_the_result():
    start = MLP([2, 8, 2], np.random.default_rng(3))
    first, second, third = (trained(seed, start, epochs=3).params for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


class Slope:
    """A model whose loss has a slope that is given, and that tells what it was asked."""

    def __init__(self, params, slopes, asked):
        self.params, self.slopes, self.asked = np.asarray(params), slopes, asked

    def with_params(self, params):
        return Slope(params, self.slopes, self.asked)

    def loss_and_param_grad(self, x, y):
        self.asked.append((self.params, np.array(x), np.array(y)))
        return np.zeros(len(x)), np.array(self.slopes[len(self.asked) - 1])


def test_two_steps_of_adam_are_those_done_by_hand():
    asked = []
    model = Slope([1.0, 2.0, 0.0], [[2.0, -0.5, 0.0], [1.0, 0.5, 1e-4]], asked)
    after = train(model, np.zeros((4, 1)), [0] * 4, epochs=1, batch_size=2, lr=0.1, rng=np.random.default_rng(5))
    # Step 1: both averages, corrected for their start at zero, are the slope and its square: each parameter moves by lr.
    first = np.array([1.0 - 0.1, 2.0 + 0.1, 0.0])
    np.testing.assert_allclose(asked[1][0], first, atol=1e-8)
    # Step 2: mean (0.9 * 0.1 a + 0.1 b) / 0.19, mean square (0.999 * 0.001 a^2 + 0.001 b^2) / 0.001999.
    mean = np.array([0.28 / 0.19, 0.005 / 0.19, 1e-5 / 0.19])
    square = np.array([0.004996 / 0.001999, 0.00049975 / 0.001999, 1e-11 / 0.001999])
    np.testing.assert_allclose(after.params, first - 0.1 * mean / (np.sqrt(square) + 1e-8), atol=1e-8)
    assert len(asked) == 2


def test_adams_first_step_has_the_size_of_lr_whatever_the_gradient_and_the_second_remembers_it():
    for momentum in (0.0, 0.5, 0.9):
        adam, gradient = Adam(0.1, momentum), np.array([1e-3, -7.0])
        params = adam.descend(np.zeros(2), gradient)
        np.testing.assert_allclose(params, [-0.1, 0.1], rtol=1e-4)
        # Gradients g and then 0: what is left of the mean, over the root of what is left of the square.
        left = momentum / (1 + momentum) / np.sqrt(0.999 / 1.999)
        np.testing.assert_allclose(adam.descend(params, np.zeros(2)) - params, left * params, rtol=1e-4)



@pytest.mark.parametrize("n, batch_size, sizes", [(10, 3, [2, 2, 3, 3]), (8, 4, [4, 4]), (3, 10, [3]), (5, 1, [1] * 5)])
def test_an_epoch_sees_every_point_once_in_batches_of_at_most_the_size_and_in_a_new_order(n, batch_size, sizes):
    asked, x = [], np.arange(n, dtype=float)[:, None]
    model = Slope([0.0], [[0.0]] * 100, asked)
    train(model, x, np.arange(n), epochs=4, batch_size=batch_size, lr=0.1, rng=np.random.default_rng(6))
    assert sorted(len(batch) for _, batch, _ in asked[: len(sizes)]) == sizes
    epochs = [asked[i : i + len(sizes)] for i in range(0, len(asked), len(sizes))]
    orders = {tuple(np.concatenate([batch[:, 0] for _, batch, _ in epoch])) for epoch in epochs}
    assert all(sorted(order) == list(range(n)) for order in orders) and len(orders) > 1
    assert all((batch[:, 0] == labels).all() for _, batch, labels in asked)


def test_the_attack_is_given_the_model_as_it_is_and_its_points_are_the_ones_trained_on():
    asked, given = [], []

    def attack(model, x, y):
        given.append((model.params, x.copy(), y))
        return x + 100

    model = Slope([0.0, 1.0], [[1.0, 2.0]] * 6, asked)
    rng = np.random.default_rng(7)
    train(model, [[1.0], [2.0], [3.0]], [0, 1, 2], epochs=2, batch_size=1, lr=0.1, rng=rng, attack=attack)
    assert len(asked) == len(given) == 6
    for (params, batch, labels), (attacked_params, clean, clean_labels) in zip(asked, given):
        np.testing.assert_array_equal(params, attacked_params)
        np.testing.assert_array_equal(batch, clean + 100)
        np.testing.assert_array_equal(labels, clean_labels)
    assert len({tuple(params) for params, _, _ in given}) == 6  # a new model each time


@pytest.mark.parametrize("seed", range(3))
def test_training_on_attacked_batches_gives_accuracy_under_attack(seed):
    def attack(model, x, y):
        return pgd(model, x, y, 0.2, steps=5)

    left = [robust_accuracy(trained(seed, attack=a), *moons(103), attack) for a in (None, attack)]
    assert left[1] > left[0] + 0.03


def test_after_each_epoch_the_model_of_that_epoch_is_shown():
    shown = []
    last = trained(epochs=3, after_epoch=lambda epoch, model: shown.append((epoch, model.params.copy())))
    assert [epoch for epoch, _ in shown] == [1, 2, 3]
    np.testing.assert_array_equal(shown[-1][1], last.params)
    np.testing.assert_array_equal(shown[0][1], trained(epochs=1).params)


@pytest.mark.parametrize(
    "returned",
    [np.zeros((1, 1)), np.zeros(2), None, np.full((2, 1), math.nan), np.array([["a"], ["b"]]), RAGGED],
    ids=["fewer", "flat", "nothing", "nan", "text", "ragged"],
)
def test_an_attack_that_returns_something_else_is_refused(returned):
    with pytest.raises(ValueError, match=r"^attack\b"):
        train(**TRAINABLE | {"attack": lambda model, x, y: returned})


# The exact min-max solution.


def robust_loss(w, b, x, y, eps, p):
    """The mean worst-case logistic loss of a linear score, from numpy's norms alone."""
    margin = np.where(y == 1, 1, -1) * (x @ w + b) - eps * np.linalg.norm(w, DUAL[p])
    return np.logaddexp(0, -margin).mean()


def solved(x, y, eps, p):
    """(w, b) by sequential quadratic programming in w and a bound t >= ||w||_q, features scaled to unit spread.

    ||w||_1 <= t is written with the parts of w = u - v; ||w||_2 <= t as it stands; ||w||_inf <= t by coordinates.
    """
    centre, spread = x.mean(axis=0), x.std(axis=0)
    z, sign, d = (x - centre) / spread, np.where(y == 1, 1.0, -1.0), x.shape[1]
    weigh = 1 / spread  # w = weigh * (its value in the scaled features)
    parts = np.hstack([np.eye(d), -np.eye(d)]) if p == math.inf else np.eye(d)

    def objective(v):
        w, b, t = parts @ v[:-2], v[-2], v[-1]
        exponent = t - sign * (z @ w + b)
        pull = expit(exponent) / len(y)
        gradient = np.concatenate([parts.T @ (-(pull * sign) @ z), [-(pull * sign).sum(), pull.sum()]])
        return np.logaddexp(0, exponent).mean(), gradient

    if p == 2:

        def cone(v):
            return np.array([v[-1] - eps * np.linalg.norm(weigh * v[:d])])

        def slope(v):
            pull = -eps * weigh**2 * v[:d] / np.linalg.norm(weigh * v[:d])
            return np.concatenate([pull, [0.0, 1.0]])[None]

        constraint = {"type": "ineq", "fun": cone, "jac": slope}
    else:
        rows = np.tile(eps * weigh, 2)[None] if p == math.inf else eps * np.vstack([np.diag(weigh), -np.diag(weigh)])
        rows = np.hstack([-rows, np.zeros((len(rows), 1)), np.ones((len(rows), 1))])
        constraint = {"type": "ineq", "fun": lambda v: rows @ v, "jac": lambda v: rows}
    start = np.concatenate([np.full(parts.shape[1], 0.1), [0.0], [eps * weigh.sum()]])
    limits = [(0 if p == math.inf else None, None)] * parts.shape[1] + [(None, None), (0, None)]
    options = {"ftol": 1e-14, "maxiter": 1000}
    found = minimize(objective, start, jac=True, method="SLSQP", bounds=limits, constraints=constraint, options=options)
    w = weigh * (parts @ found.x[:-2])
    return w, found.x[-2] - w @ centre


def problem(name):
    """Training data of several kinds, none of them separable."""
    rng = np.random.default_rng(1)
    demo = chapter_demo()[:2]
    x = rng.standard_normal((90, 5))
    y = (x @ [2.0, -1.0, 0.5, 0.0, 0.1] + rng.logistic(size=90) + 0.5 > 0).astype(int)
    return {
        "demo": demo,
        "demo, far from the origin": (demo[0] + 10, demo[1]),
        "demo, another origin for each feature": (demo[0] + [-4, 30], demo[1]),
        "demo, one feature in units of a tenth": (demo[0] * [1, 0.1], demo[1]),
        "five features": (x, y),
        "five features, far from the origin": (x + 10 * rng.standard_normal(5), y),
        "five features of mixed scale": (x * [1, 10, 0.1, 3, 0.3], y),
        "few points": (x[:14, :2], (x[:14, 0] > 2 * rng.standard_normal(14)).astype(int)),
        "one feature": (x[:, :1], y),
        "unbalanced": (x[np.r_[np.flatnonzero(y)[:6], np.flatnonzero(y == 0)]], np.repeat([1, 0], [6, (y == 0).sum()])),
    }[name]


PROBLEMS = [
    "demo",
    "demo, far from the origin",
    "demo, another origin for each feature",
    "demo, one feature in units of a tenth",
    "five features",
    "five features, far from the origin",
    "five features of mixed scale",
    "few points",
    "one feature",
    "unbalanced",
]


def refuses(x, y, eps, p):
    try:
        robust_logistic(x, y, eps, p)
    except ValueError as error:
        assert "no robust fit" in str(error)
        return True
    return False


def mean_distance(x, y, p):
    return np.linalg.norm(x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0), p)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("p", P)
def test_the_robust_fit_is_what_a_general_solver_finds(p, name, share):
    x, y = problem(name)
    eps = share * mean_distance(x, y, p)  # at half of that distance the fit gives up
    model = robust_logistic(x, y, eps, p)
    w, b = solved(x, y, eps, p)
    best = robust_loss(w, b, x, y, eps, p)
    assert robust_loss(model.coef, model.intercept, x, y, eps, p) <= best + 1e-8
    size = np.abs(w).max()
    np.testing.assert_allclose(model.coef / size, w / size, atol=1e-4)
    score = x @ model.coef + model.intercept
    np.testing.assert_allclose(score, x @ w + b, atol=1e-3)


def distance_from_the_minimum(model, x, y, eps, p):
    """How far a nonzero robust fit is from the condition for a minimum: zero means that it is one.

    With g the slope of the loss in w that the norm does not account for, and a the mean pull of a point, a minimum has
    -g equal to eps a times a vector of unit l_p norm along which w has its whole l_q norm. That is Hoelder's equality.
    The slope in the intercept is zero.
    """
    w, sign = model.coef, np.where(y == 1, 1, -1)
    pull = expit(eps * np.linalg.norm(w, DUAL[p]) - sign * (x @ w + model.intercept))
    z = x - x.mean(axis=0)
    g, a = -(pull * sign) @ z / len(y), eps * pull.mean()
    return max(
        abs(np.linalg.norm(g, p) / a - 1),
        abs(-g @ w / (a * np.linalg.norm(w, DUAL[p])) - 1),
        abs((pull * sign).sum() / pull.sum()),
    )


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("p", P)
def test_the_robust_fit_meets_the_condition_for_a_minimum(p, name, share):
    x, y = problem(name)
    eps = share * mean_distance(x, y, p)
    assert distance_from_the_minimum(robust_logistic(x, y, eps, p), x, y, eps, p) < 1e-4


@pytest.mark.parametrize("origin", [0, 10])
@pytest.mark.parametrize("scales", [0, 2])
@pytest.mark.parametrize("p", P)
def test_robust_fits_to_random_data_meet_the_condition_for_a_minimum(p, scales, origin):
    rng = np.random.default_rng(16)
    worst = 0
    for _ in range(60):
        d = rng.integers(1, 9)
        n = rng.integers(8, 120)
        x = rng.standard_normal((n, d))
        y = (x[:, 0] * rng.uniform(0, 3) + rng.standard_normal(n) > rng.standard_normal()).astype(int)
        x = (x + origin * rng.standard_normal(d)) * 10 ** rng.uniform(-scales, scales, size=d)
        y[:2] = 0, 1
        eps = rng.choice([0.01, 0.1, 0.3]) * mean_distance(x, y, p)
        if not refuses(x, y, eps, p):
            worst = max(worst, distance_from_the_minimum(robust_logistic(x, y, eps, p), x, y, eps, p))
    assert 0 < worst < 1e-3


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("p", P)
def test_no_small_change_lowers_the_robust_loss(p, name):
    x, y = problem(name)
    eps = 0.1 * mean_distance(x, y, p)
    model = robust_logistic(x, y, eps, p)
    least = robust_loss(model.coef, model.intercept, x, y, eps, p)
    rng = np.random.default_rng(2)
    centre, spread = x.mean(axis=0), x.std(axis=0)
    for size in 10.0 ** -np.arange(1, 7):
        for _ in range(60):
            # One feature or all, in units of its spread, with the score at the centre of the data moved apart.
            change = rng.standard_normal(len(spread)) * (rng.uniform(size=len(spread)) < rng.choice([0.3, 1])) / spread
            w = model.coef + size * change
            b = model.intercept - size * change @ centre + size * rng.standard_normal() * rng.integers(0, 2)
            assert robust_loss(w, b, x, y, eps, p) >= least - 1e-10


@pytest.mark.parametrize("p", P)
def test_without_attack_the_robust_fit_is_the_fit(p):
    x, y = problem("five features")
    model, plain = robust_logistic(x, y, 0, p), LogisticRegression.fit(x, y)
    np.testing.assert_array_equal(model.coef, plain.coef)
    assert model.intercept == plain.intercept
    near = robust_logistic(x, y, 1e-6, p)
    np.testing.assert_allclose(near.coef, plain.coef, atol=1e-4)  # and it is where small budgets lead


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("p", P)
def test_the_robust_fit_gives_up_from_half_the_distance_of_the_means_on(p, name):
    x, y = problem(name)
    # At w = 0 the loss falls along v by share0 share1 ((mean1 - mean0).v - 2 eps ||v||_q): see Hoelder, once more.
    limit = mean_distance(x, y, p) / 2
    for factor in (1.001, 2, 1e6):
        model = robust_logistic(x, y, factor * limit, p)
        np.testing.assert_array_equal(model.coef, np.zeros(x.shape[1]))
        assert model.intercept == pytest.approx(math.log(y.mean() / (1 - y.mean())), abs=1e-12)
    # Just below, it does not: but it may then hold on to very little.
    below = robust_logistic(x, y, 0.98 * limit, p)
    assert below.coef.any()
    giving_up = robust_loss(np.zeros(x.shape[1]), math.log(y.mean() / (1 - y.mean())), x, y, 0, p)
    assert robust_loss(below.coef, below.intercept, x, y, 0.98 * limit, p) < giving_up


@pytest.mark.parametrize("p", P)
def test_the_least_robust_loss_grows_with_the_budget(p):
    x, y = problem("five features")
    budgets = np.linspace(0, 0.5, 12) * mean_distance(x, y, p)
    fits = [robust_logistic(x, y, eps, p) for eps in budgets]
    losses = [robust_loss(m.coef, m.intercept, x, y, eps, p) for m, eps in zip(fits, budgets)]
    assert (np.diff(losses) > 0).all()


@pytest.mark.parametrize("move", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("p", P)
def test_where_the_origin_lies_does_not_matter(p, move):
    x, y, _, _ = chapter_demo()
    for eps in (0.1, 0.3):
        plain, moved = robust_logistic(x, y, eps, p), robust_logistic(x + move, y, eps, p)
        np.testing.assert_allclose(moved.coef, plain.coef, atol=1e-5)
        assert moved.intercept + move * plain.coef.sum() == pytest.approx(plain.intercept, abs=1e-5 * (1 + 2 * move))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("p", P)
def test_units_of_the_inputs_and_of_the_budget_do_not_matter(p, scale):
    x, y, _, _ = chapter_demo()
    plain, scaled = robust_logistic(x, y, 0.3, p), robust_logistic(scale * x, y, scale * 0.3, p)
    np.testing.assert_allclose(scaled.coef * scale, plain.coef, rtol=1e-4)
    assert scaled.intercept == pytest.approx(plain.intercept, abs=1e-4)


def test_swapping_the_classes_or_the_order_of_the_points_changes_nothing_else():
    x, y = problem("five features")
    model, order = robust_logistic(x, y, 0.2), np.random.default_rng(3).permutation(len(x))
    swapped, shuffled = robust_logistic(x, 1 - y, 0.2), robust_logistic(x[order], y[order], 0.2)
    np.testing.assert_allclose(-swapped.coef, model.coef, atol=1e-5)
    np.testing.assert_allclose(shuffled.coef, model.coef, atol=1e-5)


# Separable data have no robust fit, until the adversary closes the gap.

GAP = np.array([[-0.5, 1.0], [-0.5, -1.0], [-0.7, 0.2], [-3.0, 0.0], [0.5, 1.0], [0.5, -1.0], [1.0, 0.3], [2.0, -2.0]])
GAP_LABELS = np.repeat([0, 1], 4)


@pytest.mark.parametrize("eps", [0.001, 0.1, 0.3, 0.49])
@pytest.mark.parametrize("p", P)
def test_data_that_stay_separable_under_attack_are_refused_with_the_reason(p, eps):
    with pytest.raises(ValueError, match="no robust fit.*separates"):
        robust_logistic(GAP, GAP_LABELS, eps, p)


@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize("p", P)
def test_separable_data_have_a_robust_fit_once_the_attack_closes_the_gap(p, offset):
    x = GAP + offset
    for eps in (0.51, 0.6, 0.9):
        model = robust_logistic(x, GAP_LABELS, eps, p)
        w, b = solved(x, GAP_LABELS, eps, p)
        found = robust_loss(model.coef, model.intercept, x, GAP_LABELS, eps, p)
        assert found <= robust_loss(w, b, x, GAP_LABELS, eps, p) + 1e-8


@pytest.mark.parametrize("p", P)
def test_random_separable_data_are_refused_with_the_reason(p):
    rng = np.random.default_rng(4)
    for _ in range(10):
        x = rng.standard_normal((25, 3))
        score = x @ rng.standard_normal(3) + 0.3
        x = x[np.abs(score) > 0.3]
        y = (score[np.abs(score) > 0.3] > 0).astype(int)
        with pytest.raises(ValueError, match="no robust fit.*separates"):
            robust_logistic(x, y, 0.01, p)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("p", P)
def test_two_points_are_separable_up_to_half_their_distance(p, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 1 + seed)) + 3
    margin = np.linalg.norm(x[1] - x[0], p) / 2  # two balls have a plane between them until they touch
    refused = [refuses(x, [0, 1], factor * margin, p) for factor in (0.01, 0.5, 0.99, 1.01, 2)]
    assert refused == [True, True, True, False, False]


def walls(rng, n, d, margin):
    """Two classes at first coordinate +margin and -margin or beyond, with a point of each facing the other's."""
    across = rng.standard_normal((n, d - 1))
    distance = margin + np.where(np.arange(n) < n // 2, 0, rng.exponential(size=n))[:, None]
    x = np.concatenate([np.hstack([-distance, across]), np.hstack([distance, across])])
    return x, np.repeat([0, 1], n)


@pytest.mark.parametrize("n, d", [(5, 2), (15, 4), (20, 8)])
@pytest.mark.parametrize("p", P)
def test_two_walls_are_separable_up_to_half_their_distance(p, n, d):
    x, y = walls(np.random.default_rng(12), n, d, margin=0.4)
    assert [refuses(x, y, eps, p) for eps in (0.01, 0.3, 0.396, 0.404, 0.5)] == [True, True, True, False, False]


@pytest.mark.parametrize("seed", range(3))
def test_turned_walls_are_separable_under_l_2_up_to_half_their_distance(seed):
    rng = np.random.default_rng(seed)
    x, y = walls(rng, 20, 5, margin=0.4)
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    x = x @ turn + rng.standard_normal(5)
    assert [refuses(x, y, eps, 2) for eps in (0.01, 0.3, 0.396, 0.404, 0.5)] == [True, True, True, False, False]


@pytest.mark.parametrize("far", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("p", P)
def test_one_far_point_does_not_make_mixed_classes_separable(p, far):
    x, y = np.array([[-2.0], [-1.0], [0.4], [-0.4], [1.0], [2.0], [far]]), np.array([0, 0, 0, 1, 1, 1, 1])
    model = robust_logistic(x, y, 0.1, p)
    near = robust_logistic(x[:-1], y[:-1], 0.1, p)
    # The far point, sure as it is, adds nothing to the loss of the others, so the fit is theirs.
    np.testing.assert_allclose(model.coef, near.coef, rtol=1e-3)
    np.testing.assert_allclose(model.intercept, near.intercept, atol=1e-3)


@pytest.mark.parametrize("fit", [augmented_logistic, robust_logistic])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_data_of_one_class_are_refused(fit, label, eps):
    with pytest.raises(ValueError, match=f"^y must hold both labels, got only {label}"):
        fit([[0.0], [1.0], [2.0]], [label] * 3, eps)


# What the chapter says of the defence.


def gains(fit, law, eps, seeds):
    """What the fit adds to the standard model's accuracy, clean and attacked, for each redraw of the demo."""
    differences = []
    for seed in seeds:
        x_train, y_train, x_test, y_test = chapter_demo(seed=seed, law=law)
        attack = lambda model, x, y: fgsm(model, x, y, eps)
        clean, attacked = (
            [measure(model) for model in (LogisticRegression.fit(x_train, y_train), fit(x_train, y_train, eps))]
            for measure in (
                lambda model: accuracy(model, x_test, y_test),
                lambda model: robust_accuracy(model, x_test, y_test, attack),
            )
        )
        differences.append([clean[1] - clean[0], attacked[1] - attacked[0]])
    differences = np.array(differences)
    return differences.mean(axis=0), differences.std(axis=0, ddof=1) / math.sqrt(len(differences))


@pytest.mark.claim("C34", "refutes")
def test_over_redraws_of_the_demo_the_defence_gains_nothing():
    mean, error = gains(augmented_logistic, DEMO, 1.0, range(1, 401))
    # No gain under attack, let alone a large one: at most a fifth of a point is compatible with 400 redraws.
    assert mean[1] + 3 * error[1] < 0.002
    # What it costs without attack is real, and under half a point.
    assert -0.005 < mean[0] - 3 * error[0] and mean[0] + 3 * error[0] < 0


@pytest.mark.claim("C34", "refutes")
def test_no_rule_could_gain_on_the_demo_since_its_budget_makes_the_classes_one():
    assert DEMO.best_robust_accuracy(1.0)[0] == pytest.approx(0.5, abs=1e-12)


# One feature is strong but noisy in the same units as the attack, the other weak and precise: the standard rule leans
# on the second, which an attack of half a unit turns around.
LEANING = TwoGaussians([-1, -0.25], [1, 0.25], [[1, 0.075], [0.075, 0.0625]])


@pytest.mark.claim("C34", "supports")
def test_where_a_robust_rule_exists_the_exact_defence_trades_some_clean_accuracy_for_a_large_gain():
    mean, error = gains(robust_logistic, LEANING, 0.5, range(1, 101))
    assert mean[1] - 3 * error[1] > 0.2
    assert mean[0] + 3 * error[0] < -0.03
    assert mean[0] > -0.1  # some, not all


@pytest.mark.claim("C34", "refutes")
def test_there_the_chapters_augmentation_gains_nothing():
    mean, error = gains(augmented_logistic, LEANING, 0.5, range(1, 101))
    assert mean[1] + 3 * error[1] < 0.01
    assert mean[0] + 3 * error[0] < -0.05


@pytest.mark.parametrize("p", P)
def test_a_search_that_goes_on_improving_ends(p, monkeypatch):
    calls = []

    def a_little_better(objective, start, **options):
        calls.append(1)
        return SimpleNamespace(x=start, fun=-float(len(calls)))

    monkeypatch.setattr(training, "minimize", a_little_better)
    robust_logistic(*problem("few points"), 0.1, p)
    assert len(calls) == 20


# Bad input.


@pytest.mark.parametrize("p", P)
def test_arguments_are_left_as_they_were(p):
    x, y = frozen(*problem("few points"))
    before = x.copy(), y.copy()
    augmented_logistic(x, y, 0.1, p)
    robust_logistic(x, y, 0.1, p)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_integer_and_float32_inputs_are_fitted_in_float64():
    x, y = np.array([[0], [2], [1], [3], [-1], [4]]), np.array([0, 0, 1, 1, 0, 1])
    for fit in (augmented_logistic, robust_logistic):
        expected = fit(x.astype(float), y, 0.25)
        for inputs in (x, x.astype(np.float32)):
            model = fit(inputs, y, 0.25)
            assert model.coef.dtype == np.float64
            np.testing.assert_allclose(model.coef, expected.coef, rtol=1e-6)


TRAINABLE = {
    "model": LogisticRegression([1.0], 0.0),
    "x": np.array([[0.0], [2.0]]),
    "y": np.array([0, 1]),
    "epochs": 1,
    "batch_size": 2,
    "lr": 0.1,
    "rng": np.random.default_rng(0),
}
FITTABLE = {"x": np.array([[0.0], [2.0], [1.0], [3.0]]), "y": np.array([0, 0, 1, 1]), "eps": 0.1, "p": 2}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(train, TRAINABLE, x=NOT_INPUTS | {"another width": np.ones((2, 3))}, y=NOT_BINARY_LABELS),
        *refusals(train, TRAINABLE, epochs=NOT_A_POSITIVE_COUNT, batch_size=NOT_A_POSITIVE_COUNT),
        *refusals(train, TRAINABLE, lr=NOT_A_BUDGET | {"zero": 0.0}, rng=NOT_A_GENERATOR),
        *refusals(Adam, {"lr": 0.1}, lr=NOT_A_BUDGET | {"zero": 0.0}),
        *refusals(Adam, {"lr": 0.1, "momentum": 0.5}, momentum=NOT_A_BUDGET | {"one": 1.0}),
    ]
    + [
        row
        for fit in (augmented_logistic, robust_logistic)
        for row in refusals(fit, FITTABLE, x=NOT_INPUTS, y=NOT_BINARY_LABELS, eps=NOT_A_BUDGET, p=NOT_AN_EXPONENT)
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)
