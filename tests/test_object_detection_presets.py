"""Keras-Hub detectors by name: geometry, class numbers, and what is said when they cannot be had."""

from __future__ import annotations

import types

import numpy as np
import pytest

from apps.object_detection import presets
from apps.object_detection.presets import COCO_CLASSES, COCO_IDS, PresetDetector, load_preset
from shared.files.errors import InputError


class StandIn:
    """A detector that always answers the same, in the form Keras-Hub's `predict` has."""

    bounding_box_format = "yxyx"

    def __init__(self, num_classes, boxes, labels, scores, size=(100, 100)):
        self.num_classes = num_classes
        self.preprocessor = types.SimpleNamespace(image_converter=types.SimpleNamespace(image_size=size))
        count, pad = len(boxes), 3
        self._answer = {
            "boxes": np.concatenate([boxes, -np.ones((pad, 4))])[None],
            "labels": np.concatenate([labels, -np.ones(pad)])[None],
            "confidence": np.concatenate([scores, -np.ones(pad)])[None],
            "num_detections": np.array([count]),
        }
        self.seen = None

    def predict(self, images, verbose):
        self.seen = images
        return self._answer


def test_coco_numbers():
    assert len(COCO_CLASSES) == len(COCO_IDS) == 80
    names = dict(zip(COCO_IDS, COCO_CLASSES, strict=True))
    # https://cocodataset.org: person 1, stop sign 13, zebra 24, cell phone 77, toothbrush 90.
    assert (names[1], names[13], names[24], names[77], names[90]) == (
        "person",
        "stop sign",
        "zebra",
        "cell phone",
        "toothbrush",
    )


@pytest.mark.parametrize(("num_classes", "person", "phone"), [(80, 0, 67), (90, 0, 76), (91, 1, 77)])
def test_boxes_return_to_the_picture_and_classes_to_their_names(num_classes, person, phone):
    pytest.importorskip("keras")
    # A 400 x 200 picture fills the upper half of the 100 x 100 input: four of its pixels make one.
    task = StandIn(num_classes, [[10, 20, 30, 60], [0, 0, 50, 100]], [person, phone], [0.9, 0.4])
    found = PresetDetector(task).candidates(np.full((200, 400, 3), 9, np.uint8))
    assert task.seen.shape == (1, 100, 100, 3)
    assert task.seen[0, 49].min() == 9
    assert task.seen[0, 50].max() == 0
    np.testing.assert_allclose(found.boxes, [[80, 40, 240, 120], [0, 0, 400, 200]], atol=1e-4)
    detections = found.select(PresetDetector(task).class_names, 0.1, 0.5)
    assert [detections.class_names[i] for i in detections.class_ids] == ["person", "cell phone"]


def test_the_background_class_is_left_out():
    pytest.importorskip("keras")
    task = StandIn(91, [[10, 20, 30, 60]], [0], [0.9])
    assert len(PresetDetector(task).candidates(np.zeros((100, 100, 3), np.uint8)).boxes) == 0


def test_without_a_network_it_says_so_in_both_languages(monkeypatch):
    keras_hub = pytest.importorskip("keras_hub")

    def refuse(name):
        raise OSError("no route to host /secret/path")

    monkeypatch.setattr(keras_hub.models.ObjectDetector, "from_preset", refuse)
    with pytest.raises(InputError) as caught:
        load_preset("dfine_nano_coco")
    assert "needs a network" in caught.value.en
    assert "hace falta red" in caught.value.es
    assert "secret" not in caught.value.en


def test_without_tensorflow_it_names_what_to_install(monkeypatch):
    monkeypatch.setattr(presets.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -r requirements-train\.txt"):
        load_preset("dfine_small_coco")
    with pytest.raises(InputError, match="Type the name"):
        load_preset("  ")


def test_a_real_detector_of_keras_hub_answers(tmp_path):
    """RetinaNet on a tiny ResNet with random weights, saved and loaded as a preset, as a user's own would be."""
    keras_hub = pytest.importorskip("keras_hub")
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(128, 128, 3),
    )
    backbone = keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=5, use_p5=False, image_shape=(128, 128, 3)
    )
    converter = keras_hub.layers.RetinaNetImageConverter(image_size=(128, 128), scale=1 / 255)
    task = keras_hub.models.RetinaNetObjectDetector(
        backbone,
        num_classes=80,
        preprocessor=keras_hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
        pre_logits_num_conv_layers=1,
    )
    task.save_to_preset(str(tmp_path / "mine"))
    preset = load_preset(str(tmp_path / "mine"))
    found = preset.candidates(np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8))
    assert preset.class_names == list(COCO_CLASSES)
    assert found.boxes.shape == (len(found.scores), 4)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [90, 60, 90, 60]).all()
