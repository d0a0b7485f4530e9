"""Logs of the parts: one line for each event, for people or as JSON, with the ids of the job and the request."""

from __future__ import annotations

import logging
import sys
from typing import IO, TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from core.settings import Settings

# These tell every detail of what they carry; their warnings are worth a line.
_CHATTY = ("alembic", "botocore", "aiobotocore", "s3fs", "fsspec", "urllib3", "httpx", "httpcore", "asyncio", "PIL")


def configure_logging(settings: Settings, part: str, stream: IO[str] | None = None) -> None:
    """Send everything that is logged in this process to `stream` (stdout), in the installation's format.

    Whatever was bound by `structlog.contextvars` (`job_id`, `unit_id`, `request_id`) goes with each line.

    Args:
        settings: `log_level` and `log_format` ("text" or "json") are used.
        part: which part of the system this process is, such as "web" or "worker light".
        stream: where the lines go.
    """

    def name_part(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["part"] = part
        return event

    as_json = settings.log_format == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Processor] = (
        [name_part, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, sort_keys=False)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending]
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
