"""Norm balls: the best linear step, the nearest point, random points (sections 62.1.1 and 62.1.2, Eq. 62.1).

Batches are rows. A perturbation ``delta`` has a budget ``||delta||_p <= eps``; the dual exponent q of p,
1/p + 1/q = 1, says what the budget buys: ``max g.delta = eps * ||g||_q``.
"""

import math

import numpy as np
from array_api_compat import array_namespace, device
from scipy.integrate import simpson

from adv_companion import _checks

_DUAL = {1: math.inf, 2: 2, math.inf: 1}


def dual_exponent(p):
    """The exponent q with 1/p + 1/q = 1, for p in {1, 2, inf}.

    Raises ValueError for any other p. Section 62.1.1; Goodfellow, Shlens and Szegedy (2015).
    """
    if isinstance(p, (bool, np.bool_, str)) or not np.isscalar(p) or p not in _DUAL:
        raise ValueError(f"p must be 1, 2 or inf, got {p!r}")
    return _DUAL[p]


def dual_norm(g, p):
    """The norm ||g||_q of each row, q dual to p: the most that one unit of budget in l_p can buy.

    Parameters: ``g`` (n, d) gradients; ``p`` in {1, 2, inf}, the norm of the *budget*, not of ``g``.
    Returns ``(n,)``, in the units of ``g``.
    Raises ValueError for a ``g`` that is not a finite (n, d) array or another ``p``. Equation 62.1.
    """
    q = dual_exponent(p)
    return _norm(_checks.floats("g", g, ndim=2, tensors=True), q)


def _norm(v, q):
    """||v||_q of each row."""
    xp = array_namespace(v)
    if q == math.inf:
        return xp.max(xp.abs(v), axis=1)
    if q == 1:
        return xp.sum(xp.abs(v), axis=1)
    unit = _largest_or_one(v)
    return unit[:, 0] * xp.sqrt(xp.sum(xp.square(v / unit), axis=1))


def _largest_or_one(v):
    """The largest size in each row, (n, 1), or 1 where the row is zero: a unit in which squares stay in range."""
    xp = array_namespace(v)
    largest = xp.max(xp.abs(v), axis=1, keepdims=True)
    return xp.where(largest > 0, largest, xp.ones_like(largest))


def linear_maximizer(g, eps, p):
    """The perturbation that maximises g.delta over ||delta||_p <= eps, row by row.

    p = inf moves every feature by eps in the direction of its sign; p = 2 moves along ``g``; p = 1 spends
    everything on the largest coordinate (the first of them in a tie). The value reached is
    ``eps * dual_norm(g, p)``. Where ``g`` is zero there is nothing to gain, and delta is zero.

    Parameters: ``g`` (n, d) gradients; ``eps`` >= 0, the budget in units of the input; ``p`` in {1, 2, inf}.
    Returns delta ``(n, d)``, in units of the input, in the dtype of ``g``.
    Raises ValueError for a ``g`` that is not a finite (n, d) array, a negative ``eps`` or another ``p``.
    Equation 62.1 and its three cases; Goodfellow, Shlens and Szegedy (2015) for p = inf.
    """
    dual_exponent(p)
    g = _checks.floats("g", g, ndim=2, tensors=True)
    eps = _checks.real("eps", eps, low=0)
    return steepest(g, eps, p)


def steepest(g, eps, p):
    """``linear_maximizer`` without its checks, for use inside a loop."""
    xp = array_namespace(g)
    if p == math.inf:
        return eps * xp.sign(g)
    if p == 2:
        unit = g / _largest_or_one(g)
        return eps * unit / xp.clip(_norm(unit, 2), 1)[:, None]
    largest = xp.argmax(xp.abs(g), axis=1)[:, None]
    return xp.where(xp.arange(g.shape[1], device=device(g)) == largest, eps * xp.sign(g), xp.zeros_like(g))


def sample_ball(n, d, eps, p, rng, like=None):
    """Draw n points uniformly (by volume) from the l_p ball of radius eps in d dimensions.

    p = inf draws every coordinate on its own. For p = 2 and p = 1 the ball is the shadow of a sphere with a few more
    dimensions: d of d + 2 coordinates of a uniform point of the l_2 sphere, d of d + 1 of one of the l_1 sphere.
    Rows are drawn one after the other, so that the first ones do not depend on n.

    Parameters: ``n`` >= 1 and ``d`` >= 1 integers; ``eps`` >= 0; ``p`` in {1, 2, inf}; ``rng`` a
    ``numpy.random.Generator``; ``like`` an array or tensor whose library, device and precision the points shall have,
    None for NumPy and float64. Returns ``(n, d)``, in units of ``eps``.
    Raises ValueError where an argument is none of these. Section 62.1.2 (the random start);
    Barthe, Guédon, Mendelson and Naor (2005).
    """
    dual_exponent(p)
    n, d = _checks.count("n", n, low=1), _checks.count("d", d, low=1)
    eps = _checks.real("eps", eps, low=0)
    rng = _checks.generator("rng", rng)
    if like is not None:
        like = _checks.as_array("like", like, tensors=True)
        if not array_namespace(like).isdtype(like.dtype, "real floating"):
            raise ValueError(f"like must hold real floating-point numbers, got {like.dtype} values")
    if p == math.inf:
        points = rng.random((n, d))  # what rng.uniform gives, in two thirds of its time
        points *= 2 * eps
        points -= eps
    else:
        lifted = rng.standard_normal((n, d + 2)) if p == 2 else rng.laplace(size=(n, d + 1))
        points = eps * (lifted[:, :d] / _norm(lifted, p)[:, None])  # in this order no tiny eps rounds up
    return points if like is None else array_namespace(like).asarray(points, dtype=like.dtype, device=device(like))


def project(u, center, eps, p, bounds=None):
    """The Euclidean nearest point of the l_p ball of radius eps around ``center``, inside ``bounds`` if given.

    Exact for the ball and the box *together*, where projecting on one after the other is not. In each row the
    deviation u - center keeps its signs, and each of its sizes a_i has room c_i up to the box. Nearest is
    min(a_i, eps, c_i) for p = inf; min(t a_i, c_i) for p = 2 and min(max(a_i - t, 0), c_i) for p = 1, where the
    one number t is set so that the budget is just spent (section 62.1.2; Duchi et al. (2008) for p = 1, no box).

    Parameters: ``u`` and ``center`` (n, d) float; ``eps`` >= 0 in their units; ``p`` in {1, 2, inf}; ``bounds`` None
    or (low, high), between which every feature of ``center`` lies. Returns ``(n, d)``; for p = inf no feature
    deviates by more than eps, rounding included.
    Raises ValueError where an argument is none of these.
    """
    dual_exponent(p)
    u = _checks.floats("u", u, ndim=2, tensors=True)
    center = _checks.floats("center", center, ndim=2, shape=tuple(u.shape), tensors=True)
    eps = _checks.real("eps", eps, low=0)
    low, high = _checks.box("bounds", bounds, "center", center)
    return nearest(u, center, eps, p, low, high)


def nearest(u, center, eps, p, low, high):
    """``project`` without its checks, for use inside a loop; ``low`` and ``high`` are infinite where there is no box."""
    xp = array_namespace(u, center)
    if p == math.inf:
        lower, upper = box_around(center, eps, low, high)
        return xp.minimum(xp.maximum(u, lower), upper)
    deviation = u - center
    size = xp.abs(deviation)
    room = xp.where(deviation > 0, high - center, center - low)
    shrink = _shrink_to_length if p == 2 else _shrink_to_total
    length = shrink(size, room, eps)
    # A sum may round out of the box, or end short of a bound; who asks which features stand at a bound must find them all.
    length = xp.where(length >= room * (1 - 4 * float(xp.finfo(room.dtype).eps)), 2 * length, length)
    return xp.clip(center + xp.sign(deviation) * length, low, high)


def box_around(center, eps, low, high, work=None):
    """The l_inf ball cut to [low, high], as two arrays, no face farther from ``center`` than eps after rounding.

    ``work`` may give four arrays like ``center`` to work in; the first two then hold the result.
    """
    xp = array_namespace(center)
    low, high = (xp.asarray(v, dtype=center.dtype, device=device(center)) for v in (low, high))
    lower, upper, *scratch = work or [xp.empty_like(center) for _ in range(4)]
    _face(center, -eps, lower, *scratch), _face(center, eps, upper, *scratch)
    xp.minimum(lower, center, out=lower), xp.maximum(upper, center, out=upper)  # where eps is less than a last digit
    return xp.maximum(lower, low, out=lower), xp.minimum(upper, high, out=upper)


def _face(center, reach, face, moved, lost):
    """center + reach in ``face``, a last digit or two nearer where the nearest number there is lies farther than that.

    What rounding took from the sum is known exactly (Knuth's sum of two numbers and its error): with ``moved`` = face -
    center it is (center - (face - moved)) + (reach - moved).
    """
    xp = array_namespace(center)
    precision = xp.finfo(center.dtype)
    if precision.bits == 32 and abs(float(np.float32(reach))) > abs(reach):
        reach = float(np.nextafter(np.float32(reach), np.float32(0)))
    xp.add(center, reach, out=face)
    xp.subtract(face, center, out=moved)
    xp.subtract(moved, face, out=lost)
    lost += center
    moved -= reach
    lost -= moved
    xp.abs(face, out=moved)
    moved *= math.copysign(float(precision.eps), reach)
    moved *= lost < 0 if reach > 0 else lost > 0
    face -= moved


def _shrink_to_length(size, room, eps):
    """min(t * size, room) row by row, t in [0, 1] the largest with Euclidean length at most eps.

    Scale what is free, pin what then has no room left, spend the rest of eps^2 on the others: each round pins more.
    """
    xp = array_namespace(size)
    unit = _largest_or_one(size)
    size, room, eps = size / unit, room / unit, eps / unit
    pinned, zero = xp.zeros_like(size, dtype=xp.bool), xp.zeros_like(size)
    while True:
        left = eps**2 - xp.sum(xp.square(xp.where(pinned, room, zero)), axis=1, keepdims=True)
        free = xp.sum(xp.square(xp.where(pinned, zero, size)), axis=1, keepdims=True)
        t = xp.clip(xp.sqrt(xp.clip(left, 0) / xp.where(free > 0, free, xp.ones_like(free))), None, 1)
        full = pinned | (t * size > room)
        if xp.all(full == pinned):
            return xp.where(pinned, room, t * size) * unit
        pinned = full


def _shrink_to_total(size, room, eps):
    """min(max(size - t, 0), room) row by row, t >= 0 the smallest with a sum of at most eps.

    Lower t from the largest size: the sum grows with slope +1 for each size passed and -1 for each that meets its room.
    """
    xp = array_namespace(size)
    turn = xp.concat([size, xp.clip(size - room, 0)], axis=1)
    slope = xp.concat([xp.ones_like(size), -xp.ones_like(size)], axis=1)
    order = xp.argsort(-turn, axis=1, stable=True)
    turn, slope = (xp.take_along_axis(each, order, axis=1) for each in (turn, slope))
    slope = xp.cumulative_sum(slope, axis=1)
    spent = xp.cumulative_sum(slope[:, :-1] * (turn[:, :-1] - turn[:, 1:]), axis=1)  # at turn[1], turn[2], ...
    reached = xp.argmax(xp.astype(spent >= eps, xp.int8), axis=1)[:, None]
    above = xp.take_along_axis(spent, reached, axis=1) - eps
    grows = xp.clip(xp.take_along_axis(slope, reached, axis=1), 1)
    enough = spent[:, -1:] <= eps
    t = xp.where(enough, xp.zeros_like(above), xp.take_along_axis(turn, reached + 1, axis=1) + above / grows)
    left = xp.minimum(xp.clip(size - t, 0), room)
    total = xp.sum(left, axis=1, keepdims=True)
    far = total > 1.001 * eps  # sizes so large that t is known to no digit that matters: no longer nearest, but in the ball
    return xp.where(far, left * (eps / xp.where(far, total, xp.ones_like(total))), left)


def random_score_cdf(g, eps, s):
    """The probability that a random step, uniform in the l_inf ball, changes the linearised loss by at most s.

    g.delta is a sum of independent uniforms on [-eps |g_i|, eps |g_i|]. Its density lives on [-B, B] with
    B = eps * ||g||_1, and the sum is a Fourier series there whose coefficients are products of sinc functions.

    Parameters: ``g`` (d,) a gradient, not all zero; ``eps`` > 0; ``s`` (m,) values of the change.
    Returns ``(m,)`` probabilities, to about 1e-7 for d = 2 and to rounding from d = 8.
    Raises ValueError where an argument is none of these. Section 62.3 (the numerical check).
    """
    reach = _reach(g, eps)
    s = _checks.floats("s", s, ndim=1)
    bound = reach.sum()
    frequency = np.arange(1, 1000) * np.pi / bound
    characteristic = np.sinc(np.outer(frequency, reach) / np.pi).prod(axis=1)
    waves = np.sin(np.outer(s, frequency)) @ (characteristic / (frequency * bound))
    return np.clip(0.5 + s / (2 * bound) + waves, 0, 1)  # beyond the support the sum lies outside [0, 1]


def expected_best_of_random(g, eps, n):
    """The expected largest change of the linearised loss over n random steps, uniform in the l_inf ball.

    The integral of 1 - F(s)^n, F the law of one step (``random_score_cdf``).

    Parameters: ``g`` (d,) a gradient, not all zero; ``eps`` > 0; ``n`` >= 1. Returns a float, in units of the loss.
    Raises ValueError where an argument is none of these. Section 62.3 (the numerical check).
    """
    n = _checks.count("n", n, low=1)
    bound = _reach(g, eps).sum()
    s = np.linspace(-bound, bound, 4001)
    return float(bound - simpson(random_score_cdf(g, eps, s) ** n, x=s))


def _reach(g, eps):
    """eps * |g_i| for the coordinates that matter: how far each can move the linearised loss."""
    g = _checks.floats("g", g, ndim=1).astype(np.float64)
    eps = _checks.real("eps", eps, low=0)
    if eps == 0:
        raise ValueError("eps must be positive, got 0: a step of no size has no law")
    if not g.any():
        raise ValueError("g must not be all zero: no step changes the linearised loss")
    return eps * np.abs(g[g != 0])


def distance_to_hyperplane(w, b, x, p):
    """How far each point is from the hyperplane w.x + b = 0: |w.x + b| / ||w||_q, q dual to p.

    A step of size eps in l_p changes the score w.x + b by at most eps * ||w||_q (Eq. 62.1), and the best step does; so
    this is the smallest budget that brings the score to zero. Adding ``linear_maximizer(w, distance, p)``, with the
    sign that lowers |w.x + b|, reaches it.

    Parameters: ``w`` (d,) weights, not all zero; ``b`` a number; ``x`` (n, d) points; ``p`` in {1, 2, inf}, the norm
    in which distance is measured. Returns ``(n,)``, in units of ``x``.
    Raises ValueError where an argument is none of these. Section 62.1; Mangasarian (1999).
    """
    w = _checks.floats("w", w, ndim=1)
    b = _checks.real("b", b)
    x = _checks.floats("x", x, ndim=2, shape=(None, len(w)))
    slope = dual_norm(w[None], p)[0]
    if slope == 0:
        raise ValueError("w must not be all zero: a constant score has no hyperplane")
    return np.abs(x @ w + b) / slope
