"""Mistakes that the checks of exercises/fgsm_holder must catch: cell, what is wrong, the whole answer cell."""

BOX = '''
def best_box_step(g, x, eps, bounds=None):
    delta = eps * np.sign(g)
    if bounds is not None:
        low, high = bounds
        delta = np.clip(delta, low - x, high - x)
    return delta
'''
L1 = '''
def best_l1(g, x, eps, low, high):
    room = np.where(g > 0, high - x, x - low)
    order = np.argsort(-np.abs(g), axis=1)
    sorted_room = np.take_along_axis(room, order, axis=1)
    left = eps - (np.cumsum(sorted_room, axis=1) - sorted_room)
    move = np.zeros(x.shape)
    np.put_along_axis(move, order, np.clip(left, 0, sorted_room), axis=1)
    return np.sign(g) * move
'''
L1_CUT = '''
def best_l1(g, x, eps, low, high):
    return np.clip(x + linear_maximizer(g, eps, 1), low, high) - x
'''
L1_ONE = '''
def best_l1(g, x, eps, low, high):
    room = np.where(g > 0, high - x, x - low)  # one feature: the one that gains the most up to its wall
    move = np.minimum(room, eps)
    best = np.argmax(np.abs(g) * move, axis=1)[:, None]
    return np.sign(g) * np.where(np.arange(g.shape[1]) == best, move, 0)
'''
L2 = '''
def best_l2(g, x, eps, low, high):
    size, room = np.abs(g), np.where(g > 0, high - x, x - low)
    fits = np.zeros(len(g))
    too_far = np.max(room / np.where(size > 0, size, math.inf), axis=1)
    for _ in range(100):
        t = (fits + too_far) / 2
        allowed = np.linalg.norm(np.minimum(t[:, None] * size, room), axis=1) <= eps
        fits, too_far = np.where(allowed, t, fits), np.where(allowed, too_far, t)
    return np.sign(g) * np.minimum(fits[:, None] * size, room)
'''
L2_CUT = '''
def best_l2(g, x, eps, low, high):
    return np.clip(x + linear_maximizer(g, eps, 2), low, high) - x
'''
L2_AGAIN = '''
def best_l2(g, x, eps, low, high):
    step = np.clip(x + linear_maximizer(g, eps, 2), low, high) - x  # cut off, then as long as the budget, cut again
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.clip(x + step * eps / np.maximum(length, 1e-300), low, high) - x
'''
L2_PINNED_ONCE = '''
def best_l2(g, x, eps, low, high):
    room = np.where(g > 0, high - x, x - low)  # what is cut off goes to the others, but only once
    step = linear_maximizer(g, eps, 2)
    pinned = np.abs(step) >= room
    fixed = np.where(pinned, np.sign(g) * room, 0)
    left = np.sqrt(np.maximum(eps**2 - np.sum(fixed**2, axis=1), 0))
    return np.clip(x + fixed + left[:, None] * linear_maximizer(np.where(pinned, 0, g), 1.0, 2), low, high) - x
'''
SPREAD = '''
def spread(g, eps, corners):
    of_one_move = eps if corners else eps / math.sqrt(3)
    return of_one_move * np.linalg.norm(g)
'''
SEARCH = '''
def best_gain(g, eps, n, corners, rng):
    if corners:
        steps = rng.choice([-eps, eps], (n, len(g)))
    else:
        steps = rng.uniform(-eps, eps, (n, len(g)))
    return (steps @ g).max()
'''
TRIES = '''
def tries(d):
    right = math.ceil(3 * d / 4)
    return 2**d / sum(math.comb(d, k) for k in range(right, d + 1))
'''


def instead(source, right, wrong):
    """The source with one of its pieces replaced."""
    assert source.count(right) == 1, f"{right!r} is not there once"
    return source.replace(right, wrong)


WRONG = {
    "box-answer": {
        "down the gradient": instead(BOX, "eps * np.sign(g)", "-eps * np.sign(g)"),
        "along the gradient, not its sign": instead(BOX, "np.sign(g)", "g / np.abs(g).max(axis=1, keepdims=True)"),
        "in proportion to the gradient, cut off at eps": instead(BOX, "eps * np.sign(g)", "np.clip(g, -eps, eps)"),
        "the largest budget for all": instead(BOX, "eps * np.sign", "eps.max() * np.sign"),
        "the smallest budget for all": instead(BOX, "eps * np.sign", "eps.min() * np.sign"),
        "the step is cut to the box, not the point": instead(BOX, "low - x, high - x", "low, high"),
        "returns the point": instead(BOX, "return delta", "return x + delta"),
        "ignores the bounds": instead(BOX, "bounds is not None", "False"),
        "a move that would cross a wall is not made": instead(
            BOX, "np.clip(delta, low - x, high - x)", "np.where((x + delta < low) | (x + delta > high), 0, delta)"
        ),
        "the bounds are 0 and 1": instead(BOX, "low, high = bounds", "low, high = 0, 1"),
        "no bounds means 0 and 1": BOX.replace("bounds is not None", "True").replace("= bounds", "= bounds or (0, 1)"),
        "x is moved in place": instead(BOX, "    return", "    x += delta\n    return"),
    },
    "both-l1": {
        "cut off at the wall": L1_CUT,
        "one feature only": L1_ONE,
        "the smallest slopes first": instead(L1, "argsort(-np.abs(g)", "argsort(np.abs(g)"),
        "the signed slopes in order": instead(L1, "argsort(-np.abs(g)", "argsort(-g"),
        "the rooms are the wrong way round": instead(L1, "high - x, x - low", "x - low, high - x"),
        "sorted and not put back": instead(
            L1,
            "np.put_along_axis(move, order, np.clip(left, 0, sorted_room), axis=1)",
            "move = np.clip(left, 0, sorted_room)",
        ),
        "the order where its inverse belongs": instead(
            L1,
            "np.put_along_axis(move, order, np.clip(left, 0, sorted_room), axis=1)",
            "move = np.take_along_axis(np.clip(left, 0, sorted_room), order, axis=1)",
        ),
        "the feature's own room is spent already": instead(L1, " - sorted_room)", ")"),
        "each feature has the whole budget": instead(L1, "(np.cumsum(sorted_room, axis=1) - sorted_room)", "0 * room"),
        "the budget may go below zero": instead(L1, "np.clip(left, 0, sorted_room)", "np.minimum(left, sorted_room)"),
        "x is moved in place": instead(L1, "    return", "    x += 1e-3 * move\n    return"),
    },
    "both-l2": {
        "cut off at the wall": L2_CUT,
        "cut off, stretched and cut off again": L2_AGAIN,
        "what is cut off is handed on once": L2_PINNED_ONCE,
        "no walls": instead(L2, "np.where(g > 0, high - x, x - low)", "np.full(g.shape, 9.0 * eps + 1)"),
        "the rooms are the wrong way round": instead(L2, "high - x, x - low", "x - low, high - x"),
        "the sign is lost": instead(L2, "np.sign(g) * np.minimum(fits", "np.minimum(fits"),
        "the l1 length": instead(L2, "room), axis=1) <=", "room), 1, axis=1) <="),
        "the square of the length": instead(L2, "axis=1) <= eps", "axis=1) ** 2 <= eps"),
        "the same move for all features": L2.replace("[:, None] * size", "[:, None]"),
        "one t for all rows": instead(L2, "fits[:, None] * size", "fits.min() * size"),
        "a few halvings": instead(L2, "range(100)", "range(12)"),
        "t is at most 1": instead(L2, "np.max(room / np.where(size > 0, size, math.inf), axis=1)", "np.ones(len(g))"),
        "x is moved in place": instead(L2, "    return", "    x += 1e-3 * np.sign(g)\n    return"),
    },
    "luck-spread": {
        "the variance": instead(SPREAD, "np.linalg.norm(g)", "of_one_move * np.sum(g**2)"),
        "the bound": instead(SPREAD, "np.linalg.norm(g)", "np.abs(g).sum()"),
        "the same for both": instead(SPREAD, "eps / math.sqrt(3)", "eps"),
        "a uniform move has half": instead(SPREAD, "eps / math.sqrt(3)", "eps / 2"),
        "an interval of length eps": instead(SPREAD, "math.sqrt(3)", "math.sqrt(12)"),
        "divided by 3": instead(SPREAD, "math.sqrt(3)", "3"),
        "the wrong way round": instead(SPREAD, "eps if corners", "eps if not corners"),
    },
    "luck-search": {
        "one sign for all features": instead(SEARCH, "[-eps, eps], (n, len(g))", "[-eps, eps], (n, 1)").replace(
            "steps @ g", "(steps * g).sum(axis=1)"
        ),
        "a move is made or not": instead(SEARCH, "[-eps, eps]", "[0, eps]"),
        "the largest size of the gain": instead(SEARCH, "(steps @ g)", "np.abs(steps @ g)"),
        "the mean gain": instead(SEARCH, ".max()", ".mean()"),
        "the gains of all tries": instead(SEARCH, ".max()", ""),
        "another generator": instead(SEARCH, "    if", "    rng = np.random.default_rng()\n    if"),
        "the same seed each time": instead(SEARCH, "    if", "    rng = np.random.default_rng(0)\n    if"),
        "only half of the interval": instead(SEARCH, "uniform(-eps, eps", "uniform(0, eps"),
        "corners of size 1": instead(SEARCH, "[-eps, eps]", "[-1, 1]"),
        "always corners": instead(SEARCH, "if corners", "if True"),
        "it knows the signs": instead(SEARCH, "rng.choice([-eps, eps], (n, len(g)))", "np.array([eps * np.sign(g)])"),
    },
    "luck-tries": {
        "the whole bound": instead(TRIES, "math.ceil(3 * d / 4)", "d"),
        "half of the signs": instead(TRIES, "3 * d / 4", "d / 2"),
        "more than half of the bound": instead(TRIES, "math.ceil(3 * d / 4)", "3 * d // 4 + 1"),
        "rounded down": instead(TRIES, "math.ceil(3 * d / 4)", "3 * d // 4"),
        "exactly half of the bound": instead(TRIES, "range(right, d + 1)", "range(right, right + 1)"),
        "the last term is missing": instead(TRIES, "d + 1)", "d)"),
        "the probability": instead(TRIES, "return 2**d / sum", "return 2**-d * sum"),
        "the normal law": "def tries(d):\n    return 2 / math.erfc(math.sqrt(d / 8))",
        "Hoeffding's bound": "def tries(d):\n    return math.exp(d / 8)",
        "until it is as likely as not": instead(TRIES, "return 2**d", "return math.log(2) * 2**d"),
    },
}
