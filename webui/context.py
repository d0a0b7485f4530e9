"""What a view works with: the installation's settings, database and artifact store."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from core.artifacts import ArtifactStore
from core.records.database import Database
from core.settings import Settings
from webui.accounts_switch import AccountsSwitch
from webui.identity import current_actor

_KEY = "cadenza"


@dataclass(frozen=True, slots=True)
class Services:
    """One installation, as a web process holds it."""

    settings: Settings
    database: Database
    store: ArtifactStore
    accounts: AccountsSwitch


def attach_services(app: Flask, settings: Settings) -> Services:
    """Open the database and the store for `app`."""
    database = Database.of(settings, current_actor)
    services = Services(settings, database, ArtifactStore.of(settings), AccountsSwitch(database))
    app.extensions[_KEY] = services
    return services


def current_services() -> Services:
    """The services of the app that answers the present request."""
    services: Services = current_app.extensions[_KEY]
    return services
