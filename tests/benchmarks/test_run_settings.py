"""A run's folder goes on with the flags that it began with, and refuses others."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.quality import main
from benchmarks.run_settings import keep_settings, kept_settings
from core.errors import ConflictError
from core.training.settings import parse_training_settings


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder whose training was decided with a preset, a setting and a time."""
    settings = parse_training_settings("gru", {"minutes": "0", "dropout": "0.25", "steps": 77}, "Starter")
    keep_settings(tmp_path, settings, "a" * 64, {"preset": "Starter", "fit_minutes": 55.0})
    return tmp_path


def _asked(*flags: str) -> argparse.Namespace:
    """What the program makes of flags of `train`."""
    with pytest.MonkeyPatch.context() as patch:
        seen: list[argparse.Namespace] = []
        patch.setattr(quality, "_train", lambda options: seen.append(options) or 0)
        assert main(["train", "corpus.xz", "run", *flags]) == 0
    return seen[0]


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--family", "gru"),
        ("--preset", "Starter", "--minutes", "9"),
        ("--set", "dropout=0.250", "--set", "steps=77"),
        ("--set", "dropout=0.250", "--fit-minutes", "55"),
    ],
)
def test_a_folder_goes_on_with_flags_that_agree_or_are_left_out(begun: Path, flags: tuple[str, ...]) -> None:
    settings = kept_settings(begun, _asked(*flags), "a" * 64)
    assert settings is not None
    assert (settings.family, settings.model_dump()["dropout"], settings.model_dump()["steps"]) == ("gru", 0.25, 77)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--family", "lstm", "--preset", "Large"), "--family gru, not lstm; --preset Starter, not Large"),
        (("--family", "lstm", "--set", "heads=2"), "--family gru, not lstm."),
        (("--fit-minutes", "24"), "--fit-minutes 55, not 24"),
        (("--fit-minutes", "0"), "--fit-minutes 55, not 0"),
        (("--set", "units=48", "--set", "dropout=0.1"), "--set dropout=0.25, not 0.1"),
        (("--set", "steps=78"), "--set steps=77, not 78"),
    ],
)
def test_flags_that_say_other_than_the_folder_are_refused(begun: Path, flags: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConflictError, match="choose another folder") as refused:
        kept_settings(begun, _asked(*flags), "a" * 64)
    assert words in str(refused.value)
    assert f"{begun} began with" in str(refused.value)


def test_a_folder_of_an_earlier_version_goes_on(begun: Path) -> None:
    kept = json.loads((begun / "settings.json").read_text())
    del kept["asked"]
    (begun / "settings.json").write_text(json.dumps(kept))
    assert kept_settings(begun, _asked("--preset", "Large", "--fit-minutes", "9"), "a" * 64) is not None
    with pytest.raises(ConflictError, match="--set dropout"):
        kept_settings(begun, _asked("--set", "dropout=0.1"), "a" * 64)


def test_a_finished_folder_is_held_against_the_flags_too(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (begun / "result.json").write_text("{}\n")
    corpus = str(begun / "corpus.xz")
    assert main(["train", corpus, str(begun)]) == 0  # though its corpus is gone, which is not needed any more
    assert capsys.readouterr().out == "{}\n"
    assert main(["train", corpus, str(begun), "--set", "dropout=0.1"]) == 2
    told = capsys.readouterr()
    assert (told.out, "--set dropout=0.25, not 0.1" in told.err) == ("", True)
    assert main(["train", corpus, str(begun), "--set", "droput=0.1"]) == 2
    assert "droput" in capsys.readouterr().err
    Path(corpus).write_bytes(b"another")
    assert main(["train", corpus, str(begun)]) == 2
    assert "began with another corpus" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["dropout", "=0.1", ""])
def test_a_setting_without_name_or_value_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "corpus.xz", "run", "--set", text])
    assert ended.value.code == 2
    assert f"{text!r} is refused; write NAME=VALUE" in capsys.readouterr().err
