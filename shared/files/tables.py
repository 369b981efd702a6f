"""The table boundary: a CSV or TSV as people save them -> columns and rows of text, or a refusal that helps."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.files.errors import InputError
from shared.files.text import decode_text

MAX_BYTES = 50 * 1024 * 1024
MAX_ROWS = 100_000
DELIMITERS = (",", ";", "\t", "|")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of strings.

    Attributes:
        columns: Names from the first line, unique, never empty.
        rows: As many cells each as there are columns.
        lines: Line of the file that a row begins on, counted from 1.
        encoding: What the file was in.
        delimiter: What separated its cells.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    encoding: str = "utf-8"
    delimiter: str = ","

    def column(self, name: str) -> list[str]:
        """All cells of one column.

        Raises:
            InputError: There is no such column; names those there are.
        """
        if name not in self.columns:
            shown = ", ".join(self.columns[:20])
            raise InputError(
                f"The table has no column “{name}”. Its columns are: {shown}.",
                f"La tabla no tiene la columna «{name}». Sus columnas son: {shown}.",
            )
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def find(self, names: Iterable[str]) -> str | None:
        """The first of these names that is a column, capital letters and blanks aside."""
        plain = {re.sub(r"[\s_-]+", "", c).casefold(): c for c in reversed(self.columns)}
        return next(
            (plain[n] for n in (re.sub(r"[\s_-]+", "", n).casefold() for n in names) if n in plain), None
        )


def read_table(
    source: str | os.PathLike | bytes, *, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS
) -> Table:
    """Read a CSV or TSV file.

    The delimiter (comma, semicolon, tab or bar) is the one that cuts the first lines most evenly. UTF-8, UTF-16
    and Windows-1252 are understood. Blank lines are skipped; a row with missing cells at its end is filled.

    Args:
        source: Path or content.
        max_bytes: Largest file.
        max_rows: Most rows.

    Returns:
        The table.

    Raises:
        InputError: Empty, too large, not a text table, or without rows; says what would work.
    """
    content = _content(source, max_bytes)
    text, encoding = decode_text(content)
    text = text.lstrip("\ufeff")
    if not text.strip():
        raise _empty()
    delimiter = guess_delimiter(text)
    # A review may be longer than the csv module's default limit of 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.replace("\x00", "") for cell in row])
                lines.append(line)
            line = reader.line_num + 1
            if len(rows) > max_rows + 1:
                raise InputError(
                    f"The table has more than {max_rows:,} rows; at most so many are read at once. Split the file.",
                    f"La tabla tiene más de {max_rows:,} filas; como máximo se leen esas. Divide el archivo.",
                )
    except csv.Error as error:
        raise InputError(
            f"Line {reader.line_num} of the table cannot be read: {error}. Save it again as CSV (UTF-8).",
            f"La línea {reader.line_num} de la tabla no se puede leer: {error}. Guárdala otra vez como CSV (UTF-8).",
        ) from error
    if len(rows) < 2:
        raise InputError(
            "The table has one line only. The first line must name the columns, e.g. “text”, and each line "
            "after it is one row.",
            "La tabla solo tiene una línea. La primera debe nombrar las columnas, por ejemplo «text», y cada "
            "línea siguiente es una fila.",
        )
    columns = _names(rows[0], max(len(r) for r in rows[1:]))
    width = len(columns)
    return Table(columns, [r + [""] * (width - len(r)) for r in rows[1:]], lines[1:], encoding, delimiter)


def guess_delimiter(text: str) -> str:
    """The delimiter that occurs equally often in most of the first records; a comma when none does.

    Args:
        text: Beginning of the file or all of it.
    """
    sample = text[:20_000]
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        try:
            widths = [len(r) for r in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if r][
                :20
            ]
        except csv.Error:
            continue
        if len(sample) < len(text) and len(widths) > 2:
            widths.pop()  # may be cut
        if not widths or widths[0] < 2:
            continue
        score = sum(w == widths[0] for w in widths) / len(widths)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text that spreadsheets open as it is meant.

    A cell that begins like a formula is written behind an apostrophe: what strangers wrote must not run in the
    spreadsheet of whoever opens the file (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_harmless(c) for c in columns])
    for row in rows:
        writer.writerow([_harmless(c) for c in row])
    # Excel reads UTF-8 only behind a byte-order mark.
    return "\ufeff" + stream.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell
    return cell


def _content(source: str | os.PathLike | bytes, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray):
        content = bytes(source)
    else:
        path = Path(source)
        try:
            size = path.stat().st_size
            content = path.read_bytes() if size <= max_bytes else b"x" * 0
        except OSError as error:
            raise InputError(
                f"There is no readable file {path.name!r}. Choose the table again.",
                f"No hay ningún archivo legible {path.name!r}. Elige la tabla otra vez.",
            ) from error
        if size > max_bytes:
            raise _too_large(size, max_bytes)
    if len(content) > max_bytes:
        raise _too_large(len(content), max_bytes)
    if not content:
        raise _empty()
    if content.startswith((_ZIP, _OLE)):
        raise InputError(
            "This is an Excel or compressed file. In Excel choose Save as, “CSV UTF-8”, and upload that.",
            "Es un archivo de Excel o comprimido. En Excel elige Guardar como, «CSV UTF-8», y sube ese.",
        )
    return content


def _too_large(size: int, limit: int) -> InputError:
    return InputError(
        f"The file has {size / 2**20:.1f} MB; at most {limit / 2**20:.0f} MB are read. Split it.",
        f"El archivo ocupa {size / 2**20:.1f} MB; se leen como máximo {limit / 2**20:.0f} MB. Divídelo.",
    )


def _empty() -> InputError:
    return InputError(
        "The file is empty. A table has a first line with column names, e.g. “text”, and rows below it.",
        "El archivo está vacío. Una tabla tiene una primera línea con nombres de columna, por ejemplo «text», y "
        "filas debajo.",
    )


def _names(header: Sequence[str], width: int) -> list[str]:
    """Column names: stripped, filled up to the widest row, made unique."""
    names: list[str] = []
    for index in range(max(width, len(header))):
        name = header[index].strip() if index < len(header) else ""
        name = name or f"column {index + 1}"
        while name in names:
            name += " (2)"
        names.append(name)
    return names
