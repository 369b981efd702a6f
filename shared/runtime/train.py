"""One training run, from data to a published variant: `python -m apps.<app>.train --data PATH`.

The steps are numbered as in `train`; each is one call into the app's Task or into a file of this folder.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.config import TrainConfig, parse_config
from shared.runtime import environment
from shared.runtime.files import write_json, write_text
from shared.runtime.publish import finish_config, publish, staging_folder
from shared.runtime.variants import Variant
from shared.scale import worker_index
from shared.task import DataCheck, Splits, Task

PARITY_EXAMPLES = 32


def main(task: Task, argv: Sequence[str] | None = None) -> Path:
    """Command line of every app's `train.py`: returns the published folder.

    Raises:
        SystemExit: Bad options or data; the reason is on stderr, all problems of the data in one list.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    config = parse_config(
        task.config_class,
        task.variants,
        argv,
        prog=f"python -m apps.{task.app}.train",
        description=f"Train, measure and publish a variant of {task.app}. Known variants: {', '.join(task.variants)}.",
    )
    try:
        return train(task, config, environment.public_command(task.app, "train", argv))
    except (ValueError, FileNotFoundError) as error:
        # A wrong file, option or data set is the user's to mend: the reason alone helps more than a traceback.
        ours = type(error).__module__.startswith(("shared.", "apps."))
        if ours or (isinstance(error, FileNotFoundError) and error.errno is None):
            raise SystemExit(f"error: {error}") from error
        raise


def train(task: Task, config: TrainConfig, command: str = "") -> Path:
    """Run all steps and return the folder of the published variant.

    Args:
        task: The app's task.
        config: The run's options.
        command: The command line, kept with the results.
    """
    started = datetime.datetime.now(datetime.UTC)
    # 1 Options and seed.
    print(f"Options: {config.asdict()}", flush=True)
    environment.prepare(config)
    from shared.runtime.fit import Run, fit

    run = Run(task, config)
    # 2 Data, checked before anything is trained.
    splits = task.load_splits(config)
    check = task.check_data(splits, config)
    _print_data(splits, check)
    if check.contact_sheet:
        (run.folder / "contact_sheet.png").write_bytes(check.contact_sheet)
    if config.find_learning_rate:
        from shared.runtime.lr_finder import describe, find_learning_rate

        print(describe(find_learning_rate(task, config, splits, run.folder)), flush=True)
        return run.folder
    # 3 A trivial rule first: a model that does not beat it has learned nothing.
    baseline = task.baseline(splits, config)
    print("Trivial baseline on test: " + _numbers(baseline), flush=True)
    # 4 Fit; the best checkpoint comes back from disk.
    model = fit(task, config, splits, run)
    if worker_index():
        print("This worker is done; the chief (worker 0) evaluates and publishes.", flush=True)
        return run.folder
    # 5 Decisions on validation, then export, score and report, all aside, published by one rename.
    extra = task.calibrate(model, config, splits)
    target = Path(config.models_dir) / task.app / config.variant
    with staging_folder(task.app, config.variant, Path(config.models_dir)) as folder:
        write_variant(task, model, config, splits, folder, extra)
        metrics = score(task, config, splits, folder, run, baseline)
        metrics["train"] |= {
            "command": command,
            "started": started.isoformat(timespec="seconds"),
            "duration_s": round(run.state["seconds"], 1),
        }
        finish_reports(task, config, folder, run, check, metrics)
        publish(folder, target)
    print(
        f"\nTest: {_numbers(metrics['test'])}\nPublished {target}; report: {target / 'report.html'}",
        flush=True,
    )
    return target


def write_variant(
    task: Task,
    model: Any,
    config: TrainConfig,
    splits: Splits,
    folder: Path,
    extra: dict[str, Any] | None = None,
) -> None:
    """Export the graphs, the assets and `config.json` into a folder."""
    from shared.runtime.export import export_graphs

    graphs = export_graphs(task, model, config, folder)
    task.save_assets(folder, config, splits)
    settings = task.settings(config, splits) | (extra or {})
    finish_config(
        folder,
        {
            "app": task.app,
            "variant": config.variant,
            "settings": settings,
            "graphs": graphs,
            "train": environment.public_options(config),
        },
    )


def score(
    task: Task, config: TrainConfig, splits: Splits, folder: Path, run: Any, baseline: dict[str, float]
) -> dict[str, Any]:
    """Parity, then test and validation scores of the exported graphs through the serving predictor."""
    from shared.runtime.export import check_parity, parity_inputs
    from shared.runtime.predictor import Predictor

    variant = Variant(task.app, config.variant, folder)
    predictor = Predictor(variant)
    parity = {}
    examples = splits.validation if len(splits.validation) else splits.test
    for name, outputs in variant.config["graphs"].items():
        inputs = task.parity_inputs(predictor, name, examples[:PARITY_EXAMPLES], parity_inputs)
        if inputs is not None:
            parity[name] = check_parity(folder, name, outputs, inputs)
            print(f"Keras and ONNX agree within {parity[name]:.2g} on {name}", flush=True)
    if not task.keep_keras(config):
        for name in variant.config["graphs"]:
            (folder / f"{name}.keras").unlink(missing_ok=True)
        finish_config(folder, variant.config)
        variant = Variant(task.app, config.variant, folder)
        predictor = Predictor(variant)
    begun = time.monotonic()
    validation = task.evaluate(predictor, splits.validation, config) if len(splits.validation) else None
    test = task.evaluate(predictor, splits.test, config) if len(splits.test) else None
    run.evaluation = test or validation
    figures = test.metrics if test else {}
    return {
        "headline": {
            "name": task.headline,
            "value": figures.get(task.headline),
            "higher_is_better": task.higher_is_better,
        },
        "test": figures,
        "validation": validation.metrics if validation else {},
        "baseline": baseline,
        "examples": {
            "train": len(splits.train),
            "validation": len(splits.validation),
            "test": len(splits.test),
        },
        "parity_max_abs_difference": parity,
        "onnx_bytes": variant.onnx_bytes(),
        "evaluate_command": f"python -m apps.{task.app}.evaluate --variant {config.variant} --data PATH",
        "evaluate_s": round(time.monotonic() - begun, 1),
        "train": {
            "seed": config.seed,
            "epochs": sum(len(rows) for rows in run.history()),
            "machine": environment.machine(),
        },
    }


def finish_reports(
    task: Task, config: TrainConfig, folder: Path, run: Any, check: DataCheck, metrics: dict[str, Any]
) -> None:
    """Write `metrics.json`, `report.html` and `MODEL_CARD.md`."""
    from shared.runtime.card import model_card
    from shared.runtime.history import diagnose
    from shared.runtime.report import html_report

    history = run.history()
    rows = history[-1] if history else []
    diagnosis = diagnose(rows, task.monitor, task.monitor_mode)
    metrics["diagnosis"] = {
        "verdict": diagnosis.verdict,
        "reason": diagnosis.reason,
        "advice": diagnosis.advice,
    }
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "report.html", html_report(task, config, history, check, run.evaluation, metrics))
    write_text(folder / "MODEL_CARD.md", model_card(task, config, metrics))
    write_text(run.folder / "report.html", (folder / "report.html").read_text(encoding="utf-8"))


def _print_data(splits: Splits, check: DataCheck) -> None:
    print(f"Data: {len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test")
    for row in check.counts[:40]:
        print("  " + ", ".join(f"{k}: {v}" for k, v in row.items()))
    for problem in check.problems:
        print(f"  note: {problem}")
    sys.stdout.flush()


def _numbers(metrics: dict[str, float]) -> str:
    return ", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in metrics.items())
