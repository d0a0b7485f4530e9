"""The program that trains for quality: what it carries, how it is cut into runs, what comes back."""

from __future__ import annotations

import io
import json
import lzma
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from benchmarks import carried
from benchmarks.carried import join_checkpoint, pack_corpus, read_corpus, split_checkpoint, unpack_corpus
from benchmarks.music import made_up_piece
from benchmarks.quality import main
from benchmarks.run_folder import FolderHooks
from core.datasets.corpus import Corpus, Split
from core.encoding.performance import encode
from core.errors import CheckpointError
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.training.settings import LstmSettings
from tests.tools.haste import hasty_environment

# One of so many pieces of MAESTRO is packed.
_PART = 40


def _corpus() -> Corpus:
    pieces = [made_up_piece(seed, 150) for seed in range(6)]
    pieces[2] = Notes.empty()
    splits: list[Split] = ["train", "validation", "train", "test", "train", "train"]
    return Corpus.of(pieces, splits)


def test_the_carried_corpus_gives_the_same_events_and_leaves_the_test_split_behind() -> None:
    corpus = _corpus()
    carried = unpack_corpus(pack_corpus(corpus))
    for split in ("train", "validation"):
        originals, copies = list(corpus.pieces(split)), list(carried.pieces(split))
        assert [encode(piece).tolist() for piece in copies] == [encode(piece).tolist() for piece in originals]
    assert len(carried) == 5
    assert not list(carried.pieces("test"))


@pytest.mark.slow
def test_the_packed_maestro_is_small_enough_to_carry(shared_data: Path, tmp_path: Path) -> None:
    whole = shared_data / "maestro-v3.0.0-midi-train-validation.zip"
    part = tmp_path / "part.zip"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(part, "w") as target:
        midi = sorted(name for name in source.namelist() if name.endswith((".mid", ".midi")))
        chosen = midi[::_PART]
        for name in chosen + [name for name in source.namelist() if name.endswith(".csv")]:
            target.writestr(name, source.read(name))
        size = {name: source.getinfo(name).file_size for name in midi}
    corpus = read_corpus(part)
    assert len(corpus) == len(chosen)
    packed = len(pack_corpus(corpus))
    # Pieces hardly help to pack each other, so that the whole has the part's share of bytes, and a little less.
    assert packed * sum(size.values()) / sum(size[name] for name in chosen) < 30e6


def _checkpoint(units: int, seed: int = 0) -> Checkpoint:
    settings = LstmSettings(embedding=64, units=units, seed=seed)
    return Checkpoint(
        "lstm", "performance", settings.model_dump(mode="json"), initial_weights(settings), {"step": float(seed)}
    )


def test_weights_come_back_in_small_files(tmp_path: Path) -> None:
    checkpoint = _checkpoint(1200)
    (tmp_path / "weights-09.part").write_bytes(b"of an earlier, larger model")
    written = split_checkpoint(checkpoint, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert written[0].name == "weights.json"
    assert [path.stat().st_size <= 15e6 for path in written] == [True, True]
    assert len(split_checkpoint(checkpoint, tmp_path, largest_bytes=5_000_000)) == 4
    assert len(list(tmp_path.iterdir())) == 4
    back = join_checkpoint(tmp_path)
    assert (back.settings, back.figures) == (checkpoint.settings, checkpoint.figures)
    for name, array in checkpoint.weights.items():
        np.testing.assert_allclose(back.weights[name], array, rtol=1e-3, atol=1e-7)


def test_a_death_at_any_write_leaves_one_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = _checkpoint(16, 1), _checkpoint(16, 2)
    write = carried.write_whole
    found = []
    for deadly in range(20):
        folder = tmp_path / str(deadly)
        folder.mkdir()
        split_checkpoint(old, folder, largest_bytes=20_000)
        left = iter(range(deadly))

        def dies(path: Path, data: bytes, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                path.with_name(f"{path.name}.aside").write_bytes(data[:10])
                raise KeyboardInterrupt
            write(path, data)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(carried, "write_whole", dies)
            split_checkpoint(new, folder, largest_bytes=20_000)
        found.append(join_checkpoint(folder).figures["step"])
    deaths = found.count(1.0)
    assert 3 < deaths < 20
    assert found == [1.0] * deaths + [2.0] * (20 - deaths)


def test_parts_that_are_missing_or_damaged_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"weights\.json is missing"):
        join_checkpoint(tmp_path)
    _, first, second, *_ = split_checkpoint(_checkpoint(16), tmp_path, largest_bytes=20_000)
    whole = first.read_bytes()
    first.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="damaged"):
        join_checkpoint(tmp_path)
    first.write_bytes(whole)
    second.unlink()
    with pytest.raises(CheckpointError, match=f"{second.name} is missing"):
        join_checkpoint(tmp_path)


# A run that dies at step 27 without a word to anyone; it has said before what a whole training loads.
_KILLED = """
import os, signal, sys
from pathlib import Path
from benchmarks import quality, run_folder

quality._RESUME_SECONDS = 0.0
tell = run_folder.FolderHooks.progress

def progress(hooks, told):
    tell(hooks, told)
    if told.step == 27:
        heavy = {"symusic", "pretty_midi", "music21", "flask", "sqlalchemy", "celery", "redis", "fsspec", "plotly"}
        Path(sys.argv[1]).write_text(f"{sorted(heavy & set(sys.modules))}, keras: {'keras' in sys.modules}")
        os.kill(os.getpid(), signal.SIGKILL)

run_folder.FolderHooks.progress = progress
quality.main(sys.argv[2:])
"""


@pytest.mark.slow
def test_cut_and_killed_it_ends_as_if_it_had_run_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus.npz").write_bytes(_corpus().to_bytes())
    packed = tmp_path / "corpus.xz"
    assert main(["encode", str(tmp_path / "corpus.npz"), str(packed)]) == 0

    def command(folder: str) -> list[str]:
        values = ("units=16", "embedding=8", "steps=30", "batch_size=4", "window=32", "evaluate_every=10")
        chosen = [part for value in values for part in ("--set", value)]
        return ["train", str(packed), str(tmp_path / folder), "--family", "gru", "--preset", "Starter", *chosen]

    assert main(command("whole")) == 0
    # A run that ends after step 14, as when its minutes are over.
    reached = []
    with monkeypatch.context() as patch:
        patch.setattr(FolderHooks, "progress", lambda hooks, told: reached.append(told.step))
        patch.setattr(FolderHooks, "interrupted", lambda hooks: reached[-1:] == [14])
        assert main(command("cut")) == 3
    # One that goes on from there, writes a resume point before each step, and is killed in step 27.
    said = tmp_path / "said"
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(said), *command("cut")], check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert said.read_text() == "[], keras: True"
    steps_before = _curve(tmp_path / "cut")
    assert [point["step"] for point in steps_before] == [10, 20]
    before = json.loads((tmp_path / "cut" / "seconds.json").read_text())
    # A point that the killed run had told after its last resume point is told once more, not twice.
    curve = tmp_path / "cut" / "curve.jsonl"
    curve.write_text(curve.read_text() + json.dumps({**steps_before[-1], "step": 30}) + "\n")
    began = time.monotonic()
    assert main(command("cut")) == 0
    spent = time.monotonic() - began

    whole, cut = (_curve(tmp_path / folder) for folder in ("whole", "cut"))
    timeless = [[{**point, "seconds": 0, "training_seconds": 0} for point in curve] for curve in (whole, cut)]
    assert timeless[0] == timeless[1]
    assert [point["step"] for point in cut] == [10, 20, 30]
    results = [json.loads((tmp_path / folder / "result.json").read_text()) for folder in ("whole", "cut")]
    assert results[0] | {"seconds": 0} == results[1] | {"seconds": 0}
    lowest = min(point["held_out_nats_per_event"] for point in whole)
    assert results[1]["held_out_nats_per_event"] == pytest.approx(lowest, abs=1e-5)
    assert (results[1]["steps"], results[1]["machine"][:5]) == (30, "CPU (")
    # All of the time: that of the killed run too, and of what it lost.
    assert results[1]["seconds"] == pytest.approx(before + spent, abs=1.0)
    assert before > cut[1]["training_seconds"] > 0
    for folder in ("whole", "cut"):
        assert main(["join", str(tmp_path / folder), str(tmp_path / f"{folder}.cadenza")]) == 0
    assert (tmp_path / "whole.cadenza").read_bytes() == (tmp_path / "cut.cadenza").read_bytes()
    assert (tmp_path / "whole" / "best.cadenza").read_bytes() == (tmp_path / "cut" / "best.cadenza").read_bytes()
    assert Checkpoint.from_bytes((tmp_path / "cut.cadenza").read_bytes()).family == "gru"
    # What is done is not done again, and another corpus is refused.
    capsys.readouterr()
    assert main(command("cut")) == 0
    assert json.loads(capsys.readouterr().out) == results[1]
    (tmp_path / "cut" / "result.json").unlink()
    packed.write_bytes(pack_corpus(Corpus.of([made_up_piece(9, 150)] * 2, ["train", "validation"])))
    assert main(command("cut")) == 2
    assert "began with another corpus; choose another folder" in capsys.readouterr().err


def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = pack_corpus(_corpus())
    arrays = io.BytesIO()
    np.savez(arrays, gap=np.zeros(2, np.uint8))
    damaged = [whole[:-20], whole[:200], whole[:100] + b"?" + whole[101:], b"", b"no corpus"]
    damaged += [lzma.compress(data) for data in (b"", b"no corpus", arrays.getvalue(), arrays.getvalue()[:-9])]
    for number, data in enumerate(damaged):
        file = tmp_path / f"{number}.xz"
        file.write_bytes(data)
        assert main(["train", str(file), str(tmp_path / "run")]) == 2
        assert f"{file} is damaged, or no corpus that `encode` wrote" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "gone.xz"), str(tmp_path / "run")]) == 2
    assert f"There is no corpus file {tmp_path / 'gone.xz'}" in capsys.readouterr().err
    (tmp_path / "damaged.zip").write_bytes(b"no zip")
    (tmp_path / "damaged.npz").write_bytes(_corpus().to_bytes()[:-200])
    for source, words in (("damaged.zip", "damaged"), ("damaged.npz", "damaged"), ("missing.zip", "missing.zip")):
        assert main(["encode", str(tmp_path / source), str(tmp_path / "packed.xz")]) == 2
        assert words in capsys.readouterr().err
    assert main(["join", str(tmp_path), str(tmp_path / "model")]) == 2
    assert "weights.json is missing" in capsys.readouterr().err
    assert not (tmp_path / "packed.xz").exists()


@pytest.mark.slow
def test_it_fits_the_time_that_it_is_given_in_runs_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, folder = tmp_path / "corpus.xz", tmp_path / "run"
    packed.write_bytes(pack_corpus(_corpus()))
    small = ["--set", "units=16", "--set", "embedding=8", "--set", "batch_size=4", "--set", "window=32"]
    command = ["train", str(packed), str(folder), "--family", "gru", "--preset", "Starter", *small]
    for fixed in ("minutes", "steps"):
        with pytest.raises(SystemExit):
            main([*command, "--fit-minutes", "1", "--set", f"{fixed}=2"])
        assert f"leave --set {fixed}=... out" in capsys.readouterr().err
    # Each of the runs does one step at least, however slow the machine.
    codes = [main([*command, "--fit-minutes", "0.2", "--minutes", "0.1"])]
    settings = json.loads((folder / "settings.json").read_text())
    assert 1 <= settings["steps"] < 1_000_000
    assert settings["minutes"] == 0
    while codes[-1] == 3:
        assert len(codes) < 40
        codes.append(main([*command, "--fit-minutes", "0.2", "--minutes", "0.1"]))
    assert codes == [3] * (len(codes) - 1) + [0]
    result = json.loads((folder / "result.json").read_text())
    assert result["steps"] == settings["steps"]
    assert result["seconds"] > 0


# Ends after the step of its first argument.
_CUT = """
import sys
from benchmarks import quality, run_folder

reached = []
run_folder.FolderHooks.progress = lambda hooks, told: reached.append(told.step)
run_folder.FolderHooks.interrupted = lambda hooks: reached[-1:] == [int(sys.argv[1])]
sys.exit(quality.main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_under_jax_only_the_first_run_compiles(tmp_path: Path) -> None:
    (tmp_path / "corpus.xz").write_bytes(pack_corpus(_corpus()))
    chosen = ["units=8", "embedding=8", "batch_size=2", "window=8", "optimizer=adamw", "sounding=false"]
    command = ["train", str(tmp_path / "corpus.xz"), str(tmp_path / "run"), "--family", "gru"]
    command += ["--preset", "Starter", *[part for value in chosen for part in ("--set", value)]]
    environment = hasty_environment(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")

    def run_until(step: int) -> dict[str, int]:
        """Sizes of what is kept of the compiled step after a run that ends there."""
        run = [sys.executable, "-c", _CUT, str(step), *command]
        assert subprocess.run(run, check=False, timeout=300, env=environment).returncode == 3
        found = (tmp_path / "run" / "compiled").glob("jit_step-*-cache")
        return {path.name: path.stat().st_size for path in found}

    first = run_until(3)
    assert len(first) == 1
    assert run_until(5) == first
    # What a kill left torn is no obstacle.
    torn = tmp_path / "run" / "compiled" / next(iter(first))
    torn.write_bytes(torn.read_bytes()[:100])
    assert set(run_until(7)) == set(first)


def _curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_needs_no_other_heavy_package() -> None:
    code = (
        "import sys, benchmarks.carried, benchmarks.quality, core.training.windows, core.training.resume,"
        "core.training.hooks, core.modeling.checkpoints; heavy = {'symusic', 'pretty_midi', 'music21', 'flask', "
        "'sqlalchemy', 'celery', 'scipy', 'redis'}; assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
