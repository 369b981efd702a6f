"""Labelled texts of your own -> examples and three disjoint splits; every problem named by file and line."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.files.errors import DataError, InputError
from shared.files.tables import read_table
from shared.files.text import clean_text, decode_text

TEXT_COLUMNS = (
    "text", "sentence", "review", "comment", "content", "message", "body", "tweet",
    "texto", "frase", "reseña", "comentario",
)  # fmt: skip
LABEL_COLUMNS = (
    "label",
    "sentiment",
    "class",
    "category",
    "target",
    "polarity",
    "etiqueta",
    "clase",
    "sentimiento",
)
SPLIT_NAMES = {
    "train": "train", "training": "train", "dev": "validation", "val": "validation", "valid": "validation",
    "validation": "validation", "test": "test", "eval": "test",
}  # fmt: skip
SUFFIXES = (".csv", ".tsv", ".txt")
MAX_ROWS = 10_000_000
MAX_BYTES = 4 * 2**30
HINT = (
    "A data set is a CSV or TSV with the columns text and label; or a folder with train.csv, validation.csv and "
    "test.csv; or a folder train/<label>/*.txt (and test/<label>/*.txt)."
)
VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class LabelledText:
    """One example: clean text, the name of its class, and where it was read (`file:line`)."""

    text: str
    label: str
    source: str = ""


@dataclasses.dataclass(frozen=True)
class TextSplits:
    """Three splits without a text in common, the class names in order, and what the reader noticed."""

    train: list[LabelledText]
    validation: list[LabelledText]
    test: list[LabelledText]
    class_names: list[str]
    notes: list[str] = dataclasses.field(default_factory=list)


def load_text_splits(path: str | Path, *, seed: int = 0, min_classes: int = 2) -> TextSplits:
    """Read a data set in any of these layouts.

    - one `.csv` or `.tsv` with the columns `text` and `label` (or what people call them: `review`,
      `sentiment`, ...), and `split` if you have one;
    - a folder with one such file a split: `train.csv`, `validation.csv` (or `dev`), `test.csv`;
    - a folder with a folder a split and a folder a class below: `train/pos/12.txt` (as IMDB is);
    - Stanford's `stsa.*.train`, `.dev`, `.test`: a label, a blank, a sentence.

    A missing test or validation split is drawn from the training split, a tenth of each class. A text that
    stands in two splits is left out of the earlier one (test keeps it), so that no score is flattered.

    Args:
        path: File or folder.
        seed: Of the splits that are drawn.
        min_classes: Fewest classes the training split must have.

    Returns:
        The splits.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        DataError: All problems found, each by file and line.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"data must be an existing file or folder, received {path}. {HINT}")
    problems: list[str] = []
    splits: dict[str, list[LabelledText]] = {"train": [], "validation": [], "test": []}
    for split, example in _read(path, problems):
        splits[split].append(example)
    if not problems and not splits["train"]:
        problems.append(f"{path.name}: no training texts were found")
    names = sorted({e.label for e in splits["train"]})
    if not problems and len(names) < min_classes:
        problems.append(f"{path.name}: the labels must name {min_classes} classes or more, found {names}")
    for split in ("validation", "test"):
        unknown = [e for e in splits[split] if e.label not in names]
        problems += [f"{e.source}: label {e.label!r} does not occur in the training split" for e in unknown]
    if problems:
        raise DataError(problems, HINT)
    return make_splits(splits["train"], splits["validation"], splits["test"], seed=seed)


def make_splits(
    train: Sequence[LabelledText],
    validation: Sequence[LabelledText] = (),
    test: Sequence[LabelledText] = (),
    *,
    seed: int = 0,
) -> TextSplits:
    """Draw the splits that are missing and take texts that occur twice out; see `load_text_splits`."""
    notes: list[str] = []
    test = _unique(test, set(), "test", "itself", notes)
    taken = {_key(e) for e in test}
    validation = _unique(validation, taken, "validation", "test", notes)
    taken |= {_key(e) for e in validation}
    train = _unique(train, taken, "train", "validation or test", notes)
    if not test:
        train, test = _draw(train, TEST_SHARE, seed)
        notes.append(f"no test split was given: {len(test)} texts were drawn from the training split")
    if not validation:
        train, validation = _draw(train, VALIDATION_SHARE, seed + 1)
        notes.append(
            f"no validation split was given: {len(validation)} texts were drawn from the training split"
        )
    return TextSplits(train, validation, test, sorted({e.label for e in [*train, *validation]}), notes)


def _key(example: LabelledText) -> str:
    return " ".join(example.text.casefold().split())


def _unique(
    examples: Sequence[LabelledText], taken: set[str], split: str, others: str, notes: list[str]
) -> list[LabelledText]:
    """Without repetitions in the split itself and without texts of `taken`."""
    kept: dict[str, LabelledText] = {}
    shared = repeated = contradicting = 0
    for example in examples:
        key = _key(example)
        if key in taken:
            shared += 1
        elif key in kept:
            repeated += 1
            contradicting += kept[key].label != example.label
        else:
            kept[key] = example
    if split == "test" and repeated:
        # The test split is scored as it was given: figures elsewhere count repetitions too.
        notes.append(
            f"{repeated} texts of the test split are repetitions ({contradicting} with another label); kept"
        )
        return list(examples)
    if shared:
        notes.append(f"{shared} texts of the {split} split also stand in {others}: left out of {split}")
    if repeated:
        notes.append(
            f"{repeated} texts of the {split} split are repetitions ({contradicting} with another label)"
        )
    return list(kept.values())


def _draw(
    examples: Sequence[LabelledText], share: float, seed: int
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Take a share of each class out, at least one text of it; which ones depends on the texts and the seed only."""
    drawn: set[int] = set()
    by_class: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        by_class.setdefault(example.label, []).append(index)
    for indices in by_class.values():
        ranked = sorted(
            indices, key=lambda i: hashlib.sha256(f"{seed}\n{_key(examples[i])}".encode()).digest()
        )
        drawn.update(ranked[: max(1, round(share * len(ranked)))] if len(ranked) > 1 else [])
    kept = [e for i, e in enumerate(examples) if i not in drawn]
    return kept, [e for i, e in enumerate(examples) if i in drawn]


# --- Layouts -----------------------------------------------------------------------------------------------


def _read(path: Path, problems: list[str]) -> Iterator[tuple[str, LabelledText]]:
    if path.is_file():
        for split, example in _table(path, problems):
            yield split or "train", example
        return
    files = [(p, _split_of(p)) for p in sorted(path.iterdir()) if p.is_file()]
    files = [(p, split) for p, split in files if split]
    if files:
        for file, split in files:
            for _, example in (
                _stsa(file, problems) if file.name.startswith("stsa.") else _table(file, problems)
            ):
                yield split, example
        return
    folders = [(p, SPLIT_NAMES.get(p.name.lower())) for p in sorted(path.iterdir()) if p.is_dir()]
    if not any(split for _, split in folders):
        folders = [(path, "train")]  # no split folders: the folders are the classes
    for folder, split in folders:
        if split:
            yield from ((split, example) for example in _class_folders(folder, problems))


def _split_of(file: Path) -> str | None:
    """`train.csv`, `stsa.binary.dev` and `reviews_test.tsv` say which split they are."""
    if file.suffix.lower() not in SUFFIXES and not file.name.startswith("stsa."):
        return None
    words = re.split(r"[._\- ]+", file.name.lower())
    return next((SPLIT_NAMES[w] for w in reversed(words) if w in SPLIT_NAMES), None)


def _table(file: Path, problems: list[str]) -> Iterator[tuple[str | None, LabelledText]]:
    try:
        table = read_table(file, max_rows=MAX_ROWS, max_bytes=MAX_BYTES)
    except InputError as error:
        problems.append(f"{file.name}: {error}")
        return
    text, label = table.find(TEXT_COLUMNS), table.find(LABEL_COLUMNS)
    for name, found, known in (("text", text, TEXT_COLUMNS), ("label", label, LABEL_COLUMNS)):
        if found is None:
            problems.append(
                f"{file.name}:1: no {name} column; one of {', '.join(known)} must be there, found "
                f"{', '.join(table.columns)}"
            )
    if text is None or label is None:
        return
    split_column = table.find(("split", "partition"))
    splits = table.column(split_column) if split_column else [""] * len(table.rows)
    rows = zip(table.lines, table.column(text), table.column(label), splits, strict=True)
    for line, content, name, split in rows:
        source, content, name = f"{file.name}:{line}", clean_text(content), name.strip()
        if not content:
            problems.append(f"{source}: the text is empty")
        elif not name:
            problems.append(f"{source}: the label is empty")
        elif split and split.strip().lower() not in SPLIT_NAMES:
            problems.append(f"{source}: split must be train, validation or test, found {split!r}")
        else:
            yield SPLIT_NAMES.get(split.strip().lower()), LabelledText(content, name, source)


def _stsa(file: Path, problems: list[str]) -> Iterator[tuple[None, LabelledText]]:
    """https://nlp.stanford.edu/sentiment as used since Kim 2014: `1 a stirring , funny ...`."""
    names = {"0": "negative", "1": "positive"} if ".binary." in file.name else {}
    for number, line in enumerate(decode_text(file.read_bytes())[0].splitlines(), 1):
        label, _, text = line.partition(" ")
        if not text.strip() or not label.isdigit():
            problems.append(
                f"{file.name}:{number}: expected a label, a blank and a sentence, found {line[:40]!r}"
            )
            continue
        yield None, LabelledText(clean_text(text), names.get(label, label), f"{file.name}:{number}")


def _class_folders(folder: Path, problems: list[str]) -> Iterator[LabelledText]:
    names = {"neg": "negative", "pos": "positive"}
    classes = [p for p in sorted(folder.iterdir()) if p.is_dir() and p.name not in ("unsup", "unsupervised")]
    if not classes:
        problems.append(f"{folder.name}/: no folders of classes with .txt files in them")
    for sub in classes:
        for file in sorted(sub.glob("*.txt")):
            source = f"{folder.name}/{sub.name}/{file.name}"
            try:
                text = clean_text(decode_text(file.read_bytes())[0])
            except InputError as error:
                problems.append(f"{source}: {error}")
                continue
            if text:
                yield LabelledText(text, names.get(sub.name, sub.name), source)
            else:
                problems.append(f"{source}: the text is empty")


def load_tfds_texts(name: str, *, data_dir: str = "", seed: int = 0) -> TextSplits:
    """Read a text classification set of TensorFlow Datasets, such as `imdb_reviews` or `glue/sst2`.

    Args:
        name: Its name, with the config behind a slash.
        data_dir: Where it is prepared; the TFDS default when empty.
        seed: Of the splits that are drawn.

    Raises:
        DataError: It cannot be had, or has no text or no label feature.
    """
    import tensorflow_datasets as tfds

    try:
        sets, info = tfds.load(name, data_dir=data_dir or None, with_info=True)
    except Exception as error:  # Network, checksum, unknown name: TFDS has a dozen kinds.
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise DataError(
            [f"tfds:{name}: {type(error).__name__}: {reason}"],
            "See tensorflow.org/datasets/catalog for names; --data_dir names a folder with prepared data sets.",
        ) from error
    features = info.features
    text = next((f for f in TEXT_COLUMNS if f in features), None)
    label = next((f for f in LABEL_COLUMNS if f in features), None)
    if text is None or label is None:
        raise DataError([f"tfds:{name}: features {sorted(features)} hold no text and label to classify"])
    names = getattr(features[label], "names", None)
    readable = {"neg": "negative", "pos": "positive"}
    splits: dict[str, list[LabelledText]] = {"train": [], "validation": [], "test": []}
    for split, data in sets.items():
        target = SPLIT_NAMES.get(split)
        for number, row in enumerate(tfds.as_numpy(data) if target else ()):
            # GLUE hides its test labels behind -1.
            if int(row[label]) >= 0:
                value = names[int(row[label])] if names else str(int(row[label]))
                content = clean_text(row[text].decode("utf-8", "replace"))
                splits[target].append(LabelledText(content, readable.get(value, value), f"{split}:{number}"))
    if not splits["test"] and splits["validation"]:
        # Labelled data nobody has tuned on is worth more as a test.
        splits["test"], splits["validation"] = splits["validation"], []
    return make_splits(splits["train"], splits["validation"], splits["test"], seed=seed)


def shuffled(examples: Sequence[LabelledText], seed: int) -> list[LabelledText]:
    """A shuffled copy, so that `--limit` takes a fair sample."""
    result = list(examples)
    random.Random(seed).shuffle(result)
    return result
