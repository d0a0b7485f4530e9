"""Primers: the music that a take continues, kept by its content so that any take can be made again."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import InputError, MidiError, StorageError
from core.fields import PersonSettings, setting
from core.models.datasets import Dataset, Piece
from core.models.generations import Generation, Take
from core.models.trainings import Model
from core.models.uploads import Upload
from core.music.reading import read_midi
from core.people.audit import acting
from core.sampling.settings import PrimerSettings
from core.services.datasets import original_midi
from core.services.lineage import trained_on
from core.services.uploads import may_use

_COPIES_TRIED = 5
_LARGEST_NUMBER = 2**31 - 1


class PrimerChoice(PersonSettings):
    """Where a person takes a primer from."""

    kind: Literal["default", "none", "piece", "upload", "take", "stored"] = setting(
        "default",
        "Primer",
        choices={
            "default": "the model's usual one",
            "none": "none",
            "piece": "a piece",
            "upload": "an uploaded file",
            "take": "a take",
            "stored": "one used before",
        },
    )
    piece_id: int = setting(0, "Piece", "Number of the piece.", ge=0, le=_LARGEST_NUMBER)
    upload_id: int = setting(0, "Upload", "Number of the uploaded file.", ge=0, le=_LARGEST_NUMBER)
    take_id: int = setting(0, "Take", "Number of the take.", ge=0, le=_LARGEST_NUMBER)
    sha256: str = setting("", "Content", "Digest of a primer used before.", max_length=64)
    notes: int = setting(25, "Primer notes", "Notes taken from its start.", unit="notes", ge=1, le=20_000)


@dataclass(frozen=True, slots=True)
class ResolvedPrimer:
    """A primer whose file is stored under `key`."""

    settings: PrimerSettings
    key: str
    title: str


def resolve_primer(session: Session, store: ArtifactStore, choice: PrimerChoice, model: Model) -> ResolvedPrimer | None:
    """Find, check and store the chosen primer's file; None when there is none.

    Raises:
        InputError: no such piece or file, too few notes, or a model that cannot do without.
    """
    needed = int(model.settings.get("window", 0)) if model.encoding == "tutorial" else 0
    if choice.kind == "default":
        if not needed:
            return None
        choice = _default_piece(session, model, needed)
    if choice.kind == "none":
        if needed:
            raise InputError.of(
                "primer",
                f"primer: 'none' is refused; a {model.family} model continues a piece of {needed} notes or more.",
            )
        return None
    data, title = _file_of(session, store, choice)
    wanted = max(choice.notes, needed)
    try:
        available = len(read_midi(data).notes)
    except MidiError as error:
        raise InputError.of("primer", f"primer: {title!r} cannot be used: {error}") from error
    if available < wanted:
        raise InputError.of("notes", f"notes: {title!r} has {available} notes; a primer of {wanted} is needed.")
    digest = hashlib.sha256(data).hexdigest()
    key = primer_key(digest)
    # Written even if it is there: the sweep leaves alone what is young, and this one will be needed in a moment.
    store.write(key, data)
    return ResolvedPrimer(PrimerSettings(sha256=digest, notes=wanted), key, title)


def primer_key(sha256: str) -> str:
    """Where a primer's file is stored."""
    return f"primers/{sha256}.mid"


def _default_piece(session: Session, model: Model, needed: int) -> PrimerChoice:
    own, piece_id = trained_on(session, model.id), None
    if own is not None:
        statement = (
            select(Piece.id)
            .where(Piece.dataset_id == own.id, Piece.notes_count >= needed)
            .order_by((Piece.split == "validation").desc(), Piece.index)
            .limit(1)
        )
        piece_id = session.scalar(statement)
    if piece_id is None:
        anywhere = (
            select(Piece.id)
            .join(Dataset)
            .where(Dataset.ready, Piece.notes_count >= needed)
            .order_by(Piece.dataset_id, Piece.index)
            .limit(1)
        )
        piece_id = session.scalar(anywhere)
    if piece_id is None:
        raise InputError.of(
            "primer",
            f"primer: a {model.family} model continues a piece of {needed} notes or more, and there is none; "
            "import a dataset or upload a MIDI file.",
        )
    return PrimerChoice(kind="piece", piece_id=piece_id, notes=needed)


def _file_of(session: Session, store: ArtifactStore, choice: PrimerChoice) -> tuple[bytes, str]:
    if choice.kind == "piece":
        piece = session.get(Piece, choice.piece_id)
        if piece is None:
            raise InputError.of(
                "piece_id", f"piece_id: there is no piece {choice.piece_id}; choose one from a dataset."
            )
        return original_midi(store, piece), piece.title
    if choice.kind == "upload":
        upload = session.get(Upload, choice.upload_id)
        if (
            upload is None or not upload.sha256 or not may_use(session, upload)
        ):  # one without a digest is still arriving
            raise InputError.of(
                "upload_id", f"upload_id: there is no uploaded file {choice.upload_id}; upload it again."
            )
        return store.read(upload.key), upload.file_name
    if choice.kind == "take":
        take = session.get(Take, choice.take_id)
        if take is None or not acting(session).may_see(take.generation.owner):
            raise InputError.of("take_id", f"take_id: there is no take {choice.take_id}.")
        return store.read(take.midi_key), f"seed {take.seed} of {take.generation.name}"
    return _stored_file(session, store, choice.sha256.lower(), choice.sha256)


def _stored_file(session: Session, store: ArtifactStore, digest: str, given: str) -> tuple[bytes, str]:
    """A primer used before, by its content: kept as such, or a piece of the same bytes."""
    if len(digest) != 64 or not all(letter in "0123456789abcdef" for letter in digest):
        raise InputError.of("sha256", f"sha256: {given[:70]!r} is no digest; 64 hexadecimal digits are needed.")
    stored = select(Generation.primer_title).where(Generation.primer_key == primer_key(digest))
    title = session.scalar(stored.order_by(Generation.id.desc()).limit(1)) or "earlier primer"
    with suppress(StorageError):
        data = store.read(primer_key(digest))
        if hashlib.sha256(data).hexdigest() == digest:
            return data, title
    for piece in session.scalars(select(Piece).where(Piece.sha256 == digest).limit(_COPIES_TRIED)):
        with suppress(StorageError):
            data = original_midi(store, piece)
            if hashlib.sha256(data).hexdigest() == digest:
                return data, piece.title
    raise InputError.of(
        "sha256", f"sha256: the primer {digest[:12]} is not here any more; import the dataset that it came from."
    )


def primer_choice_of(settings: dict[str, Any]) -> PrimerChoice:
    """The choice that repeats the primer of stored take settings.

    Raises:
        InputError: they hold something else, such as those of a file that somebody made up.
    """
    primer = settings.get("primer")
    if primer is None:
        return PrimerChoice(kind="none")
    if not isinstance(primer, dict):
        raise InputError.of("primer", f"primer: {str(primer)[:60]!r} is refused; a digest and a number are needed.")
    checked = PrimerSettings.parse(primer)
    return PrimerChoice(kind="stored", sha256=checked.sha256, notes=checked.notes)
