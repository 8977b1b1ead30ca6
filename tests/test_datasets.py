import math

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_COUNT, NOT_A_GENERATOR, NOT_A_NUMBER, NOT_A_POSITIVE_COUNT, NOT_AN_EXPONENT
from helpers import assert_refused, frozen, not_an_array, refusals
from scipy.special import ndtr
from scipy.stats import kstest
from sklearn.datasets import load_digits

from adv_companion.attacks import accuracy, fgsm, robust_accuracy
from adv_companion.datasets import DEMO, TwoGaussians, chapter_demo, digits, two_moons
from adv_companion.models import LogisticRegression
from adv_companion.training import augmented_logistic

P = [1, 2, math.inf]
DUAL = {1: math.inf, 2: 2, math.inf: 1}
FLAT = TwoGaussians([-1, -0.25], [1, 0.25], [[1, 0.075], [0.075, 0.0625]])
SKEW = TwoGaussians([0.5, 2.0, -1.0], [1.5, 1.0, 0.0], [[2.0, 0.9, 0.2], [0.9, 1.0, -0.3], [0.2, -0.3, 0.5]])
FAR = TwoGaussians([100.0, -7.0], [101.0, -7.5], [[0.5, -0.2], [-0.2, 0.4]])
LAWS = {"demo": DEMO, "flat": FLAT, "skew": SKEW, "far": FAR}


# The chapter's demo.


@pytest.mark.claim("C33", "supports")
def test_table_62_1_is_reproduced():
    x_train, y_train, x_test, y_test = chapter_demo()
    table = []
    for model in (LogisticRegression.fit(x_train, y_train), augmented_logistic(x_train, y_train, 1.0)):
        table.append(accuracy(model, x_test, y_test))
        table.append(robust_accuracy(model, x_test, y_test, lambda model, x, y: fgsm(model, x, y, 1.0)))
    assert table == [0.89375, 0.49375, 0.9125, 0.5125]


@pytest.mark.claim("C34", "refutes")
def test_table_62_1_shows_no_trade_since_both_accuracies_rise_by_three_points_of_the_test_set():
    x_train, y_train, x_test, y_test = chapter_demo()
    right = []
    for model in (LogisticRegression.fit(x_train, y_train), augmented_logistic(x_train, y_train, 1.0)):
        right.append([(model.predict(x) == y_test).sum() for x in (x_test, fgsm(model, x_test, y_test, 1.0))])
    assert len(y_test) == 160
    np.testing.assert_array_equal(np.subtract(right[1], right[0]), [3, 3])


@pytest.mark.claim("C35", "supports")
def test_under_attack_class_1_slides_down_left_and_class_0_up_right_and_many_cross():
    x_train, y_train, x_test, y_test = chapter_demo()
    model = LogisticRegression.fit(x_train, y_train)
    attacked = fgsm(model, x_test, y_test, 1.0)
    slide = np.where(y_test == 1, -1.0, 1.0)[:, None]
    np.testing.assert_allclose(attacked - x_test, np.hstack([slide, slide]), atol=1e-15)
    right, right_after = model.predict(x_test) == y_test, model.predict(attacked) == y_test
    assert not (right_after & ~right).any()
    assert [(right & ~right_after)[y_test == label].sum() for label in (0, 1)] == [34, 30]  # of 69 and 74
    assert [right[y_test == label].sum() for label in (0, 1)] == [69, 74]


@pytest.mark.claim("C35", "limits")
def test_with_weights_of_opposite_signs_the_classes_slide_along_the_other_diagonal():
    law = TwoGaussians([-1.0, 1.0], [1.0, -1.0], DEMO.covariance)
    x_train, y_train, x_test, y_test = chapter_demo(law=law)
    model = LogisticRegression.fit(x_train, y_train)
    slide = np.where(y_test == 1, -1.0, 1.0)[:, None] * [1, -1]
    np.testing.assert_allclose(fgsm(model, x_test, y_test, 1.0) - x_test, slide, atol=1e-15)


def test_the_demo_begins_with_the_draws_of_its_seed():
    x_train, y_train, x_test, y_test = chapter_demo()
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [(240, 2), (240,), (160, 2), (160,)]
    # The first point drawn is not among those to train on, so it opens the test set, which keeps the order of drawing.
    np.testing.assert_allclose(x_test[0], [-0.839353095620161, -0.503383176600892], rtol=0, atol=1e-15)
    assert y_train[:10].tolist() == [0, 1, 0, 0, 1, 0, 0, 1, 1, 0]  # rows 117 336 133 99 270 32 27 305 279 109
    assert (np.diff(y_test) >= 0).all()


@pytest.mark.parametrize("n", [10, 12, 400, 1000])
def test_the_demo_is_split_into_disjoint_parts_of_balanced_data(n):
    x_train, y_train, x_test, y_test = chapter_demo(seed=5, n=n)
    assert len(x_train) == len(y_train) == int(0.6 * n) and len(x_test) == len(y_test) == n - int(0.6 * n)
    assert len(np.unique(np.concatenate([x_train, x_test]), axis=0)) == n
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [n // 2, n // 2]


def test_the_demo_of_many_points_follows_its_law():
    x_train, y_train, x_test, y_test = chapter_demo(seed=6, n=20000)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    for label, mean in ((0, DEMO.mean0), (1, DEMO.mean1)):
        white = np.linalg.solve(np.linalg.cholesky(DEMO.covariance), (x[y == label] - mean).T)
        assert all(kstest(row, "norm").pvalue > 1e-3 for row in white)
        assert abs(np.corrcoef(white)[0, 1]) < 4 / math.sqrt(10000)


def test_a_variation_of_the_demo_spends_the_same_random_numbers():
    shifted = TwoGaussians(DEMO.mean0 + [3, 0], DEMO.mean1 + [0, -2], DEMO.covariance)
    parts, varied = chapter_demo(seed=8, n=50), chapter_demo(seed=8, n=50, law=shifted)
    for x, y, moved in ((parts[0], parts[1], varied[0]), (parts[2], parts[3], varied[2])):
        np.testing.assert_allclose(moved - x, np.where(y[:, None] == 1, [0, -2], [3, 0]), atol=1e-14)
    np.testing.assert_array_equal(parts[1], varied[1])


def test_the_demo_can_be_drawn_in_another_dimension():
    x_train, y_train, x_test, _ = chapter_demo(seed=8, n=4000, law=SKEW)
    assert x_train.shape == (2400, 3) and x_test.shape == (1600, 3)
    # A mean of 1200 has a standard deviation of at most 0.041.
    np.testing.assert_allclose(x_train[y_train == 1].mean(axis=0), SKEW.mean1, atol=0.17)


def test_another_seed_gives_another_demo():
    assert not np.array_equal(chapter_demo()[0], chapter_demo(seed=1302)[0])
    np.testing.assert_array_equal(chapter_demo()[0], chapter_demo(seed=1301, n=400, law=DEMO)[0])


@pytest.mark.parametrize("n", [11, 401])
def test_an_odd_number_of_points_is_refused(n):
    with pytest.raises(ValueError, match=r"^n must be even"):
        chapter_demo(n=n)


# The law.


def test_samples_follow_the_law():
    x, y = SKEW.sample(20000, np.random.default_rng(1))
    assert x.shape == (20000, 3) and y.shape == (20000,) and set(y.tolist()) == {0, 1}
    assert abs(y.mean() - 0.5) < 4 * 0.5 / math.sqrt(20000)
    for label, mean in ((0, SKEW.mean0), (1, SKEW.mean1)):
        white = np.linalg.solve(np.linalg.cholesky(SKEW.covariance), (x[y == label] - mean).T)
        assert all(kstest(row, "norm").pvalue > 1e-3 for row in white)
        correlations = np.corrcoef(white) - np.eye(3)
        assert np.abs(correlations).max() < 4 / math.sqrt(9500)


def test_the_generator_alone_decides_the_sample():
    first, second = (DEMO.sample(10, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_on_a_line_the_accuracy_is_that_of_one_normal_number():
    law = TwoGaussians([-1.0], [1.0], [[4.0]])
    for p in P:
        assert law.linear_accuracy([3.0], 0.0, 0.0, p) == pytest.approx(ndtr(0.5), rel=1e-14)
        assert law.linear_accuracy([3.0], 0.0, 0.6, p) == pytest.approx(ndtr(0.2), rel=1e-14)
        assert law.linear_accuracy([3.0], 1.5, 0.6, p) == pytest.approx((ndtr(0.45) + ndtr(-0.05)) / 2, rel=1e-14)
        assert law.linear_accuracy([-3.0], 0.0, 0.6, p) == pytest.approx(ndtr(-0.8), rel=1e-14)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("p, eps", [(1, 0.0), (1, 0.3), (2, 0.3), (math.inf, 0.3), (math.inf, 2.0)])
def test_the_exact_accuracy_agrees_with_simulation(law, p, eps):
    rng = np.random.default_rng(3)
    coef = law.mean1 - law.mean0 + 0.3 * rng.standard_normal(len(law.mean0))
    intercept = -coef @ (law.mean0 + law.mean1) / 2 + 0.2
    x, y = law.sample(20000, rng)
    score = np.where(y == 1, 1, -1) * (x @ coef + intercept)
    seen = np.mean(score > eps * np.linalg.norm(coef, DUAL[p]))
    exact = law.linear_accuracy(coef, intercept, eps, p)
    assert abs(seen - exact) < 4 * math.sqrt(exact * (1 - exact) / 20000) + 1e-4  # the last for rare errors
    attack = robust_accuracy(LogisticRegression(coef, intercept), x, y, lambda m, x, y: fgsm(m, x, y, eps, p))
    assert attack == pytest.approx(seen, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1e6, 1e200])
def test_the_size_of_a_score_does_not_change_its_accuracy(scale):
    coef, intercept = np.array([1.0, 0.4]), 0.3
    plain = DEMO.linear_accuracy(coef, intercept, 0.2)
    assert DEMO.linear_accuracy(scale * coef, scale * intercept, 0.2) == pytest.approx(plain, rel=1e-12)


def test_a_sure_rule_has_accuracy_one_and_a_sure_failure_zero():
    law = TwoGaussians([-50.0, 0.0], [50.0, 0.0], np.eye(2))
    assert law.linear_accuracy([1.0, 0.0], 0.0) == 1.0
    assert law.linear_accuracy([1.0, 0.0], 0.0, 100.0) == 0.0
    assert law.linear_accuracy([1.0, 0.0], 1000.0) == 0.5


# The best robust accuracy.


def test_the_demos_best_robust_accuracy_at_its_own_budget_is_a_coin_toss():
    for eps in (1.0, 1.5, 1e6):
        best, coef = DEMO.best_robust_accuracy(eps)
        assert best == pytest.approx(0.5, abs=1e-12)
        np.testing.assert_allclose(coef, 0, atol=1e-12)
    assert DEMO.best_robust_accuracy(0.99)[0] > 0.503  # so it is the budget, and not less, that makes it one


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_without_attack_the_best_accuracy_is_that_of_fishers_rule(law):
    gap = law.mean1 - law.mean0
    direction = np.linalg.solve(law.covariance, gap)
    best, coef = law.best_robust_accuracy(0)
    assert best == pytest.approx(ndtr(math.sqrt(gap @ direction) / 2), rel=1e-14)
    np.testing.assert_allclose(coef / np.linalg.norm(coef), direction / np.linalg.norm(direction), rtol=1e-12)


@pytest.mark.parametrize("law", [DEMO, FLAT, FAR], ids=["demo", "flat", "far"])
@pytest.mark.parametrize("eps", [0.05, 0.2, 0.4, 0.9])
def test_the_best_robust_accuracy_is_that_of_the_best_of_all_directions(law, eps):
    angles = np.linspace(0, 2 * math.pi, 20001)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    reach = (law.mean1 - law.mean0) / 2 @ directions - eps * np.abs(directions).sum(axis=0)
    found = ndtr((reach / np.sqrt((directions * (law.covariance @ directions)).sum(axis=0))).max())
    # The search misses the maximum by the square of half its step of 3e-4, the corner at an axis by the step itself.
    best = law.best_robust_accuracy(eps)[0]
    assert best == pytest.approx(max(found, 0.5), abs=1e-4)
    assert best >= max(found, 0.5) - 1e-14


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("eps", [0.0, 0.1, 0.3, 0.45, 0.8])
def test_no_linear_rule_beats_the_best_robust_accuracy_and_its_own_rule_reaches_it(law, eps):
    rng = np.random.default_rng(4)
    best, coef = law.best_robust_accuracy(eps)
    middle = (law.mean0 + law.mean1) / 2
    for _ in range(300):
        w = coef + rng.exponential() * rng.standard_normal(len(coef))
        shift = rng.choice([0, 0.1, 1]) * rng.standard_normal()
        assert law.linear_accuracy(w, shift - w @ middle, eps) <= best + 1e-13
    if best > 0.5 + 1e-9:
        assert law.linear_accuracy(coef, -coef @ middle, eps) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_best_robust_accuracy_falls_with_the_budget_down_to_one_half(law):
    half_gap = np.abs(law.mean1 - law.mean0).max() / 2
    found = [law.best_robust_accuracy(eps)[0] for eps in np.linspace(0, half_gap, 60)]
    assert (np.diff(found) < 1e-14).all() and found[0] > found[30] > 0.5
    assert found[-1] == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_two_equal_classes_cannot_be_told_apart(eps):
    best, coef = TwoGaussians([1.0, 2.0], [1.0, 2.0], np.eye(2)).best_robust_accuracy(eps)
    assert best == 0.5
    np.testing.assert_array_equal(coef, [0.0, 0.0])


def test_the_arguments_are_left_as_they_were():
    mean0, mean1, covariance = np.array([-1.0, 0.0]), np.array([1.0, 0.0]), np.eye(2)
    law = TwoGaussians(*frozen(mean0, mean1, covariance))
    coef = frozen([1.0, 2.0])
    law.linear_accuracy(coef, 0.0, 0.1)
    law.best_robust_accuracy(0.1)
    law.sample(5, np.random.default_rng(5))
    np.testing.assert_array_equal(law.covariance, covariance)
    np.testing.assert_array_equal(coef, [1.0, 2.0])


# Two moons.


@pytest.mark.parametrize("n", [2, 3, 200, 201])
def test_without_noise_the_moons_are_half_circles_that_interlock(n):
    x, y = two_moons(n, np.random.default_rng(10), noise=0)
    assert x.shape == (n, 2) and y.shape == (n,) and y.dtype.kind == "i"
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-12)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1, rtol=1e-12)
    assert (upper[:, 1] >= 0).all() and (lower[:, 1] <= 0.5).all()
    assert np.bincount(y, minlength=2).tolist() == [n // 2, n - n // 2]


def test_the_moons_are_even_along_their_arcs_and_their_noise_is_normal():
    x, y = two_moons(4000, np.random.default_rng(11), noise=0)
    assert kstest(np.arctan2(*x[y == 0].T[::-1]) / np.pi, "uniform").pvalue > 1e-3
    assert kstest(np.arctan2(*(x[y == 1] - [1, 0.5]).T[::-1]) / -np.pi, "uniform").pvalue > 1e-3
    noisy, labels = two_moons(4000, np.random.default_rng(11), noise=0.2)
    np.testing.assert_array_equal(labels, y)  # the same points, moved
    noise = (noisy - x) / 0.2
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.06
    assert np.ptp(np.diff(np.flatnonzero(y))) > 3  # in random order


def test_the_moons_turn_counterclockwise_about_their_centre_noise_and_all():
    x, y = two_moons(50, np.random.default_rng(12))
    for degrees in (0, 35, -90, 180, 540.0):
        turned, labels = two_moons(50, np.random.default_rng(12), degrees=degrees)
        np.testing.assert_array_equal(labels, y)
        z = (x - [0.5, 0.25]) @ [1, 1j] * np.exp(1j * np.radians(degrees))  # as complex numbers
        np.testing.assert_allclose(turned, np.column_stack([z.real + 0.5, z.imag + 0.25]), atol=1e-14)
    np.testing.assert_array_equal(two_moons(50, np.random.default_rng(12), degrees=0)[0], x)


def test_half_a_turn_carries_each_moon_onto_the_other():
    x, y = two_moons(400, np.random.default_rng(12), noise=0, degrees=180)
    np.testing.assert_allclose(np.hypot(*x[y == 1].T), 1, rtol=1e-12)
    np.testing.assert_allclose(np.hypot(*(x[y == 0] - [1, 0.5]).T), 1, rtol=1e-12)
    assert (x[y == 1, 1] >= 0).all() and (x[y == 0, 1] <= 0.5).all()


def test_the_generator_alone_decides_the_moons():
    draws = [two_moons(20, np.random.default_rng(seed))[0] for seed in (12, 12, 13)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


# Digits.


def test_the_digits_are_all_of_scikit_learns_scaled_and_split_in_two():
    x_all, y_all = load_digits(return_X_y=True)
    x_train, y_train, x_test, y_test = digits()
    assert x_train.shape == (1297, 64) and x_test.shape == (500, 64)
    assert y_train.shape == (1297,) and y_test.shape == (500,)
    x, y = np.concatenate([x_test, x_train]), np.concatenate([y_test, y_train])
    assert x.dtype == np.float64 and y.dtype == np.int64 and x.min() == 0 and x.max() == 1
    pairs = [sorted(map(tuple, np.column_stack([inputs, labels]))) for inputs, labels in ((x, y), (x_all / 16, y_all))]
    assert pairs[0] == pairs[1]  # each image once, with its own label: so the two parts share none


def test_the_seed_decides_the_split_and_each_part_holds_every_digit():
    first, again, other = digits(seed=1), digits(seed=1), digits(seed=2)
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one, two)
    assert (first[3] != other[3]).any()
    assert np.bincount(first[3]).min() > 20 and np.bincount(first[1]).min() > 100


@pytest.mark.parametrize("n_test", [1, 300, 1796])
def test_the_share_held_out_is_the_one_asked_for(n_test):
    x_train, y_train, x_test, y_test = digits(n_test=n_test)
    assert [len(part) for part in (x_train, y_train, x_test, y_test)] == [1797 - n_test] * 2 + [n_test] * 2
    np.testing.assert_array_equal(x_test[0], digits(n_test=500)[2][0])


# Bad input.

MOONS = {"n": 4, "rng": np.random.default_rng(0), "noise": 0.1}
MEANS = {"mean0": [0.0, 0.0], "mean1": [1.0, 1.0], "covariance": np.eye(2)}
NOT_A_SEED = {what: bad for what, bad in NOT_A_COUNT.items() if what != "negative"}
NOT_A_COVARIANCE = not_an_array(2, 2) | {
    "larger": np.eye(3),
    "not square": np.ones((2, 3)),
    "not symmetric": [[1.0, 0.5], [0.4, 1.0]],
    "singular": [[1.0, 1.0], [1.0, 1.0]],
    "indefinite": [[1.0, 2.0], [2.0, 1.0]],
    "zero": np.zeros((2, 2)),
}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(TwoGaussians, MEANS, mean0=not_an_array(2), mean1=not_an_array(2)),
        *refusals(TwoGaussians, MEANS, mean1={"longer": [0.0] * 3}, covariance=NOT_A_COVARIANCE),
        *refusals(
            DEMO.sample,
            {"n": 2, "rng": np.random.default_rng(0)},
            n=NOT_A_POSITIVE_COUNT,
            rng=NOT_A_GENERATOR,
        ),
        *refusals(
            DEMO.linear_accuracy,
            {"coef": [1.0, 1.0], "intercept": 0.0, "eps": 0.1, "p": 2},
            coef=not_an_array(2) | {"longer": np.ones(3), "zero": np.zeros(2)},
            intercept=NOT_A_NUMBER,
            eps=NOT_A_BUDGET,
            p=NOT_AN_EXPONENT,
        ),
        *refusals(two_moons, MOONS, n=NOT_A_COUNT | {"one": 1}, rng=NOT_A_GENERATOR, noise=NOT_A_BUDGET, degrees=NOT_A_NUMBER),
        *refusals(digits, {"n_test": 5, "seed": 1}, n_test=NOT_A_POSITIVE_COUNT | {"all": 1797}, seed=NOT_A_COUNT),
        *refusals(DEMO.best_robust_accuracy, {"eps": 0.1}, eps=NOT_A_BUDGET),
        *refusals(
            chapter_demo,
            {"seed": 1, "n": 10, "law": DEMO},
            seed=NOT_A_SEED | {"2^31": 2**31},
            n=NOT_A_COUNT | {"zero": 0, "too few": 8, "odd": 13},
            law={"None": None, "text": "demo", "tuple": ([0.0], [1.0], [[1.0]])},
        ),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)
