"""The text boundary: whatever a person pastes or uploads -> clean NFC text, or a refusal that helps."""

from __future__ import annotations

import codecs
import re
import unicodedata

from shared.files.errors import InputError

MAX_CHARACTERS = 100_000
"""About 60 pages: a few seconds of work for the largest text model."""

# Cc but newline and tab; lone surrogates; byte-order marks; the bidirectional overrides that only mislead.
_REMOVED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_LINE_ENDS = re.compile("\r\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def clean_text(text: str) -> str:
    """Normalize without changing what a reader sees.

    NFC, one kind of line end, no control characters, lone surrogates or direction overrides; emoji with their
    joiners stay.

    Args:
        text: Any string.

    Returns:
        The string, stripped at both ends.
    """
    text = _REMOVED.sub("", _LINE_ENDS.sub("\n", text))
    return unicodedata.normalize("NFC", text).strip()


def read_text(source: str | bytes | None, *, max_characters: int = MAX_CHARACTERS) -> str:
    """One text to work on.

    Args:
        source: A string, or the bytes of a text file (UTF-8, UTF-16 with its mark, or Windows-1252).
        max_characters: Longest text.

    Returns:
        Clean text with at least one letter, digit or symbol.

    Raises:
        InputError: Nothing to read, or too long.
    """
    if isinstance(source, bytes | bytearray):
        source = decode_text(bytes(source))[0]
    if source is not None and not isinstance(source, str):
        raise TypeError(f"source must be a string or bytes, received {type(source).__name__}")
    length = len(source or "")
    if length > max_characters:
        raise InputError(
            f"The text has {length:,} characters; at most {max_characters:,} (about "
            f"{max_characters // 1700} pages) are read at once. Paste a chapter or a section, or upload many "
            "short texts as a CSV.",
            f"El texto tiene {length:,} caracteres; se leen como máximo {max_characters:,} (unas "
            f"{max_characters // 1700} páginas) de una vez. Pega un capítulo o una sección, o sube muchos "
            "textos cortos como CSV.",
        )
    text = clean_text(source or "")
    if not text:
        what = ("only blanks or control characters", "solo espacios o caracteres de control")
        if not length:
            what = ("nothing", "nada")
        raise InputError(
            f"There is no text: the box holds {what[0]}. Write or paste a sentence.",
            f"No hay texto: la casilla contiene {what[1]}. Escribe o pega una frase.",
        )
    return text


def decode_text(content: bytes) -> tuple[str, str]:
    """Decode the bytes of a text file.

    Args:
        content: The whole file.

    Returns:
        The text and the encoding it was in. A byte-order mark decides; else UTF-8; else Windows-1252, which
        Excel writes in western Europe.

    Raises:
        InputError: The bytes are no text.
    """
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            try:
                return content.decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise _not_text() from error
    if b"\x00" in content:
        raise _not_text()
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    # Five bytes are undefined in Windows-1252; a text has none of them and few control characters.
    text = content.decode("cp1252", errors="replace")
    strange = sum(1 for c in text if c == "\ufffd" or (ord(c) < 32 and c not in "\t\n\r\f"))
    if strange > len(text) // 200:
        raise _not_text()
    return text, "cp1252"


def _not_text() -> InputError:
    return InputError(
        "This file is not text in an encoding that can be read. Save it as UTF-8 (in Excel: “CSV UTF-8”) and "
        "upload it again.",
        "Este archivo no es texto en una codificación legible. Guárdalo como UTF-8 (en Excel: «CSV UTF-8») y "
        "vuelve a subirlo.",
    )


# Words that nearly every sentence of a language has and the others lack.
_FUNCTION_WORDS = {
    "en": "the and of to is was it that with this for not are but his her you they have be from at i my "
    "an by no there what so if about than very just its it's don't i'm who were been had will would has",
    "es": "el la los las de que y en un una es por con para no lo se del al como más pero muy sus esta este "
    "película está fue son me mi su todo",
    "fr": "le la les des et est un une que qui dans pour pas sur ce cette avec plus il elle je au aux du ne "
    "très mais sont c'est",
    "de": "der die das und ist nicht ein eine ich mit auf für von den dem zu es sich auch war aber sehr wie "
    "im so noch nur",
    "it": "il lo gli della di che e un una è non per con sono molto questo questa del dei più ma film come",
    "pt": "o os as da do de que e um uma não para com é muito filme mas por mais no na em foi",
    "nl": "de het een en van ik dat niet is op te zijn met voor maar ook er aan heeft was",
}
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}


def guess_language(text: str) -> str:
    """The language of a text, as far as it shows without a model.

    Args:
        text: Clean text.

    Returns:
        `en`, `es`, `fr`, `de`, `it`, `pt`, `nl`; `other` for a text mostly not in Latin letters; or an empty
        string when too little shows (a few words, names, emoji).
    """
    letters = [c for c in text[:5000] if c.isalpha()]
    if not letters:
        return ""
    latin = sum(1 for c in letters if unicodedata.name(c, "").startswith("LATIN"))
    if latin < 0.5 * len(letters):
        return "other"
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text[:5000].lower())
    hits = {language: sum(w in known for w in words) for language, known in _WORDS.items()}
    best = max(hits, key=lambda language: hits[language])
    # One word may be shared or a title; two, and twice as many as English has, are no accident.
    if hits[best] < 2 or (best != "en" and hits[best] < 2 * max(1, hits["en"])):
        return "en" if hits["en"] >= 1 else ""
    return best
