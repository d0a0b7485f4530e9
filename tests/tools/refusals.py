"""Bad input with the words that must be in the refusal: the same for the API and the command line.

Numbers in paths: dataset 1 (5 pieces) and model 1 exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """One refused request: as the API gets it, as the command line says it, the field and words of the answer."""

    name: str
    path: str
    values: dict[str, Any]
    command: tuple[str, ...]
    field: str
    words: tuple[str, ...]


def _compose(title: str, field: str, words: tuple[str, ...], /, *options: str, **settings: Any) -> Refusal:
    command = ("generate", "--model", "1", *options)
    return Refusal(title, "/generations", {"model": 1, "settings": settings}, command, field, words)


def _train(title: str, field: str, words: tuple[str, ...], /, *options: str, **values: Any) -> Refusal:
    command = ("train", "--dataset", "1", *options)
    return Refusal(title, "/trainings", {"dataset": 1, **values}, command, field, words)


REFUSALS = (
    _compose("seeds run backwards", "seeds", ("9-1", "1-9"), "--seeds", "9-1", seeds="9-1"),
    _compose("no seed at all", "seeds", ("seeds:",), "--seeds", "", seeds=""),
    _compose("a seed twice", "seeds", ("named twice",), "--seeds", "1,1", seeds="1,1"),
    _compose("a seed too large", "seeds", ("4294967295",), "--seeds", "4294967296", seeds="4294967296"),
    _compose("too many seeds", "seeds", ("100,000",), "--seeds", "0-100000", seeds="0-100000"),
    _compose("too cold", "temperatures", ("0.05 to 5",), "--temperature", "0", temperatures="0"),
    _compose("no number", "temperatures", ("temperatures",), "--temperature", "warm", temperatures="warm"),
    _compose("0 notes", "length", ("1 to 20000",), "--notes", "0", length_unit="notes", length="0"),
    _compose("half a note", "length", ("whole number",), "--notes", "1.5", length_unit="notes", length="1.5"),
    _compose("hours", "length", ("1 to 7200",), "--seconds", "7201", length_unit="seconds", length="7201"),
    _compose("top-k", "top_k", ("0 to 390",), "--top-k", "-1", top_k="-1"),
    _compose("top-p", "top_p", ("above 0 to 1",), "--top-p", "0", top_p="0"),
    _compose("instrument", "program", ("0 to 127",), "--instrument", "128", program="128"),
    _compose("velocity", "velocity", ("0 to 127",), "--velocity", "200", velocity="200"),
    _compose("tempo", "tempo_factor", ("0.25 to 4",), "--tempo", "10", tempo_factor="10"),
    Refusal(
        "a 0-note primer",
        "/generations",
        {"model": 1, "primer": {"kind": "piece", "piece_id": 1, "notes": 0}},
        ("generate", "--model", "1", "--primer", "1", "--primer-notes", "0"),
        "notes",
        ("1 to 2000",),
    ),
    Refusal(
        "a primer longer than its piece",
        "/generations",
        {"model": 1, "primer": {"kind": "piece", "piece_id": 1, "notes": 2000}},
        ("generate", "--model", "1", "--primer", "1", "--primer-notes", "2000"),
        "notes",
        ("has 60 notes",),
    ),
    Refusal(
        "a piece that is not there",
        "/generations",
        {"model": 1, "primer": {"kind": "piece", "piece_id": 999}},
        ("generate", "--model", "1", "--primer", "999"),
        "piece_id",
        ("no piece 999",),
    ),
    Refusal(
        "a model that is not there",
        "/generations",
        {"model": "nothing"},
        ("generate", "--model", "nothing"),
        "model",
        ("'nothing'",),
    ),
    Refusal(
        "a dataset that is not there",
        "/trainings",
        {"dataset": 77},
        ("train", "--dataset", "77"),
        "dataset",
        ("'77'",),
    ),
    _train("unknown family", "family", ("'gpt'", "lstm", "tutorial"), "--family", "gpt", family="gpt"),
    _train("unknown preset", "preset", ("'Huge'", "Starter"), "--preset", "Huge", preset="Huge"),
    _train("units", "units", ("8 to 4096",), "--set", "units=1", settings={"units": "1"}),
    _train("unknown setting", "colour", ("no such setting",), "--set", "colour=red", settings={"colour": "red"}),
    _train("a name too long", "name", ("200",), "--name", "x" * 201, name="x" * 201),
    Refusal(
        "a limit below 0",
        "/datasets",
        {"source": "starter", "files_limit": "-1"},
        ("import", "starter", "--limit", "-1"),
        "files_limit",
        ("0 to 1000000",),
    ),
    Refusal(
        "an address that is none",
        "/datasets",
        {"source": "maestro", "address": "ftp://x/y.zip"},
        ("import", "maestro", "--address", "ftp://x/y.zip"),
        "address",
        ("http://",),
    ),
)
