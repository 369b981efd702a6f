"""The models' arithmetic against NumPy, and what training may and may not see."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from apps.recommendation import contract_cases
from apps.recommendation.config import VARIANTS, RecommendationConfig
from apps.recommendation.encoding import History, dense, listed
from apps.recommendation.linear import low_rank_ease, succession
from shared.config import parse_config
from shared.data.ratings import make_items, make_ratings


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    flags = contract_cases.tiny_dataset(tmp_path_factory.mktemp("made"))
    return parse_config(RecommendationConfig, VARIANTS, flags)


@pytest.fixture(scope="module")
def splits(config):
    from apps.recommendation.data import load_splits

    return load_splits(config)


def exact_ease(x: np.ndarray, ridge: float) -> np.ndarray:
    inverse = np.linalg.inv(x.T @ x + ridge * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)[None]
    np.fill_diagonal(weights, 0)
    return weights


def test_low_rank_ease_is_ease_at_full_rank():
    rng = np.random.default_rng(0)
    x = (rng.random((12, 20)) < 0.4) * rng.random((12, 20))
    factors, scale = low_rank_ease(sp.csr_matrix(x), 20, 3.0)
    wanted = x @ exact_ease(x, 3.0)
    got = (x @ factors) @ factors.T * scale
    # svds gives all but the last of the 12 directions.
    s = np.linalg.svd(x, compute_uv=False)
    assert np.abs(got - wanted)[x == 0].max() < 0.05 + s[-1] ** 2
    full = np.linalg.svd(x, full_matrices=False)
    exact = full[2].T * (full[1] / np.sqrt(full[1] ** 2 + 3.0))
    assert np.allclose(
        ((x @ exact) @ exact.T / (1 - (exact**2).sum(axis=1)))[x == 0], wanted[x == 0], atol=1e-9
    ), "the identity itself"


def test_succession_by_hand():
    items = make_items(["a", "b", "c"])
    ratings = make_ratings(
        np.zeros(3, int), np.array([0, 1, 2]), np.full(3, 50.0), np.arange(3.0), ["u"], items
    )  # liking is 1 at 50 stars
    before, strength = succession(ratings, length=2.0, smoothing=1.0, neighbours=2)
    near, far = np.exp(-1 / 2), np.exp(-2 / 2)
    # Sums going out: a near + far, b near; coming in: b near, c near + far.
    assert before[2].tolist() == [1, 0]
    assert strength[2, 0] == pytest.approx(near / np.sqrt((near + 1) * (near + far + 1)), rel=1e-5)
    assert strength[2, 1] == pytest.approx(far / np.sqrt((near + far + 1) * (near + far + 1)), rel=1e-5)
    assert strength[0].tolist() == [0, 0], "nothing comes before the first"


def test_sequential_model_starts_as_its_parts(config, splits):
    """The graph's score is the sum that linear.py and the config describe."""
    from apps.recommendation import model as models

    model = models.build_sequential(config, splits.ratings, splits.train, splits.trend)
    history = splits.validation[0].input
    arrays = dense(history, 80, splits.trend.at())
    got = model.predict_on_batch([arrays[t.name][None] for t in model.inputs])[0]
    factors, scale = (np.asarray(w) for w in model.get_layer("factors").weights)
    table = model.get_layer("succession")
    before, strength = np.asarray(table.before), np.asarray(table.strength)
    mixture, bias = (np.asarray(w) for w in model.get_layer("mixture").weights)
    rated = arrays["ratings"] > 0
    likes = rated / (1 + np.exp(-2 * (arrays["ratings"] - 3.25)))
    recent = likes * np.exp(-arrays["position"] / config.recency)
    latest = rated * np.exp(-arrays["position"] / config.succession)
    parts = [
        (likes @ factors) @ factors.T * scale,
        (recent @ factors) @ factors.T * scale,
        (latest[before] * strength).sum(axis=1),
        arrays["trend"],
    ]
    assert got == pytest.approx(bias + sum(m * p for m, p in zip(mixture, parts, strict=True)), abs=1e-4)


def test_ridge_reader_is_the_ridge_solution():
    """Conjugate gradients against a direct solve, without and with the kernels' residuals."""
    from shared.layers.ridge_reader import RidgeReader

    rng = np.random.default_rng(0)
    n, q, dim = 9, 4, 5
    inputs = {
        "vectors": rng.normal(size=(1, n, dim)), "biases": rng.normal(size=(1, n)),
        "ratings": rng.normal(size=(1, n)) + 3, "days": rng.random((1, n)),
        "mask": np.array([[1.0] * 7 + [0, 0]]), "query_vectors": rng.normal(size=(1, q, dim)),
        "query_biases": rng.normal(size=(1, q)), "query_days": rng.random((1, q)),
    }  # fmt: skip
    inputs = {k: v.astype("float32") for k, v in inputs.items()}
    plain = RidgeReader(kernels=False)
    got = np.asarray(plain(inputs))[0]
    one = 0.74
    h = np.concatenate([inputs["vectors"][0, :7], np.full((7, 1), one)], axis=1)
    r = (inputs["ratings"] - inputs["biases"])[0, :7]
    penalty = 2 * np.log(1 + np.e)
    taste = np.linalg.solve(h.T @ h + penalty * np.eye(dim + 1), h.T @ r)
    queries = np.concatenate([inputs["query_vectors"][0], np.full((q, 1), one)], axis=1)
    wanted = inputs["query_biases"][0] + queries @ taste
    assert got == pytest.approx(wanted, abs=1e-4)
    # Kernels: by hand from the residuals.
    full = np.asarray(RidgeReader(kernels=True)(inputs))[0]
    left = r - h @ taste
    near = np.exp(-np.abs(inputs["query_days"][0][:, None] - inputs["days"][0, :7]) / 0.05)
    unit = lambda v: v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-3)  # noqa: E731
    like = np.exp((unit(inputs["query_vectors"][0]) @ unit(inputs["vectors"][0, :7]).T - 1) * 4.5)
    wanted = wanted + 0.5 * (near @ left) / (near.sum(1) + 7.4) * (1 / (1 + np.exp(0))) / 0.5
    wanted = wanted + (like @ left) / (like.sum(1) + 1.0)
    assert full == pytest.approx(wanted, abs=1e-3)


def test_an_empty_history_gets_the_mean_of_each_film():
    from shared.layers.ridge_reader import RidgeReader

    zero = {
        "vectors": np.zeros((1, 4, 3)), "biases": np.zeros((1, 4)), "ratings": np.zeros((1, 4)),
        "days": np.zeros((1, 4)), "mask": np.zeros((1, 4)), "query_vectors": np.ones((1, 2, 3)),
        "query_biases": np.array([[3.0, 4.0]]), "query_days": np.zeros((1, 2)),
    }  # fmt: skip
    got = np.asarray(RidgeReader()({k: v.astype("float32") for k, v in zero.items()}))
    assert got.tolist() == [[3.0, 4.0]]


def test_padding_and_order_change_no_star(config, splits):
    from apps.recommendation import model as models

    features = np.random.default_rng(0).normal(size=(80, 6)).astype("float32")
    model = models.build_stars(dataclasses.replace(config, model="neural"), 80, features, 3.5)
    names = [t.name for t in model.inputs]
    history, query = splits.train[0], np.array([1, 2, 3])

    def stars(h, length):
        arrays = listed(h, query, np.full(3, h.days.max()), length, 8)
        return model.predict_on_batch([arrays[n][None] for n in names])[0][:3]

    base = stars(history, 64)
    assert stars(history, 256) == pytest.approx(base, abs=1e-4)
    order = np.random.default_rng(1).permutation(len(history))
    mixed = History(history.items[order], history.ratings[order], history.days[order])
    assert stars(mixed, 64) == pytest.approx(base, abs=1e-3)


def test_folding_the_features_changes_no_star(config, splits):
    from apps.recommendation import model as models

    features = np.random.default_rng(0).normal(size=(80, 6)).astype("float32")
    model = models.build_stars(dataclasses.replace(config, model="neural"), 80, features, 3.5)
    for w in model.trainable_weights:
        w.assign(w + 0.05 * np.random.default_rng(2).normal(size=w.shape))
    folded = models.fold_features(model)
    arrays = listed(splits.train[3], np.arange(10), np.full(10, splits.train[3].days.max()), 64, 16)
    names = [t.name for t in model.inputs]
    rows = [arrays[n][None] for n in names]
    assert folded.predict_on_batch(rows) == pytest.approx(model.predict_on_batch(rows), abs=1e-4)
    assert folded.count_params() < model.count_params()


def test_ranking_examples_never_show_what_comes_after_the_cut(config, splits):
    from apps.recommendation.batches import cut

    rng = np.random.default_rng(0)
    made = [m for h in splits.train for m in [cut(h, config, splits, rng)] if m is not None]
    assert len(made) > 40
    by_items = {tuple(h.items.tolist()): h for h in splits.train}
    for past, seen, liked in made:
        whole = next(h for key, h in by_items.items() if key[: len(seen)] == tuple(seen.tolist()))
        assert not set(liked.tolist()) & set(past.items.tolist())
        assert set(past.items.tolist()) <= set(seen.tolist())
        moment = whole.days[len(seen) - 1]
        assert (past.trend == splits.trend.at(moment * 86400)).all()
        assert past.days.max() <= moment


def test_softmax_loss_leaves_out_what_was_seen():
    from apps.recommendation.batches import softmax_loss

    target = np.array([[-1.0, 1.0, 0.0, 1.0]], "float32")
    scores = np.array([[50.0, 1.0, 2.0, 3.0]], "float32")
    log = np.log(np.exp([1.0, 2.0, 3.0]).sum())
    wanted = ((log - 1) + (log - 3)) / 2
    assert float(softmax_loss(target, scores)[0]) == pytest.approx(wanted, rel=1e-5)


def test_star_loss_ignores_padding():
    from apps.recommendation.batches import MISSING, star_loss

    target = np.array([[3.0, MISSING], [MISSING, 5.0]], "float32")
    stars = np.array([[2.0, 100.0], [-7.0, 5.5]], "float32")
    assert float(star_loss(target, stars)) == pytest.approx((1 + 0.25) / 2)


def test_sampled_softmax_corrects_for_frequency(config, splits):
    """A target's logit loses the logarithm of its chance; a film that is someone else's target too is no negative."""
    from apps.recommendation import model as models

    features = np.eye(80, 6, dtype="float32")
    serving = models.build_two_tower(dataclasses.replace(config, model="two_tower"), 80, features)
    frequency = np.linspace(1, 80, 80).astype("float32") / 3240
    training = models.with_sampled_softmax(serving, frequency)
    histories = [dense(h, 80, splits.trend.at()) for h in splits.train[:4]]
    ratings, position = (np.stack([h[n] for h in histories]) for n in ("ratings", "position"))
    target = np.array([5, 9, 5, 70], "int32")
    logits = training.predict_on_batch([ratings, position, target])
    scores = serving.predict_on_batch([ratings, position, np.zeros_like(ratings)])
    wanted = scores[:, target] - np.log(frequency[target])[None]
    assert np.diag(logits) == pytest.approx(np.diag(wanted), abs=1e-3)
    assert logits[1, [0, 2, 3]] == pytest.approx(wanted[1, [0, 2, 3]], abs=1e-3)
    assert logits[0, 2] < -1e4, "film 5 is the first visitor's own target"


def test_a_film_nobody_rated_has_a_place_by_its_features(config):
    """The two-tower and the star model give a new film of the liked genre a better place than one of the other."""
    from apps.recommendation.features import genre_matrix, item_features

    items = make_items(["a", "b"], ["A", "B"], [["Comedy"], ["Drama", "War"]])
    assert genre_matrix(items)[1] == pytest.approx([0, 2**-0.5, 2**-0.5])
    features = item_features(items, np.array([3, 0]))
    assert np.isfinite(features).all()
    assert not np.allclose(features[0], features[1])
