"""The input pipeline: right pairs, right order, seeded shuffling, both memory paths."""

import numpy as np
import pytest

from shared.data.pipeline import build_dataset, load_arrays

EXAMPLES = list(range(23))


def load(number):
    return np.full((4, 4, 3), number, np.uint8), {"label": number, "box": np.float32([number, 1])}


def seen(dataset):
    return [int(i) for _, y in dataset for i in y["label"].numpy()]


@pytest.fixture(params=[2**30, 0], ids=["cached", "streamed"])
def cache_bytes(request):
    return request.param


def test_evaluation_keeps_order_and_pairs(cache_bytes):
    dataset = build_dataset(EXAMPLES, load, batch_size=5, training=False, cache_bytes=cache_bytes)
    assert len(dataset) == 5
    assert seen(dataset) == EXAMPLES
    for x, y in dataset:
        assert x.dtype == "uint8"
        assert x.shape[1:] == (4, 4, 3)
        np.testing.assert_array_equal(x[:, 0, 0, 0], y["label"])
        np.testing.assert_array_equal(y["box"][:, 0], y["label"])


def test_training_shuffles_anew_each_epoch_and_repeats_with_the_seed(cache_bytes):
    def epochs(seed):
        dataset = build_dataset(
            EXAMPLES, load, batch_size=5, training=True, seed=seed, cache_bytes=cache_bytes
        )
        return [seen(dataset) for _ in range(2)]

    first, second = epochs(0)
    assert sorted(first) == sorted(second) == EXAMPLES
    assert first != second != EXAMPLES
    assert epochs(0) == [first, second]
    assert epochs(1) != [first, second]


def test_static_shapes_are_known(cache_bytes):
    dataset = build_dataset(EXAMPLES, load, batch_size=5, training=True, cache_bytes=cache_bytes)
    x, y = dataset.element_spec
    assert x.shape.as_list() == [None, 4, 4, 3]
    assert y["box"].shape.as_list() == [None, 2]


def test_augmentation_runs_on_training_batches_only():
    def augment(x, y):
        return x + 100, y

    options = {"batch_size": 5, "augment": augment}
    training = build_dataset(EXAMPLES, load, training=True, drop_remainder=True, **options)
    assert len(training) == 4
    x, y = next(iter(training))
    np.testing.assert_array_equal(x[:, 0, 0, 0], y["label"].numpy() + 100)
    x, y = next(iter(build_dataset(EXAMPLES, load, training=False, **options)))
    np.testing.assert_array_equal(x[:, 0, 0, 0], y["label"])


def test_keras_layers_augment(cache_bytes):
    import keras

    flip = keras.layers.RandomFlip("horizontal", seed=1)

    def gradient(number):
        return np.broadcast_to(np.arange(8, dtype=np.uint8)[None, :, None], (8, 8, 3)).copy(), number

    dataset = build_dataset(
        list(range(64)),
        gradient,
        batch_size=16,
        training=True,
        augment=lambda x, y: (flip(x, training=True), y),
        cache_bytes=cache_bytes,
    )
    first = np.concatenate([x.numpy()[:, 0, 0, 0] for x, _ in dataset])
    assert {0, 7} == set(first.astype(int))


def test_a_deviating_example_is_named():
    def uneven(number):
        return np.zeros((4 + (number == 7), 4), np.uint8)

    with pytest.raises(ValueError, match=r"\(4, 4\) uint8 for the first, \(5, 4\) uint8 for 7"):
        load_arrays(EXAMPLES, uneven)
    with pytest.raises(ValueError, match="at least one example"):
        build_dataset([], load, batch_size=2, training=True)
