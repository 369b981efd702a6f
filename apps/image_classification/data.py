"""The data of a run: an image folder of your own or a TFDS name -> splits, a check and a contact sheet."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np

from apps.image_classification.config import ImageClassificationConfig
from shared.data.image_folder import LAYOUT, LabelledImage, find_leaks, read_image_folder
from shared.data.images import contact_sheet
from shared.data.tfds import read_tfds_images
from shared.files.errors import DataError
from shared.task import DataCheck, Splits


def load_splits(config: ImageClassificationConfig) -> Splits:
    """Read the data; `info` holds `class_names` and `remarks`.

    Raises:
        DataError: All problems, each with its file.
    """
    if config.model == "imagenet":
        from shared.backbones.labels import imagenet_labels

        return Splits([], [], [], {"class_names": imagenet_labels(), "remarks": []})
    if config.data:
        splits, names, remarks = read_image_folder(
            config.data,
            seed=config.seed,
            validation_fraction=config.validation_fraction,
            test_fraction=config.test_fraction,
            skip_unreadable=config.skip_unreadable,
        )
    elif config.dataset.startswith("tfds:"):
        splits, names, remarks = read_tfds_images(config.dataset, data_dir=config.data_dir, seed=config.seed)
    else:
        raise DataError(
            ["--data names no folder"], LAYOUT + " Or take a data set by name: --dataset tfds:cifar10"
        )
    # Sorted by class, a part of the data (--limit) would hold the first classes alone.
    random.Random(config.seed).shuffle(splits["train"])
    info = {"class_names": names, "remarks": remarks}
    return Splits(splits["train"], splits["validation"], splits["test"], info)


def check_data(splits: Splits, config: ImageClassificationConfig) -> DataCheck:
    """Count classes, look for copies across splits and for imbalance, and draw some training pictures."""
    names = splits.info["class_names"]
    if not len(splits.train):
        return DataCheck(
            [{"classes": len(names), "train": 0, "validation": 0, "test": 0}],
            ["Pretrained and published as it is: nothing is trained here, and no test set is at hand."],
        )
    counts = {
        split: Counter(image.label for image in getattr(splits, split))
        for split in ("train", "validation", "test")
    }
    rows: list[dict[str, Any]] = [
        {"class": name, **{split: counter[index] for split, counter in counts.items()}}
        for index, name in enumerate(names)
    ]
    problems = list(splits.info["remarks"])
    problems += find_leaks({s: list(getattr(splits, s)) for s in ("train", "validation", "test")})
    per_class = [row["train"] for row in rows]
    if max(per_class) > 3 * max(1, min(per_class)):
        rare, common = np.argmin(per_class), np.argmax(per_class)
        problems.append(
            f"unbalanced: {per_class[rare]} pictures of {names[rare]!r}, {per_class[common]} of "
            f"{names[common]!r}; rare classes count more in training (--class_weight {config.class_weight})"
        )
    for split, counter in counts.items():
        missing = [names[i] for i in range(len(names)) if not counter[i]]
        if missing:
            problems.append(f"{split} has no picture of {', '.join(missing)}")
    return DataCheck(rows, problems, _contact_sheet(splits.train, names))


def _contact_sheet(images: list[LabelledImage], names: list[str], count: int = 32) -> bytes:
    """Some pictures of every class in turn, as the training list is shuffled."""
    chosen: list[LabelledImage] = []
    by_class = {label: [i for i in images if i.label == label] for label in range(len(names))}
    for rank in range(count):
        for group in by_class.values():
            if rank < len(group) and len(chosen) < count:
                chosen.append(group[rank])
    chosen.sort(key=lambda i: i.label)
    return contact_sheet([i.read() for i in chosen], [names[i.label] for i in chosen])


def class_weights(images: list[LabelledImage], classes: int, kind: str) -> np.ndarray:
    """Weight of each class, `(classes,)`, with mean 1 over the training pictures."""
    counts = np.bincount([image.label for image in images], minlength=classes)
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[kind]
    weights = (1 / np.maximum(counts, 1)) ** power
    return weights * counts.sum() / np.sum(weights * counts)
