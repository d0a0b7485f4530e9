"""Generations made from takes: more like one, the same again, a branch from one of its notes."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import InputError, NotFoundError
from core.models.generations import Generation, Take
from core.music.provenance import Provenance
from core.sampling.facts import sampler_version
from core.sampling.seeds import format_seeds, parse_seeds
from core.sampling.settings import LONGEST_NOTES, LONGEST_SECONDS, GenerationSettings
from core.services.generations import create_generation, get_generation
from core.services.models import model_by_hash, model_for
from core.services.primers import PrimerChoice, primer_choice_of


def more_like(session: Session, store: ArtifactStore, take_id: int, count: int = 8, owner: str = "local") -> Generation:
    """Queue `count` new takes with new random seeds and everything else as in a take."""
    take, generation = _take_and_generation(session, take_id)
    model = model_for(session, generation)
    values = {**generation.settings, "seeds": f"{count} random", "temperatures": [take.temperature]}
    primer = primer_choice_of(values)
    values.pop("primer", None)
    return create_generation(
        session,
        store,
        model_id=model.id,
        values=values,
        primer=primer,
        name=f"{count} more like seed {take.seed} of {generation.name}"[:200],
        owner=owner,
    )


def repeat_take(session: Session, store: ArtifactStore, take_id: int, owner: str = "local") -> Generation:
    """Queue a take once more: the same model, seed and settings, so the same bytes."""
    take, generation = _take_and_generation(session, take_id)
    settings = GenerationSettings.model_validate(generation.settings).of_take(take.temperature)
    values = settings.model_dump(mode="json")
    provenance = Provenance(generation.model_hash, take.seed, values, sampler_version(values))
    return repeat(session, store, provenance, owner=owner)


def repeat(session: Session, store: ArtifactStore, provenance: Provenance, owner: str = "local") -> Generation:
    """Queue the take that a provenance describes, such as one read from an uploaded MIDI file.

    Raises:
        InputError: the model or the primer is not here, or the settings or the sampler are of another version.
    """
    version = sampler_version(provenance.settings)
    if provenance.sampler != version:
        raise InputError.of(
            "sampler",
            f"sampler: this take was made by version {provenance.sampler[:20]!r} of the sampler, and version "
            f"{version!r} here would make other music of it; generate seed {provenance.seed} anew instead.",
        )
    is_hash = re.fullmatch("[0-9a-f]{64}", provenance.model_hash) is not None
    model = model_by_hash(session, provenance.model_hash) if is_hash else None
    if model is None:
        raise InputError.of(
            "model",
            f"model: the model {provenance.model_hash[:12]!r} that made this take is not here; "
            "upload its checkpoint first.",
        )
    values = dict(provenance.settings)
    primer = primer_choice_of(values)
    values.pop("primer", None)
    values.update(seeds=str(provenance.seed), temperatures=[values.pop("temperature", 1.0)])
    return create_generation(
        session,
        store,
        model_id=model.id,
        values=values,
        primer=primer,
        name=f"Repeat of seed {provenance.seed} by {model.name}"[:200],
        owner=owner,
    )


def branch_take(
    session: Session,
    store: ArtifactStore,
    take_id: int,
    note: int,
    *,
    count: int | None = None,
    seeds: str | None = None,
    length: float | None = None,
    owner: str = "local",
) -> Generation:
    """Queue new takes that begin with a take's first `note` notes and go on in other ways, all else as in the take.

    Args:
        session, store: of the installation.
        take_id, note: where the branches begin.
        count: how many, with new random seeds; 8 where neither it nor `seeds` is given.
        seeds: as of a generation, such as "0-7"; a take for each. The same ones give the same bytes.
        length: of what follows, in the take's unit; None lets it be as long as the take.
        owner: whose they are.

    Raises:
        NotFoundError: there is no such take.
        ConflictError: its model was deleted.
        InputError: `note` is not before the take's last one, or too small for a model that needs a longer primer; or
            the seeds are refused, or given beside a count.
    """
    take, generation = _take_and_generation(session, take_id)
    model = model_for(session, generation)
    least = int(model.settings.get("window", 1)) if model.encoding == "tutorial" else 1
    if not least <= note <= take.notes_count:
        raise InputError.of(
            "note",
            f"note: {note} is refused; a branch of this take can begin after note {least} to {take.notes_count}."
            if take.notes_count >= least
            else f"note: this take has {take.notes_count} notes, and its model continues {least} or more.",
        )
    drawn = _branch_seeds(count, seeds)
    values = {**generation.settings, "seeds": format_seeds(drawn), "temperatures": [take.temperature]}
    if length is None:
        of_notes = values.get("length_unit", "notes") == "notes"
        # The take's own time at that note is not known here; a share of its length comes close.
        left = take.notes_count - note if of_notes else take.seconds * (1 - note / take.notes_count)
        length = min(max(round(left), 16 if of_notes else 5), LONGEST_NOTES if of_notes else LONGEST_SECONDS)
    # The take's file has its tempo already.
    values.update(length=length, tempo_factor=1.0, join_primer=True)
    values.pop("primer", None)
    return create_generation(
        session,
        store,
        model_id=model.id,
        values=values,
        primer=PrimerChoice(kind="take", take_id=take_id, notes=note),
        name=f"{len(drawn):,} {'branch' if len(drawn) == 1 else 'branches'} of seed {take.seed} after note {note}"[
            :200
        ],
        owner=owner,
    )


def _branch_seeds(count: int | None, seeds: str | None) -> tuple[int, ...]:
    if seeds is not None and count is not None:
        raise InputError.of(
            "count", f"count: {count} is refused beside seeds, each of which gives a take; leave one out."
        )
    try:
        return parse_seeds(f"{8 if count is None else count} random" if seeds is None else seeds)
    except ValueError as error:
        raise InputError.of("seeds", str(error)) from None


def _take_and_generation(session: Session, take_id: int) -> tuple[Take, Generation]:
    take = session.get(Take, take_id)
    if take is None:
        raise NotFoundError(f"There is no take {take_id}.")
    return take, get_generation(session, take.generation_id)
