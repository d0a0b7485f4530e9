"""`cadenza evaluate`, `evaluations` and `compare`, against a live server."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from sqlalchemy import select

from core.models.evaluations import Evaluation
from core.models.trainings import TrainingPoint
from tests.tools.web_content import WebContent
from webui.cli.evaluations import lines_of


def test_a_model_is_measured_listed_and_compared(cadenza: Any, content: WebContent) -> None:
    dataset, model = content.dataset("Music"), content.model("Net")
    asked = cadenza.run("evaluate", "Net", "--dataset", "Music", "--set", "takes=8")
    assert asked.stdout == "evaluation 1, job 1: on Music\n"
    done = content.evaluation(model, dataset)
    listed = cadenza.run("evaluations", "--model", "Net").stdout
    assert "Music (validation)" in listed
    assert "2.100" in listed
    answer = json.loads(cadenza.run("compare", "Net", "--json").stdout)
    assert answer["items"][0]["evaluation_id"] == done
    assert "On Music (validation pieces):" in cadenza.run("compare", str(model)).stdout
    on_test = cadenza.run("compare", str(model), "--split", "test", "--dataset", str(dataset)).stdout
    assert "On Music (test pieces):" in on_test
    assert "2.100" not in on_test
    training = content.training(dataset, model)
    with content.database.transaction() as session:
        values = {"held_out_nats_per_event": 2.25, "held_out_nats_per_second": 33.5}
        session.add(TrainingPoint(training_id=training, step=777, values=values))
    curves = cadenza.run("compare", str(model), "--curves").stdout
    assert "These pieces chose the checkpoint of Net" in curves
    assert "held out of Music:" in curves
    assert curves.split()[-4:] == ["777", "0.00", "2.250", "33.500"]


def test_waiting_prints_the_figures(cadenza: Any, content: WebContent) -> None:
    dataset = content.dataset()
    content.model("Net")

    def finish() -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with content.database.reading() as session:
                row = session.scalar(select(Evaluation))
            if row is not None and row.job_id:
                content.finish_job(row.job_id)
                return
            time.sleep(0.05)

    worker = threading.Thread(target=finish)
    worker.start()
    result = cadenza.run("evaluate", "Net", "--dataset", str(dataset), "--wait")
    worker.join()
    assert result.stdout.startswith("evaluation 1")


def test_what_cannot_be_measured_is_refused(cadenza: Any, content: WebContent) -> None:
    content.model("Net")
    assert "dataset_id" in cadenza.run("evaluate", "Net", code=1).stderr
    assert "no number" in cadenza.run("evaluate", "Net", "--generation", "x", code=2).stderr
    assert "unknown" in cadenza.run("compare", "Nobody", code=1).stderr


def test_figures_are_told_in_lines(content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    number = content.evaluation(model, dataset)
    with content.database.reading() as session:
        lines = lines_of(session.get_one(Evaluation, number).results)
    assert lines[0] == "nats per event: 2.1000"
    assert any("overlap with held-out pieces: takes" in line for line in lines)
    assert any("1 of 3" in line for line in lines)
    assert lines_of({"likelihood": {"kind": "article", "loss": 0.5}})[0].endswith("0.5000")
