"""Attacks on a model, and accuracy with and without them (sections 62.1.1, 62.1.2 and 62.3).

A model is anything with ``predict(x) -> (n,)``, ``loss(x, y) -> (n,)`` and
``loss_and_input_grad(x, y) -> ((n,), (n, d))``; the models of ``adv_companion.models`` are, and
``adv_companion.pytorch`` makes one of a PyTorch module. These have ``for_labels``, too: the log-odds against a label, by
which ``fgsm`` and ``pgd`` find their way where a model is so sure that its loss is flat. Arrays are NumPy's or, but for
``smallest_budget``, PyTorch's: all stays where ``x`` is.
"""

import math
from functools import partial

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from joblib import delayed

from adv_companion import _checks, _parallel
from adv_companion.norms import box_around, dual_exponent, dual_norm, linear_maximizer, nearest, sample_ball, steepest

BLOCK, ROWS = 3 * 2**17, 128
"""Where workers share a NumPy batch in ``pgd``, each task has at most so many numbers but, if need be, so many rows."""


def fgsm(model, x, y, eps, p=math.inf, bounds=None):
    """One step to the maximiser of the linearised loss over the l_p ball: the fast gradient sign method for p = inf.

    Costs one gradient. Exact for a loss that is monotone in one linear score (logistic regression); for any other,
    only to first order. The projection at the end trims what rounding adds and, with ``bounds``, what leaves the box;
    for p = inf the result still is the maximiser over ball and box together, for p = 1 and 2 it may not be.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) integer labels; ``eps`` >= 0 in units of ``x``;
    ``p`` in {1, 2, inf}; ``bounds`` None or (low, high), two numbers between which every feature of ``x`` lies.
    Returns the attacked inputs ``(n, d)``; ``x`` itself is not changed.
    Raises ValueError where an argument is none of these. Section 62.1.1; Goodfellow, Shlens and Szegedy (2015).
    """
    _checks.model("model", model, "loss_and_input_grad")
    x = _checks.floats("x", x, ndim=2, tensors=True)
    eps, _ = _checks.real("eps", eps, low=0), dual_exponent(p)
    y = _checks.labels("y", y, len(x), tensors=True)
    low, high = _checks.box("bounds", bounds, "x", x)
    gradient = _uphill(model, x, y)
    step = array_namespace(x).astype(linear_maximizer(gradient, eps, p), x.dtype)
    return nearest(x + step, x, eps, p, low, high)


def pgd(
    model, x, y, eps, p=math.inf, steps=40, step_size=None, restarts=1,
    random_start=True, targeted=False, bounds=None, rng=None, n_jobs=None, progress=False,
):  # fmt: skip
    """Projected gradient ascent on the loss: best linear steps, each followed by a projection on ball and box.

    Returns, for each row on its own, the highest-loss point seen over all restarts and steps, the clean point included:
    no row depends on the others, and neither more restarts nor more steps *of the same size* weaken it. Coordinates
    that stand at a bound and would leave it are taken out of the gradient, lest an l_1 step be spent on nothing.
    A model with ``for_labels`` is attacked just as well where it is so sure that its loss rounds to zero.

    Parameters: ``model``; ``x`` (n, d) float; ``y`` (n,) labels, the wanted ones if ``targeted`` (the loss towards them
    is then made small); ``eps`` >= 0 in units of ``x``; ``p`` in {1, 2, inf}; ``steps`` >= 1; ``step_size`` > 0 in
    units of ``x``, None for 2.5 * eps / steps; ``restarts`` >= 1, more than one only with ``random_start`` (uniform in
    the ball, then projected; for p = 1 a handicap, as it moves all features and a step moves one back); ``bounds`` as
    for ``fgsm``; ``rng`` a ``numpy.random.Generator``, None for one with seed 0, so that a call can be repeated;
    ``n_jobs`` how many workers, as joblib counts them, share out the restarts and, in blocks of a size that does not depend
    on their number, the rows of a NumPy ``x``; None for one and all rows at once, which may round otherwise; ``progress``
    True for a bar.
    Returns the attacked inputs ``(n, d)``; ``x`` stays as it is. A restart costs ``steps`` gradients and two losses.
    Raises ValueError where an argument is none of these. Section 62.1.2; Madry et al. (2018).
    """
    _checks.model("model", model, "loss", "loss_and_input_grad")
    x = _checks.floats("x", x, ndim=2, tensors=True)
    y = _checks.labels("y", y, len(x), tensors=True)
    eps, _ = _checks.real("eps", eps, low=0), dual_exponent(p)
    random_start, targeted = _checks.flag("random_start", random_start), _checks.flag("targeted", targeted)
    steps = _checks.count("steps", steps, low=1)
    step_size = None if step_size is None else _checks.positive("step_size", step_size)
    restarts = _checks.count("restarts", restarts, low=1)
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts must be 1 without random_start, got {restarts}")
    low, high = _checks.box("bounds", bounds, "x", x)
    rng = np.random.default_rng(0) if rng is None else _checks.generator("rng", rng)
    size = (-1 if targeted else 1) * (step_size or 2.5 * eps / steps)
    climb, blocks = delayed(partial(_climb, model, eps, p, steps, size, low, high)), _blocks(x, n_jobs)
    start, streams = partial(_start, eps, p, random_start), rng.spawn(restarts)
    tasks = (climb(x[rows], y[rows], start(x[rows], stream)) for rows in blocks for stream in streams)
    highest = {}
    for k, walk in enumerate(_parallel.results(tasks, len(blocks) * restarts, "walks", n_jobs, progress)):
        block = k // restarts
        highest[block] = _higher(highest[block], walk) if block in highest else walk
    found = [points for points, _ in highest.values()]
    return found[0] if len(found) == 1 else array_namespace(x).concat(found)


def _blocks(x, n_jobs):
    """The rows of ``x`` in one slice or, where several workers may share a NumPy array, in 2, 4, 8 ... equal ones."""
    blocks = 1
    while n_jobs is not None and is_numpy_array(x) and x.size > blocks * BLOCK and len(x) >= 2 * blocks * ROWS:
        blocks *= 2
    return [slice(k * len(x) // blocks, (k + 1) * len(x) // blocks) for k in range(blocks)]


def _start(eps, p, random, x, rng):
    """Where a walk starts: somewhere in the ball if ``random``, else at ``x``."""
    return x + sample_ball(*x.shape, eps, p, rng, like=x) if random else x


def _higher(walk, other):
    """Of two walks (points, losses), in each row the one of the higher loss."""
    xp, better = array_namespace(walk[0]), other[1] > walk[1]
    return xp.where(better[:, None], other[0], walk[0]), xp.where(better, other[1], walk[1])


def _climb(model, eps, p, steps, size, low, high, x, y, start):
    """One walk of ``pgd``: the best point seen in each row, and the losses there. A negative ``size`` descends."""
    xp, uphill = array_namespace(x), math.copysign(1, size)
    height, height_and_grad = _objective(model, y)
    z, spare, *room = _arrays_like(x, 6)
    onto = _projection(x, eps, p, low, high, room)
    best = _Best(x, uphill * height(x), room[-1])
    z[...] = start
    z = onto(z)
    for _ in range(steps):
        _parallel.checkpoint()  # a worker for whom nobody waits any more stops here
        value, gradient = height_and_grad(z)
        best.see(z, uphill * value)
        if p == math.inf:  # here a step against the box does no harm, since it is undone
            u = _times_sign(size, gradient, out=spare)
        else:
            gradient = uphill * xp.astype(gradient, x.dtype)
            leaves = ((z >= high) & (gradient > 0)) | ((z <= low) & (gradient < 0))
            u = steepest(xp.where(leaves, xp.zeros_like(gradient), gradient), abs(size), p)
        u += z
        z, spare = onto(u), z
    if not xp.all(xp.isfinite(z)):  # a NaN stays to the end of the walk
        raise ValueError("model must have a finite gradient, got NaN or infinity on the way")
    best.see(z, uphill * height(z))
    return best.points(), best.loss


def _arrays_like(x, count):
    """So many arrays, in one block: malloc keeps at hand up to twice the largest that was freed, and fresh memory is slow."""
    return array_namespace(x).empty((count, *x.shape), dtype=x.dtype, device=device(x))


def _uphill(model, x, y):
    """The gradient (n, d) of each row's loss, up to a positive factor, which no best step depends on."""
    _, height_and_grad = _objective(model, y)
    return height_and_grad(x)[1]


def _objective(model, y):
    """What a walk climbs, as two functions of the inputs: a height (n,) for each row, and heights with their gradients.

    The log-odds against the label where a model has them, else the loss. They rise together, but where the model is sure
    the loss is flat, in the end to the last digit.
    """
    if _knows_log_odds(type(model)):
        labelled = model.for_labels(y)
        return labelled.log_odds, labelled.log_odds_and_input_grad

    def height(z):
        """The losses (n,)."""
        return _checks.answer("model.loss(x, y)", model.loss(z, y), z.shape[:1])

    def height_and_grad(z):
        """The losses (n,), and their gradients (n, d)."""
        value, gradient = model.loss_and_input_grad(z, y)
        value = _checks.answer("the loss of model.loss_and_input_grad(x, y)", value, z.shape[:1])
        return value, _checks.answer("the gradient of model.loss_and_input_grad(x, y)", gradient, z.shape)

    return height, height_and_grad


def _knows_log_odds(kind):
    """Whether models of this kind have ``for_labels``, and no loss of their own that one inherited would not go with."""

    def owner(method):
        """The class whose method it is, ``object`` for none."""
        return next((parent for parent in kind.__mro__ if method in vars(parent)), object)

    own = owner("for_labels")
    return own is not object and issubclass(own, owner("loss")) and issubclass(own, owner("loss_and_input_grad"))


def _projection(x, eps, p, low, high, room):
    """``project`` around ``x`` as a function of the point alone, which it may write on; ``room`` is for p = inf."""
    if p != math.inf:
        return lambda u: nearest(u, x, eps, p, low, high)
    xp, (lower, upper) = array_namespace(x), box_around(x, eps, low, high, room)  # ball and box in one, for all steps
    return lambda u: xp.minimum(xp.maximum(u, lower, out=u), upper, out=u)


def _times_sign(size, gradient, out):
    """size * sign(gradient), in ``out`` where that is of the same precision."""
    xp = array_namespace(out)
    if gradient.dtype != out.dtype:
        return size * xp.astype(xp.sign(gradient), out.dtype)
    # Out of range and clipped, so that all but zero ends at +-size, and NaN at NaN: sign takes longer.
    huge, clip = 1 / float(xp.finfo(out.dtype).smallest_normal), np.clip if is_numpy_array(out) else xp.clip
    with np.errstate(over="ignore"):
        xp.multiply(gradient, math.copysign(huge, size), out=out)
        out *= huge  # twice, for the sake of subnormal numbers
    return clip(out, -abs(size), abs(size), out=out)


class _Best:
    """The point of the highest loss in each row.

    Losses mostly rise, so a row is copied only once a later point proves no better. Until then the point seen last
    holds it, and must not be written on before the next one is seen.
    """

    def __init__(self, x, loss, points):
        self._xp, self._points, self.loss = array_namespace(x), points, loss
        self._last, self._leads = x, self._xp.ones_like(loss, dtype=self._xp.bool)

    def see(self, z, loss):
        """Another point (n, d) for each row, and the losses (n,) there."""
        better = loss > self.loss
        self._keep(self._leads & ~better)
        self.loss = self._xp.where(better, loss, self.loss)
        self._last, self._leads = z, better

    def _keep(self, rows):
        if is_numpy_array(rows):
            self._points[rows] = self._last[rows]  # on other devices a copy of chosen rows would wait for their number
        else:
            self._points = self._xp.where(rows[:, None], self._last, self._points)

    def points(self):
        """The best points (n, d) of all that were seen, in an array of their own."""
        self._keep(self._leads)
        return self._xp.asarray(self._points, copy=True)


def accuracy(model, x, y):
    """The share of rows that the model labels as ``y`` says.

    Parameters: ``model``; ``x`` (n, d) float; ``y`` (n,) integer labels. Returns a float in [0, 1].
    Raises ValueError for an ``x`` that is not a finite (n, d) array or labels of another shape or type.
    """
    _checks.model("model", model, "predict")
    x = _checks.floats("x", x, ndim=2, tensors=True)
    y = _checks.labels("y", y, len(x), tensors=True)
    predicted = _checks.as_array("model.predict(x)", model.predict(x), tensors=True)
    predicted = _checks.answer("model.predict(x)", predicted, y.shape)
    xp = array_namespace(predicted)
    right = predicted == xp.asarray(y, device=device(predicted))
    return float(xp.mean(xp.astype(right, xp.float64)))


def robust_accuracy(model, x, y, attack):
    """Accuracy on the attacked inputs: an upper bound on robustness that is only as good as the attack.

    Parameters: as for ``accuracy``; ``attack`` a function (model, x, y) -> attacked inputs of the shape of ``x``,
    which therefore adapts to the model it is given. Returns a float in [0, 1].
    Raises ValueError as ``accuracy`` does, or if the attack returns another shape. Sections 62.3 and 62.5.
    """
    _checks.model("model", model, "predict"), _checks.function("attack", attack)
    x = _checks.floats("x", x, ndim=2, tensors=True)
    attacked = _checks.floats("attack(model, x, y)", attack(model, x, y), ndim=2, shape=tuple(x.shape), tensors=True)
    return accuracy(model, attacked, y)


def smallest_budget(model, x, y, budgets, p=math.inf, steps=40, bounds=None):
    """How little it takes to change each label: an upper bound on the l_p distance to the nearest wrong answer.

    Tries the budgets from small to large on the rows that still are right, with ``pgd`` from the clean point (no random
    start). Where an attack succeeds, the line from the clean to the attacked point is searched for where the label
    turns wrong. A point at the distance returned is wrong; a nearer one may have been missed. Exact for a linear score
    of two classes without ``bounds``, once ``budgets`` reach far enough.

    Parameters: ``model``; ``x`` (n, d) float inputs; ``y`` (n,) integer labels; ``budgets`` (m,) > 0, increasing, in
    units of ``x``; ``p``, ``steps`` and ``bounds`` as for ``pgd``. Returns ``(n,)``, in units of ``x``: 0 where the
    clean label is wrong already, infinity where no budget was enough.
    Raises ValueError where an argument is none of these. Section 62.1; Szegedy et al. (2014).
    """
    _checks.model("model", model, "predict", "loss", "loss_and_input_grad")
    x = _checks.floats("x", x, ndim=2)
    y = _checks.labels("y", y, len(x))
    dual_exponent(p)
    steps = _checks.count("steps", steps, low=1)
    _checks.box("bounds", bounds, "x", x)
    budgets = _checks.floats("budgets", budgets, ndim=1)
    if budgets[0] <= 0 or (np.diff(budgets) <= 0).any():
        raise ValueError(f"budgets must be positive and increasing, got {budgets}")
    options = {"steps": steps, "random_start": False, "bounds": bounds}
    distance = np.where(model.predict(x) == y, math.inf, 0)
    for eps in budgets:
        rows = np.flatnonzero(distance == math.inf)
        if len(rows) == 0:
            break
        attacked = pgd(model, x[rows], y[rows], eps, p, **options)
        hit = model.predict(attacked) != y[rows]
        rows, attacked = rows[hit], attacked[hit]
        if len(rows) > 0:
            distance[rows] = _distance_along(model, x[rows], attacked, y[rows], p)
    return distance


def _distance_along(model, x, wrong, y, p):
    """The l_p length (n,) of the line from ``x``, labelled right, towards ``wrong``, up to where the label turns."""
    step, right, turned = wrong - x, np.zeros(len(x)), np.ones(len(x))
    for _ in range(40):
        middle = (right + turned) / 2
        is_wrong = model.predict(x + middle[:, None] * step) != y
        right, turned = np.where(is_wrong, right, middle), np.where(is_wrong, middle, turned)
    return turned * dual_norm(step, dual_exponent(p))
