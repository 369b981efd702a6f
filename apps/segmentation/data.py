"""Reading and batching: a folder of images and masks, CamVid, or `tfds:oxford_iiit_pet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.segmentation.config import SegmentationConfig
from apps.segmentation.preprocessing import FILL, pad, padded_size, working_size
from shared.data.images import contact_sheet, resize
from shared.data.masks import VOID, MaskedImage, read_mask_folder, read_tfds_masks
from shared.files.errors import DataError
from shared.task import DataCheck, Splits

if TYPE_CHECKING:
    import tensorflow as tf

RARE_SHARE = 0.002
"""A class with a smaller share of the labelled pixels is mentioned."""


def load_splits(config: SegmentationConfig) -> Splits:
    """Read and check the data.

    Raises:
        DataError: All problems, by file.
    """
    if config.dataset.startswith("tfds:"):
        splits, table, remarks = read_tfds_masks(config.dataset, data_dir=config.data_dir, seed=config.seed)
    elif config.data:
        splits, table, remarks = read_mask_folder(config.data, seed=config.seed)
    else:
        raise DataError(
            ["no data given"], "Pass --data FOLDER, or --dataset tfds:oxford_iiit_pet (needs a network)."
        )
    info = {
        "class_names": list(table.names),
        "colours": [list(c) for c in table.colours],
        "pixel_counts": count_pixels(splits["train"], len(table.names)).tolist(),
        "remarks": remarks,
    }
    return Splits(splits["train"], splits["validation"], splits["test"], info)


def count_pixels(examples: Sequence[MaskedImage], num_classes: int) -> np.ndarray:
    """Labelled pixels by class, int64 `(num_classes,)`."""
    counts = np.zeros(256, np.int64)
    for example in examples:
        counts += np.bincount(example.read()[1].ravel(), minlength=256)
    return counts[:num_classes]


def check_data(splits: Splits) -> DataCheck:
    """Share of pixels and number of pictures by class in each split, and a sheet of pictures under masks."""
    names = splits.info["class_names"]
    rows = [{"class": name} for name in names]
    problems = list(splits.info["remarks"])
    for split in ("train", "validation", "test"):
        counts, pictures = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for example in getattr(splits, split):
            here = np.bincount(example.read()[1].ravel(), minlength=256)
            counts += here
            pictures += here > 0
        labelled = max(1, counts[:VOID].sum())
        for index, row in enumerate(rows):
            row[f"{split} pictures"] = int(pictures[index])
            row[f"{split} pixels %"] = round(100 * counts[index] / labelled, 3)
            if split == "train" and not counts[index]:
                problems.append(f"class {names[index]!r} never occurs in train: it cannot be learned")
            elif split == "train" and counts[index] / labelled < RARE_SHARE:
                problems.append(
                    f"class {names[index]!r} is rare: {100 * counts[index] / labelled:.2f} % of pixels"
                )
            elif split == "test" and not counts[index]:
                problems.append(f"class {names[index]!r} never occurs in test: it is not scored")
        if labelled < 0.5 * counts.sum():
            problems.append(f"{split}: {100 * counts[VOID] / counts.sum():.0f} % of the pixels are void")
    colours = np.array([*splits.info["colours"]], np.uint8)
    examples = splits.train[:: max(1, len(splits.train) // 16)][:16]
    pictures = [paint(*example.read(), colours) for example in examples]
    return DataCheck(rows, problems, contact_sheet(pictures, [e.name.split("/")[-1] for e in examples]))


def paint(image: np.ndarray, mask: np.ndarray, colours: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Lay the colours of a mask over a picture; void pixels stay as they are."""
    table = np.zeros((256, 3), np.float32)
    table[: len(colours)] = colours
    share = np.where(mask == VOID, 0.0, opacity)[..., None].astype(np.float32)
    return np.rint(image * (1 - share) + table[mask] * share).astype(np.uint8)


def batches(
    examples: Sequence[MaskedImage], config: SegmentationConfig, *, training: bool
) -> tf.data.Dataset:
    """`(images float32, masks uint8)`: augmented crops in training, whole padded pictures otherwise."""
    from shared.data.pipeline import build_dataset

    sizes = [working_size(e.size_px, config.side_px) for e in examples]
    canvas = padded_size((max(h for h, _ in sizes), max(w for _, w in sizes)))

    def load(example: MaskedImage):
        image, mask = example.read()
        inside = working_size(image.shape[:2], config.side_px)
        image = pad(resize(image, inside), canvas, FILL)
        mask = pad(resize(mask, inside, "nearest"), canvas, VOID)
        return ({"image": image, "size": np.array(inside, np.int32)}, mask) if training else (image, mask)

    if not training:
        # The network takes any size, so validation sees what serving does.
        dataset = build_dataset(examples, load, batch_size=config.batch_size, training=False)
        return dataset.map(lambda x, y: (_as_float(x), y))
    from apps.segmentation.augmentation import build_augment

    dataset = build_dataset(
        examples,
        load,
        batch_size=config.batch_size,
        training=True,
        seed=config.seed,
        augment=build_augment(config),
        deterministic=config.deterministic,
    )
    return dataset.repeat(config.passes) if config.passes > 1 else dataset


def _as_float(x):
    import tensorflow as tf

    return tf.cast(x, tf.float32)
