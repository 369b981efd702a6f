"""The grids that stored weights lie on: float16, and int8 times a scale a channel that is exact in float16."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.config import Storage

if TYPE_CHECKING:
    import keras

STORAGES: tuple[str, ...] = ("float32", "float16", "int8")
MIN_ELEMENTS = 1024
"""Smaller tensors stay float32 in graphs: a Cast costs more than their bytes."""
_FLOAT16_STEP = 2.0**-24
"""Every float16 value is a multiple of this, the smallest one."""


def check_storage(storage: str) -> None:
    """Raise a ValueError for an unknown storage."""
    if storage not in STORAGES:
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}, received {storage!r}")


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
    check_storage(storage)
    if storage == "float32":
        return
    axes = dict(_int8_axes(model)) if storage == "int8" else {}
    for weight in model.weights:
        if weight.dtype != "float32":
            continue
        value = np.asarray(weight.value)
        if id(weight) in axes:
            value = round_int8(value, axes[id(weight)])
        weight.assign(round_float16(value))


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
    axes = tuple(axes)
    if fits_float16(values) and int8_grid(values, axes) is not None:
        return values  # On a grid already: rounding twice must change nothing.
    scale = np.max(np.abs(values), axis=axes, keepdims=True).astype(np.float64) / 127
    mantissa, exponent = np.frexp(scale)
    scale = np.ldexp(np.ceil(mantissa * 16) / 16, exponent)
    # A product with a smaller step would fall between two float16 values.
    scale = np.maximum(np.ceil(scale / _FLOAT16_STEP), 1) * _FLOAT16_STEP
    return (np.clip(np.rint(values / scale), -127, 127) * scale).astype(np.float32)


def int8_grid(values: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Split values into int8 and scales whose product is exactly `values`, if there are such.

    Every float16 value is a whole number of `2**-24`, so the coarsest grid that a channel lies on is the
    greatest common divisor of its numbers.

    Args:
        values: Values that fit float16.
        axes: Axes that share one scale.

    Returns:
        int8 of the shape of `values` and float32 scales with 1 in place of `axes`; None if a channel needs
        more than 255 levels.
    """
    steps = np.rint(values.astype(np.float64) / _FLOAT16_STEP).astype(np.int64)
    divisor = np.maximum(np.gcd.reduce(steps, axis=axes, keepdims=True), 1)
    quotient = steps // divisor
    if quotient.size == 0 or np.abs(quotient).max() > 127:
        return None
    scale = (divisor * _FLOAT16_STEP).astype(np.float32)
    return quotient.astype(np.int8), scale


def _int8_axes(model: keras.Model) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Pairs of the id of a weight and the axes of it that share a scale."""
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


def replace_file(path: str | Path, content: bytes) -> None:
    """Replace a file at once, when its content is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
