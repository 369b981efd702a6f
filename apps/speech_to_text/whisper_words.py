"""When each word was said: dynamic time warping over cross-attention, as in `openai/whisper` (timing.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import median_filter

from apps.speech_to_text.vocabulary import ENCODED_PER_S
from shared.results import Word

MEDIAN_WIDTH = 7


def monotonic_path(cost: np.ndarray) -> np.ndarray:
    """Cheapest way through a cost matrix, one step down, right or both at a time.

    Args:
        cost: `(rows, columns)`.

    Returns:
        For each row the first column of the path in it, `(rows,)`.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    trace = np.zeros((rows + 1, columns + 1), np.int8)
    # Cells of one antidiagonal depend only on the two before: a whole diagonal at once.
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        choices = np.stack([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        best = choices.argmin(0)
        total[i, j] = cost[i - 1, j - 1] + choices[best, np.arange(len(i))]
        trace[i, j] = best
    first = np.zeros(rows, np.int64)
    i, j = rows, columns
    while i > 0 and j > 0:
        first[i - 1] = j - 1
        step = trace[i, j]
        i -= step != 2
        j -= step != 1
    return first


def token_times(attention: np.ndarray, encoded_frames: int) -> np.ndarray:
    """Start of each text token and of what follows the last.

    Args:
        attention: `(heads, tokens + 3, frames)`: start, no-timestamps, text, end.
        encoded_frames: Frames that hold sound; the rest is padding.

    Returns:
        Seconds, `(tokens + 1,)`.
    """
    weights = attention[:, :, : max(1, encoded_frames)].astype(np.float64)
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
    deviation = weights.std(axis=-2, keepdims=True)
    weights = (weights - weights.mean(axis=-2, keepdims=True)) / np.maximum(deviation, 1e-9)
    weights = median_filter(weights, size=(1, 1, MEDIAN_WIDTH), mode="mirror").mean(0)
    # The row of a token predicts the next one: rows from no-timestamps to the last text token.
    return monotonic_path(-weights[1:-1]) / ENCODED_PER_S


def split_words(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[tuple[str, list[int]]]:
    """Group tokens into words with their punctuation.

    Args:
        tokens: Text tokens.
        decode: Token ids -> text.

    Returns:
        Text (with its leading space) and positions of the tokens, for each word.
    """
    pieces: list[tuple[str, list[int]]] = []
    pending: list[int] = []
    for position, _ in enumerate(tokens):
        pending.append(position)
        text = decode([tokens[p] for p in pending])
        # A character may be spread over tokens: wait until it is whole.
        if "\ufffd" not in text or position == len(tokens) - 1:
            pieces.append((text, pending))
            pending = []
    words: list[tuple[str, list[int]]] = []
    for text, positions in pieces:
        # A space opens a word; endings and punctuation come without.
        if text.startswith(" ") or not words:
            words.append((text, list(positions)))
        else:
            words[-1] = (words[-1][0] + text, words[-1][1] + positions)
    return words


def timed_words(
    tokens: Sequence[int],
    log_probabilities: Sequence[float],
    starts_s: np.ndarray,
    decode: Callable[[Sequence[int]], str],
    offset_s: float,
    end_s: float,
) -> list[Word]:
    """Words with times and probabilities.

    Args:
        tokens: Text tokens.
        log_probabilities: One a token.
        starts_s: From `token_times`.
        decode: Token ids -> text.
        offset_s: Where the window begins in the recording.
        end_s: Where the recording ends.
    """
    words = []
    for text, positions in split_words(tokens, decode):
        start = min(end_s, offset_s + float(starts_s[positions[0]]))
        end = min(end_s, offset_s + float(starts_s[positions[-1] + 1]))
        probability = float(np.exp([log_probabilities[p] for p in positions]).mean())
        if text.strip():
            words.append(Word(text.strip(), round(start, 2), round(max(start, end), 2), probability))
    return shorten_long_words(words)


def shorten_long_words(words: Sequence[Word]) -> list[Word]:
    """Take pauses out of words: the path through the attention gives them to a neighbour.

    A first word swallows the silence before it, and a word before a comma or full stop the pause behind it;
    no word is made shorter than twice the usual length (0.5 to 1.4 s).
    """
    if not words:
        return []
    usual = float(np.median([w.end_s - w.start_s for w in words]))
    longest = 2 * min(max(usual, 0.25), 0.7)
    result = []
    for index, word in enumerate(words):
        if word.end_s - word.start_s > longest:
            if index == 0:
                word = dataclasses.replace(word, start_s=round(word.end_s - longest, 2))
            elif word.text[-1] in ".,!?;:" or index == len(words) - 1:
                word = dataclasses.replace(word, end_s=round(word.start_s + longest, 2))
        result.append(word)
    return result
