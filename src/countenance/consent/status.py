"""The status list: one signed bit a record, so that a revocation reaches projects that nobody told.

In the shape of the IETF's Token Status List: an array of bits, compressed by zlib and in base64url, signed by its
issuer with ``iat``, ``exp`` and ``ttl``. A record points to one bit of one list by one issuer's key (``status``), and
the lender's signature covers that pointer: nobody can point elsewhere later. A list that cannot be had, is forged, too
old, or older than one that this project has seen is a refusal, never a shrug.

Format: ``docs/reference/consent-record.md``.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.consent.clock import Clock, format_time, parse_time, utc_now
from countenance.consent.jws import open_document, sign_document
from countenance.consent.keys import SigningKey, public_key
from countenance.consent.ledger import Entry
from countenance.consent.revoke import Revoked, find_revocation
from countenance.consent.strict_json import read_bounded
from countenance.consent.terms import STATUS_SIZE, MalformedError, StatusPointer, Table
from countenance.errors import ConsentError, InputError, ProjectError

if TYPE_CHECKING:
    from countenance.consent.record import ConsentRecord
    from countenance.project import Project

__all__ = [
    "STATUS_LIFETIME",
    "STATUS_TYPE",
    "Evidence",
    "Fetch",
    "Status",
    "StatusList",
    "fetch_status",
    "free_index",
    "gather_status",
    "judge_status",
    "known_revocation",
    "make_status_list",
    "read_status_list",
    "revoked_indices",
]

STATUS_TYPE = "statuslist+jws"
"""``typ`` of a list."""

STATUS_LIFETIME = timedelta(days=7)
"""How long a list is good for unless its issuer says otherwise."""

Fetch = Callable[[str], bytes]
"""Gives a list's bytes from a path or an https address; raises ConsentError."""

_LONGEST = timedelta(days=90)
_LEEWAY = timedelta(minutes=10)
_BYTES = STATUS_SIZE // 8
_MEMBERS = ("sub", "iat", "exp", "ttl", "key", "status_list")
_WHAT = "The status list"


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list whose signature holds: the bit of a record is set when the record was revoked.

    ``uri`` is its own name, ``issuer`` the thumbprint of the key that signed it; it was made at ``issued``, is good
    until ``expires``, and a copy for ``ttl``.
    """

    uri: str
    issuer: str
    issued: datetime
    expires: datetime
    ttl: timedelta
    bits: bytes

    def revoked(self, index: int) -> bool:
        """Whether a bit is set.

        Raises:
            ConsentError: the list has no such bit.
        """
        if not 0 <= index < 8 * len(self.bits):
            raise ConsentError(f"{_WHAT} has no place {index}. Ask its issuer for the right list.")
        return bool(self.bits[index // 8] >> (index % 8) & 1)

    def too_old(self, now: datetime, max_age: timedelta) -> str | None:
        """Why it says nothing of the present, or None."""
        if now < self.issued - _LEEWAY:
            return f"{_WHAT} is dated {format_time(self.issued)}, which is still to come. Check this computer's clock."
        if now >= self.expires or now > self.issued + min(self.ttl, max_age):
            return (
                f"{_WHAT} of {format_time(self.issued)} is too old to say what holds today. Get the present one from "
                "its issuer, and try again."
            )
        return None


def make_status_list(
    revoked: Iterable[int],
    key: SigningKey,
    uri: str,
    *,
    lifetime: timedelta = STATUS_LIFETIME,
    previous: StatusList | None = None,
    clock: Clock = utc_now,
) -> bytes:
    """Sign a list.

    Args:
        revoked: the places whose bits are set.
        key: the issuer's.
        uri: the list's name, as the records give it.
        lifetime: how long it is good for, at most 90 days.
        previous: the list before: what was revoked stays revoked.
        clock: gives the time.

    Raises:
        InputError: a place that no list has, another lifetime, or a list too large to be read.
        ConsentError: the previous list is another one's, or from the future.
    """
    now = clock().astimezone(UTC).replace(microsecond=0)
    bits = bytearray(_BYTES)
    if previous is not None:
        if (previous.issuer, previous.uri) != (key.key_id, uri):
            raise ConsentError(f"{_WHAT} to go on from is of another issuer or name. Choose another file.")
        if previous.issued >= now:
            raise ConsentError(f"{_WHAT} to go on from is of {format_time(previous.issued)}. Check the clock, or wait.")
        bits[:] = previous.bits
    if not timedelta(0) < lifetime <= _LONGEST:
        raise InputError(f"A status list is good for one to {_LONGEST.days} days. Give a number of days between.")
    for place in revoked:
        if not 0 <= place < STATUS_SIZE:
            raise InputError(f"A status list has no place {place}. Give one from 0 to {STATUS_SIZE - 1}.")
        bits[place // 8] |= 1 << place % 8
    seconds = int(now.timestamp())
    payload = {
        "sub": uri,
        "iat": seconds,
        "exp": seconds + int(lifetime.total_seconds()),
        "ttl": int(lifetime.total_seconds()),
        "key": key.public_jwk,
        "status_list": {"bits": 1, "lst": _b64(zlib.compress(bytes(bits), 9))},
    }
    data = sign_document(payload, [key], STATUS_TYPE)
    pointer = StatusPointer(uri, 0, key.key_id)
    try:
        read_status_list(data, pointer)  # nobody should get one that nobody can read
    except ConsentError as error:
        raise InputError(f"The list cannot be made: {error}") from error
    return data


def read_status_list(data: bytes, pointer: StatusPointer) -> StatusList:
    """Read a list and verify that it is the one that a record points to.

    Args:
        data: its bytes, which may be hostile.
        pointer: names the list and its issuer's key.

    Raises:
        ConsentError: forged, changed, of another issuer or name, or no list.
    """
    payload, canonical_bytes = open_document(data, STATUS_TYPE, lambda p: [public_key(p.get("key"))], _WHAT)
    try:
        if canonical_bytes != data:
            raise MalformedError("it was reformatted")
        found = _from_payload(Table(payload, "the list", _MEMBERS))
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Ask its issuer for a new one.") from error
    if found.issuer != pointer.issuer:
        raise ConsentError(
            f"{_WHAT} is signed with the key {found.issuer}, and the record relies on the key {pointer.issuer}. Get "
            "the list from the issuer whom the record names."
        )
    if found.uri != pointer.uri:
        raise ConsentError(f"{_WHAT} is another one ({found.uri}) than the record names. Get {pointer.uri}.")
    return found


def gather_status(project: Project, record: ConsentRecord | None, fetch: Fetch) -> Evidence:
    """Get the list that a record points to, before the ledger is held: a network can take long.

    Args:
        project: its setting ``status_list`` (a path from the project's folder, or an address) comes before the record's
            own address; the signature decides in either case.
        record: the lender's, or None.
        fetch: gets it.
    """
    if record is None or record.status is None:
        return Evidence()
    where = project.config.status_list or record.status.uri
    if not where.startswith(("https://", "urn:")):
        where = str(project.root / where)
    try:
        return Evidence(record.status, fetch(where))
    except ConsentError as error:
        return Evidence(record.status, None, str(error))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was got: the bytes of the list that ``pointer`` names, or the ``problem`` in getting it."""

    pointer: StatusPointer | None = None
    data: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What a list says of a record: ``reasons`` against it, ``facts`` for the ledger, and whether its bit is set."""

    reasons: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None
    revoked: bool = False


def judge_status(
    project: Project, record: ConsentRecord, evidence: Evidence, now: datetime, entries: Sequence[Entry]
) -> Status:
    """What the evidence says of a record; no list named is no reason.

    Args:
        project: for its setting ``status_max_age_days``.
        record: verified.
        evidence: from :func:`gather_status`.
        now: aware.
        entries: the ledger, which remembers the newest list that was seen.
    """
    pointer = record.status
    if pointer is None:
        return Status()
    try:
        found = _got(evidence, pointer)
        revoked = found.revoked(pointer.index)
    except ConsentError as error:
        return Status((str(error),))
    facts = {"issuer": found.issuer, "uri": found.uri, "issued": format_time(found.issued)}
    if revoked:  # an old list is as good for this as a new one: nothing takes a revocation back
        return Status((f"{_WHAT} of {format_time(found.issued)} says that it was revoked.",), facts, revoked=True)
    old = found.too_old(now, timedelta(days=project.config.status_max_age_days)) or _put_back(found, entries, pointer)
    return Status((), facts) if old is None else Status((old,))


def _got(evidence: Evidence, pointer: StatusPointer) -> StatusList:
    if evidence.pointer != pointer:
        raise ConsentError(
            "The consent record was exchanged while its status was looked up. Run the same command again."
        )
    if evidence.data is None:
        raise ConsentError(evidence.problem or f"{_WHAT} is missing. Get it from {pointer.uri}.")
    return read_status_list(evidence.data, pointer)


def _put_back(found: StatusList, entries: Sequence[Entry], pointer: StatusPointer) -> str | None:
    newest = _newest_seen(entries, pointer)
    if newest is None or found.issued >= newest:
        return None
    return (
        f"{_WHAT} is of {format_time(found.issued)}, and this project has seen one of {format_time(newest)}: an old "
        "one was put back. Get the present one from its issuer."
    )


def revoked_indices(entries: Iterable[Entry], issuer: str, uri: str) -> set[int]:
    """The places of a list whose records the ledger has revocations of."""
    found = set()
    for entry in entries:
        place = entry.facts.get("status_list") if entry.kind == "revocation" else None
        if isinstance(place, dict) and (place.get("issuer"), place.get("uri")) == (issuer, uri):
            found.add(int(place["idx"]))
    return found


def free_index(entries: Iterable[Entry], uri: str) -> int:
    """A random place that no request of this project has: a guessable one would tell how many lenders there are."""
    taken = {
        entry.facts["status_list"]["idx"]
        for entry in entries
        if isinstance(entry.facts.get("status_list"), dict) and entry.facts["status_list"].get("uri") == uri
    }
    while (place := secrets.randbelow(STATUS_SIZE)) in taken:
        pass
    return place


def known_revocation(record: ConsentRecord, path: Path, status_list: Path | None = None) -> Revoked | None:
    """Whether a record was revoked, by the ledger of the project that it lies in, or by a status list; no network.

    Args:
        record: verified.
        path: its file.
        status_list: the list's file, if there is one; an old one can say that it was revoked, never that it was not.

    Raises:
        ConsentError: the list is not the one that the record names.
        LedgerError, ConfigError: the project around the record cannot be used.
    """
    from countenance.consent.ledger import Ledger
    from countenance.project import Project

    try:
        project = Project.find(path.resolve().parent)
    except ProjectError:
        project = None
    if project is not None:
        ledger = Ledger(project.ledger_path)
        ledger.verify()
        row = find_revocation(ledger.entries(), record)
        if row is not None:
            return Revoked(parse_time(row.time), exact=row.by != "list")
    if status_list is None:
        return None
    if record.status is None:
        raise ConsentError("The consent record names no status list, so this list says nothing of it. Leave it out.")
    found = read_status_list(read_bounded(status_list, _WHAT), record.status)
    return Revoked(found.issued, exact=False) if found.revoked(record.status.index) else None


def fetch_status(where: str) -> bytes:
    """A list from a file or an https address.

    Raises:
        ConsentError: it cannot be had, or is too large.
    """
    if where.startswith("https://"):
        from countenance.consent.https import get

        return get(where, _WHAT)
    if where.startswith("urn:"):
        raise ConsentError(
            f"{_WHAT} {where} has no address. Get the file from its issuer, and name it in countenance.toml: "
            'status_list = "status.jws".'
        )
    return read_bounded(Path(where), _WHAT)


def _newest_seen(entries: Sequence[Entry], pointer: StatusPointer) -> datetime | None:
    seen = []
    for entry in entries:
        for status in (entry.facts.get("status"), entry.facts.get("performer_status")):
            if isinstance(status, dict) and (status.get("issuer"), status.get("uri")) == (pointer.issuer, pointer.uri):
                seen.append(parse_time(str(status["issued"])))
    return max(seen, default=None)


def _from_payload(table: Table) -> StatusList:
    issued, expires = (_moment(table.number(name), name) for name in ("iat", "exp"))
    ttl = timedelta(seconds=table.number("ttl")) if 0 < table.number("ttl") <= _LONGEST.total_seconds() else None
    if ttl is None or not timedelta(0) < expires - issued <= _LONGEST:
        raise MalformedError(f"it is not good for one to {_LONGEST.days} days")
    inner = Table(table.raw("status_list"), "status_list", ("bits", "lst"))
    if inner.raw("bits") != 1 or isinstance(inner.raw("bits"), bool):
        raise MalformedError("it has not one bit a record")
    key_id = public_key(table.raw("key")).thumbprint()
    return StatusList(table.text("sub"), key_id, issued, expires, ttl, _unpacked(inner.text("lst")))


def _moment(seconds: float, name: str) -> datetime:
    if not 946_684_800 <= seconds < 32_503_680_000 or seconds != int(seconds):
        raise MalformedError(f"{name} is not a whole second of this millennium")
    return datetime.fromtimestamp(seconds, UTC)


def _unpacked(text: str) -> bytes:
    """The bits; never more than a list has, whatever the few compressed bytes would become."""
    try:
        packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        stream = zlib.decompressobj()
        bits = stream.decompress(packed, _BYTES + 1)
    except (UnicodeEncodeError, binascii.Error, zlib.error) as error:
        raise MalformedError("its bits cannot be unpacked") from error
    if len(bits) > _BYTES or not stream.eof or stream.unused_data:
        raise MalformedError(f"it has more than {STATUS_SIZE} bits, or is cut off")
    return bits


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
