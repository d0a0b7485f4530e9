"""The pinned requirements: complete, so that they are installed without a look at what else has been released."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def _pinned(name: str) -> dict[str, Version]:
    """Canonical name to version of what requirements/`name`.txt installs on this Python and system."""
    pins: dict[str, Version] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if not line or line.startswith(("#", " ")):
            continue
        requirement = Requirement(line.rstrip("\\ "))
        (exact,) = requirement.specifier
        assert exact.operator == "==", line
        if requirement.marker is None or requirement.marker.evaluate():
            assert canonicalize_name(requirement.name) not in pins, line
            pins[canonicalize_name(requirement.name)] = Version(exact.version)
    return pins


@pytest.mark.parametrize(
    ("name", "extras"), [("web", frozenset()), ("cpu", frozenset({"cpu"})), ("test", frozenset({"cpu", "test"}))]
)
def test_pins_hold_all_that_the_pinned_packages_ask_for(name: str, extras: frozenset[str]) -> None:
    pins = _pinned(name)
    waiting = [("cadenza", extra) for extra in {"", *extras}]
    seen = set(waiting)
    while waiting:
        package, extra = waiting.pop()
        for text in metadata.requires(package) or ():
            asked = Requirement(text)
            if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
                continue
            wanted = canonicalize_name(asked.name)
            assert wanted in pins, f"{package}[{extra}] asks for {text}"
            assert asked.specifier.contains(pins[wanted], prereleases=True), f"{package} asks for {text}"
            for each in {(wanted, further) for further in {"", *asked.extras}} - seen:
                seen.add(each)
                waiting.append(each)
    assert len(seen) > len(pins) // 2, "most pins are there because something asks for them"


def test_what_is_installed_together_fits_together() -> None:
    s3 = _pinned("s3")
    assert "s3fs" in s3
    for name in ("web", "cpu", "gpu"):
        other = _pinned(name)
        shared = s3.keys() & other.keys()
        assert {key: other[key] for key in shared} == {key: s3[key] for key in shared}


def test_every_installation_takes_the_pins_alone() -> None:
    places = [ROOT / "Makefile", ROOT / "Dockerfile", *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
    commands = [line for place in places for line in re.findall(r".*--require-hashes.*", place.read_text())]
    assert len(commands) >= 5
    assert all("--no-deps" in command for command in commands), commands
