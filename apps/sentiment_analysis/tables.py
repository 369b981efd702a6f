"""A table of texts -> the same table with answers, in steps, so that a page can show how far it is."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from shared.files.errors import InputError
from shared.files.tables import Table
from shared.files.text import clean_text
from shared.runtime.predictor import Predictor

STEP = 512
"""Rows of one step: enough to sort by length, few enough that the progress moves every second or two."""
TEXT_NAMES = (
    "text", "review", "sentence", "comment", "content", "message", "body", "feedback", "tweet", "description",
    "texto", "reseña", "opinión", "opinion", "comentario", "frase", "mensaje",
)  # fmt: skip


@dataclasses.dataclass
class Outcome:
    """A classified table.

    Attributes:
        columns: Those of the table, then `sentiment`, `probability` and one a class.
        rows: Cells as text.
        counts: Answers by class.
        skipped: Rows without a text; their new cells are empty.
        seconds: Time spent.
    """

    columns: list[str]
    rows: list[list[str]]
    counts: dict[str, int]
    skipped: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Counts and speed; the rows themselves are in the CSV."""
        return {
            "rows": len(self.rows),
            "skipped": self.skipped,
            "counts": self.counts,
            "seconds": round(self.seconds, 3),
        }


def text_column(table: Table) -> str:
    """The column that most likely holds the texts: one named so, else the one with the longest cells.

    Raises:
        InputError: No column holds text.
    """
    named = table.find(TEXT_NAMES)
    if named:
        return named
    sample = table.rows[:200]
    lengths = [
        sum(len(r[i]) for r in sample if any(c.isalpha() for c in r[i])) for i in range(len(table.columns))
    ]
    best = max(range(len(lengths)), key=lambda i: lengths[i])
    if lengths[best] < 3 * len(sample):
        raise InputError(
            f"No column of the table holds text. Its columns are: {', '.join(table.columns[:20])}. A column named "
            "“text” with one text a row works.",
            f"Ninguna columna de la tabla contiene texto. Sus columnas son: {', '.join(table.columns[:20])}. "
            "Funciona una columna llamada «text» con un texto por fila.",
        )
    return table.columns[best]


def classify(predictor: Predictor, table: Table, column: str) -> Iterator[tuple[int, Outcome]]:
    """Classify a column row by row.

    Args:
        predictor: The model.
        table: From `read_table`.
        column: Name of the column with the texts.

    Yields:
        Rows done so far, and the outcome up to there (the same object every time).

    Raises:
        InputError: There is no such column, or no row of it holds text.
    """
    begun = time.monotonic()
    texts = [clean_text(cell)[:100_000] for cell in table.column(column)]
    if not any(texts):
        raise InputError(
            f"All cells of the column “{column}” are empty. Choose the column that holds the texts.",
            f"Todas las celdas de la columna «{column}» están vacías. Elige la columna que contiene los textos.",
        )
    classes = predictor.processor.class_names  # type: ignore[attr-defined]
    added = ["sentiment", "probability", *(f"p_{name}" for name in classes)]
    outcome = Outcome(table.columns + [_free(name, table.columns) for name in added], [], {})
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), STEP):
        part = texts[start : start + STEP]
        answers = iter(predictor.predict_batch([t for t in part if t]))
        for row, text in zip(table.rows[start : start + STEP], part, strict=True):
            if not text:
                outcome.skipped += 1
                outcome.rows.append(row + [""] * len(added))
                continue
            answer = next(answers)
            by_class = dict(zip(answer.labels, answer.probabilities, strict=True))
            counts[answer.top] += 1
            shown = [answer.probabilities[0], *(by_class[name] for name in classes)]
            outcome.rows.append([*row, answer.top, *(f"{p:.4f}" for p in shown)])
        outcome.counts = dict(counts.most_common())
        outcome.seconds = time.monotonic() - begun
        yield min(start + STEP, len(texts)), outcome


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_model"
    return name
