"""Trainings, their curves, the families and the estimate of a training's time."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from core.fields import setting
from core.models.trainings import Training, TrainingPoint
from core.services.trainings import advice_on
from core.training.settings import FAMILIES, FamilySettings
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment
from webui.api.schemas.jobs import JobOutput
from webui.row_numbers import LARGEST_NUMBER


class TrainingInput(ApiInput):
    """What to train, and on what."""

    dataset: int | str = setting(..., "Dataset", "Number, name or start of the content hash of a dataset.")
    family: str = setting("lstm", "Family", f"One of {', '.join(FAMILIES)}.", max_length=30)
    preset: str = setting("", "Preset", "A preset of the family; empty for its defaults.", max_length=30)
    settings: dict[str, Any] = setting({}, "Settings", "Settings of the family; they go before the preset's.")
    evaluate: bool = setting(True, "Evaluate", "An evaluation of the model follows by itself.")
    name: str = setting("", "Name", "Named after family and dataset when empty.", max_length=200)
    priority: Literal["low", "normal", "high"] = setting("normal", "Priority", "High needs a right.")
    start_at: str = setting("", "Start at", "ISO 8601; as soon as possible when empty.", max_length=40)


class PointsQuery(ApiInput):
    """Which points of the curves."""

    after_step: int = setting(-1, "After step", "Only points after this step.", ge=-1, le=LARGEST_NUMBER)


class TrainingOutput(ApiOutput):
    """One training run."""

    id: int
    name: str
    owner: str
    family: str
    settings: dict[str, Any]
    step: int
    steps: int = Field(description="Planned in all; a time limit may make them fewer than the settings' steps.")
    epoch: float
    resume_step: int = Field(description="Step of its last resume point.")
    evaluate: bool = Field(description="Whether an evaluation of the model follows by itself.")
    stop_reason: str
    advice: str = Field(description="What does not fit its dataset well, such as a window longer than every piece.")
    figures: dict[str, Any] = Field(description='Such as {"held_out_nats_per_event": 2.1}.')
    dataset_id: int | None
    dataset_name: str
    model_id: int | None = Field(description="The newest of the models that it produced.")
    created_at: Moment
    job: JobOutput | None

    @classmethod
    def of(cls, training: Training) -> Self:
        """A training as the API shows it."""
        own = {name: getattr(training, name) for name in cls.model_fields.keys() - {"dataset_name", "job", "advice"}}
        job = JobOutput.of(training.job) if training.job else None
        dataset_name = training.dataset.name if training.dataset else ""
        return cls(**own, dataset_name=dataset_name, job=job, advice=advice_on(training))


class PointOutput(ApiOutput):
    """The values measured at one step."""

    step: int
    epoch: float
    values: dict[str, Any]
    seconds: float | None = Field(
        description="How long the training had run by then, pauses left out; null where an earlier version trained."
    )
    at: Moment

    @classmethod
    def of(cls, point: TrainingPoint) -> Self:
        """A point as the API shows it."""
        own = {name: getattr(point, name) for name in cls.model_fields}
        return cls(**own | {"values": {name: value for name, value in point.values.items() if name != "seconds"}})


class PointsOutput(ApiOutput):
    """The points of a training's curves, by step."""

    items: list[PointOutput]


class EstimateOutput(ApiOutput):
    """How long a training will take, roughly."""

    seconds: float = Field(
        description="By what the latest training with such steps took. Until there is one, by how fast the machine "
        "that answers multiplies."
    )
    steps: int | None = Field(
        description="Steps likely done in that time, fewer than were set where a time limit cuts them. Null for "
        "`tutorial`, which counts epochs."
    )
    advice: str = Field(description="What does not fit the dataset well, such as a window longer than every piece.")


class FamilyOutput(ApiOutput):
    """One way to model music."""

    name: str
    encoding: str
    summary: str
    presets: dict[str, dict[str, Any]] = Field(description="The whole settings of each preset.")
    settings_schema: dict[str, Any] = Field(description="JSON Schema of its settings.")

    @classmethod
    def of(cls, family: type[FamilySettings]) -> Self:
        """A family as the API shows it."""
        return cls(
            name=family.family,
            encoding=family.encoding,
            summary=family.summary,
            presets={name: family.parse(values).model_dump(mode="json") for name, values in family.presets.items()},
            settings_schema=family.model_json_schema(),
        )


class FamiliesOutput(ApiOutput):
    """All families."""

    items: list[FamilyOutput]


class TrainingListing(Listing[TrainingOutput]):
    """A page of trainings."""
