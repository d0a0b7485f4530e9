"""MIDI to sound on one core: ours against fluidsynth's own renderer, in seconds of music per second."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks import stages
from benchmarks.harness import Options, Row, Side, interleave, missing_peer, run_program, timing_notes, use_one_core
from core.audio.rendering import RENDER_RATE, default_soundfont, render_wav
from core.music.reading import read_midi
from core.music.writing import write_midi

_FILES = 4
_NOTES = 1_500
_GOAL_SPEED, _GOAL_SHARE = 50, 1 / 1.5
_UNIT = "× real time"
_PEER = "fluidsynth"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """One row."""
    use_one_core()
    pieces = [read_midi(data, fold_pedal=False).notes[:_NOTES] for data in options.music.files(_FILES)]
    midis = [write_midi(piece) for piece in pieces]
    seconds = sum(piece.end_seconds for piece in pieces)
    soundfont = default_soundfont()

    def ours() -> float:
        for midi in midis:
            render_wav(midi, soundfont)
        return seconds

    sides: dict[str, Side] = {"ours": ours}
    with tempfile.TemporaryDirectory() as folder:
        program = shutil.which("fluidsynth")
        if program is not None:
            sides["fluidsynth"] = _fluidsynth_side(program, Path(folder), soundfont, midis, seconds)
        timings = interleave(sides, options.repeats)
    if program is None:
        row = missing_peer(stages.AUDIO, _UNIT, timings["ours"], _PEER)
        row.met = None if row.ours >= _GOAL_SPEED else False
    else:
        row = Row(stages.AUDIO, _UNIT, timings["ours"].rate, _PEER, timings["fluidsynth"].rate)
        row.notes = timing_notes(timings)
        row.met = row.ours >= _GOAL_SPEED and (row.ratio or 0) >= _GOAL_SHARE
    row.goal = f"≥ {_GOAL_SPEED} × real time, ≥ {_GOAL_SHARE:.2f} × fluidsynth"
    row.notes.append(f"{options.music.name}: {_FILES} pieces, {seconds:.0f} s of music, to 48,000 Hz stereo WAV")
    return [row]


def _fluidsynth_side(program: str, folder: Path, soundfont: bytes, midis: list[bytes], seconds: float) -> Side:
    """Its fast renderer with what it does by default, a process for each file as people start it."""
    (folder / "font.sf2").write_bytes(soundfont)
    for number, midi in enumerate(midis):
        (folder / f"{number}.mid").write_bytes(midi)

    def side() -> float:
        for number in range(len(midis)):
            command = [program, "-ni", "-q", "-r", str(RENDER_RATE), "-F", "out.wav", "font.sf2", f"{number}.mid"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return seconds

    return side


if __name__ == "__main__":
    main()
