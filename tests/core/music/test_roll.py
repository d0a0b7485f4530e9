"""Piano rolls: well-formed, small, and with every note where it belongs."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from core.music.notes import Notes
from core.music.roll import roll_columns, roll_svg

SVG = "{http://www.w3.org/2000/svg}"


def some_notes(count):
    random = np.random.default_rng(1)
    return Notes.of(
        np.sort(random.uniform(0, count / 8, count)),
        random.uniform(0.05, 1, count),
        random.integers(30, 90, count),
        random.integers(1, 128, count),
    )


def segments(svg):
    drawn = []
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        found = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)", path.get("d"))
        assert "".join(f"M{x} {y}h{length}" for x, y, length in found) == path.get("d")
        drawn += [(float(x), float(y), float(length)) for x, y, length in found]
    return drawn


@pytest.mark.parametrize(("count", "largest"), [(300, 8_000), (2_000, 60_000), (20_000, 60_000)])
def test_rolls_are_small_and_stay_inside(count, largest):
    svg = roll_svg(some_notes(count), width=320, height=96)
    assert len(svg) < largest
    drawn = segments(svg)
    assert len(drawn) == min(count, 2000)
    assert all(x >= 0 and x + length <= 320 and 0 <= y <= 96 for x, y, length in drawn)


def test_notes_lie_where_their_times_and_pitches_say():
    svg = roll_svg(Notes.of([0, 1, 3], [1, 1, 1], [60, 72, 48], [30, 70, 110]), width=406, height=106)
    left, middle, right = sorted(segments(svg))
    assert (left[0], left[2]) == (3, 100)
    assert (middle[0], right[0]) == (103, 303)
    assert middle[1] < left[1] < right[1]
    assert len(re.findall("<path", svg)) == 3


def test_the_title_is_escaped_and_named():
    root = ET.fromstring(roll_svg(some_notes(3), title='"><script>alert(1)</script>&'))
    assert root.get("aria-label") == root.find(f"{SVG}title").text == '"><script>alert(1)</script>&'
    assert root.find(f"{SVG}script") is None
    assert ET.fromstring(roll_svg(some_notes(3))).get("aria-label") == "Piano roll of 3 notes"


def test_an_empty_piece_is_an_empty_picture():
    assert segments(roll_svg(Notes.empty())) == []


def test_columns_are_whole_milliseconds_and_json():
    columns = roll_columns(Notes.of([0.0004, 1.2346], [0.0001, 2], [60, 61], [1, 127]))
    assert json.loads(json.dumps(columns)) == {
        "start_ms": [0, 1235], "duration_ms": [1, 2000], "pitch": [60, 61], "velocity": [1, 127],
    }  # fmt: skip
