"""A TCP proxy in front of a server's unix socket, as a process of its own, that can be told to be a bad network.

    python -m tests.chaos.proxy PORT SOCKET

Reads one order a line: `delay 0.2` (seconds, for every block of bytes), `hang` (nothing passes), `drop` (reset all
connections), `calm`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

_BLOCK_BYTES = 1 << 16


class Proxy:
    """Passes bytes both ways for every connection."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._delay_seconds = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def obey(self, order: str) -> None:
        """Behave as told from now on."""
        word, _, value = order.strip().partition(" ")
        self._delay_seconds = float(value) if word == "delay" else 0.0
        if word == "hang":
            self._passing.clear()
        else:
            self._passing.set()
        if word == "drop":
            for writer in list(self._writers):
                _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            _reset(writer)
            return
        both = {writer, far_writer}
        self._writers |= both
        tasks = {
            asyncio.create_task(self._pass_on(reader, far_writer)),
            asyncio.create_task(self._pass_on(far_reader, writer)),
        }
        # When one side ends, so does the other, as between two hosts.
        _done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writers -= both
        for each in both:
            each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(_BLOCK_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._passing.wait()
                writer.write(block)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    made = writer.get_extra_info("socket")
    if made is not None and made.family == socket.AF_INET:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def main(port: int, target: str) -> None:
    """Serve until standard input ends."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with server:
        while order := await orders.readline():
            proxy.obey(order.decode())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
