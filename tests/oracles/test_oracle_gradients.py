"""PyTorch's automatic differentiation against every gradient that the package writes out by hand."""

import numpy as np
import pytest
import torch
from twins import flat_gradient, twin

from adv_companion.dann import DomainAdversarialNetwork
from adv_companion.evaluation import Rounded
from adv_companion.gan import generator_gradient
from adv_companion.models import MLP, LogisticRegression, Network
from adv_companion.smoothing import NoiseAveraged
from adv_companion.training import Adam

CLOSE = {"rtol": 1e-9, "atol": 1e-13}
RNG = np.random.default_rng(0)
cross_entropy = torch.nn.functional.cross_entropy


def leaf(x):
    return torch.tensor(x, requires_grad=True)


@pytest.mark.parametrize("scale", [1.0, 30.0])  # the second is as sure as 1 - 1e-50
@pytest.mark.parametrize("sizes", [[3, 2], [4, 7, 3], [5, 8, 6, 4]])
def test_a_network(sizes, scale):
    net = MLP(sizes, RNG)
    net = net.with_params(scale * net.params)
    module, x, y = twin(net), RNG.standard_normal((9, sizes[0])), RNG.integers(0, sizes[-1], 9)
    xt = leaf(x)
    losses = cross_entropy(module(xt), torch.tensor(y), reduction="none")
    loss, gradient = net.loss_and_input_grad(x, y)
    np.testing.assert_allclose(loss, losses.detach(), rtol=1e-9, atol=1e-15)
    (theirs,) = torch.autograd.grad(losses.sum(), xt, retain_graph=True)
    np.testing.assert_allclose(gradient, theirs, rtol=1e-7, atol=1e-12 * scale)
    np.testing.assert_allclose(net.loss_and_param_grad(x, y)[1], flat_gradient(losses.mean(), module), rtol=1e-7, atol=1e-12 * scale)


def test_a_sure_network_keeps_a_gradient_where_single_precision_has_none():
    """At a logit gap of 120 PyTorch's softmax in float32 leaves 0; the rewritten difference keeps its size."""
    net = MLP([2, 2], RNG).with_params(np.array([60.0, -60.0, 0, 0, 0, 0]))
    x, y = np.array([[1.0, 0.0]]), np.array([0])
    xt = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    (theirs,) = torch.autograd.grad(cross_entropy(twin(net).float()(xt), torch.tensor(y)), xt)
    _, ours = net.loss_and_input_grad(x.astype(np.float64), y)
    assert not theirs.any() and ours[0, 0] < 0
    np.testing.assert_allclose(ours[0, 0], -120 * np.exp(-120.0), rtol=1e-9)


def test_logistic_regression():
    model, x, y = LogisticRegression(RNG.standard_normal(4), 0.3), RNG.standard_normal((8, 4)), RNG.integers(0, 2, 8)
    xt, w, b = leaf(x), leaf(model.coef), leaf(np.array(model.intercept))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(xt @ w + b, torch.tensor(y, dtype=torch.float64), reduction="none")
    to_x, *_ = torch.autograd.grad(loss.sum(), xt, retain_graph=True)
    to_w, to_b = torch.autograd.grad(loss.mean(), (w, b))
    np.testing.assert_allclose(model.loss_and_input_grad(x, y)[1], to_x, **CLOSE)
    np.testing.assert_allclose(model.loss_and_param_grad(x, y)[1], [*to_w, to_b], **CLOSE)


def test_a_networks_vector_product():
    net, x, v = Network([3, 5, 2], RNG), RNG.standard_normal((6, 3)), RNG.standard_normal((6, 2))
    module = twin(net)
    wanted = flat_gradient((module(torch.tensor(x)) * torch.tensor(v)).sum(), module)
    np.testing.assert_allclose(net.param_grad(x, v), wanted, **CLOSE)


def test_a_staircase_before_the_network():
    net, x, y = MLP([4, 6, 3], RNG), RNG.standard_normal((5, 4)), RNG.integers(0, 3, 5)
    xt, module = leaf(x), twin(net)
    tread = torch.floor(xt / 0.3)
    seen = 0.3 * (tread + torch.sigmoid(7 * (xt / 0.3 - tread - 0.5)))
    (wanted,) = torch.autograd.grad(cross_entropy(module(seen), torch.tensor(y), reduction="sum"), xt)
    np.testing.assert_allclose(Rounded(net, 0.3, 7.0).loss_and_input_grad(x, y)[1], wanted, **CLOSE)


def test_an_average_over_noise():
    net, x, y = MLP([4, 6, 3], RNG), RNG.standard_normal((5, 4)), RNG.integers(0, 3, 5)
    noise, xt, module = RNG.standard_normal((11, 4)), leaf(x), twin(net)
    share = module(xt[:, None] + torch.tensor(noise)).softmax(dim=2)[torch.arange(5), :, torch.tensor(y)].mean(dim=1)
    (wanted,) = torch.autograd.grad(-share.log().sum(), xt)
    loss, gradient = NoiseAveraged(net, noise).loss_and_input_grad(x, y)
    np.testing.assert_allclose(loss, -share.log().detach(), **CLOSE)
    np.testing.assert_allclose(gradient, wanted, **CLOSE)


@pytest.mark.parametrize("saturating", [False, True])
def test_the_generators_two_losses(saturating):
    generator, critic, z = Network([2, 5, 3], RNG), MLP([3, 6, 2], RNG), RNG.standard_normal((7, 2))
    forger, judge = twin(generator), twin(critic)
    real = judge(forger(torch.tensor(z))).softmax(dim=1)[:, 1]
    losses = torch.log1p(-real) if saturating else -torch.log(real)
    loss, gradient = generator_gradient(generator, critic, z, saturating)
    np.testing.assert_allclose(loss, losses.detach(), **CLOSE)
    np.testing.assert_allclose(gradient, flat_gradient(losses.mean(), forger), **CLOSE)


class Reversal(torch.autograd.Function):
    """The layer as its paper has it: the identity forward, -lambda times the gradient backward."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.factor * gradient, None


@pytest.mark.parametrize("factor", [0.0, 0.7, 3.0])
def test_the_three_networks_of_domain_adaptation(factor):
    net = DomainAdversarialNetwork([3, 6, 4], [5, 2], [6], factor, RNG)
    x, y, beside = RNG.standard_normal((8, 3)), RNG.integers(0, 2, 8), RNG.standard_normal((8, 3)) + 1
    whole, judge, layers = twin(net.classifier), twin(net.domain_head), 2
    extractor, head = whole[: 2 * layers], whole[2 * layers :]  # a ReLU after each layer of the extractor
    features = extractor(torch.tensor(np.concatenate([x, beside])))
    domain = torch.repeat_interleave(torch.arange(2), 8)
    label_loss = cross_entropy(head(features[:8]), torch.tensor(y))
    seen = judge(Reversal.apply(features, factor))
    domain_loss = 2 * cross_entropy(seen, domain)  # the mean of each domain, added
    total = label_loss + domain_loss
    to_extractor, to_head, to_judge = net.gradients(x, y, beside)
    np.testing.assert_allclose(to_extractor, flat_gradient(total, extractor), **CLOSE)
    np.testing.assert_allclose(to_head, flat_gradient(total, head), **CLOSE)
    np.testing.assert_allclose(to_judge, flat_gradient(total, judge), **CLOSE)


@pytest.mark.parametrize("momentum", [0.9, 0.5])
def test_adam_is_pytorchs(momentum):
    ours, start = Adam(0.01, momentum), RNG.standard_normal(5)
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimizer, params = torch.optim.Adam([theirs], lr=0.01, betas=(momentum, 0.999)), start
    for step in range(50):
        gradient = np.sin(params + step)
        theirs.grad = torch.sin(theirs.detach() + step)
        params = ours.descend(params, gradient)
        optimizer.step()
    np.testing.assert_allclose(params, theirs.detach(), rtol=1e-10)
