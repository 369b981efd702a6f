"""From a visitor's ratings to a ranked list: the arrays of the graph, and what its scores become."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.recommendation import catalogue as catalogues
from apps.recommendation.encoding import History, dense, listed, padded_length
from apps.recommendation.selection import Options, select
from shared.files.errors import InputError
from shared.results import Recommendations
from shared.runtime.predictor import Graph
from shared.runtime.predictor import Processor as Base

EXPLAINED = 24
"""Newest liked films that may be named as a reason."""


class Processor(Base):
    """A raw input is a `History`, or `(item id, stars)` pairs in the order they were given."""

    @functools.cached_property
    def catalogue(self) -> catalogues.Catalogue:
        """The films of the variant."""
        return catalogues.load(self.folder)

    @property
    def stars(self) -> bool:
        """Whether the graph predicts stars."""
        return self.settings["kind"] == "stars"

    def history(self, pairs: Sequence[tuple[str, float]]) -> History:
        """Pairs -> `History`; the last rating of a film counts.

        Raises:
            InputError: An unknown film, or a rating outside the scale.
        """
        low, high = self.settings["low"], self.settings["high"]
        latest: dict[int, float] = {}
        for item, stars in pairs:
            code = self.catalogue.code.get(str(item).strip())
            if code is None:
                raise InputError(
                    f"The catalogue has no film with the id {str(item)!r}. Search by title, or use MovieLens ids.",
                    f"El catálogo no tiene ninguna película con el id {str(item)!r}. Busca por título o usa los ids "
                    "de MovieLens.",
                )
            try:
                value = float(stars)
            except (TypeError, ValueError):
                value = float("nan")
            if not low <= value <= high:
                raise InputError(
                    f"A rating must be a number from {low:g} to {high:g}, received {stars!r}.",
                    f"Una valoración debe ser un número de {low:g} a {high:g}; se recibió {stars!r}.",
                )
            # A film that is rated again becomes the newest.
            latest.pop(code, None)
            latest[code] = value
        codes = np.array(list(latest), "int32")
        return History(codes, np.array(list(latest.values()), "float32"), np.zeros(len(codes)))

    def _history(self, item: Any) -> History:
        return item if isinstance(item, History) else self.history(item)

    def preprocess(self, item: Any) -> dict[str, np.ndarray]:
        history = self._history(item)
        n = len(self.catalogue)
        if not self.stars:
            return dense(history, n, self.catalogue.trend)
        length = padded_length(max(1, len(history)))
        # Every film is asked for, as if rated now.
        now = float(history.days.max()) if len(history) else 0.0
        return listed(history, np.arange(n), np.full(n, now), length, n)

    def postprocess(
        self, outputs: Mapping[str, np.ndarray], item: Any, options: Options | None = None, **_: Any
    ) -> Recommendations:
        history = self._history(item)
        scores = outputs["stars" if self.stars else "scores"]
        if self.stars:
            scores = np.clip(scores, self.settings["low"], self.settings["high"])
        chosen = select(scores, self.catalogue, history, options or Options())
        rows = [
            {"rank": rank, **self.catalogue.row(i), "score": round(float(scores[i]), 4)}
            for rank, i in enumerate(chosen, 1)
        ]
        return Recommendations(rows)

    def scores(self, graphs: Mapping[str, Graph], item: Any) -> np.ndarray:
        """`(items,)` raw scores, or stars inside the scale."""
        arrays = {name: value[None] for name, value in self.preprocess(item).items()}
        result = next(iter(next(iter(graphs.values()))(arrays).values()))[0]
        return np.clip(result, self.settings["low"], self.settings["high"]) if self.stars else result

    def contributions(self, graphs: Mapping[str, Graph], history: History, rows: np.ndarray) -> np.ndarray:
        """What each of some rated films adds to the score of every film: `(rows, items)`.

        The sequential model adds up what the films of a history say, so a film's share is the score with it
        alone, at its place in the order, less the score with none.

        Args:
            graphs: Of a ranking variant.
            history: The visitor.
            rows: Indices into the history.
        """
        full = dense(history, len(self.catalogue), self.catalogue.trend)
        n = len(rows)
        alone = {name: np.zeros((n + 1, len(self.catalogue)), "float32") for name in ("ratings", "position")}
        for row, index in enumerate(rows):
            item = history.items[index]
            alone["ratings"][row, item] = full["ratings"][item]
            alone["position"][row, item] = full["position"][item]
        alone["trend"] = np.repeat(full["trend"][None], n + 1, axis=0)
        scores = next(iter(next(iter(graphs.values()))(alone).values()))
        return scores[:n] - scores[n:]

    def reasons(self, graphs: Mapping[str, Graph], item: Any, chosen: Sequence[int]) -> list[int | None]:
        """For each listed film the liked film that speaks most for it, or None where nothing does."""
        history = self._history(item)
        liked = np.flatnonzero(history.ratings >= min(self.settings["liked"], history.ratings.max(initial=0)))
        liked = liked[-EXPLAINED:]
        if not len(liked) or not len(chosen) or self.stars:
            return [None] * len(chosen)
        shares = self.contributions(graphs, history, liked)[:, list(chosen)]
        best = shares.argmax(axis=0)
        return [
            int(history.items[liked[b]]) if shares[b, column] > 0 else None for column, b in enumerate(best)
        ]

    def similar(self, graphs: Mapping[str, Graph], item: int, k: int = 12) -> list[int]:
        """The films that a liking of this one speaks for most."""
        alone = History(np.array([item]), np.array([self.settings["high"]], "float32"), np.zeros(1))
        shares = self.contributions(graphs, alone, np.array([0]))[0]
        shares[item] = -np.inf
        return [int(i) for i in np.argsort(-shares, kind="stable")[:k]]

    def timed(self, graphs: Mapping[str, Graph], item: Any) -> tuple[np.ndarray, float]:
        """Scores and the milliseconds they took."""
        begun = time.perf_counter()
        scores = self.scores(graphs, item)
        return scores, 1000 * (time.perf_counter() - begun)
