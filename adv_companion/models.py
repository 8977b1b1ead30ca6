"""Models with hand-written input gradients.

A model has ``logits(x)`` (n, k), ``predict(x)`` (n,), ``loss(x, y)`` (n,) and ``loss_and_input_grad(x, y)``
((n,), (n, d)): all that an attack needs to know. Losses are cross-entropies in nats, one a row.
"""

import math

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit

from adv_companion import _checks
from adv_companion.norms import linear_maximizer


class LogisticRegression:
    """Two classes, 0 and 1, and a linear score: P(y = 1 | x) = sigma(x.coef + intercept).

    Parameters: ``coef`` (d,), ``intercept`` a number. Raises ValueError if they are not finite numbers of that shape.
    Section 62.3.
    """

    def __init__(self, coef, intercept):
        self.coef = _checks.floats("coef", coef, ndim=1)
        self.intercept = _checks.real("intercept", intercept)

    def __repr__(self):
        return f"LogisticRegression(coef={self.coef.tolist()}, intercept={self.intercept})"

    def logits(self, x):
        """Scores of class 0 (always 0) and class 1 for inputs (n, d). Returns (n, 2)."""
        x = _checks.floats("x", x, ndim=2, shape=(None, len(self.coef)))
        score = x @ self.coef + self.intercept
        return np.stack([np.zeros_like(score), score], axis=1)

    def predict(self, x):
        """Labels (n,) of inputs (n, d): 1 where the score is positive."""
        return (self.logits(x)[:, 1] > 0).astype(np.int64)

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,) 0 or 1."""
        score = self.logits(x)[:, 1]
        return _cross_entropy(score, _checks.labels("y", y, len(score), n_classes=2))

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d) with respect to the inputs: (sigma(z) - y) * coef.

        The factor is computed as -sigma(-z) for y = 1, so that a confident score does not round it to zero.
        """
        score = self.logits(x)[:, 1]
        y = _checks.labels("y", y, len(score), n_classes=2)
        factor = np.where(y == 1, -expit(-score), expit(score))
        return _cross_entropy(score, y), factor[:, None] * self.coef

    @classmethod
    def fit(cls, x, y):
        """The maximum-likelihood model, by Newton's method with halved steps; what R's ``glm`` converges to.

        Parameters: ``x`` (n, d) float; ``y`` (n,) labels, 0 and 1 both present. Returns a ``LogisticRegression``.
        Raises ValueError if the labels are of one class, if columns of ``x`` (and the constant) are linearly
        dependent, or if a line separates the classes: then the likelihood has no maximum, since scaling such a
        separating model up raises it for ever (Albert and Anderson, 1984). Section 62.3.
        """
        x = _checks.floats("x", x, ndim=2)
        y = _checks.labels("y", y, len(x), n_classes=2)
        design = np.column_stack([np.ones(len(x)), x]).astype(np.float64)
        _refuse_degenerate(design, y)
        theta, loss = np.zeros(design.shape[1]), len(y) * np.log(2)
        for _ in range(100):
            score = design @ theta
            probability = expit(score)
            curvature = design.T * (probability * expit(-score)) @ design
            try:
                step = np.linalg.solve(curvature, design.T @ (y - probability))
            except np.linalg.LinAlgError:
                break  # every probability has rounded to 0 or 1
            while (tried := _cross_entropy(design @ (theta + step), y).sum()) > loss * (1 + 1e-12):
                step = step / 2
            theta, loss = theta + step, tried
            if np.abs(step).max() <= 1e-10 * (1 + np.abs(theta).max()):
                return cls(theta[1:], theta[0])
        if separates(x, y):
            raise ValueError(
                "x and y have no maximum-likelihood fit: a linear score separates the two classes, "
                "so scaling it up raises the likelihood without end"
            )
        raise ValueError("x and y gave no fit in 100 Newton steps; are the columns of x of very different scale?")


def _cross_entropy(score, y):
    return np.logaddexp(0, np.where(y == 1, -score, score))


def _refuse_degenerate(design, y):
    """Raise where the likelihood cannot have one maximum, whatever the geometry of the classes."""
    if y.min() == y.max():
        raise ValueError(f"y must hold both labels, got only {y.min()}")
    rank = np.linalg.matrix_rank(design / np.abs(design).max(axis=0).clip(1e-300))
    if rank < design.shape[1]:
        raise ValueError(
            f"x must have columns that are linearly independent of each other and of a constant: "
            f"rank {rank} of {design.shape[1]}"
        )


def separates(x, y, eps=0.0, p=math.inf):
    """Whether some linear score labels every point rightly (or leaves it undecided), even after a step of size eps.

    Then, and only then, the (worst-case) logistic loss has no minimum. Found by linear programmes: the score that
    gains most over the points and over the attacks found so far; the best attack on it joins them, until the score
    withstands its own attack or no score gains anything.

    Parameters: ``x`` (n, d) float; ``y`` (n,) labels 0/1; ``eps`` >= 0; ``p`` in {1, 2, inf}. Returns a bool.
    Raises ValueError where an argument is none of these. Albert and Anderson (1984), for eps = 0.
    """
    x = _checks.floats("x", x, ndim=2).astype(np.float64)
    y = _checks.labels("y", y, len(x), n_classes=2)
    sign = np.where(y == 1, 1.0, -1.0)
    scale = np.abs(x).max() + eps or 1.0
    clean = sign[:, None] * np.column_stack([x / scale, np.ones(len(x))])
    attacked, tolerance = [clean], 1e-9
    for _ in range(200):
        rows = np.concatenate(attacked)
        best = linprog(-clean.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
        step = linear_maximizer(best.x[None, :-1], eps / scale, p)[0]
        worst = clean @ best.x - step @ best.x[:-1]
        if worst.max() <= tolerance:
            return False
        if worst.min() >= -tolerance:
            return True
        attacked.append(clean - np.append(step, 0))
    raise ValueError(f"x is too close to being separable at eps = {eps} for a linear programme to tell")
