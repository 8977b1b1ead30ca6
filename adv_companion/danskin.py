"""The gradient of a maximum: Danskin's theorem, and how to find out whether it applies (section 62.2.1, Eq. 62.3).

The robust loss of parameters theta is phi(theta) = mean over rows of max L(theta, x + delta, y) over the ball. An
``attack`` is a function (model, x, y) -> attacked inputs of the shape of ``x``; only one that reaches the maximum
makes ``robust_loss`` equal to phi. Models need ``loss``, ``loss_and_input_grad`` and, for training, ``params``,
``with_params`` and ``loss_and_param_grad``, as those of ``adv_companion.models`` have.
"""

import math

import numpy as np

from adv_companion import _checks


def robust_loss(model, x, y, attack):
    """The mean loss at the attacked points: phi(theta) if the attack finds the maximisers, a lower bound otherwise.

    Parameters: ``model``; ``x`` (n, d) float; ``y`` (n,) integer labels; ``attack`` a function (model, x, y) ->
    attacked inputs (n, d). Returns a float, in nats.
    Raises ValueError for an ``x`` that is not a finite (n, d) array or an attack that returns another shape.
    Section 62.2; Madry et al. (2018).
    """
    _checks.model("model", model, "loss")
    return float(np.mean(model.loss(_attacked(model, x, y, attack), y)))


def danskin_gradient(model, x, y, attack):
    """The gradient of the mean loss at the attacked points, which are held fixed: the right side of Eq. 62.3.

    It is the gradient of phi where the attack finds the maximiser, this is unique, and the loss has a continuous
    gradient in the parameters there. With several maximisers it belongs to one of them: phi takes, in each direction,
    the largest of their slopes, and a step against this one need not go down.

    Parameters: as for ``robust_loss``, ``model`` with ``params`` and ``loss_and_param_grad``. Returns ``(m,)``, a
    vector like ``model.params``. Raises ValueError as ``robust_loss`` does. Equation 62.3; Danskin (1966).
    """
    _checks.model("model", model, "loss_and_param_grad")
    return model.loss_and_param_grad(_attacked(model, x, y, attack), y)[1]


def finite_difference_gradient(function, params, h=1e-5, directions=None):
    """Central differences (f(params + h v) - f(params - h v)) / 2h of a scalar function, along each direction v.

    Knows nothing of the attack or of Danskin: if ``function`` attacks anew at every point it is given, the result is
    the derivative of the re-attacked loss, motion of the attacked points included. Costs two calls a direction.

    Parameters: ``function`` (m,) -> number; ``params`` (m,); ``h`` > 0, in units of ``params``; ``directions`` (k, m),
    None for the m coordinate axes. Returns ``(k,)``, or the gradient ``(m,)``.
    Raises ValueError where an argument is none of these, or if the function returns no finite number.
    """
    params, directions = _point_and_directions(params, directions)
    h = _checks.positive("h", h)
    ahead = [_value(function, params + h * v) for v in directions]
    behind = [_value(function, params - h * v) for v in directions]
    return (np.array(ahead) - behind) / (2 * h)


def one_sided_slopes(function, params, direction, h=1e-5):
    """The slopes of a scalar function along a direction, on the way in and on the way out: (f(t) - f(t - h)) / h and
    (f(t + h) - f(t)) / h. They agree, to order h, where the function is differentiable; at a kink they do not.

    Parameters: ``function`` (m,) -> number; ``params`` and ``direction`` (m,); ``h`` > 0. Returns two floats.
    Raises ValueError where an argument is none of these. Section 62.2.1.
    """
    params, directions = _point_and_directions(params, [direction], "direction")
    h, v = _checks.positive("h", h), directions[0]
    before, here, after = (_value(function, params + step * v) for step in (-h, 0, h))
    return (here - before) / h, (after - here) / h


def moving_point_term(model, x, y, attack, direction, h=1e-5):
    """What Eq. 62.3 leaves out: how fast the attacked points move with theta, and what that motion does to the loss.

    Along ``direction`` v the point x' of a row moves at the velocity (d x' / d theta) v, taken by central
    differences of the attack; the chain rule's second term is the input gradient at x' times that velocity.

    Parameters: as for ``danskin_gradient``; ``direction`` (m,), like ``model.params``; ``h`` > 0.
    Returns ``speed`` (n,), the Euclidean length of each velocity, and ``term`` (n,), the products.
    Raises ValueError as ``robust_loss`` does, or for a ``direction`` of another shape. Section 62.2.1.
    """
    _checks.model("model", model, "with_params", "loss_and_input_grad")
    params, directions = _point_and_directions(model.params, [direction], "direction")
    h, v = _checks.positive("h", h), directions[0]
    after = _attacked(model.with_params(params + h * v), x, y, attack)
    before = _attacked(model.with_params(params - h * v), x, y, attack)
    velocity = (after - before) / (2 * h)
    _, slope = model.loss_and_input_grad(_attacked(model, x, y, attack), y)
    return np.linalg.norm(velocity, axis=1), np.sum(slope * velocity, axis=1)


def angle(a, b):
    """The angle between two vectors, in degrees from 0 to 180; below 90, a step along -a lowers what has gradient b.

    Parameters: ``a`` and ``b`` (m,), neither zero. Returns a float. Raises ValueError otherwise.
    """
    a = _checks.floats("a", a, ndim=1)
    b = _checks.floats("b", b, ndim=1, shape=a.shape)
    units = []
    for name, v in (("a", a), ("b", b)):
        if not v.any():
            raise ValueError(f"{name} must not be all zero: it has no direction")
        v = v / np.abs(v).max()
        units.append(v / np.linalg.norm(v))
    half = np.linalg.norm(units[0] - units[1]), np.linalg.norm(units[0] + units[1])
    return math.degrees(2 * math.atan2(*half))  # exact for small angles, where the cosine rounds to 1


def _attacked(model, x, y, attack):
    _checks.function("attack", attack)
    x = _checks.floats("x", x, ndim=2)
    return _checks.floats("attack(model, x, y)", attack(model, x, y), ndim=2, shape=x.shape)


def _point_and_directions(params, directions, name="directions"):
    params = _checks.floats("params", params, ndim=1)
    if directions is None:
        return params, np.eye(len(params))
    if name == "direction":
        return params, _checks.floats(name, directions[0], ndim=1, shape=params.shape)[None]
    return params, _checks.floats(name, directions, ndim=2, shape=(None, len(params)))


def _value(function, params):
    return _checks.real("function(params)", _checks.function("function", function)(params))
