"""Sentiment analysis without Keras: tokens, windows, explanations and tables, on a graph that counts words."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from apps.sentiment_analysis import explain as explaining
from apps.sentiment_analysis import render, tables
from apps.sentiment_analysis.explain import explain, split_sentences
from apps.sentiment_analysis.preprocessing import (
    HashedNgrams,
    Processor,
    WordPieces,
    normalize,
    pad,
    softmax,
    window_slices,
)
from shared.files.errors import InputError
from shared.files.tables import read_table

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "film",
    "is",
    "good",
    "great",
    "bad",
    "awful",
    "not",
    "and",
    "a",
    "plot",
    "cast",
    ".",
    ",",
    "it",
    "ok",
]
GOOD, BAD = {WORDS.index(w) for w in ("good", "great")}, {WORDS.index(w) for w in ("bad", "awful")}
SETTINGS = {
    "model": "minilm",
    "sequence_length": 16,
    "class_names": ["negative", "positive"],
    "temperature": 2.0,
}


def word_pieces(length=16):
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return WordPieces(tokenizer, length)


class CountingGraph:
    """Logit of positive: good words less bad words; keeps the shapes it was asked with."""

    input_names = ["token_ids", "padding_mask"]
    output_names = ["logits"]

    def __init__(self):
        self.shapes = []

    def __call__(self, inputs):
        ids, mask = inputs["token_ids"], inputs["padding_mask"]
        assert ids.shape == mask.shape
        assert ids.dtype == mask.dtype == np.int32
        assert (ids[mask == 0] == 0).all()
        self.shapes.append(ids.shape)
        score = (np.isin(ids, list(GOOD)).sum(1) - np.isin(ids, list(BAD)).sum(1)).astype(np.float32)
        return {"logits": np.stack([-score, score], axis=1)}


@pytest.fixture
def predictor():
    processor = Processor(SETTINGS, Path(), word_pieces())
    graphs = {"model": CountingGraph()}
    run = types.SimpleNamespace(processor=processor, graphs=graphs)
    run.predict_batch = lambda items: processor.run(graphs, items)
    run.predict = lambda item: processor.run(graphs, [item])[0]
    return run


def say(key, **values):
    return key + "".join(f" {v}" for v in values.values())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("it 's not n't , really .", "it's notn't, really."),
        ("does n't", "doesn't"),
        ("-lrb- good -rrb- film", "(good) film"),
        ("one<br /><br>two", "one\n\ntwo"),
        ("`` a ''", '"a"'),
        ("either\\/or", "either/or"),
        ("Nothing to change, isn't it? 3.5", "Nothing to change, isn't it? 3.5"),
    ],
)
def test_corpora_are_normalized_and_text_is_not_harmed(given, wanted):
    assert normalize(given) == wanted
    assert normalize(wanted) == wanted


@pytest.mark.parametrize("length", [0, 1, 14, 15, 28, 29, 1000])
def test_windows_cover_everything_once_and_are_equal(length):
    slices = window_slices(length, 14)
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(length))
    sizes = [s.stop - s.start for s in slices]
    assert max(sizes) <= 14
    assert max(sizes) - min(sizes) <= 1


def test_word_pieces_strip_accents_and_mark_both_ends():
    encoder = word_pieces()
    ids, spans = encoder.encode(["The FÍLM is goôd."])[0]
    assert [WORDS[i] for i in ids] == ["the", "film", "is", "good", "."]
    assert spans[1] == (4, 8)
    assert [WORDS[i] for i in encoder.window(ids)][:: len(ids) + 1] == ["[CLS]", "[SEP]"]


def test_hashed_ngrams_know_words_and_pairs_in_order():
    encoder = HashedNgrams(1000, 64)
    ids, spans = encoder.encode(["Not bad 👍"])[0]
    assert len(ids) == 5
    assert spans == [(0, 3), (4, 7), (0, 7), (8, 9), (4, 9)]
    assert all(0 < ids[i] < 500 for i in (0, 1, 3)), "words"
    assert all(500 <= ids[i] < 1000 for i in (2, 4)), "pairs"
    assert ids == encoder.encode(["not BAD 👍"])[0][0]
    assert ids[2] != encoder.encode(["bad not"])[0][0][2]
    assert encoder.window([]) == [0]


def test_padding_and_softmax():
    arrays = pad([[5, 6, 7], [8]])
    assert arrays["token_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert arrays["padding_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]


def test_answers_are_calibrated_and_sorted(predictor):
    result = predictor.predict("the film is great and good")
    assert result.labels == ["positive", "negative"]
    # Two good words: logits (-2, 2), temperature 2, so a difference of 2.
    assert result.probabilities[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert result.extras["windows"] == 1


def test_long_texts_are_read_whole(predictor):
    text = "the film is ok . " * 40 + "awful awful awful"
    result = predictor.predict(text)
    assert result.extras["windows"] == 15
    assert result.top == "negative", "the last words count"
    assert max(shape[1] for shape in predictor.graphs["model"].shapes) <= 16


def test_batches_answer_as_single_texts(predictor):
    texts = ["good", "the film is bad " * 30, "", "😀", "not good and not bad .", "great " * 9]
    together = predictor.predict_batch(texts)
    for text, result in zip(texts, together, strict=True):
        alone = predictor.predict(text)
        assert alone.labels == result.labels
        np.testing.assert_allclose(alone.probabilities, result.probabilities, atol=1e-6)
    assert predictor.predict_batch([]) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Mr. Smith is good. J. R. Hartley is not.", ["Mr. Smith is good.", "J. R. Hartley is not."]),
        ("no mark at all", ["no mark at all"]),
        ("line one\nline two", ["line one", "line two"]),
        ("He said “no.” Then left…", ["He said “no.”", "Then left…"]),
        ("3.5 stars... really", ["3.5 stars...", "really"]),
        ("", []),
    ],
)
def test_sentences(text, wanted):
    assert [text[a:b] for a, b in split_sentences(text)] == wanted


def test_a_book_is_cut_into_a_bounded_number_of_parts():
    text = "A sentence. " * 5000
    spans = split_sentences(text)
    assert len(spans) <= explaining.MOST_SENTENCES
    assert spans[0][0] == 0
    assert text[spans[-1][0] : spans[-1][1]].endswith("sentence.")


def test_words_are_measured_by_leaving_them_out(predictor):
    text = "the cast is great, but the plot is awful."
    explanation = explain(predictor, text, predictor.predict(text))
    shares = {w.text: w.contribution for w in explanation.words}
    # One word moves both logits by 1; divided by the temperature 2, the log-odds by 1.
    assert shares["great,"] == pytest.approx(1.0, abs=1e-5)
    assert shares["awful."] == pytest.approx(-1.0, abs=1e-5)
    assert shares["plot"] == pytest.approx(0.0, abs=1e-5)
    assert explanation.target == "positive"
    assert explanation.opposite == "negative"
    assert explanation.whole


def test_of_long_texts_the_deciding_sentences_are_explained(predictor):
    text = "It is ok. " * 30 + "It is great and good! " + "It is ok. " * 30
    explanation = explain(predictor, text, predictor.predict(text))
    assert not explanation.whole
    best = max(explanation.sentences, key=lambda s: s.probability)
    assert best.text == "It is great and good!"
    assert next(w for w in explanation.words if w.text == "great").contribution == pytest.approx(
        1.0, abs=1e-5
    )
    measured = [w for w in explanation.words if w.contribution is not None]
    assert len(measured) <= explaining.MOST_WORDS
    assert len(explanation.to_json()["words"]) == len(text.split())


def test_one_endless_sentence_is_bounded(predictor):
    text = "good " * 2000
    explanation = explain(predictor, text.strip(), predictor.predict(text.strip()))
    assert 20 <= sum(w.contribution is not None for w in explanation.words) <= explaining.MOST_WORDS


@pytest.mark.parametrize("text", ["!!!", "😀 👍🏽", "<b>x</b> & 'quote'", "الفيلم good 映画", "a"])
def test_odd_texts_are_rendered_and_escaped(predictor, text):
    result = predictor.predict(text)
    shown = render.answer_html(result, explain(predictor, text, result), [("a <note>", True)], text, say)
    assert "<b>" not in shown
    assert "a &lt;note&gt;" in shown


def test_the_page_colours_words_and_says_them(predictor):
    text = "the cast is great. the plot is awful."
    result = predictor.predict(text)
    shown = render.answer_html(result, explain(predictor, text, result), [], text, say)
    assert '<mark class="sa-f"' in shown
    assert '<mark class="sa-a"' in shown
    assert "strongest class_positive quoted great" in shown
    assert shown.count('<i class="sa-') == 2
    assert "sa-line" not in render.answer_html(
        predictor.predict("good"), explain(predictor, "good", predictor.predict("good")), [], "good", say
    )


@pytest.mark.parametrize(("p", "shown"), [(0.9999, ">"), (0.0001, "<"), (0.5, "50")])
def test_nothing_is_certain(p, shown):
    assert render.percent(p).startswith(shown)
    assert not render.percent(p).startswith("100")


# --- Tables ------------------------------------------------------------------------------------------------


def test_a_table_comes_back_row_by_row(predictor):
    table = read_table(b"id;Review\n1;good film\n2;\n3;an awful plot\n")
    steps = list(tables.classify(predictor, table, tables.text_column(table)))
    assert steps[-1][0] == 3
    outcome = steps[-1][1]
    assert outcome.columns == ["id", "Review", "sentiment", "probability", "p_negative", "p_positive"]
    assert [r[2] for r in outcome.rows] == ["positive", "", "negative"]
    assert [r[0] for r in outcome.rows] == ["1", "2", "3"]
    assert outcome.skipped == 1
    assert outcome.counts == {"positive": 1, "negative": 1}


def test_ten_thousand_rows_report_progress(predictor):
    rows = "text\n" + "".join(f"the film is {'good' if i % 2 else 'bad'} {i}\n" for i in range(10_000))
    done = [n for n, _ in tables.classify(predictor, read_table(rows.encode()), "text")]
    assert done[-1] == 10_000
    assert len(done) >= 10
    assert done == sorted(done)


def test_taken_names_get_another(predictor):
    table = read_table(b"text,sentiment\ngood,1\n")
    *_, (_, outcome) = tables.classify(predictor, table, "text")
    assert outcome.columns[:3] == ["text", "sentiment", "sentiment_model"]


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (b"texto,n\nuna frase larga,1\n", "texto"),
        (b"n,whatever\n1,a long enough sentence here\n", "whatever"),
        (b"comment,review\nshort,the one that is meant\n", "review"),
    ],
)
def test_the_column_is_found(content, column):
    assert tables.text_column(read_table(content)) == column


def test_tables_without_texts_are_refused(predictor):
    with pytest.raises(InputError, match="a, b"):
        tables.text_column(read_table(b"a,b\n1,2\n"))
    with pytest.raises(InputError, match="are empty"):
        list(tables.classify(predictor, read_table(b"text,b\n,2\n"), "text"))
    with pytest.raises(InputError, match="Its columns are"):
        list(tables.classify(predictor, read_table(b"text,b\nx,2\n"), "comment"))
