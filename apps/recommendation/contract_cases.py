"""What the contract suite runs this app on: a made data set, and inputs that must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np

OVERFIT = {
    "metric": "loss",
    "below": 0.6,
    "steps": 80,
    "flags": ["--learning_rate", "0.02", "--dropout", "0", "--history_dropout", "0"],
}


def tiny_dataset(folder: Path) -> list[str]:
    """Two tastes, 60 people, 80 films: each likes the films of one half."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = ["user,item,rating,timestamp"]
    for user in range(60):
        films = rng.permutation(80)[: rng.integers(20, 50)]
        for when, film in enumerate(films):
            liked = (film < 40) == (user % 2 == 0)
            stars = np.clip(round(2 * (4.2 if liked else 2.2) + rng.normal()) / 2, 0.5, 5)
            rows.append(f"u{user},{film},{stars},{1_000_000_000 + 3600 * when + 50_000 * user}")
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    films = ["item,title,genres"] + [
        f"{i},Film {i} ({1960 + i % 50}),{'Comedy' if i < 40 else 'Drama|War'}" for i in range(80)
    ]
    (folder / "items.csv").write_text("\n".join(films) + "\n", encoding="utf-8")
    return [
        *("--data", str(folder), "--model", "sequential", "--epochs", "2", "--batch_size", "16"),
        *("--embedding_dim", "8", "--transitions", "8"),
    ]


def bad_inputs(folder: Path) -> list[tuple[str, str, list, str]]:
    """Label, endpoint, arguments, part of the English message."""

    def ask(ratings, which="for_you", popularity=0, diversity=0, count=10) -> list:
        return [ratings, [], which, popularity, diversity, [], None, None, count]

    files = {
        "columns.csv": b"film,comment\nMatrix,fine\n",
        "stars.csv": b"movieId,rating\n260,4\n1,77\n",
        "people.csv": b"userId,movieId,rating\n1,260,4\n2,1,4\n",
        "strangers.csv": b"title,rating\nNo Such Film,4\n",
        "empty.csv": b"",
        "book.csv": b"PK\x03\x04" + bytes(200),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)

    def upload(name: str | None) -> list:
        return [{"file": str(folder / name)} if name else None, 0, 0, [], None, None, 10]

    return [
        ("no file", "/upload_history", upload(None), "Choose a CSV file first"),
        ("wrong columns", "/upload_history", upload("columns.csv"), "needs a column rating"),
        ("77 stars", "/upload_history", upload("stars.csv"), "from 0.5 to 5"),
        ("two people", "/upload_history", upload("people.csv"), "ratings of 2 people"),
        ("unknown films", "/upload_history", upload("strangers.csv"), "None of the films"),
        ("an empty file", "/upload_history", upload("empty.csv"), "empty"),
        ("an Excel file", "/upload_history", upload("book.csv"), "CSV"),
        ("an unknown film", "/predict", ask([["99999999", 4]]), "has no film with the id"),
        ("six stars", "/predict", ask([["260", 6]]), "from 0.5 to 5"),
        ("no stars", "/predict", ask([["260", 0]]), "from 0.5 to 5"),
        ("stars in words", "/predict", ask([["260", "many"]]), "must be a number"),
        ("not a number", "/predict", ask([["260", "nan"]]), "must be a number"),
        ("not pairs", "/predict", ask([["260"]]), "must be a list"),
        ("an unknown list", "/predict", ask([], "best"), "There is no list"),
        ("films like an unknown one", "/predict", ask([], "similar:abc"), "There is no film"),
    ]
