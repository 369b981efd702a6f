"""The network: a pretrained backbone, a decoder over its pyramid, logits at a quarter of the size."""

from __future__ import annotations

import keras

from apps.segmentation.config import SegmentationConfig
from shared.layers.segmentation_decoders import DECODERS

LEVELS = ("P2", "P3", "P4", "P5")


def build_model(config: SegmentationConfig, num_classes: int) -> keras.Model:
    """Build the network, backbone frozen as the config says.

    Args:
        config: `backbone`, `decoder`, `channels`, `dropout`, `frozen_levels`, `freeze_batch_norm`.
        num_classes: Number of classes.

    Returns:
        RGB `(batch, height, width, 3)`, 0 to 255, sides multiples of 32, to logits
        `(batch, height / 4, width / 4, num_classes)`.

    Raises:
        ValueError: The backbone has no pyramid of maps.
    """
    backbone, scale, offset = _load_backbone(config)
    outputs = getattr(backbone, "pyramid_outputs", {})
    missing = [level for level in LEVELS if level not in outputs]
    if missing:
        raise ValueError(
            f"backbone must give the maps {', '.join(LEVELS)}, received {config.backbone!r} without "
            f"{', '.join(missing)}"
        )
    freeze(backbone, config.frozen_levels, config.freeze_batch_norm)
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(scale, offset, name="normalization")(images)
    pyramid = keras.Model(backbone.inputs, {level: outputs[level] for level in LEVELS}, name="backbone")
    features = pyramid(x)
    logits = DECODERS[config.decoder](features, num_classes, config.channels, config.dropout)
    return keras.Model(images, keras.layers.Identity(name="logits")(logits), name="segmenter")


def freeze(backbone: keras.Model, levels: int, batch_norm: bool) -> None:
    """Keep the weights up to pyramid level `levels`, and the statistics of all batch normalization."""
    if levels:
        last = backbone.pyramid_outputs[f"P{levels}"]
        for layer in keras.Model(backbone.inputs, last).layers:
            layer.trainable = False
    if batch_norm:
        for layer in backbone._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def is_backbone(variable: keras.Variable) -> bool:
    """Whether a variable belongs to the pretrained part; decoder layers are named after their decoder."""
    decoders = ("context_", "unet_", "deeplab_", "lraspp_")
    return not any(part.startswith(decoders) for part in variable.path.split("/"))


def _load_backbone(config: SegmentationConfig) -> tuple[keras.Model, object, object]:
    """Backbone, and the scale and offset that map 0 to 255 to what it was trained on."""
    if config.backbone in ("efficientnet_lite0", "random"):
        from shared.backbones import load_backbone
        from shared.backbones import normalization as lite0
        from shared.backbones.efficientnet_lite0 import build_efficientnet_lite0

        backbone = build_efficientnet_lite0(dropout=config.stochastic_depth)
        if config.backbone != "random":
            backbone.set_weights(load_backbone(config.backbone, config.models_dir).get_weights())
        scale = 1 / lite0.EFFICIENTNET_LITE0_SCALE
        return backbone, scale, -lite0.EFFICIENTNET_LITE0_MEAN * scale
    import keras_hub

    from shared.backbones import load_backbone

    backbone = load_backbone(config.backbone, config.models_dir)
    converter = keras_hub.layers.ImageConverter.from_preset(config.backbone)
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return backbone, scale, offset
