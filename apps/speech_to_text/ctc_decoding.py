"""Connectionist temporal classification at serve time: greedy and prefix beam search, in NumPy.

CTC: https://www.cs.toronto.edu/~graves/icml_2006.pdf; the search: https://arxiv.org/abs/1408.2873.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BLANK = 0
CHARACTERS = " 'abcdefghijklmnopqrstuvwxyz"
"""Character `i` is class `i + 1`; class 0 is the blank."""
MINUS_INFINITY = -math.inf


def clean_text(text: str) -> str:
    """Lower case, letters and apostrophes, single spaces: what the model can write."""
    kept = (c if c in CHARACTERS else " " for c in text.lower().replace("’", "'"))
    return " ".join("".join(kept).split())


def encode_text(text: str) -> list[int]:
    """Classes of a transcript."""
    return [CHARACTERS.index(c) + 1 for c in clean_text(text)]


def decode_classes(classes: Iterable[int]) -> str:
    """Text of classes without blanks."""
    return "".join(CHARACTERS[c - 1] for c in classes)


class CharacterModel:
    """A character n-gram language model with Witten-Bell smoothing.

    Args:
        order: Longest context plus one.
        counts: Context -> next character -> count; `$` ends a text.
    """

    END = "$"

    def __init__(self, order: int, counts: dict[str, dict[str, int]]):
        self.order = order
        self._counts = counts
        self._totals = {context: sum(following.values()) for context, following in counts.items()}
        self._known: dict[tuple[str, str], float] = {}

    @classmethod
    def train(cls, texts: Iterable[str], order: int) -> CharacterModel:
        """Count characters of transcripts."""
        counts: dict[str, Counter] = defaultdict(Counter)
        for text in texts:
            padded = " " + clean_text(text) + cls.END
            for i in range(1, len(padded)):
                for n in range(order):
                    if i - n < 0:
                        break
                    counts[padded[i - n : i]][padded[i]] += 1
        # Contexts seen once say nothing their shorter ones do not, and they are most of the table.
        kept = {c: dict(f) for c, f in counts.items() if len(c) < 3 or sum(f.values()) > 1}
        return cls(order, kept)

    def probability(self, context: str, character: str) -> float:
        """Probability of a character (or `$`) after a context."""
        context = context[-(self.order - 1) :] if self.order > 1 else ""
        key = (context, character)
        if key not in self._known:
            following = self._counts.get(context, {})
            total, kinds = self._totals.get(context, 0), len(following)
            lower = self.probability(context[1:], character) if context else 1 / (len(CHARACTERS) + 1)
            count = following.get(character, 0)
            self._known[key] = (count + kinds * lower) / (total + kinds) if total else lower
        return self._known[key]

    def to_json(self) -> dict[str, Any]:
        """Plain types for a file."""
        return {"order": self.order, "counts": self._counts}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CharacterModel:
        """The opposite of `to_json`."""
        return cls(values["order"], values["counts"])


@dataclasses.dataclass(frozen=True)
class CtcResult:
    """A decoded recording.

    Attributes:
        text: What was recognized.
        log_probability: Of the text, summed over its alignments (greedy: of the one alignment).
    """

    text: str
    log_probability: float


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def decode_greedy(log_probabilities: np.ndarray) -> CtcResult:
    """Most probable class of each frame, repeats merged, blanks left out.

    Args:
        log_probabilities: `(frames, classes)`.
    """
    path = log_probabilities.argmax(-1)
    changes = np.concatenate([[True], path[1:] != path[:-1]])
    text = decode_classes(path[changes & (path != BLANK)])
    return CtcResult(" ".join(text.split()), float(log_probabilities.max(-1).sum()))


def decode_beam(
    log_probabilities: np.ndarray,
    beam_size: int = 8,
    language_model: CharacterModel | None = None,
    weight: float = 0.5,
    length_bonus: float = 0.0,
    candidates: int = 10,
) -> CtcResult:
    """Prefix beam search: the alignments of one text are added up, and a language model may have its say.

    Args:
        log_probabilities: `(frames, classes)`.
        beam_size: Prefixes kept.
        language_model: Scores each character that is added, and the end.
        weight: Of the language model's log-probability.
        length_bonus: Added for each character, against a language model that likes short texts.
        candidates: Classes tried a frame, the most probable ones.
    """
    # Prefix -> log-probability of its alignments that end with a blank, and with its last class.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, MINUS_INFINITY)}
    prior: dict[tuple[int, ...], float] = {(): 0.0}

    def score(prefix: tuple[int, ...], pair: tuple[float, float]) -> float:
        return float(np.logaddexp(*pair)) + prior[prefix]

    for frame in log_probabilities:
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [MINUS_INFINITY, MINUS_INFINITY])
        best = (
            np.argpartition(frame, -candidates)[-candidates:]
            if candidates < len(frame)
            else range(len(frame))
        )
        for prefix, (blank, label) in beams.items():
            both = np.logaddexp(blank, label)
            for c in {BLANK, *(int(b) for b in best)}:
                p = frame[c]
                if c == BLANK:
                    grown[prefix][0] = np.logaddexp(grown[prefix][0], both + p)
                    continue
                longer = (*prefix, c)
                if prefix and c == prefix[-1]:
                    grown[prefix][1] = np.logaddexp(grown[prefix][1], label + p)
                    grown[longer][1] = np.logaddexp(grown[longer][1], blank + p)
                else:
                    grown[longer][1] = np.logaddexp(grown[longer][1], both + p)
                if longer not in prior:
                    extra = length_bonus
                    if language_model:
                        context = " " + decode_classes(prefix)
                        extra += weight * math.log(language_model.probability(context, CHARACTERS[c - 1]))
                    prior[longer] = prior[prefix] + extra
        ranked = sorted(grown, key=lambda p: -score(p, tuple(grown[p])))[:beam_size]
        beams = {p: (grown[p][0], grown[p][1]) for p in ranked}

    def final(prefix: tuple[int, ...]) -> float:
        end = 0.0
        if language_model:
            end = weight * math.log(
                language_model.probability(" " + decode_classes(prefix), CharacterModel.END)
            )
        return score(prefix, beams[prefix]) + end

    winner = max(beams, key=final)
    text = " ".join(decode_classes(winner).split())
    return CtcResult(text, float(np.logaddexp(*beams[winner])))


def align(log_probabilities: np.ndarray, classes: Sequence[int]) -> list[tuple[int, float]]:
    """Best alignment of a known text: Viterbi over blanks and classes.

    Args:
        log_probabilities: `(frames, classes)`.
        classes: Without blanks; must fit into the frames.

    Returns:
        For each class the frame it begins in and its probability there.
    """
    if not classes:
        return []
    states = [BLANK]
    for c in classes:
        states += [c, BLANK]
    frames, count = len(log_probabilities), len(states)
    emitted = log_probabilities[:, states]
    skip = np.zeros(count, bool)
    skip[2:] = [states[s] != BLANK and states[s] != states[s - 2] for s in range(2, count)]
    total = np.full(count, MINUS_INFINITY)
    total[:2] = emitted[0, :2]
    back = np.zeros((frames, count), np.int64)
    for t in range(1, frames):
        one = np.concatenate([[MINUS_INFINITY], total[:-1]])
        two = np.where(skip, np.concatenate([[MINUS_INFINITY] * 2, total[:-2]]), MINUS_INFINITY)
        choices = np.stack([total, one, two])
        back[t] = choices.argmax(0)
        total = choices.max(0) + emitted[t]
    state = count - 1 if total[-1] >= total[-2] else count - 2
    first = [0] * len(classes)
    for t in range(frames - 1, -1, -1):
        if state % 2:
            first[state // 2] = t
        state -= back[t, state] if t else 0
    return [(t, float(np.exp(log_probabilities[t, c]))) for t, c in zip(first, classes, strict=True)]
