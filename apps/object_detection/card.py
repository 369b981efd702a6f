"""Facts for the model cards."""

from __future__ import annotations

from typing import Any

from apps.object_detection.config import Config

_ARCHITECTURE = (
    "Anchor-free one-stage detector: EfficientNet-Lite0 (ImageNet), a feature pyramid P3 to P5 and one head for "
    "all levels that predicts a quality score for each class and a distribution for each side of a box."
)
_BLOOD_CELLS = {
    "summary": f"{_ARCHITECTURE} Trained to find and count red blood cells, white blood cells and platelets in "
    "stained smears.",
    "data": "BCCD: 364 microscope pictures of 640 x 480 pixels with boxes of three classes, its own ImageSets "
    "(205 train, 87 validation, 72 test; https://github.com/Shenggan/BCCD_Dataset). Annotations are "
    "incomplete: many red cells that touch others have no box.",
    "licence": "Data: MIT (https://github.com/Shenggan/BCCD_Dataset). Backbone: Apache-2.0.",
    "licence_id": "mit",
    "dataset_name": "BCCD",
    "dataset_id": "bccd",
    "limits": "Not for diagnosis, and no medical device. It has seen one stain, one magnification and one camera; "
    "other microscopes need pictures of their own. All pictures come from a handful of smears, and the splits "
    "were not drawn by patient, so the figures are those of more of the same. Clumped red cells are often "
    "counted too low, because the annotations leave them out.",
}


def facts(config: Config) -> dict[str, Any]:
    """Facts of a shipped variant, or what is known of one trained on other data."""
    if config.variant == "blood_cells":
        return _BLOOD_CELLS
    return {
        "summary": _ARCHITECTURE,
        "data": f"{config.dataset}: the boxes and splits of the data set the training command names.",
        "licence": "As the data. Backbone: Apache-2.0.",
        "limits": "It has seen pictures like its training data only.",
    }
