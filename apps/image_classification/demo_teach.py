"""The tab "Teach it yours": a classifier of the visitor's own classes, from a few photos, within seconds."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.image_classification import answers, teach, teach_files
from apps.image_classification.teach import MAX_CLASSES, Lesson
from shared.data.images import letterbox
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import Texts, language_of, translation
from shared.demo.photo import photo_input
from shared.files.errors import InputError
from shared.files.images import read_image
from shared.runtime.predictor import ModelStore

FIRST_CLASSES = 2
T = Texts(
    en={
        "tab": "Teach it yours",
        "intro": "Name two to ten classes and give each a few photos: three are the least, ten are better, taken "
        "from different sides. A new last layer is fitted on what the network sees in them. Your photos stay on "
        "this server for about an hour and are used for nothing else.",
        "classes": "Number of classes",
        **{f"name_{n}": f"Name of class {n}" for n in range(1, MAX_CLASSES + 1)},
        **{f"photos_{n}": f"Photos of class {n}" for n in range(1, MAX_CLASSES + 1)},
        "learn": "Learn",
        "learned": "**{right} of {photos} photos were right** ({accuracy:.0%}) while the model that judged them had "
        "not seen them; guessing the most frequent class gives {chance:.0%}. It took {seconds:.1f} s.",
        "few": "With so few photos this figure can be off by {margin:.0%} either way.",
        "perfect": "No mistakes. Try it on photos taken elsewhere: another room, another light.",
        "mistakes": "Its mistakes: more photos like these help most",
        "mistake": "{true}, taken for {predicted} ({probability:.0%})",
        "skipped": "Left out: {files}",
        "try": "Try it on another photo",
        "answer": "Answer",
        "home": "Take it home",
        "onnx": "Whole classifier (ONNX)",
        "keras": "Last layer (Keras)",
        "zip": "Photos in folders (ZIP)",
        "properly": "Training properly changes the network itself, not only its last layer. In a checkout of this "
        "project, with the ZIP unpacked:",
        "join": "The Keras file holds the new last layer; this joins it to the network:",
        "first": "Teach it first: name classes, add photos, press Learn.",
        "twice": "Two classes are both named {name!r}. Give each its own name.",
        "nameless": "A class with photos has no name. Name it or remove its photos.",
        "none": "Choose a photo first.",
    },
    es={
        "tab": "Enséñale",
        "intro": "Nombra de dos a diez clases y pon unas fotos en cada una: tres como mínimo, mejor diez, desde "
        "distintos lados. Se ajusta una última capa nueva sobre lo que la red ve en ellas. Tus fotos quedan en este "
        "servidor una hora aproximadamente y no se usan para nada más.",
        "classes": "Número de clases",
        **{f"name_{n}": f"Nombre de la clase {n}" for n in range(1, MAX_CLASSES + 1)},
        **{f"photos_{n}": f"Fotos de la clase {n}" for n in range(1, MAX_CLASSES + 1)},
        "learn": "Aprender",
        "learned": "**{right} de {photos} fotos fueron correctas** ({accuracy:.0%}) sin que el modelo que las juzgó "
        "las hubiera visto; decir siempre la clase más frecuente da un {chance:.0%}. Tardó {seconds:.1f} s.",
        "few": "Con tan pocas fotos esta cifra puede desviarse un {margin:.0%} hacia cada lado.",
        "perfect": "Ningún error. Pruébalo con fotos de otro sitio: otra habitación, otra luz.",
        "mistakes": "Sus errores: más fotos como estas son lo que más ayuda",
        "mistake": "{true}, tomada por {predicted} ({probability:.0%})",
        "skipped": "Se dejaron fuera: {files}",
        "try": "Pruébalo con otra foto",
        "answer": "Respuesta",
        "home": "Llévatelo",
        "onnx": "Clasificador completo (ONNX)",
        "keras": "Última capa (Keras)",
        "zip": "Fotos en carpetas (ZIP)",
        "properly": "El entrenamiento completo cambia la red misma, no solo su última capa. En una copia de este "
        "proyecto, con el ZIP descomprimido:",
        "join": "El archivo de Keras contiene la última capa nueva; así se une a la red:",
        "first": "Enséñale primero: nombra clases, añade fotos y pulsa Aprender.",
        "twice": "Dos clases se llaman {name!r}. Dale a cada una su nombre.",
        "nameless": "Una clase con fotos no tiene nombre. Ponle nombre o quita sus fotos.",
        "none": "Elige primero una foto.",
    },
)


def refusal(key: str, **values: Any) -> InputError:
    """The error of that text, in both languages."""
    marker = T(key).key
    return InputError(*(translation(marker, language).format(**values) for language in ("en", "es")))


def teach_tab(models: ModelStore) -> None:
    """Add the tab to the page under construction. The network is the page's default variant."""
    variant = models.default
    with gr.Tab(T("tab")):
        gr.Markdown(T("intro"))
        count = gr.Slider(2, MAX_CLASSES, FIRST_CLASSES, step=1, label=T("classes"), elem_id="teach-count")
        rows, names, photos = [], [], []
        for number in range(1, MAX_CLASSES + 1):
            with gr.Row(visible=number <= FIRST_CLASSES, equal_height=True) as row:
                with gr.Column(scale=1, min_width=180):
                    names.append(
                        gr.Textbox(label=T(f"name_{number}"), max_length=40, elem_id=f"teach-name-{number}")
                    )
                with gr.Column(scale=3, min_width=260):
                    photos.append(
                        gr.Gallery(
                            label=T(f"photos_{number}"),
                            show_label=False,
                            type="filepath",
                            sources=["upload", "webcam", "clipboard"],
                            columns=4,
                            height=190,
                            interactive=True,
                            object_fit="cover",
                            elem_id=f"teach-photos-{number}",
                        )
                    )
                    photos[-1].preprocess = _paths
            rows.append(row)
        button = gr.Button(T("learn"), variant="primary", elem_id="teach-learn")
        lesson = gr.State()
        verdict = gr.Markdown(elem_id="teach-verdict")
        mistakes = gr.Gallery(
            label=T("mistakes"), columns=5, height=260, visible=False, interactive=False, object_fit="contain"
        )
        with gr.Column(visible=False) as after:
            with gr.Row(equal_height=False):
                with gr.Column(min_width=260):
                    photo = photo_input(label=T("try"), height=260, elem_id="teach-try")
                with gr.Column(min_width=260):
                    label = gr.Label(label=T("answer"), elem_id="teach-answer")
            gr.Markdown("### " + T("home"))
            with gr.Row():
                onnx = gr.DownloadButton(T("onnx"))
                keras = gr.DownloadButton(T("keras"))
                archive = gr.DownloadButton(T("zip"))
            gr.Markdown(T("properly"))
            command = gr.Code(language="shell", show_label=False, interactive=False, lines=1)
            gr.Markdown(T("join"))
            gr.Code(
                teach_files.keras_snippet(variant), language="python", show_label=False, interactive=False
            )

    @friendly
    def learn(*values: Any, request: gr.Request) -> tuple[Any, ...]:
        number = int(values[0])
        given = list(zip(values[1 : 1 + number], values[1 + MAX_CLASSES :], strict=False))
        classes = _classes(given)
        model = answers.predictor(models, variant)
        learned = teach.teach(model, classes)
        return (
            learned,
            _verdict(learned, request),
            gr.Gallery(_mistake_pictures(learned, request), visible=bool(learned.mistakes)),
            gr.Column(visible=True),
            write_file("classifier.onnx", teach_files.onnx_file(model, learned)),
            write_file("head.keras", teach_files.keras_file(learned)),
            write_file("photos.zip", teach_files.photos_zip(classes)),
            teach_files.train_command(learned),
        )

    @friendly
    def try_it(photo: str | None, learned: Lesson | None, request: gr.Request) -> dict[str, float]:
        if learned is None:
            raise refusal("first")
        if not photo:
            raise refusal("none")
        model = answers.predictor(models, variant)
        square, _ = teach.to_square(read_image(photo), model.processor.settings)
        probabilities = learned.head.probabilities(teach.features_of(model, [square]))[0]
        return dict(zip(learned.class_names, map(float, probabilities), strict=True))

    def show_rows(number: float) -> list[gr.Row]:
        return [gr.Row(visible=index < number) for index in range(MAX_CLASSES)]

    count.change(show_rows, count, rows, api_visibility="private", queue=False)

    def learn_event(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        return learn(*values, request=request)

    button.click(
        learn_event,
        [count, *names, *photos],
        [lesson, verdict, mistakes, after, onnx, keras, archive, command],
        api_visibility="private",
        concurrency_limit=2,
    )
    photo.change(_if_photo(try_it), [photo, lesson], label, api_visibility="private", concurrency_limit=4)


def _if_photo(handler: Any) -> Any:
    """An emptied photo changes nothing."""

    def wrapped(photo: str | None, learned: Lesson | None, request: gr.Request) -> Any:
        return handler(photo, learned, request) if photo else gr.skip()

    return wrapped


def _paths(payload: Any) -> list[str]:
    """The files of a gallery as they were sent; `teach` says which cannot be read."""
    if payload is None:
        return []
    return [item.image.path for item in payload.root if hasattr(item, "image") and item.image.path]


def _classes(given: list[tuple[str, list[str] | None]]) -> dict[str, list[str]]:
    """Name -> photos of the classes that were filled in."""
    classes: dict[str, list[str]] = {}
    for name, paths in given:
        name = " ".join((name or "").split())
        if not paths and not name:
            continue
        if not name:
            raise refusal("nameless")
        if name in classes:
            raise refusal("twice", name=name)
        classes[name] = list(paths or [])
    return classes


def _verdict(lesson: Lesson, request: gr.Request) -> str:
    right = round(lesson.accuracy * lesson.photos)
    lines = [
        T.say(
            "learned",
            request,
            right=right,
            photos=lesson.photos,
            accuracy=lesson.accuracy,
            chance=lesson.chance,
            seconds=lesson.seconds,
        )
    ]
    # Half the width of the 95 % interval (Agresti and Coull), which is honest for 0 and for all right, too.
    share = (right + 2) / (lesson.photos + 4)
    margin = 2 * (share * (1 - share) / (lesson.photos + 4)) ** 0.5
    if margin > 0.05:
        lines[0] += " " + T.say("few", request, margin=margin)
    if not lesson.mistakes:
        lines.append(T.say("perfect", request))
    if lesson.skipped:
        language = language_of(request)
        files = "; ".join(f"{path.rsplit('/', 1)[-1]}: {e.message(language)}" for path, e in lesson.skipped)
        lines.append(T.say("skipped", request, files=files))
    return "\n\n".join(lines)


def _mistake_pictures(lesson: Lesson, request: gr.Request) -> list[tuple[Any, str]]:
    pictures = []
    for mistake in lesson.mistakes[:20]:
        caption = T.say(
            "mistake",
            request,
            true=mistake.true,
            predicted=mistake.predicted,
            probability=mistake.probability,
        )
        pictures.append((letterbox(read_image(mistake.path), (240, 240), fill=255)[0], caption))
    return pictures
