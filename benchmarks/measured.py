"""One model measured as an evaluation measures it, without an installation: the same functions, the same figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from core.datasets.corpus import Corpus, Split
from core.evaluation.held_out import held_out_pieces
from core.evaluation.likelihood import held_out_likelihood
from core.evaluation.originality import longest_shared
from core.evaluation.passages import PassageIndex
from core.evaluation.results import music_results, originality_results
from core.evaluation.unrelated import unrelated_passages
from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes
from core.sampling.composer import Composer
from core.sampling.facts import least_primer_notes
from core.sampling.settings import TakeSettings

TAKE_NOTES = 200
_TAKE = TakeSettings(length=TAKE_NOTES)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model is worth.

    Attributes:
        likelihood: as `core.evaluation.likelihood.Likelihood.figures` gives it; empty for `tutorial`.
        music, originality: as `core.evaluation.results` gives them.
        notes_per_second: of all takes together, composed on this machine after the loop was compiled.
    """

    likelihood: dict[str, float]
    music: dict[str, Any]
    originality: dict[str, Any]
    notes_per_second: float


def measure(checkpoint: Checkpoint, corpus: Corpus, takes: int, split: Split = "validation") -> Measured:
    """Read the held-out pieces, compose takes of 200 notes with the seeds from 0 on, and look at them.

    Args:
        checkpoint: of any family; `tutorial` continues the first held-out piece that is long enough.
        corpus: whose training pieces the model was trained on.
        takes: how many to compose.
        split: which pieces are held out.
    """
    held_out = held_out_pieces(corpus, split).pieces
    likelihood: dict[str, float] = {}
    if checkpoint.encoding == "performance":
        likelihood = held_out_likelihood(checkpoint, held_out, lambda _: None).figures()
    composed, notes_per_second = _compose(checkpoint, held_out, takes)
    train = corpus.training_pieces(checkpoint.settings.get("files", 0))
    index = PassageIndex.build(list(train.values()), list(train))
    found = [longest_shared(take, index) for take in composed]
    shared, notes = [passage.notes if passage else 0 for passage in found], [len(take) for take in composed]
    return Measured(
        likelihood,
        music_results(composed, held_out, _TAKE.longest_note),
        originality_results(shared, notes, unrelated_passages(held_out, index, train)),
        notes_per_second,
    )


def _compose(checkpoint: Checkpoint, held_out: list[Notes], takes: int) -> tuple[list[Notes], float]:
    composer, composed = Composer(checkpoint), list[Notes]()
    needed = least_primer_notes(checkpoint.family_settings)
    primer = next(piece for piece in held_out if len(piece) >= needed)[slice(0, needed)] if needed else None
    composer.warm_up()
    requests = [(seed, 1.0) for seed in range(takes)]
    # The first block compiles what the later ones use.
    composer.compose(requests[:8], TakeSettings(length=20), primer, lambda *_: None, lambda: False)
    before = time.monotonic()
    composer.compose(requests, _TAKE, primer, lambda _, notes: composed.append(notes), lambda: False)
    return composed, sum(map(len, composed)) / (time.monotonic() - before)
