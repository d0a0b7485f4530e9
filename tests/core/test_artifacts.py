"""Files are there whole or not at all, on a disk and in a store of objects, whoever deletes or dies meanwhile."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.artifacts import ArtifactStore
from core.errors import StorageError


@pytest.fixture(params=["disk", "objects", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """A folder whose name needs escapes, a store of objects in memory, and a real server that speaks S3."""
    if request.param == "s3":
        return ArtifactStore(request.getfixturevalue("s3_url"))
    if request.param == "disk":
        return ArtifactStore((tmp_path / "a folder äé%20").as_uri())
    return ArtifactStore(f"memory://store-{secrets.token_hex(4)}")


def test_what_was_written_is_read(any_store: ArtifactStore) -> None:
    data = bytes(range(256)) * 1000
    any_store.write("a/b/c.bin", data)
    any_store.write("a/b/c.bin", data + b"!")
    any_store.write("a/d.bin", b"")
    assert any_store.read("a/b/c.bin") == data + b"!"
    assert any_store.size("a/b/c.bin") == 256_001
    assert any_store.exists("a/d.bin")
    with any_store.open("a/b/c.bin") as stream:
        stream.seek(255_999)
        assert stream.read() == b"\xff!"
    assert any_store.files("a") == ["a/b/c.bin", "a/d.bin"]
    assert any_store.children("a") == ["a/b", "a/d.bin"]
    assert (any_store.files("x"), any_store.children("x"), any_store.modified("x")) == ([], [], None)
    moment = any_store.modified("a/d.bin")
    assert moment is not None
    assert abs(moment.timestamp() - time.time()) < 60


def test_a_folder_with_a_difficult_name_is_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space äé%20"
    store = ArtifactStore(folder.as_uri())
    store.write("a/b.bin", b"x")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert store.local_path("a/b.bin") == folder / "a" / "b.bin"
    assert (folder / "a" / "b.bin").read_bytes() == b"x"


def test_half_a_file_is_no_file(any_store: ArtifactStore) -> None:
    any_store.write("old.bin", b"before")
    for key in ("old.bin", "new.bin"):
        with pytest.raises(RuntimeError, match="half way"), any_store.writer(key) as stream:  # noqa: PT012  # the block is the case
            stream.write(b"x" * 10_000_000)
            raise RuntimeError("half way")
    assert any_store.read("old.bin") == b"before"
    assert not any_store.exists("new.bin")
    assert [key for folder in ("old.bin", "new.bin") for key in any_store.files(folder)] in ([], ["old.bin"])


def test_nothing_is_seen_before_the_end(any_store: ArtifactStore) -> None:
    with any_store.writer("k/v.bin") as stream:
        stream.write(b"x" * 10_000_000)
        stream.flush()
        assert not any_store.exists("k/v.bin")
    assert any_store.size("k/v.bin") == 10_000_000


def test_a_killed_writer_leaves_no_key(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    code = (
        "import sys; from core.artifacts import ArtifactStore\n"
        "with ArtifactStore(sys.argv[1]).writer('k/v.bin') as stream:\n"
        "    stream.write(b'x' * 1000); stream.flush(); print('half', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, tmp_path.as_uri()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not store.exists("k/v.bin")
    (rubbish,) = store.files("k")
    assert rubbish.endswith(".part")
    store.write("k/v.bin", b"whole")
    assert store.read("k/v.bin") == b"whole"


def test_deleting_what_is_not_there_is_no_error(any_store: ArtifactStore) -> None:
    any_store.delete("a/b")
    any_store.delete("a/")
    any_store.write("a/b/c", b"x")
    any_store.write("ab/c", b"x")
    any_store.delete("a/")
    assert (any_store.exists("a/b/c"), any_store.exists("ab/c")) == (False, True)


def test_two_may_delete_and_one_write_at_once(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())

    def late() -> None:
        with suppress(StorageError):  # the folder went away under it: refused in words
            store.write("a/3/y", b"y")

    with ThreadPoolExecutor(3) as threads:
        for _ in range(20):
            for number in range(20):
                store.write(f"a/{number}/x", b"x")
            for done in [
                threads.submit(work) for work in (lambda: store.delete("a/"), lambda: store.delete("a/"), late)
            ]:
                done.result()
            assert set(store.files("a")) <= {"a/3/y"}
            store.delete("a/")
            assert not store.exists("a")


def test_what_is_missing_or_refused_is_said(any_store: ArtifactStore) -> None:
    for ask in (any_store.read, any_store.open, any_store.size):
        with pytest.raises(StorageError, match=r"The stored file a/b\.mid cannot be read"):
            ask("a/b.mid")


def test_what_another_host_stores_and_deletes_is_seen_at_once(s3_url: str) -> None:
    store = ArtifactStore(s3_url)
    store.write("a/one", b"1")
    assert store.files("a") == store.children("a") == ["a/one"]
    code = (
        "import sys\nfrom core.artifacts import ArtifactStore\nstore = ArtifactStore(sys.argv[1])\n"
        "store.write('a/two', store.read('a/one') * 2)\nstore.delete('a/one')\n"
    )
    subprocess.run([sys.executable, "-c", code, s3_url], check=True)
    assert not store.exists("a/one")
    assert store.files() == ["a/two"]
    assert store.read("a/two") == b"11"
    with pytest.raises(StorageError, match="a/one"):
        store.read("a/one")


def test_a_store_of_objects_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch, s3_url: str) -> None:
    code = (
        "from core.artifacts import ArtifactStore\nfrom core.errors import StorageError\n"
        "store = ArtifactStore('s3://cadenza/x')\n"
        "for work in (lambda: store.read('a/b'), lambda: store.exists('a/b'), lambda: store.write('a/b', b'x')):\n"
        "    try:\n        work()\n    except StorageError as error:\n        print(error)\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 3, done.stdout


@pytest.mark.parametrize("url", ["s4://bucket/x", "nonsense://y"])
def test_an_address_of_no_store(url: str) -> None:
    with pytest.raises(StorageError, match="CADENZA_ARTIFACTS_URL"):
        ArtifactStore(url)


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    store.write("file", b"x")
    with pytest.raises(StorageError, match=r"file/below cannot be stored: .* Free some space or check the access"):
        store.write("file/below", b"x")
    with pytest.raises(StorageError, match="cannot be read"):
        store.read("file/below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b\\c", "d\0", "~", "é", "a b"]), min_size=1, max_size=5))
def test_no_key_leads_out_of_the_store(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("store").as_uri())
    key = "/".join(parts)
    if set(parts) <= {"a", "~", "é", "a b"}:
        store.write(key, b"x")
        assert store.read(key) == b"x"
        store.delete(key)
    else:
        for ask in (store.read, store.exists, store.open, store.size, store.local_path):
            with pytest.raises(StorageError, match="is no key of an artifact"):
                ask(key)
        with pytest.raises(StorageError, match="is no key of an artifact"):
            store.write(key, b"x")


def test_a_file_is_on_the_disk_before_its_name_is(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, int]] = []

    def watch(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((stat.S_ISDIR(status.st_mode), status.st_size))
        # The content is synced under a name that nobody asks for, the folder when the file has its own.
        assert store.exists("a/b.mid") == stat.S_ISDIR(status.st_mode)

    monkeypatch.setattr("core.artifacts.os.fsync", watch)
    store.write("a/b.mid", b"12345")
    assert synced[0] == (False, 5)
    assert synced[1][0]
