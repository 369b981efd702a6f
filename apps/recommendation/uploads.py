"""A visitor's own history as a CSV: MovieLens, Letterboxd, IMDb or any table with film and rating."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from apps.recommendation.catalogue import Catalogue, natural_title, plain
from shared.files.errors import InputError

MOST_BYTES = 300_000_000
IDS = ("movieid", "itemid", "movie", "item", "id")
TITLES = ("title", "name", "filmtitle", "movietitle", "film")
STARS = ("rating", "yourrating", "stars", "score")
USERS = ("userid", "user")
TIMES = ("timestamp", "time", "date", "daterated", "watcheddate")
YEARS = ("year", "releaseyear")


@dataclasses.dataclass(frozen=True)
class Upload:
    """What a table held; every row is counted once.

    Attributes:
        pairs: `(item id, stars)` of the films found, oldest first.
        rows: Rows of the table.
        repeated: Rows of a film that a later row rates again.
        unknown: Rows whose film is not in the catalogue.
        unrated: Rows without a rating.
        examples: A few of the unknown titles.
        scale: Highest rating of the table's scale; ratings were brought to the model's.
    """

    pairs: list[tuple[str, float]]
    rows: int
    repeated: int
    unknown: int
    unrated: int
    examples: list[str]
    scale: float


def read_history(path: str | Path, catalogue: Catalogue, low: float = 0.5, high: float = 5.0) -> Upload:
    """Read one person's ratings.

    Args:
        path: CSV, TSV or semicolon-separated; UTF-8 or Latin-1.
        catalogue: The films that are known.
        low: Lowest stars of the model.
        high: Highest stars of the model.

    Raises:
        InputError: No table, wrong columns, several people, ratings that are no number or outside 0.5 to 5 (or 1 to
            10), or no film that is known.
    """
    table = _read(Path(path))
    plain_names = {plain(str(c)).replace(" ", ""): c for c in reversed(table.columns)}

    def column(names: tuple[str, ...]) -> pd.Series | None:
        found = next((plain_names[n] for n in names if n in plain_names), None)
        return None if found is None else table[found].str.strip()

    ids, titles, stars = column(IDS), column(TITLES), column(STARS)
    if stars is None or (ids is None and titles is None):
        names = ", ".join(map(str, table.columns[:12]))
        raise InputError(
            f"The table needs a column rating and a column movieId or title; it has: {names}. Exports of "
            "MovieLens, Letterboxd and IMDb work as they are.",
            f"La tabla necesita una columna rating y una columna movieId o title; tiene: {names}. Las exportaciones "
            "de MovieLens, Letterboxd e IMDb funcionan tal cual.",
        )
    users = column(USERS)
    if users is not None and users.nunique() > 1:
        n = users.nunique()
        raise InputError(
            f"The table holds ratings of {n:,} people. Keep the rows of one userId and upload that.",
            f"La tabla contiene valoraciones de {n:,} personas. Deja las filas de un solo userId y súbela.",
        )
    given = (stars != "").to_numpy()
    values, scale = _stars(stars, given, low, high)
    code = _codes(ids, titles, column(YEARS), catalogue)
    known = given & (code >= 0)
    if not known.any():
        raise InputError(
            "None of the films in the table is in the catalogue (9,742 films up to 2018). Check that the column "
            "movieId holds MovieLens ids, or give a column title such as 'Toy Story (1995)'.",
            "Ninguna película de la tabla está en el catálogo (9742 películas hasta 2018). Comprueba que la columna "
            "movieId tiene ids de MovieLens o da una columna title como «Toy Story (1995)».",
        )
    order = np.flatnonzero(known)
    time = _times(column(TIMES))
    if time is not None:
        order = order[np.argsort(time[order], kind="stable")]
    latest: dict[int, float] = {}
    for row in order:
        item = int(code[row])
        latest.pop(item, None)
        latest[item] = float(values[row])
    lost = given & (code < 0)
    names = titles if titles is not None else ids
    return Upload(
        [(catalogue.ids[i], v) for i, v in latest.items()],
        len(table),
        int(known.sum()) - len(latest),
        int(lost.sum()),
        int((~given).sum()),
        list(dict.fromkeys(names[lost].head(50)))[:5],
        scale,
    )


def _read(path: Path) -> pd.DataFrame:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(
            f"The file has {size / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB are read. One person's ratings "
            "are a few hundred kilobytes.",
            f"El archivo tiene {size / 1e6:.0f} MB; se leen como mucho {MOST_BYTES / 1e6:.0f} MB. Las valoraciones "
            "de una persona ocupan unos cientos de kilobytes.",
        )
    raw = path.open("rb").read(65536)
    if not raw.strip():
        raise InputError("The file is empty.", "El archivo está vacío.")
    if b"\0" in raw or raw.startswith(b"PK"):
        raise InputError(
            "This is not a text table. Save your spreadsheet as CSV (UTF-8) and upload that.",
            "Esto no es una tabla de texto. Guarda tu hoja de cálculo como CSV (UTF-8) y súbela.",
        )
    header = raw.decode("utf-8-sig", "replace").splitlines()[0]
    separator = max(",\t;", key=header.count)
    options = {"sep": separator, "dtype": str, "keep_default_na": False}
    try:
        try:
            return pd.read_csv(path, encoding="utf-8-sig", **options)
        except UnicodeDecodeError:
            return pd.read_csv(path, encoding="latin-1", **options)
    except (pd.errors.ParserError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"The table cannot be read: {reason}. Each row must have as many columns as the first line.",
            f"La tabla no se puede leer: {reason}. Cada fila debe tener tantas columnas como la primera línea.",
        ) from error


def _stars(stars: pd.Series, given: np.ndarray, low: float, high: float) -> tuple[np.ndarray, float]:
    values = pd.to_numeric(stars.str.replace(",", "."), errors="coerce").to_numpy("float64")
    wrong = np.flatnonzero(given & ~np.isfinite(values))
    if len(wrong):
        raise InputError(
            f"Line {wrong[0] + 2}: a rating must be a number, received {stars.iloc[wrong[0]]!r}.",
            f"Línea {wrong[0] + 2}: una valoración debe ser un número; se recibió {stars.iloc[wrong[0]]!r}.",
        )
    top = float(values[given].max()) if given.any() else high
    # IMDb rates from 1 to 10; one such table has some rating above 5 for sure unless its owner likes nothing.
    scale = 10.0 if top > high else high
    least = 1.0 if scale == 10 else low
    outside = np.flatnonzero(given & ((values < least) | (values > scale)))
    if len(outside):
        value, line = values[outside[0]], outside[0] + 2
        raise InputError(
            f"Line {line}: a rating must be from 0.5 to 5 (or from 1 to 10 as on IMDb), received {value:g}.",
            f"Línea {line}: una valoración debe ir de 0,5 a 5 (o de 1 a 10 como en IMDb); se recibió {value:g}.",
        )
    return np.clip(values * high / scale, low, high), scale


def _codes(ids, titles, years, catalogue: Catalogue) -> np.ndarray:
    code = np.full(len(ids if ids is not None else titles), -1)
    if ids is not None:
        code = ids.map(catalogue.code).fillna(-1).to_numpy("int64")
    if titles is not None:
        name = titles
        if years is not None:
            name = titles.where(titles.str.contains(r"\(\d{4}"), titles + " (" + years + ")")
        # Long tables repeat their titles: each is looked up once.
        looked_up = {t: catalogue.by_title.get(plain(natural_title(t)), -1) for t in name.unique()}
        code = np.where(code >= 0, code, name.map(looked_up).to_numpy("int64"))
    return code


def _times(column: pd.Series | None) -> np.ndarray | None:
    if column is None:
        return None
    numbers = pd.to_numeric(column, errors="coerce").to_numpy("float64")
    if np.isfinite(numbers).all():
        return numbers
    dates = pd.to_datetime(column, errors="coerce")
    return None if dates.isna().any() else dates.to_numpy().astype("int64")
