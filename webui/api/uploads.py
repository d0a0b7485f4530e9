"""Files that a person sends, for an import or as a primer."""

from __future__ import annotations

from flask import Response

from core.services import uploads as service
from webui.api.answers import no_content
from webui.api.blueprint import api, file_input, sent_files
from webui.api.schemas.uploads import UploadOutput, UploadsOutput
from webui.context import current_services
from webui.receiving import save_files


@api.post("/uploads")
@file_input("files", "MIDI files, or zips of them.", many=True)
@api.output(UploadsOutput, status_code=201)
@api.doc(responses=[409])
def create_uploads() -> UploadsOutput:
    """Send files; each is kept until its import has used it, or for 24 hours."""
    return UploadsOutput(items=[UploadOutput.of(upload) for upload in save_files(sent_files("files"))])


@api.get("/uploads/<number:upload_id>")
@api.output(UploadOutput)
def get_upload(upload_id: int) -> UploadOutput:
    """Show an upload."""
    with current_services().database.reading() as session:
        return UploadOutput.of(service.get_upload(session, upload_id))


@api.delete("/uploads/<number:upload_id>")
@api.output({}, status_code=204)
def delete_upload(upload_id: int) -> Response:
    """Delete an upload; one that an import waits for stays."""
    services = current_services()
    with services.database.reading() as session:
        service.get_upload(session, upload_id)
    service.delete_uploads(services.database, services.store, [upload_id])
    return no_content()
