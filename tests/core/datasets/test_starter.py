from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.datasets.archives import Archive
from core.datasets.metadata import read_metadata
from core.datasets.starter import STARTER_TABLE, starter_zip
from core.music.reading import read_midi


class StopHereError(Exception):
    pass


def stop_after(looks: int) -> Callable[[], None]:
    left = [looks]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StopHereError

    return check


@pytest.mark.slow
def test_the_chorales_are_converted_once_and_always_to_the_same_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = starter_zip(tmp_path / "one", progress=lambda *now: seen.append(now))
    assert seen[0] == (0, 408)
    assert seen[-1] == (408, 408)
    written, told = made.stat().st_mtime_ns, len(seen)
    assert starter_zip(tmp_path / "one", progress=lambda *now: seen.append(now)) == made
    assert (made.stat().st_mtime_ns, len(seen)) == (written, told), "it was made again"
    assert starter_zip(tmp_path / "two").read_bytes() == made.read_bytes()
    with made.open("rb") as stream:
        archive = Archive(stream, "starter")
        entries = {entry.name: entry for entry in archive.entries}
        table = read_metadata(archive.read(entries.pop(STARTER_TABLE)))
        assert len(entries) == len(table) == 404
        for name, entry in entries.items():
            reading = read_midi(archive.read(entry))
            assert len(reading.notes) >= 90, name
            assert table.find(name).title.startswith("BWV "), name
            assert 8 < reading.end_seconds < 600, name
            # Sixteenths and longer fall on the 10 ms grid of the performance encoding.
            steps = reading.notes.onset_seconds * 100
            assert np.mean(np.abs(steps - np.rint(steps)) < 1e-6) > 0.9, name


def test_a_conversion_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StopHereError):
        starter_zip(tmp_path, check=stop_after(8))
    assert [path.name for path in tmp_path.iterdir()] == ["chorales.lock"]
