"""Data sets of TensorFlow Datasets, read from a prepared folder without a network."""

import numpy as np
import pytest

from shared.files.errors import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    tfds = pytest.importorskip("tensorflow_datasets")
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("tfds")

    def rows(count, seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 255, (count, 6, 5, 3), np.uint8)
        return tf.data.Dataset.from_tensor_slices({"image": images, "label": np.arange(count) % 2})

    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_pets",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(6, 5, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
        ),
        split_datasets={"train": rows(40, 0), "test": rows(10, 1)},
        config="plain",
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder


def test_pictures_labels_and_a_missing_split(prepared):
    from shared.data.tfds import read_tfds_images

    splits, classes, _ = read_tfds_images("tfds:tiny_pets/plain", data_dir=str(prepared))
    assert classes == ["cat", "dog"]
    assert {s: len(i) for s, i in splits.items()} == {"train": 36, "validation": 4, "test": 10}
    expected = np.random.default_rng(1).integers(0, 255, (10, 6, 5, 3), np.uint8)
    for image, pixels in zip(splits["test"], expected, strict=True):
        assert isinstance(image.source, bytes)
        np.testing.assert_array_equal(image.read(), pixels)
    assert [i.label for i in splits["test"]] == [0, 1] * 5


def test_an_unknown_name_is_explained(prepared):
    from shared.data.tfds import read_tfds_images

    with pytest.raises(DataError, match="tfds:no_such_data_set"):
        read_tfds_images("no_such_data_set", data_dir=str(prepared))
