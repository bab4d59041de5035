"""The ledger: append-only, chained, shared by processes, and honest about what it cannot see."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countenance.consent.ledger import FACTS_LIMIT, Ledger
from countenance.errors import LedgerError, OutputError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.sqlite", clock=lambda: NOW)
    for number in range(5):
        made.append("note", {"number": number, "text": "Zoë"})
    return made


def test_rows_in_order(ledger: Ledger) -> None:
    rows = ledger.entries()
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0].kind == "ledger"
    assert rows[1].facts == {"number": 0, "text": "Zoë"}
    assert rows[1].time == "2026-03-01T12:00:00Z"
    assert [row.previous for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert ledger.append("note", {}) == ledger.entries()[-1].hash
    ledger.verify([row.hash for row in rows])


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    none = Ledger(tmp_path / "ledger.sqlite")
    assert none.entries() == []
    none.verify()
    with pytest.raises(LedgerError, match="is gone"):
        none.verify(["0" * 64])
    assert not none.path.exists()
    none.path.touch()
    assert none.entries() == []
    none.append("note", {})
    assert len(none.entries()) == 2


def test_two_ledgers_never_share_a_hash(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other.sqlite", clock=lambda: NOW)
    for number in range(5):
        other.append("note", {"number": number, "text": "Zoë"})
    assert not {row.hash for row in ledger.entries()} & {row.hash for row in other.entries()}


def test_wrong_use(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="a kind out of"):
        ledger.append("gossip", {})
    with pytest.raises(ValueError, match="bytes of facts"):
        ledger.append("note", {"x": "y" * FACTS_LIMIT})
    with pytest.raises(ValueError, match="JSON"):
        ledger.append("note", {"x": float("nan")})
    assert len(ledger.entries()) == 6


def test_an_exception_takes_the_row_back(ledger: Ledger) -> None:
    with pytest.raises(KeyboardInterrupt), ledger.exclusive() as book:
        book.append("note", {})
        raise KeyboardInterrupt
    assert len(ledger.entries()) == 6
    ledger.verify()


def test_rows_cannot_be_changed_by_mistake(ledger: Ledger) -> None:
    connection = sqlite3.connect(ledger.path)
    try:
        for statement in ("UPDATE entries SET kind = 'permit'", "DELETE FROM entries WHERE seq = 3"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    finally:
        connection.close()


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"text" * 1000)
    for use in (Ledger(path).entries, Ledger(path).verify, lambda: Ledger(path).append("note", {})):
        with pytest.raises(LedgerError, match="not a ledger"):
            use()
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE cats (name TEXT)")
    other.commit()
    other.close()
    with pytest.raises(LedgerError):
        Ledger(path).verify()


def test_no_place_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be opened"):
        Ledger(tmp_path / "none" / "ledger.sqlite").append("note", {})
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "file" / "ledger.sqlite").entries()


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    before = len(ledger.entries())
    with pytest.raises(OutputError, match="Free some space"), ledger.exclusive() as book:
        pages = book._connection.execute("PRAGMA page_count").fetchone()[0]
        book._connection.execute(f"PRAGMA max_page_count = {pages}")
        for _ in range(200):
            book.append("note", {"x": "y" * 30_000})
    assert len(ledger.entries()) == before
    ledger.verify()


def test_many_processes_and_threads(ledger: Ledger) -> None:
    code = (
        "import sys; from pathlib import Path; from countenance.consent.ledger import Ledger\n"
        "for n in range(15): Ledger(Path(sys.argv[1])).append('note', {'who': sys.argv[2], 'n': n})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(ledger.path), str(who)]) for who in range(3)]
    failures: list[Exception] = []

    def check_meanwhile() -> None:
        try:
            for _ in range(40):
                ledger.verify()
                ledger.append("note", {"who": "thread"})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=check_meanwhile) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert failures == []
    rows = ledger.entries()
    assert len(rows) == 6 + 3 * 15 + 80
    for who in "012":
        assert [row.facts["n"] for row in rows if row.facts.get("who") == who] == list(range(15))
    ledger.verify()
