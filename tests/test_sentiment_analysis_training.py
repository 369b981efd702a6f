"""Sentiment analysis, the training side: snippets, buckets, the optimizer, calibration; one tiny run of each kind."""

from __future__ import annotations

import dataclasses
import random
import types

import numpy as np
import pytest

from apps.sentiment_analysis import data, scoring
from apps.sentiment_analysis.config import VARIANTS, SentimentConfig
from apps.sentiment_analysis.contract_cases import tiny_dataset
from apps.sentiment_analysis.snippets import NaiveBayes, last_words, sentences_of, telling_sentence
from apps.sentiment_analysis.task import TASK
from shared.config import parse_config
from shared.data.text_table import LabelledText


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    flags = tiny_dataset(folder / "data")
    config = parse_config(SentimentConfig, VARIANTS, ["--variant", "mine", *flags])
    return dataclasses.replace(config, run_dir=str(folder / "runs"), models_dir=str(folder / "models"))


def test_bad_options_are_refused():
    for wrong in ({"sequence_length": 4}, {"dropout": 1.0}, {"layer_decay": 0.0}, {"hash_buckets": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SentimentConfig(**wrong)


def test_shipped_variants_have_a_config_each():
    assert list(VARIANTS)[:3] == ["sst2_minilm", "sst2_bigru", "sst2_bag_of_words"]
    assert {c.model for c in VARIANTS.values()} == {"minilm", "bigru", "bag_of_words"}


def test_the_most_telling_sentence_is_found():
    rng = random.Random(0)
    filler = [
        "the",
        "story",
        "is",
        "set",
        "in",
        "a",
        "small",
        "town",
        "by",
        "the",
        "sea",
        "and",
        "follows",
        "two",
        "brothers",
    ]
    reviews = [
        LabelledText(
            f"{' '.join(rng.sample(filler, 10))}. This is {word} work. {' '.join(rng.sample(filler, 9))}.",
            label,
        )
        for label, word in (("positive", "wonderful"), ("negative", "dreadful"))
        for _ in range(40)
    ]
    bayes = NaiveBayes(reviews, ["negative", "positive"])
    assert bayes.score("a wonderful town", "positive") > 0 > bayes.score("a wonderful town", "negative")
    assert telling_sentence(reviews[0], bayes, 40) == "This is wonderful work."
    assert telling_sentence(LabelledText("The sea. Two brothers in a town.", "positive"), bayes, 40) is None


def test_last_words_are_whole_sentences_of_bounded_length():
    text = "First one here. " + "Another sentence follows now. " * 20 + "The very last words."
    for seed in range(20):
        piece = last_words(text, 25, random.Random(seed))
        assert 1 <= len(piece.split()) <= 25
        assert piece.startswith(("First", "Another")) or piece.endswith("The very last words.")
    assert last_words("word " * 100, 25, random.Random(0)).split() == ["word"] * 25
    assert sentences_of("no end") == ["no end"]


def test_buckets_hold_every_text_once_and_waste_little():
    rng = random.Random(0)
    lengths = [rng.randint(3, 64) for _ in range(1000)]
    batches = data.bucketed(lengths, 32, random.Random(1))
    assert sorted(i for _, indices in batches for i in indices) == list(range(1000))
    assert len(batches) == -(-1000 // 32)
    assert all(lengths[i] <= length for length, indices in batches for i in indices)
    assert sum(length * len(indices) for length, indices in batches) < 1.3 * sum(lengths)
    assert batches != data.bucketed(lengths, 32, random.Random(2))


def test_training_batches_shuffle_anew_and_validation_keeps_the_order(tiny):
    splits = data.load_splits(tiny)
    names = splits.info["class_names"]
    train = TASK.batches(splits.train, tiny, splits, training=True)
    first, second = (np.concatenate([y for _, y in train.as_numpy_iterator()]) for _ in range(2))
    assert len(first) == len(splits.train)
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second)
    again = TASK.batches(splits.train, tiny, splits, training=True)
    assert np.array_equal(first, np.concatenate([y for _, y in again.as_numpy_iterator()]))
    validation = TASK.batches(splits.validation, tiny, splits, training=False)
    labels = np.concatenate([y for _, y in validation.as_numpy_iterator()])
    assert [names[i] for i in labels] == [e.label for e in splits.validation]


def test_long_training_texts_become_head_and_tail(tiny):
    config = dataclasses.replace(tiny, sequence_length=8)
    processor = data.training_processor(config, ["a", "b"])
    long = LabelledText("one two three four five six seven eight nine ten eleven twelve", "a", "f:1")
    pieces = data.cut([long, LabelledText("short text", "b")], processor, "head_tail")
    assert [p.label for p in pieces] == ["a", "a", "b"]
    assert pieces[0].text.startswith("one")
    assert pieces[1].text.endswith("twelve")
    everything = data.cut([long], processor, "windows")
    assert len(everything) > 2


def test_layers_far_from_the_classifier_learn_slower():
    import keras

    from apps.sentiment_analysis.model import LayerwiseAdamW, depth

    assert depth("transformer_layer_5/self_attention_layer/query/kernel") == 1
    assert depth("transformer_layer_0/feedforward_layer_norm/gamma") == 6
    assert depth("token_embedding/embeddings") == 7
    assert depth("logits/kernel") == 0
    variables = [keras.Variable([1.0]), keras.Variable([1.0])]
    optimizer = LayerwiseAdamW(0.1, [1.0, 0.25], weight_decay=0.0)
    optimizer.build(variables)
    optimizer.apply([np.array([1.0], "float32")] * 2, variables)
    moved = [1.0 - float(v.value[0]) for v in variables]
    assert moved[1] == pytest.approx(moved[0] / 4, rel=1e-4)


def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 2)) * 1.5
    p = np.exp(true[:, 1]) / np.exp(true).sum(axis=1)
    labels = (rng.random(4000) < p).astype(int)
    assert scoring.best_temperature(true * 3, labels) == pytest.approx(3.0, rel=0.15)
    assert scoring.best_temperature(np.empty((0, 2)), np.empty(0, int)) == 1.0


def test_calibration_error():
    sure = np.tile([0.0, 1.0], (100, 1))
    assert scoring.expected_calibration_error(sure, np.ones(100, int)) == 0.0
    assert scoring.expected_calibration_error(sure, np.zeros(100, int)) == 1.0
    half = np.tile([0.25, 0.75], (4, 1))
    assert scoring.expected_calibration_error(half, np.array([1, 1, 1, 0])) == pytest.approx(0.0)


def test_metrics_against_counting_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    metrics = scoring.classification_metrics(probabilities, np.array([0, 1, 1, 0]))
    assert metrics["accuracy"] == 0.5
    assert metrics["f1"] == pytest.approx(0.5)
    assert metrics["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.3]).mean())


def test_evaluation_names_unknown_labels():
    predictor = types.SimpleNamespace(processor=types.SimpleNamespace(class_names=["a", "b"]))
    with pytest.raises(ValueError, match=r"\['a', 'b'\], received \['c'\]"):
        scoring.evaluate(predictor, [LabelledText("x", "c")])


def test_intermediate_training_is_kept_and_its_classes_are_checked(tiny, tmp_path, capsys):
    import keras

    from shared.files.errors import DataError

    reviews = tmp_path / "reviews"
    tiny_dataset(reviews)
    config = dataclasses.replace(tiny, intermediate=str(reviews), run_dir=str(tmp_path / "runs"))
    splits = data.load_splits(config)
    keras.utils.set_random_seed(0)
    model = TASK.build_model(config, splits)
    assert "Intermediate training on 200 snippets" in capsys.readouterr().out
    again = TASK.build_model(config, splits)
    assert "taken from" in capsys.readouterr().out
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    (reviews / "train.csv").write_text("text,label\ngood,yes\nbad,no\n", encoding="utf-8")
    (reviews / "validation.csv").unlink()
    (reviews / "test.csv").unlink()
    with pytest.raises(DataError, match=r"classes \['no', 'yes'\]"):
        data.intermediate_snippets(config, splits.info["class_names"])


def test_three_classes_and_a_killed_run_resumes(tiny, tmp_path):
    """Any number of classes; a run resumed after its last epoch publishes the same weights."""
    from shared.runtime.predictor import ModelStore
    from shared.runtime.train import train

    rows = ["text,label"]
    for i in range(120):
        word, label = [("great", "good"), ("awful", "bad"), ("average", "so-so")][i % 3]
        rows.append(f"this one is {word} number {i},{label}")
    (tmp_path / "mine.csv").write_text("\n".join(rows), encoding="utf-8")
    config = dataclasses.replace(
        tiny,
        data=str(tmp_path / "mine.csv"),
        epochs=6,
        run_dir=str(tmp_path / "runs"),
        models_dir=str(tmp_path),
    )
    train(TASK, config)
    first = ModelStore("sentiment_analysis", models_dir=tmp_path)["mine"]
    result = first.predict("a great one")
    assert sorted(result.labels) == ["bad", "good", "so-so"]
    assert result.top == "good"
    train(TASK, dataclasses.replace(config, resume=True))
    second = ModelStore("sentiment_analysis", models_dir=tmp_path)["mine"]
    np.testing.assert_array_equal(
        first.predict("so average").probabilities, second.predict("so average").probabilities
    )


def tfds_stub(monkeypatch, features, rows):
    """Stands for the network: `tfds.load` gives these rows, everything behind it is the real library."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    sets = {
        split: tf.data.Dataset.from_tensor_slices({k: [r[k] for r in given] for k in given[0]})
        for split, given in rows.items()
    }
    info = types.SimpleNamespace(features=tfds.features.FeaturesDict(features(tfds.features)))
    monkeypatch.setattr(tfds, "load", lambda name, data_dir, with_info: (sets, info))


def test_glue_by_name_hides_its_test_labels(monkeypatch):
    from shared.data.text_table import load_tfds_texts

    row = lambda i, y: {"sentence": f"sentence {i}", "label": y}  # noqa: E731
    rows = {
        "train": [row(i, i % 2) for i in range(40)],
        "validation": [row(i, i % 2) for i in range(100, 110)],
        "test": [row(i, -1) for i in range(200, 210)],
    }
    names = ["negative", "positive"]
    tfds_stub(
        monkeypatch,
        lambda f: {"sentence": f.Text(), "label": f.ClassLabel(names=names)},
        rows,
    )
    splits = load_tfds_texts("glue/sst2")
    assert len(splits.test) == 10
    assert {e.text for e in splits.test} == {f"sentence {i}" for i in range(100, 110)}
    assert (len(splits.train), len(splits.validation)) == (36, 4)
    assert splits.class_names == names


def test_imdb_by_name_and_what_is_no_text_set(monkeypatch):
    from shared.data.text_table import load_tfds_texts
    from shared.files.errors import DataError

    rows = {
        split: [{"text": f"{split} {i}", "label": i % 2} for i in range(20)]
        for split in ("train", "test", "unsupervised")
    }
    tfds_stub(monkeypatch, lambda f: {"text": f.Text(), "label": f.ClassLabel(names=["neg", "pos"])}, rows)
    splits = load_tfds_texts("imdb_reviews")
    assert splits.class_names == ["negative", "positive"]
    assert len(splits.train) + len(splits.validation) == 20
    assert len(splits.test) == 20
    tfds_stub(
        monkeypatch,
        lambda f: {"image": f.Image(), "label": f.ClassLabel(names=["a"])},
        {"train": [{"label": 0}]},
    )
    with pytest.raises(DataError, match="no text and label"):
        load_tfds_texts("mnist")
