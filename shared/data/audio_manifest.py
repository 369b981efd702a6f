"""Recordings with transcripts: a folder with `metadata.tsv`, or a TensorFlow Datasets name -> three splits."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from shared.data.tfds_builder import prepared_builder
from shared.files.audio import load_audio, normalize_audio
from shared.files.errors import DataError

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    "train": "train", "training": "train", "dev": "validation", "val": "validation", "valid": "validation",
    "validation": "validation", "test": "test", "eval": "test",
}  # fmt: skip
MANIFESTS = ("metadata.tsv", "metadata.csv")
HINT = (
    "A data set is a folder with metadata.tsv (or .csv): the columns file and text, and if you have them split "
    "(train, validation, test), speaker and seconds; file is relative to that folder."
)
VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it.

    Attributes:
        text: The transcript.
        speaker: Who speaks; empty when unknown.
        source: Where it was read (`file:line`), or the file's name.
        path: The recording on disk, or None when `samples` hold it.
        samples: `(samples,)` int16 at 16 kHz, for data sets without files.
        seconds: Length, 0 when the manifest does not say.
    """

    text: str
    speaker: str = ""
    source: str = ""
    path: Path | None = None
    samples: np.ndarray | None = dataclasses.field(default=None, compare=False)
    seconds: float = 0.0

    @property
    def input(self) -> np.ndarray:
        """What the predictor takes: the audio."""
        return self.read()

    def read(self) -> np.ndarray:
        """The recording, `(samples,)` float32 at 16 kHz.

        Raises:
            InputError: The file cannot be read.
        """
        if self.path is None:
            return self.samples.astype(np.float32) / 32768
        return load_audio(self.path)


@dataclasses.dataclass(frozen=True)
class UtteranceSplits:
    """Three splits, and what the owner of the data should know."""

    train: list[Utterance]
    validation: list[Utterance]
    test: list[Utterance]
    notes: list[str] = dataclasses.field(default_factory=list)


def load_audio_manifest(
    folder: str | Path, *, seed: int = 0, share_speakers: bool = False
) -> UtteranceSplits:
    """Read a folder of recordings.

    Missing validation and test splits are drawn, a tenth each: whole speakers where there are enough of them,
    else single recordings (which the notes say).

    Args:
        folder: Holds `metadata.tsv` or `metadata.csv`.
        seed: Of the splits that are drawn.
        share_speakers: Accept a speaker in two splits, and draw missing splits by recording. Scores then say
            nothing about new voices.

    Returns:
        The splits; recordings are read later, one at a time.

    Raises:
        DataError: All problems of the manifest, each by file and line: a missing column or file, an empty
            text, an unknown split, a recording listed twice, or a speaker in two splits.
    """
    folder = Path(folder)
    manifest = next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)
    if manifest is None:
        raise DataError([f"{folder}: no {' or '.join(MANIFESTS)}"], HINT)
    delimiter = "\t" if manifest.suffix == ".tsv" else ","
    quoting = csv.QUOTE_NONE if manifest.suffix == ".tsv" else csv.QUOTE_MINIMAL
    problems: list[str] = []
    found: dict[str, list[Utterance]] = {split: [] for split in (*SPLITS, "")}
    seen: dict[str, int] = {}
    with manifest.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter, quoting=quoting)
        missing = {"file", "text"} - set(reader.fieldnames or ())
        if missing:
            raise DataError([f"{manifest.name}:1: no column {', '.join(sorted(missing))}"], HINT)
        for row in reader:
            where = f"{manifest.name}:{reader.line_num}"
            utterance = _utterance(row, folder, where, seen, problems)
            split = (row.get("split") or "").strip().lower()
            if split and split not in SPLIT_NAMES:
                problems.append(f"{where}: split must be train, validation or test, received {split!r}")
            elif utterance:
                found[SPLIT_NAMES.get(split, "")].append(utterance)
    if not problems and not any(found.values()):
        problems.append(f"{manifest.name}: no recordings")
    if problems:
        raise DataError(problems, HINT)
    found["train"] += found.pop("")
    return complete_splits(found, seed=seed, share_speakers=share_speakers)


def _utterance(
    row: dict, folder: Path, where: str, seen: dict[str, int], problems: list[str]
) -> Utterance | None:
    name, text = (row.get("file") or "").strip(), (row.get("text") or "").strip()
    if not name:
        problems.append(f"{where}: file is empty")
    elif not (folder / name).is_file():
        problems.append(f"{where}: file {name!r} does not exist")
    elif name in seen:
        problems.append(f"{where}: file {name!r} stands in line {seen[name]} already")
    elif not text:
        problems.append(f"{where}: text of {name!r} is empty")
    else:
        seen[name] = int(where.rsplit(":", 1)[1])
        try:
            seconds = float(row.get("seconds") or 0)
        except ValueError:
            seconds = 0.0
        speaker = (row.get("speaker") or "").strip()
        return Utterance(text, speaker, name, folder / name, seconds=seconds)
    return None


def load_tfds_speech(
    name: str, *, data_dir: str = "", seed: int = 0, share_speakers: bool = False
) -> UtteranceSplits:
    """Read a speech data set of TensorFlow Datasets, e.g. `librispeech`, `ljspeech` or `spoken_digit`.

    Args:
        name: As `tfds.builder` takes it, with or without `tfds:`.
        data_dir: Where prepared data sets lie; TFDS's own default when empty.
        seed: Of the splits that are drawn.
        share_speakers: See `load_audio_manifest`.

    Raises:
        DataError: There is no such data set, or it has no audio with text or label.
    """
    import tensorflow_datasets as tfds

    name = name.removeprefix("tfds:")
    builder = prepared_builder(name, data_dir)
    features = builder.info.features
    audio_key = next((k for k in ("audio", "speech") if k in features), None)
    text_key = next((k for k in ("text", "text_normalized", "label") if k in features), None)
    if audio_key is None or text_key is None:
        raise DataError([f"tfds:{name}: needs audio or speech, and text or label; has {', '.join(features)}"])
    rate = getattr(features[audio_key], "sample_rate", None) or (8_000 if name == "spoken_digit" else 16_000)
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for split in builder.info.splits:
        # LibriSpeech calls them train_clean100, dev_clean, test_other...
        target = SPLIT_NAMES.get(split.split("_")[0])
        if target is None:
            continue
        for index, row in enumerate(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))):
            text = row[text_key]
            if text_key == "label":
                digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
                text = digits[int(text)] if name == "spoken_digit" else features[text_key].int2str(int(text))
            source = f"{name}/{split}/{index}"
            speaker = row.get("speaker_id", row.get("speaker", ""))
            if name == "spoken_digit" and isinstance(row.get("audio/filename"), bytes):
                # 7_jackson_32.wav: digit, speaker, number.
                source = row["audio/filename"].decode()
                speaker = source.split("_")[1]
            audio = normalize_audio(np.asarray(row[audio_key]).astype(np.int16), rate)
            found[target].append(
                Utterance(
                    text.decode() if isinstance(text, bytes) else str(text),
                    speaker.decode() if isinstance(speaker, bytes) else str(speaker),
                    source,
                    samples=np.rint(audio * 32767).astype(np.int16),
                    seconds=len(audio) / 16_000,
                )
            )
    if not found["train"]:
        raise DataError([f"tfds:{name}: no train split among {', '.join(builder.info.splits)}"])
    return complete_splits(found, seed=seed, share_speakers=share_speakers)


def complete_splits(
    found: dict[str, list[Utterance]], *, seed: int = 0, share_speakers: bool = False
) -> UtteranceSplits:
    """Draw the splits that are missing, and refuse a speaker in two of them.

    Raises:
        DataError: A speaker stands in two splits and `share_speakers` is not set.
    """
    notes: list[str] = []
    splits = {split: list(found.get(split, ())) for split in SPLITS}
    if not share_speakers:
        problems = speakers_in_two_splits(splits)
        if problems:
            raise DataError(
                problems,
                "Put each speaker into one split, or pass --share_speakers: the score then says nothing about "
                "new voices.",
            )
    missing = [split for split in ("test", "validation") if not splits[split]]
    for index, split in enumerate(missing):
        share = TEST_SHARE if split == "test" else VALIDATION_SHARE
        speakers = {u.speaker for u in splits["train"]}
        # One speaker for this split, one for each that is still to come, and one to train on.
        enough = len(speakers) > len(missing) - index
        by_speaker = enough and "" not in speakers and not share_speakers
        drawn = _draw(splits["train"], share, f"{seed}-{split}", by_speaker)
        chosen = {id(u) for u in drawn}
        splits["train"] = [u for u in splits["train"] if id(u) not in chosen]
        splits[split] = drawn
        how = "whole speakers" if by_speaker else "single recordings: the same voices stand in two splits"
        notes.append(f"{split}: {len(drawn)} recordings drawn from train ({how})")
    if share_speakers and speakers_in_two_splits(splits):
        notes.append("speakers stand in more than one split: the score says nothing about new voices")
    return UtteranceSplits(splits["train"], splits["validation"], splits["test"], notes)


def speakers_in_two_splits(splits: dict[str, Sequence[Utterance]]) -> list[str]:
    """One line for each speaker that stands in more than one split."""
    where: dict[str, set[str]] = defaultdict(set)
    for split, utterances in splits.items():
        for utterance in utterances:
            if utterance.speaker:
                where[utterance.speaker].add(split)
    return [
        f"speaker {speaker!r} stands in {' and '.join(s for s in SPLITS if s in names)}"
        for speaker, names in sorted(where.items())
        if len(names) > 1
    ]


def _draw(utterances: Iterable[Utterance], share: float, salt: str, by_speaker: bool) -> list[Utterance]:
    """A share of the recordings, by a hash that does not depend on their order."""

    def rank(key: str) -> str:
        return hashlib.sha256(f"{salt}/{key}".encode()).hexdigest()

    utterances = list(utterances)
    wanted = max(1, round(share * len(utterances)))
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[utterance.speaker if by_speaker else utterance.source].append(utterance)
    drawn: list[Utterance] = []
    for key in sorted(groups, key=rank)[: len(groups) - 1]:
        if len(drawn) >= wanted:
            break
        drawn += groups[key]
    return drawn
