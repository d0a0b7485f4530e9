"""Files that a person sent and that an import, a primer or a model upload will use."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import NEVER_REUSE_IDS, Base, utc_now


class Upload(Base):
    """One uploaded file, stored under `key` until what it was sent for has used it."""

    __tablename__ = "upload"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(Text, default="local")
    file_name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        Index("ix_upload_created_at", "created_at"),
        Index("ix_upload_sha256", "sha256"),
        NEVER_REUSE_IDS,
    )
