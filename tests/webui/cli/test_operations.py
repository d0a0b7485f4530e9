"""`cadenza doctor`, `backup` and `restore`, as an administrator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.artifacts import ArtifactStore
from core.processes import take_lock
from core.records import schema
from core.records.database import Database
from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.cli import main


@pytest.fixture
def here(settings: Settings, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with takes, as the environment names it."""
    monkeypatch.setenv("CADENZA_DATA_DIR", str(settings.data_dir))
    database = Database(sqlite_url)
    content = WebContent(database, ArtifactStore.of(settings))
    content.generation(content.model(), "0-3")
    database.dispose()
    return settings


def cadenza(*words: str, code: int = 0, answer: str | None = None) -> Result:
    result = CliRunner().invoke(main, list(words), input=answer)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def test_back_and_forth(here: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert "is whole and checked" in cadenza("backup", str(copy)).output
    assert "is whole" in cadenza("restore", str(copy), "--check").output
    assert "not empty" in cadenza("restore", str(copy), code=1).stderr
    assert "Aborted" in cadenza("restore", str(copy), "--replace", answer="n\n", code=1).output
    kept = here.data_dir / "backups"
    assert not kept.exists()
    shown = cadenza("restore", str(copy), "--replace", answer="y\n").output
    assert "What is there now was kept in" in shown
    assert "Restored" in shown
    (safe,) = kept.iterdir()
    assert "is whole" in cadenza("restore", str(safe), "--check").output
    assert "exists already" in cadenza("backup", str(copy), code=1).stderr
    assert "is whole and checked" in cadenza("backup").output
    assert len(list(kept.iterdir())) == 2


def test_nothing_is_replaced_under_a_running_system(here: Settings, tmp_path: Path) -> None:
    cadenza("backup", str(tmp_path / "copy"))
    other = take_lock_elsewhere(here.run_dir / "up.lock")
    try:
        shown = cadenza("restore", str(tmp_path / "copy"), "--replace", "--yes", code=1)
        assert "Cadenza runs on the data" in shown.stderr
    finally:
        other.kill()
        other.wait()


def take_lock_elsewhere(path: Path):
    """Another process that holds a lock, as `cadenza up` does."""
    import subprocess
    import sys

    assert take_lock  # what the other process calls
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom core.processes import take_lock\n"
        "assert take_lock(Path(sys.argv[1])) is not None\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_an_upgrade_by_hand_keeps_a_copy(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CADENZA_DATA_DIR", str(settings.data_dir))
    settings.data_dir.mkdir()
    database = Database(settings.resolved_database_url)
    schema.upgrade(database, "0001")
    shown = cadenza("db", "upgrade").output
    assert "copying them" in shown
    assert f"of revision {schema.newest()}" in shown
    assert len(list((settings.data_dir / "backups").iterdir())) == 1
    assert "copying" not in cadenza("db", "upgrade").output
    database.dispose()


def test_the_doctor_for_people_and_for_scripts(here: Settings) -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code in {0, 1}
    assert "tables" in result.output
    assert "->" in result.output
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    assert {"about", "level", "found", "mend"} == set(found[0])
    assert {each["about"] for each in found} >= {"database", "tables", "broker", "files"}
