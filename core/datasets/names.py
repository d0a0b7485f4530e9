"""Texts from files and people, made fit for a database, a page and a log."""

from __future__ import annotations

import posixpath
import unicodedata

LONGEST_FILE_NAME = 300
_UNWANTED = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
# Marks that change the direction of the text around them: a name could pretend to be another.
_DIRECTIONS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def clean_text(text: str, longest: int) -> str:
    """One line of at most `longest` characters, without control characters, lone surrogates or direction marks.

    PostgreSQL refuses zero characters and every database lone surrogates, so a name from a file must lose them.
    """
    kept = "".join(
        " " if unicodedata.category(letter) in _UNWANTED or letter in _DIRECTIONS else letter
        for letter in text[: 8 * longest]
    )
    line = " ".join(kept.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def clean_file_name(name: str) -> str:
    """A file's name or path as stored and shown: `/` between folders, at most `LONGEST_FILE_NAME` characters.

    What is too long loses its beginning, since a path tells files apart by its end.
    """
    parts = name.replace("\\", "/")[-4 * LONGEST_FILE_NAME :].split("/")
    line = "/".join(cleaned for part in parts if (cleaned := clean_text(part, 4 * LONGEST_FILE_NAME))) or "unnamed"
    return line if len(line) <= LONGEST_FILE_NAME else "…" + line[-(LONGEST_FILE_NAME - 1) :]


def title_of(file_name: str) -> str:
    """A title for a file that brings none: its name without folders and ending, underscores as spaces."""
    stem, _ending = posixpath.splitext(posixpath.basename(file_name.replace("\\", "/").rstrip("/")))
    return clean_text(stem.replace("_", " "), 200) or "Untitled"


def original_name(index: int) -> str:
    """The name under which piece `index` lies in its dataset's zip of originals."""
    return f"{index:06d}.mid"
