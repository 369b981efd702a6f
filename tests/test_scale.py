"""Training past one device: two worker processes on loopback learn what one process learns."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.history import read_history
from shared.scale import make_strategy, worker_index

ROOT = Path(__file__).resolve().parents[1]


def words(folder: Path, strategy: str) -> list[str]:
    return [
        *(sys.executable, "-m", "tests.toy", "train", "--variant", "blobs", "--epochs", "3"),
        *("--batch_size", "20", "--learning_rate", "0.001", "--strategy", strategy),
        *("--run_dir", str(folder / "runs"), "--models_dir", str(folder / "models")),
    ]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TOY_SHUFFLE": "0", **more}


def losses(folder: Path, name: str = "blobs") -> list[float]:
    return [r["loss"] for r in read_history(folder / "runs" / "toy" / name / "history-0.csv")]


@pytest.mark.slow
def test_two_workers_give_the_loss_curve_of_one_process(tmp_path):
    alone = subprocess.run(
        words(tmp_path / "alone", "none"), cwd=ROOT, capture_output=True, text=True, env=environment()
    )
    assert alone.returncode == 0, alone.stderr[-2000:]
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                words(tmp_path / "both", "multiworker"),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment(TF_CONFIG=json.dumps(config)),
            )
        )
    outputs = [w.communicate(timeout=280)[0] for w in workers]
    assert [w.returncode for w in workers] == [0, 0], "\n".join(o[-2500:] for o in outputs)
    expected = losses(tmp_path / "alone")
    assert len(expected) == 3
    assert losses(tmp_path / "both") == pytest.approx(expected, rel=1e-3)
    assert losses(tmp_path / "both", "blobs-worker-1") == pytest.approx(expected, rel=1e-3)
    assert [p.name for p in (tmp_path / "both" / "models" / "toy").iterdir()] == ["blobs"]


def test_multiworker_without_cluster_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        make_strategy("multiworker")
    with pytest.raises(ValueError, match="received 'many'"):
        make_strategy("many")
    assert make_strategy("none") is None


def test_worker_index_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"task": {"type": "worker", "index": 3}}')
    assert worker_index() == 3
    monkeypatch.delenv("TF_CONFIG")
    assert worker_index() == 0
