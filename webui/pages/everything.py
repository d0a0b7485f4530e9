"""All pages of the dashboard, and what their templates may use."""

from __future__ import annotations

import re

from flask import Flask

import core
from core.models.base import utc_now
from core.music.names import pitch_name
from core.people.rights import Right
from webui.assets import asset_url, icon
from webui.context import current_services
from webui.forms import as_text
from webui.identity import current_actor
from webui.pages import (
    account,
    audit,
    comparing,
    datasets,
    generation_form,
    instruments,
    jobs,
    limits,
    live,
    models,
    notifications,
    overview,
    people,
    pieces,
    placing,
    queue,
    retention,
    sign_in,
    takes,
    trainings,
    uploads,
)
from webui.pages.answers import with_args
from webui.words import FILTERS

_PAGES = (
    overview,
    datasets,
    pieces,
    models,
    comparing,  # and evaluations: they share a blueprint
    trainings,
    generation_form,  # and generations: they share a blueprint
    takes,
    queue,
    placing,
    limits,
    retention,
    jobs,
    uploads,
    instruments,
    live,
)
_OF_PEOPLE = (sign_in, account, notifications, people, audit)


def register_pages(app: Flask) -> None:
    """Register every page's blueprint and the templates' filters, functions and macros (as `ui`)."""
    environment = app.jinja_env
    environment.trim_blocks = True
    environment.lstrip_blocks = True
    environment.filters.update(FILTERS, spaced_range=_spaced_range, pitch_name=pitch_name)
    environment.globals.update(
        asset=asset_url,
        icon=icon,
        with_args=with_args,
        page_numbers=_page_numbers,
        now=utc_now,
        as_text=as_text,
        me=current_actor,
        accounts_on=_accounts_on,
        may_raise_priority=lambda: current_actor().may(Right.RAISE_PRIORITY),
        cadenza_version=core.__version__,
    )
    # A global, not an import of each template: parts of pages are rendered without the rest of their template.
    environment.globals["ui"] = environment.get_template("macros.html").module
    for module in (*_PAGES, *_OF_PEOPLE):
        app.register_blueprint(module.bp)
    live.attach_hub(app)


def _accounts_on() -> bool:
    return current_services().accounts.on


def _page_numbers(page: int, pages: int) -> list[int | None]:
    """The numbers that a pager shows: the ends, the neighbours, and None for each gap."""
    shown = sorted({1, pages, *(number for number in range(page - 1, page + 2) if 1 <= number <= pages)})
    numbers: list[int | None] = []
    for before, number in zip([0, *shown], shown, strict=False):
        if number - before > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers


def _spaced_range(words: str) -> str:
    """`1 to 10000000` with the thousands set apart."""
    return re.sub(r"(?<![.\d])\d{4,}(?!\.)", lambda match: f"{int(match[0]):,}", words)
