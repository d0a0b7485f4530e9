"""Names are those of pretty_midi, without importing it."""

from __future__ import annotations

import pretty_midi
import pytest

from core.music.names import PROGRAM_NAMES, pitch_name, program_name


def test_names_are_those_of_pretty_midi():
    assert [pitch_name(pitch) for pitch in range(128)] == [pretty_midi.note_number_to_name(p) for p in range(128)]
    assert (pitch_name(60), pitch_name(44)) == ("C4", "G#2")
    assert list(PROGRAM_NAMES) == [pretty_midi.program_to_instrument_name(program) for program in range(128)]
    assert program_name(0) == "Acoustic Grand Piano"


@pytest.mark.parametrize("number", [-1, 128])
def test_numbers_outside_midi_are_refused(number):
    with pytest.raises(ValueError, match=f"{number} is refused"):
        pitch_name(number)
    with pytest.raises(ValueError, match=f"{number} is refused"):
        program_name(number)
