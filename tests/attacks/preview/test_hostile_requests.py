"""Other programs of the machine, other pages of the browser, other names of the address: none sees a picture."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from countenance.playback.channel import Channel, Status
from countenance.playback.server import MOST_CONNECTIONS, PreviewServer

PICTURE = b"\xff\xd8 the picture \xff\xd9"


class Preview:
    def __init__(self, server: PreviewServer, channel: Channel) -> None:
        self.channel, self.address = channel, server.address
        parts = urlsplit(server.address)
        self.port, self.home = int(parts.port or 0), parts.path
        self.host = f"127.0.0.1:{self.port}"

    def raw(self, data: bytes, timeout: float = 5.0) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return answer

    def get(self, path: str, *headers: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes]:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or self.host}", *headers]
        answer = self.raw(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return (int(answer.split(b" ")[1]), answer) if answer else (0, b"")


@pytest.fixture
def preview() -> Iterator[Preview]:
    channel = Channel()
    channel.publish(PICTURE, Status(timecode="00:00:01:02"))
    with PreviewServer(channel) as server:
        yield Preview(server, channel)
        channel.tell(Status(ended=True))


def test_who_has_the_address_sees_the_page_the_picture_and_the_status(preview: Preview) -> None:
    code, page = preview.get(preview.home)
    assert (code, b"<h1>Preview</h1>" in page) == (200, True)
    assert preview.get(f"{preview.home}still")[1].endswith(PICTURE)
    assert b"00:00:01:02" in preview.get(f"{preview.home}status")[1]


def test_it_listens_on_the_loopback_address_only_and_its_path_cannot_be_guessed(preview: Preview) -> None:
    assert preview.address.startswith("http://127.0.0.1:")
    assert len(preview.home.strip("/")) >= 43  # 256 bits
    with PreviewServer(Channel()) as other:
        assert urlsplit(other.address).path != preview.home
    for name in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if not str(name).startswith("127."):
            with pytest.raises(OSError, match=r"refused|unreachable|timed"):
                socket.create_connection((str(name), preview.port), 1.0)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/still", "/stream", "/status", "//still", "/../", "/favicon.ico", "/index.html", "/%2e%2e/etc/passwd",
        "/../../../../etc/passwd", "/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/still", "*", "\xe9\xff",
    ],
)  # fmt: skip
def test_without_the_secret_there_is_nothing(preview: Preview, path: str) -> None:
    code, answer = preview.get(path)
    assert code in (400, 404)
    assert answer.endswith(b"\r\n\r\n")  # not a word
    assert preview.home.encode() not in answer


def test_with_the_secret_there_is_nothing_but_the_four(preview: Preview) -> None:
    home = preview.home
    for path in (
        home[:-1], f"{home}still/", f"{home}still?x=1", f"{home}../still", f"{home}%73till", f"{home}/still",
        f"{home}status#a", f"{home}.", home[:-2] + "/", home.upper(), f"http://{preview.host}{home}still",
        f"http://evil.example{home}still", f"{home}stil\x00l", f"{home}etc/passwd",
    ):  # fmt: skip
        code, answer = preview.get(path)
        assert code in (400, 404), path
        assert PICTURE not in answer


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:80", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example",
        "0.0.0.0", "[::1]", "localhost.evil.example", "evil.example@127.0.0.1", "127.0.0.1:00000", "2130706433", " ",
    ],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_gets_nothing(preview: Preview, host: str) -> None:
    code, answer = preview.get(f"{preview.home}still", host=host)
    assert code == 403
    assert PICTURE not in answer
    code, answer = preview.get(f"{preview.home}still", host=f"{host}:{preview.port}")
    assert (code == 200) == (host == "localhost") or host in ("127.0.0.1",)
    assert preview.get(f"{preview.home}still", host=f"evil.example:{preview.port}")[0] == 403


def test_no_host_and_two_hosts_are_refused(preview: Preview) -> None:
    line = f"GET {preview.home}still HTTP/1.1\r\n".encode()
    mine = f"Host: {preview.host}\r\n".encode()
    for head in (b"", mine + b"Host: evil.example\r\n", b"Host: evil.example\r\n" + mine, mine + mine):
        answer = preview.raw(line + head + b"\r\n")
        assert b" 403 " in answer.splitlines()[0]
        assert PICTURE not in answer
    assert PICTURE not in preview.raw(f"GET {preview.home}still\r\n\r\n".encode())  # HTTP/0.9


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1:1", "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: nonsense",
    ],
)  # fmt: skip
def test_another_page_of_the_browser_gets_nothing(preview: Preview, header: str) -> None:
    for name in ("", "still", "status", "stream"):
        code, answer = preview.get(f"{preview.home}{name}", header)
        assert code == 403
        assert PICTURE not in answer


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"]
)
def test_nothing_but_get(preview: Preview, method: str) -> None:
    code, answer = preview.get(f"{preview.home}still", "Origin: https://evil.example", method=method)
    assert code == 405
    assert PICTURE not in answer
    assert b"Access-Control" not in answer


def test_every_answer_forbids_frames_other_origins_caches_and_guessing_of_types(preview: Preview) -> None:
    for path in (preview.home, f"{preview.home}still", f"{preview.home}status", "/nothing"):
        head = preview.get(path)[1].split(b"\r\n\r\n")[0].decode()
        for wanted in (
            "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
            "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer", "frame-ancestors 'none'",
        ):  # fmt: skip
            assert wanted in head, (path, wanted)
        assert "Access-Control" not in head
        assert "Python" not in head


def test_the_page_asks_nobody_else_for_anything_and_runs_no_other_script(preview: Preview) -> None:
    first, second = (preview.get(preview.home)[1].decode() for _ in range(2))
    head, page = first.split("\r\n\r\n", 1)
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in head
    assert "unsafe" not in head
    nonce = head.split("script-src 'nonce-")[1].split("'")[0]
    assert page.count(f'nonce="{nonce}"') == 2
    assert nonce not in second
    for label in ('lang="en"', 'alt="', 'role="status"', "<title>"):
        assert label in page


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n", b"A" * 70000, b"GET /" + b"A" * 70000,
     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"GET / HTTP/1.1\r\nHost: " + b"a" * 70000 + b"\r\n\r\n",
     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
)  # fmt: skip
def test_garbage_is_answered_without_a_word_and_harms_nobody(preview: Preview, data: bytes) -> None:
    answer = preview.raw(data, timeout=1.0)
    assert PICTURE not in answer
    assert b"Traceback" not in answer
    assert preview.get(preview.home)[0] == 200


def test_who_opens_too_many_connections_is_hung_up_on(preview: Preview) -> None:
    held = [socket.create_connection(("127.0.0.1", preview.port), 5.0) for _ in range(MOST_CONNECTIONS)]
    try:
        for connection in held:
            connection.sendall(f"GET {preview.home}stream HTTP/1.1\r\nHost: {preview.host}\r\n\r\n".encode())
            assert connection.recv(10)
        assert preview.get(preview.home)[0] == 0
    finally:
        for connection in held:
            connection.close()
    preview.channel.publish(PICTURE, Status())  # each of them finds out that nobody listens any more
    for _ in range(50):
        preview.channel.publish(PICTURE, Status())
        if preview.get(preview.home)[0] == 200:
            return
        threading.Event().wait(0.05)
    pytest.fail("connections that were closed still count")


def test_the_stream_gives_the_newest_picture_and_ends_with_the_preview(preview: Preview) -> None:
    with socket.create_connection(("127.0.0.1", preview.port), 5.0) as connection:
        connection.sendall(f"GET {preview.home}stream HTTP/1.1\r\nHost: {preview.host}\r\n\r\n".encode())
        received = b""
        while PICTURE not in received:
            received += connection.recv(4096)
        assert preview.channel.watched.is_set()
        preview.channel.publish(b"the second", Status())
        # Chromium shows a picture when it has read the head of the next one, so that comes with it.
        while not received.endswith(b"the second\r\n--countenance-frame\r\nContent-Type: image/jpeg\r\n\r\n"):
            received += connection.recv(4096)
        preview.channel.tell(Status(ended=True))
        while piece := connection.recv(4096):
            received += piece
    assert b"multipart/x-mixed-replace" in received
    assert received.count(b"Content-Type: image/jpeg") == 3
