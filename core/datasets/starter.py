"""The starter dataset: Bach's four-part chorales from the corpus that music21 brings, as a zip of MIDI files."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import secrets
import struct
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from core.datasets.musicxml import TICKS_PER_QUARTER, ScoreNote, ScorePart, read_musicxml
from core.datasets.waiting import alone
from core.errors import CadenzaError

STARTER_TABLE = "chorales.csv"
COMPOSER = "Johann Sebastian Bach"
# Grows when the same version of music21 gives other bytes here, so that no older zip is used.
_CONVERSION = 1
_VOICES = ("Soprano", "Alto", "Tenor", "Bass")
_FEWEST_PARTS = 4
# Few of the scores say a tempo. At 100 quarter notes a minute every note down to the thirty-second (75 ms apart)
# keeps its length on the 10 ms grid of the performance encoding to within its rounding, sixteenths (150 ms) exactly.
_MICROSECONDS_PER_QUARTER = 600_000
_VELOCITY = 80
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def starter_zip(
    cache_dir: Path,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    check: Callable[[], None] = lambda: None,
) -> Path:
    """The zip of the chorales with a table of their titles; made once, then found in `cache_dir`.

    Equal versions of music21 give equal bytes.

    Args:
        cache_dir: folder of what can be made again.
        progress: called with files done and files in all.
        check: called between files; what it raises ends the work.

    Raises:
        CadenzaError: music21 is not installed on this machine.
    """
    folder = _corpus_folder()
    version = re.sub(r"[^\w.]", "-", metadata.version("music21"))
    target = cache_dir / f"chorales-{version}-{_CONVERSION}.zip"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with alone(cache_dir / "chorales.lock", check):
        if not target.exists():
            for rest in cache_dir.glob("chorales-*.part"):
                rest.unlink()
            aside = cache_dir / f"{target.stem}-{secrets.token_hex(4)}.part"
            try:
                _convert(folder, aside, progress, check)
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)
    return target


def _corpus_folder() -> Path:
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise CadenzaError(
            "The starter dataset needs the package music21, which is not installed on this worker's machine; "
            "install cadenza with the extra cpu or gpu."
        )
    return Path(found.submodule_search_locations[0]) / "corpus"


def _convert(folder: Path, target: Path, progress: Callable[[int, int], None], check: Callable[[], None]) -> None:
    scores = sorted((folder / "bach").glob("bwv*.mxl"), key=lambda path: _number(path.stem))
    titles = _titles(folder / "chorales.py")
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["canonical_composer", "canonical_title", "split", "year", "midi_filename"])
    written = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for done, path in enumerate(scores):
            check()
            progress(done, len(scores))
            parts = _voices(read_musicxml(path.read_bytes()))
            music = tuple(sorted(note for part in parts for note in part.notes))
            if len(parts) < _FEWEST_PARTS or music in written:
                continue  # The corpus' folder holds a prelude, and three chorales twice.
            written.add(music)
            name = f"{path.stem}.mid"
            archive.writestr(zipfile.ZipInfo(name, _NO_DATE), _write_parts(parts), zipfile.ZIP_DEFLATED)
            number = path.stem.removeprefix("bwv")
            title = titles.get(number) or titles.get(re.sub(r"-(sc|s|inst|lpz)$", "", number), "")
            rows.writerow([COMPOSER, f"BWV {number}" + (f" {title}" if title else ""), "", "", name])
        archive.writestr(zipfile.ZipInfo(STARTER_TABLE, _NO_DATE), table.getvalue().encode(), zipfile.ZIP_DEFLATED)
    progress(len(scores), len(scores))


def _number(stem: str) -> list[tuple[int, str]]:
    """A key that sorts bwv5.7 before bwv10.7."""
    return [(int(digits), rest) for digits, rest in re.findall(r"(\d+)(\D*)", stem)]


def _titles(catalogue: Path) -> dict[str, str]:
    """Chorale titles by BWV number, from the catalogue in music21's source; importing it would load all of music21."""
    try:
        text = catalogue.read_text(encoding="utf-8")
    except OSError:
        return {}
    return {
        number: title.strip() for number, title in re.findall(r"---\|\|---([\w.-]+)---\|\|---(.+?)---\|\|---", text)
    }


def _voices(parts: tuple[ScorePart, ...]) -> list[ScorePart]:
    """The four voices where they are named, since the instruments of a cantata double them; else all parts."""
    named = [next((part for part in parts if part.name.startswith(voice)), None) for voice in _VOICES]
    found = [part for part in named if part is not None]
    return found if len(found) == len(_VOICES) else [part for part in parts if part.notes]


def _write_parts(parts: list[ScorePart]) -> bytes:
    """A MIDI file of format 1: a track of tempo, then one for each part, all on the piano."""
    tempo = b"\x00\xff\x51\x03" + _MICROSECONDS_PER_QUARTER.to_bytes(3, "big") + b"\x00\xff\x2f\x00"
    tracks = [tempo, *(_write_part(part, channel) for channel, part in enumerate(parts[:9]))]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS_PER_QUARTER)
    return header + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def _write_part(part: ScorePart, channel: int) -> bytes:
    name = part.name.encode("ascii", "replace")[:60]
    data = bytearray(b"\x00\xff\x03" + bytes([len(name)]) + name + bytes([0, 0xC0 | channel, 0]))
    events: list[tuple[int, int, int]] = []
    for note in _cut_overlaps(part.notes):
        events += [(note.onset_ticks, 1, note.pitch), (note.onset_ticks + note.duration_ticks, 0, note.pitch)]
    now = 0
    for tick, is_on, pitch in sorted(events):  # At one tick ends come before starts.
        data += _variable_length(tick - now) + bytes([0x90 | channel, pitch, _VELOCITY * is_on])
        now = tick
    return bytes(data + b"\x00\xff\x2f\x00")


def _cut_overlaps(notes: tuple[ScoreNote, ...]) -> list[ScoreNote]:
    """A part that sings one pitch twice at once cannot be said in MIDI: the later note ends the earlier."""
    kept: list[ScoreNote] = []
    last: dict[int, int] = {}
    for note in sorted(notes, key=lambda note: (note.onset_ticks, -note.duration_ticks)):
        place = last.get(note.pitch)
        if place is not None:
            before = kept[place]
            if before.onset_ticks == note.onset_ticks:
                continue
            length = min(before.duration_ticks, note.onset_ticks - before.onset_ticks)
            kept[place] = ScoreNote(before.onset_ticks, length, before.pitch)
        last[note.pitch] = len(kept)
        kept.append(note)
    return kept


def _variable_length(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
