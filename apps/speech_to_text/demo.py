"""The page: a recording with its transcript, live dictation, and greedy beside beam search."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps.speech_to_text import captions, render
from apps.speech_to_text.dictation import MAX_SESSION_S, Dictation
from apps.speech_to_text.messages import T
from apps.speech_to_text.spectrogram import spectrogram_png
from apps.speech_to_text.word_errors import count_word_errors, plain_words
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import both
from shared.demo.page import footer, header, model_choice
from shared.files.audio import load_audio, normalize_audio
from shared.files.errors import InputError
from shared.results import Transcript
from shared.runtime.predictor import ModelStore

EXAMPLES = Path(__file__).parent / "examples"
MAX_DURATION_S = 1800.0
MIN_DURATION_S = 0.1
MAX_UPLOAD_BYTES = 200_000_000
"""30 minutes as a browser's microphone gives them: 48 kHz, 16 bits, mono."""
BEAM_SIZE = 5
SEARCHES = ("greedy", "beam")


def read_recording(path: str | None) -> np.ndarray:
    """The visitor's recording, or a refusal that says what would work."""
    if not path:
        raise InputError(
            "Record something or choose a file first: English speech, up to 30 minutes.",
            "Graba algo o elige un archivo primero: voz en inglés, hasta 30 minutos.",
        )
    audio = load_audio(path, MAX_DURATION_S)
    if len(audio) < MIN_DURATION_S * 16_000:
        raise InputError(
            f"The recording lasts {len(audio) / 16_000:.2f} s. Record at least one second.",
            f"La grabación dura {len(audio) / 16_000:.2f} s. Graba al menos un segundo.",
        )
    return audio


def notes_for(audio: np.ndarray, transcript: Transcript, settings: dict[str, Any], request: Any) -> list[str]:
    """What the visitor should know of this recording and its transcript."""
    say = functools.partial(_say, request)
    words = [w for s in transcript.segments for w in s.words]
    if not transcript.text:
        return [say("no_speech")]
    notes = []
    if np.mean(np.abs(audio) > 0.985) > 0.005:
        notes.append(say("clipped"))
    elif np.quantile(np.abs(audio), 0.99) < 0.01:
        notes.append(say("quiet"))
    if words and np.mean([w.probability < 0.5 for w in words]) > 0.35:
        notes.append(say("low"))
    if settings["model"] == "conformer_ctc" and settings["name"] == "spoken_digit":
        notes.append(say("digits_only"))
    return notes


def _say(request: Any, key: str, **values: Any) -> str:
    return T.say(key, request, **values)


def build_demo(models: ModelStore) -> gr.Blocks:
    """The Gradio page; see the module docstring.

    Args:
        models: The published variants.
    """

    def recognize(audio: np.ndarray, name: str, search: str, progress: Any = None) -> Transcript:
        if name not in models.names:
            raise InputError(
                f"There is no model {name!r}. Choose one of: {', '.join(models.names)}.",
                f"No existe el modelo {name!r}. Elige uno de: {', '.join(models.names)}.",
            )
        if search not in SEARCHES:
            raise InputError(
                f"Search must be greedy or beam, received {search!r}.",
                f"La búsqueda debe ser greedy o beam, se recibió {search!r}.",
            )
        beam_size = BEAM_SIZE if search == "beam" else 1
        return models[name].predict(audio, beam_size=beam_size, progress=progress)

    @friendly
    def predict(
        audio: str | None,
        model: str,
        search: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how gradio injects it
    ):
        """Transcribe a recording of English speech: the file, the model, greedy or beam search."""
        say = functools.partial(_say, request)
        samples = read_recording(audio)
        begun = time.monotonic()

        def tell(share: float, segments: list) -> None:
            progress(share, desc=say("hearing"))

        transcript = recognize(samples, model, search, tell)
        seconds = time.monotonic() - begun
        facts = say(
            "facts",
            words=len(plain_words(transcript.text)),
            duration=captions.clock(transcript.duration_s),
            seconds=f"{seconds:.1f}",
            model=model,
            search=say(search),
        )
        notes = notes_for(samples, transcript, models[model].variant.settings, request)
        shown = render.transcript_html(transcript, audio, spectrogram_png(samples), facts, notes, say)
        files = {
            "srt": captions.to_srt(transcript),
            "vtt": captions.to_vtt(transcript),
            "txt": captions.to_text(transcript),
            "json": captions.to_json_text(transcript),
        }
        buttons = [
            gr.DownloadButton(value=write_file(f"transcript.{kind}", text), interactive=True)
            for kind, text in files.items()
        ]
        return shown, transcript.to_json(), *buttons

    @friendly
    def word_errors(
        result: dict[str, Any] | None, said: str, request: gr.Request
    ) -> tuple[str, dict[str, Any]]:
        """Word errors of a transcript (the JSON result) against what was really said."""
        if not result or "text" not in result:
            raise InputError("Transcribe a recording first.", "Transcribe una grabación primero.")
        if not plain_words(said or ""):
            raise InputError(
                "Type what was really said: at least one word.",
                "Escribe lo que se dijo en realidad: al menos una palabra.",
            )
        if len(said) > 50_000:
            raise InputError(
                f"The text has {len(said):,} letters; at most 50,000 can be compared.",
                f"El texto tiene {len(said):,} letras; como máximo se comparan 50.000.",
            )
        errors = count_word_errors(said, str(result["text"]))
        values = {
            "word_error_rate": round(errors.rate, 4),
            "substitutions": errors.substitutions,
            "deletions": errors.deletions,
            "insertions": errors.insertions,
            "words": errors.words,
        }
        return render.errors_html(errors, functools.partial(_say, request)), values

    @friendly
    def compare(audio: str | None, model: str, request: gr.Request):
        """The same recording, searched greedily and with a beam."""
        say = functools.partial(_say, request)
        samples = read_recording(audio)
        shown, found = [], []
        for search in SEARCHES:
            begun = time.monotonic()
            transcript = recognize(samples, model, search)
            took = say("took", seconds=f"{time.monotonic() - begun:.1f}")
            shown.append(render.compared_html(say(search), transcript, took))
            found.append(transcript.to_json() | {"search": search})
        errors = count_word_errors(found[0]["text"], found[1]["text"])
        line = say("differ" if errors.rate else "same")
        return render.empty_html(line), *shown, {"searches": found, "agree": not errors.rate}

    def live_recognizer(model: str):
        return lambda audio: models[model].predict(audio, word_timestamps=True, temperatures=(0.0,))

    @friendly
    def listen(
        chunk: tuple[int, np.ndarray] | None, state: Dictation | None, model: str, request: gr.Request
    ):
        state = state or Dictation()
        if chunk is not None and state.duration_s < MAX_SESSION_S:
            rate, samples = chunk
            state = state.hear(normalize_audio(samples, rate), live_recognizer(_live_model(model)))
        return render.dictation_html(state, functools.partial(_say, request)), state, state.text

    @friendly
    def settle(state: Dictation | None, model: str, request: gr.Request):
        state = (state or Dictation()).finish(live_recognizer(_live_model(model)))
        # The next recording goes on behind what stands there.
        kept = Dictation(start_s=state.duration_s, settled=state.settled)
        return render.dictation_html(kept, functools.partial(_say, request)), kept, kept.text

    @friendly
    def clear(request: gr.Request):
        return render.dictation_html(Dictation(), functools.partial(_say, request)), Dictation(), ""

    def _live_model(model: str) -> str:
        """Dictation needs a model of whole sentences: the default one where another kind was chosen."""
        chosen = model if model in models.names else models.default
        return chosen if models[chosen].variant.settings["model"] == "whisper_tiny_en" else models.default

    hint = both("The transcript appears here.", "La transcripción aparece aquí.")
    examples = json.loads((EXAMPLES / "voices.json").read_text(encoding="utf-8"))
    rows = [[str(EXAMPLES / voice["file"])] for voice in examples]
    names = [voice["name"] for voice in examples]
    with gr.Blocks(title="Speech to text") as demo:
        gr.HTML(f"<style>{render.STYLE}</style>", apply_default_css=False, padding=False)
        header(T("title"), T("subtitle"))
        model = model_choice(models, elem_id="st-model")
        with gr.Tabs():
            with gr.Tab(T("tab_file")):
                with gr.Row(equal_height=False):
                    with gr.Column(scale=4, min_width=320):
                        audio = gr.Audio(
                            sources=["microphone", "upload"],
                            type="filepath",
                            label=T("audio"),
                            elem_id="st-audio",
                        )
                        search = gr.Radio(
                            [(T("greedy"), "greedy"), (T("beam"), "beam")],
                            value="greedy",
                            label=T("search"),
                            info=T("search_info"),
                        )
                        button = gr.Button(T("transcribe"), variant="primary", elem_id="st-transcribe")
                        gr.Examples(
                            rows, [audio], label=T("examples"), example_labels=names, elem_id="st-examples"
                        )
                    with gr.Column(scale=6, min_width=320):
                        shown = gr.HTML(
                            render.empty_html(hint),
                            elem_id="st-answer",
                            apply_default_css=False,
                            padding=False,
                            js_on_load=render.SCRIPT,
                        )
                        with gr.Row():
                            downloads = [
                                gr.DownloadButton(kind, interactive=False, size="sm", min_width=70)
                                for kind in ("SRT", "VTT", "TXT", "JSON")
                            ]
                        with gr.Accordion(T("json"), open=False):
                            values = gr.JSON(label=T("json"), show_label=False, elem_id="st-json")
                        said = gr.Textbox(
                            label=T("said"), info=T("said_info"), lines=2, max_lines=8, elem_id="st-said"
                        )
                        count = gr.Button(T("count"), size="sm", elem_id="st-count")
                        errors = gr.HTML("", elem_id="st-errors", apply_default_css=False, padding=False)
                        errors_values = gr.JSON(visible=False)
                button.click(
                    predict,
                    [audio, model, search],
                    [shown, values, *downloads],
                    api_name="predict",
                    concurrency_limit=2,
                )
                gr.on(
                    [count.click, said.submit],
                    word_errors,
                    [values, said],
                    [errors, errors_values],
                    api_name="word_errors",
                )
            with gr.Tab(T("tab_live")):
                gr.Markdown(T("live_how"))
                microphone = gr.Audio(
                    sources=["microphone"],
                    streaming=True,
                    type="numpy",
                    label=T("live"),
                    elem_id="st-live-audio",
                )
                heard = gr.HTML(
                    render.empty_html(both("Your words appear here.", "Tus palabras aparecen aquí.")),
                    elem_id="st-live",
                    apply_default_css=False,
                    padding=False,
                )
                live_text = gr.Textbox(visible=False)
                again = gr.Button(T("live_clear"), size="sm")
                state = gr.State(None)
                live_outputs = [heard, state, live_text]
                microphone.stream(
                    listen,
                    [microphone, state, model],
                    live_outputs,
                    stream_every=1.0,
                    time_limit=int(MAX_SESSION_S),
                    show_progress="hidden",
                    concurrency_limit=4,
                    api_visibility="private",
                )
                microphone.stop_recording(settle, [state, model], live_outputs, api_visibility="private")
                again.click(clear, None, live_outputs, api_visibility="private")
            with gr.Tab(T("tab_compare")):
                both_audio = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    label=T("audio"),
                    elem_id="st-both-audio",
                )
                both_button = gr.Button(T("compare"), variant="primary", elem_id="st-compare")
                gr.Examples(rows, [both_audio], label=T("examples"), example_labels=names)
                line = gr.HTML("", apply_default_css=False, padding=False, elem_id="st-agree")
                with gr.Row(equal_height=False):
                    left = gr.HTML(
                        "", apply_default_css=False, padding=False, min_width=300, elem_id="st-left"
                    )
                    right = gr.HTML(
                        "", apply_default_css=False, padding=False, min_width=300, elem_id="st-right"
                    )
                both_values = gr.JSON(visible=False)
                both_button.click(
                    compare,
                    [both_audio, model],
                    [line, left, right, both_values],
                    api_name="compare",
                    concurrency_limit=2,
                )
        footer(models)
    demo.max_upload_bytes = MAX_UPLOAD_BYTES
    return demo
