"""What the demo answers, without a browser: scores, explanations, confusions, tables."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from apps.image_classification import answers
from apps.image_classification.evaluation import (
    calibration_error,
    class_scores,
    confusion_matrix,
    fit_temperature,
    score,
)
from apps.image_classification.overlay import colorize, fit_screen, overlay
from apps.image_classification.preprocessing import Processor, activation_map, softmax, to_square
from shared.data.image_folder import LabelledImage

SQUASH = {"image_size_px": 8, "crop": "squash", "crop_fraction": 1.0}
CENTER = {"image_size_px": 8, "crop": "center", "crop_fraction": 0.5}
NAMES = ["cat", "dog", "cow"]


class Network:
    """Logits are the mean red, green and blue; the class maps are the colours themselves."""

    input_names = ["images"]
    output_names = ["logits", "class_maps", "features"]

    def __call__(self, inputs):
        maps = inputs["images"] / 32
        mean = maps.mean(axis=(1, 2))
        return {"logits": mean, "class_maps": maps, "features": mean}


class Model:
    def __init__(self, **settings):
        self.processor = Processor({"class_names": NAMES, **SQUASH, **settings}, ".")
        self.graphs = {"model": Network()}


def green_right(height=40, width=60):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :, 1] = 255
    return image


def test_top_k_threshold_and_order():
    found = answers.answer(Model(), green_right(), top_k=2).result
    assert found.labels[0] == "dog"
    assert len(found.labels) == 2
    assert found.probabilities[0] > 0.9
    assert found.extras["all_probabilities"].sum() == pytest.approx(1)
    alone = answers.answer(Model(), green_right(), top_k=3, threshold=0.5).result
    assert alone.labels == ["dog"]
    none = answers.answer(Model(), green_right(), top_k=3, threshold=1.0).result
    assert none.labels == ["dog"], "the first always stays"


def test_temperature_makes_cautious():
    sure = answers.answer(Model(), green_right()).result.probabilities[0]
    cautious = answers.answer(Model(temperature=5.0), green_right()).result.probabilities[0]
    assert cautious < sure


def test_activation_map_lies_where_the_class_is():
    answered = answers.answer(Model(), green_right())
    heat = activation_map(answered.result.extras["class_maps"], 1, (40, 60), SQUASH)
    assert heat.shape == (40, 60)
    assert heat[:, 40:].min() > 0.8
    assert heat[:, :20].max() < 0.1
    shown = answers.explanation(Model(), answered, 1)
    assert shown.shape == (40, 60, 3)
    assert shown.dtype == np.uint8


def test_activation_map_of_a_center_crop_is_empty_outside():
    maps = np.zeros((8, 8, 3), np.float32)
    maps[:, :, 2] = np.arange(8)[None]
    heat = activation_map(maps, 2, (40, 80), CENTER)
    assert heat[:10].max() == heat[30:].max() == heat[:, :30].max() == heat[:, 50:].max() == 0
    assert heat[20, 48] > 0.9
    square, _ = to_square(green_right(), CENTER)
    assert square.shape == (8, 8, 3)


def test_overlay_colors_and_sizes():
    assert colorize(np.array([[0.0, 1.0]])).tolist() == [[[0, 0, 4], [252, 255, 164]]]
    image = np.full((10, 12, 3), 128, np.uint8)
    hot = overlay(image, np.ones((10, 12)))
    cold = overlay(image, np.zeros((10, 12)))
    assert hot.mean() > cold.mean()
    assert fit_screen(np.zeros((4000, 100, 3), np.uint8)).shape == (1024, 26, 3)
    assert fit_screen(image) is image


def test_taken_for_reads_the_column():
    settings = {"class_names": NAMES, "confusion": [[8, 2, 0], [1, 5, 4], [0, 3, 7]]}
    assert answers.taken_for(settings, 1) == (5, 10, [("cow", 3), ("cat", 2)])
    assert answers.taken_for(settings, 0) == (8, 9, [("dog", 1)])


def test_rows_name_damaged_files_and_csv_is_safe(tmp_path):
    Image.fromarray(green_right()).save(tmp_path / "=cmd().png")
    (tmp_path / "broken.jpg").write_bytes(b"x")
    paths = [str(tmp_path / "=cmd().png"), str(tmp_path / "broken.jpg")]
    rows = answers.rows_of(Model(), paths, threshold=0.5, language="es")
    assert rows[0]["label"] == "dog"
    assert rows[0]["remark"] == ""
    assert rows[1]["label"] == ""
    assert "no es una imagen" in rows[1]["remark"]
    read = list(csv.DictReader(io.StringIO(answers.to_csv(rows))))
    assert read[0]["file"] == "'=cmd().png"
    assert [row["label"] for row in read] == ["dog", ""]
    assert answers.rows_of(Model(temperature=90), paths[:1], threshold=0.9)[0]["remark"] == "< 90%"


def test_scores_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    confusion = confusion_matrix(labels, predicted, 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    found = class_scores(confusion)
    np.testing.assert_allclose(found["precision"], [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(found["recall"], [2 / 3, 1 / 2, 1])
    metrics = pytest.importorskip("sklearn.metrics")
    np.testing.assert_allclose(found["f1"], metrics.f1_score(labels, predicted, average=None))


def test_calibration():
    probabilities = np.tile([0.75, 0.25], (400, 1))
    labels = np.array([0] * 300 + [1] * 100)
    assert calibration_error(probabilities, labels) == pytest.approx(0, abs=1e-9)
    assert calibration_error(probabilities, np.zeros(400, int)) == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4)) * 2
    drawn = np.array([rng.choice(4, p=p) for p in softmax(logits, 1.0)])
    assert fit_temperature(logits * 3, drawn) == pytest.approx(3, rel=0.1)
    assert fit_temperature(logits / 2, drawn) == pytest.approx(0.5, rel=0.1)


def test_report_shows_the_most_confident_mistake_first():
    pytest.importorskip("matplotlib")
    stream = io.BytesIO()
    Image.fromarray(green_right()).save(stream, "PNG")
    images = [LabelledImage(stream.getvalue(), label, f"{n}.png") for n, label in enumerate([0, 1, 2, 0])]
    probabilities = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.5, 0.3, 0.2]])
    found = score(probabilities, images, NAMES)
    assert found.metrics["accuracy"] == 0.5
    assert [m["caption"].split(" (")[0] for m in found.mistakes] == ["cow taken for cat", "dog taken for cat"]
    assert found.mistakes[0]["image"].startswith(b"\x89PNG")
    assert found.tables["Most frequent confusions"][0] == {
        "true": "dog",
        "predicted": "cat",
        "times": 1,
        "of": 1,
    }
