"""A small document from an https address: bounded in size and time, and never led to another scheme."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from countenance.consent.strict_json import SIZE_LIMIT
from countenance.errors import ConsentError

__all__ = ["get"]

_SECONDS = 10.0
_REDIRECTS = 3
_THIS_COMPUTER = ("localhost", "127.0.0.1", "::1")


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise urllib.error.URLError("it leads to an address that is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(
    url: str,
    what: str,
    *,
    limit: int = SIZE_LIMIT,
    seconds: float = _SECONDS,
    context: ssl.SSLContext | None = None,
    accept: str = "application/statuslist+jws",
    local_http: bool = False,
) -> bytes:
    """The document at an https address.

    Args:
        url: the address.
        what: its name in messages.
        limit: most bytes.
        seconds: longest time for all of it.
        context: which certificates are believed; the computer's own when None.
        accept: the kind of document that is asked for.
        local_http: an http address of this computer will do, too.

    Raises:
        ConsentError: not https, not there, too large or too slow.
    """
    opener = urllib.request.OpenerDirector()  # no handlers for file:, ftp:, data: or plain http
    here = local_http and urlsplit(url).scheme == "http" and urlsplit(url).hostname in _THIS_COMPUTER
    for handler in (
        *([urllib.request.HTTPHandler()] if here else [urllib.request.ProxyHandler()]),
        urllib.request.HTTPSHandler(context=context or ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlyHttps(),
    ):
        opener.add_handler(handler)
    end = time.monotonic() + seconds
    try:
        if urlsplit(url).scheme != "https" and not here:
            raise urllib.error.URLError("it is not an https address")
        request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - https only, or here
        answer = opener.open(request, timeout=seconds)
        if answer is None:
            raise urllib.error.URLError("nothing can fetch it")
        with answer:
            data = b""
            while chunk := answer.read1(limit + 1 - len(data)):
                data += chunk
                if len(data) > limit:
                    raise ConsentError(f"{what} at {url} is larger than {limit // 1024} KiB. Ask its issuer.")
                if time.monotonic() > end:
                    raise TimeoutError("it took too long")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = error.reason if type(error) is urllib.error.URLError else error  # its text has brackets around it
        raise ConsentError(f"{what} cannot be reached at {url} ({reason}). Check the network and try again.") from error
    return data
