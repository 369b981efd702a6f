"""Any TensorFlow data set with pictures and one label a picture, by name: `--dataset tfds:cifar10`."""

from __future__ import annotations

from shared.data.image_folder import SPLITS, ImageSplits, LabelledImage, complete_splits
from shared.data.tfds_builder import prepared_builder
from shared.files.errors import DataError


def read_tfds_images(
    name: str, *, data_dir: str = "", seed: int = 0, limit_bytes: int = 8 * 2**30
) -> tuple[ImageSplits, list[str], list[str]]:
    """Read a classification data set of TensorFlow Datasets, pictures still encoded.

    The files' own bytes are kept and decoded by `shared.files.images`, as everywhere else (`SkipDecoding`):
    no other JPEG decoder takes part in training than in serving.

    Args:
        name: As `tfds.builder` takes it, e.g. `cifar10` or `tf_flowers:3.0.1`.
        data_dir: Where prepared data sets lie; TFDS's own default when empty.
        seed: Of splits that the data set does not have; they are drawn from `train`.
        limit_bytes: Refuse data sets whose pictures need more memory than this.

    Returns:
        Splits, class names and remarks, as `read_image_folder` does.

    Raises:
        DataError: There is no such data set, it has no pictures or labels, or it is too large.
    """
    import tensorflow_datasets as tfds

    name = name.removeprefix("tfds:")
    builder = prepared_builder(name, data_dir)
    features = builder.info.features
    keys = builder.info.supervised_keys
    image_key, label_key = keys if keys and len(keys) == 2 else ("image", "label")
    # FeaturesDict is no dict: it has neither get() nor a default.
    label = features[label_key] if label_key in features else None  # noqa: SIM401
    image = features[image_key] if image_key in features else None  # noqa: SIM401
    if not isinstance(image, tfds.features.Image) or not hasattr(label, "num_classes"):
        raise DataError(
            [f"tfds:{name}: needs one Image and one ClassLabel feature, has {', '.join(features)}"],
            "Choose a data set of the catalog's section 'Image classification'.",
        )
    if builder.info.dataset_size > limit_bytes:
        raise DataError(
            [f"tfds:{name}: {builder.info.dataset_size / 2**30:.1f} GB do not fit in memory"],
            "Write it to an image folder and pass --data instead.",
        )
    classes = list(label.names) if label.names else [str(i) for i in range(label.num_classes)]
    decoders = {image_key: tfds.decode.SkipDecoding()}
    splits: ImageSplits = {}
    for split in builder.info.splits:
        if split not in SPLITS:
            continue
        rows = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False))
        splits[split] = [
            LabelledImage(bytes(row[image_key]), int(row[label_key]), f"{name}/{split}/{index}")
            for index, row in enumerate(rows)
            if int(row[label_key]) >= 0  # Some test splits hide their labels as -1.
        ]
    splits = {split: images for split, images in splits.items() if images}
    if "train" not in splits:
        raise DataError([f"tfds:{name}: no train split among {', '.join(builder.info.splits)}"])
    complete_splits(splits, seed)
    return {split: splits[split] for split in SPLITS}, classes, []
