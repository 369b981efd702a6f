"""The three models: `token_ids`, `padding_mask` `(batch, length)` -> `logits` `(batch, classes)`."""

from __future__ import annotations

import re

import keras
import numpy as np
from keras import layers, ops

from apps.sentiment_analysis.config import SentimentConfig


def build_model(config: SentimentConfig, classes: int) -> keras.Model:
    """The model `config.model` names.

    Args:
        config: The run's options.
        classes: Number of logits.
    """
    build = {"bag_of_words": _bag_of_words, "bigru": _bigru, "minilm": _minilm}[config.model]
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
    features = build(config, token_ids, padding_mask)
    features = layers.Dropout(config.dropout, name="classifier_dropout")(features)
    logits = layers.Dense(classes, name="logits")(features)
    return keras.Model({"token_ids": token_ids, "padding_mask": padding_mask}, logits, name=config.model)


def _mean(vectors, padding_mask):
    """Mean over the tokens that are there."""
    return layers.GlobalAveragePooling1D(name="mean")(vectors, mask=ops.cast(padding_mask, "bool"))


def _bag_of_words(config: SentimentConfig, token_ids, padding_mask):
    """Mean of hashed n-gram vectors and one hidden layer, as fastText (https://arxiv.org/abs/1607.01759)."""
    vectors = layers.Embedding(config.hash_buckets, config.embedding_dim, name="ngrams")(token_ids)
    vectors = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1), name="word_dropout")(vectors)
    mean = layers.Dropout(config.dropout, name="mean_dropout")(_mean(vectors, padding_mask))
    return layers.Dense(config.units, activation="relu", name="hidden")(mean)


def _bigru(config: SentimentConfig, token_ids, padding_mask):
    """A GRU in each direction over MiniLM's word-piece vectors; mean and maximum of its states.

    The vectors start as the backbone's token embeddings, projected on their main axes.
    """
    table = projected_embeddings(config)
    vectors = layers.Embedding(
        *table.shape, embeddings_initializer=keras.initializers.Constant(table), name="word_pieces"
    )(token_ids)
    vectors = layers.SpatialDropout1D(config.dropout / 2, name="vector_dropout")(vectors)
    vectors = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1), name="word_dropout")(vectors)
    mask = ops.cast(padding_mask, "bool")
    states = layers.Bidirectional(layers.GRU(config.units, return_sequences=True), name="gru")(
        vectors, mask=mask
    )
    # Padding must lose every comparison.
    hidden = (1.0 - ops.cast(ops.expand_dims(padding_mask, -1), "float32")) * -10.0
    maximum = layers.GlobalMaxPooling1D(name="maximum")(states + hidden)
    return layers.Concatenate(name="pooled")([_mean(states, padding_mask), maximum])


def projected_embeddings(config: SentimentConfig) -> np.ndarray:
    """The backbone's token embeddings on their `embedding_dim` main axes, scaled to unit variance.

    Returns:
        float32 `(vocabulary, embedding_dim)`; row 0, padding, is as good as any: it is masked.
    """
    from shared.backbones.loading import load_backbone

    table = np.asarray(load_backbone(config.backbone).token_embedding.embeddings.value, np.float32)
    table = table - table.mean(axis=0)
    _, axes = np.linalg.eigh(table.T @ table)
    projected = table @ axes[:, ::-1][:, : config.embedding_dim]
    return (projected / projected.std()).astype(np.float32)


def _minilm(config: SentimentConfig, token_ids, padding_mask):
    """The pretrained encoder (https://arxiv.org/abs/2002.10957), trained whole; mean of its token vectors."""
    from shared.backbones.loading import load_backbone

    backbone = load_backbone(config.backbone)
    outputs = backbone(
        {
            "token_ids": token_ids,
            "padding_mask": padding_mask,
            "segment_ids": ops.zeros_like(token_ids),
        }
    )
    return _mean(outputs["sequence_output"], padding_mask)


class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW in which each layer below the classifier learns slower (https://arxiv.org/abs/1801.06146, 3.2).

    Args:
        learning_rate: Peak rate or schedule, that of the classifier.
        scales: Factor of each trainable variable, in their order.
        **options: Of `keras.optimizers.AdamW`.
    """

    def __init__(self, learning_rate, scales: list[float], **options):
        super().__init__(learning_rate, **options)
        self._scales = scales

    def update_step(self, gradient, variable, learning_rate):
        scale = self._scales[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * scale)


def compile_model(model: keras.Model, config: SentimentConfig, learning_rate: float, steps: int) -> None:
    """AdamW, warm-up then cosine, gradients clipped to norm 1; cross-entropy on logits.

    Args:
        model: Built by `build_model`.
        config: The run's options.
        learning_rate: Peak.
        steps: Of the whole phase.
    """
    warmup = int(steps * config.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate * 0.01,
        max(1, steps - warmup),
        alpha=0.02,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    optimizer = LayerwiseAdamW(
        schedule,
        [config.layer_decay ** depth(v.path) for v in model.trainable_variables],
        weight_decay=config.weight_decay,
        global_clipnorm=1.0,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "layer_norm"])
    model.compile(
        optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )


def depth(path: str, layers_in_encoder: int = 6) -> int:
    """Layers between a variable and the classifier: 0 for the classifier, 1 for the top encoder layer."""
    found = re.search(r"transformer_layer_(\d+)", path)
    if found:
        return layers_in_encoder - int(found.group(1))
    return layers_in_encoder + 1 if "embedding" in path else 0
