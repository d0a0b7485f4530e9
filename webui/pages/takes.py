"""Takes: the page of one, its picture, notes and files, star and remark, more like it, the same again."""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.evaluation.rules import take_threshold_rule
from core.fields import PersonSettings, setting
from core.models.jobs import JobState
from core.music.names import program_name
from core.music.roll import roll_svg
from core.operations.retention import note_downloads
from core.sampling.settings import LONGEST_NOTES
from core.services import takes as service
from core.services.given import given_count
from core.services.jobs import get_job
from core.services.lineage import is_same_music
from core.services.models import model_here
from core.services.originality import (
    dataset_behind,
    is_current,
    passages_of,
    pieces_used,
    request_originality,
    stored_unrelated,
)
from core.services.repeating import branch_take, more_like, repeat_take
from webui.access import names_others
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, page
from webui.pages.files import forever, send_bytes, send_stored
from webui.pages.generations import queued
from webui.pages.pieces import notes_answer, passage_answer
from webui.submission import send_tickets_for

bp = Blueprint("takes", __name__, url_prefix="/takes")

_MORE = 8


class BranchForm(PersonSettings):
    """What the form beside a take asks."""

    note: int = setting(..., "After note", "The first so many notes are kept.", ge=1, le=LONGEST_NOTES)
    count: int = setting(8, "Takes", "New takes with new random seeds, unless some are named.", ge=1, le=1_000)
    seeds: str | None = setting(None, "Seeds", "One take per seed, in place of so many takes.", max_length=200_000)
    length: float | None = setting(None, "Length", "What follows; as long as this take when empty.", ge=1)


@bp.get("/<number:take_id>")
def show(take_id: int) -> Response:
    """The large roll with the player, measures, provenance, remark, downloads."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
        before, after = service.neighbours(session, take)
        passages, behind = passages_of(session, take_id), dataset_behind(session, take.generation)
        own = [passage for passage in passages if is_same_music(passage.dataset, behind)]
        model = take.generation.model
        program = int(take.generation.settings.get("program", 0))
        return page(
            "takes/show.html",
            take=take,
            generation=take.generation,
            before=before,
            after=after,
            model_here=model_here(session, take.generation),
            program=program,
            instrument=program_name(program),
            passages=passages,
            behind=behind,
            own_passages=own,
            pieces_used=lambda passage: pieces_used(model, passage.dataset),
            given=given_count(services.store, take.generation),
            searched=any(is_current(passage) for passage in own),
            is_current=is_current,
            rule=lambda passage: take_threshold_rule(
                passage.threshold,
                stored_unrelated(services.store, passage.dataset, pieces_used(model, passage.dataset)),
            ),
        )


@bp.get("/<number:take_id>/roll.svg")
def roll(take_id: int) -> Response:
    """The small picture; its address carries the take's digest, so browsers keep it for good."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    picture = roll_svg(service.take_notes(services.store, take), title=f"Piano roll of seed {take.seed}")
    return forever(Response(picture, mimetype="image/svg+xml"), request)


@bp.get("/<number:take_id>/notes.json")
def notes_json(take_id: int) -> Response:
    """Columns for the roll and the player."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    return forever(jsonify(notes_answer(service.take_notes(services.store, take))), request)


@bp.get("/<number:take_id>/passage.json")
def passage(take_id: int) -> Response:
    """The notes of a part, from `from_ms` to `to_ms`, for the roll and the player of a shared passage."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    return forever(jsonify(passage_answer(service.take_notes(services.store, take))), request)


@bp.post("/<number:take_id>/search")
@names_others
def search(take_id: int) -> ResponseReturnValue:
    """Search the training pieces for the longest passage that it shares with one."""
    services = current_services()
    with services.database.transaction() as session:
        job = request_originality(session, take_id, current_actor().name)
    location = url_for("takes.show", take_id=take_id)
    if job is None:
        return done("That is known already.", location, reload=True)
    if job.state is JobState.QUEUED:
        send_tickets_for(services.settings, job)
    return done("The training pieces are being searched.", location)


@bp.get("/<number:take_id>/take.mid")
def midi(take_id: int) -> Response:
    """The MIDI file."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    note_downloads(services.database, take_ids=[take_id])
    return send_bytes(services.store.read(take.midi_key), "audio/midi", service.take_file_name(take))


@bp.post("/<number:take_id>/star")
def star(take_id: int) -> ResponseReturnValue:
    """Star it, or take the star away."""
    with current_services().database.transaction() as session:
        take = service.star_take(session, take_id, request.form.get("starred") == "1")
    return done("", url_for("takes.show", take_id=take_id), starred=take.starred)


@bp.post("/<number:take_id>/note")
def note(take_id: int) -> ResponseReturnValue:
    """Write a remark beside it."""
    text = request.form.get("note", "").replace("\r\n", "\n")
    with current_services().database.transaction() as session:
        service.annotate_take(session, take_id, text)
    return done("The note is saved.", url_for("takes.show", take_id=take_id))


@bp.post("/<number:take_id>/more")
@names_others
def more(take_id: int) -> ResponseReturnValue:
    """Queue more takes with new seeds and the same settings."""
    services = current_services()
    with services.database.transaction() as session:
        generation = more_like(session, services.store, take_id, _MORE, current_actor().name)
    return queued(generation)


@bp.post("/<number:take_id>/branch")
@names_others
def branch(take_id: int) -> ResponseReturnValue:
    """Queue takes that begin with this one's first notes."""
    services = current_services()
    chosen = BranchForm.parse({name: text for name in BranchForm.model_fields if (text := request.form.get(name))})
    with services.database.transaction() as session:
        generation = branch_take(
            session,
            services.store,
            take_id,
            chosen.note,
            count=chosen.count if chosen.seeds is None else None,
            seeds=chosen.seeds,
            length=chosen.length,
            owner=current_actor().name,
        )
    return queued(generation)


@bp.post("/<number:take_id>/repeat")
@names_others
def repeat(take_id: int) -> ResponseReturnValue:
    """Queue the same take once more."""
    services = current_services()
    with services.database.transaction() as session:
        generation = repeat_take(session, services.store, take_id, current_actor().name)
    return queued(generation)


@bp.post("/<number:take_id>/audio/<extension>")
@names_others
def request_audio(take_id: int, extension: str) -> ResponseReturnValue:
    """Ask for the take as audio: there already, or a job that makes it. With `job_id`, only look how that stands."""
    services = current_services()
    file = url_for("takes.audio", take_id=take_id, extension=extension)
    asked = request.form.get("job_id", "")
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        return jsonify({**_standing(take_id, extension, int(asked)), "file": file})
    with services.database.transaction() as session:
        job = service.request_audio(session, services.store, take_id, extension, current_actor().name)
    if job is None:
        return done("", file, ready=True, file=file)
    if job.state is JobState.QUEUED:
        send_tickets_for(services.settings, job)
    location = url_for("jobs.show", job_id=job.id)
    return done("The audio is being rendered.", location, ready=False, job_id=job.id, file=file)


@bp.get("/<number:take_id>/take.<extension>")
def audio(take_id: int, extension: str) -> Response:
    """The audio file, once its job has made it."""
    services = current_services()
    if extension not in service.AUDIO_FORMATS:
        abort(404, f"There is no {extension[:10]!r} of a take; allowed are mid, {', '.join(service.AUDIO_FORMATS)}.")
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    key = service.audio_key(take, extension)
    if not services.store.exists(key):
        abort(404, f"The {extension.upper()} of this take is not rendered yet; ask for it on the take's page.")
    note_downloads(services.database, take_ids=[take_id])
    name = service.take_file_name(take, extension)
    return send_stored(services.store, key, service.AUDIO_FORMATS[extension], name)


def _standing(take_id: int, extension: str, job_id: int) -> dict[str, object]:
    """Whether the audio is there, or why it will not come."""
    services = current_services()
    with services.database.reading() as session:
        take, job = service.get_take(session, take_id), get_job(session, job_id)
    if services.store.exists(service.audio_key(take, extension)):
        return {"ready": True}
    failed = job.error or ("The rendering was cancelled." if job.state.is_final else "")
    return {"ready": False, "failed": failed}
