"""The table of the families: training for a given time, and how its figures are shown and kept."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.__main__ import _add, _page
from benchmarks.music import made_up_piece
from benchmarks.timed_training import train_for
from core.datasets.corpus import Corpus
from core.training.settings import GruSettings

_BESIDE = {"real": {"overlap": 0.9, "defects": 0.0}, "random": {"overlap": 0.3, "defects": 750.0}}
_ROW = {
    "family": "gru", "training": "Starter, 900 steps, 3.0 passes over the data", "parameters": 372_486,
    "training_rate": 20_500.4, "rate_unit": "events", "notes_per_second": 21_000.0, "nats_per_event": 1.2345,
    "nats_per_note": 2.5, "nats_per_second": 20.0, "overlap": 0.8, "defects": 46.875, "flagged": 0.125, "longest": 12.5,
    "threshold": 20, "beside": _BESIDE, "real_flagged": 0.01, "real_longest": 11.0,
    "real_excerpts": 100,
}  # fmt: skip


def test_the_families_have_a_table_of_their_own_that_stays_when_something_else_is_measured() -> None:
    results: dict[str, Any] = {"machine": "2 cores", "entries": [], "families": None}
    assert "## Not measured\n\n- the families" in _page(results)
    article = {**_ROW, "family": "tutorial", "rate_unit": "notes"} | dict.fromkeys(
        ("nats_per_event", "nats_per_note", "nats_per_second")
    )
    table = {"corpus": "the chorales", "seconds": 120.0, "takes": 64, "rows": [_ROW, article]}
    _add(results, "bench_families", table, 0.3)
    _add(results, "bench_audio", [{"stage": "audio", "unit": "× real time", "ours": 120.0, "notes": []}], 0.0)
    page = _page(results)
    assert (
        "| `gru` | 372,486 | 20,500 events/s | 21,000 notes/s | 1.234 | 2.500 | 20.000 | 0.800 | 47 (16 to 129) "
        "| 12.5% | 12 notes |"
    ) in page
    assert "| `tutorial` | 372,486 | 20,500 notes/s | 21,000 notes/s |  |  |  | 0.800 |" in page
    assert "| real pieces |  |  |  |  |  |  | 0.900 | 0 | 1.0% | 11 notes |" in page
    assert "the families" not in page.partition("## Not measured")[2].partition("##")[0]
    assert "120 s on the chorales" in page
    assert "from 20 shared notes on, which 1 of 100 excerpts of unrelated real pieces reaches" in page
    assert "Of hanging notes only those of 15 s" in page
    _add(results, "bench_families", {**table, "version": 2}, 0.0)
    assert "Of hanging notes" not in _page(results)
    newer = {**_ROW, "related": 9, "held_out_pieces": 41}
    _add(results, "bench_families", {**table, "rows": [newer, article], "version": 2}, 0.0)
    assert "Of the 41 held-out pieces 9 share more than a quarter of an excerpt" in _page(results)
    assert "- OTHER PROGRAMS USED 30% OF THE MACHINE MEANWHILE" in page
    assert "| audio | 120" in page


@pytest.mark.slow
def test_a_training_takes_the_time_that_it_is_given() -> None:
    pieces = [made_up_piece(seed, 300) for seed in range(6)]
    corpus = Corpus.of(pieces, ["train"] * 5 + ["validation"])
    small = GruSettings(embedding=16, units=32, window=32, batch_size=4, steps=7, warmup_steps=1)
    began = time.monotonic()
    training = train_for(small, corpus, 1.0)
    spent = time.monotonic() - began
    steps_per_second = training.events_per_second / (small.window * small.batch_size)
    assert training.result.steps == pytest.approx(steps_per_second, rel=0.2)
    assert training.result.best.settings["steps"] == training.result.steps
    assert not training.result.stopped_early
    assert spent > 3.0  # the measured two seconds, and the training
