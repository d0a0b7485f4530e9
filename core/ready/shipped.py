"""Reading the shipped checkpoint and what its card says. Light: no Keras in here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_CARD = "chorales.md"
_CHECKPOINT = "chorales.cadenza"
_FENCE = "---\n"


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """What is known of the shipped model without reading its weights.

    Attributes:
        name: what it is called when it is added.
        content_hash: of its checkpoint; whoever has a model of this content has this one.
        dataset_name: what it was trained on, in words.
        dataset_hash: content hash of that dataset, by which an import of the same music is known.
        card: data, licence, figures and limits, as Markdown without the fields above.
    """

    name: str
    content_hash: str
    dataset_name: str
    dataset_hash: str
    card: str

    def to_text(self) -> str:
        """The card's file: the fields between two fences, then the text."""
        fields = ((name, getattr(self, name)) for name in self.__slots__ if name != "card")
        return _FENCE + "".join(f"{name}: {value}\n" for name, value in fields) + _FENCE + "\n" + self.card

    @classmethod
    def from_text(cls, text: str) -> ReadyModel:
        """Read back what `to_text` wrote.

        Raises:
            ValueError: a field is missing.
        """
        _, head, card = text.split(_FENCE, 2)
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        try:
            return cls(**fields, card=card.lstrip("\n"))
        except TypeError as error:
            raise ValueError(f"the card's fields are not those of a ready model: {error}") from None


@lru_cache(maxsize=1)
def ready_model() -> ReadyModel:
    """The model that comes with this version."""
    return ReadyModel.from_text(files(__package__).joinpath(_CARD).read_text(encoding="utf-8"))


def ready_checkpoint() -> bytes:
    """Its checkpoint, as a download of a model gives it; some megabytes."""
    return files(__package__).joinpath(_CHECKPOINT).read_bytes()


def card_of(content_hash: str) -> str:
    """The card of a model of this content, as Markdown; empty for all but the shipped one."""
    ready = ready_model()
    return ready.card if content_hash == ready.content_hash else ""
