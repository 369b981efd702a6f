"""Whisper as the two graphs that serve: the encoder, and the decoder step with a key/value cache.

Written from the weights of a `keras_hub.models.WhisperBackbone`, which stays the reference. Paper:
https://arxiv.org/abs/2212.04356.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from apps.speech_to_text.onnx_builder import GraphBuilder, dequantize_blocks, quantize_blocks
from apps.speech_to_text.vocabulary import ALIGNMENT_HEADS

if TYPE_CHECKING:
    import keras


def encoder_output_names(num_layers: int) -> list[str]:
    """Outputs of the encoder: cross-attention keys, then values, one a layer."""
    return [f"cross_{kind}_{layer}" for kind in ("key", "value") for layer in range(num_layers)]


DECODER_OUTPUT_NAMES = ["logits", "new_keys", "new_values", "alignment"]


def _kernel(dense: keras.layers.Layer, hidden: int) -> np.ndarray:
    """Kernel of an attention projection as `(inputs, outputs)`."""
    return np.asarray(dense.kernel).reshape(hidden, -1)


def _bias(dense: keras.layers.Layer) -> np.ndarray | None:
    return np.asarray(dense.bias).reshape(-1) if dense.bias is not None else None


def _feed_forward(build: GraphBuilder, x: str, layer: keras.layers.Layer) -> str:
    y = build.layer_norm(x, layer._feedforward_layer_norm)
    first, second = layer._feedforward_intermediate_dense, layer._feedforward_output_dense
    y = build.node("Gelu", build.linear(y, np.asarray(first.kernel), np.asarray(first.bias)))
    return build.node("Add", x, build.linear(y, np.asarray(second.kernel), np.asarray(second.bias)))


def write_encoder(backbone: keras.Model, path: Path | str, bits: int = 8, accuracy_level: int = 4) -> None:
    """Write the audio encoder, up to what the decoder attends to.

    The keys and values of cross-attention do not change while a window is decoded, so they are part of
    the encoder's answer. Keys come transposed, ready for the product with one query.

    The graph maps `features` `(batch, frames, 80)` to `cross_key_<layer>` `(batch, heads, 64, frames / 2)`
    and `cross_value_<layer>` `(batch, heads, frames / 2, 64)`.

    Args:
        backbone: `keras_hub.models.WhisperBackbone`.
        path: The `.onnx` file.
        bits: 8 or 32, how kernels are stored.
        accuracy_level: See `GraphBuilder`.
    """
    heads, hidden = backbone.num_heads, backbone.hidden_dim
    build = GraphBuilder(bits, accuracy_level)
    x = build.input("features", ("batch", "frames", backbone.num_mels))
    x = build.node("Transpose", x, perm=[0, 2, 1])
    for layer, stride in ((backbone.encoder_conv_layer_1, 1), (backbone.encoder_conv_layer_2, 2)):
        kernel, bias = (np.asarray(w) for w in layer.weights)
        x = _conv(build, x, kernel.transpose(2, 1, 0), bias, stride)
        x = build.node("Gelu", x)
    x = build.node("Transpose", x, perm=[0, 2, 1])
    length = build.node("Slice", build.node("Shape", x), build.ints(1), build.ints(2))
    positions = np.asarray(backbone.encoder_position_embedding.weights[0])
    positions = build.node("Slice", build.weight(positions), build.ints(0), length, build.ints(0))
    x = build.node("Add", x, positions)
    for layer in backbone.encoder_transformer_layers:
        attention = layer._self_attention_layer
        y = build.layer_norm(x, layer._self_attention_layer_norm)
        parts = [attention.query_dense, attention.key_dense, attention.value_dense]
        projected = [build.linear(y, _kernel(p, hidden), _bias(p)) for p in parts]
        y = build.node("MultiHeadAttention", *projected, domain="com.microsoft", num_heads=heads)
        output = attention.output_dense
        y = build.linear(y, np.asarray(output.kernel).reshape(-1, hidden), np.asarray(output.bias))
        x = _feed_forward(build, build.node("Add", x, y), layer)
    x = build.layer_norm(x, backbone.encoder_layer_norm)
    size, frames = hidden // heads, "encoded_frames"
    for index, layer in enumerate(backbone.decoder_transformer_layers):
        attention = layer._cross_attention_layer
        for kind, dense in (("key", attention.key_dense), ("value", attention.value_dense)):
            y = build.linear(x, _kernel(dense, hidden), _bias(dense))
            y = build.node("Reshape", y, build.ints(0, 0, heads, size))
            y = build.node("Transpose", y, perm=[0, 2, 3, 1] if kind == "key" else [0, 2, 1, 3])
            shape = ("batch", heads, size, frames) if kind == "key" else ("batch", heads, frames, size)
            build.output(y, f"cross_{kind}_{index}", shape)
    build.save(path, "whisper_encoder")


def _conv(build: GraphBuilder, x: str, kernel: np.ndarray, bias: np.ndarray, stride: int) -> str:
    """A convolution of width 3 over `(batch, channels, frames)`; its kernel is stored as int8 per output."""
    attributes = {"kernel_shape": [3], "pads": [1, 1], "strides": [stride]}
    if build.bits == 32:
        return build.node("Conv", x, build.weight(kernel), build.weight(bias), **attributes)
    scale = (np.abs(kernel).max(axis=(1, 2), keepdims=True) / 127).astype(np.float32)
    stored = build.weight(np.rint(kernel / scale).astype(np.int8))
    # Cast and Mul are folded when the session loads (a DequantizeLinear would run at every call).
    restored = build.node("Mul", build.node("Cast", stored, to=TensorProto.FLOAT), build.weight(scale))
    return build.node("Conv", x, restored, build.weight(bias), **attributes)


def write_decoder(
    backbone: keras.Model,
    path: Path | str,
    bits: int = 8,
    accuracy_level: int = 4,
    alignment_heads: Sequence[tuple[int, int]] = ALIGNMENT_HEADS,
) -> None:
    """Write one decoding step for `rows = windows * beams` hypotheses.

    The cache of self-attention holds `capacity` places, of which the first `past_length` count; the step
    returns the keys and values of its new tokens and the caller puts them into the cache, which is never
    copied. The beams of a window attend to one copy of its audio: rows are ordered by window.

    Inputs: `token_ids` `(rows, tokens)` int32; `past_length` and `logits_from` `(1,)` int64; for each layer
    `past_key_<layer>`, `past_value_<layer>` `(rows, heads, capacity, 64)`, and the encoder's outputs.
    Outputs: `logits` `(rows, tokens - logits_from, vocabulary)`; `new_keys` and `new_values`
    `(layers, rows, heads, tokens, 64)`; `alignment` `(rows, alignment heads, tokens, frames / 2)`, attention
    weights after softmax.

    Args:
        backbone: `keras_hub.models.WhisperBackbone`.
        path: The `.onnx` file.
        bits: 8 or 32, how kernels are stored.
        accuracy_level: See `GraphBuilder`.
        alignment_heads: `(layer, head)` of the cross-attention heads whose weights follow the audio.
    """
    heads, hidden = backbone.num_heads, backbone.hidden_dim
    size, vocabulary = hidden // heads, backbone.vocabulary_size
    build = GraphBuilder(bits, accuracy_level)
    tokens = build.input("token_ids", ("rows", "tokens"), TensorProto.INT32)
    past = build.input("past_length", (1,), TensorProto.INT64)
    logits_from = build.input("logits_from", (1,), TensorProto.INT64)
    rest = {}
    for index in range(backbone.num_layers):
        for kind in ("past_key", "past_value"):
            rest[f"{kind}_{index}"] = build.input(f"{kind}_{index}", ("rows", heads, "capacity", size))
        rest[f"cross_key_{index}"] = build.input(f"cross_key_{index}", ("windows", heads, size, "frames"))
        rest[f"cross_value_{index}"] = build.input(f"cross_value_{index}", ("windows", heads, "frames", size))

    table = np.asarray(backbone.token_embedding.embeddings)
    if bits == 8:
        # Looked up by row at the bottom, multiplied with at the top: the same bytes.
        values, scales = (build.weight(a) for a in quantize_blocks(table))
        picked = build.node("Cast", build.node("Gather", values, tokens), to=TensorProto.FLOAT)
        picked = build.node("Sub", picked, build.scalar(128.0))
        scale = build.node("Unsqueeze", build.node("Gather", scales, tokens), build.ints(-1))
        embedded = build.node("Reshape", build.node("Mul", picked, scale), build.ints(0, 0, hidden))
    else:
        embedded = build.node("Gather", build.weight(table), tokens)
    places, mask_past, mask_new, count = _masks(build, tokens, past, rest["past_key_0"])
    positions = np.asarray(backbone.decoder_embeddings.position_embedding.position_embeddings)
    x = build.node("Add", embedded, build.node("Gather", build.weight(positions), places))

    keys, values_, attended = [], [], {}
    split = build.node("Concat", build.node("Shape", rest["past_key_0"], start=2, end=3), count, axis=0)
    for index, layer in enumerate(backbone.decoder_transformer_layers):
        attention = layer._self_attention_layer
        y = build.layer_norm(x, layer._self_attention_layer_norm)
        query, key, value = (
            _heads(build, _project(build, y, dense, hidden), heads, size)
            for dense in (attention.query_dense, attention.key_dense, attention.value_dense)
        )
        keys.append(build.node("Unsqueeze", key, build.ints(0)))
        values_.append(build.node("Unsqueeze", value, build.ints(0)))
        query = build.node("Mul", query, build.scalar(size**-0.5))
        # One softmax over two products: joining cache and new keys instead would copy the cache.
        old = build.node(
            "MatMul", query, build.node("Transpose", rest[f"past_key_{index}"], perm=[0, 1, 3, 2])
        )
        new = build.node("MatMul", query, build.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = [build.node("Add", old, mask_past), build.node("Add", new, mask_new)]
        weights = build.node("Softmax", build.node("Concat", *scores, axis=-1), axis=-1)
        old, new = build.node("Split", weights, split, axis=-1, outputs=2)
        y = build.node(
            "Add",
            build.node("MatMul", old, rest[f"past_value_{index}"]),
            build.node("MatMul", new, value),
        )
        y = build.node("Reshape", build.node("Transpose", y, perm=[0, 2, 1, 3]), build.ints(0, 0, hidden))
        x = build.node("Add", x, _output(build, y, attention, hidden))

        attention = layer._cross_attention_layer
        y = _project(
            build, build.layer_norm(x, layer._cross_attention_layer_norm), attention.query_dense, hidden
        )
        y = build.node("Mul", y, build.scalar(size**-0.5))
        windows = build.node("Shape", rest["cross_key_0"], start=0, end=1)
        # Rows of one window become query places of one product: its keys are read once for all beams.
        shape = build.node("Concat", windows, build.ints(-1, heads, size), axis=0)
        query = build.node("Transpose", build.node("Reshape", y, shape), perm=[0, 2, 1, 3])
        weights = build.node("Softmax", build.node("MatMul", query, rest[f"cross_key_{index}"]), axis=-1)
        attended[index] = weights
        y = build.node("MatMul", weights, rest[f"cross_value_{index}"])
        shape = build.node("Concat", build.node("Shape", tokens), build.ints(hidden), axis=0)
        y = build.node("Reshape", build.node("Transpose", y, perm=[0, 2, 1, 3]), shape)
        x = build.node("Add", x, _output(build, y, attention, hidden))
        x = _feed_forward(build, x, layer)

    end = build.ints(2**31 - 1)
    x = build.layer_norm(build.node("Slice", x, logits_from, end, build.ints(1)), backbone.decoder_layer_norm)
    if bits == 8:
        logits = build.linear_stored(x, values, scales, (hidden, vocabulary))
    else:
        logits = build.linear(x, table.T)
    build.output(logits, "logits", ("rows", "scored_tokens", vocabulary))
    new_shape = (backbone.num_layers, "rows", heads, "tokens", size)
    build.output(build.node("Concat", *keys, axis=0), "new_keys", new_shape)
    build.output(build.node("Concat", *values_, axis=0), "new_values", new_shape)
    shape = build.node("Concat", build.node("Shape", tokens), build.ints(1, -1), axis=0)
    followed = []
    for layer, head in alignment_heads:
        one = build.node("Gather", attended[layer], build.weight(np.array(head, np.int64)), axis=1)
        followed.append(build.node("Reshape", one, shape))
    alignment = build.node("Transpose", build.node("Concat", *followed, axis=2), perm=[0, 2, 1, 3])
    build.output(alignment, "alignment", ("rows", len(alignment_heads), "tokens", "frames"))
    build.save(path, "whisper_decoder")


def _masks(build: GraphBuilder, tokens: str, past: str, cache: str) -> tuple[str, str, str, str]:
    """Positions of the new tokens, additive masks over cache and new tokens, and the count of tokens."""
    count = build.node("Shape", tokens, start=1, end=2)
    zero, one = build.weight(np.array(0, np.int64)), build.weight(np.array(1, np.int64))
    steps = build.node("Range", zero, build.node("Squeeze", count), one)
    capacity = build.node("Shape", cache, start=2, end=3)
    columns = build.node("Range", zero, build.node("Squeeze", capacity), one)
    off, on = build.scalar(-1e9), build.scalar(0.0)
    mask_past = build.node("Where", build.node("Less", columns, past), on, off)
    column = build.node("Unsqueeze", steps, build.ints(1))
    mask_new = build.node("Where", build.node("LessOrEqual", steps, column), on, off)
    return build.node("Add", steps, past), mask_past, mask_new, count


def _project(build: GraphBuilder, x: str, dense: keras.layers.Layer, hidden: int) -> str:
    return build.linear(x, _kernel(dense, hidden), _bias(dense))


def _heads(build: GraphBuilder, x: str, heads: int, size: int) -> str:
    """`(rows, tokens, hidden)` -> `(rows, heads, tokens, size)`."""
    return build.node("Transpose", build.node("Reshape", x, build.ints(0, 0, heads, size)), perm=[0, 2, 1, 3])


def _output(build: GraphBuilder, x: str, attention: keras.layers.Layer, hidden: int) -> str:
    dense = attention.output_dense
    return build.linear(x, np.asarray(dense.kernel).reshape(-1, hidden), np.asarray(dense.bias))


def round_like_graphs(backbone: keras.Model) -> None:
    """Put the Keras weights on the grid the 8-bit graphs store, so both compute with the same numbers."""
    hidden = backbone.hidden_dim

    def kernel(variable: keras.Variable, inputs: int) -> None:
        matrix = np.asarray(variable).reshape(inputs, -1)
        variable.assign(dequantize_blocks(*quantize_blocks(matrix.T)).T.reshape(variable.shape))

    table = backbone.token_embedding.embeddings
    table.assign(dequantize_blocks(*quantize_blocks(np.asarray(table))))
    for layer in (*backbone.encoder_transformer_layers, *backbone.decoder_transformer_layers):
        attentions = [layer._self_attention_layer]
        if hasattr(layer, "_cross_attention_layer"):
            attentions.append(layer._cross_attention_layer)
        for attention in attentions:
            for dense in (attention.query_dense, attention.key_dense, attention.value_dense):
                kernel(dense.kernel, hidden)
            kernel(attention.output_dense.kernel, hidden)
        kernel(layer._feedforward_intermediate_dense.kernel, hidden)
        kernel(layer._feedforward_output_dense.kernel, backbone.intermediate_dim)
    for layer in (backbone.encoder_conv_layer_1, backbone.encoder_conv_layer_2):
        value = np.asarray(layer.kernel)
        scale = np.abs(value).max(axis=(0, 1), keepdims=True) / 127
        layer.kernel.assign(np.rint(value / scale) * scale)
