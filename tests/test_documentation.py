"""The documents say what is so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from core.modeling.shapes import parameter_count
from core.settings import Settings
from core.training.settings import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in targets if "://" not in link and not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_targets_of_make_exist(document: Path) -> None:
    mentioned = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document.read_text(), flags=re.MULTILINE))
    assert mentioned <= _targets()


def test_help_lists_each_target_with_its_explanation() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"^  make ([a-z-]+)\s+\S", listed, flags=re.MULTILINE))
    assert named == _targets()


def test_every_setting_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(CADENZA_[A-Z_]+)` \|", (ROOT / "docs" / "deployment.md").read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(f"CADENZA_{name.upper()}" for name in Settings.model_fields)


def test_documented_defaults_are_the_defaults() -> None:
    rows = re.findall(
        r"^\| `CADENZA_([A-Z_]+)` \| `([^`]+)` \|", (ROOT / "docs" / "deployment.md").read_text(), flags=re.MULTILINE
    )
    assert rows
    for name, documented in rows:
        assert str(Settings.model_fields[name.lower()].default) == documented


def test_concepts_describe_every_family_with_its_sizes() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9]+)` \| (.*) \| ([^|]+) \|$", text, flags=re.MULTILINE)
    for family, cls in FAMILIES.items():
        sizes = [f"{parameter_count(cls.parse(values)):,}" for values in cls.presets.values()]
        if family == "tutorial":
            assert f"({sizes[0]} parameters)" in text
        else:
            assert (family, cls.summary, " · ".join(sizes)) in rows


def test_every_family_says_in_two_sentences_when_to_choose_it() -> None:
    for cls in FAMILIES.values():
        assert len(re.findall(r"[^.]+\.(?: |$)", cls.summary)) == 2, cls.summary
        assert cls.summary.endswith(".")


def test_requirements_carry_hashes_and_no_address() -> None:
    for requirements in sorted((ROOT / "requirements").glob("*.txt")):
        text = requirements.read_text()
        assert "://" not in text
        pinned = len(re.findall(r"^[a-z0-9].*==", text, flags=re.MULTILINE | re.IGNORECASE))
        assert pinned > 20
        assert text.count("--hash=sha256:") >= pinned


def _targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
