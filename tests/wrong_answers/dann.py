"""Wrong answers that the checks of exercises/dann/dann.ipynb must catch: cell id -> what is wrong -> the whole cell."""

_GRADIENTS = '''def three_gradients(A, u, v, x_source, y_source, x_target, lambda_):
    n, m = len(x_source), len(x_target)
    h_source, h_target = x_source @ A, x_target @ A
    label = (expit(h_source @ u) - y_source) / n
    source, target = expit(h_source @ v) / n, (expit(h_target @ v) - 1) / m
    for_u = h_source.T @ label
    for_v = h_source.T @ source + h_target.T @ target
    at_source = np.outer(label, u) - lambda_ * np.outer(source, v)
    at_target = -lambda_ * np.outer(target, v)
    return x_source.T @ at_source + x_target.T @ at_target, for_u, for_v
'''

_ACCURACIES = '''def target_accuracies(degrees, lambda_, seeds):
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        (x, y), (target, z) = two_moons(300, rng), two_moons(300, rng, degrees=degrees)
        new = two_moons(1000, rng, degrees=degrees)
        net = DomainAdversarialNetwork((2, 8), (16, 2), (32,), lambda_, np.random.default_rng(seed))
        order = np.random.default_rng(seed)
        net = net.fit(x, y, target, epochs=400, batch_size=300, lr=0.01, rng=order)
        found.append(accuracy(net, *new))
    return found
'''


def _with(source, *changes):
    """``source`` with each (old, new) exchanged; every old text must be there."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


WRONG = {
    "gradients-answer": {
        "the gradient is not reversed": _with(_GRADIENTS, ("- lambda_", "+ lambda_"), ("= -lambda_", "= lambda_")),
        "the domain head is reversed too": _with(_GRADIENTS, ("at_target, for_u, for_v", "at_target, for_u, -for_v")),
        "lambda scales the domain head": _with(_GRADIENTS, ("for_u, for_v\n", "for_u, lambda_ * for_v\n")),
        "lambda is squared": _with(_GRADIENTS, ("lambda_ *", "lambda_**2 *")),
        "lambda in the forward pass": _with(_GRADIENTS, ("expit(h_source @ v)", "expit(-lambda_ * h_source @ v)")),
        "sums for means": _with(_GRADIENTS, (" / n", ""), (" / m", "")),
        "one mean over both domains": _with(
            _GRADIENTS, ("expit(h_source @ v) / n", "expit(h_source @ v) / (n + m)"), ("- 1) / m", "- 1) / (n + m)")
        ),
        "the reversal on the label path": _with(_GRADIENTS, ("np.outer(label, u)", "-lambda_ * np.outer(label, u)")),
        "the target does not reach the extractor": _with(_GRADIENTS, (" + x_target.T @ at_target", "")),
        "the domains exchanged": _with(
            _GRADIENTS,
            ("expit(h_source @ v) / n", "(expit(h_source @ v) - 1) / n"),
            ("(expit(h_target @ v) - 1)", "expit(h_target @ v)"),
        ),
        "the input is changed": _with(_GRADIENTS, ("    n, m =", "    A *= 1.5\n    n, m =")),
    },
    "distance-answer": {
        "accuracy for error": '''def a_distance(answers_source, answers_target):
    right = (np.mean(answers_source == 0) + np.mean(answers_target == 1)) / 2
    return float(2 * (1 - 2 * right))
''',
        "the smaller error is not taken": '''def a_distance(answers_source, answers_target):
    error = (np.mean(answers_source != 0) + np.mean(answers_target != 1)) / 2
    return float(2 * (1 - 2 * error))
''',
        "all answers in one heap": '''def a_distance(answers_source, answers_target):
    wrong = np.sum(answers_source != 0) + np.sum(answers_target != 1)
    error = wrong / (len(answers_source) + len(answers_target))
    return float(2 * (1 - 2 * min(error, 1 - error)))
''',
        "the factor 2 is missing": '''def a_distance(answers_source, answers_target):
    error = (np.mean(answers_source != 0) + np.mean(answers_target != 1)) / 2
    return float(1 - 2 * min(error, 1 - error))
''',
        "the sum of the error rates": '''def a_distance(answers_source, answers_target):
    error = np.mean(answers_source != 0) + np.mean(answers_target != 1)
    return float(2 * (1 - 2 * min(error, 1 - error)))
''',
        "the smaller error of each domain": '''def a_distance(answers_source, answers_target):
    errors = [np.mean(answers_source != 0), np.mean(answers_target != 1)]
    return float(2 * (1 - 2 * np.mean([min(error, 1 - error) for error in errors])))
''',
        "the input is changed": '''def a_distance(answers_source, answers_target):
    answers_target -= 1
    error = (np.mean(answers_source != 0) + np.mean(answers_target != 0)) / 2
    return float(2 * (1 - 2 * min(error, 1 - error)))
''',
    },
    "angle-answer": {
        "the source is turned too": _with(
            _ACCURACIES, ("= two_moons(300, rng), two", "= two_moons(300, rng, degrees=degrees), two")
        ),
        "no adversary ever": _with(_ACCURACIES, ("(32,), lambda_,", "(32,), 0,")),
        "trained with the target's labels": _with(_ACCURACIES, ("net.fit(x, y, target,", "net.fit(target, z, x,")),
        "tested on the training points": _with(_ACCURACIES, ("accuracy(net, *new)", "accuracy(net, target, z)")),
        "the untrained network is tested": _with(_ACCURACIES, ("        net = net.fit", "        net.fit")),
        "one mean for all seeds": _with(_ACCURACIES, ("return found", "return [float(np.mean(found))]")),
    },
    "angle-gain": {
        "the wrong way round": '''def gain(degrees, seeds):
    return float(np.mean(target_accuracies(degrees, 0, seeds)) - np.mean(target_accuracies(degrees, 1, seeds)))
''',
        "the ratio": '''def gain(degrees, seeds):
    return float(np.mean(target_accuracies(degrees, 1, seeds)) / np.mean(target_accuracies(degrees, 0, seeds)))
''',
        "the sum over seeds": '''def gain(degrees, seeds):
    return float(np.sum(target_accuracies(degrees, 1, seeds)) - np.sum(target_accuracies(degrees, 0, seeds)))
''',
        "the best seed": '''def gain(degrees, seeds):
    return float(np.max(target_accuracies(degrees, 1, seeds)) - np.max(target_accuracies(degrees, 0, seeds)))
''',
    },
}
