"""Certificates of our own, and a server that speaks TLS in front of one that does not."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

# Its length, and the number that stands for "may we speak TLS?".
_TLS_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True)
class Certificates:
    """Files: an authority's certificate, and a server's certificate (with its chain) and key for 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def write(cls, folder: Path) -> Certificates:
        """Make new ones in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(made.authority)
        server = authority.issue_cert("127.0.0.1", "localhost")
        made.certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
        server.private_key_pem.write_to_path(made.key)
        made.key.chmod(0o600)
        return made


@contextmanager
def tls_in_front_of(socket_path: Path, certificates: Certificates, *, postgresql: bool = False) -> Iterator[int]:
    """A TLS server on a free port of 127.0.0.1 that passes everything on to a unix socket; its port.

    With `postgresql` a client first asks for TLS in PostgreSQL's own way; one that does not ask is refused.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    loop = asyncio.new_event_loop()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            if postgresql:
                if await reader.readexactly(8) != _TLS_REQUEST:
                    writer.close()
                    return
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
            there = await asyncio.open_unix_connection(str(socket_path))
            writers.add(there[1])
            await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))

    at_once = None if postgresql else context
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=at_once))
    port: int = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield port

    def end() -> None:
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        # Closing would wait for the other side's last words, and the loop ends before they come.
        for writer in writers:
            writer.transport.abort()
        loop.call_later(0.2, loop.stop)

    loop.call_soon_threadsafe(end)
    thread.join()
    loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()
