"""`cadenza retention`: what nobody kept, and what everybody stores."""

from __future__ import annotations

import click

from webui.cli.parts import sentences


@click.command()
@click.option("--days", type=click.IntRange(min=1), help="Older than this; else what the rule says.")
@click.option("--rule", metavar="DAYS|off|setting", help="Set the rule by which they go by themselves.")
@click.option("--delete", "really", is_flag=True, help="Delete them; without it nothing is deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def retention(days: int | None, rule: str | None, really: bool, yes: bool) -> None:
    """Show the takes that nobody starred, remarked on or downloaded, and delete them with --delete."""
    from core.artifacts import ArtifactStore
    from core.errors import InputError
    from core.operations.retention import delete_expired, expiry, find_expired, find_stored
    from core.operations.retention_rule import rule_of, set_rule
    from core.records.database import Database
    from core.settings import Settings

    settings = Settings()
    database = Database(settings.resolved_database_url)
    try:
        with sentences():
            if rule is not None:
                with database.transaction() as session:
                    set_rule(session, _days_of(rule), "the command line")
            with database.reading() as session:
                held = rule_of(session, settings.retention_days)
            whose = f"set by {held.set_by}" if held.set_by else "CADENZA_RETENTION_DAYS"
            click.echo(f"rule ({whose}): {f'{held.days} days' if held.days else 'off, everything stays'}")
            if rule is not None:
                return
            days = days or held.days
            if not days:
                raise InputError.of("days", "--days: retention is off; say how old takes must be.")
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
            deleted = delete_expired(database, ArtifactStore.of(settings), expiry(days))
            click.echo(f"{deleted:,} takes were deleted.")
    finally:
        database.dispose()


def _days_of(rule: str) -> int | None:
    if rule in {"off", "setting"}:
        return 0 if rule == "off" else None
    if not (rule.isascii() and rule.isdigit() and len(rule) < 6):
        raise click.UsageError(f"--rule {rule[:40]!r} is refused; give a number of days, off, or setting.")
    return int(rule)
