"""Smaller files for equal answers: weights rounded once, then stored in as many bits as they need.

`round_weights` moves a Keras model's weights onto a grid (float16, or int8 times a scale a channel); from
then on the Keras model *is* the rounded model, so its `.keras` file (`save_keras`) and its graph
(`export_onnx`, then `shrink_onnx`) lose nothing more. Every value computes in float32: only files shrink.

The order the export runs in: `round_weights(model, storage)`, `save_keras(model, path, storage)`,
`export_onnx(model, path, output_names=[...])`, `shrink_onnx(path, storage)`.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from shared.config import Storage

if TYPE_CHECKING:
    import keras

STORAGES: tuple[str, ...] = ("float32", "float16", "int8")
MIN_ELEMENTS = 1024
"""Smaller tensors stay float32 in graphs: a Cast costs more than their bytes."""
_FLOAT16_STEP = 2.0**-24
"""Every float16 value is a multiple of this, the smallest one."""


def _check(storage: str) -> None:
    if storage not in STORAGES:
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}, received {storage!r}")


# --- The grid --------------------------------------------------------------------------------------------


def round_weights(model: keras.Model, storage: Storage) -> None:
    """Round a model's weights in place onto what `storage` can hold.

    float16 rounds every float weight. int8 puts the kernels of Dense and EinsumDense layers (a scale for
    each output channel) and the tables of Embedding layers (a scale for each row) on a symmetric grid of
    255 values, and rounds everything else to float16. A tensor with a value float16 cannot hold (65,504
    and more) is left as it is.

    Args:
        model: Any built Keras model; changed in place unless `storage` is float32.
        storage: `float32`, `float16` or `int8`.

    Raises:
        ValueError: `storage` is none of these.
    """
    _check(storage)
    if storage == "float32":
        return
    axes = dict(_int8_axes(model)) if storage == "int8" else {}
    for variable in model.variables:
        if not str(variable.dtype).startswith("float") or "seed" in variable.path:
            continue
        value = np.asarray(variable.value, np.float32)
        if id(variable) in axes:
            value = round_int8(value, axes[id(variable)])
        variable.assign(round_float16(value))


def round_float16(values: np.ndarray) -> np.ndarray:
    """Nearest float16 values as float32; `values` itself where one of them does not fit."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16).astype(np.float32)
    return rounded if np.isfinite(rounded).all() else values


def fits_float16(values: np.ndarray) -> bool:
    """Whether float16 holds every value exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(values.dtype), values))


def round_int8(values: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Round onto `scale * {-127 ... 127}`, symmetric, with a scale for each index of the kept axes.

    The scale is `max|w| / 127` rounded up to four significant bits: then scale times a 7-bit integer fits
    the 11 bits of a float16, so the same values are exact in a float16 file too. That costs at most an
    eighth of the resolution.

    Args:
        values: float32 of any shape.
        axes: Axes that share one scale (the input axes of a kernel).

    Returns:
        float32 of the same shape.
    """
    scale = np.max(np.abs(values), axis=tuple(axes), keepdims=True).astype(np.float64) / 127
    mantissa, exponent = np.frexp(scale)
    scale = np.ldexp(np.ceil(mantissa * 16) / 16, exponent)
    # Below this a product would fall between two float16 values.
    scale = np.maximum(scale, _FLOAT16_STEP)
    scale = np.ceil(scale / _FLOAT16_STEP) * _FLOAT16_STEP
    return (np.clip(np.rint(values / scale), -127, 127) * scale).astype(np.float32)


def _int8_axes(model: keras.Model) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Pairs of the id of a variable and the axes that share a scale."""
    import keras

    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Embedding):
            yield id(layer._embeddings), (1,)
        elif isinstance(layer, keras.layers.Dense):
            yield id(layer._kernel), (0,)
        elif isinstance(layer, keras.layers.EinsumDense):
            operands, output = layer.equation.split("->")
            kernel = operands.split(",")[1]
            yield id(layer._kernel), tuple(i for i, letter in enumerate(kernel) if letter not in output)


# --- The .keras file -------------------------------------------------------------------------------------


def save_keras(model: keras.Model, path: str | Path, storage: Storage) -> None:
    """Write a `.keras` file that plain `keras.saving.load_model` reads, without optimizer state.

    Each weight whose values float16 holds exactly is stored as float16 and compressed; Keras casts it back
    to the dtype of the variable when it loads. Call `round_weights` first: this function rounds nothing, so
    what it stores reloads bit for bit.

    Args:
        model: A built model; compiled or not.
        path: Ends in `.keras`. Replaced at once, when complete.
        storage: With `float32` the weights are stored as Keras does.

    Raises:
        ValueError: `storage` is unknown or `path` does not end in `.keras`.
    """
    import keras

    _check(storage)
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"path must end in .keras, received {path}")
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        keras.saving.save_model(model, temporary)
        with zipfile.ZipFile(temporary) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] = _without_compile_config(members["config.json"])
        members["model.weights.h5"] = compact_weights(
            io.BytesIO(members["model.weights.h5"]), half=storage != "float32"
        )
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                stored = zipfile.ZIP_STORED if name.endswith(".h5") else zipfile.ZIP_DEFLATED
                archive.writestr(name, content, compress_type=stored)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _without_compile_config(config: bytes) -> bytes:
    """Drop loss and optimizer: a published model is for answering, and their state is not stored."""
    values = json.loads(config)
    values["compile_config"] = None
    return json.dumps(values).encode()


def compact_weights(file: str | Path | BinaryIO, *, half: bool = True, optimizer: bool = False) -> bytes:
    """Rewrite a Keras `.weights.h5` smaller, for the same values.

    Args:
        file: The file, as Keras wrote it.
        half: Store as float16 what float16 holds exactly.
        optimizer: Keep the optimizer's state.

    Returns:
        The bytes of the new file.
    """
    import h5py

    result = io.BytesIO()
    with h5py.File(file, "r") as source, h5py.File(result, "w", libver="latest") as target:

        def copy(name: str, item: Any) -> None:
            if name.split("/")[0] == "optimizer" and not optimizer:
                return
            if isinstance(item, h5py.Group):
                copied = target.require_group(name)
            else:
                value = item[()]
                if half and value.dtype == np.float32 and fits_float16(value):
                    value = value.astype(np.float16)
                options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                large = value.size >= MIN_ELEMENTS
                copied = target.create_dataset(name, data=value, **(options if large else {}))
            for key, attribute in item.attrs.items():
                copied.attrs[key] = attribute

        for key, attribute in source.attrs.items():
            target.attrs[key] = attribute
        source.visititems(copy)
    return result.getvalue()
