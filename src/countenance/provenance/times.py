"""When a file was signed, and whether the certificate was valid then: by a timestamp, or by the signer's word alone."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from countenance.provenance import sentences

if TYPE_CHECKING:
    from datetime import datetime

    from countenance.provenance.account import Account
    from countenance.provenance.evidence import Evidence
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.report import Finding

__all__ = ["time_finding"]

_CLOCKS_DIFFER = timedelta(minutes=10)  # between two computers of honest people


def time_finding(evidence: Evidence, claim: RenderClaim | Account | None, now: datetime) -> Finding:
    """The answer on the time.

    Args:
        evidence: of the file.
        claim: with the time that the signer states.
        now: the present, aware.
    """
    if evidence.integrity.state == "broken":
        return sentences.finding("time", "not_relied_on")
    if evidence.active is None:
        return sentences.finding("time", "absent")
    facts = {"made_at": "" if claim is None else _told(claim.made_at)}
    if evidence.stamped_at is not None:
        facts["stamped"] = _told(evidence.stamped_at)
    begins, ends = evidence.validity or (None, None)
    facts["begins"], facts["ends"] = (f"{day:%Y-%m-%d}" if day else "an unknown day" for day in (begins, ends))
    return sentences.finding("time", _state(evidence, claim, now), **facts)


def _state(evidence: Evidence, claim: RenderClaim | Account | None, now: datetime) -> str:
    trusted = evidence.stamped_at if "timeStamp.trusted" in evidence.successes else None
    if evidence.outside_validity:
        return _outside(evidence, trusted, now)
    bad = evidence.failures | evidence.notes
    if bad & {"timeStamp.malformed", "timeStamp.mismatch"}:
        return "stamp_broken"
    if claim is not None and claim.made_at > (trusted or now) + _CLOCKS_DIFFER:
        return "ahead" if trusted is None else "contradicted"
    if trusted is not None:
        return "stamped"
    if evidence.stamped_at is not None:
        return "stamped_unknown"
    return "stated" if claim is not None else "untold"


def _outside(evidence: Evidence, trusted: datetime | None, now: datetime) -> str:
    if evidence.validity is None:
        return "outside"
    if trusted is not None:
        return "stamped_outside"
    if now < evidence.validity[0]:
        return "not_yet_valid"
    return "expired_stamp_unknown" if evidence.stamped_at is not None else "expired"


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
