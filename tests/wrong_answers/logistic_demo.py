"""Mistakes that the checks of exercises/logistic_demo must catch: cell, what is wrong, the whole answer cell."""

EXACT = '''
def exact_robust_accuracy(model, x, y, eps, p):
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    taken = eps * np.linalg.norm(model.coef, ord=q)
    score = x @ model.coef + model.intercept
    worst = np.where(y == 1, score - taken, score + taken)
    return float(np.mean((worst > 0) == (y == 1)))
'''
CHANCE = '''
def p_value(y, first, second):
    only_first = np.sum((first == y) & (second != y))
    only_second = np.sum((second == y) & (first != y))
    k, fewer = only_first + only_second, min(only_first, only_second)
    if k == 0:
        return 1.0
    return float(min(1.0, 2 * binom.cdf(fewer, k, 0.5)))
'''
LAW = '''
def law_in_units(s):
    covariance = [[1.0, 0.3 * s], [0.3 * s, s**2]]
    return TwoGaussians([-1.0, -s], [1.0, s], covariance)
'''
ADVANTAGE = '''
def advantage(s, eps=0.5):
    law = law_in_units(s)
    bayes = np.linalg.solve(law.covariance, law.mean1 - law.mean0)
    best, _ = law.best_robust_accuracy(eps)
    return best - law.linear_accuracy(bayes, 0.0, eps)
'''
CROSSOVER = '''
def crossover():
    return brentq(lambda s: advantage(s) - 0.05, 0.4, 0.75)
'''
Z_TEST = '''
def p_value(y, first, second):
    a, b = np.mean(first == y), np.mean(second == y)
    pooled = (a + b) / 2
    if pooled * (1 - pooled) == 0:
        return 1.0
    z = abs(a - b) / math.sqrt(2 * pooled * (1 - pooled) / len(y))
    return math.erfc(z / math.sqrt(2))
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "exact-answer": {
        "the norm of the budget": instead(EXACT, "ord=q", "ord=p"),
        "the l2 norm for every p": instead(EXACT, "ord=q", "ord=2"),
        "the same side for both classes": instead(EXACT, "score + taken", "score - taken"),
        "the attack helps": instead(EXACT, "score - taken, score + taken", "score + taken, score - taken"),
        "signed weights": instead(EXACT, "np.linalg.norm(model.coef, ord=q)", "model.coef.sum()"),
        "the intercept is forgotten": instead(EXACT, " + model.intercept", ""),
        "a score of 0 gets the label 1": instead(EXACT, "worst > 0", "worst >= 0"),
        "points off the boundary, right or wrong": '''
def exact_robust_accuracy(model, x, y, eps, p):
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    score = x @ model.coef + model.intercept
    return float(np.mean(np.abs(score) > eps * np.linalg.norm(model.coef, ord=q)))
''',
        "the share that is lost": instead(EXACT, "== (y == 1)", "!= (y == 1)"),
        "x is moved in place": instead(EXACT, "    score =", "    x -= eps\n    score ="),
    },
    "chance-answer": {
        "one-sided": instead(CHANCE, "2 * binom", "binom"),
        "the second model's side": instead(CHANCE, "binom.cdf(fewer", "binom.cdf(only_second"),
        "a tie above 1": instead(CHANCE, "min(1.0, 2 * binom.cdf(fewer, k, 0.5))", "2 * binom.cdf(fewer, k, 0.5)"),
        "strictly farther": instead(CHANCE, "cdf(fewer,", "cdf(fewer - 1,"),
        "this count alone": instead(CHANCE, "binom.cdf", "binom.pmf"),
        "tosses for all points": instead(CHANCE, "fewer, k, 0.5", "fewer, len(y), 0.5"),
        "tosses wherever the answers differ": '''
def p_value(y, first, second):
    k, second_wins = np.sum(first != second), np.sum((first != second) & (second == y))
    if k == 0:
        return 1.0
    return float(min(1.0, 2 * binom.cdf(min(second_wins, k - second_wins), k, 0.5)))
''',
        "right counts as if unpaired": instead(
            instead(CHANCE, "(first == y) & (second != y)", "first == y"), "(second == y) & (first != y)", "second == y"
        ),
        "two samples": Z_TEST,
        "the normal curve": instead(
            CHANCE,
            "min(1.0, 2 * binom.cdf(fewer, k, 0.5))",
            "math.erfc(abs(fewer - k / 2) / math.sqrt(k / 4) / math.sqrt(2))",
        ),
        "no case without a difference": instead(CHANCE, "return 1.0", "return 0.0"),
        "answers are overwritten": instead(CHANCE, "    only_first =", "    first[:] = first == y\n    only_first ="),
    },
    "units-law": {
        "the covariance stays": LAW.replace("0.3 * s", "0.3"),
        "the variance is s": instead(LAW, "s**2", "s"),
        "the means stay": instead(LAW, "[-1.0, -s], [1.0, s]", "[-1.0, -1.0], [1.0, 1.0]"),
        "the other feature": instead(LAW, "[[1.0, 0.3 * s], [0.3 * s, s**2]]", "[[s**2, 0.3 * s], [0.3 * s, 1.0]]"),
        "the covariance is squared": LAW.replace("0.3 * s", "0.3 * s**2"),
    },
    "units-advantage": {
        "the other sign": instead(ADVANTAGE, "best - law.linear_accuracy", "-best + law.linear_accuracy"),
        "the means alone": instead(ADVANTAGE, "np.linalg.solve(law.covariance, law.mean1 - law.mean0)", "law.mean1"),
        "the ordinary rule without attack": instead(ADVANTAGE, "0.0, eps)", "0.0)"),
        "always a budget of one half": ADVANTAGE.replace("(eps)", "(0.5)").replace("0.0, eps", "0.0, 0.5"),
        "in percentage points": instead(ADVANTAGE, "return best -", "return 100 * best - 100 *"),
        "the attack of the l2 ball": instead(ADVANTAGE, "0.0, eps)", "0.0, eps, 2)"),
    },
    "units-crossover": {
        "where feature 2 is dropped": "def crossover():\n    return 0.588",
        "read off the table": "def crossover():\n    return 0.55",
        "half a percentage point": instead(CROSSOVER, "0.05", "0.005"),
        "the first s of a coarse grid": '''
def crossover():
    return next(s for s in np.arange(0.1, 1, 0.05) if advantage(s) < 0.05)
''',
        "at another budget": instead(CROSSOVER, "advantage(s)", "advantage(s, 0.45)"),
    },
}
