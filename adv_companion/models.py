"""Models with hand-written input gradients.

A model has ``logits(x)`` (n, k), ``predict(x)`` (n,), ``loss(x, y)`` (n,) and ``loss_and_input_grad(x, y)``
((n,), (n, d)): all that an attack needs to know. For training it also has ``params``, one vector (m,),
``with_params(params)`` and ``loss_and_param_grad(x, y)``. Losses are cross-entropies in nats, one a row.
"""

import copy
from types import SimpleNamespace

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit

from adv_companion import _checks


class LogisticRegression:
    """Two classes, 0 and 1, and a linear score: P(y = 1 | x) = sigma(x.coef + intercept).

    Parameters: ``coef`` (d,), ``intercept`` a number. Raises ValueError if they are not finite numbers of that shape.
    Section 62.3.
    """

    def __init__(self, coef, intercept):
        self.coef = _checks.floats("coef", coef, ndim=1).copy()
        self.intercept = _checks.real("intercept", intercept)

    def __repr__(self):
        return f"LogisticRegression(coef={self.coef.tolist()}, intercept={self.intercept})"

    def logits(self, x):
        """Scores of class 0 (always 0) and class 1 for inputs (n, d). Returns (n, 2)."""
        score = self._score(x)
        return np.stack([np.zeros_like(score), score], axis=1)

    def predict(self, x):
        """Labels (n,) of inputs (n, d): 1 where the score is positive."""
        return (self._score(x) > 0).astype(np.int64)

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,) 0 or 1."""
        score = self._score(x)
        return _cross_entropy(score, _checks.labels("y", y, len(score), n_classes=2))

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d) with respect to the inputs: (sigma(z) - y) * coef.

        The factor is computed as -sigma(-z) for y = 1, so that a confident score does not round it to zero.
        """
        loss, factor = self._loss_and_score_grad(x, y)
        return loss, factor[:, None] * self.coef

    def for_labels(self, y):
        """The log-odds (n,) against labels (n,) that stay, minus or plus the score, as ``MLP.for_labels`` gives them."""
        sign = 1 - 2 * _checks.labels("y", y, None, n_classes=2)
        return SimpleNamespace(
            log_odds=lambda x: sign * self._score(x),
            log_odds_and_input_grad=lambda x: (sign * self._score(x), sign[:, None] * self.coef),
        )

    def _score(self, x):
        """The score (n,) of inputs (n, d)."""
        return _checks.floats("x", x, ndim=2, shape=(None, len(self.coef))) @ self.coef + self.intercept

    def _loss_and_score_grad(self, x, y):
        score = self._score(x)
        y = _checks.labels("y", y, len(score), n_classes=2)
        return _cross_entropy(score, y), np.where(y == 1, -expit(-score), expit(score))

    @property
    def params(self):
        """The parameters as one vector (d + 1,): coef, then intercept."""
        return np.append(self.coef, self.intercept)

    def with_params(self, params):
        """A model of the same kind with other parameters (d + 1,)."""
        params = _checks.floats("params", params, ndim=1, shape=(len(self.coef) + 1,))
        return LogisticRegression(params[:-1], params[-1])

    def loss_and_param_grad(self, x, y):
        """The losses (n,) and the gradient (d + 1,) of their *mean* with respect to ``params``."""
        loss, factor = self._loss_and_score_grad(x, y)
        return loss, np.append(factor @ np.asarray(x), factor.sum()) / len(factor)

    @classmethod
    def fit(cls, x, y):
        """The maximum-likelihood model, by Newton's method with halved steps; what R's ``glm`` converges to.

        Parameters: ``x`` (n, d) float; ``y`` (n,) labels, 0 and 1 both present. Returns a ``LogisticRegression``.
        Raises ValueError if the labels are of one class, if columns of ``x`` (and the constant) are linearly
        dependent, or if a line separates the classes: then the likelihood has no maximum, since scaling such a
        separating model up raises it for ever (Albert and Anderson, 1984). Section 62.3.
        """
        x = _checks.floats("x", x, ndim=2).astype(np.float64)
        y = _checks.labels("y", y, len(x), n_classes=2)
        center, unit = x.mean(axis=0), np.maximum(x.std(axis=0), np.finfo(float).tiny)
        design = np.column_stack([np.ones(len(x)), (x - center) / unit])  # neither origin nor units matter from here
        _refuse_degenerate(design, y)
        theta = _newton(design, y)
        ran_off = theta is None or np.abs(design @ theta).max() > 15  # it can seem to settle far out
        if ran_off and _separable(design, y):
            raise ValueError(
                "x and y have no maximum-likelihood fit: a linear score separates the two classes, "
                "so scaling it up raises the likelihood without end"
            )
        if theta is None:
            raise ValueError("x and y gave no fit in 100 Newton steps: they are too close to being separable")
        coef = theta[1:] / unit
        return cls(coef, theta[0] - center @ coef)


def _newton(design, y):
    """The coefficients that maximise the likelihood, or None where 100 steps, halved if need be, do not settle."""
    theta, loss = np.zeros(design.shape[1]), len(y) * np.log(2)
    for _ in range(100):
        score = design @ theta
        probability = expit(score)
        curvature = design.T * (probability * expit(-score)) @ design
        try:
            step = np.linalg.solve(curvature, design.T @ (y - probability))
        except np.linalg.LinAlgError:
            return None  # every probability has rounded to 0 or 1
        while (tried := _cross_entropy(design @ (theta + step), y).sum()) > loss * (1 + 1e-12):
            step = step / 2
        theta, loss = theta + step, tried
        if np.abs(step).max() <= 1e-10 * (1 + np.abs(theta).max()):
            return theta
    return None


def _cross_entropy(score, y):
    return np.logaddexp(0, np.where(y == 1, -score, score))


def _refuse_degenerate(design, y):
    """Raise where the likelihood cannot have one maximum, whatever the geometry of the classes."""
    if y.min() == y.max():
        raise ValueError(f"y must hold both labels, got only {y.min()}")
    rank = np.linalg.matrix_rank(design)
    if rank < design.shape[1]:
        raise ValueError(
            f"x must have columns that are linearly independent of each other and of a constant: "
            f"rank {rank} of {design.shape[1]}"
        )


def _separable(design, y):
    """Whether some linear score is on the right side of, or undecided on, every point, and not undecided on all.

    A linear programme maximises the sum of the signed scores, none below zero, over bounded coefficients: the maximum
    is zero unless the classes are separable (Albert and Anderson, 1984).
    """
    signed = np.where(y == 1, 1.0, -1.0)[:, None] * design
    strict = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(y)), bounds=(-1, 1), options=strict)
    return -best.fun > 1e-7


class Network:
    """A fully connected network with ReLU between the layers and plain numbers on top: any map of vectors to vectors.

    Parameters: ``sizes`` (d, ..., k), at least two integers >= 1, from the number of inputs to that of outputs;
    ``rng`` a ``numpy.random.Generator`` for the weights, normal with variance 2 / inputs (He et al., 2015); biases
    start at 0. All parameters lie in one vector, ``params``; ``weights`` and ``biases``, arrays (in, out) and (out,)
    for each layer, are views of it.
    Raises ValueError where an argument is none of these. Sections 62.4 and 62.4.1.
    """

    def __init__(self, sizes, rng):
        self.sizes = _checks.sizes("sizes", sizes, at_least=2)
        rng = _checks.generator("rng", rng)
        layers = []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:]):
            layers += [rng.standard_normal(fan_in * fan_out) * np.sqrt(2 / fan_in), np.zeros(fan_out)]
        self.params = np.concatenate(layers)

    @property
    def weights(self):
        """The weights (in, out) of each layer, a list of views of ``params``."""
        return [weight for weight, _ in self._layers()]

    @property
    def biases(self):
        """The biases (out,) of each layer, a list of views of ``params``."""
        return [bias for _, bias in self._layers()]

    def _layers(self):
        """(weight, bias) of each layer, cut out of ``params`` afresh, so that they are never out of date."""
        layers, start = [], 0
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:]):
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            layers.append((self.params[start:middle].reshape(fan_in, fan_out), self.params[middle:end]))
            start = end
        return layers

    def with_params(self, params):
        """A network of the same sizes with other parameters, a vector like ``params``, of which it takes a copy."""
        other = copy.copy(self)
        other.params = _checks.floats("params", params, ndim=1, shape=self.params.shape).copy()
        return other

    def outputs(self, x):
        """What the network makes of inputs (n, d): (n, k), in the precision of the inputs."""
        return self.outputs_and_pullback(x)[0]

    def param_grad(self, x, grad_outputs):
        """The gradient of sum(grad_outputs * outputs(x)) with respect to ``params``, a vector like it.

        This carries a loss's gradient ``grad_outputs`` (n, k) with respect to the outputs back to the parameters.
        Raises ValueError for arrays of another shape, or NaN or infinity in them.
        """
        return self.outputs_and_pullback(x)[1](grad_outputs)

    def outputs_and_pullback(self, x):
        """The outputs (n, k) of inputs (n, d), and ``param_grad`` at these inputs as a function of ``grad_outputs`` alone.

        For a loss that lies further up and needs the outputs first: the inputs pass through the network once.
        Raises ValueError for arrays of another shape, or NaN or infinity in them; the function does so, too.
        """
        x = self._inputs(x)
        through = _Pass(self, len(x), x.dtype)
        outputs = through.forward(x)

        def pullback(grad_outputs):
            """The gradient of sum(grad_outputs * outputs) with respect to ``params``, for ``grad_outputs`` (n, k)."""
            return through.to_params(_checks.floats("grad_outputs", grad_outputs, ndim=2, shape=outputs.shape))

        return outputs, pullback

    def _inputs(self, x):
        return _checks.floats("x", x, ndim=2, shape=(None, self.sizes[0]))


class _Pass:
    """Batches of one size and precision on their way through a network and back.

    Its arrays are used again: a call overwrites what the same method gave before, and the way back to the inputs, which
    an attack takes many times, also what the way there left.
    """

    def __init__(self, network, n, dtype):
        layers = network._layers()
        self.weights = [weight.astype(dtype, copy=False) for weight, _ in layers]
        self.biases = [bias.astype(dtype, copy=False) for _, bias in layers]
        self.after = [np.empty((n, size), dtype) for size in network.sizes[1:]]
        self.input_grad = None  # made when first asked for

    def forward(self, x):
        """The outputs (n, k) of inputs (n, d)."""
        self.before = [x, *self.after[:-1]]  # what enters each layer
        for active, weight, bias, out in zip(self.before, self.weights, self.biases, self.after):
            np.matmul(active, weight, out=out)
            out += bias
            if out is not self.after[-1]:
                np.clip(out, 0, np.inf, out=out)  # np.maximum with a number takes three times as long
        return self.after[-1]

    def to_params(self, grad):
        """The outputs' gradient (n, k), carried back to the parameters: one vector."""
        pieces = []
        for layer in reversed(range(len(self.weights))):
            active = self.before[layer]
            pieces += [grad.sum(axis=0), (active.T @ grad).ravel()]
            if layer > 0:  # nobody asks how the loss depends on the inputs
                grad = grad @ self.weights[layer].T
                grad *= active > 0
        return np.concatenate(pieces[::-1])

    def to_inputs(self, grad):
        """The outputs' gradient (n, k), carried back to the inputs: (n, d)."""
        for layer in reversed(range(1, len(self.weights))):
            positive = self.before[layer] > 0
            grad = np.matmul(grad, self.weights[layer].T, out=self.before[layer])
            grad *= positive
        self.input_grad = np.matmul(grad, self.weights[0].T, out=self.input_grad)
        return self.input_grad


class MLP(Network):
    """A classifier: a ``Network`` whose outputs are the logits of k >= 2 classes, under softmax cross-entropy.

    Parameters: ``sizes`` and ``rng`` as for ``Network``, the last size being the number of classes.
    Raises ValueError where an argument is none of these. Sections 62.1.2 and 62.2.
    """

    def __init__(self, sizes, rng):
        super().__init__(sizes, rng)
        if self.sizes[-1] < 2:
            raise ValueError(f"sizes must end with the number of classes, at least 2, got {self.sizes}")

    def logits(self, x):
        """Scores (n, k) of inputs (n, d)."""
        return self.outputs(x)

    def predict(self, x):
        """Labels (n,) of inputs (n, d): the class of the largest score."""
        return self.logits(x).argmax(axis=1)

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,) from 0 to k - 1."""
        x, labelled = self._checked(x, y)
        return labelled.loss(x)

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d) with respect to the inputs."""
        x, labelled = self._checked(x, y)
        return labelled.loss_and_input_grad(x)

    def loss_and_param_grad(self, x, y):
        """The losses (n,) and the gradient of their *mean* with respect to ``params``, a vector like it."""
        x, labelled = self._checked(x, y)
        return labelled.loss_and_param_grad(x)

    def loss_and_both_grads(self, x, y):
        """The losses (n,), the gradient of their *mean* with respect to ``params``, and theirs (n, d) to the inputs.

        What ``loss_and_param_grad`` and ``loss_and_input_grad`` give, from one pass through the network.
        """
        x, labelled = self._checked(x, y)
        return labelled.loss_and_both_grads(x)

    def _checked(self, x, y):
        """The inputs (n, d), and the losses and gradients for their labels (n,)."""
        x = self._inputs(x)
        return x, _Labelled(self, _checks.labels("y", y, len(x), n_classes=self.sizes[-1]), _Pass(self, len(x), x.dtype))

    def for_labels(self, y):
        """The log-odds (n,) against labels (n,) that stay: log((1 - p_y) / p_y), which the loss log(1 + e^log-odds) follows.

        For walks that climb the loss: where a row is confident the loss is flat, the log-odds are not. Returns an object
        with ``log_odds(x)`` and ``log_odds_and_input_grad(x)``, which check ``x`` (n, d) the first time only; a call
        overwrites the last one's gradients (n, d).
        """
        return _Labelled(self, _checks.labels("y", y, None, n_classes=self.sizes[-1]))

    def with_input_noise(self, sigma, x):
        """The network's answers under Gaussian noise on inputs like ``x`` (n, d), for ``SmoothedClassifier``."""
        return _NoiseInFirstLayer(self, _checks.positive("sigma", sigma), self._inputs(x).dtype)


class _NoiseInFirstLayer:
    """A network's answers at a point plus Gaussian noise, the noise drawn no wider than the first layer sees it.

    The first layer's weights W turn the noise into sigma W^T noise, a normal vector with covariance sigma^2 W^T W. Where
    the layer is narrower than the input, sigma R^T noise has the same law, with W = QR and as few numbers as the layer is
    wide. The point's own share of the first layer is computed once for all draws of a call.
    """

    def __init__(self, network, sigma, dtype):
        (weight, self.bias), *others = network._layers()
        narrow = np.linalg.qr(weight, mode="r") if weight.shape[0] > weight.shape[1] else weight
        self.weight, self.width = weight, len(narrow)
        self.spread = (sigma * narrow).astype(dtype)
        self.others = [(w.astype(dtype), b.astype(dtype)) for w, b in others]

    def predict(self, point, noise):
        """Labels (m,) for standard normal ``noise`` (m, width) around ``point`` (d,)."""
        active = noise @ self.spread
        active += (point @ self.weight + self.bias).astype(active.dtype)
        for weight, bias in self.others:
            active = np.clip(active, 0, np.inf, out=active) @ weight
            active += bias
        return active.argmax(axis=1)


class _Labelled:
    """A classifier's losses, log-odds and gradients, for labels that stay and batches of one size and precision."""

    def __init__(self, network, y, through=None):
        self.network, self.through = network, through
        self.right = y * len(y) + np.arange(len(y))  # where the labels' numbers stand in scores (k, n), in flat order

    def log_odds(self, x):
        """The log-odds (n,) against the labels at inputs (n, d)."""
        return self._log_odds(x)[0]

    def log_odds_and_input_grad(self, x):
        """The log-odds (n,), and their gradients (n, d) in an array that the next call overwrites."""
        log_odds, grad = self._log_odds(x)
        return log_odds, self.through.to_inputs(grad)

    def loss(self, x):
        """Cross-entropies (n,) of inputs (n, d)."""
        return np.logaddexp(0, self.log_odds(x))

    def loss_and_input_grad(self, x):
        """The losses (n,), and their gradients (n, d) in an array that the next call overwrites."""
        loss, grad = self._losses(x)
        return loss, self.through.to_inputs(grad)

    def loss_and_param_grad(self, x):
        """The losses (n,) and the gradient of their *mean* with respect to the parameters."""
        loss, grad = self._losses(x)
        return loss, self.through.to_params(grad / len(grad))

    def loss_and_both_grads(self, x):
        """The losses (n,), the gradient of their *mean* with respect to the parameters, and theirs (n, d) to the inputs."""
        loss, grad = self._losses(x)
        to_params = self.through.to_params(grad / len(grad))  # first, since the way to the inputs overwrites the pass
        return loss, to_params, self.through.to_inputs(grad)

    def _losses(self, x):
        """The losses (n,), and their gradients (n, k) with respect to the logits."""
        log_odds, grad = self._log_odds(x)
        grad *= expit(log_odds)[:, None]
        return np.logaddexp(0, log_odds), grad

    def _log_odds(self, x):
        """The log-odds (n,), and their gradients (n, k) with respect to the logits."""
        if self.through is None:  # the first inputs show what is to come
            self.through = _Pass(self.network, len(self.network._inputs(x)), x.dtype)
        return _log_odds_against(self.through.forward(x), self.right)


def _log_odds_against(logits, right):
    """log((1 - p_y) / p_y) for each row (n,), and its gradients (n, k) with respect to the logits.

    That is logsumexp of the wrong logits less the right one. So its gradient is the softmax over the wrong classes, and -1
    for the right one: it rounds to zero on no row, however confident. The cross-entropy is log(1 + e^log-odds). Classes
    are rows meanwhile, since whole rows add and divide fastest; ``right`` (n,) says where the labels' numbers then
    stand, in flat order.
    """
    scores = np.array(logits.T, order="C")
    flat = scores.ravel()
    own, flat[right] = flat[right], -np.inf
    largest = scores.max(axis=0)
    scores -= largest
    share = np.exp(scores, out=scores)
    total = share.sum(axis=0)
    share /= total
    flat[right] = -1
    return np.log(total) + (largest - own), share.T
