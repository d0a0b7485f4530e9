from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.datasets.metadata import PieceMetadata, read_metadata

MAESTRO = (
    "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
    'Alban Berg,"Sonata Op. 1, 2nd",train,2018,2018/one--1.midi,2018/one--1.wav,698.66\n'
    "Franz Liszt,,validation,20x8,2018/two.midi,,\n"
    "X,Y,elsewhere,,three.mid,,\n"
    "short\n"
)


def test_a_maestro_table_is_found_by_the_end_of_a_path() -> None:
    table = read_metadata(MAESTRO.encode())
    berg = PieceMetadata("Sonata Op. 1, 2nd", "Alban Berg", 2018, "train")
    assert table.find("maestro-v3.0.0/2018/one--1.midi") == berg
    assert table.find("2018\\one--1.midi") == berg
    assert table.find("one--1.midi") == PieceMetadata()
    assert table.find("x/2018/two.midi") == PieceMetadata("", "Franz Liszt", None, "validation")
    assert table.find("three.mid").split is None


def test_other_tables_and_odd_bytes_say_nothing() -> None:
    for data in (
        b"",
        b"a,b\n1,2\n",
        b"\xff\xfe\x00",
        b"midi_filename\nx.mid\n",
        b'midi_filename,split\n"' + b"x" * 200_000,
    ):
        assert len(read_metadata(data)) <= 1
        assert read_metadata(data).find("x.mid") == PieceMetadata()
    assert read_metadata(b"\xef\xbb\xbf" + MAESTRO.encode()).find("three.mid").composer == "X"


def test_the_first_table_counts() -> None:
    one, two = read_metadata(MAESTRO.encode()), read_metadata(MAESTRO.replace("Berg", "Other").encode())
    assert one.joined(two).find("2018/one--1.midi").composer == "Alban Berg"


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_none(text: str) -> None:
    read_metadata(("midi_filename,split," + text).encode("utf-8", "replace")).find("a/b.mid")
