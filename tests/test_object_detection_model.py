"""The detector's network and its wiring: points, freezing, weight decay, batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from apps.object_detection.config import VARIANTS, Config
from apps.object_detection.contract_cases import tiny_dataset
from shared.data.pyramid import pyramid_points

keras = pytest.importorskip("keras")
SMALL = Config(
    image_height_px=64, image_width_px=96, channels=8, head_depth=1, bins=8, batch_size=4, passes_per_epoch=2
)


@pytest.fixture(scope="module")
def detector():
    from apps.object_detection.model import build_detector
    from shared.backbones.efficientnet_lite0 import build_efficientnet_lite0

    keras.utils.set_random_seed(0)
    return build_detector(build_efficientnet_lite0(dropout=0.0), SMALL, num_classes=2)


def test_one_row_of_logits_for_every_point(detector):
    points, _ = pyramid_points(SMALL.image_size_px)
    assert detector.output_shape == (None, len(points), 2 + 4 * 8)
    out = np.asarray(detector(np.zeros((1, 64, 96, 3), "float32")))
    # Before training every score is about the prior, and boxes are small.
    scores = 1 / (1 + np.exp(-out[..., :2]))
    assert 0.003 < scores.mean() < 0.03


def test_rows_of_logits_stand_in_the_order_of_the_points(detector):
    """Each level's map, read row by row as `pyramid_points` does, is its stretch of the logits."""
    maps = [detector.get_layer(f"level_{stride}").output for stride in (8, 16, 32)]
    image = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    *levels, logits = keras.Model(detector.inputs, [*maps, detector.output])(image)
    points, strides = pyramid_points(SMALL.image_size_px)
    for stride, level in zip((8, 16, 32), levels, strict=True):
        level, stretch = np.asarray(level)[0], np.asarray(logits)[0][strides == stride]
        for (x, y), row in zip(points[strides == stride], stretch, strict=True):
            np.testing.assert_array_equal(level[int(y // stride), int(x // stride)], row)


def test_freezing_keeps_stages_and_norms(detector):
    from apps.object_detection.model import freeze

    freeze(detector, 0, norms=False)
    everything = len(detector.trainable_weights)
    freeze(detector, 3, norms=True)
    names = [w.path for w in detector.trainable_weights]
    assert len(names) < everything
    assert not [n for n in names if "stem" in n or "block1" in n or "block2" in n]
    inside = [n for n in names if n.startswith("backbone") or "block" in n]
    assert inside
    assert not [n for n in inside if "gamma" in n or "beta" in n]
    assert [n for n in names if "pyramid" in n and "gamma" in n]
    freeze(detector, 8, norms=True)
    assert not [w.path for w in detector.trainable_weights if "block" in w.path]
    freeze(detector, 0, norms=False)
    assert len(detector.trainable_weights) == everything


def test_weight_decay_spares_biases_and_norms(detector):
    from apps.object_detection.task import TASK

    config = dataclasses.replace(SMALL, weight_decay=0.1)
    TASK.compile(detector, config, TASK.phases(config)[0], steps_per_epoch=4)
    optimizer = detector.optimizer
    optimizer.build(detector.trainable_variables)
    decayed = {v.path for v in detector.trainable_variables if optimizer._use_weight_decay(v)}
    assert any("kernel" in path for path in decayed)
    assert not [path for path in decayed if path.endswith(("bias", "gamma", "beta"))]
    # Warm-up from a twentieth to the peak, then down to a hundredth of it.
    steps = 4 * config.passes_per_epoch * config.epochs
    rates = [float(optimizer._learning_rate(step)) for step in (0, round(steps * config.warmup_share), steps)]
    np.testing.assert_allclose(rates, np.array([1 / 20, 1, 0.01]) * config.learning_rate, rtol=0.02)


def test_batches_hold_every_picture_once_a_pass_and_repeat_with_the_seed(tmp_path):
    from apps.object_detection.task import TASK

    tiny_dataset(tmp_path / "data")
    config = dataclasses.replace(SMALL, data=str(tmp_path / "data"))
    splits = TASK.load_splits(config)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 2, 2)
    first = list(TASK.batches(splits.train, config, splits, training=True).as_numpy_iterator())
    assert [len(x) for x, _ in first] == [4, 4, 4]
    images, targets = first[0]
    assert images.shape == (4, 64, 96, 3)
    assert -1.01 < images.min() < images.max() < 1.01
    assert targets.shape == (4, 2, 5)
    assert set(np.unique(targets[..., 0])) <= {-1, 0, 1}
    again = next(iter(TASK.batches(splits.train, config, splits, training=True).as_numpy_iterator()))
    np.testing.assert_array_equal(again[1], targets)
    x, y = next(iter(TASK.batches(splits.validation, config, splits, training=False).as_numpy_iterator()))
    np.testing.assert_allclose(y[0, :, 1:], splits.validation[0].boxes, atol=1e-4)
    assert x.shape[0] == 2


def test_data_check_and_baseline(tmp_path):
    from apps.object_detection.task import TASK

    tiny_dataset(tmp_path / "data")
    config = dataclasses.replace(SMALL, data=str(tmp_path / "data"))
    splits = TASK.load_splits(config)
    check = TASK.check_data(splits, config)
    assert check.counts[1] == {"class": "disc", "train": 6, "validation": 2, "test": 2} | {
        "median side px": check.counts[1]["median side px"]
    }
    assert 18 <= check.counts[1]["median side px"] <= 30
    assert check.contact_sheet.startswith(b"\x89PNG")
    scores = TASK.baseline(splits, config)
    assert 0 <= scores["map"] <= scores["map50"] < 1


def test_shipped_config_is_the_readme_command():
    assert next(iter(VARIANTS)) == "blood_cells"
    assert VARIANTS["blood_cells"].rotate


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("image_height_px", 100, "multiples of 32"),
        ("frozen_stages", 9, "frozen_stages must be in"),
        ("passes_per_epoch", 0, "passes_per_epoch must be 1"),
        ("scale_min", 2.0, "scale_min must be above 0 and at most scale_max"),
    ],
)
def test_wrong_options_are_named(option, value, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **{option: value})
