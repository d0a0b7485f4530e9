"""`cadenza queue`, `cadenza limits`, and what `cadenza worker` does to workers that run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webui.cli.numbers import number_in_path
from webui.cli.options import api_client, json_option, run_by_default

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_QUEUES = ("training", "generation", "light")
_MOST_SHOWN = 200


@click.group(invoke_without_command=True)
@click.pass_context
def queue(context: click.Context) -> None:
    """Show what waits; pause and resume queues; move jobs."""
    if context.invoked_subcommand is None:
        run_by_default(context, show)


@queue.command()
@json_option
@api_client
def show(client: ApiClient, as_json: bool) -> None:
    """Show the queues, and the jobs that wait."""
    from webui.cli.tables import moment, print_json, print_page

    controls = client.get("/queues")
    waiting = client.get("/jobs", state="queued", per_page=_MOST_SHOWN)
    if as_json:
        print_json({"queues": controls["items"], "waiting": waiting})
        return
    states = {
        "queue": lambda item: item["name"],
        "state": lambda item: f"paused by {item['changed_by']}" if item["paused"] else "open",
        "after a restart": lambda item: "paused" if item["start_paused"] else "goes on",
    }
    print_page(controls, states, "")
    ranks = {"high": 0, "normal": 1, "low": 2}
    waiting["items"].sort(key=lambda job: (job["queue"], ranks[job["priority"]], job["owner"], job["position"]))
    columns = {
        "queue": lambda job: job["queue"],
        "job": lambda job: str(job["id"]),
        "owner": lambda job: job["owner"],
        "priority": lambda job: job["priority"],
        "title": lambda job: job["title"],
        "starts": lambda job: moment(job["not_before"]) or ("paused" if job["paused"] else ""),
    }
    print_page(waiting, columns, "Nothing waits.")


@queue.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...")
@click.option("--stop-running", is_flag=True, help="What runs stops at its next resume point, and waits.")
@api_client
def pause(client: ApiClient, queues: tuple[str, ...], stop_running: bool) -> None:
    """Start nothing more of some queues, or of all."""
    _tell(client.send("POST", "/queues/pause", {"queues": _checked(queues), "stop_running": stop_running}))


@queue.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...")
@api_client
def resume(client: ApiClient, queues: tuple[str, ...]) -> None:
    """Let some queues go on, or all."""
    _tell(client.send("POST", "/queues/resume", {"queues": _checked(queues)}))


@queue.command("restart")
@click.argument("choice", type=click.Choice(["go-on", "paused"]))
@api_client
def restart(client: ApiClient, choice: str) -> None:
    """Choose how all queues come up when the system is started again."""
    client.send("POST", "/queues/start", {"paused": choice == "paused"})
    click.echo(f"After the next start of the system all queues {'come up paused' if choice == 'paused' else 'go on'}.")


@queue.command()
@click.argument("job_id", metavar="ID")
@click.option("--to", type=click.Choice(["first", "up", "down", "last"]), help="first makes it the next.")
@click.option("--before", metavar="ID", help="Right before this job.")
@api_client
def move(client: ApiClient, job_id: str, to: str | None, before: str | None) -> None:
    """Move a waiting job among its owner's jobs; without options it becomes the next."""
    if to and before:
        raise click.UsageError("--to and --before exclude each other; give one of them.")
    values: dict[str, Any] = {"before": number_in_path(before, "job")} if before else {"to": to or "first"}
    job = client.send("POST", f"/jobs/{number_in_path(job_id, 'job')}/move", values)
    click.echo(f"job {job['id']}: {job['why_waiting'] or job['state']}")


@queue.command()
@click.argument("job_id", metavar="ID")
@click.argument("level", type=click.Choice(["low", "normal", "high"]))
@api_client
def priority(client: ApiClient, job_id: str, level: str) -> None:
    """Give a job another priority."""
    job = client.send("PATCH", f"/jobs/{number_in_path(job_id, 'job')}", {"priority": level})
    click.echo(f"job {job['id']}: {job['priority']} priority")


@queue.command("at")
@click.argument("job_id", metavar="ID")
@click.argument("time", metavar="TIME|now")
@api_client
def start_at(client: ApiClient, job_id: str, time: str) -> None:
    """Let a waiting job start at TIME (such as 2026-12-24T18:00Z), or as soon as possible."""
    values = {"start_at": "" if time == "now" else time}
    job = client.send("PATCH", f"/jobs/{number_in_path(job_id, 'job')}", values)
    click.echo(f"job {job['id']}: {job['why_waiting'] or job['state']}")


@click.group(invoke_without_command=True)
@click.pass_context
def limits(context: click.Context) -> None:
    """Show and set the most that people may have."""
    if context.invoked_subcommand is None:
        run_by_default(context, list_limits)


@limits.command("list")
@json_option
@api_client
def list_limits(client: ApiClient, as_json: bool) -> None:
    """Show the limits of everybody and of those who have their own, and what is used of them."""
    from webui.cli.tables import print_json, print_page

    answer = client.get("/limits")
    if as_json:
        print_json(answer)
        return
    columns = {
        "person": lambda item: item["owner"] or "everybody",
        "waiting jobs": lambda item: _of(item, "waiting_jobs"),
        "running units": lambda item: _of(item, "running_units"),
        "GPU hours": lambda item: _of(item, "gpu_hours_week"),
        "stored bytes": lambda item: _of(item, "storage_bytes"),
    }
    print_page(answer, columns, "")


@limits.command("set")
@click.argument("owner", default="", metavar="[PERSON]")
@click.option("--waiting-jobs", metavar="N", help="Jobs that wait at a time.")
@click.option("--running-units", metavar="N", help="Units that run at a time.")
@click.option("--gpu-hours", "gpu_hours_week", metavar="H", help="GPU hours in seven days.")
@click.option("--storage-bytes", metavar="N", help="Stored bytes.")
@api_client
def set_limits(client: ApiClient, owner: str, **given: str | None) -> None:
    """Set the limits of PERSON, or of everybody; what is left out is no limit."""
    client.send("PUT", "/limits", {"owner": owner, **given})
    click.echo(f"The limits of {owner or 'everybody'} are set.")


@limits.command("remove")
@click.argument("owner", default="", metavar="[PERSON]")
@api_client
def remove_limits(client: ApiClient, owner: str) -> None:
    """Let everybody's limits hold for PERSON again, or remove those of everybody."""
    from urllib.parse import quote

    client.send("DELETE", f"/limits?owner={quote(owner)}")
    click.echo(f"{owner or 'Everybody'} has no limits of their own any more.")


def drain_worker(client: ApiClient, name: str, *, draining: bool) -> None:
    """Drain a worker, or let it take work again, and say what it does now."""
    worker = client.send("POST", f"/workers/{'drain' if draining else 'resume'}", {"name": name})
    if not draining:
        click.echo(f"{name} takes work again")
    else:
        click.echo(f"{name} takes nothing new; it is {worker['state']}")


def print_workers(client: ApiClient, as_json: bool) -> None:
    """Print the workers."""
    from webui.cli.tables import moment, print_json, print_page

    answer = client.get("/workers")
    if as_json:
        print_json(answer)
        return
    columns = {
        "worker": lambda item: item["name"],
        "state": _state_of_worker,
        "queues": lambda item: ", ".join(item["queues"]),
        "host": lambda item: item["host"],
        "device": lambda item: item["device"],
        "units done": lambda item: item["units_done"],
        "seen": lambda item: moment(item["seen_at"]),
    }
    print_page(answer, columns, "No worker was ever here.")


def _state_of_worker(item: dict[str, Any]) -> str:
    if item["problem"] and item["state"] == "starting":
        return f"serves nothing: {item['problem']}"
    return f"{item['state']}, drained" if item["draining"] else str(item["state"])


def _checked(queues: tuple[str, ...]) -> list[str]:
    for name in queues:
        if name not in _QUEUES:
            raise click.UsageError(f"{name[:40]!r} is no queue; there are {', '.join(_QUEUES)}.")
    return list(queues)


def _tell(answer: dict[str, Any]) -> None:
    for item in answer["items"]:
        click.echo(f"{item['name']}: {'paused' if item['paused'] else 'open'}")


def _of(item: dict[str, Any], name: str) -> str:
    limit, used = item[name], item[f"used_{name}"]
    shown = f"{used:,.1f}" if isinstance(used, float) else f"{used:,}"
    if not item["owner"]:
        return "no limit" if limit is None else f"{limit:,}"
    return shown if limit is None else f"{shown} of {limit:,}"
