"""The training runtime on the toy app: kill and resume, publish once, failed exports, errors that help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from shared.config import TrainConfig, parse_config
from shared.runtime.history import diagnose, read_history
from shared.runtime.variants import CorruptWeights, MissingWeights, Variant, find_variant
from tests import toy

ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def command(folder: Path, *flags: str, verb: str = "train") -> list[str]:
    words = [
        sys.executable,
        "-m",
        "tests.toy",
        verb,
        "--variant",
        "blobs",
        "--models_dir",
        str(folder / "models"),
    ]
    if verb == "train":
        words += ["--run_dir", str(folder / "runs")]
    return words + list(flags)


def run(folder: Path, *flags: str, verb: str = "train") -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *flags, verb=verb), capture_output=True, text=True, env=ENVIRONMENT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with one finished run."""
    folder = tmp_path_factory.mktemp("trained")
    finished = run(folder, "--ema_momentum", "0.9")
    assert finished.returncode == 0, finished.stderr[-2000:]
    return folder


def test_run_publishes_a_whole_variant(trained):
    variant = trained / "models" / "toy" / "blobs"
    names = {p.name for p in variant.iterdir()}
    assert {
        "model.keras",
        "model.onnx",
        "config.json",
        "metrics.json",
        "MODEL_CARD.md",
        "report.html",
    } <= names
    metrics = json.loads((variant / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > metrics["baseline"]["accuracy"] + 0.2
    assert metrics["parity_max_abs_difference"]["model"] < 1e-3
    assert metrics["train"]["epochs"] == 4
    assert str(trained) not in "".join(p.read_text() for p in variant.glob("*.[jmh][sdt]*"))
    card = (variant / "MODEL_CARD.md").read_text()
    assert f"{metrics['test']['accuracy']:.4f}" in card
    assert "model-index" in card


def test_evaluate_repeats_the_published_figure_and_notices_another(trained, tmp_path):
    same = run(trained, verb="evaluate")
    assert same.returncode == 0, same.stderr[-2000:]
    assert "DIFFERS" not in same.stdout
    keras = run(trained, "--runtime", "keras", verb="evaluate")
    assert keras.returncode == 0, keras.stderr[-2000:]
    path = trained / "models" / "toy" / "blobs" / "metrics.json"
    original = path.read_text()
    metrics = json.loads(original)
    metrics["test"]["accuracy"] -= 0.1
    path.write_text(json.dumps(metrics))
    try:
        assert run(trained, verb="evaluate").returncode == 1
    finally:
        path.write_text(original)


def test_export_again_from_the_keras_file(trained):
    before = find_variant("toy", "blobs", trained / "models").config["files"]
    done = run(trained, "--storage", "float32", verb="export")
    assert done.returncode == 0, done.stderr[-2000:]
    variant = find_variant("toy", "blobs", trained / "models")
    assert variant.checked("model.onnx").stat().st_size > 0
    assert set(variant.config["files"]) == set(before)
    assert run(trained, "--storage", "float16", verb="export").returncode == 0


def test_killed_training_resumes_and_publishes_once(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, "--epochs", "6", "--epoch_s", "0.7", "--ema_momentum", "0.9"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    log = tmp_path / "runs" / "toy" / "blobs" / "history-0.csv"
    deadline = time.monotonic() + 120
    while len(read_history(log)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = len(read_history(log))
    assert 3 <= reached < 6
    assert not (tmp_path / "models" / "toy" / "blobs").exists()
    resumed = run(tmp_path, "--epochs", "6", "--epoch_s", "0.7", "--ema_momentum", "0.9", "--resume")
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert "Epoch 1/6" not in resumed.stdout, "training began anew"
    rows = read_history(log)
    assert [int(r["epoch"]) for r in rows] == list(range(6))
    metrics = json.loads((tmp_path / "models" / "toy" / "blobs" / "metrics.json").read_text())
    assert metrics["train"]["epochs"] == 6
    assert [p.name for p in (tmp_path / "models" / "toy").iterdir()] == ["blobs"]


def test_resume_refuses_other_options(trained):
    refused = run(trained, "--ema_momentum", "0.9", "--resume", "--learning_rate", "0.01")
    assert refused.returncode != 0
    assert "learning_rate was 0.05, received 0.01" in refused.stderr


def test_same_seed_gives_the_same_run(tmp_path):
    losses = []
    for name in ("a", "b"):
        done = run(tmp_path / name, "--epochs", "2", "--deterministic")
        assert done.returncode == 0, done.stderr[-2000:]
        losses.append(read_history(tmp_path / name / "runs" / "toy" / "blobs" / "history-0.csv"))
    assert losses[0] == losses[1]


def test_failed_export_leaves_the_old_model(trained, monkeypatch):
    from shared.runtime import storage
    from shared.runtime.train import train

    target = trained / "models" / "toy" / "blobs"
    before = {p.name: p.read_bytes() for p in target.iterdir()}

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(storage, "export_onnx", broken)
    config = toy.ToyConfig(
        variant="blobs", epochs=1, run_dir=str(trained / "other"), models_dir=str(trained / "models")
    )
    with pytest.raises(OSError, match="disk full"):
        train(toy.TASK, config)
    assert {p.name: p.read_bytes() for p in target.iterdir()} == before
    assert [p.name for p in target.parent.iterdir()] == ["blobs"]


def test_parity_check_notices_another_model(trained, tmp_path):
    import shutil

    from shared.runtime.export import ParityError, check_parity

    folder = trained / "models" / "toy" / "blobs"
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    assert check_parity(folder, "model", ["logits"], {"x": x}) < 1e-3
    import keras

    model = keras.saving.load_model(folder / "model.keras")
    model.get_layer("head").bias.assign_add([1.0, 0.0])
    for name in ("model.onnx",):
        shutil.copy(folder / name, tmp_path / name)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ParityError, match=r"model\.onnx answers differently"):
        check_parity(tmp_path, "model", ["logits"], {"x": x})


def test_published_options_name_no_place_of_this_machine():
    from shared.runtime.environment import public_command, public_options

    config = toy.ToyConfig(data="/home/me/photos", init_from="../other/model.keras", run_dir="/disk/runs")
    options = public_options(config)
    assert (options["data"], options["init_from"], options["run_dir"]) == ("photos", "model.keras", "runs")
    command = public_command(
        "toy", "train", ["--data", "/home/me/photos", "--init_from=../m.keras", "--seed", "1"]
    )
    assert command == "python -m apps.toy.train --data PATH/photos --init_from=PATH/m.keras --seed 1"


def test_nan_in_the_data_is_an_error_that_names_the_weight(tmp_path):
    failed = run(tmp_path, "--poison", "--epochs", "2")
    assert failed.returncode != 0
    assert "became NaN or infinite in phase 'train'" in failed.stderr
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models" / "toy").iterdir())


def test_range_test_suggests_a_rate_and_publishes_nothing(tmp_path):
    done = run(tmp_path, "--find_learning_rate")
    assert done.returncode == 0, done.stderr[-2000:]
    rate = float(done.stdout.split("--learning_rate ")[1].split()[0])
    assert 1e-5 < rate < 0.2
    assert (tmp_path / "runs" / "toy" / "blobs" / "learning_rate.png").stat().st_size > 1000
    assert not (tmp_path / "models").exists()


def test_range_test_reads_the_curve():
    from shared.runtime.lr_finder import suggest

    rates = np.geomspace(1e-5, 1, 60)
    losses = np.concatenate([np.linspace(1, 0.2, 40), np.linspace(0.3, 30, 20)])
    result = suggest(rates, losses, smoothing=0.0)
    assert result.suggestion == pytest.approx(rates[39] / 10)
    assert len(result.losses) < 60, "the curve ends where the loss diverges"
    with pytest.raises(ValueError, match="received 3"):
        suggest(rates, [1.0, 1.0, 1.0, np.nan])


def test_missing_and_changed_weights_are_refused(trained, tmp_path):
    with pytest.raises(MissingWeights, match=r"python -m apps\.toy\.train --variant absent"):
        find_variant("toy", "absent", trained / "models")
    import shutil

    copy = tmp_path / "toy" / "blobs"
    shutil.copytree(trained / "models" / "toy" / "blobs", copy)
    content = bytearray((copy / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.onnx").write_bytes(content)
    with pytest.raises(CorruptWeights, match="sha256"):
        Variant("toy", "blobs", copy).checked("model.onnx")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--learning-rate", "0.5"], {"learning_rate": 0.5}),
        (["--learning_rate=0.5", "--resume"], {"learning_rate": 0.5, "resume": True}),
        (["--resume", "--epochs", "3"], {"resume": True, "epochs": 3}),
        (["--resume=false"], {"resume": False}),
        (["--variant", "blobs"], {"epochs": 4, "learning_rate": 0.05}),
        (["--variant", "mine"], {"epochs": 10, "variant": "mine"}),
    ],
)
def test_command_line(flags, expected):
    config = parse_config(toy.ToyConfig, toy.VARIANTS, flags)
    assert {k: getattr(config, k) for k in expected} == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rte", "0.5"], "learning_rte"),
        (["--epochs", "many"], "epochs"),
        (["--epochs", "-1"], "epochs must be 0 or more, received -1"),
        (["--dataset", "cifar10"], "tfds:"),
    ],
)
def test_command_line_refuses(flags, message, capsys):
    with pytest.raises(SystemExit):
        parse_config(TrainConfig, {}, flags)
    assert message in capsys.readouterr().err


def test_yaml_and_flags(tmp_path, capsys):
    path = tmp_path / "run.yaml"
    path.write_text("epochs: 7\nlearning_rate: 0.2\n")
    config = parse_config(toy.ToyConfig, toy.VARIANTS, ["--config", str(path), "--epochs", "9"])
    assert (config.epochs, config.learning_rate) == (9, 0.2)
    path.write_text("epocs: 7\n")
    with pytest.raises(SystemExit):
        parse_config(toy.ToyConfig, toy.VARIANTS, ["--config", str(path)])
    assert "epocs" in capsys.readouterr().err


def rows(train: list[float], validation: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": i, "loss": a, "val_loss": b} for i, (a, b) in enumerate(zip(train, validation, strict=True))
    ]


@pytest.mark.parametrize(
    ("train", "validation", "verdict"),
    [
        ([1.0, 0.5, 0.2, 0.1, 0.05], [1.0, 0.7, 0.6, 0.8, 0.9], "over-fitting"),
        ([1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 0.9, 0.85, 0.8, 0.75], "still improving"),
        ([0.7, 0.69, 0.69, 0.69, 0.69], [0.7, 0.69, 0.691, 0.692, 0.693], "under-fitting"),
        ([1.0, 0.5, 0.4, 0.4, 0.4], [1.0, 0.55, 0.5, 0.51, 0.51], "balanced"),
        ([1.0, 0.5], [1.0, 0.5], "unknown"),
    ],
)
def test_diagnosis(train, validation, verdict):
    assert diagnose(rows(train, validation), "val_loss", "min").verdict == verdict


def test_history_survives_a_cut_line_and_a_repeated_epoch(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,1.0\n1,0.5\n1,0.4\n2,0.")
    assert [r["loss"] for r in read_history(path)] == [1.0, 0.4, 0.0]
    path.write_text("epoch,loss\n0,1.0\nx")
    assert [r["loss"] for r in read_history(path)] == [1.0]
