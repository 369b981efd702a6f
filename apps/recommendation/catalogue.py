"""The catalogue a model serves from: titles, genres, years, popularity, map. Read without TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

TEXTS, ARRAYS = "catalogue.json.gz", "catalogue.npz"
ARTICLES = re.compile(r"^(.*?), (The|A|An|Le|La|Les|L'|Il|El|Los|Das|Der|Die)((?: \(.*\))?)$")


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Items by code.

    Attributes:
        ids: As in the ratings table.
        titles: As people write them: `The Matrix (1999)`.
        genres: Names, one list an item.
        years: `(items,)` int, 0 where unknown.
        counts: `(items,)` training ratings of each.
        popularity: `(items,)` share of the training users who rated it.
        mean_stars: `(items,)`, shrunk to the mean of all.
        trend: `(items,)` present popularity for the ranking models.
        vectors: `(items, 16)` unit vectors of taste and genre, for diversity.
        map: `(items, 2)` place on the map in [-1, 1], nan where too few rated it.
    """

    ids: list[str]
    titles: list[str]
    genres: list[list[str]]
    years: np.ndarray
    counts: np.ndarray
    popularity: np.ndarray
    mean_stars: np.ndarray
    trend: np.ndarray
    vectors: np.ndarray
    map: np.ndarray
    drawn: dict[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """Pictures made of the catalogue alone, kept."""

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def code(self) -> dict[str, int]:
        """Id -> code."""
        return {name: i for i, name in enumerate(self.ids)}

    @functools.cached_property
    def by_title(self) -> dict[str, int]:
        """Plain title with year, and without where only one film has it -> code; the most rated one wins."""
        result: dict[str, int] = {}
        for i in np.argsort(self.counts, kind="stable"):
            for name in (self.titles[i], without_year(self.titles[i])):
                result[plain(name)] = int(i)
        return result

    @functools.cached_property
    def genre_names(self) -> list[str]:
        """All genres in alphabetical order."""
        return sorted({g for row in self.genres for g in row})

    @functools.cached_property
    def _plain_titles(self) -> list[str]:
        return [plain(t) for t in self.titles]

    def search(self, words: str, limit: int = 20) -> list[int]:
        """Codes of films whose title has all the words, most rated first; titles that begin so come first."""
        wanted = plain(words).split()
        if not wanted:
            return []
        found = [i for i, t in enumerate(self._plain_titles) if all(w in t for w in wanted)]
        start = " ".join(wanted)
        return sorted(found, key=lambda i: (not self._plain_titles[i].startswith(start), -self.counts[i]))[
            :limit
        ]

    def row(self, item: int) -> dict:
        """What a list shows of an item, as JSON types."""
        return {
            "id": self.ids[item],
            "title": self.titles[item],
            "year": int(self.years[item]) or None,
            "genres": self.genres[item],
        }


def plain(text: str) -> str:
    """Lower case without accents, punctuation or double spaces, for search."""
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())


def without_year(title: str) -> str:
    """`The Matrix (1999)` -> `The Matrix`."""
    return re.sub(r"\s*\(\d{4}[^)]*\)\s*$", "", title)


def natural_title(title: str) -> str:
    """`Matrix, The (1999)` -> `The Matrix (1999)`."""
    name = without_year(title)
    found = ARTICLES.match(name)
    if not found:
        return title
    article = found[2] if found[2].endswith("'") else found[2] + " "
    return article + found[1] + found[3] + title[len(name) :]


def save(folder: Path, catalogue: Catalogue) -> None:
    """Write both files; equal content gives equal bytes."""
    texts = {"ids": catalogue.ids, "titles": catalogue.titles, "genres": catalogue.genres}
    content = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    (folder / TEXTS).write_bytes(gzip.compress(content, 9, mtime=0))
    np.savez_compressed(
        folder / ARRAYS,
        years=catalogue.years.astype("int16"),
        counts=catalogue.counts.astype("int32"),
        popularity=catalogue.popularity.astype("float32"),
        mean_stars=catalogue.mean_stars.astype("float16"),
        trend=catalogue.trend.astype("float32"),
        vectors=catalogue.vectors.astype("float16"),
        map=catalogue.map.astype("float16"),
    )


def load(folder: Path) -> Catalogue:
    """Read what `save` wrote."""
    texts = json.loads(gzip.decompress((Path(folder) / TEXTS).read_bytes()))
    with np.load(Path(folder) / ARRAYS) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    values |= {n: values[n].astype("float32") for n in ("mean_stars", "vectors", "map")}
    values["years"] = values["years"].astype("int32")
    return Catalogue(**texts, **values)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a zero row stays zero."""
    return vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=-1, keepdims=True))


def codes(catalogue: Catalogue, ids: Sequence[str]) -> list[int]:
    """Codes of the ids that are known."""
    return [catalogue.code[str(i)] for i in ids if str(i) in catalogue.code]
