"""Whisper's decoding in NumPy over the exported graphs: greedy, sampling and beam search with a cache.

Follows https://arxiv.org/abs/2212.04356 (section 4.5) and the reference decoder of `openai/whisper`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from apps.speech_to_text.vocabulary import (
    END,
    MAX_TOKENS,
    NO_SPEECH,
    NO_TIMESTAMPS,
    PREVIOUS,
    START,
    TIMESTAMP_BEGIN,
    TIMESTAMP_STEP_S,
    VOCABULARY_SIZE,
)
from shared.runtime.predictor import Graph

MAX_SAMPLED = MAX_TOKENS // 2
MINUS_INFINITY = np.float32(-np.inf)


@dataclasses.dataclass(frozen=True)
class DecodingOptions:
    """How one window is decoded.

    Attributes:
        beam_size: Hypotheses kept side by side at temperature 0; 1 is greedy.
        temperature: 0 takes the most probable; above 0 samples `best_of` times.
        best_of: Samples at a temperature above 0.
        timestamps: Let the model write when each phrase begins and ends.
        prompt: Token ids of what was said before, for context; at most 223 of them are used.
        suppress: Tokens never written (symbols, special tokens).
        suppress_first: Tokens never written first.
        max_initial_timestamp_s: The first phrase begins no later than this.
        repeats: A tail that repeats itself this many times ends the hypothesis.
        seed: Of the sampling.
    """

    beam_size: int = 1
    temperature: float = 0.0
    best_of: int = 5
    timestamps: bool = False
    prompt: Sequence[int] = ()
    suppress: Sequence[int] = ()
    suppress_first: Sequence[int] = ()
    max_initial_timestamp_s: float = 1.0
    repeats: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"beam_size must be 1 or more, received {self.beam_size}")
        if self.temperature < 0:
            raise ValueError(f"temperature must be 0 or more, received {self.temperature}")


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One decoded window.

    Attributes:
        tokens: Without prompt and end; timestamps included where they were asked for.
        log_probabilities: One a token.
        average_log_probability: Over the tokens and the end.
        no_speech_probability: The model's own, at the first place.
        repeated: Ended because it repeated itself.
    """

    tokens: list[int]
    log_probabilities: list[float]
    average_log_probability: float
    no_speech_probability: float
    repeated: bool = False


class KeyValueCache:
    """Self-attention keys and values of all hypotheses, in one block that grows by doubling.

    Args:
        layers: Decoder layers.
        heads: Attention heads.
        size: Values a head.
        rows: Hypotheses.
        capacity: Places at first.
    """

    def __init__(self, layers: int, heads: int, size: int, rows: int, capacity: int = 64):
        self.length = 0
        self._block = np.zeros((2, layers, rows, heads, capacity, size), np.float32)

    @property
    def rows(self) -> int:
        """Hypotheses."""
        return self._block.shape[2]

    def feed(self) -> dict[str, np.ndarray]:
        """Graph inputs, views without a copy."""
        feed = {"past_length": np.array([self.length], np.int64)}
        for layer in range(self._block.shape[1]):
            feed[f"past_key_{layer}"] = self._block[0, layer]
            feed[f"past_value_{layer}"] = self._block[1, layer]
        return feed

    def append(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Add `(layers, rows, heads, tokens, size)` behind what is there."""
        end = self.length + keys.shape[3]
        capacity = self._block.shape[4]
        if end > capacity:
            grown = np.zeros(
                (*self._block.shape[:4], max(end, 2 * capacity), self._block.shape[5]), np.float32
            )
            grown[..., :capacity, :] = self._block
            self._block = grown
        self._block[0, ..., self.length : end, :] = keys
        self._block[1, ..., self.length : end, :] = values
        self.length = end

    def reorder(self, rows: Sequence[int]) -> None:
        """Keep these hypotheses in this order; one may appear several times."""
        if list(rows) != list(range(self.rows)):
            self._block = self._block[:, :, list(rows)]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in place of float32 `logits`."""
    logits -= logits.max(-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits


class TokenRules:
    """What may be written next: suppressed tokens and the grammar of timestamps.

    Args:
        options: Of the window.
    """

    def __init__(self, options: DecodingOptions):
        self.options = options
        always = [*options.suppress, NO_TIMESTAMPS]
        if not options.timestamps:
            always += range(TIMESTAMP_BEGIN, VOCABULARY_SIZE)
        self._always = np.unique(np.array(always, np.int64))
        self._first = np.array(options.suppress_first, np.int64)

    def apply(self, logits: np.ndarray, written: Sequence[Sequence[int]]) -> np.ndarray:
        """Forbid tokens, then log-softmax.

        Args:
            logits: `(rows, vocabulary)`, changed in place.
            written: Tokens of each row so far, without the prompt.

        Returns:
            Log-probabilities `(rows, vocabulary)`.
        """
        logits[:, self._always] = MINUS_INFINITY
        if not written[0] and len(self._first):
            logits[:, self._first] = MINUS_INFINITY
        if self.options.timestamps:
            for row, tokens in enumerate(written):
                self._timestamps(logits[row], tokens)
        log_probabilities = log_softmax(logits)
        if self.options.timestamps:
            for row in log_probabilities:
                times = row[TIMESTAMP_BEGIN:]
                peak = times.max()
                if peak == MINUS_INFINITY:
                    continue
                # Any time more probable than every word: a time it is.
                if peak + np.log(np.exp(times - peak).sum()) > row[:TIMESTAMP_BEGIN].max():
                    row[:TIMESTAMP_BEGIN] = MINUS_INFINITY
                    log_softmax(row)
        return log_probabilities

    def _timestamps(self, logits: np.ndarray, tokens: Sequence[int]) -> None:
        if not tokens:
            logits[:TIMESTAMP_BEGIN] = MINUS_INFINITY
            last = round(self.options.max_initial_timestamp_s / TIMESTAMP_STEP_S)
            logits[TIMESTAMP_BEGIN + last + 1 :] = MINUS_INFINITY
            return
        one = tokens[-1] >= TIMESTAMP_BEGIN
        two = len(tokens) < 2 or tokens[-2] >= TIMESTAMP_BEGIN
        if one and two:
            logits[TIMESTAMP_BEGIN:] = MINUS_INFINITY
        elif one:
            logits[:END] = MINUS_INFINITY
        times = [t for t in tokens if t >= TIMESTAMP_BEGIN]
        if times:
            # Times never go back, and a phrase is not empty.
            earliest = times[-1] if one and not two else times[-1] + 1
            logits[TIMESTAMP_BEGIN:earliest] = MINUS_INFINITY


def repeats_itself(tokens: Sequence[int], times: int, longest: int = 12) -> bool:
    """Whether the last `n` tokens stand there `times` times in a row, for any `n` up to `longest`."""
    for n in range(1, longest + 1):
        if len(tokens) < n * times:
            return False
        tail = list(tokens[-n:])
        if all(list(tokens[-n * (k + 1) : len(tokens) - n * k]) == tail for k in range(1, times)):
            return True
    return False


class WhisperModel:
    """The two graphs and what decoding needs of them.

    Args:
        graphs: `encoder` and `decoder`.
        layers: Decoder layers.
        heads: Attention heads.
        head_size: Values a head.
    """

    def __init__(self, graphs: Mapping[str, Graph], layers: int = 4, heads: int = 6, head_size: int = 64):
        self._encoder = graphs["encoder"]
        self._decoder = graphs["decoder"]
        self._geometry = (layers, heads, head_size)

    def encode(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Features of one window `(frames, 80)` -> cross-attention keys and values."""
        return self._encoder({"features": features[None]})

    def step(
        self, tokens: np.ndarray, cache: KeyValueCache, audio: Mapping[str, np.ndarray], logits_from: int = 0
    ) -> dict[str, np.ndarray]:
        """Run the decoder on new tokens `(rows, tokens)` and put their keys and values into the cache."""
        feed = {
            "token_ids": tokens.astype(np.int32),
            "logits_from": np.array([logits_from], np.int64),
            **cache.feed(),
            **audio,
        }
        outputs = self._decoder(feed)
        cache.append(outputs["new_keys"], outputs["new_values"])
        return outputs

    def new_cache(self, rows: int, capacity: int = 64) -> KeyValueCache:
        """An empty cache."""
        return KeyValueCache(*self._geometry, rows=rows, capacity=capacity)

    def decode(self, audio: Mapping[str, np.ndarray], options: DecodingOptions) -> Hypothesis:
        """Decode one window.

        Args:
            audio: From `encode`.
            options: How.
        """
        prompt = [START] if options.timestamps else [START, NO_TIMESTAMPS]
        before = 0
        if len(options.prompt):
            context = list(options.prompt)[-(MAX_TOKENS // 2 - 1) :]
            before = len(context) + 1
            prompt = [PREVIOUS, *context, *prompt]
        cache = self.new_cache(1, capacity=max(64, len(prompt) + 32))
        logits = self.step(np.array([prompt]), cache, audio, logits_from=before)["logits"][0]
        silence = float(np.exp(log_softmax(logits[0].copy())[NO_SPEECH]))
        limit = min(MAX_SAMPLED, MAX_TOKENS - len(prompt))
        rules = TokenRules(options)
        if options.temperature == 0 and options.beam_size > 1:
            found = self._beam(audio, options, rules, cache, logits[-1], limit)
        else:
            found = self._sample(audio, options, rules, cache, logits[-1], limit)
        return dataclasses.replace(found, no_speech_probability=silence)

    def _sample(self, audio, options, rules, cache, logits, limit) -> Hypothesis:
        """Greedy at temperature 0, else the best of several samples."""
        rows = 1 if options.temperature == 0 else options.best_of
        cache.reorder([0] * rows)
        logits = np.repeat(logits[None], rows, axis=0)
        random = np.random.default_rng(options.seed)
        written: list[list[int]] = [[] for _ in range(rows)]
        scores: list[list[float]] = [[] for _ in range(rows)]
        ended, repeated = [False] * rows, [False] * rows
        for _ in range(limit):
            log_probabilities = rules.apply(logits, written)
            if options.temperature == 0:
                chosen = log_probabilities.argmax(-1)
            else:
                noise = random.gumbel(size=log_probabilities.shape)
                chosen = (log_probabilities / options.temperature + noise).argmax(-1)
            for row, token in enumerate(chosen):
                if ended[row]:
                    chosen[row] = END
                    continue
                scores[row].append(float(log_probabilities[row, token]))
                if token == END:
                    ended[row] = True
                    continue
                written[row].append(int(token))
                if repeats_itself(written[row], options.repeats):
                    ended[row] = repeated[row] = True
            if all(ended):
                break
            logits = self.step(chosen[:, None], cache, audio)["logits"][:, -1]
        averages = [sum(s) / (len(t) + 1) for s, t in zip(scores, written, strict=True)]
        best = int(np.argmax(averages))
        count = len(written[best])
        return Hypothesis(written[best], scores[best][:count], averages[best], 0.0, repeated[best])

    def _beam(self, audio, options, rules, cache, logits, limit) -> Hypothesis:
        """Beam search; the answer has the highest mean log-probability of those that ended."""
        size = options.beam_size
        written: list[list[int]] = [[]]
        scores: list[list[float]] = [[]]
        totals = np.zeros(1)
        done: list[tuple[float, list[int], list[float], bool]] = []
        logits = logits[None].copy()
        for _ in range(limit):
            log_probabilities = rules.apply(logits, written)
            # One more than the beam: should the best end, the beam is still full.
            top = np.argpartition(log_probabilities, -(size + 1), axis=-1)[:, -(size + 1) :]
            candidates = sorted(
                (
                    (totals[row] + log_probabilities[row, token], row, int(token))
                    for row in range(len(written))
                    for token in top[row]
                    if log_probabilities[row, token] > MINUS_INFINITY
                ),
                key=lambda c: -c[0],
            )
            kept = []
            for total, row, token in candidates:
                score = float(log_probabilities[row, token])
                tokens, line = written[row], scores[row]
                if token == END:
                    done.append((total / (len(tokens) + 1), tokens, line, False))
                elif repeats_itself([*tokens, token], options.repeats):
                    done.append((total / (len(tokens) + 2), [*tokens, token], [*line, score], True))
                else:
                    kept.append((total, row, token, score))
                if len(kept) == size:
                    break
            if len(done) >= size or not kept:
                break
            totals = np.array([k[0] for k in kept])
            scores = [[*scores[row], score] for _, row, _, score in kept]
            written = [[*written[row], token] for _, row, token, _ in kept]
            cache.reorder([row for _, row, _, _ in kept])
            tokens = np.array([[token] for _, _, token, _ in kept])
            logits = self.step(tokens, cache, audio)["logits"][:, -1]
        if not done:
            done = [(t / (len(w) + 1), w, s, False) for t, w, s in zip(totals, written, scores, strict=True)]
        average, tokens, line, repeated = max(done, key=lambda d: d[0])
        return Hypothesis(tokens, line, float(average), 0.0, repeated)

    def alignment(self, audio: Mapping[str, np.ndarray], text_tokens: Sequence[int]) -> np.ndarray:
        """Attention of the alignment heads from `[start, no timestamps, *text, end]` to the audio.

        Returns:
            `(heads, tokens + 3, encoded frames)`, each row summing to 1.
        """
        tokens = np.array([[START, NO_TIMESTAMPS, *text_tokens, END]])[:, :MAX_TOKENS]
        cache = self.new_cache(1, capacity=0)
        return self.step(tokens, cache, audio, logits_from=tokens.shape[1] - 1)["alignment"][0]
