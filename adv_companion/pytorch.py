"""A PyTorch module as a model of this package. No other module needs PyTorch, but to draw noise on a GPU."""

import math

import torch

from adv_companion import _checks


class TorchModel:
    """A classifier out of any ``torch.nn.Module`` that gives logits, on whatever device it lies.

    Attacks and certificates work on rows: images of ``shape`` (c, h, w) come as (n, c * h * w), and the module sees them as
    (n, c, h, w). Rows are tensors on the module's device; nothing leaves it. The module gets a copy, in its own precision
    if it has but one. Each call puts the module itself in evaluation mode, without dropout and with batch normalisation as
    learned: to train on, call ``module.train()`` again. ``torch.autocast`` does not reach other threads: where there are
    workers, it belongs into the module's ``forward``.

    Parameters: ``module``; ``shape`` of one input as the module takes it, None for rows as they are. Raises ValueError
    for a ``module`` that is none, for ``x`` that are no rows of that size, and for answers other than numbers (n, k) for
    k >= 2 classes. Sections 62.1 to 62.6.
    """

    def __init__(self, module, shape=None):
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        self.module = module
        self.shape = None if shape is None else tuple(_checks.sizes("shape", shape, at_least=1))

    def __getstate__(self):
        """What other processes and stores are given: the module as it is used, in evaluation mode."""
        return {**vars(self), "module": self.module.eval()}

    def logits(self, x):
        """Scores (n, k) of inputs (n, d)."""
        with torch.no_grad():
            return self._logits(self._rows(x))

    def predict(self, x):
        """Labels (n,) of inputs (n, d): the class of the largest score."""
        logits = self.logits(x)
        if logits.isnan().any():
            raise ValueError("module must give numbers, got NaN among the logits")
        return logits.argmax(dim=1)

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,) from 0 to k - 1."""
        return self.for_labels(y).loss(x)

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d) with respect to the inputs."""
        return self.for_labels(y).loss_and_input_grad(x)

    def for_labels(self, y):
        """The log-odds (n,) against labels (n,) that stay, as ``MLP.for_labels`` gives them.

        What the labels hold is checked once, since a look at it waits for the device.
        """
        return _Labelled(self, y)

    def _rows(self, x):
        """Rows as the module expects them, without history, outside of inference mode."""
        if not isinstance(x, torch.Tensor):
            raise ValueError(f"x must be a PyTorch tensor, as the model is a TorchModel, got {type(x).__name__}")
        if x.ndim != 2:
            raise ValueError(f"x must have 2 dimension(s), got shape {tuple(x.shape)}")
        if self.shape is not None and x.shape[1] != math.prod(self.shape):
            raise ValueError(f"x must have {math.prod(self.shape)} columns, for inputs of shape {self.shape}, got {x.shape[1]}")
        return x.clone() if x.is_inference() else x.detach()

    def _logits(self, x):
        precisions = {weight.dtype for weight in self.module.parameters() if weight.is_floating_point()}
        x = x.to(*precisions, copy=True) if len(precisions) == 1 else x.clone()  # some modules write on their input
        logits = self.module.eval()(x if self.shape is None else x.reshape(len(x), *self.shape))
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if len(got) != 2 or got[0] != len(x) or got[1] < 2:
            raise ValueError(f"module must give logits (n, k) of k >= 2 classes, got {got}")
        return logits.float() if logits.itemsize < 4 else logits


class _Labelled:
    """A model's losses, log-odds and gradients, for labels that stay."""

    def __init__(self, model, y):
        self.model, self.y, self.checked = model, y, False

    def log_odds(self, x):
        """The log-odds (n,) against the labels at inputs (n, d)."""
        with torch.inference_mode(False), torch.no_grad():
            return self._log_odds(self.model._rows(x))

    def log_odds_and_input_grad(self, x):
        """The log-odds (n,), and their gradients (n, d)."""
        with torch.inference_mode(False), torch.enable_grad():
            x = self.model._rows(x).requires_grad_(True)
            log_odds = self._log_odds(x)
            (gradient,) = torch.autograd.grad(log_odds.sum(), x)
        return log_odds.detach(), gradient

    def loss(self, x):
        """Cross-entropies (n,) of inputs (n, d): log(1 + e^log-odds)."""
        return torch.nn.functional.softplus(self.log_odds(x))

    def loss_and_input_grad(self, x):
        """The losses (n,), and their gradients (n, d)."""
        log_odds, gradient = self.log_odds_and_input_grad(x)
        return torch.nn.functional.softplus(log_odds), torch.sigmoid(log_odds)[:, None] * gradient

    def _log_odds(self, x):
        """log((1 - p_y) / p_y), not by way of PyTorch's cross-entropy: its gradient p_y - 1 rounds to zero at a gap of 17."""
        logits = self.model._logits(x)
        if not self.checked:
            y = torch.as_tensor(self.y, device=logits.device)
            self.y = _checks.labels("y", y, len(logits), logits.shape[1], tensors=True)[:, None]
            self.checked = True
        own, others = logits.gather(1, self.y)[:, 0], logits.scatter(1, self.y, -torch.inf)
        return torch.logsumexp(others, dim=1) - own
