"""From picture to mask and from mask to what the page shows, in NumPy."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from apps.segmentation import answers
from apps.segmentation.preprocessing import (
    FILL,
    Processor,
    argmax_and_confidence,
    padded_size,
    upsample_logits,
    working_size,
)
from shared.results import Segmentation

rng = np.random.default_rng(0)
NAMES = ["ground", "square", "disc"]
SETTINGS = {"side_px": 64, "class_names": NAMES, "colours": [[9, 9, 9], [200, 0, 0], [0, 0, 250]]}


@pytest.mark.parametrize(
    ("size", "working", "padded"),
    [((360, 480), (48, 64), (64, 64)), ((64, 64), (64, 64), (64, 64)), ((2000, 3), (64, 1), (64, 32))],
)
def test_sizes(size, working, padded):
    assert working_size(size, 64) == working
    assert padded_size(working) == padded


def test_preprocess_keeps_pixels_and_pads_with_grey():
    image = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    inputs = Processor(SETTINGS, "").preprocess(image)["images"]
    assert inputs.shape == (64, 64, 3)
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs[:48], image)
    assert (inputs[48:] == FILL).all()


def bilinear(logits, input_px, inside_px, size_px):
    """Pixel by pixel, as the formula says."""
    height, width, classes = logits.shape
    result = np.zeros((classes, *size_px))
    for y in range(size_px[0]):
        for x in range(size_px[1]):
            row = ((y + 0.5) * inside_px[0] / size_px[0]) / (input_px[0] / height) - 0.5
            column = ((x + 0.5) * inside_px[1] / size_px[1]) / (input_px[1] / width) - 0.5
            row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            top, left = int(row), int(column)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = row - top, column - left
            upper = logits[top, left] * (1 - b) + logits[top, right] * b
            lower = logits[below, left] * (1 - b) + logits[below, right] * b
            result[:, y, x] = upper * (1 - a) + lower * a
    return result


@pytest.mark.parametrize("size", [(48, 64), (13, 17), (90, 121), (1, 5)])
def test_upsampled_logits_follow_the_formula(size):
    logits = rng.normal(size=(16, 16, 3)).astype(np.float32)
    inside = working_size(size, 64)
    found = upsample_logits(logits, (64, 64), inside, size)
    assert np.allclose(found, bilinear(logits, (64, 64), inside, size), atol=1e-5)


def test_upsampling_equals_the_loss():
    keras = pytest.importorskip("keras")
    logits = rng.normal(size=(8, 10, 3)).astype(np.float32)
    expected = keras.ops.image.resize(logits[None], (32, 40), interpolation="bilinear")[0]
    found = upsample_logits(logits, (32, 40), (32, 40), (32, 40))
    assert np.allclose(found.transpose(1, 2, 0), expected, atol=1e-5)


def test_one_cell_is_enough():
    found = upsample_logits(np.array([[[1.0, 2.0]]], np.float32), (32, 32), (32, 32), (3, 3))
    assert np.allclose(found, np.array([1, 2])[:, None, None])


def test_argmax_and_confidence_by_hand():
    logits = np.log(np.array([[0.2, 0.5], [0.7, 0.5], [0.1, 0.0001]], np.float32))[:, None]
    mask, confidence = argmax_and_confidence(logits)
    assert mask.tolist() == [[1, 0]]  # Of two equal ones the first, as np.argmax.
    assert confidence[0] == pytest.approx([0.7, 0.5], abs=1e-4)
    _, softer = argmax_and_confidence(logits, temperature=2.0)
    roots = np.sqrt([0.2, 0.7, 0.1])
    assert softer[0, 0] == pytest.approx(roots[1] / roots.sum(), abs=1e-5)


class MadeGraph:
    """Class 1 where the input is red, 2 where it is blue, at a quarter of the size."""

    def __init__(self):
        self.shapes = []

    def __call__(self, inputs):
        images = inputs["images"]
        self.shapes.append(images.shape)
        small = images[:, 2::4, 2::4]
        return {"logits": np.stack([np.full(small.shape[:3], 100.0), small[..., 0], small[..., 2]], -1)}


def made_picture():
    image = np.zeros((48, 64, 3), np.uint8)
    image[8:24, 8:24, 0] = 255
    image[28:44, 36:60, 2] = 255
    return image


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_views_of_the_processor(flip, scale):
    graph = MadeGraph()
    processor = Processor(SETTINGS | {"flip": flip, "serve_scale": scale}, "")
    result = processor.run({"model": graph}, [made_picture()])[0]
    assert isinstance(result, Segmentation)
    assert result.mask.shape == result.confidence.shape == (48, 64)
    assert result.mask[16, 16] == 1
    assert result.mask[36, 48] == 2
    assert result.mask[2, 2] == result.mask[40, 10] == 0
    assert result.areas()["square"] == pytest.approx(256 / 3072, rel=0.35)
    side = 64 if scale == 1 else 96
    assert graph.shapes == [(2 if flip else 1, side if scale > 1 else 64, side, 3)]


def test_offsets_are_added_to_the_logits():
    plain = Processor(SETTINGS, "").low_logits(MadeGraph(), made_picture())
    moved = Processor(SETTINGS | {"logit_offsets": [-200.0, 0.0, 3.0]}, "")
    assert np.allclose(moved.low_logits(MadeGraph(), made_picture()) - plain, [-200.0, 0.0, 3.0])
    assert not (moved.run({"model": MadeGraph()}, [made_picture()])[0].mask == 0).any()


@pytest.mark.parametrize("size", [(2, 2), (31, 200), (480, 360)])
def test_any_size_is_kept(size):
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    result = Processor(SETTINGS, "").run({"model": MadeGraph()}, [image])[0]
    assert result.mask.shape == size
    assert result.to_json()["image_size_px"] == {"height": size[0], "width": size[1]}


def made_answer():
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 1:4] = 1
    mask[4:6, 5:8] = 1
    mask[0, 7] = 2
    confidence = np.full((6, 8), 0.5, np.float32)
    confidence[mask == 1] = 0.8
    image = np.full((6, 8, 3), 100, np.uint8)
    colours = np.array(SETTINGS["colours"], np.uint8)
    result = Segmentation(mask, confidence, NAMES)
    return answers.Answer(result, colours, image, mask, np.rint(confidence * 255).astype(np.uint8), 1.0)


def test_paint_with_opacity_and_filter():
    answer = made_answer()
    assert np.array_equal(answers.paint_classes(answer, 0.0), answer.shown)
    full = answers.paint_classes(answer, 1.0)
    assert full[1, 1].tolist() == [200, 0, 0]
    half = answers.paint_classes(answer, 0.5, ["disc"])
    assert half[1, 1].tolist() == [100, 100, 100]
    assert half[0, 7].tolist() == [50, 50, 175]


def test_paint_confidence_ends_of_the_scale():
    answer = made_answer()
    answer.shown_confidence[0, 0], answer.shown_confidence[0, 1] = 0, 255
    painted = answers.paint_confidence(answer, 1.0)
    assert painted[0, 0].tolist() == [68, 1, 84]
    assert painted[0, 1].tolist() == [253, 231, 37]


def test_a_click_names_one_connected_region():
    found = answers.region_at(made_answer(), 2, 1)
    assert (found.label, int(found.inside.sum())) == ("square", 6)
    assert found.share == pytest.approx(6 / 48)
    assert found.confidence == pytest.approx(0.8, abs=0.01)
    outside = answers.region_at(made_answer(), 999, -5)
    assert outside.label == "disc"


def test_connected_equals_a_plain_search():
    allowed = rng.random((30, 40)) < 0.62
    row, column = np.argwhere(allowed)[5]
    reached, waiting = {(row, column)}, [(row, column)]
    while waiting:
        y, x = waiting.pop()
        for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            inside = 0 <= near[0] < 30 and 0 <= near[1] < 40
            if inside and allowed[near] and near not in reached:
                reached.add(near)
                waiting.append(near)
    found = answers.connected(allowed, int(row), int(column))
    assert {tuple(p) for p in np.argwhere(found)} == reached


def test_outline_changes_only_the_region():
    inside = np.zeros((10, 10), bool)
    inside[2:8, 2:8] = True
    picture = np.full((10, 10, 3), 77, np.uint8)
    drawn = answers.outline(picture, inside)
    assert (drawn[~inside] == 77).all()
    assert (drawn[2, 2:8] == 255).all()
    assert (drawn[3, 3:7] == 0).all()
    assert (drawn[4:6, 4:6] == 77).all()


def test_mask_png_is_indexed_and_filtered():
    answer = made_answer()
    with Image.open(io.BytesIO(answers.mask_png(answer))) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), answer.result.mask)
        assert picture.getpalette()[3:6] == [200, 0, 0]
    with Image.open(io.BytesIO(answers.mask_png(answer, ["square"]))) as picture:
        values = np.asarray(picture)
    assert set(np.unique(values)) == {1, 255}


def test_run_lengths_by_hand():
    inside = np.array([[0, 1, 1], [0, 1, 0]], bool)
    # Down the columns: 0 0 | 1 1 | 1 0.
    assert answers.run_lengths(inside) == [2, 3, 1]
    assert answers.run_lengths(~inside) == [0, 2, 3, 1]


def test_rle_json_is_cocos():
    coco = pytest.importorskip("pycocotools.mask")
    answer = made_answer()
    content = json.loads(answers.rle_json(answer, None, "m", "a.png"))
    assert [s["label"] for s in content["segments"]] == NAMES
    assert sum(s["area_px"] for s in content["segments"]) == 48
    for segment in content["segments"]:
        code = coco.frPyObjects(segment["segmentation"], 6, 8)
        assert np.array_equal(coco.decode(code), answer.result.mask == segment["class_index"])
        assert int(coco.area(code)) == segment["area_px"]


def test_legend_is_ordered_by_area():
    rows = answers.legend_rows(made_answer())
    assert [r["label"] for r in rows] == ["ground", "square", "disc"]
    assert rows[1]["share"] == pytest.approx(12 / 48)
    assert rows[1]["confidence"] == pytest.approx(0.8)
    assert rows[1]["colour"] == "#c80000"


def test_large_pictures_are_shown_smaller():
    assert answers.shown_size((3000, 4000)) == (960, 1280)
    assert answers.shown_size((360, 480)) == (360, 480)
