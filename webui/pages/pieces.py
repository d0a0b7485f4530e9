"""Pieces: the page of one, its notes and its file, and the search for a primer."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset, Piece
from core.music.names import pitch_name, program_name
from core.music.notes import Notes
from core.music.roll import roll_columns
from core.services.datasets import get_piece, original_midi, piece_notes
from core.services.paging import Page
from webui.context import current_services
from webui.pages.answers import number_arg, page
from webui.pages.files import forever, send_bytes

bp = Blueprint("pieces", __name__, url_prefix="/pieces")

_NOTES_PER_PAGE = 100
_FOUND_SHOWN = 20
# A chord's notes, and those that rounding moved, belong to the passage that one of them begins or ends.
_EDGE_SECONDS = 0.05


@bp.get("/<number:piece_id>")
def show(piece_id: int) -> Response:
    """Instruments, roll, player, notes."""
    services = current_services()
    with services.database.reading() as session:
        piece = get_piece(session, piece_id)
        before, after = _neighbours(session, piece)
        notes = piece_notes(services.store, piece)
        return page(
            "pieces/show.html",
            piece=piece,
            before=before,
            after=after,
            program=_program(piece),
            instruments=[
                {**instrument, "program_name": program_name(int(instrument.get("program", 0)))}
                for instrument in piece.instruments
            ],
            notes_page=note_rows(notes, number_arg("page")),
        )


@bp.get("/<number:piece_id>/notes.json")
def notes_json(piece_id: int) -> Response:
    """Columns for the roll and the player."""
    services = current_services()
    with services.database.reading() as session:
        piece = get_piece(session, piece_id)
        notes = piece_notes(services.store, piece)
    return forever(jsonify(notes_answer(notes)), request)


@bp.get("/<number:piece_id>/passage.json")
def passage(piece_id: int) -> Response:
    """The notes of a part, from `from_ms` to `to_ms`, for the roll and the player of a shared passage."""
    services = current_services()
    with services.database.reading() as session:
        piece = get_piece(session, piece_id)
        notes = piece_notes(services.store, piece)
    return forever(jsonify(passage_answer(notes)), request)


@bp.get("/<number:piece_id>/piece.mid")
def midi(piece_id: int) -> Response:
    """The file as it came."""
    services = current_services()
    with services.database.reading() as session:
        piece = get_piece(session, piece_id)
        data = original_midi(services.store, piece)
    return send_bytes(data, "audio/midi", f"{piece.title}.mid")


@bp.get("/search.json")
def search() -> Response:
    """A few pieces of all datasets whose title or composer has the words, and whether there are more."""
    words = request.args.get("search", "").strip()[:200]
    statement = select(Piece).join(Dataset).where(Dataset.ready)
    if words:
        columns = (Piece.title, Piece.composer)
        statement = statement.where(or_(*(column.icontains(words, autoescape=True) for column in columns)))
    with current_services().database.reading() as session:
        found = session.scalars(statement.order_by(Piece.id).limit(_FOUND_SHOWN + 1)).all()
    shown = [
        {"id": piece.id, "title": piece.title, "composer": piece.composer, "notes": piece.notes_count}
        for piece in found[:_FOUND_SHOWN]
    ]
    return jsonify({"pieces": shown, "more": len(found) > _FOUND_SHOWN})


def notes_answer(notes: Notes) -> dict[str, object]:
    """What rolls and players read: the columns and the length."""
    return {"seconds": round(notes.end_seconds, 3), **roll_columns(notes)}


def passage_answer(notes: Notes) -> dict[str, object]:
    """`notes_answer` of what begins between the request's `from_ms` and `to_ms`, moved to begin at 0."""
    begin, end = number_arg("from_ms", 0) / 1000, number_arg("to_ms", 0) / 1000
    part = notes[(notes.onset_seconds >= begin - _EDGE_SECONDS) & (notes.onset_seconds <= end + _EDGE_SECONDS)]
    first = part.onset_seconds[0] if len(part) else 0.0
    return notes_answer(Notes(part.onset_seconds - first, part.duration_seconds, part.pitch, part.velocity))


def note_rows(notes: Notes, number: int) -> Page[dict[str, object]]:
    """One page of the table of notes."""
    number = min(number, max(1, -(-len(notes) // _NOTES_PER_PAGE)))
    first = (number - 1) * _NOTES_PER_PAGE
    steps = notes.step_seconds[first : first + _NOTES_PER_PAGE].tolist()
    rows: list[dict[str, object]] = [
        {
            "number": first + place + 1,
            "name": pitch_name(pitch),
            "pitch": pitch,
            "onset": onset,
            "step": step,
            "duration": duration,
            "velocity": velocity,
        }
        for place, ((onset, duration, pitch, velocity), step) in enumerate(
            zip(notes[first : first + _NOTES_PER_PAGE], steps, strict=True)
        )
    ]
    return Page(rows, number, _NOTES_PER_PAGE, len(notes))


def _neighbours(session: Session, piece: Piece) -> tuple[int | None, int | None]:
    same = select(Piece.id).where(Piece.dataset_id == piece.dataset_id)
    before = session.scalar(same.where(Piece.index < piece.index).order_by(Piece.index.desc()).limit(1))
    after = session.scalar(same.where(Piece.index > piece.index).order_by(Piece.index).limit(1))
    return before, after


def _program(piece: Piece) -> int:
    """The instrument of most notes, since all pitched tracks are played as one."""
    pitched = [instrument for instrument in piece.instruments if not instrument.get("is_drum")]
    if not pitched:
        return 0
    return int(max(pitched, key=lambda instrument: int(instrument.get("notes", 0))).get("program", 0))
