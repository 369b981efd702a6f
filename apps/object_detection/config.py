"""Options and named variants.

python -m apps.object_detection.train --variant blood_cells --data PATH/TO/BCCD
"""

from __future__ import annotations

import dataclasses

from shared.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config(TrainConfig):
    """Detection options.

    Attributes:
        image_height_px: Height of the network's input, a multiple of 32.
        image_width_px: Width of the network's input, a multiple of 32; images are scaled to fit and padded.
        backbone: `efficientnet_lite0`, or a Keras-Hub backbone preset with P3 to P5 (needs a network).
        frozen_stages: Backbone stages that keep their pretrained weights, 0 to 8.
        freeze_norms: Keep the backbone's batch normalization as pretrained.
        channels: Channels of pyramid and head.
        head_depth: 3x3 convolutions of each of the head's two towers.
        bins: Bins of a side's distance distribution; sides reach `(bins - 1) * 32` pixels of the input.
        passes_per_epoch: Passes over the training split that count as one epoch, so that a small data set does
            not spend its time on validation.
        warmup_share: Share of all steps in which the learning rate rises.
        scale_min: Smallest enlargement in augmentation.
        scale_max: Largest enlargement in augmentation.
        rotate: Augment by quarter turns and upside down: right for smears, wrong for streets.
        color: Strength of colour augmentation, 0 for none.
    """

    batch_size: int = 8
    epochs: int = 14
    learning_rate: float = 7e-4
    weight_decay: float = 0.02
    ema_momentum: float = 0.99
    image_height_px: int = 288
    image_width_px: int = 384
    backbone: str = "efficientnet_lite0"
    frozen_stages: int = 3
    freeze_norms: bool = True
    channels: int = 64
    head_depth: int = 2
    bins: int = 16
    passes_per_epoch: int = 4
    warmup_share: float = 0.05
    scale_min: float = 0.8
    scale_max: float = 1.5
    rotate: bool = False
    color: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_height_px % 32 or self.image_width_px % 32 or min(self.image_size_px) < 64:
            raise ValueError(
                "image_height_px and image_width_px must be multiples of 32 and at least 64, received "
                f"{self.image_height_px} and {self.image_width_px}"
            )
        if not 0 <= self.frozen_stages <= 8:
            raise ValueError(f"frozen_stages must be in [0, 8], received {self.frozen_stages}")
        if self.passes_per_epoch < 1:
            raise ValueError(f"passes_per_epoch must be 1 or more, received {self.passes_per_epoch}")
        if not 0 < self.scale_min <= self.scale_max:
            raise ValueError(
                f"scale_min must be above 0 and at most scale_max, received {self.scale_min} and {self.scale_max}"
            )

    @property
    def image_size_px(self) -> tuple[int, int]:
        """`(height, width)` of the network's input."""
        return self.image_height_px, self.image_width_px


VARIANTS: dict[str, Config] = {"blood_cells": Config(variant="blood_cells", rotate=True)}
