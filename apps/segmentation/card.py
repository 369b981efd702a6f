"""Facts for the model cards."""

from __future__ import annotations

from typing import Any

from apps.segmentation.config import SegmentationConfig

_LIMITS = (
    "Every pixel gets one of its classes, whatever the picture shows; a low confidence is the only sign that none "
    "fits. Thin and rare things are missed first: the table by class says which. Never let it steer anything."
)

_KNOWN: dict[str, dict[str, Any]] = {
    "road_scenes": {
        "summary": "Names every pixel of a picture taken from a car: sky, building, pole, road, pavement, tree, "
        "sign, fence, car, pedestrian, bicyclist. EfficientNet-Lite0, pretrained on ImageNet alone, with a U-Net "
        "decoder.",
        "data": "CamVid: 367 training, 101 validation and 233 test frames of 480 x 360 pixels from drives in "
        "Cambridge, UK; 11 classes, void pixels are neither trained nor scored (Brostow, Fauqueur and Cipolla "
        "2009, https://doi.org/10.1016/j.patrec.2008.04.005). The pictures were re-encoded as JPEG.",
        "licence": "CamVid: for research, with citation; no other terms are stated. Backbone: Apache-2.0.",
        "licence_id": "other",
        "dataset_name": "CamVid",
        "dataset_id": "camvid",
        "limits": _LIMITS
        + " Four drives in one English city, by day and at dusk, dry: at night, in snow, on other "
        "continents or from other viewpoints it errs more.",
    }
}


def facts(config: SegmentationConfig) -> dict[str, Any]:
    """What the card says of a variant: known ones in detail, your own in general."""
    own = {
        "summary": f"Names every pixel of a picture; {config.backbone} with decoder {config.decoder}.",
        "data": f"Trained on {config.dataset if config.dataset != 'folder' else 'your own folder'}.",
        "limits": _LIMITS,
        "dataset_name": config.variant,
    }
    return _KNOWN.get(config.variant, own)
