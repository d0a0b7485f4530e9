"""Resume points: everything that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.modeling.archive import pack, unpack
from core.training.hooks import TrainingHooks
from core.training.settings import FamilySettings, stored_values

_FORMAT = 2

Arrays = dict[str, NDArray[np.float32]]


def write_resume(
    settings: FamilySettings, corpus_digest: str, place: dict[str, Any], trees: dict[str, Arrays]
) -> bytes:
    """Pack a training's place (JSON) and its trees of arrays (weights, moments, best weights)."""
    document = {"format": _FORMAT, **_identity(settings, corpus_digest), "place": place}
    arrays = {f"{tree}/{name}": array for tree, named in trees.items() for name, array in named.items()}
    return pack(document, arrays)


def read_resume(
    hooks: TrainingHooks, settings: FamilySettings, corpus_digest: str
) -> tuple[dict[str, Any], dict[str, Arrays]] | None:
    """The place and trees of the latest resume point; None where there is none that fits (the log says why)."""
    data = hooks.load_resume()
    if data is None:
        return None
    try:
        document, arrays = unpack(data)
    except ValueError as error:
        hooks.log(f"The resume point is damaged ({error}); the training starts again.")
        return None
    if document.get("format") != _FORMAT:
        hooks.log("The resume point is of another version; the training starts again.")
        return None
    if document.get("family") == settings.family and isinstance(document.get("settings"), dict):
        document["settings"] = stored_values(settings.family, document["settings"])
    if any(document.get(name) != value for name, value in _identity(settings, corpus_digest).items()):
        hooks.log("The resume point belongs to other settings or data; the training starts again.")
        return None
    trees: dict[str, Arrays] = {}
    for path, array in arrays.items():
        tree, _, name = path.partition("/")
        trees.setdefault(tree, {})[name] = array
    hooks.log("The training goes on from its resume point.")
    return document["place"], trees


def corpus_digest(corpus: Corpus) -> str:
    """SHA-256 (hex) of a dataset's notes and splits."""
    digest = hashlib.sha256()
    notes = corpus.notes
    for column in (
        notes.onset_seconds,
        notes.duration_seconds,
        notes.pitch,
        notes.velocity,
        corpus.offsets,
        corpus.splits,
    ):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def _identity(settings: FamilySettings, corpus_digest: str) -> dict[str, Any]:
    return {"family": settings.family, "settings": settings.model_dump(mode="json"), "corpus": corpus_digest}
