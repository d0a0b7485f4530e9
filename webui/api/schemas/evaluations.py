"""Evaluations, models side by side, and what takes share with training pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from core.evaluation.defects import likely_range
from core.fields import setting
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation, SharedPassage
from core.models.trainings import Model
from core.services.comparing import Compared, Comparison
from core.services.lineage import is_same_music
from core.services.loss_curves import LossCurve, curve_difference
from core.services.originality import is_current, pieces_used
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, PageQuery
from webui.api.schemas.jobs import JobOutput
from webui.row_numbers import LARGEST_NUMBER


class EvaluationInput(ApiInput):
    """What to measure, and on what."""

    model: int | str = setting(..., "Model", "Number, name or start of the content hash of a model.")
    dataset: int | str | None = setting(
        None, "Dataset", "Number, name or start of the content hash; else the one that the model was trained on."
    )
    generation_id: int | None = setting(
        None, "Generation", "Measure the takes of this generation instead of new ones.", ge=1, le=LARGEST_NUMBER
    )
    settings: dict[str, Any] = setting({}, "Settings", "split, takes, notes, temperature, top_p, first_seed.")


class EvaluationsQuery(PageQuery):
    """Which evaluations."""

    model_id: int | None = setting(None, "Model", "Only those of this model.", ge=1, le=LARGEST_NUMBER)


class CompareQuery(ApiInput):
    """Which models, on what."""

    ids: str = setting(..., "Models", "Numbers of models, such as 3,5,8.", min_length=1, max_length=200)
    dataset_id: int | None = setting(
        None, "Dataset", "On this dataset; else the one most of them were evaluated on.", ge=1, le=LARGEST_NUMBER
    )
    split: Literal["validation", "test"] | None = setting(
        None, "Held-out pieces", "On these pieces; else those that most of them were evaluated on."
    )
    curves: bool = setting(False, "Curves", "With the held-out figures of the trainings behind the models.")

    @field_validator("ids")
    @classmethod
    def _are_numbers(cls, text: str) -> str:
        numbers_of(text)
        return text


class EvaluationOutput(ApiOutput):
    """One model measured on one dataset."""

    id: int
    model_id: int
    model_name: str
    dataset_id: int | None
    dataset_name: str
    generation_id: int | None = Field(description="The takes that are measured.")
    owner: str
    split: str
    settings: dict[str, Any]
    version: int = Field(description="Of the form of the results.")
    results: dict[str, Any] = Field(description="A part for each stage that is done: likelihood, music, originality.")
    created_at: Moment
    finished_at: Moment | None
    job: JobOutput | None

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """An evaluation as the API shows it."""
        own = {name: getattr(evaluation, name) for name in cls.model_fields if name not in {"model_name", "job"}}
        job = JobOutput.of(evaluation.job) if evaluation.job else None
        return cls(**own, model_name=evaluation.model.name, job=job)


class EvaluationListing(Listing[EvaluationOutput]):
    """A page of evaluations."""


class ComparedOutput(ApiOutput):
    """One model of a comparison; figures are null where it was not measured on the comparison's dataset."""

    model_id: int
    model_name: str
    family: str
    parameters: int
    evaluation_id: int | None
    nats_per_event: float | None
    nats_per_note: float | None
    nats_per_second: float | None
    overlap: float | None = Field(description="Mean overlapping area with held-out pieces, 0 to 1.")
    overlap_real: float | None = Field(description="The same of real pieces beside them: the highest to hope for.")
    overlap_random: float | None = Field(description="The same of random notes.")
    defects_per_thousand: float | None
    defects_low: float | None = Field(description="With 95 % confidence they are not fewer, by the number of takes.")
    defects_high: float | None = Field(description="Nor more.")
    defects_real: float | None = Field(description="Defects per thousand real pieces.")
    defects_random: float | None = Field(description="The same of random notes.")
    flagged_per_thousand: float | None = Field(description="Takes that share more than unrelated pieces seldom do.")
    flagged_real: float | None = Field(description="The same of excerpts of unrelated real pieces.")

    @classmethod
    def of(cls, row: Compared) -> Self:
        """A row as the API shows it."""
        return cls(
            model_id=row.model.id,
            model_name=row.model.name,
            family=row.model.family,
            parameters=row.model.parameters,
            evaluation_id=row.evaluation.id if row.evaluation else None,
            **headline(row.evaluation.results if row.evaluation else {}),
        )


class CurvePoint(ApiOutput):
    """The held-out figures after some steps of a training; null where an earlier version did not measure one."""

    step: int
    seconds: float = Field(
        description="How long the training had run; of earlier versions since the curve's first point."
    )
    nats_per_event: float
    nats_per_note: float | None
    nats_per_second: float | None


class CurveOutput(ApiOutput):
    """The held-out curve of the training behind a model, at most some 2,000 points."""

    model_id: int
    model_name: str
    dataset_name: str = Field(description="Whose held-out pieces were measured, which the training had for itself.")
    points: list[CurvePoint]

    @classmethod
    def of(cls, model: Model, curve: LossCurve) -> Self:
        """A curve as the API shows it."""
        points = curve.points
        timed = all(point.seconds is not None for point in points)
        shown = [
            CurvePoint(
                step=point.step,
                seconds=(point.seconds or 0.0) if timed else (point.at - points[0].at).total_seconds(),
                nats_per_event=point.values["held_out_nats_per_event"],
                nats_per_note=point.values.get("held_out_nats_per_note"),
                nats_per_second=point.values.get("held_out_nats_per_second"),
            )
            for point in points
        ]
        return cls(model_id=model.id, model_name=model.name, dataset_name=curve.dataset_name, points=shown)


class ComparisonOutput(ApiOutput):
    """Models side by side."""

    dataset_id: int | None
    dataset_name: str
    split: str
    items: list[ComparedOutput]
    differences: list[str] = Field(description="In what the evaluations were not measured alike, a sentence each.")
    chosen_by: list[str] = Field(description="Models whose checkpoints were chosen by the pieces that measure them.")
    curves: list[CurveOutput] = Field(description="Empty unless asked for.")
    curve_difference: str = Field(description="Says so where the curves are of different music; else empty.")

    @classmethod
    def of(cls, comparison: Comparison, curves: Mapping[int, LossCurve]) -> Self:
        """A comparison as the API shows it, with curves by the model's number."""
        number, name, split = comparison.dataset or (None, "", "")
        return cls(
            dataset_id=number,
            dataset_name=name,
            split=split,
            items=[ComparedOutput.of(row) for row in comparison.rows],
            differences=comparison.differences,
            chosen_by=comparison.chosen_by,
            curves=[
                CurveOutput.of(row.model, curves[row.model.id]) for row in comparison.rows if row.model.id in curves
            ],
            curve_difference=curve_difference(curves),
        )


class PassageOutput(ApiOutput):
    """The longest passage that a take shares with a training piece of one dataset."""

    dataset_id: int
    dataset_name: str
    trained_on: bool | None = Field(
        description="Whether the take's model was trained on this dataset; null where nobody here knows."
    )
    pieces_used: int = Field(
        description="So many training pieces of the dataset, the first, were searched: those that the training of the "
        "take's model used. 0 for all."
    )
    current: bool = Field(description="Whether it was searched as it would be today; else ask for it again.")
    piece_id: int | None
    piece_title: str
    notes: int = Field(description="Notes that agree; 0 where not even nine do.")
    threshold: int = Field(description="From so many notes on a take is flagged.")
    flagged: bool
    take_begin_seconds: float
    take_end_seconds: float
    piece_begin_seconds: float
    piece_end_seconds: float
    transposition: int = Field(description="Semitones from the piece up to the take.")
    tempo: float = Field(description="How many times as slow the take is.")

    @classmethod
    def of(cls, passage: SharedPassage, behind: Dataset | None, model: Model | None) -> Self:
        """A passage as the API shows it, of a take by a model; `behind` is what that was trained on, if it is known."""
        told: dict[str, Any] = {
            "dataset_name": passage.dataset.name,
            "trained_on": is_same_music(passage.dataset, behind) if behind else None,
            "pieces_used": pieces_used(model, passage.dataset),
            "current": is_current(passage),
            "piece_title": passage.piece.title if passage.piece else "",
        }
        return cls(**{name: getattr(passage, name) for name in cls.model_fields if name not in told}, **told)


class OriginalityOutput(ApiOutput):
    """What is known of a take, or the job that is finding out."""

    ready: bool
    given_notes: int = Field(
        description="With so many notes, which its model did not compose, the take begins; they are not searched."
    )
    items: list[PassageOutput]
    job: JobOutput | None


def numbers_of(text: str) -> list[int]:
    """`3,5,8` as numbers.

    Raises:
        ValueError: something else.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ValueError(f"ids: {text[:40]!r} is refused; allowed are numbers of models, such as 3,5,8.")
    return [int(part) for part in parts]


def headline(results: dict[str, Any]) -> dict[str, float | None]:
    """The few figures of an evaluation that tables show; None where a stage is missing."""
    likelihood, music, originality = (results.get(name, {}) for name in ("likelihood", "music", "originality"))
    overlap, defects = music.get("overlap", {}), music.get("defects", {})
    count, takes = defects.get("takes", {}).get("any"), music.get("takes", 0)
    low, high = (None, None) if count is None or not takes else likely_range(count, takes)
    excerpts, threshold = originality.get("lengths"), originality.get("excerpt_threshold")
    reached = sum(each >= threshold for each in excerpts) if excerpts and threshold else None
    return {
        "nats_per_event": likelihood.get("nats_per_event"),
        "nats_per_note": likelihood.get("nats_per_note"),
        "nats_per_second": likelihood.get("nats_per_second"),
        "overlap": overlap.get("takes"),
        "overlap_real": overlap.get("real"),
        "overlap_random": overlap.get("random"),
        "defects_per_thousand": count,
        "defects_low": low,
        "defects_high": high,
        "defects_real": defects.get("real", {}).get("any"),
        "defects_random": defects.get("random", {}).get("any"),
        "flagged_per_thousand": originality.get("flagged_per_thousand"),
        "flagged_real": None if reached is None else 1000 * reached / len(excerpts),
    }
