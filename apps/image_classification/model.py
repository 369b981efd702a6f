"""The networks: a pretrained backbone with a new head, airbench and ResNet-20 for small pictures.

Every one takes RGB `(batch, h, w, 3)` from 0 to 255, normalizes inside, and has layers named `feature_map`,
`features` and `logits`, from which `serving_graph` builds what is exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from apps.image_classification.config import ImageClassificationConfig

if TYPE_CHECKING:
    from apps.image_classification.linear_probe import LinearHead

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)
OUTPUTS = ["logits", "class_maps", "features"]


def build_pretrained(
    config: ImageClassificationConfig, classes: int, head: LinearHead | None = None
) -> keras.Model:
    """Backbone, global average pooling, dropout, one dense layer.

    Args:
        config: `backbone`, `dropout`.
        classes: Number of classes.
        head: Where the dense layer starts from: a classifier fitted on the frozen features
            (https://arxiv.org/abs/2202.10054), else random.
    """
    from shared.backbones import load_backbone

    backbone = load_backbone(config.backbone)
    scale, offset = input_scaling(config.backbone)
    images = keras.Input((None, None, 3), name="images")
    x = layers.Rescaling(scale, offset, name="normalization")(images)
    x = layers.Identity(name="feature_map")(backbone(x))
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(config.dropout, seed=config.seed, name="dropout")(x)
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(images, x, name="image_classifier")
    if head is not None:
        model.get_layer("logits").set_weights([head.kernel, head.bias])
    return model


def build_imagenet(config: ImageClassificationConfig) -> keras.Model:
    """EfficientNet-Lite0 with the 1,000-class head its authors trained."""
    from shared.backbones.efficientnet_lite0 import load_imagenet_classifier

    source = load_imagenet_classifier()
    model = build_pretrained(config, source.output_shape[-1])
    model.get_layer("efficient_net_backbone").set_weights(
        source.get_layer("efficient_net_backbone").get_weights()
    )
    model.get_layer("logits").set_weights(source.get_layer("logits").get_weights())
    return model


def input_scaling(backbone: str) -> tuple[float | list[float], float | list[float]]:
    """`scale, offset` that map 0 to 255 to what the backbone was trained on."""
    if backbone == "efficientnet_lite0":
        from shared.backbones import normalization as lite0

        scale = 1 / lite0.EFFICIENTNET_LITE0_SCALE
        return scale, -lite0.EFFICIENTNET_LITE0_MEAN * scale
    import keras_hub

    converter = keras_hub.layers.ImageConverter.from_preset(backbone)
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return scale, offset


def unfreeze(model: keras.Model, first_block: int) -> None:
    """Let the backbone be trained from a block on; its batch normalization keeps its statistics.

    The first blocks work at the highest resolution: on a CPU they cost most, and of all blocks they have the
    least to learn. With small batches, batch normalization loses more by new statistics than it gains.

    Args:
        model: From `build_pretrained`.
        first_block: Blocks of `EfficientNetBackbone` are numbered 1 to 7; 0 trains the stem too, 8 trains
            the head alone. Backbones with other layer names are trained whole unless it is 8.
    """
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    backbone.trainable = first_block < 8
    if not backbone.trainable:
        return
    for layer in backbone.layers:
        number = _block_number(layer)
        if number is not None:
            layer.trainable = number >= first_block
        elif layer.name.startswith("stem"):
            layer.trainable = first_block == 0
    for layer in backbone._flatten_layers(include_self=False):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def _block_number(layer: keras.layers.Layer) -> int | None:
    number = layer.name[5:6] if layer.name.startswith("block") else ""
    return int(number) if number.isdigit() else None


def build_airbench(
    config: ImageClassificationConfig, classes: int, images: np.ndarray | None = None
) -> keras.Model:
    """The network of airbench94 (https://arxiv.org/abs/2404.00498), seven convolutions, no shortcuts.

    The first convolution whitens 2 x 2 patches and is not trained; the others start as identities.

    Args:
        config: `width`, `image_size_px`, `seed`.
        classes: Number of classes.
        images: uint8 `(n, size, size, 3)` training images the whitening is computed from; random without.
    """
    size = config.image_size_px
    inputs = keras.Input((size, size, 3), name="images")
    mean, std = np.array(CIFAR_MEAN) * 255, np.array(CIFAR_STD) * 255
    x = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="normalization")(inputs)
    whitening = layers.Conv2D(24, 2, name="whitening")
    x = layers.Activation("gelu", name="whitening_gelu")(whitening(x))
    for group, filters in enumerate((config.width[0], config.width[1], config.width[1]), start=1):
        for number in (1, 2):
            name = f"group{group}_conv{number}"
            x = layers.Conv2D(
                filters, 3, padding="same", use_bias=False, kernel_initializer=_partial_identity, name=name
            )(x)
            if number == 1:
                x = layers.MaxPooling2D(name=f"group{group}_pool")(x)
            x = layers.BatchNormalization(momentum=0.6, epsilon=1e-12, scale=False, name=f"{name}_norm")(x)
            x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    # Small logits at the start keep a learning rate this high stable.
    x = layers.Rescaling(1 / 9, name="feature_map")(x)
    x = layers.GlobalMaxPooling2D(name="features")(x)
    x = layers.Dropout(config.dropout, seed=config.seed, name="dropout")(x)
    x = layers.Dense(classes, use_bias=False, name="logits")(x)
    model = keras.Model(inputs, x, name="airbench")
    if images is not None:
        kernel = whitening_kernel((images / 255.0 - CIFAR_MEAN) / CIFAR_STD)
        whitening.set_weights([kernel, np.zeros(24)])
    whitening.kernel.trainable = False
    return model


def whitening_kernel(images: np.ndarray, epsilon: float = 5e-4) -> np.ndarray:
    """Convolution whose outputs on these images are uncorrelated with equal variance, and their negatives.

    Args:
        images: Normalized `(n, h, w, 3)`.
        epsilon: Added to each eigenvalue, so that noise is not blown up.

    Returns:
        Kernel `(2, 2, 3, 24)`.
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 12).astype(np.float64)
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / np.sqrt(values + epsilon))[:, ::-1]
    return np.concatenate([filters, -filters], axis=1).reshape(2, 2, 3, 24).astype(np.float32)


def _partial_identity(shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
    """The first input channels pass unchanged, further filters are random."""
    kernel = np.array(keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")(shape, dtype="float32"))
    kernel[..., : shape[2]] = 0
    for channel in range(min(shape[2], shape[3])):
        kernel[shape[0] // 2, shape[1] // 2, channel, channel] = 1
    return kernel


def build_resnet20(config: ImageClassificationConfig, classes: int) -> keras.Model:
    """ResNet-20 for 32 px pictures, 0.27 M parameters, option A shortcuts (https://arxiv.org/abs/1512.03385)."""
    size = config.image_size_px
    inputs = keras.Input((size, size, 3), name="images")
    mean, std = np.array(CIFAR_MEAN) * 255, np.array(CIFAR_STD) * 255
    x = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="normalization")(inputs)

    def conv_norm(x, filters: int, stride: int, name: str):
        x = layers.Conv2D(
            filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name
        )(x)
        return layers.BatchNormalization(name=f"{name}_norm")(x)

    x = layers.ReLU(name="stem_relu")(conv_norm(x, 16, 1, "stem"))
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(1, 4):
            name = f"stage{stage}_block{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            y = layers.ReLU(name=f"{name}_relu1")(conv_norm(x, filters, stride, f"{name}_conv1"))
            y = conv_norm(y, filters, 1, f"{name}_conv2")
            if stride == 2:
                # Every second pixel, and zeros for the new channels: no parameters.
                x = layers.AveragePooling2D(1, 2, name=f"{name}_pick")(x)
                x = keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [filters // 4, filters // 4]])
            last = stage == 3 and block == 3
            x = layers.ReLU(name="feature_map" if last else f"{name}_relu2")(
                layers.Add(name=f"{name}_add")([x, y])
            )
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(config.dropout, seed=config.seed, name="dropout")(x)
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, x, name="resnet20")


def serving_graph(model: keras.Model, config: ImageClassificationConfig) -> keras.Model:
    """What is exported: logits (averaged over views), a map of every class, and the pooled features.

    The head is linear, so applied to each place of the feature map it gives what that place says of each
    class: class activation maps without gradients.

    Args:
        model: One of the networks above.
        config: `image_size_px`, `test_time_views`.

    Returns:
        `images (batch, size, size, 3)` -> `logits (batch, classes)`, `class_maps (batch, h, w, classes)`,
        `features (batch, d)`.
    """
    size = config.image_size_px
    feature_map, features = model.get_layer("feature_map").output, model.get_layer("features").output
    maps = model.get_layer("logits")(feature_map)
    network = keras.Model(model.inputs, [model.output, maps, features], name="network")
    images = keras.Input((size, size, 3), name="images")
    logits, class_maps, features = network(images)
    if config.test_time_views > 1:
        logits = _average_views(network, images, logits, size, shifted=config.test_time_views == 6)
    # Named layers give the graph's outputs their names.
    return keras.Model(images, [logits, class_maps, features], name="serving")


def _average_views(network: keras.Model, images, logits, size: int, shifted: bool):
    """Mean of the image and its mirror image; with `shifted`, half of it from two shifts by one pixel."""

    def both(view, plain=None):
        plain = network(view)[0] if plain is None else plain
        return (plain + network(keras.ops.flip(view, axis=2))[0]) * 0.5

    centre = both(images, logits)
    if not shifted:
        return centre
    padded = keras.ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
    up = both(padded[:, :size, :size, :])
    down = both(padded[:, 2:, 2:, :])
    return centre * 0.5 + (up + down) * 0.25
