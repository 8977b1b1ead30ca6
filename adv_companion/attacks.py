"""Attacks on a model, and accuracy with and without them (sections 62.1.1 and 62.3).

A model is anything with ``predict(x) -> (n,)`` and ``loss_and_input_grad(x, y) -> ((n,), (n, d))``; the models of
``adv_companion.models`` are.
"""

import math

import numpy as np

from adv_companion import _checks
from adv_companion.norms import linear_maximizer


def fgsm(model, x, y, eps, p=math.inf, bounds=None):
    """One step to the maximiser of the linearised loss over the l_p ball: the fast gradient sign method for p = inf.

    Costs one gradient. Exact for a loss that is monotone in one linear score (logistic regression); for any other,
    only to first order. With ``bounds`` the step is clipped afterwards, which stays inside the ball and, for
    p = inf, is still the maximiser over ball and box together; for p = 1 and 2 it may not be.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) integer labels; ``eps`` >= 0 in units of ``x``;
    ``p`` in {1, 2, inf}; ``bounds`` None or (low, high), two numbers between which every feature of ``x`` lies.
    Returns the attacked inputs ``(n, d)``; ``x`` itself is not changed.
    Raises ValueError where an argument is none of these. Section 62.1.1; Goodfellow, Shlens and Szegedy (2015).
    """
    x = _checks.floats("x", x, ndim=2)
    low, high = _bounds(bounds, x)
    _, gradient = model.loss_and_input_grad(x, y)
    attacked = x + linear_maximizer(gradient, eps, p)
    return attacked if bounds is None else np.clip(attacked, low, high)


def _bounds(bounds, x):
    """(low, high) as floats, after checking that the clean inputs lie between them."""
    if bounds is None:
        return -math.inf, math.inf
    if np.shape(bounds) != (2,):
        raise ValueError(f"bounds must be a pair (low, high) of numbers, got {bounds!r}")
    low = _checks.real("bounds[0]", bounds[0])
    high = _checks.real("bounds[1]", bounds[1], low=low)
    if x.min() < low or x.max() > high:
        raise ValueError(f"x must lie inside bounds = ({low}, {high}), got values from {x.min()} to {x.max()}")
    return low, high


def accuracy(model, x, y):
    """The share of rows that the model labels as ``y`` says.

    Parameters: ``model``; ``x`` (n, d) float; ``y`` (n,) integer labels. Returns a float in [0, 1].
    Raises ValueError for an ``x`` that is not a finite (n, d) array or labels of another shape or type.
    """
    x = _checks.floats("x", x, ndim=2)
    y = _checks.labels("y", y, len(x), n_classes=np.iinfo(np.int64).max)
    return float(np.mean(model.predict(x) == y))


def robust_accuracy(model, x, y, attack):
    """Accuracy on the attacked inputs: an upper bound on robustness that is only as good as the attack.

    Parameters: as for ``accuracy``; ``attack`` a function (model, x, y) -> attacked inputs of the shape of ``x``,
    which therefore adapts to the model it is given. Returns a float in [0, 1].
    Raises ValueError as ``accuracy`` does, or if the attack returns another shape. Sections 62.3 and 62.5.
    """
    x = _checks.floats("x", x, ndim=2)
    attacked = _checks.floats("attack(model, x, y)", attack(model, x, y), ndim=2, shape=x.shape)
    return accuracy(model, attacked, y)
