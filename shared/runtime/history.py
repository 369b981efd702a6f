"""The logged epochs of a run, and what they say about it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of a CSVLogger file, one an epoch; of an epoch logged twice (killed between log and backup)
    the later row counts."""
    if not path.exists():
        return []
    rows: dict[int, dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            try:
                numbers = {k: float(v) for k, v in row.items() if k and v not in (None, "", "NA")}
                rows[int(numbers["epoch"])] = numbers
            except (ValueError, KeyError):
                continue  # a line cut short by the kill
    return [rows[epoch] for epoch in sorted(rows)]


def best_epoch(rows: Sequence[dict[str, float]], monitor: str, mode: str) -> int | None:
    """Index of the best row by `monitor`, None where it was never logged."""
    scored = [(row[monitor], i) for i, row in enumerate(rows) if monitor in row]
    if not scored:
        return None
    return (min if mode == "min" else max)(scored, key=lambda pair: pair[0])[1]


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """A verdict on a training run and the advice that follows from it.

    Attributes:
        verdict: `under-fitting`, `over-fitting`, `still improving`, `balanced` or `unknown`.
        reason: The numbers it rests on.
        advice: What to try next, most promising first.
    """

    verdict: str
    reason: str
    advice: list[str]


def diagnose(
    rows: Sequence[dict[str, float]], monitor: str, mode: str, baseline_loss: float | None = None
) -> Diagnosis:
    """Read the curves as Goodfellow, Bengio and Courville's "Practical Methodology" does
    (https://www.deeplearningbook.org/contents/guidelines.html): compare training with validation error,
    then decide between capacity, regularization and data.

    Args:
        rows: Logged epochs, with `loss` and `val_loss`.
        monitor: Value the best epoch is chosen by.
        mode: `min` or `max`.
        baseline_loss: Loss of a constant answer, where known.
    """
    rows = [r for r in rows if "loss" in r and "val_loss" in r]
    if len(rows) < 3:
        return Diagnosis("unknown", f"only {len(rows)} epoch(s) were logged", ["Train for more epochs."])
    at = best_epoch(rows, monitor, mode)
    best = rows[at if at is not None else -1]
    train, validation = best["loss"], best["val_loss"]
    gap = (validation - train) / max(abs(validation), 1e-9)
    lowest = min(range(len(rows)), key=lambda i: rows[i]["val_loss"])
    rise = (rows[-1]["val_loss"] - rows[lowest]["val_loss"]) / max(abs(rows[lowest]["val_loss"]), 1e-9)
    last_best = at is not None and at >= len(rows) - max(1, len(rows) // 10)
    numbers = (
        f"best epoch {int(best.get('epoch', 0)) + 1} of {len(rows)}: training loss {train:.4g}, "
        f"validation loss {validation:.4g}; the validation loss ended {rise:+.0%} from its lowest value"
    )
    if baseline_loss is not None and train > 0.9 * baseline_loss:
        return Diagnosis(
            "under-fitting",
            numbers + f"; a constant answer has loss {baseline_loss:.4g}",
            [
                "Raise the learning rate or check that targets and inputs belong together.",
                "Take a larger model, or unfreeze more of the backbone.",
                "Weaken regularization (dropout, weight decay, augmentation).",
            ],
        )
    if rise > 0.1 or gap > 0.5:
        return Diagnosis(
            "over-fitting",
            numbers,
            [
                "More training data helps most here; then stronger augmentation.",
                "Raise weight decay or dropout, or average the weights (--ema_momentum 0.999).",
                "Stop earlier (--early_stopping_patience 3) or freeze more of the backbone.",
            ],
        )
    if last_best:
        return Diagnosis(
            "still improving",
            numbers,
            ["Train longer (--epochs): the best epoch is among the last.", "Or raise the learning rate."],
        )
    if gap < 0.05:
        return Diagnosis(
            "under-fitting",
            numbers,
            [
                "Training and validation agree, so the model, not the data, is the limit: take a larger one.",
                "Weaken regularization, or train longer at a higher learning rate.",
            ],
        )
    return Diagnosis("balanced", numbers, ["More data of the classes it gets wrong most is the next step."])
