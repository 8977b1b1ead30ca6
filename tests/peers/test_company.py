"""A public library on the same weights, workers in other processes, and a store that knows a module again."""

import foolbox
import joblib
import numpy as np
import torch
from dask.distributed import Client, LocalCluster
from test_pytorch import NET, TWIN, XT, YT, X, Y
from twins import twin

from adv_companion import attacks
from adv_companion.attacks import fgsm, pgd
from adv_companion.pytorch import TorchModel
from adv_companion.smoothing import SmoothedClassifier


def test_foolbox_makes_the_same_fgsm_and_no_stronger_pgd():
    theirs = foolbox.PyTorchModel(twin(NET).eval(), bounds=(0, 1))
    one = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    found = one(theirs, XT, YT, epsilons=0.1)[1]
    np.testing.assert_allclose(found, fgsm(TWIN, XT, YT, 0.1, bounds=(0, 1)), atol=1e-12)
    many = foolbox.attacks.LinfPGD(rel_stepsize=2.5 / 20, steps=20, random_start=False)
    last = many(theirs, XT, YT, epsilons=0.1)[1]
    ours = pgd(TWIN, XT, YT, 0.1, steps=20, random_start=False, bounds=(0, 1))
    assert (TWIN.loss(ours, YT) >= TWIN.loss(last, YT) - 1e-12).all()


def test_a_cluster_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(attacks, "BLOCK", X.size // 2)
    monkeypatch.setattr(attacks, "ROWS", 1)
    smooth, options = SmoothedClassifier(NET, 0.3, 5), dict(steps=5, restarts=4, bounds=(0, 1))

    def results(n_jobs):
        certified = [smooth.certify(x, 50, 500, 0.01, np.random.default_rng(2)) for x in (X, X.astype(np.float32))]
        return *certified, pgd(NET, X, Y, 0.2, **options), pgd(NET, X, Y, 0.2, **options, n_jobs=n_jobs)

    wanted = results(n_jobs=1)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster):
        with joblib.parallel_config("dask"):
            found = results(n_jobs=2)
    for here, there in zip(wanted, found):
        np.testing.assert_array_equal(there, here)


class Counting(torch.nn.Module):
    asked = 0

    def forward(self, x):
        Counting.asked += 1
        return x @ torch.ones(12, 5, dtype=x.dtype) * torch.arange(5)


def test_a_module_is_known_again_by_the_store(tmp_path):
    def certify():
        smooth = SmoothedClassifier(TorchModel(Counting()), 0.3, 5)
        return smooth.certify(XT, 10, 50, 0.01, np.random.default_rng(2), memory=joblib.Memory(tmp_path, verbose=0))

    first, asked = certify(), Counting.asked
    np.testing.assert_array_equal(certify(), first)
    assert asked > 0 and Counting.asked == asked
