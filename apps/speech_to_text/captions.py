"""A transcript as files: SubRip, WebVTT, plain text and JSON."""

from __future__ import annotations

import html
import json
import textwrap

from shared.results import Segment, Transcript

LINE_LETTERS = 42
CUE_LETTERS = 2 * LINE_LETTERS - 8
CUE_SECONDS = 6.0


def timestamp(seconds: float, separator: str = ".") -> str:
    """`01:02:03.450`; SubRip wants a comma before the milliseconds."""
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{separator}{milliseconds:03d}"


def clock(seconds: float) -> str:
    """`3:07`, or `1:02:03` from an hour on."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"


def cues(transcript: Transcript) -> list[tuple[float, float, str]]:
    """Captions short enough to read: two lines of 42 letters, six seconds at most.

    Returns:
        Start and end in seconds, and text.
    """
    found: list[tuple[float, float, str]] = []
    for segment in transcript.segments:
        found += _segment_cues(segment)
    # A caption ends before the next begins.
    return [
        (start, min(end, found[i + 1][0]) if i + 1 < len(found) and found[i + 1][0] > start else end, text)
        for i, (start, end, text) in enumerate(found)
    ]


def _segment_cues(segment: Segment) -> list[tuple[float, float, str]]:
    if not segment.words:
        return [(segment.start_s, max(segment.end_s, segment.start_s + 0.1), segment.text.strip())]
    found, group = [], []
    for word in segment.words:
        letters = sum(len(w.text) + 1 for w in group) + len(word.text)
        if group and (letters > CUE_LETTERS or word.end_s - group[0].start_s > CUE_SECONDS):
            found.append(group)
            group = []
        group.append(word)
    found.append(group)
    return [(g[0].start_s, max(g[-1].end_s, g[0].start_s + 0.1), " ".join(w.text for w in g)) for g in found]


def to_srt(transcript: Transcript) -> str:
    """SubRip."""
    blocks = []
    for number, (start, end, text) in enumerate(cues(transcript), start=1):
        lines = "\n".join(textwrap.wrap(text, LINE_LETTERS)) or text
        blocks.append(f"{number}\n{timestamp(start, ',')} --> {timestamp(end, ',')}\n{lines}\n")
    return "\n".join(blocks)


def to_vtt(transcript: Transcript, cue_settings: str = "") -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/); `cue_settings` such as `line:10%` place the captions."""
    blocks = ["WEBVTT\n"]
    for start, end, text in cues(transcript):
        lines = "\n".join(textwrap.wrap(html.escape(text, quote=False), LINE_LETTERS))
        times = f"{timestamp(start)} --> {timestamp(end)} {cue_settings}".rstrip()
        blocks.append(f"{times}\n{lines}\n")
    return "\n".join(blocks)


def to_text(transcript: Transcript) -> str:
    """One line a segment."""
    return "\n".join(s.text.strip() for s in transcript.segments if s.text.strip()) + "\n"


def to_json_text(transcript: Transcript) -> str:
    """Segments and words with times and probabilities."""
    return json.dumps(transcript.to_json(), indent=2, ensure_ascii=False) + "\n"
