"""Recommendation for the shared runtime: splits, model, losses, scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.recommendation.config import VARIANTS, RecommendationConfig
from apps.recommendation.data import RatingSplits, load_splits
from apps.recommendation.encoding import History
from apps.recommendation.features import item_features
from apps.recommendation.scoring import ranking_scores, star_scores
from shared.task import DataCheck, Evaluation, Phase, Task

DENSE_LIMIT = 100_000
"""Items above which the ranking models' dense inputs stop being sensible."""


class RecommendationTask(Task):
    """See `shared.task.Task`."""

    app = "recommendation"
    config_class = RecommendationConfig
    variants = VARIANTS
    monitor = "val_ndcg"
    monitor_mode = "max"
    headline = "ndcg@10"
    higher_is_better = True
    pipeline_tag = "tabular-regression"

    def load_splits(self, config: RecommendationConfig) -> RatingSplits:
        splits = load_splits(config)
        items = len(splits.ratings.items)
        if not config.predicts_stars and items > DENSE_LIMIT:
            raise ValueError(
                f"model {config.model} ranks at most {DENSE_LIMIT:,} items, received {items:,}: see "
                "benchmarks/retrieval.py for a two-tower index of millions"
            )
        self.for_kind(config.predicts_stars)
        return splits

    def for_kind(self, stars: bool) -> None:
        """Stars are judged by their error, rankings by NDCG."""
        self.monitor, self.monitor_mode = ("val_rmse", "min") if stars else ("val_ndcg", "max")
        self.headline, self.higher_is_better = ("rmse", False) if stars else ("ndcg@10", True)

    def check_data(self, splits: RatingSplits, config: RecommendationConfig) -> DataCheck:
        ratings = splits.ratings
        per_item = np.bincount(ratings.item, minlength=len(ratings.items))
        stars, counts = np.unique(ratings.rating, return_counts=True)
        rows = [
            {"what": "ratings to fit on", "count": len(ratings)},
            {"what": "users", "count": len(splits.train)},
            {"what": "items", "count": len(per_item)},
            {"what": "items without a rating to fit on", "count": int((per_item == 0).sum())},
            {"what": "held-out ratings, validation", "count": sum(len(h.targets) for h in splits.validation)},
            {"what": "held-out ratings, test", "count": sum(len(h.targets) for h in splits.test)},
        ]
        rows += [{"what": f"{s:g} stars", "count": int(n)} for s, n in zip(stars, counts, strict=True)]
        problems = list(ratings.notes)
        if len(splits.train) < 50:
            problems.append(f"only {len(splits.train)} users: too few to learn tastes from")
        if len(stars) == 1:
            problems.append("all ratings are equal: stars cannot be learned, only what is rated together")
        return DataCheck(rows, problems)

    def batches(self, examples: Sequence[History], config, splits, *, training: bool):
        from apps.recommendation import batches

        if training:
            return batches.training_batches(examples, config, splits)
        # Validation is scored whole by the callback below: batches of unequal histories would average wrongly.
        return None

    def build_model(self, config: RecommendationConfig, splits: RatingSplits):
        from apps.recommendation import model

        ratings = splits.ratings
        counts = np.bincount(ratings.item, minlength=len(ratings.items))
        if config.model == "sequential":
            return model.build_sequential(config, ratings, splits.train, splits.trend)
        features = item_features(ratings.items, counts)
        if config.model == "two_tower":
            frequency = (counts + 1) / (counts + 1).sum()
            serving = model.build_two_tower(config, len(ratings.items), features)
            return model.with_sampled_softmax(serving, frequency.astype("float32"))
        return model.build_stars(config, len(ratings.items), features, float(ratings.rating.mean()))

    def compile(self, model, config: RecommendationConfig, phase: Phase, steps_per_epoch: int) -> None:
        import keras

        from apps.recommendation import batches

        if config.model == "two_tower":
            steps_per_epoch *= 4
        steps = max(1, steps_per_epoch * phase.epochs)
        schedule = keras.optimizers.schedules.CosineDecay(phase.learning_rate, steps, alpha=0.02)
        average = {"use_ema": True, "ema_momentum": config.ema_momentum} if config.ema_momentum else {}
        losses = {
            "sequential": batches.softmax_loss,
            "two_tower": keras.losses.CategoricalCrossentropy(from_logits=True),
        }
        loss = losses.get(config.model, batches.star_loss)
        model.compile(optimizer=keras.optimizers.Adam(schedule, **average), loss=loss)

    def graphs(self, model, config: RecommendationConfig) -> dict[str, Any]:
        from apps.recommendation import model as models

        if config.model == "two_tower":
            return {"model": models.serving_towers(model)}
        if config.predicts_stars:
            return {"model": models.fold_features(model)}
        return {"model": model}

    def output_names(self, config: RecommendationConfig) -> dict[str, list[str]]:
        return {"model": ["stars" if config.predicts_stars else "scores"]}

    def callbacks(self, config: RecommendationConfig, splits: RatingSplits) -> list[Any]:
        if not splits.validation:
            return []
        from apps.recommendation.validation import ValidationScore

        return [ValidationScore(self, config, splits)]

    def parity_inputs(self, predictor, graph, examples, collect):
        from apps.recommendation.scoring import star_batches

        if predictor.processor.settings["kind"] == "stars":
            return next(iter(star_batches(examples[:4])))[1]
        return collect(predictor, [h.input for h in examples[:8]])

    def evaluate(self, predictor, examples: Sequence[History], config: RecommendationConfig) -> Evaluation:
        if not len(examples):
            raise ValueError(
                "the split has no examples: with fit_on train+validation the validation part was trained on; "
                "score the test split, or train with --fit_on train"
            )
        processor, graph = predictor.processor, next(iter(predictor.graphs.values()))
        scorer = lambda arrays: next(iter(graph(arrays).values()))  # noqa: E731
        if config.predicts_stars:
            return _star_evaluation(*star_scores(scorer, examples, config.low, config.high))
        metrics, top, each = ranking_scores(
            scorer, examples, processor.catalogue.popularity, processor.catalogue.trend
        )
        return _ranking_evaluation(metrics, top, each, examples, processor)

    def baseline(self, splits: RatingSplits, config: RecommendationConfig) -> dict[str, float]:
        ratings = splits.ratings
        n = len(ratings.items)
        counts = np.bincount(ratings.item, minlength=n)
        examples = splits.test or splits.validation
        if not examples:
            return {}
        if config.predicts_stars:
            truth = np.concatenate([h.target_ratings for h in examples])
            error = truth - ratings.rating.mean()
            return {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}
        scorer = lambda arrays: np.tile(counts, (len(arrays["ratings"]), 1))  # noqa: E731
        return ranking_scores(scorer, examples, counts / len(splits.train), np.zeros(n))[0]

    def settings(self, config: RecommendationConfig, splits: RatingSplits) -> dict[str, Any]:
        return {
            "kind": "stars" if config.predicts_stars else "ranking",
            "model": config.model,
            "low": config.low,
            "high": config.high,
            "liked": config.liked,
            "items": len(splits.ratings.items),
        }

    def save_assets(self, folder: Path, config: RecommendationConfig, splits: RatingSplits) -> None:
        from apps.recommendation.assets import save_catalogue

        save_catalogue(folder, config, splits)

    def card(self, config: RecommendationConfig) -> dict[str, Any]:
        kind = "predicts stars" if config.predicts_stars else "ranks all films for a visitor"
        return {
            "summary": f"`{config.model}` recommender that {kind} from their ratings alone; no user table.",
            "data": "MovieLens latest-small (GroupLens): 100,836 ratings of 9,742 films by 610 users, 1996 to 2018.",
            "licence": "Code Apache-2.0. The model and the film titles derive from MovieLens: non-commercial use, "
            "redistribution under the same conditions, cite Harper and Konstan 2015 "
            "(https://doi.org/10.1145/2827872).",
            "limits": "610 volunteers of one website, films up to 2018, in English titles; rare films are known "
            "from a handful of ratings or from genre, year and tags alone.",
            "dataset_name": "MovieLens latest-small",
            "language": "en",
        }


def _star_evaluation(metrics: dict[str, float], predicted: np.ndarray, truth: np.ndarray) -> Evaluation:
    rows = []
    for star in np.unique(truth):
        own = predicted[truth == star]
        rows.append(
            {"stars given": float(star), "ratings": len(own), "mean predicted": round(float(own.mean()), 3),
             "rmse": round(float(np.sqrt(((own - star) ** 2).mean())), 3)}
        )  # fmt: skip
    return Evaluation(metrics, {"Error by stars given": rows})


def _ranking_evaluation(metrics, top, each, examples, processor) -> Evaluation:
    rows = []
    sizes = np.array([len(h) for h in examples])
    for low, high in ((1, 30), (30, 100), (100, 300), (300, math.inf)):
        own = each[(sizes >= low) & (sizes < high) & ~np.isnan(each)]
        if len(own):
            name = f"{low} to {high - 1}" if high < math.inf else f"{low} and more"
            rows.append({"ratings known": name, "visitors": len(own), "ndcg@10": round(float(own.mean()), 4)})
    titles = processor.catalogue.titles
    worst = [i for i in np.argsort(sizes, kind="stable")[::-1] if each[i] == 0][:12]
    mistakes = [
        {"caption": f"{sizes[i]} ratings known. Shown: {', '.join(titles[t] for t in top[i][:3])}. "
                    f"Liked next: {', '.join(titles[t] for t in examples[i].targets[:3])}."}
        for i in worst
    ]  # fmt: skip
    return Evaluation(metrics, {"By length of the history": rows}, mistakes=mistakes)


TASK = RecommendationTask()
