"""The command line, `cadenza`. Commands are loaded only when they are used, so that it starts at once."""

from __future__ import annotations

from importlib import import_module

import click

import core

# Name -> where the command is, and its line in the list (which must not load it).
_COMMANDS = {
    "up": ("webui.cli.parts:up", "Start all parts on this machine, and keep them running until Ctrl-C."),
    "demo": ("webui.cli.demo:demo", "Import chorales, train on them, compose 8 takes, and keep serving."),
    "status": ("webui.cli.status:status", "Show queues, workers and what they run."),
    "import": ("webui.cli.datasets:import_dataset", "Import a dataset: starter, maestro, or files of your own."),
    "datasets": ("webui.cli.datasets:datasets", "List the datasets."),
    "train": ("webui.cli.trainings:train", "Train a model on a dataset."),
    "models": ("webui.cli.models:models", "List the models; download, upload, rename or delete one."),
    "evaluate": ("webui.cli.evaluations:evaluate", "Measure a model on held-out pieces."),
    "evaluations": ("webui.cli.evaluations:evaluations", "List the evaluations, the newest first."),
    "compare": ("webui.cli.evaluations:compare", "Put models side by side."),
    "generate": ("webui.cli.generations:generate", "Compose pieces with a model, one per seed."),
    "repeat": ("webui.cli.generations:repeat", "Compose again what made a take's MIDI file."),
    "branch": ("webui.cli.generations:branch", "Compose other ways to go on from a take's note."),
    "generations": ("webui.cli.generations:generations", "List the generations, the newest first."),
    "takes": ("webui.cli.generations:takes", "List the takes of a generation."),
    "jobs": ("webui.cli.jobs:jobs", "List the jobs, the newest first."),
    "job": ("webui.cli.jobs:job", "Show one job and its log."),
    "cancel": ("webui.cli.jobs:cancel", "Cancel jobs."),
    "pause": ("webui.cli.jobs:pause", "Pause jobs; they give their device free."),
    "resume": ("webui.cli.jobs:resume", "Let paused jobs go on."),
    "retry": ("webui.cli.jobs:retry", "Try failed or cancelled jobs again."),
    "resubmit": ("webui.cli.jobs:resubmit", "Submit a generation or training again with other settings."),
    "queue": ("webui.cli.queue:queue", "Show what waits; pause and resume queues; move jobs."),
    "limits": ("webui.cli.queue:limits", "Show and set the most that people may have."),
    "notifications": ("webui.cli.notifications:notifications", "Choose how you are told that jobs have ended."),
    "sign-in": ("webui.cli.account:sign_in", "Keep a token for a server."),
    "sign-out": ("webui.cli.account:sign_out", "Forget the token for a server."),
    "whoami": ("webui.cli.account:whoami", "Show for whom the command line works."),
    "people": ("webui.cli.people:people", "Add, list and change people (on the server's machine)."),
    "web": ("webui.cli.parts:web", "Run the web server alone."),
    "worker": ("webui.cli.worker:worker", "Run one worker; list, drain and resume those that run."),
    "maintenance": ("webui.cli.parts:maintenance", "Run the process that brings back lost work."),
    "doctor": ("webui.cli.operations:doctor", "Check the whole installation, and say what to mend."),
    "backup": ("webui.cli.operations:backup", "Copy database and files, while the system runs."),
    "restore": ("webui.cli.operations:restore", "Put a backup in the place of what is there."),
    "retention": ("webui.cli.retention:retention", "Show, or delete, the takes that nobody kept."),
    "db": ("webui.cli.parts:db", "Prepare the database."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup)
@click.version_option(core.__version__, prog_name="cadenza")
def main() -> None:
    """Train music models on MIDI files and compose thousands of pieces with them."""
