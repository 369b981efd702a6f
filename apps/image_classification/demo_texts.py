"""Texts of the demo in English and Spanish, and Spanish names of the classes trained here."""

from __future__ import annotations

from typing import Any

from shared.demo.i18n import Texts, translation
from shared.files.errors import InputError

CLASSES_ES = {
    "dress": "vestido",
    "hat": "gorro o sombrero",
    "longsleeve": "manga larga",
    "outwear": "abrigo o chaqueta",
    "pants": "pantalón",
    "shirt": "camisa",
    "shoes": "zapatos",
    "shorts": "pantalón corto",
    "skirt": "falda",
    "t-shirt": "camiseta",
    "airplane": "avión",
    "automobile": "coche",
    "bird": "pájaro",
    "cat": "gato",
    "deer": "ciervo",
    "dog": "perro",
    "frog": "rana",
    "horse": "caballo",
    "ship": "barco",
    "truck": "camión",
}

T = Texts(
    en={
        "title": "Image classification",
        "subtitle": "What is in a photo, how sure the model is, and which part of the photo it judged by.",
        "one": "One photo",
        "many": "Several",
        "photo": "Photo",
        "photos": "Photos",
        "options": "Options",
        "top_k": "Number of classes",
        "threshold": "Show classes from this probability on",
        "classify": "Classify",
        "examples": "Examples",
        "answer": "Most probable classes",
        "where": "Where it saw the class",
        "where_info": "Bright places speak for the chosen class.",
        "json": "Result as JSON",
        "download_json": "Download JSON",
        "download_csv": "Download CSV",
        "table": "Results",
        "file": "file",
        "label": "class",
        "probability": "prob.",
        "remark": "remark",
        "none": "Choose a photo first: drop it here, take it with the camera, or paste it.",
        "none_many": "Choose at least one photo first.",
        "too_many": "At most {limit} photos at a time; {count} were chosen.",
        "unsure": "No class reaches {threshold:.0%}. The nearest is **{label}** with {probability:.0%}.",
        "right": "When this model says **{label}**, it was right {right} of {total} times on validation.",
        "confused": "The others were {others}.",
        "never": "On validation this model never said **{label}**.",
        "other": "{label} ({times})",
        "similar": "To this model, most like **{label}**: {others}.",
        "time": "Reading the photo {read:.0f} ms, network {network:.0f} ms. It looks at {size} × {size} pixels.",
        "authors": "Its authors report {top1:.1%} on the ImageNet validation set; it was not measured here.",
        "credits": "Example photos: clothing from the Clothing dataset (CC0); temple and flower from scikit-learn, "
        "by danielbuechele and vultilion on Flickr (CC BY 2.0).",
        "unknown_class": "{label!r} is not one of the model's classes. Choose one of the list.",
    },
    es={
        "title": "Clasificación de imágenes",
        "subtitle": "Qué hay en una foto, cuánta seguridad tiene el modelo y en qué parte de la foto se basó.",
        "one": "Una foto",
        "many": "Varias",
        "photo": "Foto",
        "photos": "Fotos",
        "options": "Opciones",
        "top_k": "Número de clases",
        "threshold": "Mostrar clases a partir de esta probabilidad",
        "classify": "Clasificar",
        "examples": "Ejemplos",
        "answer": "Clases más probables",
        "where": "Dónde vio la clase",
        "where_info": "Las zonas claras hablan a favor de la clase elegida.",
        "json": "Resultado en JSON",
        "download_json": "Descargar JSON",
        "download_csv": "Descargar CSV",
        "table": "Resultados",
        "file": "archivo",
        "label": "clase",
        "probability": "prob.",
        "remark": "observación",
        "none": "Elige primero una foto: arrástrala aquí, tómala con la cámara o pégala.",
        "none_many": "Elige primero al menos una foto.",
        "too_many": "Como máximo {limit} fotos a la vez; se eligieron {count}.",
        "unsure": "Ninguna clase llega al {threshold:.0%}. La más cercana es **{label}** con {probability:.0%}.",
        "right": "Cuando este modelo dice **{label}**, acertó {right} de {total} veces en validación.",
        "confused": "Las demás eran {others}.",
        "never": "En validación este modelo nunca dijo **{label}**.",
        "other": "{label} ({times})",
        "similar": "Para este modelo, lo más parecido a **{label}**: {others}.",
        "time": "Leer la foto {read:.0f} ms, red {network:.0f} ms. Mira {size} × {size} píxeles.",
        "authors": "Sus autores declaran un {top1:.1%} en la validación de ImageNet; aquí no se ha medido.",
        "credits": "Fotos de ejemplo: ropa del Clothing dataset (CC0); templo y flor de scikit-learn, de "
        "danielbuechele y vultilion en Flickr (CC BY 2.0).",
        "unknown_class": "{label!r} no es una de las clases del modelo. Elige una de la lista.",
    },
)


def class_name(name: str, language: str) -> str:
    """A class as the visitor reads it; ImageNet's 1,000 classes have English names only."""
    return CLASSES_ES.get(name, name) if language == "es" else name


def refusal(key: str, **values: Any) -> InputError:
    """The error of that text, in both languages, its placeholders filled in."""
    marker = T(key).key
    return InputError(*(translation(marker, language).format(**values) for language in ("en", "es")))
