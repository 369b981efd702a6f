"""The page: search and stars, starting tastes, lists that follow every star, the map, a history as CSV.

Ratings and dismissed films live in the page (hidden components), not on the server: every event sends them along.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import gradio as gr

from apps.recommendation import render
from apps.recommendation.answers import LISTS, Recommender, ratings_csv
from apps.recommendation.catalogue import codes, without_year
from apps.recommendation.messages import T
from apps.recommendation.profiles import PROFILES
from apps.recommendation.selection import Options
from apps.recommendation.taste_map import map_html
from apps.recommendation.uploads import read_history
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.page import footer, header
from shared.files.errors import InputError
from shared.runtime.predictor import ModelStore

KEPT = 5_000
"""Newest ratings that are used; more would only slow the page down."""


def build_demo(models: ModelStore) -> gr.Blocks:
    """The Gradio page; see the module docstring.

    Args:
        models: The published variants.
    """
    recommender = Recommender(models)

    def options_of(popularity, diversity, genres, first_year, last_year, count, hidden) -> Options:
        try:
            numbers = [float(popularity or 0), float(diversity or 0)]
            whole = [int(first_year or 0), int(last_year or 0), int(count or 10)]
        except (TypeError, ValueError) as error:
            raise InputError(
                "Sliders and years must be numbers.", "Los controles y los años deben ser números."
            ) from error
        return Options(
            whole[2], *numbers, tuple(genres or ()), (), whole[0], whole[1],
            tuple(codes(recommender.catalogue, hidden or [])),
        )  # fmt: skip

    def refresh(pairs, hidden, which, *rest, request: gr.Request | None):
        """Everything that follows from the ratings: list, map, JSON, downloads."""
        text = functools.partial(_say, request)
        history = recommender.history(pairs)
        answer = recommender.answer(history, which or LISTS[0], options_of(*rest, hidden))
        values = recommender.to_json(answer, which or LISTS[0], history)
        catalogue = recommender.catalogue
        if values["list"].startswith("similar:"):
            film = catalogue.code[values["list"].removeprefix("similar:")]
            heading = text("like", title=without_year(catalogue.titles[film]))
        else:
            heading = text(values["list"])
        note = text("start")
        if len(history):
            note = text("from_n", n=len(history), items=len(catalogue), ms=answer.milliseconds)
        shown = render.list_html(catalogue, values, heading, note, text)
        place = recommender.place(history)
        drawn = map_html(catalogue, answer.items, [int(i) for i in history.items[-200:]], place, text)
        content = json.dumps(values, ensure_ascii=False, indent=1)
        downloads = [
            gr.DownloadButton(value=write_file("films.csv", recommender.to_csv(values)), interactive=True),
            gr.DownloadButton(value=write_file("films.json", content), interactive=True),
        ]
        return values, wrap(shown), wrap(drawn), *downloads

    def mine(pairs, request):
        catalogue = recommender.catalogue
        text = functools.partial(_say, request)
        saved = write_file("my_ratings.csv", ratings_csv(pairs, catalogue)) if pairs else None
        return wrap(render.ratings_html(catalogue, pairs, text)), gr.DownloadButton(
            value=saved, interactive=bool(pairs)
        )

    @friendly
    def predict(
        ratings: list, not_interested: list, which: str, popularity: float, diversity: float, genres: list,
        first_year: float, last_year: float, count: float, request: gr.Request,
    ):  # fmt: skip
        """Films for someone who rated `[[film id, stars], ...]`, with predicted stars and the reason for each."""
        return refresh(
            ratings, not_interested, which, popularity, diversity, genres, first_year, last_year, count,
            request=request,
        )  # fmt: skip

    @friendly
    def act(
        event: gr.EventData,
        words,
        pairs,
        hidden,
        which,
        popularity,
        diversity,
        genres,
        first_year,
        last_year,
        count,
        request: gr.Request,
    ):
        """A click on stars, on a card or on the map."""
        rest = popularity, diversity, genres, first_year, last_year, count
        pairs, hidden = [list(p) for p in pairs or []], list(hidden or [])
        data = event._data or {}
        kind, film = str(data.get("act", "")), str(data.get("id", ""))
        if kind == "rate":
            pairs = [p for p in pairs if str(p[0]) != film] + [[film, float(data.get("stars", 0))]]
        elif kind == "remove":
            pairs = [p for p in pairs if str(p[0]) != film]
        elif kind == "dismiss" and film not in hidden:
            hidden.append(film)
        elif kind == "similar":
            which = f"similar:{film}"
        elif kind == "back":
            which = LISTS[0]
        results = refresh(pairs, hidden, which, *rest, request=request)
        chosen = which if which in LISTS else None
        return (
            pairs, hidden, which, gr.Radio(value=chosen), found(words, pairs, request), *mine(pairs, request),
            gr.Button(visible=bool(hidden)), *results,
        )  # fmt: skip

    def found(words, pairs, request):
        catalogue = recommender.catalogue
        given = {str(i): float(v) for i, v in pairs or []}
        hits = catalogue.search(words or "", 12)
        return wrap(render.found_html(catalogue, hits, given, words or "", functools.partial(_say, request)))

    @friendly
    def search(words: str, ratings: list, request: gr.Request):
        """Films whose title has all the words."""
        return found(words, ratings, request)

    def start_from(pairs, hidden, rest, request):
        """Outputs of `changed` for new ratings."""
        results = refresh(pairs, hidden, LISTS[0], *rest, request=request)
        return (
            pairs, hidden, LISTS[0], gr.Radio(value=LISTS[0]), gr.Textbox(value=""), wrap(""), *mine(pairs, request),
            gr.Button(visible=bool(hidden)), *results,
        )  # fmt: skip

    @friendly
    def take_profile(
        name: str, popularity, diversity, genres, first_year, last_year, count, request: gr.Request
    ):
        rest = popularity, diversity, genres, first_year, last_year, count
        if name not in PROFILES:
            return [gr.skip()] * 13
        pairs = [[i, v] for i, v in PROFILES[name] if i in recommender.catalogue.code]
        return start_from(pairs, [], rest, request)

    @friendly
    def clear(popularity, diversity, genres, first_year, last_year, count, request: gr.Request):
        rest = popularity, diversity, genres, first_year, last_year, count
        return start_from([], [], rest, request)

    @friendly
    def upload(
        file: str, popularity: float, diversity: float, genres: list, first_year: float, last_year: float,
        count: float, request: gr.Request,
    ):  # fmt: skip
        """One person's ratings from a CSV (MovieLens, Letterboxd, IMDb): the ratings, and the list that follows."""
        rest = popularity, diversity, genres, first_year, last_year, count
        if not file:
            raise InputError("Choose a CSV file first.", "Elige primero un archivo CSV.")
        settings = recommender.ranker.processor.settings
        read = read_history(file, recommender.catalogue, settings["low"], settings["high"])
        pairs = [list(p) for p in read.pairs[-KEPT:]]
        text = functools.partial(_say, request)
        notes = [text("uploaded", rows=read.rows, used=len(pairs))]
        for count, key in ((read.repeated, "up_repeated"), (read.unrated, "up_unrated")):
            if count:
                notes.append(text(key, n=count))
        if read.unknown:
            notes.append(
                text("up_unknown", n=read.unknown, examples="; ".join(t[:60] for t in read.examples[:3]))
            )
        if read.scale > settings["high"]:
            notes.append(text("up_scale"))
        if len(read.pairs) > KEPT:
            notes.append(text("too_many", n=KEPT))
        gr.Info("; ".join(notes) + ".", duration=15)
        return start_from(pairs, [], rest, request)

    @friendly
    def change_list(
        which: str | None,
        pairs,
        hidden,
        popularity,
        diversity,
        genres,
        first_year,
        last_year,
        count,
        request: gr.Request,
    ):
        rest = popularity, diversity, genres, first_year, last_year, count
        which = which or LISTS[0]
        return which, *refresh(pairs, hidden, which, *rest, request=request)

    @friendly
    def bring_back(
        pairs, which, popularity, diversity, genres, first_year, last_year, count, request: gr.Request
    ):
        rest = popularity, diversity, genres, first_year, last_year, count
        return [], gr.Button(visible=False), *refresh(pairs, [], which, *rest, request=request)

    @friendly
    def opened(
        pairs, hidden, which, popularity, diversity, genres, first_year, last_year, count, request: gr.Request
    ):
        rest = popularity, diversity, genres, first_year, last_year, count
        return *mine(pairs, request), *refresh(pairs, hidden, which, *rest, request=request)

    years = [int(y) for y in recommender.catalogue.years if y]
    with gr.Blocks(title="Recommendation") as demo:
        gr.HTML(
            f"<style>{render.STYLE}</style>", apply_default_css=False, padding=False, elem_classes="rc-style"
        )
        header(T("title"), T("subtitle"))
        pairs = gr.JSON([], visible=False)
        hidden = gr.JSON([], visible=False)
        which = gr.Textbox(LISTS[0], visible=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                words = gr.Textbox(
                    label=T("search"), placeholder=T("search_hint"), elem_id="rc-search", max_lines=1
                )
                results = panel("rc-found")
                profile = gr.Radio(
                    [(T(f"profile_{name}"), name) for name in PROFILES],
                    label=T("profiles"),
                    elem_id="rc-profiles",
                )
                gr.Markdown("### " + T("yours"))
                my_ratings = panel("rc-mine")
                with gr.Row():
                    save = gr.DownloadButton(T("save"), size="sm", interactive=False)
                    start_over = gr.Button(T("clear"), size="sm", elem_id="rc-clear")
                file = gr.File(
                    label=T("upload"), file_types=[".csv", ".tsv", ".txt"], height=170, elem_id="rc-upload"
                )
                gr.Markdown(T("upload_how"))
            with gr.Column(scale=7, min_width=320):
                lists = gr.Radio(
                    [(T(name), name) for name in LISTS],
                    value=LISTS[0],
                    show_label=False,
                    container=False,
                    elem_id="rc-lists",
                )
                with gr.Accordion(T("tune"), open=False, elem_id="rc-tune"):
                    with gr.Row():
                        popularity = gr.Slider(
                            -1,
                            1,
                            0,
                            step=0.1,
                            label=T("popularity"),
                            info=T("popularity_info"),
                            elem_id="rc-popularity",
                        )
                        diversity = gr.Slider(
                            0,
                            1,
                            0,
                            step=0.05,
                            label=T("diversity"),
                            info=T("diversity_info"),
                            elem_id="rc-diversity",
                        )
                    genres = gr.Dropdown(
                        recommender.catalogue.genre_names, multiselect=True, label=T("genres")
                    )
                    with gr.Row():
                        first_year = gr.Number(
                            None, label=T("from"), precision=0, placeholder=str(min(years, default=0))
                        )
                        last_year = gr.Number(
                            None, label=T("to"), precision=0, placeholder=str(max(years, default=0))
                        )
                        count = gr.Slider(5, 50, 10, step=5, label=T("count"))
                with gr.Tabs():
                    with gr.Tab(T("list")):
                        shown = panel("rc-answer")
                    with gr.Tab(T("map")):
                        drawn = panel("rc-map")
                with gr.Row():
                    csv_file = gr.DownloadButton(T("download_csv"), size="sm", interactive=False)
                    json_file = gr.DownloadButton(T("download_json"), size="sm", interactive=False)
                    back = gr.Button(T("bring_back"), size="sm", visible=False)
                with gr.Accordion(T("json"), open=False):
                    values = gr.JSON(label=T("json"), show_label=False, elem_id="rc-json")
        footer(models)

        tuned = [popularity, diversity, genres, first_year, last_year, count]
        inputs = [pairs, hidden, which, *tuned]
        outputs = [values, shown, drawn, csv_file, json_file]
        changed = [pairs, hidden, which, lists, words, results, my_ratings, save, back, *outputs]
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        demo.load(opened, inputs, [my_ratings, save, *outputs], **quiet)
        gr.on(
            [c.change for c in (popularity, diversity, genres, first_year, last_year, count)], predict, inputs, outputs,
            api_name="predict", show_progress="hidden", trigger_mode="always_last", concurrency_limit=2,
        )  # fmt: skip
        # change, not input: pasting counts as well
        words.change(
            search,
            [words, pairs],
            results,
            api_name="search",
            show_progress="hidden",
            trigger_mode="always_last",
        )
        clicked = [pairs, hidden, which, lists, results, my_ratings, save, back, *outputs]
        for html in (results, my_ratings, shown, drawn):
            html.click(act, [words, *inputs], clicked, trigger_mode="multiple", **quiet)
        profile.input(take_profile, [profile, *tuned], changed, **quiet)
        start_over.click(clear, tuned, changed, **quiet)
        file.upload(upload, [file, *tuned], changed, api_name="upload_history")
        lists.input(change_list, [lists, pairs, hidden, *tuned], [which, *outputs], **quiet)
        back.click(bring_back, [pairs, which, *tuned], [hidden, back, *outputs], **quiet)
    return demo


def panel(name: str) -> gr.HTML:
    """A part of the page whose buttons send events."""
    return gr.HTML(
        wrap(""),
        elem_id=name,
        js_on_load=render.SCRIPT,
        apply_default_css=False,
        padding=False,
        elem_classes="rc-root",
    )


def wrap(content: str) -> str:
    """Content with the page's style root."""
    return f'<div class="rc-root">{content}</div>'


def _say(request: Any, key: str, **values: Any) -> str:
    return T.say(key, request, **values)
