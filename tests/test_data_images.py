"""Image geometry: sizes, places, and boxes that come back to where they were."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.data.images import center_crop, contact_sheet, encode_png, letterbox, resize, resize_short_side


def photo(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 0 * x], -1).astype(np.uint8)


def test_resize_shapes_and_antialiasing():
    assert resize(photo(30, 50), (10, 20)).shape == (10, 20, 3)
    assert resize(photo(30, 50)[..., :1], (10, 20)).shape == (10, 20, 1)
    assert resize(photo(30, 50)[..., 0], (10, 20)).shape == (10, 20)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize(stripes, (8, 8))
    assert np.abs(small.astype(int) - 127).max() < 20


def test_nearest_invents_no_classes():
    mask = np.random.default_rng(0).choice([0, 3, 9], (40, 40)).astype(np.uint8)
    assert set(np.unique(resize(mask, (17, 23), "nearest"))) <= {0, 3, 9}


def test_resize_refuses_other_methods_and_dtypes():
    with pytest.raises(ValueError, match="method"):
        resize(photo(4, 4), (2, 2), "magic")
    with pytest.raises(ValueError, match="uint8"):
        resize(photo(4, 4).astype(np.float32), (2, 2))


@pytest.mark.parametrize(("height", "width"), [(30, 50), (50, 30), (31, 31)])
def test_short_side(height, width):
    result = resize_short_side(photo(height, width), 16)
    assert min(result.shape[:2]) == 16
    assert abs(result.shape[1] / result.shape[0] - width / height) < 0.05


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (7, 900)])
def test_letterbox_round_trip(height, width, center):
    image, placement = letterbox(photo(height, width), (320, 320), center=center, fill=7)
    assert image.shape == (320, 320, 3)
    boxes = np.float32([[0, 0, width, height], [width * 0.2, height * 0.1, width * 0.7, height * 0.9]])
    moved = placement.boxes_to_input(boxes)
    assert moved.min() >= 0
    assert moved.max() <= 320
    np.testing.assert_allclose(placement.boxes_to_original(moved), boxes, atol=0.01)
    assert placement.crop(image).shape[:2] == placement.inside_px
    outside = image.copy()
    placement.crop(outside)[:] = 7
    assert (outside == 7).all()


def test_center_crop_takes_the_middle():
    image = photo(100, 200)
    square, placement = center_crop(image, 50, 0.5)
    assert square.shape == (50, 50, 3)
    np.testing.assert_array_equal(square, image[25:75, 75:125])
    np.testing.assert_allclose(placement.boxes_to_input(np.float32([[75, 25, 125, 75]])), [[0, 0, 50, 50]])
    with pytest.raises(ValueError, match="fraction"):
        center_crop(image, 50, 0)


def test_contact_sheet_is_a_picture():
    sheet = Image.open(io.BytesIO(contact_sheet([photo(9, 30)] * 11, ["a very long caption " * 5] * 11)))
    assert sheet.size == (8 * 128, 2 * (128 + 16))
    png = Image.open(io.BytesIO(encode_png(photo(5, 6))))
    np.testing.assert_array_equal(np.array(png), photo(5, 6))
