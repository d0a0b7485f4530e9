from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from core.datasets.download import Download, DownloadRules, download
from core.errors import DownloadError

QUICK = DownloadRules(fruitless_attempts=3, stall_seconds=1.0, backoff_seconds=0.001)


def wanted_of(server: Any) -> Download:
    return Download(server.address, len(server.content), hashlib.sha256(server.content).hexdigest())


def parts(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.name.startswith(f"{target.name}.part"))


def test_a_file_arrives_whole_with_its_progress(server: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = download(wanted_of(server), tmp_path / "a.zip", progress=lambda *now: seen.append(now), rules=QUICK)
    assert target.read_bytes() == server.content
    assert seen[-1] == (300_001, 300_001)
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    assert parts(target) == []
    assert server.ranges == [None]


def test_what_is_there_already_is_not_asked_for_again(server: Any, tmp_path: Path) -> None:
    download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)
    download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)
    assert len(server.ranges) == 1


def test_a_damaged_file_is_brought_again(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(bytes(300_001))
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


@pytest.mark.parametrize("sends_etag", [True, False])
def test_dropped_connections_are_resumed(server: Any, tmp_path: Path, sends_etag: bool) -> None:
    server.etag = server.etag if sends_etag else ""
    server.behaviours = ["drop", "drop", 503, "stall", "good"]
    target = download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)
    assert target.read_bytes() == server.content
    assert server.ranges[:3] == [None, "bytes=150000-", "bytes=225000-"]


def test_more_drops_than_attempts_are_no_failure_while_bytes_arrive(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["drop"] * 10 + ["good"]
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_a_server_that_ignores_ranges_starts_over(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["drop", "no-range"]
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_a_wrong_part_is_never_glued_on(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["drop", "wrong-part", "good"]
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_a_file_that_changed_meanwhile_is_brought_from_the_start(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["drop", 500]
    address = Download(server.address)
    with pytest.raises(DownloadError):
        download(address, tmp_path / "a.zip", rules=QUICK)
    server.content, server.etag, server.behaviours = server.content[::-1], '"new"', ["good"]
    assert download(address, tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_bytes_are_not_resumed_when_nothing_says_what_they_are_of(server: Any, tmp_path: Path) -> None:
    server.etag = ""
    server.behaviours = ["drop", "good"]
    assert download(Download(server.address), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content
    assert server.ranges == [None, None]


def test_stale_bytes_are_thrown_away_once(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(bytes(1000))
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_a_part_that_is_complete_needs_no_more_bytes(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(server.content)
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_a_part_longer_than_the_file_starts_over(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(server.content + b"more")
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_an_unknown_size_is_read_to_the_end(server: Any, tmp_path: Path) -> None:
    server.sends_length = False
    assert download(Download(server.address), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


def test_wrong_bytes_are_refused(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["wrong-bytes"]
    with pytest.raises(DownloadError, match=r"not the expected file: its SHA-256 is [0-9a-f]{64}, expected is"):
        download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)
    assert not (tmp_path / "a.zip").exists()
    assert parts(tmp_path / "a.zip") == []


@pytest.mark.parametrize("sends_length", [True, False])
@pytest.mark.parametrize("difference", [-7, 7])
def test_a_wrong_size_is_refused(server: Any, tmp_path: Path, difference: int, sends_length: bool) -> None:
    server.sends_length = sends_length
    wanted = Download(server.address, 300_001 + difference)
    with pytest.raises(DownloadError, match=r"expected|without progress"):
        download(wanted, tmp_path / "a.zip", rules=QUICK)
    assert not (tmp_path / "a.zip").exists()


def test_an_endless_answer_is_cut_off(server: Any, tmp_path: Path) -> None:
    server.sends_length = False
    rules = DownloadRules(fruitless_attempts=1, stall_seconds=0.5, backoff_seconds=0.001, most_bytes=100_000)
    with pytest.raises(DownloadError, match="more than the 100,000 bytes"):
        download(Download(server.address), tmp_path / "a.zip", rules=rules)
    assert (tmp_path / "a.zip.part").stat().st_size <= 100_000


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_refusal_is_not_tried_again(server: Any, tmp_path: Path, status: int) -> None:
    server.behaviours = [status]
    with pytest.raises(DownloadError, match=f"answered {status}"):
        download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)
    assert len(server.ranges) == 1


def test_a_server_that_is_always_busy_is_given_up_with_a_reason(server: Any, tmp_path: Path) -> None:
    server.behaviours = [503]
    with pytest.raises(DownloadError, match=r"answered 503 Service Unavailable\. Tried 3 times without progress"):
        download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)


def test_nobody_listening_is_said(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        download(Download("http://127.0.0.1:1/x.zip"), tmp_path / "a.zip", rules=QUICK)


def test_redirects_are_followed_within_http(server: Any, tmp_path: Path) -> None:
    server.behaviours, server.location = ["redirect", "redirect", "good"], "/elsewhere.zip"
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher:/x"])
def test_redirects_to_other_schemes_are_refused(server: Any, tmp_path: Path, location: str) -> None:
    server.behaviours, server.location = ["redirect"], location
    with pytest.raises(DownloadError, match="is refused"):
        download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)


def test_a_circle_of_redirects_ends(server: Any, tmp_path: Path) -> None:
    server.behaviours, server.location = ["redirect"], "/file.zip"
    with pytest.raises(DownloadError, match="redirected more than 5 times"):
        download(wanted_of(server), tmp_path / "a.zip", rules=QUICK)


class StopHereError(Exception):
    pass


def test_a_download_can_be_ended_and_goes_on_later(server: Any, tmp_path: Path) -> None:
    arrived = 0

    def progress(done: int, total: int) -> None:
        nonlocal arrived
        arrived = done

    def check() -> None:
        if arrived > 50_000:
            raise StopHereError

    with pytest.raises(StopHereError):
        download(wanted_of(server), tmp_path / "a.zip", progress=progress, check=check, rules=QUICK)
    left = (tmp_path / "a.zip.part").stat().st_size
    assert 50_000 < left < 300_001
    assert download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes() == server.content
    assert server.ranges == [None, f"bytes={left}-"]


def test_two_at_once_share_one_download(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["stall", "good"]
    results: list[bytes] = []

    def work() -> None:
        results.append(download(wanted_of(server), tmp_path / "a.zip", rules=QUICK).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [server.content] * 2
    assert len(server.ranges) == 2


def test_a_killed_process_leaves_what_arrived_and_no_lock(server: Any, tmp_path: Path) -> None:
    server.behaviours = ["stall", "good"]
    target = tmp_path / "a.zip"
    program = (
        "import sys; from pathlib import Path; from core.datasets.download import *; "
        "download(Download(sys.argv[1], 300001, sys.argv[3]), Path(sys.argv[2]))"
    )
    digest = hashlib.sha256(server.content).hexdigest()
    process = subprocess.Popen([sys.executable, "-c", program, server.address, str(target), digest])
    part = target.with_name("a.zip.part")
    deadline = time.monotonic() + 120
    # The operating system has what the dead process wrote; what its buffers held is asked for again.
    while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = part.stat().st_size
    assert 0 < left < 300_001
    assert download(wanted_of(server), target, rules=QUICK).read_bytes() == server.content
    assert server.ranges[-1] == f"bytes={left}-"


def test_an_address_of_the_own_network_is_asked_nothing_where_it_may_not_be(server: Any, tmp_path: Path) -> None:
    rules = DownloadRules(fruitless_attempts=1, stall_seconds=0.5, backoff_seconds=0.001, internal=False)
    with pytest.raises(DownloadError, match="inside this server's own network"):
        download(wanted_of(server), tmp_path / "a.zip", rules=rules)
    assert server.ranges == []


def test_a_name_that_turns_out_to_be_inside_is_not_read(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name had a public address when it was looked up, and another one when it was connected to."""
    monkeypatch.setattr("core.datasets.http.refuse_internal", lambda _address: None)
    rules = DownloadRules(fruitless_attempts=1, stall_seconds=0.5, backoff_seconds=0.001, internal=False)
    with pytest.raises(DownloadError, match="inside this server's own network"):
        download(wanted_of(server), tmp_path / "a.zip", rules=rules)
    assert not (tmp_path / "a.zip").exists()
