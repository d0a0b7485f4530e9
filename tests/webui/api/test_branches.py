"""Branching a take through the API: what is queued, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from core.models.generations import Generation, Take
from core.sampling.seeds import parse_seeds
from tests.tools.web_content import WebContent


@pytest.fixture
def take(content: WebContent) -> Take:
    """The second of three takes of 60 notes."""
    generation = content.generation(content.model(), "7-9")
    with content.database.reading() as session:
        return session.get_one(Take, content.take_ids(generation)[1])


def test_a_branch_begins_with_the_take_s_first_notes(api: Any, content: WebContent, take: Take) -> None:
    response = api.ask("POST", f"/takes/{take.id}/branch", 202, json={"note": 40, "count": 5, "length": 33})
    branch = response.json
    assert response.headers["Location"] == f"/api/v1/generations/{branch['id']}"
    assert (branch["takes_total"], branch["name"]) == (5, "5 branches of seed 8 after note 40")
    settings = branch["settings"]
    assert (settings["join_primer"], settings["length"], settings["tempo_factor"]) == (True, 33, 1.0)
    assert (settings["primer"]["notes"], settings["temperatures"]) == (40, [take.temperature])
    with content.database.reading() as session:
        row = session.get_one(Generation, branch["id"])
        assert content.store.read(row.primer_key) == content.store.read(take.midi_key)
        assert row.job is not None
    # As many takes and as long as one would expect where nothing is said; each time other seeds.
    again = api.post(f"/takes/{take.id}/branch", {"note": 40})
    assert (again["takes_total"], again["settings"]["length"]) == (8, 20)
    assert again["settings"]["seeds"] != settings["seeds"]
    # After its last note there is as much to say as after any other.
    assert api.post(f"/takes/{take.id}/branch", {"note": 60})["settings"]["length"] == 16


def test_a_branch_has_the_seeds_that_are_named(api: Any, take: Take) -> None:
    path = f"/takes/{take.id}/branch"
    named = api.post(path, {"note": 40, "seeds": " 3, 0-1"})
    assert (named["takes_total"], named["name"]) == (3, "3 branches of seed 8 after note 40")
    assert named["settings"]["seeds"] == "3,0-1"
    # Asked again, it is the same but for its number and name.
    again = api.post(path, {"note": 40, "seeds": named["settings"]["seeds"]})
    assert again["settings"] == named["settings"]
    assert again["id"] != named["id"]
    # Random ones are drawn once, so that they can be named.
    drawn = api.post(path, {"note": 40, "seeds": "2 random"})
    assert drawn["takes_total"] == len(parse_seeds(drawn["settings"]["seeds"])) == 2
    assert api.post(path, {"note": 40, "seeds": "4294967295"})["name"] == "1 branch of seed 8 after note 40"
    # Limits are those of a generation.
    assert api.post(path, {"note": 40, "seeds": "0-99999"})["takes_total"] == 100_000


def test_what_cannot_be_branched_is_refused(api: Any, content: WebContent, take: Take) -> None:
    path = f"/takes/{take.id}/branch"
    for values, field, words in (
        ({"note": 61}, "note", "61 is refused; a branch of this take can begin after note 1 to 60"),
        ({"note": 0}, "note", "note: '0' is refused; allowed is 1 to 20000"),
        ({}, "note", "a value is required"),
        ({"note": 5, "count": 1001}, "count", "allowed is 1 to 1000"),
        ({"note": 5, "length": 30_000}, "length", "allowed is 1 to 20000"),
        ({"note": 5, "seed": "1"}, "seed", "there is no such"),
        ({"note": 5, "seeds": ""}, "seeds", "seeds: '' is not understood"),
        ({"note": 5, "seeds": "9-1"}, "seeds", "runs backwards; write '1-9'"),
        ({"note": 5, "seeds": "1,1"}, "seeds", "1 is named twice"),
        ({"note": 5, "seeds": "4294967296"}, "seeds", "too large"),
        ({"note": 5, "seeds": "0-100000"}, "seeds", "at most 100,000 in all"),
        ({"note": 5, "seeds": "0-1", "count": 2}, "count", "count: 2 is refused beside seeds"),
    ):
        message, fields = api.refused("POST", path, 422, json=values)
        assert words in fields[field], message
    assert "no take 999" in api.refused("POST", "/takes/999/branch", 404, json={"note": 5})[0]
    api.ask("DELETE", "/models/1", 204)
    assert "was deleted; upload it again" in api.refused("POST", path, 409, json={"note": 5})[0]
    assert api.get("/generations")["total"] == 1


def test_a_generation_s_temperature_is_not_silently_left_out(api: Any, take: Take) -> None:
    settings = {"seeds": "1", "temperature": 0.5}
    _, fields = api.refused("POST", "/generations", 422, json={"model": 1, "settings": settings})
    assert "there is no such setting; allowed are" in fields["temperature"]
    assert "temperatures" in fields["temperature"]
