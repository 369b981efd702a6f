"""Which words and sentences decided: leave each out, ask the model again, look at the difference.

Occlusion (https://arxiv.org/abs/1311.2901) needs no gradients, so it works on the exported graph of any of the
models, and all the questions go through the graph in a few batches.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np

from apps.sentiment_analysis.preprocessing import Processor, softmax, window_slices
from shared.results import Classification
from shared.runtime.predictor import Predictor

MOST_WORDS = 80
"""Words of one text that are left out in turn; of longer texts, those of the sentences that decide most."""
MOST_SENTENCES = 160
"""Longer texts are cut into this many parts of neighbouring sentences."""
LONGEST_SENTENCE = 60
"""Words; a sentence without an end is cut into parts of at most so many."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|vs|etc|no|jr|sr|e\.g|i\.e|sra?|dra?)|\b[A-Z])\.$", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Word:
    """A word, its characters in the text, and how much it speaks for the target class.

    Attributes:
        contribution: Change of the target's calibrated log-odds that the word makes; above 0 speaks for it. None
            for words that were not left out in turn.
    """

    start: int
    end: int
    text: str
    contribution: float | None = None


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence, its characters in the text, and the target's probability when it is read alone."""

    start: int
    end: int
    text: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Words and sentences of one text.

    Attributes:
        target: Class that contributions and probabilities are about.
        opposite: The other class where there are two, else None.
        words: All words in order.
        sentences: All sentences in order.
        whole: Whether every word was left out in turn.
    """

    target: str
    opposite: str | None
    words: list[Word]
    sentences: list[Sentence]
    whole: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types, rounded."""
        return {
            "explained_class": self.target,
            "words": [
                {"text": w.text, "contribution": None if w.contribution is None else round(w.contribution, 4)}
                for w in self.words
            ],
            "sentences": [{"text": s.text, "probability": round(s.probability, 4)} for s in self.sentences],
        }


def explain(predictor: Predictor, text: str, result: Classification) -> Explanation:
    """Measure words and sentences of a text that was just classified.

    Args:
        predictor: The model.
        text: Clean text, as it was classified.
        result: The model's answer to it.

    Returns:
        The explanation, about class `positive` where there is one, else about the second of two classes, else
        about the answer.
    """
    processor: Any = predictor.processor
    names = processor.class_names
    if "positive" in names:
        target = names.index("positive")
    else:
        target = 1 if len(names) == 2 else names.index(result.top)
    spans = split_sentences(text)
    words = [Word(m.start(), m.end(), m.group()) for m in re.finditer(r"\S+", text)]
    one_window = result.extras.get("windows", 1) == 1 and len(words) <= MOST_WORDS
    sentences = _score_sentences(predictor, text, spans, target)
    if one_window:
        base = _log_odds(np.asarray(result.extras["logits"])[None], target, processor.temperature)[0]
        chosen = [(i, 0, len(text), base) for i, w in enumerate(words) if _speaks(w.text)]
    else:
        chosen = _words_that_decide(words, sentences)
    variants = [(text[a : words[i].start] + text[words[i].end : b]).strip() for i, a, b, _ in chosen]
    if variants:
        logits, _, _ = processor.logits(predictor.graphs, variants)
        without = _log_odds(logits, target, processor.temperature)
        for (index, _, _, base), value in zip(chosen, without, strict=True):
            words[index] = dataclasses.replace(words[index], contribution=float(base - value))
    two = len(names) == 2
    return Explanation(names[target], names[1 - target] if two else None, words, sentences, one_window)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Characters `(start, end)` of each sentence, at most `MOST_SENTENCES` of them.

    Ends are a full stop, question or exclamation mark, or a line break; `Mr.` and initials end nothing.
    """
    spans, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        end = match.start() + len(match.group().rstrip())
        piece = text[start:end]
        if "\n" not in match.group() and _ABBREVIATION.search(piece[-6:]):
            continue
        if any(c.isalnum() for c in piece):
            spans.append((start, end))
            start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    spans = [part for span in spans for part in _parts(text, span)]
    if len(spans) > MOST_SENTENCES:
        size = math.ceil(len(spans) / MOST_SENTENCES)
        spans = [(spans[i][0], spans[min(i + size, len(spans)) - 1][1]) for i in range(0, len(spans), size)]
    return spans


def _parts(text: str, span: tuple[int, int]) -> list[tuple[int, int]]:
    """A span in equal parts of at most `LONGEST_SENTENCE` words."""
    words = list(re.finditer(r"\S+", text[span[0] : span[1]]))
    if len(words) <= LONGEST_SENTENCE:
        return [span]
    slices = window_slices(len(words), LONGEST_SENTENCE)
    return [(span[0] + words[s.start].start(), span[0] + words[s.stop - 1].end()) for s in slices]


def _speaks(word: str) -> bool:
    """Leaving out punctuation says nothing a reader could use; an emoji may say everything."""
    return any(c.isalnum() or ord(c) > 0x2190 for c in word)


def _log_odds(logits: np.ndarray, target: int, temperature: float) -> np.ndarray:
    scaled = np.asarray(logits, np.float64) / temperature
    others = np.delete(scaled, target, axis=1)
    top = others.max(axis=1)
    return scaled[:, target] - top - np.log(np.exp(others - top[:, None]).sum(axis=1))


def _score_sentences(
    predictor: Predictor, text: str, spans: list[tuple[int, int]], target: int
) -> list[Sentence]:
    processor: Processor = predictor.processor  # type: ignore[assignment]
    pieces = [text[a:b] for a, b in spans]
    if not pieces:
        return []
    logits, _, _ = processor.logits(predictor.graphs, pieces)
    probabilities = softmax(logits.astype(np.float64) / processor.temperature)[:, target]
    return [Sentence(a, b, t, float(p)) for (a, b), t, p in zip(spans, pieces, probabilities, strict=True)]


def _words_that_decide(words: list[Word], sentences: list[Sentence]) -> list[tuple[int, int, int, float]]:
    """Words of the sentences furthest from undecided, each within its own sentence: index, span, log-odds."""
    chosen: list[tuple[int, int, int, float]] = []
    for sentence in sorted(sentences, key=lambda s: -abs(s.probability - 0.5)):
        inside = [
            i for i, w in enumerate(words) if sentence.start <= w.start < sentence.end and _speaks(w.text)
        ]
        if len(chosen) + len(inside) > MOST_WORDS:
            if not chosen:
                inside = inside[:MOST_WORDS]  # one endless sentence
            else:
                continue
        p = min(max(sentence.probability, 1e-9), 1 - 1e-9)
        base = math.log(p / (1 - p))
        chosen += [(i, sentence.start, sentence.end, base) for i in inside]
    return chosen
