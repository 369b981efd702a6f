"""Losses and assignment against values computed by hand or by a slow, plain copy in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.data.pyramid import pyramid_points

losses = pytest.importorskip("shared.losses.detection")


def test_giou_of_hand_computed_boxes():
    true = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 4]], "float32")
    pred = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 3, 1], [1, 1, 3, 3]], "float32")
    # Equal: 0. Overlap 1, union 7, enclosing 9: 1 - 1/7 + 2/9. Apart: union 2, enclosing 3: 1 + 1/3.
    # Inside: 4 of 16, the enclosing box is the union: 1 - 1/4.
    expected = [0, 1 - 1 / 7 + 2 / 9, 1 + 1 / 3, 0.75]
    np.testing.assert_allclose(losses.giou_loss(true, pred), expected, atol=1e-5)


def test_pairwise_iou_of_hand_computed_boxes():
    boxes = np.array([[[0, 0, 2, 2], [10, 10, 11, 11]]], "float32")
    others = np.array([[[0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 1, 2]]], "float32")
    np.testing.assert_allclose(losses.pairwise_iou(boxes, others)[0], [[1, 1 / 7, 0.5], [0, 0, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("target", "probability", "expected"),
    [
        (0.0, 0.5, 0.25 * math.log(2)),
        (1.0, 0.9, 0.01 * -math.log(0.9)),
        (0.7, 0.7, 0.0),
        (0.5, 0.8, 0.09 * -(0.5 * math.log(0.8) + 0.5 * math.log(0.2))),
    ],
)
def test_quality_focal_loss_by_hand(target, probability, expected):
    logit = np.array([math.log(probability / (1 - probability))], "float32")
    found = losses.quality_focal_loss(np.array([target], "float32"), logit)
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_quality_focal_loss_is_the_focal_loss_for_hard_targets():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 50).astype("float32")
    targets = rng.integers(0, 2, 50).astype("float32")
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    p_t = np.where(targets == 1, p, 1 - p)
    np.testing.assert_allclose(
        losses.quality_focal_loss(targets, logits), (1 - p_t) ** 2 * -np.log(p_t), rtol=2e-4, atol=1e-6
    )


def test_quality_focal_loss_is_finite_far_out():
    found = np.asarray(
        losses.quality_focal_loss(np.array([0, 1], "float32"), np.array([200, -200], "float32"))
    )
    np.testing.assert_allclose(found, [200, 200])


def test_distribution_focal_loss_by_hand():
    logits = np.zeros((1, 4, 4), "float32")
    # Uniform over 4 bins: -log(1/4) whatever the distance.
    found = losses.distribution_focal_loss(np.array([[0.0, 1.5, 2.0, 9.0]], "float32"), logits)
    np.testing.assert_allclose(found, [math.log(4)], atol=1e-5)
    sharp = np.full((1, 4, 4), -30, "float32")
    sharp[..., 1] = 0
    sharp[..., 2] = math.log(3)
    # p(1) = 1/4 and p(2) = 3/4 are right for 1.75.
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    found = losses.distribution_focal_loss(np.full((1, 4), 1.75, "float32"), sharp)
    np.testing.assert_allclose(found, [expected], atol=1e-5)
    np.testing.assert_allclose(losses.decode_distances(sharp), np.full((1, 4), 1.75), atol=1e-5)


def slow_assignment(scores, predicted, points, strides, class_ids, boxes, top_k):
    """Task-aligned assignment of one picture, point by point."""
    n, classes = scores.shape
    metric, overlap = np.zeros((len(boxes), n)), np.zeros((len(boxes), n))
    candidate = np.zeros((len(boxes), n), bool)
    for m, (box, class_id) in enumerate(zip(boxes, class_ids, strict=True)):
        if class_id < 0:
            continue
        for i, (x, y) in enumerate(points):
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            near = max(abs(x - (box[0] + box[2]) / 2), abs(y - (box[1] + box[3]) / 2)) <= strides.min() / 2
            candidate[m, i] = inside or (near and strides[i] == strides.min())
            p = predicted[i]
            w, h = min(box[2], p[2]) - max(box[0], p[0]), min(box[3], p[3]) - max(box[1], p[1])
            both = max(w, 0) * max(h, 0)
            union = (box[2] - box[0]) * (box[3] - box[1]) + (p[2] - p[0]) * (p[3] - p[1]) - both
            overlap[m, i] = both / union
            metric[m, i] = scores[i, class_id] * overlap[m, i] ** 6
    positive = np.zeros_like(candidate)
    for m in range(len(boxes)):
        mine = np.flatnonzero(candidate[m])
        positive[m, mine[np.argsort(-metric[m, mine])][:top_k]] = True
    for i in range(n):
        if positive[:, i].sum() > 1:
            owner = np.where(positive[:, i], overlap[:, i], -1).argmax()
            positive[:, i] = np.arange(len(boxes)) == owner
    target, quality = np.zeros((n, classes)), np.zeros(n)
    for m in np.flatnonzero(positive.any(axis=1)):
        mine = positive[m]
        t = metric[m, mine] / metric[m, mine].max() * overlap[m, mine].max()
        target[mine, class_ids[m]] = t
        quality[mine] = t
    return target, quality


def test_assignment_equals_a_plain_copy():
    rng = np.random.default_rng(3)
    points, strides = pyramid_points((64, 96))
    n = len(points)
    scores = rng.uniform(0.05, 0.9, (2, n, 3)).astype("float32")
    sides = rng.uniform(4, 30, (2, n, 4)).astype("float32")
    predicted = np.concatenate([points - sides[..., :2], points + sides[..., 2:]], axis=-1)
    # Two that overlap, one smaller than a stride that holds no point, one row of padding.
    boxes = np.tile(
        np.array([[8, 6, 50, 44], [30, 20, 70, 60], [1, 1, 3, 3], [0, 0, 0, 0]], "float32"), (2, 1, 1)
    )
    class_ids = np.tile(np.array([0, 2, 1, -1]), (2, 1))
    target, target_boxes, quality = (
        np.asarray(t)
        for t in losses.assign_targets(scores, predicted, points, strides, class_ids, boxes, top_k=6)
    )
    for i in range(2):
        expected, weight = slow_assignment(
            scores[i], predicted[i], points, strides, class_ids[i], boxes[i], top_k=6
        )
        np.testing.assert_allclose(target[i], expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(quality[i], weight, rtol=1e-3, atol=1e-5)
        chosen = quality[i] > 0
        assert chosen.sum() >= 6
        for box in target_boxes[i][chosen]:
            assert (np.abs(boxes[i] - box).max(axis=1) < 1e-4).any()


def test_loss_of_a_picture_without_objects_only_asks_for_silence():
    loss = losses.DetectionLoss((64, 64), 2, bins=8)
    n = len(pyramid_points((64, 64))[0])
    empty = np.full((1, 3, 5), -1, "float32")
    quiet, loud = np.zeros((1, n, 2 + 32), "float32"), np.zeros((1, n, 2 + 32), "float32")
    quiet[..., :2], loud[..., :2] = -8, 2
    parts = {k: float(v) for k, v in loss.parts(empty, loud).items()}
    assert parts["box_loss"] == parts["distribution_loss"] == 0
    assert float(loss(empty, quiet)) < 1e-3 < 1 < float(loss(empty, loud))


def test_a_perfect_prediction_costs_almost_nothing():
    points, strides = pyramid_points((64, 64))
    box = np.array([8, 8, 40, 40], "float32")
    inside = ((points > box[:2]) & (points < box[2:])).all(axis=1) & (strides == 8)
    y_pred = np.zeros((1, len(points), 2 + 4 * 8), "float32")
    y_pred[..., :2] = -12
    y_pred[0, inside, 1] = 12
    sides = np.concatenate([points - box[:2], box[2:] - points], axis=1)[inside] / 8
    logits = np.full((inside.sum(), 4, 8), -40, "float32")
    for i, row in enumerate(sides):
        for j, side in enumerate(row):
            low = int(side)
            logits[i, j, low] = np.log(max(1 - (side - low), 1e-12))
            logits[i, j, low + 1] = np.log(max(side - low, 1e-12))
    y_pred[0, inside, 2:] = logits.reshape(-1, 32)
    y_true = np.full((1, 2, 5), -1, "float32")
    y_true[0, 0] = [1, *box]
    loss = losses.DetectionLoss((64, 64), 2, bins=8, top_k=16)
    parts = {k: float(v) for k, v in loss.parts(y_true, y_pred).items()}
    assert parts["class_loss"] < 1e-3
    assert parts["box_loss"] < 1e-3
    wrong = y_true.copy()
    wrong[0, 0, 0] = 0
    assert float(loss(wrong, y_pred)) > 5


def test_loss_reloads_from_its_config():
    loss = losses.DetectionLoss((64, 96), 3, bins=8, box_weight=1.5, top_k=7)
    again = losses.DetectionLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
