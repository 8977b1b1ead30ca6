"""Mistakes that the checks of exercises/pgd must catch: cell, what is wrong, the whole answer cell."""

L1 = '''
def project_l1(u, x, eps):
    sizes = np.abs(u - x)
    ordered = -np.sort(-sizes, axis=1)
    k = np.arange(1, sizes.shape[1] + 1)
    t_if_k_survive = (np.cumsum(ordered, axis=1) - eps) / k
    survivors = np.sum(ordered > t_if_k_survive, axis=1)
    t = np.take_along_axis(t_if_k_survive, survivors[:, None] - 1, axis=1)
    kept = np.maximum(sizes - np.maximum(t, 0), 0)
    return x + np.sign(u - x) * kept
'''
RESTARTS = '''
def most_harmful(model, x, y, eps, alpha, steps, starts):
    best, wrong, height = x.copy(), model.predict(x) != y, model.loss(x, y)
    for z in starts:
        for _ in range(steps + 1):
            loss, slope = model.loss_and_input_grad(z, y)
            fooled = model.predict(z) != y
            better = (fooled > wrong) | ((fooled == wrong) & (loss > height))
            best[better], wrong[better], height[better] = z[better], fooled[better], loss[better]
            z = np.clip(z + alpha * np.sign(slope), x - eps, x + eps)
    return best
'''
ONE_CHOICE = '''
def most_harmful(model, x, y, eps, alpha, steps, starts):
    best = x.copy()
    for z in starts:
        for _ in range(steps + 1):
            _, slope = model.loss_and_input_grad(z, y)
            ours, theirs = np.mean(model.predict(z) != y), np.mean(model.predict(best) != y)
            if (ours, model.loss(z, y).mean()) > (theirs, model.loss(best, y).mean()):
                best = z
            z = np.clip(z + alpha * np.sign(slope), x - eps, x + eps)
    return best
'''
LAST = '''
def most_harmful(model, x, y, eps, alpha, steps, starts):
    best, wrong, height = x.copy(), model.predict(x) != y, model.loss(x, y)
    for z in starts:
        for _ in range(steps):
            z = np.clip(z + alpha * np.sign(model.loss_and_input_grad(z, y)[1]), x - eps, x + eps)
        loss, fooled = model.loss(z, y), model.predict(z) != y
        better = (fooled > wrong) | ((fooled == wrong) & (loss > height))
        best[better], wrong[better], height[better] = z[better], fooled[better], loss[better]
    return best
'''
BREAK = '''
def break_it(defence, x, y, eps):
    z, low, high = x, np.maximum(x - eps, 0), np.minimum(x + eps, 1)
    for _ in range(10):
        _, gradient = defence.net.loss_and_input_grad(defence.round(z), y)
        z = np.clip(z + 0.25 * eps * np.sign(gradient), low, high)
    return z
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


BETTER = "(fooled > wrong) | ((fooled == wrong) & (loss > height))"

WRONG = {
    "l1-answer": {
        "rescaled": "def project_l1(u, x, eps):\n"
        "    return x + (u - x) * np.minimum(1, eps / np.abs(u - x).sum(axis=1, keepdims=True))",
        "the l_inf ball": "def project_l1(u, x, eps):\n    return np.clip(u, x - eps, x + eps)",
        "the budget all on the largest": instead(L1, "survivors[:, None] - 1", "0 * survivors[:, None]"),
        "all survive": instead(L1, "survivors[:, None] - 1", "0 * survivors[:, None] - 1 + sizes.shape[1]"),
        "one survivor too few": instead(L1, "survivors[:, None] - 1", "np.maximum(survivors[:, None] - 2, 0)"),
        "one t for all rows": instead(L1, "np.maximum(t, 0)", "np.maximum(t, 0).max()"),
        "a point of the ball is pushed out": instead(L1, "np.maximum(t, 0)", "t"),
        "signs are lost": instead(L1, "np.sign(u - x) * kept", "kept"),
        "around 0": instead(L1, "return x + ", "return "),
        "sorted from small to large": instead(L1, "-np.sort(-sizes, axis=1)", "np.sort(sizes, axis=1)"),
        "u is changed in place": instead(L1, "np.abs(u - x)", "np.abs(np.subtract(u, x, out=u))").replace(
            "np.sign(u - x)", "np.sign(u)"
        ),
    },
    "restarts-answer": {
        "the highest loss alone": instead(RESTARTS, BETTER, "loss > height"),
        "the first wrong answer stays": instead(RESTARTS, BETTER, "fooled > wrong"),
        "a right answer takes a wrong one's place": instead(RESTARTS, BETTER, "(fooled > wrong) | (loss > height)"),
        "one choice for the whole batch": ONE_CHOICE,
        "the last points only": LAST,
        "the last point of the last walk": instead(RESTARTS, "return best", "return z"),
        "the last point is not seen": instead(RESTARTS, "range(steps + 1)", "range(steps)"),
        "the start is not seen": RESTARTS.replace(
            "for z in starts:\n",
            "for z in starts:\n        first = model.loss_and_input_grad(z, y)[1]\n"
            "        z = np.clip(z + alpha * np.sign(first), x - eps, x + eps)\n",
        ).replace("range(steps + 1)", "range(steps)"),
        "the clean point is not seen": instead(
            RESTARTS, "model.predict(x) != y, model.loss(x, y)", "np.zeros(len(x), bool), np.full(len(x), -np.inf)"
        ),
        "only the last start counts": instead(RESTARTS, "    for z in starts:\n", "    for z in starts[-1:]:\n"),
        "no projection": instead(
            RESTARTS, "np.clip(z + alpha * np.sign(slope), x - eps, x + eps)", "z + alpha * np.sign(slope)"
        ),
        "projected around the last point": instead(RESTARTS, "x - eps, x + eps)", "z - eps, z + eps)"),
        "downhill": instead(RESTARTS, "z + alpha", "z - alpha"),
        "the gradient for its sign": instead(RESTARTS, "np.sign(slope)", "slope"),
        "x is changed in place": instead(RESTARTS, "x.copy()", "x"),
    },
    "rounding-answer": {
        "the defence's own gradient": instead(
            BREAK, "defence.net.loss_and_input_grad(defence.round(z), y)", "defence.loss_and_input_grad(z, y)"
        ),
        "pixels leave [0, 1]": BREAK.replace("np.maximum(x - eps, 0), np.minimum(x + eps, 1)", "x - eps, x + eps"),
        "clipped to the box only": instead(BREAK, "low, high)\n    return", "0, 1)\n    return"),
        "downhill": instead(BREAK, "z + 0.25", "z - 0.25"),
        "steps too small": instead(BREAK, "0.25 * eps", "0.05 * eps"),
        "one step": instead(BREAK, "range(10)", "range(1)"),
        "the rounded image is returned": instead(BREAK, "return z", "return defence.round(z)"),
        "random signs": instead(BREAK, "np.sign(gradient)", "np.random.default_rng(0).choice([-1, 1], x.shape)"),
        "x is changed in place": instead(BREAK, "    return z", "    x[:] = z\n    return x"),
    },
}
