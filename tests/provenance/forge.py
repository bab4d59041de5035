"""Files that our signer refuses to make: other certificates in a signature that holds, with the hands of a forger.

C2PA's library signs only what it would accept. So a file is signed as usual, the certificate inside is exchanged for
another one of the same length and of the same key, and the signature over it (COSE_Sign1, RFC 9052) is made anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from countenance.provenance.identity import SigningIdentity

ORGANISATION = "Forged Films"


def name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def certificate(
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    subject: str = "Forged signer",
    issuer: str = "Forged authority",
    begins: datetime | None = None,
    ends: datetime | None = None,
    authority: bool = False,
    path_length: int | None = None,
    signs_certificates: bool = True,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    hashed_by: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008 - has no state
    more: x509.ExtensionType | None = None,
) -> x509.Certificate:
    """A certificate as C2PA wants it, but for what is asked otherwise."""
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    draft = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number() | 1 << 158)  # always of one length
        .not_valid_before(begins or now - timedelta(days=1))
        .not_valid_after(ends or now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority and signs_certificates,
                crl_sign=authority,
                **usage,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        draft = draft.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if more is not None:
        draft = draft.add_extension(more, critical=True)
    return draft.sign(issuer_key, hashed_by)


class Authority:
    """An authority and a signer's key, for as many certificates of that key as a test wants."""

    def __init__(self, *, authority_name: str = "Forged authority") -> None:
        self.key, self.signer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.name = authority_name
        self.certificate = certificate(
            self.key.public_key(),
            self.key,
            subject=authority_name,
            issuer=authority_name,
            authority=True,
            begins=datetime(2015, 1, 1, tzinfo=UTC),
            ends=datetime(2049, 1, 1, tzinfo=UTC),
        )

    def identity(self, **change: object) -> SigningIdentity:
        """An identity whose certificate is as C2PA wants it, but for the change."""
        return self._identity(self.issued(**change))

    def issued(self, **change: object) -> x509.Certificate:
        settings = {"issuer": self.name} | change
        return certificate(self.signer_key.public_key(), self.key, **settings)  # type: ignore[arg-type]

    def below(
        self, *links: dict[str, object], leaf: dict[str, object] | None = None, missing: bool = False
    ) -> SigningIdentity:
        """An identity under intermediate authorities, each as C2PA wants it but for the changes in its ``links``.

        From the top down; ``missing`` leaves them out of what is put into the file.
        """
        issuer, issuer_key, chain = self.name, self.key, list[x509.Certificate]()
        for number, change in enumerate(links):
            key, subject = ec.generate_private_key(ec.SECP256R1()), f"Forged desk {number}"
            settings = {"subject": subject, "issuer": issuer, "authority": True} | change
            chain.insert(0, certificate(key.public_key(), issuer_key, **settings))  # type: ignore[arg-type]
            issuer, issuer_key = subject, key
        signer = certificate(self.signer_key.public_key(), issuer_key, issuer=issuer, **(leaf or {}))  # type: ignore[arg-type]
        return self._identity(signer, [] if missing else chain)

    def _identity(self, leaf: x509.Certificate, between: list[x509.Certificate] | None = None) -> SigningIdentity:
        form = serialization.PrivateFormat.PKCS8
        encoding = serialization.Encoding.PEM
        chain = [leaf, *(between or []), self.certificate]
        pem = [one.public_bytes(encoding).decode("ascii") for one in chain]
        key_pem = self.signer_key.private_bytes(encoding, form, serialization.NoEncryption()).decode("ascii")
        return SigningIdentity("".join(pem), pem[-1], key_pem)

    def exchanged(self, png: bytes, identity: SigningIdentity, **change: object) -> bytes:
        """A signed PNG with another certificate of the same key in it, and a signature that holds."""
        old = x509.load_pem_x509_certificate(identity.chain_pem.encode("ascii")).public_bytes(
            serialization.Encoding.DER
        )
        own = change.pop("self_signed", False)
        while True:  # the signature in a certificate has 70 to 72 bytes
            if own:
                width = len("Forged signer") + len(self.name)
                one, other = "x" * (width // 2), "x" * (width - width // 2)
                assert len(one) == len(other), "choose an authority's name with which the sum is even"
                new = certificate(self.signer_key.public_key(), self.signer_key, subject=one, issuer=one, **change)  # type: ignore[arg-type]
            else:
                new = self.issued(**change)
            der = new.public_bytes(serialization.Encoding.DER)
            if len(der) == len(old):
                break
        store = png_store(png)
        assert store.count(old) == 1
        return with_png_store(png, self._resigned(store.replace(old, der)))

    def _resigned(self, store: bytes) -> bytes:
        claim, signature = box_content(store, b"c2pa.claim.v2"), box_content(store, b"c2pa.signature")
        at = 1 if signature[0] == 0xD2 else 0  # the tag of COSE_Sign1
        assert signature[at] == 0x84  # an array of four
        protected, end = bytes_at(signature, at + 1)
        old = signature[-64:]
        signed = b"\x84" + b"\x6aSignature1" + signature[at + 1 : end] + b"\x40" + cbor_bytes(claim)
        assert protected
        r, s = decode_dss_signature(self.signer_key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return store.replace(old, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def bytes_at(data: bytes, at: int) -> tuple[bytes, int]:
    """A CBOR byte string and where it ends."""
    kind, length = data[at] >> 5, data[at] & 31
    assert kind == 2
    at += 1
    if length >= 24:
        size = 1 << (length - 24)
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    return data[at : at + length], at + length


def cbor_bytes(data: bytes) -> bytes:
    size = len(data)
    head = bytes([0x58, size]) if size < 256 else b"\x59" + struct.pack(">H", size)
    return head + data


def box_content(store: bytes, label: bytes) -> bytes:
    """The content of the CBOR box of this label in a JUMBF store."""
    at = store.index(b"\x03" + label + b"\0")
    at = store.index(b"cbor", at)
    size = struct.unpack(">I", store[at - 4 : at])[0]
    return store[at + 4 : at - 4 + size]


def png_chunks(png: bytes) -> Iterator[tuple[str, int, int]]:
    """Type, start and end of each chunk of a PNG."""
    at = 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        yield kind.decode("ascii"), at, at + 12 + size
        at += 12 + size


def png_store(png: bytes) -> bytes:
    return next(png[start + 8 : end - 4] for kind, start, end in png_chunks(png) if kind == "caBX")


def with_png_store(png: bytes, store: bytes | None) -> bytes:
    """The PNG with other credentials, or none."""
    out = [png[:8]]
    for kind, start, end in png_chunks(png):
        if kind != "caBX":
            out.append(png[start:end])
        elif store is not None:
            body = b"caBX" + store
            out.append(struct.pack(">I", len(store)) + body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(out)
