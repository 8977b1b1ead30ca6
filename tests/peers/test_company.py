"""A public library on the same weights, workers in other processes, and a store that knows a module again."""

import pickle
import subprocess
import sys
import threading
from collections import OrderedDict

import foolbox
import joblib
import numpy as np
import pytest
import torch
from dask.distributed import Client, LocalCluster
from helpers import assert_ends_when_interrupted
from test_pytorch import NET, TWIN, XT, YT, X, Y
from twins import twin

from adv_companion import attacks, smoothing
from adv_companion._store import fingerprint
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


CERTIFY_AND_COUNT = """
import sys, joblib, numpy, torch
from adv_companion.pytorch import TorchModel
from adv_companion.smoothing import SmoothedClassifier

folder, scale, rows = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
net = torch.nn.Linear(12, 5)
net.weight.data *= scale
asked, logits = [], TorchModel.logits
TorchModel.logits = lambda model, x: asked.append(len(x)) or logits(model, x)
x = torch.linspace(-1, 1, 60).reshape(5, 12)[:rows]
smooth, memory = SmoothedClassifier(TorchModel(net), 0.3, 5), joblib.Memory(folder, verbose=0)
print(smooth.certify(x, 10, 50, 0.01, numpy.random.default_rng(2), memory=memory), sum(asked))
"""


def test_the_store_knows_model_and_points_again_in_another_process(tmp_path):
    def certified(scale, rows):
        command = [sys.executable, "-W", "ignore", "-c", CERTIFY_AND_COUNT, str(tmp_path), str(scale), str(rows)]
        found, _, answers = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().rpartition(" ")
        return found, int(answers)

    assert certified(1, 3)[1] == 3 * 60
    whole = certified(1, 5)
    assert whole[1] == 2 * 60  # of the three before, nothing is asked again
    assert certified(1, 5) == (whole[0], 0)
    assert certified(2, 5)[1] == 5 * 60  # another model


INTERRUPTED = """
import os, signal, numpy, torch
from adv_companion.pytorch import TorchModel
from adv_companion.smoothing import SmoothedClassifier

signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, 5))
smooth = SmoothedClassifier(TorchModel(net), 0.3, 5)
x = torch.rand(9, 12)
smooth.certify(x, 10, 100, 0.01, numpy.random.default_rng(0), n_jobs=2)
net.register_forward_hook(lambda *call: os.write(1, b"x") and None)
smooth.certify(x, 10, 10**8, 0.01, numpy.random.default_rng(0), n_jobs=2)
"""


def test_an_interrupted_certification_ends_the_program_at_once_and_without_a_crash():
    assert_ends_when_interrupted(INTERRUPTED)


def known(module):
    return fingerprint(TorchModel(module))


def test_models_that_answer_otherwise_are_other_models_to_the_store():
    def chain(*order, seed=0):
        torch.manual_seed(seed)
        parts = {"a": torch.nn.Linear(6, 6), "b": torch.nn.ReLU(), "c": torch.nn.Linear(6, 3)}
        return torch.nn.Sequential(OrderedDict((name, parts[name]) for name in order))

    assert known(chain("a", "b", "c")) == known(chain("a", "b", "c"))
    others = [chain("b", "a", "c"), chain("a", "b", "c", seed=1), chain("a", "b", "c").double(), chain("a", "b", "c").bfloat16()]
    assert len({known(module) for module in [chain("a", "b", "c"), *others]}) == 5
    assert known(chain("a", "b", "c").bfloat16()) == known(chain("a", "b", "c").bfloat16())


def test_tensors_of_other_shapes_and_types_are_told_apart():
    zeros = [torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 3, dtype=torch.float64)]
    assert len({fingerprint(each) for each in zeros}) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda scale: torch.quantize_per_tensor(torch.ones(4), scale, 0, torch.qint8),
        lambda scale: (scale * torch.eye(3)).to_sparse(),
        lambda scale: torch.full((3,), scale * 1j).conj(),
    ],
)
def test_tensors_of_other_kinds_are_told_apart(make):
    assert fingerprint(make(1.0)) != fingerprint(make(2.0))


def test_a_model_without_a_pickle_is_refused_by_a_store(tmp_path):
    module = torch.nn.Linear(12, 5)
    module.lock = threading.Lock()
    for unknown in (module, torch.jit.trace(torch.nn.Linear(12, 5), torch.zeros(1, 12))):
        smooth = SmoothedClassifier(TorchModel(unknown), 0.3, 5)
        with pytest.raises(ValueError, match="^model must have a pickle, by which memory knows it: "):
            smooth.certify(torch.zeros(1, 12), 9, 99, 0.5, np.random.default_rng(0), memory=joblib.Memory(tmp_path, verbose=0))


class Counted(TorchModel):
    asked = []

    def predict(self, x):
        Counted.asked.append(len(x))
        return super().predict(x)


def test_the_store_knows_a_module_again_that_was_set_to_training(tmp_path):
    module = twin(NET)
    smooth, memory = SmoothedClassifier(Counted(module), 0.3, 5), joblib.Memory(tmp_path, verbose=0)
    module.train()
    for points, answers in ((XT, 30 * 60), (XT.clone(), 0), (XT + 0.1, 30 * 60)):
        Counted.asked.clear()
        smooth.certify(points, 10, 50, 0.01, np.random.default_rng(2), memory=memory)
        assert sum(Counted.asked) == answers


def test_a_task_carries_its_own_row_alone(monkeypatch):
    sizes = []
    monkeypatch.setattr(smoothing, "_tally", lambda noisy, point, *others: sizes.append(len(pickle.dumps(point))) or [[9, 0], [9, 0]])
    SmoothedClassifier(TWIN, 0.3, 2).certify(torch.zeros(5000, 12), 9, 9, 0.5, np.random.default_rng(0))
    assert len(sizes) == 5000 and max(sizes) < 2000
