"""Attacks on a model, and accuracy with and without them (sections 62.1.1, 62.1.2 and 62.3).

A model is anything with ``predict(x) -> (n,)``, ``loss(x, y) -> (n,)`` and
``loss_and_input_grad(x, y) -> ((n,), (n, d))``; the models of ``adv_companion.models`` are.
"""

import math

import numpy as np

from adv_companion import _checks
from adv_companion.norms import linear_maximizer, project, sample_ball


def fgsm(model, x, y, eps, p=math.inf, bounds=None):
    """One step to the maximiser of the linearised loss over the l_p ball: the fast gradient sign method for p = inf.

    Costs one gradient. Exact for a loss that is monotone in one linear score (logistic regression); for any other,
    only to first order. The projection at the end trims what rounding adds and, with ``bounds``, what leaves the box; for
    p = inf the result still is the maximiser over ball and box together, for p = 1 and 2 it may not be.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) integer labels; ``eps`` >= 0 in units of ``x``;
    ``p`` in {1, 2, inf}; ``bounds`` None or (low, high), two numbers between which every feature of ``x`` lies.
    Returns the attacked inputs ``(n, d)``; ``x`` itself is not changed.
    Raises ValueError where an argument is none of these. Section 62.1.1; Goodfellow, Shlens and Szegedy (2015).
    """
    x = _checks.floats("x", x, ndim=2)
    _checks.box("bounds", bounds, "x", x)
    _, gradient = model.loss_and_input_grad(x, y)
    return project(x + linear_maximizer(gradient, eps, p), x, eps, p, bounds)


def pgd(
    model, x, y, eps, p=math.inf, steps=40, step_size=None, restarts=1, random_start=True,
    targeted=False, bounds=None, rng=None,
):  # fmt: skip
    """Projected gradient ascent on the loss: best linear steps, each followed by a projection on ball and box.

    Returns, for each row on its own, the highest-loss point seen over all restarts and steps, the clean point
    included; so more steps and more restarts never weaken it, and no row depends on the others. Coordinates that stand
    at a bound and would leave it are taken out of the gradient first, lest an l_1 step be spent on nothing.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) labels, the wanted ones if ``targeted`` (the loss
    towards them is then made small); ``eps`` >= 0 in units of ``x``; ``p`` in {1, 2, inf}; ``steps`` >= 1;
    ``step_size`` > 0 in units of ``x``, None for 2.5 * eps / steps; ``restarts`` >= 1, more than one only with
    ``random_start`` (uniform in the ball); ``bounds`` as for ``fgsm``; ``rng`` a ``numpy.random.Generator``, None for
    one with seed 0, so that the same call gives the same answer. Costs steps gradients and one loss a restart.
    Returns the attacked inputs ``(n, d)``; ``x`` itself is not changed.
    Raises ValueError where an argument is none of these. Section 62.1.2; Madry et al. (2018).
    """
    x = _checks.floats("x", x, ndim=2)
    eps = _checks.real("eps", eps, low=0)
    steps, restarts = _checks.count("steps", steps, low=1), _checks.count("restarts", restarts, low=1)
    low, high = _checks.box("bounds", bounds, "x", x)
    rng = np.random.default_rng(0) if rng is None else _checks.generator("rng", rng)
    step_size = 2.5 * eps / steps if step_size is None else _checks.positive("step_size", step_size)
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts must be 1 without random_start, since all would be the same, got {restarts}")
    uphill = -1 if targeted else 1
    best, best_loss = x.copy(), uphill * model.loss(x, y)

    for stream in rng.spawn(restarts):
        z = project(x + sample_ball(*x.shape, eps, p, stream), x, eps, p, bounds) if random_start else x
        for _ in range(steps):
            loss, gradient = model.loss_and_input_grad(z, y)
            _keep_better(best, best_loss, z, uphill * loss)
            gradient = uphill * gradient
            gradient[((z >= high) & (gradient > 0)) | ((z <= low) & (gradient < 0))] = 0
            z = project(z + linear_maximizer(gradient, step_size, p), x, eps, p, bounds)
        _keep_better(best, best_loss, z, uphill * model.loss(z, y))
    return best


def _keep_better(best, best_loss, z, loss):
    better = loss > best_loss
    best[better], best_loss[better] = z[better], loss[better]


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
