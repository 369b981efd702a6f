"""Segmentation losses against hand-computed values and NumPy references."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from shared.layers.bilinear import BilinearUpsample, resize_bilinear  # noqa: E402
from shared.losses import segmentation as losses  # noqa: E402

VOID = 255
rng = np.random.default_rng(0)


def test_class_weights_of_three_classes():
    # Frequencies 0.8, 0.15, 0.05; their median is 0.15.
    raw = np.array([0.15 / 0.8, 1.0, 3.0])
    mean = raw @ [0.8, 0.15, 0.05]
    assert losses.class_weights([80, 15, 5], 1.0) == pytest.approx(raw / mean)
    assert losses.class_weights([80, 15, 5], 0.0) == pytest.approx([1, 1, 1])
    soft = np.sqrt(raw)
    assert losses.class_weights([80, 15, 5], 0.5) == pytest.approx(soft / (soft @ [0.8, 0.15, 0.05]))
    assert losses.class_weights([10, 0, 30], 1.0)[1] == 0


@pytest.mark.parametrize(("counts", "power"), [([0, 0], 1.0), ([1, 2], 1.5)])
def test_class_weights_refuse_nonsense(counts, power):
    with pytest.raises(ValueError, match="received"):
        losses.class_weights(counts, power)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_cross_entropy_with_weights_smoothing_and_void():
    logits = rng.normal(size=(1, 2, 3, 4)).astype("float32")
    labels = np.array([[[0, 1, VOID], [3, 2, 1]]], np.uint8)
    weights = [0.5, 1.0, 2.0, 3.0]
    expected = 0.0
    log_p = np.log(softmax(logits.astype(float)))[0].reshape(-1, 4)
    for p, label in zip(log_p, labels.ravel(), strict=True):
        if label != VOID:
            target = 0.9 * np.eye(4)[label] + 0.1 / 4
            expected -= weights[label] * (target @ p)
    value = losses.SegmentationLoss(weights, label_smoothing=0.1)(labels, logits)
    assert float(value) == pytest.approx(expected / 5, rel=1e-5)


def test_void_has_no_gradient():
    import tensorflow as tf

    for region in ("none", "dice", "lovasz"):
        logits = tf.Variable(rng.normal(size=(1, 4, 4, 3)).astype("float32"))
        labels = rng.integers(0, 3, (1, 4, 4)).astype(np.uint8)
        labels[0, :2] = VOID
        with tf.GradientTape() as tape:
            value = losses.SegmentationLoss(region=region, region_stride=1)(labels, logits)
        gradient = tape.gradient(value, logits).numpy()
        assert not gradient[0, :2].any(), region
        assert gradient[0, 2:].any(), region


def lovasz_reference(labels, probabilities):
    """The algorithm of the paper, one class at a time, void removed first."""
    keep = labels != VOID
    labels, probabilities = labels[keep], probabilities[keep]
    values = []
    for c in range(probabilities.shape[1]):
        truth = (labels == c).astype(float)
        if not truth.sum():
            continue
        errors = np.abs(truth - probabilities[:, c])
        order = np.argsort(-errors, kind="stable")
        truth, errors = truth[order], errors[order]
        jaccard = 1 - (truth.sum() - truth.cumsum()) / (truth.sum() + (1 - truth).cumsum())
        jaccard[1:] -= jaccard[:-1].copy()
        values.append(errors @ jaccard)
    return np.mean(values)


def test_lovasz_is_the_papers():
    labels = rng.integers(0, 3, 40)
    labels[::7] = VOID
    probabilities = softmax(rng.normal(size=(40, 4))).astype("float32")
    value = losses.lovasz_softmax(keras.ops.convert_to_tensor(labels.astype("int32")), probabilities, 4)
    assert float(value) == pytest.approx(lovasz_reference(labels, probabilities.astype(float)), rel=1e-4)


def test_lovasz_of_hard_answers_is_one_minus_iou():
    labels = np.array([0, 0, 0, 1, 1], "int32")
    seen = np.array([0, 0, 1, 1, 1])
    # Class 0: 2 / 3, class 1: 2 / 3.
    value = losses.lovasz_softmax(keras.ops.convert_to_tensor(labels), np.eye(2, dtype="float32")[seen], 2)
    assert float(value) == pytest.approx(1 - 2 / 3, abs=1e-5)


def test_dice_by_hand():
    labels = keras.ops.convert_to_tensor(np.array([0, 1, VOID], "int32"))
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.0, 1.0]], "float32")
    # Class 0: 2 * 0.8 / (1 + 1.2); class 1: 2 * 0.6 / (1 + 0.8).
    expected = 1 - (1.6 / 2.2 + 1.2 / 1.8) / 2
    assert float(losses.soft_dice(labels, probabilities, 2)) == pytest.approx(expected, rel=1e-5)


def test_logits_are_enlarged_to_the_labels():
    logits = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    labels = rng.integers(0, 4, (2, 12, 20)).astype(np.uint8)
    large = keras.ops.convert_to_numpy(resize_bilinear(logits, (12, 20)))
    loss = losses.SegmentationLoss()
    assert float(loss(labels, logits)) == pytest.approx(float(loss(labels, large)), rel=1e-6)


@pytest.mark.parametrize("options", [{"region": "iou"}, {"label_smoothing": 1.0}])
def test_wrong_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        losses.SegmentationLoss(**options)


def test_loss_and_layer_come_back_from_their_config():
    loss = losses.SegmentationLoss([1.0, 2.0], 0.1, "lovasz", 0.5)
    again = losses.SegmentationLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    layer = BilinearUpsample(4, name="up")
    assert BilinearUpsample.from_config(layer.get_config()).factor == 4
    assert layer.compute_output_shape((None, 3, None, 8)) == (None, 12, None, 8)


def test_upsample_equals_keras_and_takes_unknown_sizes():
    import tensorflow as tf

    x = rng.normal(size=(1, 3, 5, 2)).astype("float32")
    layer = BilinearUpsample(2)
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    assert np.allclose(layer(x), expected, atol=1e-6)
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 2))])
    assert np.allclose(unknown(x), expected, atol=1e-6)
