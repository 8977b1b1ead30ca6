"""Mistakes that the checks of exercises/geometry must catch: cell, what is wrong, the whole answer cell."""

FLIP = '''
def flip(W, b, x, p):
    q = 1 if p == math.inf else math.inf if p == 1 else p / (p - 1)
    scores, step = x @ W.T + b, np.zeros(x.shape)
    budget = np.full(len(x), math.inf)
    for row, label in enumerate(scores.argmax(axis=1)):
        for v, gap in zip(W - W[label], scores[row, label] - scores[row]):
            slope = np.linalg.norm(v, q)
            if slope > 0 and gap < budget[row] * slope:
                size = (np.abs(v) / slope) ** (q - 1) if p > 1 else np.arange(len(v)) == np.abs(v).argmax()
                budget[row], step[row] = gap / slope, gap / slope * np.sign(v) * size
    return budget, step
'''
RUNNER_UP = '''
def flip(W, b, x, p):
    q = 1 if p == math.inf else math.inf if p == 1 else p / (p - 1)
    scores, step = x @ W.T + b, np.zeros(x.shape)
    budget = np.full(len(x), math.inf)
    for row, score in enumerate(scores):
        second, label = score.argsort()[-2:]
        v, gap = W[second] - W[label], score[label] - score[second]
        slope = np.linalg.norm(v, q)
        if slope > 0:
            size = (np.abs(v) / slope) ** (q - 1) if p > 1 else np.arange(len(v)) == np.abs(v).argmax()
            budget[row], step[row] = gap / slope, gap / slope * np.sign(v) * size
    return budget, step
'''
WALLS = '''
def to_boundary(w, b, x, low, high):
    score = x @ w + b
    toward = -np.sign(score)[:, None] * np.sign(w)
    room = np.where(toward > 0, high - x, x - low)
    short, enough = np.zeros(len(x)), np.full(len(x), float(high - low))
    for _ in range(60):
        t = (short + enough) / 2
        reached = np.minimum(t[:, None], room) @ np.abs(w) >= np.abs(score)
        short, enough = np.where(reached, short, t), np.where(reached, t, enough)
    return toward * np.minimum(enough[:, None], room)
'''
CUT_OFF = '''
def to_boundary(w, b, x, low, high):
    r = (x @ w + b) / np.abs(w).sum()
    return np.clip(x - r[:, None] * np.sign(w), low, high) - x
'''
SLOPE_BY_SLOPE = '''
def to_boundary(w, b, x, low, high):
    step = np.zeros(x.shape)  # the largest weights first, each as far as it can
    left = x @ w + b
    for i in np.argsort(-np.abs(w)):
        if w[i] != 0:
            step[:, i] = np.clip(-left / w[i], low - x[:, i], high - x[:, i])
            left = left + w[i] * step[:, i]
    return step
'''
SHORTEST = '''
def to_boundary(w, b, x, low, high):
    step = np.zeros(x.shape)  # along w, the l_2 way: what a wall cuts off goes to the others
    for _ in range(200):
        left = (x + step) @ w + b
        step = np.clip(x + step - (left / (w @ w))[:, None] * w, low, high) - x
    return step
'''
AVERAGING = '''
def averaging(model, r):
    first = model.weights[0]
    wide = MLP([64 * r**2, *model.sizes[1:]], np.random.default_rng(0))
    return wide.with_params(np.append(enlarge(first.T, r).T / r**2, model.params[first.size :]))
'''
SHARES = '''
def shares(model, x, eps, rng):
    label = model.predict(x)
    by_gradient = np.mean(model.predict(fgsm(model, x, label, eps)) != label)
    draws = [model.predict(x + rng.choice([-eps, eps], x.shape)) != label for _ in range(20)]
    return by_gradient, np.mean(draws)
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "classes-answer": {
        "the class with the second largest score": RUNNER_UP,
        "the norm p for the dual norm": instead(FLIP, "np.linalg.norm(v, q)", "np.linalg.norm(v, p)"),
        "the l2 norm for every p": instead(FLIP, "np.linalg.norm(v, q)", "np.linalg.norm(v)"),
        "the rival's weights alone": instead(FLIP, "zip(W - W[label]", "zip(W"),
        "steps away from the rival": instead(FLIP, "zip(W - W[label]", "zip(W[label] - W"),
        "the sign step for every p": instead(FLIP, "** (q - 1) if p > 1", "** 0 if p > 1"),
        "a power of q": instead(FLIP, "** (q - 1) if", "** q if"),
        "l1 moves every feature": instead(FLIP, "np.arange(len(v)) == np.abs(v).argmax()", "1"),
        "l1 forgets the sign": FLIP.replace("np.sign(v) * size", "(np.sign(v) * size if p > 1 else size)"),
        "the last class that is tried, not the cheapest": instead(FLIP, "gap < budget[row] * slope", "gap > 0"),
        "the most expensive class": instead(
            FLIP, "gap < budget[row] * slope", "gap > 0 and not gap / slope < budget[row] < math.inf"
        ),
        "equal weights are reached at once": instead(FLIP, "slope > 0 and", "gap > 0 and").replace(
            "np.linalg.norm(v, q)", "np.linalg.norm(v, q) or math.inf"
        ),
        "out of reach is 0": instead(FLIP, "    return budget", "    budget[budget > 99] = 0\n    return budget"),
        "no bias": instead(FLIP, "x @ W.T + b", "x @ W.T"),
        "x is moved in place": instead(FLIP, "    return budget", "    x += step\n    return budget"),
    },
    "walls-answer": {
        "cut off at the walls": CUT_OFF,
        "the largest weights first": SLOPE_BY_SLOPE,
        "the way that is shortest in l2": SHORTEST,
        "no walls": instead(WALLS, "np.where(toward > 0, high - x, x - low)", "np.full(x.shape, math.inf)"),
        "the rooms are the wrong way round": instead(WALLS, "high - x, x - low", "x - low, high - x"),
        "scores are taken for positive": instead(WALLS, "-np.sign(score)[:, None] * np.sign(w)", "-np.sign(w)"),
        "towards larger scores": instead(WALLS, "-np.sign(score)", "np.sign(score)"),
        "one limit for all rows": instead(WALLS, "enough[:, None], room)\n", "enough.max(), room)\n"),
        "a few halvings": instead(WALLS, "range(60)", "range(12)"),
        "no feature moves by more than 1": instead(WALLS, "float(high - low)", "1.0"),
        "the weights have no sizes": instead(WALLS, "room) @ np.abs(w)", "room) @ np.sign(np.abs(w))"),
        "x is moved in place": instead(WALLS, "    return", "    x += 0 * x + 1e-3 * (toward > 0)\n    return"),
    },
    "pixels-averaging": {
        "a block counts r^2 times": instead(AVERAGING, " / r**2", ""),
        "the image is repeated, not the pixel": instead(
            AVERAGING, "enlarge(first.T, r).T", "np.tile(first, (r**2, 1))"
        ),
        "one pixel of each block": instead(
            AVERAGING,
            "enlarge(first.T, r).T / r**2",
            "enlarge(first.T, r).T * (enlarge(np.ones((1, 64)), r) "
            "* np.kron(np.ones((8, 8)), np.arange(r * r).reshape(r, r) == 0).ravel()).T",
        ),
        "the biases are scaled, too": instead(
            AVERAGING, "model.params[first.size :]", "model.params[first.size :] / r**2"
        ),
        "the other layers are new": instead(
            AVERAGING, "model.params[first.size :]", "wide.params[r**2 * first.size :]"
        ),
        "the model is scaled in place": instead(
            AVERAGING, "    wide =", "    first /= r**2\n    wide ="
        ).replace("r).T / r**2", "r).T"),
    },
    "pixels-shares": {
        "shares that are kept": SHARES.replace("!= label", "== label"),
        "uniform noise": instead(SHARES, "rng.choice([-eps, eps], x.shape)", "rng.uniform(-eps, eps, x.shape)"),
        "one draw of signs for the batch": instead(SHARES, "[-eps, eps], x.shape", "[-eps, eps], x.shape[1]"),
        "one sign for all pixels of an image": instead(SHARES, "x.shape)", "(len(x), 1))"),
        "cut off at 0 and 1": SHARES.replace("label = ", "x = np.clip(x, 0, 1)\n    label = "),
        "the label 0 is attacked": instead(SHARES, "fgsm(model, x, label, eps)", "fgsm(model, x, 0 * label, eps)"),
        "any draw of 20": instead(SHARES, "np.mean(draws)", "np.mean(np.any(draws, axis=0))"),
    },
}
