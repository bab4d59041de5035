"""Anybody's question to a file: what does it prove, what does it not?

Each layer is answered apart, in a sentence that also says what the answer does *not* mean:

    integrity     is the file byte for byte what was signed?
    signature     was the statement signed with the key of the certificate that is in it?
    trust         is the signer one that this computer knows?
    time          when was it signed, and was the certificate valid then?
    parents       did the credentials of what it was made from hold, at any depth?
    marks         visible label (by the signer's word) and watermark (searched in the picture)
    consent       which consent record is named; how it stood at signing, how it stands now
    account       who stands behind a recording with a written account, where somebody does
    screens       which screens ran, by the signer's word

Works offline. Everything read from the file is hostile until the signature holds, and a stranger's word afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from countenance.errors import MediaError
from countenance.provenance import sentences
from countenance.provenance.attestation import attestation_of
from countenance.provenance.evidence import Evidence, plain, read_evidence
from countenance.provenance.manifest import read_claim, read_footage_credentials
from countenance.provenance.report import Consent, Finding, Marks, Verification
from countenance.provenance.times import time_finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.consent.revoke import Revoked
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.watermark import WatermarkFinding

__all__ = ["Consent", "ConsentFacts", "Finding", "Marks", "Verification", "verify_file"]


class ConsentFacts(Protocol):
    """What verification needs of a consent record; ``countenance.consent.record.ConsentRecord`` has it."""

    @property
    def sha256(self) -> str:
        """Hash of the record, 64 hex digits."""
        ...

    @property
    def not_before(self) -> datetime:
        """From when it is in force, aware."""
        ...

    @property
    def expires(self) -> datetime:
        """Until when, aware."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


def verify_file(
    path: Path,
    *,
    record: ConsentFacts | None = None,
    scope_sha256: str | None = None,
    revoked: Revoked | None = None,
    trusted_pem: str | None = None,
    time_pem: str | None = None,
    search_watermark: bool = True,
    secret: bytes | None = None,
    clock: Callable[[], datetime] = _utc_now,
) -> Verification:
    """Read what a file proves.

    Args:
        path: any file; one without marks is a normal answer, not an error.
        record: the consent record, where it is at hand.
        scope_sha256: hash of its scope (:func:`countenance.provenance.scope.scope_sha256`), likewise.
        revoked: that this record was revoked, where it is known.
        trusted_pem: certificates of the authorities to trust, PEM; None takes those that this installation trusts.
        time_pem: the same for timestamp services.
        search_watermark: decode the picture and look for the watermark (about as long as playing it ten times faster).
        secret: of this installation's secret watermarks, where those are to be searched too.
        clock: what time it is, aware; the certificate's own validity is judged by the computer's clock in any case.

    Raises:
        MediaError: there is no such file, or it cannot be opened.
        MarkError: this installation's own authority is damaged.
    """
    if not path.is_file():
        raise MediaError(f"There is no file {path}. Check the name.")
    evidence = read_evidence(path, *_anchors(trusted_pem, time_pem))
    now = clock()
    intact = evidence.integrity.state == "intact"
    claim = read_claim(evidence.active) if evidence.active is not None and intact else None
    attestation = None if claim is not None else attestation_of(path, evidence, decode=search_watermark)
    account = attestation.account if attestation is not None and intact else None
    watermark, found = _watermark(path, claim, search=search_watermark, secret=secret)
    return Verification(
        path=path,
        integrity=evidence.integrity,
        signature=_signature(evidence),
        trust=_trust(evidence),
        time=time_finding(evidence, claim or account, now),
        parents=_parents(evidence),
        marks=Marks(_label(evidence, claim), watermark),
        consent=_consent(evidence, claim, record, scope_sha256, revoked, now),
        screens=_screens(evidence, claim),
        claim=claim,
        codes=tuple(sorted(evidence.failures | evidence.delta_failures)),
        attestation=attestation,
        signer=None if evidence.active is None else evidence.signer,
        unread=() if found is None else found.evidence,
        hinted=found is not None and found.hinted,
    )


def _anchors(trusted_pem: str | None, time_pem: str | None) -> tuple[str, str]:
    if trusted_pem is not None and time_pem is not None:
        return trusted_pem, time_pem
    from countenance.project import user_data_dir
    from countenance.provenance.identity import local_authority_pem
    from countenance.provenance.installation import trusted_authorities

    data_dir = user_data_dir()
    return (
        local_authority_pem(data_dir) if trusted_pem is None else trusted_pem,
        trusted_authorities(data_dir, time=True) if time_pem is None else time_pem,
    )


def _signature(evidence: Evidence) -> Finding:
    if evidence.active is None:
        return sentences.finding("signature", "unreadable" if evidence.integrity.state == "broken" else "absent")
    valid = "claimSignature.validated" in evidence.successes and "claimSignature.mismatch" not in evidence.failures
    return sentences.finding("signature", "valid" if valid else "broken")


def _trust(evidence: Evidence) -> Finding:
    if evidence.integrity.state == "broken":
        return sentences.finding("trust", "not_relied_on")
    if evidence.active is None:
        return sentences.finding("trust", "absent")
    signer = evidence.signer
    if "signingCredential.invalid" in evidence.failures:
        return sentences.finding("trust", "unfit", signer=signer)
    if evidence.outside_validity:
        return sentences.finding("trust", "outside_validity", signer=signer)
    if "signingCredential.untrusted" in evidence.failures or evidence.state != "Trusted":
        return sentences.finding("trust", "unknown_signer", signer=signer)
    return sentences.finding("trust", "trusted", signer=signer)


def _parents(evidence: Evidence) -> Finding:
    if evidence.active is None:
        return sentences.finding("parents", "absent")
    if evidence.parents_broken:
        return sentences.finding("parents", "broken")
    if evidence.integrity.state == "broken":
        return sentences.finding("parents", "not_relied_on")
    if evidence.parents_found:
        return sentences.finding("parents", "intact")
    withheld = read_footage_credentials(evidence.active)
    return sentences.finding("parents", {"intact": "withheld", "broken": "withheld_broken"}.get(withheld, "none"))


def _unclaimed(layer: str, evidence: Evidence) -> Finding:
    return sentences.finding(layer, "not_relied_on" if evidence.integrity.state == "broken" else "absent")


def _label(evidence: Evidence, claim: RenderClaim | None) -> Finding:
    if claim is None:
        return _unclaimed("label", evidence)
    if claim.label_text is None:
        return sentences.finding("label", "left_out")
    return sentences.finding("label", "claimed", text=plain(claim.label_text))


def _screens(evidence: Evidence, claim: RenderClaim | None) -> Finding:
    if claim is None:
        return _unclaimed("screens", evidence)
    if not claim.screens:
        return sentences.finding("screens", "none_claimed")
    return sentences.finding("screens", "claimed", screens=", ".join(claim.screens))


def _watermark(
    path: Path, claim: RenderClaim | None, *, search: bool, secret: bytes | None
) -> tuple[Finding, WatermarkFinding | None]:
    """The answer, and what was found where that could not be read and no credentials state it."""
    if not search:
        return sentences.finding("watermark", "not_searched"), None
    from countenance.provenance.watermark import find_watermark, frames_to_search
    from countenance.provenance.watermark_recognise import recognise

    try:
        found = find_watermark(frames_to_search(path), secret)
    except MediaError:
        return sentences.finding("watermark", "unreadable"), None
    claimed = claim.watermark_id if claim is not None else None
    # Who has this program can put a public mark on anything, and take it off: where the two differ, the secret tells.
    payload = found.secret_payload or found.payload
    if payload is None and claimed is not None and recognise(found.evidence, [claimed]) is not None:
        payload = claimed
    finding = _mark(payload, traces=found.traces, claimed=claimed)
    if found.secret_payload is None:
        return finding, found if payload is None and claimed is None else None
    public = "the public one was not found" if found.payload is None else f"the public one says {found.payload.hex()}"
    same = found.payload == payload
    said = "This computer's secret watermark says the same." if same else f"That is its secret watermark; {public}."
    return replace(finding, sentence=f"{finding.sentence} {said}"), None


def _mark(payload: bytes | None, *, traces: bool, claimed: bytes | None) -> Finding:
    if payload is None and traces:
        return sentences.finding("watermark", "traces")
    if payload is None:
        return sentences.finding("watermark", "missing" if claimed is not None else "absent")
    if claimed is None:
        return sentences.finding("watermark", "found", payload=payload.hex())
    state = "matches" if claimed == payload else "differs"
    return sentences.finding("watermark", state, payload=payload.hex(), claimed=claimed.hex())


def _consent(
    evidence: Evidence,
    claim: RenderClaim | None,
    record: ConsentFacts | None,
    scope_sha256: str | None,
    revoked: Revoked | None,
    now: datetime,
) -> Consent:
    if claim is None:
        return Consent(_unclaimed("consent_then", evidence), _unclaimed("consent_now", evidence))
    facts: dict[str, Any] = {"record_id": claim.record_id, "made_at": f"{claim.made_at:%Y-%m-%d %H:%M} UTC"}
    if record is None:
        return Consent(sentences.finding("consent_then", "named", **facts), sentences.finding("consent_now", "unknown"))
    other = "other_record" if record.sha256 != claim.record_sha256 else None
    if other is None and None not in (scope_sha256, claim.scope_sha256) and scope_sha256 != claim.scope_sha256:
        other = "other_scope"
    if other is not None:
        return Consent(
            sentences.finding("consent_then", other, **facts), sentences.finding("consent_now", "other_record")
        )
    facts["expires"] = f"{record.expires:%Y-%m-%d}"
    if revoked is not None:
        facts["revoked"] = f"{revoked.time:%Y-%m-%d %H:%M} UTC"
    then, today = _then(claim, record, revoked), _today(record, revoked, now)
    return Consent(sentences.finding("consent_then", then, **facts), sentences.finding("consent_now", today, **facts))


def _then(claim: RenderClaim, record: ConsentFacts, revoked: Revoked | None) -> str:
    """How the record at hand, which is the one that is named, stood when the file was made."""
    if not record.not_before <= claim.made_at < record.expires:
        return "not_in_force"
    if revoked is not None and revoked.time <= claim.made_at:
        return "revoked"
    return "in_force" if revoked is None or revoked.exact else "perhaps_revoked"


def _today(record: ConsentFacts, revoked: Revoked | None, now: datetime) -> str:
    if revoked is not None:
        return "revoked" if revoked.exact else "revoked_some_time"
    if now < record.not_before:
        return "not_yet"
    return "in_force" if now < record.expires else "expired"
