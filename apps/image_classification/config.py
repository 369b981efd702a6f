"""Options of image classification, and the variants shipped in `models/`.

    python -m apps.image_classification.train --variant imagenet
    python -m apps.image_classification.train --variant clothing --data PATH
    python -m apps.image_classification.train --variant cifar10 --dataset tfds:cifar10

The results they reached stand in this app's README.md, each with its command.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from shared.config import TrainConfig

Model = Literal["imagenet", "pretrained", "airbench", "resnet20"]
Augmentation = Literal["none", "flip", "randaugment", "mixup", "cutmix"]


@dataclasses.dataclass(frozen=True)
class ImageClassificationConfig(TrainConfig):
    """Options of an image classifier.

    Attributes:
        model: `pretrained` fine-tunes a backbone; `airbench` and `resnet20` learn small pictures from
            scratch; `imagenet` is the pretrained 1,000-class model as its authors trained it.
        backbone: `efficientnet_lite0`, or a Keras-Hub preset where there is a network.
        image_size_px: Side of the square the served model sees.
        train_size_px: Side while training; smaller is faster, and a model then gains from the larger
            served size (https://arxiv.org/abs/1906.06423). 0 takes `image_size_px`.
        crop: How a photo becomes a square: `squash` shows all of it, `center` cuts the middle.
        crop_fraction: Side of the middle square over the shorter side of the photo.
        unfreeze_from: First block of the backbone that is fine-tuned; 0 fine-tunes all, 8 only the head.
        width: Filters of the first and of the two further groups of `airbench`.
        dropout: Rate before the last layer.
        label_smoothing: Share of the target spread over all classes.
        augmentation: `flip` mirrors; the others mirror and do what their name says.
        translate_px: Shift by up to so many pixels, the border filled by reflection.
        random_crop_scale: Smallest share of the area a random crop keeps, 1 for no random crop.
        alternating_flip: Mirror each picture in every second epoch instead of by chance
            (https://arxiv.org/abs/2404.00498).
        class_weight: How much a rare class counts more: not, by the square root of its rarity, or fully.
        lookahead: Every fifth step move halfway back to a running average of the weights
            (https://arxiv.org/abs/1907.08610, with the schedule of airbench).
        test_time_views: Views of a picture averaged by the served graph: 1, 2 (mirrored) or 6 (and shifted).
        validation_fraction: Share of your data for validation where you gave no such folder.
        test_fraction: Share for test.
        skip_unreadable: Leave unreadable files out instead of refusing the data.
    """

    model: Model = "pretrained"
    backbone: str = "efficientnet_lite0"
    image_size_px: int = 224
    train_size_px: int = 0
    crop: Literal["squash", "center"] = "squash"
    crop_fraction: float = 1.0
    unfreeze_from: int = 3
    width: tuple[int, int] = (64, 128)
    dropout: float = 0.2
    label_smoothing: float = 0.1
    augmentation: Augmentation = "flip"
    translate_px: int = 0
    random_crop_scale: float = 0.5
    alternating_flip: bool = False
    class_weight: Literal["none", "sqrt", "balanced"] = "sqrt"
    lookahead: bool = False
    test_time_views: int = 1
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), received {getattr(self, name)}")
        for name in ("random_crop_scale", "crop_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], received {getattr(self, name)}")
        if self.image_size_px < 16:
            raise ValueError(f"image_size_px must be 16 or more, received {self.image_size_px}")
        if self.test_time_views not in (1, 2, 6):
            raise ValueError(f"test_time_views must be 1, 2 or 6, received {self.test_time_views}")
        if self.train_size_px and not self.pretrained:
            raise ValueError(f"train_size_px needs a pretrained model, received model {self.model!r}")
        object.__setattr__(self, "width", tuple(self.width))

    @property
    def pretrained(self) -> bool:
        """Whether training starts from a pretrained backbone."""
        return self.model in ("pretrained", "imagenet")


CIFAR10 = ImageClassificationConfig(
    variant="cifar10",
    dataset="tfds:cifar10",
    model="airbench",
    image_size_px=32,
    epochs=12,
    batch_size=512,
    learning_rate=0.75,
    weight_decay=0.0089,
    dropout=0.0,
    label_smoothing=0.2,
    augmentation="flip",
    alternating_flip=True,
    translate_px=2,
    random_crop_scale=1.0,
    class_weight="none",
    lookahead=True,
    test_time_views=6,
)

VARIANTS: dict[str, ImageClassificationConfig] = {
    "imagenet": ImageClassificationConfig(
        variant="imagenet",
        model="imagenet",
        epochs=0,
        crop="center",
        crop_fraction=0.875,
        class_weight="none",
        label_smoothing=0.0,
    ),
    "clothing": ImageClassificationConfig(
        variant="clothing",
        epochs=10,
        batch_size=32,
        learning_rate=2.5e-4,
        weight_decay=0.05,
        train_size_px=160,
        image_size_px=224,
        random_crop_scale=0.5,
    ),
    "cifar10": CIFAR10,
}
