"""Names of downloads."""

from __future__ import annotations

import re
import unicodedata


def file_name(text: str, fallback: str = "file") -> str:
    """A name that every file system takes: no separators, no control characters, at most 120 characters."""
    cleaned = re.sub(r'[\\/:*?"<>|]+', "-", "".join(c for c in text if unicodedata.category(c)[0] != "C"))
    stem, dot, extension = cleaned.strip(" .").rpartition(".")
    if not dot:
        stem, extension = extension, ""
    return (stem.strip()[: 119 - len(extension)] or fallback) + dot + extension
