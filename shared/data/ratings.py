"""Ratings tables: user, item, rating and optional time, with an items table beside them; three ways to split.

Accepted column names (any case, `_` ignored): user/userId, item/itemId/movie/movieId, rating/stars/score,
timestamp/time/date; for items also title/name/movieTitle, genres/features/categories, year.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from shared.files.errors import DataError

USER = ("user", "userid")
ITEM = ("item", "itemid", "movie", "movieid")
RATING = ("rating", "stars", "score", "userrating")
TIME = ("timestamp", "time", "date", "unixtime")
TITLE = ("title", "name", "movietitle")
GENRES = ("genres", "features", "categories")
HINT = (
    "A ratings CSV has a header and the columns user,item,rating and optionally timestamp (seconds since 1970); "
    "MovieLens's ratings.csv (userId,movieId,rating,timestamp) is one. An items CSV has item,title and optionally "
    "genres (separated by |) and year."
)


@dataclasses.dataclass(frozen=True)
class Items:
    """The catalogue, by item code.

    Attributes:
        ids: `(items,)` as the table writes them.
        titles: `(items,)`; the id where the table has no title.
        genres: A list of genre names an item.
        years: `(items,)` int32, 0 where unknown.
        tags: Words people put on an item, one list an item (may repeat).
    """

    ids: list[str]
    titles: list[str]
    genres: list[list[str]]
    years: np.ndarray
    tags: list[list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    def genre_names(self) -> list[str]:
        """All genres in alphabetical order."""
        return sorted({g for row in self.genres for g in row})


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Ratings as columns, in order of user and then time.

    Attributes:
        user: `(n,)` int32 codes into `user_ids`.
        item: `(n,)` int32 codes into `items`.
        rating: `(n,)` float32.
        time_s: `(n,)` float64, seconds since 1970; the row number where the table has no time.
        user_ids: As the table writes them.
        items: The catalogue; items nobody rated included.
        notes: What reading found and mended (duplicates, items without a title, ...).
    """

    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time_s: np.ndarray
    user_ids: list[str]
    items: Items
    notes: list[str] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: np.ndarray) -> Ratings:
        """Keep some rows (boolean mask or index); users and items keep their codes."""
        columns = {name: getattr(self, name)[rows] for name in ("user", "item", "rating", "time_s")}
        return dataclasses.replace(self, **columns)


def find_column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose name, without case, `_` and spaces, is one of `names`; the first name wins."""
    plain = {re.sub(r"[\s_]+", "", str(c)).lower(): c for c in reversed(list(columns))}
    return next((plain[n] for n in names if n in plain), None)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV (or TSV) as text columns; the delimiter is found from the header.

    Raises:
        DataError: The file is missing, empty or not a table.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
    except OSError as error:
        raise DataError([f"{path}: cannot be read ({error.strerror})"], HINT) from error
    if not header.strip():
        raise DataError([f"{path}: is empty"], HINT)
    separator = max(",\t;", key=header.count)
    try:
        return pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            encoding="utf-8-sig",
            encoding_errors="replace",
            keep_default_na=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError([f"{path}: {error}"], HINT) from error


def read_ratings(
    path: str | Path,
    items_path: str | Path | None = None,
    *,
    low: float = 0.5,
    high: float = 5.0,
) -> Ratings:
    """Read a ratings CSV, or a folder with `ratings.csv` and optionally items/movies.csv and tags.csv.

    Args:
        path: The file or folder.
        items_path: The items CSV; `items.csv` or `movies.csv` beside the ratings when None.
        low: Lowest rating accepted.
        high: Highest rating accepted.

    Raises:
        DataError: Missing columns; or rows without user or item, ratings that are no number or out of range,
            times that are no number: all of them, by line.
    """
    path = Path(path)
    file = path / "ratings.csv" if path.is_dir() else path
    table = read_table(file)
    names = {
        key: find_column(table.columns, wanted)
        for key, wanted in {"user": USER, "item": ITEM, "rating": RATING, "time": TIME}.items()
    }
    missing = [key for key in ("user", "item", "rating") if names[key] is None]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise DataError([f"{file}: no column {', '.join(missing)}; its columns are {found}"], HINT)
    rating = pd.to_numeric(table[names["rating"]], errors="coerce").to_numpy("float64")
    time = np.arange(len(table), dtype="float64")
    if names["time"]:
        time = pd.to_numeric(table[names["time"]], errors="coerce").to_numpy("float64")
    _check_rows(file, table, names, rating, time, low, high)
    user, user_ids = pd.factorize(table[names["user"]].str.strip(), sort=False)
    items, item, notes = _catalogue(table[names["item"]].str.strip(), file, items_path)
    if not names["time"]:
        notes.append("no timestamp column: the order of the lines stands for time")
    return make_ratings(user, item, rating, time, list(user_ids), items, notes)


def _check_rows(file, table, names, rating, time, low, high) -> None:
    if not len(table):
        raise DataError([f"{file}: has a header and no rows"], HINT)
    empty = (table[names["user"]].str.strip() == "") | (table[names["item"]].str.strip() == "")
    checks = [
        (empty.to_numpy(), lambda i: "user or item is empty"),
        (np.isnan(rating), lambda i: f"rating must be a number, received {table[names['rating']].iloc[i]!r}"),
        (
            ~np.isnan(rating) & ~((rating >= low) & (rating <= high)),
            lambda i: f"rating must be from {low:g} to {high:g}, received {rating[i]:g}",
        ),
        (
            ~np.isfinite(time),
            lambda i: f"timestamp must be seconds since 1970, received {table[names['time']].iloc[i]!r}",
        ),
    ]
    problems = sorted((int(i), text(int(i))) for bad, text in checks for i in np.flatnonzero(bad))
    if problems:
        # Line 1 is the header.
        raise DataError([f"{file}:{row + 2}: {text}" for row, text in problems], HINT)


def make_ratings(
    user: np.ndarray,
    item: np.ndarray,
    rating: np.ndarray,
    time_s: np.ndarray,
    user_ids: list[str],
    items: Items,
    notes: Iterable[str] = (),
) -> Ratings:
    """Order by user and time and keep the latest rating of each (user, item).

    Rows of one second are put in a fixed random order: their order in a file often follows the item id, and a
    split by time must not learn from that.
    """
    notes = list(notes)
    shuffled = np.random.default_rng(0).permutation(len(user))
    order = shuffled[np.lexsort((time_s[shuffled], user[shuffled]))]
    user, item, rating, time_s = user[order], item[order], rating[order], time_s[order]
    pair = user.astype("int64") * len(items) + item
    _, last = np.unique(pair[::-1], return_index=True)
    if len(last) < len(pair):
        notes.append(
            f"{len(pair) - len(last)} ratings of a film its user had rated before: the latest counts"
        )
        keep = np.sort(len(pair) - 1 - last)
        user, item, rating, time_s = user[keep], item[keep], rating[keep], time_s[keep]
    return Ratings(
        user.astype("int32"), item.astype("int32"), rating.astype("float32"), time_s.astype("float64"),
        user_ids, items, notes,
    )  # fmt: skip


def _catalogue(
    column: pd.Series, file: Path, items_path: str | Path | None
) -> tuple[Items, np.ndarray, list[str]]:
    beside = [file.parent / name for name in ("items.csv", "movies.csv")]
    source = Path(items_path) if items_path else next((p for p in beside if p.is_file()), None)
    notes: list[str] = []
    if source is None:
        codes, ids = pd.factorize(column, sort=False)
        return make_items(list(ids)), codes, ["no items CSV: films are shown by their id"]
    items = read_items(source)
    tags = source.parent / "tags.csv"
    if tags.is_file():
        items = add_tags(items, tags)
    known = {name: i for i, name in enumerate(items.ids)}
    extra = [name for name in dict.fromkeys(column) if name not in known]
    if extra:
        notes.append(
            f"{len(extra)} rated items are not in {source.name} (e.g. {extra[0]}): shown by their id"
        )
        known |= {name: len(known) + i for i, name in enumerate(extra)}
        items = make_items(
            items.ids + extra, items.titles + extra, items.genres + [[] for _ in extra],
            list(items.years) + [0] * len(extra), items.tags + [[] for _ in extra],
        )  # fmt: skip
    return items, column.map(known).to_numpy("int64"), notes


def make_items(ids, titles=None, genres=None, years=None, tags=None) -> Items:
    """A catalogue; the year is taken from a title that ends in `(1995)` where none is given."""
    titles = list(titles) if titles is not None else list(ids)
    if years is None:
        found = [re.search(r"\((\d{4})(?:[–-]\d{0,4})?\)\s*$", t) for t in titles]
        years = [int(m[1]) if m else 0 for m in found]
    return Items(
        list(ids), titles, list(genres) if genres is not None else [[] for _ in ids],
        np.asarray(years, "int32"), list(tags) if tags is not None else [[] for _ in ids],
    )  # fmt: skip


def read_items(path: str | Path) -> Items:
    """Read an items CSV.

    Raises:
        DataError: No item column, or an item twice.
    """
    path = Path(path)
    table = read_table(path)
    names = [find_column(table.columns, n) for n in (ITEM, TITLE, GENRES, ("year",))]
    if names[0] is None:
        raise DataError(
            [f"{path}: no column item; its columns are {', '.join(map(str, table.columns))}"], HINT
        )
    ids = table[names[0]].str.strip()
    twice = np.flatnonzero(ids.duplicated())
    if len(twice):
        raise DataError(
            [f"{path}:{i + 2}: item {ids.iloc[i]!r} stands here for the second time" for i in twice], HINT
        )
    genres = None
    if names[2]:
        genres = [[g for g in row.split("|") if g and not g.startswith("(")] for row in table[names[2]]]
    years = None
    if names[3]:
        years = pd.to_numeric(table[names[3]], errors="coerce").fillna(0).to_numpy("int32")
    titles = [t.strip() for t in table[names[1]]] if names[1] else None
    return make_items(list(ids), titles, genres, years)


def add_tags(items: Items, path: str | Path) -> Items:
    """The catalogue with the words of a tags CSV (user, item, tag)."""
    table = read_table(Path(path))
    item, tag = find_column(table.columns, ITEM), find_column(table.columns, ("tag",))
    if item is None or tag is None:
        return items
    known = {name: i for i, name in enumerate(items.ids)}
    tags: list[list[str]] = [[] for _ in items.ids]
    for name, word in zip(table[item].str.strip(), table[tag].str.strip().str.lower(), strict=True):
        if name in known and word:
            tags[known[name]].append(word)
    return dataclasses.replace(items, tags=tags)


def by_user(ratings: Ratings) -> Iterator[tuple[int, slice]]:
    """`(user code, rows)` of every user with ratings; rows of a user are neighbours."""
    bounds = np.flatnonzero(np.r_[True, ratings.user[1:] != ratings.user[:-1], True]) if len(ratings) else []
    for first, last in itertools.pairwise(bounds):
        yield int(ratings.user[first]), slice(int(first), int(last))
