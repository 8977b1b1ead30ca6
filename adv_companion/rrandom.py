"""R's random numbers, so that the chapter's own data can be drawn in Python.

R >= 3.6 by default: Mersenne Twister for uniforms (Matsumoto and Nishimura, 1998), Inversion for normals,
Rejection for ``sample``. The twister itself is NumPy's; what is R's own is how a seed fills its state, how
32 random bits become a number, and how numbers become normals and draws.
"""

from statistics import NormalDist

import numpy as np

from adv_companion import _checks

# R's qnorm is Wichura's algorithm AS 241, and so is the standard library's; SciPy's ndtri differs in the last digit.
_normal_quantile = NormalDist().inv_cdf
_TWO_27 = 134217728  # R joins two uniforms into one with 27 more bits before it inverts the normal law
_BELOW_ONE = 2.328306437080797e-10  # 1 / (2^32 - 1), with which R keeps uniforms off 0
_REMEMBERED = 10**7  # from a larger population on R remembers the draws, if they are no more than half of it


class RRandom:
    """R's generator after ``set.seed(seed)``: the same calls give the same numbers, in the same order.

    Parameters: ``seed``, an integer from -(2^31 - 1) to 2^31 - 1 (R reads -2^31 as NA and refuses it).
    Raises ValueError for any other seed. Section 62.3 (the chapter's demo and its numerical check).
    """

    def __init__(self, seed):
        seed = _checks.count("seed", seed, low=-(2**31) + 1)
        if seed >= 2**31:
            raise ValueError(f"seed must be a 32-bit integer, below 2^31, got {seed!r}")
        self._twister = np.random.MT19937()
        self._twister.state = {"bit_generator": "MT19937", "state": {"key": _scramble(seed), "pos": 624}}

    def _uniforms(self, n):
        """n uniforms on the open interval (0, 1), 32 random bits each."""
        u = self._twister.random_raw(n) * 2.3283064365386963e-10
        return np.maximum(u, 0.5 * _BELOW_ONE)  # R keeps them off 1 as well, which 32 bits do not reach

    def runif(self, n, low=0.0, high=1.0):
        """n uniform numbers on (low, high), as R's ``runif(n, low, high)``.

        Parameters: ``n`` >= 0; ``low`` <= ``high``, finite. As in R, ``low == high`` draws nothing and returns low.
        Returns ``(n,)`` float64. Raises ValueError where an argument is none of these.
        """
        n = _checks.count("n", n)
        low = _checks.real("low", low)
        high = _checks.real("high", high, low=low)
        if low == high:
            return np.full(n, low)
        return low + (high - low) * self._uniforms(n)

    def rnorm(self, n, mean=0.0, sd=1.0):
        """n normal numbers by inversion, as R's ``rnorm(n, mean, sd)``; two uniforms go into each.

        Parameters: ``n`` >= 0; ``mean``; ``sd`` >= 0. As in R, ``sd == 0`` draws nothing and returns the mean.
        Returns ``(n,)`` float64. Raises ValueError where an argument is none of these.
        """
        n = _checks.count("n", n)
        mean = _checks.real("mean", mean)
        sd = _checks.real("sd", sd, low=0)
        if sd == 0:
            return np.full(n, mean)
        u = self._uniforms(2 * n)
        p = (np.floor(_TWO_27 * u[::2]) + u[1::2]) / _TWO_27
        return mean + sd * np.array([_normal_quantile(each) for each in p])

    def sample(self, n, size=None):
        """``size`` of the numbers 1 .. n without replacement, as R's ``sample(n, size)``.

        Parameters: ``n`` >= 1, the population; ``size`` from 0 to n, None for all of it (a permutation).
        Returns ``(size,)`` int64, counted from 1 as R does. Raises ValueError where an argument is none of these.
        """
        n = _checks.count("n", n, low=1)
        size = n if size is None else _checks.count("size", size)
        if size > n:
            raise ValueError(f"size must be at most n = {n}, got {size}")
        if n > _REMEMBERED and size <= n // 2:
            return self._sample_remembering_draws(n, size)
        pool = np.arange(1, n + 1)
        drawn = np.empty(size, dtype=np.int64)
        for i in range(size):
            j = self._below(n - i)
            drawn[i] = pool[j]
            pool[j] = pool[n - i - 1]
        return drawn

    def _sample_remembering_draws(self, n, size):
        drawn = {}  # keeps the order of insertion
        while len(drawn) < size:
            drawn[self._below(n) + 1] = None
        return np.array(list(drawn))

    def _below(self, n):
        """An integer 0 .. n - 1: as many random bits as n needs, drawn again until they are below n."""
        bits = (n - 1).bit_length()
        while True:
            value = 0
            for _ in range(bits // 16 + 1):
                value = 65536 * value + int(self._uniforms(1)[0] * 65536)
            value &= (1 << bits) - 1
            if value < n:
                return value


def _scramble(seed):
    """The twister's 624 words for a seed: R's linear congruential generator, past its first 51 values."""
    word, words = seed, []
    for _ in range(50 + 625):
        word = (69069 * word + 1) % 2**32
        words.append(word)
    return np.array(words[51:])  # the 51st is the position, which R overwrites with 624
