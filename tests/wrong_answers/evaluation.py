"""Mistakes that the checks of exercises/evaluation must catch: cell, what is wrong, the whole answer cell."""

PIXELS = '''
def pixel_search(model, x, y, eps, low, high):
    best, best_loss = x.copy(), model.loss(x, y)
    for j in range(x.shape[1]):
        for step in (-eps, eps):
            tried = best.copy()
            tried[:, j] = np.clip(x[:, j] + step, low, high)
            loss = model.loss(tried, y)
            better = loss > best_loss
            best[better], best_loss[better] = tried[better], loss[better]
    return best
'''
SURVIVORS = '''
def survivors(model, x, y, attacks, eps, low, high):
    alive = model.predict(x) == y
    for attack in attacks:
        if not alive.any():
            break
        z, start = attack(x[alive], y[alive]), x[alive]
        allowed = np.clip(z, np.maximum(start - eps, low), np.minimum(start + eps, high))
        if np.shape(z) != start.shape or not np.abs(z - allowed).max() <= 1e-9:
            raise ValueError("an attack returned points that it may not use")
        alive[alive] = model.predict(z) == y[alive]
    return alive
'''
BREAK = '''
def break_it(model, x, y, eps):
    class Margin:
        def loss(self, x, y):
            scores = model.logits(x).copy()
            right = scores[np.arange(len(y)), y]
            scores[np.arange(len(y)), y] = -np.inf
            return scores.max(axis=1) - right

    return sign_search(Margin(), x, y, eps, queries=500, bounds=(0, 1))
'''
TRANSFER = '''
def break_it(model, x, y, eps):
    return pgd(source, x, y, eps, bounds=(0, 1))
'''
ALL_ROWS = '''
def survivors(model, x, y, attacks, eps, low, high):
    alive = model.predict(x) == y
    for attack in attacks:
        z = attack(x.copy(), y.copy())
        allowed = np.clip(z, np.maximum(x - eps, low), np.minimum(x + eps, high))
        if np.shape(z) != x.shape or not np.abs(z - allowed).max() <= 1e-9:
            raise ValueError("an attack returned points that it may not use")
        alive &= model.predict(z) == y
    return alive
'''
KEEP = "            best[better], best_loss[better] = tried[better], loss[better]\n"
ALLOWED = "np.clip(z, np.maximum(start - eps, low), np.minimum(start + eps, high))"
FITS = "np.abs(z - allowed).max() <= 1e-9"
REFUSE = 'raise ValueError("an attack returned points that it may not use")'


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "pixels-answer": {
        "steps from the last try": instead(PIXELS, "np.clip(x[:, j] + step", "np.clip(tried[:, j] + step"),
        "the other features as they were": instead(
            instead(PIXELS, "tried = best.copy()", "tried = x.copy()"),
            KEEP,
            "            best[better, j] = tried[better, j]\n",
        ),
        "one decision for all rows": instead(
            PIXELS, "loss > best_loss", "np.full(len(x), loss.sum() > best_loss.sum())"
        ),
        "the first side that helps any row": instead(
            PIXELS, KEEP, KEEP + "            if better.any():\n                break\n"
        ),
        "moves even if it does not hurt": instead(
            PIXELS, "for step in", "best_loss = np.full(len(x), -np.inf)\n        for step in"
        ),
        "upwards only": instead(PIXELS, "(-eps, eps)", "(eps,)"),
        "makes the loss small": instead(PIXELS, "loss > best_loss", "loss < best_loss"),
        "no cut to the box": instead(PIXELS, "np.clip(x[:, j] + step, low, high)", "x[:, j] + step"),
        "asks more often": instead(PIXELS, "better = loss > best_loss", "better = loss > model.loss(best, y)"),
        "two sweeps": instead(PIXELS, "range(x.shape[1])", "[*range(x.shape[1])] * 2"),
        "x is changed in place": instead(PIXELS, "x.copy()", "x"),
    },
    "survivors-answer": {
        "only the last attack counts": instead(ALL_ROWS, "alive &=", "alive ="),
        "one attack survived is enough": instead(ALL_ROWS, "alive &=", "alive |="),
        "every attack is asked about all rows": ALL_ROWS,
        "the clean label does not count": instead(
            SURVIVORS, "model.predict(x) == y\n", "np.ones(len(x), dtype=bool)\n"
        ),
        "rows are mixed up": instead(SURVIVORS, "alive[alive] =", "alive[: len(z)] ="),
        "the share for the rows": instead(SURVIVORS, "return alive", "return np.mean(alive)"),
        "asked about no rows at all": instead(SURVIVORS, "if not alive.any():", "if False:").replace(
            "np.abs(z - allowed).max()", "np.abs(z - allowed).max(initial=0)"
        ),
        "no look at the ball": instead(SURVIVORS, ALLOWED, "np.clip(z, low, high)"),
        "no look at the box": instead(SURVIVORS, ALLOWED, "np.clip(z, start - eps, start + eps)"),
        "looks upwards only": instead(SURVIVORS, ALLOWED, "np.minimum(z, np.minimum(start + eps, high))"),
        "the mean change for the largest": instead(SURVIVORS, FITS, "np.abs(z - start).mean() <= eps + 1e-9"),
        "a NaN passes": instead(SURVIVORS, "not " + FITS, "np.abs(z - allowed).max() > 1e-9"),
        "rounding is refused": instead(SURVIVORS, FITS, "np.abs(z - start).max() <= eps"),
        "one row is stretched to all": instead(SURVIVORS, "np.shape(z) != start.shape or ", ""),
        "clips in place of refusing": instead(SURVIVORS, REFUSE, "z = allowed"),
        "asks about all, looks at the living": instead(SURVIVORS, "attack(x[alive], y[alive])", "attack(x, y)[alive]"),
        "views while all are alive": instead(
            SURVIVORS,
            "z, start = attack(x[alive], y[alive]), x[alive]",
            "start = x if alive.all() else x[alive]\n        z = attack(start, y[alive])",
        ),
    },
    "sharpened-break": {
        "searches the loss": instead(BREAK, "sign_search(Margin()", "sign_search(model"),
        "follows the gradient": instead(TRANSFER, "source", "model"),
        "transfers from the bare network": instead(TRANSFER, "source", "network"),
        "transfers from the other network": instead(TRANSFER, "source", "other"),
        "the other sign of the margin": instead(BREAK, "scores.max(axis=1) - right", "right - scores.max(axis=1)"),
        "the right class among its rivals": instead(BREAK, "            scores[np.arange(len(y)), y] = -np.inf\n", ""),
        "few questions": instead(BREAK, "queries=500", "queries=5"),
        "pixels leave the box": instead(BREAK, ", bounds=(0, 1)", ""),
        "twice the budget": instead(BREAK, "x, y, eps, queries", "x, y, 2 * eps, queries"),
        "one random corner": '''
def break_it(model, x, y, eps):
    return np.clip(x + eps * np.random.default_rng(0).choice([-1, 1], x.shape), 0, 1)
''',
        "the wrong label alone, at random": '''
def break_it(model, x, y, eps):
    rng, best = np.random.default_rng(0), x.copy()
    for _ in range(200):
        z = np.clip(x + rng.uniform(-eps, eps, x.shape), 0, 1)
        wrong = model.predict(z) != y
        best[wrong] = z[wrong]
    return best
''',
        "x is changed in place": instead(BREAK, "return sign_search(", "x[:] = sign_search(") + "    return x\n",
    },
}
