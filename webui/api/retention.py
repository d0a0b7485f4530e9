"""Retention: the rule, what would go, and deletions."""

from __future__ import annotations

from core.operations.retention import Expired, find_expired, find_stored
from core.operations.retention_rule import ask_for_run, last_runs, rule_of, set_rule
from core.people.rights import Right
from webui.access import needs
from webui.api.blueprint import api
from webui.api.schemas.retention import (
    RetentionOutput,
    RetentionQuery,
    RetentionRuleInput,
    RetentionRunInput,
    RetentionRunOutput,
    StoredOutput,
)
from webui.context import current_services
from webui.identity import current_actor


@api.get("/retention")
@needs(Right.OPERATE)
@api.input(RetentionQuery, location="query")
@api.output(RetentionOutput)
def get_retention(query_data: RetentionQuery) -> RetentionOutput:
    """Show the rule, each person's storage, what is older than `days` and nobody kept, and the last deletions."""
    return _answer(query_data.days)


@api.put("/retention")
@needs(Right.OPERATE)
@api.input(RetentionRuleInput)
@api.output(RetentionOutput)
def set_retention_rule(json_data: RetentionRuleInput) -> RetentionOutput:
    """Set the rule."""
    with current_services().database.transaction() as session:
        set_rule(session, json_data.days, current_actor().name)
    return _answer(0)


@api.post("/retention/runs")
@needs(Right.OPERATE)
@api.input(RetentionRunInput)
@api.output(RetentionRunOutput, status_code=202)
@api.doc(responses=[409])
def run_retention(json_data: RetentionRunInput) -> tuple[RetentionRunOutput, int, dict[str, str]]:
    """Delete takes that nobody kept and that are older than `days`, if they are no more than `most`."""
    run = ask_for_run(current_services().database, json_data.days, json_data.most, current_actor().name)
    return RetentionRunOutput.of(run), 202, {"Location": "/api/v1/retention"}


def _answer(days: int) -> RetentionOutput:
    services = current_services()
    expired = {each.owner: each for each in find_expired(services.database, days)} if days else {}
    people = []
    for owner, size in sorted(find_stored(services.database).items()):
        gone = expired.get(owner, Expired(owner, 0, 0))
        people.append(StoredOutput(owner=owner, stored_bytes=size, expired_takes=gone.takes, expired_bytes=gone.bytes))
    with services.database.reading() as session:
        rule, runs = rule_of(session, services.settings.retention_days), last_runs(session)
    return RetentionOutput(
        days=rule.days, set_by=rule.set_by, people=people, runs=[RetentionRunOutput.of(run) for run in runs]
    )
