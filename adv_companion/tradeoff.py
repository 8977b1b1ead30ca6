"""A law on which accuracy and robustness conflict: one sound feature, and d weak ones that are right together."""

import math

import numpy as np
from scipy.special import ndtr

from adv_companion import _checks


class TsiprasDistribution:
    """Labels y = -1, +1, equally likely; x_1 = y with probability p, else -y; d weak features, normal (eta y, 1).

    All features are independent given y, and eta = c / sqrt(d). A rule answers the sign of a score; a score of exactly 0
    is no answer and counts as wrong. Every accuracy below is exact, over the whole population, under the worst step of
    at most ``eps`` >= 0 a feature (l_inf, in the features' own units; the attacker sees x, y and the rule).

    Parameters: ``d`` >= 1, the number of weak features; ``p`` in [1/2, 1); ``c`` > 0, the signal-to-noise ratio of their
    mean. Attributes ``d``, ``p``, ``c``, ``eta``.
    Raises ValueError where an argument is none of these. Section 62.2.2; Tsipras et al. (2019), section 2.1.
    """

    def __init__(self, d, p, c):
        self.d = _checks.count("d", d, low=1)
        self.p = _checks.real("p", p, low=0.5, high=math.nextafter(1, 0))
        self.c = _checks.positive("c", c)
        self.eta = self.c / math.sqrt(self.d)

    def __repr__(self):
        return f"TsiprasDistribution(d={self.d}, p={self.p}, c={self.c})"

    def sample(self, n, rng):
        """n draws. Returns ``x`` (n, d + 1), x_1 first, and ``y`` (n,) labels -1/+1.

        ``n`` >= 1; ``rng`` is a ``numpy.random.Generator``. Raises ValueError where an argument is none of these.
        """
        n, rng = _checks.count("n", n, low=1), _checks.generator("rng", rng)
        y = 2 * rng.integers(0, 2, size=n) - 1
        x = rng.standard_normal((n, self.d + 1))
        x += self.eta * y[:, None]
        x[:, 0] = np.where(rng.random(n) < self.p, y, -y)
        return x, y

    @property
    def mean_rule(self):
        """Coefficients (d + 1,) of the mean of the weak features."""
        return np.append(0.0, np.full(self.d, 1 / self.d))

    @property
    def x1_rule(self):
        """Coefficients (d + 1,) of x_1 alone."""
        return np.append(1.0, np.zeros(self.d))

    @property
    def bayes_rule(self):
        """Coefficients (d + 1,) of the log-odds of y = +1 given x, which no rule beats on clean data."""
        return np.append(math.log(self.p / (1 - self.p)), np.full(self.d, 2 * self.eta))

    def mean_accuracy(self, eps=0.0):
        """Accuracy of the mean of the weak features: Phi(c - eps sqrt(d)), so Phi(-c) at eps = 2 eta."""
        eps = _checks.real("eps", eps, low=0)
        return float(ndtr(self.c - eps * math.sqrt(self.d)))

    def x1_accuracy(self, eps=0.0):
        """Accuracy of x_1 alone: p while eps < 1, and 0 from there on, since a step of 1 takes +-1 to 0 or past it."""
        return self.p if _checks.real("eps", eps, low=0) < 1 else 0.0

    def bayes_accuracy(self, eps=0.0):
        """Accuracy of the Bayes rule that reads x_1 by its sign: ``snapped_accuracy(log(p / (1 - p)), eps)``.

        Clean data holds x_1 = -1 or +1 only, and there this *is* ``bayes_rule``. What to do with other values is not
        settled by Bayes' theorem; ``linear_accuracy(bayes_rule, eps=eps)`` is for taking them as they come.
        """
        return self.snapped_accuracy(math.log(self.p / (1 - self.p)), eps)

    def snapped_accuracy(self, weight, eps=0.0):
        """Accuracy of the sign of weight * sign(x_1) + 2 eta * (sum of the weak features).

        An attack with eps < 1 cannot change sign(x_1). From eps = 1 on it can, and then x_1 is always against y.
        For weights from log(p / (1 - p)) up, and 2 eta < 1, no classifier of any kind that is at least as accurate
        on clean data keeps more at eps = 2 eta: these rules are the whole frontier. Returns a float in [0, 1].
        Raises ValueError for a ``weight`` that is not a finite number or a negative ``eps``. Section 62.2.2.
        """
        weight = _checks.real("weight", weight)
        eps = _checks.real("eps", eps, low=0)
        vote, rest = weight / 2 / self.c, self.c - eps * math.sqrt(self.d)
        if eps >= 1:
            return float(ndtr(rest - abs(vote)))
        return float(self.p * ndtr(rest + vote) + (1 - self.p) * ndtr(rest - vote))

    def linear_accuracy(self, coef, intercept=0.0, eps=0.0):
        """Accuracy of the sign of x.coef + intercept, for any coefficients.

        Given y and whether x_1 = y, the margin is normal; the worst step takes eps * ||coef||_1 from it (Eq. 62.1).
        Returns a float in [0, 1].
        Raises ValueError for a ``coef`` that is not (d + 1,) and finite, or is all zero, and for a negative ``eps``.
        """
        coef = _checks.floats("coef", coef, ndim=1, shape=(self.d + 1,)).astype(np.float64)
        intercept = _checks.real("intercept", intercept)
        eps = _checks.real("eps", eps, low=0)
        if not coef.any():
            raise ValueError("coef must not be all zero: a constant score has no boundary")
        unit = max(np.abs(coef).max(), abs(intercept))  # only the score's sign matters
        coef, intercept = coef / unit, intercept / unit
        taken = eps * float(np.abs(coef).sum())
        center, spread = self.eta * coef[1:].sum() - taken, float(np.linalg.norm(coef[1:]))
        accuracy = 0.0
        for y in (-1, 1):
            for agrees, probability in ((1, self.p), (-1, 1 - self.p)):
                margin = agrees * coef[0] + center + y * intercept
                right = ndtr(margin / spread) if spread > 0 else margin > 0
                accuracy += probability * float(right) / 2
        return accuracy

    def robust_accuracy_bound(self, standard_accuracy):
        """The most that any classifier with this standard accuracy keeps under l_inf steps of size 2 eta or more.

        With standard accuracy 1 - delta it is p / (1 - p) * delta, capped at 1; below p it says nothing that the
        standard accuracy itself does not. Holds for every d and c. Returns a float in [0, 1].
        Raises ValueError for a ``standard_accuracy`` outside [0, 1]. Tsipras et al. (2019), Theorem 2.1.
        """
        delta = 1 - _checks.real("standard_accuracy", standard_accuracy, low=0, high=1)
        return min(1.0, self.p / (1 - self.p) * delta)
