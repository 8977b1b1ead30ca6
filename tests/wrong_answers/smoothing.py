"""What students get wrong in exercises/smoothing: each of these must fail a check or a hidden test there."""

COUNTS = '''def certify_from_counts(choosing, bounding, alpha, sigma):
    chosen = choosing.argmax(axis=1)
    k = bounding[np.arange(len(chosen)), chosen]
    n = bounding.sum(axis=1)
    p_a = np.where(k > 0, beta.ppf(alpha, np.maximum(k, 1), n - k + 1), 0.0)
    sure = p_a > 0.5
    return np.where(sure, chosen, -1), sigma * ndtri(np.where(sure, p_a, 0.5))
'''
ALL_OF_THE_BOUND = "np.where(k > 0, beta.ppf(alpha, np.maximum(k, 1), n - k + 1), 0.0)"
VOTE = '''def vote(counts, alpha):
    answers = np.full(len(counts), -1)
    for i, row in enumerate(counts):
        second, first = np.sort(row)[-2:]
        if binomtest(int(first), int(first + second)).pvalue <= alpha:
            answers[i] = row.argmax()
    return answers
'''
NEEDED = '''def votes_needed(r, sigma, alpha):
    return math.floor(math.log(alpha) / math.log(ndtr(r / sigma))) + 1
'''
SHARE = '''def certified_share(smooth, x, y, r, n, rng):
    classes, radii = smooth.certify(x, 50, n, 0.001, rng)
    return np.mean((classes == y) & (radii > r))
'''
TEST = "binomtest(int(first), int(first + second)).pvalue <= alpha"
BEST = '''def best_sigma(r, n):
    shares = {}
    for sigma, smooth in smooths.items():
        shares[sigma] = certified_share(smooth, x, y, r, n, np.random.default_rng(0))
    best = max(shares, key=shares.get)
    return best, shares[best]
'''


def changed(source, *pairs):
    """``source`` with each (old, new) replaced; an old part that is not there is a mistake of this file."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source


WRONG = {
    "counts-answer": {
        "a two-sided interval where one side is asked": changed(COUNTS, ("ppf(alpha,", "ppf(alpha / 2,")),
        "the radius is not scaled by sigma": changed(COUNTS, ("sigma * ndtri", "ndtri")),
        "the radius is scaled by the variance": changed(COUNTS, ("sigma * ndtri", "sigma**2 * ndtri")),
        "the share of votes is taken for the probability": changed(
            COUNTS, (ALL_OF_THE_BOUND, "k / n")
        ),
        "Phi in place of its inverse": changed(COUNTS, ("sigma * ndtri(", "sigma * ndtr(")),
        "the class is chosen by the votes that bound it": changed(COUNTS, ("choosing.argmax", "bounding.argmax")),
        "all votes both choose and bound": changed(
            COUNTS,
            ("    chosen =", "    bounding = choosing + bounding\n    chosen ="),
            ("choosing.argmax", "bounding.argmax"),
        ),
        "the choosing votes are counted again": changed(
            COUNTS, ("    chosen =", "    bounding = bounding + choosing\n    chosen =")
        ),
        "a class below one half is certified": changed(
            COUNTS, ("p_a > 0.5", "p_a > 0.3"), ("np.where(sure, p_a, 0.5)", "np.maximum(p_a, 0.5)")
        ),
        "a negative radius in place of abstaining": changed(
            COUNTS, ("np.where(sure, chosen, -1)", "chosen"), ("ndtri(np.where(sure, p_a, 0.5))", "ndtri(p_a)")
        ),
        "half of the radius": changed(COUNTS, ("sigma * ndtri", "sigma / 2 * ndtri")),
        "no count of zero is expected": changed(
            COUNTS, (ALL_OF_THE_BOUND, "beta.ppf(alpha, k, n - k + 1)"),
            ("return np.where(sure, chosen, -1)", "return np.where(p_a <= 0.5, -1, chosen)"),
        ),
        "the upper bound for the lower": changed(
            COUNTS,
            ("beta.ppf(alpha, np.maximum(k, 1), n - k + 1)", "beta.ppf(1 - alpha, k + 1, np.maximum(n - k, 1))"),
        ),
        "one total for all rows": changed(COUNTS, ("n = bounding.sum(axis=1)", "n = bounding[0].sum()")),
        "the tables are changed in place": changed(COUNTS, ("    return", "    bounding -= bounding\n    return")),
    },
    "vote-answer": {
        "a one-sided test": changed(VOTE, ("first + second))", "first + second), alternative='greater')")),
        "a test against all votes": changed(VOTE, ("int(first + second)", "int(row.sum())")),
        "the largest count always wins": changed(VOTE, (TEST, "True")),
        "the decision is turned around": changed(VOTE, ("<= alpha", "> alpha")),
        "more than half of the votes is enough": changed(
            VOTE, (TEST, "first > row.sum() / 2")
        ),
        "the first two classes are compared, not the two largest": changed(
            VOTE, ("second, first = np.sort(row)[-2:]", "first, second = row[0], row[1]")
        ),
        "counts is sorted in place": changed(
            VOTE,
            (
                "second, first = np.sort(row)[-2:]",
                "winner = row.argmax()\n        row.sort()\n        second, first = row[-2:]",
            ),
            ("row.argmax()\n    return", "winner\n    return"),
        ),
        "the certificate's bound in place of the test": changed(
            VOTE,
            (TEST, "beta.ppf(alpha, first, row.sum() - first + 1) > 0.5"),
        ),
    },
    "dial-answer": {
        "sigma is forgotten": changed(NEEDED, ("r / sigma", "r")),
        "sigma over r": changed(NEEDED, ("r / sigma", "sigma / r")),
        "rounded down": changed(NEEDED, (" + 1", "")),
        "a float": changed(NEEDED, ("math.floor", "np.floor")),
        "a two-sided level": changed(NEEDED, ("math.log(alpha)", "math.log(alpha / 2)")),
        "the density's tail in place of Phi": changed(NEEDED, ("ndtr(r / sigma)", "ndtr(-r / sigma)")),
    },
    "dial-share-answer": {
        "certificates of a wrong label count": changed(SHARE, ("(classes == y) & ", "")),
        "the radius does not count": changed(SHARE, (" & (radii > r)", "")),
        "the border counts": changed(SHARE, ("radii > r", "radii >= r")),
        "a share of those who do not abstain": changed(
            SHARE, ("np.mean((classes == y) & (radii > r))", "np.mean(((classes == y) & (radii > r))[classes >= 0])")
        ),
        "n0 and n are exchanged": changed(SHARE, ("certify(x, 50, n,", "certify(x, n, 50,")),
        "a number, not a share": changed(SHARE, ("np.mean(", "np.sum(")),
        "another level": changed(SHARE, ("0.001", "0.05")),
    },
    "dial-best-answer": {
        "the largest sigma": changed(BEST, ("max(shares, key=shares.get)", "max(shares)")),
        "the smallest share": changed(BEST, ("max(", "min(")),
        "only the share": changed(BEST, ("return best, shares[best]", "return shares[best]")),
        "n is not passed on": changed(BEST, ("y, r, n,", "y, r, 1000,")),
        "r is not passed on": changed(BEST, ("y, r, n,", "y, 0, n,")),
        "the largest mean radius": changed(
            BEST,
            (
                "    best =",
                "        radii[sigma] = smooth.certify(x, 50, n, 0.001, np.random.default_rng(0))[1].mean()\n    best =",
            ),
            ("shares = {}", "shares, radii = {}, {}"),
            ("key=shares.get", "key=radii.get"),
        ),
    },
}
