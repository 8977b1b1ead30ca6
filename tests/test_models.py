import copy
import math
import pickle

import numpy as np
import pytest
from helpers import NOT_A_GENERATOR, NOT_A_NUMBER, NOT_A_POSITIVE_COUNT, NOT_BINARY_LABELS, NOT_INPUTS, NOT_LABELS
from helpers import assert_refused, frozen, not_an_array, refusals
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from scipy.stats import kstest

from adv_companion import models
from adv_companion.datasets import chapter_demo
from adv_companion.models import MLP, LogisticRegression, Network


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


@pytest.mark.claim("C31", "supports")
def test_the_input_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    model, (x, y) = random_model(rng, 5), random_batch(rng, 20, 5)
    _, gradient = model.loss_and_input_grad(x, y)
    h = 1e-5  # central differences are then off by h^2 and by rounding over h, 1e-10 each
    for j, step in enumerate(h * np.eye(5)):
        slope = (model.loss(x + step, y) - model.loss(x - step, y)) / (2 * h)
        np.testing.assert_allclose(gradient[:, j], slope, atol=1e-8)


@pytest.mark.claim("C31", "supports")
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


def test_a_fit_that_does_not_settle_says_so(monkeypatch):
    x, y = overlapping(np.random.default_rng(15), 20, 2)
    monkeypatch.setattr(models, "_newton", lambda design, y: None)
    with pytest.raises(ValueError, match="^x and y gave no fit in 100 Newton steps"):
        LogisticRegression.fit(x, y)


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


# The network.


def random_network(sizes, seed=20):
    """A network with biases that are not zero."""
    rng = np.random.default_rng(seed)
    net = MLP(sizes, rng)
    return net.with_params(net.params + 0.1 * rng.standard_normal(len(net.params)))


def batch_for(net, n, seed=21):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, net.sizes[0])), rng.integers(0, net.sizes[-1], n)


SIZES = [[3, 2], [4, 5, 3], [2, 8, 6, 4], [1, 3, 3, 3, 2]]


@pytest.mark.parametrize("sizes", SIZES)
def test_a_network_is_layers_of_relu_and_its_loss_a_softmax_cross_entropy(sizes):
    net = random_network(sizes)
    x, y = batch_for(net, 9)
    for row, label, logits, loss in zip(x, y, net.logits(x), net.loss(x, y)):
        for layer, (weight, bias) in enumerate(zip(net.weights, net.biases)):
            row = row @ weight + bias
            if layer < len(sizes) - 2:
                row = np.where(row > 0, row, 0)
        np.testing.assert_allclose(logits, row, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(loss, -log_softmax(row)[label], rtol=1e-11)
    np.testing.assert_array_equal(net.predict(x), net.logits(x).argmax(axis=1))
    np.testing.assert_array_equal(net.loss_and_input_grad(x, y)[0], net.loss(x, y))
    np.testing.assert_array_equal(net.loss_and_param_grad(x, y)[0], net.loss(x, y))


@pytest.mark.parametrize("sizes", SIZES)
def test_a_networks_input_gradient_is_that_of_finite_differences(sizes):
    net = random_network(sizes)
    x, y = batch_for(net, 15)
    _, gradient = net.loss_and_input_grad(x, y)
    h = 1e-6  # small enough to cross no kink here; off by rounding over h, 1e-10
    for j, step in enumerate(h * np.eye(sizes[0])):
        slope = (net.loss(x + step, y) - net.loss(x - step, y)) / (2 * h)
        np.testing.assert_allclose(gradient[:, j], slope, atol=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_networks_parameter_gradient_is_that_of_finite_differences_of_the_mean_loss(sizes):
    net = random_network(sizes)
    x, y = batch_for(net, 15)
    _, gradient = net.loss_and_param_grad(x, y)
    assert gradient.shape == net.params.shape
    h = 1e-6
    for j, step in enumerate(h * np.eye(len(net.params))):
        up, down = net.with_params(net.params + step), net.with_params(net.params - step)
        np.testing.assert_allclose(gradient[j], (up.loss(x, y) - down.loss(x, y)).mean() / (2 * h), atol=1e-8)


@pytest.mark.parametrize("sizes", [*SIZES, [3, 1], [2, 6, 1]])
def test_a_map_carries_a_gradient_back_to_its_parameters_as_finite_differences_do(sizes):
    rng = np.random.default_rng(23)
    net = Network(sizes, rng)
    net = net.with_params(net.params + 0.1 * rng.standard_normal(len(net.params)))
    x, grad_outputs = frozen(rng.standard_normal((15, sizes[0])), rng.standard_normal((15, sizes[-1])))
    gradient = net.param_grad(x, grad_outputs)
    h = 1e-6
    for j, step in enumerate(h * np.eye(len(net.params))):
        up, down = net.with_params(net.params + step), net.with_params(net.params - step)
        slope = np.sum(grad_outputs * (up.outputs(x) - down.outputs(x))) / (2 * h)
        np.testing.assert_allclose(gradient[j], slope, atol=1e-7)


def test_a_pullback_carries_any_gradient_back_as_often_as_it_is_asked():
    rng = np.random.default_rng(24)
    net, x, kinds = Network([3, 6, 5, 2], rng), *frozen(rng.standard_normal((15, 3)), rng.standard_normal((2, 15, 2)))
    outputs, pullback = net.outputs_and_pullback(x)
    np.testing.assert_array_equal(outputs, net.outputs(x))
    for grad_outputs in [*kinds, kinds[0]]:
        np.testing.assert_array_equal(pullback(grad_outputs), net.param_grad(x, grad_outputs))
    with pytest.raises(ValueError, match="grad_outputs"):
        pullback(np.ones((15, 3)))


@pytest.mark.parametrize("sizes", SIZES)
def test_both_gradients_from_one_pass_are_those_of_two(sizes):
    net = random_network(sizes)
    x, y = batch_for(net, 15)
    loss, to_params, to_inputs = net.loss_and_both_grads(x, y)
    for found, wanted in zip((loss, to_params), net.loss_and_param_grad(x, y), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(to_inputs, net.loss_and_input_grad(x, y)[1])


@pytest.mark.parametrize("fit", [MLP([2, 3], np.random.default_rng(0)), LogisticRegression([1.0, -2.0], 0.5)])
def test_the_parameter_gradient_of_a_linear_model_is_that_of_finite_differences(fit):
    x, y = np.random.default_rng(22).standard_normal((12, 2)), np.arange(12) % 2
    _, gradient = fit.loss_and_param_grad(x, y)
    for j, step in enumerate(1e-5 * np.eye(len(fit.params))):
        up, down = fit.with_params(fit.params + step), fit.with_params(fit.params - step)
        np.testing.assert_allclose(gradient[j], (up.loss(x, y) - down.loss(x, y)).mean() / 2e-5, atol=1e-8)


def linear_network(*rows):
    """A network without hidden layers whose logits are its two inputs times ``rows``."""
    return MLP([2, len(rows)], np.random.default_rng(0)).with_params(
        np.concatenate([np.transpose(rows).ravel(), np.zeros(len(rows))])
    )


@pytest.mark.parametrize("gap", [30.0, 80.0, 700.0])
def test_a_confident_row_keeps_its_exact_loss_and_gradient(gap):
    net = linear_network([1, 0], [0, 0], [0, 1])
    loss, gradient = net.loss_and_input_grad([[gap, 0.0], [-gap, 0.0]], [0, 0])
    small = math.exp(-gap)  # two other classes, each with odds e^-gap
    np.testing.assert_allclose(loss, [2 * small, gap + math.log(2)], rtol=1e-12)
    np.testing.assert_allclose(gradient[0], [-2 * small, small], rtol=1e-12)
    np.testing.assert_allclose(gradient[1], [-1, 0.5], rtol=1e-12)
    _, slope = net.loss_and_param_grad([[gap, 0.0]], [0])
    np.testing.assert_allclose(slope[-3:], [-2 * small, small, small], rtol=1e-12)
    assert (np.sign(gradient[0]) == [-1, 1]).all()  # what FGSM needs of it


def test_a_confident_row_in_single_precision_keeps_a_gradient_at_a_gap_of_80():
    net = linear_network([1, 0], [0, 0])
    net = net.with_params(net.params.astype(np.float32))
    loss, gradient = net.loss_and_input_grad(np.array([[80, 0]], dtype=np.float32), [0])
    assert loss.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose([loss[0], -gradient[0, 0]], math.exp(-80), rtol=1e-5)


def test_logits_beyond_the_exponentials_range_give_finite_losses():
    loss, gradient = linear_network([1, 0], [0, 0]).loss_and_input_grad([[1e4, 0], [-1e4, 0], [0, 0]], [0, 0, 1])
    np.testing.assert_allclose(loss, [0, 1e4, math.log(2)])
    np.testing.assert_allclose(gradient[:, 0], [0, -1, 0.5])


@pytest.mark.parametrize("sizes", SIZES)
def test_a_networks_rows_do_not_depend_on_their_batch(sizes):
    net = random_network(sizes)
    x, y = batch_for(net, 15)
    loss, gradient = net.loss_and_input_grad(x, y)
    for i in range(15):
        alone_loss, alone_gradient = net.loss_and_input_grad(x[i : i + 1], y[i : i + 1])
        np.testing.assert_allclose(alone_loss[0], loss[i], rtol=1e-11)
        np.testing.assert_allclose(alone_gradient[0], gradient[i], rtol=1e-9, atol=1e-14)


def test_new_weights_are_normal_with_variance_two_over_their_inputs():
    net = MLP([200, 300, 10], np.random.default_rng(23))
    assert [w.shape for w in net.weights] == [(200, 300), (300, 10)]
    assert [b.shape for b in net.biases] == [(300,), (10,)]
    for weight, fan_in in zip(net.weights, (200, 300)):
        assert kstest(weight.ravel() * math.sqrt(fan_in / 2), "norm").pvalue > 1e-3
    assert not np.concatenate(net.biases).any()
    first, again = (MLP([2, 3], np.random.default_rng(1)).params for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_weights_and_biases_are_views_of_the_parameters():
    net = MLP([2, 3, 2], np.random.default_rng(24))
    assert len(net.params) == 2 * 3 + 3 + 3 * 2 + 2
    net.params[:] = np.arange(17)
    np.testing.assert_array_equal(net.weights[0], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(net.biases[0], [6, 7, 8])
    np.testing.assert_array_equal(net.weights[1], [[9, 10], [11, 12], [13, 14]])
    np.testing.assert_array_equal(net.biases[1], [15, 16])
    net.weights[1][0, 0] = -1
    assert net.params[9] == -1


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copied_network_still_reads_its_own_parameters(copier):
    net = random_network([2, 3, 2])
    x, y = batch_for(net, 4)
    copied, before = copier(net), net.loss(x, y)
    np.testing.assert_array_equal(copied.loss(x, y), before)
    copied.params[:] = 0
    np.testing.assert_allclose(copied.loss(x, y), math.log(2))
    np.testing.assert_array_equal(net.loss(x, y), before)


@pytest.mark.parametrize("model", [random_network([2, 3, 2]), LogisticRegression([1.0, 2.0], 0.5)])
def test_other_parameters_make_another_model_and_leave_the_first_and_the_vector_alone(model):
    before, params = model.params.copy(), model.params * 2 + 1
    other = model.with_params(params)
    np.testing.assert_array_equal(other.params, params)
    np.testing.assert_array_equal(model.params, before)
    params[:] = 0
    assert other.params.any()  # it took a copy
    twin = model.with_params(model.params)
    twin.params[:] = 0
    np.testing.assert_array_equal(model.params, before)
    x = np.array([[0.5, -1.0]])
    assert (other.logits(x) != model.logits(x)).any()


def test_a_network_leaves_its_arguments_as_they_were():
    net = random_network([2, 4, 3])
    x, y = batch_for(net, 6)
    params, x, y = frozen(net.params, x, y)
    net = net.with_params(params)
    before = x.copy()
    net.loss_and_input_grad(x, y), net.loss_and_param_grad(x, y)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(net.params, params)


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
NETWORK = MLP([2, 3], np.random.default_rng(0))
NOT_SIZES = {f"{what} inside": [2, bad, 3] for what, bad in NOT_A_POSITIVE_COUNT.items()}
NOT_SIZES |= {"one size": [2], "no size": [], "one class": [2, 1], "number": 3, "None": None, "text": "23"}
NOT_MAP_SIZES = {what: bad for what, bad in NOT_SIZES.items() if what != "one class"}
NOT_FOR_THREE_CLASSES = NOT_LABELS | {"fourth class": [0, 3]}
BATCH = {"x": np.eye(2), "y": np.array([0, 1])}
TO_CARRY = {"x": np.eye(2), "grad_outputs": np.ones((2, 3))}
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
        *refusals(MODEL.with_params, {"params": np.ones(3)}, params=not_an_array(3) | {"one more": np.ones(4)}),
        *refusals(MODEL.loss_and_param_grad, BATCH, x=NOT_FOR_MODEL, y=NOT_BINARY_LABELS),
        *refusals(MLP, {"sizes": [2, 3], "rng": np.random.default_rng(0)}, sizes=NOT_SIZES, rng=NOT_A_GENERATOR),
        *refusals(NETWORK.with_params, {"params": np.ones(9)}, params=not_an_array(9) | {"one less": np.ones(8)}),
        *refusals(NETWORK.logits, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(NETWORK.predict, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(NETWORK.loss, BATCH, x=NOT_FOR_MODEL, y=NOT_FOR_THREE_CLASSES),
        *refusals(NETWORK.loss_and_input_grad, BATCH, x=NOT_FOR_MODEL, y=NOT_FOR_THREE_CLASSES),
        *refusals(NETWORK.loss_and_param_grad, BATCH, x=NOT_FOR_MODEL, y=NOT_FOR_THREE_CLASSES),
        *refusals(Network, {"sizes": [2, 1], "rng": np.random.default_rng(0)}, sizes=NOT_MAP_SIZES, rng=NOT_A_GENERATOR),
        *refusals(NETWORK.outputs, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(NETWORK.param_grad, TO_CARRY, x=NOT_FOR_MODEL, grad_outputs=not_an_array(2, 3)),
        *refusals(NETWORK.outputs_and_pullback, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(NETWORK.loss_and_both_grads, BATCH, x=NOT_FOR_MODEL, y=NOT_FOR_THREE_CLASSES),
        *refusals(LogisticRegression.fit, FITTABLE, x=NOT_INPUTS, y=NOT_BINARY_LABELS),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


# For loops that ask many times, and for noise on the inputs.


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_network_computes_in_the_precision_of_its_inputs(kind):
    rng = np.random.default_rng(40)
    net, x, y = MLP([5, 8, 3], rng), rng.standard_normal((6, 5)).astype(kind), rng.integers(0, 3, 6)
    loss, gradient = net.loss_and_input_grad(x, y)
    assert net.logits(x).dtype == net.loss(x, y).dtype == loss.dtype == gradient.dtype == kind
    np.testing.assert_allclose(gradient, net.loss_and_input_grad(x.astype(np.float64), y)[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", [LogisticRegression([1.5, -2.0, 0.5], 0.3), random_network([3, 8, 7, 2]), random_network([3, 6, 4])])
def test_the_log_odds_are_those_against_the_label_and_their_gradient_that_of_finite_differences(model):
    rng = np.random.default_rng(41)
    x = rng.standard_normal((9, 3))
    y = rng.integers(0, model.logits(x).shape[1], 9)
    against, h = model.for_labels(y), 1e-6
    for points in (x, -x):  # the second time on the arrays of the first
        p = np.exp(log_softmax(model.logits(points), axis=1))[np.arange(9), y]
        log_odds, gradient = against.log_odds_and_input_grad(points)
        np.testing.assert_allclose(log_odds, np.log((1 - p) / p), rtol=1e-9)
        np.testing.assert_array_equal(against.log_odds(points), log_odds)
        np.testing.assert_allclose(model.loss(points, y), np.log1p(np.exp(log_odds)), rtol=1e-12)
        gradient = gradient.copy()  # the next call overwrites it
        for j, step in enumerate(h * np.eye(3)):
            slope = (against.log_odds(points + step) - against.log_odds(points - step)) / (2 * h)
            np.testing.assert_allclose(gradient[:, j], slope, atol=1e-7)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [30.0, 200.0, 1e4])
def test_log_odds_are_as_steep_on_a_confident_row(kind, gap):
    against = linear_network([1, 0], [0, 0], [0, 1]).for_labels(np.array([0, 0]))
    log_odds, gradient = against.log_odds_and_input_grad(np.array([[gap, 0.0], [-gap, 0.0]], dtype=kind))
    assert log_odds.dtype == gradient.dtype == kind
    np.testing.assert_allclose(log_odds, [math.log(2) - gap, math.log(2) + gap], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[-1, 0.5], [-1, 0.5]])


def test_labels_and_inputs_of_the_wrong_kind_are_refused_by_name():
    net = random_network([5, 8, 3])
    with pytest.raises(ValueError, match="^y must hold labels"):
        net.for_labels(np.array([0, 3]))
    with pytest.raises(ValueError, match="^x must have shape"):
        net.for_labels(np.array([0, 2])).log_odds(np.ones((2, 4)))


@pytest.mark.parametrize("sizes", [[4, 9, 3], [9, 4, 3], [6, 2], [3, 5, 5, 4]])
def test_noise_drawn_in_the_first_layer_has_the_law_of_noise_on_the_inputs(sizes):
    rng = np.random.default_rng(42)
    net, point, sigma = MLP(sizes, rng), rng.standard_normal(sizes[0]), 0.7
    noisy = net.with_input_noise(sigma, point[None])
    assert noisy.width == min(sizes[:2])
    weight = net.weights[0]
    # a centred normal vector is known by its covariance
    np.testing.assert_allclose(noisy.spread.T @ noisy.spread, sigma**2 * weight.T @ weight, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(noisy.predict(point, np.zeros((2, noisy.width))), net.predict([point, point]))
    if len(weight) == noisy.width:  # here even the draws can be compared
        noise = rng.standard_normal((500, noisy.width))
        np.testing.assert_array_equal(noisy.predict(point, noise), net.predict(point + sigma * noise))
