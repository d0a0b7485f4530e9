"""The rules behind two stored figures in a sentence each, true of results of every version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.evaluation.defects import HANGING_SECONDS


def hanging_rule(music: Mapping[str, Any]) -> str:
    """What counts as a hanging note in stored `core.evaluation.results.music_results`."""
    if "hanging_seconds" not in music:  # version 1
        return (
            f"A note of {HANGING_SECONDS:g} s or more. Measured before notes were counted that only the takes' own "
            "limit ended, so it says little: evaluate again."
        )
    seconds = music["hanging_seconds"]
    if seconds is None:
        return "Not counted: these takes were limited to notes so short that none could hang."
    limited = ", which is where the takes' own limit ends one whose release was forgotten"
    return f"A note of {seconds:g} s or more{limited if seconds < HANGING_SECONDS else ''}."


def threshold_rule(originality: Mapping[str, Any]) -> str:
    """From how many shared notes on a take was flagged, and how many real excerpts that stands on."""
    threshold, lengths = originality["threshold"], originality["lengths"]
    notes = originality.get("take_notes")
    of_excerpts = originality.get("excerpt_threshold", threshold)  # version 1 had one for takes of any length
    flagged = f"A take is flagged from {threshold} shared notes on"
    if not lengths:
        return f"{flagged}, by default: there is no unrelated held-out piece here that would tell what is usual."
    reached = sum(each >= of_excerpts for each in lengths)
    excerpts = f"{len(lengths)} {'excerpt' if len(lengths) == 1 else 'excerpts'} of unrelated held-out pieces"
    share = f"{reached or 'none'} of {excerpts} {'share' if reached > 1 else 'shares'}"
    if of_excerpts == threshold:
        return f"{flagged}: {share} as many."
    room = "more room for a shared passage" if threshold > of_excerpts else "less room for a shared passage"
    return f"{flagged}: {share} {of_excerpts} or more in 200 notes, and {notes:,} notes have {room}."
