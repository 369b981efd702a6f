"""Bookkeeping of a weight conversion: each tensor used once, each weight filled once, all shapes equal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import keras


class Conversion:
    """One conversion of named tensors into a Keras model.

    Args:
        tensors: Name -> array, as the source stores them.
        ignored: Endings of the names of tensors that have no counterpart in Keras.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], ignored: Iterable[str] = ()):
        self._left = {name: a for name, a in tensors.items() if not name.endswith(tuple(ignored))}
        self._filled: set[int] = set()

    def take(self, name: str) -> np.ndarray:
        """The tensor of this name, which is then used up.

        Raises:
            KeyError: There is none, or it was used before.
        """
        if name not in self._left:
            raise KeyError(f"the source has no (unused) tensor {name!r}")
        return self._left.pop(name)

    def fill(self, weight: keras.Variable, values: np.ndarray) -> None:
        """Assign a weight.

        Raises:
            ValueError: The shapes differ, or the weight was filled before.
        """
        if tuple(weight.shape) != values.shape:
            raise ValueError(f"{weight.path} must have shape {tuple(weight.shape)}, received {values.shape}")
        if id(weight) in self._filled:
            raise ValueError(f"{weight.path} must be filled once")
        weight.assign(values.astype(np.float32))
        self._filled.add(id(weight))

    def fill_layer(self, layer: keras.layers.Layer, *arrays: np.ndarray) -> None:
        """Assign all weights of a layer, in the order Keras keeps them."""
        for weight, values in zip(layer.weights, arrays, strict=True):
            self.fill(weight, values)

    def finish(self, model: keras.Model) -> None:
        """Check that nothing is left.

        Raises:
            ValueError: A tensor was not used or a weight of the model not filled.
        """
        if self._left:
            raise ValueError(f"every tensor must be used, left over: {sorted(self._left)}")
        empty = [weight.path for weight in model.weights if id(weight) not in self._filled]
        if empty:
            raise ValueError(f"every weight must be filled, left random: {empty}")


_SAFETENSORS_DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def read_safetensors(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read a safetensors file: a JSON header with offsets, then the raw values.

    Format: https://github.com/huggingface/safetensors#format.

    Args:
        file: Opened in binary mode, at its start.

    Returns:
        Name -> array.

    Raises:
        ValueError: The file is damaged, or holds a type that is not read here.
    """
    size = int.from_bytes(file.read(8), "little")
    header = file.read(size)
    if len(header) != size:
        raise ValueError(f"a safetensors header of {size} bytes must follow, received {len(header)}")
    entries = json.loads(header)
    data = file.read()
    tensors = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _SAFETENSORS_DTYPES:
            known = ", ".join(_SAFETENSORS_DTYPES)
            raise ValueError(f"dtype of {name} must be one of {known}, received {entry['dtype']}")
        start, end = entry["data_offsets"]
        values = np.frombuffer(data[start:end], _SAFETENSORS_DTYPES[entry["dtype"]])
        if not 0 <= start <= end <= len(data) or values.size != np.prod(entry["shape"], dtype=int):
            raise ValueError(
                f"{name} must have {entry['shape']} values inside the file, received {values.size}"
            )
        tensors[name] = values.reshape(entry["shape"])
    return tensors
