"""What a view works with: the installation's settings, database and artifact store."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from core.artifacts import ArtifactStore
from core.records.database import Database
from core.settings import Settings

_KEY = "cadenza"


@dataclass(frozen=True, slots=True)
class Services:
    """One installation, as a web process holds it."""

    settings: Settings
    database: Database
    store: ArtifactStore


def attach_services(app: Flask, settings: Settings) -> Services:
    """Open the database and the store for `app`."""
    services = Services(settings, Database.of(settings), ArtifactStore.of(settings))
    app.extensions[_KEY] = services
    return services


def current_services() -> Services:
    """The services of the app that answers the present request."""
    services: Services = current_app.extensions[_KEY]
    return services
