import itertools
import math

import numpy as np
import pytest
from helpers import (
    NOT_A_BUDGET,
    NOT_A_GENERATOR,
    NOT_A_NUMBER,
    NOT_A_POSITIVE_COUNT,
    assert_refused,
    frozen,
    not_an_array,
    refusals,
)
from scipy.stats import binomtest, norm

from adv_companion.attacks import pgd
from adv_companion.models import MLP, LogisticRegression
from adv_companion.tradeoff import TsiprasDistribution
from adv_companion.training import robust_logistic, train

LAWS = [
    TsiprasDistribution(*law)
    for law in ((1, 0.5, 0.3), (9, 0.8, 1.0), (64, 0.95, 2.0), (100, 0.6, 4.0), (200, 0.95, 2.0), (16, 0.9, 4.0))
]


def consistent(right, expected):
    """Whether a share of right answers (n,) agrees with an exact accuracy: its 99.99 % Clopper-Pearson interval does."""
    interval = binomtest(int(np.sum(right)), len(right)).proportion_ci(0.9999, method="exact")
    return interval.low <= expected <= interval.high


def margin(law, coef, intercept, x, y):
    return y * (x @ coef + intercept)


# The law.


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_a_sample_has_the_law_it_is_named_after(law):
    n = 20_000
    x, y = law.sample(n, np.random.default_rng(1))
    assert x.shape == (n, law.d + 1) and x.dtype == np.float64 and y.shape == (n,) and y.dtype == np.int64
    assert set(y) == {-1, 1} and set(x[:, 0]) == {-1.0, 1.0}
    assert consistent(y == 1, 0.5)
    assert consistent((x[:, 0] == y)[y == 1], law.p) and consistent((x[:, 0] == y)[y == -1], law.p)
    noise = x[:, 1:] - law.eta * y[:, None]
    assert abs(noise.mean()) < 5 / math.sqrt(noise.size) and abs(noise.var() - 1) < 8 / math.sqrt(noise.size)
    others = np.column_stack([noise[:, :3], y, x[:, 0] * y])  # nothing else ties one feature to another, or to y
    correlation = np.corrcoef(others.T) if law.d > 1 else np.corrcoef(others[:, [0, -1]].T)
    assert np.abs(correlation[np.triu_indices(len(correlation), 1)]).max() < 5 / math.sqrt(n)


def test_the_weak_features_of_every_size_of_problem_share_one_constant():
    assert [TsiprasDistribution(d, 0.95, 4).eta for d in (16, 64, 10_000)] == [1.0, 0.5, 0.04]


def test_a_sample_depends_on_its_generator_alone():
    law, kept = LAWS[2], np.random.get_state()[1].copy()
    first, again, other = (law.sample(50, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(kept, np.random.get_state()[1])


def test_the_law_shows_what_it_is():
    assert repr(LAWS[2]) == "TsiprasDistribution(d=64, p=0.95, c=2.0)"


# The closed forms.


def some_rules(law):
    rng = np.random.default_rng(0)
    yield from ((law.mean_rule, 0.0), (law.x1_rule, 0.0), (law.bayes_rule, 0.0), (law.x1_rule, 0.4), (-law.x1_rule, 0.0))
    for spread in (0.3, 3.0):
        yield law.bayes_rule + spread * law.eta * rng.standard_normal(law.d + 1), rng.standard_normal()


@pytest.mark.parametrize("budget", [0, 0.5, 2, 3])  # in units of eta
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_linear_rules_are_as_accurate_in_a_simulation(law, budget):
    x, y = law.sample(10_000, np.random.default_rng(2))
    for coef, intercept in some_rules(law):
        moved = x - budget * law.eta * y[:, None] * np.sign(coef)
        right = margin(law, coef, intercept, moved, y) > 0
        assert consistent(right, law.linear_accuracy(frozen(coef), intercept, budget * law.eta))


@pytest.mark.parametrize("budget", [0, 1, 2])
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_rules_with_names_are_as_accurate_in_a_simulation(law, budget):
    eps = budget * law.eta
    x, y = law.sample(10_000, np.random.default_rng(3))
    moved = x - eps * y[:, None]
    read = np.where(x[:, 0] * y - eps > 0, x[:, 0], -y)  # the sign of x_1 after the worst step
    weak = 2 * law.eta * moved[:, 1:].sum(axis=1)
    assert consistent(weak * y > 0, law.mean_accuracy(eps))
    assert consistent(read == y, law.x1_accuracy(eps))
    assert consistent((math.log(law.p / (1 - law.p)) * read + weak) * y > 0, law.bayes_accuracy(eps))
    for weight in (-4.0, 0.5, 7.0):
        worst = read if weight > 0 else np.where(eps >= 1, y, x[:, 0])
        assert consistent((weight * worst + weak) * y > 0, law.snapped_accuracy(weight, eps))


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("eps", [0, 0.1, 0.9, 1.0, 1.5])
def test_the_rules_with_names_are_linear_rules(law, eps):
    assert law.mean_accuracy(eps) == pytest.approx(law.linear_accuracy(law.mean_rule, eps=eps), abs=1e-12)
    assert law.mean_accuracy(eps) == pytest.approx(law.snapped_accuracy(0, eps), abs=1e-12)
    assert law.x1_accuracy(eps) == pytest.approx(law.linear_accuracy(law.x1_rule, eps=eps), abs=1e-12)
    assert law.bayes_accuracy() == pytest.approx(law.linear_accuracy(law.bayes_rule), abs=1e-12)


def test_no_corner_of_the_ball_is_worse_than_the_closed_form_says():
    law, eps = TsiprasDistribution(3, 0.7, 1.5), 0.6
    coef, intercept = np.array([0.8, 1.0, -0.4, 0.5]), 0.2
    x, y = law.sample(20_000, np.random.default_rng(4))
    corners = eps * np.array(list(itertools.product((-1, 0, 1), repeat=4)))
    worst = np.min([margin(law, coef, intercept, x + corner, y) for corner in corners], axis=0)
    assert consistent(worst > 0, law.linear_accuracy(coef, intercept, eps))


def test_only_the_sign_of_the_score_matters():
    law = LAWS[2]
    for scale in (1e-300, 1e-9, 1e9, 1e300):
        scaled = law.linear_accuracy(scale * law.bayes_rule, 0.3 * scale, 0.2)
        assert scaled == pytest.approx(law.linear_accuracy(law.bayes_rule, 0.3, 0.2), abs=1e-12)
    whole = np.append(3, np.ones(law.d, dtype=int))
    assert law.linear_accuracy(whole) == law.linear_accuracy(whole.astype(float))
    single = law.bayes_rule.astype(np.float32)
    assert law.linear_accuracy(single, eps=0.1) == law.linear_accuracy(single.astype(float), eps=0.1)


def test_the_mean_rule_is_the_mean():
    x, _ = LAWS[2].sample(20, np.random.default_rng(0))
    np.testing.assert_allclose(x @ LAWS[2].mean_rule, x[:, 1:].mean(axis=1))


def test_a_score_of_zero_is_wrong_and_a_large_intercept_answers_one_label():
    law = LAWS[2]
    assert law.linear_accuracy(law.x1_rule, eps=1.0) == 0
    assert law.linear_accuracy(law.x1_rule, intercept=1.0) == pytest.approx(law.p / 2)  # x_1 = -1: a score of 0
    assert law.linear_accuracy(law.x1_rule, intercept=5.0) == 0.5
    assert law.linear_accuracy(1e-320 * law.x1_rule, intercept=1e300) == 0.5


def test_budgets_without_end_leave_nothing():
    law = LAWS[2]
    for eps in (100.0, 1e308):
        assert law.mean_accuracy(eps) == law.x1_accuracy(eps) == law.bayes_accuracy(eps) == 0
        assert law.linear_accuracy(law.bayes_rule, eps=eps) == 0


def test_the_reference_numbers():
    for d in (64, 2500):
        law = TsiprasDistribution(d, 0.95, 2)
        values = [accuracy(eps) for accuracy in (law.mean_accuracy, law.bayes_accuracy) for eps in (0, 2 * law.eta)]
        np.testing.assert_allclose(values, [norm.cdf(2), norm.cdf(-2), 0.99189, 0.09813], atol=5e-6)


# Any classifier whatever. It may use the sum of the weak features t and the sign of x_1 alone: all else is noise, whatever y.


class Quadrature:
    """Clean accuracy, and accuracy after the step -2 eta y in the weak features, of any function of (x_1, mean)."""

    def __init__(self, law):
        self.law = law
        self.t, step = np.linspace(-law.c - 9, law.c + 9, 20_001, retstep=True)  # the mean times sqrt(d)
        self.clean, self.moved = {}, {}
        for y in (-1, 1):
            for x1 in (-1, 1):
                weight = step / 2 * (law.p if x1 == y else 1 - law.p)
                self.clean[y, x1] = weight * norm.pdf(self.t, y * law.c)
                self.moved[y, x1] = weight * norm.pdf(self.t, -y * law.c)

    def accuracies(self, answers):
        """``answers[x_1]`` (m,) is the probability of answering +1. Returns (clean, moved)."""
        chance = {(y, x1): answers[x1] if y == 1 else 1 - answers[x1] for y, x1 in self.clean}
        return [sum(chance[key] @ density[key] for key in chance) for density in (self.clean, self.moved)]

    def best(self, share):
        """The largest (1 - share) * clean + share * moved over all classifiers, by deciding each point on its own."""
        score = {key: (1 - share) * self.clean[key] + share * self.moved[key] for key in self.clean}
        return sum(np.maximum(score[1, x1], score[-1, x1]).sum() for x1 in (-1, 1))


def random_classifiers(t, rng, many):
    """Step functions of all kinds: cuts anywhere, answers sure or by chance, x_1 used or not."""
    for _ in range(many):
        cuts = np.sort(rng.normal(0, 3, size=rng.integers(1, 7)))
        piece = np.searchsorted(cuts, t)
        answers = rng.random((2, len(cuts) + 1)) ** rng.choice([0.1, 1, 10])
        yield {x1: row[piece] for x1, row in zip((-1, 1), answers if rng.random() < 0.8 else answers[[0, 0]])}


@pytest.mark.parametrize("law", LAWS[1:4], ids=repr)
def test_no_classifier_is_more_accurate_than_bayes_or_more_robust_than_the_bound(law):
    plane = Quadrature(law)
    assert plane.best(0) == pytest.approx(law.bayes_accuracy(), abs=1e-8)
    for answers in random_classifiers(plane.t, np.random.default_rng(5), many=300):
        clean, moved = plane.accuracies(answers)
        assert clean <= law.bayes_accuracy() + 1e-8
        assert moved <= law.robust_accuracy_bound(min(clean, 1)) + 1e-8


@pytest.mark.parametrize("law", [LAWS[1], LAWS[2], LAWS[4]], ids=repr)
def test_the_snapped_rules_are_the_whole_frontier(law):
    plane, p = Quadrature(law), law.p
    for share in np.linspace(0, 1 - p, 9)[:-1]:
        weight = math.log((p - share) / (1 - p - share))
        clean, moved = law.snapped_accuracy(weight), law.snapped_accuracy(weight, 2 * law.eta)
        assert plane.best(share) == pytest.approx((1 - share) * clean + share * moved, abs=1e-8)


def test_the_bound_is_the_tangent_of_the_frontier_at_the_rule_that_uses_x_1_alone():
    law = LAWS[2]
    assert law.robust_accuracy_bound(law.p) == pytest.approx(law.x1_accuracy(2 * law.eta))
    near = [(law.snapped_accuracy(w), law.snapped_accuracy(w, 2 * law.eta)) for w in (20.0, 21.0)]
    slope = (near[1][1] - near[0][1]) / (near[1][0] - near[0][0])
    assert slope == pytest.approx(-law.p / (1 - law.p), rel=1e-4)


def test_the_bound_is_that_of_the_theorem():
    law = TsiprasDistribution(100, 0.95, 2)
    for delta, bound in ((0, 0), (0.01, 0.19), (0.05, 0.95), (0.2, 1), (1, 1)):
        assert law.robust_accuracy_bound(1 - delta) == pytest.approx(bound, abs=1e-12)
    assert TsiprasDistribution(5, 0.5, 1).robust_accuracy_bound(0.7) == pytest.approx(0.3)


# The chapter's claims.

SIZES = [16, 64, 65, 1024, 10_000]


@pytest.mark.claim("C25", "supports")
@pytest.mark.parametrize("d", [16, 1024])
def test_the_mean_is_normal_with_variance_one_over_d(d):
    law = TsiprasDistribution(d, 0.95, 2)
    x, y = law.sample(5000, np.random.default_rng(6))
    mean = y * x[:, 1:].mean(axis=1)
    assert abs(mean.mean() - law.eta) < 5 / math.sqrt(d * len(y))
    assert abs(d * mean.var() - 1) < 5 * math.sqrt(2 / len(y))
    assert consistent(mean > 0, norm.cdf(2)) and law.mean_accuracy() == pytest.approx(norm.cdf(2), abs=1e-12)


@pytest.mark.claim("C26", "supports")
def test_a_signal_of_four_beats_the_95_percent_of_x_1_and_bayes_beats_both():
    law = TsiprasDistribution(400, 0.95, 4)
    assert law.mean_accuracy() == pytest.approx(0.99997, abs=5e-6)
    assert law.x1_accuracy() == 0.95 < law.mean_accuracy() < law.bayes_accuracy()
    assert TsiprasDistribution(400, 0.95, 1.6).mean_accuracy() < 0.95  # not with any constant


@pytest.mark.claim("C27", "limits")
@pytest.mark.parametrize("c", [0.5, 2])
def test_what_the_budget_leaves_depends_on_the_signal_and_not_on_the_number_of_features(c):
    left = [law.mean_accuracy(2 * law.eta) for law in (TsiprasDistribution(d, 0.95, c) for d in SIZES)]
    np.testing.assert_allclose(left, norm.cdf(-c), atol=1e-12)
    assert min(left) > 0.02  # far from 0, and no nearer to it at d = 10 000


@pytest.mark.claim("C27", "supports")
def test_the_budget_turns_the_mean_around_and_leaves_next_to_nothing_for_a_strong_signal():
    for d in SIZES:
        law = TsiprasDistribution(d, 0.95, 4)
        assert law.mean_accuracy(2 * law.eta) == pytest.approx(norm.cdf(-4), abs=1e-12)
        assert law.mean_accuracy(2 * law.eta) < 1e-4
    law = TsiprasDistribution(100, 0.95, 2)
    x, y = law.sample(5000, np.random.default_rng(7))
    assert np.mean(y[:, None] * (x[:, 1:] - 2 * law.eta * y[:, None])) == pytest.approx(-law.eta, abs=5 / math.sqrt(5e5))


@pytest.mark.claim("C28", "supports")
def test_x_1_keeps_p_exactly_where_the_budget_is_below_one():
    for c in (1, 2, 4):
        for d in range(1, 100):
            law = TsiprasDistribution(d, 0.95, c)
            assert law.x1_accuracy(2 * law.eta) == (0.95 if d > 4 * c**2 else 0)


@pytest.mark.claim("C28", "limits")
def test_at_a_budget_of_one_or_more_no_classifier_beats_a_coin():
    # x_1 to 0 and the weak features to mean 0: a step of max(1, eta), after which both labels look the same.
    law = TsiprasDistribution(64, 0.95, 4)
    assert 2 * law.eta == 1
    x, y = law.sample(20_000, np.random.default_rng(8))
    moved = x - np.column_stack([x[:, 0], np.repeat(law.eta * y[:, None], law.d, axis=1)])
    assert np.abs(moved - x).max() <= 2 * law.eta
    assert not moved[:, 0].any() and abs(np.mean(y[:, None] * moved[:, 1:])) < 5 / math.sqrt(20_000 * law.d)


@pytest.mark.claim("X04", "refutes")
@pytest.mark.parametrize("c", [1.7, 2, 4])
def test_a_rule_that_is_less_accurate_than_bayes_can_also_be_less_robust(c):
    law = TsiprasDistribution(400, 0.95, c)
    eps = 2 * law.eta
    assert law.mean_accuracy() < law.bayes_accuracy() and law.mean_accuracy(eps) < law.bayes_accuracy(eps)


@pytest.mark.claim("X04", "supports")
def test_what_is_proved_is_a_bound_that_falls_as_accuracy_rises():
    law = TsiprasDistribution(400, 0.95, 2)
    accuracies = np.linspace(0.95, 1, 51)
    bounds = [law.robust_accuracy_bound(value) for value in accuracies]
    assert bounds[-1] == 0 and (np.diff(bounds) < 0).all()
    for weight in np.linspace(law.bayes_rule[0], 40, 30):
        clean, robust = law.snapped_accuracy(weight), law.snapped_accuracy(weight, 2 * law.eta)
        assert robust <= law.robust_accuracy_bound(clean) + 1e-12


@pytest.mark.claim("C29", "supports")
def test_the_budget_vanishes_and_the_accuracy_stays():
    laws = [TsiprasDistribution(d, 0.95, 4) for d in SIZES]
    np.testing.assert_allclose([2 * law.eta for law in laws], 8 / np.sqrt(SIZES))
    np.testing.assert_allclose([law.mean_accuracy() for law in laws], norm.cdf(4), atol=1e-12)


def as_rule(law, model, eps):
    return law.linear_accuracy(model.coef, model.intercept), law.linear_accuracy(model.coef, model.intercept, eps)


@pytest.mark.claim("C30", "supports")
def test_more_data_brings_each_fit_nearer_to_its_own_end_of_the_conflict():
    law = TsiprasDistribution(25, 0.95, 2)
    eps, rng = 2 * law.eta, np.random.default_rng(9)
    for n in (2000, 16_000):
        x, y = law.sample(n, rng)
        standard, robust = LogisticRegression.fit(x, (y + 1) // 2), robust_logistic(x, (y + 1) // 2, eps)
        clean, attacked = as_rule(law, standard, eps)
        assert clean > 0.985 and attacked < 0.06 and attacked <= law.robust_accuracy_bound(clean)
        assert as_rule(law, robust, eps) == pytest.approx((0.95, 0.95))
        assert not robust.coef[1:].any()
    np.testing.assert_allclose(standard.coef, law.bayes_rule, atol=0.4)


@pytest.mark.claim("C30", "supports")
def test_a_network_is_bound_by_the_theorem_too():
    law = TsiprasDistribution(50, 0.95, 2)
    eps, rng = 2 * law.eta, np.random.default_rng(10)
    x, y = law.sample(8000, rng)
    z = (y + 1) // 2
    x_new, y_new = law.sample(20_000, rng)
    shifted = x_new - np.column_stack([0 * y_new] + law.d * [eps * y_new])
    for attack in (None, lambda m, x, y: pgd(m, x, y, eps, steps=3, rng=rng)):
        net = train(MLP([51, 32, 2], rng), x, z, epochs=6, batch_size=100, lr=0.003, rng=rng, attack=attack)
        clean, moved = (net.predict(points) == (y_new + 1) // 2 for points in (x_new, shifted))
        highest = binomtest(int(np.sum(~clean)), len(clean)).proportion_ci(0.9999, method="exact").high
        assert moved.mean() <= law.robust_accuracy_bound(1 - highest) + 0.02
        assert clean.mean() > 0.97 and moved.mean() < 0.2 if attack is None else moved.mean() > 0.9


def test_the_conflict_is_one_of_large_budgets():
    law = TsiprasDistribution(400, 0.95, 4)  # at a quarter of the budget the Bayes rule has both
    assert law.bayes_accuracy() > 0.9999 and law.bayes_accuracy(law.eta / 2) > 0.98 > law.x1_accuracy()


@pytest.mark.parametrize("d", [70, 79, 80, 100])
def test_the_robust_logistic_fit_gives_up_on_x_1_from_a_budget_of_2p_minus_1(d):
    # With the weak features gone, the loss falls along x_1 only if E[y x_1] = 2p - 1 exceeds eps = 8 / sqrt(d).
    law, rng = TsiprasDistribution(d, 0.95, 4), np.random.default_rng(11)
    x, y = law.sample(2000, rng)
    x[:, 0] = np.where(np.arange(2000) < 1900, y, -y)  # p to the letter, so that the border is not blurred
    model = robust_logistic(x, (y + 1) // 2, 2 * law.eta)
    assert (model.coef[0] > 0) == (2 * law.eta < 2 * law.p - 1)
    assert law.x1_accuracy(2 * law.eta) == 0.95


# Bad input.

LAW = TsiprasDistribution(3, 0.9, 1.0)



REFUSED = [
    *refusals(
        TsiprasDistribution,
        {"d": 3, "p": 0.9, "c": 1.0},
        d=NOT_A_POSITIVE_COUNT,
        p=NOT_A_NUMBER | {"one": 1.0, "below a half": 0.49, "negative": -0.9, "percent": 95},
        c=NOT_A_BUDGET | {"zero": 0},
    ),
    *refusals(LAW.sample, {"n": 3, "rng": np.random.default_rng(0)}, n=NOT_A_POSITIVE_COUNT, rng=NOT_A_GENERATOR),
    *refusals(LAW.mean_accuracy, {"eps": 0.1}, eps=NOT_A_BUDGET),
    *refusals(LAW.x1_accuracy, {"eps": 0.1}, eps=NOT_A_BUDGET),
    *refusals(LAW.bayes_accuracy, {"eps": 0.1}, eps=NOT_A_BUDGET),
    *refusals(LAW.snapped_accuracy, {"weight": 1.0, "eps": 0.1}, weight=NOT_A_NUMBER, eps=NOT_A_BUDGET),
    *refusals(
        LAW.linear_accuracy,
        {"coef": np.ones(4), "intercept": 0.0, "eps": 0.1},
        coef=not_an_array(4) | {"d long": np.ones(3), "all zero": np.zeros(4)},
        intercept=NOT_A_NUMBER,
        eps=NOT_A_BUDGET,
    ),
    *refusals(
        LAW.robust_accuracy_bound,
        {"standard_accuracy": 0.9},
        standard_accuracy=NOT_A_NUMBER | {"negative": -0.1, "percent": 95, "barely above 1": 1 + 1e-15},
    ),
]


@pytest.mark.parametrize("function, good, name, value", REFUSED)
def test_bad_input_is_refused(function, good, name, value):
    assert_refused(function, good, name, value)


def test_one_draw_is_a_sample():
    x, y = TsiprasDistribution(3, 0.9, 1.0).sample(1, np.random.default_rng(0))
    assert x.shape == (1, 4) and y.shape == (1,)
