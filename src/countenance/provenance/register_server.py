"""A register served over HTTP, read-only: ``GET /v1/watermarks/ID`` and ``GET /v1/recognise/EVIDENCE``, nothing else.

It knows no names, keeps no log, and answers a stranger's mistake without a word. It speaks plain HTTP: towards a
network it belongs behind a server that speaks TLS.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from countenance.errors import CountenanceError, InputError
from countenance.provenance.register import write_answer
from countenance.provenance.watermark_recognise import unpacked
from countenance.serving import LOOPBACK, QuietAnswer, QuietServer, RunningServer

if TYPE_CHECKING:
    from countenance.provenance.register import Register

__all__ = ["MOST_CONNECTIONS", "RECOGNITION_COSTS", "REQUESTS_A_MINUTE", "RegisterServer"]

MOST_CONNECTIONS = 16
"""At once."""

REQUESTS_A_MINUTE = 120
"""From one address; an id has 2^40 values."""

RECOGNITION_COSTS = 10
"""Requests that one question with evidence counts as: every known watermark is compared."""

_WATERMARK = re.compile(r"/v1/watermarks/([0-9a-f]{10})")
_EVIDENCE = re.compile(r"/v1/recognise/([A-Za-z0-9_-]{4,2048}={0,2})")
_ADDRESSES_REMEMBERED = 4096


class RegisterServer(RunningServer):
    """Serves one register from threads of its own; use as a context manager.

    Args:
        register: what is served; it is read anew for every request.
        host: address to listen on; this computer's own by default.
        port: 0 lets the system choose one.
        requests_a_minute: from one address; more are refused for a while.

    Raises:
        InputError: the address is in use or not one of this computer.
    """

    def __init__(
        self,
        register: Register,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        requests_a_minute: int = REQUESTS_A_MINUTE,
    ) -> None:
        try:
            server = _Server(register, host, port, requests_a_minute)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"Cannot listen on {host}, port {port} ({reason}). Choose another port (--port) or address (--host)."
            ) from error
        super().__init__(server, "register")
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{server.server_port}"
        """What to give to ``countenance verify --register``, where the server is reached directly."""


class _Server(QuietServer):
    def __init__(self, register: Register, host: str, port: int, requests_a_minute: int) -> None:
        super().__init__((host, port), _Answer, MOST_CONNECTIONS)
        self.register = register
        self.rate = _Rate(requests_a_minute)


class _Rate:
    """A bucket an address, which fills evenly; the addresses that asked longest ago are forgotten."""

    def __init__(self, a_minute: int) -> None:
        self._most = float(a_minute)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, address: str, cost: int) -> bool:
        now = time.monotonic()
        with self._lock:
            level, then = self._buckets.pop(address, (self._most, now))
            level = min(self._most, level + (now - then) * self._most / 60.0)
            allowed = level >= cost
            self._buckets[address] = (level - cost if allowed else level, now)
            if len(self._buckets) > _ADDRESSES_REMEMBERED:
                self._buckets.popitem(last=False)
        return allowed


class _Answer(QuietAnswer):
    allow = "GET, HEAD"

    def answer(self) -> None:
        """The renders of one watermark, named or recognised."""
        server = cast("_Server", self.server)
        evidence = _EVIDENCE.fullmatch(self.path)
        if not server.rate.allows(self.client_address[0], RECOGNITION_COSTS if evidence else 1):
            self.send_error(HTTPStatus.TOO_MANY_REQUESTS)
            return
        try:
            body = _recognised(server.register, evidence[1]) if evidence else _named(server.register, self.path)
        except CountenanceError:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        if body is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.give(body, {"Content-Type": "application/json"})


def _named(register: Register, path: str) -> bytes | None:
    asked = _WATERMARK.fullmatch(path)
    found = () if asked is None else register.find(asked[1])
    return write_answer(found[0].watermark, found) if found else None


def _recognised(register: Register, text: str) -> bytes | None:
    try:
        found = register.recognise(unpacked(base64.urlsafe_b64decode(text)))
    except ValueError:  # no base64, or no evidence
        return None
    return None if found is None else write_answer(found.renders[0].watermark, found.renders, found.compared)
