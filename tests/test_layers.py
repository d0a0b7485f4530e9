"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where Keras, TensorFlow and what needs them may be imported.
_HEAVY = {"keras", "tensorflow", "jax", "music21"}


def test_core_knows_nothing_of_worker_and_webui() -> None:
    strays = [
        (path, name)
        for path, name in _imports("core")
        if name.split(".")[0] in {"worker", "webui", "flask", "apiflask", "celery"}
    ]
    assert not strays


def test_webui_uses_of_worker_only_the_names() -> None:
    strays = [
        (path, name)
        for path, name in _imports("webui")
        if name.split(".")[0] == "worker" and name not in {"worker.names", "worker"}
    ]
    assert not strays


def test_worker_does_not_use_webui() -> None:
    assert not [(path, name) for path, name in _imports("worker") if name.split(".")[0] == "webui"]


def test_heavy_libraries_are_imported_only_where_models_live() -> None:
    allowed = ("core/modeling/", "core/training/", "core/sampling/", "core/datasets/", "worker/")
    strays = [
        (path, name)
        for folder in ("core", "worker", "webui")
        for path, name in _imports(folder)
        if name.split(".")[0] in _HEAVY and not path.startswith(allowed)
    ]
    assert not strays


def _imports(folder: str) -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((str(path.relative_to(ROOT)), alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module == "worker":
                    yield from ((str(path.relative_to(ROOT)), f"worker.{alias.name}") for alias in node.names)
                yield str(path.relative_to(ROOT)), node.module
