"""`cadenza retention`: what nobody kept, and what everybody stores."""

from __future__ import annotations

import click

from webui.cli.parts import sentences


@click.command()
@click.option("--days", type=click.IntRange(min=1), help="Older than this; else CADENZA_RETENTION_DAYS.")
@click.option("--delete", "really", is_flag=True, help="Delete them; without it nothing is deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def retention(days: int | None, really: bool, yes: bool) -> None:
    """Show the takes that nobody starred, remarked on or downloaded, and delete them with --delete."""
    from core.artifacts import ArtifactStore
    from core.errors import InputError
    from core.operations.retention import delete_expired, find_expired, find_stored
    from core.records.database import Database
    from core.settings import Settings

    settings = Settings()
    database = Database(settings.resolved_database_url)
    try:
        with sentences():
            days = days or settings.retention_days
            if not days:
                raise InputError.of("days", "--days: retention is off (CADENZA_RETENTION_DAYS is 0); say how old.")
            expired = {each.owner: each for each in find_expired(database, days)}
            for owner, size in sorted(find_stored(database).items()):
                gone = expired.get(owner)
                told = f"{gone.takes:,} takes ({gone.bytes / 2**20:,.1f} MiB) would go" if gone else "nothing would go"
                click.echo(f"{owner}: stores {size / 2**20:,.1f} MiB; {told}")
            total = sum(each.takes for each in expired.values())
            if not really:
                click.echo(
                    f"{total:,} takes older than {days} days would be deleted; nothing was. Add --delete for that."
                )
                return
            if total and not yes:
                click.confirm(f"{total:,} takes are deleted for good. Go on?", abort=True)
            deleted = delete_expired(database, ArtifactStore.of(settings), days)
            click.echo(f"{deleted:,} takes were deleted.")
    finally:
        database.dispose()
