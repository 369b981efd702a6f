"""The model card of a variant, generated from its `metrics.json` (Hugging Face model-index included)."""

from __future__ import annotations

from typing import Any

import yaml

from shared.config import TrainConfig
from shared.task import Task


def model_card(task: Task, config: TrainConfig, metrics: dict[str, Any]) -> str:
    """Markdown with YAML front matter (https://huggingface.co/docs/hub/model-cards).

    Args:
        task: Gives `card(config)`: `summary`, `data`, `licence`, `limits`, `dataset_name`, `language`.
        config: The run's options.
        metrics: Content of `metrics.json`.
    """
    facts = task.card(config)
    front: dict[str, Any] = {
        "license": facts.get("licence_id", "other"),
        "library_name": "keras",
        "pipeline_tag": task.pipeline_tag,
        "tags": ["keras", "onnx", task.app.replace("_", "-")],
    }
    if facts.get("language"):
        front["language"] = facts["language"]
    if metrics["test"]:
        front["model-index"] = [
            {
                "name": f"{task.app}/{config.variant}",
                "results": [
                    {
                        "task": {"type": task.pipeline_tag},
                        "dataset": {
                            "name": facts.get("dataset_name", config.variant),
                            "type": facts.get("dataset_id", config.variant),
                            "split": "test",
                        },
                        "metrics": [
                            {"type": name, "value": round(float(value), 5), "name": name}
                            for name, value in metrics["test"].items()
                        ],
                    }
                ],
            }
        ]
    lines = ["---", yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(), "---", ""]
    lines += [f"# {task.app.replace('_', ' ').capitalize()}: {config.variant}", ""]
    for key, title in (("summary", None), ("data", "Data"), ("licence", "Licence"), ("limits", "Limits")):
        if facts.get(key):
            lines += ([f"## {title}", ""] if title else []) + [facts[key], ""]
    lines += ["## Results", ""]
    if metrics["test"]:
        lines += ["| metric | test | validation | trivial baseline |", "|---|---|---|---|"]
        for name, value in metrics["test"].items():
            row = (value, metrics["validation"].get(name), metrics["baseline"].get(name))
            lines.append(f"| {name} | " + " | ".join("" if v is None else f"{v:.4f}" for v in row) + " |")
        counts = metrics["examples"]
        lines += [
            "",
            f"{counts['train']} training, {counts['validation']} validation and {counts['test']} test examples. "
            "Scored once on test, with the exported graph that is served:",
            "",
            f"    {metrics['evaluate_command']}",
            "",
        ]
    else:
        lines += [facts.get("results", "Not measured here."), ""]
    train = metrics["train"]
    machine = train["machine"]
    lines += [
        "## Training",
        "",
        f"    {train['command']}",
        "",
        f"Seed {train['seed']}, {train['epochs']} epochs, {train['duration_s'] / 60:.1f} minutes on "
        f"{machine['processor']}, {machine['cores']} cores, without an accelerator; "
        + ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        + ".",
        "",
        f"Diagnosis: {metrics['diagnosis']['verdict']} ({metrics['diagnosis']['reason']}).",
        "",
    ]
    return "\n".join(lines)
