"""Shows a preview in a page of this machine, to nobody but the person who was told its address.

It listens on the loopback address only, at a port that the system chooses, under a path of 256 random bits. Other
programs of this machine can reach the port, so everything else is answered with an empty 404; other web pages in the
same browser cannot read it (no CORS, ``Sec-Fetch-Site``), nor by a name of theirs that points here (``Host``).
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, cast

from countenance.serving import LOOPBACK, QuietAnswer, QuietServer, RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.playback.channel import Channel, Shown

__all__ = ["MOST_CONNECTIONS", "PreviewServer"]

MOST_CONNECTIONS = 8
"""At once; a browser takes three."""

_BOUNDARY = "countenance-frame"
_PART = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
_POLL_SECONDS = 0.5


class PreviewServer(RunningServer):
    """Serves one channel from threads of its own; use as a context manager.

    Args:
        channel: gives pictures and what is told beside them.
    """

    def __init__(self, channel: Channel) -> None:
        server = _Server(channel)
        super().__init__(server, "preview")
        self.address = f"http://{LOOPBACK}:{server.server_port}{server.home}"
        """URL of the page; who knows it can watch."""


class _Server(QuietServer):
    def __init__(self, channel: Channel) -> None:
        super().__init__((LOOPBACK, 0), _Answer, MOST_CONNECTIONS)
        self.channel = channel
        self.home = f"/{secrets.token_urlsafe(32)}/"
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}


class _Answer(QuietAnswer):
    """Answers one request; everything that is not asked for exactly right gets an empty answer."""

    def answer(self) -> None:
        """The page, the stream, the status, or the picture of the moment."""
        refusal = self._refusal()
        if refusal is not None:
            self.send_error(refusal)
            return
        name = self.path.removeprefix(self._preview.home)
        answers: dict[str, Callable[[], None]] = {
            "": self._page,
            "stream": self._stream,
            "status": self._status,
            "still": self._still,
        }
        answers[name]()

    @property
    def _preview(self) -> _Server:
        return cast("_Server", self.server)

    def _refusal(self) -> HTTPStatus | None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._preview.hosts:
            return HTTPStatus.FORBIDDEN  # a name that somebody else's DNS lets point here
        if self.headers.get("Origin", f"http://{hosts[0]}") != f"http://{hosts[0]}":
            return HTTPStatus.FORBIDDEN
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return HTTPStatus.FORBIDDEN
        home = self._preview.home
        known = [f"{home}{name}" for name in ("", "stream", "status", "still")]
        found = [secrets.compare_digest(self.path.encode("latin-1", "replace"), path.encode()) for path in known]
        return None if any(found) else HTTPStatus.NOT_FOUND

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'nonce-{nonce}'; "
            f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        body = _template().format(nonce=nonce).encode()
        self.give(body, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy})

    def _status(self) -> None:
        body = json.dumps(asdict(self._preview.channel.told())).encode()
        self.give(body, {"Content-Type": "application/json"})

    def _still(self) -> None:
        shown = self._preview.channel.newest()
        if shown is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        code = self._preview.channel.status().timecode.replace(":", "-")
        name = f'attachment; filename="preview-{code}.jpg"'
        self.give(shown.jpeg, {"Content-Type": "image/jpeg", "Content-Disposition": name})

    def _stream(self) -> None:
        channel = self._preview.channel
        self.send_response(HTTPStatus.OK)
        self.end({"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"})
        self.wfile.write(_PART)
        channel.watched.set()
        number = 0
        with suppress(OSError):  # the page was closed, or takes nothing any more
            while not channel.status().ended:
                shown = channel.newer_than(number, _POLL_SECONDS)
                if shown is not None:
                    number = shown.number
                    self._send(shown)

    def _send(self, shown: Shown) -> None:
        """A part, and the head of the next one at once: Chromium shows a picture when it has read that, not before."""
        self.wfile.write(shown.jpeg + b"\r\n" + _PART)


@lru_cache(maxsize=1)
def _template() -> str:
    return (files("countenance") / "data" / "preview.html").read_text(encoding="utf-8")
