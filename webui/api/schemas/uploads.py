"""Uploaded files."""

from __future__ import annotations

from typing import Self

from core.models.uploads import Upload
from webui.api.schemas.common import ApiOutput, Moment


class UploadOutput(ApiOutput):
    """One stored upload; it is kept until its import has used it, or for 24 hours."""

    id: int
    file_name: str
    size_bytes: int
    sha256: str
    created_at: Moment

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """An upload as the API shows it."""
        return cls(**{name: getattr(upload, name) for name in cls.model_fields})


class UploadsOutput(ApiOutput):
    """The uploads that one request made, in its order."""

    items: list[UploadOutput]
