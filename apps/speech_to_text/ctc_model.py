"""A small Conformer with a CTC output, trained from scratch: https://arxiv.org/abs/2005.08100."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from apps.speech_to_text.config import SpeechConfig
from apps.speech_to_text.ctc_decoding import CHARACTERS


def _feed_forward(x: Any, config: SpeechConfig, name: str) -> Any:
    y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    y = keras.layers.Dense(4 * config.dim, activation="silu", name=f"{name}_in")(y)
    y = keras.layers.Dropout(config.dropout)(y)
    y = keras.layers.Dense(config.dim, name=f"{name}_out")(y)
    return x + 0.5 * keras.layers.Dropout(config.dropout)(y)


def _convolution(x: Any, mask: Any, config: SpeechConfig, name: str) -> Any:
    y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    gate = keras.layers.Dense(config.dim, activation="sigmoid", name=f"{name}_gate")(y)
    y = keras.layers.Dense(config.dim, name=f"{name}_in")(y) * gate
    y = keras.layers.Multiply(name=f"{name}_mask")([y, mask])
    y = keras.layers.DepthwiseConv1D(config.kernel_size, padding="same", name=f"{name}_depthwise")(y)
    # Layer instead of batch normalization: batches of speech are small and padded.
    y = keras.layers.LayerNormalization(name=f"{name}_inner_norm")(y)
    y = keras.layers.Activation("silu")(y)
    y = keras.layers.Dense(config.dim, name=f"{name}_out")(y)
    return x + keras.layers.Dropout(config.dropout)(y)


def _attention(x: Any, mask: Any, config: SpeechConfig, name: str) -> Any:
    y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    layer = keras.layers.MultiHeadAttention(
        config.heads, config.dim // config.heads, dropout=config.dropout, name=name
    )
    y = layer(y, y, attention_mask=mask)
    return x + keras.layers.Dropout(config.dropout)(y)


def build_conformer(config: SpeechConfig) -> keras.Model:
    """Build the network with random weights.

    Position comes from the convolutions, which see their neighbours, instead of relative attention.

    Args:
        config: `num_mels`, `dim`, `blocks`, `heads`, `kernel_size`, `subsampling` and `dropout`.

    Returns:
        A model from `features` `(batch, frames, num_mels)` and `mask` `(batch, frames)`, 1 for frames of the
        recording and 0 for padding, to logits `(batch, frames / subsampling, 29)`, class 0 the blank.
    """
    features = keras.Input((None, config.num_mels), name="features")
    mask = keras.Input((None,), name="mask")
    # Library layers alone: the file then loads without this module.
    kept = keras.layers.Reshape((-1, 1), name="mask_column")(mask)
    x = features
    stride = 1
    for index in range(2):
        step = 2 if stride < config.subsampling else 1
        stride *= step
        x = keras.layers.Conv1D(
            config.dim, 3, strides=step, padding="same", activation="silu", name=f"subsample_{index}"
        )(x)
        if step > 1:
            kept = keras.layers.MaxPooling1D(step, padding="same", name=f"mask_{index}")(kept)
        # Padding stays silent, or a recording's answer would depend on its neighbours in the batch.
        x = keras.layers.Multiply(name=f"subsample_mask_{index}")([x, kept])
    x = keras.layers.Dropout(config.dropout)(keras.layers.Dense(config.dim, name="project")(x))
    attention_mask = ops.greater(keras.layers.Permute((2, 1), name="mask_row")(kept), 0.5)
    for block in range(config.blocks):
        x = _feed_forward(x, config, f"block{block}_feed_a")
        x = _attention(x, attention_mask, config, f"block{block}_attention")
        x = _convolution(x, kept, config, f"block{block}_conv")
        x = _feed_forward(x, config, f"block{block}_feed_b")
        x = keras.layers.LayerNormalization(name=f"block{block}_norm")(x)
    logits = keras.layers.Dense(len(CHARACTERS) + 1, name="logits")(x)
    return keras.Model({"features": features, "mask": mask}, logits, name="conformer_ctc")


@keras.saving.register_keras_serializable(package="speech_to_text")
class PackedCtcLoss(keras.losses.Loss):
    """CTC with the true lengths of recordings and transcripts.

    Targets are packed as `(batch, 2 + characters)`: output frames, characters, then the classes. (Keras' own
    `losses.CTC` takes every frame of the padded batch as part of the recording.)
    """

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, "int32")
        frames, characters = y_true[:, 0], y_true[:, 1]
        return ops.ctc_loss(y_true[:, 2:], y_pred, characters, frames, mask_index=0)
