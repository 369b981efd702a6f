"""What the page is made of: captions, dictation, word errors, speech activity, HTML."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from apps.speech_to_text import captions, render
from apps.speech_to_text.dictation import Dictation
from apps.speech_to_text.spectrogram import spectrogram_png
from apps.speech_to_text.speech_activity import measure_activity, quietest_cut
from apps.speech_to_text.word_errors import count_word_errors
from shared.results import Segment, Transcript, Word

RATE = 16_000


def spoken(text: str, seconds_a_word: float = 0.5, start: float = 0.0) -> Transcript:
    words = [
        Word(w, start + i * seconds_a_word, start + (i + 1) * seconds_a_word, 0.8)
        for i, w in enumerate(text.split())
    ]
    return Transcript([Segment(text, start, words[-1].end_s, words)], words[-1].end_s)


# --- Captions ---


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "00:00:00.000"), (61.5, "00:01:01.500"), (3599.9996, "01:00:00.000"), (7325.25, "02:02:05.250")],
)
def test_timestamps(seconds, expected):
    assert captions.timestamp(seconds) == expected


def test_captions_are_short_and_in_order():
    transcript = spoken(" ".join(f"word{i}" for i in range(120)))
    cues = captions.cues(transcript)
    assert " ".join(text for _, _, text in cues) == transcript.segments[0].text
    for (start, end, text), following in zip(cues, [*cues[1:], (1e9, 0, "")], strict=True):
        assert 0 < end - start <= captions.CUE_SECONDS + 1e-6
        assert len(text) <= captions.CUE_LETTERS
        assert end <= following[0]


def test_srt_and_vtt_are_well_formed():
    transcript = spoken("Fish & <chips> please")
    srt = captions.to_srt(transcript)
    assert re.fullmatch(r"1\n00:00:00,000 --> 00:00:02,000\nFish & <chips> please\n", srt)
    vtt = captions.to_vtt(transcript, "line:8%")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000 line:8%\nFish &amp; &lt;chips&gt; please")
    assert captions.to_text(Transcript([], 3.0)) == "\n"
    assert captions.to_vtt(Transcript([], 3.0)).startswith("WEBVTT")


# --- Word errors ---


def test_word_errors_equal_jiwer():
    jiwer = pytest.importorskip("jiwer")
    rng = random.Random(0)
    for _ in range(100):
        said = " ".join(rng.choices("abcde", k=rng.randint(1, 12)))
        heard = " ".join(rng.choices("abcde", k=rng.randint(0, 12)))
        errors = count_word_errors(said, heard)
        assert errors.rate == pytest.approx(jiwer.wer(said, heard))
        assert [a for a, _ in errors.pairs if a is not None] == said.split()
        assert [b for _, b in errors.pairs if b is not None] == heard.split()


def test_word_errors_ignore_case_and_punctuation():
    assert count_word_errors("Don't stop, NOW!", "don’t stop now").rate == 0


# --- Dictation ---


class Speaker:
    """Recognizes a text that is spoken at two words a second; the last word it hears is always garbled."""

    def __init__(self, text: str):
        self.words = text.split()
        self.offset = 0

    def sound(self) -> np.ndarray:
        """The number of the word, written into the samples."""
        return np.repeat(np.arange(1, len(self.words) + 1), RATE // 2).astype(np.float32)

    def __call__(self, audio: np.ndarray) -> Transcript:
        heard = []
        for number in dict.fromkeys(audio.astype(int)):
            places = np.flatnonzero(audio.astype(int) == number)
            if number > 0 and len(places) > RATE // 8:
                heard.append(Word(self.words[number - 1], places[0] / RATE, (places[-1] + 1) / RATE, 0.9))
        if heard and len(audio) < RATE // 2 * len(self.words):
            heard[-1] = Word("mumble", heard[-1].start_s, heard[-1].end_s, 0.2)
        return Transcript([Segment("", 0, 1, heard)], len(audio) / RATE)


def test_dictation_settles_and_never_takes_back():
    text = " ".join(f"w{i}" for i in range(90))
    speaker, state = Speaker(text), Dictation()
    sound, settled, longest = speaker.sound(), [], 0.0
    for start in range(0, len(sound), RATE):
        state = state.hear(sound[start : start + RATE], speaker)
        now = [w.text for w in state.settled]
        assert now[: len(settled)] == settled, "a settled word changed"
        settled, longest = now, max(longest, len(state.audio) / RATE)
    assert len(settled) > 80, "words settle while one speaks"
    assert longest < 17, "sound whose words are settled is let go"
    speaker_end = state.finish(lambda audio: Speaker.__call__(speaker, audio))
    wrong = [w for w in speaker_end.text.split() if w not in text.split() and w != "mumble"]
    assert not wrong
    assert speaker_end.text.split()[:88] == text.split()[:88]
    assert speaker_end.partial == ()


def test_dictation_waits_for_new_sound():
    calls = []

    def recognize(audio):
        calls.append(len(audio))
        return Transcript([], 0)

    state = Dictation()
    for _ in range(10):
        state = state.hear(np.zeros(RATE // 4, np.float32), recognize)
    assert len(calls) == 2
    Dictation().finish(recognize)
    assert len(calls) == 2, "nothing heard, nothing to recognize"


# --- Speech activity ---


def voice(seconds: float) -> np.ndarray:
    times = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * h * times) / h for h in range(1, 12))
    return (0.2 * buzz * (np.sin(2 * np.pi * 3 * times) > 0)).astype(np.float32)


NOISE = np.random.default_rng(0).normal(0, 1, 5 * RATE).astype(np.float32)


@pytest.mark.parametrize(
    ("audio", "speech"),
    [
        (np.zeros(5 * RATE, np.float32), False),
        (NOISE * 1e-4, False),
        (NOISE * 0.1, False),
        (0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE).astype(np.float32), False),
        (voice(5), True),
        (voice(5) * 0.01, True),
        (voice(5) + 0.01 * NOISE, True),
    ],
)
def test_speech_activity(audio, speech):
    assert measure_activity(audio).may_be_speech is speech


def test_cuts_fall_into_pauses():
    audio = np.concatenate([voice(9), np.zeros(RATE, np.float32), voice(9)])
    assert 8.8 <= quietest_cut(audio, 5, 14, RATE) / RATE <= 10


# --- HTML ---


def say(key, **values):
    return f"{key} {values}"


def test_what_was_said_is_escaped():
    transcript = spoken("<script>alert(1)</script> & more")
    page = render.transcript_html(transcript, "/tmp/a b'\".wav", b"png", "<facts>", ["<note>"], say)
    assert "<script>" not in page
    assert "<facts>" not in page
    assert "<note>" not in page
    assert 'src="gradio_api/file=/tmp/a%20b%27%22.wav"' in page
    assert page.count("data-at=") == 4
    assert "<script>" not in render.errors_html(count_word_errors("a", "<script>"), say)


@pytest.mark.parametrize(("probability", "expected"), [(0.1, 0), (0.5, 1), (0.74, 1), (0.8, 2), (0.95, 3)])
def test_words_are_coloured_by_confidence(probability, expected):
    assert render.word_class(probability) == f"st-c{expected}"


def test_spectrogram_shows_pitch_upwards():
    from io import BytesIO

    from PIL import Image

    times = np.arange(2 * RATE) / RATE
    low = Image.open(BytesIO(spectrogram_png(np.sin(2 * np.pi * 200 * times)))).convert("L")
    high = Image.open(BytesIO(spectrogram_png(np.sin(2 * np.pi * 5000 * times)))).convert("L")
    assert low.size == (960, 240)
    row = [int(np.asarray(image, float).mean(1).argmax()) for image in (low, high)]
    assert row[0] > row[1] + 100
