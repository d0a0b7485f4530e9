"""What is kept of what was compiled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.kept import Kept


def test_the_last_used_are_kept() -> None:
    kept, made = Kept[str](2), list[str]()

    def of(key: str) -> str:
        return kept.of(key, lambda: made.append(key) or key.upper())

    assert [of(key) for key in ("a", "b", "a", "c", "a", "b", "b")] == ["A", "B", "A", "C", "A", "B", "B"]
    assert made == ["a", "b", "c", "b"]  # "a" was used again before "c" came, so "b" had to go


def test_what_could_not_be_made_is_tried_again() -> None:
    kept = Kept[int](2)
    with pytest.raises(ZeroDivisionError):
        kept.of("a", lambda: 1 // 0)
    assert kept.of("a", lambda: 5) == 5
    assert kept.of("a", lambda: 6) == 5


def test_threads_make_it_once() -> None:
    kept, made, start = Kept[object](2), list[int](), threading.Barrier(8)

    def use(number: int) -> object:
        start.wait()
        return kept.of("same", lambda: made.append(number) or object())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(use, range(8)))) == 1
    assert len(made) == 1
