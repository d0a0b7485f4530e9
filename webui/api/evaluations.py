"""Evaluations: submit, look up, delete; models side by side."""

from __future__ import annotations

from flask import Response

from core.services import evaluations as service
from core.services.comparing import compare_models
from core.services.loss_curves import loss_curves
from core.services.models import resolve_model
from core.services.references import resolve_dataset
from webui.api.answers import location, no_content, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.evaluations import (
    CompareQuery,
    ComparisonOutput,
    EvaluationInput,
    EvaluationListing,
    EvaluationOutput,
    EvaluationsQuery,
    numbers_of,
)
from webui.context import current_services
from webui.identity import current_actor


@api.get("/evaluations")
@api.input(EvaluationsQuery, location="query")
@api.output(EvaluationListing)
def list_evaluations(query_data: EvaluationsQuery) -> EvaluationListing:
    """List evaluations, the newest first."""
    with current_services().database.reading() as session:
        page = service.find_evaluations(
            session, model_id=query_data.model_id, page=query_data.page, per_page=query_data.per_page
        )
        return EvaluationListing.of(page, EvaluationOutput.of)


@api.post("/evaluations")
@api.input(EvaluationInput)
@api.output(EvaluationOutput, status_code=202)
@api.doc(responses=[409])
def create_evaluation(json_data: EvaluationInput) -> tuple[EvaluationOutput, int, dict[str, str]]:
    """Measure a model on a dataset: queue the job."""
    services = current_services()
    with services.database.transaction() as session:
        dataset = json_data.dataset
        evaluation = service.create_evaluation(
            session,
            services.store,
            model_id=resolve_model(session, str(json_data.model)).id,
            dataset_id=resolve_dataset(session, str(dataset)).id if dataset is not None else None,
            values=json_data.settings,
            generation_id=json_data.generation_id,
            owner=current_actor().name,
        )
        evaluation = service.get_evaluation(session, evaluation.id)
        answer, job = EvaluationOutput.of(evaluation), evaluation.job
    tell_workers(job)
    return answer, 202, location("evaluations", answer.id)


@api.get("/evaluations/<number:evaluation_id>")
@api.output(EvaluationOutput)
def get_evaluation(evaluation_id: int) -> EvaluationOutput:
    """Show an evaluation with its results."""
    with current_services().database.reading() as session:
        return EvaluationOutput.of(service.get_evaluation(session, evaluation_id))


@api.delete("/evaluations/<number:evaluation_id>")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def delete_evaluation(evaluation_id: int) -> Response:
    """Delete an evaluation and the takes that were made for it alone. Refused while it runs."""
    services = current_services()
    service.delete_evaluation(services.database, services.store, evaluation_id)
    return no_content()


@api.get("/models/compare")
@api.input(CompareQuery, location="query")
@api.output(ComparisonOutput)
def compare(query_data: CompareQuery) -> ComparisonOutput:
    """Put models side by side, by their newest evaluations on one dataset."""
    with current_services().database.reading() as session:
        ids = numbers_of(query_data.ids)
        comparison = compare_models(session, ids, query_data.dataset_id, query_data.split or "")
        curves = loss_curves(session, comparison.rows) if query_data.curves else {}
        return ComparisonOutput.of(comparison, curves)
