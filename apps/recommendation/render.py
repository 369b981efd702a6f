"""HTML of the page: star controls, search results, rated films, list cards. All text is escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apps.recommendation.catalogue import Catalogue, without_year

HERE = Path(__file__).parent
STYLE = (HERE / "page.css").read_text(encoding="utf-8")
SCRIPT = (HERE / "page.js").read_text(encoding="utf-8")
STAR = "M12 2.6l2.9 6.1 6.6.9-4.8 4.6 1.2 6.6L12 17.6l-5.9 3.2 1.2-6.6L2.5 9.6l6.6-.9z"
SHOWN_RATINGS = 60
Say = Callable[..., str]


def stars_control(item: str, title: str, value: float, say: Say) -> str:
    """Five buttons; the left half of one gives half a star. The script sends `rate` with the film's id."""
    buttons = []
    for n in range(1, 6):
        fill = max(0.0, min(1.0, value - (n - 1)))
        buttons.append(
            f'<button type="button" data-act="rate" data-id="{item}" data-stars="{n}" '
            f'aria-label="{html.escape(say("give", stars=n))}" aria-pressed="{str(fill >= 1).lower()}">'
            f'<svg viewBox="0 0 24 24" aria-hidden="true"><path class="rc-off" d="{STAR}"/>'
            f'<path class="rc-on" d="{STAR}" style="clip-path:inset(0 {100 - 100 * fill:.0f}% 0 0)"/></svg></button>'
        )
    label = html.escape(say("rate", title=title), quote=True)
    return f'<span class="rc-stars" role="group" aria-label="{label}">{"".join(buttons)}</span>'


def star_bar(value: float, label: str) -> str:
    """Predicted stars as a figure and five stars filled to it."""
    path = "".join(f'<path d="{STAR}" transform="translate({24 * i} 0)"/>' for i in range(5))
    share = 100 - 20 * max(0.0, min(5.0, value))
    return (
        f'<span class="rc-predicted" title="{html.escape(label, quote=True)}"><b>{value:.1f}</b>'
        f'<svg viewBox="0 0 120 24" aria-hidden="true"><g class="rc-off">{path}</g>'
        f'<g class="rc-on" style="clip-path:inset(0 {share:.0f}% 0 0)">{path}</g></svg>'
        f'<span class="g-hidden">{html.escape(label)}</span></span>'
    )


def _name(catalogue: Catalogue, item: int) -> str:
    title = html.escape(without_year(catalogue.titles[item]))
    year = int(catalogue.years[item])
    return f'<span class="rc-name">{title}</span>' + (f' <span class="rc-year">{year}</span>' if year else "")


def found_html(
    catalogue: Catalogue, found: Sequence[int], given: dict[str, float], words: str, say: Say
) -> str:
    """Search results with a star control each."""
    if not words.strip():
        return ""
    if not found:
        return f'<p class="rc-note">{html.escape(say("no_match"))}</p>'
    rows = "".join(
        f"<li><span>{_name(catalogue, i)}</span>"
        f"{stars_control(catalogue.ids[i], catalogue.titles[i], given.get(catalogue.ids[i], 0), say)}</li>"
        for i in found
    )
    return f'<ul class="rc-found">{rows}</ul>'


def ratings_html(catalogue: Catalogue, pairs: Sequence[tuple[str, float]], say: Say) -> str:
    """What the visitor rated, newest first; stars can be changed and films taken out."""
    if not pairs:
        return f'<p class="rc-note">{html.escape(say("none_yet"))}</p>'
    rows = []
    for item, stars in list(pairs)[::-1][:SHOWN_RATINGS]:
        code = catalogue.code[str(item)]
        title = catalogue.titles[code]
        label = html.escape(f"{say('remove')}: {title}", quote=True)
        rows.append(
            f"<li><span>{_name(catalogue, code)}</span>{stars_control(catalogue.ids[code], title, stars, say)}"
            f'<button type="button" class="rc-x" data-act="remove" data-id="{item}" '
            f'aria-label="{label}">×</button></li>'
        )
    more = len(pairs) - len(rows)
    rest = f'<p class="rc-note">+ {more:,}</p>' if more > 0 else ""
    return f'<ul class="rc-found rc-mine">{"".join(rows)}</ul>{rest}'


def list_html(catalogue: Catalogue, values: dict[str, Any], heading: str, note: str, say: Say) -> str:
    """The list as cards."""
    back = ""
    if values["list"].startswith("similar:"):
        back = f'<button type="button" class="rc-link" data-act="back">← {html.escape(say("back"))}</button>'
    head = f'<div class="rc-head"><h2>{html.escape(heading)}</h2>{back}</div><p class="rc-note">{html.escape(note)}</p>'
    if not values["items"]:
        return f'{head}<p class="rc-empty">{html.escape(say("nothing_left"))}</p>'
    return (
        head
        + f'<ol class="rc-list">{"".join(_card(catalogue, row, values, say) for row in values["items"])}</ol>'
    )


def _card(catalogue: Catalogue, row: dict[str, Any], values: dict[str, Any], say: Say) -> str:
    item = catalogue.code[row["id"]]
    if row["because"]:
        why = say("because", title=without_year(row["because"]))
    else:
        why = say("popular_now") if values["rated"] == 0 else ""
    genres = "".join(f"<i>{html.escape(g)}</i>" for g in row["genres"][:4])
    # Before the first rating a prediction would be nobody's.
    known = "stars" in row and values["rated"] > 0
    predicted = star_bar(row["stars"], f"{row['stars']:.1f} {say('predicted')}") if known else ""
    title, film = html.escape(row["title"], quote=True), row["id"]

    def action(name: str) -> str:
        text = html.escape(say({"similar": "similar", "dismiss": "dismiss"}[name]))
        return (
            f'<button type="button" class="rc-link" data-act="{name}" data-id="{film}" '
            f'aria-label="{text}: {title}">{text}</button>'
        )

    return (
        f'<li class="rc-card"><span class="rc-rank">{row["rank"]}</span><div class="rc-main">'
        f'<p class="rc-title">{_name(catalogue, item)}</p><p class="rc-genres">{genres}</p>'
        f'<p class="rc-why">{html.escape(why)}</p></div>'
        f'<div class="rc-side">{predicted}<span class="rc-seen"><span>{html.escape(say("seen"))}</span>'
        f"{stars_control(film, row['title'], 0, say)}</span>"
        f'<span class="rc-actions">{action("similar")}{action("dismiss")}</span></div></li>'
    )
