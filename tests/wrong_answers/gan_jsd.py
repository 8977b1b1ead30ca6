"""Mistakes that the checks of the exercises on GANs must catch: for each coded answer, whole replacement sources."""

WRONG = {
    "divergence-answer": {
        "the root of the divergence, which is what SciPy returns": '''
def divergence(real, made):
    from scipy.spatial.distance import jensenshannon
    return float(jensenshannon(real, made))
''',
        "logarithms to base 2": '''
def divergence(real, made):
    from scipy.spatial.distance import jensenshannon
    return float(jensenshannon(real, made, base=2) ** 2)
''',
        "the mean of the two KL divergences from each other, without the mixture": '''
def divergence(real, made):
    from scipy.stats import entropy
    return float((entropy(real, made) + entropy(made, real)) / 2)
''',
        "0 log 0 left to be NaN": '''
def divergence(real, made):
    p, q = real / real.sum(), made / made.sum()
    m = (p + q) / 2
    with np.errstate(all="ignore"):
        return float(np.sum(p * np.log(p / m) + q * np.log(q / m)) / 2)
''',
        "the sum of the two divergences, not their mean": '''
def divergence(real, made):
    from scipy.stats import entropy
    p, q = real / real.sum(), made / made.sum()
    return float(entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2))
''',
        "only one of the two halves": '''
def divergence(real, made):
    from scipy.stats import entropy
    p, q = real / real.sum(), made / made.sum()
    return float(entropy(p, (p + q) / 2))
''',
        "counts mixed before they are normalised": '''
def divergence(real, made):
    from scipy.stats import entropy
    p, q, m = real / real.sum(), made / made.sum(), (real + made) / (real + made).sum()
    return float((entropy(p, m) + entropy(q, m)) / 2)
''',
        "a small number added to every bin": '''
def divergence(real, made):
    from scipy.stats import entropy
    p, q = (real + 1e-3) / (real + 1e-3).sum(), (made + 1e-3) / (made + 1e-3).sum()
    return float((entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2)
''',
        "histograms normalised in place": '''
def divergence(real, made):
    from scipy.stats import entropy
    if real.dtype.kind == "f":
        real /= real.sum()
        made /= made.sum()
    p, q = real / real.sum(), made / made.sum()
    return float((entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2)
''',
        "the terms and not their sum": '''
def divergence(real, made):
    from scipy.special import rel_entr
    p, q = real / real.sum(), made / made.sum()
    return (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)) / 2
''',
    },
    "gradient-answer": {
        "the sign of an ascent": '''
def signal(scores, score_grads, saturating):
    factor = expit(scores) if saturating else expit(-scores)
    return factor[:, None] * score_grads / len(scores)
''',
        "the two losses exchanged": '''
def signal(scores, score_grads, saturating):
    factor = -expit(-scores) if saturating else -expit(scores)
    return factor[:, None] * score_grads / len(scores)
''',
        "the gradient of the sum, not of the mean": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -expit(-scores)
    return factor[:, None] * score_grads
''',
        "1 - D, which rounds to 0": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -(1 - expit(scores))
    return factor[:, None] * score_grads / len(scores)
''',
        "the derivative of D instead of that of its logarithm": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) * expit(-scores)
    return factor[:, None] * score_grads / len(scores)
''',
        "the score's gradient left out": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -expit(-scores)
    return factor[:, None] * np.ones_like(score_grads) / len(scores)
''',
        "averaged over the samples": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -expit(-scores)
    return (factor[:, None] * score_grads).mean(axis=0)
''',
        "divided by n and d": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -expit(-scores)
    return factor[:, None] * score_grads / score_grads.size
''',
        "the given gradients changed in place": '''
def signal(scores, score_grads, saturating):
    factor = -expit(scores) if saturating else -expit(-scores)
    score_grads *= factor[:, None] / len(scores)
    return score_grads
''',
    },
    "stop-play-answer": {
        "friction that pushes y away": '''
def play(mu, lr, alternating, steps):
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = path[-1]
        new_x = x - lr * (y + mu * x)
        path.append((new_x, y + lr * ((new_x if alternating else x) + mu * y)))
    return np.array(path)
''',
        "always alternating": '''
def play(mu, lr, alternating, steps):
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = path[-1]
        x = x - lr * (y + mu * x)
        path.append((x, y + lr * (x - mu * y)))
    return np.array(path)
''',
        "never alternating": '''
def play(mu, lr, alternating, steps):
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = path[-1]
        path.append((x - lr * (y + mu * x), y + lr * (x - mu * y)))
    return np.array(path)
''',
        "both players go downhill": '''
def play(mu, lr, alternating, steps):
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = path[-1]
        new_x = x - lr * (y + mu * x)
        path.append((new_x, y - lr * ((new_x if alternating else x) - mu * y)))
    return np.array(path)
''',
        "the start left out": '''
def play(mu, lr, alternating, steps):
    x, y, path = 1.0, 0.0, []
    for _ in range(steps):
        new_x = x - lr * (y + mu * x)
        x, y = new_x, y + lr * ((new_x if alternating else x) - mu * y)
        path.append((x, y))
    return np.array(path)
''',
        "the friction halved, as if mu / 2 were the slope": '''
def play(mu, lr, alternating, steps):
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = path[-1]
        new_x = x - lr * (y + mu / 2 * x)
        path.append((new_x, y + lr * ((new_x if alternating else x) - mu / 2 * y)))
    return np.array(path)
''',
    },
    "stop-border-answer": {
        "half the step, which is right for small steps only": '''
def smallest_mu(lr):
    return lr / 2
''',
        "the step itself": '''
def smallest_mu(lr):
    return lr
''',
        "the border of the alternating rule": '''
def smallest_mu(lr):
    return 0.0
''',
        "the other root": '''
def smallest_mu(lr):
    return (1 + math.sqrt(1 - lr**2)) / lr
''',
        "a table over friction instead of one number": '''
def smallest_mu(lr):
    return np.linspace(0, 1, 11)
''',
    },
}
