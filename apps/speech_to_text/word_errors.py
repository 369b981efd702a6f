"""Word errors against a text the visitor typed, for the page: no more packages than serving has."""

from __future__ import annotations

import dataclasses
import re
import unicodedata

import numpy as np


@dataclasses.dataclass(frozen=True)
class WordErrors:
    """How two texts differ.

    Attributes:
        pairs: `(said, recognized)`, in order; None where a word is missing on that side.
        substitutions: Words recognized as another.
        deletions: Words left out.
        insertions: Words nobody said.
        words: Words said.
    """

    pairs: list[tuple[str | None, str | None]]
    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def rate(self) -> float:
        """Errors over words said."""
        return (self.substitutions + self.deletions + self.insertions) / max(1, self.words)


def plain_words(text: str) -> list[str]:
    """Words in lower case without punctuation; apostrophes inside a word stay."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text)


def count_word_errors(said: str, recognized: str) -> WordErrors:
    """Align two texts by the fewest substitutions, deletions and insertions (Levenshtein).

    Args:
        said: The reference.
        recognized: The transcript.
    """
    a, b = plain_words(said), plain_words(recognized)
    cost = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    cost[:, 0], cost[0, :] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        row = np.minimum(cost[i - 1, 1:] + 1, cost[i - 1, :-1] + [a[i - 1] != w for w in b])
        for j in range(1, len(b) + 1):
            cost[i, j] = min(row[j - 1], cost[i, j - 1] + 1)
    pairs: list[tuple[str | None, str | None]] = []
    i, j = len(a), len(b)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((a[i], b[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((a[i], None))
        else:
            j -= 1
            pairs.append((None, b[j]))
    pairs.reverse()
    return WordErrors(
        pairs,
        substitutions=sum(x is not None and y is not None and x != y for x, y in pairs),
        deletions=sum(y is None for _, y in pairs),
        insertions=sum(x is None for x, _ in pairs),
        words=len(a),
    )
