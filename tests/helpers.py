"""Arguments that no function may take, by the kind of argument, and the table of calls that must refuse them."""

import math
import signal
import subprocess
import sys

import numpy as np
import pytest

RAGGED = [[1, 2], [3]]

NOT_A_NUMBER = {
    "nan": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "text": "1",
    "None": None,
    "bool": True,
    "numpy bool": np.True_,
    "complex": 1j,
    "list": [1.0],
    "object": np.array(1.0, dtype=object),
    "ragged": RAGGED,
}
NOT_A_BUDGET = NOT_A_NUMBER | {"negative": -1.0, "barely negative": -1e-300}
NOT_AN_EXPONENT = {
    "3": 3,
    "0": 0,
    "1.5": 1.5,
    "text": "inf",
    "None": None,
    "list": [2],
    "array": np.array([2]),
    "bool": True,
    "numpy bool": np.True_,
    "nan": math.nan,
    "minus infinite": -math.inf,
}
NOT_A_COUNT = {
    "negative": -1,
    "fraction": 2.5,
    "whole float": 2.0,
    "nan": math.nan,
    "text": "3",
    "None": None,
    "bool": True,
    "numpy bool": np.True_,
    "list": [3],
}
NOT_A_POSITIVE_COUNT = NOT_A_COUNT | {"zero": 0}
NOT_A_GENERATOR = {"seed": 7, "None": None, "module": np.random, "bit generator": np.random.PCG64(0)}


def not_an_array(*shape):
    """Values that are not a finite float array of this many dimensions and of this shape."""
    good = np.ones(shape)
    with_nan, with_inf = good.copy(), good.copy()
    with_nan.flat[-1], with_inf.flat[0] = math.nan, -math.inf
    return {
        "number": 1.0,
        "one axis more": good[None],
        "one axis less": good[0],
        "empty": good[:0],
        "nan": with_nan,
        "infinite": with_inf,
        "text": good.astype(str),
        "objects": good.astype(object),
        "bools": good.astype(bool),
        "complex": good.astype(complex),
        "None": None,
        "ragged": RAGGED,
    }


NOT_INPUTS = not_an_array(2, 2) | {"no features": np.ones((2, 0))}
NOT_LABELS = {  # for two inputs
    "floats": [0.0, 1.0],
    "nan": [0.0, math.nan],
    "bools": [False, True],
    "text": ["0", "1"],
    "objects": np.array([0, 1], dtype=object),
    "None": None,
    "negative": [0, -1],
    "too few": [0],
    "too many": [0, 1, 1],
    "column": [[0], [1]],
    "empty": np.array([], dtype=int),
    "ragged": RAGGED,
}
NOT_BINARY_LABELS = NOT_LABELS | {"third class": [0, 2], "signs": [-1, 1]}


def refusals(function, good, /, **bad):
    """A row for each bad value of each argument: (function, good arguments, name, bad value).

    ``bad`` maps the name of an argument to a dict of bad values, keyed by what is wrong with them.
    """
    return [
        pytest.param(function, good, name, value, id=f"{function.__qualname__}-{name}-{what}")
        for name, values in bad.items()
        for what, value in values.items()
    ]


def assert_refused(function, good, name, value):
    """The call works with the good arguments, and with the bad one raises a ValueError that opens with its name."""
    function(**good)
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        function(**good | {name: value})


def frozen(*arrays):
    """Copies that raise if anything writes to them."""
    copies = [np.array(array) for array in arrays]
    for copy in copies:
        copy.flags.writeable = False
    return copies if len(copies) > 1 else copies[0]


def surer(net, scale):
    """A network that labels as ``net`` does, but is more confident: its logits times ``scale``."""
    other = net.with_params(net.params)
    other.weights[-1][...] *= scale
    other.biases[-1][...] *= scale
    return other


def assert_ends_when_interrupted(program):
    """Run a program until its workers have written "xx": Ctrl-C then ends it at once, and as Ctrl-C does."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.read(2) == "xx"
        process.send_signal(signal.SIGINT)
        try:
            assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
