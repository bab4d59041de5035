"""The ledger: what was asked, agreed, revoked, allowed and refused, in the order in which it happened.

One SQLite file. Each row's hash covers the row and the hash of the row before, so that an edited, dropped, inserted or
reordered row breaks the chain. What a chain alone cannot see is a ledger that was cut off at its end, or replaced as
a whole: its remaining rows are in order. So every row's hash can be kept elsewhere (a permit carries it, checkpoints
and manifests pass it on), and :meth:`Ledger.verify` takes such hashes as anchors that must be found.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countenance.consent.clock import Clock, format_time, utc_now
from countenance.errors import LedgerError, OutputError

__all__ = ["BEFORE_FIRST", "FACTS_LIMIT", "KINDS", "Book", "Entry", "Ledger", "entry_hash_of"]

KINDS = (
    *("ledger", "request", "challenge", "capture", "record", "key", "revocation"),
    *("faces", "permit", "refusal", "training", "render", "destruction", "note"),
)
"""What a row can be about."""

FACTS_LIMIT = 32 * 1024
"""Largest row in bytes of JSON."""

BEFORE_FIRST = "0" * 64
"""What stands in the place of a row's hash before the first one."""

_WAIT_SECONDS = 30.0

_SCHEMA = (
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, "
    "kind TEXT NOT NULL, facts TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE)",
    # Against mistakes, not against intent: who can write the file can drop a trigger; the chain is what finds that.
    "CREATE TRIGGER no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: ``seq`` counts from 1, ``time`` is UTC text, ``hash`` covers all of it and ``previous``."""

    seq: int
    time: str
    kind: str
    facts: Mapping[str, Any]
    previous: str
    hash: str


class Ledger:
    """The ledger in a file; every call opens and closes it, so that processes and threads can share it.

    Args:
        path: the file; made by the first row.
        clock: gives the time of new rows.
    """

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self.path = Path(path)
        self._clock = clock

    def append(self, kind: str, facts: Mapping[str, Any]) -> str:
        """Add a row.

        Args:
            kind: one of :data:`KINDS`.
            facts: what happened, as JSON values.

        Returns:
            The row's hash, 64 hex digits: an anchor.

        Raises:
            LedgerError: the file is damaged or busy for half a minute.
            OutputError: it cannot be written; it is as it was.
        """
        with self.exclusive() as book:
            return book.append(kind, facts)

    @contextmanager
    def exclusive(self) -> Iterator[Book]:
        """Hold the ledger alone: what is read here cannot change before what is written here.

        An exception leaves the ledger as it was.

        Raises:
            LedgerError, OutputError: see :meth:`append`.
        """
        with self._connected(write=True) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                book = Book(connection, self.path, self._clock)
                # Only a file that nothing was ever in is begun: one whose table was dropped must not look new.
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                    # Random, so that a row of one project's ledger never continues another's chain.
                    book.append("ledger", {"id": str(uuid.uuid4()), "version": 1})
                yield book
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def entries(self) -> list[Entry]:
        """All rows in order; none where there is no ledger yet (raises LedgerError)."""
        if not self._begun():
            return []
        with self._connected(write=False) as connection:
            return Book(connection, self.path, self._clock).entries()

    def verify(self, anchors: Iterable[str] = ()) -> None:
        """Check that nothing was edited, dropped, inserted or reordered.

        Args:
            anchors: hashes of rows that must be there, as kept in checkpoints and manifests. Without one, rows cut
                off at the end cannot always be seen.

        Raises:
            LedgerError: it names the first row that does not fit, or the anchor that is missing.
        """
        wanted = set(anchors)
        if self._begun():
            with self._connected(write=False) as connection:
                connection.execute("BEGIN")  # one state throughout, while others append
                Book(connection, self.path, self._clock).verify(wanted)
        elif wanted:
            raise LedgerError(f"The ledger {self.path} is gone, but work refers to it. Restore it from a backup.")

    def _begun(self) -> bool:
        """Whether there is a ledger; a file without a byte is one that another process is just making."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LedgerError(f"The ledger {self.path} cannot be read ({error.strerror}). Check it.") from error

    @contextmanager
    def _connected(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        # Reading may have to clean up after a crashed writer, so it is opened for writing too where that is allowed.
        mode = "rwc" if write else "rw"
        connection: sqlite3.Connection | None = None
        try:
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        except (sqlite3.Error, OverflowError) as error:
            raise _translated(self.path, error) from error
        finally:
            if connection is not None:
                connection.close()


class Book:
    """The ledger while it is open; given by :meth:`Ledger.exclusive`."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection, self._path, self._clock = connection, path, clock

    def append(self, kind: str, facts: Mapping[str, Any]) -> str:
        """Add a row; see :meth:`Ledger.append`."""
        if kind not in KINDS:
            raise ValueError(f"Ledger.append: expected a kind out of {', '.join(KINDS)}, got {kind!r}")
        text = _facts_text(facts)
        if len(text) > FACTS_LIMIT:
            raise ValueError(f"Ledger.append: expected at most {FACTS_LIMIT} bytes of facts, got {len(text)}")
        last = self.head()
        seq, previous = (last[0] + 1, last[1]) if last else (1, BEFORE_FIRST)
        time = format_time(self._clock())
        entry_hash = _hash(seq, time, kind, text, previous)
        self._connection.execute(
            "INSERT INTO entries (seq, time, kind, facts, previous, hash) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, time, kind, text, previous, entry_hash),
        )
        return entry_hash

    def head(self) -> tuple[int, str] | None:
        """Number and hash of the last row."""
        row = self._connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return (int(row[0]), str(row[1])) if row else None

    def entries(self) -> list[Entry]:
        """All rows in order."""
        rows = []
        for seq, time, kind, text, previous, entry_hash in self._rows():
            try:
                facts = json.loads(text)
            except (TypeError, ValueError, RecursionError) as error:
                raise self._broken(seq, "its facts cannot be read") from error
            if not isinstance(facts, dict):
                raise self._broken(seq, "its facts cannot be read")
            rows.append(Entry(seq, time, kind, facts, previous, entry_hash))
        return rows

    def verify(self, anchors: Iterable[str] = ()) -> None:
        """Check the chain; see :meth:`Ledger.verify`."""
        wanted, previous, count = set(anchors), BEFORE_FIRST, 0
        for seq, time, kind, text, linked, entry_hash in self._rows():
            count += 1
            if seq != count:
                raise self._broken(seq, f"row {count} was dropped or renumbered")
            if not all(isinstance(value, str) for value in (time, kind, text, linked, entry_hash)):
                raise self._broken(seq, "it was edited")
            if linked != previous:
                raise self._broken(seq, "it does not follow the row before it")
            if _hash(seq, time, kind, text, linked) != entry_hash:
                raise self._broken(seq, "it was edited")
            previous = entry_hash
            wanted.discard(entry_hash)
        # SQLite remembers the highest number it gave out: rows deleted in passing at the end show here.
        given = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
        if given is None or given[0] != count:
            raise self._broken(count + 1, "rows were dropped at the end")
        if wanted:
            raise self._broken(count + 1, f"the row with the hash {min(wanted)[:16]}…, which work refers to, is gone")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        yield from self._connection.execute("SELECT seq, time, kind, facts, previous, hash FROM entries ORDER BY seq")

    def _broken(self, seq: int, reason: str) -> LedgerError:
        return LedgerError(
            f"The ledger {self._path} is not as it was written: at row {seq}, {reason}. Restore it from a backup."
        )


def entry_hash_of(entry: Entry) -> str:
    """The hash that a row must have by what it says; its own ``hash`` is not looked at."""
    return _hash(entry.seq, entry.time, entry.kind, _facts_text(entry.facts), entry.previous)


def _facts_text(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _hash(seq: int, time: str, kind: str, facts: str, previous: str) -> str:
    whole = json.dumps([seq, time, kind, facts, previous], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(whole.encode("ascii")).hexdigest()


def _translated(path: Path, error: Exception) -> LedgerError | OutputError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return OutputError(f"The ledger {path} cannot be written ({error}). Free some space and try again.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return OutputError(f"The ledger {path} cannot be opened ({error}). Check the folder and its permissions.")
    if name.startswith("SQLITE_BUSY"):
        return LedgerError(f"The ledger {path} is in use by another program. Wait for it and try again.")
    return LedgerError(f"The ledger {path} is damaged or not a ledger ({error}). Restore it from a backup.")
