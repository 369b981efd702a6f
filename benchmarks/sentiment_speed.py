"""One 20-word sentence, and 10,000 rows, through our serving code and through transformers with ONNX Runtime.

    pip install -r requirements-bench.txt
    python -m benchmarks.sentiment_speed

Both run the same exported encoder in ONNX Runtime; the peer tokenizes with transformers' fast tokenizer, in
batches of 32 in the order of the file, padded to the longest of the batch, as its documentation shows.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.common import median_ms, record
from shared.runtime.predictor import ModelStore

config = importlib.import_module("apps.sentiment_analysis.config")
SENTENCE = "The story takes its time, but the two leads are so good that I never once wanted it to hurry."
WORDS = [
    "a",
    "film",
    "that",
    "never",
    "finds",
    "its",
    "rhythm",
    "and",
    "wastes",
    "good",
    "actors",
    "on",
    "jokes",
    "nobody",
    "in",
    "this",
    "room",
    "could",
    "laugh",
    "at",
]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module docstring."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--variant", default="sst2_minilm")
    options = parser.parse_args(argv)
    record(
        "sentiment_speed",
        f"Sentiment, one sentence and {options.rows:,} rows (same encoder, same machine, one run)",
        run(options),
        argv,
        seed=0,
        packages=["transformers", "tokenizers"],
        notes="Rows of 5 to 40 words. Times include tokenizing. The peers take turns; medians of three passes.",
    )


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a method: milliseconds for one sentence, rows a second for many."""
    predictor = ModelStore("sentiment_analysis", config.VARIANTS)[options.variant]
    rng = random.Random(0)
    rows = [" ".join(rng.choices(WORDS, k=rng.randint(5, 40))) for _ in range(options.rows)]
    methods: dict[str, Callable[[list[str]], np.ndarray]] = {
        "ours": lambda texts: np.array([r.probabilities[0] for r in predictor.predict_batch(texts)]),
        "transformers + ONNX Runtime": _transformers(predictor),
    }
    answers = {name: method(rows[:64]) for name, method in methods.items()}
    assert np.allclose(*answers.values(), atol=1e-3), "the two must answer alike before they are timed"
    single: dict[str, list[float]] = {name: [] for name in methods}
    many: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(3):
        for name, method in methods.items():
            single[name].append(median_ms(lambda method=method: method([SENTENCE]), repeats=40))
            begun = time.perf_counter()
            method(rows)
            many[name].append(len(rows) / (time.perf_counter() - begun))
    return [
        {
            "method": name,
            "one sentence, ms": round(float(np.median(single[name])), 2),
            "rows a second": round(float(np.median(many[name])), 1),
        }
        for name in methods
    ]


def _transformers(predictor: Any) -> Callable[[list[str]], np.ndarray]:
    import onnxruntime as ort
    from transformers import PreTrainedTokenizerFast

    folder = predictor.variant.folder
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    length, temperature = predictor.variant.settings["sequence_length"], predictor.processor.temperature

    def method(texts: list[str]) -> np.ndarray:
        found = []
        for start in range(0, len(texts), 32):
            batch = tokenizer(
                texts[start : start + 32],
                padding=True,
                truncation=True,
                max_length=length,
                return_tensors="np",
            )
            feed = {
                "token_ids": batch["input_ids"].astype(np.int32),
                "padding_mask": batch["attention_mask"].astype(np.int32),
            }
            logits = session.run(None, feed)[0] / temperature
            logits = np.exp(logits - logits.max(axis=1, keepdims=True))
            found.append((logits / logits.sum(axis=1, keepdims=True)).max(axis=1))
        return np.concatenate(found)

    return method


if __name__ == "__main__":
    main()
