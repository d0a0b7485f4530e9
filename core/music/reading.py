"""MIDI bytes to notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

from core.errors import MidiError
from core.music import pedal
from core.music.chunks import MOST_TRACKS, Chunks, find_chunks
from core.music.names import program_name
from core.music.notes import Notes

LONGEST_SECONDS = 24 * 3600
MOST_NOTES = 2_000_000
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument of a file: the notes of one track, channel and program.

    Attributes:
        name: the track's name, or the General MIDI name of the program where the track has none.
        program: 0 to 127.
        is_drum: on channel 10, whose notes are drums and not pitches.
        notes: how many it plays.
    """

    name: str
    program: int
    is_drum: bool
    notes: int


@dataclass(frozen=True, slots=True, eq=False)
class MidiReading:
    """What a MIDI file holds.

    Attributes:
        notes: every pitched note of every track in one stream.
        instruments: those that play at least one note, drums included, in the file's order.
        dropped_drum_notes: notes on channel 10, which are not in `notes`.
        ticks_per_quarter: the file's resolution.
        end_seconds: when the last note ends, drums included, in seconds.
    """

    notes: Notes
    instruments: tuple[Instrument, ...]
    dropped_drum_notes: int
    ticks_per_quarter: int
    end_seconds: float


def read_midi(data: bytes, *, fold_pedal: bool = True) -> MidiReading:
    """Read a Standard MIDI File of format 0 or 1.

    Every pitched track goes into one stream; drums are counted and left out. Times follow the tempo map of all
    tracks, in float64 from ticks, by the same sums as pretty_midi. A note-on of velocity 0 is a note-off; a note-off
    ends every note of its pitch and channel that began before it; notes without length and notes that are never
    ended are dropped, as pretty_midi does. Only such an unended note on top of another of the same pitch is lost here
    and kept there. The sustain pedal is looked at for each track, channel and program apart.

    Args:
        data: the file's bytes.
        fold_pedal: lengthen the notes that the sustain pedal holds (see `core.music.pedal`).

    Raises:
        MidiError: the file cannot be used; the message says why in words for people.
    """
    chunks = find_chunks(data)
    if chunks.format == 2 and len(chunks.tracks) > 1:
        raise MidiError(
            f"It holds {len(chunks.tracks)} pieces of their own (MIDI format 2) that are not meant to sound together; "
            "save each as a file of format 0 or 1."
        )
    score = _parse(data[: chunks.tracks[-1][1]])
    parts = [_read_part(track, fold_pedal) for track in score.tracks if len(track.notes)]
    parts = [part for part in parts if part.instrument.notes]
    pitched = [part for part in parts if not part.instrument.is_drum]
    drums = sum(part.instrument.notes for part in parts) - sum(part.instrument.notes for part in pitched)
    if not parts:
        raise MidiError("It holds no notes.")
    if not pitched:
        raise MidiError(f"It holds only drums: all {drums:,} notes are on channel 10, which carries no pitches.")
    tempo_ticks, seconds_per_tick = _tempo_map(score, chunks)
    end_tick = max(part.end_tick for part in parts)
    end_seconds = float(_to_seconds(np.array([end_tick]), tempo_ticks, seconds_per_tick)[0])
    if not end_seconds <= LONGEST_SECONDS:
        raise MidiError(
            f"It lasts {end_seconds / 3600:,.1f} hours by its own tempo; at most {LONGEST_SECONDS // 3600} are read."
        )
    notes = _merge(pitched, tempo_ticks, seconds_per_tick)
    return MidiReading(notes, tuple(part.instrument for part in parts), drums, chunks.ticks_per_quarter, end_seconds)


@dataclass(frozen=True, slots=True)
class _Part:
    instrument: Instrument
    onset: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.uint8]
    velocity: NDArray[np.uint8]
    end_tick: int


def _parse(data: bytes) -> Any:
    try:
        score: Any = symusic.Score.from_midi(data)
        tracks, notes = len(score.tracks), score.note_num()
    except (RuntimeError, ValueError, OverflowError, IndexError) as error:
        raise MidiError(f"A track is damaged: its events cannot be read ({_plain(str(error))}).") from error
    if tracks > MOST_TRACKS:
        raise MidiError(f"It holds {tracks:,} instruments; at most {MOST_TRACKS:,} are read.")
    if notes > MOST_NOTES:
        raise MidiError(f"It holds {notes:,} notes; at most {MOST_NOTES:,} are read. Split it into shorter pieces.")
    return score


def _read_part(track: Any, fold: bool) -> _Part:
    columns = track.notes.numpy()
    onset = columns["time"].astype(np.int64)
    end = onset + columns["duration"]
    pitch, velocity = columns["pitch"].view(np.uint8), columns["velocity"].view(np.uint8)
    if onset[0] < 0 or (onset[1:] < onset[:-1]).any() or (end < onset).any():
        raise MidiError("A track is damaged: its times add up to more ticks than MIDI software can count (2^31).")
    end = _end_at_first_release(onset, end, pitch)
    sounding = end > onset
    if not sounding.all():
        onset, end, pitch, velocity = onset[sounding], end[sounding], pitch[sounding], velocity[sounding]
    if fold and len(onset) and len(track.controls):
        end = _fold(track.controls.numpy(), onset, end, pitch)
    program, is_drum = int(track.program), bool(track.is_drum)
    name = _plain(track.name) or ("Drums" if is_drum else program_name(program))
    return _Part(Instrument(name, program, is_drum, len(onset)), onset, end, pitch, velocity, int(end.max(initial=0)))


def _fold(
    controls: dict[str, NDArray[Any]], onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.uint8]
) -> NDArray[np.int64]:
    rows = np.flatnonzero(controls["number"] == pedal.SUSTAIN_CONTROL)
    times = controls["time"][rows].astype(np.int64)
    last = max(int(end.max()), int(times.max(initial=0)))
    return pedal.fold_pedal(onset, end, pitch, *pedal.pedal_intervals(times, controls["value"][rows], last))


def _end_at_first_release(
    onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Where notes of a pitch overlap, symusic lets a release end the oldest; let it end all, as pretty_midi does."""
    order = np.argsort(pitch, kind="stable")
    starts, ends, pitches = onset.take(order), end.take(order), pitch.take(order)
    if not ((ends[:-1] > starts[1:]) & (pitches[:-1] == pitches[1:])).any():
        return end
    releases = np.sort((pitch.astype(np.int64) << 32) | end)
    after = np.searchsorted(releases, (pitch.astype(np.int64) << 32) | onset, side="right")
    first = releases[np.minimum(after, len(releases) - 1)] & 0xFFFFFFFF
    return np.where(end > onset, np.minimum(end, first), end)


def _tempo_map(score: Any, chunks: Chunks) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """int64 `[t]` ticks, the first 0, from which each of float64 `[t]` seconds per tick holds."""
    columns = score.tempos.numpy()
    ticks, microseconds = columns["time"].astype(np.int64), columns["mspq"]
    if (microseconds <= 0).any():
        raise MidiError("Its tempo is damaged: 0 microseconds to a quarter note, so that no time would pass.")
    # The same operations in the same order as pretty_midi's, for the same last bits.
    scales = 60.0 / ((6e7 / microseconds) * chunks.ticks_per_quarter)
    if not len(ticks) or ticks[0] > 0:
        ticks = np.concatenate(([0], ticks))
        scales = np.concatenate(([60.0 / (120.0 * chunks.ticks_per_quarter)], scales))
    if len(ticks) > 1:
        changed = np.concatenate(([True], scales[1:] != scales[:-1]))
        ticks, scales = ticks[changed], scales[changed]
    return ticks, scales


def _to_seconds(
    ticks: NDArray[np.int64], tempo_ticks: NDArray[np.int64], seconds_per_tick: NDArray[np.float64]
) -> NDArray[np.float64]:
    if len(tempo_ticks) == 1:
        return ticks.astype(np.float64) * seconds_per_tick[:1]
    starts = np.concatenate(([0.0], np.cumsum(seconds_per_tick[:-1] * np.diff(tempo_ticks))))
    segment = np.searchsorted(tempo_ticks, ticks, side="right") - 1
    seconds: NDArray[np.float64] = starts[segment] + seconds_per_tick[segment] * (ticks - tempo_ticks[segment])
    return seconds


def _merge(parts: list[_Part], tempo_ticks: NDArray[np.int64], seconds_per_tick: NDArray[np.float64]) -> Notes:
    if len(parts) == 1:
        (part,) = parts
        onset, end, pitch, velocity = part.onset, part.end, part.pitch, part.velocity
    else:
        onset = np.concatenate([part.onset for part in parts])
        end = np.concatenate([part.end for part in parts])
        pitch = np.concatenate([part.pitch for part in parts])
        velocity = np.concatenate([part.velocity for part in parts])
    place = (onset << 7) | pitch
    if (place[1:] < place[:-1]).any():  # seldom within one track, which symusic has sorted
        order = np.argsort(place, kind="stable")
        onset, end, pitch, velocity = onset[order], end[order], pitch[order], velocity[order]
    start_seconds = _to_seconds(onset, tempo_ticks, seconds_per_tick)
    end_seconds = _to_seconds(end, tempo_ticks, seconds_per_tick)
    return Notes(start_seconds, end_seconds - start_seconds, pitch, velocity)


def _plain(text: str) -> str:
    """One line without control characters, at most 80 characters."""
    cleaned = "".join(character if character.isprintable() else " " for character in text[: 4 * _LONGEST_NAME])
    return " ".join(cleaned.split())[:_LONGEST_NAME]
