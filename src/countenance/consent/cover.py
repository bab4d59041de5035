"""Does a record cover this work, now? Every reason against it, in sentences; the gate and ``check`` share this list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from countenance.consent.clock import parse_time
from countenance.consent.ledger import Entry
from countenance.consent.record import ConsentRecord, read_words_known
from countenance.consent.revoke import find_revocation
from countenance.consent.terms import Role

__all__ = ["CLOCK_LEEWAY", "Act", "Work", "reasons_against", "trusted_key", "trusted_witness"]

Act = Literal["train", "swap"]
"""What is to be done with the lender's face."""

CLOCK_LEEWAY = timedelta(minutes=10)
"""How far clocks may differ."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the record has to cover; a performer or act of None is not looked at.

    ``lender`` is whose record it is: with the role ``"replaced"`` the performer.
    """

    title: str
    purpose: str
    lender: str
    performer: str | None = None
    act: Act | None = None
    role: Role = "lend"


def reasons_against(record: ConsentRecord, work: Work, now: datetime, entries: Sequence[Entry]) -> list[str]:
    """Why a record does not cover a work; empty when it does (the faces are compared elsewhere).

    Args:
        record: verified.
        work: what is to be done.
        now: aware.
        entries: the project's ledger: revocations, the known keys of lender and witness, and the latest
            time work was allowed.
    """
    return [
        *_of_words(record),
        *_of_destruction(record, entries),
        *_of_key_and_time(record, work, now, entries),
        *_of_scope(record, work),
    ]


def _of_words(record: ConsentRecord) -> list[str]:
    """A signature under other words is not a consent to these terms, however well it verifies."""
    if read_words_known(record):
        return []
    return [
        f"What was read (in the language {record.language}) is no page that this program knows for these terms. Make a "
        "new request, and let both people read its page and sign it."
    ]


def _of_destruction(record: ConsentRecord, entries: Sequence[Entry]) -> list[str]:
    """What was destroyed stays so: a backup that is put back finds the record closed."""
    known, destroyed = False, None
    for entry in entries:
        known = known or record.id in (entry.facts.get("record_id"), entry.facts.get("performer_record_id"))
        known = known or (entry.kind == "request" and entry.facts.get("id") == record.id)
        if known and entry.kind == "destruction" and entry.facts.get("stage") == "done":
            destroyed = entry.time if entry.facts.get("person") == record.lender else destroyed
    if destroyed is None:
        return []
    return [
        f"It is from before everything of {record.lender} was destroyed ({destroyed}). Extract the faces anew, and ask "
        f"{record.lender} for a new record."
    ]


def trusted_key(entries: Sequence[Entry], lender: str) -> str | None:
    """The key id that this project knows as the lender's.

    The one that was confirmed last; else the first one that a record of this lender came with (trust on first use).
    """
    return _known(entries, lender, "key_id")


def trusted_witness(entries: Sequence[Entry], lender: str) -> str | None:
    """The key id that this project knows as that of the lender's witness; by the same rule as :func:`trusted_key`."""
    return _known(entries, lender, "witness_key_id")


def _known(entries: Sequence[Entry], lender: str, member: str) -> str | None:
    known: str | None = None
    for entry in entries:
        for who, name in (("lender", member), ("performer", f"performer_{member}")):
            if entry.facts.get(who) != lender or name not in entry.facts:
                continue
            if entry.kind == "key" or (entry.kind in ("record", "permit") and known is None):
                known = str(entry.facts[name])
    return known


def _of_key_and_time(record: ConsentRecord, work: Work, now: datetime, entries: Sequence[Entry]) -> list[str]:
    reasons = []
    revocation = find_revocation(entries, record)
    if revocation is not None:
        whose = {"lender": "the lender", "list": "the status list"}.get(
            revocation.by, "the project, on the lender's word"
        )
        reasons.append(f"It was revoked on {revocation.time} by {whose}. Nothing new may be made with this face.")
    known = trusted_key(entries, work.lender)
    if known is not None and known != record.key_id:
        reasons.append(
            f"It is signed with the key {record.key_id}, but {work.lender}'s key is {known}. Ask {work.lender} whether "
            "the key changed, and confirm the new one."
        )
    witness = trusted_witness(entries, work.lender)
    if witness is not None and witness != record.witness.key_id:
        reasons.append(
            f"Its witness signed with the key {record.witness.key_id}, but the key of {work.lender}'s witness is "
            f"{witness}. "
            f"Ask {work.lender} who the witness was, and confirm the new key."
        )
    if now < record.not_before or now < record.issued - CLOCK_LEEWAY:
        start = max(record.not_before, record.issued)
        reasons.append(f"It is not in force before {start:%Y-%m-%d %H:%M} UTC. Wait, or check this computer's clock.")
    if now >= record.expires:
        reasons.append(f"It ended on {record.expires:%Y-%m-%d %H:%M} UTC. Ask {work.lender} for a new record.")
    latest = _latest_allowed(entries)
    if latest is not None and now < latest - CLOCK_LEEWAY:
        reasons.append(
            f"This computer's clock is set back: the ledger has work of {latest:%Y-%m-%d %H:%M} UTC. Set the clock."
        )
    return reasons


def _of_scope(record: ConsentRecord, work: Work) -> list[str]:
    reasons = []
    ask = f"Ask {work.lender} for a record that covers this."
    if record.lender != work.lender:
        reasons.append(f"It is about {record.lender}'s face, not {work.lender}'s. {ask}")
    if record.role != work.role:
        allowed, asked = (_ROLES[role].format(name=work.lender) for role in (record.role, work.role))
        reasons.append(f"It allows to {allowed}, not to {asked}. {ask}")
    if record.title != work.title:
        reasons.append(f"It is for the work “{record.title}”, not for “{work.title}”. {ask}")
    if work.purpose not in record.purposes:
        reasons.append(f"It is for the purpose {', '.join(record.purposes)}, not for {work.purpose}. {ask}")
    if work.performer is not None and record.performers and work.performer not in record.performers:
        reasons.append(f"It allows to replace {', '.join(record.performers)}, not {work.performer}. {ask}")
    if work.act == "train" and not record.train:
        reasons.append(f"It does not allow training. {ask}")
    return reasons


_ROLES = {"lend": "show {name}'s face", "replaced": "replace {name}'s face"}


def _latest_allowed(entries: Sequence[Entry]) -> datetime | None:
    """Only allowed work counts: its time lies within a record's term, so one wild clock cannot block a project."""
    return max((parse_time(entry.time) for entry in entries if entry.kind == "permit"), default=None)
