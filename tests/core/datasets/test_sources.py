from __future__ import annotations

import io
from collections.abc import Callable

from core.datasets.sources import Source, SourceBuilder, StoredFile

MakeMidi = Callable[..., bytes]
MakeZip = Callable[[dict[str, bytes]], io.BytesIO]
TABLE = b"canonical_composer,canonical_title,split,year,midi_filename\nBerg,Sonata,test,2018,2018/one.midi\n"


def stored(name: str, data: bytes) -> StoredFile:
    return StoredFile(name, lambda: io.BytesIO(data))


def built(builder: SourceBuilder, *files: StoredFile, limit: int = 0) -> Source:
    for file in files:
        builder.add(file)
    return builder.finish(limit)


def test_zips_give_their_midi_files_with_what_a_table_says(make_midi: MakeMidi, make_zip: MakeZip) -> None:
    content = {
        "m/LICENSE": b"free",
        "m/m.csv": TABLE,
        "m/2018/one.midi": make_midi(1),
        "m/2017/two.KAR": make_midi(2),
        "m/no ending": make_midi(3),
        "__MACOSX/m/._one.midi": b"x",
        "m/._one.midi": b"x",
        "m/broken.mid": b"nothing",
        "m/inner.zip": make_zip({"x.mid": b""}).getvalue(),
    }
    with SourceBuilder() as builder:
        source = built(builder, stored("m.zip", make_zip(content).getvalue()))
        files = list(source.files())
    assert [file.name for file in files] == [
        "m/2017/two.KAR",
        "m/2018/one.midi",
        "m/broken.mid",
        "m/inner.zip",
        "m/no ending",
    ]
    assert source.total == 5
    assert source.skipped == 4
    one = files[1]
    assert (one.title, one.known.composer, one.known.year, one.known.split) == ("Sonata", "Berg", 2018, "test")
    assert files[0].title == "two"
    assert "zip inside a zip" in files[3].reason
    assert [file.data for file in files if not file.reason] == [content[file.name] for file in files if not file.reason]


def test_single_files_zips_and_a_table_beside_them_mix(make_midi: MakeMidi, make_zip: MakeZip) -> None:
    with SourceBuilder() as builder:
        source = built(
            builder,
            stored("2018/one.midi", make_midi(1)),
            stored("letters.txt", b"Dear"),
            stored("table.csv", TABLE),
            stored("other.csv", b"a,b\n"),
            stored("zip without ending", make_zip({"a.mid": make_midi(2)}).getvalue()),
            stored("bad.zip", b"no zip"),
        )
        files = list(source.files())
    assert [file.name for file in files] == ["2018/one.midi", "letters.txt", "other.csv", "a.mid", "bad.zip"]
    assert files[0].title == "Sonata"
    assert files[1].data == b"Dear"
    assert "damaged, or no zip" in files[4].reason


def test_a_dangerous_zip_is_one_file_with_a_reason(make_zip: MakeZip) -> None:
    with SourceBuilder() as builder:
        (file,) = built(builder, stored("evil.zip", make_zip({"../a.mid": b"x", "b.mid": b"x"}).getvalue())).files()
    assert file.name == "evil.zip"
    assert "leads out of its folder" in file.reason


def test_only_the_first_files_are_read(make_midi: MakeMidi) -> None:
    opened: list[int] = []

    def opener(number: int) -> Callable[[], io.BytesIO]:
        def run() -> io.BytesIO:
            opened.append(number)
            return io.BytesIO(make_midi(number))

        return run

    with SourceBuilder() as builder:
        source = built(builder, *(StoredFile(f"{number}.mid", opener(number)) for number in range(5)), limit=2)
        opened.clear()
        assert [file.name for file in source.files()] == ["0.mid", "1.mid"]
    assert opened == [0, 1]
    assert source.total == 2


def test_a_damaged_table_in_a_zip_is_told_and_the_pieces_are_kept(make_midi: MakeMidi, make_zip: MakeZip) -> None:
    packed = make_zip({"a.mid": make_midi(1), "m.csv": TABLE}).getvalue()
    place = packed.rindex(b"PK\x01\x02") + 16  # the sum of the table's bytes
    spoiled = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
    with SourceBuilder() as builder:
        files = list(built(builder, stored("m.zip", spoiled)).files())
    assert [(file.name, bool(file.reason)) for file in files] == [("a.mid", False), ("m.csv", True)]
    assert files[1].reason.startswith("This table is not used. It is damaged inside its zip")
