"""Generations and their takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema

from core.fields import setting
from core.models.evaluations import SharedPassage
from core.models.generations import Generation, Take
from core.sampling.settings import LONGEST_NOTES, GenerationSettings
from core.services.primers import PrimerChoice
from core.services.takes import LONGEST_REMARK, TAKE_ORDERS, take_file_name
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, PageQuery, SearchQuery
from webui.api.schemas.jobs import JobOutput
from webui.row_numbers import LARGEST_NUMBER


def _settings_schema() -> dict[str, Any]:
    """JSON Schema of what a person sets; the primer is a choice of its own."""
    schema = GenerationSettings.model_json_schema()
    schema.pop("$defs", None)
    del schema["properties"]["primer"]
    return schema


class GenerationInput(ApiInput):
    """Which model composes what."""

    model: int | str = setting(..., "Model", "Number, name or start of the content hash of a model.")
    settings: Annotated[dict[str, Any], WithJsonSchema(_settings_schema())] = setting(
        {}, "Settings", "Seeds, temperatures, length and the rest."
    )
    primer: Annotated[dict[str, Any], WithJsonSchema(PrimerChoice.model_json_schema())] = setting(
        {}, "Primer", "The music that the takes continue; the model's usual one when empty."
    )
    name: str = setting("", "Name", "Named after takes and model when empty.", max_length=200)
    priority: Literal["low", "normal", "high"] = setting("normal", "Priority", "High needs a right.")
    start_at: str = setting("", "Start at", "ISO 8601; as soon as possible when empty.", max_length=40)


class GenerationsQuery(SearchQuery):
    """Which generations."""

    model_id: int | None = setting(None, "Model", "Only those of this model.", ge=1, le=LARGEST_NUMBER)


class MoreInput(ApiInput):
    """How many more takes."""

    count: int = setting(8, "Count", "New takes with new random seeds.", ge=1, le=1_000)


class BranchInput(ApiInput):
    """Where a branch begins, and how many there are or which seeds they have."""

    count: int | None = setting(
        None, "Count", "New takes with new random seeds; 8 when neither it nor seeds are given.", ge=1, le=1_000
    )
    seeds: str | None = setting(
        None,
        "Seeds",
        "In place of a count, one take per seed: 0-99, or 1,5,9, or 32 random. The same ones give the same bytes.",
        max_length=200_000,
    )
    note: int = setting(..., "After note", "The first so many notes of the take are kept.", ge=1, le=LONGEST_NOTES)
    length: float | None = setting(
        None, "Length", "What follows, in the take's unit; as long as the take when nothing is given.", ge=1
    )


class TakesQuery(PageQuery):
    """Which takes of a generation, in which order."""

    sort: str = setting("index", "Sort", f"One of {', '.join(TAKE_ORDERS)}.", max_length=30)
    descending: bool = setting(False, "Descending", "The largest first.")
    starred: bool | None = setting(None, "Starred", "Only those with (or without) a star.")
    defect: bool | None = setting(None, "Defect", "Only those with (or without) a defect.")
    flagged: bool | None = setting(
        None, "Flagged", "Only those that are (or are not) flagged as copies of a training piece."
    )


class ZipQuery(ApiInput):
    """Which takes go into the zip."""

    ids: str = setting("", "Takes", "Numbers of takes with commas between; empty for all.", max_length=7_000)


class TakePatch(ApiInput):
    """What a person says about a take."""

    starred: bool | None = setting(None, "Star", "Star it, or take the star away.")
    note: str | None = setting(None, "Remark", "A remark; an empty one removes it.", max_length=LONGEST_REMARK)


class AudioInput(ApiInput):
    """Which kind of audio."""

    format: Literal["wav", "mp3"] = setting("mp3", "Format", "WAV or MP3.", choices={"wav": "WAV", "mp3": "MP3"})


class AudioQuery(AudioInput):
    """Which kind of audio is downloaded."""


class AudioOutput(ApiOutput):
    """Whether the audio can be downloaded, or the job that renders it."""

    ready: bool
    job: JobOutput | None


class GenerationOutput(ApiOutput):
    """One request: a model, sampling settings and a list of seeds."""

    id: int
    name: str
    owner: str
    model_id: int | None
    model_name: str
    model_hash: str
    settings: dict[str, Any]
    primer_title: str
    takes_total: int
    takes_done: int
    notes_per_second: float | None
    created_at: Moment
    job: JobOutput | None

    @classmethod
    def of(cls, generation: Generation) -> Self:
        """A generation as the API shows it."""
        own = {name: getattr(generation, name) for name in cls.model_fields if name != "job"}
        return cls(**own, job=JobOutput.of(generation.job) if generation.job else None)


class TakeOutput(ApiOutput):
    """One generated piece: one seed of a generation."""

    id: int
    generation_id: int
    index: int
    seed: int
    temperature: float
    file_name: str
    size_bytes: int
    sha256: str
    notes: int
    seconds: float
    notes_per_second: float
    pitch_class_entropy: float
    polyphony: float
    measures: dict[str, Any]
    defect: str = Field(description='Empty, "silent" or "stuck".')
    copied_notes: int | None = Field(
        description="Notes of the longest passage for which it is flagged as a copy; null where it is not flagged."
    )
    starred: bool
    note: str
    created_at: Moment

    @classmethod
    def of(cls, take: Take, copies: Mapping[int, SharedPassage]) -> Self:
        """A take as the API shows it; `copies` are the passages of flagged takes, by the take's number."""
        passage = copies.get(take.id)
        renamed: dict[str, Any] = {
            "copied_notes": passage.notes if passage else None,
            "file_name": take_file_name(take),
            "size_bytes": take.midi_bytes,
            "notes": take.notes_count,
        }
        own = {name: getattr(take, name) for name in cls.model_fields if name not in renamed}
        return cls(**own, **renamed)


class GenerationListing(Listing[GenerationOutput]):
    """A page of generations."""


class TakeListing(Listing[TakeOutput]):
    """A page of takes."""
