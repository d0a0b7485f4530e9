"""Which stored figures of takes still say what they would say today, and from which version on."""

from __future__ import annotations

from core.evaluation.originality import VERSION as PASSAGES_VERSION
from core.evaluation.results import VERSION as RESULTS_VERSION
from core.models.evaluations import Evaluation, SharedPassage
from core.models.generations import Generation
from core.models.trainings import Model
from core.services.given import begins_with_primer

# Version 3 of passages and 4 of results leave out what takes were given, and training pieces that were not used. What
# was found before of takes and models without these says the same.
_PASSAGES_BEFORE, _RESULTS_BEFORE = 2, 3


def passages_stand_from(generation: Generation) -> int:
    """Passages of its takes of an earlier version than this may be of notes or pieces that do not count."""
    of_other_notes = begins_with_primer(generation.settings) or _is_limited(generation.model)
    return PASSAGES_VERSION if of_other_notes else 0


def is_current(passage: SharedPassage) -> bool:
    """Whether a passage that stands was searched as it would be today; an older one may have missed a longer one."""
    return passage.version >= _PASSAGES_BEFORE


def definitions_of(evaluation: Evaluation) -> int:
    """The version of the definitions that an evaluation's figures agree with."""
    if evaluation.version != _RESULTS_BEFORE or _says_something_else_today(evaluation):
        return evaluation.version
    return RESULTS_VERSION


def _says_something_else_today(evaluation: Evaluation) -> bool:
    """Of takes that were deleted since nobody knows with what they began."""
    generation, results = evaluation.generation, evaluation.results
    if "music" in results and (generation is None or begins_with_primer(generation.settings)):
        return True
    return "originality" in results and _is_limited(evaluation.model)


def _is_limited(model: Model | None) -> bool:
    """Whether its training may have read a part of the training pieces only."""
    return model is not None and bool(model.settings.get("files"))
