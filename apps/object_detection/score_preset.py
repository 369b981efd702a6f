"""Score a Keras-Hub detector on your own data beside the models trained here.

python -m apps.object_detection.evaluate --preset dfine_nano_coco --data PATH/TO/YOUR/FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from apps.object_detection.presets import SUGGESTED, load_preset
from shared.data.boxes import BoxImage, read_boxes
from shared.files.errors import DataError, InputError
from shared.files.images import read_image
from shared.metrics.detection import AveragePrecision, Truth, average_precision


def main(argv: Sequence[str]) -> AveragePrecision:
    """Command line: prints mAP on a split of your data, over the classes both sides name alike.

    Raises:
        SystemExit: The preset cannot be had, the data is wrong, or no class has a common name.
    """
    parser = argparse.ArgumentParser(
        prog="python -m apps.object_detection.evaluate", description=main.__doc__
    )
    parser.add_argument("--preset", required=True, help=f"Keras-Hub detector, e.g. {SUGGESTED[0]}")
    parser.add_argument("--data", required=True, help="folder in Pascal VOC or COCO layout")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="test")
    options = parser.parse_args(argv)
    try:
        splits, class_names, _ = read_boxes(options.data)
        preset = load_preset(options.preset)
        scores = score(preset, splits[options.split], class_names)
    except (DataError, InputError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{options.preset} on {options.split}: map50 {scores.map50:.4f}, map {scores.map:.4f}")
    for name, row in scores.by_class.items():
        print(f"  {name:20s} map50 {row['map50']:.4f}, map {row['map']:.4f}, {row['objects']} objects")
    return scores


def score(preset, examples: Sequence[BoxImage], class_names: Sequence[str]) -> AveragePrecision:
    """Score a detector over the classes whose names it shares with the data.

    Raises:
        DataError: There is none.
    """
    known = {name.lower(): i for i, name in enumerate(preset.class_names)}
    common = [name for name in class_names if name.lower() in known]
    if not common:
        raise DataError(
            [f"classes: the preset knows none of {', '.join(class_names)}"],
            f"It knows: {', '.join(preset.class_names[:20])} ...",
        )
    ours = {class_names.index(name): rank for rank, name in enumerate(common)}
    theirs = {known[name.lower()]: rank for rank, name in enumerate(common)}
    truths, found = [], []
    for example in examples:
        keep = np.isin(example.class_ids, list(ours))
        ids = np.array([ours[int(i)] for i in example.class_ids[keep]], int)
        truths.append(Truth(example.boxes[keep], ids, example.ignored[keep], example.size_px))
        detections = preset.candidates(read_image(example.source)).select(preset.class_names, 0.0, 0.7)
        detections = detections[np.isin(detections.class_ids, list(theirs))]
        ids = np.array([theirs[int(i)] for i in detections.class_ids], int)
        found.append(type(detections)(detections.boxes, ids, detections.scores, common, example.size_px))
    return average_precision(truths, found, common)
