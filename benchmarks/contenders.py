"""Who runs: the same weights, the same points, one task. Each contender is a function without arguments that returns what it found.

As a program it is one contender in a process of its own: it prints how much memory a run takes, then runs as often as each
line says that it reads, and prints the seconds of each run and, judged when the clock has stopped, what the last one found. `run.py`
starts one for each, and lets them run in turn.
"""

import json
import sys
import time

import numpy as np

STEPS, SIGMA, ALPHA = 40, 0.25, 0.001
EPS = {64: 0.1, 784: 0.01}  # such that an attack leaves some accuracy


def task(sizes, n, seed=0):
    """A network's layers [(weight, bias)], inputs (n, d) and the labels (n,) that it gives, in single precision."""
    rng = np.random.default_rng(seed)
    pairs = list(zip(sizes, sizes[1:]))
    layers = [(rng.standard_normal(p) * (2 / p[0]) ** 0.5, 0.1 * rng.standard_normal(p[1])) for p in pairs]
    layers = [tuple(part.astype(np.float32) for part in layer) for layer in layers]
    x = rng.random((n, sizes[0]), dtype=np.float32)
    return layers, x, ours(layers).predict(x)


def ours(layers):
    from adv_companion.models import MLP

    sizes = [layers[0][0].shape[0], *(weight.shape[1] for weight, _ in layers)]
    params = np.concatenate([part.ravel() for layer in layers for part in layer])
    return MLP(sizes, np.random.default_rng(0)).with_params(params)


def torch_module(layers):
    import torch

    parts = []
    for weight, bias in layers:
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight.T.copy()))
            linear.bias.copy_(torch.tensor(bias))
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).eval()


def left(layers, x, y, attacked):
    """A result that can be compared: the accuracy that is left, and whether the budget was kept."""
    attacked = np.asarray(attacked, dtype=np.float32)
    return [float(np.mean(ours(layers).predict(attacked) == y)), bool(np.abs(attacked - x).max() < EPS[x.shape[1]] + 1e-6)]


# PGD: 40 steps in l_inf, pixels in [0, 1], a random start.


def pgd_floor(layers, x, y, eps):
    def run():  # nothing but the matrix products, forward and back
        for _ in range(STEPS):
            active, hidden = x, []
            for (weight, _), out in zip(layers, outs):
                hidden.append(active)
                active = np.matmul(active, weight, out=out)
            grad = active
            for (weight, _), before, out in zip(layers[::-1], hidden[::-1], backs[::-1]):
                grad = np.matmul(grad, weight.T, out=out)

    outs = [np.empty((len(x), weight.shape[1]), np.float32) for weight, _ in layers]
    backs = [np.empty((len(x), weight.shape[0]), np.float32) for weight, _ in layers]
    return run


def pgd_ours(layers, x, y, eps, n_jobs=None):
    from adv_companion.attacks import pgd

    model = ours(layers)
    return lambda: pgd(model, x, y, eps, steps=STEPS, bounds=(0, 1), n_jobs=n_jobs)


def pgd_ours_shared(layers, x, y, eps):
    return pgd_ours(layers, x, y, eps, n_jobs=2)


def pgd_ours_torch(layers, x, y, eps):
    import torch

    from adv_companion.attacks import pgd
    from adv_companion.pytorch import TorchModel

    model, points, labels = TorchModel(torch_module(layers)), torch.tensor(x), torch.tensor(y)
    return lambda: pgd(model, points, labels, eps, steps=STEPS, bounds=(0, 1))


def pgd_torch(layers, x, y, eps):
    import torch

    module, points, labels = torch_module(layers), torch.tensor(x), torch.tensor(y)
    loss, size = torch.nn.CrossEntropyLoss(), 2.5 * eps / STEPS

    def run():
        z = (points + eps * (2 * torch.rand_like(points) - 1)).clamp(0, 1)
        for _ in range(STEPS):
            z.requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss(module(z), labels), z)
            with torch.no_grad():
                z = points + (z + size * gradient.sign() - points).clamp(-eps, eps)
                z = z.clamp(0, 1)
        return z

    return run


def pgd_torchattacks(layers, x, y, eps):
    import torch
    import torchattacks

    module, points, labels = torch_module(layers), torch.tensor(x), torch.tensor(y)
    attack = torchattacks.PGD(module, eps=eps, alpha=2.5 * eps / STEPS, steps=STEPS)
    return lambda: attack(points, labels).detach()


def pgd_foolbox(layers, x, y, eps):
    import foolbox
    import torch

    model = foolbox.PyTorchModel(torch_module(layers), bounds=(0, 1))
    points, labels = torch.tensor(x), torch.tensor(y)
    attack = foolbox.attacks.LinfPGD(rel_stepsize=2.5 / STEPS, steps=STEPS)
    return lambda: attack(model, points, labels, epsilons=eps)[1].detach()


def pgd_art(layers, x, y, eps):
    import torch
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    module, classes = torch_module(layers), layers[-1][0].shape[1]
    shape = {"input_shape": (x.shape[1],), "nb_classes": classes, "clip_values": (0, 1), "device_type": "cpu"}
    model = PyTorchClassifier(module, loss=torch.nn.CrossEntropyLoss(), **shape)
    options = {"eps": eps, "eps_step": 2.5 * eps / STEPS, "max_iter": STEPS, "num_random_init": 1}
    attack = ProjectedGradientDescent(model, **options, batch_size=len(x), verbose=False)
    return lambda: attack.generate(x, y)


# Certification of 50 points with n = 10 000 votes.

POINTS, VOTES, FIRST = 50, 10_000, 100


def seen(layers, x, y, certified):
    """A result that can be compared: how many points are certified, and the mean radius."""
    classes, radii = (np.asarray(part) for part in certified)
    return [int((classes >= 0).sum()), round(float(np.where(classes >= 0, radii, 0).mean()), 4)]


def certify_floor(layers, x, y):
    noise = np.zeros((VOTES, x.shape[1]), np.float32)

    def run():
        for _ in range(POINTS):
            active = noise
            for weight, _ in layers:
                active = active @ weight

    return run


def certify_ours(layers, x, y, n_jobs=2):
    from adv_companion.smoothing import SmoothedClassifier

    smooth = SmoothedClassifier(ours(layers), SIGMA, layers[-1][0].shape[1])
    rng = np.random.default_rng(0)
    return lambda: smooth.certify(x[:POINTS], FIRST, VOTES, ALPHA, rng, n_jobs=n_jobs)


def certify_torch(layers, x, y):
    """What Cohen, Rosenfeld and Kolter (2019) describe, in plain PyTorch, in batches of 1000."""
    import torch
    from scipy.stats import beta, norm

    module, points, classes = torch_module(layers), torch.tensor(x[:POINTS]), layers[-1][0].shape[1]

    def votes(point, n):
        counts = torch.zeros(classes, dtype=torch.int64)
        with torch.no_grad():
            for _ in range(0, n, 1000):
                batch = point.repeat(min(1000, n), 1)
                batch = batch + SIGMA * torch.randn_like(batch)
                counts += torch.bincount(module(batch).argmax(dim=1), minlength=classes)
        return counts.numpy()

    def run():
        found = []
        for point in points:
            label = int(votes(point, FIRST).argmax())
            count = votes(point, VOTES)[label]
            p = beta.ppf(ALPHA, count, VOTES - count + 1)
            found.append((label, SIGMA * norm.ppf(p)) if p > 0.5 else (-1, 0.0))
        return tuple(zip(*found))

    return run


def certify_art(layers, x, y):
    import torch
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    classes = layers[-1][0].shape[1]
    model = PyTorchRandomizedSmoothing(
        torch_module(layers), loss=torch.nn.CrossEntropyLoss(), input_shape=(x.shape[1],), nb_classes=classes,
        sample_size=FIRST, scale=SIGMA, alpha=ALPHA, device_type="cpu",
    )  # fmt: skip
    return lambda: model.certify(x[:POINTS], n=VOTES, batch_size=1000)


def memory(what):
    """MiB of this process: "VmRSS" what it holds now, "VmHWM" the most since the mark was reset (Linux)."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(what))


def added(run):
    """The most memory that a run takes, in MiB, above what the process held before."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the mark
    before = memory("VmRSS")
    run()
    return memory("VmHWM") - before


def main():
    name, sizes = sys.argv[1], [int(size) for size in sys.argv[2].split("-")]
    layers, x, y = task(sizes, 1000)
    run = globals()[name](layers, x, y, *([EPS[sizes[0]]] if name.startswith("pgd") else []))
    print(json.dumps(added(run)), flush=True)  # a first time, for whatever is made once
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            found = run()
            seconds.append(time.perf_counter() - start)
        judge = left if name.startswith("pgd") else seen
        print(json.dumps([seconds, [] if name.endswith("floor") else judge(layers, x, y, found)]), flush=True)


if __name__ == "__main__":
    main()
