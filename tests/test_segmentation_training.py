"""Model, optimizer, augmentation and scores of segmentation on made data."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from apps.segmentation import augmentation, optimization  # noqa: E402
from apps.segmentation.config import SegmentationConfig  # noqa: E402
from apps.segmentation.contract_cases import tiny_dataset  # noqa: E402
from apps.segmentation.evaluation import score_baseline  # noqa: E402
from apps.segmentation.model import build_model, is_backbone  # noqa: E402
from apps.segmentation.task import TASK  # noqa: E402
from shared.config import parse_config  # noqa: E402
from shared.files.errors import DataError  # noqa: E402
from shared.layers.segmentation_decoders import DECODERS  # noqa: E402

VOID = 255


@pytest.mark.parametrize("decoder", list(DECODERS))
def test_decoders_give_quarter_size_logits_and_reload(decoder, tmp_path):
    config = SegmentationConfig(backbone="random", decoder=decoder, channels=16)
    model = build_model(config, 5)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype("float32")
    logits = model(images, training=False)
    assert logits.shape == (2, 16, 24, 5)
    assert model.output_names == ["logits"]
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    assert np.allclose(again(images, training=False), logits, atol=1e-5)


def test_frozen_levels_and_two_rates():
    model = build_model(SegmentationConfig(backbone="random", channels=16, frozen_levels=2), 3)
    backbone = [v.path for v in model.trainable_variables if is_backbone(v)]
    assert backbone
    assert not any("block1" in p or "block2" in p or "stem" in p or "bn" in p for p in backbone)
    assert any("block3a" in p for p in backbone)
    everything = build_model(
        SegmentationConfig(backbone="random", channels=16, frozen_levels=0, freeze_batch_norm=False), 3
    )
    assert any("stem_conv" in v.path for v in everything.trainable_variables)
    assert any("unet_logits" in v.path for v in everything.trainable_variables if not is_backbone(v))


def test_slow_variables_move_less():
    slow, fast = keras.Variable([1.0], name="slow"), keras.Variable([1.0], name="fast")
    optimizer = optimization.TwoRateAdamW(0.1, slow_rate=0.1, weight_decay=0.0, is_slow=lambda v: v is slow)
    optimizer.build([slow, fast])
    optimizer.apply([tf.constant([1.0]), tf.constant([1.0])])
    assert 1 - float(fast[0]) == pytest.approx(0.1, rel=1e-3)
    assert 1 - float(slow[0]) == pytest.approx(0.01, rel=1e-3)


def test_rate_rises_and_falls():
    assert optimization.rate_at(0.05, 0.1) == pytest.approx(0.5)
    assert optimization.rate_at(0.1, 0.1) == pytest.approx(1.0)
    assert optimization.rate_at(0.55, 0.1) == pytest.approx(0.505)
    assert optimization.rate_at(1.0, 0.1) == pytest.approx(0.01)


def test_a_time_budget_ends_training(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(optimization.time, "monotonic", lambda: now[0])
    callback = optimization.CosineRate(1.0, 0.0, max_minutes=1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback.set_model(model)
    callback.set_params({"epochs": 100, "steps": 10})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.on_train_batch_begin(5)
    assert float(model.optimizer.learning_rate) > 0.99
    now[0] = 30.0
    callback.on_train_batch_begin(6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.505, abs=0.01)
    callback.on_train_batch_end(6)
    assert not model.stop_training
    now[0] = 61.0
    callback.on_train_batch_end(7)
    assert model.stop_training


def test_batch_norm_is_recomputed_for_the_weights_at_hand():
    images = [np.random.default_rng(i).normal(3, 2, (4, 5, 5, 2)).astype("float32") for i in range(3)]
    model = keras.Sequential([keras.Input((5, 5, 2)), keras.layers.BatchNormalization(momentum=0.9)])
    norm = model.layers[0]
    callback = optimization.RefreshBatchNorm([(x, None) for x in images])
    callback.set_model(model)
    for _ in range(2):
        callback.on_test_begin()
        mean = np.mean([x.mean((0, 1, 2)) for x in images], axis=0)
        variance = np.mean([x.var((0, 1, 2)) for x in images], axis=0)
        assert np.allclose(norm.moving_mean, mean, atol=1e-4)
        assert np.allclose(norm.moving_variance, variance, rtol=1e-3)
    assert norm.momentum == 0.9
    norm.trainable = False
    norm.moving_mean.assign([0.0, 0.0])
    callback.on_test_begin()
    assert np.allclose(norm.moving_mean, 0)


def test_crops_carry_their_masks_along():
    """The picture shows its own mask: after any crop, enlargement and mirror image they still agree."""
    config = SegmentationConfig(crop_height_px=64, crop_width_px=64, colour_jitter=0)
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 3, (6, 8, 8)).astype(np.uint8)
    masks = blocks.repeat(16, 1).repeat(16, 2)
    images = np.repeat((masks * 100)[..., None], 3, -1)
    inputs = {"image": tf.constant(images), "size": tf.constant([[96, 128]] * 6)}
    augment = augmentation.build_augment(config)
    padded = 0
    for _ in range(4):
        x, y = (t.numpy() for t in augment(inputs, tf.constant(masks)))
        assert x.shape == (6, 64, 64, 3)
        assert y.dtype == np.uint8
        known = y != VOID
        assert known.mean() > 0.2
        assert np.mean(np.abs(x[..., 0][known] - y[known] * 100.0) < 50) > 0.9
        assert np.allclose(x[~known], 127)
        padded += np.count_nonzero(~known)
    assert padded, "half size must show the border"


def test_without_augmentation_the_picture_stays():
    config = SegmentationConfig(
        crop_height_px=64, crop_width_px=96, min_scale=1, max_scale=1, flip=False, colour_jitter=0
    )
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.uint8)
    inputs = {"image": tf.constant(image), "size": tf.constant([[64, 96]])}
    x, y = augmentation.build_augment(config)(inputs, tf.constant(image[..., 0] % 3))
    assert np.allclose(x, image, atol=1e-2)
    assert np.array_equal(y, image[..., 0] % 3)


def test_colours_stay_in_range_and_change():
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)), tf.float32)
    changed = augmentation.jitter_colours(images, 1.0).numpy()
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.abs(changed - images).mean() > 3


def config_of(folder, *flags):
    return parse_config(
        TASK.config_class, TASK.variants, ["--variant", "mine", *tiny_dataset(folder), *flags]
    )


def test_task_counts_and_baseline(tmp_path):
    config = config_of(tmp_path)
    splits = TASK.load_splits(config)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 2, 2)
    check = TASK.check_data(splits, config)
    assert [r["class"] for r in check.counts] == ["ground", "square", "disc"]
    assert sum(r["train pixels %"] for r in check.counts) == pytest.approx(100, abs=0.01)
    assert check.contact_sheet.startswith(b"\x89PNG")
    # Both shapes move, so ground wins nearly everywhere.
    scores = score_baseline(splits, config)
    assert 0.2 < scores["mean_iou"] < 0.7
    images, masks = next(iter(TASK.batches(splits.validation, config, splits, training=False)))
    assert images.shape == (2, 64, 64, 3)
    assert (masks.numpy()[:, 48:] == VOID).all()


def test_ten_pictures_of_your_own_are_learned(tmp_path):
    """A few steps on the README's kind of folder beat the baseline by far, through the real callbacks."""
    config = config_of(tmp_path, "--epochs", "8", "--passes", "6", "--min_scale", "0.9", "--max_scale", "1.2")
    keras.utils.set_random_seed(0)
    splits = TASK.load_splits(config)
    model = TASK.build_model(config, splits)
    TASK.compile(model, config, TASK.phases(config)[0], 2)
    history = model.fit(
        TASK.batches(splits.train, config, splits, training=True),
        epochs=8,
        verbose=0,
        callbacks=TASK.callbacks(config, splits),
        validation_data=TASK.batches(splits.validation, config, splits, training=False),
    ).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert history["mean_iou"][-1] > 0.7
    assert history["learning_rate"][-1] < 0.05 * config.learning_rate


@pytest.mark.parametrize(
    ("option", "value"),
    [("crop_height_px", 100), ("side_px", 0), ("min_scale", 3.0), ("frozen_levels", 6), ("passes", 0)],
)
def test_wrong_options_are_named(option, value):
    with pytest.raises(ValueError, match=option):
        SegmentationConfig(**{option: value})


def test_no_data_is_explained():
    with pytest.raises(DataError, match="--data FOLDER"):
        TASK.load_splits(SegmentationConfig())
