"""What the page and the API answer: a list with stars and reasons, similar films, a place on the map."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.recommendation.encoding import History
from apps.recommendation.selection import Options, allowed, select
from shared.files.errors import InputError
from shared.runtime.predictor import ModelStore, Predictor

LISTS = ("for_you", "stars", "gems", "classics", "recent", "surprise")
GEMS = 6, 45
"""A hidden gem has been rated by this many people: enough to tell, too few to be known."""
CLASSIC_UNTIL, RECENT_FROM = 1979, 2012
SURE = 10
"""Ratings a film needs to be listed for its predicted stars: few ratings make lucky guesses."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """One list.

    Attributes:
        items: Codes, best first.
        scores: Ranking score of each.
        stars: Predicted stars of each; None without a star model.
        reasons: Code of the liked film that speaks most for it, or None.
        milliseconds: Time of the full-catalogue answer.
    """

    items: list[int]
    scores: list[float]
    stars: list[float] | None
    reasons: list[int | None]
    milliseconds: float


class Recommender:
    """The two models behind one page.

    Args:
        models: Published variants; the first ranking one lists, the first star one predicts stars.
    """

    def __init__(self, models: ModelStore):
        self._models = models
        kinds = {name: v.settings["kind"] for name, v in models.variants.items()}
        ranking = [n for n in models.names if kinds[n] == "ranking"]
        stars = [n for n in models.names if kinds[n] == "stars"]
        # A store with star models only still lists: by stars.
        self.names = (ranking or stars)[0], (stars or [None])[0]

    @property
    def ranker(self) -> Predictor:
        """The model that lists."""
        return self._models[self.names[0]]

    @property
    def star_model(self) -> Predictor | None:
        """The model that predicts stars, if one is published."""
        return self._models[self.names[1]] if self.names[1] else None

    @property
    def catalogue(self):
        """Films of the ranking model."""
        return self.ranker.processor.catalogue

    def history(self, pairs: Any) -> History:
        """Ratings as the page or an API call sends them -> a history.

        Raises:
            InputError: Not a list of `[film id, stars]`, an unknown film or stars outside the scale.
        """
        pairs = [] if pairs is None else pairs
        shape = '[[film id, stars], ...], such as [["260", 5], ["1", 4.5]]'
        if isinstance(pairs, dict):
            pairs = list(pairs.items())
        right = isinstance(pairs, list | tuple) and all(
            isinstance(p, list | tuple) and len(p) == 2 for p in pairs
        )
        if not right:
            raise InputError(
                f"Ratings must be a list {shape}.", f"Las valoraciones deben ser una lista {shape}."
            )
        return self.ranker.processor.history(pairs)

    def stars(self, history: History) -> np.ndarray | None:
        """`(items,)` predicted stars for the visitor, or None."""
        predictor = self.star_model
        if predictor is None:
            return None
        same = predictor.processor.catalogue.ids == self.catalogue.ids
        return predictor.processor.scores(predictor.graphs, history) if same else None

    def answer(self, history: History, which: str, options: Options) -> Answer:
        """One list for a visitor.

        Args:
            history: Their ratings.
            which: One of `LISTS`, or `similar:<film id>`.
            options: Filters and sliders.

        Raises:
            InputError: There is no such list or film.
        """
        processor, graphs = self.ranker.processor, self.ranker.graphs
        scores, milliseconds = processor.timed(graphs, history)
        begun = time.perf_counter()
        stars = self.stars(history)
        milliseconds += 1000 * (time.perf_counter() - begun)
        if which.startswith("similar:"):
            chosen = self._similar(which.removeprefix("similar:"), history, options)
        elif which in LISTS:
            chosen = self._listed(which, scores, stars, history, options)
        else:
            raise InputError(
                f"There is no list {which!r}. Choose one of {', '.join(LISTS)} or similar:<film id>.",
                f"No hay ninguna lista {which!r}. Elige una de {', '.join(LISTS)} o similar:<id>.",
            )
        return Answer(
            chosen,
            [float(scores[i]) for i in chosen],
            None if stars is None else [float(stars[i]) for i in chosen],
            processor.reasons(graphs, history, chosen),
            milliseconds,
        )

    def _listed(self, which: str, scores, stars, history: History, options: Options) -> list[int]:
        change = dataclasses.replace
        if which == "gems":
            options = change(options, least_ratings=GEMS[0], most_ratings=GEMS[1])
            if len(history):
                # What the ratings add to an empty history: taste alone, without popularity.
                scores = scores - self.ranker.processor.scores(self.ranker.graphs, [])
        elif which == "classics":
            last = min(options.last_year or CLASSIC_UNTIL, CLASSIC_UNTIL)
            options = change(options, last_year=last)
        elif which == "recent":
            options = change(options, first_year=max(options.first_year, RECENT_FROM))
        elif which == "surprise":
            options = change(
                options, diversity=max(options.diversity, 0.65), without_genres=self._usual(history)
            )
        elif which == "stars" and stars is not None:
            options = change(options, least_ratings=max(SURE, options.least_ratings))
            scores = stars
        return select(scores, self.catalogue, history, options)

    def _usual(self, history: History) -> list[str]:
        """The genre of most of what the visitor likes: a surprise is something else."""
        liked = (
            history.items[history.ratings >= self.ranker.processor.settings["liked"]] if len(history) else []
        )
        counts: dict[str, int] = {}
        for item in liked:
            for genre in self.catalogue.genres[item]:
                counts[genre] = counts.get(genre, 0) + 1
        return [max(counts, key=lambda g: (counts[g], g))] if counts else []

    def _similar(self, film: str, history: History, options: Options) -> list[int]:
        code = self.catalogue.code.get(film)
        if code is None:
            raise InputError(
                f"There is no film with the id {film!r}.", f"No hay ninguna película con el id {film!r}."
            )
        may = allowed(self.catalogue, history, options)
        similar = self.ranker.processor.similar(self.ranker.graphs, code, len(self.catalogue))
        return [i for i in similar if may[i] and i != code][: options.k]

    def place(self, history: History) -> tuple[float, float] | None:
        """Where the visitor stands on the map: the middle of what they like; None before they like anything."""
        if not len(history):
            return None
        weights = np.clip(history.ratings - 2.5, 0, None)
        places = self.catalogue.map[history.items]
        there = ~np.isnan(places[:, 0]) & (weights > 0)
        if not there.any():
            return None
        middle = np.average(places[there], axis=0, weights=weights[there])
        return float(middle[0]), float(middle[1])

    def to_json(self, answer: Answer, which: str, history: History) -> dict[str, Any]:
        """The list as plain types."""
        rows = []
        for rank, item in enumerate(answer.items):
            reason = answer.reasons[rank]
            row = {"rank": rank + 1, **self.catalogue.row(item), "score": round(answer.scores[rank], 4)}
            if answer.stars is not None:
                row["stars"] = round(answer.stars[rank], 2)
            row["because"] = None if reason is None else self.catalogue.row(reason)["title"]
            rows.append(row)
        return {
            "list": which,
            "rated": len(history),
            "models": [n for n in self.names if n],
            "milliseconds": round(answer.milliseconds, 1),
            "items": rows,
        }

    def to_csv(self, values: dict[str, Any]) -> str:
        """The same list as CSV."""
        stream = io.StringIO()
        names = ["rank", "id", "title", "year", "genres", "stars", "because"]
        writer = csv.DictWriter(stream, names, extrasaction="ignore", restval="")
        writer.writeheader()
        for row in values["items"]:
            writer.writerow({k: _cell(v) for k, v in row.items()})
        return stream.getvalue()


def ratings_csv(pairs: Sequence[tuple[str, float]], catalogue) -> str:
    """The visitor's own ratings, in a form that can be uploaded again."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["movieId", "title", "rating"])
    writer.writerows([i, _cell(catalogue.titles[catalogue.code[i]]), v] for i, v in pairs)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """Lists joined; no cell that a spreadsheet would run as a formula."""
    if isinstance(value, list):
        return "|".join(value)
    if isinstance(value, str) and value[:1] in "=+-@\t\r":
        return "'" + value
    return value
