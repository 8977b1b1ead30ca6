"""PyTorch twins of the package's models: the same weights, and gradients that PyTorch finds by itself."""

import torch


def twin(net, kind=torch.float64):
    """A PyTorch module with the weights of a ``Network``."""
    parts = []
    for weight, bias in zip(net.weights, net.biases):
        linear = torch.nn.Linear(*weight.shape, dtype=kind)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight.T.copy()))
            linear.bias.copy_(torch.tensor(bias))
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).eval()


def flat_gradient(loss, module):
    """The gradient of a scalar with respect to a twin's parameters, in the order of ``Network.params``."""
    pieces = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True)
    return torch.cat([piece.T.ravel() if piece.ndim == 2 else piece for piece in pieces]).numpy()
