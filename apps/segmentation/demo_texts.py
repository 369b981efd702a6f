"""Texts of the demo in English and Spanish, and the Spanish names of the classes of shipped variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.demo.i18n import Texts, translation
from shared.files.errors import InputError

CLASSES_ES = {
    "sky": "cielo",
    "building": "edificio",
    "pole": "poste",
    "road": "calzada",
    "pavement": "acera",
    "tree": "árbol",
    "sign": "señal",
    "fence": "valla",
    "car": "coche",
    "pedestrian": "peatón",
    "bicyclist": "ciclista",
    "pet": "mascota",
    "background": "fondo",
    "border": "borde",
}

T = Texts(
    en={
        "title": "Segmentation",
        "subtitle": "Gives every pixel of a picture a class. The model shipped here knows road scenes, as seen from "
        "a car. Click the answer to name a region.",
        "photo": "Picture",
        "find": "Segment",
        "answer": "Answer (click a region)",
        "view": "Show",
        "view_classes": "Classes",
        "view_confidence": "Confidence",
        "opacity": "Opacity of the colours",
        "opacity_info": "0 shows the picture, 1 the colours. Acts at once.",
        "classes": "Classes to colour",
        "legend": "Legend",
        "col_class": "Class",
        "col_area": "Area",
        "col_confidence": "Mean confidence",
        "filtered_out": "not coloured",
        "scale": "Confidence: 0 % {bar} 100 %",
        "examples": "Examples",
        "credits": "Examples: test frames of CamVid (Brostow, Fauqueur and Cipolla 2009, for research), which the "
        "model never saw.",
        "json": "Result as JSON",
        "download_mask": "Mask (indexed PNG)",
        "download_rle": "Mask (RLE JSON)",
        "download_picture": "Picture as shown (PNG)",
        "summary": "**{classes} classes** in {width} × {height} pixels, mean confidence {confidence:.0%}. From "
        "pixels to mask: {ms:.0f} ms.",
        "unsure": "The model is unsure about much of this picture: it may show something it was not trained for "
        "({known}).",
        "region": "**{label}**, {confidence:.0%} sure at this point. The outlined region covers {share:.1%} of the "
        "picture; all of {label}, {total:.1%}.",
        "none": "Choose a picture first: upload one, use the camera, paste it, or click an example.",
        "opacity_range": "Opacity must lie between 0 and 1; you sent {value}.",
        "unknown_class": "There is no class {value} in this model. It knows: {known}.",
        "unknown_view": "There is no view {value}. There are: classes, confidence.",
    }
    | {f"class_{name}": name for name in CLASSES_ES},
    es={
        "title": "Segmentación",
        "subtitle": "Da una clase a cada píxel de una imagen. El modelo incluido conoce escenas de calle vistas "
        "desde un coche. Pulsa en la respuesta para nombrar una región.",
        "photo": "Imagen",
        "find": "Segmentar",
        "answer": "Respuesta (pulsa una región)",
        "view": "Mostrar",
        "view_classes": "Clases",
        "view_confidence": "Confianza",
        "opacity": "Opacidad de los colores",
        "opacity_info": "0 muestra la imagen, 1 los colores. Actúa al momento.",
        "classes": "Clases coloreadas",
        "legend": "Leyenda",
        "col_class": "Clase",
        "col_area": "Superficie",
        "col_confidence": "Confianza media",
        "filtered_out": "sin colorear",
        "scale": "Confianza: 0 % {bar} 100 %",
        "examples": "Ejemplos",
        "credits": "Ejemplos: imágenes de prueba de CamVid (Brostow, Fauqueur y Cipolla 2009, para investigación), "
        "que el modelo nunca vio.",
        "json": "Resultado en JSON",
        "download_mask": "Máscara (PNG indexado)",
        "download_rle": "Máscara (JSON con RLE)",
        "download_picture": "Imagen mostrada (PNG)",
        "summary": "**{classes} clases** en {width} × {height} píxeles, confianza media {confidence:.0%}. De los "
        "píxeles a la máscara: {ms:.0f} ms.",
        "unsure": "El modelo duda en gran parte de esta imagen: puede mostrar algo para lo que no se entrenó "
        "({known}).",
        "region": "**{label}**, {confidence:.0%} de confianza en este punto. La región marcada cubre el {share:.1%} "
        "de la imagen; todo lo que es {label}, el {total:.1%}.",
        "none": "Elige antes una imagen: súbela, usa la cámara, pégala o pulsa un ejemplo.",
        "opacity_range": "La opacidad debe estar entre 0 y 1; has enviado {value}.",
        "unknown_class": "Este modelo no tiene la clase {value}. Conoce: {known}.",
        "unknown_view": "No existe la vista {value}. Las que hay: classes, confidence.",
    }
    | {f"class_{name}": text for name, text in CLASSES_ES.items()},
)


def class_choices(names: Sequence[str]) -> list[tuple[Any, str]]:
    """Choices of a filter: label in the visitor's language, the model's own name as value."""
    return [(T(f"class_{name}") if name in CLASSES_ES else name, name) for name in names]


def class_label(name: str, language: str) -> str:
    """A class's name in the visitor's language, or the name itself."""
    return CLASSES_ES.get(name, name) if language == "es" else name


def refusal(key: str, **values: Any) -> InputError:
    """The error of that text, in both languages, its placeholders filled in."""
    marker = T(key).key
    return InputError(*(translation(marker, language).format(**values) for language in ("en", "es")))
