"""Samples of one instrument, from which a browser plays any piece at once."""

from __future__ import annotations

import numpy as np

from core.audio.rendering import RENDER_RATE, render_frames, to_wav
from core.music.notes import Notes
from core.music.writing import write_midi

SAMPLE_PITCHES: tuple[int, ...] = tuple(range(21, 109, 5))
"""The pitches that are sampled, from `A0` up; others are the nearest of these, played faster or slower."""
SLOT_SECONDS = 2.5
"""Pitch i of `SAMPLE_PITCHES` begins at `i * SLOT_SECONDS` and is silent before the next begins."""
SAMPLE_RATE = RENDER_RATE // 2

_HELD_SECONDS = 2.1
_FADE_SECONDS = 0.15
_VELOCITY = 100
_PEAK = 0.89
_TAPS = 47


def render_instrument_samples(program: int) -> bytes:
    """One WAV (16 bits, mono, 24,000 frames a second) with every pitch of `SAMPLE_PITCHES` in a slot of its own,
    struck with velocity 100 and held for 2.1 s; the loudest is at -1 dB of full scale.

    Args:
        program: General MIDI program, 0 to 127.

    Raises:
        ValueError: a program outside its range.
    """
    slots = len(SAMPLE_PITCHES)
    onset = np.arange(slots) * SLOT_SECONDS
    notes = Notes.of(onset, np.full(slots, _HELD_SECONDS), SAMPLE_PITCHES, np.full(slots, _VELOCITY))
    frames = render_frames(write_midi(notes, program=program, end_seconds=slots * SLOT_SECONDS))
    slot_frames = round(SLOT_SECONDS * SAMPLE_RATE)
    mono = _halve_rate(frames.mean(axis=1, dtype=np.float32))[: slots * slot_frames].reshape(slots, slot_frames)
    fade = round(_FADE_SECONDS * SAMPLE_RATE)
    mono[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    gain = _PEAK * 32768 / max(float(np.abs(mono).max()), 1.0)
    return to_wav(np.rint(mono * gain).astype(np.int16).reshape(-1, 1), SAMPLE_RATE)


def _halve_rate(samples: np.typing.NDArray[np.float32]) -> np.typing.NDArray[np.float32]:
    """Every other sample after a low-pass at 0.46 of the new rate (a sinc under a Hamming window)."""
    taps = np.arange(_TAPS) - _TAPS // 2
    kernel = np.sinc(taps * 0.46) * np.hamming(_TAPS)
    smooth = np.convolve(samples, (kernel / kernel.sum()).astype(np.float32), mode="same")
    return smooth[::2].astype(np.float32)
