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
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from shared.config import Storage
from shared.runtime.grid import MIN_ELEMENTS, check_storage, fits_float16, round_weights
from shared.runtime.onnx_graph import export_onnx, shrink_onnx

if TYPE_CHECKING:
    import keras

__all__ = ["compact_weights", "export_onnx", "round_weights", "save_keras", "shrink_onnx"]


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

    check_storage(storage)
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
                options = {"compression": "gzip", "compression_opts": 6, "shuffle": True}
                large = value.size >= MIN_ELEMENTS
                copied = target.create_dataset(name, data=value, **(options if large else {}))
            for key, attribute in item.attrs.items():
                copied.attrs[key] = attribute

        for key, attribute in source.attrs.items():
            target.attrs[key] = attribute
        source.visititems(copy)
    return result.getvalue()
