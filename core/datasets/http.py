"""One HTTP request whose redirects are followed with care."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import httpx

from core.datasets.internal import refuse_internal, refuse_internal_peer
from core.errors import DownloadError

_MOST_REDIRECTS = 5
_FINAL_REFUSALS = {400, 401, 403, 404, 405, 406, 410, 451}


@contextmanager
def open_address(
    address: str, headers: dict[str, str], stall_seconds: float, check: Callable[[], None], *, internal: bool = True
) -> Iterator[httpx.Response]:
    """The answer to a GET, redirects followed by hand: never away from HTTP, never from HTTPS to plain HTTP.

    Args:
        address: an http or https address.
        headers: of each request.
        stall_seconds: the longest wait for the connection and for each piece of the answer.
        check: called before each request.
        internal: whether it may lie in the server's own network.

    Raises:
        DownloadError: refused for good (such as 404), or redirected to where nobody should go.
        httpx.HTTPError: what may go better another time.
    """
    with httpx.Client(timeout=stall_seconds, follow_redirects=False) as client:
        for _hop in range(_MOST_REDIRECTS + 1):
            check()
            if not internal:
                refuse_internal(address)
            with client.stream("GET", address, headers=headers) as response:
                if not internal:
                    refuse_internal_peer(address, response)
                if not response.has_redirect_location:
                    if response.status_code in _FINAL_REFUSALS:
                        raise DownloadError(
                            f"{address} cannot be downloaded: the server answered {response.status_code} "
                            f"{response.reason_phrase}. Check the address."
                        )
                    yield response
                    return
                address = _redirected(address, response.headers["Location"])
    raise DownloadError(f"{address} cannot be downloaded: it is redirected more than {_MOST_REDIRECTS} times.")


def _redirected(address: str, location: str) -> str:
    following = urljoin(address, location)
    old, new = urlsplit(address).scheme, urlsplit(following).scheme
    if new not in {"http", "https"} or (old == "https" and new != "https"):
        raise DownloadError(f"{address} is redirected to {following[:200]!r}, which is refused; use its own address.")
    return following
