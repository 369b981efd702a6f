"""What the contract suite runs this app on: a made data set, and inputs that must be refused."""

from __future__ import annotations

import random
from pathlib import Path

OVERFIT = {
    "metric": "loss",
    "below": 0.3,
    "steps": 60,
    "flags": ["--dropout", "0", "--word_dropout", "0", "--learning_rate", "0.02", "--warmup", "0"],
}

_GOOD = [
    "wonderful",
    "lovely",
    "moving",
    "clever",
    "gripping",
    "charming",
    "superb",
    "tender",
    "funny",
    "honest",
]
_BAD = ["dull", "lazy", "lifeless", "awful", "clumsy", "boring", "hollow", "predictable", "tedious", "messy"]
_WHAT = ["film", "story", "plot", "cast", "script", "ending", "dialogue", "camera", "music", "scene"]


def tiny_dataset(folder: Path) -> list[str]:
    """Sentences from a handful of words, as three CSV files; flags for the smallest model."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    made: set[str] = set()
    for split, count in (("train", 200), ("validation", 40), ("test", 40)):
        rows = ["text,label"]
        while len(rows) <= count:
            praise = rng.random() < 0.5
            first, second = rng.sample(_GOOD if praise else _BAD, 2)
            text = f"the {rng.choice(_WHAT)} is {first} and the {rng.choice(_WHAT)} is {second}"
            if text not in made:
                made.add(text)
                rows.append(f"{text},{'positive' if praise else 'negative'}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [
        *("--data", str(folder), "--model", "bag_of_words", "--epochs", "2", "--batch_size", "16"),
        *("--learning_rate", "0.01", "--embedding_dim", "8", "--units", "8", "--hash_buckets", "1024"),
    ]


def bad_inputs(folder: Path) -> list[tuple[str, str, list, str]]:
    """Label, endpoint, arguments, part of the English message."""
    files = {
        "empty.csv": b"",
        "numbers.csv": b"a,b\n1,2\n3,4\n",
        "blank.csv": b"text,id\n,1\n,2\n",
        "header.csv": b"text\n",
        "book.csv": b"PK\x03\x04" + bytes(200),
        "noise.csv": bytes(range(256)) * 40,
        "reviews.csv": b"review,id\nA fine film,1\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    model = "sst2_bag_of_words"

    def table(name: str, column: str | None = None) -> list:
        return [{"file": str(folder / name)}, column, model]

    return [
        ("empty text", "/predict", ["", model], "Write or paste a sentence"),
        ("blanks", "/predict", [" \n\t ", model], "only blanks"),
        ("control characters", "/predict", ["\x00\x01\x02\x1f", model], "only blanks or control characters"),
        ("a megabyte of text", "/predict", ["word " * 210_000, model], "at most 100,000"),
        ("nothing to compare", "/compare", ["", model, model], "Write or paste a sentence"),
        ("no table", "/classify_table", [None, None, model], "Choose a CSV or TSV file"),
        ("empty table", "/classify_table", table("empty.csv"), "empty"),
        ("a table of numbers", "/classify_table", table("numbers.csv"), "No column of the table holds text"),
        ("a column of blanks", "/classify_table", table("blank.csv", "text"), "are empty"),
        ("a header alone", "/classify_table", table("header.csv"), "one line only"),
        ("an Excel file", "/classify_table", table("book.csv"), "CSV UTF-8"),
        ("no text at all", "/classify_table", table("noise.csv"), "not text"),
        ("a column that is not there", "/classify_table", table("reviews.csv", "comment"), "Its columns are"),
    ]
