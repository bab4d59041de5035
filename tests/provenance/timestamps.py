"""A timestamp service (RFC 3161) on this machine, for tests: its answers, and a server that gives them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from forge import box_content, bytes_at, cbor_bytes, certificate

_SHA256 = "2.16.840.1.101.3.4.2.1"
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST, _SIGNING_CERTIFICATE = (f"1.2.840.113549.1.9.{last}" for last in ("3", "4", "16.2.47"))


def der(tag: int, *parts: bytes) -> bytes:
    """A DER element."""
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = [first * 40 + second]
    for value in rest:
        digits = [value & 127]
        while value := value >> 7:
            digits.insert(0, value & 127 | 128)
        out += digits
    return der(0x06, bytes(out))


def _integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _elements(body: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag, content and whole of each element in a row."""
    at = 0
    while at < len(body):
        size, head = body[at + 1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(body[at + 2 : at + head], "big")
        yield body[at], body[at + head : at + head + size], body[at : at + head + size]
        at += head + size


@dataclass
class TimestampAuthority:
    """Answers as of ``when``, or of now; ``authority_pem`` is what a verifier trusts."""

    when: datetime | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    top_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        span = {"begins": datetime(2015, 1, 1, tzinfo=UTC), "ends": datetime(2049, 1, 1, tzinfo=UTC)}
        names = {"issuer": "Test clock authority"}
        top = certificate(
            self.top_key.public_key(), self.top_key, subject=names["issuer"], authority=True, **names, **span
        )
        self.certificate = certificate(
            self.key.public_key(),
            self.top_key,
            subject="Test clock",
            use=ExtendedKeyUsageOID.TIME_STAMPING,
            **names,
            **span,
        )
        self.authority_pem = top.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def answer(self, request: bytes) -> bytes:
        """The answer to a request."""
        [(_, body, _)] = _elements(request)
        elements = list(_elements(body))
        nonce = b"".join(whole for tag, _, whole in elements[2:] if tag == 0x02)
        return der(0x30, der(0x30, _integer(0)), self.token(elements[1][2], nonce))

    def token(self, imprint: bytes, nonce: bytes = b"", when: datetime | None = None) -> bytes:
        """A timestamp over a message imprint (DER)."""
        moment = der(0x18, f"{when or self.when or datetime.now(UTC):%Y%m%d%H%M%SZ}".encode())
        info = der(0x30, _integer(1), _oid("1.3.6.1.4.1.99999.1"), imprint, _integer(7), moment, nonce)
        own = self.certificate.public_bytes(serialization.Encoding.DER)
        algorithm = der(0x30, _oid(_SHA256), der(0x05))
        own_hash = der(0x30, der(0x30, der(0x30, der(0x04, hashlib.sha256(own).digest()))))
        attributes = b"".join(
            sorted(
                der(0x30, _oid(kind), der(0x31, value))
                for kind, value in (
                    (_CONTENT_TYPE, _oid(_TST_INFO)),
                    (_DIGEST, der(0x04, hashlib.sha256(info).digest())),
                    (_SIGNING_CERTIFICATE, own_hash),
                )
            )
        )
        signature = self.key.sign(der(0x31, attributes), ec.ECDSA(hashes.SHA256()))
        who = der(0x30, self.certificate.issuer.public_bytes(), _integer(self.certificate.serial_number))
        signer = der(
            0x30,
            _integer(1),
            who,
            algorithm,
            der(0xA0, attributes),
            der(0x30, _oid(_ECDSA_SHA256)),
            der(0x04, signature),
        )
        content = der(0x30, _oid(_TST_INFO), der(0xA0, der(0x04, info)))
        signed = der(0x30, _integer(3), der(0x31, algorithm), content, der(0xA0, own), der(0x31, signer))
        return der(0x30, _oid(_SIGNED_DATA), der(0xA0, signed))

    @contextmanager
    def serving(self) -> Iterator[tuple[str, list[int]]]:
        """The address of a server, and a list that grows by one a request."""
        asked: list[int] = []
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(1)
                body = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/", asked
            finally:
                server.shutdown()
                thread.join()


def restamped(store: bytes, authority: TimestampAuthority, when: datetime) -> bytes:
    """A manifest store whose timestamp is exchanged for one over the signature that is in it, at another time."""
    cose = box_content(store, b"c2pa.signature")
    _, end = bytes_at(cose, 2)
    # C2PA's sigTst2: a countersignature (RFC 9052) over the signature as a CBOR byte string.
    message = b"\x84\x70CounterSignature" + cose[2:end] + b"\x40" + cbor_bytes(b"\x58\x40" + cose[-64:])
    start = next(at for at in _places(store, _oid(_SIGNED_DATA)) if store[at - 4 : at - 2] == b"\x30\x82") - 4
    size = int.from_bytes(store[start + 2 : start + 4], "big") + 4
    old = store[start : start + size]
    at = old.index(b"\x04\x20", old.index(_oid(_TST_INFO)))  # the imprint's digest
    algorithm = der(0x30, _oid(_SHA256), der(0x05))
    if not old[:at].endswith(algorithm):
        algorithm = der(0x30, _oid(_SHA256))
    imprint = der(0x30, algorithm, der(0x04, hashlib.sha256(message).digest()))
    while True:  # an ECDSA signature has 70 to 72 bytes
        token = authority.token(imprint, _nonce_of(old), when)
        if len(token) == size:
            return store[:start] + token + store[start + size :]


def _nonce_of(token: bytes) -> bytes:
    at = token.index(b"\x18\x0f") + 17
    return token[at : at + 2 + token[at + 1]] if token[at] == 0x02 else b""


def _places(data: bytes, part: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + 1)
