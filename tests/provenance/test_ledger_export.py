"""The ledger as signed JSON lines: whatever is done to the file shows, and so does a strange signer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countenance.consent.ledger import BEFORE_FIRST, Entry, Ledger, entry_hash_of
from countenance.consent.strict_json import canonical
from countenance.errors import CountenanceError, LedgerError
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.ledger_export import EXPORT_TYPE, export_ledger, verify_export
from countenance.provenance.papers import paper_kind, verify_paper
from countenance.provenance.signed_document import sign_document

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.sqlite", clock=lambda: NOW)
    for number in range(5):
        made.append("note", {"number": number, "text": "Zoë\u2028\\", "share": 0.1, "none": None})
    return made


@pytest.fixture
def export(ledger: Ledger, identity: SigningIdentity, tmp_path: Path) -> Path:
    path = tmp_path / "export.jsonl"
    facts = export_ledger(ledger, path, identity, clock=datetime.now(UTC).astimezone)
    assert facts.rows == 6
    return path


def test_an_export_holds(export: Path, ledger: Ledger, identity: SigningIdentity) -> None:
    facts = verify_export(export, trusted_pem=identity.authority_pem)
    rows = ledger.entries()
    assert (facts.rows, facts.head, facts.trusted) == (6, rows[-1].hash, True)
    assert facts.hashes == tuple(row.hash for row in rows)
    assert export.stat().st_mode & 0o077 == 0
    ledger.verify(facts.hashes)
    first = json.loads(export.read_bytes().splitlines()[1])
    assert first["facts"]["text"] == "Zoë\u2028\\"
    assert paper_kind(export) == "export"
    assert verify_paper(export, "export", trusted_pem=identity.authority_pem).verdict == "holds"


def test_a_stranger_proves_nothing(export: Path, tmp_path: Path) -> None:
    other = SigningIdentity.load_or_create(tmp_path / "other")
    assert not verify_export(export, trusted_pem=other.authority_pem).trusted
    assert verify_paper(export, "export", trusted_pem=other.authority_pem).exit_code == 1
    assert verify_paper(export, "export", trusted_pem="").exit_code == 1


def edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1], lines[2].replace(b'"number":1', b'"number":7'), *lines[3:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    """Every row after the edit gets the hash that it would have: the chain holds, the signature does not."""
    rows, previous = [], BEFORE_FIRST
    for line in edited(lines)[:-1]:
        row = replace(Entry(**json.loads(line)), previous=previous)
        row = replace(row, hash=entry_hash_of(row))
        previous = row.hash
        rows.append(canonical(asdict(row)))
    return [*rows, lines[-1]]


TAMPERINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": edited,
    "edited and rehashed": rehashed,
    "dropped in the middle": lambda lines: [*lines[:2], *lines[3:]],
    "dropped at the end": lambda lines: [*lines[:-2], lines[-1]],
    "dropped first": lambda lines: lines[1:],
    "reordered": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "truncated": lambda lines: lines[:-1],
    "signature only": lambda lines: lines[-1:],
    "more after the signature": lambda lines: [*lines, lines[-2]],
    "signed twice": lambda lines: [*lines, lines[-1]],
    "other spaces": lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]],
    "a byte of the signature": lambda lines: [*lines[:-1], lines[-1].replace(b'"signature":"', b'"signature":"A', 1)],
    "no JSON": lambda lines: [lines[0], b"{", *lines[1:]],
    "a key twice": lambda lines: [lines[0].replace(b'{"facts"', b'{"seq":1,"facts"', 1), *lines[1:]],
    "deep": lambda lines: [b"[" * 100_000, *lines],
    "nothing": lambda lines: [],
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_shows(export: Path, identity: SigningIdentity, name: str) -> None:
    lines = TAMPERINGS[name](export.read_bytes().splitlines())
    export.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(CountenanceError):
        verify_export(export, trusted_pem=identity.authority_pem)
    assert verify_paper(export, "export", trusted_pem=identity.authority_pem).verdict == "broken"


def test_every_cut_shows(export: Path, identity: SigningIdentity) -> None:
    whole = export.read_bytes()
    for length in range(0, len(whole), 97):
        export.write_bytes(whole[:length])
        with pytest.raises(LedgerError):
            verify_export(export, trusted_pem=identity.authority_pem)
    export.write_bytes(whole[:-1])
    with pytest.raises(LedgerError, match="cut off"):
        verify_export(export, trusted_pem=identity.authority_pem)


def test_another_document_of_the_same_signer_is_no_export(export: Path, identity: SigningIdentity) -> None:
    lines = export.read_bytes().splitlines()
    stated = {"rows": 6, "time": "2026-11-26T12:00:00Z"}
    lines[-1] = sign_document(stated, identity, EXPORT_TYPE.replace("export", "import"))
    export.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(CountenanceError, match="typ"):
        verify_export(export, trusted_pem=identity.authority_pem)


def test_a_tampered_or_missing_ledger_is_not_exported(
    ledger: Ledger, identity: SigningIdentity, tmp_path: Path
) -> None:
    path = tmp_path / "export.jsonl"
    with pytest.raises(LedgerError, match="nothing to export"):
        export_ledger(Ledger(tmp_path / "none.sqlite"), path, identity)
    connection = sqlite3.connect(ledger.path)
    connection.execute("DROP TRIGGER no_delete")
    connection.execute("DELETE FROM entries WHERE seq = 3")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="row 3 was dropped"):
        export_ledger(ledger, path, identity)
    assert not path.exists()
