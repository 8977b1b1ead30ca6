"""Is a measured robustness real? Signs of masked gradients, attacks without them, costs (sections 62.5 and 62.7)."""

import math
from typing import NamedTuple

import numpy as np
from scipy.ndimage import rotate
from scipy.special import expit

from adv_companion import _checks
from adv_companion.attacks import accuracy, fgsm, pgd
from adv_companion.norms import box_around, dual_norm

TINY_GAIN = 1e-6
"""Sign (i): nats. The median first-order gain eps * ||g||_q counts as near zero below this."""
MARGIN = 0.02
"""Signs (ii) to (iv): two points of accuracy. Smaller differences, and smaller remainders, do not count."""


class Sign(NamedTuple):
    """One sign of masked gradients: what was looked at, its numbers by name, and whether it is there.

    ``present`` is True, False, or None for "not tried". Printing one gives a line of a table. Section 62.7.
    """

    label: str
    meaning: str
    numbers: dict
    present: bool | None

    def __str__(self):
        numbers = ", ".join(f"{name} {_short(value)}" for name, value in self.numbers.items())
        verdict = {True: "YES", False: "no", None: "not tried"}[self.present]
        return f"{self.label:5} {self.meaning:25} {numbers:27} {verdict}"


def _short(value):
    return f"{value:.0e}" if 0 < value < 1e-3 else f"{value:.2f}"


def masking_report(model, x, y, eps, p=math.inf, bounds=None, substitute=None, rng=None):
    """The four signs of gradient masking, each with its numbers and a verdict.

    (i) the median of eps * ||gradient||_q, all that the budget buys to first order, is below ``TINY_GAIN``;
    (ii) PGD from the clean point, where FGSM starts too, leaves no less accuracy than FGSM does but for ``MARGIN``, and
    more than ``MARGIN``;
    (iii) PGD with a budget that reaches across the whole box leaves more than ``MARGIN``; without ``bounds`` the box is
    that of ``x``, widened by its own width on each side;
    (iv) points made by PGD on ``substitute`` leave an accuracy lower by ``MARGIN`` than those made on the model.
    They are signs, not proofs: a linear model shows (ii), since its single step is exact, and hides nothing.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) labels; ``eps`` > 0 in units of ``x``; ``p`` in
    {1, 2, inf}; ``bounds`` None or (low, high); ``substitute`` another model of the same task, None to leave out (iv);
    ``rng`` a ``numpy.random.Generator``, None for one with seed 0. PGD takes 40 steps, with two random starts where it
    has any. Returns a list of four ``Sign``. Raises ValueError where an argument is none of these.
    Section 62.7; Athalye, Carlini and Wagner (2018).
    """
    _checks.model("model", model, "predict", "loss", "loss_and_input_grad")
    if substitute is not None:
        _checks.model("substitute", substitute, "loss", "loss_and_input_grad")
    x = _checks.floats("x", x, ndim=2)
    eps = _checks.positive("eps", eps)
    _checks.box("bounds", bounds, "x", x)
    rng = np.random.default_rng(0) if rng is None else _checks.generator("rng", rng)
    _, gradient = model.loss_and_input_grad(x, y)
    gain = float(np.median(eps * dual_norm(gradient, p)))

    def left(source, budget, box, starts=2):
        attacked = pgd(source, x, y, budget, p, restarts=max(starts, 1), random_start=starts > 0, bounds=box, rng=rng)
        return accuracy(model, attacked, y)

    single = accuracy(model, fgsm(model, x, y, eps, p, bounds), y)
    several = left(model, eps, bounds, starts=0)
    white, far = left(model, eps, bounds), _far(x, eps, p, bounds)
    anywhere = left(model, *far)
    black = math.nan if substitute is None else left(substitute, eps, bounds)
    transfers = None if substitute is None else black < white - MARGIN
    return [
        Sign("(i)", "gradients near zero", {"median gain": gain}, gain < TINY_GAIN),
        Sign("(ii)", "steps gain nothing", {"FGSM": single, "PGD": several}, several > max(MARGIN, single - MARGIN)),
        Sign("(iii)", "unbounded eps fails", {"eps": far[0], "PGD": anywhere}, anywhere > MARGIN),
        Sign("(iv)", "transfer beats white box", {"PGD": white, "transfer": black}, transfers),
    ]


def _far(x, eps, p, bounds):
    """A budget from which every point of the box can be reached from every other, and the box."""
    if bounds is None:
        width = max(x.max() - x.min(), eps)
        bounds = (float(x.min() - width), float(x.max() + width))
    return float((bounds[1] - bounds[0]) * x.shape[1] ** (1 / p)), bounds


class Rounded:
    """A defence that hides the gradient: the input goes through a staircase before the model sees it.

    Every feature is rounded to a multiple of ``step``, by a sigmoid in the middle of each tread: at t = x / step, with
    f the fraction of t, the staircase is step * (floor(t) + sigma(steepness * (f - 1/2))). The gradient is this
    function's own. It shrinks with e^(-steepness / 2) on the treads, and in float64 it is exactly 0 there once
    ``steepness`` is above 1500. The decision boundary moves by half a step at most in each feature.

    Parameters: ``model``; ``step`` > 0 in units of the input; ``steepness`` > 0, steeper being closer to rounding.
    Raises ValueError where an argument is none of these. Sections 62.1.2 and 62.5; Athalye, Carlini and Wagner (2018).
    """

    def __init__(self, model, step, steepness=1e6):
        self.model = _checks.model("model", model, "predict")
        self.step, self.steepness = _checks.positive("step", step), _checks.positive("steepness", steepness)

    def _treads(self, x):
        x = _checks.floats("x", x, ndim=2)
        tread = np.floor(x / self.step)
        return tread, self.steepness * (x / self.step - tread - 0.5)

    def staircase(self, x):
        """What the model sees of inputs (n, d)."""
        tread, rise = self._treads(x)
        return self.step * (tread + expit(rise))

    def logits(self, x):
        """Scores (n, k) of inputs (n, d)."""
        return self.model.logits(self.staircase(x))

    def predict(self, x):
        """Labels (n,) of inputs (n, d)."""
        return self.model.predict(self.staircase(x))

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,)."""
        return self.model.loss(self.staircase(x), y)

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d): the model's, times the staircase's slope."""
        loss, gradient = self.model.loss_and_input_grad(self.staircase(x), y)
        _, rise = self._treads(x)
        return loss, gradient * self.steepness * expit(rise) * expit(-rise)


def sign_search(model, x, y, eps, queries=500, bounds=None, rng=None):
    """An attack without gradients in the l_inf ball: flip a few features at random, keep what raises the loss.

    The search goes over the corners, x - eps or x + eps in each feature, cut to the bounds, since the worst point is
    often one. The first round draws all sides; each later one draws a side again with a probability that falls from 0.3
    towards 1 / d, for each row on its own, and asks the model for its loss. It never asks for a gradient, so masking
    one does not help.

    Parameters: ``model``, of which only ``loss`` is used; ``x`` (n, d) float inputs; ``y`` (n,) labels; ``eps`` >= 0
    in units of ``x``; ``queries`` >= 1 rounds, after the loss of ``x``; ``bounds`` None or (low, high); ``rng`` a
    ``numpy.random.Generator``, None for one with seed 0.
    Returns ``(n, d)``, the highest-loss point seen for each row, the clean one included; no row depends on the later.
    Raises ValueError where an argument is none of these. Section 62.5; Andriushchenko et al. (2020), whose search
    moves square blocks of an image.
    """
    _checks.model("model", model, "loss")
    x = _checks.floats("x", x, ndim=2)
    eps, queries = _checks.real("eps", eps, low=0), _checks.count("queries", queries, low=1)
    rng = np.random.default_rng(0) if rng is None else _checks.generator("rng", rng)
    lower, upper = box_around(x, eps, *_checks.box("bounds", bounds, "x", x))
    best, best_loss = x.copy(), model.loss(x, y)
    for number, stream in enumerate(rng.spawn(queries)):
        share = 1.0 if number == 0 else max(0.3 * (1 - number / queries) ** 2, 1 / x.shape[1])
        draw = stream.random(x.shape)  # below the share: redrawn, the lower half of it to the low side
        z = np.where(draw < share, np.where(draw < share / 2, lower, upper), best)
        loss = model.loss(z, y)
        better = loss > best_loss
        best[better], best_loss[better] = z[better], loss[better]
    return best


def worst_case(model, x, y, candidates):
    """For each row the candidate that hurts most: a wrong label before a right one, then the higher loss.

    So an accuracy under several attacks counts a row only if it survives all of them. ``x`` itself is a candidate.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) labels; ``candidates`` arrays of the shape of ``x``.
    Returns ``(n, d)``. Raises ValueError where an argument is none of these. Section 62.5.
    """
    _checks.model("model", model, "predict", "loss")
    x = _checks.floats("x", x, ndim=2)
    y = _checks.labels("y", y, len(x))
    worst = x.copy()
    worst_wrong, worst_loss = model.predict(x) != y, model.loss(x, y)
    for candidate in candidates:
        z = _checks.floats("candidates", candidate, ndim=2, shape=x.shape)
        wrong, loss = model.predict(z) != y, model.loss(z, y)
        harder = (wrong > worst_wrong) | ((wrong == worst_wrong) & (loss > worst_loss))
        worst[harder], worst_wrong[harder], worst_loss[harder] = z[harder], wrong[harder], loss[harder]
    return worst


class PassCounter:
    """A model that counts the passes through it: ``forward`` for each batch it labels or scores, ``backward`` for
    each gradient, of the inputs or of the parameters.

    The models that ``with_params`` makes of it share its counts, so that a whole training is counted.
    Parameters: ``model``. Section 62.7.
    """

    def __init__(self, model):
        self.model = _checks.model("model", model, "predict")
        self._counts = {"forward": 0, "backward": 0}

    @property
    def forward(self):
        """Forward passes so far, one a batch."""
        return self._counts["forward"]

    @property
    def backward(self):
        """Backward passes so far, one a batch."""
        return self._counts["backward"]

    @property
    def params(self):
        """The model's parameters."""
        return self.model.params

    def with_params(self, params):
        """The same model with other parameters, counted together with this one."""
        other = PassCounter(self.model.with_params(params))
        other._counts = self._counts
        return other

    def _ask(self, name, *arguments, backward=0):
        self._counts["forward"] += 1
        self._counts["backward"] += backward
        return getattr(self.model, name)(*arguments)

    def logits(self, x):
        """The model's scores; one forward pass."""
        return self._ask("logits", x)

    def predict(self, x):
        """The model's labels; one forward pass."""
        return self._ask("predict", x)

    def loss(self, x, y):
        """The model's losses; one forward pass."""
        return self._ask("loss", x, y)

    def loss_and_input_grad(self, x, y):
        """The model's losses and input gradients; one forward and one backward pass."""
        return self._ask("loss_and_input_grad", x, y, backward=1)

    def loss_and_param_grad(self, x, y):
        """The model's losses and parameter gradient; one forward and one backward pass."""
        return self._ask("loss_and_param_grad", x, y, backward=1)


def shift_images(x, down, right):
    """Square images moved by whole pixels, with 0 where nothing comes in.

    Parameters: ``x`` (n, s * s) float, rows of pixels one after the other; ``down`` and ``right`` integers, negative
    for up and left. Returns ``(n, s * s)``. Raises ValueError where an argument is none of these. Section 62.5.
    """
    images = _images(x)
    side = images.shape[1]
    shifted = np.zeros_like(images)
    moves = _move("down", down, side), _move("right", right, side)
    to = tuple(slice(max(move, 0), side + min(move, 0)) for move in moves)
    source = tuple(slice(max(-move, 0), side + min(-move, 0)) for move in moves)
    shifted[:, *to] = images[:, *source]
    return shifted.reshape(len(images), -1)


def _move(name, value, side):
    value = _checks.count(name, value, low=1 - side)
    if value >= side:
        raise ValueError(f"{name} must be below {side} pixels, got {value}")
    return value


def rotate_images(x, degrees):
    """Square images turned counter-clockwise about their centre, linearly interpolated, with 0 from outside.

    Parameters: ``x`` (n, s * s) float, rows of pixels one after the other; ``degrees`` a number.
    Returns ``(n, s * s)``, no pixel outside the range of 0 and ``x``.
    Raises ValueError where an argument is none of these. Section 62.5; Engstrom et al. (2019).
    """
    images = _images(x)
    degrees = _checks.real("degrees", degrees)
    turned = rotate(images, degrees, axes=(1, 2), reshape=False, order=1)
    return turned.reshape(len(images), -1)


def _images(x):
    x = _checks.floats("x", x, ndim=2)
    side = math.isqrt(x.shape[1])
    if side * side != x.shape[1]:
        raise ValueError(f"x must hold square images, got rows of {x.shape[1]} pixels")
    return x.reshape(len(x), side, side)
