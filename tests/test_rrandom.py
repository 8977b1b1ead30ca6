import math

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import NOT_A_BUDGET, NOT_A_COUNT, NOT_A_NUMBER, NOT_A_POSITIVE_COUNT, assert_refused, refusals
from scipy.special import ndtri

from adv_companion.norms import dual_norm, linear_maximizer
from adv_companion import rrandom
from adv_companion.rrandom import RRandom


class ByTheBook:
    """R's generator again, one number at a time: what the package vectorises, here as it is published.

    Matsumoto and Nishimura (1998) for the twister; R's own manual ("Random") and source for the rest.
    """

    def __init__(self, seed):
        word = seed & 0xFFFFFFFF
        for _ in range(50):
            word = (69069 * word + 1) & 0xFFFFFFFF
        self.key = []
        for _ in range(625):
            word = (69069 * word + 1) & 0xFFFFFFFF
            self.key.append(word)
        del self.key[0]  # R keeps the position in the first of its 625 words
        self.position = 624

    def twist(self):
        for i in range(624):
            y = (self.key[i] & 0x80000000) | (self.key[(i + 1) % 624] & 0x7FFFFFFF)
            self.key[i] = self.key[(i + 397) % 624] ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)
        self.position = 0

    def uniform(self):
        if self.position == 624:
            self.twist()
        y = self.key[self.position]
        self.position += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        y ^= y >> 18
        u = y * 2.3283064365386963e-10
        return min(max(u, 0.5 * 2.328306437080797e-10), 1 - 0.5 * 2.328306437080797e-10)

    def normal(self):
        u = int(134217728 * self.uniform())
        return ndtri((u + self.uniform()) / 134217728)

    def index(self, n):
        bits = math.ceil(math.log2(n))
        while True:
            value, done = 0, 0
            while done <= bits:
                value = 65536 * value + math.floor(self.uniform() * 65536)
                done += 16
            value %= 2**bits
            if value < n:
                return value

    def permuted(self, n, size):
        moved, drawn = {}, []  # the pool, as a record of what is no longer in its place
        for left in range(n, n - size, -1):
            j = self.index(left)
            drawn.append(moved.get(j, j) + 1)
            moved[j] = moved.get(left - 1, left - 1)
        return drawn

    def rejected(self, n, size):
        drawn = []
        seen = set()
        while len(drawn) < size:
            j = self.index(n) + 1
            if j not in seen:
                seen.add(j)
                drawn.append(j)
        return drawn


def decimals(values, digits):
    return [f"{value:.{digits}f}" for value in values]


@pytest.mark.parametrize(
    "seed, draw, printed",
    [
        (7, lambda r: r.rnorm(3), ["2.287247161340524", "-1.196771682222350", "-0.694292510435459"]),
        (42, lambda r: r.rnorm(3), ["1.3709584", "-0.5646982", "0.3631284"]),
        (123, lambda r: r.rnorm(3), ["-0.56047565", "-0.23017749", "1.55870831"]),
        (42, lambda r: r.runif(3), ["0.9148060435", "0.9370754133", "0.2861395348"]),
        (123, lambda r: r.runif(3), ["0.2875775", "0.7883051", "0.4089769"]),
    ],
)
def test_numbers_are_those_that_r_prints(seed, draw, printed):
    assert decimals(draw(RRandom(seed)), len(printed[0].split(".")[1])) == printed


@pytest.mark.parametrize(
    "seed, printed",
    [(42, [1, 5, 10, 8, 2, 4, 6, 9, 7, 3]), (123, [3, 10, 2, 8, 6, 9, 1, 7, 5, 4])],
)
def test_permutations_are_those_that_r_prints(seed, printed):
    assert RRandom(seed).sample(10).tolist() == printed


@pytest.mark.claim("C33", "supports")
def test_the_chapters_seed_gives_the_first_point_and_the_first_rows_of_its_demo():
    r = RRandom(1301)
    z = r.rnorm(400).reshape(2, 200)
    point = [z[0, 0] - 1, 0.3 * z[0, 0] + math.sqrt(0.91) * z[1, 0] - 1]
    np.testing.assert_allclose(point, [-0.839353095620161, -0.503383176600892], rtol=0, atol=1e-15)
    r.rnorm(400)
    assert r.sample(400, 240)[:10].tolist() == [117, 336, 133, 99, 270, 32, 27, 305, 279, 109]


@pytest.mark.claim("C36", "supports")
def test_the_chapters_numerical_check_comes_out_to_its_last_digit():
    r = RRandom(7)
    g = r.rnorm(50)[None]
    best = max((r.runif(50 * 10000, -0.1, 0.1).reshape(10000, 50) @ g[0]).max() for _ in range(10))
    found = [(g * linear_maximizer(g, 0.1, math.inf)).sum(), 0.1 * dual_norm(g, math.inf)[0], best]
    assert decimals(found, 6) == ["4.085459", "4.085459", "1.952219"]


SEEDS = [0, 1, -1, 1301, -1301, 2**31 - 1, -(2**31) + 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_uniforms_are_those_of_the_published_algorithm_past_the_first_624(seed):
    book = ByTheBook(seed)
    assert RRandom(seed).runif(2000).tolist() == [book.uniform() for _ in range(2000)]


@pytest.mark.parametrize("seed", SEEDS)
def test_normals_are_those_of_the_published_algorithm(seed):
    book = ByTheBook(seed)
    # SciPy's quantile and R's are two approximations, each right to about 1e-15 of a number of size 1 to 4.
    np.testing.assert_allclose(RRandom(seed).rnorm(1000), [book.normal() for _ in range(1000)], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    "n, size",
    [(1, 1), (2, 2), (7, 7), (8, 8), (1000, 1000)]
    + [(65536, 300), (65537, 300), (70000, 300), (2**20, 300), (10**7, 20000)],
)
def test_samples_are_those_of_the_published_algorithm(n, size):
    r, book = RRandom(-5), ByTheBook(-5)
    assert r.sample(n, size).tolist() == book.permuted(n, size)
    assert r.runif(1)[0] == book.uniform()  # as many random bits were spent


@pytest.mark.parametrize("n", [10**7 + 1, 2**24, 3 * 10**9])
def test_samples_from_more_than_ten_million_are_drawn_again_when_they_repeat(n):
    r, book = RRandom(9), ByTheBook(9)
    assert r.sample(n, 20000).tolist() == book.rejected(n, 20000)  # from 10^7 + 1, some twenty repeat
    assert r.runif(1)[0] == book.uniform()


@pytest.mark.parametrize("draw", [RRandom.runif, RRandom.rnorm])
def test_one_call_or_several_give_the_same_stream(draw):
    one, several = RRandom(3), RRandom(3)
    together = draw(one, 905)
    np.testing.assert_array_equal(together, np.concatenate([draw(several, 2), draw(several, 0), draw(several, 903)]))


def test_two_generators_do_not_share_a_stream():
    first, second = RRandom(3), RRandom(3)
    first.runif(100)
    assert second.runif(1)[0] == RRandom(3).runif(1)[0]


@pytest.mark.parametrize(
    "draw, expected",
    [
        (lambda r: r.runif(4, 2.5, 2.5), [2.5] * 4),
        (lambda r: r.rnorm(3, -1.5, 0), [-1.5] * 3),
        (lambda r: r.sample(9, 0), []),
        (lambda r: r.runif(0), []),
        (lambda r: r.rnorm(0), []),
    ],
    ids=["an empty range", "no spread", "no draws", "no uniforms", "no normals"],
)
def test_what_is_certain_spends_no_random_number(draw, expected):
    r = RRandom(3)
    assert draw(r).tolist() == expected
    assert r.runif(1)[0] == RRandom(3).runif(1)[0]


def test_ranges_and_moments_are_applied_to_the_standard_draw():
    np.testing.assert_array_equal(RRandom(3).runif(50, -2, 6), -2 + 8 * RRandom(3).runif(50))
    np.testing.assert_array_equal(RRandom(3).rnorm(50, 10, 0.5), 10 + 0.5 * RRandom(3).rnorm(50))


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 500])
def test_a_sample_of_the_whole_population_is_a_permutation(n):
    drawn = RRandom(3).sample(n)
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(1, n + 1))
    np.testing.assert_array_equal(drawn, RRandom(3).sample(n, n))


def test_a_partial_sample_holds_no_number_twice():
    drawn = RRandom(3).sample(100, 60)
    assert drawn.shape == (60,) and len(set(drawn.tolist())) == 60
    assert drawn.min() >= 1 and drawn.max() <= 100


def test_numpy_integers_are_integers():
    assert RRandom(np.int32(7)).sample(np.int64(5), np.uint8(2)).tolist() == RRandom(7).sample(5, 2).tolist()


NOT_A_SEED = {name: bad for name, bad in NOT_A_COUNT.items() if name != "negative"}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(RRandom, {"seed": 1}, seed=NOT_A_SEED | {"2^31": 2**31, "R's NA": -(2**31), "huge": 10**400}),
        *refusals(
            RRandom(1).runif,
            {"n": 3, "low": 0.0, "high": 1.0},
            n=NOT_A_COUNT,
            low=NOT_A_NUMBER,
            high=NOT_A_NUMBER | {"below low": -0.1},
        ),
        *refusals(
            RRandom(1).rnorm,
            {"n": 3, "mean": 0.0, "sd": 1.0},
            n=NOT_A_COUNT,
            mean=NOT_A_NUMBER,
            sd=NOT_A_BUDGET,
        ),
        *refusals(
            RRandom(1).sample,
            {"n": 3, "size": 2},
            n=NOT_A_POSITIVE_COUNT,
            size={what: bad for what, bad in NOT_A_COUNT.items() if bad is not None} | {"above n": 4},
        ),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


def test_the_ends_of_rs_uniforms_are_kept_off_0_and_1():
    r = RRandom(1)
    r._twister = SimpleNamespace(random_raw=lambda n: np.array([0, 2**32 - 1], dtype=np.uint64))
    assert r.runif(2).tolist() == [0.5 * 2.328306437080797e-10, (2**32 - 1) / 2**32]


@pytest.mark.parametrize(("n", "size", "remembers"), [(12, 6, True), (12, 7, False), (10, 5, False), (11, 5, True), (13, 5, True)])
def test_from_a_large_population_on_up_to_half_of_it_is_drawn_by_remembering(n, size, remembers, monkeypatch):
    monkeypatch.setattr(rrandom, "_REMEMBERED", 10)
    monkeypatch.setattr(RRandom, "_sample_remembering_draws", lambda self, n, size: "remembered")
    assert (isinstance(RRandom(1).sample(n, size), str)) is remembers
