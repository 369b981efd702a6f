"""Segmentation metrics against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shared.metrics import segmentation as metrics

VOID = 255
TRUTH = np.array([[0, 0, 1, 1], [0, 2, 1, VOID]], np.uint8)
SEEN = np.array([[0, 1, 1, 1], [0, 2, 2, 0]], np.uint8)


def test_confusion_and_scores_of_eight_pixels():
    matrix = metrics.confusion_matrix(TRUTH, SEEN, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 1], [0, 0, 1]]
    # Class 0: 2 right of 3 true, 2 predicted: 2 / 3. Class 1: 2 / (3 + 3 - 2). Class 2: 1 / (1 + 2 - 1).
    assert metrics.iou_per_class(matrix) == pytest.approx([2 / 3, 2 / 4, 1 / 2])
    assert metrics.mean_iou(matrix) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert metrics.pixel_accuracy(matrix) == pytest.approx(5 / 7)
    assert metrics.mean_class_accuracy(matrix) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    matrix = metrics.confusion_matrix(np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 1]]), 3)
    assert metrics.mean_iou(matrix) == pytest.approx(3 / 4)
    assert np.isnan(metrics.iou_per_class(matrix)[2])
    assert np.isnan(metrics.mean_iou(np.zeros((3, 3), int)))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"received \(2, 4\) and \(4, 2\)"):
        metrics.confusion_matrix(TRUTH, SEEN.T, 3)


def test_boundary_pixels_touch_another_class():
    mask = np.zeros((4, 5), np.uint8)
    mask[:, 3:] = 1
    assert np.argwhere(metrics.class_boundary(mask, 1)).tolist() == [[r, 3] for r in range(4)]
    assert np.argwhere(metrics.class_boundary(mask, 0)).tolist() == [[r, 2] for r in range(4)]
    assert not metrics.class_boundary(np.zeros((4, 5), np.uint8), 0).any()


def test_dilate_grows_a_square():
    dot = np.zeros((5, 5), bool)
    dot[2, 2] = True
    assert metrics.dilate(dot, 1).sum() == 9
    assert metrics.dilate(dot, 1)[1:4, 1:4].all()
    corner = np.zeros((5, 5), bool)
    corner[0, 0] = True
    assert metrics.dilate(corner, 2).sum() == 9


def test_boundary_scores_of_an_edge_moved_by_two():
    truth = np.zeros((6, 12), np.uint8)
    truth[:, 6:] = 1
    seen = np.zeros((6, 12), np.uint8)
    seen[:, 8:] = 1
    near, far = metrics.BoundaryScores(2, 1), metrics.BoundaryScores(2, 2)
    near.update(truth, seen)
    far.update(truth, seen)
    assert near.f_score() == pytest.approx([0, 0])
    assert far.f_score() == pytest.approx([1, 1])
    # Radius 1: truth's band of class 1 is columns 6 and 7, the prediction's 8 and 9. Class 0: 4, 5 and 6, 7.
    assert near.iou() == pytest.approx([0, 0])
    # Radius 2: class 1 has 6, 7, 8 against 8, 9, 10; class 0 has 3, 4, 5 against 5, 6, 7. One column of five.
    assert far.iou() == pytest.approx([1 / 5, 1 / 5])


def test_boundary_scores_are_one_for_equal_masks_and_skip_void():
    scores = metrics.BoundaryScores(3, 1)
    truth = np.zeros((6, 12), np.uint8)
    truth[:, 6:] = 1
    scores.update(truth, truth)
    assert scores.iou()[:2] == pytest.approx([1, 1])
    assert scores.f_score()[:2] == pytest.approx([1, 1])
    assert np.isnan(scores.iou()[2])
    hidden = metrics.BoundaryScores(2, 1)
    void = truth.copy()
    void[:, 5:7] = VOID
    hidden.update(void, 1 - truth)
    assert hidden.f_score()[0] != 1


def test_mean_and_calibration():
    assert metrics.mean_of([0.5, np.nan, 1.0]) == 0.75
    assert np.isnan(metrics.mean_of([np.nan]))
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.55, 0.55])
    correct = np.array([1, 1, 1, 0, 1, 0])
    # Four at 0.9 with accuracy 0.75, two at 0.55 with 0.5: (4 * 0.15 + 2 * 0.05) / 6.
    assert metrics.expected_calibration_error(confidence, correct, 10) == pytest.approx(0.7 / 6)


def test_keras_metric_agrees_where_masks_follow_the_grid():
    pytest.importorskip("keras")
    from shared.metrics.segmentation_keras import SampledMeanIoU

    rng = np.random.default_rng(0)
    coarse, seen = rng.integers(0, 3, (2, 4, 6)), rng.integers(0, 3, (2, 4, 6))
    truth = coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)
    truth[:, :4, :8] = VOID
    metric = SampledMeanIoU(3)
    metric.update_state(truth, np.eye(3, dtype="float32")[seen])
    matrix = metrics.confusion_matrix(truth, seen.repeat(4, 1).repeat(4, 2), 3)
    assert float(metric.result()) == pytest.approx(metrics.mean_iou(matrix), abs=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0
