"""The same lines on NumPy arrays and on PyTorch tensors."""

import math
import re

import numpy as np
import pytest
import test_arguments
import torch
from helpers import surer
from twins import twin

from adv_companion import attacks, pytorch
from adv_companion.attacks import fgsm, pgd, robust_accuracy
from adv_companion.models import MLP
from adv_companion.norms import dual_norm, linear_maximizer, project, sample_ball
from adv_companion.pytorch import TorchModel
from adv_companion.smoothing import SmoothedClassifier

pytestmark = pytest.mark.filterwarnings("default")  # PyTorch and NumPy warn of their dealings
P = [1, 2, math.inf]
RNG = np.random.default_rng(0)
NET = MLP([12, 20, 5], RNG)
X, Y = RNG.random((30, 12)), RNG.integers(0, 5, 30)
XT, YT = torch.tensor(X), torch.tensor(Y)
TWIN = TorchModel(twin(NET))
LABELS = pytorch._checks.labels


def test_the_adapter_is_the_network():
    loss, gradient = TWIN.loss_and_input_grad(XT, YT)
    wanted = NET.loss_and_input_grad(X, Y)
    np.testing.assert_allclose(TWIN.logits(XT), NET.logits(X), rtol=1e-12)
    np.testing.assert_array_equal(TWIN.predict(XT), NET.predict(X))
    np.testing.assert_allclose(loss, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, wanted[1], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(TWIN.loss(XT, YT), wanted[0], rtol=1e-12)
    assert not gradient.requires_grad and not XT.requires_grad


@pytest.mark.parametrize("p", P)
def test_norms_on_tensors(p):
    g = RNG.standard_normal((9, 6))
    center = np.full_like(g, 0.5)
    pairs = [
        (linear_maximizer(torch.tensor(g), 0.3, p), linear_maximizer(g, 0.3, p)),
        (dual_norm(torch.tensor(g), p), dual_norm(g, p)),
        (project(torch.tensor(g), torch.tensor(center), 0.3, p), project(g, center, 0.3, p)),
        (project(torch.tensor(g), torch.tensor(center), 0.3, p, (0, 1)), project(g, center, 0.3, p, (0, 1))),
        (sample_ball(9, 6, 0.3, p, np.random.default_rng(1), like=XT), sample_ball(9, 6, 0.3, p, np.random.default_rng(1))),
    ]
    for tensor, array in pairs:
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_allclose(tensor, array, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("p", P)
@pytest.mark.parametrize("options", [{}, {"targeted": True}, {"restarts": 3}, {"random_start": False}], ids=str)
def test_attacks_on_tensors(p, options):
    before = XT.clone()
    found = pgd(TWIN, XT, YT, 0.3, p, steps=10, **options)
    assert isinstance(found, torch.Tensor) and found.dtype == XT.dtype and torch.equal(XT, before)
    np.testing.assert_allclose(found, pgd(NET, X, Y, 0.3, p, steps=10, **options), atol=1e-9)
    np.testing.assert_allclose(fgsm(TWIN, XT, YT, 0.3, p, (0, 1)), fgsm(NET, X, Y, 0.3, p, (0, 1)), atol=1e-12)


def test_a_walk_looks_at_the_labels_once(monkeypatch):
    looks = []
    monkeypatch.setattr(pytorch._checks, "labels", lambda *given, **options: looks.append(given[0]) or LABELS(*given, **options))
    pgd(TWIN, XT, YT, 0.3, steps=10, restarts=2)
    assert looks == ["y"] * 3  # the attack itself, and each restart


@pytest.mark.parametrize("wrong, message", [(YT + 5, "labels 0 to 4"), (YT * 1.0, "integer labels"), (YT[:3], "shape")])
def test_wrong_labels_are_refused_by_name(wrong, message):
    for call in (TWIN.loss, TWIN.loss_and_input_grad, lambda x, y: TWIN.for_labels(y).log_odds(x)):
        with pytest.raises(ValueError, match=f"^y must .*{message}"):
            call(XT, wrong)


def test_workers_do_not_cut_a_tensor(monkeypatch):
    monkeypatch.setattr(attacks, "BLOCK", 1)
    monkeypatch.setattr(attacks, "ROWS", 1)
    assert len(attacks._blocks(XT, 2)) == 1 and len(attacks._blocks(X, 2)) == 16
    np.testing.assert_array_equal(pgd(TWIN, XT, YT, 0.3, n_jobs=2), pgd(TWIN, XT, YT, 0.3))


def test_robust_accuracy_and_certificates_on_tensors():
    def attack(model, x, y):
        return pgd(model, x, y, 0.1, bounds=(0, 1))

    assert robust_accuracy(TWIN, XT, YT, attack) == robust_accuracy(NET, X, Y, attack)
    classes, radii = SmoothedClassifier(TWIN, 0.3, 5).certify(XT, 50, 500, 0.01, np.random.default_rng(1))
    wanted = SmoothedClassifier(NET, 0.3, 5).certify(X, 50, 500, 0.01, np.random.default_rng(1))
    np.testing.assert_array_equal(classes, wanted[0])
    np.testing.assert_array_equal(radii, wanted[1])


def test_images_in_single_precision():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Dropout(), torch.nn.Flatten(), torch.nn.Linear(64, 5))
    model, x = TorchModel(module, shape=(3, 6, 6)), torch.rand(7, 108)
    y = model.predict(x)
    found = pgd(model, x, y, 0.1, bounds=(0, 1))
    assert found.shape == x.shape and found.dtype == torch.float32
    assert (found - x).abs().max() <= 0.1 and found.min() >= 0 and found.max() <= 1
    assert (model.loss(found, y) >= model.loss(x, y)).all()
    torch.testing.assert_close(model.logits(x), model.module(x.reshape(-1, 3, 6, 6)))


@pytest.mark.parametrize("scale", [1, 32, 1024])
def test_a_sure_module_in_single_precision_keeps_its_losses_and_gradients(scale):
    """PyTorch's cross-entropy does not: p_y - 1 rounds to zero at a gap of 17."""
    net = surer(NET, scale)
    y = net.predict(X)
    model, x = TorchModel(twin(net, torch.float32)), torch.tensor(X, dtype=torch.float32)
    wanted = net.loss_and_input_grad(x.numpy().astype(float), y)
    loss, gradient = (found.numpy().astype(float) for found in model.loss_and_input_grad(x, torch.tensor(y)))
    in_range = wanted[0] > 1e-30
    assert in_range.mean() > 0.1
    np.testing.assert_allclose(np.log(loss[in_range]), np.log(wanted[0][in_range]), rtol=1e-3, atol=1e-3)
    gradient, exact = gradient[in_range], wanted[1][in_range]
    cosine = np.sum(gradient * exact, axis=1) / np.linalg.norm(gradient, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() > 1 - 1e-6


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", P)
def test_however_sure_a_module_of_two_classes_is_it_is_attacked_alike(p, kind):
    net = MLP([12, 20, 2], np.random.default_rng(2))
    x, y = XT.to(kind), torch.tensor(net.predict(X))
    calm, sure = TorchModel(twin(net, kind)), TorchModel(twin(surer(net, 2**14), kind))
    assert torch.equal(pgd(sure, x, y, 0.1, p), pgd(calm, x, y, 0.1, p))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_be_of_any_integer_type(kind):
    wide = TorchModel(torch.nn.Linear(12, 256, dtype=torch.float64))  # as many classes as uint8 has values
    for model in (TWIN, wide):
        assert torch.equal(pgd(model, XT, YT.to(kind), 0.1), pgd(model, XT, YT, 0.1))
        assert attacks.accuracy(model, XT, YT.to(kind)) == attacks.accuracy(model, XT, YT)


def test_accuracy_takes_labels_as_arrays_and_lists():
    right = TWIN.predict(XT)
    for y in (right, right.numpy(), right.tolist()):
        assert attacks.accuracy(TWIN, XT, y) == 1 and robust_accuracy(TWIN, XT, y, lambda model, x, y: x) == 1


def test_a_module_set_to_training_is_attacked_as_it_will_be_used():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(12), torch.nn.Dropout(0.5), torch.nn.Linear(12, 5)).double()
    model = TorchModel(module)
    wanted, kept = model.logits(XT), module[0].running_mean.clone()
    for use in (model.logits, lambda x: pgd(model, x, YT, 0.1)):
        module.train()
        first = use(XT)
        module.train()
        assert torch.equal(first, use(XT))
    assert torch.equal(model.logits(XT), wanted) and torch.equal(module[0].running_mean, kept)


def test_a_module_that_writes_on_its_input_changes_nobody_elses():
    last = torch.nn.Linear(12, 5).double()
    hasty, calm = (torch.nn.Sequential(torch.nn.ReLU(inplace=inplace), last) for inplace in (True, False))
    x = XT - 0.5
    before = x.clone()
    for use in (lambda model: model.logits(x), lambda model: pgd(model, x, YT, 0.1)):
        assert torch.equal(use(TorchModel(hasty)), use(TorchModel(calm))) and torch.equal(x, before)
        use(TorchModel(hasty[:1]))  # a module without a precision of its own
        assert torch.equal(x, before)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_a_module_of_lower_precision_is_attacked_in_that_of_the_rows(kind):
    model = TorchModel(twin(NET, kind))
    found = pgd(model, XT, YT, 0.1)
    assert found.dtype == torch.float64 and (found - XT).abs().max() <= 0.1
    np.testing.assert_allclose(TWIN.loss(found, YT), TWIN.loss(pgd(TWIN, XT, YT, 0.1), YT), rtol=0.05, atol=0.05)
    classes, _ = SmoothedClassifier(model, 0.05, 5).certify(XT, 20, 200, 0.01, np.random.default_rng(0))
    wanted, _ = SmoothedClassifier(TWIN, 0.05, 5).certify(XT, 20, 200, 0.01, np.random.default_rng(0))
    assert np.mean(classes == wanted) >= 0.9
    assert pgd(model, XT.to(kind), YT, 0.1).dtype == (kind if kind == torch.float32 else torch.float64)


def test_losses_of_half_logits_have_more_digits_than_these():
    model = TorchModel(twin(NET, torch.float16))
    wanted = torch.nn.functional.cross_entropy(model.logits(XT).double(), YT, reduction="none")
    np.testing.assert_allclose(model.loss(XT, YT), wanted, rtol=1e-5)


def test_a_module_of_two_precisions_is_given_its_rows_as_they_are():
    body, head = torch.nn.Linear(12, 9), torch.nn.Linear(9, 5).bfloat16()
    mixed = torch.nn.Sequential(body, torch.nn.ReLU(), Answers(lambda x: x.bfloat16()), head)
    single = torch.nn.Sequential(head, Answers(lambda x: x.float()))
    for module, x in ((mixed, XT.float()), (single, XT[:, :9].float())):
        found = pgd(TorchModel(module), x, YT, 0.1)
        assert found.dtype == torch.float32 and not torch.equal(found, x)


def test_attacks_work_in_inference_mode_and_on_its_tensors():
    wanted = pgd(TWIN, XT, YT, 0.1), fgsm(TWIN, XT, YT, 0.1)
    with torch.inference_mode():
        x, y = XT.clone(), YT.clone()
        inside = pgd(TWIN, x, y, 0.1), fgsm(TWIN, x, y, 0.1)
        assert TWIN.loss_and_input_grad(x, y)[1].shape == x.shape
    for found in (inside, (pgd(TWIN, x, y, 0.1), fgsm(TWIN, x, y, 0.1))):
        assert all(torch.equal(here, there) for here, there in zip(found, wanted))


class Answers(torch.nn.Module):
    """Gives whatever it is told to make of its input."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize("answer", [lambda x: x[:, :1], lambda x: x[:, 0], lambda x: (x, x), lambda x: x[:2], lambda x: x.numpy()])
def test_answers_that_are_no_logits_are_refused_by_every_use(answer):
    model = TorchModel(Answers(answer))
    smooth = SmoothedClassifier(model, 0.3, 5)
    uses = [lambda: model.logits(XT), lambda: model.loss(XT, 0 * YT), lambda: attacks.accuracy(model, XT, YT)]
    uses += [lambda: smooth.certify(XT, 10, 100, 0.1, np.random.default_rng(0))]
    for use in uses:
        with pytest.raises(ValueError, match="^module must give logits \\(n, k\\) of k >= 2 classes, got "):
            use()


def test_logits_that_are_not_numbers_cast_no_vote():
    model = TorchModel(Answers(lambda x: x.sqrt()))
    with pytest.raises(ValueError, match="^module must give numbers, got NaN"):
        SmoothedClassifier(model, 0.3, 12).certify(XT, 10, 100, 0.1, np.random.default_rng(0))


def test_rows_of_another_size_or_library_are_refused_by_name():
    images = TorchModel(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 5)), shape=(1, 2, 3))
    for rows in (torch.zeros(4, 12), torch.zeros(4, 3), torch.zeros(4, 7)):
        with pytest.raises(ValueError, match="^x must have 6 columns, for inputs of shape"):
            images.predict(rows)
        with pytest.raises(ValueError, match="^x must have 6 columns"):
            pgd(images, rows, torch.zeros(4, dtype=int), 0.1)
    for use in (attacks.accuracy, lambda *batch: pgd(*batch, 0.1), lambda *batch: fgsm(*batch, 0.1)):
        with pytest.raises(ValueError, match="^x must be a PyTorch tensor, as the model is a TorchModel, got ndarray"):
            use(TWIN, X, Y)


def test_what_is_no_module_or_no_row_is_refused():
    with pytest.raises(ValueError, match="^module must be a torch.nn.Module"):
        TorchModel(NET)
    with pytest.raises(ValueError, match="^shape must be a list of integers"):
        TorchModel(twin(NET), shape=3)
    with pytest.raises(ValueError, match="^x must have 2 dimension"):
        TWIN.logits(XT[0])
    with pytest.raises(ValueError, match="^y must hold labels 0 to 4"):
        TWIN.loss(XT, YT + 5)
    with pytest.raises(ValueError, match="^module must give logits"):
        TorchModel(torch.nn.Linear(12, 1, dtype=torch.float64)).loss(XT, 0 * YT)
    with pytest.raises(ValueError, match="^x must be finite"):
        pgd(TWIN, XT * math.nan, YT, 0.1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # few votes, for speed
@pytest.mark.parametrize("function, good, arrays", test_arguments.calls().values(), ids=test_arguments.calls())
def test_a_tensor_is_as_good_as_an_array_or_refused_by_name(function, good, arrays):
    """Nothing silently turns one library's numbers into the other's, nor fails somewhere inside."""
    try:
        found = test_arguments.result(function, good, torch.tensor, arrays)
    except ValueError as error:
        assert re.match(rf"({'|'.join(arrays)}|model) must ", str(error)), error
    else:
        wanted = test_arguments.result(function, good)
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, atol=1e-12)
