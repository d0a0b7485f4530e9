"""Datasets, their pieces, the files that could not be used, and columns of notes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from core.datasets.settings import ImportSettings
from core.fields import setting
from core.models.datasets import Dataset, Piece, Rejection
from core.music.names import pitch_name
from core.music.notes import Notes
from core.services.datasets import PIECE_ORDERS
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, SearchQuery
from webui.api.schemas.jobs import JobOutput


class ImportInput(ApiInput, ImportSettings):
    """Where the files come from, and how many of them are used."""


class DatasetsQuery(SearchQuery):
    """Which datasets."""

    reference: str = setting(
        "", "Reference", "The one of this number, name or start of a content hash.", max_length=200
    )


class PiecesQuery(SearchQuery):
    """Which pieces of a dataset, in which order."""

    sort: str = setting("index", "Sort", f"One of {', '.join(PIECE_ORDERS)}.", max_length=30)
    descending: bool = setting(False, "Descending", "The largest first.")


class DatasetOutput(ApiOutput):
    """A named set of MIDI files."""

    id: int
    name: str
    owner: str
    source: str = Field(description='"starter", "maestro", "upload" or "takes".')
    ready: bool = Field(description="Whether it can be trained on.")
    content_hash: str
    pieces: int
    notes: int
    events: int
    seconds: float = Field(description="Length of all pieces together.")
    rejected: int
    created_at: Moment
    job: JobOutput | None

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """A dataset as the API shows it."""
        return cls(**_dataset_values(dataset))


class DatasetDetail(DatasetOutput):
    """A dataset with its statistics."""

    statistics: dict[str, Any] = Field(description="Totals by split and histograms of pitch, step, duration, velocity.")
    import_settings: dict[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """A dataset as its page shows it."""
        settings = dataset.source.get("settings", {})
        return cls(**_dataset_values(dataset), statistics=dataset.statistics, import_settings=settings)


class PieceOutput(ApiOutput):
    """One MIDI file of a dataset."""

    id: int
    dataset_id: int
    index: int
    title: str
    composer: str
    year: int | None
    file_name: str
    sha256: str
    split: str
    notes: int
    seconds: float
    instruments: list[Any]
    dropped_drum_notes: int

    @classmethod
    def of(cls, piece: Piece) -> Self:
        """A piece as the API shows it."""
        own = {name: getattr(piece, name) for name in cls.model_fields if name != "notes"}
        return cls(**own, notes=piece.notes_count)


class RejectionOutput(ApiOutput):
    """A file that could not be used."""

    file_name: str
    reason: str

    @classmethod
    def of(cls, rejection: Rejection) -> Self:
        """A rejected file as the API shows it."""
        return cls(file_name=rejection.file_name, reason=rejection.reason)


class NotesOutput(ApiOutput):
    """Notes as columns of one length, in the order of their onsets."""

    onset_seconds: list[float]
    duration_seconds: list[float]
    pitch: list[int] = Field(description="MIDI note numbers, 60 is middle C.")
    pitch_name: list[str] = Field(description='Such as "G#2".')
    velocity: list[int] = Field(description="1 to 127.")

    @classmethod
    def of(cls, notes: Notes) -> Self:
        """Notes as the API shows them; times in whole microseconds."""
        return cls(
            onset_seconds=notes.onset_seconds.round(6).tolist(),
            duration_seconds=notes.duration_seconds.round(6).tolist(),
            pitch=notes.pitch.tolist(),
            pitch_name=[pitch_name(pitch) for pitch in notes.pitch.tolist()],
            velocity=notes.velocity.tolist(),
        )


class DatasetListing(Listing[DatasetOutput]):
    """A page of datasets."""


class PieceListing(Listing[PieceOutput]):
    """A page of pieces."""


class RejectionListing(Listing[RejectionOutput]):
    """A page of rejected files."""


def _dataset_values(dataset: Dataset) -> dict[str, Any]:
    return {
        **{name: getattr(dataset, name) for name in ("id", "name", "owner", "ready", "content_hash", "seconds")},
        "source": str(dataset.source.get("kind", "")),
        "pieces": dataset.pieces_count,
        "notes": dataset.notes_count,
        "events": dataset.events_count,
        "rejected": dataset.rejected_count,
        "created_at": dataset.created_at,
        "job": JobOutput.of(dataset.job) if dataset.job else None,
    }
