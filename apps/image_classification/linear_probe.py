"""A linear classifier on frozen features, in NumPy: the frozen baseline of training, and "Teach it yours"."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from apps.image_classification.preprocessing import softmax

PENALTIES = (1e-3, 1e-2, 1e-1)


@dataclasses.dataclass(frozen=True)
class LinearHead:
    """`logits = features @ kernel + bias`.

    Attributes:
        kernel: float32 `(features, classes)`.
        bias: float32 `(classes,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """`(n, features)` -> `(n, classes)`."""
        return features @ self.kernel + self.bias

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """`(n, features)` -> `(n, classes)`, rows sum to 1."""
        return softmax(self.logits(features))


def fit_linear_head(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    penalty: float = 1e-2,
    class_weights: np.ndarray | None = None,
    iterations: int = 300,
) -> LinearHead:
    """Multinomial logistic regression with an L2 penalty, by Nesterov's accelerated gradient.

    Features are standardized inside and the result is folded back, so it applies to raw features.

    Args:
        features: `(n, d)`.
        labels: `(n,)`, 0 to `classes - 1`.
        classes: Number of classes.
        penalty: Of the squared kernel on standardized features.
        class_weights: `(classes,)`; equal when None.
        iterations: Steps; the step length follows from the largest curvature, so none can diverge.

    Raises:
        ValueError: Shapes do not fit, or a label is outside.
    """
    features = np.asarray(features, np.float32)
    labels = np.asarray(labels)
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise ValueError(
            f"features must be (n, d) and labels (n,), received {features.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}, received {labels.min()} to {labels.max()}")
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = np.concatenate([(features - mean) / scale, np.ones((len(features), 1), np.float32)], axis=1)
    weights = np.ones(len(labels)) if class_weights is None else np.asarray(class_weights)[labels]
    weights = (weights / weights.sum()).astype(np.float32)[:, None]
    targets = np.eye(classes, dtype=np.float32)[labels]
    decay = np.full((x.shape[1], 1), penalty, np.float32)
    decay[-1] = 0  # The bias is not penalized.

    # Half of the largest eigenvalue of X'WX bounds the curvature of the cross-entropy.
    vector = np.ones(x.shape[1], np.float32)
    for _ in range(20):
        vector = x.T @ (weights[:, 0] * (x @ vector))
        largest = float(np.linalg.norm(vector))
        vector /= max(largest, 1e-12)
    step = 1 / (0.55 * largest + penalty)

    kernel = np.zeros((x.shape[1], classes), np.float32)
    ahead = kernel
    for iteration in range(iterations):
        error = weights * (softmax(x @ ahead).astype(np.float32) - targets)
        following = ahead - step * (x.T @ error + decay * ahead)
        ahead = following + iteration / (iteration + 3) * (following - kernel)
        kernel = following
    raw = kernel[:-1] / scale[:, None]
    return LinearHead(raw.astype(np.float32), (kernel[-1] - mean @ raw).astype(np.float32))


def choose_linear_head(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    classes: int,
    *,
    penalties: Sequence[float] = PENALTIES,
    class_weights: np.ndarray | None = None,
) -> tuple[LinearHead, float, float]:
    """Fit with each penalty and keep the one that is best on validation.

    Returns:
        The head, its penalty and its validation accuracy.
    """
    best: tuple[LinearHead, float, float] | None = None
    for penalty in penalties:
        head = fit_linear_head(*train, classes, penalty=penalty, class_weights=class_weights)
        accuracy = float(np.mean(head.logits(validation[0]).argmax(axis=1) == validation[1]))
        if best is None or accuracy > best[2]:
            best = (head, penalty, accuracy)
    return best
