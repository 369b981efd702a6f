"""Typed results: what a predictor answers, and the JSON every download is made of.

Everything an app shows converts from one of these. Arrays are NumPy; `to_json` gives plain Python types.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Classification:
    """Classes of one input, most probable first.

    Attributes:
        labels: Class names, `(k,)`.
        probabilities: In [0, 1], `(k,)`, same order.
        extras: App-specific plain values or arrays (activation maps, word contributions, ...); not in JSON.
    """

    labels: list[str]
    probabilities: np.ndarray
    extras: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.probabilities):
            raise ValueError(
                f"labels and probabilities must have one length, received {len(self.labels)} "
                f"and {len(self.probabilities)}"
            )

    @property
    def top(self) -> str:
        """The most probable class."""
        return self.labels[0]

    def to_json(self) -> dict[str, Any]:
        """`{"classes": [{"label", "probability"}, ...]}`."""
        return {
            "classes": [
                {"label": name, "probability": round(float(p), 6)}
                for name, p in zip(self.labels, self.probabilities, strict=True)
            ]
        }


@dataclasses.dataclass(frozen=True)
class Detections:
    """Objects found in one image.

    Attributes:
        boxes: `(n, 4)` float32, `xyxy` in absolute pixels of the original image.
        class_ids: `(n,)` int, index into `class_names`.
        scores: `(n,)` float32 in [0, 1], descending.
        class_names: All classes the model knows.
        image_size_px: `(height, width)` of the original image.
    """

    boxes: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray
    class_names: list[str]
    image_size_px: tuple[int, int]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: np.ndarray) -> Detections:
        """Keep some, by boolean mask or integer index."""
        return dataclasses.replace(
            self, boxes=self.boxes[index], class_ids=self.class_ids[index], scores=self.scores[index]
        )

    def counts(self) -> dict[str, int]:
        """Objects by class, zero included."""
        return {name: int(np.count_nonzero(self.class_ids == i)) for i, name in enumerate(self.class_names)}

    def to_json(self) -> dict[str, Any]:
        """Image size, counts and one entry an object."""
        return {
            "image_size_px": {"height": self.image_size_px[0], "width": self.image_size_px[1]},
            "counts": self.counts(),
            "objects": [
                {
                    "label": self.class_names[int(c)],
                    "score": round(float(s), 4),
                    "box_xyxy": [round(float(v), 1) for v in box],
                }
                for box, c, s in zip(self.boxes, self.class_ids, self.scores, strict=True)
            ],
        }


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """A class for every pixel of one image.

    Attributes:
        mask: `(height, width)` uint8 class index at the original size.
        confidence: `(height, width)` float32, probability of the chosen class.
        class_names: Names by index.
    """

    mask: np.ndarray
    confidence: np.ndarray
    class_names: list[str]

    def areas(self) -> dict[str, float]:
        """Share of the image a class covers, in [0, 1], classes present only, largest first."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.class_names))
        shares = counts / max(1, self.mask.size)
        order = np.argsort(-shares, kind="stable")
        return {self.class_names[i]: float(shares[i]) for i in order if counts[i]}

    def to_json(self) -> dict[str, Any]:
        """Image size and area by class (the mask itself is downloaded as PNG or RLE)."""
        height, width = self.mask.shape
        return {
            "image_size_px": {"height": height, "width": width},
            "areas": {name: round(share, 6) for name, share in self.areas().items()},
            "mean_confidence": round(float(self.confidence.mean()), 4) if self.mask.size else None,
        }


@dataclasses.dataclass(frozen=True)
class Word:
    """One recognized word: text, start and end in seconds, probability in [0, 1]."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of speech, at most about 30 s."""

    text: str
    start_s: float
    end_s: float
    words: list[Word] = dataclasses.field(default_factory=list)
    average_log_probability: float = 0.0
    no_speech_probability: float = 0.0


@dataclasses.dataclass(frozen=True)
class Transcript:
    """What was said in one recording.

    Attributes:
        segments: In order of time.
        duration_s: Length of the audio in seconds.
        model: Variant that made it.
    """

    segments: list[Segment]
    duration_s: float
    model: str = ""

    @property
    def text(self) -> str:
        """All segments as one line."""
        return " ".join(s.text.strip() for s in self.segments if s.text.strip())

    def to_json(self) -> dict[str, Any]:
        """Text, duration and segments with words."""
        return {
            "text": self.text,
            "duration_s": round(self.duration_s, 3),
            "model": self.model,
            "segments": [dataclasses.asdict(s) for s in self.segments],
        }


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """A ranked list of items for one visitor.

    Attributes:
        items: Rows with at least `id`, `title`, `score`, best first.
        explanations: One a row: why it is here, or an empty string.
    """

    items: list[dict[str, Any]]
    explanations: list[str] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """`{"items": [...]}` with the explanation beside each."""
        reasons = self.explanations or [""] * len(self.items)
        return {"items": [{**row, "why": why} for row, why in zip(self.items, reasons, strict=True)]}
