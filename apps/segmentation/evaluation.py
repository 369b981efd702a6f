"""Scores on a split through the serving predictor, a trivial baseline, and the calibration of confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.segmentation.config import SegmentationConfig
from apps.segmentation.data import paint
from apps.segmentation.preprocessing import working_size
from shared.data.images import encode_png, resize
from shared.data.masks import VOID, MaskedImage
from shared.metrics import segmentation as metrics
from shared.task import Evaluation, Splits

if TYPE_CHECKING:
    from shared.runtime.predictor import Predictor

BOUNDARY_SHARE = 0.0075
"""Tolerance at boundaries as a share of the picture's diagonal, as CamVid papers have it."""
MISTAKES = 12
PRIOR_SIDE_PX = 96


def evaluate(predictor: Predictor, examples: Sequence[MaskedImage]) -> Evaluation:
    """Score masks of full size.

    Args:
        predictor: The one that serves.
        examples: Pictures with masks.

    Returns:
        `mean_iou` first: one confusion matrix over all labelled pixels, mean over the classes that occur.
    """
    names = predictor.processor.settings["class_names"]
    colours = np.array(predictor.processor.settings["colours"], np.uint8)
    total = np.zeros((len(names), len(names)), np.int64)
    boundary: dict[int, metrics.BoundaryScores] = {}
    scored: list[tuple[float, int]] = []
    confidences, hits = [], []
    for position, example in enumerate(examples):
        image, truth = example.read()
        result = predictor.predict(image)
        matrix = metrics.confusion_matrix(truth, result.mask, len(names))
        total += matrix
        radius = max(1, round(BOUNDARY_SHARE * float(np.hypot(*truth.shape))))
        boundary.setdefault(radius, metrics.BoundaryScores(len(names), radius)).update(truth, result.mask)
        if matrix.any():
            scored.append((metrics.mean_iou(matrix), position))
        some = (slice(2, None, 5), slice(2, None, 5))
        labelled = truth[some] != VOID
        confidences.append(result.confidence[some][labelled])
        hits.append((result.mask[some] == truth[some])[labelled])
    return Evaluation(
        _summary(total, boundary, np.concatenate(confidences), np.concatenate(hits)),
        tables={
            "By class": _class_table(names, total, boundary),
            "Confusion (rows: truth, % of its pixels)": _confusion_table(names, total),
        },
        figures={"Confusion": confusion_figure(names, total)},
        mistakes=[_mistake(predictor, examples[p], colours, iou) for iou, p in sorted(scored)[:MISTAKES]],
    )


def _summary(
    total: np.ndarray, boundary: dict[int, metrics.BoundaryScores], confidence: np.ndarray, hit: np.ndarray
) -> dict[str, float]:
    scores = list(boundary.values())
    return {
        "mean_iou": metrics.mean_iou(total),
        "pixel_accuracy": metrics.pixel_accuracy(total),
        "mean_class_accuracy": metrics.mean_class_accuracy(total),
        "boundary_iou": metrics.mean_of([metrics.mean_of(b.iou()) for b in scores]),
        "boundary_f": metrics.mean_of([metrics.mean_of(b.f_score()) for b in scores]),
        "calibration_error": metrics.expected_calibration_error(confidence, hit),
    }


def _class_table(
    names: Sequence[str], total: np.ndarray, boundary: dict[int, metrics.BoundaryScores]
) -> list[dict[str, Any]]:
    iou = metrics.iou_per_class(total)
    edges = np.stack([b.iou() for b in boundary.values()])
    scores = np.stack([b.f_score() for b in boundary.values()])
    rows = []
    for index, name in enumerate(names):
        true, seen, both = total[index].sum(), total[:, index].sum(), total[index, index]
        rows.append(
            {
                "class": name,
                "IoU": _rounded(iou[index]),
                "boundary IoU": _rounded(metrics.mean_of(edges[:, index])),
                "boundary F": _rounded(metrics.mean_of(scores[:, index])),
                "precision": _rounded(both / seen if seen else np.nan),
                "recall": _rounded(both / true if true else np.nan),
                "pixels %": round(100 * true / max(1, total.sum()), 2),
            }
        )
    return rows


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _confusion_table(names: Sequence[str], total: np.ndarray) -> list[dict[str, Any]]:
    shares = 100 * total / np.maximum(1, total.sum(1, keepdims=True))
    return [
        {"class": name} | {other: round(float(v), 1) for other, v in zip(names, row, strict=True)}
        for name, row in zip(names, shares, strict=True)
    ]


def confusion_figure(names: Sequence[str], total: np.ndarray) -> bytes:
    """Share of each true class's pixels that each class was given, as a picture (PNG)."""
    from matplotlib.figure import Figure

    from shared.runtime.report import figure_png

    side = max(4.0, 0.5 * len(names) + 2)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(total / np.maximum(1, total.sum(1, keepdims=True)), vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure_png(figure)


def _mistake(predictor: Predictor, example: MaskedImage, colours: np.ndarray, iou: float) -> dict[str, Any]:
    image, truth = example.read()
    seen = predictor.predict(image).mask
    size = working_size(image.shape[:2], 320)
    parts = [resize(image, size)]
    for mask in (truth, seen):
        parts.append(paint(parts[0], resize(mask, size, "nearest"), colours, 0.6))
    caption = f"{example.name}: picture, truth, prediction; mean IoU {iou:.3f}"
    return {"caption": caption, "image": encode_png(np.concatenate(parts, axis=1))}


def score_baseline(splits: Splits, config: SegmentationConfig) -> dict[str, float]:
    """The class that is most frequent at each position of the training masks, for every test picture."""
    names = splits.info["class_names"]
    votes = np.zeros((len(names), PRIOR_SIDE_PX, PRIOR_SIDE_PX), np.int64)
    side = (PRIOR_SIDE_PX, PRIOR_SIDE_PX)
    for example in splits.train:
        small = resize(example.read()[1], side, "nearest")
        votes += small == np.arange(len(names))[:, None, None]
    prior = votes.argmax(0).astype(np.uint8)
    total = np.zeros((len(names), len(names)), np.int64)
    for example in splits.test:
        truth = example.read()[1]
        total += metrics.confusion_matrix(truth, resize(prior, truth.shape, "nearest"), len(names))
    return {"mean_iou": metrics.mean_iou(total), "pixel_accuracy": metrics.pixel_accuracy(total)}


def fit_temperature(model: Any, examples: Sequence[MaskedImage], config: SegmentationConfig) -> float:
    """Temperature under which validation labels are most probable: https://arxiv.org/abs/1706.04599.

    Args:
        model: The trained Keras model.
        examples: Validation pictures.
        config: Gives the working size.

    Returns:
        A value between 0.5 and 3; 1 without labelled pixels.
    """
    from apps.segmentation.data import batches

    logits, labels = [], []
    for images, masks in batches(examples[:64], config, training=False):
        scores = np.asarray(model(images, training=False))
        step = masks.shape[1] // scores.shape[1]
        truth = np.asarray(masks)[:, step // 2 :: step, step // 2 :: step][:, ::2, ::2]
        known = truth != VOID
        logits.append(scores[:, ::2, ::2][known])
        labels.append(truth[known].astype(np.int64))
    scores, truth = np.concatenate(logits).astype(np.float64), np.concatenate(labels)
    if not len(truth):
        return 1.0
    chosen = scores[np.arange(len(truth)), truth]
    best, temperature = np.inf, 1.0
    for candidate in np.geomspace(0.5, 3.0, 37):
        scaled = scores / candidate
        peak = scaled.max(1)
        loss = float(np.mean(peak + np.log(np.exp(scaled - peak[:, None]).sum(1)) - chosen / candidate))
        if loss < best:
            best, temperature = loss, float(candidate)
    return round(temperature, 4)
