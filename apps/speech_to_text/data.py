"""Recordings -> splits: your own folder, or a TensorFlow Datasets name."""

from __future__ import annotations

from collections import Counter
from typing import Any

from apps.speech_to_text.config import SpeechConfig
from shared.data.audio_manifest import SPLITS, Utterance, load_audio_manifest, load_tfds_speech
from shared.files.errors import DataError
from shared.task import DataCheck, Splits


def load_splits(config: SpeechConfig) -> Splits:
    """Read the data set the options name.

    Raises:
        DataError: All problems of the data, by file and line; or no data was named.
    """
    if config.dataset == "folder":
        if not config.data:
            raise DataError(
                ["no data: pass --data FOLDER or --dataset tfds:NAME"],
                "FOLDER holds metadata.tsv with the columns file and text (and split, speaker).",
            )
        found = load_audio_manifest(config.data, seed=config.seed, share_speakers=config.share_speakers)
    else:
        found = load_tfds_speech(
            config.dataset, data_dir=config.data_dir, seed=config.seed, share_speakers=config.share_speakers
        )
    return Splits(found.train, found.validation, found.test, {"notes": found.notes})


def check_data(splits: Splits, config: SpeechConfig) -> DataCheck:
    """Recordings, speakers, hours and words by split; what the owner should know."""
    counts: list[dict[str, Any]] = []
    problems = list(splits.info.get("notes", ()))
    vocabulary: dict[str, set[str]] = {}
    for name in SPLITS:
        utterances: list[Utterance] = list(getattr(splits, name))
        vocabulary[name] = {word for u in utterances for word in u.text.upper().split()}
        counts.append(
            {
                "split": name,
                "recordings": len(utterances),
                "speakers": len({u.speaker for u in utterances if u.speaker}),
                "hours": round(sum(u.seconds for u in utterances) / 3600, 2),
                "different words": len(vocabulary[name]),
            }
        )
    words = Counter(word for u in splits.test for word in u.text.upper().split())
    unseen = sum(count for word, count in words.items() if word not in vocabulary["train"])
    if words and unseen / sum(words.values()) > 0.02:
        problems.append(f"{unseen / sum(words.values()):.1%} of the test words never occur in train")
    long = sum(u.seconds > config.max_seconds for u in splits.train)
    if long:
        problems.append(f"{long} training recordings are longer than {config.max_seconds:g} s and left out")
    if not any(u.speaker for u in splits.train):
        problems.append("no speakers are named: the same voice may stand in two splits")
    return DataCheck(counts, problems)
