"""What handlers have in common: where a new thing is, files as answers, and word to the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flask import Response, request

from core.models.jobs import Job, JobKind
from webui.context import current_services
from webui.file_names import file_name as safe_name
from webui.submission import send_tickets_for

MIDI = "audio/midi"
_MOST_TICKETS = 8
_BLOCK_BYTES = 1 << 18


def location(noun: str, number: int) -> dict[str, str]:
    """The header that says where a new thing is."""
    return {"Location": f"/api/v1/{noun}/{number}"}


def no_content() -> Response:
    """The answer to a deletion."""
    return Response(status=204)


def tell_workers(job: Job | None) -> None:
    """After the commit that queued `job`: tell the workers of its queue."""
    if job is not None:
        units = _MOST_TICKETS if job.kind is JobKind.GENERATION else 1
        send_tickets_for(current_services().settings, job, units)


def bytes_answer(data: bytes, file_name: str, media_type: str, digest: str = "") -> Response:
    """A small file as an answer; with a digest the client may keep it and ask whether it changed."""
    response = Response(data, mimetype=media_type)
    response.headers.set("Content-Disposition", "attachment", filename=safe_name(file_name))
    if digest:
        response.set_etag(digest)
        response.cache_control.no_cache = True
        response.make_conditional(request)
    return response


def stored_answer(key: str, file_name: str, media_type: str) -> Response:
    """A stored file of any size as an answer, block by block.

    Raises:
        StorageError: it is missing.
    """
    store = current_services().store
    stream = store.open(key)
    response = Response(_blocks(stream), mimetype=media_type)
    response.content_length = store.size(key)
    response.headers.set("Content-Disposition", "attachment", filename=safe_name(file_name))
    response.call_on_close(stream.close)
    return response


def _blocks(stream: IO[Any]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield block
