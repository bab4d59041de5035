"""Who stands behind a ledger's export or a certificate of destruction: the chains of the tamper matrix, and more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chains import CHAINS, EXPIRED, Chain
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from forge import Authority, certificate, name

from countenance.cli import run
from countenance.consent.clock import format_time
from countenance.consent.ledger import Ledger
from countenance.provenance.chain import leads_to_known_authority
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.ledger_export import export_ledger
from countenance.provenance.signed_document import read_document, sign_document

TOP = Authority(authority_name="Newsroom authority")
TRUSTED = TOP.identity().authority_pem


def trusted(identity: SigningIdentity, time: datetime, anchors: str = TRUSTED) -> bool:
    paper = sign_document({"time": format_time(time)}, identity, "a+jws")
    return read_document(paper, "a+jws", "The paper", trusted_pem=anchors).trusted


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_documents_are_judged_as_media_are(chain: Chain) -> None:
    assert trusted(chain.make(TOP), datetime.now(UTC)) is chain.trusted


@pytest.mark.parametrize("use", [ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH])
def test_a_certificate_for_something_else(use: x509.ObjectIdentifier) -> None:
    assert not trusted(TOP.below({}, leaf={"use": use}), datetime.now(UTC))
    assert not trusted(TOP.identity(use=use), datetime.now(UTC))


def test_the_time_that_counts_is_the_stated_one() -> None:
    old = TOP.below(EXPIRED, leaf=EXPIRED)
    assert trusted(old, datetime.now(UTC) - timedelta(days=100))
    assert not trusted(old, datetime.now(UTC))


def test_what_comes_along_vouches_for_nothing() -> None:
    """All the certificates of another authority, with its own top among them, and the trusted one beside it."""
    theirs = Authority(authority_name="Stranger").below({})
    padded = SigningIdentity(theirs.chain_pem.removesuffix(theirs.authority_pem) + TRUSTED, "", theirs.key_pem)
    assert not trusted(padded, datetime.now(UTC))
    assert not trusted(theirs, datetime.now(UTC), "")
    assert trusted(theirs, datetime.now(UTC), theirs.authority_pem)


def _authority(key: ed25519.Ed25519PrivateKey, *more: x509.ExtensionType, ca: bool = True) -> x509.Certificate:
    """As `openssl req -x509` makes it: without key usage."""
    own = name("Plain authority")
    draft = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=9))
        .not_valid_after(datetime.now(UTC) + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for extension in more:
        draft = draft.add_extension(extension, critical=True)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    return draft.sign(key, None if edwards else hashes.SHA256())


def _key_usage(**given: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**(dict.fromkeys(names, False) | given))


UNREADABLE_NAME = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3004a3023000"))
"""Another name of the signer, of a kind that cryptography does not read (an X.400 address)."""


@pytest.mark.parametrize("edwards", [False, True])
def test_authorities_made_by_hand(edwards: bool) -> None:
    key = ed25519.Ed25519PrivateKey.generate() if edwards else TOP.key
    now = datetime.now(UTC)

    def signer(**change: object) -> x509.Certificate:
        leaf = TOP.signer_key.public_key()
        made = {"issuer": "Plain authority", "hashed_by": None if edwards else hashes.SHA256()} | change
        return certificate(leaf, key, **made)  # type: ignore[arg-type]

    plain = _authority(key)
    assert leads_to_known_authority([signer()], [plain], now)
    assert not leads_to_known_authority([signer()], [plain], now + timedelta(days=10))
    assert not leads_to_known_authority([signer(ends=now - timedelta(hours=1))], [plain], now)
    assert not leads_to_known_authority([signer(use=x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1"))], [plain], now)
    assert not leads_to_known_authority([signer()], [_authority(key, ca=False)], now)
    assert not leads_to_known_authority([signer(issuer="Another")], [plain], now)
    assert not leads_to_known_authority([signer(more=UNREADABLE_NAME)], [plain], now)
    unheard_of = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for less in (_key_usage(digital_signature=True), unheard_of):
        assert not leads_to_known_authority([signer()], [_authority(key, less)], now)
    assert leads_to_known_authority([signer()], [_authority(key, _key_usage(key_cert_sign=True))], now)
    assert not leads_to_known_authority([signer(more=unheard_of)], [plain], now)


def test_the_command_trusts_whom_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append("refusal", {"reason": "a row"})
    export_ledger(ledger, tmp_path / "export.jsonl", TOP.below({}))
    (tmp_path / "top.crt").write_text(TRUSTED)
    paper = str(tmp_path / "export.jsonl")
    assert run(["verify", paper]) == 1
    assert run(["verify", paper, "--trust", str(tmp_path / "top.crt")]) == 0
    assert run(["verify", paper, "--trust", paper]) == 2
