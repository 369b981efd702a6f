"""Fine-tuning Whisper on two cores: the encoder runs once a recording, the decoder learns.

The decoder is trained with low-rank adapters (https://arxiv.org/abs/2106.09685) or whole; token embedding,
encoder and the keys and values of cross-attention stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.speech_to_text.config import SpeechConfig
from apps.speech_to_text.features import log_mel
from apps.speech_to_text.vocabulary import END, NO_TIMESTAMPS, SAMPLE_RATE_HZ, START, WINDOW_S
from shared.data.audio_manifest import Utterance

PROMPT = (START, NO_TIMESTAMPS)
IGNORED = -1
ENCODE_BATCH = 8


@keras.saving.register_keras_serializable(package="speech_to_text")
class WhisperDecoder(keras.layers.Layer):
    """The decoder of a backbone, from encoded audio and token ids to logits.

    Args:
        backbone: `keras_hub.models.WhisperBackbone`.

    Call arguments:
        inputs: `encoded` `(batch, frames, hidden)` and `token_ids` `(batch, tokens)`.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.built = True

    def call(self, inputs):
        x = self.backbone.decoder_embeddings(inputs["token_ids"])
        for layer in self.backbone.decoder_transformer_layers:
            x = layer(decoder_sequence=x, encoder_sequence=inputs["encoded"])
        return self.backbone.token_embedding(self.backbone.decoder_layer_norm(x), reverse=True)


def build_whisper(config: SpeechConfig) -> keras.Model:
    """The decoder with imported weights, ready to be fine-tuned.

    Args:
        config: `unfreeze` and `lora_rank`.

    Returns:
        A model from `encoded` and `token_ids` to logits; `model.get_layer("decoder").backbone` is the whole
        Whisper, with which the graphs are written.
    """
    from shared.backbones import load_backbone

    backbone = load_backbone("whisper_tiny_en", config.models_dir)
    unfreeze(backbone, config)
    inputs = {
        "encoded": keras.Input((None, backbone.hidden_dim), name="encoded"),
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
    }
    return keras.Model(inputs, WhisperDecoder(backbone, name="decoder")(inputs), name="whisper_tuning")


def unfreeze(backbone: keras.Model, config: SpeechConfig) -> None:
    """Make only the decoder's blocks trainable, whole or through adapters of rank `config.lora_rank`."""
    backbone.trainable = True
    for layer in backbone._flatten_layers(recursive=True, include_self=False):
        if not list(layer._flatten_layers(recursive=True, include_self=False)):
            layer.trainable = False
    for layer in backbone.decoder_transformer_layers:
        own, cross = layer._self_attention_layer, layer._cross_attention_layer
        chosen = [own.query_dense, own.key_dense, own.value_dense, own.output_dense]
        chosen += [cross.query_dense, cross.output_dense]
        chosen += [layer._feedforward_intermediate_dense, layer._feedforward_output_dense]
        for dense in chosen:
            dense.trainable = True
            if config.unfreeze == "decoder_lora":
                dense.enable_lora(config.lora_rank)
        if config.unfreeze == "decoder":
            for norm in (
                layer._self_attention_layer_norm,
                layer._cross_attention_layer_norm,
                layer._feedforward_layer_norm,
            ):
                norm.trainable = True


def encode_all(backbone: keras.Model, utterances: Sequence[Utterance]) -> np.ndarray:
    """Encoded audio of every recording, `(recordings, 1500, hidden)` float16: 1.2 MB each."""
    encoder = keras.Model(
        backbone.input["encoder_features"], backbone.output["encoder_sequence_output"], name="encoder"
    )
    run = tf.function(lambda x: encoder(x, training=False))
    encoded = np.zeros((len(utterances), WINDOW_S * 50, backbone.hidden_dim), np.float16)
    for start in range(0, len(utterances), ENCODE_BATCH):
        group = utterances[start : start + ENCODE_BATCH]
        features = np.stack([log_mel(u.read(), WINDOW_S) for u in group])
        encoded[start : start + len(group)] = run(features).numpy()
        if start % (50 * ENCODE_BATCH) == 0:
            print(f"encoded {start + len(group)} of {len(utterances)} recordings", flush=True)
    return encoded


def fold_case(text: str) -> str:
    """Transcripts in capitals -> as Whisper writes: lower case, a capital first, a full stop."""
    text = " ".join(text.split())
    if not text.isupper():
        return text
    text = text.lower().replace(" i ", " I ").replace(" i'", " I'")
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


class WhisperData:
    """Token ids of a split and its encoded audio, kept in memory.

    Args:
        examples: The split; recordings over 30 s are left out.
        config: The run's options.
        backbone: Encodes.
        tokenizer_file: `tokenizer.json`.
        training: Shuffle anew each epoch.
    """

    def __init__(
        self,
        examples: Sequence[Utterance],
        config: SpeechConfig,
        backbone: keras.Model,
        tokenizer_file: Path,
        training: bool,
    ):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        kept = [u for u in examples if len(u.read()) <= WINDOW_S * SAMPLE_RATE_HZ]
        self._tokens = [
            [*PROMPT, *tokenizer.encode(" " + fold_case(u.text), add_special_tokens=False).ids, END]
            for u in kept
        ]
        self._encoded = encode_all(backbone, kept)
        self._size, self._training = config.batch_size, training
        self._random = np.random.default_rng(config.seed)

    def __len__(self) -> int:
        return -(-len(self._tokens) // self._size)

    def batches(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """One epoch: inputs, and the next token at each place (-1 where none is learned)."""
        order = np.arange(len(self._tokens))
        if self._training:
            self._random.shuffle(order)
        for start in range(0, len(order), self._size):
            group = order[start : start + self._size]
            longest = -(-max(len(self._tokens[i]) for i in group) // 8) * 8
            inputs = np.full((len(group), longest), END, np.int32)
            targets = np.full((len(group), longest), IGNORED, np.int32)
            for row, index in enumerate(group):
                tokens = self._tokens[index]
                inputs[row, : len(tokens) - 1] = tokens[:-1]
                targets[row, len(PROMPT) - 1 : len(tokens) - 1] = tokens[len(PROMPT) :]
            yield {"encoded": self._encoded[group].astype(np.float32), "token_ids": inputs}, targets


def whisper_batches(
    examples: Sequence[Utterance], config: SpeechConfig, backbone: keras.Model, *, training: bool
) -> tf.data.Dataset:
    """The split as `({"encoded", "token_ids"}, targets)`."""
    from shared.backbones import backbone_folder

    tokenizer_file = backbone_folder("whisper_tiny_en", config.models_dir) / "tokenizer.json"
    data = WhisperData(examples, config, backbone, tokenizer_file, training)
    signature = (
        {
            "encoded": tf.TensorSpec((None, None, backbone.hidden_dim), tf.float32),
            "token_ids": tf.TensorSpec((None, None), tf.int32),
        },
        tf.TensorSpec((None, None), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(data.batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(data))).prefetch(2)


@keras.saving.register_keras_serializable(package="speech_to_text")
class NextTokenLoss(keras.losses.Loss):
    """Cross-entropy over the places that are learned, with label smoothing.

    Args:
        label_smoothing: In [0, 1).
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "next_token", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        y_true = keras.ops.cast(y_true, "int32")
        weights = keras.ops.cast(y_true != IGNORED, "float32")
        log_probabilities = keras.ops.log_softmax(y_pred, axis=-1)
        safe = keras.ops.maximum(y_true, 0)[..., None]
        picked = keras.ops.take_along_axis(log_probabilities, safe, axis=-1)[..., 0]
        smooth = keras.ops.mean(log_probabilities, axis=-1)
        loss = -(1 - self.label_smoothing) * picked - self.label_smoothing * smooth
        # A mean over tokens, not over padded recordings.
        return keras.ops.sum(loss * weights) / keras.ops.maximum(keras.ops.sum(weights), 1.0)


def write_whisper(model: keras.Model, config: SpeechConfig, folder: Path) -> dict[str, list[str]]:
    """Write the fine-tuned Whisper as graphs with its tokenizer, adapters merged, and hold them to Keras.

    Returns:
        Graph name -> output names.
    """
    from apps.speech_to_text import whisper_graphs
    from apps.speech_to_text.import_whisper import check_graphs, compact_json
    from shared.backbones import backbone_folder
    from shared.backbones.whisper_tiny_en import build_whisper_tiny_en

    tuned = model.get_layer("decoder").backbone
    merged = build_whisper_tiny_en()
    copy_merged(tuned, merged)
    whisper_graphs.round_like_graphs(merged)
    check_graphs(merged, folder)
    whisper_graphs.write_encoder(merged, folder / "encoder.onnx")
    whisper_graphs.write_decoder(merged, folder / "decoder.onnx")
    source = backbone_folder("whisper_tiny_en", config.models_dir)
    (folder / "tokenizer.json").write_bytes(compact_json((source / "tokenizer.json").read_bytes()))
    return {
        "encoder": whisper_graphs.encoder_output_names(merged.num_layers),
        "decoder": list(whisper_graphs.DECODER_OUTPUT_NAMES),
    }


def copy_merged(source: keras.Model, target: keras.Model) -> None:
    """Copy weights layer by layer; a kernel with an adapter becomes their sum."""
    pairs = zip(
        source._flatten_layers(recursive=True, include_self=False),
        target._flatten_layers(recursive=True, include_self=False),
        strict=True,
    )
    for one, other in pairs:
        if getattr(one, "lora_enabled", False):
            other._kernel.assign(one.kernel)
            if one.bias is not None:
                other.bias.assign(one.bias)
        elif one.weights and not list(one._flatten_layers(recursive=True, include_self=False)):
            other.set_weights(one.get_weights())


def generation_settings(config: SpeechConfig) -> dict[str, Any]:
    """Suppressed tokens and the like, as they came with the weights."""
    from shared.backbones import backbone_folder

    path = backbone_folder("whisper_tiny_en", config.models_dir) / "generation.json"
    return json.loads(path.read_text(encoding="utf-8"))
