"""The rules behind stored figures in a sentence each, true of results of every version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.defects import HANGING_SECONDS
from core.evaluation.unrelated import EXCERPT_NOTES, Unrelated


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
    grounds = _grounds(threshold, of_excerpts, lengths, originality.get("of_training", 0), f"{notes or 0:,} notes have")
    return f"A take is flagged from {threshold} shared notes on{grounds}"


def take_threshold_rule(threshold: int, unrelated: Unrelated | None) -> str:
    """From how many shared notes on one take is flagged, and how many real excerpts that stands on.

    Args:
        threshold: of takes of this one's length, as it was stored beside its passage.
        unrelated: of the dataset that the take was held against; None where that is not known.
    """
    flagged = f"A take of its length is flagged from {threshold} shared notes on"
    if unrelated is None:
        return f"{flagged}."
    grounds = _grounds(
        threshold, unrelated.threshold(), unrelated.lengths, unrelated.of_training, "this take's length has"
    )
    return f"{flagged}{grounds}"


def _grounds(threshold: int, of_excerpts: int, lengths: Sequence[int], of_training: int, this_long: str) -> str:
    if not lengths:
        return ", by default: there is no unrelated real piece here that would tell what is usual."
    held_out = len(lengths) - of_training
    sources = [f"{held_out} held out"] if held_out else []
    sources += [f"{of_training} of training pieces, each held against all others"] if of_training else []
    reached = sum(each >= of_excerpts for each in lengths)
    excerpts = f"{len(lengths)} {'excerpt' if len(lengths) == 1 else 'excerpts'} of unrelated real pieces"
    share = f"{reached or 'none'} of {excerpts} ({', '.join(sources)}) {'share' if reached > 1 else 'shares'}"
    if of_excerpts == threshold:
        return f": {share} as many."
    room = "more room for a shared passage" if threshold > of_excerpts else "less room for a shared passage"
    return f": {share} {of_excerpts} or more in {EXCERPT_NOTES} notes, and {this_long} {room}."
