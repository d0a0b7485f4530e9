"""`cadenza doctor`, `backup` and `restore`: looking after an installation. They work beside or without a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webui.cli.parts import sentences

if TYPE_CHECKING:
    from core.artifacts import ArtifactStore
    from core.operations.backup import Manifest
    from core.records.database import Database
    from core.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings for scripts.")
def doctor(as_json: bool) -> None:
    """Check the whole installation, and say what to mend; ends with 1 when something is wrong."""
    import json
    from dataclasses import asdict

    from core.operations.doctor import examine

    with sentences():
        findings = examine(_settings())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.about) for finding in findings)
        for finding in findings:
            click.secho(f"{finding.level:8}", fg=_COLOURS[finding.level], nl=False)
            click.echo(f"{finding.about:{width}}  {finding.found}")
            if finding.mend:
                click.echo(f"{'':{8 + width}}  -> {finding.mend}")
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def backup(folder: Path | None) -> None:
    """Copy database and stored files into a new FOLDER, while the system runs, and check the copy."""
    from core.operations.backup import make_backup

    with sentences(), _installation() as (settings, database, store):
        target = (folder or _new_folder(settings, "backup")).absolute()
        manifest = make_backup(database, store, target, tell=click.echo)
    click.echo(f"The backup in {target} is whole and checked: {_size_of(manifest)}.")
    if manifest.missing:
        told = (
            f"{len(manifest.missing):,} files that rows speak of were not in the store, such as {manifest.missing[0]}."
        )
        click.secho(f"{told} The backup is without them; 'cadenza doctor' tells more.", fg="yellow", err=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--check", "only_check", is_flag=True, help="Only check the backup; change nothing.")
@click.option("--replace", is_flag=True, help="Replace what this installation holds, after a backup of it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(folder: Path, only_check: bool, replace: bool, yes: bool) -> None:
    """Make this installation what it was when the backup in FOLDER was made. The system must not run."""
    from core.operations.backup import check_backup, make_backup
    from core.operations.restore import is_empty, restore_backup
    from core.records import schema

    with sentences():
        manifest = check_backup(folder)
        click.echo(f"The backup of {manifest.made_at} (revision {manifest.revision}) is whole: {_size_of(manifest)}.")
        if only_check:
            return
        with _installation(alone=True) as (settings, database, store):
            if replace and not is_empty(database):
                if not yes:
                    click.confirm(f"All that {settings.data_dir} and its database hold is replaced. Go on?", abort=True)
                if schema.current(database) == schema.newest():
                    kept = _new_folder(settings, "before-restore").absolute()
                    make_backup(database, store, kept)
                    click.echo(f"What is there now was kept in {kept}.")
            done = restore_backup(
                database, store, folder, replace=replace, watch_seconds=settings.lost_after_seconds / 2, tell=click.echo
            )
    click.echo(f"Restored {sum(done.rows.values()):,} rows and {done.files:,} files.")


@contextmanager
def _installation(alone: bool = False) -> Iterator[tuple[Settings, Database, ArtifactStore]]:
    """The installation of the environment; `alone` keeps `cadenza up` from starting on it meanwhile."""
    from core.artifacts import ArtifactStore
    from core.errors import ConflictError
    from core.processes import take_lock
    from core.records.database import Database

    settings = _settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    held = take_lock(settings.run_dir / "up.lock") if alone else -1
    if held is None:
        raise ConflictError(
            f"Cadenza runs on the data in {settings.data_dir}. Stop it first: Ctrl-C ends 'cadenza up'."
        )
    database = Database(settings.resolved_database_url)
    try:
        yield settings, database, ArtifactStore.of(settings)
    finally:
        database.dispose()
        if held >= 0:
            os.close(held)


def _new_folder(settings: Settings, name: str) -> Path:
    return settings.data_dir / "backups" / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"


def _size_of(manifest: Manifest) -> str:
    return f"{sum(manifest.rows.values()):,} rows, {len(manifest.files):,} files, {manifest.bytes / 2**20:,.1f} MiB"


def _settings() -> Settings:
    from core.settings import Settings

    return Settings()
