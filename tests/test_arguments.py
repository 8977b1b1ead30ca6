"""Every argument of every public function: bad values are refused by name, and no form of a good one matters.

The bad values stand in tables beside the tests of each module, ``refusals(...)``. Here it is seen that no argument has
been forgotten, and the good values of those tables are given again in other forms.
"""

import copy
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import (
    NOT_A_BUDGET,
    NOT_A_GENERATOR,
    NOT_BINARY_LABELS,
    NOT_INPUTS,
    RAGGED,
    assert_refused,
    not_an_array,
    refusals,
)

import adv_companion
from adv_companion.attacks import accuracy, fgsm, pgd, robust_accuracy, smallest_budget
from adv_companion.dann import DomainAdversarialNetwork
from adv_companion.danskin import danskin_gradient, finite_difference_gradient, moving_point_term, one_sided_slopes, robust_loss
from adv_companion.evaluation import PassCounter, Rounded, masking_report, sign_search, worst_case
from adv_companion.gan import generator_gradient, train_gan
from adv_companion.models import MLP, LogisticRegression, Network
from adv_companion.norms import sample_ball
from adv_companion.smoothing import NoiseAveraged, SmoothedClassifier
from adv_companion.training import Adam, train

# Without checks by design, for use inside loops whose callers have checked; and what only draws.
UNCHECKED = {"steepest", "nearest", "box_around", "scatter_classes", "Listing", "Slider"}


# Arguments of a kind that many modules share: models, functions, flags. All others stand in the modules' own tables.

NOT_A_MODEL = {"None": None, "array": np.eye(2), "function": np.sign, "class of another kind": object()}
NOT_A_FUNCTION = {"number": 1.0, "text": "pgd", "array": np.eye(2)}
NO_FUNCTION = NOT_A_FUNCTION | {"None": None}
NOT_A_FLAG = {"number": 1, "text": "no", "None": None, "list": []}
NOT_JOBS = {"zero": 0, "float": 2.0, "text": "all", "bool": True}
NOT_A_STORE = {"text": "folder", "number": 1}
BINARY_OF_ANY_LENGTH = {what: bad for what, bad in NOT_BINARY_LABELS.items() if "too" not in what}
NOT_X = NOT_INPUTS | {"another width": np.ones((2, 3))}

RNG = np.random.default_rng(0)
NET = MLP([2, 3, 2], RNG)
LINE = LogisticRegression([1.0, 2.0], 0.5)
STAIRS, COUNTER = Rounded(LINE, 0.1, 3.0), PassCounter(LINE)
ADAPTED = DomainAdversarialNetwork((2, 3), (2,), (), 1.0, RNG)
SMOOTH = SmoothedClassifier(LINE, 0.5, 2)
X = {"x": np.eye(2)}
BATCH = X | {"y": np.array([0, 1])}
TASK = {"model": LINE} | BATCH
ATTACKED = TASK | {"attack": lambda model, x, y: x}
PAIR = {"x_source": np.eye(2), "y_source": np.array([0, 1]), "x_target": np.eye(2)}
FIT = PAIR | {"epochs": 1, "batch_size": 2, "lr": 0.1, "rng": RNG}
PLAYERS = {"generator": Network([2, 3], RNG), "discriminator": MLP([3, 2], RNG)}
GAN = PLAYERS | {"sample": lambda n, rng: np.ones((n, 3)), "steps": 1, "batch_size": 2, "lr": 0.1, "rng": RNG}
TRAIN = TASK | {"epochs": 1, "batch_size": 2, "lr": 0.1, "rng": RNG}
CERTIFY = X | {"n0": 2, "n": 9, "alpha": 0.1, "rng": RNG}
ON_X = [STAIRS.predict, COUNTER.logits, COUNTER.predict]
ON_X += [ADAPTED.features, ADAPTED.logits, ADAPTED.predict, ADAPTED.domain_predict]
ON_BATCH = [STAIRS.loss, STAIRS.loss_and_input_grad, COUNTER.loss, COUNTER.loss_and_input_grad, COUNTER.loss_and_param_grad]
ON_BATCH += [ADAPTED.loss, ADAPTED.loss_and_input_grad]

SHARED = [
    *refusals(fgsm, TASK | {"eps": 0.1}, model=NOT_A_MODEL),
    *refusals(pgd, TASK | {"eps": 0.1, "steps": 1}, model=NOT_A_MODEL, random_start=NOT_A_FLAG, targeted=NOT_A_FLAG),
    *refusals(pgd, TASK | {"eps": 0.1, "steps": 1}, n_jobs=NOT_JOBS, progress=NOT_A_FLAG),
    *refusals(accuracy, TASK, model=NOT_A_MODEL),
    *refusals(robust_accuracy, ATTACKED, model=NOT_A_MODEL, attack=NO_FUNCTION),
    *refusals(smallest_budget, TASK | {"budgets": [1.0]}, model=NOT_A_MODEL),
    *refusals(robust_loss, ATTACKED, model=NOT_A_MODEL, y=NOT_BINARY_LABELS, attack=NO_FUNCTION),
    *refusals(danskin_gradient, ATTACKED, model=NOT_A_MODEL, y=NOT_BINARY_LABELS, attack=NO_FUNCTION),
    *refusals(moving_point_term, ATTACKED | {"direction": np.ones(3)}, model=NOT_A_MODEL, y=NOT_BINARY_LABELS, attack=NO_FUNCTION),
    *refusals(finite_difference_gradient, {"function": np.sum, "params": np.ones(2)}, function=NO_FUNCTION),
    *refusals(one_sided_slopes, {"function": np.sum, "params": np.ones(2), "direction": np.ones(2)}, function=NO_FUNCTION),
    *refusals(masking_report, TASK | {"eps": 0.1, "substitute": LINE}, model=NOT_A_MODEL),
    *refusals(masking_report, TASK | {"eps": 0.1}, substitute={what: bad for what, bad in NOT_A_MODEL.items() if what != "None"}),
    *refusals(sign_search, TASK | {"eps": 0.1, "queries": 1}, model=NOT_A_MODEL),
    *refusals(worst_case, TASK | {"candidates": []}, model=NOT_A_MODEL),
    *refusals(Rounded, {"model": LINE, "step": 0.1}, model=NOT_A_MODEL),
    *refusals(PassCounter, {"model": LINE}, model=NOT_A_MODEL),
    *refusals(COUNTER.with_params, {"params": np.ones(3)}, params=not_an_array(3)),
    *refusals(STAIRS.staircase, X, x=NOT_INPUTS),
    *[row for method in ON_X for row in refusals(method, X, x=NOT_X)],
    *[row for method in ON_BATCH for row in refusals(method, BATCH, x=NOT_X, y=NOT_BINARY_LABELS)],
    *[row for model in (NET, LINE) for row in refusals(model.for_labels, {"y": np.array([0, 1])}, y=BINARY_OF_ANY_LENGTH)],
    *refusals(NET.with_input_noise, X | {"sigma": 0.5}, x=NOT_X, sigma=NOT_A_BUDGET | {"zero": 0}),
    *refusals(DomainAdversarialNetwork, {"feature_sizes": (2, 3), "label_sizes": (2,), "domain_hidden": (), "lambda_": 1, "rng": RNG}, rng=NOT_A_GENERATOR),
    *refusals(ADAPTED.fit, FIT, schedule=NOT_A_FUNCTION, after_epoch=NOT_A_FUNCTION),
    *refusals(generator_gradient, PLAYERS | {"z": np.ones((2, 2))}, generator=NOT_A_MODEL, discriminator=NOT_A_MODEL, saturating=NOT_A_FLAG),
    *refusals(train_gan, GAN, generator=NOT_A_MODEL, discriminator=NOT_A_MODEL, saturating=NOT_A_FLAG, sample=NO_FUNCTION, after_step=NOT_A_FUNCTION),
    *refusals(sample_ball, {"n": 1, "d": 2, "eps": 1, "p": 2, "rng": RNG, "like": np.array([0.5])}, like={"text": "cpu", "ragged": RAGGED, "integers": np.ones(2, int)}),
    *refusals(SMOOTH.certify, CERTIFY, n_jobs=NOT_JOBS, progress=NOT_A_FLAG, memory=NOT_A_STORE),
    *refusals(Adam(0.1).descend, {"params": np.ones(3), "gradient": np.ones(3)}, params=not_an_array(3), gradient=not_an_array(3)),
    *refusals(train, TRAIN, model=NOT_A_MODEL, attack=NOT_A_FUNCTION, after_epoch=NOT_A_FUNCTION),
]


@pytest.mark.parametrize("function, good, name, value", SHARED)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)


# A model must have each method that is called, and is asked for no other.

METHODS = ["predict", "logits", "loss", "loss_and_input_grad", "loss_and_param_grad", "with_params"]
NEEDS = [
    (fgsm, TASK | {"eps": 0.1}, ["loss_and_input_grad"]),
    (pgd, TASK | {"eps": 0.1, "steps": 1}, ["loss", "loss_and_input_grad"]),
    (accuracy, TASK, ["predict"]),
    (robust_accuracy, ATTACKED, ["predict"]),
    (smallest_budget, TASK | {"budgets": [1.0]}, ["predict", "loss", "loss_and_input_grad"]),
    (robust_loss, ATTACKED, ["loss"]),
    (danskin_gradient, ATTACKED, ["loss_and_param_grad"]),
    (moving_point_term, ATTACKED | {"direction": np.ones(3)}, ["with_params", "loss_and_input_grad"]),
    (masking_report, TASK | {"eps": 0.1}, ["predict", "loss", "loss_and_input_grad"]),
    (sign_search, TASK | {"eps": 0.1, "queries": 1}, ["loss"]),
    (worst_case, TASK | {"candidates": []}, ["predict", "loss"]),
    (SmoothedClassifier, {"model": LINE, "sigma": 0.5, "n_classes": 2}, ["predict"]),
    (NoiseAveraged, {"model": LINE, "noise": np.ones((2, 2))}, ["loss", "loss_and_input_grad"]),
    (train, TRAIN, ["with_params", "loss_and_param_grad"]),
]


def with_only(methods):
    """A model that has these methods and no other."""
    return SimpleNamespace(params=LINE.params, **{name: getattr(LINE, name) for name in methods})


@pytest.mark.parametrize("function, good, needed", NEEDS, ids=[each[0].__qualname__ for each in NEEDS])
def test_a_model_needs_just_the_methods_that_are_called(function, good, needed):
    function(**good | {"model": with_only(needed)})
    for name in needed:
        lacking = with_only([other for other in METHODS if other != name])
        with pytest.raises(ValueError, match=f"^model must have a method {name}, got SimpleNamespace$"):
            function(**good | {"model": lacking})


def test_a_model_is_looked_at_before_it_is_attacked():
    with pytest.raises(ValueError, match="^model must have a method predict, got NoneType$"):
        robust_accuracy(None, np.eye(2), [0, 1], lambda model, x, y: pytest.fail("attacked"))


# No argument is forgotten.


def rows():
    """All rows of all tables: (function, good arguments, name, bad value)."""
    found = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "refusals(" in path.read_text(encoding="utf-8"):
            for test in list(vars(importlib.import_module(path.stem)).values()):
                marks = [m for m in getattr(test, "pytestmark", []) if m.args[0] == "function, good, name, value"]
                found += [row.values for mark in marks for row in mark.args[1]]
    return found


def public():
    """{name of a public function, method or class of the package: the names of its arguments}."""
    found = {}
    for info in pkgutil.iter_modules(adv_companion.__path__):
        if info.name.startswith("_") or info.name == "pytorch":  # it has tests of its own, where PyTorch is
            continue
        module = importlib.import_module(f"adv_companion.{info.name}")
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                found[name] = thing
            elif inspect.isclass(thing) and not issubclass(thing, tuple):
                found[name] = thing
                methods = [key for key, value in vars(thing).items() if not key.startswith("_") and not isinstance(value, property)]
                found |= {f"{name}.{method}": getattr(thing, method) for method in methods}
    return {name: [a for a in inspect.signature(f).parameters if a != "self"] for name, f in found.items()}


ROWS = rows()
COVERED = {(function.__qualname__, name) for function, _, name, _ in ROWS}


@pytest.mark.parametrize("name, arguments", public().items(), ids=public())
def test_every_argument_has_bad_values_that_are_refused(name, arguments):
    if name in UNCHECKED:
        return
    missing = [argument for argument in arguments if (name, argument) not in COVERED]
    assert not missing, f"no bad value is tried of {missing}"


# Other forms of good arguments.


def read_only(array):
    array.flags.writeable = False
    return array


def strided(array):
    """The same numbers, not side by side in memory."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype) if array.ndim else array
    wide[..., ::2] = array
    return wide[..., ::2]


def integers(array):
    """Whole numbers as integers; NumPy's ints and floats of other sizes are as good as Python's."""
    whole = array.dtype.kind == "f" and (array == np.round(array)).all()
    return array.astype(np.int32) if whole else array


FORMS = {
    "read-only": read_only,
    "strided": strided,
    "columns first": np.asfortranarray,
    "a list": np.ndarray.tolist,
    "integers": integers,
    "the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


def calls():
    """Each function of the tables with its good arguments, once."""
    found = {}
    for function, good, _, _ in ROWS:
        arrays = [name for name, value in good.items() if isinstance(value, (np.ndarray, list)) and np.size(value) > 0]
        arrays = [name for name in arrays if np.asarray(good[name]).dtype.kind in "if"]
        if arrays:
            key = f"{function.__qualname__}({', '.join(arrays)})"
            found.setdefault(key, (function, good, arrays))
    return found


def result(function, good, form=np.array, names=()):
    arguments = {name: copy.deepcopy(value) for name, value in good.items()}
    changed = {name: form(np.array(good[name])) for name in names}
    return function(**arguments | changed)


def assert_same(one, other):
    if isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            assert_same(a, b)
    elif isinstance(one, (np.ndarray, float, int, np.generic)):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
        assert np.asarray(one).dtype == np.asarray(other).dtype
    elif hasattr(one, "params"):
        assert_same(one.params, other.params)
    else:
        assert type(one) is type(other)


@pytest.mark.filterwarnings("ignore::UserWarning")  # few votes, for speed
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("function, good, arrays", calls().values(), ids=calls())
def test_the_form_of_an_array_does_not_matter(function, good, arrays, form):
    assert_same(result(function, good, form, arrays), result(function, good))
