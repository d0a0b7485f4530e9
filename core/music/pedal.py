"""The sustain pedal, folded into durations: a held key and a held pedal sound alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SUSTAIN_CONTROL = 64
PEDAL_DOWN = 64
"""Controller values from here on count as a pressed pedal (MIDI 1.0, controllers 64 to 69)."""

Ticks = NDArray[np.int64]


def pedal_intervals(times: Ticks, values: NDArray[np.integer], end: int) -> tuple[Ticks, Ticks]:
    """When the pedal was down, from the control changes of one channel.

    Args:
        times: int64 `[c]`, ascending, in any unit.
        values: `[c]`, 0 to 127, of controller 64, in the order of the file.
        end: when a pedal that is never released counts as released.

    Returns:
        presses, releases: int64 `[p]` each; the pedal is down from `presses[i]` up to, not including, `releases[i]`.
    """
    down = values >= PEDAL_DOWN
    changes = np.flatnonzero(down != np.concatenate(([False], down[:-1])))
    moments = times[changes]
    presses, releases = moments[0::2], moments[1::2]
    if len(releases) < len(presses):
        releases = np.append(releases, max(end, int(presses[-1])))
    return presses, releases


def fold_pedal(onset: Ticks, end: Ticks, pitch: NDArray[np.uint8], presses: Ticks, releases: Ticks) -> Ticks:
    """The ends of notes as they sound: one that ends while the pedal is down lasts until the pedal is released
    or the same pitch is struck again, whichever is first.

    At one instant the pedal moves before the keys: a note that ends as the pedal goes down is held, one that ends as
    it goes up is not (the order that note-seq's `apply_sustain_control_changes` uses). No note gets shorter.

    Args:
        onset: int64 `[n]`, ascending, of the keys of one channel, in any unit.
        end: int64 `[n]`, in the same unit.
        pitch: uint8 `[n]`, 0 to 127.
        presses, releases: as `pedal_intervals` gives them.

    Returns:
        int64 `[n]`, at least `end`.
    """
    if not len(presses) or not len(onset):
        return end
    interval = np.searchsorted(presses, end, side="right") - 1
    release = np.where(interval >= 0, releases[interval], 0)
    if (release <= end).all():
        return end
    return np.maximum(end, np.minimum(release, _next_onsets(onset, pitch)))


def _next_onsets(onset: Ticks, pitch: NDArray[np.uint8]) -> Ticks:
    """When the same pitch is struck next, strictly later; the largest int64 where it never is."""
    never = np.iinfo(np.int64).max
    order = np.argsort(pitch, kind="stable")  # a radix sort for bytes; onsets stay ascending within a pitch
    onsets, pitches = onset[order], pitch[order]
    later = np.append(onsets[1:], never)
    later[:-1][pitches[1:] != pitches[:-1]] = never
    together = np.flatnonzero(later == onsets)
    if len(together):  # several of one pitch at one instant share what follows the last of them
        lasts = np.flatnonzero(later != onsets)
        later[together] = later[lasts[np.searchsorted(lasts, together)]]
    result = np.empty_like(later)
    result[order] = later
    return result
