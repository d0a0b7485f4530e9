"""The settings of a run's folder: chosen once, and held against what every later command over it says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.carried import write_whole
from core.errors import ConflictError
from core.training.event_settings import FamilySettings
from core.training.settings import parse_stored_settings, parse_training_settings

_FILE = "settings.json"
# What a setting cannot tell: by which flags it was chosen.
_FLAGS = {"preset": "--preset", "fit_minutes": "--fit-minutes"}


def keep_settings(folder: Path, settings: FamilySettings, digest: str, asked: dict[str, Any]) -> None:
    """Decide them for this folder, with the corpus' SHA-256 and the `preset` and `fit_minutes` that were asked for."""
    kept = {"family": settings.family, "corpus": digest, "asked": asked, **settings.model_dump(mode="json")}
    write_whole(folder / _FILE, json.dumps(kept, indent=1).encode())


def kept_settings(folder: Path, options: argparse.Namespace, digest: str | None) -> FamilySettings | None:
    """Those of the folder; None for one that is new.

    Args:
        folder: of a run.
        options: `family`, `preset`, `fit_minutes` (each None where its flag is not given) and `set`, pairs of name and
            text. What is not given is as in the folder.
        digest: SHA-256 of the corpus file, None where it does not matter any more.

    Raises:
        ConflictError: the corpus or something that is given is not the folder's.
        InputError: something that is given is no setting, or out of its range.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    if values.pop("corpus", digest) != digest and digest is not None:
        raise ConflictError(f"The training in {folder} began with another corpus; choose another folder.")
    family, asked = values.pop("family"), values.pop("asked", {})
    settings = parse_stored_settings(family, values)
    differing = [
        f"{flag} {_told(asked[name])}, not {_told(given)}"
        for name, flag in _FLAGS.items()
        if (given := getattr(options, name)) is not None and name in asked and given != asked[name]
    ]
    if options.family not in (None, family):
        differing.insert(0, f"--family {family}, not {options.family}")
    else:
        differing += _other_values(settings, dict(options.set))
    if differing:
        raise ConflictError(
            f"The training in {folder} began with {'; '.join(differing)}. Leave these flags out to go on with it, or "
            "choose another folder."
        )
    return settings


def _other_values(settings: FamilySettings, given: dict[str, str]) -> list[str]:
    kept = settings.model_dump(mode="json")
    wanted = parse_training_settings(settings.family, {**kept, **given}).model_dump(mode="json")
    return [
        f"--set {name}={_told(kept[name])}, not {_told(wanted[name])}" for name in given if kept[name] != wanted[name]
    ]


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
