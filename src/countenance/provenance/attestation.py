"""What an account in a file is worth: is this the recording that it was signed for, down to a frame?

A recording whose bytes changed is *broken*, whatever changed. But the list of its frames is signed apart from the
file's bytes: where that signature holds, the copy is decoded and every frame compared, so that one repacked by a
messenger can be told from one in which a frame was changed, and the frame is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from countenance.conversion.report import timecode
from countenance.errors import InputError, MediaError
from countenance.provenance import credentials
from countenance.provenance.account import Account, read_account, shown
from countenance.provenance.evidence import HARMLESS_TO_BYTES
from countenance.provenance.fingerprint import compare, measure
from countenance.provenance.sentences import finding

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.provenance.evidence import Evidence
    from countenance.provenance.fingerprint import Comparison
    from countenance.provenance.report import Finding, Verification

__all__ = ["Attestation", "attestation_of", "beside_original"]

_SPANS_TOLD = 5
_UNKNOWN = " (whom this computer does not know, or not any more)"


@dataclass(frozen=True, slots=True)
class Attestation:
    """An account, what it is worth beside this file, and how each track compares where that was measured.

    ``account`` is to be shown only where ``relevant``: the bytes are the signed ones, or some of the frames are.
    """

    account: Account
    finding: Finding
    compared: tuple[Comparison, ...] = ()

    @property
    def relevant(self) -> bool:
        """Whether the account is about this recording, or a part of it."""
        return self.finding.state in ("stands", "frames_same", "frames_changed")

    def to_text(self) -> str:
        """The account as it may be shown on a terminal."""
        return f"What the signer wrote:\n{shown(self.account.text)}" if self.relevant else ""

    def to_dict(self) -> dict[str, Any]:
        """The same for programs; the text is as it was written."""
        return {
            "state": self.finding.state,
            "text": self.account.text if self.relevant else None,
            "text_sha256": self.account.text_sha256,
            "made_at": self.account.made_at.isoformat(),
            "recording_sha256": self.account.recording_sha256,
            "tracks": [
                {
                    "kind": one.kind,
                    "signed": one.signed,
                    "found": one.found,
                    "same": one.same,
                    "changed": [list(span) for span in one.changed],
                    "piece_at": one.piece_at,
                }
                for one in self.compared
            ],
        }


def attestation_of(path: Path, evidence: Evidence, *, decode: bool) -> Attestation | None:
    """The account in a file, judged; None where there is none that somebody signed.

    Args:
        path: the file.
        evidence: of the file.
        decode: compare the frames of a file whose bytes are not the signed ones.
    """
    account = read_account(evidence.active) if evidence.active is not None else None
    if account is None:
        return None
    signer, codes = evidence.signer, evidence.failures | evidence.delta_failures
    if evidence.integrity.state == "intact":
        return Attestation(account, finding("account", "stands", signer=signer, made_at=_when(account)))
    doubts = codes & HARMLESS_TO_BYTES
    if codes - doubts - credentials.FAILURES_OF_BINDING or not codes & credentials.FAILURES_OF_BINDING:
        return None  # what it states was edited, or the signature does not hold
    name = f"{signer}{_UNKNOWN}" if doubts else signer
    if not decode:
        return Attestation(account, finding("account", "not_compared", signer=name, made_at=_when(account)))
    return _compared(path, account, name)


def beside_original(copy: Verification, original: Verification) -> Verification:
    """A copy's verification, with its frames compared to those of an attested original.

    The copy's verdict stays what its own bytes say.

    Raises:
        InputError: the original has no account, or its own bytes are not the signed ones.
    """
    there = original.attestation
    if there is None or original.integrity.state != "intact":
        raise InputError(
            f"{original.path.name} is not an attested recording whose bytes are as they were signed. Give the file "
            "that `countenance attest` wrote."
        )
    known = "" if original.trust.state == "trusted" else _UNKNOWN
    signer = original.signer or "somebody unnamed"
    return replace(copy, attestation=_compared(copy.path, there.account, f"{signer}{known}"))


def _compared(path: Path, account: Account, signer: str) -> Attestation:
    facts = {"signer": signer, "made_at": _when(account)}
    try:
        compared = compare(account.tracks, measure(path, damaged=True))
    except MediaError:
        return Attestation(account, finding("account", "not_decodable", **facts))
    told = " ".join(_sentence(one) for one in compared)
    if all(one.unchanged for one in compared):
        state = "frames_same"
    elif any(one.same for one in compared):
        state = "frames_changed"
    else:
        state = "other_recording"
    return Attestation(account, finding("account", state, told=told, **facts), compared)


def _when(account: Account) -> str:
    return f"{account.made_at:%Y-%m-%d %H:%M} UTC"


def _sentence(one: Comparison) -> str:
    """One track in words; parts are counted from 1, as people count."""
    what, place = ("frame", "Picture") if one.kind == "picture" else ("second of sound", "Sound")
    same = f"each {what} of {one.signed} is as it was signed"
    if one.signed == 0:
        told = "a track that was not signed."
    elif one.found == 0:
        told = "missing."
    elif one.unchanged:
        told = f"{same}."
    elif one.piece_at is not None:
        first, last = one.piece_at + 1, one.piece_at + one.found
        piece = f"a piece of the signed one, {first} to {last} of {one.signed}, each as it was signed"
        told = f"{piece}; the rest is not here or cannot be decoded."
    elif one.same == 0:
        told = f"not one {what} is as it was signed."
    elif not one.changed:
        told = f"{same}, and {one.found - one.signed} were added."
    else:
        told = _changes(one)
    return f"{place}: {told}"


def _changes(one: Comparison) -> str:
    spans = [_span(one, begin, end) for begin, end in one.changed[:_SPANS_TOLD]]
    more = f" and {len(one.changed) - _SPANS_TOLD} more places" if len(one.changed) > _SPANS_TOLD else ""
    count = f" There are {one.found} now." if one.found != one.signed else ""
    return f"{one.same} of {one.signed} as signed; changed or missing: {'; '.join(spans)}{more}.{count}"


def _span(one: Comparison, begin: int, end: int) -> str:
    first = timecode(begin / one.rate, one.rate)
    if begin == end:
        return f"number {begin + 1} at {first}"
    return f"numbers {begin + 1} to {end + 1} at {first} to {timecode(end / one.rate, one.rate)}"
