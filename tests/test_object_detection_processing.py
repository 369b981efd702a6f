"""Decoding, suppression, augmentation and thresholds of the detector, without a network."""

from __future__ import annotations

import numpy as np
import pytest

from apps.object_detection.augmentation import Augmentation, augment, rotate_quarter
from apps.object_detection.preprocessing import (
    Candidates,
    Processor,
    box_iou,
    decode,
    load_input,
    non_maximum_suppression,
)
from shared.data.images import letterbox
from shared.data.pyramid import pyramid_points


def test_iou_by_hand():
    boxes = np.array([[0, 0, 2, 2], [0, 0, 4, 1]], float)
    others = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 5, 5]], float)
    np.testing.assert_allclose(box_iou(boxes, others), [[1 / 7, 1, 0], [0, 2 / 6, 0]])


def test_suppression_by_hand():
    boxes = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [1, 0, 11, 10], [40, 40, 50, 50]], float
    )
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.95])
    classes = np.array([0, 0, 0, 1, 0])
    # IoU of 0 and 1 is 9/11, of 0 and 2 is 5/15, of 1 and 2 is 6/14; box 3 is of another class.
    assert non_maximum_suppression(boxes, scores, classes, 0.5).tolist() == [4, 0, 2, 3]
    assert non_maximum_suppression(boxes, scores, classes, 0.3).tolist() == [4, 0, 3]
    assert non_maximum_suppression(boxes, scores, classes, 0.9).tolist() == [4, 0, 1, 2, 3]
    # 1 is gone before it can drop 2, although the two overlap by more than 0.4.
    assert non_maximum_suppression(boxes, scores, classes, 0.4).tolist() == [4, 0, 2, 3]


def plain_suppression(boxes, scores, classes, threshold):
    """Greedy suppression as it is told in words."""
    left, kept = sorted(range(len(boxes)), key=lambda i: -scores[i]), []
    while left:
        best = left.pop(0)
        kept.append(best)
        survivors = []
        for i in left:
            w = min(boxes[best][2], boxes[i][2]) - max(boxes[best][0], boxes[i][0])
            h = min(boxes[best][3], boxes[i][3]) - max(boxes[best][1], boxes[i][1])
            both = max(0, w) * max(0, h)
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[best], boxes[i])]
            if classes[i] != classes[best] or both / (sum(areas) - both) <= threshold:
                survivors.append(i)
        left = survivors
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_suppression_equals_the_plain_algorithm(threshold):
    rng = np.random.default_rng(7)
    for count in (0, 1, 60):
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], axis=1)
        scores, classes = rng.permutation(count) / 100 + 0.1, rng.integers(0, 3, count)
        found = non_maximum_suppression(boxes, scores, classes, threshold).tolist()
        assert found == plain_suppression(boxes, scores, classes, threshold)


def test_suppression_refuses_a_threshold_that_is_none():
    with pytest.raises(ValueError, match="received 1"):
        non_maximum_suppression(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 1.5)


def test_points_by_hand():
    points, strides = pyramid_points((32, 64))
    assert len(points) == 4 * 8 + 2 * 4 + 1 * 2
    assert points[0].tolist() == [4, 4]
    assert points[1].tolist() == [12, 4]
    assert points[8].tolist() == [4, 12]
    assert points[-1].tolist() == [48, 16]
    assert strides[[0, 32, 40]].tolist() == [8, 16, 32]
    with pytest.raises(ValueError, match="multiples of 32"):
        pyramid_points((30, 64))


def logits_for(size_px, placed, classes=2, bins=16):
    """Network output with one sure box at each `(point index, class, sides in strides)`."""
    n = len(pyramid_points(size_px)[0])
    logits = np.full((n, classes + 4 * bins), -20, np.float32)
    for point, class_id, score, sides in placed:
        logits[point, class_id] = np.log(score / (1 - score))
        for side, distance in enumerate(sides):
            low = int(distance)
            part = distance - low
            start = classes + side * bins
            logits[point, start + low] = np.log(max(1 - part, 1e-9))
            logits[point, start + low + 1] = np.log(max(part, 1e-9))
    return logits


def test_decoding_returns_to_the_pixels_of_the_picture():
    image = np.zeros((128, 256, 3), np.uint8)
    _, placement = letterbox(image, (64, 64), fill=127, center=False)
    assert placement.inside_px == (32, 64)
    # Point 9 of stride 8 lies at (12, 12): a box from (4, 8) to (20, 22) of the input.
    found = decode(logits_for((64, 64), [(9, 1, 0.8, (1.0, 0.5, 1.0, 1.25))]), 2, placement)
    np.testing.assert_allclose(found.boxes, [[16, 32, 80, 88]], atol=0.05)
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-5)
    assert found.image_size_px == (128, 256)


def test_decoding_nothing_gives_nothing():
    _, placement = letterbox(np.zeros((64, 64, 3), np.uint8), (64, 64))
    found = decode(logits_for((64, 64), []), 2, placement)
    assert found.boxes.shape == (0, 4)
    assert len(found.select(["a", "b"], 0.1, 0.5)) == 0


class CountingGraph:
    """Stands for a network: gives fixed logits and counts how often it ran."""

    def __init__(self, logits):
        self.logits, self.runs = logits, 0
        self.input_names, self.output_names = ["images"], ["logits"]

    def __call__(self, inputs):
        self.runs += 1
        return {"logits": np.repeat(self.logits[None], len(inputs["images"]), axis=0)}


@pytest.fixture
def processor(tmp_path):
    settings = {
        "image_size_px": [64, 64],
        "class_names": ["a", "b"],
        "score_threshold": 0.5,
        "iou_threshold": 0.5,
    }
    return Processor(settings, tmp_path)


def test_thresholds_and_filter_act_on_candidates_without_the_network(processor):
    placed = [
        (9, 0, 0.9, (1, 1, 1, 1)),
        (10, 0, 0.6, (1.8, 1, 0.2, 1)),
        (40, 1, 0.3, (1, 1, 1, 1)),
    ]
    graph = CountingGraph(logits_for((64, 64), placed))
    image = np.zeros((64, 64, 3), np.uint8)
    candidates = processor.candidates({"model": graph}, [image])[0]
    assert graph.runs == 1
    assert len(candidates.boxes) == 3
    assert processor.select(candidates).counts() == {"a": 1, "b": 0}
    assert processor.select(candidates, iou_threshold=0.95).counts() == {"a": 2, "b": 0}
    assert processor.select(candidates, score_threshold=0.2).counts() == {"a": 1, "b": 1}
    assert processor.select(candidates, score_threshold=0.2, classes=["b"]).counts() == {"a": 0, "b": 1}
    assert len(processor.select(candidates, classes=[])) == 0
    assert graph.runs == 1
    direct = processor.run({"model": graph}, [image], score_threshold=0.2)[0]
    assert direct.counts() == {"a": 1, "b": 1}
    assert (np.diff(direct.scores) <= 0).all()


def test_pictures_of_any_shape_run_as_one_batch(processor):
    graph = CountingGraph(logits_for((64, 64), [(0, 0, 0.9, (1, 1, 1, 1))]))
    images = [np.zeros(s, np.uint8) for s in ((10, 300, 3), (200, 20, 3), (64, 64, 3))]
    results = processor.run({"model": graph}, images)
    assert graph.runs == 1
    assert [r.image_size_px for r in results] == [(10, 300), (200, 20), (64, 64)]
    for r in results:
        assert (r.boxes >= 0).all()
        assert (r.boxes[:, 2] <= r.image_size_px[1]).all()
        assert (r.boxes[:, 3] <= r.image_size_px[0]).all()


def painted(boxes, size=(60, 80)):
    """Black picture whose boxes are filled with 40, 80, 120 ..."""
    image = np.zeros((*size, 3), np.uint8)
    for index, (x0, y0, x1, y1) in enumerate(boxes.astype(int)):
        image[y0:y1, x0:x1] = 40 * (index + 1)
    return image


def test_a_quarter_turn_moves_boxes_with_their_pixels():
    boxes = np.array([[10, 5, 30, 25], [50, 30, 80, 60]], float)
    image = painted(boxes)
    turned = rotate_quarter(boxes, image.shape[:2]).astype(int)
    picture = np.rot90(image)
    for index, (x0, y0, x1, y1) in enumerate(turned):
        assert (picture[y0:y1, x0:x1] == 40 * (index + 1)).all()
        assert (picture == 40 * (index + 1)).sum() == 3 * (x1 - x0) * (y1 - y0)


def test_augmented_boxes_still_frame_their_objects():
    boxes = np.array([[10, 5, 30, 25], [50, 30, 75, 55]], np.float32)
    image, class_ids = painted(boxes), np.array([3, 5])
    options = Augmentation(color=0)
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        out, moved, kept = augment(image, boxes, class_ids, (96, 128), options, rng)
        assert out.shape == (96, 128, 3)
        assert set(kept) <= {3, 5}
        for box, class_id in zip(moved, kept, strict=True):
            value = 40 if class_id == 3 else 80
            rows, columns = np.nonzero(np.abs(out[..., 0].astype(int) - value) <= 8)
            # The frame of the object's own pixels, found again in the picture, is the box within 2 pixels.
            inside = (
                (columns > box[0] - 3) & (columns < box[2] + 3) & (rows > box[1] - 3) & (rows < box[3] + 3)
            )
            frame = [
                columns[inside].min(),
                rows[inside].min(),
                columns[inside].max() + 1,
                rows[inside].max() + 1,
            ]
            np.testing.assert_allclose(frame, box, atol=2.5)
            seen += 1
    assert seen > 80


def test_augmentation_drops_what_is_no_longer_seen_and_repeats_with_its_seed():
    boxes, ids = np.array([[20, 15, 50, 45]], np.float32), np.array([1])
    image = painted(boxes)
    options = Augmentation(scale=(4.0, 4.0))
    outcomes = [augment(image, boxes, ids, (64, 64), options, np.random.default_rng(s)) for s in range(30)]
    counts = {len(boxes_) for _, boxes_, _ in outcomes}
    assert counts == {0, 1}
    again = augment(image, boxes, ids, (64, 64), options, np.random.default_rng(4))
    np.testing.assert_array_equal(again[0], outcomes[4][0])


def test_training_sees_what_serving_sees(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)
    still = Augmentation(scale=(1, 1), aspect=0, flip_vertical=False, rotate=False, color=0)
    served, _ = load_input(image, (96, 128))
    for seed in range(8):
        out, _, _ = augment(
            image, np.zeros((0, 4)), np.zeros(0, int), (96, 128), still, np.random.default_rng(seed)
        )
        mirrored = np.abs(out[:, ::-1].astype(int) - served).max()
        assert min(mirrored, np.abs(out.astype(int) - served).max()) <= 1


def test_candidates_keep_at_most_the_limit():
    n = 500
    corner = np.tile(np.arange(n)[:, None] * 20.0, (1, 2))
    boxes = np.concatenate([corner, corner + 10], axis=1)
    candidates = Candidates(boxes, np.linspace(1, 0.5, n), np.zeros(n, int), (9999, 9999))
    assert len(candidates.select(["a"], 0.0, 0.5)) == 300
