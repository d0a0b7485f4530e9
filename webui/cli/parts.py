"""`cadenza up`, `web`, `maintenance` and `db`: starting the parts and preparing the database."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from core.records.database import Database
    from core.settings import Settings
    from webui.launcher.system import System

_LOOK_SECONDS = 0.5
_START_LOOK_SECONDS = 0.1


@contextmanager
def sentences() -> Iterator[None]:
    """Show an error of ours as its sentence, without a traceback."""
    from core.errors import CadenzaError

    try:
        yield
    except CadenzaError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)


@click.command()
@click.option("--paused", is_flag=True, help="Come up with all queues paused, to look before anything runs.")
def up(paused: bool) -> None:
    """Start all parts on this machine, and keep them running until Ctrl-C."""
    from core.settings import Settings
    from webui.launcher.system import sole_system

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with sentences(), sole_system(Settings(), tell=click.echo, paused=paused) as system:
        system.start()
        _watch(system, ended)
        click.echo("Stopping …")
    click.echo("Stopped.")


def _watch(system: System, ended: threading.Event) -> None:
    """Tell what happens to the parts until `ended` is set, and start the supervisor again should it die."""
    from core.records.database import Database

    database = Database(system.settings.resolved_database_url)
    click.echo(f"Starting on the data in {system.settings.data_dir.absolute()}; logs are in {system.settings.log_dir}.")
    told_address = told_ready = False
    pids: dict[str, int] = {}
    while not ended.wait(_LOOK_SECONDS if told_address else _START_LOOK_SECONDS):
        if not system.is_supervised():
            click.echo("The supervisor died; everything is started again.")
            system.start()
        for name, part in system.status().items():
            if part.pid and pids.setdefault(name, part.pid) != part.pid:
                click.echo(f"The part {name} died and was started again.")
                pids[name] = part.pid
        if not told_ready:
            missing = system.missing(database)
            if not told_address and "web" not in missing:
                told_address = True
                click.echo(f"Cadenza is at {system.address}")
            if not missing:
                told_ready = True
                click.echo("All parts are ready. Ctrl-C ends them.")
    database.dispose()


@click.command()
def web() -> None:
    """Run the web server alone."""
    become("webui.launcher.web")


@click.command()
def maintenance() -> None:
    """Run the process that brings back lost work; one for each installation."""
    become("worker.maintenance")


@click.group()
def db() -> None:
    """Prepare the database."""


@db.command()
def upgrade() -> None:
    """Make the tables, or bring them to this version after a copy of their rows."""
    from core.operations.upgrading import upgrade_with_copy

    with sentences(), opened_database() as database:
        reached = upgrade_with_copy(database, _settings().data_dir.absolute() / "backups", click.echo)
        click.echo(f"The tables are of revision {reached}.")


@db.command()
@click.argument("revision")
@click.confirmation_option(prompt="What later tables hold will be lost. Go on?")
def downgrade(revision: str) -> None:
    """Take the tables back to REVISION ("base" for none)."""
    from core.records import schema

    with sentences(), opened_database() as database:
        click.echo(f"The tables are of revision {schema.downgrade(database, revision) or 'none'}.")


@db.command()
def current() -> None:
    """Show the tables' revision and the one that this version needs."""
    from core.records import schema

    with sentences(), opened_database() as database:
        click.echo(f"The tables are of revision {schema.current(database) or 'none'}; needed is {schema.newest()}.")


@contextmanager
def opened_database() -> Iterator[Database]:
    """The installation's database, whether its tables are there or not."""
    from core.records.database import Database

    settings = _settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.dispose()


def _settings() -> Settings:
    from core.settings import Settings

    return Settings()


def become(module: str, *arguments: str) -> NoReturn:
    """Run a part of the system in the place of this process."""
    # The program takes this process's place: signals reach it directly, and nothing of the command line stays loaded.
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
