"""Recording in, transcript out: one copy for training, evaluation and serving."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.speech_to_text import ctc_decoding as ctc
from apps.speech_to_text.features import ctc_features, log_mel
from apps.speech_to_text.speech_activity import measure_activity, quietest_cut
from apps.speech_to_text.transcription import TranscribeOptions, Transcriber
from apps.speech_to_text.vocabulary import END, SAMPLE_RATE_HZ, WINDOW_S
from apps.speech_to_text.whisper_decoding import WhisperModel
from shared.files.audio import load_audio
from shared.results import Segment, Transcript, Word
from shared.runtime.predictor import Graph
from shared.runtime.predictor import Processor as BaseProcessor

LANGUAGE_MODEL_FILE = "language_model.json"
TOKENIZER_FILE = "tokenizer.json"
CTC_WINDOW_S = 15.0


class Processor(BaseProcessor):
    """Audio `(samples,)` float32 at 16 kHz, or the path of a recording -> `Transcript`.

    `run` is overridden: Whisper's decoder runs once a token, and long recordings in windows.
    """

    def preprocess(self, item: np.ndarray | str | Path) -> dict[str, np.ndarray]:
        """Features of the first window, as the first graph takes them."""
        audio = as_audio(item)
        if self.settings["model"] == "conformer_ctc":
            features = ctc_features(audio, self.settings["num_mels"], self.settings["maximum_hz"])
            return {"features": features, "mask": np.ones(len(features), np.float32)}
        return {"features": log_mel(audio[: WINDOW_S * SAMPLE_RATE_HZ], WINDOW_S)}

    def run(self, graphs: Mapping[str, Graph], items: Sequence[Any], **options: Any) -> list[Transcript]:
        """Transcribe recordings, one after the other.

        Args:
            graphs: Of the variant.
            items: Audio or paths.
            **options: `beam_size` (1 is greedy), `word_timestamps`, `progress` (called with the share done
                and the segments so far), and the fields of `TranscribeOptions`.
        """
        if self.settings["model"] == "conformer_ctc":
            return [self._run_ctc(graphs["model"], as_audio(item), **options) for item in items]
        return [self._run_whisper(graphs, as_audio(item), **options) for item in items]

    # --- Whisper ---

    @functools.cached_property
    def tokenizer(self) -> Any:
        """`tokenizers.Tokenizer` of the variant."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / TOKENIZER_FILE))

    def decode_tokens(self, tokens: Sequence[int]) -> str:
        """Text of token ids; special tokens and timestamps are left out."""
        return self.tokenizer.decode([t for t in tokens if t < END])

    def _run_whisper(
        self, graphs: Mapping[str, Graph], audio: np.ndarray, progress: Any = None, **options: Any
    ) -> Transcript:
        transcriber = Transcriber(
            WhisperModel(graphs),
            self.decode_tokens,
            self.settings["suppress"],
            self.settings["suppress_first"],
            self.settings["context_s"],
        )
        return transcriber.transcribe(
            audio, TranscribeOptions(**options), self.settings.get("name", ""), progress
        )

    # --- CTC ---

    @functools.cached_property
    def language_model(self) -> ctc.CharacterModel | None:
        """Character n-grams of the training transcripts, where the variant has them."""
        path = self.folder / LANGUAGE_MODEL_FILE
        if not path.is_file():
            return None
        return ctc.CharacterModel.from_json(json.loads(path.read_text(encoding="utf-8")))

    def _run_ctc(self, graph: Graph, audio: np.ndarray, progress: Any = None, **options: Any) -> Transcript:
        segments: list[Segment] = []
        start = 0
        while start < len(audio):
            end = len(audio)
            if end - start > CTC_WINDOW_S * SAMPLE_RATE_HZ:
                at = start / SAMPLE_RATE_HZ
                end = quietest_cut(audio, at + CTC_WINDOW_S / 2, at + CTC_WINDOW_S, SAMPLE_RATE_HZ)
            segment = self._ctc_window(graph, audio[start:end], start / SAMPLE_RATE_HZ, **options)
            if segment:
                segments.append(segment)
            start = end
            if progress:
                progress(start / len(audio), segments)
        return Transcript(segments, len(audio) / SAMPLE_RATE_HZ, self.settings.get("name", ""))

    def _ctc_window(
        self,
        graph: Graph,
        audio: np.ndarray,
        offset_s: float,
        beam_size: int | None = None,
        word_timestamps: bool = True,
        language_model_weight: float | None = None,
        **_: Any,
    ) -> Segment | None:
        if not measure_activity(audio).may_be_speech:
            return None
        logits = graph({name: array[None] for name, array in self.preprocess(audio).items()})["logits"][0]
        log_probabilities = ctc.log_softmax(logits)
        beam_size = self.settings["beam_size"] if beam_size is None else beam_size
        weight = (
            self.settings["language_model_weight"] if language_model_weight is None else language_model_weight
        )
        if beam_size > 1:
            model = self.language_model if weight > 0 else None
            found = ctc.decode_beam(log_probabilities, beam_size, model, weight)
        else:
            found = ctc.decode_greedy(log_probabilities)
        if not found.text:
            return None
        seconds = self.settings["subsampling"] / 100
        words = ctc_words(found.text, log_probabilities, seconds, offset_s) if word_timestamps else []
        end = offset_s + len(audio) / SAMPLE_RATE_HZ
        average = found.log_probability / max(1, len(log_probabilities))
        return Segment(found.text, round(offset_s, 2), round(end, 2), words, average)


def as_audio(item: np.ndarray | str | Path) -> np.ndarray:
    """Audio as it is, or read from a path."""
    return item if isinstance(item, np.ndarray) else load_audio(item)


def ctc_words(
    text: str, log_probabilities: np.ndarray, seconds_a_frame: float, offset_s: float
) -> list[Word]:
    """Times and probabilities of words, from the best alignment of the whole text."""
    classes = ctc.encode_text(text)
    if len(classes) > len(log_probabilities):
        return []
    placed = ctc.align(log_probabilities, classes)
    words, position = [], 0
    for word in text.split():
        letters = placed[position : position + len(word)]
        position += len(word) + 1
        start = offset_s + letters[0][0] * seconds_a_frame
        end = offset_s + (letters[-1][0] + 1) * seconds_a_frame
        probability = float(np.mean([p for _, p in letters]))
        words.append(Word(word, round(start, 2), round(end, 2), probability))
    return words
