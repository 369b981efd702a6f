"""Options of the recommendation models.

`python -m apps.recommendation.train --variant films --data ml-latest-small` ranks films from a history;
`--variant films_ratings` predicts stars. The results are in README.md.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from shared.config import TrainConfig

Architecture = Literal["matrix_factorization", "neural", "two_tower", "sequential"]
STARS: tuple[str, ...] = ("matrix_factorization", "neural")
RANKING: tuple[str, ...] = ("two_tower", "sequential")


@dataclasses.dataclass(frozen=True)
class RecommendationConfig(TrainConfig):
    """Options beyond `TrainConfig`.

    Attributes:
        model: `sequential` ranks from an ordered history (the default of the demo); `two_tower` ranks by a dot
            product with an item tower on features, so that an item nobody rated has a place, and scales by
            approximate search; `neural` predicts stars from history, features and time;
            `matrix_factorization` is its plain baseline.
        items: Your items CSV, where it is not items.csv or movies.csv beside the ratings.
        embedding_dim: Width of an item's vector.
        liked: A rating from this one on counts as relevant in ranking.
        ridge: Ridge penalty of the linear autoencoder the sequential model starts from.
        smoothing: Pseudo-count in the transition table of the sequential model.
        transitions: Preceding films kept for each film.
        recency: Films after which the weight of an older one has fallen by e, in the recent taste.
        succession: The same in what usually follows what.
        trend_days: Days after which a like counts e times less in the present popularity.
        popularity_weight: Weight of the overall popularity beside the present one.
        l2: Penalty on item vectors of the star models.
        dropout: On item features (star models, two towers).
        history: Longest history in a training example.
        history_dropout: Largest share of a history left out in a training example of a ranking model.
        low: Lowest rating of your scale.
        high: Highest rating of your scale.
        fit_on: `train+validation` once every choice is made; the test split stays unseen.
        split_seed: Of the random split for stars; apart from `seed`, so that seeds share their test split.
    """

    model: Architecture = "sequential"
    items: str = ""
    embedding_dim: int = 192
    liked: float = 4.0
    ridge: float = 150.0
    smoothing: float = 5.0
    transitions: int = 40
    recency: float = 5.0
    succession: float = 10.0
    trend_days: float = 365.0
    popularity_weight: float = 0.2
    l2: float = 0.02
    dropout: float = 0.2
    history: int = 200
    history_dropout: float = 0.3
    low: float = 0.5
    high: float = 5.0
    fit_on: Literal["train", "train+validation"] = "train"
    split_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in STARS + RANKING:
            raise ValueError(f"model must be one of {', '.join(STARS + RANKING)}, received {self.model!r}")
        if self.embedding_dim < 1:
            raise ValueError(f"embedding_dim must be 1 or more, received {self.embedding_dim}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, received {self.low} and {self.high}")
        if not self.low <= self.liked <= self.high:
            raise ValueError(f"liked must be from low to high, received {self.liked}")

    @property
    def predicts_stars(self) -> bool:
        """Whether the model answers with stars (random split) or with a ranking (split by time)."""
        return self.model in STARS


VARIANTS: dict[str, RecommendationConfig] = {
    # Epochs and rates were chosen with --fit_on train; what is published is fitted on train + validation.
    "films": RecommendationConfig(
        variant="films", model="sequential", epochs=2, batch_size=64, learning_rate=5e-5,
        fit_on="train+validation",
    ),
    "films_ratings": RecommendationConfig(
        variant="films_ratings", model="neural", embedding_dim=48, epochs=40, batch_size=32, learning_rate=4e-3,
        l2=1.25, fit_on="train+validation",
    ),
    "two_tower": RecommendationConfig(
        variant="two_tower", model="two_tower", embedding_dim=64, epochs=4, batch_size=128, learning_rate=2e-3,
        fit_on="train+validation",
    ),
    "matrix_factorization": RecommendationConfig(
        variant="matrix_factorization", model="matrix_factorization", embedding_dim=48, epochs=40, batch_size=32,
        learning_rate=4e-3, l2=1.25, fit_on="train+validation",
    ),
}  # fmt: skip
