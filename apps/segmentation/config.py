"""Options of a segmentation run, and the variants that are shipped.

python -m apps.segmentation.train --variant road_scenes --data PATH/camvid
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from shared.config import TrainConfig

Decoder = Literal["lr_aspp", "deeplab_v3_plus", "unet"]


@dataclasses.dataclass(frozen=True)
class SegmentationConfig(TrainConfig):
    """Options besides those of every app.

    Attributes:
        backbone: `efficientnet_lite0` (pretrained on ImageNet) or a Keras-Hub preset with `pyramid_outputs`;
            `random` builds EfficientNet-Lite0 without pretrained weights.
        decoder: `unet`, `deeplab_v3_plus` or `lr_aspp`; the README compares them.
        channels: Width of the decoder.
        dropout: Rate before the classifier.
        stochastic_depth: Highest rate at which residual branches of the backbone are skipped in training.
        frozen_levels: Backbone blocks up to this pyramid level (1 = half size) keep their ImageNet weights:
            0 to 5. On CPUs the first levels cost most and learn least.
        freeze_batch_norm: The backbone's batch normalization keeps its ImageNet statistics.
        side_px: Longer side of a picture as the model sees it, in training and serving.
        crop_height_px: Height of training crops, a multiple of 32.
        crop_width_px: Width of training crops, a multiple of 32.
        min_scale: Smallest random enlargement of a training picture.
        max_scale: Largest one.
        colour_jitter: Strength of random brightness, contrast and saturation; 0 for none.
        flip: Mirror half of the training pictures.
        passes: Passes over the training pictures an epoch; several make validation rarer.
        backbone_rate: Learning rate of the backbone as a share of `learning_rate`.
        warmup_share: Share of all steps in which the learning rate rises.
        max_minutes: Time for training, without evaluation; the learning rate falls accordingly. 0 for none.
        class_balance: 0 counts every pixel the same, 1 every class (median frequency balancing).
        label_smoothing: Share of the target spread over all classes.
        region_loss: Term beside cross-entropy that follows the IoU: `none`, `dice` or `lovasz`.
        region_weight: Its factor.
    """

    backbone: str = "efficientnet_lite0"
    decoder: Decoder = "unet"
    channels: int = 128
    dropout: float = 0.1
    stochastic_depth: float = 0.1
    frozen_levels: int = 2
    freeze_batch_norm: bool = True
    side_px: int = 480
    crop_height_px: int = 288
    crop_width_px: int = 288
    min_scale: float = 0.5
    max_scale: float = 2.0
    colour_jitter: float = 1.0
    flip: bool = True
    passes: int = 1
    backbone_rate: float = 0.25
    warmup_share: float = 0.05
    max_minutes: float = 0.0
    class_balance: float = 0.5
    label_smoothing: float = 0.0
    region_loss: Literal["none", "dice", "lovasz"] = "dice"
    region_weight: float = 0.5

    batch_size: int = 8
    epochs: int = 40
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    ema_momentum: float = 0.995

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("side_px", "crop_height_px", "crop_width_px"):
            value = getattr(self, name)
            if value < 32 or value % 32:
                raise ValueError(f"{name} must be a positive multiple of 32, received {value}")
        if not 0 < self.min_scale <= self.max_scale:
            raise ValueError(
                f"min_scale must be above 0 and at most max_scale, received {self.min_scale} and {self.max_scale}"
            )
        if not 0 <= self.frozen_levels <= 5:
            raise ValueError(f"frozen_levels must be 0 to 5, received {self.frozen_levels}")
        if self.passes < 1:
            raise ValueError(f"passes must be 1 or more, received {self.passes}")
        if self.channels < 8:
            raise ValueError(f"channels must be 8 or more, received {self.channels}")


VARIANTS: Mapping[str, SegmentationConfig] = {
    "road_scenes": SegmentationConfig(variant="road_scenes", passes=4, epochs=25, max_minutes=28),
}
