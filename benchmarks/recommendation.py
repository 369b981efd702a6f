"""Recommendation beside its peers, on the same splits in one run: `python -m benchmarks.recommendation --data PATH`.

Every choice (peers' and ours) is made on validation; then each is fitted on train + validation and scored on test
once. Ours runs with several seeds; the interval is 1.96 standard errors over them. Intervals of differences to a
peer are over visitors (paired bootstrap). Parts: stars, ranking, cold (people the models never met, three folds).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from apps.recommendation.config import VARIANTS, RecommendationConfig
from apps.recommendation.data import RatingSplits, load_ratings, ranking_splits, star_splits
from apps.recommendation.encoding import History
from apps.recommendation.linear import Trend
from apps.recommendation.scoring import listed_items, star_scores
from benchmarks import recommendation_peers as peers
from benchmarks.common import record
from shared.data.rating_splits import TEST, TRAIN, VALIDATION, split_at_random, split_by_time
from shared.data.ratings import Ratings, by_user
from shared.metrics.ranking import hits, ndcg, ranking_metrics, top_k
from shared.runtime.files import write_json

NAME = "recommendation"
TITLE = "Recommendation, MovieLens latest-small"
K = 10
PARTS = ("star_peers", "star_defaults", "stars", "tune", "ranking_peers", "ranking", "published", "cold")
Row = dict[str, Any]
Log = Callable[[str], None]
COLD = (3, 5, 10)
KEPT = Path("runs") / "benchmarks"
FOLDS = 3


def fit_ours(config: RecommendationConfig, splits: Any):
    """Train one of our models without the publishing runtime; returns a scorer of named arrays."""
    import keras

    from apps.recommendation.task import RecommendationTask
    from apps.recommendation.validation import any_shape

    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    task = RecommendationTask()
    task.for_kind(config.predicts_stars)
    model = task.build_model(config, splits)
    phase = task.phases(config)[0]
    task.compile(model, config, phase, -(-len(splits.train) // config.batch_size))
    if phase.epochs:
        model.fit(task.batches(splits.train, config, splits, training=True), epochs=phase.epochs, verbose=0)
    return any_shape(task.graphs(model, config)["model"])


def as_matrix(histories: Sequence[History], items: int) -> sp.csr_matrix:
    """Histories as rows of stars."""
    rows = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    columns = np.concatenate([h.items for h in histories])
    return peers.matrix(
        rows, columns, np.concatenate([h.ratings for h in histories]), (len(histories), items)
    )


def lists_of(scores: peers.Scores, histories: Sequence[History], items: int) -> np.ndarray:
    """`(histories, 10)` items a peer lists."""
    visitors = as_matrix(histories, items)
    return top_k(scores(visitors), K, visitors.toarray() > 0)


def each_ndcg(top: np.ndarray, histories: Sequence[History]) -> np.ndarray:
    """NDCG@10 of each history, nan without a target."""
    counts = np.array([len(h.targets) for h in histories])
    result = np.full(len(histories), np.nan)
    some = counts > 0
    result[some] = ndcg(hits(top, [h.targets for h in histories])[some], counts[some])
    return result


def interval(values: Sequence[float]) -> float | None:
    """1.96 standard errors of the mean; None for one value."""
    return 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None


def paired(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval over visitors of the mean difference."""
    difference = (ours - theirs)[~np.isnan(ours)]
    rng = np.random.default_rng(seed)
    means = difference[rng.integers(0, len(difference), (2000, len(difference)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def star_peers(ratings: Ratings, log: Log) -> list[Row]:
    """RMSE and MAE of Surprise on a random tenth."""
    part = split_at_random(len(ratings))
    train, validation = ratings[part == TRAIN], ratings[part == VALIDATION]
    known, test = ratings[part != TEST], ratings[part == TEST]
    rows = [_errors("mean of all", float(known.rating.mean()) - test.rating)]
    for name, grid in peers.STARS.items():
        tried = []
        for options in peers.settings(grid):
            guess = peers.surprise_stars(name, train, validation, options)
            tried.append((_errors(name, guess - validation.rating)["rmse"], json.dumps(options)))
            log(f"{name} {tried[-1]}")
        best, options = min(tried)
        guess = peers.surprise_stars(name, known, test, json.loads(options))
        rows.append(_errors(name, guess - test.rating) | {"validation": best, "settings": options})
        log(str(rows[-1]))
    return rows


def star_defaults(ratings: Ratings, log: Log) -> list[Row]:
    """The same with the settings Surprise comes with."""
    part, rows = split_at_random(len(ratings)), []
    known, test = ratings[part != TEST], ratings[part == TEST]
    for name in peers.STARS:
        row = _errors(f"{name}, its defaults", peers.surprise_stars(name, known, test, {}) - test.rating)
        rows.append(row | {"settings": "{}"})
        log(str(row))
    return rows


def _errors(name: str, error: np.ndarray) -> Row:
    rmse, mae = float(np.sqrt((error**2).mean())), float(np.abs(error).mean())
    return {"part": "stars", "model": name, "rmse": rmse, "mae": mae}


def stars(ratings: Ratings, seeds: Sequence[int], log: Log) -> None:
    """RMSE and MAE of ours on the same tenth; each run is kept, so that seeds may run apart."""
    part = split_at_random(len(ratings))
    for seed in seeds:
        for variant in ("films_ratings", "matrix_factorization"):
            config = dataclasses.replace(VARIANTS[variant], seed=seed, fit_on="train+validation")
            splits = star_splits(ratings, part, config)
            scorer = fit_ours(config, splits)
            row = star_scores(scorer, splits.test, config.low, config.high)[0]
            # The same asked as if nothing were known of when: every query far from every rating.
            far = [dataclasses.replace(h, target_days=h.target_days + 1e5) for h in splits.test]
            row["rmse without time"] = star_scores(scorer, far, config.low, config.high)[0]["rmse"]
            keep(f"stars-{variant}-{seed}", [row])
            log(f"{variant} seed {seed} {row}")


def star_table() -> list[Row]:
    """The kept runs of `stars`, averaged over their seeds."""
    rows = []
    for variant in ("films_ratings", "matrix_factorization"):
        found = sorted(KEPT.glob(f"{NAME}-stars-{variant}-*.json"))
        runs = [json.loads(p.read_text(encoding="utf-8"))[0] for p in found]
        if runs:
            mean = {k: float(np.mean([r[k] for r in runs])) for k in runs[0]}
            rows.append({"part": "stars", "model": f"ours, {VARIANTS[variant].model}", **mean,
                         "±": interval([r["rmse"] for r in runs]), "seeds": len(runs)})  # fmt: skip
    return rows


def tune(ratings: Ratings, log: Log) -> list[Row]:
    """Best setting of every ranking peer by NDCG@10 on validation."""
    splits = ranking_splits(
        ratings, split_by_time(ratings), dataclasses.replace(VARIANTS["films"], fit_on="train")
    )
    items = len(ratings.items)
    train, rows = as_matrix(splits.train, items), []
    for name, (make, grid) in peers.RANKING.items():
        tried = []
        for options in peers.settings(grid):
            top = lists_of(make(train, **options), splits.validation, items)
            tried.append((float(np.nanmean(each_ndcg(top, splits.validation))), json.dumps(options)))
        best, options = max(tried)
        rows.append({"model": name, "validation": best, "settings": options})
        log(f"{name}: validation ndcg@10 {best:.4f} with {options} of {len(tried)}")
    return rows


def best_settings() -> dict[str, Row]:
    """What `tune` kept, by peer."""
    rows = {r["model"]: r for r in kept("tune")}
    if not rows:
        raise SystemExit("the peers have no settings yet: run --parts tune first")
    return rows


def final_splits(ratings: Ratings, config: RecommendationConfig) -> RatingSplits:
    """Fitted on train + validation, asked about test."""
    return ranking_splits(
        ratings, split_by_time(ratings), dataclasses.replace(config, fit_on="train+validation")
    )


def ranking_peers(ratings: Ratings, log: Log) -> list[Row]:
    """All films ranked, liked test films relevant, split by time."""
    splits, items, rows = final_splits(ratings, VARIANTS["films"]), len(ratings.items), []
    known, relevant = as_matrix(splits.train, items), [h.targets for h in splits.test]
    for name, best in best_settings().items():
        top = lists_of(peers.RANKING[name][0](known, **json.loads(best["settings"])), splits.test, items)
        row = {"part": "ranking", "model": name, **ranking_metrics(top, relevant, splits.popularity)}
        rows.append(row | {k: best[k] for k in ("validation", "settings")})
        log(str(rows[-1]))
        keep(f"visitors-{name}", each_ndcg(top, splits.test).tolist())
    return rows


PLANS = {
    "sequential": ("ours, sequential", "films", {}),
    "start": ("ours, sequential before training", "films", {"epochs": 0}),
    "two_tower": ("ours, two_tower", "two_tower", {}),
    "published": ("ours, sequential, as shipped", "films", {}),
}
"""Short name -> (label, variant, changes). Each run is kept, so that seeds may run apart."""


def ranking(ratings: Ratings, plans: Sequence[str], seeds: Sequence[int], log: Log) -> None:
    """Ours on the same test."""
    for plan in plans:
        _, variant, change = PLANS[plan]
        splits, items = final_splits(ratings, VARIANTS[variant]), len(ratings.items)
        relevant = [h.targets for h in splits.test]
        # The start has no chance in it.
        for seed in seeds[:1] if plan == "start" else seeds:
            config = dataclasses.replace(VARIANTS[variant], seed=seed, fit_on="train+validation", **change)
            top = listed_items(fit_ours(config, splits), splits.test, items, splits.trend.at())
            row = ranking_metrics(top, relevant, splits.popularity)
            keep(f"ranking-{plan}-{seed}", [row | {"each": each_ndcg(top, splits.test).tolist()}])
            log(f"{plan} seed {seed} {row}")


def published(ratings: Ratings, log: Log) -> None:
    """The shipped graph on the same test, through the predictor that serves; no TensorFlow."""
    from shared.runtime.predictor import Predictor
    from shared.runtime.variants import find_variant

    predictor = Predictor(find_variant("recommendation", "films"))
    graph = next(iter(predictor.graphs.values()))
    splits, items = final_splits(ratings, VARIANTS["films"]), len(ratings.items)
    top = listed_items(lambda x: graph(x)["scores"], splits.test, items, predictor.processor.catalogue.trend)
    row = ranking_metrics(top, [h.targets for h in splits.test], splits.popularity)
    keep("ranking-published-0", [row | {"each": each_ndcg(top, splits.test).tolist()}])
    log(f"published {row}")


def ranking_table() -> list[Row]:
    """The peers' rows with the interval of ours minus theirs, then ours over the kept seeds."""
    ours, rows = [], [dict(r) for r in kept("ranking_peers")]
    for plan, (label, _, _) in PLANS.items():
        runs = [
            json.loads(p.read_text(encoding="utf-8"))[0]
            for p in sorted(KEPT.glob(f"{NAME}-ranking-{plan}-*.json"))
        ]
        if not runs:
            continue
        each = np.mean([r.pop("each") for r in runs], axis=0)
        mean = {k: float(np.mean([r[k] for r in runs])) for k in runs[0]}
        ours.append({"part": "ranking", "model": label, **mean, "±": interval([r["ndcg@10"] for r in runs]),
                     "seeds": len(runs)})  # fmt: skip
        if plan == "published":
            for row in rows:
                low, high = paired(each, np.array(kept(f"visitors-{row['model']}"), float))
                row["shipped minus it, 95 % over visitors"] = f"{low:+.4f} to {high:+.4f}"
    return rows + ours


def cold(ratings: Ratings, log: Log) -> list[Row]:
    """Visitors nobody was trained on, after their first 3, 5 and 10 ratings; the rest they liked is relevant.

    Peers keep the settings that were best on the validation of the split by time.
    """
    best = {name: json.loads(row["settings"]) for name, row in best_settings().items()}
    fold = np.random.default_rng(0).integers(0, FOLDS, len(ratings.user_ids))
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    config = dataclasses.replace(VARIANTS["films"], fit_on="train+validation")
    for held in range(FOLDS):
        known = ratings[fold[ratings.user] != held]
        # Everything of the other people is training data here.
        splits = ranking_splits(known, np.zeros(len(known), "int8"), config)
        train = as_matrix(splits.train, len(ratings.items))
        scorer = fit_ours(config, splits)
        models = {n: make(train, **best[n]) for n, (make, _) in peers.RANKING.items() if n != "implicit BPR"}
        for count in COLD:
            visitors = cold_visitors(ratings, fold == held, count, splits.trend, config.liked)
            for name, scores in models.items():
                top = lists_of(scores, visitors, len(ratings.items))
                found.setdefault((name, count), []).append(each_ndcg(top, visitors))
            top = listed_items(scorer, visitors, len(ratings.items), splits.trend.at())
            found.setdefault(("ours, sequential", count), []).append(each_ndcg(top, visitors))
        log(f"cold start, fold {held + 1} of {FOLDS}")
    rows = []
    for name in dict.fromkeys(n for n, _ in found):
        row: dict[str, Any] = {"part": "cold start", "model": name}
        for count in COLD:
            values = np.concatenate(found[name, count])
            row[f"ndcg@10 after {count}"] = float(np.nanmean(values))
        rows.append(row)
    return rows


def cold_visitors(
    ratings: Ratings, chosen: np.ndarray, count: int, trend: Trend, liked: float
) -> list[History]:
    """The first `count` ratings of each chosen user, and what they liked later."""
    result = []
    for user, rows in by_user(ratings):
        if chosen[user]:
            item, stars = ratings.item[rows], ratings.rating[rows]
            days = ratings.time_s[rows] / 86400
            targets = item[count:][stars[count:] >= liked]
            now = trend.at(float(ratings.time_s[rows][count - 1]))
            result.append(History(item[:count], stars[:count], days[:count], now, targets))
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder ml-latest-small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    trained = [plan for plan in PLANS if plan != "published"]
    parser.add_argument("--plans", nargs="+", choices=trained, default=trained)
    options = parser.parse_args(argv)
    ratings = load_ratings(RecommendationConfig(data=options.data))
    begun = time.monotonic()

    def log(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", flush=True)

    if "star_peers" in options.parts:
        keep("star_peers", star_peers(ratings, log))
    if "star_defaults" in options.parts:
        keep("star_defaults", star_defaults(ratings, log))
    if "stars" in options.parts:
        stars(ratings, options.seeds, log)
    if "tune" in options.parts:
        keep("tune", tune(ratings, log))
    if "ranking_peers" in options.parts:
        keep("ranking_peers", ranking_peers(ratings, log))
    if "ranking" in options.parts:
        ranking(ratings, options.plans, options.seeds, log)
    if "published" in options.parts:
        published(ratings, log)
    if "cold" in options.parts:
        keep("cold", cold(ratings, log))
    shown = ["--data", Path(options.data).name]
    rows = kept("star_peers") + kept("star_defaults") + star_table() + ranking_table() + kept("cold")
    record(
        NAME, TITLE, rows, shown, seed=0, packages=["implicit", "scikit-surprise", "keras-rs"], notes=NOTES
    )


def keep(part: str, rows: list[Any]) -> None:
    """Parts may run one at a time (`--parts`): each leaves its rows beside the others'."""
    KEPT.mkdir(parents=True, exist_ok=True)
    write_json(KEPT / f"{NAME}-{part}.json", rows)


def kept(part: str) -> list[Row]:
    """Rows of a part that ran, or none."""
    path = KEPT / f"{NAME}-{part}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


NOTES = (
    "Stars: random 80/10/10, test 10 %, the same rows for all; Surprise does not use the time of a rating, ours does "
    "('rmse without time' asks it as if the time were unknown). Ranking: each user's last 20 % is the test, all 9,742 "
    "films ranked, films rated 4 and more relevant, users without one left out. Cold start: three folds of people the "
    "models never saw; BPR has no way to fold them in."
)

if __name__ == "__main__":
    main()
