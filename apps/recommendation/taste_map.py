"""The map of the catalogue as SVG: films liked by the same people together, the visitor among them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import numpy as np

from apps.recommendation.catalogue import Catalogue, without_year

WIDTH, HEIGHT, MARGIN = 960, 720, 34
# Distinct in both colour schemes; everything else is grey.
COLOURS = {
    "Action": "#e4572e", "Comedy": "#d9a300", "Drama": "#5b8def", "Horror": "#8b3fb5", "Animation": "#1fa774",
    "Sci-Fi": "#0aa2c0", "Romance": "#e05297", "Crime": "#7d6b5d", "Documentary": "#6f9a1d", "Children": "#1fa774",
}  # fmt: skip
OTHER = "#8b9794"
FIRST = (
    "Animation",
    "Children",
    "Horror",
    "Documentary",
    "Sci-Fi",
    "Romance",
    "Crime",
    "Action",
    "Comedy",
    "Drama",
)
"""The rarer a genre, the more it says: the first of these that a film has is its main one."""
CLICKABLE = 700
"""Best known films whose dots answer to a click; the others are drawn as one path a colour."""


def main_genre(genres: Sequence[str]) -> str:
    """The genre a film is coloured by, or an empty string."""
    return next((g for g in FIRST if g in genres), "")


def _points(catalogue: Catalogue) -> np.ndarray:
    span = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN]) / 2
    return (catalogue.map + 1) * span + MARGIN


def _background(catalogue: Catalogue) -> str:
    """The dots that are the same for every visitor; drawn once a catalogue."""
    if "map" not in catalogue.drawn:
        catalogue.drawn["map"] = _draw_dots(catalogue)
    return catalogue.drawn["map"]


def _draw_dots(catalogue: Catalogue) -> str:
    points = _points(catalogue)
    there = np.flatnonzero(~np.isnan(points[:, 0]))
    order = there[np.argsort(-catalogue.counts[there], kind="stable")]
    parts = []
    for genre in [*dict.fromkeys(FIRST), ""]:
        small = [i for i in order[CLICKABLE:] if main_genre(catalogue.genres[i]) == genre]
        if small:
            path = "".join(f"M{points[i, 0]:.0f} {points[i, 1]:.0f}h0" for i in small)
            colour = COLOURS.get(genre, OTHER)
            parts.append(
                f'<path d="{path}" stroke="{colour}" stroke-width="4.5" stroke-linecap="round" opacity=".45" '
                'fill="none"/>'
            )
    most = float(np.sqrt(catalogue.counts[order[0]])) if len(order) else 1.0
    for i in order[:CLICKABLE][::-1]:
        radius = 2.6 + 5.4 * float(np.sqrt(catalogue.counts[i])) / most
        colour = COLOURS.get(main_genre(catalogue.genres[i]), OTHER)
        parts.append(
            f'<circle class="rc-dot" data-act="similar" data-id="{html.escape(catalogue.ids[i], quote=True)}" '
            f'cx="{points[i, 0]:.1f}" cy="{points[i, 1]:.1f}" r="{radius:.1f}" fill="{colour}" opacity=".85">'
            f"<title>{html.escape(catalogue.titles[i])}</title></circle>"
        )
    return "".join(parts)


class Labels:
    """Places names so that none covers another."""

    def __init__(self) -> None:
        self._boxes: list[tuple[float, float, float, float]] = []

    def add(self, x: float, y: float, text: str, style: str = "", size: float = 7.4) -> str:
        """SVG text beside a point, or an empty string where there is no room."""
        width = size * len(text)
        left = x + 9 if x + 9 + width < WIDTH - 6 else x - 9 - width
        box = (left - 3, y - 11, left + width + 3, y + 9)
        if left < 4 or any(
            a[0] < box[2] and box[0] < a[2] and a[1] < box[3] and box[1] < a[3] for a in self._boxes
        ):
            return ""
        self._boxes.append(box)
        return f'<text{style} x="{left:.0f}" y="{y + 4:.0f}">{html.escape(text)}</text>'


def short(title: str, most: int) -> str:
    """A title for a map: without year and other names, cut at a word."""
    name = without_year(title).split(" (")[0]
    return name if len(name) <= most else name[:most].rsplit(" ", 1)[0] + "…"


def map_html(
    catalogue: Catalogue,
    picks: Sequence[int],
    rated: Sequence[int],
    you: tuple[float, float] | None,
    say: Callable[..., str],
) -> str:
    """The map with the visitor, what they rated and what is recommended.

    Args:
        catalogue: The films.
        picks: Listed films, best first: ringed and named.
        rated: Films the visitor rated.
        you: Their place, in [-1, 1], or None.
        say: Text by key, in the visitor's language.
    """
    points = _points(catalogue)
    if np.isnan(points).all():
        return ""
    labels, parts = Labels(), [_background(catalogue)]
    names: list[str] = []
    if you is not None:
        span = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN]) / 2
        x, y = (np.array(you) + 1) * span + MARGIN
        names.append(labels.add(x, y, say("you"), size=9))
    for i in rated:
        if not np.isnan(points[i, 0]):
            parts.append(f'<circle class="rc-mine-dot" cx="{points[i, 0]:.1f}" cy="{points[i, 1]:.1f}" r="6">'
                         f"<title>{html.escape(catalogue.titles[i])}</title></circle>")  # fmt: skip
    for i in picks:
        if not np.isnan(points[i, 0]):
            parts.append(f'<circle class="rc-pick" cx="{points[i, 0]:.1f}" cy="{points[i, 1]:.1f}" r="9"/>')
            names.append(labels.add(*points[i], short(catalogue.titles[i], 34)))
    for i in np.argsort(-catalogue.counts, kind="stable")[:60]:
        if not np.isnan(points[i, 0]) and i not in picks:
            names.append(labels.add(*points[i], short(catalogue.titles[i], 26), ' class="rc-small"', 6.4))
    if you is not None:
        parts.append(f'<circle class="rc-halo" cx="{x:.1f}" cy="{y:.1f}" r="19"/>'
                     f'<circle class="rc-you" cx="{x:.1f}" cy="{y:.1f}" r="10"/>')  # fmt: skip
    legend = "".join(
        f'<span><i style="background:{COLOURS[g]}"></i>{html.escape(g)}</span>'
        for g in FIRST
        if g != "Children"
    )
    hint = say("map_how") if you is not None else say("map_how") + " " + say("map_empty")
    return (
        f'<p class="rc-note">{html.escape(hint)}</p><div class="rc-map"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(say("map"), quote=True)}">{"".join(parts)}{"".join(names)}</svg></div>'
        f'<div class="rc-legend">{legend}</div>'
    )
