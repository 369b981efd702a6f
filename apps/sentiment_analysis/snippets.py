"""Long labelled reviews -> short labelled pieces that carry their review's label, for intermediate training."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Sequence

from apps.sentiment_analysis.preprocessing import normalize
from shared.data.text_table import LabelledText

FEWEST_WORDS = 4
_WORD = re.compile(r"[a-z0-9À-ÿ]+(?:'[a-z]+)?")
_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def sentences_of(text: str) -> list[str]:
    """Sentences of a review, cut at their marks and at line breaks; the text itself when there is no mark."""
    return [s for s in _END.split(normalize(text)) if s.strip()] or [text]


class NaiveBayes:
    """Multinomial naive Bayes on the words and word pairs a text has (https://aclanthology.org/P12-2018/).

    Args:
        examples: Labelled texts.
        class_names: Labels in order.
        most_weight: Largest log-ratio one word may count: a rare name of one film must not outvote a sentence.
    """

    def __init__(
        self, examples: Sequence[LabelledText], class_names: Sequence[str], most_weight: float = 1.5
    ):
        counts = {name: Counter() for name in class_names}
        for example in examples:
            counts[example.label].update(set(_grams(example.text)))
        totals = {name: sum(1 for e in examples if e.label == name) for name in class_names}
        self._weights: dict[str, dict[str, float]] = {}
        everything = sum(counts.values(), Counter())
        for name in class_names:
            others = sum(totals.values()) - totals[name]
            weights = {}
            for gram, total in everything.items():
                if total < 10:
                    continue
                here = (counts[name][gram] + 1) / (totals[name] + 2)
                elsewhere = (total - counts[name][gram] + 1) / (others + 2)
                weights[gram] = max(-most_weight, min(most_weight, math.log(here / elsewhere)))
            self._weights[name] = weights

    def score(self, text: str, label: str) -> float:
        """How much the words of a text speak for a label; above 0 speaks for it."""
        weights = self._weights[label]
        return sum(weights.get(gram, 0.0) for gram in set(_grams(text)))


def _grams(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in itertools.pairwise(words)]


def telling_sentence(example: LabelledText, bayes: NaiveBayes, most_words: int) -> str | None:
    """The sentence of a review that speaks most plainly for its label; None where none does.

    A review's label says little of an arbitrary sentence (a synopsis, praise of one actor in a film that failed).
    """
    candidates = [s for s in sentences_of(example.text) if FEWEST_WORDS <= len(s.split()) <= most_words]
    scored = [(bayes.score(s, example.label), s) for s in candidates]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] > 1.0 else None


def last_words(text: str, most_words: int, rng: random.Random) -> str:
    """Whole sentences of 10 to `most_words` words from the end, where a reviewer sums up (three in four), or from
    the beginning."""
    sentences = sentences_of(text)
    wanted = rng.randint(min(10, most_words), most_words)
    from_end = rng.random() < 0.75
    kept: list[str] = []
    words = 0
    for sentence in reversed(sentences) if from_end else sentences:
        length = len(sentence.split())
        if kept and words + length > wanted:
            break
        kept.append(sentence)
        words += length
    parts = " ".join(reversed(kept) if from_end else kept).split()
    return " ".join(parts[-most_words:] if from_end else parts[:most_words])
