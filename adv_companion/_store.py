"""What a store on disk knows a model and its inputs by."""

import pickle

from array_api_compat import array_namespace, is_torch_array
from joblib.hashing import NumpyHasher


def fingerprint(thing):
    """A hash that is the same in any process."""
    return _TensorHasher("md5").hash(thing)


class _TensorHasher(NumpyHasher):
    """joblib's hash by way of a pickle. A tensor's differs from one process to the next, its numbers' does not."""

    def save(self, obj):
        """Take one object into the hash."""
        if is_torch_array(obj) and _holds_its_numbers(obj):
            flat = obj.detach().cpu().reshape(-1).view(array_namespace(obj).uint8)  # NumPy has not all of its precisions
            obj = str(obj.dtype), str(obj.device), tuple(obj.shape), flat.numpy()
        super().save(obj)

    def _batch_setitems(self, items, *others):
        """In their order, which may be a model's; and without joblib's second try, which leaves out what has no pickle."""
        pickle._Pickler._batch_setitems(self, items, *others)


def _holds_its_numbers(tensor):
    """Whether a tensor's bytes are its numbers, one after the other and as they are."""
    seen_otherwise = tensor.is_quantized or tensor.is_conj() or tensor.is_neg()
    return tensor.layout == array_namespace(tensor).strided and not seen_otherwise
