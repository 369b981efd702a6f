"""Figures of a text classifier: accuracy, F1, calibration, confusion and worst mistakes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.sentiment_analysis.preprocessing import softmax
from shared.data.text_table import LabelledText
from shared.task import Evaluation

if TYPE_CHECKING:
    from shared.runtime.predictor import Predictor

BINS = 15


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Mean gap between how sure the model says it is and how often it is right (https://arxiv.org/abs/1706.04599).

    Args:
        probabilities: `(n, classes)`.
        labels: `(n,)` class indices.
        bins: Equal parts of [0, 1] that predictions are sorted into by confidence.

    Returns:
        In [0, 1]; 0 is perfectly calibrated.
    """
    rows = reliability(probabilities, labels, bins)
    return float(sum(r["texts"] * abs(r["accuracy"] - r["confidence"]) for r in rows) / max(1, len(labels)))


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """Confidence, accuracy and number of texts of each bin that holds any."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "confidence": float(confidence[index == b].mean()),
            "accuracy": float(right[index == b].mean()),
            "texts": int((index == b).sum()),
        }
        for b in range(bins)
        if (index == b).any()
    ]


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least cross-entropy, by golden-section search on its logarithm.

    Args:
        logits: `(n, classes)`.
        labels: `(n,)` class indices.

    Returns:
        Between 0.1 and 10; 1 when there is nothing to fit on.
    """
    if not len(labels):
        return 1.0

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits.astype(np.float64) / np.exp(log_temperature))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())

    low, high, ratio = np.log(0.1), np.log(10.0), (np.sqrt(5) - 1) / 2
    for _ in range(50):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


def classification_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`accuracy`, `f1` (macro), `ece` and `log_loss`.

    Args:
        probabilities: `(n, classes)`.
        labels: `(n,)` class indices.
    """
    from sklearn.metrics import f1_score

    predicted = probabilities.argmax(axis=1)
    likelihood = np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)
    return {
        "accuracy": float((predicted == labels).mean()),
        "f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "ece": expected_calibration_error(probabilities, labels),
        "log_loss": float(-np.log(likelihood).mean()),
    }


def evaluate(predictor: Predictor, examples: Sequence[LabelledText]) -> Evaluation:
    """Score the exported graph, through the code that serves."""
    processor: Any = predictor.processor
    names = processor.class_names
    known = [e for e in examples if e.label in names]
    if len(known) < len(examples):
        other = sorted({e.label for e in examples} - set(names))
        raise ValueError(f"labels must be among the model's classes {names}, received {other}")
    labels = np.array([names.index(e.label) for e in examples])
    logits, _, _ = processor.logits(predictor.graphs, [e.text for e in examples])
    probabilities = softmax(logits.astype(np.float64) / processor.temperature)
    metrics = classification_metrics(probabilities, labels)
    metrics["ece_uncalibrated"] = expected_calibration_error(softmax(logits.astype(np.float64)), labels)
    predicted = probabilities.argmax(axis=1)
    confusion = [
        {
            "class": name,
            **{f"answered {n}": int(((labels == i) & (predicted == j)).sum()) for j, n in enumerate(names)},
        }
        for i, name in enumerate(names)
    ]
    per_class = []
    for i, name in enumerate(names):
        right = int(((labels == i) & (predicted == i)).sum())
        per_class.append(
            {
                "class": name,
                "texts": int((labels == i).sum()),
                "precision": round(right / max(1, int((predicted == i).sum())), 4),
                "recall": round(right / max(1, int((labels == i).sum())), 4),
            }
        )
    lengths = np.array([len(e.text.split()) for e in examples])
    by_length = []
    for low, high in ((1, 10), (11, 20), (21, 40), (41, 100), (101, 300), (301, 10**6)):
        chosen = (lengths >= low) & (lengths <= high)
        if chosen.any():
            row = {
                "words": f"{low} to {high}" if high < 10**6 else f"{low} and more",
                "texts": int(chosen.sum()),
            }
            by_length.append(row | {"accuracy": round(float((predicted == labels)[chosen].mean()), 4)})
    bins = reliability(probabilities, labels)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:24]
    return Evaluation(
        metrics,
        tables={
            "Confusion": confusion,
            "Per class": per_class,
            "By length": by_length,
            "Calibration": [{k: round(v, 4) for k, v in row.items()} for row in bins],
        },
        figures={"Reliability": _reliability_diagram(bins)},
        mistakes=[
            {
                "caption": f"{names[labels[i]]}, answered {names[predicted[i]]} "
                f"({probabilities[i].max():.0%}): {examples[i].text[:300]}"
            }
            for i in worst
        ],
    )


def _reliability_diagram(bins: list[dict[str, float]]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=100)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="gray", label="perfect")
    axes.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-", label="model")
    axes.set(xlabel="how sure the model says it is", ylabel="how often it is right", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight")
    return stream.getvalue()
