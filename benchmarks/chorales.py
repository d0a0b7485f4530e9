"""The starter dataset as trainings read it: Bach's chorales, imported as an installation imports them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus
from core.datasets.importing import import_files
from core.datasets.sources import SourceBuilder, StoredFile
from core.datasets.starter import starter_zip


class _Silent:
    """Nobody watches this import."""

    def progress(self, *_arguments: object, **_values: object) -> None:
        """Tell nobody."""

    def check(self) -> None:
        """Go on."""


@dataclass(frozen=True, slots=True, eq=False)
class Chorales:
    """The imported chorales.

    Attributes:
        name: what they are, in words, with the version that they came from.
        content_hash: by which any installation knows the same dataset.
        corpus: their notes, split by each piece's content as in every installation.
    """

    name: str
    content_hash: str
    corpus: Corpus


def import_chorales() -> Chorales:
    """Convert and import them; some seconds.

    Raises:
        CadenzaError: music21 is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="cadenza-chorales-") as folder, SourceBuilder() as builder:
        path = starter_zip(Path(folder))
        builder.add(StoredFile(path.name, partial(path.open, "rb")))
        store = ArtifactStore((Path(folder) / "store").as_uri())
        work = Path(folder) / "work"
        work.mkdir()
        imported = import_files(builder.finish(10_000), store, "chorales", work, _Silent())
        corpus = Corpus.from_bytes(store.read(imported.corpus_key))
    return Chorales(f"Bach's chorales of music21 {metadata.version('music21')}", imported.content_hash, corpus)
