"""Text -> token ids -> class probabilities: the one copy that trains, is measured and serves. No Keras here."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer

from shared.results import Classification
from shared.runtime import predictor

TOKENIZER_FILE = "tokenizer.json"
PAD = 0
BATCH_TOKENS = 4096
"""Tokens of one pass through the graph, padding included: large enough to be fast, small enough for 50 MB."""
_PTB = (
    (re.compile(r"(?i)-lrb- ?"), "("),
    (re.compile(r"(?i) ?-rrb-"), ")"),
    (re.compile(r"`` ?"), '"'),
    (re.compile(r" ?''"), '"'),
    (re.compile(r" (n't)\b", re.IGNORECASE), r"\1"),
    (re.compile(r" ('(?:s|re|ve|ll|d|m))\b", re.IGNORECASE), r"\1"),
    (re.compile(r" ([,.;:!?])(?=\s|$)"), r"\1"),
    (re.compile(r"\\([/*])"), r"\1"),
)
_BREAK = re.compile(r"(?i)<br\s*/?>")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]+")


def normalize(text: str) -> str:
    """Undo what corpora did to their texts: HTML line breaks (IMDB), treebank tokens (`does n't`, `-lrb-`; SST).

    Ordinary text passes unchanged, but for a blank before a comma or full stop.
    """
    text = _BREAK.sub("\n", text)
    for pattern, replacement in _PTB:
        text = pattern.sub(replacement, text)
    return text.strip()


class Encoder(Protocol):
    """Text -> ids, cut into the windows a model reads."""

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Ids of each text and the characters `(start, end)` of the text behind each id."""
        ...

    room: int
    """Ids of one window, special tokens aside."""

    def window(self, ids: Sequence[int]) -> list[int]:
        """A window as the model reads it, special tokens included."""
        ...


class WordPieces:
    """WordPiece of `tokenizer.json` (https://arxiv.org/abs/1810.04805), lower case, accents stripped.

    Args:
        tokenizer: From `tokenizer.json`.
        sequence_length: Longest window, with the two special tokens.
    """

    def __init__(self, tokenizer: Tokenizer, sequence_length: int):
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._first, self._last = (tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]"))
        self.room = sequence_length - 2

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [(e.ids, e.offsets) for e in encoded]

    def window(self, ids: Sequence[int]) -> list[int]:
        return [self._first, *ids, self._last]


class HashedNgrams:
    """Words and pairs of neighbours, hashed into a table without a vocabulary.

    The hashing trick of https://arxiv.org/abs/0902.2206; id 0 is padding. Words fall into the lower half of the
    table and pairs into the upper: a hundred times as many pairs would otherwise drown the words.

    Args:
        buckets: Rows of the table.
        sequence_length: Most ids of a window.
    """

    def __init__(self, buckets: int, sequence_length: int):
        self._buckets = buckets
        self.room = sequence_length

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        before = None
        for match in _WORD.finditer(text):
            word = match.group().lower()
            ids.append(self._hash(word))
            spans.append(match.span())
            if before is not None:
                ids.append(self._hash(f"{before[0]} {word}"))
                spans.append((before[1], match.end()))
            before = word, match.start()
        return ids, spans

    def _hash(self, ngram: str) -> int:
        half = self._buckets // 2
        first, size = (half, self._buckets - half) if " " in ngram else (1, half - 1)
        return first + zlib.crc32(ngram.encode("utf-8", "replace")) % size

    def window(self, ids: Sequence[int]) -> list[int]:
        return list(ids) or [PAD]


def make_encoder(settings: Mapping[str, Any], tokenizer_file: Path | str) -> Encoder:
    """The encoder a variant was trained with.

    Args:
        settings: `model`, `sequence_length` and, for `bag_of_words`, `hash_buckets`.
        tokenizer_file: `tokenizer.json`; not read for `bag_of_words`.
    """
    if settings["model"] == "bag_of_words":
        return HashedNgrams(settings["hash_buckets"], settings["sequence_length"])
    return WordPieces(Tokenizer.from_file(str(tokenizer_file)), settings["sequence_length"])


def window_slices(length: int, room: int) -> list[slice]:
    """Cut `length` ids into as few windows as `room` allows, all about equally long.

    Equal windows, not full ones and a rest: a rest of two words would count as little as it should in the
    average, but the model has never seen anything so short and says wild things of it.
    """
    count = max(1, -(-length // room))
    edges = np.linspace(0, length, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def pad(windows: Sequence[Sequence[int]], length: int | None = None) -> dict[str, np.ndarray]:
    """Ids of several windows -> the arrays of one batch.

    Args:
        windows: Ids, special tokens included.
        length: Columns; those of the longest window when None.

    Returns:
        `token_ids` and `padding_mask`, both int32 `(windows, length)`.
    """
    length = length or max(len(w) for w in windows)
    token_ids = np.full((len(windows), length), PAD, np.int32)
    padding_mask = np.zeros((len(windows), length), np.int32)
    for row, ids in enumerate(windows):
        token_ids[row, : len(ids)] = ids
        padding_mask[row, : len(ids)] = 1
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


class Processor(predictor.Processor):
    """Strings in, `Classification` out. Long texts are read in windows whose logits are averaged.

    Settings: `model`, `sequence_length`, `class_names`, `temperature`, `hash_buckets`.
    """

    def __init__(self, settings: Mapping[str, Any], folder: Path, encoder: Encoder | None = None):
        super().__init__(settings, folder)
        self.encoder = encoder or make_encoder(settings, self.folder / TOKENIZER_FILE)
        self.class_names: list[str] = list(settings["class_names"])
        self.temperature = float(settings.get("temperature", 1.0))

    def preprocess(self, item: str) -> dict[str, np.ndarray]:
        """The first window of one text, unpadded: `token_ids`, `padding_mask` `(length,)`."""
        return {name: array[0] for name, array in pad(self.windows([item])[0][:1]).items()}

    def windows(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """All windows of each text, at least one."""
        encoded = self.encoder.encode([normalize(t) for t in texts])
        room = self.encoder.room
        return [[self.encoder.window(ids[s]) for s in window_slices(len(ids), room)] for ids, _ in encoded]

    def window_texts(self, text: str) -> list[str]:
        """The characters behind each window of a text, normalized."""
        text = normalize(text)
        ids, spans = self.encoder.encode([text])[0]
        slices = window_slices(len(ids), self.encoder.room)
        if len(slices) == 1:
            return [text]
        starts = [spans[s.start][0] for s in slices]
        ends = [spans[s.stop - 1][1] for s in slices]
        return [text[a:b] for a, b in zip(starts, ends, strict=True)]

    def logits(
        self, graphs: Mapping[str, predictor.Graph], texts: Sequence[str]
    ) -> tuple[np.ndarray, list[int], list[int]]:
        """Logits of each text, windows averaged by their number of tokens.

        Returns:
            Float32 `(texts, classes)`, windows of each text, tokens of each text.
        """
        windows = self.windows(texts)
        flat = [w for group in windows for w in group]
        owner = np.repeat(np.arange(len(texts)), [len(g) for g in windows])
        weight = np.array([max(1, len(w)) for w in flat], np.float32)
        graph = next(iter(graphs.values()))
        rows = np.empty((len(flat), len(self.class_names)), np.float32)
        for indices in self.batches([len(w) for w in flat]):
            rows[indices] = graph(pad([flat[i] for i in indices]))["logits"]
        total = np.zeros((len(texts), rows.shape[1]), np.float32)
        np.add.at(total, owner, rows * weight[:, None])
        tokens = np.zeros(len(texts), np.float32)
        np.add.at(tokens, owner, weight)
        return total / tokens[:, None], [len(g) for g in windows], [int(t) for t in tokens]

    @staticmethod
    def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
        """Indices sorted by length, cut where a batch would exceed `BATCH_TOKENS` with its padding."""
        batch: list[int] = []
        for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            if batch and (len(batch) + 1) * lengths[index] > BATCH_TOKENS:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def run(
        self, graphs: Mapping[str, predictor.Graph], items: Sequence[str], **options: Any
    ) -> list[Classification]:
        """Answer a batch of clean texts of any length."""
        if not items:
            return []
        logits, windows, tokens = self.logits(graphs, items)
        return [
            self.postprocess({"logits": row, "windows": w, "tokens": t}, item, **options)
            for row, w, t, item in zip(logits, windows, tokens, items, strict=True)
        ]

    def postprocess(self, outputs: Mapping[str, Any], item: str, **options: Any) -> Classification:
        """Calibrated probabilities, most probable class first.

        `extras`: `logits` in the order of the class names, `windows` and `tokens` read.
        """
        probabilities = softmax(np.asarray(outputs["logits"], np.float64) / self.temperature)
        order = np.argsort(-probabilities, kind="stable")
        return Classification(
            [self.class_names[i] for i in order],
            probabilities[order].astype(np.float32),
            {k: outputs[k] for k in ("logits", "windows", "tokens") if k in outputs},
        )
