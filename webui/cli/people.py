"""`cadenza people`: accounts, straight from this machine's database, so that the first one needs no web server."""

from __future__ import annotations

import click

from webui.cli.parts import opened_database, sentences

_ROLES = click.Choice(["viewer", "member", "administrator"])


@click.group()
def people() -> None:
    """Add, list and change people. Run it where the database is; whoever can read that needs no permission."""


@people.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="member", show_default=True, help="What the person may do.")
@click.option("--full-name", default="", help="The name that pages show.")
@click.option("--email", default="", help="Where notifications go.")
@click.option("--password", envvar="CADENZA_NEW_PASSWORD", help="Better left out: it is asked for.")
def add(name: str, role: str, full_name: str, email: str, password: str | None) -> None:
    """Add a person. The first one, an administrator, turns accounts on: from then on everybody signs in."""
    from core.people.accounts import accounts_are_on, add_person

    with sentences(), opened_database() as database:
        with database.reading() as session:
            first = not accounts_are_on(session)
        secret = password or _asked()
        with database.transaction() as session:
            person = add_person(session, name=name, role=role, password=secret, display_name=full_name, email=email)
        click.echo(f"{person.name} is {_a(role)} here.")
        if first:
            click.echo("Accounts are on: everybody signs in from now on, and CADENZA_HOST may be a network address.")


@people.command("list")
def list_people() -> None:
    """List everybody."""
    from core.people.accounts import find_people
    from webui.cli.tables import print_page

    with sentences(), opened_database() as database, database.reading() as session:
        found = find_people(session, per_page=500)
        rows = [
            {
                "name": person.name,
                "role": person.role.value,
                "state": "disabled" if person.disabled else "",
                "full name": person.display_name,
                "email": person.email,
                "last seen": person.seen_at.strftime("%Y-%m-%d %H:%M") if person.seen_at else "never",
            }
            for person in found.items
        ]
    columns = {name: lambda item, name=name: item[name] for name in (rows[0] if rows else {"name": ""})}
    print_page({"items": rows}, columns, "There are no accounts; `cadenza people add NAME --role administrator`.")


@people.command("role")
@click.argument("name")
@click.argument("role", type=_ROLES)
def role_of(name: str, role: str) -> None:
    """Give a person another role."""
    _change(name, f"{name} is {_a(role)} now.", role=role)


@people.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """Sign a person out everywhere, end all tokens, and let nobody in under this name."""
    _change(name, f"{name} is disabled.", disabled=True)


@people.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Let a disabled person in again."""
    _change(name, f"{name} can sign in again.", disabled=False)


@people.command("password")
@click.argument("name")
@click.option("--password", envvar="CADENZA_NEW_PASSWORD", help="Better left out: it is asked for.")
def password_of(name: str, password: str | None) -> None:
    """Give a person another password, and sign the person out everywhere."""
    from core.people.accounts import set_password

    with sentences(), opened_database() as database:
        secret = password or _asked()
        with database.transaction() as session:
            set_password(session, name, secret)
    click.echo(f"{name} has another password.")


def _change(name: str, told: str, **changes: object) -> None:
    from core.people.accounts import change_person

    with sentences(), opened_database() as database:
        with database.transaction() as session:
            change_person(session, name, **changes)
        click.echo(told)


def _asked() -> str:
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return typed


def _a(role: str) -> str:
    return f"an {role}" if role.startswith("a") else f"a {role}"
