"""`cadenza generate`, `repeat`, `branch`, `generations` and `takes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webui.cli.options import api_client, json_option, page_options, place_options, wait_option

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_FORMATS = click.Choice(["mid", "wav", "mp3"])


@click.command()
@click.option("--model", required=True, metavar="M", help="Number, name or start of the hash of a model.")
@click.option("--seeds", default="0-7", show_default=True, help="0-99, or 1,5,9, or '32 random'.")
@click.option("--temperature", default="1", show_default=True, metavar="T[,T...]", help="Several make a sweep.")
@click.option("--notes", metavar="N", help="Length of each take in notes.")
@click.option("--seconds", metavar="S", help="Length of each take in seconds.")
@click.option("--top-k", metavar="K", help="Choose among the K likeliest events only; 0 means all.")
@click.option("--top-p", metavar="P", help="Choose among the likeliest events that together have this probability.")
@click.option("--min-p", metavar="P", help="Rule out events less likely than this share of the likeliest.")
@click.option("--repetition-guard", metavar="G", help="Avoid pitches struck again and again; 0.2 is mild.")
@click.option("--lowest", metavar="PITCH", help="No note lies below; 60 is middle C.")
@click.option("--highest", metavar="PITCH", help="No note lies above.")
@click.option("--longest-note", metavar="S", help="Release what sounds longer, 8 s by default.")
@click.option("--density", metavar="N", help="Lean towards N notes a second.")
@click.option("--pace", metavar="N", help="Lean towards N moments with a note or chord a second.")
@click.option("--follow-primer", is_flag=True, help="Lean towards the primer's density and pace.")
@click.option("--join-primer", is_flag=True, help="The take begins with its primer.")
@click.option("--primer", metavar="none|PIECE|FILE", help="No primer, a piece's number, or a MIDI file.")
@click.option("--primer-notes", metavar="N", help="Notes taken from the primer's start.")
@click.option("--instrument", metavar="0|NAME", help="General MIDI program: its number or name.")
@click.option("--velocity", metavar="V", help="Loudness of every note, 1 to 127; 0 keeps the model's.")
@click.option("--tempo", metavar="X", help="2 plays twice as fast.")
@click.option("--may-end-early", is_flag=True, help="A take may end where the model ends the piece.")
@click.option("--name", default="", help="What the generation is called.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Save each take here as it finishes.")
@click.option("--format", "extension", type=_FORMATS, default="mid", show_default=True, help="What --out saves.")
@place_options
@wait_option
@api_client
def generate(client: ApiClient, model: str, name: str, wait: bool, **chosen: Any) -> None:
    """Compose takes: one for each seed and temperature."""
    out, extension = chosen.pop("out"), chosen.pop("extension")
    place = {name: chosen.pop(name) for name in ("priority", "start_at")}
    values = {"model": model, "name": name, "primer": _primer(client, chosen), "settings": _settings(chosen), **place}
    _follow(client, client.send("POST", "/generations", values), wait, out, extension)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Save the take here.")
@click.option("--format", "extension", type=_FORMATS, default="mid", show_default=True, help="What --out saves.")
@wait_option
@api_client
def repeat(client: ApiClient, file: Path, out: Path | None, extension: str, wait: bool) -> None:
    """Compose once more what FILE, a MIDI file of Cadenza's, says about itself."""
    with file.open("rb") as stream:
        generation = client.post_files("/generations/repeat", "file", [(file.name, stream)])
    _follow(client, generation, wait, out, extension)


@click.command()
@click.argument("take", metavar="TAKE")
@click.option("--note", required=True, metavar="N", help="The first N notes of the take are kept.")
@click.option("--count", metavar="K", help="How many new takes with random seeds; 8 unless seeds are named.")
@click.option("--seeds", help="In place of a count: 0-99, or 1,5,9, or '32 random'.")
@click.option("--length", metavar="L", help="What follows, in the take's unit; as long as the take by default.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Save each take here as it finishes.")
@click.option("--format", "extension", type=_FORMATS, default="mid", show_default=True, help="What --out saves.")
@wait_option
@api_client
def branch(client: ApiClient, take: str, wait: bool, out: Path | None, extension: str, **chosen: str | None) -> None:
    """Compose takes that begin as TAKE does and go on in other ways."""
    from webui.cli.numbers import number_in_path

    values = {name: value for name, value in chosen.items() if value is not None}
    generation = client.send("POST", f"/takes/{number_in_path(take, 'take')}/branch", values)
    _follow(client, generation, wait, out, extension)


@click.command()
@click.option("--search", default="", help="Only those whose name contains this text.")
@page_options
@json_option
@api_client
def generations(client: ApiClient, as_json: bool, **query: Any) -> None:
    """List the generations, the newest first."""
    from webui.cli.tables import moment, print_json, print_page, state_of

    answer = client.get("/generations", **query)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: str(item["id"]),
        "name": lambda item: item["name"],
        "model": lambda item: item["model_name"],
        "takes": lambda item: f"{item['takes_done']:,} of {item['takes_total']:,}",
        "state": lambda item: state_of(item["job"]),
        "created": lambda item: moment(item["created_at"]),
    }
    print_page(answer, columns, "There is no generation yet; `cadenza generate --model M` makes one.")


@click.command()
@click.argument("generation", metavar="GENERATION")
@click.option("--sort", default="index", show_default=True, help="index, seed, notes, seconds or a measure.")
@click.option("--descending", is_flag=True, help="The largest first.")
@click.option("--starred", is_flag=True, help="Only those with a star.")
@click.option("--copies", is_flag=True, help="Only those that are flagged as copies of a training piece.")
@page_options
@json_option
@api_client
def takes(client: ApiClient, generation: str, starred: bool, copies: bool, as_json: bool, **query: Any) -> None:
    """List the takes of a generation."""
    from webui.cli.numbers import number_in_path
    from webui.cli.tables import duration, print_json, print_page

    if starred:
        query["starred"] = "true"
    if copies:
        query["flagged"] = "true"
    answer = client.get(f"/generations/{number_in_path(generation, 'generation')}/takes", **query)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: item["id"],
        "seed": lambda item: str(item["seed"]),
        "temperature": lambda item: f"{item['temperature']:g}",
        "notes": lambda item: item["notes"],
        "length": lambda item: duration(item["seconds"]),
        "notes/s": lambda item: f"{item['notes_per_second']:.1f}",
        "entropy": lambda item: f"{item['pitch_class_entropy']:.2f}",
        "polyphony": lambda item: f"{item['polyphony']:.2f}",
        "defect": lambda item: item["defect"],
        "copied notes": lambda item: "" if item["copied_notes"] is None else str(item["copied_notes"]),
        "star": lambda item: "★" if item["starred"] else "",
        "remark": lambda item: item["note"],
    }
    empty = "No take is flagged as a copy; `cadenza evaluate MODEL --generation N` looks for copies."
    print_page(answer, columns, empty if copies else "No take is finished yet.")


def _settings(chosen: dict[str, Any]) -> dict[str, Any]:
    """The API's settings from the options given; what was not given is left to the API."""
    if chosen["notes"] is not None and chosen["seconds"] is not None:
        raise click.UsageError("--notes and --seconds exclude each other; give one of them.")
    settings: dict[str, Any] = {"seeds": chosen["seeds"], "temperatures": chosen["temperature"]}
    for unit in ("notes", "seconds"):
        if chosen[unit] is not None:
            settings |= {"length_unit": unit, "length": chosen[unit]}
    same = ("top_k", "top_p", "min_p", "repetition_guard", "longest_note", "density", "pace", "velocity")
    names = {name: name for name in same}
    names |= {"tempo": "tempo_factor", "lowest": "lowest_pitch", "highest": "highest_pitch"}
    settings |= {setting: chosen[option] for option, setting in names.items() if chosen[option] is not None}
    if chosen["instrument"] is not None:
        settings["program"] = _program(chosen["instrument"])
    flags = ("may_end_early", "follow_primer", "join_primer")
    return settings | {flag: True for flag in flags if chosen[flag]}


def _program(instrument: str) -> str:
    """The program's number as text; a name may be shortened as long as one instrument fits."""
    from core.music.names import PROGRAM_NAMES

    wanted = instrument.strip().lower()
    if wanted.removeprefix("-").isdigit():
        return wanted
    fitting = [number for number, name in enumerate(PROGRAM_NAMES) if name.lower() == wanted]
    fitting = fitting or [number for number, name in enumerate(PROGRAM_NAMES) if wanted and wanted in name.lower()]
    if len(fitting) == 1:
        return str(fitting[0])
    fits = ", ".join(PROGRAM_NAMES[number] for number in fitting[:6]) or "none"
    raise click.UsageError(
        f"--instrument {instrument!r} is refused; it fits {fits}. Give a number, 0 to 127, or one name."
    )


def _primer(client: ApiClient, chosen: dict[str, Any]) -> dict[str, Any]:
    primer: str | None = chosen["primer"]
    choice: dict[str, Any] = {}
    if chosen["primer_notes"] is not None:
        choice["notes"] = chosen["primer_notes"]
    if primer is None:
        return choice
    if primer.lower() == "none":
        return {**choice, "kind": "none"}
    if primer.isascii() and primer.isdigit():
        return {**choice, "kind": "piece", "piece_id": primer}
    if not Path(primer).is_file():
        raise click.UsageError(f"--primer {primer!r} is refused; give none, a piece's number, or a MIDI file.")
    from webui.cli.uploading import upload

    return {**choice, "kind": "upload", "upload_id": upload(client, [(Path(primer).name, Path(primer))])[0]}


def _follow(client: ApiClient, generation: dict[str, Any], wait: bool, out: Path | None, extension: str) -> None:
    job_id = generation["job"]["id"]
    total = generation["takes_total"]
    click.echo(
        f"generation {generation['id']}, job {job_id}: {total:,} {'take' if total == 1 else 'takes'}",
        err=out is not None,
    )
    if out is not None:
        from webui.cli.saving import TakeSaver

        TakeSaver(client, generation["id"], out, extension).save_while_running(job_id)
    elif wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, job_id)
