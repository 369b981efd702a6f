"""A new last layer for a served ONNX file, without the onnx package.

Serving installs have ONNX Runtime but not `onnx`. A model file is a Protocol Buffers message, and what is
needed here is small: keep the nodes that lead to `features`, add one `Gemm` and one `Softmax`, and name the
outputs. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from apps.image_classification.linear_probe import LinearHead

Field = tuple[int, int, bytes]
"""Number, wire type, and content: of a length-delimited field the payload, else the raw value."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 12, 13
_FLOAT = 1


def replace_head(model: bytes, head: LinearHead, class_names: Sequence[str]) -> bytes:
    """Make a classifier of your own classes from a served model.

    Args:
        model: Content of an `.onnx` file with an output `features` `(batch, d)`.
        head: Kernel `(d, classes)` and bias.
        class_names: Kept in the file's metadata as `class_names`, a JSON list.

    Returns:
        Content of an `.onnx` file with the same input and the outputs `logits` and `probabilities`
        `(batch, classes)`.

    Raises:
        ValueError: It has no output `features`.
    """
    fields = list(_read(model))
    graph = next((payload for number, _, payload in fields if number == _MODEL_GRAPH), b"")
    graph_fields = _keep_needed(list(_read(graph)), "features")
    names = ("taught_kernel", "taught_bias", "taught_logits", "taught_probabilities")
    kernel, bias, logits, probabilities = names
    graph_fields += [
        (_GRAPH_NODE, _LENGTH, _node("Gemm", ["features", kernel, bias], [logits])),
        (_GRAPH_NODE, _LENGTH, _node("Softmax", [logits], [probabilities])),
        (_GRAPH_INITIALIZER, _LENGTH, _tensor(kernel, head.kernel)),
        (_GRAPH_INITIALIZER, _LENGTH, _tensor(bias, head.bias)),
        (_GRAPH_OUTPUT, _LENGTH, _value(logits, len(class_names))),
        (_GRAPH_OUTPUT, _LENGTH, _value(probabilities, len(class_names))),
    ]
    content = json.dumps(list(class_names), ensure_ascii=False).encode()
    metadata = _field(1, b"class_names") + _field(2, content)
    kept = [f for f in fields if f[0] != _MODEL_GRAPH]
    kept += [(_MODEL_GRAPH, _LENGTH, _write(graph_fields)), (_MODEL_METADATA, _LENGTH, metadata)]
    return _write(kept)


def _keep_needed(fields: list[Field], output: str) -> list[Field]:
    """Drop outputs, and the nodes and weights that do not lead to `output`."""
    nodes = [(f, _strings(f[2], 1), _strings(f[2], 2)) for f in fields if f[0] == _GRAPH_NODE]
    if not any(output in made for _, _, made in nodes):
        raise ValueError(f"the model must have an output named {output!r}")
    wanted = {output}
    # Nodes stand in order of computation, so one pass from the end finds all that is needed.
    needed = set()
    for field, used, made in reversed(nodes):
        if wanted & set(made):
            needed.add(id(field))
            wanted |= set(used)
    result = []
    for field in fields:
        if field[0] == _GRAPH_NODE and id(field) not in needed:
            continue
        if field[0] == _GRAPH_INITIALIZER and not wanted & set(_strings(field[2], 8)):
            continue
        if field[0] in (_GRAPH_OUTPUT, _GRAPH_VALUE_INFO):
            continue
        result.append(field)
    return result


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    return b"".join(
        [_field(1, name.encode()) for name in inputs]
        + [_field(2, name.encode()) for name in outputs]
        + [_field(3, f"taught_{kind}".encode()), _field(4, kind.encode())]
    )


def _tensor(name: str, values: np.ndarray) -> bytes:
    dimensions = b"".join(_number(1, size) for size in values.shape)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return dimensions + _number(2, _FLOAT) + _field(8, name.encode()) + _field(9, raw)


def _value(name: str, classes: int) -> bytes:
    """ValueInfoProto of a float tensor `(batch, classes)`."""
    shape = _field(1, _field(2, b"batch")) + _field(1, _number(1, classes))
    tensor_type = _number(1, _FLOAT) + _field(2, shape)
    return _field(1, name.encode()) + _field(2, _field(1, tensor_type))


def _strings(message: bytes, wanted: int) -> list[str]:
    return [payload.decode() for number, kind, payload in _read(message) if (number, kind) == (wanted, 2)]


def _read(message: bytes) -> Iterator[Field]:
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        start = position
        if kind == _VARINT:
            _, position = _read_varint(message, position)
        elif kind == _LENGTH:
            size, start = _read_varint(message, position)
            position = start + size
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"not an ONNX file: wire type {kind}")
        yield number, kind, message[start:position]


def _write(fields: Sequence[Field]) -> bytes:
    parts = []
    for number, kind, payload in fields:
        parts.append(_varint(number << 3 | kind))
        if kind == _LENGTH:
            parts.append(_varint(len(payload)))
        parts.append(payload)
    return b"".join(parts)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
