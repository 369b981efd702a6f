"""Anchor-free one-stage detector: EfficientNet-Lite0, a feature pyramid P3 to P5 and one head for all levels.

FCOS (https://arxiv.org/abs/1904.01355) without its centerness branch: every point of every level says how
good a box it has of each class, and where its four sides are as a distribution over distances (generalized
focal loss, https://arxiv.org/abs/2006.04388). The head's convolutions are shared by the levels, their batch
normalization is not, since the levels' statistics differ (as in https://arxiv.org/abs/1911.09070).
"""

from __future__ import annotations

import math

import keras
import numpy as np

from apps.object_detection.config import Config
from shared.data.pyramid import STRIDES
from shared.layers.feature_pyramid import feature_pyramid

BACKBONE_STAGES = ("stem", "block1", "block2", "block3", "block4", "block5", "block6", "block7")
PRIOR = 0.01


def build_detector(backbone: keras.Model, config: Config, num_classes: int) -> keras.Model:
    """Put pyramid and head on a backbone.

    Args:
        backbone: Keras-Hub backbone with `pyramid_outputs` P3 to P5; its own weights are used.
        config: Input size, channels, depth and bins.
        num_classes: Classes.

    Returns:
        Model from normalized RGB `(batch, height, width, 3)` to `logits` `(batch, points,
        num_classes + 4 * bins)`: class logits, then the distance distributions of left, top, right, bottom.
        Points are those of `pyramid_points`.
    """
    images = keras.Input((*config.image_size_px, 3), name="images")
    features = _features(backbone)(images)
    levels = feature_pyramid(features, config.channels)

    def tower(name: str) -> list[keras.KerasTensor]:
        outputs = levels
        for depth in range(config.head_depth):
            conv = keras.layers.Conv2D(
                config.channels, 3, padding="same", use_bias=False, name=f"{name}_conv_{depth}"
            )
            outputs = [
                keras.layers.ReLU(max_value=6.0, name=f"{name}_relu_{depth}_{level}")(
                    keras.layers.BatchNormalization(
                        momentum=0.97, epsilon=1e-3, name=f"{name}_norm_{depth}_{level}"
                    )(conv(x))
                )
                for level, x in enumerate(outputs)
            ]
        return outputs

    # Small distances are the likely ones before anything is learned.
    box_prior = np.tile(-0.35 * np.arange(config.bins, dtype="float32"), 4)
    to_class = keras.layers.Conv2D(
        num_classes,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR)),
        name="class_logits",
    )
    to_box = keras.layers.Conv2D(
        4 * config.bins,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name="box_logits",
    )
    flat = []
    for stride, class_features, box_features in zip(STRIDES, tower("class"), tower("box"), strict=True):
        points = (config.image_size_px[0] // stride) * (config.image_size_px[1] // stride)
        both = keras.layers.Concatenate(name=f"level_{stride}")(
            [to_class(class_features), to_box(box_features)]
        )
        flat.append(
            keras.layers.Reshape((points, num_classes + 4 * config.bins), name=f"points_{stride}")(both)
        )
    logits = keras.layers.Concatenate(axis=1, name="logits")(flat)
    model = keras.Model(images, logits, name="detector")
    to_box.bias.assign(box_prior)
    return model


def _features(backbone: keras.Model) -> keras.Model:
    """The backbone up to its P3, P4 and P5."""
    outputs = [backbone.pyramid_outputs[f"P{level}"] for level in (3, 4, 5)]
    if any(layer.name == "block7a_" for layer in backbone.layers):
        # EfficientNet's P5 is the 1280-channel layer made for classification: as costly as stage 7 itself.
        outputs[-1] = backbone.get_layer("block7a_").output
    return keras.Model(backbone.inputs, outputs, name="backbone")


def freeze(model: keras.Model, stages: int, norms: bool) -> None:
    """Keep the first stages of an EfficientNet backbone, and optionally all its normalization, as they are.

    The gradient of a depthwise convolution at high resolution is what training on a CPU waits for, and edges
    and colours need no relearning from a few hundred images.

    Args:
        model: From `build_detector`.
        stages: How many of `BACKBONE_STAGES` to freeze.
        norms: Freeze the backbone's batch normalization, running averages included.
    """
    backbone = model.get_layer("backbone")
    # Setting it on the model alone leaves layers frozen that an earlier call froze one by one.
    for part in backbone._flatten_layers(include_self=True, recursive=True):
        part.trainable = True
    for layer in backbone.layers:
        if any(layer.name.startswith(stage) for stage in BACKBONE_STAGES[:stages]):
            layer.trainable = False
        elif norms:
            for part in layer._flatten_layers(include_self=True, recursive=True):
                if isinstance(part, keras.layers.BatchNormalization):
                    part.trainable = False


def load_detector_backbone(config: Config) -> keras.Model:
    """The pretrained backbone that the options name, without stochastic depth: short runs gain nothing by it."""
    from shared.backbones import load_backbone

    backbone = load_backbone(config.backbone)
    if config.backbone != "efficientnet_lite0":
        return backbone
    from shared.backbones.efficientnet_lite0 import build_efficientnet_lite0

    plain = build_efficientnet_lite0(dropout=0.0)
    plain.set_weights(backbone.get_weights())
    return plain
