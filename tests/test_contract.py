"""One suite over every app `apps.list_apps()` finds and over every variant in `models/`.

What an app must bring: `examples/expected.json` (inputs with the answers a user may rely on) and
`contract_cases.py` (a tiny made data set, inputs that must be refused).
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.runtime.variants import list_variants

ROOT = Path(__file__).resolve().parents[1]
APPS = sorted(p.parent.name for p in (ROOT / "apps").glob("*/task.py"))
VARIANTS = [v for app in APPS for v in list_variants(app)]
EXPECTED = [
    pytest.param(app, case, id=f"{app}-{case['name']}")
    for app in APPS
    for case in json.loads((ROOT / "apps" / app / "examples" / "expected.json").read_text(encoding="utf-8"))
]
# As a user's machine: no TensorFlow chatter, one seed.
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "GALLERY_MODELS_DIR": ""}


def cases(app: str) -> Any:
    return importlib.import_module(f"apps.{app}.contract_cases")


def task_of(app: str) -> Any:
    return importlib.import_module(f"apps.{app}.task").TASK


def config_of(app: str, flags: list[str]) -> Any:
    from shared.config import parse_config

    task = task_of(app)
    return parse_config(task.config_class, task.variants, flags)


@pytest.fixture(scope="module", params=APPS)
def tiny(request, tmp_path_factory):
    """(app, flags of a tiny training run on made data, folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, cases(request.param).tiny_dataset(folder / "data"), folder


def test_every_app_ships_a_model():
    assert {v.app for v in VARIANTS} == set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_default_variants_are_named_in_config(app):
    config = importlib.import_module(f"apps.{app}.config")
    published = [v.name for v in list_variants(app)]
    assert next(iter(config.VARIANTS)) in published, "the demo's default variant has no weights"
    assert set(published) <= set(config.VARIANTS), "a shipped variant has no config that makes it again"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.app}-{v.name}")
def test_variant_is_whole_and_its_figures_have_a_command(variant):
    for name in variant.config["files"]:
        variant.checked(name)
    for graph in variant.graph_names:
        assert variant.checked(f"{graph}.onnx").stat().st_size < 50e6
    metrics = variant.metrics
    card = (variant.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert metrics["train"]["command"].startswith(("python -m apps.", "python -m shared."))
    for name, value in metrics["test"].items():
        assert f"| {name} | {value:.4f}" in card
    if metrics["test"]:
        headline = metrics["headline"]
        assert headline["value"] == metrics["test"][headline["name"]]
        # One app may have variants judged by an error and others by a score.
        better = headline.get("higher_is_better", task_of(variant.app).higher_is_better)
        trivial = metrics["baseline"].get(headline["name"])
        if trivial is not None:
            assert (headline["value"] > trivial) == better, "no better than the trivial baseline"


def with_keras(variant) -> bool:
    return f"{variant.graph_names[0]}.keras" in variant.config["files"]


@pytest.mark.parametrize("variant", [v for v in VARIANTS if with_keras(v)], ids=lambda v: f"{v.app}-{v.name}")
def test_keras_and_onnx_answer_alike(variant):
    """The stored Keras file and the stored graph, on random inputs of the graph's own shapes."""
    from shared.runtime.predictor import Predictor

    served = Predictor(variant).graphs
    reference = Predictor(variant, "keras").graphs
    rng = np.random.default_rng(0)
    for name in variant.graph_names:
        inputs = random_inputs(variant, name, rng)
        ours, theirs = served[name](inputs), reference[name](inputs)
        for output in ours:
            scale = max(1.0, float(np.abs(theirs[output]).max()))
            assert np.isfinite(ours[output]).all()
            assert np.abs(ours[output] - theirs[output]).max() < 1e-3 * scale, output


def random_inputs(
    variant: Any, graph: str, rng: np.random.Generator, batch: int = 2
) -> dict[str, np.ndarray]:
    """Inputs as the `.onnx` file declares them; free dimensions get a small size, ids small numbers."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(variant.folder / f"{graph}.onnx"), providers=["CPUExecutionProvider"])
    result = {}
    for node in session.get_inputs():
        shape = [batch] + [d if isinstance(d, int) else 32 for d in node.shape[1:]]
        if "float" in node.type:
            result[node.name] = rng.normal(size=shape).astype("float32")
        elif "mask" in node.name or "bool" in node.type:
            result[node.name] = np.ones(shape, "bool" if "bool" in node.type else "int32")
        else:
            kind = "int64" if "int64" in node.type else "int32"
            result[node.name] = rng.integers(1, 50, shape).astype(kind)
    return result


@pytest.mark.parametrize("app", APPS)
def test_saved_model_loads_in_a_fresh_process(app):
    stored = [v for v in VARIANTS if v.app == app and with_keras(v)]
    if not stored:
        pytest.skip("this app ships no .keras file; its README says how to make it")
    path = stored[0].folder / f"{stored[0].graph_names[0]}.keras"
    code = (
        "import importlib, keras\n"
        "importlib.import_module('shared.layers')\n"
        f"model = keras.saving.load_model({str(path)!r})\n"
        "print(model.count_params())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100


def test_one_batch_is_overfitted(tiny):
    """A model that cannot learn one batch by heart has a bug (deeplearningbook.org, chapter 11)."""
    import keras
    import tensorflow as tf

    app, flags, _ = tiny
    wanted = cases(app).OVERFIT
    config = config_of(app, [*flags, *wanted.get("flags", [])])
    task = task_of(app)
    keras.utils.set_random_seed(0)
    splits = task.load_splits(config)
    model = task.build_model(config, splits)
    phase = dataclasses.replace(task.phases(config)[-1], prepare=lambda m: None)
    task.compile(model, config, phase, wanted["steps"])
    batch = next(iter(task.batches(splits.train, config, splits, training=True)))
    rows = model.fit(
        tf.data.Dataset.from_tensors(batch).repeat(wanted["steps"]),
        epochs=1,
        verbose=0,
        callbacks=[log := LossLog()],
    )
    assert rows is not None
    first, last = log.losses[0], min(log.losses[-5:])
    assert np.isfinite(last)
    assert last < wanted["below"] * first, f"loss went from {first:.4g} to {last:.4g}"


def LossLog():
    import keras

    class Log(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses: list[float] = []
            self._sum = 0.0

        def on_train_batch_end(self, batch, logs=None):
            # Keras logs the running mean of the epoch; undo it.
            total = logs["loss"] * (batch + 1)
            self.losses.append(total - self._sum)
            self._sum = total

    return Log()


def test_own_data_trains_and_publishes(tiny):
    """The README's line for your own data, on a folder of made examples."""
    app, flags, folder = tiny
    words = [sys.executable, "-m", f"apps.{app}.train", "--variant", "mine", *flags]
    words += ["--models_dir", str(folder / "models"), "--run_dir", str(folder / "runs")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-2500:]
    made = list_variants(app, models_dir=folder / "models")
    assert [v.name for v in made] == ["mine"]
    metrics = made[0].metrics
    assert metrics["parity_max_abs_difference"] or not task_of(app).keep_keras(config_of(app, flags))
    assert (made[0].folder / "report.html").stat().st_size > 2000


@pytest.mark.parametrize("app", APPS)
def test_missing_data_is_named(app, tmp_path):
    words = [
        sys.executable,
        "-m",
        f"apps.{app}.train",
        "--variant",
        "mine",
        "--data",
        str(tmp_path / "absent"),
    ]
    words += ["--models_dir", str(tmp_path), "--run_dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode != 0
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


def sent(value: Any, base: Path) -> Any:
    """An argument of expected.json as gradio_client takes it."""
    from gradio_client import handle_file

    if isinstance(value, dict) and set(value) == {"file"}:
        return handle_file(str(base / value["file"]))
    if isinstance(value, dict) and set(value) == {"files"}:
        return [handle_file(str(base / name)) for name in value["files"]]
    return value


def looked_up(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


@pytest.mark.parametrize(("app", "case"), EXPECTED)
def test_examples_answer_as_promised(app, case, app_client):
    client = app_client(app)
    arguments = [sent(a, ROOT / "apps" / app / "examples") for a in case["args"]]
    outputs = client.predict(*arguments, api_name=case["api_name"])
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    result = outputs[case.get("result", 0)]
    assert case["expect"], "an example must promise something"
    for path, wanted in case["expect"].items():
        value = looked_up(result, path)
        if not isinstance(wanted, dict):
            assert value == wanted, path
            continue
        if "min" in wanted:
            assert value >= wanted["min"], path
        if "max" in wanted:
            assert value <= wanted["max"], path
        if "contains" in wanted:
            assert wanted["contains"].lower() in str(value).lower(), path
        if "length_min" in wanted:
            assert len(value) >= wanted["length_min"], path
        assert wanted.keys() & {"min", "max", "contains", "length_min"}


@pytest.mark.parametrize("app", APPS)
def test_bad_input_is_refused_with_a_message_that_helps(app, app_client, tmp_path):
    from gradio_client.exceptions import AppError

    refused = cases(app).bad_inputs(tmp_path)
    assert len(refused) >= 5
    client = app_client(app)
    wrong = []
    for label, api_name, arguments, message in refused:
        try:
            client.predict(*[sent(a, tmp_path) for a in arguments], api_name=api_name)
        except AppError as error:
            if message.lower() not in str(error).lower():
                wrong.append(f"{label}: said {str(error)!r}, wanted {message!r}")
        except ValueError as error:  # gradio_client's own check of a file
            if message.lower() not in str(error).lower():
                wrong.append(f"{label}: {error}")
        else:
            wrong.append(f"{label}: was accepted")
    assert not wrong, "\n".join(wrong)
