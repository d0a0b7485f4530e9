from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from core.datasets.musicxml import ScoreNote, read_musicxml


def score(*parts: str) -> bytes:
    listed = "".join(f'<score-part id="P{i}"><part-name>Part {i}</part-name></score-part>' for i in range(len(parts)))
    body = "".join(f'<part id="P{i}">{part}</part>' for i, part in enumerate(parts))
    return f"<score-partwise><part-list>{listed}</part-list>{body}</score-partwise>".encode()


def note(step: str, duration: int, extra: str = "", alter: int = 0) -> str:
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>4</octave></pitch>"
    return f"<note>{extra}{pitch}<duration>{duration}</duration></note>"


def measure(content: str, divisions: int = 0) -> str:
    attributes = f"<attributes><divisions>{divisions}</divisions></attributes>" if divisions else ""
    return f"<measure>{attributes}{content}</measure>"


FORWARD = '<barline><repeat direction="forward"/></barline>'
BACKWARD = '<barline><repeat direction="backward"/></barline>'
BACK = "<backup><duration>4</duration></backup>"


def ending(number: int) -> str:
    return f'<barline><ending number="{number}" type="start"/></barline>'


def rows(data: bytes) -> list[list[tuple[int, int, int]]]:
    return [[(n.onset_ticks, n.duration_ticks, n.pitch) for n in part.notes] for part in read_musicxml(data)]


def test_notes_rests_chords_and_voices() -> None:
    rest = "<note><rest/><duration>2</duration></note>"
    content = note("C", 2) + rest + note("E", 4) + note("G", 4, "<chord/>", -1) + BACK
    content += "<forward><duration>2</duration></forward>" + note("B", 2)
    data = score(measure(content, 2))
    assert rows(data) == [[(0, 480, 60), (960, 960, 64), (960, 960, 66), (1440, 480, 71)]]
    assert read_musicxml(data)[0].name == "Part 0"
    assert read_musicxml(data)[0].notes[0] == ScoreNote(0, 480, 60)


def test_ties_join_and_grace_notes_are_left_out() -> None:
    start, both, stop = '<tie type="start"/>', '<tie type="stop"/><tie type="start"/>', '<tie type="stop"/>'
    content = measure(note("C", 1, start) + note("D", 0, "<grace/>"), 1) + measure(note("C", 2, both))
    content += measure(note("C", 1, stop) + note("C", 1))
    assert rows(score(content)) == [[(0, 1920, 60), (1920, 480, 60)]]


def test_measures_start_together_in_all_parts() -> None:
    one = measure(note("C", 1), 1) + measure(note("D", 4))
    two = measure(note("C", 2), 2) + measure(note("E", 8))
    late = measure(note("C", 1), 2) + measure(note("F", 4), 1)
    assert [part[1][0] for part in rows(score(one, two, late))] == [480, 480, 480]


@pytest.mark.parametrize(
    ("measures", "played"),
    [
        ([("C", ""), ("D", BACKWARD), ("E", "")], "CDCDE"),
        ([("C", ""), ("D", FORWARD), ("E", BACKWARD), ("F", "")], "CDEDEF"),
        ([("C", BACKWARD), ("D", BACKWARD)], "CCDD"),
        ([("C", ""), ("D", ending(1) + BACKWARD), ("E", ending(2)), ("F", "")], "CDCEF"),
        ([("C", ""), ("D", "")], "CD"),
    ],
)
def test_repeats_are_played_twice(measures: list[tuple[str, str]], played: str) -> None:
    (notes,) = rows(score("".join(measure(bars + note(step, 1), 1) for step, bars in measures)))
    steps = {60: "C", 62: "D", 64: "E", 65: "F"}
    assert "".join(steps[pitch] for _onset, _duration, pitch in notes) == played
    assert [onset for onset, _duration, _pitch in notes] == [480 * place for place in range(len(played))]


def test_other_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="<html>"):
        read_musicxml(b"<html/>")


@pytest.mark.slow
def test_chorales_hold_the_notes_that_music21_reads() -> None:
    music21 = pytest.importorskip("music21")
    found = importlib.util.find_spec("music21")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "corpus" / "bach"
    paths = sorted(folder.glob("bwv*.mxl"))[5::40]
    assert len(paths) >= 10
    for path in paths:
        expected = []
        whole = music21.converter.parse(str(path), forceSource=True)
        if any(whole.recurse().getElementsByClass("RepeatMark")):
            whole = whole.expandRepeats()
        for part in whole.parts:
            counts: Counter[tuple[int, int, int]] = Counter()
            for element in part.stripTies().flatten().notes:
                for pitch in element.pitches:
                    onset, duration = round(float(element.offset) * 480), round(float(element.quarterLength) * 480)
                    counts[onset, duration, pitch.midi] += 1
            expected.append(counts)
        assert [Counter(part) for part in rows(path.read_bytes())] == expected, path.name
