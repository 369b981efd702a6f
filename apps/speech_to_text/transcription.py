"""From a recording of any length to a transcript: windows, fallback, guards, words."""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from apps.speech_to_text.features import log_mel
from apps.speech_to_text.speech_activity import measure_activity
from apps.speech_to_text.vocabulary import (
    ENCODED_PER_S,
    SAMPLE_RATE_HZ,
    TIMESTAMP_BEGIN,
    TIMESTAMP_STEP_S,
    WINDOW_S,
)
from apps.speech_to_text.whisper_decoding import DecodingOptions, Hypothesis, WhisperModel
from apps.speech_to_text.whisper_words import timed_words, token_times
from shared.results import Segment, Transcript, Word

WINDOW = WINDOW_S * SAMPLE_RATE_HZ
HOPELESS_RATIO = 3.0
"""An answer that compresses better than this after every temperature was tried is left out."""
DOUBTFUL_NO_SPEECH = 0.3
INVENTIONS = {
    "", "bye", "oh", "so", "thank you", "thank you for watching", "thank you very much", "thanks for watching",
    "uh", "whoa", "yeah", "you",
}  # fmt: skip
"""What Whisper writes for silence, noise and music; believed only when the model is sure that someone speaks."""


@dataclasses.dataclass(frozen=True)
class TranscribeOptions:
    """How a recording is transcribed.

    Attributes:
        beam_size: 1 is greedy.
        temperatures: Tried in order until an answer passes the checks below.
        compression_ratio_threshold: An answer that compresses better repeats itself.
        log_probability_threshold: An answer less probable on average is not believed.
        no_speech_threshold: With a low log-probability, more than this is silence.
        condition_on_previous: Give the decoder what was said before.
        word_timestamps: Find the time of each word.
    """

    beam_size: int = 1
    temperatures: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float = 2.4
    log_probability_threshold: float = -1.0
    no_speech_threshold: float = 0.6
    condition_on_previous: bool = False
    word_timestamps: bool = True


def compression_ratio(text: str) -> float:
    """Bytes of the text over bytes of the text compressed."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


class Transcriber:
    """Whisper on whole recordings.

    Args:
        model: The graphs.
        decode: Token ids -> text, special tokens left out.
        suppress: Tokens never written.
        suppress_first: Tokens never written first.
        context_s: Shortest length the encoder sees; shorter clips are padded with silence to it. 30 is what
            Whisper was trained with, less is faster.
    """

    def __init__(
        self,
        model: WhisperModel,
        decode: Callable[[Sequence[int]], str],
        suppress: Sequence[int] = (),
        suppress_first: Sequence[int] = (),
        context_s: float = WINDOW_S,
    ):
        self._model = model
        self._decode = decode
        self._suppress = tuple(suppress)
        self._suppress_first = tuple(suppress_first)
        self._context_s = context_s

    def transcribe(
        self,
        audio: np.ndarray,
        options: TranscribeOptions = TranscribeOptions(),  # noqa: B008 - frozen
        model_name: str = "",
        progress: Callable[[float, list[Segment]], None] | None = None,
    ) -> Transcript:
        """Transcribe a recording.

        Args:
            audio: `(samples,)` mono float32 at 16 kHz.
            options: How.
            model_name: Kept in the transcript.
            progress: Called after each window with the share done, in [0, 1], and the segments so far.
        """
        duration = len(audio) / SAMPLE_RATE_HZ
        # One window needs no times to move on by, and the model is more accurate without them.
        timestamps = len(audio) > WINDOW
        segments: list[Segment] = []
        context: list[int] = []
        seek = 0
        while seek < len(audio):
            window = audio[seek : seek + WINDOW]
            if len(window) < SAMPLE_RATE_HZ // 10:
                break
            found, advance, tokens, trusted = self._window(
                window, seek, len(audio), timestamps, context, options
            )
            segments += found
            context = (context + tokens)[-224:] if options.condition_on_previous and trusted else []
            seek += advance
            if progress:
                progress(min(1.0, seek / len(audio)), segments)
        return Transcript(segments, duration, model_name)

    def _window(self, window, seek, total, timestamps, context, options):
        """Segments of one window, samples to move on, its tokens, and whether they are fit as context."""
        nothing = ([], len(window), [], False)
        if not measure_activity(window).may_be_speech:
            return nothing
        length_s = min(float(WINDOW_S), max(self._context_s, len(window) / SAMPLE_RATE_HZ))
        audio = self._model.encode(log_mel(window, np.ceil(length_s * 50) / 50))
        found, temperature = self._with_fallback(audio, timestamps, context, options)
        silent = found.no_speech_probability > options.no_speech_threshold
        if silent and found.average_log_probability < options.log_probability_threshold:
            return nothing
        if self._is_invented(found, options):
            return nothing
        phrases, advance = split_phrases(found, len(window), last=seek + len(window) >= total)
        words = (
            self._words(audio, found, len(window), seek, total, options) if options.word_timestamps else []
        )
        segments = [
            Segment(
                text=self._decode(phrase.tokens).strip(),
                start_s=round((seek + phrase.start) / SAMPLE_RATE_HZ, 2),
                end_s=round(min(total, seek + phrase.end) / SAMPLE_RATE_HZ, 2),
                average_log_probability=found.average_log_probability,
                no_speech_probability=found.no_speech_probability,
            )
            for phrase in phrases
        ]
        segments = [s for s in segments if s.text]
        return share_words(segments, words), advance, found.tokens, temperature <= 0.5

    def _with_fallback(
        self,
        audio: Mapping[str, np.ndarray],
        timestamps: bool,
        context: Sequence[int],
        options: TranscribeOptions,
    ) -> tuple[Hypothesis, float]:
        """The first temperature whose answer is believable, or the last one."""
        for temperature in options.temperatures:
            found = self._model.decode(
                audio,
                DecodingOptions(
                    beam_size=options.beam_size,
                    temperature=temperature,
                    timestamps=timestamps,
                    prompt=context if temperature <= 0.5 else (),
                    suppress=self._suppress,
                    suppress_first=self._suppress_first,
                ),
            )
            if not self._needs_retry(found, options):
                break
        return found, temperature

    def _needs_retry(self, found: Hypothesis, options: TranscribeOptions) -> bool:
        if found.repeated:
            return True
        text = self._decode(found.tokens)
        if compression_ratio(text) > options.compression_ratio_threshold:
            return True
        unlikely = found.average_log_probability < options.log_probability_threshold
        # Probably silence: another temperature would only invent something.
        return unlikely and found.no_speech_probability <= options.no_speech_threshold

    def _is_invented(self, found: Hypothesis, options: TranscribeOptions) -> bool:
        """Whether to leave an answer out: one that repeats itself still, or what Whisper writes for no speech."""
        text = self._decode(found.tokens)
        if found.repeated or compression_ratio(text) > HOPELESS_RATIO:
            return True
        doubtful = found.no_speech_probability > DOUBTFUL_NO_SPEECH
        unlikely = found.average_log_probability < options.log_probability_threshold
        invention = re.sub(r"[^a-z ]", "", text.lower()).strip() in INVENTIONS
        return (doubtful and (unlikely or invention)) or (unlikely and invention)

    def _words(self, audio, found, samples, seek, total, options) -> list[Word]:
        pairs = [
            (t, p) for t, p in zip(found.tokens, found.log_probabilities, strict=True) if t < TIMESTAMP_BEGIN
        ]
        if not pairs:
            return []
        tokens, scores = [p[0] for p in pairs], [p[1] for p in pairs]
        attention = self._model.alignment(audio, tokens)
        starts = token_times(attention, int(np.ceil(samples / SAMPLE_RATE_HZ * ENCODED_PER_S)))
        offset, end = seek / SAMPLE_RATE_HZ, min(total, seek + samples) / SAMPLE_RATE_HZ
        return timed_words(tokens, scores, starts, self._decode, offset, end)


@dataclasses.dataclass(frozen=True)
class Phrase:
    """Tokens between two timestamps; start and end in samples of the window."""

    tokens: list[int]
    start: int
    end: int


def split_phrases(found: Hypothesis, samples: int, *, last: bool) -> tuple[list[Phrase], int]:
    """Cut an answer at its timestamps and say how far to move on.

    Args:
        found: The answer.
        samples: Length of the window.
        last: The window reaches the end of the recording.

    Returns:
        Phrases, and samples to move on: to the last complete phrase when another one has begun behind it.
    """
    to_samples = TIMESTAMP_STEP_S * SAMPLE_RATE_HZ
    phrases: list[Phrase] = []
    start, tokens = 0, []
    open_phrase = False
    for token in found.tokens:
        if token < TIMESTAMP_BEGIN:
            tokens.append(token)
            continue
        time = min(samples, round((token - TIMESTAMP_BEGIN) * to_samples))
        if tokens:
            phrases.append(Phrase(tokens, start, max(start, time)))
            tokens, open_phrase = [], False
        else:
            open_phrase = True
        start = time
    if tokens and (last or not phrases):
        # No closing time: up to the end of the window.
        return [*phrases, Phrase(tokens, start, samples)], samples
    if last or not (tokens or open_phrase):
        return phrases, samples
    # A phrase began that this window cuts off: the next window begins with it.
    return phrases, max(start, SAMPLE_RATE_HZ)


def share_words(segments: list[Segment], words: list[Word]) -> list[Segment]:
    """Give each segment the words of its text, in order, and its times where words have them."""
    shared, rest = [], list(words)
    for segment in segments:
        count = len(segment.text.split())
        own, rest = rest[:count], rest[count:]
        if own:
            # The model's own closing time is firmer than the end of a last word, which may run into a pause.
            if own[-1].start_s < segment.end_s < own[-1].end_s:
                own[-1] = dataclasses.replace(own[-1], end_s=segment.end_s)
            segment = dataclasses.replace(segment, words=own, start_s=own[0].start_s, end_s=own[-1].end_s)
        shared.append(segment)
    return shared
