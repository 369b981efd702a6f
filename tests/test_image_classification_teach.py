"""Teach it yours: the head learns, its accuracy is honest, and the files it gives away work elsewhere."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from apps.image_classification import teach, teach_files
from apps.image_classification.linear_probe import LinearHead, choose_linear_head, fit_linear_head
from shared.files.errors import InputError

RNG = np.random.default_rng(0)


class Network:
    """Mean colour of the four quarters as features: enough to tell colours apart, and nothing else."""

    class processor:
        settings = {"image_size_px": 16, "crop": "squash", "crop_fraction": 1.0}

    def __init__(self):
        self.graphs = {"model": self.run}

    def run(self, inputs):
        x = inputs["images"].reshape(-1, 2, 8, 2, 8, 3).mean(axis=(2, 4)).reshape(len(inputs["images"]), 12)
        return {"features": x.astype(np.float32)}


def photos(folder, name, color, count):
    paths = []
    for number in range(count):
        image = np.clip(RNG.normal(color, 12, (20, 24, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{name}{number}.png"
        Image.fromarray(image).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def colors(tmp_path):
    return {
        "red": photos(tmp_path, "red", (200, 30, 30), 6),
        "green": photos(tmp_path, "green", (30, 200, 30), 5),
        "azul ñ": photos(tmp_path, "blue", (30, 30, 200), 4),
    }


def test_it_learns_colors_and_says_how_well(colors):
    lesson = teach.teach(Network(), colors)
    assert lesson.class_names == ["red", "green", "azul ñ"]
    assert lesson.accuracy == 1.0
    assert lesson.chance == pytest.approx(6 / 15)
    assert lesson.photos == 15
    assert not lesson.mistakes


def test_held_out_accuracy_is_chance_where_nothing_can_be_learned(tmp_path):
    grey = photos(tmp_path, "grey", (120, 120, 120), 60)
    lesson = teach.teach(Network(), {"a": grey[:30], "b": grey[30:]})
    assert 0.2 < lesson.accuracy < 0.8
    assert len(lesson.mistakes) == round((1 - lesson.accuracy) * 60)
    assert lesson.mistakes[0].probability >= lesson.mistakes[-1].probability
    assert lesson.mistakes[0].true != lesson.mistakes[0].predicted


def test_unreadable_photos_are_left_out_and_named(colors, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    lesson = teach.teach(Network(), colors | {"red": [*colors["red"], str(broken)]})
    assert lesson.photos == 15
    assert [path for path, _ in lesson.skipped] == [str(broken)]


def test_too_little_is_refused(colors):
    with pytest.raises(InputError, match=r"1 class\(es\)"):
        teach.teach(Network(), {"red": colors["red"]})
    with pytest.raises(InputError, match=r"'green' has 2 photo\(s\)"):
        teach.teach(Network(), colors | {"green": colors["green"][:2]})
    with pytest.raises(InputError, match=r"11 class\(es\)"):
        teach.teach(Network(), {str(n): colors["red"] for n in range(11)})


def test_linear_head_matches_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = RNG.normal(size=(200, 6)).astype(np.float32) * [1, 5, 0.2, 1, 1, 1] + 3
    y = (x[:, 0] + 0.3 * x[:, 1] + RNG.normal(size=200) > 5).astype(int) + (x[:, 3] > 4)
    penalty = 0.05
    head = fit_linear_head(x, y, 3, penalty=penalty, iterations=3000)
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    reference = linear_model.LogisticRegression(C=1 / (penalty * len(x)), tol=1e-8, max_iter=5000).fit(
        scaled, y
    )
    np.testing.assert_allclose(head.probabilities(x), reference.predict_proba(scaled), atol=5e-3)


def test_class_weights_help_the_rare_class():
    x = np.concatenate([RNG.normal(0, 1, (300, 2)), RNG.normal(1.5, 1, (20, 2))]).astype(np.float32)
    y = np.array([0] * 300 + [1] * 20)
    found = [
        np.mean(fit_linear_head(x, y, 2, class_weights=w).logits(x[300:]).argmax(axis=1))
        for w in (None, np.array([1 / 300, 1 / 20]))
    ]
    assert found[1] > found[0] + 0.2


def test_the_penalty_is_chosen_on_validation():
    x = RNG.normal(size=(40, 300)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    new = RNG.normal(size=(200, 300)).astype(np.float32)
    labels = (new[:, 0] > 0).astype(int)
    head, penalty, accuracy = choose_linear_head((x, y), (new, labels), 2, penalties=(1e-4, 1.0, 1e3))
    assert penalty in (1e-4, 1.0, 1e3)
    assert accuracy == np.mean(head.logits(new).argmax(axis=1) == labels)
    with pytest.raises(ValueError, match="labels must be 0 to 1"):
        fit_linear_head(x, y + 1, 2)


def test_photos_zip_is_the_folder_training_reads(colors, tmp_path):
    from shared.data.image_folder import read_image_folder

    with zipfile.ZipFile(io.BytesIO(teach_files.photos_zip(colors))) as archive:
        archive.extractall(tmp_path / "out")
    splits, classes, _ = read_image_folder(tmp_path / "out" / "photos")
    assert classes == ["azul ñ", "green", "red"]
    assert sum(map(len, splits.values())) == 15
    assert teach_files.folder_name("../../etc/passwd") == "etc_passwd"
    assert teach_files.folder_name("...") == "class"


def test_keras_head_is_a_keras_model(tmp_path):
    keras = pytest.importorskip("keras")
    from apps.image_classification.keras_head import write_keras_head

    head = LinearHead(RNG.normal(size=(70, 4)).astype(np.float32), RNG.normal(size=4).astype(np.float32))
    path = tmp_path / "head.keras"
    path.write_bytes(write_keras_head(head))
    model = keras.saving.load_model(path)
    x = RNG.normal(size=(5, 70)).astype(np.float32)
    np.testing.assert_allclose(np.array(model(x)), head.logits(x), atol=1e-4)


def test_hdf5_is_read_by_the_library():
    h5py = pytest.importorskip("h5py")
    from apps.image_classification.keras_head import write_hdf5

    values = RNG.normal(size=(3, 5, 2)).astype(np.float32)
    tree = {"b": {"c": {"x": values, "y": values[0, 0]}}, "a": {}, "z": values[:, 0]}
    with h5py.File(io.BytesIO(write_hdf5(tree))) as file:
        assert sorted(file) == ["a", "b", "z"]
        np.testing.assert_array_equal(file["b/c/x"][()], values)
        np.testing.assert_array_equal(file["b/c/y"][()], values[0, 0])
        np.testing.assert_array_equal(file["z"][()], values[:, 0])
    with pytest.raises(ValueError, match="at most 8"):
        write_hdf5({str(n): values for n in range(9)})


def test_onnx_head_replaces_the_last_layer():
    from apps.image_classification.onnx_head import replace_head
    from shared.runtime.variants import MissingWeights, find_variant

    ort = pytest.importorskip("onnxruntime")
    try:
        content = find_variant("image_classification", "imagenet").checked("model.onnx").read_bytes()
    except MissingWeights as error:
        pytest.skip(str(error))
    head = LinearHead(RNG.normal(size=(1280, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32))
    made = replace_head(content, head, ["uno", "dos", "ñ"])
    assert len(made) < len(content) - 2_000_000, "the old head must be gone"
    before, after = ort.InferenceSession(content), ort.InferenceSession(made)
    x = RNG.uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    features = before.run(["features"], {"images": x})[0]
    logits, probabilities = after.run(None, {"images": x})
    np.testing.assert_allclose(logits, head.logits(features), atol=1e-3)
    np.testing.assert_allclose(probabilities, head.probabilities(features), atol=1e-5)
    assert after.get_modelmeta().custom_metadata_map["class_names"] == '["uno", "dos", "ñ"]'
    assert len(replace_head(made, head, ["a", "b", "c"])) == pytest.approx(len(made), abs=200)
    with pytest.raises(ValueError, match="an output named 'features'"):
        replace_head(b"", head, ["a", "b", "c"])
    if onnx := pytest.importorskip("onnx", reason="only checks the file once more"):
        onnx.checker.check_model(onnx.load_from_string(made))
