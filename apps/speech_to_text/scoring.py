"""Word and character error rates, as the field measures them (jiwer, Whisper's English normalizer)."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any


@functools.lru_cache(maxsize=1)
def normalizer() -> Callable[[str], str]:
    """Whisper's English normalizer: case, punctuation, numbers, contractions, spelling."""
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """Word and character error rate of a whole set, after normalization.

    References that the normalizer empties are left out.

    Args:
        references: What was said.
        hypotheses: What was recognized.

    Returns:
        `wer`, `cer` and `exact` (share of recordings without an error).

    Raises:
        ValueError: No reference holds a word, or the lengths differ.
    """
    import jiwer

    if len(references) != len(hypotheses):
        raise ValueError(
            f"references and hypotheses must have one length, received {len(references)} and {len(hypotheses)}"
        )
    normalize = normalizer()
    pairs = [(normalize(r), normalize(h)) for r, h in zip(references, hypotheses, strict=True)]
    pairs = [(r, h) for r, h in pairs if r]
    if not pairs:
        raise ValueError("references must hold words, received none")
    said, heard = [r for r, _ in pairs], [h for _, h in pairs]
    return {
        "wer": float(jiwer.wer(said, heard)),
        "cer": float(jiwer.cer(said, heard)),
        "exact": sum(r == h for r, h in pairs) / len(pairs),
    }


def by_speaker(
    speakers: Sequence[str], references: Sequence[str], hypotheses: Sequence[str]
) -> list[dict[str, Any]]:
    """One row a speaker, worst first."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, speaker in enumerate(speakers):
        groups[speaker or "unknown"].append(index)
    rows = []
    for speaker, indices in groups.items():
        try:
            rates = error_rates([references[i] for i in indices], [hypotheses[i] for i in indices])
        except ValueError:
            continue
        rows.append(
            {"speaker": speaker, "recordings": len(indices)} | {k: round(v, 4) for k, v in rates.items()}
        )
    return sorted(rows, key=lambda row: -row["wer"])
