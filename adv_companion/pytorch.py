"""A PyTorch module as a model of this package. The one module that needs PyTorch; no other imports it."""

import torch

from adv_companion import _checks


class TorchModel:
    """A classifier out of any ``torch.nn.Module`` that gives logits, on whatever device it lies.

    Attacks and certificates work on rows: images of ``shape`` (c, h, w) come as (n, c * h * w), and the module sees them as
    (n, c, h, w). Rows are tensors, on the module's device and in its precision; nothing leaves the device. Dropout and
    batch normalisation are switched to evaluation.

    Parameters: ``module``; ``shape`` of one input as the module takes it, None for rows as they are. Raises ValueError
    for a ``module`` that is none, or inputs of another size. Sections 62.1 to 62.6.
    """

    def __init__(self, module, shape=None):
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        self.module = module.eval()
        self.shape = None if shape is None else tuple(_checks.sizes("shape", shape, at_least=1))

    def logits(self, x):
        """Scores (n, k) of inputs (n, d)."""
        with torch.no_grad():
            return self._logits(self._rows(x))

    def predict(self, x):
        """Labels (n,) of inputs (n, d): the class of the largest score."""
        return self.logits(x).argmax(dim=1)

    def loss(self, x, y):
        """Cross-entropy (n,), in nats, of inputs (n, d) with labels (n,) from 0 to k - 1."""
        return self.for_labels(y).loss(self._rows(x))

    def loss_and_input_grad(self, x, y):
        """The losses (n,) and their gradients (n, d) with respect to the inputs."""
        return self.for_labels(y).loss_and_input_grad(self._rows(x))

    def for_labels(self, y):
        """The log-odds (n,) against labels (n,) that stay, as ``MLP.for_labels`` gives them.

        What the labels hold is checked once, since a look at it waits for the device.
        """
        return _Labelled(self, y)

    def _rows(self, x):
        x = torch.as_tensor(x).detach()
        if x.ndim != 2:
            raise ValueError(f"x must have 2 dimension(s), got shape {tuple(x.shape)}")
        return x

    def _logits(self, x):
        return self.module(x if self.shape is None else x.reshape(-1, *self.shape))


class _Labelled:
    """A model's losses, log-odds and gradients, for labels that stay."""

    def __init__(self, model, y):
        self.model, self.y, self.checked = model, y, False

    def log_odds(self, x):
        """The log-odds (n,) against the labels at inputs (n, d)."""
        with torch.no_grad():
            return self._log_odds(x)

    def log_odds_and_input_grad(self, x):
        """The log-odds (n,), and their gradients (n, d)."""
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
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
            if logits.ndim != 2 or logits.shape[1] < 2:
                raise ValueError(f"module must give logits (n, k) of k >= 2 classes, got shape {tuple(logits.shape)}")
            y = torch.as_tensor(self.y, device=logits.device)
            self.y, self.checked = _checks.labels("y", y, len(logits), logits.shape[1], tensors=True)[:, None], True
        own, others = logits.gather(1, self.y)[:, 0], logits.scatter(1, self.y, -torch.inf)
        return torch.logsumexp(others, dim=1) - own
