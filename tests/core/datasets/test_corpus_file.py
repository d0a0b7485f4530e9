from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.corpus import Corpus
from core.datasets.corpus_file import COLUMNS, read_piece, write_corpus
from core.errors import StorageError
from core.music.notes import Notes


def corpus_of(lengths: Sequence[int]) -> Corpus:
    random = np.random.default_rng(5)
    pieces = [
        Notes.of(random.random(n), random.random(n), random.integers(0, 128, n), random.integers(1, 128, n))
        for n in lengths
    ]
    return Corpus.of(pieces, ["train"] * len(pieces))


def written(corpus: Corpus) -> io.BytesIO:
    columns = {name: io.BytesIO(getattr(corpus.notes, name).tobytes()) for name in COLUMNS}
    target = io.BytesIO()
    write_corpus(target, columns, corpus.offsets, corpus.splits)
    return target


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_each_piece_is_read_as_the_whole_corpus_would_give_it(lengths: list[int]) -> None:
    corpus = corpus_of(lengths)
    for stream in (written(corpus), io.BytesIO(corpus.to_bytes())):
        whole = Corpus.from_bytes(stream.getvalue())
        assert len(whole) == len(lengths)
        assert np.array_equal(whole.splits, corpus.splits)
        for index in range(len(lengths)):
            one, other = read_piece(stream, index), corpus.piece(index)
            for name in COLUMNS:
                assert np.array_equal(getattr(one, name), getattr(other, name))
                assert np.array_equal(getattr(whole.piece(index), name), getattr(other, name))


def test_only_the_rows_of_the_piece_are_read() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    stream = Counting(written(corpus_of([100_000, 50, 100_000])).getvalue())
    assert len(read_piece(stream, 1)) == 50
    assert stream.count < 80_000  # the end of the zip is looked through for its table of contents


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_a_piece_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(StorageError):
        read_piece(written(corpus_of([3, 4, 5])), index)


def test_columns_that_are_too_short_are_refused() -> None:
    corpus = corpus_of([10])
    with pytest.raises(StorageError, match="ended 7 bytes early"):
        write_corpus(
            io.BytesIO(),
            {name: io.BytesIO(bytes(10 * COLUMNS[name].itemsize - 7)) for name in COLUMNS},
            corpus.offsets,
            corpus.splits,
        )


@given(st.data())
def test_damage_is_an_error_of_ours(data: st.DataObject) -> None:
    content = bytearray(written(corpus_of([5, 5])).getvalue())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(StorageError):
        read_piece(io.BytesIO(content), 1)
