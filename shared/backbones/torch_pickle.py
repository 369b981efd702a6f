"""Reads tensors from a legacy torch checkpoint without torch, and without running what the file says.

A torch checkpoint is a pickle, and unpickling runs any function the file names. The unpickler here knows
three kinds of name (an ordered dict, the tensor constructor, the storage types) and refuses
every other, so a hostile file can at most fail.

The legacy format (torch before 1.6) is a sequence of pickles (magic number, protocol, system facts, the
object, the storage keys) followed by each storage as an int64 count and raw little-endian elements.
Format: https://github.com/pytorch/pytorch/blob/v1.13.0/torch/serialization.py (`_legacy_load`).
"""

from __future__ import annotations

import collections
import dataclasses
import pickle
from typing import Any, BinaryIO

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_STORAGE_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
}


@dataclasses.dataclass
class _Tensor:
    """A view into a storage whose bytes come later in the file."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
        raise pickle.UnpicklingError("a tensor must be a view of a storage with sizes of 0 or more")
    if len(shape) != len(strides):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} must have as many strides, not {strides}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.size:
        raise pickle.UnpicklingError(f"a tensor must lie inside its storage of {storage.size} elements")
    return _Tensor(storage.key, offset, tuple(shape), tuple(strides))


class RestrictedUnpickler(pickle.Unpickler):
    """Rebuilds tensors; any global that is not needed for that is refused."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"refused to load {module}.{name}: a checkpoint may only hold tensors")

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 6 and pid[0] == "storage" and pid[5] is None):
            raise pickle.UnpicklingError(f"a storage must be written whole, received {pid!r}")
        _, dtype, key, _, size, _ = pid
        if not isinstance(dtype, np.dtype) or type(size) is not int or size < 0:
            raise pickle.UnpicklingError(f"a storage must have a known type and size, received {pid!r}")
        return self.storages.setdefault(key, _Storage(key, dtype, size))


def read_legacy_checkpoint(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read a state dict.

    Args:
        file: The checkpoint, opened in binary mode, at its start.

    Returns:
        Tensor name -> array, in the order of the file.

    Raises:
        pickle.UnpicklingError: The file names anything but tensors, or is damaged.
    """
    magic, protocol = RestrictedUnpickler(file).load(), RestrictedUnpickler(file).load()
    if (magic, protocol) != (MAGIC_NUMBER, PROTOCOL_VERSION):
        raise pickle.UnpicklingError(f"not a legacy torch checkpoint: it begins with {magic!r}, {protocol!r}")
    RestrictedUnpickler(file).load()  # Byte order and integer sizes; torch itself does not look at them.
    unpickler = RestrictedUnpickler(file)
    tensors = unpickler.load()
    arrays: dict[str, np.ndarray] = {}
    for key in RestrictedUnpickler(file).load():
        storage = unpickler.storages.get(key)
        count = int.from_bytes(file.read(8), "little")
        if storage is None or count != storage.size:
            raise pickle.UnpicklingError(f"storage {key!r} holds {count} elements, which no tensor expects")
        data = file.read(count * storage.dtype.itemsize)
        if len(data) != count * storage.dtype.itemsize:
            raise pickle.UnpicklingError(f"the file ends inside storage {key!r}")
        arrays[key] = np.frombuffer(data, storage.dtype)
    if not isinstance(tensors, dict) or not all(isinstance(t, _Tensor) for t in tensors.values()):
        raise pickle.UnpicklingError("a checkpoint must be one dict of tensors")
    return {name: _view(tensor, arrays) for name, tensor in tensors.items()}


def _view(tensor: _Tensor, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if tensor.key not in arrays:
        raise pickle.UnpicklingError(f"storage {tensor.key!r} is missing")
    array = arrays[tensor.key]
    strides = tuple(stride * array.itemsize for stride in tensor.strides)
    # The bounds were checked when the tensor was rebuilt.
    view = np.lib.stride_tricks.as_strided(array[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)
