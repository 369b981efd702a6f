"""A small writer of ONNX graphs: nodes by name, weights stored as float32 or as 8-bit blocks.

Whisper's graphs are written with it node by node, from the weights of the Keras model: fused attention, a
cache that is never copied and products with 8-bit weights are operators of ONNX Runtime that no generic
export of a Keras model arrives at. A test holds the graphs to the Keras model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
MICROSOFT_OPSET = 1
BLOCK = 128
"""Input values that share one scale."""
ZERO_POINT = 128
"""What 0 is stored as: MatMulNBits takes unsigned bytes."""


def quantize_blocks(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put a kernel on a symmetric 8-bit grid, with a scale for each block of 128 inputs of an output.

    Args:
        kernel: `(outputs, inputs)`; inputs a multiple of 128.

    Returns:
        Bytes `(outputs, blocks, 128)` uint8 with 0 at 128, and scales `(outputs, blocks)` float32.

    Raises:
        ValueError: The number of inputs is no multiple of 128.
    """
    outputs, inputs = kernel.shape
    if inputs % BLOCK:
        raise ValueError(f"kernel must have a multiple of {BLOCK} inputs, received {inputs}")
    blocks = kernel.reshape(outputs, -1, BLOCK).astype(np.float32)
    scales = np.abs(blocks).max(-1) / 127
    scales = np.where(scales == 0, 1.0, scales).astype(np.float32)
    values = np.clip(np.rint(blocks / scales[..., None]), -127, 127) + ZERO_POINT
    return values.astype(np.uint8), scales


def dequantize_blocks(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The kernel `(outputs, inputs)` that `quantize_blocks` stored."""
    kernel = (values.astype(np.float32) - ZERO_POINT) * scales[..., None]
    return kernel.reshape(len(values), -1)


class GraphBuilder:
    """Collects nodes and weights, then writes one `.onnx` file.

    Args:
        bits: 8 stores the kernels of `linear` as 8-bit blocks, 32 as float32.
        accuracy_level: How products with 8-bit kernels compute: 1 in float32, 4 in int8.
    """

    def __init__(self, bits: int = 8, accuracy_level: int = 4):
        if bits not in (8, 32):
            raise ValueError(f"bits must be 8 or 32, received {bits}")
        self.bits = bits
        self.accuracy_level = accuracy_level
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> str:
        """Declare an input; dimensions given as text are free."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a float output under its public name."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def weight(self, array: np.ndarray, name: str | None = None) -> str:
        """Store an array once; floats as float32."""
        array = np.ascontiguousarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = name or f"weight_{len(self.weights)}"
        self.weights[name] = numpy_helper.from_array(array, name)
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector, e.g. a shape; the same one is stored once."""
        name = "ints_" + "_".join(str(v).replace("-", "m") for v in values)
        return name if name in self.weights else self.weight(np.array(values, np.int64), name)

    def scalar(self, value: float) -> str:
        """A float32 constant."""
        name = f"scalar_{value!r}"
        return name if name in self.weights else self.weight(np.array(value, np.float32), name)

    def node(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add an operator; returns the name of its output, or a list of them."""
        names = [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(
            kind, list(inputs), names, name=f"{kind}_{len(self.nodes)}", domain=domain, **attributes
        )
        self.nodes.append(node)
        return names if outputs > 1 else names[0]

    def linear(self, x: str, kernel: np.ndarray, bias: np.ndarray | None = None) -> str:
        """`x @ kernel + bias` with `kernel` `(inputs, outputs)`."""
        if self.bits == 8:
            values, scales = quantize_blocks(kernel.T)
            return self.linear_stored(x, self.weight(values), self.weight(scales), kernel.shape, bias)
        y = self.node("MatMul", x, self.weight(kernel))
        return y if bias is None else self.node("Add", y, self.weight(bias))

    def linear_stored(
        self, x: str, values: str, scales: str, shape: tuple[int, int], bias: np.ndarray | None = None
    ) -> str:
        """As `linear`, with 8-bit blocks that are stored already; `shape` is `(inputs, outputs)`."""
        rest = [] if bias is None else ["", "", self.weight(bias)]
        return self.node(
            "MatMulNBits",
            x,
            values,
            scales,
            *rest,
            domain="com.microsoft",
            K=shape[0],
            N=shape[1],
            bits=8,
            block_size=BLOCK,
            accuracy_level=self.accuracy_level,
        )

    def layer_norm(self, x: str, layer: Any) -> str:
        """A Keras LayerNormalization over the last axis."""
        gamma, beta = (np.asarray(w) for w in layer.weights)
        inputs = [x, self.weight(gamma), self.weight(beta)]
        return self.node("LayerNormalization", *inputs, axis=-1, epsilon=float(layer.epsilon))

    def save(self, path: Path | str, name: str) -> None:
        """Check the graph and write it."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, list(self.weights.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", MICROSOFT_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="keras-gallery", ir_version=10)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
