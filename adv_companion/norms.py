"""Linear maximisation over a norm ball: Hölder's inequality at work (section 62.1.1, Eq. 62.1).

Batches are rows. A perturbation ``delta`` has a budget ``||delta||_p <= eps``; the dual exponent q of p,
1/p + 1/q = 1, says what the budget buys: ``max g.delta = eps * ||g||_q``.
"""

import math

import numpy as np
from scipy.integrate import simpson

from adv_companion import _checks

_DUAL = {1: math.inf, 2: 2, math.inf: 1}


def dual_exponent(p):
    """The exponent q with 1/p + 1/q = 1, for p in {1, 2, inf}.

    Raises ValueError for any other p. Section 62.1.1; Goodfellow, Shlens and Szegedy (2015).
    """
    if isinstance(p, (bool, str)) or not np.isscalar(p) or p not in _DUAL:
        raise ValueError(f"p must be 1, 2 or inf, got {p!r}")
    return _DUAL[p]


def dual_norm(g, p):
    """The norm ||g||_q of each row, q dual to p: the most that one unit of budget in l_p can buy.

    Parameters: ``g`` (n, d) gradients; ``p`` in {1, 2, inf}, the norm of the *budget*, not of ``g``.
    Returns ``(n,)``, in the units of ``g``.
    Raises ValueError for a ``g`` that is not a finite (n, d) array or another ``p``. Equation 62.1.
    """
    q = dual_exponent(p)
    return _norm(_checks.floats("g", g, ndim=2), q)


def _norm(v, q):
    """||v||_q of each row, scaled by its largest entry so that squares neither underflow nor overflow."""
    largest = np.abs(v).max(axis=1)
    if q == math.inf:
        return largest
    if q == 1:
        return np.abs(v).sum(axis=1)
    unit = np.where(largest > 0, largest, 1)
    return largest * np.sqrt(np.square(v / unit[:, None]).sum(axis=1))


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
    g = _checks.floats("g", g, ndim=2)
    eps = _checks.real("eps", eps, low=0)
    if p == math.inf:
        return eps * np.sign(g)
    if p == 2:
        length = _norm(g, 2)[:, None]
        return eps * (g / np.where(length > 0, length, 1))
    rows, largest = np.arange(len(g)), np.abs(g).argmax(axis=1)
    delta = np.zeros_like(g)
    delta[rows, largest] = eps * np.sign(g[rows, largest])
    return delta


def sample_ball(n, d, eps, p, rng):
    """Draw n points uniformly (by volume) from the l_p ball of radius eps in d dimensions.

    p = 2 and p = 1 draw a direction from the sphere's own law (normal, or signed exponential, coordinates) and a
    radius with law eps * U^(1/d); p = inf draws every coordinate on its own.

    Parameters: ``n`` >= 1 and ``d`` >= 1 integers; ``eps`` >= 0; ``p`` in {1, 2, inf}; ``rng`` a
    ``numpy.random.Generator``. Returns ``(n, d)``, in units of ``eps``.
    Raises ValueError where an argument is none of these. Section 62.1.2 (the random start);
    Barthe, Guédon, Mendelson and Naor (2005), for the law on the l_p ball.
    """
    dual_exponent(p)
    n, d = _checks.count("n", n, low=1), _checks.count("d", d, low=1)
    eps = _checks.real("eps", eps, low=0)
    rng = _checks.generator("rng", rng)
    if p == math.inf:
        return rng.uniform(-eps, eps, size=(n, d))
    if p == 2:
        direction = rng.standard_normal((n, d))
    else:
        direction = rng.exponential(size=(n, d)) * rng.choice([-1.0, 1.0], size=(n, d))
    radius = eps * rng.uniform(size=(n, 1)) ** (1 / d)
    return radius * direction / _norm(direction, p)[:, None]


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
    coefficient = np.sinc(np.outer(frequency, reach) / np.pi).prod(axis=1) / (frequency * bound)
    inside = np.clip(s, -bound, bound)
    return np.clip(0.5 + inside / (2 * bound) + np.sin(np.outer(inside, frequency)) @ coefficient, 0, 1)


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
