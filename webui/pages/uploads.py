"""Uploads: files that our scripts send ahead of a form, which then names them by number."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from core.errors import InputError
from webui.receiving import save_files

bp = Blueprint("uploads", __name__)


@bp.post("/uploads")
def create() -> ResponseReturnValue:
    """Store the files of one request; answers their numbers."""
    uploads = save_files(request.files.getlist("files"))
    if not uploads:
        raise InputError.of("files", "files: no file was sent; choose at least one.")
    shown = [{"id": upload.id, "file_name": upload.file_name, "size_bytes": upload.size_bytes} for upload in uploads]
    return jsonify({"uploads": shown}), 201
