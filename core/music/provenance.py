"""Where a piece came from, carried as a text inside its MIDI file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from core.errors import MidiError
from core.music.chunks import find_chunks

_PREFIX = "Cadenza provenance "
_FORMAT = 1
_LONGEST_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Provenance:
    """What decides the bytes of a take: no date and no database id, so that equal music is equal bytes.

    Attributes:
        model_hash: the content hash of the model, lower-case hexadecimal.
        seed: 0 to 2^32 - 1.
        settings: the take's settings; JSON values only.
        sampler: name and version of the sampling code and arithmetic.
    """

    model_hash: str
    seed: int
    settings: dict[str, Any]
    sampler: str

    def to_text(self) -> str:
        """One line of ASCII: a prefix, the format's number and JSON with sorted keys and no spaces.

        Raises:
            ValueError: the settings hold what JSON cannot (NaN, infinities, objects), or more than 64 KB.
        """
        try:
            fields = {name: getattr(self, name) for name in self.__slots__}
            values = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except TypeError as error:
            raise ValueError(f"provenance holds JSON values only: {error}") from error
        text = f"{_PREFIX}{_FORMAT} {values}"
        if len(text) > _LONGEST_TEXT:
            raise ValueError(f"provenance of {len(text):,} characters is refused; at most {_LONGEST_TEXT:,} fit")
        return text


def read_provenance(data: bytes) -> Provenance:
    """Find and read the provenance in a MIDI file, wherever other programs may have moved its text.

    Raises:
        MidiError: not MIDI, no provenance inside, a damaged one, or one in a newer format.
    """
    find_chunks(data)
    start = data.find(_PREFIX.encode())
    if start < 0:
        raise MidiError(
            "This MIDI file carries no Cadenza provenance; only takes as Cadenza wrote them can be repeated."
        )
    text = data[start + len(_PREFIX) : start + _LONGEST_TEXT].decode("latin-1")
    number = re.match(r"(\d{1,6}) ", text)
    if number is None:
        raise _damaged("its format has no number")
    if int(number[1]) != _FORMAT:
        raise MidiError(
            f"The provenance in this MIDI file has format {number[1]}, from a newer Cadenza; this one reads format "
            f"{_FORMAT}. Update Cadenza to repeat this take."
        )
    try:
        values, _ = json.JSONDecoder().raw_decode(text, number.end())
    except (ValueError, RecursionError) as error:
        raise _damaged("it is not whole") from error
    return _checked(values)


def _checked(values: Any) -> Provenance:
    match values:
        case {"model_hash": str(model_hash), "seed": int(seed), "settings": dict(settings), "sampler": str(sampler)}:
            if 0 <= seed < 2**32 and not isinstance(seed, bool):
                return Provenance(model_hash, seed, settings, sampler)
            raise _damaged(f"its seed is {seed}, allowed is 0 to {2**32 - 1}")
    raise _damaged("it lacks the model, the seed, the settings or the sampler")


def _damaged(how: str) -> MidiError:
    return MidiError(f"The provenance in this MIDI file is damaged: {how}.")
