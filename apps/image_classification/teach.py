"""Teach it yours: a classifier of one's own from a few photos, on the features of a served network, in seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from apps.image_classification.linear_probe import LinearHead, fit_linear_head
from apps.image_classification.preprocessing import to_square
from shared.files.errors import InputError
from shared.files.images import read_image
from shared.runtime.predictor import Predictor

MIN_CLASSES, MAX_CLASSES = 2, 10
MIN_PHOTOS, MAX_PHOTOS = 3, 60
FOLDS = 5
PENALTY = 3e-2


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A photo that was judged wrongly while it was held out.

    Attributes:
        path: The file.
        true: Its class.
        predicted: What the model said.
        probability: How sure it was.
    """

    path: str
    true: str
    predicted: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What came of it.

    Attributes:
        head: Fitted on all photos.
        class_names: In order of the head's columns.
        accuracy: Share of photos that were right while held out, each once.
        chance: What the most frequent class alone would reach.
        photos: Number of photos.
        mistakes: The most confident first.
        skipped: Photos that could not be read: file name and reason in English and Spanish.
        seconds: Of reading, features and fitting.
    """

    head: LinearHead
    class_names: list[str]
    accuracy: float
    chance: float
    photos: int
    mistakes: list[Mistake]
    skipped: list[tuple[str, InputError]]
    seconds: float


def check_classes(classes: Mapping[str, Sequence[str]]) -> None:
    """Refuse what nothing can be learned from.

    Args:
        classes: Class name -> photo files.

    Raises:
        InputError: Too few or too many classes or photos.
    """
    if not MIN_CLASSES <= len(classes) <= MAX_CLASSES:
        raise InputError(
            f"{len(classes)} class(es) have a name and photos; {MIN_CLASSES} to {MAX_CLASSES} with different "
            "names are needed.",
            f"{len(classes)} clase(s) tienen nombre y fotos; hacen falta de {MIN_CLASSES} a {MAX_CLASSES} con "
            "nombres distintos.",
        )
    for name, paths in classes.items():
        if not MIN_PHOTOS <= len(paths) <= MAX_PHOTOS:
            raise InputError(
                f"{name!r} has {len(paths)} photo(s); give each class {MIN_PHOTOS} to {MAX_PHOTOS}.",
                f"{name!r} tiene {len(paths)} foto(s); pon de {MIN_PHOTOS} a {MAX_PHOTOS} en cada clase.",
            )


def features_of(model: Predictor, images: Sequence[np.ndarray]) -> np.ndarray:
    """Pooled features `(n, d)` of squares `(n, size, size, 3)`."""
    graph = model.graphs["model"]
    rows = [
        graph({"images": np.stack(images[start : start + 16]).astype(np.float32)})["features"]
        for start in range(0, len(images), 16)
    ]
    return np.concatenate(rows)


def teach(model: Predictor, classes: Mapping[str, Sequence[str]]) -> Lesson:
    """Fit a linear classifier on the network's features, and tell honestly how good it is.

    Each photo is seen as it is and mirrored. The accuracy is cross-validated: every photo is judged once by a
    model that has seen neither it nor its mirror image.

    Args:
        model: The network whose features are used.
        classes: Class name -> photo files.

    Raises:
        InputError: Nothing can be learned from these photos.
    """
    begun = time.perf_counter()
    check_classes(classes)
    names = list(classes)
    squares, labels, paths, skipped = [], [], [], []
    for label, name in enumerate(names):
        for path in classes[name]:
            try:
                squares.append(to_square(read_image(path), model.processor.settings)[0])
            except InputError as error:
                skipped.append((path, error))
                continue
            labels.append(label)
            paths.append(path)
    kept = {name: [p for p, y in zip(paths, labels, strict=True) if names[y] == name] for name in names}
    check_classes(kept)
    y = np.array(labels)
    plain = features_of(model, squares)
    mirrored = features_of(model, [square[:, ::-1] for square in squares])

    counts = np.bincount(y, minlength=len(names))
    probabilities = np.zeros((len(y), len(names)))
    folds = _folds(y, min(FOLDS, int(counts.min())))
    for fold in np.unique(folds):
        out = folds == fold
        head = _fit(plain[~out], mirrored[~out], y[~out], len(names))
        probabilities[out] = (head.probabilities(plain[out]) + head.probabilities(mirrored[out])) / 2
    said = probabilities.argmax(axis=1)
    wrong = sorted(np.flatnonzero(said != y), key=lambda i: -probabilities[i].max())
    return Lesson(
        head=_fit(plain, mirrored, y, len(names)),
        class_names=names,
        accuracy=float(np.mean(said == y)),
        chance=float(counts.max() / counts.sum()),
        photos=len(y),
        mistakes=[
            Mistake(paths[i], names[y[i]], names[said[i]], float(probabilities[i].max())) for i in wrong
        ],
        skipped=skipped,
        seconds=time.perf_counter() - begun,
    )


def _fit(plain: np.ndarray, mirrored: np.ndarray, labels: np.ndarray, classes: int) -> LinearHead:
    features, twice = np.concatenate([plain, mirrored]), np.concatenate([labels, labels])
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return fit_linear_head(features, twice, classes, penalty=PENALTY, class_weights=1 / counts)


def _folds(labels: np.ndarray, folds: int) -> np.ndarray:
    """Fold of each photo, every class spread evenly, the same for the same photos."""
    rng = np.random.default_rng(0)
    result = np.zeros(len(labels), int)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        result[members] = np.arange(len(members)) % folds
    return result
