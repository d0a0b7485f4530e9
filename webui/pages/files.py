"""Files as answers: downloads with safe names, streams from the store, and what never changes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from flask import Request, Response, send_file

from core.artifacts import ArtifactStore
from webui.file_names import file_name

_BLOCK_BYTES = 1 << 18


def send_bytes(data: bytes, mimetype: str, name: str) -> Response:
    """A download of bytes at hand."""
    return send_file(io.BytesIO(data), mimetype=mimetype, as_attachment=True, download_name=file_name(name))


def send_stored(store: ArtifactStore, key: str, mimetype: str, name: str) -> Response:
    """A download streamed from the store; where that is a local folder, byte ranges work too."""
    path = store.local_path(key)
    if path is not None and path.exists():
        return send_file(path, mimetype=mimetype, as_attachment=True, download_name=file_name(name))
    stream = store.open(key)

    def blocks() -> Iterator[bytes]:
        with stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block

    response = Response(blocks(), mimetype=mimetype)
    response.headers.set("Content-Disposition", "attachment", filename=file_name(name))
    return response


def forever(response: Response, request: Request) -> Response:
    """Mark an answer as one that its address will always give; addresses carry the content's digest where needed."""
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:24])
    # Numbers of deleted rows may come back with other content, so only addresses with a digest are never asked again.
    kept = "private, max-age=31536000, immutable" if "v" in request.args else "no-cache, private"
    response.headers["Cache-Control"] = kept
    response.make_conditional(request)
    return response
