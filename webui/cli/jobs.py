"""`cadenza jobs`, `job`, `cancel`, `pause`, `resume`, `retry` and `resubmit`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from webui.cli.numbers import number_in_path
from webui.cli.options import api_client, json_option, page_options, settings_of, wait_option
from webui.cli.refusal import Refusal

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_POLL_SECONDS = 0.5
_LINES = 1_000


@click.command()
@click.option("--state", default="", help="queued, running, succeeded, failed, cancelled, active, paused or scheduled.")
@click.option("--kind", default="", help="import, training, generation, evaluation or audio.")
@click.option("--search", default="", help="Only those whose title contains this text.")
@page_options
@json_option
@api_client
def jobs(client: ApiClient, as_json: bool, **query: Any) -> None:
    """List the jobs, the newest first."""
    from webui.cli.tables import duration, moment, print_json, print_page, state_of

    answer = client.get("/jobs", **query)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: str(item["id"]),
        "kind": lambda item: item["kind"],
        "title": lambda item: item["title"],
        "state": state_of,
        "left": lambda item: duration(item["seconds_left"]) if item["state"] == "running" else "",
        "created": lambda item: moment(item["created_at"]),
    }
    print_page(answer, columns, "There is no such job.")


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--log", "show_log", is_flag=True, help="Print its log.")
@click.option("--follow", is_flag=True, help="Print its log as it grows, until it has ended.")
@json_option
@api_client
def job(client: ApiClient, job_id: str, show_log: bool, follow: bool, as_json: bool) -> None:
    """Show a job."""
    from webui.cli.tables import print_json

    number = number_in_path(job_id, "job")
    answer = client.get(f"/jobs/{number}")
    if as_json:
        print_json(answer)
        return
    _print_job(answer)
    if show_log or follow:
        _print_log(client, number, follow)


@click.command()
@click.argument("job_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that wait or run and fit the other options.")
@click.option("--state", default="", help="queued, running, paused or scheduled.")
@click.option("--kind", default="", help="import, training, generation, evaluation or audio.")
@click.option("--owner", default="", help="Only this person's.")
@click.option("--search", default="", help="Only those whose title contains this text.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@api_client
def cancel(client: ApiClient, job_ids: tuple[str, ...], everything: bool, yes: bool, **which: str) -> None:
    """Cancel jobs, or with --all many at once; what they made so far stays."""
    if bool(job_ids) == everything:
        raise click.UsageError("Give either numbers of jobs, or --all with what they have in common.")
    if job_ids:
        _act_on_all(client, job_ids, "cancel")
        return
    count = client.get("/jobs", **{**which, "state": which["state"] or "active"})["total"]
    if not count or not (yes or click.confirm(f"Cancel {count:,} jobs?")):
        click.echo("No job was cancelled.")
        return
    cancelled = client.send("POST", "/jobs/cancel", {**which, "most": count})["jobs"]
    click.echo(f"{len(cancelled):,} jobs cancelled")


@click.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="ID...")
@api_client
def pause(client: ApiClient, job_ids: tuple[str, ...]) -> None:
    """Pause jobs; a training frees its device and can go on later."""
    _act_on_all(client, job_ids, "pause")


@click.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="ID...")
@api_client
def resume(client: ApiClient, job_ids: tuple[str, ...]) -> None:
    """Let paused jobs go on."""
    _act_on_all(client, job_ids, "resume")


@click.command()
@click.argument("job_id", default="", metavar="[ID]")
@click.option("--failed", is_flag=True, help="All jobs that failed and were not tried again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@wait_option
@api_client
def retry(client: ApiClient, job_id: str, failed: bool, yes: bool, wait: bool) -> None:
    """Try a failed or cancelled job again, as a new job that goes on where it stopped."""
    if bool(job_id) == failed:
        raise click.UsageError("Give either the number of a job, or --failed for all that failed.")
    if failed:
        _retry_failed(client, yes)
        return
    again = client.send("POST", f"/jobs/{number_in_path(job_id, 'job')}/retry")
    click.echo(f"job {again['id']}: {again['title']}")
    if wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, again["id"])


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting that differs; repeatable.")
@click.option("--name", default="", help="What the new one is called.")
@click.option("--cancel", "cancel_old", is_flag=True, help="Cancel the old job if it still waits or runs.")
@wait_option
@api_client
def resubmit(client: ApiClient, job_id: str, pairs: tuple[str, ...], name: str, cancel_old: bool, wait: bool) -> None:
    """Submit a generation or training again, with some settings changed."""
    values = {"settings": settings_of(pairs), "name": name, "cancel": cancel_old}
    made = client.send("POST", f"/jobs/{number_in_path(job_id, 'job')}/resubmit", values)
    click.echo(f"job {made['id']}: {made['title']}")
    if wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, made["id"])


def _retry_failed(client: ApiClient, yes: bool) -> None:
    count = client.get("/jobs", state="failed", per_page=1)["total"]
    if not count or not (yes or click.confirm(f"Try up to {count:,} failed jobs again?")):
        click.echo("No job was tried again.")
        return
    answer = client.send("POST", "/jobs/retry", {"most": count})
    click.echo(f"{len(answer['jobs']):,} jobs tried again")
    for sentence in answer["refusals"]:
        click.echo(sentence, err=True)
    if answer["refusals"]:
        raise SystemExit(1)


def _act_on_all(client: ApiClient, job_ids: tuple[str, ...], action: str) -> None:
    """Act on each job even when one refuses; exit with 1 then."""
    refused = False
    for number in [number_in_path(job_id, "job") for job_id in job_ids]:
        try:
            answer = client.send("POST", f"/jobs/{number}/{action}")
        except Refusal as error:
            error.show()
            refused = True
        else:
            click.echo(f"job {number}: {_standing(answer)}")
    if refused:
        raise SystemExit(1)


def _standing(job: dict[str, Any]) -> str:
    if job["state"] in {"queued", "running"}:
        if job["cancel_requested"]:
            return "is being cancelled"
        if job["paused"]:
            return "paused" if job["state"] == "queued" else "pauses at its next resume point"
    return str(job["state"])


def _print_job(job: dict[str, Any]) -> None:
    from webui.cli.tables import duration, moment

    total = job["progress_total"]
    lines = {
        "title": job["title"],
        "kind": f"{job['kind']}, queue {job['queue']}",
        "state": _standing(job),
        "waits": job["why_waiting"],
        "phase": job["phase"],
        "progress": f"{job['progress_done']:,.0f} of {total:,.0f} {job['progress_unit']}" if total else "",
        "rate": f"{job['rate']:,.1f} {job['rate_unit']}" if job["rate"] else "",
        "left": duration(job["seconds_left"]) if job["state"] == "running" else "",
        "made": f"{job['subject']} {job['subject_id']}" if job["subject"] else "",
        "retry of": job["retry_of_id"] or "",
        "created": moment(job["created_at"]),
        "started": moment(job["started_at"]),
        "finished": moment(job["finished_at"]),
        "error": job["error"],
    }
    for name, value in lines.items():
        if value != "":
            click.echo(f"{name:>9}  {value}")


def _print_log(client: ApiClient, job_id: int, follow: bool) -> None:
    after = 0
    while True:
        # The state is read before the log: what is written until the end is then in the log that is read last.
        ended = not follow or client.get(f"/jobs/{job_id}")["state"] in {"succeeded", "failed", "cancelled"}
        for line in client.get(f"/jobs/{job_id}/log", after=after, limit=_LINES)["items"]:
            after = line["id"]
            click.echo(f"{line['at']} {line['level']:<7} {line['message']}")
        if ended:
            return
        time.sleep(_POLL_SECONDS)
