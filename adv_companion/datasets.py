"""The data of the pages: the chapter's demo, drawn from R's own random numbers, and the law behind it."""

import math

import numpy as np
from scipy.optimize import lsq_linear
from scipy.special import ndtr

from adv_companion import _checks
from adv_companion.norms import dual_exponent, dual_norm
from adv_companion.rrandom import RRandom


class TwoGaussians:
    """Two equally likely classes, 0 and 1, each normal with a mean of its own and a covariance that they share.

    Parameters: ``mean0``, ``mean1`` (d,); ``covariance`` (d, d), symmetric and positive definite.
    Raises ValueError where an argument is none of these. Section 62.3, whose demo draws from such a law.
    """

    def __init__(self, mean0, mean1, covariance):
        self.mean0 = _checks.floats("mean0", mean0, ndim=1).copy()
        d = len(self.mean0)
        self.mean1 = _checks.floats("mean1", mean1, ndim=1, shape=(d,)).copy()
        self.covariance = _checks.floats("covariance", covariance, ndim=2, shape=(d, d)).copy()
        if not np.array_equal(self.covariance, self.covariance.T):
            raise ValueError("covariance must be symmetric")
        try:
            self._root = np.linalg.cholesky(self.covariance)
        except np.linalg.LinAlgError:
            raise ValueError("covariance must be positive definite") from None

    def sample(self, n, rng):
        """n draws. Returns ``x`` (n, d) and ``y`` (n,) labels 0/1. ``rng`` is a ``numpy.random.Generator``."""
        n = _checks.count("n", n, low=1)
        rng = _checks.generator("rng", rng)
        y = rng.integers(0, 2, size=n)
        means = np.where(y[:, None] == 1, self.mean1, self.mean0)
        return means + rng.standard_normal((n, len(self.mean0))) @ self._root.T, y

    def linear_accuracy(self, coef, intercept, eps=0.0, p=math.inf):
        """The exact accuracy of the rule "1 where x.coef + intercept > 0", under the worst l_p step of size eps.

        The score is normal in each class, with standard deviation sqrt(coef' covariance coef), and the best attack
        lowers every correct score by eps * ||coef||_q (Eq. 62.1). Returns a float in [0, 1].
        Raises ValueError for a ``coef`` that is not (d,) and finite, or is all zero, a negative ``eps``, another ``p``.
        """
        coef = _checks.floats("coef", coef, ndim=1, shape=self.mean0.shape)
        intercept = _checks.real("intercept", intercept)
        eps = _checks.real("eps", eps, low=0)
        dual_exponent(p)
        if not coef.any():
            raise ValueError("coef must not be all zero: a constant score has no boundary")
        unit = np.abs(coef).max()  # only the score's sign matters
        coef, intercept = coef / unit, intercept / unit
        loss_of_score = eps * dual_norm(coef[None], p)[0]
        spread = math.sqrt(coef @ self.covariance @ coef)
        score1 = coef @ self.mean1 + intercept - loss_of_score
        score0 = -(coef @ self.mean0 + intercept) - loss_of_score
        return float((ndtr(score1 / spread) + ndtr(score0 / spread)) / 2)

    def best_robust_accuracy(self, eps):
        """The highest accuracy that any classifier, linear or not, can have under l_inf steps of size eps.

        The adversary may move the two means towards each other by eps a feature before the classifier sees anything.
        What is left is the smallest Mahalanobis distance 2r between the moved means, and Phi(r) is the accuracy of
        the best rule between two normals at that distance; the linear rule along the same line reaches it.

        Returns the accuracy, a float in [1/2, 1], and the coefficients (d,) that reach it (zero, up to rounding, if r = 0).
        Raises ValueError for a negative ``eps``. Bhagoji, Cullina and Mittal (2019); Dobriban et al. (2020).
        """
        eps = _checks.real("eps", eps, low=0)
        half_gap = (self.mean1 - self.mean0) / 2
        whiten = np.linalg.inv(self._root)
        shift = np.zeros_like(half_gap)
        if eps > 0:
            shift = lsq_linear(whiten, whiten @ half_gap, bounds=(-eps, eps), method="bvls").x
        left = whiten @ (half_gap - shift)
        return float(ndtr(np.linalg.norm(left))), whiten.T @ left


DEMO = TwoGaussians([-1.0, -1.0], [1.0, 1.0], [[1.0, 0.3], [0.3, 1.0]])
"""The law of the chapter's demo: class means (-1, -1) and (1, 1), unit variances, correlation 0.3."""


def chapter_demo(seed=1301, n=400, law=DEMO):
    """The chapter's demo data, number for number, from R's random numbers: n points, 60 % of them to train on.

    Parameters: ``seed`` as for ``RRandom``; ``n`` even, at least 10; ``law`` a ``TwoGaussians``, for variations on
    the demo that spend the same random numbers. Returns ``x_train`` (0.6 n, d), ``y_train``, ``x_test``, ``y_test``.
    Raises ValueError where an argument is none of these. Section 62.3.
    """
    n = _checks.count("n", n, low=10)
    if n % 2:
        raise ValueError(f"n must be even, half for each class, got {n}")
    if not isinstance(law, TwoGaussians):
        raise ValueError(f"law must be a TwoGaussians, got {type(law).__name__}")
    r, d = RRandom(seed), len(law.mean0)
    classes = []
    for mean in (law.mean0, law.mean1):
        normals = r.rnorm(d * n // 2).reshape(d, n // 2).T  # R fills its matrices by column
        classes.append(normals @ law._root.T + mean)
    x, y = np.concatenate(classes), np.repeat([0, 1], n // 2)
    train = r.sample(n, int(0.6 * n)) - 1
    test = np.setdiff1d(np.arange(n), train)
    return x[train], y[train], x[test], y[test]


def two_moons(n, rng, noise=0.1, degrees=0.0):
    """Two interleaved half circles of radius 1, one a class, with normal noise.

    A half turn about their centre (1/2, 1/4) carries each moon onto the other.

    Parameters: ``n`` >= 2 points, class 1 getting the odd one; ``rng`` a ``numpy.random.Generator``; ``noise`` >= 0,
    the standard deviation a coordinate; ``degrees`` by which all is turned about the centre, counterclockwise.
    Returns ``x`` (n, 2) and ``y`` (n,) labels 0/1, in random order.
    Raises ValueError where an argument is none of these. Sections 62.1.2 and 62.4.1.
    """
    n, rng = _checks.count("n", n, low=2), _checks.generator("rng", rng)
    noise = _checks.real("noise", noise, low=0)
    turn = math.radians(_checks.real("degrees", degrees))
    y = rng.permutation(np.arange(n) % 2 if n % 2 == 0 else (np.arange(n) + 1) % 2)
    angle = rng.uniform(0, np.pi, size=n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 1, lower, upper) + noise * rng.standard_normal((n, 2))
    if turn == 0:
        return x, y  # to the last bit what was drawn
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return (x - _MOONS_CENTRE) @ rotation.T + _MOONS_CENTRE, y


_MOONS_CENTRE = np.array([0.5, 0.25])


def digits(n_test=500, seed=0):
    """scikit-learn's bundled handwritten digits, 1797 images of 8 x 8 pixels, scaled to [0, 1].

    Parameters: ``n_test`` from 1 to 1796 images held out; ``seed`` of the random split, an integer >= 0. Returns
    ``x_train`` (1797 - n_test, 64), ``y_train``, ``x_test`` (n_test, 64), ``y_test``.
    Raises ValueError where an argument is none of these. Alpaydin and Kaynak (1998).
    """
    from sklearn.datasets import load_digits  # only here: the rest of the package does without scikit-learn

    n_test, seed = _checks.count("n_test", n_test, low=1), _checks.count("seed", seed)
    x, y = load_digits(return_X_y=True)
    if n_test >= len(y):
        raise ValueError(f"n_test must leave images to train on, below {len(y)}, got {n_test}")
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = x[order] / 16, y[order].astype(np.int64)
    return x[n_test:], y[n_test:], x[:n_test], y[:n_test]
