"""Scores of a classifier: accuracy, F1 by class, confusion, calibration, and the worst mistakes with pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.data.image_folder import LabelledImage
from shared.data.images import encode_png, letterbox
from shared.task import Evaluation

MISTAKES = 24


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts `(classes, classes)`: rows are the true class, columns the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 `(classes,)` each; 0 where a class was never predicted or never there."""
    hits = np.diag(confusion).astype(float)
    precision = hits / np.maximum(confusion.sum(axis=0), 1)
    recall = hits / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {"precision": precision, "recall": recall, "f1": f1}


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean distance of confidence and accuracy (https://arxiv.org/abs/1706.04599)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[index == b].mean() - confidence[index == b].mean()) * np.mean(index == b)
        for b in range(bins)
        if np.any(index == b)
    ]
    return float(sum(gaps))


def score(
    probabilities: np.ndarray, images: Sequence[LabelledImage], class_names: Sequence[str]
) -> Evaluation:
    """Everything the report shows.

    Args:
        probabilities: `(n, classes)`.
        images: The `n` pictures.
        class_names: By label.
    """
    classes = len(class_names)
    labels = np.array([image.label for image in images])
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, classes)
    scores = class_scores(confusion)
    present = confusion.sum(axis=1) > 0
    metrics = {
        "accuracy": float(np.mean(predicted == labels)),
        "macro_f1": float(scores["f1"][present].mean()),
    }
    if classes > 5:
        top = np.argsort(-probabilities, axis=1)[:, :5]
        metrics["top5_accuracy"] = float(np.mean((top == labels[:, None]).any(axis=1)))
    chosen = probabilities[np.arange(len(labels)), labels]
    metrics["log_loss"] = float(-np.log(np.maximum(chosen, 1e-12)).mean())
    metrics["calibration_error"] = calibration_error(probabilities, labels)
    rows: list[dict[str, Any]] = [
        {
            "class": name,
            "precision": round(float(scores["precision"][i]), 4),
            "recall": round(float(scores["recall"][i]), 4),
            "f1": round(float(scores["f1"][i]), 4),
            "examples": int(confusion[i].sum()),
        }
        for i, name in enumerate(class_names)
    ]
    figures = {"Confusion matrix": confusion_figure(confusion, class_names)} if classes <= 50 else {}
    figures["Reliability"] = reliability_figure(probabilities, labels)
    return Evaluation(
        metrics=metrics,
        tables={"By class": rows, "Most frequent confusions": confusions(confusion, class_names)},
        figures=figures,
        mistakes=worst_mistakes(probabilities, labels, images, class_names),
    )


def confusions(confusion: np.ndarray, class_names: Sequence[str], count: int = 15) -> list[dict[str, Any]]:
    """Pairs that were confused most often, most frequent first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    rows = []
    for true, said in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[true, said]:
            total = int(confusion[true].sum())
            rows.append(
                {
                    "true": class_names[true],
                    "predicted": class_names[said],
                    "times": int(wrong[true, said]),
                    "of": total,
                }
            )
    return rows


def worst_mistakes(
    probabilities: np.ndarray,
    labels: np.ndarray,
    images: Sequence[LabelledImage],
    class_names: Sequence[str],
    count: int = MISTAKES,
) -> list[dict[str, Any]]:
    """Wrong answers given with most confidence, with the picture: often it is the label that is wrong."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]
    return [
        {
            "caption": f"{class_names[labels[i]]} taken for {class_names[predicted[i]]} "
            f"({probabilities[i].max():.0%}): {images[i].name}",
            "image": encode_png(letterbox(images[i].read(), (160, 160), fill=255)[0]),
        }
        for i in order
    ]


def confusion_figure(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    """Row-normalized confusion matrix as PNG, counts inside."""
    from matplotlib.figure import Figure

    classes = len(class_names)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(12.0, 2.5 + 0.55 * classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(classes), class_names, rotation=45, ha="right")
    axes.set_yticks(range(classes), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if classes <= 25:
        for (y, x), count in np.ndenumerate(confusion):
            if count:
                axes.text(x, y, count, ha="center", va="center", color="w" if shares[y, x] > 0.5 else "k")
    return _png(figure)


def reliability_figure(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> bytes:
    """Accuracy over confidence as PNG; the diagonal is a model that knows how sure it may be."""
    from matplotlib.figure import Figure

    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    figure = Figure(figsize=(4.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    used = [b for b in range(bins) if np.any(index == b)]
    axes.bar([(b + 0.5) / bins for b in used], [right[index == b].mean() for b in used], width=0.9 / bins)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    return _png(figure)


def _png(figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Temperature that makes the log loss on validation smallest (https://arxiv.org/abs/1706.04599).

    Args:
        logits: `(n, classes)`.
        labels: `(n,)`.

    Returns:
        Between 0.05 and 20; below 1 when label smoothing made the model too cautious.
    """
    from apps.image_classification.preprocessing import softmax

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())

    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
