"""Looking at the data, the trivial baseline, validation during training, thresholds and the final scores."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from PIL import Image

from apps.object_detection.config import Config
from apps.object_detection.drawing import draw_boxes, small_png
from apps.object_detection.preprocessing import Candidates, box_iou, decode, load_input
from shared.backbones.normalization import normalize_efficientnet_lite0
from shared.data.boxes import BoxImage
from shared.data.images import contact_sheet
from shared.files.images import read_image
from shared.metrics.detection import AveragePrecision, Truth, average_precision
from shared.results import Detections
from shared.task import DataCheck, Evaluation, Splits

if TYPE_CHECKING:
    from shared.runtime.predictor import Predictor

VALIDATION_IOU = 0.6
IOU_CHOICES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
BATCH = 16


def truth_of(example: BoxImage) -> Truth:
    """The annotated objects in the form the metrics take."""
    return Truth(example.boxes, example.class_ids, example.ignored, example.size_px)


def check_data(splits: Splits) -> DataCheck:
    """Objects a class and split, odd annotations, and a sheet of annotated pictures."""
    names = splits.info["class_names"]
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    counts: list[dict[str, Any]] = [
        {"class": "pictures"} | {split: len(examples) for split, examples in named.items()}
    ]
    for index, name in enumerate(names):
        row: dict[str, Any] = {"class": name}
        for split, examples in named.items():
            row[split] = sum(int((e.class_ids[~e.ignored] == index).sum()) for e in examples)
        sides = [
            np.sqrt(np.prod(e.boxes[e.class_ids == index][:, 2:] - e.boxes[e.class_ids == index][:, :2], 1))
            for e in splits.train
        ]
        sides = np.concatenate(sides) if sides else np.zeros(0)
        row["median side px"] = round(float(np.median(sides)), 1) if sides.size else None
        counts.append(row)
    problems = list(splits.info.get("remarks", []))
    problems += [f"class {r['class']!r} has no object in train" for r in counts[1:] if not r["train"]]
    sample = splits.train[:: max(1, len(splits.train) // 12)][:12]
    tiles = [draw_boxes(read_image(e.source), _as_detections(e, names), scores=False) for e in sample]
    sheet = contact_sheet(tiles, [e.name for e in sample], columns=4, tile_px=240)
    return DataCheck(counts, problems, small_png(np.asarray(Image.open(io.BytesIO(sheet))), 960))


def _as_detections(example: BoxImage, names: Sequence[str]) -> Detections:
    scores = np.ones(len(example.boxes), np.float32)
    return Detections(example.boxes, example.class_ids, scores, list(names), example.size_px)


def baseline(splits: Splits) -> dict[str, float]:
    """Knows the training boxes but sees no picture: each class's median box on a grid, scored by how often."""
    names = splits.info["class_names"]
    boxes = {
        index: np.concatenate(
            [
                e.boxes[(e.class_ids == index) & ~e.ignored] / ([e.size_px[1], e.size_px[0]] * 2)
                for e in splits.train
            ]
        )
        for index in range(len(names))
    }
    rows = []
    for index, relative in boxes.items():
        if not len(relative):
            continue
        width, height = np.median(relative[:, 2:] - relative[:, :2], axis=0)
        centres = (relative[:, :2] + relative[:, 2:]) / 2
        for y in np.arange(height / 2, 1, height):
            for x in np.arange(width / 2, 1, width):
                inside = (np.abs(centres - [x, y]) < [width / 2, height / 2]).all(axis=1)
                share = inside.sum() / len(splits.train)
                rows.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2, index, share])
    table = np.array(sorted(rows, key=lambda r: -r[5])[:100], np.float32).reshape(-1, 6)
    guesses = [
        Detections(
            table[:, :4] * ([e.size_px[1], e.size_px[0]] * 2),
            table[:, 4].astype(int),
            table[:, 5],
            list(names),
            e.size_px,
        )
        for e in splits.test
    ]
    scores = average_precision([truth_of(e) for e in splits.test], guesses, names)
    return {"map50": scores.map50, "map": scores.map}


class ModelCandidates:
    """Candidate boxes of a Keras model on fixed pictures, for decisions on validation.

    Args:
        examples: The pictures.
        config: Input size.
        num_classes: Classes.
    """

    def __init__(self, examples: Sequence[BoxImage], config: Config, num_classes: int):
        loaded = [load_input(e.source, config.image_size_px) for e in examples]
        self.images = np.stack([image for image, _ in loaded])
        self.placements = [placement for _, placement in loaded]
        self.num_classes = num_classes

    def __call__(self, model: keras.Model) -> list[Candidates]:
        found: list[Candidates] = []
        for start in range(0, len(self.images), BATCH):
            images = normalize_efficientnet_lite0(self.images[start : start + BATCH])
            logits = np.asarray(model.predict_on_batch(images))
            found += [
                decode(one, self.num_classes, self.placements[start + i]) for i, one in enumerate(logits)
            ]
        return found


class ValidationMap(keras.callbacks.Callback):
    """Adds `val_map` and `val_map50` to the log of every epoch; the best checkpoint is chosen by them.

    Args:
        examples: The validation split.
        config: Input size.
        class_names: All classes.
    """

    def __init__(self, examples: Sequence[BoxImage], config: Config, class_names: Sequence[str]):
        super().__init__()
        self._class_names = list(class_names)
        self._candidates = ModelCandidates(examples, config, len(class_names))
        self._truths = [truth_of(e) for e in examples]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        found = [c.select(self._class_names, 0.0, VALIDATION_IOU) for c in self._candidates(self.model)]
        scores = average_precision(self._truths, found, self._class_names)
        if logs is not None:
            logs["val_map"], logs["val_map50"] = scores.map, scores.map50


def calibrate(model: keras.Model, config: Config, splits: Splits) -> dict[str, Any]:
    """Choose on validation: the suppression threshold by mAP, the score threshold by the mean F1 of classes."""
    names = splits.info["class_names"]
    candidates = ModelCandidates(splits.validation, config, len(names))(model)
    truths = [truth_of(e) for e in splits.validation]
    by_iou = {
        iou: average_precision(truths, [c.select(names, 0.0, iou) for c in candidates], names)
        for iou in IOU_CHOICES
    }
    best = max(by_iou, key=lambda iou: by_iou[iou].map50 + by_iou[iou].map)
    for iou, scores in by_iou.items():
        print(f"  suppression at IoU {iou}: validation map50 {scores.map50:.4f}, map {scores.map:.4f}")
    detections = [c.select(names, 0.0, best) for c in candidates]
    curves = [rows for i in range(len(names)) if (rows := match_counts(truths, detections, i))]
    # One threshold for all classes, because the demo has one slider: the best mean F1.
    f1 = np.mean([[row["f1"] for row in rows] for rows in curves], axis=0)
    return {"iou_threshold": best, "score_threshold": curves[0][int(f1.argmax())]["threshold"]}


def match(
    truth: Truth, found: Detections, class_id: int, iou: float = 0.5
) -> tuple[np.ndarray, np.ndarray, int]:
    """Match one picture's boxes of a class to its objects, best score first, each object once.

    Returns:
        Scores of the boxes that count, whether each found an object, and the number of objects. Boxes that
        only meet ignored objects do not count.
    """
    mine = found[found.class_ids == class_id]
    chosen = truth.class_ids == class_id
    real, ignored = truth.boxes[chosen & ~truth.ignored], truth.boxes[chosen & truth.ignored]
    overlaps, free = box_iou(mine.boxes, real), np.ones(len(real), bool)
    scores, hits = [], []
    for row, box, score in zip(overlaps, mine.boxes, mine.scores, strict=True):
        left = np.where(free, row, 0.0)
        hit = bool(left.size and left.max() >= iou)
        if hit:
            free[left.argmax()] = False
        elif len(ignored) and box_iou(box[None], ignored).max() >= iou:
            continue
        scores.append(score)
        hits.append(hit)
    return np.array(scores, np.float32), np.array(hits, bool), len(real)


def match_counts(
    truths: Sequence[Truth], detections: Sequence[Detections], class_id: int
) -> list[dict[str, float]]:
    """Precision, recall and F1 of a class at score thresholds 0.05, 0.075, ... 0.9 (IoU 0.5)."""
    matched = [match(t, d, class_id) for t, d in zip(truths, detections, strict=True)]
    scores = np.concatenate([m[0] for m in matched])
    hits = np.concatenate([m[1] for m in matched])
    objects = sum(m[2] for m in matched)
    rows = []
    for threshold in np.arange(0.05, 0.9, 0.025):
        kept = scores >= threshold
        right = int(hits[kept].sum())
        precision, recall = right / max(1, int(kept.sum())), right / max(1, objects)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        rows.append(
            {"threshold": round(float(threshold), 3), "precision": precision, "recall": recall, "f1": f1}
        )
    return rows if objects else []


def evaluate(predictor: Predictor, examples: Sequence[BoxImage]) -> Evaluation:
    """COCO scores over all scores, and counting errors at the thresholds the demo opens with."""
    processor = predictor.processor
    names = processor.class_names
    candidates = [processor.candidates(predictor.graphs, [e.source])[0] for e in examples]
    truths = [truth_of(e) for e in examples]
    scores = average_precision(truths, [processor.select(c, score_threshold=0.0) for c in candidates], names)
    shown = [processor.select(c) for c in candidates]
    per_class = [_class_row(i, name, scores, truths, shown) for i, name in enumerate(names)]
    real = np.array([[np.sum((t.class_ids == i) & ~t.ignored) for i in range(len(names))] for t in truths])
    counted = np.array([[d.counts()[name] for name in names] for d in shown])
    metrics = {
        "map50": scores.map50,
        "map": scores.map,
        "map75": scores.map75,
        "recall": scores.recall,
        "count_error": float(np.abs(real - counted).sum(axis=1).mean()),
    }
    metrics |= {f"map50_{name}": row["mAP50"] for name, row in zip(names, per_class, strict=True)}
    return Evaluation(
        metrics,
        {"Per class": per_class},
        {"Precision and recall at IoU 0.50": pr_figure(scores)},
        _mistakes(examples, truths, shown, names),
    )


def _class_row(
    index: int, name: str, scores: AveragePrecision, truths: Sequence[Truth], shown: Sequence[Detections]
) -> dict[str, Any]:
    matched = [match(t, d, index) for t, d in zip(truths, shown, strict=True)]
    right, found = sum(int(m[1].sum()) for m in matched), sum(len(m[1]) for m in matched)
    objects = sum(m[2] for m in matched)
    row = scores.by_class[name]
    return {
        "class": name,
        "objects": objects,
        "mAP50": row["map50"],
        "mAP50:95": row["map"],
        "mAP75": row["map75"],
        "precision": right / max(1, found),
        "recall": right / max(1, objects),
        "counted": found,
    }


def pr_figure(scores: AveragePrecision) -> bytes:
    """Precision against recall, one line a class: PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from shared.metrics.detection import RECALLS

    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, curve in scores.curves.items():
        axes.plot(RECALLS, curve, label=f"{name} ({scores.by_class[name]['map50']:.3f})")
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(title="AP at IoU 0.50", loc="lower left")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _mistakes(
    examples: Sequence[BoxImage], truths: Sequence[Truth], shown: Sequence[Detections], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The pictures with most misses and false alarms, what was found drawn on them."""
    rows = []
    for example, truth, found in zip(examples, truths, shown, strict=True):
        missed = false = 0
        for index in range(len(names)):
            _, hits, objects = match(truth, found, index)
            missed, false = missed + objects - int(hits.sum()), false + int((~hits).sum())
        rows.append((missed + false, missed, false, example, found))
    rows.sort(key=lambda row: -row[0])
    return [
        {
            "caption": f"{example.name}: {missed} missed, {false} false",
            "image": small_png(draw_boxes(read_image(example.source), found)),
        }
        for wrong, missed, false, example, found in rows[:8]
        if wrong
    ]
