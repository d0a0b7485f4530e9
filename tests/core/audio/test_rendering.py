"""Rendered sound: as long as the music and its echo, loud enough, never clipped, at the right pitch."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from core.audio.rendering import RENDER_RATE, encode_mp3, render_wav
from core.errors import MidiError
from core.music.notes import Notes
from core.music.writing import write_midi

CHORD = Notes.of([0, 0, 0, 1], [1, 1, 1, 1], [60, 64, 67, 72], [90] * 4)


def sound(data):
    return soundfile.read(io.BytesIO(data), always_2d=True)


def test_sound_lasts_as_the_music_and_dies_away():
    wav = render_wav(write_midi(CHORD, end_seconds=3.0))
    samples, rate = sound(wav)
    assert (rate, samples.shape) == (RENDER_RATE, (5 * RENDER_RATE, 2))
    assert 0.3 < np.abs(samples).max() <= 0.9
    assert np.abs(samples[: 2 * rate]).max() > 0.2
    assert np.abs(samples[-rate // 10 :]).max() < 1e-3
    assert render_wav(write_midi(CHORD, end_seconds=3.0)) == wav


def test_even_the_loudest_music_does_not_clip():
    count = 300
    random = np.random.default_rng(0)
    loud = Notes.of(np.arange(count) / 100, np.full(count, 4), random.permutation(count) % 88 + 21, np.full(count, 127))
    samples, _ = sound(render_wav(write_midi(loud)))
    assert 0.5 < np.abs(samples).max() <= 0.9


def test_the_pitch_is_right():
    samples, rate = sound(render_wav(write_midi(Notes.of([0], [2], [69], [100]), end_seconds=2)))
    part = samples[rate // 2 : rate * 3 // 2, 0] * np.hanning(rate)
    assert np.argmax(np.abs(np.fft.rfft(part))[300:600]) + 300 == pytest.approx(440, abs=2)


def test_silence_is_silence():
    for midi in (write_midi(Notes.empty()), write_midi(Notes.empty(), end_seconds=1.0)):
        samples, _ = sound(render_wav(midi))
        assert len(samples) >= 2 * RENDER_RATE
        assert not samples.any()


def test_mp3_holds_the_same_sound():
    wav = render_wav(write_midi(CHORD))
    mp3 = encode_mp3(wav)
    assert len(mp3) < len(wav) / 8
    (before, rate), (after, mp3_rate) = sound(wav), sound(mp3)
    assert rate == mp3_rate
    assert after.shape == before.shape
    scale = (after * before).sum() / (before**2).sum()
    assert 0.9 < scale < 1.1
    assert np.sqrt(((after - scale * before) ** 2).mean()) < 0.05 * np.sqrt((before**2).mean())


def test_what_cannot_be_rendered_is_refused():
    with pytest.raises(MidiError, match="not a MIDI file"):
        render_wav(b"music")
    with pytest.raises(MidiError, match="cannot be turned into sound"):
        render_wav(write_midi(CHORD), soundfont=b"no soundfont")
    with pytest.raises(ValueError, match="no WAV file"):
        encode_mp3(b"noise")


def test_pretty_midi_is_not_imported_for_its_soundfont():
    code = (
        "import sys, core.audio.rendering as r; print(len(r.default_soundfont()) > 10**6, 'pretty_midi' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["True", "False"]
