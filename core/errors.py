"""The one family of errors that Cadenza raises on purpose.

Every message is a sentence that a person can act on: it quotes the offending value and what is allowed.
Pages, API and command line show the message as it stands; anything outside this family is a bug and
is shown with its traceback instead.
"""

from __future__ import annotations

from dataclasses import dataclass


class CadenzaError(Exception):
    """Base of all errors raised on purpose; `str(error)` is a sentence for people."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One refused field of a request: its name as the forms show it and a sentence with the allowed range."""

    field: str
    message: str


class InputError(CadenzaError):
    """Refused input; `problems` names every refused field. Answered as HTTP 422."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, field: str, message: str) -> InputError:
        """An error about one field."""
        return cls(FieldProblem(field, message))


class NotFoundError(CadenzaError):
    """What was asked for does not exist (any more). Answered as HTTP 404."""


class ConflictError(CadenzaError):
    """The request is valid but does not fit the present state, such as deleting what is in use. HTTP 409."""


class SignInError(CadenzaError):
    """Nobody is signed in, or the name, password or token is wrong. Answered as HTTP 401."""


class AccessError(CadenzaError):
    """The one who asks may not do this; the message says who may. Answered as HTTP 403."""


class LimitError(ConflictError):
    """An owner has as much as an administrator allows; the message says which limit and when it frees. HTTP 409."""


class MidiError(CadenzaError):
    """A MIDI file cannot be used; the message says why."""


class ArchiveError(CadenzaError):
    """A zip is refused as a whole: traversal, links, expansion, damage."""


class DownloadError(CadenzaError):
    """A download failed for good: wrong size, wrong digest, refused or unreachable."""


class CheckpointError(CadenzaError):
    """A checkpoint is damaged, of another version, or does not fit."""


class TrainingError(CadenzaError):
    """A training cannot go on, such as a loss that became NaN; the message says what to change."""


class DeviceError(CadenzaError):
    """A device cannot do what is asked of it, such as hold a model in its memory."""


class StorageError(CadenzaError):
    """An artifact cannot be stored or read."""


class SupersededError(CadenzaError):
    """A worker's write was refused because its unit has moved on (another attempt, cancelled, deleted)."""
