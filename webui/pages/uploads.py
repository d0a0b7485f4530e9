"""Uploads: files that our scripts send ahead of a form, which then names them by number."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from core.errors import InputError
from core.models.uploads import Upload
from core.services.uploads import save_upload
from webui.context import current_services
from webui.identity import current_actor

bp = Blueprint("uploads", __name__)


@bp.post("/uploads")
def create() -> ResponseReturnValue:
    """Store the files of one request; answers their numbers."""
    uploads = save_files(request.files.getlist("files"))
    if not uploads:
        raise InputError.of("files", "files: no file was sent; choose at least one.")
    shown = [{"id": upload.id, "file_name": upload.file_name, "size_bytes": upload.size_bytes} for upload in uploads]
    return jsonify({"uploads": shown}), 201


def save_files(files: Iterable[FileStorage]) -> list[Upload]:
    """Store what a form carries; a field left empty sends a file without a name, which is none."""
    services = current_services()
    return [
        save_upload(
            services.database,
            services.store,
            file.stream,
            file.filename,
            current_actor().name,
            services.settings.upload_limit_bytes,
        )
        for file in files
        if file.filename
    ]
