"""Sending webhooks: several at a time, each within a few seconds, to the address that was judged, never redirected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

import core
from core.notifications.addresses import AddressError, resolve
from core.notifications.attempts import Result
from core.notifications.signing import signed_headers

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_GONE = 410


@dataclass(frozen=True, slots=True)
class Post:
    """One message to one address."""

    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]


def post_all(posts: Sequence[Post], *, internal: bool, seconds: float = _SECONDS) -> list[Result]:
    """Send all at the same time; how each ended, in their order.

    Args:
        posts: what is sent.
        internal: whether the own network may be reached.
        seconds: the longest that one may take, from its host's name to the head of the answer.
    """
    return asyncio.run(_post_all(posts, internal, seconds))


async def _post_all(posts: Sequence[Post], internal: bool, seconds: float) -> list[Result]:
    context = httpx.create_ssl_context()
    timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
    # A proxy of the environment is asked by name: it decides itself where it connects to.
    async with (
        httpx.AsyncClient(verify=context, timeout=timeout, trust_env=False) as direct,
        httpx.AsyncClient(verify=context, timeout=timeout) as proxied,
    ):
        return list(
            await asyncio.gather(
                *(_limited(proxied if _has_proxy(post.url) else direct, post, internal, seconds) for post in posts)
            )
        )


async def _limited(client: httpx.AsyncClient, post: Post, internal: bool, seconds: float) -> Result:
    try:
        async with asyncio.timeout(seconds):
            return await _post(client, post, internal)
    except TimeoutError:
        return Result(error=f"There was no answer within {seconds:g} s.")
    except AddressError as error:
        return Result(error=f"Not sent: {error}")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Result(error=f"Not sent: {error or type(error).__name__}")


async def _post(client: httpx.AsyncClient, post: Post, internal: bool) -> Result:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Cadenza/{core.__version__}",
        **signed_headers(list(post.secrets), post.message_id, int(time.time()), post.body),
    }
    targets = [(httpx.URL(post.url), headers, {})] if client.trust_env else await _targets(post.url, headers, internal)
    for number, (url, all_headers, extensions) in enumerate(targets, start=1):
        try:
            async with client.stream(
                "POST", url, content=post.body, headers=all_headers, extensions=extensions
            ) as response:
                # The body of the answer is not read: it may be endless, and is nobody's business here.
                return _result_of(response)
        except httpx.ConnectError:
            if number == len(targets):
                raise
    raise AddressError("the host has no address.")


async def _targets(
    url: str, headers: dict[str, str], internal: bool
) -> list[tuple[httpx.URL, dict[str, str], dict[str, str]]]:
    """The same request to each IP address of its host: the name stays in the Host header and in the certificate."""
    whole = httpx.URL(url)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = await asyncio.to_thread(resolve, parts.hostname or "", port, internal=internal)
    named = {**headers, "Host": whole.netloc.decode("ascii")}
    return [(whole.copy_with(host=address), named, {"sni_hostname": parts.hostname or ""}) for address in addresses]


def _result_of(response: httpx.Response) -> Result:
    status = response.status_code
    if response.is_success:
        return Result(status)
    if response.is_redirect:
        return Result(status, f"The answer was a redirect ({status}), which is not followed; use the final address.")
    return Result(
        status, f"The answer was {status} {response.reason_phrase}.".replace(" .", "."), final=status == _GONE
    )


def _has_proxy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")
