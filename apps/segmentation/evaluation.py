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
                "pixels %": round(100 * float(true) / max(1, int(total.sum())), 2),
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


SERVE_SCALES = (1.0, 1.25, 1.5)
"""Working sizes tried on validation, as factors of the one in training."""
UNDONE_SHARES = (0.5, 1.0)
"""Shares of the class weights in the loss that may be taken back from the logits."""
CALIBRATION_PICTURES = 64


def calibrate(
    model: Any, examples: Sequence[MaskedImage], settings: dict[str, Any], weights: Sequence[float]
) -> dict[str, Any]:
    """Choose how the model is served, by mean IoU on validation, and then the temperature of its confidence.

    First the working size, then whether the mirror image is averaged in; a dearer choice must gain at least
    0.002. Then how much of the class weights is undone: they help to learn rare classes, but a model trained
    with weight `w` gives a class about `w` times its true odds, so that rare ones are seen too often. Taking
    `share * log(w)` from the logits (https://arxiv.org/abs/2007.07314) undoes a share of it.

    Args:
        model: The trained Keras model.
        examples: Validation pictures; at most `CALIBRATION_PICTURES` of them are used.
        settings: What `Task.settings` gives.
        weights: Class weights of the loss.

    Returns:
        `serve_scale`, `flip`, `logit_offsets`, `temperature`, and `serving_choices`: what was tried, with its mean IoU.
    """
    from apps.segmentation.preprocessing import Processor
    from shared.runtime.predictor import KerasGraph

    pairs = [e.read() for e in examples[:: max(1, -(-len(examples) // CALIBRATION_PICTURES))]]
    if not pairs:
        return {"serve_scale": 1.0, "flip": False, "serving_choices": []}
    graph = KerasGraph(model=model)
    tried: list[dict[str, Any]] = []

    def score(scale: float, flip: bool, undone: float = 0.0) -> float:
        processor = Processor(settings | options(scale, flip, undone), "")
        total = sum(
            metrics.confusion_matrix(mask, result.mask, len(settings["class_names"]))
            for image, mask in pairs
            for result in processor.run({"model": graph}, [image])
        )
        found = round(metrics.mean_iou(total), 4)
        tried.append({"serve_scale": scale, "flip": flip, "undone": undone, "mean_iou": found})
        print(f"Served so on validation: {tried[-1]}", flush=True)
        return found

    def options(scale: float, flip: bool, undone: float) -> dict[str, Any]:
        offsets = [round(-undone * float(np.log(w)), 5) if w > 0 else 0.0 for w in weights]
        return {"serve_scale": scale, "flip": flip, "logit_offsets": offsets if undone else []}

    best, scale = score(1.0, False), 1.0
    for larger in SERVE_SCALES[1:]:
        found = score(larger, False)
        if found < best + 0.002:
            break
        best, scale = found, larger
    mirrored = score(scale, True)
    flip = mirrored >= best + 0.002
    best, undone = max(best, mirrored) if flip else best, 0.0
    for share in UNDONE_SHARES if len(set(weights)) > 1 else ():
        found = score(scale, flip, share)
        if found > best:
            best, undone = found, share
    chosen = options(scale, flip, undone)
    temperature = fit_temperature(Processor(settings | chosen, ""), graph, pairs)
    return chosen | {"temperature": temperature, "serving_choices": tried}


def fit_temperature(processor: Any, graph: Any, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Temperature under which validation labels are most probable: https://arxiv.org/abs/1706.04599.

    Args:
        processor: Serves as the variant will.
        graph: The model.
        pairs: Pictures and masks; every 49th pixel is used.

    Returns:
        A value between 0.5 and 3; 1 without labelled pixels.
    """
    logits, labels = [], []
    for image, mask in pairs:
        scores = processor.enlarge(processor.low_logits(graph, image), mask.shape)[:, 3::7, 3::7]
        truth = mask[3::7, 3::7]
        known = truth != VOID
        logits.append(scores[:, known].T)
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
