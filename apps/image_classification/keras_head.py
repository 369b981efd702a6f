"""A `.keras` file of a dense layer, without Keras and without h5py.

Serving installs have neither. A `.keras` file is a zip of two JSON files and an HDF5 file; of HDF5 only
groups and plain float32 arrays are needed here.
Format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t11.html (version 1.1)
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

from apps.image_classification.linear_probe import LinearHead

Tree = Mapping[str, "Tree | np.ndarray"]
KERAS_VERSION = "3.15.1"
_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_LEAF_K, _INTERNAL_K = 4, 16
"""A group here holds at most twice `_LEAF_K` members: one node, no tree to balance."""


def write_keras_head(head: LinearHead) -> bytes:
    """A Keras 3 model `features (batch, d) -> logits (batch, classes)` as content of a `.keras` file.

    Args:
        head: Kernel and bias.
    """
    size, classes = head.kernel.shape
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, size], "dtype": "float32", "keras_history": ["features", 0, 0]},
    }
    policy = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }
    layers = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {
                "batch_shape": [None, size],
                "dtype": "float32",
                "sparse": False,
                "name": "features",
            },
            "registered_name": None,
            "name": "features",
            "inbound_nodes": [],
        },
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {
                "name": "logits",
                "trainable": True,
                "dtype": policy,
                "units": classes,
                "activation": "linear",
                "use_bias": True,
            },
            "registered_name": None,
            "build_config": {"input_shape": [None, size]},
            "name": "logits",
            "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
        },
    ]
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "taught_head",
            "trainable": True,
            "layers": layers,
            "input_layers": [["features", 0, 0]],
            "output_layers": [["logits", 0, 0]],
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": None,
    }
    weights = write_hdf5({"layers": {"dense": {"vars": {"0": head.kernel, "1": head.bias}}}})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": KERAS_VERSION}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights, compress_type=zipfile.ZIP_STORED)
    return stream.getvalue()


def write_hdf5(tree: Tree) -> bytes:
    """Nested groups and float32 arrays as content of an HDF5 file (superblock version 0).

    Args:
        tree: Names to groups or arrays; at most eight members a group.

    Raises:
        ValueError: A group has more members.
    """
    file = bytearray(96)  # The superblock is known last.
    header, btree, heap = _write_group(file, tree)
    entry = struct.pack("<QQIIQQ", 0, header, 1, 0, btree, heap)
    superblock = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0])
    superblock += struct.pack("<HHI", _LEAF_K, _INTERNAL_K, 0)
    superblock += struct.pack("<QQQQ", 0, _UNDEFINED, len(file), _UNDEFINED) + entry
    file[: len(superblock)] = superblock
    return bytes(file)


def _append(file: bytearray, block: bytes) -> int:
    """Add a block at the next multiple of 8; its address."""
    file.extend(bytes(-len(file) % 8))
    address = len(file)
    file.extend(block)
    return address


def _write_group(file: bytearray, tree: Tree) -> tuple[int, int, int]:
    """Addresses of a group's object header, B-tree and local heap."""
    if len(tree) > 2 * _LEAF_K:
        raise ValueError(f"a group must have at most {2 * _LEAF_K} members, received {len(tree)}")
    heap_data, entries = bytearray(8), b""
    offset = 0
    for name in sorted(tree):
        value = tree[name]
        offset = len(heap_data)
        heap_data += name.encode() + b"\0"
        heap_data += bytes(-len(heap_data) % 8)
        if isinstance(value, Mapping):
            header, btree, heap = _write_group(file, value)
            entries += struct.pack("<QQIIQQ", offset, header, 1, 0, btree, heap)
        else:
            entries += struct.pack("<QQII16x", offset, _write_array(file, value), 0, 0)
    symbols = b"SNOD" + struct.pack("<BBH", 1, 0, len(tree)) + entries
    symbols += bytes(8 + 2 * _LEAF_K * 40 - len(symbols))
    node = _append(file, symbols)
    data = _append(file, bytes(heap_data))
    # 1 says that no part of the heap is free.
    heap = _append(file, b"HEAP" + struct.pack("<B3xQQQ", 0, len(heap_data), 1, data))
    tree_node = b"TREE" + struct.pack("<BBHQQ", 0, 0, 1, _UNDEFINED, _UNDEFINED)
    tree_node += struct.pack("<QQQ", 0, node, offset)
    tree_node += bytes(24 + (2 * _INTERNAL_K + 1) * 8 + 2 * _INTERNAL_K * 8 - len(tree_node))
    btree = _append(file, tree_node)
    message = struct.pack("<QQ", btree, heap)
    return _append(file, _object_header([(0x0011, message)])), btree, heap


def _write_array(file: bytearray, values: np.ndarray) -> int:
    """Address of the object header of a contiguous little-endian float32 array."""
    content = np.ascontiguousarray(values, "<f4").tobytes()
    address = _append(file, content)
    dataspace = struct.pack("<BBB5x", 1, values.ndim, 0) + struct.pack(f"<{values.ndim}Q", *values.shape)
    # Class 1 (floating point), version 1; IEEE: implied leading bit, sign at bit 31.
    datatype = struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
    fill = struct.pack("<BBBB", 2, 2, 2, 0)
    layout = struct.pack("<BBQQ", 3, 1, address, len(content))
    messages = [(0x0001, dataspace), (0x0003, datatype), (0x0005, fill), (0x0008, layout)]
    return _append(file, _object_header(messages))


def _object_header(messages: list[tuple[int, bytes]]) -> bytes:
    body = b""
    for kind, content in messages:
        content += bytes(-len(content) % 8)
        body += struct.pack("<HHB3x", kind, len(content), 0) + content
    return struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(body)) + body
