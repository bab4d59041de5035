"""Servers that do harm: the status list is fetched over https only, bounded in size and time."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from countenance.consent.https import get
from countenance.consent.status import fetch_status
from countenance.errors import ConsentError


class _Hostile(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        what = self.path[1:]
        if what.startswith("to-"):
            self.send_response(302)
            places = {"to-file": "file:///etc/passwd", "to-http": "http://127.0.0.1:9/x", "to-good": "/good"}
            self.send_header("Location", places.get(what, self.path))
            self.end_headers()
            return
        self.send_response(404 if what == "none" else 200)
        self.end_headers()
        try:
            if what == "large":
                for _ in range(100):
                    self.wfile.write(b"x" * 10_000)
            elif what == "slow":
                for _ in range(40):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(b"good")
        except OSError:
            return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ssl.SSLContext]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = draft.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    form = serialization.PrivateFormat.PKCS8
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(pem)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    made.socket = inside.wrap_socket(made.socket, server_side=True)
    made.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    believes = ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())
    yield f"https://127.0.0.1:{made.server_address[1]}", believes
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_good_one(server: tuple[str, ssl.SSLContext]) -> None:
    url, context = server
    assert get(f"{url}/good", "It", context=context) == b"good"
    assert get(f"{url}/to-good", "It", context=context) == b"good"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("to-file", "not allowed"),
        ("to-http", "not https"),
        ("to-itself", "cannot be reached"),
        ("none", "404"),
        ("large", "larger than 64 KiB"),
        ("slow", "too long"),
    ],
)
def test_harm(server: tuple[str, ssl.SSLContext], path: str, says: str) -> None:
    url, context = server
    began = time.monotonic()
    with pytest.raises(ConsentError, match=says):
        get(f"{url}/{path}", "It", context=context, seconds=0.5)
    assert time.monotonic() - began < 5


def test_a_certificate_that_nobody_knows(server: tuple[str, ssl.SSLContext]) -> None:
    with pytest.raises(ConsentError, match="cannot be reached"):
        fetch_status(f"{server[0]}/good")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "https://", ""]
)
def test_other_schemes(url: str) -> None:
    with pytest.raises(ConsentError):
        get(url, "It")


def test_nobody_there() -> None:
    with pytest.raises(ConsentError, match="cannot be reached"):
        get("https://127.0.0.1:9/x", "It")


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match="no address"):
        fetch_status("urn:example:list")
    (tmp_path / "x").write_bytes(b"1" * 70_000)
    with pytest.raises(ConsentError, match="64 KiB"):
        fetch_status(str(tmp_path / "x"))
