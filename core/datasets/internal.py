"""Addresses inside the own network, which a server must not fetch for people who could not reach them themselves."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from core.errors import DownloadError


def refuse_internal(address: str) -> None:
    """Refuse an address whose host is, or has a name of, anything that is not on the public internet.

    Every address that the name has must be public: which one is used is decided later, by others.

    Raises:
        DownloadError: it is internal; names the address and the setting.
    """
    host = urlsplit(address).hostname or ""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return  # nobody knows it, so connecting fails by itself, in the words of a download
    for text in found:
        if not is_public(text):
            raise _refusal(address)


def refuse_internal_peer(address: str, response: httpx.Response) -> None:
    """Refuse an answer that came from inside: the name may have had another address a moment ago.

    Raises:
        DownloadError: the answer came from an internal address.
    """
    parts = urlsplit(address)
    if parts.scheme in getproxies() and not proxy_bypass(parts.hostname or ""):
        return  # it came from the proxy, whose matter it is whom it asks
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is not None and not is_public(str(peer[0])):
        raise _refusal(address)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet; IPv4 inside of IPv6 is judged as what it is."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast


def _refusal(address: str) -> DownloadError:
    return DownloadError(
        f"{address[:200]} is inside this server's own network, and such addresses are not read for people with "
        "accounts; download the file yourself and upload it, or let an administrator set CADENZA_INTERNAL_DOWNLOADS."
    )
