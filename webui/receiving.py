"""Files that a request brings: counted against what the sender has waiting already, then stored."""

from __future__ import annotations

from collections.abc import Iterable

from werkzeug.datastructures import FileStorage

from core.models.uploads import Upload
from core.services.uploads import check_room, save_upload
from webui.context import current_services
from webui.identity import current_actor


def save_files(files: Iterable[FileStorage]) -> list[Upload]:
    """Store what a form carries; a field left empty sends a file without a name, which is none.

    Raises:
        ConflictError: too much of this sender waits to be used.
        InputError: a file is empty or too long.
    """
    services, owner = current_services(), current_actor().name
    limits = services.settings
    saved: list[Upload] = []
    for file in files:
        if file.filename:
            if len(saved) % 100 == 0:
                check_room(services.database, owner, limits.uploads_limit_files, limits.uploads_limit_total_bytes)
            name, most = file.filename, limits.upload_limit_bytes
            saved.append(save_upload(services.database, services.store, file.stream, name, owner, most))
    return saved
