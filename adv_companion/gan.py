"""The game behind generative adversarial networks: its value, its distances, its training (section 62.4).

A law is given by its values on m points: probabilities that add up to 1, or densities together with the ``weights`` of
a quadrature rule, so that sum(weights * density) = 1. Logarithms are natural, so divergences are in nats.
"""

import math

import numpy as np
from scipy.special import xlog1py, xlogy

from adv_companion import _checks
from adv_companion.models import MLP, Network
from adv_companion.training import Adam

TOTAL_TOLERANCE = 1e-6  # how far from 1 a law may add up: enough for a quadrature rule, too little for a lost tail


def optimal_discriminator(p_data, p_g):
    """The discriminator that no other beats against a fixed generator: p_data / (p_data + p_g), point by point.

    Where both are 0 neither player ever goes, and any answer is as good; it is 1/2 here.

    Parameters: ``p_data``, ``p_g`` (m,) >= 0, densities or probabilities at the same points. Returns (m,) in [0, 1],
    the probability that a sample found there is real.
    Raises ValueError where an argument is none of these. Eq. 62.4; Goodfellow et al. (2014), Proposition 1.
    """
    p_data = _nonnegative("p_data", p_data)
    p_g = _nonnegative("p_g", p_g, shape=p_data.shape)
    real, fake = _in_common_units(p_data, p_g)
    return real / (real + fake)


def game_value(p_data, p_g, discriminator=None, weights=None):
    """What the two play for: E[log D(x)] over the data plus E[log(1 - D(x))] over the generated samples.

    Parameters: ``p_data``, ``p_g`` (m,) the two laws; ``discriminator`` (m,) in [0, 1], its answers at the same points,
    None for the best ones (Eq. 62.4), whose logarithms are then found without D, which may round to 0 or 1; ``weights``
    (m,) >= 0 of a quadrature rule if the laws are densities, None if they are probabilities. Returns the value in nats,
    minus infinity where the discriminator is sure and wrong with positive probability.
    Raises ValueError where an argument is none of these, or a law does not add up to 1 within 1e-6. Section 62.4;
    Goodfellow et al. (2014).
    """
    p_data, p_g, weights = _two_laws("p_data", p_data, "p_g", p_g, weights)
    if discriminator is None:
        return float(weights @ (_times_log_share(p_data, p_g) + _times_log_share(p_g, p_data)))
    discriminator = _checks.floats("discriminator", discriminator, ndim=1, shape=p_data.shape)
    if discriminator.min() < 0 or discriminator.max() > 1:
        got = f"{discriminator.min()} to {discriminator.max()}"
        raise ValueError(f"discriminator must hold probabilities, got {got}")
    return float(np.sum(xlogy(weights * p_data, discriminator) + xlog1py(weights * p_g, -discriminator)))


def kl_divergence(p, q, weights=None):
    """The Kullback-Leibler divergence sum(p log(p / q)), in nats: 0 log 0 is 0, and infinity where q = 0 < p.

    Not symmetric, and not a distance.

    Parameters: ``p``, ``q`` (m,) two laws on the same points; ``weights`` (m,) >= 0 of a quadrature rule if they are
    densities, None if they are probabilities. Returns a float >= 0 or infinity.
    Raises ValueError where an argument is none of these, or a law does not add up to 1 within 1e-6. Eq. 62.5.
    """
    p, q, weights = _two_laws("p", p, "q", q, weights)
    inside = (p > 0) & (weights > 0)
    p, q, weights = p[inside], q[inside], weights[inside]
    if not q.all():
        return math.inf
    return max(0.0, float(weights @ (p * (np.log(p) - np.log(q)))))  # a ratio could overflow


def jensen_shannon(p, q, weights=None):
    """The Jensen-Shannon divergence, in nats: the mean divergence of two laws from their mixture m = (p + q) / 2.

    JSD = KL(p || m) / 2 + KL(q || m) / 2, from 0 for equal laws to log 2 for laws that share no point. It is the
    divergence itself; its square root, which is a distance, is what ``scipy.spatial.distance.jensenshannon`` returns.

    Parameters: as for ``kl_divergence``. Returns a float in [0, log 2]; of laws that nearly agree, not only 0.
    Raises ValueError as ``kl_divergence`` does. Eq. 62.5; Lin (1991).
    """
    p, q, weights = _two_laws("p", p, "q", q, weights)
    a, b = _in_common_units(p, q)
    r = (a - b) / (a + b)  # p = (1 + r) m and q = (1 - r) m
    both = (xlog1py(1 + r, r) + xlog1py(1 - r, -r)) / 2  # finite at r = -1 and 1, small near 0
    return float(np.clip(weights @ ((p / 2 + q / 2) * both), 0, math.log(2)))


def wasserstein_1d(x, y):
    """The earth-mover distance of two samples on the line, W_1: the area between their distribution functions.

    The exponent is 1: the least total of mass times way. Every point of a sample of size n has mass 1 / n.

    Parameters: ``x`` (n,), ``y`` (m,) float samples, of any two sizes. Returns a float >= 0, in units of the samples.
    Raises ValueError for samples that are empty, not finite or not one-dimensional. Section 62.4; Villani (2009).
    """
    x = np.sort(_checks.floats("x", x, ndim=1).astype(np.float64))
    y = np.sort(_checks.floats("y", y, ndim=1).astype(np.float64))
    points = np.sort(np.concatenate([x, y]))
    below_x = np.searchsorted(x, points[:-1], side="right") / len(x)
    below_y = np.searchsorted(y, points[:-1], side="right") / len(y)
    return float(np.abs(below_x - below_y) @ np.diff(points))


def generator_gradient(generator, discriminator, z, saturating=False):
    """How the generator's loss changes with its parameters, the discriminator held still.

    Two losses have the same aim. The one of the game, log(1 - D(G(z))), is called saturating: its gradient holds the
    factor D, and dies where the discriminator is sure of a fake. The other, -log D(G(z)), holds 1 - D instead.

    Parameters: ``generator`` a ``Network`` from k noise numbers to d features; ``discriminator`` an ``MLP`` from d
    features to 2 classes, 0 generated and 1 real, so that D is its probability of class 1; ``z`` (n, k) noise;
    ``saturating``, True for the first loss. Returns the losses (n,) in nats and the gradient of their mean with
    respect to ``generator.params``, a vector like it.
    Raises ValueError where an argument is none of these. Section 62.4; Goodfellow et al. (2014), section 3.
    """
    _check_players(generator, discriminator, saturating)
    z = _checks.floats("z", z, ndim=2, shape=(None, generator.sizes[0]))
    label, sign = (0, -1) if saturating else (1, 1)
    samples, pullback = generator.outputs_and_pullback(z)
    # its loss is -log P(label | sample): -log D for label 1, -log(1 - D) for label 0
    loss, grad = discriminator.loss_and_input_grad(samples, np.full(len(z), label))
    return sign * loss, pullback(sign * grad / len(z))


def train_gan(
    generator, discriminator, sample, *,
    steps, batch_size, lr, rng, momentum=0.5, saturating=False, after_step=None,
):  # fmt: skip
    """Let the two play: by turns one step of Adam for the discriminator and one for the generator.

    The default momentum of Adam is 0.5, which Radford et al. (2016) found steadier in this game than the usual 0.9.

    Parameters: ``generator``, ``discriminator`` and ``saturating`` as for ``generator_gradient``, the players left as
    they are; ``sample`` a function (n, rng) -> (n, d) of real data; ``steps`` >= 1; ``batch_size`` >= 1 of each
    kind; ``lr`` > 0 and ``momentum`` in [0, 1) of both Adams; ``rng`` a ``numpy.random.Generator``; ``after_step`` None
    or a function (step, generator, discriminator), steps counted from 1. Returns the two players after the last step.
    Raises ValueError where an argument is none of these. Section 62.4; Goodfellow et al. (2014), Algorithm 1.
    """
    _check_players(generator, discriminator, saturating)
    _checks.function("sample", sample), _checks.function("after_step", after_step, optional=True)
    steps = _checks.count("steps", steps, low=1)
    batch_size = _checks.count("batch_size", batch_size, low=1)
    rng = _checks.generator("rng", rng)
    critic, forger = Adam(lr, momentum), Adam(lr, momentum)
    labels = np.repeat([1, 0], batch_size)
    for step in range(1, steps + 1):
        z = rng.standard_normal((2, batch_size, generator.sizes[0]))
        real, fake = sample(batch_size, rng), generator.outputs(z[0])
        real = _checks.floats("sample(n, rng)", real, ndim=2, shape=fake.shape)
        _, grad = discriminator.loss_and_param_grad(np.concatenate([real, fake]), labels)
        better = critic.descend(discriminator.params, grad)
        discriminator = discriminator.with_params(better)
        _, grad = generator_gradient(generator, discriminator, z[1], saturating)
        better = forger.descend(generator.params, grad)
        generator = generator.with_params(better)
        if after_step is not None:
            after_step(step, generator, discriminator)
    return generator, discriminator


def play_bilinear(x, y, lr, steps, rule):
    """The smallest game, min over x and max over y of x * y, played by gradient steps. Its only equilibrium is (0, 0).

    Rules: "simultaneous", both step from the same point; "alternating", y answers the x that has moved already;
    "extragradient", both take a trial step, and then step with the gradients found there.

    Parameters: ``x``, ``y`` where they start; ``lr`` > 0; ``steps`` >= 1; ``rule`` one of the three. Returns the path
    (steps + 1, 2), the start first.
    Raises ValueError where an argument is none of these. Section 62.4; Korpelevich (1976) for the extragradient.
    """
    x, y = _checks.real("x", x), _checks.real("y", y)
    lr, steps = _checks.positive("lr", lr), _checks.count("steps", steps, low=1)
    if not isinstance(rule, str) or rule not in _RULES:
        raise ValueError(f"rule must be one of {', '.join(_RULES)}, got {rule!r}")
    path = [(x, y)]
    for _ in range(steps):
        path.append(_RULES[rule](*path[-1], lr))
    if not np.isfinite(path[-1]).all():
        raise ValueError(f"lr must be smaller, or steps fewer: the path left the range of numbers, got lr = {lr}")
    return np.array(path)


# The gradient of x * y is (y, x): x goes down along y, and y goes up along x.
_RULES = {
    "simultaneous": lambda x, y, lr: (x - lr * y, y + lr * x),
    "alternating": lambda x, y, lr: (x - lr * y, y + lr * (x - lr * y)),
    "extragradient": lambda x, y, lr: (x - lr * (y + lr * x), y + lr * (x - lr * y)),
}


def ring_centers(modes=8, radius=1.0):
    """Centres (modes, 2), equally spaced on a circle of ``radius`` > 0 around 0, the first at (radius, 0).

    Raises ValueError for a ``modes`` that is not an integer >= 1 or a ``radius`` that is not positive.
    """
    angle = 2 * np.pi * np.arange(_checks.count("modes", modes, low=1)) / modes
    return _checks.positive("radius", radius) * np.column_stack([np.cos(angle), np.sin(angle)])


def sample_mixture(n, centers, sd, rng):
    """n draws (n, d) from an even mixture of normals: ``centers`` (k, d), standard deviation ``sd`` > 0 a feature.

    Raises ValueError where an argument is none of these, or ``rng`` is not a ``numpy.random.Generator``.
    """
    n, centers = _checks.count("n", n, low=1), _checks.floats("centers", centers, ndim=2)
    sd, rng = _checks.positive("sd", sd), _checks.generator("rng", rng)
    return centers[rng.integers(len(centers), size=n)] + sd * rng.standard_normal((n, centers.shape[1]))


def mode_shares(samples, centers, sd):
    """The share (k,) of the samples that lies within 3 ``sd`` of each centre and has no other centre nearer.

    The shares add up to the part of the samples that hits any mode at all; of true draws in the plane about 98.9 %.

    Parameters: ``samples`` (n, d); ``centers`` (k, d); ``sd`` > 0, the standard deviation of a mode.
    Raises ValueError where an argument is none of these. Section 62.5; Lin et al. (2018) count modes in this way.
    """
    samples = _checks.floats("samples", samples, ndim=2)
    centers = _checks.floats("centers", centers, ndim=2, shape=(None, samples.shape[1]))
    distance = np.linalg.norm(samples[:, None] - centers, axis=2)
    hit = distance.min(axis=1) <= 3 * _checks.positive("sd", sd)
    return np.bincount(distance.argmin(axis=1)[hit], minlength=len(centers)) / len(samples)


def _nonnegative(name, value, shape=None):
    array = _checks.floats(name, value, ndim=1, shape=shape).astype(np.float64)
    if array.min() < 0:
        raise ValueError(f"{name} must not be negative, got {array.min()}")
    return array


def _two_laws(p_name, p, q_name, q, weights):
    """Both laws and the weights, checked, the weights 1 if they are None."""
    p = _nonnegative(p_name, p)
    q = _nonnegative(q_name, q, shape=p.shape)
    weights = np.ones(len(p)) if weights is None else _nonnegative("weights", weights, shape=p.shape)
    for name, law in ((p_name, p), (q_name, q)):
        if not abs(weights @ law - 1) <= TOTAL_TOLERANCE:
            raise ValueError(f"{name} must add up to 1, each value times its weight, got {weights @ law}")
    return p, q, weights


def _in_common_units(p, q):
    """Both divided by the larger one, point by point, so that no sum overflows or rounds to 0; (1, 1) if both are 0."""
    unit = np.maximum(p, q)
    known = unit > 0
    return (np.divide(law, unit, out=np.ones(len(unit)), where=known) for law in (p, q))


def _times_log_share(p, q):
    """p log(p / (p + q)), from the logarithms of p and q, and 0 where p is 0."""
    log_p, log_q = (np.log(law, out=np.full(len(law), -np.inf), where=law > 0) for law in (p, q))
    ratio = np.subtract(log_q, log_p, out=np.zeros(len(p)), where=p > 0)
    return -p * np.logaddexp(0, ratio)


def _check_players(generator, discriminator, saturating):
    for name, player, kind in (("generator", generator, Network), ("discriminator", discriminator, MLP)):
        if not isinstance(player, kind):
            raise ValueError(f"{name} must be of the class {kind.__name__}, got {type(player).__name__}")
    _checks.flag("saturating", saturating)
    d, sizes = generator.sizes[-1], discriminator.sizes
    if (sizes[0], sizes[-1]) != (d, 2):
        raise ValueError(f"discriminator must go from {d} features to 2 classes, got sizes {sizes}")
