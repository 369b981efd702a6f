"""Ranking metrics against figures worked out by hand, and against keras-rs where it has the same metric."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.metrics import ranking

HIT = np.array([[True, False, True], [False, True, False], [False, False, False]])
COUNTS = np.array([2, 1, 4])


def test_ndcg_by_hand():
    # Gains at ranks 1 and 3 of an ideal at ranks 1 and 2; one at rank 2 of an ideal at rank 1.
    first = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert ranking.ndcg(HIT, COUNTS) == pytest.approx([first, 1 / math.log2(3), 0])


def test_ideal_is_cut_at_k():
    assert ranking.ndcg(np.array([[True, True]]), np.array([50])) == pytest.approx([1.0])


def test_recall_and_reciprocal_rank_by_hand():
    assert ranking.recall(HIT, COUNTS) == pytest.approx([1.0, 1.0, 0.0])
    assert ranking.reciprocal_rank(HIT) == pytest.approx([1.0, 0.5, 0.0])


def test_coverage_novelty_and_bias_by_hand():
    top = np.array([[0, 1], [0, 2]])
    popularity = np.array([0.5, 0.25, 0.125, 0.0])
    assert ranking.coverage(top, 4) == 3 / 4
    assert ranking.novelty(top, popularity) == pytest.approx((1 + 2 + 1 + 3) / 4)
    # Items 0, 1, 2 are the 4th, 3rd and 2nd of four.
    assert ranking.popularity_percentile(top, popularity) == pytest.approx((1 + 0.75 + 1 + 0.5) / 4)


def test_a_never_rated_item_has_finite_novelty():
    assert ranking.novelty(np.array([[1]]), np.array([0.5, 0.0])) == pytest.approx(2.0)


def test_top_k_leaves_out_and_breaks_ties_by_index():
    scores = np.array([[1.0, 3.0, 3.0, 2.0]])
    exclude = np.array([[False, True, False, False]])
    assert ranking.top_k(scores, 3, exclude).tolist() == [[2, 3, 0]]
    assert ranking.top_k(np.zeros((1, 5)), 3).tolist() == [[0, 1, 2]]


def test_top_k_is_a_full_sort():
    scores = np.random.default_rng(0).integers(0, 20, (8, 50)).astype(float)
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    assert (ranking.top_k(scores, 7) == wanted).all()


def test_k_must_fit():
    with pytest.raises(ValueError, match="k must be from 1 to the number of items 5, received 6"):
        ranking.top_k(np.zeros((1, 5)), 6)


def test_users_without_a_relevant_item_do_not_count():
    top = np.array([[0, 1], [2, 3]])
    popularity = np.full(4, 0.5)
    metrics = ranking.ranking_metrics(top, [np.array([0]), np.array([], int)], popularity)
    assert metrics["ndcg@2"] == 1.0
    assert metrics["coverage@2"] == 1.0
    with pytest.raises(ValueError, match="at least one item"):
        ranking.ranking_metrics(top, [np.array([], int)] * 2, popularity)


def test_equal_to_keras_rs():
    import keras_rs

    rng = np.random.default_rng(1)
    scores = rng.normal(size=(20, 30)).astype("float32")
    truth = rng.random((20, 30)) < 0.1
    truth[:, 0] = True
    hit = ranking.hits(ranking.top_k(scores, 10), [np.flatnonzero(row) for row in truth])
    counts = truth.sum(axis=1)
    pairs = [
        (keras_rs.metrics.NDCG(k=10), ranking.ndcg(hit, counts)),
        (keras_rs.metrics.RecallAtK(k=10), ranking.recall(hit, counts)),
        (keras_rs.metrics.MeanReciprocalRank(k=10), ranking.reciprocal_rank(hit)),
    ]
    for metric, ours in pairs:
        metric.update_state(truth.astype("float32"), scores)
        assert float(metric.result()) == pytest.approx(ours.mean(), abs=1e-5), metric.name
