"""A small HTTP server that says nothing it was not asked for exactly right: what our servers share.

Few connections, short patience, answers without a word to everything else, no log, and headers that keep browsers from
framing, caching, guessing types or handing the answer to another page.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LOOPBACK", "PATIENCE_SECONDS", "QuietAnswer", "QuietServer", "RunningServer"]

LOOPBACK = "127.0.0.1"

PATIENCE_SECONDS = 10.0
"""For a client that neither sends nor takes anything."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Connection": "close",
}


class QuietServer(ThreadingHTTPServer):
    """Answers each request in a thread of its own, and hangs up on who comes when there are too many.

    Args:
        address: host and port to listen on; port 0 lets the system choose one.
        answer: makes the answers.
        connections: most at once.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], answer: type[QuietAnswer], connections: int) -> None:
        self.request_queue_size = connections
        self._free = threading.BoundedSemaphore(connections)
        super().__init__(address, answer)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or hang up when there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no news."""


class RunningServer:
    """A server in a thread of its own, for as long as a ``with`` block lasts.

    Args:
        server: listens already.
        name: of the thread.
    """

    def __init__(self, server: QuietServer, name: str) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.1,), name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_SECONDS)


class QuietAnswer(BaseHTTPRequestHandler):
    """Answers one request; subclasses say how, in ``answer``."""

    timeout = PATIENCE_SECONDS
    server_version, sys_version = "countenance", ""
    allow = "GET"

    def do_GET(self) -> None:
        """The base class calls this."""
        self.answer()

    def do_HEAD(self) -> None:
        """The same without a body, where that is allowed."""
        if "HEAD" in self.allow:
            self.answer()
        else:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    def answer(self) -> None:
        """Answer a GET or HEAD."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """An answer without a word: what a stranger asked for is not repeated to them."""
        code = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code
        self.send_response(code)
        self.end({"Allow": self.allow, "Content-Length": "0"})
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who asked for what is nobody's business."""

    def end(self, headers: dict[str, str]) -> None:
        """Send the headers, ours first."""
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def give(self, body: bytes, headers: dict[str, str]) -> None:
        """Send a whole answer, without its body where only its headers were asked for."""
        self.send_response(HTTPStatus.OK)
        self.end({"Content-Length": str(len(body))} | headers)
        if self.command != "HEAD":
            self.wfile.write(body)
