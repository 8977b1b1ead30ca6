"""Section 62.1: distances to a boundary, how a score's swing grows with the dimension, gradient against noise."""

import itertools
import math

import numpy as np
import pytest
from helpers import NOT_AN_EXPONENT, NOT_A_NUMBER, NOT_A_POSITIVE_COUNT, NOT_INPUTS, NOT_LABELS, RAGGED
from helpers import assert_refused, frozen, not_an_array, refusals
from scipy.optimize import brentq, linprog, minimize
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from adv_companion.attacks import accuracy, fgsm, pgd, smallest_budget
from adv_companion.datasets import chapter_demo, digits
from adv_companion.models import MLP, LogisticRegression
from adv_companion.norms import distance_to_hyperplane, dual_norm, linear_maximizer
from adv_companion.training import train

P = [1, 2, math.inf]


def plane_and_points(seed, n=8, d=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(d), 0.7, rng.standard_normal((n, d))


# The distance from a point to a hyperplane.


def nearest_by_solver(w, b, x, p):
    """The smallest ||delta||_p with w.(x + delta) + b = 0, by a programme that knows no dual norm."""
    d, gap = len(w), -(w @ x + b)
    if p == 2:
        on_plane = {"type": "eq", "fun": lambda delta: delta @ w - gap, "jac": lambda delta: w}
        found = minimize(
            lambda delta: delta @ delta, np.zeros(d), jac=lambda delta: 2 * delta, constraints=on_plane,
            options={"ftol": 1e-15},
        )  # fmt: skip
        return math.sqrt(found.fun)
    # delta = u - v with u, v >= 0; p = 1 adds them up, p = inf keeps each u_i + v_i below one number t.
    if p == 1:
        return linprog(np.ones(2 * d), A_eq=[np.concatenate([w, -w])], b_eq=[gap]).fun
    below_t = np.hstack([np.eye(d), np.eye(d), -np.ones((d, 1))])
    cost = np.append(np.zeros(2 * d), 1)
    return linprog(cost, A_ub=below_t, b_ub=np.zeros(d), A_eq=[np.concatenate([w, -w, [0]])], b_eq=[gap]).fun


@pytest.mark.parametrize("p", P)
def test_the_distance_is_what_an_optimiser_finds(p):
    w, b, x = plane_and_points(1)
    found = [nearest_by_solver(w, b, row, p) for row in x]
    np.testing.assert_allclose(distance_to_hyperplane(w, b, x, p), found, rtol=1e-6)


def test_distances_worked_out_by_hand():
    x = [[1.0, 1.0], [0.0, 0.0], [-2.0, 0.25]]  # scores 3*x1 - 4*x2 + 6: 5, 6, -1
    for p, slope in ((1, 4), (2, 5), (math.inf, 7)):
        np.testing.assert_allclose(distance_to_hyperplane([3.0, -4.0], 6.0, x, p), np.array([5, 6, 1]) / slope)


@pytest.mark.parametrize("p", P)
def test_the_best_step_of_that_size_lands_on_the_plane_and_no_shorter_step_does(p):
    w, b, x = plane_and_points(2)
    for row, distance in zip(x, distance_to_hyperplane(w, b, x, p)):
        step = -np.sign(row @ w + b) * linear_maximizer(w[None], distance, p)[0]
        assert abs((row + step) @ w + b) < 1e-14
        shorter = np.random.default_rng(3).standard_normal((2000, len(w)))
        shorter *= 0.999 * distance / np.linalg.norm(shorter, p, axis=1)[:, None]
        assert (np.sign((row + shorter) @ w + b) == np.sign(row @ w + b)).all()


@pytest.mark.parametrize("p", P)
def test_distance_knows_no_scale_of_the_score_and_no_side_and_moves_with_the_points(p):
    w, b, x = plane_and_points(4)
    plain = distance_to_hyperplane(w, b, x, p)
    np.testing.assert_allclose(distance_to_hyperplane(-30 * w, -30 * b, x, p), plain, rtol=1e-13)
    np.testing.assert_allclose(distance_to_hyperplane(w, b - w.sum(), x + 1, p), plain, rtol=1e-12)
    np.testing.assert_allclose(distance_to_hyperplane(w, 10 * b, 10 * x, p), 10 * plain, rtol=1e-13)
    np.testing.assert_array_equal(distance_to_hyperplane(w, 0.0, np.zeros((1, 5)), p), [0.0])


@pytest.mark.parametrize("p", P)
def test_logistic_labels_flip_exactly_when_the_budget_passes_the_distance(p):
    w, b, x = plane_and_points(5, n=200)
    model = LogisticRegression(w, b)
    label, distance = model.predict(x), distance_to_hyperplane(w, b, x, p)
    for eps in (0.05, 0.2, 0.6):
        flipped = model.predict(fgsm(model, x, label, eps, p)) != label
        np.testing.assert_array_equal(flipped, distance < eps)


# The smallest budget that changes a label.


@pytest.mark.parametrize("p", P)
def test_for_a_linear_score_the_smallest_budget_is_the_distance(p):
    w, b, x = plane_and_points(6, n=60)
    model = LogisticRegression(w, b)
    found = smallest_budget(model, x, model.predict(x), [0.05, 0.3, 1.0, 20.0], p)
    np.testing.assert_allclose(found, distance_to_hyperplane(w, b, x, p), rtol=1e-9)


@pytest.mark.parametrize("p", P)
def test_between_several_linear_scores_it_is_the_nearest_of_the_distances(p):
    model = MLP([4, 3], np.random.default_rng(7))  # no hidden layer: three linear scores
    x = np.random.default_rng(8).standard_normal((40, 4))
    label = model.predict(x)
    gaps = []
    for k in range(3):
        w = model.weights[0][:, [k]] - model.weights[0][:, label]
        score = (x * w.T).sum(axis=1)
        gaps.append(np.where(label == k, np.inf, np.abs(score) / np.maximum(dual_norm(w.T, p), 1e-300)))
    nearest = np.min(gaps, axis=0)
    found = smallest_budget(model, x, label, np.geomspace(0.01, 10, 40), p)
    # An attack on the loss may head for the farther of the two classes, so it is a bound, and mostly a close one.
    assert (found >= nearest * (1 - 1e-9)).all()
    assert np.median(found / nearest) < 1.1 and np.mean(found < 1.25 * nearest) > 0.75


class Band:
    """Two classes: 1 in the strip low < x_1 < high, 0 elsewhere. The loss is smooth and largest far from the strip."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def predict(self, x):
        return ((x[:, 0] > self.low) & (x[:, 0] < self.high)).astype(int)

    def loss(self, x, y):
        return self.loss_and_input_grad(x, y)[0]

    def loss_and_input_grad(self, x, y):
        off = x[:, 0] - (self.low + self.high) / 2
        gradient = np.zeros_like(x)
        gradient[:, 0] = np.where(y == 1, 2, -2) * off
        return np.where(y == 1, 1, -1) * off**2, gradient


def test_the_line_to_the_attacked_point_is_searched_for_where_the_label_turns():
    # Budget 5 carries the point far past the edge at 2.0; the answer is the edge, not 5.
    found = smallest_budget(Band(-2.0, 2.0), np.array([[0.5, 9.0], [-1.5, 0.0]]), [1, 1], [0.1, 5.0])
    np.testing.assert_allclose(found, [1.5, 0.5], rtol=1e-9)


def test_a_row_that_is_wrong_already_needs_nothing_and_one_out_of_reach_gets_infinity():
    model = LogisticRegression([1.0, 1.0], 0.0)
    x = [[1.0, 1.0], [1.0, 1.0], [9.0, 9.0], [0.2, 0.0]]
    found = smallest_budget(model, x, [0, 1, 1, 1], [0.5, 1.5])
    np.testing.assert_allclose(found, [0, 1, math.inf, 0.1], rtol=1e-9)
    np.testing.assert_array_equal(smallest_budget(model, x[:1], [0], [0.5]), [0.0])


def network(seed=0, d=6):
    rng = np.random.default_rng(seed)
    model, x = MLP([d, 20, 3], rng), rng.uniform(0, 1, (80, d))
    return model, x, model.predict(x)


class Witness:
    """A network that remembers every input it was asked to label, and what it answered."""

    def __init__(self, model):
        self.model, self.seen, self.said = model, [], []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def predict(self, x):
        self.seen.append(x)
        self.said.append(self.model.predict(x))
        return self.said[-1]


@pytest.mark.parametrize("bounds", [None, (0, 1)])
@pytest.mark.parametrize("p", P)
def test_a_wrong_answer_was_seen_at_the_distance_returned_and_none_nearer_by(p, bounds):
    model, x, y = network()
    for i in range(4):
        witness = Witness(model)
        (found,) = smallest_budget(witness, x[i : i + 1], y[i : i + 1], np.geomspace(0.01, 4, 25), p, bounds=bounds)
        seen, said = np.concatenate(witness.seen), np.concatenate(witness.said)
        away = np.linalg.norm(seen - x[i], p, axis=1)[said != y[i]]
        if np.isinf(found):
            assert len(away) == 0
        else:
            assert abs(away.min() - found) < 1e-14 < found
        if bounds is not None:
            assert seen.min() >= 0 and seen.max() <= 1


def test_the_distance_is_close_to_the_nearest_wrong_point_of_a_fine_grid():
    # Two features: every point around x can be tried.
    model, x, y = network(seed=3, d=2)
    ticks = np.linspace(-1, 1, 201)
    steps = np.array(list(itertools.product(ticks, ticks)))
    for p in P:
        found = smallest_budget(model, x[:8], y[:8], np.geomspace(0.01, 4, 40), p)
        for point, label, distance in zip(x, y, found):
            wrong = model.predict(point + steps) != label
            nearest = np.linalg.norm(steps[wrong], p, axis=1).min() if wrong.any() else math.inf
            # ticks are 0.01 apart, so the grid overshoots by up to 0.01 in l_inf and 0.02 in l_1
            assert distance >= nearest - 0.02 and (distance < 1.25 * nearest or nearest == math.inf)


def test_within_bounds_a_feature_at_the_wall_leaves_its_share_to_the_others():
    w, b = np.array([2.0, -1.0, 0.5, -3.0]), 1.3
    model, x = LogisticRegression(w, b), np.random.default_rng(15).uniform(0, 1, (60, 4))
    label = model.predict(x)
    toward = np.where(label == 1, -1, 1)[:, None] * np.sign(w)  # the way each feature moves
    room = np.where(toward > 0, 1 - x, x)

    def score_taken(t, row):
        return np.minimum(t, room[row]) @ np.abs(w) - abs(x[row] @ w + b)

    nearest = [brentq(score_taken, 0, 1, args=(row,), xtol=1e-14) for row in range(60)]
    found = smallest_budget(model, x, label, np.geomspace(0.001, 1, 300), steps=10, bounds=(0, 1))
    # The line runs to the corner of the tried budget, a little past the nearest point: at most one budget's ratio off.
    assert (found >= np.array(nearest) - 1e-9).all() and (found <= 1.024 * np.array(nearest) + 0.001).all()
    assert (found > 1.05 * distance_to_hyperplane(w, b, x, math.inf)).mean() > 0.05


def test_where_the_legal_inputs_all_have_one_label_no_budget_is_enough():
    model, x = LogisticRegression([1.0, 2.0], 0.1), np.random.default_rng(16).uniform(0, 1, (9, 2))
    assert np.isinf(smallest_budget(model, x, np.ones(9, int), [0.5, 5.0], bounds=(0, 1))).all()
    assert np.isfinite(smallest_budget(model, x, np.ones(9, int), [0.5, 5.0])).all()


def test_inputs_stay_as_they_were_and_a_row_does_not_depend_on_its_batch():
    model, x, y = network(seed=2)
    x, y = frozen(x, y)
    budgets = frozen(np.geomspace(0.01, 4, 25))
    found = smallest_budget(model, x, y, budgets, 2)
    alone = [smallest_budget(model, x[i : i + 1], y[i : i + 1], budgets, 2)[0] for i in range(3)]
    np.testing.assert_allclose(found[:3], alone, rtol=1e-9)


def test_no_more_budgets_are_tried_than_needed():
    class Counting(LogisticRegression):
        asked = 0

        def loss_and_input_grad(self, x, y):
            Counting.asked += len(x)
            return super().loss_and_input_grad(x, y)

    smallest_budget(Counting([1.0], 0.0), [[0.5], [2.0]], [1, 1], [1.0, 3.0, 9.0, 27.0], steps=4)
    assert Counting.asked == 4 * 2 + 4 * 1  # both rows at 1, the far one at 3, then done


# C03 and C04: how far one step moves a linear score.


@pytest.mark.claim("C03", "supports")
def test_no_step_moves_a_linear_score_by_more_than_eps_times_the_l_1_norm_and_one_moves_it_by_that():
    w, b, x = plane_and_points(9, n=1, d=9)
    step = linear_maximizer(w[None], 0.03, math.inf)[0]
    assert abs((x[0] + step) @ w - x[0] @ w - 0.03 * np.abs(w).sum()) < 1e-14
    corners = 0.03 * np.array(list(itertools.product([-1, 1], repeat=9)))  # a linear score is largest in a corner
    np.testing.assert_allclose((corners @ w).max(), 0.03 * np.abs(w).sum(), rtol=1e-13)


DIMENSIONS = 2 ** np.arange(4, 13)


def slope(values):
    """The slope of log values over log d."""
    return np.polyfit(np.log(DIMENSIONS), np.log(values), 1)[0]


def swing_and_spread(weights_of, eps=0.01):
    """eps ||w||_1, the spread of eps * (random signs).w, that of the score on independent inputs: a value a d."""
    rng = np.random.default_rng(10)
    rows = []
    for d in DIMENSIONS:
        w = weights_of(d, rng)
        noise = eps * rng.choice([-1.0, 1.0], (500, d)) @ w
        score = rng.standard_normal((500, d)) @ w
        rows.append((eps * np.abs(w).sum(), noise.std(), score.std()))
    return np.array(rows).T


@pytest.mark.claim("C04", "supports")
def test_with_weights_of_a_fixed_size_the_swing_grows_like_d_and_all_else_like_its_root():
    swing, noise, score = swing_and_spread(lambda d, rng: rng.standard_normal(d))
    np.testing.assert_allclose([slope(swing), slope(noise), slope(score)], [1, 0.5, 0.5], atol=0.06)
    np.testing.assert_allclose([slope(swing / score), slope(noise / score)], [0.5, 0], atol=0.06)
    np.testing.assert_allclose(swing / score, 0.01 * np.sqrt(2 * DIMENSIONS / np.pi), rtol=0.3)


@pytest.mark.claim("C04", "limits")
@pytest.mark.parametrize("order, growth", [(2, 0.5), (1, 0.0)])
def test_with_weights_of_a_fixed_norm_the_swing_grows_more_slowly_or_not_at_all(order, growth):
    def normalised(d, rng):
        w = rng.standard_normal(d)
        return w / np.linalg.norm(w, order)

    swing, noise, score = swing_and_spread(normalised)
    np.testing.assert_allclose(slope(swing), growth, atol=0.02)
    # What an attacker has over luck, and over the score's own spread, does not know how the weights are scaled.
    np.testing.assert_allclose([slope(swing / score), slope(noise / score)], [0.5, 0], atol=0.06)


@pytest.mark.claim("C04", "limits")
def test_with_a_few_weights_only_nothing_grows():
    def eight_ones(d, rng):
        return np.append(np.ones(8), np.zeros(d - 8))

    swing, noise, score = swing_and_spread(eight_ones)
    np.testing.assert_allclose([slope(swing), slope(noise), slope(score)], [0, 0, 0], atol=0.03)
    assert (swing / noise < 8**0.5 * 1.2).all()


def test_copies_of_the_same_features_let_the_score_grow_as_fast_as_the_swing():
    rng = np.random.default_rng(11)
    w, x = rng.standard_normal(16), rng.standard_normal((4000, 16))
    for copies in (1, 4, 64):
        wide_w, wide_x = np.repeat(w, copies), np.repeat(x, copies, axis=1)
        swing = 0.01 * np.abs(wide_w).sum()
        np.testing.assert_allclose(swing / (wide_x @ wide_w).std(), 0.01 * np.abs(w).sum() / (x @ w).std(), rtol=1e-12)


def attacked_accuracy(mean, d, eps, rng, n=4000):
    """Of the rule that adds up d features, each normal (mean y, 1), when every feature is moved by eps against y."""
    y = rng.choice([-1, 1], n)
    score = (mean * y[:, None] + rng.standard_normal((n, d))).sum(axis=1)
    return np.mean(y * score > d * eps)


@pytest.mark.claim("X10", "supports")
def test_with_weak_features_more_dimensions_leave_less_under_the_same_budget():
    rng = np.random.default_rng(15)
    left = [attacked_accuracy(2 / math.sqrt(d), d, 0.5, rng) for d in (1, 16, 100)]
    np.testing.assert_allclose(left, ndtr([1.5, 0, -3]), atol=0.03)


@pytest.mark.claim("X10", "limits")
def test_with_strong_features_more_dimensions_leave_more_though_the_swing_grows_as_fast():
    rng = np.random.default_rng(16)
    left = [attacked_accuracy(1.0, d, 0.5, rng) for d in (1, 16, 100)]
    np.testing.assert_allclose(left, ndtr([0.5, 2, 5]), atol=0.03)


# C01 and C02: a network on digits.


@pytest.fixture(scope="module")
def trained():
    x_train, y_train, x, y = digits(seed=0)
    settings = dict(epochs=20, batch_size=50, lr=2e-3)
    attacks = {"standard": None, "hardened": lambda *batch: fgsm(*batch, 0.1, bounds=(0, 1))}
    models = {
        name: train(MLP([64, 100, 10], np.random.default_rng(0)), x_train, y_train, rng=np.random.default_rng(0),
                    attack=attack, **settings)
        for name, attack in attacks.items()
    }  # fmt: skip
    return models, x_train, y_train, x, y


@pytest.mark.claim("C01", "supports")
def test_an_accurate_network_has_its_boundary_close_and_accuracy_does_not_say_how_close(trained):
    models, x_train, y_train, x, y = trained
    apart = np.where(y[:, None] != y_train, cdist(x, x_train, "chebyshev"), math.inf).min(axis=1)
    budgets, medians = np.geomspace(0.02, 0.6, 20), {}
    for name, model in models.items():
        assert accuracy(model, x, y) > 0.94
        distance = smallest_budget(model, x, y, budgets, steps=20, bounds=(0, 1))
        assert np.isfinite(distance).all()
        medians[name] = np.median(distance)
    assert apart.min() / 2 > 0.2  # halfway to the nearest image of another class, for every test image
    assert medians["standard"] < np.median(apart / 2) / 2.5
    assert abs(accuracy(models["standard"], x, y) - accuracy(models["hardened"], x, y)) < 0.03
    assert medians["hardened"] > 1.3 * medians["standard"]


def flipped(model, x, moved):
    return np.mean(model.predict(moved) != model.predict(x))


@pytest.mark.claim("C02", "supports")
def test_the_gradient_step_flips_labels_where_noise_of_the_same_size_does_not(trained):
    models, _, _, x, y = trained
    model, eps, rng = models["standard"], 2 / 16, np.random.default_rng(12)
    by_gradient = flipped(model, x, fgsm(model, x, y, eps, bounds=(0, 1)))
    by_noise = [flipped(model, x, np.clip(x + eps * rng.choice([-1, 1], x.shape), 0, 1)) for _ in range(5)]
    assert by_gradient > 0.4 and max(by_noise) < 0.08


@pytest.mark.claim("C02", "limits")
def test_at_a_large_budget_noise_flips_labels_too(trained):
    models, _, _, x, _ = trained
    noise = 0.5 * np.random.default_rng(13).choice([-1, 1], x.shape)
    assert flipped(models["standard"], x, np.clip(x + noise, 0, 1)) > 0.3


@pytest.mark.claim("C02", "limits")
def test_in_two_dimensions_noise_is_the_gradient_step_one_time_in_four():
    x_train, y_train, x, y = chapter_demo()
    model, rng = LogisticRegression.fit(x_train, y_train), np.random.default_rng(14)
    worst = fgsm(model, x, y, 1.0)
    steps = rng.choice([-1.0, 1.0], (2000, *x.shape))
    same = np.mean([(x + step == worst).all(axis=1) for step in steps])
    assert abs(same - 1 / 4) < 0.01
    by_noise = np.mean([flipped(model, x, x + step) for step in steps])
    by_gradient = flipped(model, x, worst)
    # The other steps either cancel or lead away: here noise has exactly its lucky quarter, and a little on top.
    assert by_gradient / 4 - 0.01 < by_noise < by_gradient / 4 + 0.03


# Bad input.

PLANE = {"w": np.array([1.0, -2.0]), "b": 0.5, "x": np.eye(2), "p": 2}
NOT_WEIGHTS = {k: v for k, v in not_an_array(2).items() if k != "number"} | {"zeros": [0.0, 0.0], "number": 1.0}
MODEL = LogisticRegression([1.0, 2.0], 0.5)
SEARCH = {"model": MODEL, "x": np.eye(2), "y": np.array([1, 1]), "budgets": [0.1, 1.0], "p": 2, "steps": 3}
SEARCH |= {"bounds": (-4.0, 4.0)}
NOT_BUDGETS = {
    "falling": [1.0, 0.1],
    "level": [0.1, 0.1],
    "from zero": [0.0, 0.1],
    "negative": [-0.1, 0.1],
    "none": [],
    "number": 0.1,
    "nan": [0.1, math.nan],
    "infinite": [0.1, math.inf],
    "text": ["0.1"],
    "table": [[0.1, 0.2]],
    "None": None,
    "ragged": RAGGED,
}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(distance_to_hyperplane, PLANE, w=NOT_WEIGHTS, b=NOT_A_NUMBER, p=NOT_AN_EXPONENT),
        *refusals(distance_to_hyperplane, PLANE, x=NOT_INPUTS | {"another width": np.ones((2, 3))}),
        *refusals(smallest_budget, SEARCH, x=NOT_INPUTS | {"outside": np.full((2, 2), 5.0)}, y=NOT_LABELS),
        *refusals(smallest_budget, SEARCH, budgets=NOT_BUDGETS, p=NOT_AN_EXPONENT, steps=NOT_A_POSITIVE_COUNT),
        *refusals(smallest_budget, SEARCH, bounds={"reversed": (4.0, -4.0), "one": (4.0,), "number": 4.0}),
        *refusals(smallest_budget, SEARCH | {"y": np.array([0, 0])}, p=NOT_AN_EXPONENT, steps=NOT_A_POSITIVE_COUNT),
        *refusals(smallest_budget, SEARCH | {"y": np.array([0, 0])}, bounds={"reversed": (4.0, -4.0)}),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


def test_forty_steps_are_the_default_and_one_is_enough_for_a_line():
    rng = np.random.default_rng(31)
    net, x = MLP([6, 20, 3], rng), rng.uniform(-1, 1, (30, 6))
    plain, forty, other = (smallest_budget(net, x, net.predict(x), [0.1, 0.3, 1.0], **steps) for steps in ({}, {"steps": 40}, {"steps": 41}))
    np.testing.assert_array_equal(plain, forty)
    assert not np.array_equal(plain, other)
    one = smallest_budget(MODEL, np.eye(2), [1, 1], [5.0], 2, steps=1)
    np.testing.assert_allclose(one, distance_to_hyperplane(MODEL.coef, MODEL.intercept, np.eye(2), 2))
