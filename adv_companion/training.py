"""Fitting models to attacked data (sections 62.2 and 62.3)."""

import math

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from adv_companion import _checks
from adv_companion.attacks import fgsm
from adv_companion.models import LogisticRegression
from adv_companion.norms import dual_exponent, dual_norm, linear_maximizer


class Adam:
    """Gradient descent that scales each parameter's step by the recent size of its gradients.

    Parameters: ``lr`` > 0, about the size of a step; ``momentum`` in [0, 1), the memory of the mean gradient (games are
    often played with less of it than the usual 0.9). The memory of the squared gradient is 0.999.
    Raises ValueError where an argument is none of these. Kingma and Ba (2015).
    """

    def __init__(self, lr, momentum=0.9):
        self.lr = _checks.positive("lr", lr)
        self.momentum = _checks.real("momentum", momentum, low=0, high=math.nextafter(1, 0))
        self._mean = self._square = self._steps = 0

    def descend(self, params, gradient):
        """The next parameters (m,), given the present ones and the gradient (m,) there; neither is changed."""
        params = _checks.floats("params", params, ndim=1)
        gradient = _checks.floats("gradient", gradient, ndim=1, shape=params.shape)
        self._steps += 1
        fresh = round(1 - self.momentum, 15)  # 0.1 to the last bit for 0.9, where 1 - 0.9 is not
        self._mean = self.momentum * self._mean + fresh * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        size = np.sqrt(self._square / (1 - 0.999**self._steps)) + 1e-8
        return params - self.lr * (self._mean / (1 - self.momentum**self._steps) / size)


def train(model, x, y, *, epochs, batch_size, lr, rng, attack=None, after_epoch=None):
    """Minimise the mean loss by Adam on minibatches; with an ``attack``, the mean loss on attacked minibatches.

    Adversarial training is the second: each minibatch is attacked against the model as it is, then one ordinary
    gradient step is taken at the attacked points (Eq. 62.3 says why that is the right gradient).

    Parameters: ``model`` with ``params``, ``with_params`` and ``loss_and_param_grad``, left as it is; ``x`` (n, d),
    ``y`` (n,) labels; ``epochs`` >= 1 passes; ``batch_size`` >= 1; ``lr`` > 0, Adam's step; ``rng`` a
    ``numpy.random.Generator`` for the order of the points; ``attack`` None or a function (model, x, y) -> attacked
    inputs; ``after_epoch`` None or a function (epoch, model), epochs counted from 1. Returns the trained model.
    Raises ValueError where an argument is none of these, or if the attack returns another shape.
    Section 62.2; Kingma and Ba (2015), Madry et al. (2018).
    """
    _checks.model("model", model, "with_params", "loss_and_param_grad")
    _checks.function("attack", attack, optional=True), _checks.function("after_epoch", after_epoch, optional=True)
    x = _checks.floats("x", x, ndim=2)
    y = _checks.labels("y", y, len(x))
    epochs, batch_size = _checks.count("epochs", epochs, low=1), _checks.count("batch_size", batch_size, low=1)
    rng = _checks.generator("rng", rng)
    adam = Adam(lr)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(x))
        for rows in np.array_split(order, math.ceil(len(x) / batch_size)):
            batch = x[rows]
            if attack is not None:
                attacked = attack(model, batch, y[rows])
                batch = _checks.floats("attack(model, x, y)", attacked, ndim=2, shape=batch.shape)
            _, gradient = model.loss_and_param_grad(batch, y[rows])
            model = model.with_params(adam.descend(model.params, gradient))
        if after_epoch is not None:
            after_epoch(epoch, model)
    return model


def augmented_logistic(x, y, eps, p=math.inf):
    """The chapter's defence: fit, attack the training points once, fit again to clean and attacked points together.

    The perturbations come from the *first* fit and stay as they are, so this is data augmentation and not the
    min-max problem, which ``robust_logistic`` solves.

    Parameters: ``x`` (n, d) float; ``y`` (n,) labels 0/1; ``eps`` >= 0 in units of ``x``; ``p`` in {1, 2, inf}.
    Returns a ``LogisticRegression``. Raises ValueError as ``LogisticRegression.fit`` and ``fgsm`` do. Section 62.3.
    """
    attacked = fgsm(LogisticRegression.fit(x, y), x, y, eps, p)
    return LogisticRegression.fit(np.concatenate([x, attacked]), np.concatenate([y, y]))


def robust_logistic(x, y, eps, p=math.inf):
    """The linear model that minimises the mean *worst-case* logistic loss: the min-max problem, solved exactly.

    For a linear score the inner maximum has a closed form (Eq. 62.1), which leaves a convex problem in (w, b):
    the mean of log(1 + exp(eps * ||w||_q - s (w.x + b))) with s = +1 or -1 and q dual to p. The norm has kinks;
    they go away when w is written through bounded variables, and L-BFGS-B does the rest.

    Parameters: ``x`` (n, d) float; ``y`` (n,) labels, 0 and 1 both present; ``eps`` >= 0 in units of ``x``;
    ``p`` in {1, 2, inf}. Returns a ``LogisticRegression``; its ``coef`` is exactly 0 where giving up is optimal.
    Raises ValueError where an argument is none of these, and where a linear score separates the classes even under
    attack, since then no minimum exists. Section 62.2; Madry et al. (2018), and Xu, Caramanis and Mannor (2009).
    """
    dual_exponent(p)
    eps = _checks.real("eps", eps, low=0)
    x = _checks.floats("x", x, ndim=2).astype(np.float64)
    y = _checks.labels("y", y, len(x), n_classes=2)
    if eps == 0:
        return LogisticRegression.fit(x, y)
    if y.min() == y.max():
        raise ValueError(f"y must hold both labels, got only {y.min()}")
    center = np.median(x, axis=0)
    unit = np.median(np.abs(x - center)) + eps  # one unit for all features, so that the ball stays what it is
    z, budget = (x - center) / unit, eps / unit
    intercept = math.log(np.mean(y) / (1 - np.mean(y)))
    direction = _descent_from_zero(intercept, z, y, budget, p)
    if direction is None:
        return LogisticRegression(np.zeros(x.shape[1]), intercept)
    w, b = _minimise_robust_loss(direction, intercept, z, y, budget, p)
    margin = np.where(y == 1, 1, -1) * (z @ w + b) - budget * dual_norm(w[None], p)
    if margin.min() >= 0:
        raise ValueError(
            f"x and y have no robust fit at eps = {eps}: a linear score separates the two classes even under attack, "
            "so scaling it up lowers the loss without end"
        )
    return LogisticRegression(w / unit, b - center @ w / unit)


def _descent_from_zero(intercept, x, y, eps, p):
    """The direction (d,) in which the robust loss falls fastest from w = 0, or None if it falls in none.

    Along v it changes by g.v + eps * a * ||v||_q, so that w = 0 is optimal exactly if ||g||_p <= eps * a:
    Eq. 62.1 with p and q exchanged.
    """
    factor = expit(intercept) - y
    g = (factor @ x / len(y))[None]
    q = dual_exponent(p)
    if dual_norm(g, q)[0] <= eps * np.abs(factor).mean():
        return None
    return -linear_maximizer(g, 1.0, q)[0]


def _minimise_robust_loss(direction, intercept, x, y, eps, p):
    """(w, b) of least mean robust loss, searched downhill from a short step along ``direction``."""
    sign = np.where(y == 1, 1.0, -1.0)
    unpack, pack, bounds = _NORM_VARIABLES[p]

    def objective(z):
        w, norm, pull_back = unpack(z[:-1])
        exponent = eps * norm - sign * (x @ w + z[-1])
        weight = expit(exponent) / len(y)
        gradient = pull_back(-(weight * sign) @ x, eps * weight.sum())
        return np.logaddexp(0, exponent).mean(), np.append(gradient, -(weight * sign).sum())

    step = 1.0
    at_zero = objective(np.append(pack(0 * direction), intercept))[0]
    while objective(np.append(pack(step * direction), intercept))[0] >= at_zero and step > 1e-12:
        step = step / 2
    w, b, reached = step * direction, intercept, math.inf
    limits = bounds(len(direction)) + [(None, None)]
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-9, "maxcor": 30}
    for _ in range(20):  # a search that stalls goes on when its memory of curvature is wiped
        start = np.append(pack(w), b)
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=limits, options=options)
        if found.fun >= reached - 1e-15:
            break
        w, b, reached = unpack(found.x[:-1])[0], found.x[-1], found.fun
    return w, b


# How w and ||w||_q are written through variables in which both are smooth: (unpack, pack, bounds) for each p.
# unpack gives w, its norm, and the map that pulls gradients (of w, of the norm) back to the variables.


def _unpack_signed_parts(z):
    """p = inf, q = 1: w = u - v with u, v >= 0, and ||w||_1 = sum(u + v) at the minimum."""
    u, v = np.split(z, 2)
    return u - v, z.sum(), lambda gw, gn: np.concatenate([gn + gw, gn - gw])


def _unpack_plain(z):
    """p = 2, q = 2: w itself; its norm is smooth away from 0, where the search never returns."""
    norm = np.sqrt(z @ z)
    return z, norm, lambda gw, gn: gw + gn * z / norm if norm > 0 else gw


def _unpack_scaled_box(z):
    """p = 1, q = inf: w = t v with t >= 0 and |v_i| <= 1, and ||w||_inf = t at the minimum."""
    t, v = z[0], z[1:]
    return t * v, t, lambda gw, gn: np.append(gn + gw @ v, t * gw)


def _pack_scaled_box(w):
    t = np.abs(w).max()
    return np.append(t, w / t if t > 0 else w)


_NORM_VARIABLES = {
    math.inf: (
        _unpack_signed_parts,
        lambda w: np.concatenate([np.maximum(w, 0), np.maximum(-w, 0)]),
        lambda d: [(0, None)] * (2 * d),
    ),
    2: (_unpack_plain, lambda w: w, lambda d: [(None, None)] * d),
    1: (_unpack_scaled_box, _pack_scaled_box, lambda d: [(0, None)] + [(-1, 1)] * d),
}
