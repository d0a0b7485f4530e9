"""Datasets and their pieces."""

from __future__ import annotations

from apiflask.schemas import FileSchema
from flask import Response

from core.services import datasets as service
from core.services.paging import Page
from core.services.references import resolve_dataset
from webui.api.answers import MIDI, bytes_answer, location, no_content, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.common import PageQuery, RenameInput
from webui.api.schemas.datasets import (
    DatasetDetail,
    DatasetListing,
    DatasetOutput,
    DatasetsQuery,
    ImportInput,
    NotesOutput,
    PieceListing,
    PieceOutput,
    PiecesQuery,
    RejectionListing,
    RejectionOutput,
)
from webui.context import current_services
from webui.identity import current_actor


@api.get("/datasets")
@api.input(DatasetsQuery, location="query")
@api.output(DatasetListing)
def list_datasets(query_data: DatasetsQuery) -> DatasetListing:
    """List datasets, the newest first."""
    with current_services().database.reading() as session:
        if query_data.reference:
            found = service.get_dataset(session, resolve_dataset(session, query_data.reference).id)
            return DatasetListing.of(Page([found], 1, query_data.per_page, 1), DatasetOutput.of)
        page = service.list_datasets(
            session, search=query_data.search, page=query_data.page, per_page=query_data.per_page
        )
        return DatasetListing.of(page, DatasetOutput.of)


@api.post("/datasets")
@api.input(ImportInput)
@api.output(DatasetDetail, status_code=202)
@api.doc(responses=[409])
def create_dataset(json_data: ImportInput) -> tuple[DatasetDetail, int, dict[str, str]]:
    """Import a dataset: queue the job that reads its files."""
    with current_services().database.transaction() as session:
        dataset = service.create_import(session, json_data, current_actor().name)
        answer = DatasetDetail.of(dataset)
        job = dataset.job
    tell_workers(job)
    return answer, 202, location("datasets", dataset.id)


@api.get("/datasets/<number:dataset_id>")
@api.output(DatasetDetail)
def get_dataset(dataset_id: int) -> DatasetDetail:
    """Show a dataset with its statistics."""
    with current_services().database.reading() as session:
        return DatasetDetail.of(service.get_dataset(session, dataset_id))


@api.patch("/datasets/<number:dataset_id>")
@api.input(RenameInput)
@api.output(DatasetDetail)
def rename_dataset(dataset_id: int, json_data: RenameInput) -> DatasetDetail:
    """Rename a dataset."""
    with current_services().database.transaction() as session:
        return DatasetDetail.of(service.rename_dataset(session, dataset_id, json_data.name))


@api.delete("/datasets/<number:dataset_id>")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def delete_dataset(dataset_id: int) -> Response:
    """Delete a dataset with its pieces; refused while a job uses it."""
    services = current_services()
    service.delete_dataset(services.database, services.store, dataset_id)
    return no_content()


@api.get("/datasets/<number:dataset_id>/pieces")
@api.input(PiecesQuery, location="query")
@api.output(PieceListing)
def list_pieces(dataset_id: int, query_data: PiecesQuery) -> PieceListing:
    """List the pieces of a dataset."""
    with current_services().database.reading() as session:
        service.get_dataset(session, dataset_id)
        page = service.find_pieces(session, dataset_id, **query_data.model_dump())
        return PieceListing.of(page, PieceOutput.of)


@api.get("/datasets/<number:dataset_id>/rejections")
@api.input(PageQuery, location="query")
@api.output(RejectionListing)
def list_rejections(dataset_id: int, query_data: PageQuery) -> RejectionListing:
    """List the files that an import could not use, each with its reason."""
    with current_services().database.reading() as session:
        service.get_dataset(session, dataset_id)
        page = service.find_rejections(session, dataset_id, **query_data.model_dump())
        return RejectionListing.of(page, RejectionOutput.of)


@api.get("/pieces/<number:piece_id>")
@api.output(PieceOutput)
def get_piece(piece_id: int) -> PieceOutput:
    """Show a piece."""
    with current_services().database.reading() as session:
        return PieceOutput.of(service.get_piece(session, piece_id))


@api.get("/pieces/<number:piece_id>/notes")
@api.output(NotesOutput)
def get_piece_notes(piece_id: int) -> NotesOutput:
    """Give the notes of a piece as columns."""
    services = current_services()
    with services.database.reading() as session:
        piece = service.get_piece(session, piece_id)
    return NotesOutput.of(service.piece_notes(services.store, piece))


@api.get("/pieces/<number:piece_id>/midi")
@api.output(FileSchema(type="string", format="binary"), content_type=MIDI)
def get_piece_midi(piece_id: int) -> Response:
    """Download the MIDI file of a piece as it came."""
    services = current_services()
    with services.database.reading() as session:
        piece = service.get_piece(session, piece_id)
    file_name = piece.file_name.replace("\\", "/").rpartition("/")[2] or f"piece-{piece.id}.mid"
    return bytes_answer(service.original_midi(services.store, piece), file_name, MIDI, piece.sha256)
