from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.datasets.archives import Archive, ArchiveLimits
from core.errors import ArchiveError, MidiError

MakeZip = Callable[[dict[str, bytes]], io.BytesIO]


def zip_of(*infos: tuple[zipfile.ZipInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for info, data in infos:
            archive.writestr(info, data)
    return stream


def test_files_come_by_name_and_only_when_asked_for(make_zip: MakeZip) -> None:
    archive = Archive(
        make_zip({"b/2.mid": b"two", "a/1.mid": b"one", "b/": b"", "Ünïcode 音楽.mid": b"three"}), "x.zip"
    )
    assert [entry.name for entry in archive.entries] == ["a/1.mid", "b/2.mid", "Ünïcode 音楽.mid"]
    assert [archive.read(entry) for entry in archive.entries] == [b"one", b"two", b"three"]
    assert archive.peek(archive.entries[0], 2) == b"on"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.mid", "leads out of its folder"),
        ("a/../../evil.mid", "leads out of its folder"),
        ("a/..", "leads out of its folder"),
        ("..\\evil.mid", "leads out of its folder"),
        ("/etc/evil.mid", "is an absolute path"),
        ("\\\\host\\share\\evil.mid", "is an absolute path"),
        ("C:\\evil.mid", "is an absolute path"),
        ("C:evil.mid", "is an absolute path"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, said: str) -> None:
    with pytest.raises(ArchiveError, match=said) as caught:
        Archive(zip_of((zipfile.ZipInfo("good.mid"), b"x"), (zipfile.ZipInfo(name), b"x")), "up.zip")
    assert "up.zip" in str(caught.value)
    assert "evil" in str(caught.value) or ".." in str(caught.value)


@pytest.mark.parametrize(("mode", "said"), [(0o120777, "is a link"), (0o010644, "no ordinary file")])
def test_links_and_devices_are_refused(mode: int, said: str) -> None:
    info = zipfile.ZipInfo("link.mid")
    info.create_system, info.external_attr = 3, mode << 16
    with pytest.raises(ArchiveError, match=said):
        Archive(zip_of((info, b"/etc/passwd")), "up.zip")


def test_encrypted_entries_are_refused(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"a.mid": b"secret"}).getvalue())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match=r"'a\.mid' is encrypted"):
        Archive(io.BytesIO(data), "up.zip")


def test_a_zero_character_cannot_hide_the_end_of_a_name(make_zip: MakeZip) -> None:
    data = make_zip({"aXb.mid": b"x"}).getvalue().replace(b"aXb.mid", b"a\0b.mid")
    with pytest.raises(ArchiveError, match="zero character"):
        Archive(io.BytesIO(data), "up.zip")


def test_a_thousandfold_expansion_is_refused_by_the_bytes_that_come_out(make_zip: MakeZip) -> None:
    stream = make_zip({"bomb.mid": bytes(60 * 2**20)})
    assert len(stream.getvalue()) < 80_000
    archive = Archive(stream, "up.zip")
    tracemalloc.start()
    with pytest.raises(ArchiveError, match=r"'bomb\.mid' it expands to more than 200 times its size"):
        archive.read(archive.entries[0])
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def test_a_header_that_lies_about_the_size_gains_nothing(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"bomb.mid": bytes(60 * 2**20)}).getvalue())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 100)
    archive = Archive(io.BytesIO(data), "up.zip")
    with pytest.raises(MidiError, match="damaged inside its zip"):
        archive.read(archive.entries[0])


def test_a_compressed_size_that_lies_gains_nothing(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"bomb.mid": bytes(60 * 2**20)}).getvalue())
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 24] = struct.pack("<I", 2**31)
    archive = Archive(io.BytesIO(data), "up.zip")
    with pytest.raises((ArchiveError, MidiError)):
        archive.read(archive.entries[0])


def test_many_entries_that_share_their_bytes_are_refused_in_sum() -> None:
    """Overlapping entries: each expands modestly, all together without end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = bytes(900_000)
    packed = packer.compress(content) + packer.flush()
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, zlib.crc32(content), len(packed), len(content), 1, 0)
    head = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 8, 0, 0, zlib.crc32(content), len(packed),
                       len(content), 1, 0, 0, 0, 0, 0, 0)  # fmt: skip
    count = 2_000
    body = local + b"a" + packed
    directory = (head + b"a") * count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    archive = Archive(io.BytesIO(body + directory + end), "quilt.zip")
    with pytest.raises(ArchiveError, match="expands to more than 200 times"):
        sum(len(archive.read(entry)) for entry in archive.entries[:60])


def test_too_many_entries_are_refused(make_zip: MakeZip) -> None:
    stream = make_zip({f"{index}.mid": b"" for index in range(11)})
    with pytest.raises(ArchiveError, match="holds 11 entries; at most 10 are read"):
        Archive(stream, "up.zip", ArchiveLimits(entries=10))


def test_a_huge_table_of_contents_is_refused_before_it_is_read(make_zip: MakeZip) -> None:
    stream = make_zip({f"{index}.mid": b"" for index in range(100)})
    with pytest.raises(ArchiveError, match="table of contents takes"):
        Archive(stream, "up.zip", ArchiveLimits(directory_bytes=1_000))


def test_a_long_entry_is_left_out_alone(make_zip: MakeZip) -> None:
    archive = Archive(
        make_zip({"a.mid": bytes(range(256)) * 10, "b.mid": b"b"}), "x.zip", ArchiveLimits(entry_bytes=99)
    )
    with pytest.raises(MidiError, match="longer than"):
        archive.read(archive.entries[0])
    assert archive.read(archive.entries[1]) == b"b"


def test_a_damaged_entry_is_left_out_alone() -> None:
    stream = zip_of((zipfile.ZipInfo("a.mid"), b"spoiled!"), (zipfile.ZipInfo("b.mid"), b"fine"))
    archive = Archive(io.BytesIO(stream.getvalue().replace(b"spoiled!", b"spoiled?")), "x.zip")
    with pytest.raises(MidiError, match="damaged inside its zip"):
        archive.read(archive.entries[0])
    assert archive.read(archive.entries[1]) == b"fine"


def test_an_unknown_packing_is_left_out_alone(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"a.mid": b"x" * 100}).getvalue())
    for place in (8, data.index(b"PK\x01\x02") + 10):
        data[place : place + 2] = struct.pack("<H", 97)
    archive = Archive(io.BytesIO(data), "x.zip")
    with pytest.raises(MidiError, match="packed in a way that cannot be read"):
        archive.read(archive.entries[0])
    assert archive.peek(archive.entries[0]) == b""


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_expands_before_anyone_can_look_is_not_unpacked(method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("bomb.mid", bytes(50 * 10**6), method)
        made.writestr("fine.mid", b"fine", zipfile.ZIP_DEFLATED)
    archive = Archive(buffer, "x.zip")
    bomb, fine = archive.entries
    with pytest.raises(MidiError, match=r"\((bzip2|lzma)\); pack it with 'deflate'"):
        archive.read(bomb)
    assert archive.peek(bomb) == b""
    assert archive.read(fine) == b"fine"


def test_an_entry_that_claims_to_lie_before_the_file_is_left_out_alone() -> None:
    # One byte is gone at the beginning, so that zipfile looks for the first entry at -1.
    archive = Archive(io.BytesIO(zip_of((zipfile.ZipInfo("a.mid"), b"x" * 50)).getvalue()[1:]), "x.zip")
    with pytest.raises(MidiError, match="damaged inside its zip"):
        archive.read(archive.entries[0])


def test_equal_names_are_told_apart() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        stream = zip_of((zipfile.ZipInfo("a/x.mid"), b"1"), (zipfile.ZipInfo("a/x.mid"), b"2"))
    archive = Archive(stream, "x.zip")
    assert [(entry.name, archive.read(entry)) for entry in archive.entries] == [
        ("a/x.mid", b"1"),
        ("a/x (2).mid", b"2"),
    ]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all" * 100, b"PK\x05\x06" + bytes(17)])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"x\.zip is damaged, or no zip"):
        Archive(io.BytesIO(data), "x.zip")


_PLAIN = io.BytesIO()
with zipfile.ZipFile(_PLAIN, "w", zipfile.ZIP_DEFLATED) as _archive:
    for _index in range(3):
        _archive.writestr(f"folder/{_index}.mid", bytes(range(200)) * (_index + 1))


@given(st.data())
def test_any_damage_is_an_error_of_ours(data: st.DataObject) -> None:
    content = bytearray(_PLAIN.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    try:
        archive = Archive(io.BytesIO(content), "x.zip")
    except ArchiveError:
        return
    for entry in archive.entries:
        archive.peek(entry)
        with contextlib.suppress(MidiError, ArchiveError):
            assert len(archive.read(entry)) <= 600


@given(st.text(min_size=1, max_size=60))
@example("..")
@example("a/\u202egpj.mid")
def test_accepted_names_stay_inside_and_can_be_stored(name: str) -> None:
    try:
        stream = zip_of((zipfile.ZipInfo(name), b"x"))
        archive = Archive(stream, "x.zip")
    except (ArchiveError, UnicodeEncodeError):
        return
    for entry in archive.entries:
        assert ".." not in entry.name.split("/")
        assert not entry.name.startswith("/")
        assert "\0" not in entry.name
        entry.name.encode()
