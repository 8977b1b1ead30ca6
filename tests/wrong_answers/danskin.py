"""Mistakes that the checks of exercises/danskin must catch: cell, what is wrong, the whole answer cell."""

import re

GRADIENT = '''
def robust_gradient(model, x, y, eps, p):
    w, s = model.coef, np.where(y == 1, 1.0, -1.0)
    largest = np.abs(w) == np.abs(w).max()
    one, two, infinity = np.sign(w) * largest, w / np.linalg.norm(w), np.sign(w)
    outward = {1: one, 2: two, math.inf: infinity}[p]
    worst = s * (x @ w + model.intercept) - eps * outward @ w
    pull = s / (1 + np.exp(worst)) / len(y)
    moved = x - eps * s[:, None] * outward
    return -np.append(pull @ moved, pull.sum())
'''
SLOPES = '''
def two_slopes(model, x, y, eps, v):
    before = after = 0.0
    corners = eps * np.array(list(product((-1, 1), repeat=x.shape[1])))
    for row, label in zip(x, y):
        losses = model.loss(row + corners, np.full(len(corners), label))
        tied = row + corners[losses > losses.max() - 1e-9]
        slopes = [v @ model.loss_and_param_grad(z[None], np.array([label]))[1] for z in tied]
        before += min(slopes) / len(x)
        after += max(slopes) / len(x)
    return before, after
'''
ONE_CORNER = '''
def two_slopes(model, x, y, eps, v):
    corners = eps * np.array(list(product((-1, 1), repeat=x.shape[1])))
    losses = np.array([model.loss(x + corner, y).mean() for corner in corners])
    tied = corners[losses > losses.max() - 1e-9]
    slopes = [v @ model.loss_and_param_grad(x + corner, y)[1] for corner in tied]
    return min(slopes), max(slopes)
'''
ANGLE = '''
def angle_after(steps, restarts=1):
    def attack(model, x, y):
        return pgd(model, x, y, EPS, steps=steps, restarts=restarts, bounds=BOX)

    return angle(danskin_gradient(net, images, labels, attack), truth)
'''
NEEDED = '''
def steps_needed(limit):
    return next((k for k in range(1, 31) if angle_after(k) < limit), None)
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "gradient-answer": {
        "the norm p for its dual": instead(
            GRADIENT, "{1: one, 2: two, math.inf: infinity}", "{1: infinity, 2: two, math.inf: one}"
        ),
        "the sum for the mean": instead(GRADIENT, " / len(y)", ""),
        "the gradient at the clean points": instead(GRADIENT, "x - eps * s[:, None] * outward", "x"),
        "the pull of the clean margin": instead(GRADIENT, " - eps * outward @ w", ""),
        "the step does not know the label": instead(GRADIENT, "s[:, None] * outward", "outward"),
        "the attack helps": GRADIENT.replace("- eps", "+ eps"),
        "uphill": instead(GRADIENT, "return -", "return "),
        "labels 0 and 1 for signs": instead(GRADIENT, "np.where(y == 1, 1.0, -1.0)", "y.astype(float)"),
        "no intercept in the answer": instead(GRADIENT, "np.append(pull @ moved, pull.sum())", "(pull @ moved)"),
        "the intercept is forgotten in the margin": instead(GRADIENT, " + model.intercept", ""),
        "l_2 is not normalised": instead(GRADIENT, "w / np.linalg.norm(w)", "w"),
        "x is moved in place": instead(GRADIENT, "    moved = x -", "    x -= x * 0 +").replace("@ moved", "@ x"),
    },
    "slopes-answer": {
        "the first maximiser for both sides": re.sub(r"m(in|ax)\(slopes\)", "slopes[0]", SLOPES),
        "the mean over the maximisers": re.sub(r"m(in|ax)\(slopes\)", "np.mean(slopes)", SLOPES),
        "before and after exchanged": instead(SLOPES, "return before, after", "return after, before"),
        "the slope before of the way back": instead(SLOPES, "return before, after", "return -before, after"),
        "one corner for the whole batch": ONE_CORNER,
        "every corner counts": instead(SLOPES, "[losses > losses.max() - 1e-9]", ""),
        "nearly as bad counts": instead(SLOPES, "1e-9", "1e-2"),
        "the most harmless corners": instead(SLOPES, "losses > losses.max() - 1e-9", "losses < losses.min() + 1e-9"),
        "the gradient at the clean point": instead(SLOPES, "z[None]", "row[None]"),
        "the sum for the mean": SLOPES.replace(" / len(x)", ""),
        "the direction is normalised": instead(SLOPES, "    before =", "    v = v / np.linalg.norm(v)\n    before ="),
        "eps is not used": instead(SLOPES, "eps * np", "np"),
        "x is moved in place": instead(SLOPES, "        losses =", "        row += 1e-3\n        losses ="),
    },
    "angle-answer": {
        "restarts are ignored": instead(ANGLE, "restarts=restarts", "restarts=1"),
        "steps and restarts exchanged": instead(ANGLE, "=steps, restarts=restarts", "=restarts, restarts=steps"),
        "no bounds": instead(ANGLE, ", bounds=BOX", ""),
        "in radians": ANGLE.replace("return angle(", "return math.radians(angle(").replace("truth)", "truth))"),
        "its sine": ANGLE.replace("return angle(", "return math.degrees(math.sin(math.radians(angle(").replace(
            "truth)", "truth))))"
        ),
        "from x": instead(ANGLE, "restarts=restarts", "random_start=False"),
        "the clean images": instead(ANGLE, "return pgd(", "return x\n        return pgd("),
        "half of the budget": instead(ANGLE, "EPS, steps", "EPS / 2, steps"),
        "other starts each time": instead(ANGLE, "bounds=BOX", "bounds=BOX, rng=np.random.default_rng()"),
    },
    "angle-needed": {
        "the most steps": instead(NEEDED, "range(1, 31)", "range(30, 0, -1)"),
        "the angle may be the limit": instead(NEEDED, "< limit", "<= limit"),
        "counted from 0": instead(NEEDED, "range(1, 31) if angle_after(k)", "range(30) if angle_after(k + 1)"),
        "30 where none is enough": instead(NEEDED, "None", "30"),
        "stops at ten": instead(NEEDED, "range(1, 31)", "range(1, 11)"),
        "above the limit": instead(NEEDED, "< limit", "> limit"),
        "the number of angles below": "def steps_needed(limit):\n"
        "    return sum(angle_after(k) < limit for k in range(1, 31)) or None",
    },
}
