"""Measuring a model, stage by stage, and searching one take for copies. Each stage is stored when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm.attributes import flag_modified

from core.datasets.corpus import Corpus
from core.errors import ConflictError
from core.evaluation.excerpts import excerpt
from core.evaluation.held_out import HeldOutPieces, held_out_pieces
from core.evaluation.results import music_results, originality_results
from core.models.base import utc_now
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation, SharedPassage
from core.models.generations import Take
from core.models.jobs import Job, Unit, UnitState
from core.music.notes import Notes
from core.records.database import announce
from core.services.comparability import chose_checkpoint
from core.services.evaluations import get_evaluation
from core.services.given import composed_part, given_notes
from core.services.lineage import trained_on
from core.services.models import stored_checkpoint
from core.services.originality import passage_of, pieces_used
from core.services.takes import take_notes
from worker.tasks.copies import opened, piece_ids, search_take, store_found
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

_STAGES = 4
_LOOK_SECONDS = 1.0
_PASSAGES_AT_ONCE = 50


def run(context: UnitContext) -> None:
    """Do what is missing of the unit's evaluation, or search its one take.

    Raises:
        ConflictError: the model, the dataset or the take was deleted, or there is no held-out piece.
        DeviceError: the device's memory does not hold the model.
        UnitInterrupted: the unit shall stop, or lets others go first; finished stages are kept.
    """
    if "take_id" in context.payload:
        search_take(context)
    else:
        _Measuring(context).run()


class _Measuring:
    """One attempt at one evaluation."""

    def __init__(self, context: UnitContext) -> None:
        self._context = context
        with context.database.reading() as session:
            self._evaluation = get_evaluation(session, int(context.payload["evaluation_id"]))
            self._trained_on = trained_on(session, self._evaluation.model_id)
            used = pieces_used(self._evaluation.model, self._trained_on) if self._trained_on else 0
            self._chose_checkpoint = chose_checkpoint(session, self._evaluation)
            self._priority = session.scalar(select(Job.priority).where(Job.id == context.job_id)) or 0
        self._pieces_used = used
        self._results: dict[str, Any] = dict(self._evaluation.results)
        self._corpora: dict[int, Corpus] = {}
        self._looked = time.monotonic()

    def run(self) -> None:
        if self._evaluation.finished_at is not None:
            return  # An earlier attempt did all but say so.
        dataset = self._evaluation.dataset
        if dataset is None:
            raise ConflictError("The dataset of this evaluation was deleted; evaluate the model on another one.")
        held_out = self._held_out(dataset)
        if "kind" not in self._results.get("likelihood", {}):
            self._measure_likelihood(held_out)
        if self._evaluation.generation_id is not None:
            self._compose()
            given = self._given()
            takes = self._takes(given)
            if "music" not in self._results:
                self._compare([notes for _, notes in takes], held_out.pieces, len(given))
            if "originality" not in self._results:
                self._search(takes, self._trained_on or dataset, len(given))
        with self._context.transaction() as session:
            session.get_one(Evaluation, self._evaluation.id).finished_at = utc_now()
            announce(session, f"model:{self._evaluation.model_id}", "evaluations", "models")

    def _held_out(self, dataset: Dataset) -> HeldOutPieces:
        self._context.progress(phase="loading the data")
        other = self._trained_on if self._trained_on is not None and self._trained_on.id != dataset.id else None
        split = self._evaluation.split
        return held_out_pieces(
            self._corpus(dataset),
            "test" if split == "test" else "validation",
            self._corpus(other) if other is not None else None,
            self._pieces_used,
        )

    def _measure_likelihood(self, held_out: HeldOutPieces) -> None:
        from core.evaluation.likelihood import (
            Likelihood,
            held_out_likelihood,
        )  # loads Keras, which a search never needs
        from core.evaluation.tutorial_loss import tutorial_held_out

        self._tell("reading held-out pieces", 1, 0, len(held_out.pieces), "pieces")
        checkpoint = stored_checkpoint(self._context.store, self._evaluation.model)
        if checkpoint.encoding == "tutorial":
            losses = tutorial_held_out(checkpoint, held_out.pieces, self._check)
            figures: dict[str, Any] = {"kind": "article", **losses, "pieces": len(held_out.pieces)}
        else:
            stored = self._results.get("likelihood", {}).get("so_far")
            begun = Likelihood(**stored) if stored else Likelihood()
            kept = begun.pieces

            def between(done: Likelihood) -> None:
                nonlocal kept
                if done.pieces > kept:
                    kept = done.pieces
                    so_far = {name: getattr(done, name) for name in Likelihood.__slots__}
                    self._store("likelihood", {"so_far": so_far})
                self._tell("reading held-out pieces", 1, done.pieces, len(held_out.pieces), "pieces")

            figures = {
                "kind": "events",
                **held_out_likelihood(checkpoint, held_out.pieces, between, begun, self._context.warn_once).figures(),
            }
        self._store("likelihood", {**figures, "seen": held_out.seen, "chose_checkpoint": self._chose_checkpoint})

    def _compose(self) -> None:
        generation = self._evaluation.generation
        assert generation is not None
        if generation.purpose and generation.takes_done < generation.takes_total:
            from worker.tasks.generation import compose_missing

            # A few at a time, so that others need not wait for all of them.
            step = 8 if self._priority < 0 else generation.takes_total
            for first in range(0, generation.takes_total, step):
                self._check()
                compose_missing(
                    self._context, generation.id, first, min(step, generation.takes_total - first), "2 of 4: composing"
                )

    def _longest_note_seconds(self) -> float | None:
        """After how long the takes' notes were released; None of a generation that is older than that limit."""
        generation = self._evaluation.generation
        limit = generation.settings.get("longest_note") if generation is not None else None
        return float(limit) if limit is not None else None

    def _given(self) -> Notes:
        generation = self._evaluation.generation
        return given_notes(self._context.store, generation) if generation is not None else Notes.empty()

    def _takes(self, given: Notes) -> list[tuple[Take, Notes]]:
        """Each take with what was composed of it."""
        statement = select(Take).where(Take.generation_id == self._evaluation.generation_id).order_by(Take.index)
        with self._context.database.reading() as session:
            rows = session.scalars(statement).all()
        takes = []
        for number, row in enumerate(rows):
            self._tell("reading the takes", 3, number, len(rows), "takes")
            takes.append((row, composed_part(take_notes(self._context.store, row), given)))
        return takes

    def _compare(self, composed: list[Notes], held_out: Sequence[Notes], given: int) -> None:
        def told(phase: str, done: int, total: int, unit: str) -> None:
            self._tell(phase, 3, done, total, unit)

        if given:
            # Where something was left out before them, they begin as the real excerpts do.
            composed = [excerpt(notes, 0, len(notes)) for notes in composed]
        found = music_results(composed, held_out, self._longest_note_seconds(), told)
        self._store("music", {**found, "given_notes": given})

    def _search(self, takes: list[tuple[Take, Notes]], dataset: Dataset, given: int) -> None:
        used = self._pieces_used
        originality = opened(self._context, dataset, lambda: self._corpus(dataset), self._told, used)
        pieces = piece_ids(self._context, dataset.id)
        rows: list[SharedPassage] = []
        for first in range(0, len(takes), _PASSAGES_AT_ONCE):
            part = []
            for number, (take, notes) in enumerate(takes[first : first + _PASSAGES_AT_ONCE], start=first):
                self._tell("searching for copies", 4, number, len(takes), "takes")
                part.append(passage_of(originality, take, notes, dataset.id, pieces))
            store_found(self._context, part)
            rows.extend(part)
        lengths = [len(notes) for _, notes in takes]
        found = originality_results([row.notes for row in rows], lengths, originality.unrelated)
        longest = max(rows, key=lambda row: row.notes, default=None)
        found.update(dataset_id=dataset.id, dataset_name=dataset.name, longest_take_id=longest and longest.take_id)
        found.update(pieces_used=used, given_notes=given)
        self._store("originality", found)

    def _corpus(self, dataset: Dataset) -> Corpus:
        if dataset.id not in self._corpora:
            self._corpora[dataset.id] = Corpus.from_bytes(self._context.store.read(dataset.corpus_key))
        return self._corpora[dataset.id]

    def _store(self, part: str, values: dict[str, Any]) -> None:
        """Keep a finished part, seen at once on open pages."""
        self._results[part] = values
        with self._context.transaction() as session:
            row = session.get_one(Evaluation, self._evaluation.id)
            row.results = {**row.results, part: values}
            flag_modified(row, "results")
            self._context.mark_progressed(session)
            announce(session, f"evaluation:{row.id}", f"model:{row.model_id}")

    def _told(self, phase: str, done: int, total: int) -> None:
        self._tell(phase, 4, done, total, "pieces")

    def _tell(self, phase: str, stage: int, done: float = 0, total: float = 0, unit: str = "") -> None:
        self._context.progress(phase=f"{stage} of {_STAGES}: {phase}", done=done, total=total, unit=unit)
        self._check()

    def _check(self) -> None:
        """Stop when asked to, or when something more important waits for this worker."""
        self._context.check()
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        better = exists().where(
            Unit.queue == self._context.claim.queue,
            Unit.state == UnitState.WAITING,
            Unit.priority > self._priority,
        )
        with self._context.database.reading() as session:
            if session.scalar(select(better)):
                # Given back without a strike: it goes on from its last finished part when its turn comes.
                raise UnitInterrupted(Interrupt.PAUSE)
