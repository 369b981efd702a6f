"""The two speech models, one flag apart: Whisper tiny.en fine-tuned, or a small Conformer from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.speech_to_text.config import SpeechConfig

if TYPE_CHECKING:
    import keras


def build_model(config: SpeechConfig) -> keras.Model:
    """The model that `config.model` names, its outputs being logits.

    Args:
        config: `model` is `whisper_tiny_en` (pretrained weights, `whisper_training.py`) or `conformer_ctc`
            (random weights, `ctc_model.py`).
    """
    if config.model == "whisper_tiny_en":
        from apps.speech_to_text.whisper_training import build_whisper

        return build_whisper(config)
    from apps.speech_to_text.ctc_model import build_conformer

    return build_conformer(config)
