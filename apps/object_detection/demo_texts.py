"""Texts of the demo in English and Spanish, and the Spanish names of the classes of shipped variants."""

from __future__ import annotations

from typing import Any

from shared.demo.i18n import Texts, translation
from shared.files.errors import InputError

CLASSES_ES = {"RBC": "glóbulos rojos", "WBC": "glóbulos blancos", "Platelets": "plaquetas"}
CLASSES_EN = {"RBC": "red blood cells", "WBC": "white blood cells", "Platelets": "platelets"}

T = Texts(
    en={
        "title": "Object detection",
        "subtitle": "Finds, names and counts the objects in a picture. The model shipped here counts the cells "
        "of a stained blood smear. It is a demonstration and not for diagnosis.",
        "one": "One picture",
        "many": "Several pictures",
        "photo": "Picture",
        "photos": "Pictures",
        "find": "Find objects",
        "score": "Confidence from",
        "score_info": "Higher: fewer boxes, surer ones. Acts at once.",
        "iou": "Overlap allowed",
        "iou_info": "Two boxes of one class that overlap more count as one object. Acts at once.",
        "classes": "Show",
        "preset": "Another detector (Keras-Hub preset)",
        "preset_name": "Name of the preset",
        "preset_info": "For everyday pictures, e.g. dfine_nano_coco. Needs a network and TensorFlow; "
        "leave empty for the model above.",
        "answer": "What was found",
        "counts": "Counts",
        "label": "class",
        "name": "meaning",
        "count": "count",
        "mean_score": "confidence",
        "examples": "Examples",
        "credits": "Examples: test pictures of the BCCD data set (MIT licence), which the model never saw.",
        "json": "Result as JSON",
        "download_coco": "COCO JSON",
        "download_csv": "CSV",
        "download_png": "Picture with boxes (PNG)",
        "table": "Counts by picture",
        "file": "file",
        "total": "total",
        "remark": "remark",
        "summary": "Objects found: **{count}**, in a picture of {width} × {height} pixels. Network: {ms:.0f} ms.",
        "nothing": "**Nothing found** at this confidence in a picture of {width} × {height} pixels. "
        "Lower “Confidence from”, or check that the picture shows what the model knows: {classes}.",
        "summary_many": "Objects found: **{count}**. Pictures: {pictures}.",
        "none": "Choose a picture first: upload one, use the camera, paste it, or click an example.",
        "none_many": "Choose one or more pictures first.",
        "too_many": "At most {limit} pictures at a time; you sent {count}. Send the rest afterwards.",
        "score_range": "Confidence must lie between 0 and 1; you sent {value}.",
        "iou_range": "Overlap must lie between 0 and 1; you sent {value}.",
        "unknown_class": "There is no class {value} in this model. It knows: {known}.",
        "preset_unknown": "There is no Keras-Hub detector named {value}. Known ones: {known}.",
    },
    es={
        "title": "Detección de objetos",
        "subtitle": "Encuentra, nombra y cuenta los objetos de una imagen. El modelo incluido cuenta las células "
        "de un frotis de sangre teñido. Es una demostración y no sirve para diagnosticar.",
        "one": "Una imagen",
        "many": "Varias imágenes",
        "photo": "Imagen",
        "photos": "Imágenes",
        "find": "Buscar objetos",
        "score": "Confianza desde",
        "score_info": "Más alta: menos cajas, más seguras. Actúa al momento.",
        "iou": "Solape permitido",
        "iou_info": "Dos cajas de una clase que se solapan más cuentan como un objeto. Actúa al momento.",
        "classes": "Mostrar",
        "preset": "Otro detector (modelo de Keras-Hub)",
        "preset_name": "Nombre del modelo",
        "preset_info": "Para imágenes cotidianas, p. ej. dfine_nano_coco. Necesita red y TensorFlow; "
        "déjalo vacío para usar el modelo de arriba.",
        "answer": "Lo encontrado",
        "counts": "Recuento",
        "label": "clase",
        "name": "significado",
        "count": "n.º",
        "mean_score": "confianza",
        "examples": "Ejemplos",
        "credits": "Ejemplos: imágenes de prueba del conjunto BCCD (licencia MIT), que el modelo nunca vio.",
        "json": "Resultado en JSON",
        "download_coco": "JSON de COCO",
        "download_csv": "CSV",
        "download_png": "Imagen con cajas (PNG)",
        "table": "Recuento por imagen",
        "file": "archivo",
        "total": "total",
        "remark": "observación",
        "summary": "Objetos encontrados: **{count}**, en una imagen de {width} × {height} píxeles. Red: {ms:.0f} ms.",
        "nothing": "**No se encontró nada** con esta confianza en una imagen de {width} × {height} píxeles. "
        "Baja «Confianza desde» o comprueba que la imagen muestra lo que el modelo conoce: {classes}.",
        "summary_many": "Objetos encontrados: **{count}**. Imágenes: {pictures}.",
        "none": "Elige antes una imagen: súbela, usa la cámara, pégala o pulsa un ejemplo.",
        "none_many": "Elige antes una o varias imágenes.",
        "too_many": "Como máximo {limit} imágenes a la vez; has enviado {count}. Envía el resto después.",
        "score_range": "La confianza debe estar entre 0 y 1; has enviado {value}.",
        "iou_range": "El solape debe estar entre 0 y 1; has enviado {value}.",
        "unknown_class": "Este modelo no tiene la clase {value}. Conoce: {known}.",
        "preset_unknown": "No hay ningún detector de Keras-Hub llamado {value}. Los conocidos: {known}.",
    },
)


def class_meaning(name: str, language: str) -> str:
    """A class's name in words of the visitor's language, or the name itself."""
    return (CLASSES_ES if language == "es" else CLASSES_EN).get(name, name)


def refusal(key: str, **values: Any) -> InputError:
    """The error of that text, in both languages, its placeholders filled in."""
    marker = T(key).key
    return InputError(*(translation(marker, language).format(**values) for language in ("en", "es")))
