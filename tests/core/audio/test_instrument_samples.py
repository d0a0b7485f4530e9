"""The samples of an instrument: every slot at its pitch, apart from the others, small enough to load."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from core.audio.instrument_samples import SAMPLE_PITCHES, SAMPLE_RATE, SLOT_SECONDS, render_instrument_samples


@pytest.mark.parametrize("program", [0, 73])
def test_every_slot_sounds_at_its_own_pitch_and_ends_in_silence(program):
    data = render_instrument_samples(program)
    assert len(data) < 2_500_000
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (rate, samples.ndim) == (SAMPLE_RATE, 1)
    slots = samples.reshape(len(SAMPLE_PITCHES), round(SLOT_SECONDS * rate))
    assert 0.8 < np.abs(samples).max() < 0.9
    assert np.abs(slots[:, -20:]).max() < 0.01
    assert (np.abs(slots).max(axis=1) > 0.1).all()
    for pitch, slot in zip(SAMPLE_PITCHES, slots, strict=True):
        if 50 <= pitch <= 90:
            heard = slot[rate // 4 : rate // 4 + rate]
            spectrum = np.abs(np.fft.rfft(heard * np.hanning(rate)))
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            near = slice(int(hertz / 1.06), int(hertz * 1.06) + 1)
            assert np.argmax(spectrum[near]) + near.start == pytest.approx(hertz, rel=0.02, abs=2)
            assert spectrum[near].max() > 20 * np.median(spectrum)


def test_every_pitch_has_a_near_sample():
    assert all(min(abs(pitch - sample) for sample in SAMPLE_PITCHES) <= 2 for pitch in range(21, 109))


def test_a_program_outside_general_midi_is_refused():
    with pytest.raises(ValueError, match="program 128"):
        render_instrument_samples(128)
