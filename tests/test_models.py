import math

import numpy as np
import pytest
from helpers import NOT_A_NUMBER, NOT_BINARY_LABELS, NOT_INPUTS
from helpers import assert_refused, frozen, not_an_array, refusals
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from adv_companion.datasets import chapter_demo
from adv_companion.models import LogisticRegression


def random_model(rng, d):
    return LogisticRegression(rng.standard_normal(d), rng.standard_normal())


def random_batch(rng, n, d):
    return rng.standard_normal((n, d)), rng.integers(0, 2, n)


# The model.


def test_the_loss_is_the_cross_entropy_of_the_logits():
    rng = np.random.default_rng(1)
    model, (x, y) = random_model(rng, 4), random_batch(rng, 30, 4)
    logits = model.logits(x)
    np.testing.assert_array_equal(logits[:, 0], np.zeros(30))
    np.testing.assert_allclose(logits[:, 1], [row @ model.coef + model.intercept for row in x], rtol=1e-13, atol=1e-14)
    expected = -log_softmax(logits, axis=1)[np.arange(30), y]
    np.testing.assert_allclose(model.loss(x, y), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.loss_and_input_grad(x, y)[0], model.loss(x, y))


def test_the_label_is_one_where_the_score_is_positive():
    model = LogisticRegression([2.0, 0.0], -1.0)
    x = np.array([[0.5, 9.0], [0.500001, 9.0], [0.499999, 9.0], [-3.0, 0.0], [7.0, 0.0]])
    np.testing.assert_array_equal(model.predict(x), [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(model.predict(x), model.logits(x).argmax(axis=1))


@pytest.mark.claim("C31")
def test_the_input_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    model, (x, y) = random_model(rng, 5), random_batch(rng, 20, 5)
    _, gradient = model.loss_and_input_grad(x, y)
    h = 1e-5  # central differences are then off by h^2 and by rounding over h, 1e-10 each
    for j, step in enumerate(h * np.eye(5)):
        slope = (model.loss(x + step, y) - model.loss(x - step, y)) / (2 * h)
        np.testing.assert_allclose(gradient[:, j], slope, atol=1e-8)


@pytest.mark.claim("C31")
def test_the_input_gradient_is_probability_minus_label_times_the_coefficients():
    rng = np.random.default_rng(3)
    model, (x, y) = random_model(rng, 3), random_batch(rng, 20, 3)
    probability = 1 / (1 + np.exp(-model.logits(x)[:, 1]))
    np.testing.assert_allclose(
        model.loss_and_input_grad(x, y)[1], (probability - y)[:, None] * model.coef, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("gap", [40.0, 80.0, 700.0])
@pytest.mark.parametrize("label", [0, 1])
def test_a_confident_score_keeps_its_loss_and_its_gradient(label, gap):
    model = LogisticRegression([1.0, -3.0], 0.0)
    sign = 2 * label - 1
    loss, gradient = model.loss_and_input_grad([[sign * gap, 0.0], [-sign * gap, 0.0]], [label, label])
    small = math.exp(-gap)  # log(1 + e) and e / (1 + e) are e itself to one part in 10^17
    np.testing.assert_allclose(loss, [small, gap], rtol=1e-13)
    np.testing.assert_allclose(gradient, np.outer([-sign * small, -sign], [1.0, -3.0]), rtol=1e-13)


def test_scores_beyond_the_exponentials_range_give_finite_losses():
    model = LogisticRegression([1.0], 0.0)
    loss, gradient = model.loss_and_input_grad([[1e5], [-1e5], [1e300]], [0, 0, 1])
    np.testing.assert_array_equal(loss, [1e5, 0, 0])
    np.testing.assert_array_equal(gradient, [[1], [0], [0]])


def test_a_row_does_not_depend_on_its_batch():
    rng = np.random.default_rng(4)
    model, (x, y) = random_model(rng, 4), random_batch(rng, 25, 4)
    loss, gradient = model.loss_and_input_grad(x, y)
    for i in range(25):
        alone_loss, alone_gradient = model.loss_and_input_grad(x[i : i + 1], y[i : i + 1])
        # Products of matrices may add in another order for another number of rows.
        np.testing.assert_allclose(alone_loss[0], loss[i], rtol=1e-13)
        np.testing.assert_allclose(alone_gradient[0], gradient[i], rtol=1e-13)


def test_a_model_shows_its_numbers():
    assert repr(LogisticRegression([1.5, -2.0], 0.25)) == "LogisticRegression(coef=[1.5, -2.0], intercept=0.25)"


# Fitting.


def likelihood_slope(model, x, y):
    """The gradient of the log-likelihood with respect to (intercept, coef), over the size of its terms."""
    design = np.column_stack([np.ones(len(x)), x])
    residual = y - expit(model.logits(x)[:, 1])
    return (residual @ design) / (np.abs(residual) @ np.abs(design))


def test_the_fit_to_the_chapters_data_is_that_of_r():
    x, y, _, _ = chapter_demo()
    model = LogisticRegression.fit(x, y)
    np.testing.assert_allclose(model.intercept, 0.0607768136808309, atol=1e-8)
    np.testing.assert_allclose(model.coef, [1.9820744910208752, 1.8007650781682778], atol=1e-8)


def overlapping(rng, n, d):
    """Points with labels from a logistic law, which no score separates."""
    x = rng.standard_normal((n, d))
    return x, (rng.uniform(size=n) < expit(x @ rng.uniform(-1, 1, d) + rng.uniform(-1, 1))).astype(int)


@pytest.mark.parametrize("seed", range(6))
def test_the_fit_is_the_one_that_a_general_optimiser_finds(seed):
    rng = np.random.default_rng(seed)
    x, y = overlapping(rng, 80, 1 + seed)

    def loss(theta):
        score = x @ theta[1:] + theta[0]
        residual = expit(score) - y
        value = np.logaddexp(0, np.where(y == 1, -score, score)).mean()
        return value, np.append(residual.mean(), residual @ x / len(y))

    found = minimize(loss, np.zeros(2 + seed), jac=True, method="L-BFGS-B", options={"ftol": 1e-16, "gtol": 1e-9}).x
    model = LogisticRegression.fit(x, y)
    # A slope of 1e-9 over a curvature of about 0.01 leaves 1e-7 to the optimiser.
    np.testing.assert_allclose(np.append(model.intercept, model.coef), found, atol=1e-6)
    np.testing.assert_allclose(likelihood_slope(model, x, y), 0, atol=1e-12)


@pytest.mark.parametrize("scales", [[1e6, 1e-6], [1e-6, 1e6], [1e10, 1e10], [1e12, 1], [1e-12, 1], [1e-12, 1e12]])
def test_units_do_not_change_the_fit(scales):
    x, y = overlapping(np.random.default_rng(7), 60, 2)
    plain, scaled = LogisticRegression.fit(x, y), LogisticRegression.fit(x * scales, y)
    np.testing.assert_allclose(scaled.coef * scales, plain.coef, rtol=1e-8)
    np.testing.assert_allclose(scaled.intercept, plain.intercept, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
def test_units_do_not_change_a_fit_whose_intercept_is_zero_from_the_start(scale):
    # Antisymmetric data: only the coefficient moves, so a rule for stopping that looks at absolute steps is fooled.
    x, y = np.array([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 0, 1, 1])
    scaled = LogisticRegression.fit(scale * x, y)
    np.testing.assert_allclose(likelihood_slope(scaled, scale * x, y), 0, atol=1e-8)
    np.testing.assert_allclose(scaled.coef * scale, LogisticRegression.fit(x, y).coef, rtol=1e-8)


@pytest.mark.parametrize("overlap", [1.0, 0.1, 1e-3, 1e-6])
def test_data_that_one_pair_of_points_keeps_from_being_separable_have_a_fit(overlap):
    x = np.array([-3.0, -2.0, -1.0, overlap / 2, -overlap / 2, 1.0, 2.0, 3.0])[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    model = LogisticRegression.fit(x, y)
    assert model.coef[0] > 1
    np.testing.assert_allclose(likelihood_slope(model, x, y), 0, atol=1e-8)


SEPARABLE = {
    "two points": ([[0.0], [1.0]], [0, 1]),
    "the lower class is 1": ([[0.0], [1.0], [2.0]], [1, 1, 0]),
    "a gap": ([[-3.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]),
    "a wide gap": ([[-3e4], [-1e4], [1e4], [2e4]], [0, 0, 1, 1]),
    "a narrow gap": ([[-1.0], [-1e-5], [1e-5], [1.0]], [0, 0, 1, 1]),
    "the classes touch": ([[0.0], [1.0], [1.0], [2.0]], [0, 0, 1, 1]),
    "one point off the line on which they mix": ([[0, 0], [1, 0], [2, 0], [3, 0], [1, 1]], [0, 1, 0, 1, 1]),
    "one point a little off that line": ([[0, 0], [1, 0], [2, 0], [3, 0], [1, 1e-3]], [0, 1, 0, 1, 1]),
    "a corner": ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]),
    "the columns differ in scale": ([[1e6, -1e-6], [-1e6, -2e-6], [2e6, 1e-6], [-3e6, 2e-6]], [0, 0, 1, 1]),
    # Newton's method can seem to stop on these: far out, its matrix is all but singular.
    "far out 1": ([[1, 0], [-1, 2], [1, -6], [4, 0]], [1, 0, 1, 1]),
    "far out 2": ([[1, -3], [5, -2], [-1, 0], [1, 0], [0, -4], [-3, 1]], [1, 1, 0, 1, 1, 0]),
    "far out 3": ([[2, -4], [-5, -3], [1, 5], [5, -6], [-6, -4], [4, 4], [-5, 3]], [1, 0, 1, 1, 0, 1, 0]),
}


@pytest.mark.parametrize("x, y", SEPARABLE.values(), ids=SEPARABLE)
def test_separable_data_are_refused_with_the_reason(x, y):
    with pytest.raises(ValueError, match="no maximum-likelihood fit"):
        LogisticRegression.fit(x, y)


@pytest.mark.parametrize("offset", [0, 30])
def test_random_separable_data_are_refused_with_the_reason(offset):
    rng = np.random.default_rng(8)
    for _ in range(60):
        d = rng.integers(1, 5)
        x = rng.standard_normal((rng.integers(d + 6, 50), d)) + offset * rng.standard_normal(d)
        score = (x - x.mean(axis=0)) @ rng.standard_normal(d)
        with pytest.raises(ValueError, match="no maximum-likelihood fit"):
            LogisticRegression.fit(x, (score > 0).astype(int))


@pytest.mark.parametrize("offset", [0, 30])
def test_data_that_touch_at_the_boundary_are_refused_with_the_reason(offset):
    rng = np.random.default_rng(9)
    for _ in range(30):
        x = rng.integers(-4, 5, size=(30, 3)) / 2
        y = np.where(x[:, 0] == 0, rng.integers(0, 2, 30), x[:, 0] > 0).astype(int)
        with pytest.raises(ValueError, match="no maximum-likelihood fit"):
            LogisticRegression.fit(x + offset, y)


@pytest.mark.parametrize(
    "x, y",
    [
        ([[0, 0], [1, 1], [0, 1], [1, 0]], [0, 0, 1, 1]),
        ([[0.0], [1.0], [2.0]], [0, 1, 0]),
        ([[0.0], [2.0], [1.0], [3.0]], [0, 0, 1, 1]),
        ([[0, 0], [3, 0], [0, 3], [1, 1]], [0, 0, 0, 1]),
        ([[0.0], [0.0], [1.0], [1.0]], [0, 1, 0, 1]),
        ([[0.0], [1.0], [0.9], [1e6]], [0, 0, 1, 1]),
        ([[-1e6], [1.0], [0.9], [1e6]], [0, 0, 1, 1]),
    ],
    ids=["exclusive or", "between", "interleaved", "in a triangle", "the same points", "far points", "farther points"],
)
def test_mixed_classes_have_a_fit(x, y):
    x, y = np.array(x, dtype=float), np.array(y)
    np.testing.assert_allclose(likelihood_slope(LogisticRegression.fit(x, y), x, y), 0, atol=1e-8)


@pytest.mark.parametrize("label", [0, 1])
def test_data_of_one_class_are_refused(label):
    with pytest.raises(ValueError, match=f"^y must hold both labels, got only {label}"):
        LogisticRegression.fit([[0.0], [1.0], [2.0]], [label] * 3)


X, Y = overlapping(np.random.default_rng(10), 30, 2)


@pytest.mark.parametrize(
    "x",
    [
        np.column_stack([X, X[:, 0]]),
        np.column_stack([X, X[:, 0] - 3 * X[:, 1] + 2]),
        np.column_stack([X, np.full(30, 5.0)]),
        np.column_stack([X, np.zeros(30)]),
        np.column_stack([1e9 * X, 1e-9 * X[:, 0]]),
        np.random.default_rng(11).standard_normal((30, 40)),
    ],
    ids=["a column twice", "a sum of columns", "a constant", "zeros", "twice in other units", "more columns than rows"],
)
def test_dependent_columns_are_refused(x):
    with pytest.raises(ValueError, match="^x must have columns that are linearly independent"):
        LogisticRegression.fit(x, Y)


# Bad input.


def test_arguments_are_left_as_they_were():
    x, y = frozen(*overlapping(np.random.default_rng(14), 20, 2))
    model = LogisticRegression(frozen([1.0, 2.0]), 0.5)
    before = x.copy(), y.copy(), model.coef.copy()
    model.loss_and_input_grad(x, y)
    LogisticRegression.fit(x, y)
    for array, copy in zip((x, y, model.coef), before):
        np.testing.assert_array_equal(array, copy)


MODEL = LogisticRegression([1.0, 2.0], 0.5)
NOT_FOR_MODEL = NOT_INPUTS | {"another width": np.ones((2, 3))}
BATCH = {"x": np.eye(2), "y": np.array([0, 1])}
FITTABLE = {"x": np.array([[0.0], [2.0], [1.0], [3.0]]), "y": np.array([0, 0, 1, 1])}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(LogisticRegression, {"coef": [1.0, 2.0], "intercept": 0.5}, coef=not_an_array(2)),
        *refusals(LogisticRegression, {"coef": [1.0, 2.0], "intercept": 0.5}, intercept=NOT_A_NUMBER),
        *refusals(MODEL.logits, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(MODEL.predict, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(MODEL.loss, BATCH, x=NOT_FOR_MODEL, y=NOT_BINARY_LABELS),
        *refusals(MODEL.loss_and_input_grad, BATCH, x=NOT_FOR_MODEL, y=NOT_BINARY_LABELS),
        *refusals(LogisticRegression.fit, FITTABLE, x=NOT_INPUTS, y=NOT_BINARY_LABELS),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)
