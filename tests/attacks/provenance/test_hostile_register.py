"""Strangers at a served register, and registers that lie to who asks them."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from register_world import ID, OTHER, TraceOf

from countenance.errors import InputError, IntegrityError
from countenance.provenance.register import MANIFEST_LIMIT, Register, Registered, read_answer, write_answer
from countenance.provenance.register_server import MOST_CONNECTIONS, RegisterServer
from countenance.provenance.trace import register_at


class Served:
    def __init__(self, server: RegisterServer) -> None:
        self.port = int(urlsplit(server.address).port or 0)

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

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        answer = self.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
        return (int(answer.split(b" ")[1]), answer) if answer else (0, b"")


@pytest.fixture(scope="module")
def served(filled: Path) -> Iterator[Served]:
    with RegisterServer(Register(filled), requests_a_minute=100_000) as server:
        yield Served(server)


class TestStrangers:
    @pytest.mark.parametrize(
        "path",
        [
            "/", "/v1", "/v1/", "/v1/watermarks", "/v1/watermarks/", f"/v1/watermarks/{ID}/", f"/v1/watermarks/{ID}0",
            f"/v1/watermarks/{ID}?x=1", f"/v1/watermarks/{ID}#a", f"/v1/watermarks//{ID}", f"/{ID}",
            f"/v1/watermarks/{ID[:-1]}", f"/v1/watermarks/../watermarks/{ID}", f"/v1/watermarks/%31{ID[1:]}",
            "/v1/watermarks/register.sqlite", "/register.sqlite", "/../register.sqlite", "/%2e%2e/register.sqlite",
            "/v1/watermarks/%", "/v1/watermarks/_________", "/v1/watermarks/' OR 1=1", "/v1/watermarks/ABCDEF0123",
            f"/v1/watermarks/{ID}%00", f"/V1/WATERMARKS/{ID}", f"http://x/v1/watermarks/{ID}", "*", "/favicon.ico",
            "/v1/watermarks/" + "\xb2" * 10,
        ],
    )  # fmt: skip
    def test_nothing_but_an_id(self, served: Served, path: str) -> None:
        code, answer = served.get(path)
        assert code in (400, 404)
        assert answer.endswith(b"\r\n\r\n")  # not a word

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"])
    def test_it_only_gives(self, served: Served, filled: Path, method: str) -> None:
        before = Register(filled).path.read_bytes()
        code, answer = served.get(f"/v1/watermarks/{ID}", method)
        assert code == 405
        assert b"Allow: GET, HEAD" in answer
        assert b"manifest" not in answer
        assert Register(filled).path.read_bytes() == before

    def test_every_answer_forbids_frames_other_origins_caches_and_guessing_of_types(self, served: Served) -> None:
        for path in (f"/v1/watermarks/{ID}", f"/v1/watermarks/{OTHER}", "/nothing"):
            head = served.get(path)[1].split(b"\r\n\r\n")[0].decode()
            for wanted in ("nosniff", "no-store", "X-Frame-Options: DENY", "default-src 'none'", "no-referrer"):
                assert wanted in head, (path, wanted)
            assert "Python" not in head
            assert "Access-Control" not in head

    @pytest.mark.parametrize(
        "data",
        [b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70000, b"GET /" + b"A" * 70000,
         b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    )  # fmt: skip
    def test_garbage_harms_nobody(self, served: Served, data: bytes) -> None:
        answer = served.raw(data, timeout=0.5)
        assert b"Traceback" not in answer
        assert b"manifest" not in answer
        assert served.get(f"/v1/watermarks/{ID}")[0] == 200

    def test_who_asks_too_often_waits(self, filled: Path) -> None:
        with RegisterServer(Register(filled), requests_a_minute=5) as server:
            codes = [Served(server).get(f"/v1/watermarks/{n:010x}")[0] for n in range(8)]
        assert codes == [404] * 5 + [429] * 3

    def test_who_opens_too_many_connections_is_hung_up_on(self, filled: Path) -> None:
        with RegisterServer(Register(filled)) as server:
            served = Served(server)
            held = [socket.create_connection(("127.0.0.1", served.port), 5.0) for _ in range(MOST_CONNECTIONS)]
            try:
                for connection in held:
                    connection.sendall(b"GET /v1/")
                threading.Event().wait(0.3)
                assert served.get(f"/v1/watermarks/{ID}")[0] == 0
            finally:
                for connection in held:
                    connection.close()

    def test_it_listens_to_this_computer_unless_told_otherwise(self, filled: Path) -> None:
        with RegisterServer(Register(filled)) as server:
            assert server.address.startswith("http://127.0.0.1:")

    def test_a_damaged_register_is_no_news_to_strangers(self, tmp_path: Path) -> None:
        (tmp_path / "register.sqlite").write_bytes(b"no database" * 500)
        with RegisterServer(Register(tmp_path)) as server:
            code, answer = Served(server).get(f"/v1/watermarks/{ID}")
        assert (code, answer.endswith(b"\r\n\r\n")) == (503, True)


@pytest.mark.parametrize(
    "where",
    [
        "http://example.org", "http://192.0.2.1:8700", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example", "https://me:secret@example.org", "https://example.org/?a=b",
        "https://example.org/#x", "https://", "file:///etc", "ftp://localhost/x", "gopher://127.0.0.1/", "data://x",
        "http://0.0.0.0:1", "http://2130706433/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_asked(where: str) -> None:
    with pytest.raises(InputError, match="not the address of a register"):
        register_at(where)


@contextmanager
def liar(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers as told, and what it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def body(data: bytes, code: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


class TestLies:
    def test_another_render_s_manifest(self, trace_of: TraceOf, other: Registered) -> None:
        with liar(body(write_answer(ID, [dataclasses.replace(other, watermark=ID)]))) as (address, asked):
            trace = trace_of(address)
        assert (trace.finding.state, trace.claim) == ("false", None)
        assert "of another watermark" in trace.finding.sentence
        assert asked == [f"/v1/watermarks/{ID}"]  # the watermark and nothing else

    def test_an_answer_to_another_question(self, trace_of: TraceOf, other: Registered) -> None:
        with liar(body(write_answer(OTHER, [other]))) as (address, _):
            assert trace_of(address).finding.state == "false"

    @pytest.mark.parametrize("lie", [(b"double", b"zouble"), (b"9f9f9f", b"9f9f9e"), (b"2026-05-17", b"2025-05-17")])
    def test_an_edited_manifest(self, trace_of: TraceOf, entry: Registered, lie: tuple[bytes, bytes]) -> None:
        edited = dataclasses.replace(entry, manifest=entry.manifest.replace(*lie))
        with liar(body(write_answer(ID, [edited]))) as (address, _):
            trace = trace_of(address)
        assert (trace.finding.state, trace.claim) == ("false", None)

    def test_one_lie_spoils_the_answer(self, trace_of: TraceOf, entry: Registered) -> None:
        junk = dataclasses.replace(entry, manifest=b"junk")
        with liar(body(write_answer(ID, [entry, junk]))) as (address, _):
            assert trace_of(address).finding.state == "false"

    @pytest.mark.parametrize(
        "value",
        [
            [], {}, {"schema": 1}, {"schema": 2, "watermark": ID, "renders": []}, "x",
            {"schema": 1, "watermark": ID, "renders": [{}]}, {"schema": 1, "watermark": ID, "renders": [1]},
            {"schema": 1, "watermark": ID, "renders": [{"sha256": "x", "media_type": "video/mp4", "manifest": "eA=="}]},
            {"schema": 1, "watermark": ID, "renders": [{"sha256": "a" * 64, "media_type": "\x1b", "manifest": "eA=="}]},
            {"schema": 1, "watermark": ID, "renders": [{"sha256": "a" * 64, "media_type": "a/b", "manifest": "é"}]},
            {"schema": 1, "watermark": ID, "renders": [{"sha256": "a" * 64, "media_type": "a/b", "manifest": ""}]},
            {"schema": 1, "watermark": ID, "renders": [{"sha256": 1, "media_type": 2, "manifest": 3}]},
            {"schema": 1, "watermark": ID, "renders": [{}] * 5},
        ],
    )  # fmt: skip
    def test_answers_of_another_form(self, value: object) -> None:
        with pytest.raises(ValueError):
            read_answer(json.dumps(value).encode(), ID)

    def test_manifests_that_are_too_large(self) -> None:
        big = base64.b64encode(bytes(MANIFEST_LIMIT + 1)).decode()
        render = {"sha256": "a" * 64, "media_type": "video/mp4", "manifest": big}
        with pytest.raises(ValueError, match="not of the expected form"):
            read_answer(json.dumps({"schema": 1, "watermark": ID, "renders": [render]}).encode(), ID)

    def test_an_answer_without_end(self, trace_of: TraceOf) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            sent = 0
            try:
                while sent < 64 * 2**20:
                    sent += handler.wfile.write(bytes(65536))
            except OSError:
                return
            pytest.fail("all of it was taken")

        with liar(answer) as (address, _):
            trace = trace_of(address)
        assert trace.finding.state == "unreachable"
        assert "larger than" in trace.finding.sentence

    @pytest.mark.parametrize(
        ("answer", "state"),
        [
            (body(b"", 404), "unknown"),
            (body(b"", 500), "unreachable"),
            (body(b"<html>", 200), "false"),
            (body(b'{"schema": 1, "schema": 1}', 200), "false"),
            (body(b"[" * 100_000, 200), "false"),
            (body(b"", 302, Location="http://127.0.0.1:1/"), "unreachable"),
            (body(b"", 302, Location="file:///etc/passwd"), "unreachable"),
            (body(b"", 200), "false"),
        ],
    )
    def test_answers_that_are_none(self, trace_of: TraceOf, answer: Callable, state: str) -> None:
        with liar(answer) as (address, _):
            assert trace_of(address).finding.state == state

    def test_nobody_there(self, trace_of: TraceOf) -> None:
        assert trace_of("http://127.0.0.1:9").finding.state == "unreachable"


class TestTamperedFile:
    @pytest.fixture
    def register(self, entry: Registered, filled: Path, tmp_path: Path) -> Path:
        (tmp_path / "register.sqlite").write_bytes(Register(filled).path.read_bytes())
        return tmp_path

    @staticmethod
    def change(folder: Path, statement: str, *values: object) -> None:
        with sqlite3.connect(folder / "register.sqlite") as connection:
            connection.execute(statement, values)
        connection.close()

    def test_an_edited_manifest(self, trace_of: TraceOf, register: Path, entry: Registered) -> None:
        self.change(register, "UPDATE renders SET manifest = ?", entry.manifest.replace(b"double", b"zouble"))
        assert trace_of(str(register)).finding.state == "false"

    def test_a_manifest_under_another_watermark(self, trace_of: TraceOf, register: Path) -> None:
        self.change(register, "UPDATE renders SET watermark = ?", OTHER)
        trace = trace_of(str(register), OTHER)
        assert (trace.finding.state, trace.claim) == ("false", None)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE renders SET manifest = 'text'",
            "UPDATE renders SET manifest = zeroblob(300000)",
            "UPDATE renders SET media_type = char(27) || '[2J'",
            "UPDATE renders SET sha256 = '../../etc/passwd'",
        ],
    )
    def test_rows_of_another_form(self, trace_of: TraceOf, register: Path, statement: str) -> None:
        self.change(register, statement)
        with pytest.raises(IntegrityError, match="damaged"):
            list(Register(register).entries())
        assert trace_of(str(register)).finding.state == "unreachable"

    def test_no_register_of_ours(self, trace_of: TraceOf, tmp_path: Path) -> None:
        (tmp_path / "register.sqlite").write_bytes(b"no database" * 500)
        assert trace_of(str(tmp_path)).finding.state == "unreachable"
        with pytest.raises(IntegrityError, match="damaged"):
            Register(tmp_path).find(ID)
        (tmp_path / "register.sqlite").unlink()
        self.change(tmp_path, "CREATE VIEW renders AS SELECT 1 AS a")
        assert trace_of(str(tmp_path)).finding.state == "unreachable"
