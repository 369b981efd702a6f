"""Answers as HTML: verdict, coloured words, timeline. Plain strings, everything a visitor wrote is escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

from apps.sentiment_analysis.explain import Explanation, Word
from shared.results import Classification

Say = Callable[..., str]

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_KNOWN = {"positive", "negative", "neutral"}


def label_text(label: str, say: Say) -> str:
    """A class name in the visitor's language where it is one everybody has."""
    return say(f"class_{label}") if label in _KNOWN else label


def percent(probability: float) -> str:
    """`98 %`; never a bare 100 % or 0 %: no model is that sure."""
    if probability > 0.995:
        return ">\N{NO-BREAK SPACE}99\N{NO-BREAK SPACE}%"
    if probability < 0.005:
        return "<\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%"
    return f"{100 * probability:.0f}\N{NO-BREAK SPACE}%"


def answer_html(
    result: Classification, explanation: Explanation, notes: Sequence[tuple[str, bool]], text: str, say: Say
) -> str:
    """The whole answer.

    Args:
        result: The verdict.
        explanation: Words and sentences.
        notes: What the visitor should know: text and whether it is a warning.
        text: What was classified.
        say: Key and values -> text in the visitor's language.
    """
    parts = [_verdict(result, say)]
    parts += [
        f'<p class="sa-note{" sa-warn" if warning else ""}" role="note">{html.escape(note)}</p>'
        for note, warning in notes
    ]
    if any(w.contribution is not None for w in explanation.words):
        parts += [f"<h3>{html.escape(say('words'))}</h3>", words_html(text, explanation, say)]
    if len(explanation.sentences) > 1:
        parts += [f"<h3>{html.escape(say('timeline'))}</h3>", timeline_html(explanation, say)]
    return f'<div class="sa-root sa-card">{"".join(parts)}</div>'


def _verdict(result: Classification, say: Say) -> str:
    top = result.probabilities[0]
    how = "sure" if top >= 0.9 else "likely" if top >= 0.7 else "unsure"
    rows = []
    for label, p in list(zip(result.labels, result.probabilities, strict=True))[:12]:
        kind = {"positive": "sa-pos", "negative": "sa-neg"}.get(label, "")
        rows.append(
            f'<span>{html.escape(label_text(label, say))}</span><div class="sa-track"><div class="sa-fill {kind}" '
            f'style="width:{100 * float(p):.1f}%"></div></div><span class="sa-p">{percent(float(p))}</span>'
        )
    return (
        f'<p class="sa-verdict"><strong>{html.escape(label_text(result.top, say))}</strong>'
        f"<span>{html.escape(say(how, p=percent(float(top))))}</span></p>"
        f'<div class="sa-bars">{"".join(rows)}</div>'
    )


def words_html(text: str, explanation: Explanation, say: Say) -> str:
    """The text with its words coloured; the strongest words again as a sentence, for readers without colours."""
    scored = [w for w in explanation.words if w.contribution is not None]
    strongest = max((abs(w.contribution or 0.0) for w in scored), default=0.0)
    # On a scale of its own a text without any strong word would glow as if it had one.
    scale = max(strongest, 1.0)
    pieces, position = [], 0
    for word in explanation.words:
        pieces.append(html.escape(text[position : word.start]))
        position = word.end
        value = word.contribution
        if value is None or abs(value) < 0.06 * scale:
            pieces.append(html.escape(word.text))
            continue
        strength = 8 + 57 * min(1.0, abs(value) / scale)
        pieces.append(
            f'<mark class="{"sa-f" if value > 0 else "sa-a"}" style="--s:{strength:.0f}" title="{value:+.2f}">'
            f"{html.escape(word.text)}</mark>"
        )
    pieces.append(html.escape(text[position:]))
    target = label_text(explanation.target, say)
    other = label_text(explanation.opposite, say) if explanation.opposite else say("not", label=target)
    legend = (
        f'<p class="sa-legend"><span><i style="background:var(--sa-for)"></i>{html.escape(say("for", label=target))}'
        f'</span><span><i style="background:var(--sa-against)"></i>{html.escape(say("for", label=other))}</span></p>'
    )
    said = [
        say(
            "strongest",
            label=name,
            words=", ".join(say("quoted", word=w.text.strip('.,;:!?()"“”')) for w in chosen),
        )
        for name, chosen in ((target, _strong(scored, 1)), (other, _strong(scored, -1)))
        if chosen
    ]
    summary = f"<p>{html.escape(' '.join(said) or say('no_word'))}</p>"
    partly = "" if explanation.whole else f'<p class="sa-legend">{html.escape(say("partly"))}</p>'
    return f'<p class="sa-words" dir="auto" tabindex="0">{"".join(pieces)}</p>{legend}{summary}{partly}'


def _strong(words: Sequence[Word], sign: int, most: int = 4) -> list[Word]:
    """The strongest words of one sign, those that make at least half a unit of log-odds."""
    chosen = [w for w in words if sign * (w.contribution or 0.0) > 0.4]
    return sorted(chosen, key=lambda w: -sign * (w.contribution or 0.0))[:most]


def timeline_html(explanation: Explanation, say: Say) -> str:
    """One bar a sentence: up speaks for the target, down against it; the two extremes quoted."""
    target = label_text(explanation.target, say)
    bars = []
    for number, sentence in enumerate(explanation.sentences, 1):
        lean = 2 * sentence.probability - 1
        title = html.escape(
            f"{number}. {target} {percent(sentence.probability)}: {sentence.text[:160]}", quote=True
        )
        kind = "sa-up" if lean >= 0 else "sa-down"
        bars.append(
            f'<div title="{title}"><i class="{kind}" style="height:{max(1.5, 48 * abs(lean)):.1f}%"></i></div>'
        )
    count = len(explanation.sentences)
    best = max(explanation.sentences, key=lambda s: s.probability)
    worst = min(explanation.sentences, key=lambda s: s.probability)
    quotes = []
    if best.probability > 0.5:
        quotes.append(_quote("most", best.text, best.probability, target, "", say))
    if worst.probability < 0.5 and explanation.opposite:
        other = label_text(explanation.opposite, say)
        quotes.append(_quote("most", worst.text, 1 - worst.probability, other, " sa-a", say))
    elif worst.probability < 0.5:
        quotes.append(_quote("least", worst.text, worst.probability, target, " sa-a", say))
    label = html.escape(say("timeline_label", count=count, label=target), quote=True)
    return (
        f'<div class="sa-line" role="img" aria-label="{label}">{"".join(bars)}</div>'
        f'<div class="sa-axis"><span>{html.escape(say("sentence", n=1))}</span>'
        f"<span>{html.escape(say('sentence', n=count))}</span></div>{''.join(quotes)}"
    )


def _quote(key: str, text: str, probability: float, target: str, kind: str, say: Say) -> str:
    short = text if len(text) <= 240 else text[:237] + "…"
    head = html.escape(say(key, label=target, p=percent(probability)))
    return f'<p class="sa-quote{kind}" dir="auto"><b>{head}</b>{html.escape(short)}</p>'
