"""The results of an evaluation as they are stored: one part for each stage, under a version.

`likelihood`: `kind` is "events" (then `nats_per_event`, `nats_per_note`, `nats_per_second` and the sums `nats`,
`events`, `notes`, `seconds`, `pieces`) or "article" (then the article's `loss` and its parts); `seen` pieces.
`music`: see `music_results`. `originality`: see `originality_results`, with `dataset_id`, `dataset_name`,
`longest_take_id` and `pieces_used`: so many training pieces, the first, were searched, 0 for all. Both have
`given_notes`: with so many notes the takes had been given to begin with, which are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.defects import defects_of, hanging_from, per_thousand
from core.evaluation.excerpts import held_out_excerpts, random_music
from core.evaluation.features import FEATURES, features_of, table_of
from core.evaluation.overlap import overlap
from core.evaluation.unrelated import EXCERPT_NOTES, Unrelated
from core.music.notes import Notes

VERSION = 4
"""3 measured what a person gave takes to begin with, too, and held them against training pieces that their model's
training had left out; of all others it says the same. 2 had no transitions between note lengths. 1 counted as hanging
only notes of 15 s or more, which takes that are limited to 8 s cannot have, and flagged takes of any length from the
excerpts' 99th percentile on, which of few excerpts lies below the longest."""
SETS = ("takes", "real", "random")
"""What is held against the reference: the takes, real music beside them, random notes."""
_FEWEST_EXCERPTS = 32
# Of the takes of a large generation all are compared, with no more real and random music than tells how that is: the
# distances within it grow with its square.
_MOST_EXCERPTS = 1_000


def music_results(
    takes: Sequence[Notes],
    held_out: Sequence[Notes],
    longest_note_seconds: float | None,
    told: Callable[[str, int, int, str], None] = lambda *_: None,
) -> dict[str, Any]:
    """Measures and defects of takes, of real excerpts of their length and of random notes.

    The held-out pieces are cut into excerpts of as many notes as the takes have (their median), in two halves of
    different pieces. Takes, the second half and random notes are each compared with the first.

    Args:
        takes: what is measured.
        held_out: whole held-out pieces.
        longest_note_seconds: after how long the takes' notes were released at the latest; None where nothing did that.
        told: called with the phase, what is done, what there is to do and its unit; may raise to interrupt.

    Returns:
        `takes`, `notes`, `reference` and `real` (how many of each); `features`: for each name of
        `core.evaluation.features.FEATURES` and each of `SETS` the overlapping `area`, the `divergence` and, of a
        number, the `mean`; `overlap`: for each of `SETS` the mean area over the features that all have; `values`: the
        numbers themselves; `defects`: for each of `SETS` how many of 1,000 have each defect; `hanging_seconds`: from
        how many a note hangs, in all of them, None where `hanging` is not counted.
    """
    length = max(int(np.median([len(take) for take in takes])), 1) if takes else 1
    beside = min(len(takes), _MOST_EXCERPTS)
    real = held_out_excerpts(held_out, length, max(beside, _FEWEST_EXCERPTS))
    sets = dict(zip(SETS, (takes, real.beside, random_music(real.reference, beside)), strict=True))
    hanging_seconds = hanging_from(longest_note_seconds)
    total, measured = len(real.reference) + sum(map(len, sets.values())), 0

    def each_of(pieces: Sequence[Notes]) -> Iterator[Notes]:
        nonlocal measured
        for piece in pieces:
            told("measuring takes and real music", measured, total, "pieces")
            yield piece
            measured += 1

    reference = table_of([features_of(piece) for piece in each_of(real.reference)])
    tables, defects = {}, {}
    for name, pieces in sets.items():
        both = [(features_of(piece), defects_of(piece, hanging_seconds)) for piece in each_of(pieces)]
        tables[name] = table_of([features for features, _ in both])
        defects[name] = _finite(per_thousand([found for _, found in both], hanging_seconds))
    features = {}
    for number, name in enumerate(FEATURES):
        told("comparing with real music", number, len(FEATURES), "measures")
        features[name] = _compared(name, reference, tables)
    common = [parts for parts in features.values() if all("area" in parts[name] for name in SETS)]
    return {
        "takes": len(takes),
        "notes": length,
        "reference": len(real.reference),
        "real": len(real.beside),
        "features": features,
        "overlap": {name: float(np.mean([parts[name]["area"] for parts in common])) for name in SETS if common},
        "values": {
            name: {
                which: _rounded(table[name])
                for which, table in {**tables, "reference": reference}.items()
                if len(table[name])
            }
            for name, feature in FEATURES.items()
            if not feature.vector
        },
        "defects": defects,
        "hanging_seconds": hanging_seconds,
    }


def originality_results(shared: Sequence[int], notes: Sequence[int], unrelated: Unrelated) -> dict[str, Any]:
    """How much the takes share with training pieces, beside what unrelated real pieces share with them.

    Args:
        shared: notes of each take's longest shared passage.
        notes: of each take in all.
        unrelated: the same of excerpts of real pieces.

    Returns:
        What `Unrelated.as_json` gives, with `threshold` for takes of the usual length, `take_notes` (their median), and
        `excerpt_threshold` for excerpts; `takes`: the passages' lengths, ascending; `flagged`: how many takes reach the
        threshold of their own length, `flagged_per_thousand`.
    """
    usual = int(np.median(notes)) if len(notes) else EXCERPT_NOTES
    flagged = sum(each >= unrelated.threshold(length) for each, length in zip(shared, notes, strict=True))
    return {
        **unrelated.as_json(),
        "threshold": unrelated.threshold(usual),
        "take_notes": usual,
        "excerpt_threshold": unrelated.threshold(),
        "takes": sorted(int(each) for each in shared),
        "flagged": flagged,
        "flagged_per_thousand": 1000 * flagged / len(shared) if len(shared) else 0.0,
    }


def _compared(
    name: str, reference: dict[str, NDArray[np.float64]], tables: dict[str, dict[str, NDArray[np.float64]]]
) -> dict[str, dict[str, float]]:
    parts: dict[str, dict[str, float]] = {}
    for which, table in tables.items():
        rows = table[name]
        known = rows[np.isfinite(rows)]
        figures = {} if FEATURES[name].vector or not len(known) else {"mean": float(known.mean())}
        found = overlap(reference[name], rows) if len(rows) and len(reference[name]) else None
        if found is not None:
            figures.update(area=found.area, divergence=found.divergence)
        parts[which] = _finite(figures)
    return parts


def _finite(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _rounded(rows: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.5g}") for value in rows[:, 0] if math.isfinite(value)]
