"""Trainings: submit, estimate, follow."""

from __future__ import annotations

from core.people.rights import Right
from core.services import estimates
from core.services import trainings as service
from core.services.keeping import keep_model
from core.services.references import resolve_dataset
from core.services.window_fit import check_window, window_advice
from core.training.settings import parse_training_settings
from webui.access import needs
from webui.api.answers import location, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.common import PageQuery
from webui.api.schemas.models import ModelOutput
from webui.api.schemas.trainings import (
    EstimateOutput,
    PointOutput,
    PointsOutput,
    PointsQuery,
    TrainingInput,
    TrainingListing,
    TrainingOutput,
)
from webui.context import current_services
from webui.identity import current_actor
from webui.submission import checked_placement


@api.get("/trainings")
@api.input(PageQuery, location="query")
@api.output(TrainingListing)
def list_trainings(query_data: PageQuery) -> TrainingListing:
    """List trainings, the newest first."""
    with current_services().database.reading() as session:
        page = service.find_trainings(session, page=query_data.page, per_page=query_data.per_page)
        return TrainingListing.of(page, TrainingOutput.of)


@api.post("/trainings")
@api.input(TrainingInput)
@api.output(TrainingOutput, status_code=202)
@api.doc(responses=[409])
def create_training(json_data: TrainingInput) -> tuple[TrainingOutput, int, dict[str, str]]:
    """Train a model on a dataset: queue the job."""
    place = checked_placement(json_data.priority, json_data.start_at)
    with current_services().database.transaction() as session:
        training = service.create_training(
            session,
            dataset_id=resolve_dataset(session, str(json_data.dataset)).id,
            family=json_data.family,
            preset=json_data.preset,
            values=json_data.settings,
            name=json_data.name,
            evaluate=json_data.evaluate,
            owner=current_actor().name,
        )
        job = training.job
        place.apply(session, job)
        answer = TrainingOutput.of(training)
    tell_workers(job)
    return answer, 202, location("trainings", training.id)


@api.post("/trainings/estimate")
@needs(Right.VIEW)
@api.input(TrainingInput)
@api.output(EstimateOutput)
def estimate_training(json_data: TrainingInput) -> EstimateOutput:
    """Estimate how long a training will take, without queueing it."""
    settings = parse_training_settings(json_data.family, json_data.settings, json_data.preset)
    with current_services().database.reading() as session:
        dataset = resolve_dataset(session, str(json_data.dataset))
        check_window(session, dataset, settings)
        likely = estimates.estimate_training(session, dataset, settings)
        return EstimateOutput(seconds=likely.seconds, steps=likely.steps, advice=window_advice(dataset, settings))


@api.get("/trainings/<number:training_id>")
@api.output(TrainingOutput)
def get_training(training_id: int) -> TrainingOutput:
    """Show a training."""
    with current_services().database.reading() as session:
        return TrainingOutput.of(service.get_training(session, training_id))


@api.post("/trainings/<number:training_id>/keep")
@api.output(ModelOutput)
@api.doc(responses=[409])
def keep_best(training_id: int) -> ModelOutput:
    """Make a model of the best checkpoint so far, whether the training goes on or not."""
    services = current_services()
    return ModelOutput.of(keep_model(services.database, services.store, training_id))


@api.get("/trainings/<number:training_id>/points")
@api.input(PointsQuery, location="query")
@api.output(PointsOutput)
def list_points(training_id: int, query_data: PointsQuery) -> PointsOutput:
    """Give the points of a training's curves."""
    with current_services().database.reading() as session:
        service.get_training(session, training_id)
        points = service.training_points(session, training_id)
        return PointsOutput(items=[PointOutput.of(point) for point in points if point.step > query_data.after_step])
