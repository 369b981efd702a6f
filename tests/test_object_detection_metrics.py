"""COCO average precision against hand-computed cases and pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from shared.metrics.detection import Truth, average_precision, coco_results, coco_truth
from shared.results import Detections

pytest.importorskip("faster_coco_eval")
SIZE = (100, 100)


def truth(boxes, ids, ignored=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    ignored = np.zeros(len(boxes), bool) if ignored is None else np.array(ignored, bool)
    return Truth(boxes, np.array(ids, int), ignored, SIZE)


def found(boxes, ids, scores, names=("a",)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(ids, int), np.array(scores, np.float32), list(names), SIZE)


A, B, C = [0, 0, 20, 20], [30, 30, 50, 50], [60, 60, 80, 80]


def test_perfect_detections():
    scores = average_precision([truth([A, B], [0, 0])], [found([A, B], [0, 0], [0.9, 0.8])], ["a"])
    assert scores.map == scores.map50 == scores.map75 == pytest.approx(1.0)
    assert scores.by_class["a"]["objects"] == 2


def test_one_of_two_found_with_a_false_alarm_first():
    # Ranked: false, true. Precision at recall 0 to 0.5 is 1/2, above it 0: 51 of 101 recall points.
    scores = average_precision([truth([A, B], [0, 0])], [found([C, A], [0, 0], [0.9, 0.8])], ["a"])
    assert scores.map50 == pytest.approx(51 / 101 * 0.5, abs=1e-6)


def test_three_ranked_detections_by_hand():
    # True, false, true of two objects: precision 1 up to recall 0.5, then 2/3 to recall 1.
    detections = found([A, C, B], [0, 0, 0], [0.9, 0.8, 0.7])
    scores = average_precision([truth([A, B], [0, 0])], [detections], ["a"])
    assert scores.map50 == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)
    np.testing.assert_allclose(scores.curves["a"][[0, 50, 51, 100]], [1, 1, 2 / 3, 2 / 3], atol=1e-6)


def test_a_loose_box_counts_only_at_low_iou():
    # IoU 320/400 = 0.8: right at 0.50 to 0.80 (7 of 10 thresholds).
    scores = average_precision([truth([A], [0])], [found([[0, 0, 16, 20]], [0], [0.9])], ["a"])
    assert scores.map50 == pytest.approx(1)
    assert scores.map == pytest.approx(0.7)


def test_a_second_box_on_one_object_is_a_false_alarm():
    scores = average_precision([truth([A, B], [0, 0])], [found([A, A, B], [0, 0, 0], [0.9, 0.8, 0.7])], ["a"])
    assert scores.map50 == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)


def test_ignored_objects_neither_help_nor_hurt():
    with_ignored = average_precision(
        [truth([A, B], [0, 0], [False, True])], [found([A, B], [0, 0], [0.5, 0.9])], ["a"]
    )
    assert with_ignored.map50 == pytest.approx(1)
    assert with_ignored.by_class["a"]["objects"] == 1


def test_nothing_found_is_zero_and_no_object_an_error():
    scores = average_precision([truth([A], [0])], [found([], [], [])], ["a"])
    assert scores.map == 0
    with pytest.raises(ValueError, match="at least one object"):
        average_precision([truth([], [])], [found([], [], [])], ["a"])
    with pytest.raises(ValueError, match="received 1 and 2"):
        average_precision([truth([A], [0])], [found([], [], [])] * 2, ["a"])


def test_a_class_without_objects_does_not_count():
    names = ("a", "b")
    scores = average_precision([truth([A], [0])], [found([A, B], [0, 1], [0.9, 0.9], names)], names)
    assert scores.map == pytest.approx(1)
    assert np.isnan(scores.by_class["b"]["map"])


def random_case(rng, pictures=12, classes=3):
    truths, detections, names = [], [], [f"c{i}" for i in range(classes)]
    for _ in range(pictures):
        n = int(rng.integers(1, 9))
        corner = rng.uniform(0, 60, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 40, (n, 2))], axis=1)
        ids = rng.integers(0, classes, n)
        truths.append(truth(boxes, ids, rng.random(n) < 0.1))
        noisy = boxes + rng.normal(0, 2.5, boxes.shape)
        extra = rng.uniform(0, 50, (4, 2))
        extra = np.concatenate([extra, extra + rng.uniform(8, 40, (4, 2))], axis=1)
        all_boxes = np.concatenate([noisy[rng.random(n) < 0.85], extra])
        labels = np.concatenate([ids, rng.integers(0, classes, 4)])[: len(all_boxes)]
        # All scores differ, so ties cannot be broken in two ways.
        scores = rng.permutation(1000)[: len(all_boxes)] / 1000
        detections.append(found(all_boxes, labels, scores, names))
    return truths, detections, names


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_pycocotools(seed):
    coco_module = pytest.importorskip("pycocotools.coco")
    eval_module = pytest.importorskip("pycocotools.cocoeval")
    truths, detections, names = random_case(np.random.default_rng(seed))
    ours = average_precision(truths, detections, names)
    with contextlib.redirect_stdout(io.StringIO()):
        api = coco_module.COCO()
        api.dataset = coco_truth(truths, names)
        api.createIndex()
        judge = eval_module.COCOeval(api, api.loadRes(coco_results(detections)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert 0.05 < ours.map < 0.95
    assert ours.map == pytest.approx(judge.stats[0], abs=1e-6)
    assert ours.map50 == pytest.approx(judge.stats[1], abs=1e-6)
    assert ours.map75 == pytest.approx(judge.stats[2], abs=1e-6)
    assert ours.recall == pytest.approx(judge.stats[8], abs=1e-6)
    for index, name in enumerate(names):
        theirs = judge.eval["precision"][0, :, index, 0, 2].mean()
        assert ours.by_class[name]["map50"] == pytest.approx(theirs, abs=1e-6)
