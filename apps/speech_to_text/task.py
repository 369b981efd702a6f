"""Wires data, models and scores for the shared runtime."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.speech_to_text import data, scoring
from apps.speech_to_text.config import VARIANTS, SpeechConfig
from apps.speech_to_text.ctc_decoding import CharacterModel, decode_beam, log_softmax
from apps.speech_to_text.preprocessing import LANGUAGE_MODEL_FILE
from shared.data.audio_manifest import Utterance
from shared.task import DataCheck, Evaluation, Phase, Splits, Task

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Weights of the language model that are tried on validation."""
CALIBRATION_EXAMPLES = 200


class SpeechTask(Task):
    """See `shared.task`."""

    app = "speech_to_text"
    config_class = SpeechConfig
    variants = VARIANTS
    monitor = "val_loss"
    headline = "wer"
    higher_is_better = False
    pipeline_tag = "automatic-speech-recognition"

    def __init__(self) -> None:
        self._backbone: Any = None

    def load_splits(self, config: SpeechConfig) -> Splits:
        return data.load_splits(config)

    def check_data(self, splits: Splits, config: SpeechConfig) -> DataCheck:
        return data.check_data(splits, config)

    def batches(
        self, examples: Sequence[Utterance], config: SpeechConfig, splits: Splits, *, training: bool
    ) -> Any:
        if config.model == "whisper_tiny_en":
            from apps.speech_to_text.whisper_training import whisper_batches

            return whisper_batches(examples, config, self._backbone, training=training)
        from apps.speech_to_text.ctc_training import ctc_batches

        return ctc_batches(examples, config, training=training)

    def build_model(self, config: SpeechConfig, splits: Splits) -> Any:
        from apps.speech_to_text.model import build_model

        model = build_model(config)
        if config.model == "whisper_tiny_en":
            self._backbone = model.get_layer("decoder").backbone
        return model

    def compile(self, model: Any, config: SpeechConfig, phase: Phase, steps_per_epoch: int) -> None:
        import keras

        from apps.speech_to_text.ctc_model import PackedCtcLoss

        steps = max(1, phase.epochs * steps_per_epoch)
        warmup = max(1, int(config.warmup * steps))
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=phase.learning_rate / 100,
            decay_steps=max(1, steps - warmup),
            alpha=0.01,
            warmup_target=phase.learning_rate,
            warmup_steps=warmup,
        )
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=config.weight_decay,
            beta_2=0.98,
            clipnorm=1.0,
            use_ema=config.ema_momentum > 0,
            ema_momentum=config.ema_momentum or 0.99,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        if config.model == "whisper_tiny_en":
            from apps.speech_to_text.whisper_training import NextTokenLoss

            loss = NextTokenLoss(config.label_smoothing)
        else:
            loss = PackedCtcLoss()
        model.compile(optimizer=optimizer, loss=loss, jit_compile=False)

    def write_graphs(self, model: Any, config: SpeechConfig, folder: Path) -> dict[str, list[str]] | None:
        """Whisper's graphs are written node by node; the CTC model goes the runtime's common way."""
        if config.model != "whisper_tiny_en":
            return None
        from apps.speech_to_text.whisper_training import write_whisper

        return write_whisper(model, config, folder)

    def keep_keras(self, config: SpeechConfig) -> bool:
        """Whisper's Keras file would have 145 MB: `shared.backbones` makes it again from its wheel."""
        return config.model != "whisper_tiny_en"

    def parity_inputs(self, predictor: Any, graph: str, examples: Any, collect: Any) -> Any:
        """Whisper's graphs are held to Keras where they are written (`import_whisper.check_graphs`)."""
        if predictor.variant.settings["model"] == "whisper_tiny_en":
            return None
        return super().parity_inputs(predictor, graph, examples, collect)

    def evaluate(self, predictor: Any, examples: Sequence[Utterance], config: SpeechConfig) -> Evaluation:
        """Word and character error rates through the serving predictor, greedy and with a beam.

        The headline is what the page does when nothing is changed: Whisper greedy, CTC with its beam.
        """
        references = [u.text for u in examples]
        whisper = config.model == "whisper_tiny_en"
        heard = self._transcribe(predictor, examples)
        other = self._transcribe(predictor, examples, beam_size=5 if whisper else 1)
        metrics = scoring.error_rates(references, heard)
        metrics["wer_beam_5" if whisper else "wer_greedy"] = scoring.error_rates(references, other)["wer"]
        speakers = scoring.by_speaker([u.speaker for u in examples], references, heard)
        wrong = [
            {"said": r, "recognized": h, "recording": u.source}
            for r, h, u in zip(references, heard, examples, strict=True)
            if scoring.normalizer()(r) != scoring.normalizer()(h)
        ]
        tables = {"By speaker": speakers}
        if wrong:
            tables["Mistakes"] = wrong[:50]
        confused = Counter((row["said"], row["recognized"]) for row in wrong)
        mistakes = [
            {"caption": f"said: {said} | recognized: {got or '(nothing)'} | {count} times"}
            for (said, got), count in confused.most_common(24)
        ]
        return Evaluation(metrics, tables, mistakes=mistakes)

    @staticmethod
    def _transcribe(predictor: Any, examples: Sequence[Utterance], **options: Any) -> list[str]:
        return [predictor.predict(u.read(), word_timestamps=False, **options).text for u in examples]

    def baseline(self, splits: Splits, config: SpeechConfig) -> dict[str, float]:
        """Always the most frequent training transcript."""
        if not len(splits.test):
            return {}
        text = Counter(u.text for u in splits.train).most_common(1)[0][0]
        rates = scoring.error_rates([u.text for u in splits.test], [text] * len(splits.test))
        return {"wer": rates["wer"], "cer": rates["cer"]}

    def calibrate(self, model: Any, config: SpeechConfig, splits: Splits) -> dict[str, Any]:
        """Weight of the language model, chosen on validation."""
        if config.model == "whisper_tiny_en":
            return {}
        if config.language_model_weight >= 0 or not config.language_model_order:
            return {}
        import numpy as np

        from apps.speech_to_text.features import ctc_features

        language_model = self._language_model(config, splits)
        examples = list(splits.validation)[:CALIBRATION_EXAMPLES]
        frames = []
        for utterance in examples:
            features = ctc_features(utterance.read(), config.num_mels, config.maximum_hz)[None]
            mask = np.ones(features.shape[:2], np.float32)
            logits = model({"features": features, "mask": mask}, training=False)
            frames.append(log_softmax(np.asarray(logits)[0]))
        rates = {}
        for weight in WEIGHTS:
            used = language_model if weight else None
            heard = [decode_beam(f, config.beam_size, used, weight).text for f in frames]
            rates[weight] = scoring.error_rates([u.text for u in examples], heard)["wer"]
        best = min(WEIGHTS, key=lambda w: (rates[w], w))
        print(f"Language model weight by WER on validation: {rates}, chosen {best}", flush=True)
        return {"language_model_weight": best}

    @staticmethod
    def _language_model(config: SpeechConfig, splits: Splits) -> CharacterModel:
        return CharacterModel.train([u.text for u in splits.train], config.language_model_order)

    def save_assets(self, folder: Path, config: SpeechConfig, splits: Splits) -> None:
        if config.model == "conformer_ctc" and config.language_model_order:
            values = self._language_model(config, splits).to_json()
            (folder / LANGUAGE_MODEL_FILE).write_text(
                json.dumps(values, separators=(",", ":")), encoding="utf-8"
            )

    def settings(self, config: SpeechConfig, splits: Splits) -> dict[str, Any]:
        if config.model == "whisper_tiny_en":
            from apps.speech_to_text.import_whisper import whisper_settings
            from apps.speech_to_text.whisper_training import generation_settings

            return whisper_settings(config.variant, generation_settings(config))
        return {
            "name": config.variant,
            "model": config.model,
            "num_mels": config.num_mels,
            "maximum_hz": config.maximum_hz,
            "subsampling": config.subsampling,
            "beam_size": config.beam_size,
            "language_model_weight": max(0.0, config.language_model_weight),
        }

    def card(self, config: SpeechConfig) -> dict[str, Any]:
        from apps.speech_to_text.card import card

        return card(config)


TASK = SpeechTask()
