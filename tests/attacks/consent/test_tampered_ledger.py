"""A ledger that somebody with the file and SQLite worked on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from consent_world import World

from countenance.consent.check import accept_record
from countenance.consent.ledger import Ledger
from countenance.consent.revoke import revoke
from countenance.errors import LedgerError


@pytest.fixture
def told(world: World) -> World:
    """Eight rows: ledger, record, permit, note ×2, revocation, refusal, note."""
    record = world.accept()
    world.gate()
    world.ledger.append("note", {"n": 1})
    world.ledger.append("note", {"n": 2})
    revoke(world.project, record, clock=world.clock)
    with pytest.raises(Exception, match="revoked"):
        world.gate()
    world.ledger.append("note", {"n": 3})
    world.ledger.verify()
    return world


def tamper(world: World, *statements: str) -> None:
    connection = sqlite3.connect(world.project.ledger_path)
    connection.execute("DROP TRIGGER IF EXISTS no_update")
    connection.execute("DROP TRIGGER IF EXISTS no_delete")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


TAMPERINGS = {
    "edited facts": ["UPDATE entries SET facts = replace(facts, 'vera', 'boris') WHERE seq = 3"],
    "edited kind": ["UPDATE entries SET kind = 'note' WHERE kind = 'revocation'"],
    "edited time": ["UPDATE entries SET time = '2027-01-01T00:00:00Z' WHERE seq = 4"],
    "edited hash": ["UPDATE entries SET hash = iif(hash LIKE 'a%', 'b', 'a') || substr(hash, 2) WHERE seq = 4"],
    "dropped in the middle": ["DELETE FROM entries WHERE kind = 'revocation'"],
    "dropped first": ["DELETE FROM entries WHERE seq = 1"],
    "dropped and renumbered": [
        "DELETE FROM entries WHERE seq = 6",
        "UPDATE entries SET seq = 6 WHERE seq = 7",
        "UPDATE entries SET seq = 7 WHERE seq = 8",
        "UPDATE sqlite_sequence SET seq = 7",
    ],
    "reordered": [
        "UPDATE entries SET seq = 100 WHERE seq = 4",
        "UPDATE entries SET seq = 4 WHERE seq = 5",
        "UPDATE entries SET seq = 5 WHERE seq = 100",
        "UPDATE sqlite_sequence SET seq = 8",
    ],
    "inserted": ["INSERT INTO entries SELECT 9, time, kind, facts, previous, 'x' FROM entries WHERE seq = 3"],
    "cut off at the end": ["DELETE FROM entries WHERE seq >= 6"],
    "binary facts": ["UPDATE entries SET facts = x'ff00' WHERE seq = 3"],
    "no Unicode": ["UPDATE entries SET facts = CAST(x'ff' AS TEXT) WHERE seq = 3"],
    "emptied": ["DELETE FROM entries"],
    "table dropped": ["DROP TABLE entries"],
    "a view instead": [
        "ALTER TABLE entries RENAME TO hidden",
        "CREATE VIEW entries AS SELECT * FROM hidden WHERE kind != 'revocation'",
    ],
}


@pytest.mark.parametrize("statements", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found_and_stops_the_gate(told: World, statements: list[str]) -> None:
    tamper(told, *statements)
    with pytest.raises(LedgerError):
        told.ledger.verify()
    with pytest.raises(LedgerError):
        told.gate()


def test_the_message_names_the_row(told: World) -> None:
    tamper(told, "UPDATE entries SET time = '2027-01-01T00:00:00Z' WHERE seq = 4")
    with pytest.raises(LedgerError, match="at row 4, it was edited"):
        told.ledger.verify()


def cut(world: World) -> None:
    tamper(world, "DELETE FROM entries WHERE seq >= 6", "UPDATE sqlite_sequence SET seq = 5")


def exchange(world: World) -> None:
    world.project.ledger_path.unlink()
    Ledger(world.project.ledger_path, clock=world.clock).append("note", {"n": "harmless"})


def delete(world: World) -> None:
    world.project.ledger_path.unlink()


def empty(world: World) -> None:
    world.project.ledger_path.write_bytes(b"")


@pytest.mark.parametrize("attack", [cut, exchange, delete, empty])
def test_what_only_an_anchor_shows(told: World, attack: Callable[[World], None]) -> None:
    """A careful cut, or another ledger in its place, is in order by itself; a hash kept elsewhere is missing there."""
    anchor = told.last().hash
    attack(told)
    told.ledger.verify()  # documented: a chain alone cannot see this
    with pytest.raises(LedgerError, match=r"is gone"):
        told.ledger.verify([anchor])


def test_an_old_copy_put_back(world: World, tmp_path: Path) -> None:
    record = world.accept()
    permit = world.gate()
    shutil.copy(world.project.ledger_path, tmp_path / "copy")
    done = revoke(world.project, record, clock=world.clock)
    shutil.copy(tmp_path / "copy", world.project.ledger_path)
    world.ledger.verify([permit.ledger_entry])
    with pytest.raises(LedgerError, match="which work refers to, is gone"):
        world.ledger.verify([permit.ledger_entry, done.ledger_entry])


def test_accepting_into_a_tampered_ledger(told: World) -> None:
    tamper(told, *TAMPERINGS["dropped in the middle"])
    with pytest.raises(LedgerError):
        accept_record(told.project, "vera", told.record(), clock=told.clock)


def test_revoking_works_even_in_a_tampered_ledger(told: World) -> None:
    """To stop must always be possible."""
    record = accept_record(told.project, "vera", told.record(), clock=told.clock)
    tamper(told, *TAMPERINGS["edited time"])
    revoke(told.project, record, clock=told.clock)
    assert told.kinds()[-1] == "revocation"


def test_a_project_whose_ledger_is_a_folder(world: World) -> None:
    world.project.ledger_path.mkdir()
    with pytest.raises(Exception, match="ledger") as caught:
        world.gate()
    assert type(caught.value).__module__ == "countenance.errors"
