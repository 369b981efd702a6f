"""Whisper's decoding rules, words, windows and guards, on a made model: no weights needed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from apps.speech_to_text import vocabulary as v
from apps.speech_to_text.transcription import (
    TranscribeOptions,
    Transcriber,
    compression_ratio,
    share_words,
    split_phrases,
)
from apps.speech_to_text.whisper_decoding import (
    DecodingOptions,
    Hypothesis,
    KeyValueCache,
    TokenRules,
    WhisperModel,
    log_softmax,
    repeats_itself,
)
from apps.speech_to_text.whisper_words import monotonic_path, shorten_long_words, split_words, token_times
from shared.results import Segment, Word

T0 = v.TIMESTAMP_BEGIN


class MadeDecoder:
    """Says what a table says: last token -> {next token: log-weight}; `start` counts for the prompt's end."""

    def __init__(self, table, silence=0.0):
        self.table, self.silence, self.rows = table, silence, []

    def __call__(self, feed):
        tokens, start = feed["token_ids"], int(feed["logits_from"][0])
        self.rows.append(len(tokens))
        logits = np.full((len(tokens), tokens.shape[1] - start, v.VOCABULARY_SIZE), -30, np.float32)
        for row in range(len(tokens)):
            for place in range(start, tokens.shape[1]):
                last = int(tokens[row, place])
                for token, weight in self.table.get(last, {v.END: 0}).items():
                    logits[row, place - start, token] = weight
                if last == v.START:
                    logits[row, place - start, v.NO_SPEECH] = self.silence
        shape = (1, len(tokens), 1, tokens.shape[1], 1)
        alignment = np.full((len(tokens), 1, tokens.shape[1], 50), 1 / 50, np.float32)
        return {
            "logits": logits,
            "new_keys": np.zeros(shape),
            "new_values": np.zeros(shape),
            "alignment": alignment,
        }


def model_of(table, **options) -> WhisperModel:
    decoder = MadeDecoder(table, **options)
    model = WhisperModel({"encoder": lambda feed: {}, "decoder": decoder}, layers=1, heads=1, head_size=1)
    model.made = decoder
    return model


# Greedy takes 10 (0.6), then has 0.4 chances; 11 (0.4) then 20 (1.0) is the better sentence.
FORK = {
    v.NO_TIMESTAMPS: {10: np.log(0.6), 11: np.log(0.4)},
    10: {30 + i: np.log(0.1) for i in range(10)},
    11: {20: 0.0},
}


def test_beam_search_finds_what_greedy_misses():
    model = model_of(FORK)
    assert model.decode({}, DecodingOptions()).tokens[0] == 10
    found = model.decode({}, DecodingOptions(beam_size=3))
    assert found.tokens == [11, 20]
    assert found.average_log_probability == pytest.approx(np.log(0.4) / 3, abs=0.01)
    assert max(model.made.rows) <= 3


def test_sampling_is_seeded_and_keeps_the_best():
    options = DecodingOptions(temperature=1.0, best_of=5, seed=3)
    first, second = (model_of(FORK).decode({}, options) for _ in range(2))
    assert first == second
    assert first.tokens == [11, 20]


def test_no_speech_probability_is_read_at_the_start():
    loud = model_of({v.START: {1: 3.0}, **FORK}, silence=-3.0).decode({}, DecodingOptions())
    quiet = model_of({v.START: {1: -3.0}, **FORK}, silence=3.0).decode({}, DecodingOptions())
    assert loud.no_speech_probability < 0.01
    assert quiet.no_speech_probability > 0.99


def test_suppressed_tokens_are_never_written():
    found = model_of(FORK).decode({}, DecodingOptions(suppress=(10,), suppress_first=(11,)))
    assert 10 not in found.tokens
    assert found.tokens[:1] != [11]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_loop_is_broken_off(beam_size):
    loop = {v.NO_TIMESTAMPS: {5: 0.0}, 5: {6: 0.0}, 6: {5: 0.0}}
    found = model_of(loop).decode({}, DecodingOptions(beam_size=beam_size))
    assert found.repeated
    assert len(found.tokens) < 30


@pytest.mark.parametrize(
    ("tokens", "times", "expected"),
    [
        ([1, 2] * 6, 6, True),
        ([1, 2] * 5, 6, False),
        ([7] * 6, 6, True),
        ([1, 2, 3], 6, False),
        ([], 2, False),
    ],
)
def test_repeats(tokens, times, expected):
    assert repeats_itself(tokens, times) is expected


def allowed(tokens, **weights):
    """Tokens that the rules leave possible after these."""
    logits = np.zeros((1, v.VOCABULARY_SIZE), np.float32)
    logits[0, T0:] = weights.get("times", -20)
    return set(
        np.flatnonzero(TokenRules(DecodingOptions(timestamps=True)).apply(logits, [tokens])[0] > -1e30)
    )


def test_grammar_of_timestamps():
    first = allowed([])
    assert first == set(range(T0, T0 + 51)), "begins with a time, within the first second"
    after_start = allowed([T0])
    assert after_start
    assert max(after_start) < T0, "then text"
    closed = allowed([T0, 5, T0 + 60])
    assert closed >= {v.END, T0 + 60}, "a closing time, then the end or the next"
    assert not closed & {5, T0 + 59}
    assert not allowed([T0, 5, T0 + 60, T0 + 60, 6]) & set(range(T0, T0 + 61)), "times never go back"
    assert v.NO_TIMESTAMPS not in after_start
    assert min(allowed([T0, 5], times=0.5)) > T0, "times together more probable than any word: a time"


def test_without_timestamps_none_is_written():
    logits = np.zeros((1, v.VOCABULARY_SIZE), np.float32)
    assert TokenRules(DecodingOptions()).apply(logits, [[]])[0, T0:].max() == -np.inf


def test_log_softmax_sums_to_one():
    values = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32) * 30
    np.testing.assert_allclose(np.exp(log_softmax(values)).sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("options", [{"beam_size": 0}, {"temperature": -1.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DecodingOptions(**options)


def test_cache_grows_and_reorders():
    cache = KeyValueCache(2, 1, 3, rows=2, capacity=2)
    values = np.arange(2 * 2 * 1 * 3 * 3, dtype=np.float32).reshape(2, 2, 1, 3, 3)
    cache.append(values, -values)
    assert cache.length == 3
    cache.reorder([1, 1, 0])
    feed = cache.feed()
    np.testing.assert_array_equal(feed["past_key_1"][:, :, :3], values[1][[1, 1, 0]])
    np.testing.assert_array_equal(feed["past_value_0"][:, :, :3], -values[0][[1, 1, 0]])
    assert feed["past_length"][0] == 3


# --- Words ---


def test_path_follows_the_diagonal():
    attention = np.eye(6).repeat(4, axis=1)
    np.testing.assert_array_equal(monotonic_path(-attention), np.arange(6) * 4)


def test_path_is_the_cheapest_one():
    random = np.random.default_rng(0)
    cost = random.random((4, 5))

    def cheapest(i, j):
        if i < 0 or j < 0:
            return np.inf
        before = 0.0 if i == j == 0 else min(cheapest(i - 1, j - 1), cheapest(i - 1, j), cheapest(i, j - 1))
        return cost[i, j] + before

    first = monotonic_path(cost)
    ends = [*first[1:], 5]
    total = 0.0
    for i in range(4):
        # From the row's first column to where the next row begins, diagonal or straight down.
        best = min(cost[i, first[i] : max(end, first[i] + 1)].sum() for end in (ends[i], ends[i] + 1))
        total += best
    assert total == pytest.approx(cheapest(3, 4), abs=1e-9)


def test_token_times_find_the_words():
    attention = np.full((2, 6, 100), 0.001)
    for row in range(6):
        attention[:, row, row * 10 : row * 10 + 10] = 1
    # Rows 1 to 4 predict three words and the end.
    starts = token_times(attention, encoded_frames=60)
    np.testing.assert_allclose(np.diff(starts[1:]), 0.2, atol=0.05)


def test_words_keep_their_punctuation():
    pieces = {1: " twenty", 2: "-", 3: "one", 4: ",", 5: ' "', 6: "Yes", 7: '."'}
    words = split_words([1, 2, 3, 4, 5, 6, 7], lambda ids: "".join(pieces[i] for i in ids))
    assert [text for text, _ in words] == [" twenty-one,", ' "Yes."']
    assert [positions for _, positions in words] == [[0, 1, 2, 3], [4, 5, 6]]


def test_pauses_are_taken_out_of_words():
    words = [
        Word("So,", 0.0, 3.0, 1),
        Word("this", 3.0, 3.2, 1),
        Word("is", 3.2, 3.4, 1),
        Word("it.", 3.4, 9.0, 1),
    ]
    short = shorten_long_words(words)
    assert (short[0].start_s, short[0].end_s) == (1.6, 3.0)
    assert (short[-1].start_s, short[-1].end_s) == (3.4, 4.8)


# --- Windows ---


def hypothesis(tokens, **options) -> Hypothesis:
    values = {"log_probabilities": [-0.1] * len(tokens), "average_log_probability": -0.1}
    return Hypothesis(tokens, **{**values, "no_speech_probability": 0.0, **options})


@pytest.mark.parametrize(
    ("tokens", "last", "texts", "advance_s"),
    [
        ([T0, 5, T0 + 100], False, [[5]], 30),
        ([T0, 5, T0 + 100, T0 + 100, 6, T0 + 200], False, [[5], [6]], 30),
        ([T0, 5, T0 + 100, T0 + 100, 6], False, [[5]], 2),
        ([T0, 5, T0 + 100, T0 + 100, 6], True, [[5], [6]], 30),
        ([T0, 5, T0 + 100, T0 + 120], False, [[5]], 2.4),
        ([5, 6], True, [[5, 6]], 30),
        ([T0, 5, 6], False, [[5, 6]], 30),
        ([], False, [], 30),
    ],
)
def test_windows_move_on(tokens, last, texts, advance_s):
    phrases, advance = split_phrases(hypothesis(tokens), 30 * v.SAMPLE_RATE_HZ, last=last)
    assert [p.tokens for p in phrases] == texts
    assert advance == advance_s * v.SAMPLE_RATE_HZ


def speech(seconds: float) -> np.ndarray:
    """Bursts of a buzz: loud and quiet in turn, like syllables."""
    times = np.arange(int(seconds * v.SAMPLE_RATE_HZ)) / v.SAMPLE_RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 140 * h * times) / h for h in range(1, 12))
    return (0.2 * buzz * (np.sin(2 * np.pi * 3 * times) > 0)).astype(np.float32)


class MadeModel:
    """Answers with given hypotheses in turn and notes how it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def encode(self, features):
        return {}

    def decode(self, audio, options):
        self.asked.append(options)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def transcriber(model) -> Transcriber:
    return Transcriber(model, lambda ids: "".join(f" w{i}" for i in ids if i < v.END))


PLAIN = TranscribeOptions(word_timestamps=False)


def test_a_bad_answer_is_tried_warmer():
    looped = hypothesis([5] * 40, repeated=True)
    model = MadeModel(looped, hypothesis([1], average_log_probability=-3), hypothesis([2]))
    found = transcriber(model).transcribe(speech(2), PLAIN)
    assert found.text == "w2"
    assert [o.temperature for o in model.asked] == [0.0, 0.2, 0.4]


def test_an_answer_that_never_gets_better_is_left_out_when_it_repeats():
    model = MadeModel(hypothesis([5] * 40, repeated=True))
    assert transcriber(model).transcribe(speech(2), PLAIN).text == ""
    assert len(model.asked) == 6


def test_silence_by_the_models_own_word():
    unsure = hypothesis([5], average_log_probability=-1.5, no_speech_probability=0.9)
    model = MadeModel(unsure)
    assert transcriber(model).transcribe(speech(2), PLAIN).segments == []
    assert len(model.asked) == 1


def test_long_recordings_go_by_timestamps():
    first = hypothesis([T0, 1, T0 + 1000, T0 + 1000, 2])
    second = hypothesis([T0, 2, T0 + 500])
    model, shares = MadeModel(first, second), []
    found = transcriber(model).transcribe(speech(40), PLAIN, progress=lambda share, _: shares.append(share))
    assert [(s.text, s.start_s, s.end_s) for s in found.segments] == [("w1", 0, 20), ("w2", 20, 30)]
    assert model.asked[0].timestamps
    assert shares == [0.5, 1.0]


def test_silent_windows_are_not_decoded():
    model = MadeModel(hypothesis([1]))
    audio = np.zeros(20 * v.SAMPLE_RATE_HZ, np.float32)
    assert transcriber(model).transcribe(audio, PLAIN).text == ""
    assert not model.asked


def test_context_is_given_only_when_asked_for():
    answers = [hypothesis([T0, 1, T0 + 1000, T0 + 1000, 2]), hypothesis([T0, 2, T0 + 500])]
    model = MadeModel(*answers)
    transcriber(model).transcribe(speech(40), PLAIN)
    assert list(model.asked[1].prompt) == []
    model = MadeModel(*answers)
    transcriber(model).transcribe(speech(40), dataclasses.replace(PLAIN, condition_on_previous=True))
    assert 1 in model.asked[1].prompt


def test_compression_ratio_tells_loops():
    assert compression_ratio("and so on " * 30) > 2.4
    assert compression_ratio("The quick brown fox jumps over the lazy dog near the river bank.") < 1.5


def test_words_are_shared_between_segments():
    words = [Word(t, i, i + 0.5, 1.0) for i, t in enumerate(["a", "b", "c"])]
    segments = share_words([Segment("a b", 0, 1.2), Segment("c", 1, 9)], words)
    assert [[w.text for w in s.words] for s in segments] == [["a", "b"], ["c"]]
    assert segments[0].end_s == 1.2
    assert segments[1].end_s == 2.5
