"""What a person chooses for an import. Light: the web process and the command line use it."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from core.datasets.names import clean_text
from core.fields import PersonSettings, setting

LONGEST_NAME = 200
MOST_UPLOADS = 10_000
MOST_TAKES = 100_000

_MAESTRO = "https://storage.googleapis.com/magentadata/datasets/maestro"
MAESTRO_ADDRESS = f"{_MAESTRO}/v3.0.0/maestro-v3.0.0-midi.zip"
# Size in bytes and SHA-256 of the official zips, so that nobody has to type them.
_KNOWN_DOWNLOADS = {
    MAESTRO_ADDRESS: (58_416_533, "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c"),
    f"{_MAESTRO}/v2.0.0/maestro-v2.0.0-midi.zip": (
        59_243_107,
        "ec2cc9d94886c6b376db1eaa2b8ad1ce62ff9f0a28b3744782b13163295dadf3",
    ),
}
_SOURCES = {
    "starter": "Bach chorales (come with Cadenza)",
    "maestro": "MAESTRO, by its zip's address",
    "upload": "Uploaded MIDI files and zips",
    "takes": "Takes of a generation",
}
_DEFAULT_NAMES = {"starter": "Bach chorales", "maestro": "MAESTRO", "upload": "Uploaded files", "takes": "Takes"}


class ImportSettings(PersonSettings):
    """One import: where the files come from, and how many of them are used."""

    name: str = setting("", "Name", "What the dataset is called; named after its source when empty.", max_length=200)
    source: Literal["starter", "maestro", "upload", "takes"] = setting(
        ..., "Source", "Where the MIDI files come from.", choices=_SOURCES
    )
    files_limit: int = setting(
        0, "Files", "Import the first N files only; 0 means all.", unit="files", ge=0, le=1_000_000
    )
    address: str = setting(MAESTRO_ADDRESS, "Address", "Where the zip is downloaded from.", max_length=2_000)
    size_bytes: int = setting(
        0,
        "Size",
        "Of the zip; 0 for not known (an official MAESTRO zip is checked anyway).",
        unit="bytes",
        advanced=True,
        ge=0,
        le=2**40,
    )
    sha256: str = setting("", "SHA-256", "Digest of the zip; empty for not known.", advanced=True, max_length=64)
    uploads: tuple[int, ...] = setting((), "Uploads", "Numbers of the uploaded files.", max_length=MOST_UPLOADS)
    generation_id: int = setting(0, "Generation", "Number of the generation whose takes are used.", ge=0)
    take_ids: tuple[int, ...] = setting(
        (), "Takes", "Numbers of the takes; none means all without a defect.", max_length=MOST_TAKES
    )

    @field_validator("name")
    @classmethod
    def _name_is_one_line(cls, name: str) -> str:
        return clean_text(name, LONGEST_NAME)

    @field_validator("address")
    @classmethod
    def _address_is_http(cls, address: str) -> str:
        try:
            parts = urlsplit(address)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable or not address.isprintable() or " " in address:
            raise ValueError(f"address: {address[:100]!r} is refused; it must begin with http:// or https://.")
        return address

    @field_validator("sha256")
    @classmethod
    def _digest_is_hexadecimal(cls, digest: str) -> str:
        if digest and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise ValueError(f"sha256: {digest!r} is refused; 64 hexadecimal digits are needed, or nothing.")
        return digest.lower()

    @field_validator("uploads", "take_ids", mode="before")
    @classmethod
    def _split_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("uploads", "take_ids")
    @classmethod
    def _numbers_are_new(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < number < 2**31 for number in numbers):
            raise ValueError("numbers below 1 or above 2147483647 are refused.")
        return tuple(dict.fromkeys(numbers))

    @model_validator(mode="after")
    def _source_is_complete(self) -> ImportSettings:
        if self.source == "upload" and not self.uploads:
            raise ValueError("uploads: nothing was uploaded; at least one MIDI file or zip is needed.")
        if self.source == "takes" and self.generation_id == 0:
            raise ValueError("generation_id: 0 is refused; the number of a generation is needed.")
        return self

    @property
    def display_name(self) -> str:
        """The name, or one after the source."""
        return self.name or _DEFAULT_NAMES[self.source]

    @property
    def expected_size_bytes(self) -> int:
        """The zip's size as given, or as known for an official address; 0 where nobody knows."""
        return self.size_bytes or _KNOWN_DOWNLOADS.get(self.address, (0, ""))[0]

    @property
    def expected_sha256(self) -> str:
        """The zip's digest as given, or as known for an official address; empty where nobody knows."""
        return self.sha256 or _KNOWN_DOWNLOADS.get(self.address, (0, ""))[1]
