"""MIDI to audio with a SoundFont."""

from __future__ import annotations

import importlib.util
import io
import wave
from pathlib import Path

import midirenderer
import numpy as np
import soundfile
from numpy.typing import NDArray

from core.errors import MidiError
from core.music.chunks import find_chunks

RENDER_RATE = 48_000
"""Frames per second of rendered audio; the renderer knows no other."""
_TAIL_QUARTERS = 4
_PEAK = 0.89  # -1 dB of full scale, so that a lossy encoder's overshoot does not clip
_LARGEST_GAIN = 12.0
_BLOCK_FRAMES = 1 << 20


def default_soundfont() -> bytes:
    """The SoundFont that pretty_midi carries (TimGM6mb, all General MIDI programs).

    Found without importing pretty_midi, which takes longer than reading the file.
    """
    package = importlib.util.find_spec("pretty_midi")
    if package is None or package.origin is None:  # pragma: no cover - a dependency of ours is missing
        raise FileNotFoundError("pretty_midi and its SoundFont are not installed; install the package again")
    return (Path(package.origin).parent / "TimGM6mb.sf2").read_bytes()


def render_frames(midi: bytes, soundfont: bytes | None = None) -> NDArray[np.int16]:
    """The sound of a MIDI file as the renderer gives it, int16 `[frames, 2]` at `RENDER_RATE`, four quarters longer
    than the file (2 s in files of ours), so that the last note can die away.

    Raises:
        MidiError: the file cannot be rendered.
    """
    try:
        data = midirenderer.render_wave_from(soundfont or default_soundfont(), _with_tail(midi))
    except (ValueError, RuntimeError) as error:
        raise MidiError(f"This MIDI file cannot be turned into sound ({error}).") from error
    with wave.open(io.BytesIO(data)) as reader:
        frames = reader.readframes(reader.getnframes())
    return np.frombuffer(frames, "<i2").reshape(-1, 2)


def render_wav(midi: bytes, soundfont: bytes | None = None) -> bytes:
    """A MIDI file as WAV: 16 bits, stereo, 48,000 frames a second.

    The loudest moment is brought to -1 dB of full scale, by at most 22 dB: General MIDI renders a single piano very
    softly, and pieces should sound alike in loudness. Silence stays silence. Equal files give equal bytes.

    Args:
        midi: the file's bytes.
        soundfont: a SoundFont 2 file's bytes; `default_soundfont` without.

    Raises:
        MidiError: the file cannot be rendered.
    """
    frames = render_frames(midi, soundfont)
    peak = max(abs(int(frames.min(initial=0))), int(frames.max(initial=0))) / 32768
    return to_wav(frames, RENDER_RATE, min(_PEAK / peak, _LARGEST_GAIN) if peak else 1.0)


def to_wav(frames: NDArray[np.int16], rate: int, gain: float = 1.0) -> bytes:
    """16-bit WAV bytes of int16 `[frames, channels]`, each sample multiplied by `gain` (with no check for clipping)."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(frames.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.setnframes(len(frames))
        for first in range(0, len(frames), _BLOCK_FRAMES):  # an hour in float64 at once would be 2.8 GB
            block = np.rint(frames[first : first + _BLOCK_FRAMES] * gain)
            writer.writeframesraw(block.astype("<i2").tobytes())
    return buffer.getvalue()


def encode_mp3(wav: bytes) -> bytes:
    """WAV bytes as MP3 at a constant rate (160 kbit/s for 48,000 frames a second), so that players seek exactly.

    Raises:
        ValueError: these bytes are no WAV file.
    """
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(io.BytesIO(wav)) as source:
            rate, channels = source.samplerate, source.channels
            with soundfile.SoundFile(
                buffer, "w", rate, channels, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5
            ) as target:
                # As floats: from 16-bit integers libsndfile 1.2 writes distorted stereo MP3.
                for block in source.blocks(_BLOCK_FRAMES, dtype="float32"):
                    target.write(block)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"these bytes are no WAV file: {error}") from error
    return buffer.getvalue()


def _with_tail(midi: bytes) -> bytes:
    """The same file with every track ending four quarters later."""
    chunks = find_chunks(midi)
    ticks = _TAIL_QUARTERS * chunks.ticks_per_quarter
    delay = bytes((0x80 | ticks >> 14, 0x80 | (ticks >> 7) & 0x7F, ticks & 0x7F))
    parts = [midi[:10], len(chunks.tracks).to_bytes(2, "big"), midi[12:14]]
    for first, end in chunks.tracks:
        track = midi[first:end]
        if track.endswith(b"\xff\x2f\x00"):
            # The delta before the old end now belongs to an empty text.
            track = track[:-3] + b"\xff\x01\x00" + delay + b"\xff\x2f\x00"
        parts += [b"MTrk", len(track).to_bytes(4, "big"), track]
    return b"".join(parts)
