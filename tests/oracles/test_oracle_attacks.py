"""Public attack libraries on the same weights and images: where they are right we agree, and where not it is shown."""

import math
from functools import partial

import eagerpy as ep
import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy
from art.estimators.classification import PyTorchClassifier
from art.utils import projection, random_sphere
from helpers import surer
from pyautoattack import AutoAttack
from scipy.stats import kstest
from twins import twin

from adv_companion.attacks import accuracy, fgsm, pgd
from adv_companion.datasets import digits
from adv_companion.models import MLP
from adv_companion.norms import dual_norm, linear_maximizer, project, sample_ball
from adv_companion.training import train

P = [1, 2, math.inf]
EPS = {1: 2.0, 2: 0.7, math.inf: 0.1}
STEPS, SIZE = 20, 0.125  # the step as a share of eps


@pytest.fixture(scope="module")
def task():
    """A network that reads the digits, and 200 of them that it gets right, in double precision."""
    x_train, y_train, x, y = digits()
    rng = np.random.default_rng(0)
    net = train(MLP([64, 64, 10], rng), x_train, y_train, epochs=15, batch_size=64, lr=3e-3, rng=rng)
    right = np.flatnonzero(net.predict(x) == y)[:200]
    return net, x[right], y[right]


def art_model(module):
    loss = torch.nn.CrossEntropyLoss()
    return PyTorchClassifier(module.float(), loss, (64,), 10, clip_values=(0, 1), device_type="cpu")


def tensors(x, y, kind=torch.float64):
    return torch.tensor(x, dtype=kind), torch.tensor(y)


def as_images(attack, net, x, y, kind=torch.float64):
    """What an attack makes that insists on images: ``attack`` is a function of a module that takes them."""
    side = math.isqrt(x.shape[1])
    module = torch.nn.Sequential(torch.nn.Flatten(), twin(net, kind))
    pixels, labels = tensors(x.reshape(-1, 1, side, side), y, kind)
    return attack(module)(pixels, labels).detach().numpy().reshape(x.shape).astype(float)


# One step.


def one_step_of_each(p, net, x, y):
    xt, yt = tensors(x, y)
    theirs = foolbox.PyTorchModel(twin(net), bounds=(0, 1))
    attack = {
        2: foolbox.attacks.L2FastGradientAttack(random_start=False),
        math.inf: foolbox.attacks.LinfFastGradientAttack(random_start=False),
    }
    found = {"foolbox": attack[p](theirs, xt, yt, epsilons=EPS[p])[1].numpy()}
    if p == math.inf:
        found["torchattacks"] = torchattacks.FGSM(twin(net), eps=EPS[p])(xt, yt).detach().numpy()
    one = FastGradientMethod(art_model(twin(net)), norm=p, eps=EPS[p], batch_size=1000)
    return found | {"art": one.generate(x.astype(np.float32), y)}


@pytest.mark.parametrize("p", [2, math.inf])
def test_one_step_is_theirs(task, p):
    net, x, y = task
    ours = np.clip(x + linear_maximizer(net.loss_and_input_grad(x, y)[1], EPS[p], p), 0, 1)  # as they do: step, then clip
    for name, theirs in one_step_of_each(p, net, x, y).items():
        tolerance = 2e-5 if name == "art" else 1e-12  # ART works in single precision
        moved = np.abs(theirs - ours).max(axis=1)
        # In single precision a gradient can round to 0, or change its sign there.
        assert (moved <= tolerance).mean() >= (0.98 if name == "art" else 1), name
        np.testing.assert_allclose(accuracy(net, theirs.astype(float), y), accuracy(net, ours, y), atol=0.01)


def test_foolbox_spreads_an_l_1_step_and_gains_less_than_the_optimum(task):
    net, x, y = task
    g = net.loss_and_input_grad(x, y)[1]
    attack = foolbox.attacks.L1FastGradientAttack(random_start=False)
    model = foolbox.PyTorchModel(twin(net), bounds=(-9, 9))
    step = attack(model, *tensors(x, y), epsilons=1.0)[1].numpy() - x
    np.testing.assert_allclose(np.abs(step).sum(axis=1), 1, rtol=1e-9)
    gain, best = np.sum(g * step, axis=1), dual_norm(g, 1)
    assert np.median(gain / best) < 0.5 and (gain < best).all()
    np.testing.assert_allclose(np.sum(g * linear_maximizer(g, 1.0, 1), axis=1), best, rtol=1e-12)


# Many steps, from the same start: every one of our points is at least as bad for the network as theirs.


def pgd_of_each(p, net, x, y):
    xt, yt = tensors(x, y)
    names = {1: "L1ProjectedGradientDescentAttack", 2: "L2ProjectedGradientDescentAttack", math.inf: "LinfPGD"}
    attack = getattr(foolbox.attacks, names[p])(rel_stepsize=SIZE, steps=STEPS, random_start=False)
    found = {"foolbox": attack(foolbox.PyTorchModel(twin(net), bounds=(0, 1)), xt, yt, epsilons=EPS[p])[1].numpy()}
    if p != 1:
        kind = torchattacks.PGD if p == math.inf else torchattacks.PGDL2
        options = {"eps": EPS[p], "alpha": SIZE * EPS[p], "steps": STEPS, "random_start": False}
        found["torchattacks"] = as_images(lambda module: kind(module, **options), net, x, y)
    options = {"norm": p, "eps": EPS[p], "eps_step": SIZE * EPS[p], "max_iter": STEPS, "verbose": False, "batch_size": 1000}
    attack = ProjectedGradientDescentNumpy(art_model(twin(net)), **options)
    return found | {"art": attack.generate(x.astype(np.float32), y).astype(float)}


@pytest.mark.parametrize("p", P)
def test_many_steps_are_no_weaker_than_theirs(task, p):
    net, x, y = task
    ours = pgd(net, x, y, EPS[p], p, STEPS, SIZE * EPS[p], random_start=False, bounds=(0, 1))
    for name, theirs in pgd_of_each(p, net, x, y).items():
        spent = np.linalg.norm(theirs - x, ord=p, axis=1)
        assert spent.max() <= EPS[p] * (1 + 1e-5), name
        gap = net.loss(ours, y) - net.loss(theirs, y)
        print(f"p = {p}, {name}: accuracy {accuracy(net, theirs, y):.3f}, ours {accuracy(net, ours, y):.3f}; "
              f"loss higher in {np.mean(gap > 1e-9):.3f}, lower in {np.mean(gap < -1e-3):.3f} of the rows")  # fmt: skip
        assert accuracy(net, ours, y) <= accuracy(net, theirs, y), name
        assert np.mean(gap >= -1e-3) >= 0.99, name


def test_autoattack_breaks_hardly_more_than_a_few_restarts(task):
    """Four attacks that share nothing with ours but the budget: a walk stuck in a bad place would show."""
    net, x, y = task

    def judge(module):
        attack = AutoAttack(module, eps=0.1, norm="Linf", seed=0)
        return lambda pixels, labels: attack.run_standard_evaluation(pixels, labels)[0]

    theirs = as_images(judge, net, x, y, torch.float32)
    assert np.abs(theirs - x).max() <= 0.1 + 1e-6
    ours = pgd(net, x, y, 0.1, steps=40, restarts=5, bounds=(0, 1))
    left = accuracy(net, ours, y), accuracy(net, theirs, y)
    print(f"accuracy left by pgd with 5 restarts and by AutoAttack: {left}")
    assert abs(left[0] - left[1]) <= 0.03


# Faults, shown where they live.


@pytest.mark.parametrize("batch", [1, 32, 1000])
def test_the_step_of_torchattacks_shrinks_with_the_batch_on_a_confident_point(batch):
    """It divides the gradient of the *mean* loss by its length plus 1e-10; ours is as long as asked in any batch."""
    net = MLP([4, 2], np.random.default_rng(0))
    net = net.with_params(np.array([12.5, -12.5] * 4 + [0.0, 0.0]))
    x, y = np.full((batch, 4), 0.25), np.zeros(batch, dtype=int)  # a logit gap of 25
    theirs = as_images(lambda module: torchattacks.PGDL2(module, eps=10.0, alpha=0.1, steps=1, random_start=False), net, x, y)
    taken = np.linalg.norm(theirs - x, axis=1) / 0.1
    ours = pgd(net, x, y, 10.0, 2, steps=1, step_size=0.1, random_start=False)
    print(f"batch {batch}: {taken[0]:.3f} of the step")
    np.testing.assert_allclose(np.linalg.norm(ours - x, axis=1), 0.1, rtol=1e-12)
    assert (taken < {1: 0.9, 32: 0.2, 1000: 0.01}[batch]).all()


@pytest.mark.parametrize("library", ["torchattacks", "Foolbox"])
def test_a_library_loses_sight_of_confident_rows_in_single_precision_and_ours_does_not(task, library):
    """Logits times 64 label alike. The libraries climb PyTorch's cross-entropy, whose gradient p_y - 1 rounds to zero."""
    net, x, y = task
    if library == "torchattacks":
        attack = partial(torchattacks.PGD, eps=0.1, alpha=0.00625, steps=40)
    else:
        attack = foolbox_pgd
    left = {}
    for name, model in (("calm", net), ("sure", surer(net, 64))):
        theirs = as_images(attack, model, x, y, torch.float32)
        ours = pgd(model, x.astype(np.float32), y, 0.1, steps=40, bounds=(0, 1))
        left[name] = accuracy(model, theirs, y), accuracy(model, ours, y)
    print(f"accuracy left by {library} and by ours: {left}")
    assert abs(left["calm"][0] - left["calm"][1]) <= 0.03
    assert left["sure"][0] >= left["sure"][1] + 0.1
    assert left["sure"][1] <= left["calm"][1] + 0.03


def foolbox_pgd(module):
    model, attack = foolbox.PyTorchModel(module.eval(), bounds=(0, 1)), foolbox.attacks.LinfPGD(rel_stepsize=0.0625, steps=40)
    return lambda x, y: attack(model, x, y, epsilons=0.1)[1]


def test_foolbox_rescales_where_the_nearest_point_of_the_l_1_ball_is_another():
    rng = np.random.default_rng(0)
    u, center = rng.standard_normal((50, 8)), np.zeros((50, 8))
    attack = foolbox.attacks.L1ProjectedGradientDescentAttack()
    theirs = attack.project(ep.astensor(torch.tensor(u)), ep.astensor(torch.tensor(center)), 1.0).numpy()
    ours = project(u, center, 1.0, 1)
    assert np.abs(ours).sum(axis=1).max() <= 1 + 1e-12 and np.abs(theirs).sum(axis=1).max() <= 1 + 1e-12
    nearer = np.linalg.norm(u - theirs, axis=1) - np.linalg.norm(u - ours, axis=1)
    assert (nearer >= -1e-12).all() and np.median(nearer) > 0.1


@pytest.mark.parametrize("p", P)
def test_arts_projection_is_ours_where_it_is_exact(p):
    rng = np.random.default_rng(1)
    u = rng.standard_normal((40, 9)) * np.logspace(-2, 2, 40)[:, None]
    options = {"suboptimal": False} if p == 1 else {}
    theirs = projection(u.copy(), 1.0, p, **options)
    np.testing.assert_allclose(project(u, np.zeros_like(u), 1.0, p), theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("p", P)
def test_arts_random_points_have_the_same_radii(p):
    np.random.seed(0)
    radius = np.linalg.norm(random_sphere(4000, 5, 2.0, p), ord=p, axis=1)
    ours = np.linalg.norm(sample_ball(4000, 5, 2.0, p, np.random.default_rng(0)), ord=p, axis=1)
    for each in (radius, ours):
        assert kstest((each / 2) ** 5, "uniform").pvalue > 1e-3


# The invariants by which CleverHans tests its best linear step, on our own.


@pytest.mark.parametrize("p", P)
def test_the_best_linear_step_of_known_gradients(p):
    ties, rng = np.array([[2.0, -2.0, 0.0]]), np.random.default_rng(2)
    step = {1: [[0.3, 0.0, 0.0]], 2: [[0.3 / 2**0.5, -0.3 / 2**0.5, 0]], math.inf: [[0.3, -0.3, 0]]}[p]
    np.testing.assert_allclose(linear_maximizer(ties, 0.3, p), step, rtol=1e-15)
    g = rng.standard_normal((100, 20)) * 1e-6  # where a floor under the square root would shorten the step
    np.testing.assert_allclose(np.linalg.norm(linear_maximizer(g, 0.3, p), ord=p, axis=1), 0.3, rtol=1e-12)
    assert not linear_maximizer(np.zeros((3, 4)), 0.3, p).any()


@pytest.mark.parametrize("p", P)
def test_the_network_moves_no_faster_than_its_lipschitz_bound(task, p):
    """RobustBench's question: how far can a logit move, for a step of a given length? No farther than norms multiplied."""
    net, x, y = task
    moved = net.logits(fgsm(net, x, y, 0.01, p)) - net.logits(x)
    q = {1: math.inf, 2: 2, math.inf: 1}[p]
    bound = np.prod([np.linalg.norm(w, ord=2) for w in net.weights])  # in l_2
    inflate = {1: 1, 2: 1, math.inf: math.sqrt(x.shape[1])}[p]
    assert np.linalg.norm(moved, axis=1).max() <= 0.01 * bound * inflate
    linear = MLP([64, 10], np.random.default_rng(0))
    w = linear.weights[0]
    reached = (linear.logits(x + linear_maximizer(np.tile(w[:, 3], (len(x), 1)), 0.01, p)) - linear.logits(x))[:, 3]
    np.testing.assert_allclose(reached, 0.01 * np.linalg.norm(w[:, 3], ord=q), rtol=1e-9)
