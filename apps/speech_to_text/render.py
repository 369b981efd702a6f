"""Transcripts as HTML. Plain strings; everything recognized or typed is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from apps.speech_to_text.captions import clock, to_vtt
from apps.speech_to_text.dictation import Dictation
from apps.speech_to_text.word_errors import WordErrors
from shared.results import Segment, Transcript, Word

Say = Callable[..., str]
STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
LEVELS = (0.5, 0.75, 0.9)
"""Probabilities between which a word is red, orange, green, plain."""
LEVEL_TEXTS = ("&lt; 50 %", "50–75 %", "75–90 %", "&gt; 90 %")
# One listener for all words there will ever be; words carry their time.
SCRIPT = """
element.addEventListener('click', (event) => {
  const target = event.target.closest('[data-at]');
  const player = element.querySelector('video');
  if (!target || !player) return;
  player.currentTime = Number(target.dataset.at);
  player.play().catch(() => {});
});
"""


def word_class(probability: float) -> str:
    """CSS class of a word by its probability."""
    return f"st-c{sum(probability >= level for level in LEVELS)}"


def transcript_html(
    transcript: Transcript,
    audio_path: str | None,
    poster: bytes | None,
    facts: str,
    notes: Sequence[str],
    say: Say,
) -> str:
    """The whole answer: player with captions over the spectrogram, words, what to know.

    Args:
        transcript: The result.
        audio_path: The recording, in Gradio's own upload folder; None leaves the player out.
        poster: Spectrogram as PNG.
        facts: One line.
        notes: What the visitor should know.
        say: Key and values -> text in the visitor's language.
    """
    parts = []
    if audio_path:
        parts.append(player_html(transcript, audio_path, poster, say))
    parts += [f'<p class="st-note" role="note">{html.escape(note)}</p>' for note in notes]
    if any(s.text for s in transcript.segments):
        parts += [segment_html(segment) for segment in transcript.segments]
        keys = "".join(f'<span class="st-key st-c{i}">{text}</span>' for i, text in enumerate(LEVEL_TEXTS))
        parts.append(f'<p class="st-legend">{keys} {html.escape(say("legend"))}</p>')
    parts.append(f'<p class="st-facts">{html.escape(facts)}</p>')
    return f'<div class="st-card">{"".join(parts)}</div>'


def player_html(transcript: Transcript, audio_path: str, poster: bytes | None, say: Say) -> str:
    """The browser's own player. A video element, because an audio element shows no captions."""
    source = "gradio_api/file=" + quote(audio_path)
    captions = base64.b64encode(to_vtt(transcript, "line:8%").encode()).decode()
    picture = f' poster="data:image/png;base64,{base64.b64encode(poster).decode()}"' if poster else ""
    label = html.escape(f"{say('player')}. {say('spectrogram')}", quote=True)
    return (
        f'<video class="st-player" controls preload="metadata" src="{html.escape(source, quote=True)}"{picture} '
        f'aria-label="{label}"><track kind="captions" srclang="en" label="English" default '
        f'src="data:text/vtt;base64,{captions}"></video>'
    )


def segment_html(segment: Segment) -> str:
    """Time and words of one segment."""
    words = "".join(word_html(w) for w in segment.words) or html.escape(segment.text)
    return (
        f'<div class="st-segment"><button class="st-time" data-at="{segment.start_s:.2f}">'
        f"{clock(segment.start_s)}</button><div>{words}</div></div>"
    )


def word_html(word: Word) -> str:
    """A word one can click; its probability and time stand in its tooltip."""
    tip = f"{100 * word.probability:.0f} % · {word.start_s:.2f} s"
    return (
        f'<button class="st-word {word_class(word.probability)}" data-at="{word.start_s:.2f}" '
        f'title="{tip}">{html.escape(word.text)}</button> '
    )


def dictation_html(state: Dictation, say: Say) -> str:
    """Settled words, then those that may change."""
    settled = html.escape(" ".join(w.text for w in state.settled))
    partial = html.escape(" ".join(w.text for w in state.partial))
    if not settled and not partial:
        return f'<div class="st-card st-live"><p class="st-empty">{html.escape(say("live_wait"))}</p></div>'
    return (
        f'<div class="st-card st-live" aria-live="polite"><span class="st-settled">{settled}</span> '
        f'<span class="st-partial">{partial}</span></div>'
    )


def errors_html(errors: WordErrors, say: Say) -> str:
    """Word errors as a number and as marked text."""
    words = []
    for said, heard in errors.pairs:
        if said == heard:
            words.append(html.escape(said or ""))
        else:
            gone = f"<del>{html.escape(said)}</del>" if said else ""
            new = f"<ins>{html.escape(heard)}</ins>" if heard else ""
            words.append(" ".join(w for w in (gone, new) if w))
    line = say(
        "rate",
        rate=f"{100 * errors.rate:.1f}\N{NO-BREAK SPACE}%",
        substitutions=errors.substitutions,
        deletions=errors.deletions,
        insertions=errors.insertions,
        words=errors.words,
    )
    return (
        f'<div class="st-card"><p class="st-rate">{html.escape(line)}</p><p class="st-diff">{" ".join(words)}</p>'
        f'<p class="st-legend">{html.escape(say("rate_how"))}</p></div>'
    )


def compared_html(title: str, transcript: Transcript, seconds: str) -> str:
    """One of two transcripts side by side."""
    words = "".join(word_html(w) for s in transcript.segments for w in s.words)
    words = words or html.escape(transcript.text)
    return (
        f'<div class="st-card"><p class="st-model">{html.escape(title)}</p><p class="st-diff">{words}</p>'
        f'<p class="st-facts">{html.escape(seconds)}</p></div>'
    )


def empty_html(text: str) -> str:
    """A place where an answer will be; `text` is HTML already."""
    return f'<div class="st-card"><p class="st-empty">{text}</p></div>'
