"""The networks: shapes, frozen parts, views, optimizer and augmentation do what they claim."""

import dataclasses

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from apps.image_classification import model as networks  # noqa: E402
from apps.image_classification.augmentation import build_augmentation, mirrored_first  # noqa: E402
from apps.image_classification.config import CIFAR10, VARIANTS, ImageClassificationConfig  # noqa: E402
from apps.image_classification.data import class_weights  # noqa: E402
from apps.image_classification.optimization import (  # noqa: E402
    FastBiasSGD,
    Lookahead,
    TriangularSchedule,
    build_optimizer,
)
from shared.data.image_folder import LabelledImage  # noqa: E402

SMALL = dataclasses.replace(CIFAR10, width=(8, 16))
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (40, 32, 32, 3)).astype(np.uint8)


def test_known_sizes():
    assert networks.build_resnet20(CIFAR10, 10).count_params() == pytest.approx(0.27e6, rel=0.03)
    wide = dataclasses.replace(CIFAR10, width=(64, 256))
    assert networks.build_airbench(wide, 10).count_params() == pytest.approx(1.97e6, rel=0.01)


@pytest.mark.parametrize("build", [networks.build_airbench, networks.build_resnet20])
def test_class_maps_explain_the_logits(build):
    network = build(SMALL, 10)
    graph = networks.serving_graph(network, dataclasses.replace(SMALL, test_time_views=1))
    logits, maps, features = (np.array(v) for v in graph(IMAGES[:4].astype("float32"), training=False))
    assert logits.shape == (4, 10)
    assert maps.shape[0] == 4
    assert maps.shape[-1] == 10
    if build is networks.build_resnet20:  # Mean pooling: the logit is the mean of its map.
        np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-4)
    head = network.get_layer("logits").get_weights()[0]
    assert features.shape == (4, head.shape[0])


def test_whitening_whitens_and_stays():
    smooth = np.repeat(np.repeat(RNG.integers(0, 255, (60, 8, 8, 3)), 4, axis=1), 4, axis=2).astype(np.uint8)
    network = networks.build_airbench(SMALL, 10, smooth)
    layer = network.get_layer("whitening")
    outputs = np.array(
        keras.Model(network.inputs, layer.output)(smooth.astype("float32"), training=False)
    ).reshape(-1, 24)
    np.testing.assert_allclose(outputs[:, :12], -outputs[:, 12:], atol=1e-3)
    moments = outputs[:, :12].T @ outputs[:, :12] / len(outputs)
    off_diagonal = moments - np.diag(np.diag(moments))
    assert np.abs(off_diagonal).max() < 0.02
    assert all(v is not layer.kernel for v in network.trainable_variables)
    assert any(v is layer.bias for v in network.trainable_variables)


def test_two_views_agree_for_a_mirrored_photo():
    network = networks.build_airbench(SMALL, 10, IMAGES)
    graph = networks.serving_graph(network, dataclasses.replace(SMALL, test_time_views=2))
    image = IMAGES[:2].astype("float32")
    straight, mirrored = (np.array(graph(x, training=False)[0]) for x in (image, image[:, :, ::-1]))
    np.testing.assert_allclose(straight, mirrored, atol=1e-4)
    plain = np.array(network(image, training=False))
    assert np.abs(plain - straight).max() > 1e-4


def test_six_views_are_the_mean_of_shifts_and_mirrors():
    network = networks.build_airbench(SMALL, 10, IMAGES)
    image = IMAGES[:1].astype("float32")
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    views = [(image, 0.25), (padded[:, :32, :32], 0.125), (padded[:, 2:, 2:], 0.125)]
    expected = sum(
        share * np.array(network(v, training=False))
        for view, share in views
        for v in (view, view[:, :, ::-1])
    )
    served = np.array(networks.serving_graph(network, SMALL)(image, training=False)[0])
    np.testing.assert_allclose(served, expected, atol=1e-4)


def test_unfreeze_opens_the_later_blocks_only():
    config = VARIANTS["clothing"]
    network = networks.build_pretrained(config, 3)
    everything = len(network.trainable_variables)
    networks.unfreeze(network, 6)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    assert not backbone.get_layer("block5a_").trainable
    assert backbone.get_layer("block6a_").trainable
    assert 0 < len(network.trainable_variables) < everything / 2
    norms = [x for x in backbone._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert norms
    assert not any(layer.trainable for layer in norms)
    networks.unfreeze(network, 8)
    assert len(network.trainable_variables) == 2


def test_weight_decay_acts_on_kernels_only():
    for name in ("clothing", "cifar10"):
        config = VARIANTS[name]
        optimizer = build_optimizer(config, 100)
        network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])
        network.add(keras.layers.BatchNormalization())
        optimizer.build(network.trainable_variables)
        decayed = [v.name for v in network.trainable_variables if optimizer._use_weight_decay(v)]
        assert decayed == ["kernel"]


def test_biases_of_normalization_move_faster():
    kernel, beta = keras.Variable(np.ones(1), name="kernel"), keras.Variable(np.ones(1), name="beta")
    optimizer = FastBiasSGD(0.001, momentum=0.5, nesterov=True, bias_factor=64.0)
    optimizer.apply([np.ones(1), np.ones(1)], [kernel, beta])
    slow, fast = (float(1 - np.array(v)[0]) for v in (kernel, beta))
    assert slow == pytest.approx(0.0015, rel=1e-3)
    assert fast == pytest.approx(0.096, rel=1e-3)


def test_triangle():
    schedule = TriangularSchedule(2.0, 100)
    values = [float(schedule(step)) for step in range(101)]
    assert values[0] == pytest.approx(0.4)
    assert np.argmax(values) == 23
    assert max(values) == pytest.approx(2.0)
    assert values[-1] == pytest.approx(0.14)
    assert TriangularSchedule(**schedule.get_config())(50) == schedule(50)


def test_lookahead_ends_at_the_average():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    callback = Lookahead(steps=10, steps_per_epoch=10, every=5, strength=0.5)
    callback.set_model(network)
    network.set_weights([np.zeros((1, 1))])
    callback.on_epoch_begin(0)
    for step in range(10):
        network.set_weights([network.get_weights()[0] + 1])
        callback.on_train_batch_end(step)
        if step == 4:  # share of the average 0.5 * 0.5 ** 3
            assert network.get_weights()[0].item() == pytest.approx(5 * (1 - 0.0625))
    assert network.get_weights()[0].item() == pytest.approx(5 * (1 - 0.0625))


@pytest.mark.parametrize("kind", ["none", "flip", "randaugment", "mixup", "cutmix"])
def test_augmentation_keeps_shapes_ranges_and_mass(kind):
    config = ImageClassificationConfig(augmentation=kind, random_crop_scale=0.6)
    augment = build_augmentation(config, 24)
    targets = np.eye(5, dtype=np.float32)[np.arange(8) % 5]
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES[:8], targets)).batch(8).map(augment)
    images, mixed = next(iter(dataset))
    assert images.shape == (8, 24, 24, 3)
    assert images.dtype == "float32"
    assert float(tf.reduce_min(images)) >= -0.01
    assert float(tf.reduce_max(images)) <= 255.01
    np.testing.assert_allclose(tf.reduce_sum(mixed, axis=1), 1, atol=1e-5)
    assert (np.abs(mixed - targets).max() > 0.01) == (kind in ("mixup", "cutmix"))


def test_alternating_flips_show_both_sides_in_two_epochs():
    odd = tf.Variable(0)
    config = dataclasses.replace(CIFAR10, translate_px=0)
    augment = build_augmentation(config, 32, odd)
    even = augment(tf.constant(IMAGES), tf.zeros((40, 2)))[0]
    odd.assign(1)
    np.testing.assert_array_equal(augment(tf.constant(IMAGES), tf.zeros((40, 2)))[0], even[:, :, ::-1])
    first = [mirrored_first(LabelledImage(b"", 0, f"{n}.png"), 0) for n in range(400)]
    assert 150 < sum(first) < 250


def test_shift_moves_whole_pixels_and_reflects():
    config = dataclasses.replace(CIFAR10, translate_px=2, alternating_flip=False, augmentation="none")
    shifted = build_augmentation(config, 32)(tf.constant(IMAGES), tf.zeros((40, 2)))[0].numpy()
    padded = np.pad(IMAGES, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    seen = set()
    for image, source in zip(shifted, padded, strict=True):
        found = [
            (y, x) for y in range(5) for x in range(5) if (source[y : y + 32, x : x + 32] == image).all()
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 8


def test_class_weights():
    images = [LabelledImage(b"", label, "") for label in [0] * 8 + [1] * 2]
    np.testing.assert_allclose(class_weights(images, 2, "none"), [1, 1])
    balanced = class_weights(images, 2, "balanced")
    assert balanced[1] / balanced[0] == pytest.approx(4)
    root = class_weights(images, 2, "sqrt")
    assert root[1] / root[0] == pytest.approx(2)
    assert (root * [8, 2]).sum() == pytest.approx(10)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("dropout", 1.0, "dropout"),
        ("random_crop_scale", 0.0, "random_crop_scale"),
        ("image_size_px", 8, "image_size_px"),
        ("test_time_views", 3, "test_time_views"),
    ],
)
def test_impossible_options_are_refused(option, value, words):
    with pytest.raises(ValueError, match=words):
        ImageClassificationConfig(**{option: value})
