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

    return [
        ("an unknown film", "/predict", ask([["99999999", 4]]), "has no film with the id"),
        ("six stars", "/predict", ask([["260", 6]]), "from 0.5 to 5"),
        ("no stars", "/predict", ask([["260", 0]]), "from 0.5 to 5"),
        ("stars in words", "/predict", ask([["260", "many"]]), "must be a number"),
        ("not a number", "/predict", ask([["260", "nan"]]), "must be a number"),
        ("not pairs", "/predict", ask([["260"]]), "must be a list"),
        ("an unknown list", "/predict", ask([], "best"), "There is no list"),
        ("films like an unknown one", "/predict", ask([], "similar:abc"), "There is no film"),
    ]
