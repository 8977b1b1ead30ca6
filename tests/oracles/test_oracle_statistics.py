"""statsmodels, SciPy and POT on the same numbers: fits, bounds, certificates, nearest points, distances."""

import math
import warnings

import numpy as np
import ot
import pytest
import statsmodels.api as sm
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from scipy.optimize import LinearConstraint, NonlinearConstraint, minimize
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, entropy, norm, wasserstein_distance
from statsmodels.stats.proportion import proportion_confint
from torch.nn import CrossEntropyLoss
from twins import twin

from adv_companion.datasets import chapter_demo
from adv_companion.gan import jensen_shannon, kl_divergence, wasserstein_1d
from adv_companion.models import MLP, LogisticRegression
from adv_companion.norms import dual_norm, linear_maximizer, project
from adv_companion.smoothing import ABSTAIN, SmoothedClassifier, certified_radius, lower_confidence_bound
from adv_companion.training import robust_logistic

P = [1, 2, math.inf]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("seed", [1301, 1, 2])
def test_the_logistic_fit_is_that_of_statsmodels(seed):
    x, y, _, _ = chapter_demo(seed)
    ours, theirs = LogisticRegression.fit(x, y), sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(np.append(ours.intercept, ours.coef), theirs.params, rtol=1e-8)
    np.testing.assert_allclose(-ours.loss(x, y).sum(), theirs.llf, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.4])
@pytest.mark.parametrize("n", [1, 10, 1000, 100_000])
def test_the_confidence_bound_is_that_of_statsmodels_and_of_scipy(n, alpha):
    for count in {0, 1, n // 3, n // 2, n - 1, n}:
        ours = lower_confidence_bound(count, n, alpha)
        # Its interval has two sides: alpha on the lower one is 2 alpha of both.
        theirs = proportion_confint(count, n, 2 * alpha, method="beta")[0]
        exact = binomtest(count, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low
        # For one of many their quantile keeps five digits; there a formula knows the answer.
        np.testing.assert_allclose(ours, [theirs, exact], rtol=1e-4 if count == 1 else 1e-9, atol=1e-15)
        if count == 1:
            np.testing.assert_allclose(ours, -math.expm1(math.log1p(-alpha) / n), rtol=1e-9)


def smoothed():
    net = MLP([6, 16, 3], np.random.default_rng(3))
    return net, SmoothedClassifier(net, 0.5, 3), np.random.default_rng(4).standard_normal((40, 6))


def test_certify_is_the_procedure_of_cohen_rosenfeld_and_kolter_on_the_same_counts():
    """CERTIFY, written down from the paper with statsmodels' bound: n0 votes choose, n votes bound."""
    _, smooth, x = smoothed()
    alpha, n0, n = 0.001, 50, 2000
    classes, radii = smooth.certify(x, n0, n, alpha, np.random.default_rng(7))
    # The same streams: the votes that choose come first, and those that bound follow from the same one.
    both = smooth._votes(x, (n0, n), np.random.default_rng(7))
    for (first, second), label, radius in zip(both, classes, radii):
        leader = first.argmax()
        lower = proportion_confint(second[leader], n, 2 * alpha, method="beta")[0]
        if lower > 0.5:
            assert label == leader
            np.testing.assert_allclose(radius, 0.5 * norm.ppf(lower), rtol=1e-9)
        else:
            assert label == ABSTAIN and radius == 0
    assert (classes == ABSTAIN).any() and (classes != ABSTAIN).any()


def test_predict_is_the_procedure_of_cohen_rosenfeld_and_kolter_on_the_same_counts():
    _, smooth, x = smoothed()
    labels, votes = (call(x, 200, *more, np.random.default_rng(8)) for call, more in ((smooth.predict, [0.01]), (smooth.votes, [])))
    for label, row in zip(labels, votes):
        second, first = np.sort(row)[-2:]
        wanted = row.argmax() if binomtest(first, first + second, 0.5).pvalue <= 0.01 else ABSTAIN
        assert label == wanted
    assert (labels == ABSTAIN).any() and (labels != ABSTAIN).any()


def test_arts_certificates_differ_by_no_more_than_their_own_noise():
    """Another program, other draws: the two estimates of each radius differ by what the number of draws explains."""
    net, smooth, x = smoothed()
    n, alpha = 4000, 0.01
    options = {"sample_size": 100, "scale": 0.5, "alpha": alpha}
    theirs = PyTorchRandomizedSmoothing(twin(net).float(), CrossEntropyLoss(), (6,), 3, device_type="cpu", **options)
    np.random.seed(0)
    labels, radii = theirs.certify(x.astype(np.float32), n=n)
    classes, ours = smooth.certify(x, 100, n, alpha, np.random.default_rng(0))
    sure = (ours > 0.05) & (radii > 0.05)
    assert sure.sum() > 20
    np.testing.assert_array_equal(classes[sure], labels[sure])
    share = norm.cdf(ours[sure] / 0.5)
    spread = 0.5 * np.sqrt(2 * share * (1 - share) / n) / norm.pdf(norm.ppf(share))  # of a difference of two radii
    assert (np.abs(ours - radii)[sure] <= 4.5 * spread + 1e-3).all()


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("seed", range(6))
def test_the_projection_is_what_a_general_solver_finds(p, seed):
    rng = np.random.default_rng(seed)
    center, u, eps = rng.random(5), rng.normal(0.5, 1.5, 5), 0.6
    low, high = 0.0, 1.0
    if p == 1:  # |v - center| = parts above and below, which are linear
        sides = lambda z: z[:5] - z[5:]  # noqa: E731
        limits = [(0, max(high - c, 0)) for c in center] + [(0, max(c - low, 0)) for c in center]
        budget = LinearConstraint(np.ones(10), -np.inf, eps)
        found = minimize(lambda z: np.sum((center + sides(z) - u) ** 2), np.full(10, 0.01), method="SLSQP",
                         bounds=limits, constraints=[budget], options={"ftol": 1e-14, "maxiter": 500})  # fmt: skip
        point = center + sides(found.x)
    else:
        box = (low, high) if p == 2 else None
        limits = [box] * 5 if box else [(max(low, c - eps), min(high, c + eps)) for c in center]
        ball = [NonlinearConstraint(lambda v: np.sum((v - center) ** 2), -np.inf, eps**2)] if p == 2 else []
        found = minimize(lambda v: np.sum((v - u) ** 2), center, method="SLSQP", bounds=limits, constraints=ball,
                         options={"ftol": 1e-14, "maxiter": 500})  # fmt: skip
        point = found.x
    np.testing.assert_allclose(project(u[None], center[None], eps, p, (low, high))[0], point, atol=2e-5)


@pytest.mark.parametrize("p", P)
def test_the_maximiser_is_a_linear_programme_or_what_slsqp_finds(p):
    g = RNG.standard_normal(5)
    ball = {2: [NonlinearConstraint(lambda v: v @ v, -np.inf, 0.09)], math.inf: []}
    if p == 1:
        found = minimize(lambda z: -g @ (z[:5] - z[5:]), np.full(10, 0.01), jac=lambda z: np.append(-g, g), method="SLSQP",
                         bounds=[(0, None)] * 10, constraints=[LinearConstraint(np.ones(10), -np.inf, 0.3)])  # fmt: skip
        best = found.x[:5] - found.x[5:]
    else:
        limits = [(-0.3, 0.3)] * 5
        found = minimize(lambda v: -g @ v, np.zeros(5), jac=lambda v: -g, method="SLSQP", bounds=limits, constraints=ball[p],
                         options={"ftol": 1e-14})  # fmt: skip
        best = found.x
    np.testing.assert_allclose(linear_maximizer(g[None], 0.3, p)[0], best, atol=1e-5)
    np.testing.assert_allclose(0.3 * dual_norm(g[None], p)[0], g @ best, rtol=1e-7)


@pytest.mark.parametrize("p", P)
def test_no_general_solver_finds_a_better_robust_line(p):
    x, y, _, _ = chapter_demo()
    sign, q = np.where(y == 1, 1, -1), {1: math.inf, 2: 2, math.inf: 1}[p]

    def loss(theta):
        return np.logaddexp(0, 0.5 * np.linalg.norm(theta[:2], ord=q) - sign * (x @ theta[:2] + theta[2])).mean()

    ours = robust_logistic(x, y, 0.5, p)
    starts = [np.append(ours.coef, ours.intercept), np.zeros(3), np.ones(3)]
    tries = [minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-15}) for start in starts]
    assert loss(starts[0]) <= min(found.fun for found in tries) + 1e-10


def masses(number, m):
    pairs = RNG.random((number, 2, m)) * (RNG.random((number, 2, m)) < 0.7)
    return pairs[(pairs.sum(axis=2) > 0).all(axis=1)]


@pytest.mark.parametrize("p, q", [pair / pair.sum(axis=1, keepdims=True) for pair in masses(10, 6)])
def test_divergences_are_scipys_which_returns_the_root(p, q):
    root = jensenshannon(p, q)
    np.testing.assert_allclose(jensen_shannon(p, q), root**2, rtol=1e-9, atol=1e-15)
    assert root == 0 or abs(root - jensen_shannon(p, q)) > 1e-3, "SciPy's function is not the divergence"
    np.testing.assert_allclose(kl_divergence(p, q), entropy(p, q), rtol=1e-12)


@pytest.mark.parametrize("sizes", [(5, 5), (3, 8), (1, 4), (50, 20)])
def test_the_earth_movers_distance_is_scipys_and_the_optimal_plans(sizes):
    x, y = (RNG.standard_normal(size) for size in sizes)
    ours = wasserstein_1d(x, y)
    np.testing.assert_allclose(ours, wasserstein_distance(x, y), rtol=1e-10)
    plan = ot.emd2(np.full(sizes[0], 1 / sizes[0]), np.full(sizes[1], 1 / sizes[1]), np.abs(x[:, None] - y))
    np.testing.assert_allclose(ours, plan, rtol=1e-9)
    np.testing.assert_allclose(ours, ot.wasserstein_1d(x, y, p=1), rtol=1e-9)


def test_pot_returns_the_square_for_the_exponent_two():
    x = RNG.standard_normal(30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(ot.wasserstein_1d(x, x + 3, p=2), 9, rtol=1e-9)
    np.testing.assert_allclose(wasserstein_1d(x, x + 3), 3, rtol=1e-12)


def test_a_radius_by_hand():
    np.testing.assert_allclose(certified_radius(0.9, 0.1, 0.25), 0.25 * norm.ppf(0.9), rtol=1e-12)
