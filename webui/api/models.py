"""Models: look up, rename, upload, download, delete."""

from __future__ import annotations

from apiflask.schemas import FileSchema
from flask import Response, request

from core.errors import NotFoundError
from core.services import models as service
from core.services import ready
from core.services.paging import Page
from webui.api.answers import location, no_content, stored_answer
from webui.api.blueprint import api, file_input, sent_files
from webui.api.schemas.common import RenameInput
from webui.api.schemas.models import CheckpointQuery, ModelListing, ModelOutput, ModelsQuery
from webui.context import current_services
from webui.identity import current_actor

_BINARY = "application/octet-stream"


@api.get("/models")
@api.input(ModelsQuery, location="query")
@api.output(ModelListing)
def list_models(query_data: ModelsQuery) -> ModelListing:
    """List models, the newest first."""
    with current_services().database.reading() as session:
        if query_data.reference:
            found = service.resolve_model(session, query_data.reference)
            return ModelListing.of(Page([found], 1, query_data.per_page, 1), ModelOutput.of)
        page = service.find_models(
            session, search=query_data.search, page=query_data.page, per_page=query_data.per_page
        )
        return ModelListing.of(page, ModelOutput.of)


@api.post("/models")
@file_input("file", "A checkpoint as the download gives it.", texts=("name",))
@api.output(ModelOutput, status_code=201)
def upload_model() -> tuple[ModelOutput, int, dict[str, str]]:
    """Add a model from a checkpoint file."""
    services = current_services()
    data = sent_files("file")[0].stream.read()
    name = RenameInput.model_validate({"name": request.form["name"]}).name if request.form.get("name") else ""
    model = service.upload_model(services.database, services.store, data, name=name, owner=current_actor().name)
    return ModelOutput.of(model), 201, location("models", model.id)


@api.post("/models/ready")
@api.output(ModelOutput)
def add_ready_model() -> ModelOutput:
    """Add the model that comes with Cadenza, trained on Bach's chorales; the one that is there, if it is."""
    services = current_services()
    return ModelOutput.of(ready.add_ready_model(services.database, services.store, current_actor().name)[0])


@api.get("/models/<number:model_id>")
@api.output(ModelOutput)
def get_model(model_id: int) -> ModelOutput:
    """Show a model."""
    with current_services().database.reading() as session:
        return ModelOutput.of(service.get_model(session, model_id))


@api.patch("/models/<number:model_id>")
@api.input(RenameInput)
@api.output(ModelOutput)
def rename_model(model_id: int, json_data: RenameInput) -> ModelOutput:
    """Rename a model."""
    with current_services().database.transaction() as session:
        return ModelOutput.of(service.rename_model(session, model_id, json_data.name))


@api.delete("/models/<number:model_id>")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def delete_model(model_id: int) -> Response:
    """Delete a model, its evaluations and their takes; other takes of it stay. Refused while a job uses it."""
    services = current_services()
    service.delete_model(services.database, services.store, model_id)
    return no_content()


@api.get("/models/<number:model_id>/checkpoint")
@api.input(CheckpointQuery, location="query")
@api.output(FileSchema(type="string", format="binary"), content_type=_BINARY)
def download_model(model_id: int, query_data: CheckpointQuery) -> Response:
    """Download a model's checkpoint, to upload it elsewhere."""
    with current_services().database.reading() as session:
        model = service.get_model(session, model_id)
    key = model.last_checkpoint_key if query_data.which == "last" else model.checkpoint_key
    if not key:
        raise NotFoundError(f"The model {model.name!r} has no {query_data.which} checkpoint; take the other one.")
    return stored_answer(key, f"{model.name}.cadenza", _BINARY)
