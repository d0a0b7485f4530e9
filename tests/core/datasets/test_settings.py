from __future__ import annotations

from typing import Any

import pytest

from core.datasets.settings import MAESTRO_ADDRESS, ImportSettings
from core.errors import InputError


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({}, "source", "a value is required"),
        ({"source": "radio"}, "source", "one of starter, maestro, upload, takes"),
        ({"source": "starter", "files_limit": -1}, "files_limit", "0 to 1000000"),
        ({"source": "starter", "files_limit": "many"}, "files_limit", "0 to 1000000"),
        ({"source": "starter", "name": "x" * 201}, "name", "200"),
        ({"source": "maestro", "address": "ftp://host/x.zip"}, "address", "must begin with http:// or https://"),
        ({"source": "maestro", "address": "http://"}, "address", "must begin with"),
        ({"source": "maestro", "address": "http://[x"}, "address", "must begin with"),
        ({"source": "maestro", "address": "http://host:99999/"}, "address", "must begin with"),
        ({"source": "maestro", "address": "http://host/a b"}, "address", "must begin with"),
        ({"source": "maestro", "sha256": "xyz"}, "sha256", "64 hexadecimal digits"),
        ({"source": "upload"}, "uploads", "at least one MIDI file or zip is needed"),
        ({"source": "upload", "uploads": "1,x"}, "uploads", "'x'"),
        ({"source": "upload", "uploads": [0]}, "uploads", "below 1"),
        ({"source": "takes"}, "generation_id", "the number of a generation is needed"),
        ({"source": "starter", "volume": 11}, "volume", "no such setting"),
    ],
)
def test_refusals_name_the_field_and_what_is_allowed(values: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ImportSettings.parse(values)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert said in problem.message


def test_forms_may_send_text() -> None:
    settings = ImportSettings.parse(
        {"source": "upload", "uploads": "3, 1,3", "files_limit": "5", "name": " My\nset\0 "}
    )
    assert settings.uploads == (3, 1)
    assert settings.files_limit == 5
    assert settings.name == settings.display_name == "My set"
    assert ImportSettings.parse(settings.model_dump(mode="json")) == settings


def test_official_addresses_bring_their_size_and_digest() -> None:
    official = ImportSettings.parse({"source": "maestro"})
    assert official.address == MAESTRO_ADDRESS
    assert official.expected_size_bytes == 58_416_533
    assert official.expected_sha256.startswith("70470ee2")
    other = ImportSettings.parse({"source": "maestro", "address": "https://example.org/x.zip"})
    assert (other.expected_size_bytes, other.expected_sha256) == (0, "")
    given = ImportSettings.parse({"source": "maestro", "sha256": "A" * 64, "size_bytes": 7})
    assert (given.expected_size_bytes, given.expected_sha256) == (7, "a" * 64)
