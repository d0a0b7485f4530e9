"""The program that trains for quality: what it carries, how it is cut into runs, what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.carried import join_checkpoint, pack_corpus, split_checkpoint, unpack_corpus
from benchmarks.music import made_up_piece
from benchmarks.quality import main
from core.datasets.corpus import Corpus, Split
from core.encoding.performance import encode
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.training.settings import LstmSettings


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


def test_weights_come_back_in_small_files(tmp_path: Path) -> None:
    settings = LstmSettings(embedding=64, units=1200)
    weights = initial_weights(settings)
    checkpoint = Checkpoint("lstm", "performance", settings.model_dump(mode="json"), weights, {"step": 3.0})
    (tmp_path / "weights-09.part").write_bytes(b"of an earlier, larger model")
    parts = split_checkpoint(checkpoint, tmp_path)
    assert sorted(tmp_path.iterdir()) == parts
    assert [part.stat().st_size <= 15e6 for part in parts] == [True]
    assert len(split_checkpoint(checkpoint, tmp_path, largest_bytes=5_000_000)) == 3
    back = join_checkpoint(tmp_path)
    assert (back.settings, back.figures) == (checkpoint.settings, checkpoint.figures)
    for name, array in weights.items():
        np.testing.assert_allclose(back.weights[name], array, rtol=1e-3, atol=1e-7)


@pytest.mark.slow
def test_trains_in_runs_and_ends_with_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.npz").write_bytes(_corpus().to_bytes())
    carried, folder = tmp_path / "corpus.xz", tmp_path / "run"
    assert main(["encode", str(tmp_path / "corpus.npz"), str(carried)]) == 0
    command = ["train", str(carried), str(folder), "--family", "gru", "--preset", "Starter"]
    for value in ("units=16", "embedding=8", "steps=30", "batch_size=4", "window=32", "evaluate_every=10"):
        command += ["--set", value]
    assert main([*command, "--minutes", "0.0001"]) == 3
    assert main(command) == 0
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [10, 20, 30]
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    lowest = min(line["held_out_nats_per_event"] for line in curve)
    assert last["held_out_nats_per_event"] == pytest.approx(lowest, abs=1e-5)
    assert (last["steps"], last["machine"][:5]) == (30, "CPU (")
    assert main(["join", str(folder), str(tmp_path / "model.cadenza")]) == 0
    assert Checkpoint.from_bytes((tmp_path / "model.cadenza").read_bytes()).family == "gru"


def test_needs_no_other_heavy_package() -> None:
    code = (
        "import sys, benchmarks.carried, benchmarks.quality, core.training.windows, core.training.resume,"
        "core.training.hooks, core.modeling.checkpoints; heavy = {'symusic', 'pretty_midi', 'music21', 'flask', "
        "'sqlalchemy', 'celery', 'scipy', 'redis'}; assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
