"""Decoders for semantic segmentation: pyramid features in, class logits at a quarter of the size out.

Each is built of stock Keras layers and `BilinearUpsample`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

Features = Mapping[str, "keras.KerasTensor"]
"""Tensors by pyramid level: `P2` at 1/4 of the image's height and width, up to `P5` at 1/32."""


def conv_bn_relu(x, filters: int, kernel_size: int, name: str, *, separable: bool = False):
    """Convolution, batch normalization, ReLU; `separable` splits it into depthwise and pointwise."""
    from keras import layers

    if separable:
        x = layers.DepthwiseConv2D(kernel_size, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        kernel_size = 1
    x = layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def upsample(x, factor: int, name: str):
    """Bilinear enlargement by a whole factor."""
    from shared.layers.bilinear import BilinearUpsample

    return BilinearUpsample(factor, name=name)(x)


def lr_aspp(features: Features, num_classes: int, channels: int, dropout: float = 0.0):
    """Lite reduced atrous spatial pyramid pooling, of MobileNetV3: https://arxiv.org/abs/1905.02244.

    The deepest map, gated by its own global average, is enlarged to `P3`; class scores of it and of `P3`
    are added. Differs from the paper in that the gate sees the whole image, so any size is taken.

    Args:
        features: `P3` and `P5` are used.
        num_classes: Channels of the result.
        channels: Width of the deep branch.
        dropout: Rate before the classifier.

    Returns:
        Logits `(batch, height / 4, width / 4, num_classes)`.
    """
    from keras import layers

    deep = conv_bn_relu(features["P5"], channels, 1, "lraspp_deep")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="lraspp_pool")(features["P5"])
    gate = layers.Conv2D(channels, 1, use_bias=False, activation="sigmoid", name="lraspp_gate")(gate)
    deep = layers.Multiply(name="lraspp_gated")([deep, gate])
    deep = upsample(deep, 4, "lraspp_up")
    deep = layers.SpatialDropout2D(dropout, name="dropout")(deep)
    low = layers.Conv2D(num_classes, 1, name="lraspp_low_logits")(features["P3"])
    high = layers.Conv2D(num_classes, 1, name="lraspp_high_logits")(deep)
    return upsample(layers.Add(name="lraspp_sum")([low, high]), 2, "lraspp_logits")


def context(x, channels: int, kernel_sizes: tuple[int, ...] = (3, 5, 7)):
    """Spatial pyramid pooling with separable branches and a global one, after DeepLabV3+.

    https://arxiv.org/abs/1802.02611. Large kernels stand for the paper's dilated ones: a map at 1/32 of the image
    is so small that they cost little, and TensorFlow's dilated depthwise convolution fails on maps whose size
    the graph does not know.
    """
    from keras import layers

    branches = [conv_bn_relu(x, channels, 1, "context_point")]
    reduced = conv_bn_relu(x, channels, 1, "context_reduce")
    branches += [
        conv_bn_relu(reduced, channels, size, f"context_kernel{size}", separable=True)
        for size in kernel_sizes
    ]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="context_pool")(x)
    # No batch normalization here: a 1x1 map of a small batch has no usable statistics.
    pooled = layers.Conv2D(channels, 1, activation="relu", name="context_global")(pooled)
    merged = conv_bn_relu(layers.Concatenate(name="context_concat")(branches), channels, 1, "context_merge")
    return layers.Add(name="context_add")([merged, pooled])


def deeplab_v3_plus(features: Features, num_classes: int, channels: int, dropout: float = 0.0):
    """DeepLabV3+ decoder: context at `P5`, joined once with `P4` and once with `P2`.

    https://arxiv.org/abs/1802.02611, with one more joint at 1/16 because our backbone is not dilated.

    Args:
        features: `P2`, `P4` and `P5` are used.
        num_classes: Channels of the result.
        channels: Width of the decoder.
        dropout: Rate before the classifier.

    Returns:
        Logits `(batch, height / 4, width / 4, num_classes)`.
    """
    from keras import layers

    x = upsample(context(features["P5"], channels), 2, "deeplab_up5")
    x = layers.Concatenate(name="deeplab_concat4")(
        [x, conv_bn_relu(features["P4"], channels, 1, "deeplab_p4")]
    )
    x = conv_bn_relu(x, channels, 3, "deeplab_fuse4", separable=True)
    x = upsample(x, 4, "deeplab_up4")
    low = conv_bn_relu(features["P2"], 48, 1, "deeplab_p2")
    x = layers.Concatenate(name="deeplab_concat2")([x, low])
    x = conv_bn_relu(x, channels, 3, "deeplab_fuse2", separable=True)
    x = layers.SpatialDropout2D(dropout, name="dropout")(x)
    return layers.Conv2D(num_classes, 1, name="deeplab_logits")(x)


def unet(features: Features, num_classes: int, channels: int, dropout: float = 0.0):
    """U-Net decoder over `P5` to `P2`, narrower towards the full size: https://arxiv.org/abs/1505.04597.

    Each joint enlarges by two, concatenates the backbone's map of that level (reduced by a 1x1
    convolution) and mixes with two separable convolutions. The deepest map passes `context` first.

    Args:
        features: `P2` to `P5` are used.
        num_classes: Channels of the result.
        channels: Width at `P5` and `P4`; `P3` has three quarters of it, `P2` half.
        dropout: Rate before the classifier.

    Returns:
        Logits `(batch, height / 4, width / 4, num_classes)`.
    """
    from keras import layers

    x = context(features["P5"], channels)
    for level, width in (("P4", channels), ("P3", channels * 3 // 4), ("P2", channels // 2)):
        name = f"unet_{level.lower()}"
        # Narrow first, enlarge second: the same result for a quarter of the work.
        x = upsample(conv_bn_relu(x, width, 1, f"{name}_reduce"), 2, f"{name}_up")
        skip = conv_bn_relu(features[level], width // 2, 1, f"{name}_skip")
        x = layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = conv_bn_relu(x, width, 3, f"{name}_a", separable=True)
        x = conv_bn_relu(x, width, 3, f"{name}_b", separable=True)
    x = layers.SpatialDropout2D(dropout, name="dropout")(x)
    return layers.Conv2D(num_classes, 1, name="unet_logits")(x)


DECODERS: dict[str, Callable] = {"lr_aspp": lr_aspp, "deeplab_v3_plus": deeplab_v3_plus, "unet": unet}
"""Decoders by name; all take `(features, num_classes, channels, dropout)`."""
