"""A prepared data set of TensorFlow Datasets by name, or one clear error."""

from __future__ import annotations

from typing import Any

from shared.files.errors import DataError

HINT = "See tensorflow.org/datasets/catalog for names; --data_dir names a folder with prepared data sets."


def prepared_builder(name: str, data_dir: str = "") -> Any:
    """The `tfds` builder of a data set, downloaded and prepared.

    Args:
        name: As `tfds.builder` takes it, e.g. `cifar10` or `voc/2007`; a leading `tfds:` is cut.
        data_dir: Where prepared data sets lie; TFDS's own default when empty.

    Raises:
        DataError: There is no such data set, or it cannot be had without a network.
    """
    import tensorflow_datasets as tfds

    name = name.removeprefix("tfds:")
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
        builder.download_and_prepare()
    except Exception as error:  # Network, checksum, unknown name: TFDS has a dozen kinds.
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise DataError([f"tfds:{name}: {type(error).__name__}: {reason}"], HINT) from error
    return builder
