"""The results of an evaluation as they are stored: one part for each stage, under a version.

`likelihood`: `kind` is "events" (then `nats_per_event`, `nats_per_note`, `nats_per_second` and the sums `nats`,
`events`, `notes`, `seconds`, `pieces`) or "article" (then the article's `loss` and its parts); `seen` pieces.
`music`: see `music_results`. `originality`: see `originality_results`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.defects import defects_per_thousand
from core.evaluation.excerpts import held_out_excerpts, random_music
from core.evaluation.features import FEATURES, table_of
from core.evaluation.overlap import overlap
from core.evaluation.unrelated import Unrelated
from core.music.notes import Notes

VERSION = 1
SETS = ("takes", "real", "random")
"""What is held against the reference: the takes, real music beside them, random notes."""
_FEWEST_EXCERPTS = 32


def music_results(takes: Sequence[Notes], held_out: Sequence[Notes]) -> dict[str, Any]:
    """Measures and defects of takes, of real excerpts of their length and of random notes.

    The held-out pieces are cut into excerpts of as many notes as the takes have (their median), in two halves of
    different pieces. Takes, the second half and random notes are each compared with the first.

    Returns:
        `takes`, `notes`, `reference` and `real` (how many of each); `features`: for each name of
        `core.evaluation.features.FEATURES` and each of `SETS` the overlapping `area`, the `divergence` and, of a
        number, the `mean`; `overlap`: for each of `SETS` the mean area over the features that all have; `values`: the
        numbers themselves; `defects`: for each of `SETS` how many of 1,000 have each defect.
    """
    length = max(int(np.median([len(take) for take in takes])), 1) if takes else 1
    real = held_out_excerpts(held_out, length, max(len(takes), _FEWEST_EXCERPTS))
    sets = dict(zip(SETS, (takes, real.beside, random_music(real.reference, len(takes))), strict=True))
    reference = table_of(real.reference)
    tables = {name: table_of(pieces) for name, pieces in sets.items()}
    features = {name: _compared(name, reference, tables) for name in FEATURES}
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
        "defects": {name: _finite(defects_per_thousand(pieces)) for name, pieces in sets.items()},
    }


def originality_results(shared: Sequence[int], unrelated: Unrelated) -> dict[str, Any]:
    """How much the takes share with training pieces, beside what unrelated held-out pieces share with them.

    Args:
        shared: notes of each take's longest shared passage.
        unrelated: the same of held-out excerpts.
    """
    return {
        **unrelated.as_json(),
        "takes": sorted(int(notes) for notes in shared),
        "flagged": sum(notes >= unrelated.threshold for notes in shared),
        "flagged_per_thousand": 1000 * float(np.mean([notes >= unrelated.threshold for notes in shared]))
        if len(shared)
        else 0.0,
    }


def _compared(
    name: str, reference: dict[str, NDArray[np.float64]], tables: dict[str, dict[str, NDArray[np.float64]]]
) -> dict[str, dict[str, float]]:
    parts: dict[str, dict[str, float]] = {}
    for which, table in tables.items():
        rows = table[name]
        figures = {} if FEATURES[name].vector or not len(rows) else {"mean": float(np.nanmean(np.append(rows, np.nan)))}
        found = overlap(reference[name], rows) if len(rows) and len(reference[name]) else None
        if found is not None:
            figures.update(area=found.area, divergence=found.divergence)
        parts[which] = _finite(figures)
    return parts


def _finite(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _rounded(rows: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.5g}") for value in rows[:, 0] if math.isfinite(value)]
