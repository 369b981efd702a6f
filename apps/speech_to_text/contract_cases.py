"""What the contract suite runs this app on: a made data set, and inputs that must be refused."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np

OVERFIT = {
    "metric": "loss",
    "below": 0.3,
    "steps": 150,
    "flags": [
        *("--dropout", "0", "--time_masks", "0", "--frequency_masks", "0", "--speed_perturbation", "false"),
        *("--learning_rate", "0.005", "--warmup", "0.05", "--weight_decay", "0", "--ema_momentum", "0"),
    ],
}
RATE_HZ = 16_000
# A "word" is a chord of two tones: no speech, yet something a recognizer can learn.
_WORDS = {"low": (220, 330), "mid": (520, 780), "top": (1200, 1900)}


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    """16-bit PCM; `samples` `(samples,)` or `(samples, channels)` in [-1, 1]."""
    samples = samples.reshape(len(samples), -1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return path


def make_word(word: str, random: np.random.Generator) -> np.ndarray:
    """0.4 s of one of the three sounds, a little different each time."""
    times = np.arange(int(0.4 * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * f * random.uniform(0.97, 1.03) * times) for f in _WORDS[word])
    return 0.3 * sound * np.hanning(len(times)) + random.normal(0, 0.005, len(times))


def tiny_dataset(folder: Path) -> list[str]:
    """Nine made voices in three splits; flags for a network of one block."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows = ["file\tsplit\tspeaker\ttext"]
    for split, speakers, count in (("train", 5, 6), ("validation", 2, 4), ("test", 2, 4)):
        for speaker in range(speakers):
            for index in range(count):
                words = random.choice(list(_WORDS), 2)
                audio = np.concatenate([make_word(str(w), random) for w in words])
                name = f"{split}-{speaker}-{index}.wav"
                write_wav(folder / name, audio)
                rows.append(f"{name}\t{split}\t{split}{speaker}\t{' '.join(words)}")
    (folder / "metadata.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [
        *("--data", str(folder), "--model", "conformer_ctc", "--epochs", "1", "--batch_size", "8"),
        *("--dim", "32", "--blocks", "1", "--heads", "2", "--num_mels", "32", "--subsampling", "2"),
        *("--language_model_order", "3", "--beam_size", "4"),
    ]


def wav_header(seconds: int, rate_hz: int = 8000) -> bytes:
    """Header of an 8-bit WAV file of this length."""
    size = seconds * rate_hz
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz, 1, 8) + b"data" + struct.pack("<I", size)


def bad_inputs(folder: Path) -> list[tuple[str, str, list, str]]:
    """Label, endpoint, arguments, part of the English message."""
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_bytes(b"this is not a sound\n" * 50)
    (folder / "picture.mp3").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    (folder / "header.wav").write_bytes(wav_header(0))
    import soundfile

    # Silence compresses well: two hours in a few hundred kilobytes.
    with soundfile.SoundFile(folder / "two_hours.flac", "w", 8000, 1, subtype="PCM_16") as file:
        for _ in range(120):
            file.write(np.zeros(60 * 8000, np.int16))
    write_wav(folder / "blink.wav", np.zeros(200))
    model, search = "whisper_tiny_en", "greedy"

    def args(name: str, *rest: str) -> list:
        return [{"file": str(folder / name)}, *(rest or (model, search))]

    return [
        ("nothing", "/predict", [None, model, search], "Record something or choose a file"),
        ("0 bytes", "/predict", args("empty.wav"), "empty (0 bytes)"),
        ("text named wav", "/predict", args("text.wav"), "no sound that can be read"),
        ("a picture named mp3", "/predict", args("picture.mp3"), "no sound that can be read"),
        ("a header alone", "/predict", args("header.wav"), "no samples"),
        ("two hours", "/predict", args("two_hours.flac"), "at most 30 min"),
        ("an instant", "/predict", args("blink.wav"), "at least one second"),
        ("nothing to compare", "/compare", [None, model], "Record something or choose a file"),
        ("no transcript", "/word_errors", [None, "hello"], "Transcribe a recording first"),
        ("no reference", "/word_errors", [{"text": "hello"}, " ,. "], "at least one word"),
    ]
