"""Checks of arguments. Each raises a ``ValueError`` that names the argument and says what it got.

Kept in one place so that every function of the package refuses bad input in the same words. Where ``tensors`` may come,
a PyTorch tensor stays one, on its device and without its history; whatever else comes becomes a NumPy array.
"""

import numpy as np
from array_api_compat import array_namespace, is_torch_array


def as_array(name, value, tensors=False):
    """``value`` as an array in this machine's byte order; a tensor only where ``tensors`` may come."""
    if is_torch_array(value):
        if not tensors:
            raise ValueError(f"{name} must be a NumPy array here, got a PyTorch tensor")
        return value.detach()
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be a regular array, got rows of different lengths") from None
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _kind(array):
    """The namespace of ``array``, and NumPy's letter for what it holds: "i" or "u" integers, "f" floats, others the rest."""
    if isinstance(array, np.ndarray):  # told at a glance, since training asks in every step
        return np, array.dtype.kind
    xp = array_namespace(array)
    if xp.isdtype(array.dtype, "integral"):
        return xp, "i"
    return xp, "f" if xp.isdtype(array.dtype, "real floating") else "O"


def floats(name, value, ndim, shape=None, tensors=False):
    """``value`` as a finite float array of ``ndim`` dimensions; float32 stays float32, all else becomes float64.

    ``shape`` may fix some lengths, with None for those that are free.
    """
    array = as_array(name, value, tensors)
    xp, kind = _kind(array)
    if kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got {array.dtype} values")
    if kind != "f" or array.dtype.itemsize not in (4, 8):
        array = xp.astype(array, xp.float64)
    got = tuple(array.shape)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {got}")
    if shape is not None and any(want not in (None, length) for want, length in zip(shape, got)):
        wanted = str(tuple("any" if want is None else want for want in shape)).replace("'", "")
        raise ValueError(f"{name} must have shape {wanted}, got {got}")
    if 0 in got:
        raise ValueError(f"{name} must not be empty, got shape {got}")
    if not xp.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return array


def real(name, value, low=-np.inf, high=np.inf):
    """``value`` as one finite float in [low, high]."""
    array = as_array(name, value, tensors=True)
    xp, kind = _kind(array)
    if array.ndim != 0 or kind not in "iuf":
        raise ValueError(f"{name} must be one real number, got {value!r}")
    if not xp.isfinite(array) or not low <= array <= high:
        raise ValueError(f"{name} must be a finite number in [{low}, {high}], got {value!r}")
    return float(array)


def positive(name, value):
    """``value`` as one finite float above 0."""
    number = real(name, value, low=0)
    if number == 0:
        raise ValueError(f"{name} must be positive, got 0")
    return number


def count(name, value, low=0):
    """``value`` as an int of at least ``low``; a float is refused even when it is whole."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")
    return int(value)


def sizes(name, value, at_least):
    """``value`` as a list of integers >= 1, at least so many: the sizes of a network's layers."""
    if not np.iterable(value) or isinstance(value, str):
        raise ValueError(f"{name} must be a list of integers, got {value!r}")
    found = [count(name, size, low=1) for size in value]
    if len(found) < at_least:
        raise ValueError(f"{name} must have at least {at_least} sizes, got {found}")
    return found


def labels(name, value, n, n_classes=np.iinfo(np.int64).max, tensors=False):
    """``value`` as an ``(n,)`` integer array of labels 0 .. n_classes - 1; ``n`` None for as many as there are."""
    array = as_array(name, value, tensors)
    (xp, kind), got = _kind(array), tuple(array.shape)
    if len(got) != 1 or got[0] != (n or got[0]) or 0 in got:
        raise ValueError(f"{name} must have shape ({n or 'n'},), got {got}")
    if kind not in "iu":
        raise ValueError(f"{name} must hold integer labels, got {array.dtype} values")
    array = xp.astype(array, xp.int64)  # before it meets n_classes, which small integers could not hold
    if array.min() < 0 or array.max() >= n_classes:
        raise ValueError(f"{name} must hold labels 0 to {n_classes - 1}, got {array.min()} to {array.max()}")
    return array


def answer(name, value, shape):
    """``value``, an answer of the caller's own model, if it has this shape: another might be stretched to fit, unseen."""
    got = getattr(value, "shape", None)
    if got is None or tuple(got) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {type(value).__name__ if got is None else tuple(got)}")
    return value


def model(name, value, *methods):
    """``value`` if it has these methods, all that is asked of it."""
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise ValueError(f"{name} must have a method {method}, got {type(value).__name__}")
    return value


def function(name, value, optional=False):
    """``value`` if it can be called, or is None and ``optional``."""
    if not callable(value) and not (optional and value is None):
        raise ValueError(f"{name} must be a function, got {type(value).__name__}")
    return value


def flag(name, value):
    """``value`` if it is True or False; "no" and [] are neither."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def generator(name, value):
    """``value`` if it is a ``numpy.random.Generator``; a seed is refused, so that nobody reseeds by accident."""
    if not isinstance(value, np.random.Generator):
        raise ValueError(f"{name} must be a numpy.random.Generator, got {type(value).__name__}")
    return value


def box(name, value, inside_name, inside):
    """``value`` as (low, high), None meaning no bounds; the array ``inside`` must lie between them."""
    if value is None:
        return -np.inf, np.inf
    if tuple(as_array(name, value, tensors=True).shape) != (2,):
        raise ValueError(f"{name} must be a pair (low, high) of numbers, got {value!r}")
    low = real(f"{name}[0]", value[0])
    high = real(f"{name}[1]", value[1], low=low)
    if inside.min() < low or inside.max() > high:
        got = f"values from {inside.min()} to {inside.max()}"
        raise ValueError(f"{inside_name} must lie inside {name} = ({low}, {high}), got {got}")
    return low, high
