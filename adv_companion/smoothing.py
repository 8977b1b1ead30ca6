"""Randomized smoothing: a vote under Gaussian noise, and the radius within which the vote cannot change.

The base model needs ``predict(x) -> (n,)`` and nothing else. Radii and ``sigma`` are in units of ``x``, in l_2.
"""

import math
import pickle
import warnings

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from joblib import delayed
from scipy.special import betainc, betaincinv, logsumexp, ndtri, softmax

from adv_companion import _checks, _parallel, _store

ABSTAIN = -1
"""The label of a smoothed classifier that has not seen enough votes to answer."""

CHUNK, ROWS = 2**18, 64
"""How many numbers of noise are held at once, or so many rows of ``x`` if those are more. In double precision no answer depends
on it; in single precision it says which numbers make a pair, and on a GPU how many come from one seed."""


def certified_radius(p_a, p_b, sigma):
    """The l_2 radius sigma / 2 * (Phi^-1(p_a) - Phi^-1(p_b)): at any smaller distance the vote keeps its winner.

    With exact probabilities and ``p_a + p_b`` <= 1 no larger radius is true of every classifier. A larger sum can come
    from two separate bounds: the radius is then true and smaller than need be, and ``p_b`` = 1 - ``p_a`` is better.

    Parameters: ``p_a``, a lower bound on the winner's probability under the noise, ``p_b``, an upper bound on that of
    any other class, both in [0, 1], numbers or arrays of one shape, ``p_a`` >= ``p_b``; ``sigma`` > 0, the noise's
    standard deviation. Returns the radius, a float or an array, in the units of ``sigma``: infinite where ``p_a`` is 1
    or ``p_b`` is 0, and 0 where they are equal.
    Raises ValueError where an argument is none of these: ``p_a`` < ``p_b`` would make it negative.
    Eq. 62.6; Cohen, Rosenfeld and Kolter (2019), Theorem 1.
    """
    p_a, p_b = _probabilities("p_a", p_a), _probabilities("p_b", p_b)
    sigma = _checks.positive("sigma", sigma)
    if p_a.shape != p_b.shape:
        raise ValueError(f"p_b must have the shape of p_a, {p_a.shape}, got {p_b.shape}")
    if (p_a < p_b).any():
        worst = np.argmin(p_a - p_b)
        raise ValueError(f"p_a must be at least p_b, got {p_a.flat[worst]} below {p_b.flat[worst]}: no class leads")
    radius, leads = np.zeros(p_a.shape), p_a > p_b
    radius[leads] = sigma / 2 * (ndtri(p_a[leads]) - ndtri(p_b[leads]))
    return radius if radius.ndim else float(radius)


def lower_confidence_bound(count, n, alpha):
    """Clopper and Pearson's one-sided bound: below the true probability in at least 1 - alpha of all samples.

    It is the p for which ``count`` or more of ``n`` have probability ``alpha``; 0 for none of n, alpha^(1/n) for all.

    Parameters: ``count``, integers from 0 to ``n``, one or an array; ``n`` >= 1; ``alpha`` in (0, 1). Returns p, a
    float or an array. Raises ValueError where an argument is none of these.
    Section 62.6; Clopper and Pearson (1934).
    """
    n, alpha = _checks.count("n", n, low=1), _open_unit("alpha", alpha)
    count = _checks.as_array("count", count)
    if count.dtype.kind not in "iu" or count.size == 0:
        raise ValueError(f"count must hold integers, got {count.dtype} values of shape {count.shape}")
    if count.min() < 0 or count.max() > n:
        raise ValueError(f"count must lie between 0 and n = {n}, got {count.min()} to {count.max()}")
    count = count.astype(np.int64)
    bound = np.where(count == 0, 0.0, betaincinv(np.maximum(count, 1), n - count + 1, alpha))
    bound = np.minimum(np.nan_to_num(bound), np.nextafter(1, 0))  # NaN for an alpha like 1e-200; never sure, though it rounds to 1
    return bound if bound.ndim else float(bound)


def largest_radius(n, alpha, sigma):
    """The radius that ``n`` unanimous votes certify, sigma * Phi^-1(alpha^(1/n)); no point can get more from n draws.

    Parameters: ``n`` >= 1; ``alpha`` in (0, 1); ``sigma`` > 0. Returns a float >= 0, in the units of ``sigma``: 0 where
    even n unanimous votes leave one half possible. Raises ValueError where an argument is none of these.
    Section 62.6; Cohen, Rosenfeld and Kolter (2019), section 3.2.
    """
    p_a = lower_confidence_bound(n, n, alpha)
    return certified_radius(max(p_a, 0.5), min(1 - p_a, 0.5), sigma)


class SmoothedClassifier:
    """The majority vote of a model under Gaussian noise N(0, sigma^2 I), estimated by Monte Carlo.

    Noise is drawn ``CHUNK`` numbers or ``ROWS`` rows at a time, whichever is more, so memory stays bounded whatever ``n``
    is. Each row of a batch has a stream of random numbers of its own, spawned from ``rng`` by its place: what a row gets
    does not depend on the other rows. A second call with the same ``rng`` draws fresh noise.

    Parameters: ``model`` with ``predict(x)``, labels 0 to ``n_classes`` - 1; ``sigma`` > 0 in units of ``x``;
    ``n_classes`` >= 2. Raises ValueError where an argument is none of these, and later if a label is out of range.
    Section 62.6; Cohen, Rosenfeld and Kolter (2019).
    """

    def __init__(self, model, sigma, n_classes):
        self.model = _checks.model("model", model, "predict")
        self.sigma = _checks.positive("sigma", sigma)
        self.n_classes = _checks.count("n_classes", n_classes, low=2)

    def votes(self, x, n, rng):
        """How often each class is answered at ``x`` plus noise. Returns integers (m, n_classes), each row adding to n.

        Parameters: ``x`` (m, d) float; ``n`` >= 1 draws a row; ``rng`` a ``numpy.random.Generator``.
        Raises ValueError where an argument is none of these.
        """
        return self._votes(x, (_checks.count("n", n, low=1),), rng)[:, 0]

    def predict(self, x, n, alpha, rng):
        """The winners of ``n`` votes, ``ABSTAIN`` where the lead is too small to trust.

        A class is returned if a two-sided binomial test of the two top counts against a fair coin has p-value at most
        ``alpha``. Then the probability that the answer is not the true winner is at most ``alpha``, for each row.

        Parameters: ``x`` (m, d) float; ``n`` >= 1 draws a row; ``alpha`` in (0, 1); ``rng`` a
        ``numpy.random.Generator``. Returns labels (m,). Warns where n is so small that every answer is ``ABSTAIN``.
        Raises ValueError where an argument is none of these.
        Section 62.6; Cohen, Rosenfeld and Kolter (2019), PREDICT; Hung and Fithian (2019) for the test.
        """
        n, alpha = _checks.count("n", n, low=1), _open_unit("alpha", alpha)
        if 2 * 0.5**n > alpha:
            _warn_that_all_abstain(n, alpha, math.ceil(1 - math.log2(alpha)))
        votes = self.votes(x, n, rng)
        second, first = np.sort(votes, axis=1)[:, -2:].T
        at_least_first = betainc(first, second + 1, 0.5)  # in first + second throws of a fair coin; as likely on the other side
        return np.where(2 * at_least_first <= alpha, votes.argmax(axis=1), ABSTAIN)

    def certify(self, x, n0, n, alpha, rng, n_jobs=None, progress=False, memory=None):
        """The winners and the l_2 radii within which they stay the winners, each with confidence 1 - alpha.

        ``n0`` votes choose a class, ``n`` fresh ones bound its probability from below; the other classes share the
        rest, p_b = 1 - p_a. With probability at most ``alpha`` for each row, the certificate is wrong.

        Parameters: ``x`` (m, d) float; ``n0``, ``n`` >= 1 draws a row; ``alpha`` in (0, 1); ``rng`` a
        ``numpy.random.Generator``; ``n_jobs`` points at once, as joblib counts them, with the same result; ``progress``
        True for a bar; ``memory`` a ``joblib.Memory`` that keeps each point's votes, so that the same call, with an
        ``rng`` of the same seed, goes on where it was interrupted, in another process too. It knows a model by its
        pickle: it does not see that code has changed, nor does it know a module again that keeps something of each call.
        Returns classes (m,) and radii (m,) in units of ``x``, as NumPy arrays; ``ABSTAIN`` and 0 where the bound does not
        exceed one half. Warns where ``n`` is so small that it never can.
        Raises ValueError where an argument is none of these.
        Section 62.6, Eq. 62.6; Cohen, Rosenfeld and Kolter (2019), CERTIFY.
        """
        n0, n = _checks.count("n0", n0, low=1), _checks.count("n", n, low=1)
        if memory is not None:
            _checks.model("memory", memory, "cache")
        alpha = _open_unit("alpha", alpha)
        if lower_confidence_bound(n, n, alpha) <= 0.5:
            _warn_that_all_abstain(n, alpha, math.floor(-math.log2(alpha)) + 1)
        first, second = self._votes(x, (n0, n), rng, n_jobs, progress, memory).swapaxes(0, 1)
        chosen = first.argmax(axis=1)
        agreeing = second[np.arange(len(chosen)), chosen]
        p_a = np.maximum(lower_confidence_bound(agreeing, n, alpha), 0.5)
        radii = certified_radius(p_a, 1 - p_a, self.sigma)
        return np.where(p_a > 0.5, chosen, ABSTAIN), radii

    def _votes(self, x, ns, rng, n_jobs=None, progress=False, memory=None):
        """The votes (m, len(ns), n_classes) of each row, for each number of draws in ``ns``, one after the other."""
        x = _checks.floats("x", x, ndim=2, tensors=True)
        xp = array_namespace(x)
        streams = _checks.generator("rng", rng).spawn(len(x))
        if x.dtype == xp.float32:  # where random bits take a good part of the time, those of SFC64 come fastest
            streams = [np.random.Generator(np.random.SFC64(stream.bit_generator.seed_seq)) for stream in streams]
        if hasattr(self.model, "with_input_noise"):
            noisy = self.model.with_input_noise(self.sigma, x)
        else:
            noisy = _NoiseOnInputs(self.model, self.sigma, x.shape[1])
        tally = delayed(_tally) if memory is None else _remembered(memory, noisy)
        points = (xp.asarray(point, copy=True) for point in x)  # a tensor's row would be sent to workers with the whole batch
        tasks = (tally(noisy, point, self.n_classes, ns, stream) for point, stream in zip(points, streams))
        return np.array(list(_parallel.results(tasks, len(x), "points", n_jobs, progress)))


class _NoiseOnInputs:
    """A model's answers at a point plus noise, for ``width`` standard normal numbers a row."""

    def __init__(self, model, sigma, width):
        self.model, self.sigma, self.width = model, sigma, width

    def predict(self, point, noise):
        """Labels (m,) for standard normal ``noise`` (m, width) around ``point`` (d,); the noise is overwritten."""
        noise *= self.sigma
        noise += point
        return self.model.predict(noise)


def _remembered(memory, noisy):
    """``_tally`` as a task that asks a store first, which knows model and point by fingerprints."""
    kept = delayed(memory.cache(_tally, ignore=["noisy", "point"]))
    try:
        model = _store.fingerprint(noisy)
    except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(f"model must have a pickle, by which memory knows it: {error}") from error
    return lambda noisy, point, *others: kept(noisy, point, *others, known_as=_store.fingerprint((model, point)))


def _tally(noisy, point, n_classes, ns, stream, known_as=None):
    """The votes (len(ns), n_classes) around one point, which a store has under the name ``known_as``."""
    xp, votes, ends = array_namespace(point), np.zeros((len(ns), n_classes), dtype=np.int64), np.cumsum(ns).tolist()
    rows = min(max(ROWS, CHUNK // noisy.width), ends[-1])
    # Twice as long as is used: malloc keeps at hand up to twice the largest block that was freed, here for the next point.
    buffer = xp.empty((2 * rows, noisy.width), dtype=point.dtype, device=device(point))[:rows]
    for done in range(0, ends[-1], rows):
        _parallel.checkpoint()
        noise = buffer[: ends[-1] - done]
        _fill_with_noise(noise, stream)
        answers = _checks.labels("model.predict(x)", noisy.predict(point, noise), len(noise), n_classes, tensors=True)
        for vote, n, end in zip(votes, ns, ends):
            mine = answers[max(end - n - done, 0) : max(end - done, 0)]
            vote += np.asarray(array_namespace(answers).bincount(mine, minlength=n_classes).tolist())
    return votes


def _fill_with_noise(array, stream):
    """Standard normal numbers in place, drawn where ``array`` lies; a GPU's generator takes its seed from ``stream``."""
    if is_numpy_array(array):
        if array.dtype == np.float32:
            _box_muller(array.reshape(-1), stream)
        else:
            stream.standard_normal(out=array)
    elif array.device.type == "cpu":
        _fill_with_noise(array.numpy(), stream)  # the same memory
    else:  # pragma: no cover - no machine of the tests has a GPU
        from torch import Generator

        array.normal_(generator=Generator(array.device).manual_seed(int(stream.integers(2**62))))


def _box_muller(out, stream):
    """Standard normal numbers in single precision, in pairs of one length and one direction (Box and Muller, 1958).

    NumPy's logarithm and sine take whole vectors at a time, which makes this three times as fast as ``standard_normal``.
    The length comes of 32 random bits, so it is never above 6.8, as it should be once in 10^10 pairs.
    """
    half = (len(out) + 1) // 2
    bits = stream.integers(0, 2**64, half, dtype=np.uint64).view(np.uint32)  # 32 for each number
    single = {"dtype": np.float32, "casting": "unsafe"}
    length, rest, angle = out[:half], out[half:], bits[:half].view(np.float32)  # which takes the place of what is used up
    np.add(bits[:half], 0.5, out=length, **single)
    np.multiply(bits[half:], 2 * math.pi * 2**-32, out=angle, **single)
    length *= np.float32(2**-32)
    np.log(length, out=length)
    length *= np.float32(-2)
    np.sqrt(length, out=length)
    np.sin(angle[: len(rest)], out=rest)
    rest *= length[: len(rest)]
    length *= np.cos(angle, out=angle)


class NoiseAveraged:
    """A model's probabilities, averaged over fixed noise: a smooth stand-in for the vote, which ``pgd`` can climb.

    The loss is -log of the mean over the noise of exp(-loss): the cross-entropy of the averaged probability of y. With
    the noise fixed it is an ordinary function of x with an exact gradient. It only guides the attack; whether
    the vote has changed is for ``SmoothedClassifier.predict`` to say.

    Parameters: ``model`` with ``loss`` and ``loss_and_input_grad``; ``noise`` (m, d) float, its rows draws of
    N(0, sigma^2 I). Raises ValueError where an argument is none of these. Section 62.6; Salman et al. (2019).
    """

    def __init__(self, model, noise):
        self.model = _checks.model("model", model, "loss", "loss_and_input_grad")
        self.noise = _checks.floats("noise", noise, ndim=2).copy()

    def loss(self, x, y):
        """The losses (n,), in nats, of inputs (n, d) with labels (n,)."""
        points, labels = self._everywhere(x, y)
        losses = self.model.loss(points, labels).reshape(len(y), -1)
        return math.log(len(self.noise)) - logsumexp(-losses, axis=1)

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d): the draws' gradients, weighted by how right each draw is."""
        points, labels = self._everywhere(x, y)
        losses, gradients = self.model.loss_and_input_grad(points, labels)
        losses = losses.reshape(len(y), -1)
        weights = softmax(-losses, axis=1)[:, None, :]
        gradient = (weights @ gradients.reshape(*losses.shape, -1))[:, 0]
        return math.log(len(self.noise)) - logsumexp(-losses, axis=1), gradient

    def _everywhere(self, x, y):
        """Each point at each draw of the noise (n * m, d), and the labels to go with them."""
        x = _checks.floats("x", x, ndim=2, shape=(None, self.noise.shape[1]))
        y = _checks.labels("y", y, len(x))
        return (x[:, None] + self.noise).reshape(-1, x.shape[1]), np.repeat(y, len(self.noise))


def _warn_that_all_abstain(n, alpha, enough):
    warnings.warn(
        f"n = {n} votes are too few at alpha = {alpha}: even if all agree, the answer is ABSTAIN; "
        f"it takes n >= {enough}",
        stacklevel=3,
    )


def _probabilities(name, value):
    array = _checks.as_array(name, value)
    array = _checks.floats(name, array, ndim=array.ndim).astype(np.float64)
    if array.min() < 0 or array.max() > 1:
        raise ValueError(f"{name} must lie in [0, 1], got {array.min()} to {array.max()}")
    return array


def _open_unit(name, value):
    number = _checks.real(name, value, low=0, high=1)
    if number in (0, 1):
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value!r}")
    return number
