"""Scores -> a list: filters, the popularity slider and diversity. NumPy only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from apps.recommendation.catalogue import Catalogue
from apps.recommendation.encoding import History
from shared.files.errors import InputError

POOL = 200
"""Best films that diversity chooses among."""
POPULARITY_STRENGTH = 1.5
SAME_FAME = 5
"""Below this many ratings a film is no less known: the slider must not dig for what one person rated."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What a visitor asks for.

    Attributes:
        k: Length of the list.
        popularity: From -1 (hidden gems) over 0 (as the model ranks) to 1 (what everyone has seen).
        diversity: From 0 (as ranked) to 1 (each film unlike those above it).
        genres: At least one of these; any where empty.
        without_genres: None of these.
        first_year: Oldest year, 0 for any.
        last_year: Newest year, 0 for any.
        exclude: Item codes not to be shown (not interested).
        least_ratings: Films with fewer training ratings are left out.
        most_ratings: Films with more are left out; 0 for none.
    """

    k: int = 10
    popularity: float = 0.0
    diversity: float = 0.0
    genres: Sequence[str] = ()
    without_genres: Sequence[str] = ()
    first_year: int = 0
    last_year: int = 0
    exclude: Sequence[int] = ()
    least_ratings: int = 0
    most_ratings: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 500:
            raise InputError(
                f"A list has 1 to 500 films, received {self.k}.",
                f"Una lista tiene de 1 a 500 películas; {self.k} no.",
            )
        if not -1 <= self.popularity <= 1 or not 0 <= self.diversity <= 1:
            raise InputError(
                f"Popularity goes from -1 to 1 and diversity from 0 to 1, received {self.popularity} and "
                f"{self.diversity}.",
                f"La popularidad va de -1 a 1 y la diversidad de 0 a 1; se recibió {self.popularity} y "
                f"{self.diversity}.",
            )


def allowed(catalogue: Catalogue, history: History, options: Options) -> np.ndarray:
    """`(items,)` bool: films that may be listed; rated ones may not."""
    may = catalogue.counts >= options.least_ratings
    if options.most_ratings:
        may &= catalogue.counts <= options.most_ratings
    may[history.items] = False
    may[list(options.exclude)] = False
    if options.first_year:
        may &= catalogue.years >= options.first_year
    if options.last_year:
        may &= (catalogue.years <= options.last_year) & (catalogue.years > 0)
    if options.genres or options.without_genres:
        wanted, banned = set(options.genres), set(options.without_genres)
        may &= np.array(
            [(not wanted or bool(wanted & set(g))) and not banned & set(g) for g in catalogue.genres]
        )
    return may


def select(scores: np.ndarray, catalogue: Catalogue, history: History, options: Options) -> list[int]:
    """Item codes of the list, best first; shorter than `k` where the filters leave fewer.

    Args:
        scores: `(items,)`.
        catalogue: The films.
        history: What the visitor rated.
        options: What they ask for.
    """
    candidates = np.flatnonzero(allowed(catalogue, history, options))
    if not len(candidates):
        return []
    values = _standard(scores[candidates], 2 * POOL)
    if options.popularity:
        fame = _standard(np.log1p(np.maximum(SAME_FAME, catalogue.counts[candidates])))
        values = values + POPULARITY_STRENGTH * options.popularity * fame
    order = np.argsort(-values, kind="stable")
    if not options.diversity:
        return [int(i) for i in candidates[order[: options.k]]]
    pool = order[: max(POOL, options.k)]
    return _diverse(candidates[pool], values[pool], catalogue.vectors, options)


def _standard(values: np.ndarray, best: int | None = None) -> np.ndarray:
    """Centred, in units of the spread among the `best` highest: thousands of others never matter."""
    kept = values if best is None or best >= len(values) else np.partition(values, -best)[-best:]
    return (values - kept.mean()) / (kept.std() + 1e-9)


def _diverse(pool: np.ndarray, values: np.ndarray, vectors: np.ndarray, options: Options) -> list[int]:
    """Maximal marginal relevance, https://doi.org/10.1145/290941.291025."""
    relevance = (values - values.min()) / (np.ptp(values) + 1e-9)
    near = np.zeros(len(pool))
    left = np.ones(len(pool), bool)
    result: list[int] = []
    for _ in range(min(options.k, len(pool))):
        gain = np.where(left, (1 - options.diversity) * relevance - options.diversity * near, -np.inf)
        best = int(gain.argmax())
        left[best] = False
        result.append(int(pool[best]))
        near = np.maximum(near, vectors[pool] @ vectors[pool[best]])
    return result
