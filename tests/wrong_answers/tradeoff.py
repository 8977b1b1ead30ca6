"""Mistakes that the checks of exercises/tradeoff must catch: cell, what is wrong, the whole answer cell."""

KEPT = '''
def kept(coef, p, c, eps):
    w1, weak = coef[0], coef[1:]
    crowd = c / math.sqrt(len(weak)) * weak.sum() - eps * np.abs(coef).sum()
    spread = np.linalg.norm(weak)
    if spread == 0:
        return float(p * (crowd + w1 > 0) + (1 - p) * (crowd - w1 > 0))
    return float(p * ndtr((crowd + w1) / spread) + (1 - p) * ndtr((crowd - w1) / spread))
'''
LEARNED = '''
def learned(d, seed):
    law = TsiprasDistribution(d, 0.95, 4)
    x, y = law.sample(4000, np.random.default_rng(seed))
    fit = robust_logistic(x, (y + 1) // 2, 2 * law.eta)
    if not fit.coef.any():
        return 0.5
    return law.linear_accuracy(fit.coef, fit.intercept, 2 * law.eta)
'''
FRONTIER = '''
def frontier(clean, p, c):
    def accuracy(w, center):
        return p * ndtr(center + w / (2 * c)) + (1 - p) * ndtr(center - w / (2 * c))

    bayes = math.log(p / (1 - p))
    if clean > accuracy(bayes, c):
        raise ValueError
    if clean <= p:
        return math.inf, p
    w = brentq(lambda w: accuracy(w, c) - clean, bayes, 2 * c * (c + 40))
    return w, float(accuracy(w, -c))
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "kept-answer": {
        "x_1 is not attacked": instead(KEPT, "np.abs(coef).sum()", "np.abs(weak).sum()"),
        "signed weights under attack": instead(KEPT, "np.abs(coef).sum()", "coef.sum()"),
        "the l2 norm for the l1 norm": instead(KEPT, "np.abs(coef).sum()", "np.linalg.norm(coef)"),
        "d counts x_1": instead(KEPT, "math.sqrt(len(weak))", "math.sqrt(len(coef))"),
        "eta is c / d": instead(KEPT, "math.sqrt(len(weak))", "len(weak)"),
        "the variance for the spread": instead(KEPT, "np.linalg.norm(weak)", "np.sum(weak**2)"),
        "x_1 adds noise": instead(KEPT, "np.linalg.norm(weak)", "np.linalg.norm(coef)"),
        "a score of 0 is right": KEPT.replace("> 0", ">= 0"),
        "divides by no spread": instead(KEPT, "spread == 0", "False"),
        "the attack helps": instead(KEPT, "- eps *", "+ eps *"),
        "coef is scaled in place": instead(KEPT, "    w1, weak", "    coef /= np.abs(coef).max()\n    w1, weak"),
    },
    "borders-answer": {
        "the border itself": "def smallest_d(c):\n    return math.ceil(4 * c**2)",
        "the budget eta": "def smallest_d(c):\n    return math.floor(c**2) + 1",
        "not squared": "def smallest_d(c):\n    return math.floor(4 * c) + 1",
        "not whole": "def smallest_d(c):\n    return 4 * c**2 + 1",
    },
    "borders-learned": {
        "labels -1 and +1": instead(LEARNED, "(y + 1) // 2", "y"),
        "the budget eta in training": instead(LEARNED, "// 2, 2 * law.eta", "// 2, law.eta"),
        "training without an attack": instead(LEARNED, "// 2, 2 * law.eta", "// 2, 0.0"),
        "a fit of zeros keeps nothing": instead(LEARNED, "return 0.5", "return 0.0"),
        "a fit of zeros is not expected": instead(LEARNED, "not fit.coef.any()", "False"),
    },
    "borders-learner": {
        "not squared": "def learner_d(c, p):\n    return math.floor(4 * c**2 / (2 * p - 1)) + 1",
        "p for 2 p - 1": "def learner_d(c, p):\n    return math.floor(4 * c**2 / p**2) + 1",
        "the other border": "def learner_d(c, p):\n    return math.floor(4 * c**2) + 1",
        "the border itself": "def learner_d(c, p):\n    return math.ceil(4 * c**2 / (2 * p - 1) ** 2)",
    },
    "frontier-answer": {
        "kept at eta": instead(FRONTIER, "accuracy(w, -c)", "accuracy(w, 0)"),
        "kept without an attack": instead(FRONTIER, "accuracy(w, -c)", "accuracy(w, c)"),
        "the bound for what is kept": instead(FRONTIER, "float(accuracy(w, -c))", "p / (1 - p) * (1 - clean)"),
        "the less robust of the two weights": instead(FRONTIER, "bayes, 2 * c * (c + 40)", "-2 * c * (c + 40), bayes"),
        "x_1 is always right": instead(FRONTIER, " + (1 - p) * ndtr(center - w / (2 * c))", ""),
        "the margin is not scaled": FRONTIER.replace("w / (2 * c)", "w"),
        "no refusal": instead(FRONTIER, "raise ValueError", "clean = accuracy(bayes, c)"),
        "p is not special": instead(FRONTIER, "clean <= p", "False"),
    },
}
