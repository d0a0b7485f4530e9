"""Takes: look up, sort, star, annotate, list as a table, render as audio."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, joinedload

from core.artifacts import ArtifactStore
from core.errors import InputError, NotFoundError
from core.models.evaluations import SharedPassage
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobState, Queue
from core.music.notes import Notes
from core.music.reading import read_midi
from core.queue.enqueue import enqueue
from core.records.database import announce
from core.sampling.settings import GenerationSettings
from core.services.paging import Page, fetch_page, sort_column
from core.services.rows import locked, storable

LONGEST_REMARK = 2_000
AUDIO_FORMATS = {"wav": "audio/wav", "mp3": "audio/mpeg"}
TAKE_ORDERS = {
    "index": Take.index,
    "seed": Take.seed,
    "notes": Take.notes_count,
    "seconds": Take.seconds,
    "notes_per_second": Take.notes_per_second,
    "pitch_class_entropy": Take.pitch_class_entropy,
    "polyphony": Take.polyphony,
}


@dataclass(frozen=True, slots=True)
class TakeFilter:
    """Which takes of a generation; None is whichever.

    Attributes:
        starred: with a star.
        defect: with a defect.
        flagged: that share a passage with a training piece which unrelated music seldom shares; where nobody has
            searched, none does.
    """

    starred: bool | None = None
    defect: bool | None = None
    flagged: bool | None = None


ALL_TAKES = TakeFilter()


def find_takes(
    session: Session,
    generation_id: int,
    only: TakeFilter = ALL_TAKES,
    *,
    sort: str = "index",
    descending: bool = False,
    page: int = 1,
    per_page: int = 48,
) -> Page[Take]:
    """The takes of a generation, filtered, sorted by a measure, one page."""
    column = sort_column(dict(TAKE_ORDERS), sort)
    statement = select(Take).where(Take.generation_id == generation_id)
    total: int | None = None
    if only.starred is not None:
        statement = statement.where(Take.starred == only.starred)
    if only.defect is not None:
        statement = statement.where(Take.defect != "" if only.defect else Take.defect == "")
    if only.flagged is not None:
        copies = exists().where(SharedPassage.take_id == Take.id, SharedPassage.flagged)
        statement = statement.where(copies if only.flagged else ~copies)
    if only == ALL_TAKES:
        total = session.scalar(select(Generation.takes_done).where(Generation.id == generation_id)) or 0
    # Both columns in one direction, as the indexes have them: no sorting, however many takes have the same figure.
    columns = (column, Take.index) if column is not Take.index else (column,)
    ordered = statement.order_by(*(each.desc() if descending else each for each in columns))
    return fetch_page(session, ordered, page=page, per_page=per_page, total=total)


def get_take(session: Session, take_id: int) -> Take:
    """One take with its generation.

    Raises:
        NotFoundError: there is none of this number.
    """
    statement = select(Take).where(Take.id == take_id).options(joinedload(Take.generation))
    take = session.scalar(statement)
    if take is None:
        raise NotFoundError(f"There is no take {take_id}.")
    return take


def neighbours(session: Session, take: Take) -> tuple[int | None, int | None]:
    """The ids of the takes before and after one in its generation."""
    same = select(Take.id).where(Take.generation_id == take.generation_id)
    before = session.scalar(same.where(Take.index < take.index).order_by(Take.index.desc()).limit(1))
    after = session.scalar(same.where(Take.index > take.index).order_by(Take.index).limit(1))
    return before, after


def star_take(session: Session, take_id: int, starred: bool) -> Take:
    """Star a take, or take the star away."""
    take = _locked_take(session, take_id)
    take.starred = starred
    announce(session, f"take:{take.id}", f"generation:{take.generation_id}")
    return take


def annotate_take(session: Session, take_id: int, note: str) -> Take:
    """Write a remark beside a take; an empty one removes it.

    Raises:
        InputError: too long.
    """
    if len(note) > LONGEST_REMARK:
        raise InputError.of("note", f"note: {len(note)} characters are refused; allowed is at most {LONGEST_REMARK}.")
    take = _locked_take(session, take_id)
    take.note = storable(note).strip()
    announce(session, f"take:{take.id}", f"generation:{take.generation_id}")
    return take


def take_notes(store: ArtifactStore, take: Take) -> Notes:
    """The notes of a take, from its file."""
    return read_midi(store.read(take.midi_key), fold_pedal=False).notes


def take_file_name(take: Take, extension: str = "mid") -> str:
    """A file name that tells a take from all others of its generation."""
    return f"take-{take.index:05d}-seed-{take.seed}-t{take.temperature:g}.{extension}"


def takes_csv(generation: Generation, takes: Sequence[Take]) -> str:
    """One line a take: file, seed, settings, measures, star and remark."""
    settings = GenerationSettings.model_validate(generation.settings)
    shared = settings.model_dump(exclude={"seeds", "temperatures", "primer"})
    shared["primer_sha256"] = settings.primer.sha256 if settings.primer else ""
    shared["primer_notes"] = settings.primer.notes if settings.primer else 0
    names = sorted({name for take in takes for name in take.measures})
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(
        [
            "file",
            "index",
            "seed",
            "temperature",
            *shared,
            "model",
            "model_hash",
            *names,
            "defect",
            "starred",
            "note",
            "sha256",
        ]
    )
    for take in takes:
        measures = [take.measures.get(name, "") for name in names]
        writer.writerow(
            [
                take_file_name(take),
                take.index,
                take.seed,
                take.temperature,
                *shared.values(),
                _plain(generation.model_name),
                generation.model_hash,
                *measures,
                take.defect,
                int(take.starred),
                _plain(take.note),
                take.sha256,
            ]
        )
    return buffer.getvalue()


def audio_key(take: Take, extension: str) -> str:
    """Where a take's audio is stored; equal music shares one file."""
    return f"audio/{take.sha256[:2]}/{take.sha256}.{extension}"


def request_audio(
    session: Session, store: ArtifactStore, take_id: int, extension: str, owner: str = "local"
) -> Job | None:
    """Queue the rendering of a take as audio; None when the file is there already.

    Raises:
        InputError: a format other than `AUDIO_FORMATS`.
    """
    if extension not in AUDIO_FORMATS:
        raise InputError.of("format", f"format: {extension!r} is unknown; allowed are {', '.join(AUDIO_FORMATS)}.")
    # Locked: of two who ask at once the second finds the job of the first.
    take = _locked_take(session, take_id)
    if store.exists(audio_key(take, extension)):
        return None
    under_way = select(Job).where(
        Job.state.in_([JobState.QUEUED, JobState.RUNNING]),
        Job.kind == JobKind.AUDIO,
        Job.request["subject_id"].as_integer() == take.id,
        Job.request["format"].as_string() == extension,
    )
    if job := session.scalar(under_way.order_by(Job.id.desc()).limit(1)):
        return job
    return enqueue(
        session,
        kind=JobKind.AUDIO,
        queue=Queue.LIGHT,
        title=f"{extension.upper()} of seed {take.seed} from {take.generation.name}"[:200],
        owner=owner,
        payloads=[{"take_id": take.id, "format": extension}],
        request={
            "subject": "take",
            "subject_id": take.id,
            "generation_id": take.generation_id,
            "format": extension,
        },
        priority=1,
    )


_FORMULA_STARTS = frozenset(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def _plain(text: str) -> str:
    """Text that a spreadsheet does not run as a formula, its full-width forms included."""
    return "'" + text if text.lstrip(" ")[:1] in _FORMULA_STARTS else text


def _locked_take(session: Session, take_id: int) -> Take:
    take = locked(session, Take, take_id)
    if take is None:
        raise NotFoundError(f"There is no take {take_id}.")
    return take
