"""Sentence sentiment on SST-2: our models beside what one would pick without training a network.

    pip install -r requirements-bench.txt
    python -m benchmarks.sentiment --data SST2

VADER and TextBlob are lexicons; TF-IDF with logistic regression learns from the same training sentences. Their
free choices (thresholds, regularization) are made on the validation split; the test split is scored once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.common import record
from shared.data.text_table import load_text_splits
from shared.runtime.predictor import ModelStore

# Benchmarks stand above the apps and may use them, as tests do.
preprocessing = importlib.import_module("apps.sentiment_analysis.preprocessing")
scoring = importlib.import_module("apps.sentiment_analysis.scoring")
config = importlib.import_module("apps.sentiment_analysis.config")

Score = Callable[[Sequence[str]], np.ndarray]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module docstring."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with stsa.binary.train, .dev and .test")
    options = parser.parse_args(argv)
    rows = run(options)
    record(
        "sentiment",
        "Sentence sentiment, SST-2 test (1,821 sentences)",
        rows,
        argv,
        packages=["vaderSentiment", "textblob", "scikit-learn"],
        notes="All read the same normalized sentences. ECE: expected calibration error, 15 bins.",
    )


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a method: accuracy, F1 and calibration on the test split."""
    splits = load_text_splits(options.data)
    names = splits.class_names
    texts = {
        s: [preprocessing.normalize(e.text) for e in getattr(splits, s)]
        for s in ("train", "validation", "test")
    }
    labels = {s: np.array([names.index(e.label) for e in getattr(splits, s)]) for s in texts}
    majority = float(np.bincount(labels["train"]).argmax())
    rows = [_row("majority class", lambda t: np.full(len(t), majority), texts, labels)]
    rows.append(
        _row("VADER (lexicon)", _lexicon(_vader(), texts["validation"], labels["validation"]), texts, labels)
    )
    rows.append(
        _row(
            "TextBlob (lexicon)",
            _lexicon(_textblob(), texts["validation"], labels["validation"]),
            texts,
            labels,
        )
    )
    rows.append(_row("TF-IDF + logistic regression", _tfidf(texts, labels), texts, labels))
    models = ModelStore("sentiment_analysis", config.VARIANTS)
    for name in models.names:
        if name.startswith("sst2_"):
            rows.append(
                _row(f"ours: {name}", _ours(models, name), texts, labels)
                | {"graph MB": round(models.variants[name].onnx_bytes() / 1e6, 1)}
            )
    return rows


def _row(
    name: str, score: Score, texts: dict[str, list[str]], labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    positive = score(texts["test"])
    metrics = scoring.classification_metrics(np.stack([1 - positive, positive], axis=1), labels["test"])
    return {
        "method": name,
        "accuracy": round(metrics["accuracy"], 4),
        "F1 (macro)": round(metrics["f1"], 4),
        "ECE": round(metrics["ece"], 4),
        "graph MB": None,
    }


def _vader() -> Score:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    return lambda texts: np.array([analyzer.polarity_scores(t)["compound"] for t in texts])


def _textblob() -> Score:
    from textblob import TextBlob

    return lambda texts: np.array([TextBlob(t).sentiment.polarity for t in texts])


def _lexicon(polarity: Score, texts: Sequence[str], labels: np.ndarray) -> Score:
    """A polarity in [-1, 1] as a probability, its threshold the best one on validation."""
    values = polarity(texts)
    thresholds = np.linspace(-0.5, 0.5, 101)
    best = max(thresholds, key=lambda t: ((values > t) == labels).mean())
    return lambda test: np.clip(0.5 + (polarity(test) - best) / 2, 1e-6, 1 - 1e-6)


def _tfidf(texts: dict[str, list[str]], labels: dict[str, np.ndarray]) -> Score:
    """Words and pairs of words; the strength of regularization is the best one on validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    candidates = []
    for strength in (0.3, 1.0, 3.0, 10.0, 30.0):
        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"[^\W_]+(?:'[a-z]+)?"
        )
        model = make_pipeline(vectorizer, LogisticRegression(C=strength, max_iter=1000))
        model.fit(texts["train"], labels["train"])
        candidates.append((model.score(texts["validation"], labels["validation"]), -strength, model))
    model = max(candidates, key=lambda c: c[:2])[2]
    return lambda test: model.predict_proba(test)[:, 1]


def _ours(models: ModelStore, name: str) -> Score:
    predictor = models[name]

    def score(texts: Sequence[str]) -> np.ndarray:
        results = predictor.predict_batch(list(texts))
        return np.array([dict(zip(r.labels, r.probabilities, strict=True))["positive"] for r in results])

    score(["warm up"])
    return score


if __name__ == "__main__":
    main()
