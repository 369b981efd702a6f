"""Keras -> ONNX: the graph a demo serves, and its weights in as few bits as lose nothing."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.config import Storage
from shared.runtime.grid import MIN_ELEMENTS, check_storage, fits_float16, int8_grid, replace_file

if TYPE_CHECKING:
    import keras
    import onnx
    import tensorflow as tf


def export_onnx(
    model: keras.Model,
    path: str | Path,
    *,
    input_signature: Sequence[Any] | None = None,
    output_names: Sequence[str],
) -> None:
    """Convert a Keras model to an ONNX graph with a dynamic batch, in inference mode.

    Args:
        model: A functional or sequential model (it has `inputs`), in float32.
        path: The `.onnx` file. Replaced at once, when complete.
        input_signature: One `keras.KerasTensor`, `keras.InputSpec` or `tf.TensorSpec` for each of
            `model.inputs` and in their order, to fix dimensions that the model leaves open. Names come
            from `model.inputs`.
        output_names: Names of the outputs: in the order of a list, or the keys of a dict of outputs.

    Raises:
        ValueError: `output_names` does not fit the outputs, or `input_signature` the inputs.
    """
    import keras
    import onnx
    import tensorflow as tf
    import tf2onnx
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    inputs = list(model.inputs)
    specs = list(input_signature or inputs)
    if len(specs) != len(inputs):
        raise ValueError(f"input_signature must have {len(inputs)} entries, received {len(specs)}")
    signature = [
        tf.TensorSpec((None, *tuple(spec.shape)[1:]), given.dtype, name=given.name)
        for spec, given in zip(specs, inputs, strict=True)
    ]
    structure = getattr(model, "_inputs_struct", None)

    @tf.function(input_signature=signature, autograph=False)
    def infer(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        fed = tensors[0] if structure is None else keras.tree.pack_sequence_as(structure, list(tensors))
        return _name_outputs(model(fed, training=False), output_names)

    patch_tf2onnx()  # np.object and np.cast, which numpy 2 no longer has.
    with _separate_batch_normalization():
        graph, _ = tf2onnx.convert.from_function(
            infer, signature, opset=17, custom_op_handlers={"Erfc": (_convert_erfc, [])}
        )
    _drop_weights_used_for_shape_only(graph.graph)
    _tidy_interface(graph, [t.name for t in inputs], output_names)
    onnx.checker.check_model(graph)
    replace_file(path, graph.SerializeToString())


def _name_outputs(outputs: Any, names: Sequence[str]) -> dict[str, Any]:
    import tensorflow as tf

    if isinstance(outputs, Mapping):
        if set(outputs) != set(names):
            raise ValueError(f"output_names must be {sorted(outputs)}, received {list(names)}")
        return {name: tf.identity(outputs[name]) for name in names}
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if len(outputs) != len(names):
        raise ValueError(f"output_names must have {len(outputs)} entries, received {list(names)}")
    return {name: tf.identity(output) for name, output in zip(names, outputs, strict=True)}


def _convert_erfc(context: Any, node: Any, name: str, args: Any) -> None:
    """`1 - erf(x)`: TensorFlow's exact GELU asks for erfc, which neither tf2onnx nor ONNX knows."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    context.remove_node(name)
    one = context.make_const(f"{name}_one", np.ones((), np.float32)).output[0]
    erf = context.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype]).output[0]
    context.make_node("Sub", [one, erf], name=name, outputs=node.output, shapes=[shape], dtypes=[dtype])


@contextlib.contextmanager
def _separate_batch_normalization() -> Iterator[None]:
    """Keep batch normalization a node of its own in graphs traced inside the block.

    Keras writes it as multiply and add, which Grappler and tf2onnx multiply into the convolution before
    it. The product of a kernel on the float16 grid and a scale is off the grid, and rounding it again moved
    logits of EfficientNet-Lite0 by 0.08. As one BatchNormalization node it stays apart in the file, and
    ONNX Runtime fuses it when it loads, in float32.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow import nn
    from tf2onnx.optimizer import back_to_back_optimizer

    as_arithmetic = nn.batch_normalization

    def as_one_op(
        x: Any,
        mean: Any,
        variance: Any,
        axis: int,
        offset: Any = None,
        scale: Any = None,
        epsilon: float = 1e-3,
    ) -> Any:
        if len(x.shape) != 4 or axis not in (-1, 3) or x.dtype != tf.float32:
            return as_arithmetic(x, mean, variance, axis, offset, scale, epsilon)
        scale = tf.ones_like(mean) if scale is None else scale
        offset = tf.zeros_like(mean) if offset is None else offset
        return tf.compat.v1.nn.fused_batch_norm(
            x, scale, offset, mean, variance, epsilon=epsilon, is_training=False
        )[0]

    fusions = back_to_back_optimizer._func_map
    fuse = fusions.pop(("Conv", "BatchNormalization"))
    nn.batch_normalization = as_one_op
    try:
        yield
    finally:
        nn.batch_normalization = as_arithmetic
        fusions[("Conv", "BatchNormalization")] = fuse


def _tidy_interface(model: onnx.ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Check the inputs, put the outputs in order and call the open first dimension `batch`."""
    graph = model.graph
    found = [value.name for value in graph.input]
    if sorted(found) != sorted(inputs):
        raise ValueError(f"the graph must have the inputs {list(inputs)}, received {found}: is one unused?")
    by_name = {value.name: value for value in graph.output}
    ordered = [by_name[name] for name in outputs]
    del graph.output[:]
    graph.output.extend(ordered)
    for value in [*graph.input, *graph.output]:
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].dim_param = "batch"


def _drop_weights_used_for_shape_only(graph: onnx.GraphProto) -> None:
    """Replace `Shape` of a weight by the numbers.

    tf2onnx takes an einsum apart (EinsumDense of attention layers) and leaves a second copy of each kernel
    in the file, of which only the shape is used: 5 MB of MiniLM's float16 graph.
    """
    from onnx import numpy_helper

    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    folded = [
        node
        for node in graph.node
        if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute
    ]
    for node in folded:
        shape = np.array(shapes[node.input[0]], np.int64)
        graph.initializer.append(numpy_helper.from_array(shape, node.output[0]))
        graph.node.remove(node)
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # The body of a loop may use weights by name.
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def shrink_onnx(path: str | Path, storage: Storage) -> None:
    """Store the large weights of a graph in fewer bits, where that changes no value.

    A float16 weight becomes a float16 initializer and a Cast; an int8 weight an int8 initializer, its
    scales, a Cast and a Mul. ONNX Runtime folds both when it loads the graph and computes in float32 at
    full speed (it would not fold DequantizeLinear). The axes that share a scale are found from the values:
    converters transpose and reshape kernels. A tensor that is not on the grid, or has fewer than
    `MIN_ELEMENTS`, stays float32.

    Args:
        path: The `.onnx` file, replaced at once.
        storage: The grid that `round_weights` moved the model to.

    Raises:
        ValueError: `storage` is unknown.
    """
    import onnx
    from onnx import numpy_helper

    check_storage(storage)
    if storage == "float32":
        return
    model = onnx.load(path)
    graph = model.graph
    initializers, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor) if tensor.data_type == onnx.TensorProto.FLOAT else None
        if values is None or values.size < MIN_ELEMENTS or not fits_float16(values):
            initializers.append(tensor)
            continue
        split = _split_int8(values) if storage == "int8" else None
        stored, cast = f"{tensor.name}__stored", f"{tensor.name}__cast"
        if split is None:
            initializers.append(numpy_helper.from_array(values.astype(np.float16), stored))
            nodes.append(onnx.helper.make_node("Cast", [stored], [tensor.name], to=onnx.TensorProto.FLOAT))
            continue
        initializers.append(numpy_helper.from_array(split[0], stored))
        initializers.append(numpy_helper.from_array(split[1], f"{tensor.name}__scale"))
        nodes.append(onnx.helper.make_node("Cast", [stored], [cast], to=onnx.TensorProto.FLOAT))
        nodes.append(onnx.helper.make_node("Mul", [cast, f"{tensor.name}__scale"], [tensor.name]))
    for index, node in enumerate(nodes):
        node.name = f"{node.output[0]}__{node.op_type.lower()}_{index}"
    nodes.extend(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(initializers)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())


def _split_int8(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The split of `int8_grid` with the fewest scales, over every choice of axes that keep their own."""
    if values.ndim < 2:
        return None
    choices = [
        axes for count in range(1, values.ndim) for axes in itertools.combinations(range(values.ndim), count)
    ]
    choices.sort(key=lambda axes: -math.prod(values.shape[axis] for axis in axes))
    for axes in choices:
        split = int8_grid(values, axes)
        # Many scales for few values would not be smaller than float16.
        if split is not None and split[1].nbytes < values.size // 2:
            return split
    return None
