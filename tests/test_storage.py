"""Stored weights: smaller, and equal to what the rounded Keras model holds."""

import subprocess
import sys

import numpy as np
import pytest

from shared.runtime import grid, storage

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def image_model() -> "keras.Model":
    images = keras.Input((16, 16, 3), name="images")
    x = keras.layers.Conv2D(24, 5, strides=2, padding="same", use_bias=False)(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(scale=False)(x)
    x = keras.layers.Conv2D(64, 1, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(images, keras.layers.Dense(20)(keras.layers.GlobalAveragePooling2D()(x)))
    randomize(model)
    return model


def text_model() -> "keras.Model":
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    padding_mask = keras.Input((None,), dtype="float32", name="padding_mask")
    x = keras.layers.Embedding(100, 32)(token_ids)
    x = keras.layers.MultiHeadAttention(4, 8)(x, x)
    x = keras.layers.LayerNormalization()(x * padding_mask[..., None])
    features = keras.layers.Dense(64, activation="gelu", name="features")(x)
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(features))
    model = keras.Model({"token_ids": token_ids, "padding_mask": padding_mask}, [logits, features])
    randomize(model)
    return model


def randomize(model: "keras.Model") -> None:
    """Trained-looking weights: batch normalization that really scales, kernels of uneven channels."""
    random = np.random.default_rng(7)
    for weight in model.weights:
        value = random.normal(0, 0.3, weight.shape) * random.uniform(0.1, 3, weight.shape[-1:])
        weight.assign(np.abs(value) + 0.05 if "variance" in weight.path else value)


@pytest.fixture(scope="module")
def text_inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        "token_ids": random.integers(0, 100, (5, 8)).astype("int32"),
        "padding_mask": (random.random((5, 8)) > 0.3).astype("float32"),
    }


@pytest.mark.parametrize("scale", [1e-7, 1e-4, 1.0, 300.0])
def test_int8_grid_is_fine_exact_and_stable(scale):
    values = (np.random.default_rng(0).normal(0, scale, (64, 32))).astype(np.float32)
    rounded = grid.round_int8(values, (0,))
    half_steps = np.abs(values).max(0) / 127 * 9 / 8 / 2
    assert (np.abs(rounded - values) <= np.maximum(half_steps, 2.0**-25) * 1.0001).all()
    assert grid.fits_float16(rounded)
    integers, scales = grid.int8_grid(rounded, (0,))
    assert scales.shape == (1, 32)
    np.testing.assert_array_equal(integers * scales, rounded)
    np.testing.assert_array_equal(grid.round_int8(rounded, (0,)), rounded)


def test_int8_grid_of_zeros_and_of_other_values():
    integers, _ = grid.int8_grid(np.zeros((4, 4), np.float32), (0,))
    assert not integers.any()
    values = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float16).astype(np.float32)
    assert grid.int8_grid(values, (0,)) is None


def test_float16_leaves_what_does_not_fit():
    large = np.array([1.0, 70000.0], np.float32)
    assert grid.round_float16(large) is large
    assert not grid.fits_float16(large)


def test_round_weights_int8_only_where_it_belongs():
    model = text_model()
    before = {w.path: np.asarray(w.value) for w in model.weights}
    storage.round_weights(model, "int8")
    axes = {
        "embeddings": (1,),
        "query/kernel": (0,),
        "attention_output/kernel": (0, 1),
        "features/kernel": (0,),
    }
    for weight in model.weights:
        value = np.asarray(weight.value)
        for name, shared in axes.items():
            if weight.path.endswith(name):
                assert grid.int8_grid(value, shared) is not None, weight.path
                assert not np.array_equal(value, before[weight.path])
        if "gamma" in weight.path or weight.path.endswith("bias"):
            np.testing.assert_array_equal(value, grid.round_float16(before[weight.path]))


def test_unknown_storage_is_refused(tmp_path):
    with pytest.raises(ValueError, match="float32, float16, int8, received 'int4'"):
        storage.round_weights(image_model(), "int4")
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        storage.save_keras(image_model(), tmp_path / "model.h5", "float16")


@pytest.mark.parametrize(("kind", "ratio"), [("float16", 0.6), ("int8", 0.5)])
def test_keras_file_is_small_and_reloads_equal_in_a_fresh_process(tmp_path, kind, ratio):
    inputs = keras.Input((256,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(512)(keras.layers.Dense(512, activation="relu")(inputs)))
    model.compile("adam", "mse")
    model.fit(np.ones((4, 256)), np.ones((4, 512)), verbose=0)
    storage.round_weights(model, kind)
    keras.saving.save_model(keras.Model(model.inputs, model.outputs), tmp_path / "plain.keras")
    path = tmp_path / "small.keras"
    storage.save_keras(model, path, kind)
    assert path.stat().st_size < ratio * (tmp_path / "plain.keras").stat().st_size
    assert [p.name for p in tmp_path.glob(".*")] == []
    np.savez(tmp_path / "weights.npz", *model.get_weights())
    code = (
        "import sys, keras, numpy as np; model = keras.saving.load_model(sys.argv[1]); "
        "stored = np.load(sys.argv[2]); weights = model.get_weights(); "
        "assert len(weights) == len(stored.files) == 4; assert not model.compiled; "
        "[np.testing.assert_array_equal(w, stored[f'arr_{i}']) for i, w in enumerate(weights)]; "
        "assert {str(w.dtype) for w in model.weights} == {'float32'}"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "weights.npz")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_image_graph_equals_the_rounded_keras_model(tmp_path, kind):
    model, path = image_model(), tmp_path / "model.onnx"
    storage.round_weights(model, kind)
    storage.export_onnx(model, path, output_names=["logits"])
    full_size = path.stat().st_size
    storage.shrink_onnx(path, kind)
    graph = onnx.load(path).graph
    assert [i.name for i in graph.input] == ["images"]
    assert [i.name for i in graph.output] == ["logits"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    # Fused batch normalization would leave kernels off the grid, hence in float32.
    large = [i for i in graph.initializer if np.prod(i.dims) >= grid.MIN_ELEMENTS]
    assert large
    expected = {"float32": {"FLOAT"}, "float16": {"FLOAT16"}, "int8": {"FLOAT16", "INT8"}}[kind]
    assert {onnx.TensorProto.DataType.Name(i.data_type) for i in large} == expected
    assert kind == "float32" or path.stat().st_size < full_size
    images = np.random.default_rng(1).normal(size=(3, 16, 16, 3)).astype("float32")
    served = ort.InferenceSession(path).run(None, {"images": images})[0]
    np.testing.assert_allclose(served, np.asarray(model(images, training=False)), atol=1e-4)


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_text_graph_with_two_inputs_and_outputs(tmp_path, kind, text_inputs):
    model, path = text_model(), tmp_path / "model.onnx"
    storage.round_weights(model, kind)
    storage.export_onnx(model, path, output_names=["logits", "features"])
    storage.shrink_onnx(path, kind)
    # Kernels of attention layers must not stand in the file twice (tf2onnx leaves a copy for its shape).
    stored = [i for i in onnx.load(path).graph.initializer if not i.name.endswith("__scale")]
    assert sum(int(np.prod(i.dims)) for i in stored) < 1.05 * model.count_params() + 500
    session = ort.InferenceSession(path)
    assert [o.name for o in session.get_outputs()] == ["logits", "features"]
    logits, features = (np.asarray(o) for o in model(text_inputs, training=False))
    served = session.run(None, text_inputs)
    np.testing.assert_allclose(served[0], logits, atol=1e-4)
    np.testing.assert_allclose(served[1], features, atol=1e-4)


def test_shrunk_weights_are_folded_when_the_graph_loads(tmp_path):
    model, path = image_model(), tmp_path / "model.onnx"
    storage.round_weights(model, "int8")
    storage.export_onnx(model, path, output_names=["logits"])
    storage.shrink_onnx(path, "int8")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(path, options)
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert {"Cast", "Mul", "BatchNormalization"} & kinds == set()


def test_shrink_leaves_other_values_alone_and_never_half_a_file(tmp_path, monkeypatch):
    model, path = image_model(), tmp_path / "model.onnx"
    storage.export_onnx(model, path, output_names=["logits"])
    storage.shrink_onnx(path, "int8")
    assert {i.data_type for i in onnx.load(path).graph.initializer} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        storage.shrink_onnx(path, "float16")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_wrong_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must have 1 entries, received \['a', 'b'\]"):
        storage.export_onnx(image_model(), tmp_path / "m.onnx", output_names=["a", "b"])
    with pytest.raises(ValueError, match="input_signature must have 1 entries"):
        storage.export_onnx(image_model(), tmp_path / "m.onnx", input_signature=[1, 2], output_names=["a"])
