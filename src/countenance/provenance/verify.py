"""Anybody's question to a file: what does it prove, what does it not?

Each layer is answered apart, in a sentence that also says what the answer does *not* mean:

    integrity   is the file byte for byte what was signed?
    trust       is the signer one that this computer knows?
    footage     did the footage's own credentials hold?
    marks       visible label (by the signer's word) and watermark (searched in the picture)
    consent     which consent record is named, and does the one at hand fit?

Works offline. Everything read from the file is hostile until the signature holds, and a stranger's word afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import c2pa

from countenance.errors import MediaError
from countenance.provenance import credentials, sentences
from countenance.provenance.attestation import attestation_of
from countenance.provenance.manifest import read_claim, read_footage_credentials
from countenance.provenance.report import Finding, Marks, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from countenance.consent.revoke import Revoked
    from countenance.provenance.manifest import RenderClaim

__all__ = ["ConsentFacts", "Finding", "Marks", "Verification", "own_authority", "signer_name", "verify_file"]

_HARMLESS_TO_BYTES = credentials.FAILURES_OF_TRUST | credentials.FAILURES_OF_TIME
_NAME_LIMIT = 80


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
    revoked: Revoked | None = None,
    trusted_pem: str | None = None,
    search_watermark: bool = True,
    clock: Callable[[], datetime] = _utc_now,
) -> Verification:
    """Read what a file proves.

    Args:
        path: any file; one without marks is a normal answer, not an error.
        record: the consent record, where it is at hand.
        revoked: that this record was revoked, where it is known.
        trusted_pem: certificates of the authorities to trust, PEM; None takes this installation's own, if it has one.
        search_watermark: decode the picture and look for the watermark (about as long as playing it ten times faster).
        clock: what time it is, aware.

    Raises:
        MediaError: there is no such file, or it cannot be opened.
        MarkError: this installation's own authority is damaged.
    """
    if not path.is_file():
        raise MediaError(f"There is no file {path}. Check the name.")
    anchors = own_authority() if trusted_pem is None else trusted_pem
    store, integrity = _read(path, anchors)
    active = _manifest(store, (store or {}).get("active_manifest"))
    codes = credentials.failure_codes((store or {}).get("validation_results"))
    trust = _trust(integrity, store, active, codes)
    claim = read_claim(active) if active is not None and integrity.state == "intact" else None
    marks = Marks(_label(integrity, claim), _watermark(path, claim, search=search_watermark))
    return Verification(
        path=path,
        integrity=integrity,
        trust=trust,
        footage=_footage(integrity, store, active),
        marks=marks,
        consent=_consent(integrity, claim, record, revoked, clock()),
        claim=claim,
        codes=tuple(sorted(codes)),
        attestation=None
        if claim is not None
        else attestation_of(
            path,
            active,
            codes,
            signer_name(active or {}),
            intact=integrity.state == "intact",
            decode=search_watermark,
        ),
        signer=None if active is None else signer_name(active),
    )


def own_authority() -> str:
    """Certificates of the authorities that this installation trusts, PEM; may be empty (raises MarkError)."""
    from countenance.project import user_data_dir
    from countenance.provenance.identity import local_authority_pem

    return local_authority_pem(user_data_dir())


def _read(path: Path, anchors: str) -> tuple[dict[str, Any] | None, Finding]:
    try:
        store = credentials.read_store(path, anchors)
        if store is None:
            return None, _without_store(path, None)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"Cannot read {path} ({reason}). Check its permissions.") from error
    except c2pa.C2paError as error:
        return None, _without_store(path, error)
    failures = credentials.failure_codes(store.get("validation_results")) - _HARMLESS_TO_BYTES
    if failures or _manifest(store, store.get("active_manifest")) is None:
        reason = ", ".join(sorted(failures)) or "no active manifest"
        return store, sentences.finding("integrity", "broken", reason=reason)
    return store, sentences.finding("integrity", "intact")


def _without_store(path: Path, error: c2pa.C2paError | None) -> Finding:
    """What it means that c2pa gave no manifest store: none there, none that it can read, or no media at all."""
    if credentials.is_elsewhere(error):
        return sentences.finding("integrity", "elsewhere")
    if isinstance(error, c2pa.C2paError.NotSupported):  # a kind of file that it does not know
        return sentences.finding("integrity", "absent")
    if credentials.has_remains(path):
        reason = f"its credentials cannot be read: {_plain(str(error))}" if error else "pieces of credentials are left"
        return sentences.finding("integrity", "broken", reason=reason)
    return sentences.finding("integrity", "absent" if error is None else "unreadable")


def _manifest(store: Mapping[str, Any] | None, label: object) -> Mapping[str, Any] | None:
    manifests = (store or {}).get("manifests")
    manifest = manifests.get(label) if isinstance(manifests, dict) and isinstance(label, str) else None
    return manifest if isinstance(manifest, dict) else None


def _trust(
    integrity: Finding, store: Mapping[str, Any] | None, active: Mapping[str, Any] | None, codes: set[str]
) -> Finding:
    if active is None or integrity.state == "unreadable":
        return sentences.finding("trust", "absent" if integrity.state != "broken" else "not_relied_on")
    if integrity.state == "broken":
        return sentences.finding("trust", "not_relied_on")
    signer = signer_name(active)
    if codes & credentials.FAILURES_OF_TIME:
        return sentences.finding("trust", "expired", signer=signer)
    if "signingCredential.untrusted" in codes or (store or {}).get("validation_state") != "Trusted":
        return sentences.finding("trust", "unknown_signer", signer=signer)
    return sentences.finding("trust", "trusted", signer=signer)


def signer_name(active: Mapping[str, Any]) -> str:
    """Who signed a manifest, by the certificate, made fit for a terminal."""
    info = active.get("signature_info")
    if not isinstance(info, dict):
        return "somebody unnamed"
    names = [_plain(str(info[key])) for key in ("common_name", "issuer") if info.get(key)]
    return ", ".join(names) or "somebody unnamed"


def _plain(text: str) -> str:
    """A stranger's text, made fit for a terminal: printable, one line, short."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return clean if len(clean) <= _NAME_LIMIT else clean[: _NAME_LIMIT - 1] + "…"


def _footage(integrity: Finding, store: Mapping[str, Any] | None, active: Mapping[str, Any] | None) -> Finding:
    if active is None or store is None:
        return sentences.finding("footage", "absent")
    found, broken = _walk(store, active)
    results = store.get("validation_results") or {}
    deltas = credentials.failure_codes({"ingredientDeltas": results.get("ingredientDeltas")})
    if broken or deltas - _HARMLESS_TO_BYTES:
        return sentences.finding("footage", "broken")
    if integrity.state == "broken":
        return sentences.finding("footage", "not_relied_on")
    if found:
        return sentences.finding("footage", "intact")
    withheld = read_footage_credentials(active)
    return sentences.finding("footage", {"intact": "withheld", "broken": "withheld_broken"}.get(withheld, "none"))


def _walk(store: Mapping[str, Any], active: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether any ingredient, at any depth, has credentials, and whether some did not hold when they were taken in.

    A broken parent does not make its child invalid in c2pa's eyes, so the child's own state is not enough.
    """
    found = broken = False
    seen: set[str] = set()
    pending = [active]
    while pending:
        for ingredient in pending.pop().get("ingredients") or ():
            label = ingredient.get("active_manifest") if isinstance(ingredient, dict) else None
            if not isinstance(label, str):
                continue
            found = True
            broken = broken or bool(
                credentials.failure_codes(ingredient.get("validation_results")) - _HARMLESS_TO_BYTES
            )
            below = _manifest(store, label)
            if below is not None and label not in seen:
                seen.add(label)
                pending.append(below)
    return found, broken


def _label(integrity: Finding, claim: RenderClaim | None) -> Finding:
    if claim is None:
        return sentences.finding("label", "not_relied_on" if integrity.state == "broken" else "absent")
    if claim.label_text is None:
        return sentences.finding("label", "left_out")
    return sentences.finding("label", "claimed", text=_plain(claim.label_text))


def _watermark(path: Path, claim: RenderClaim | None, *, search: bool) -> Finding:
    from countenance.provenance.watermark import find_watermark, frames_to_search

    if not search:
        return sentences.finding("watermark", "not_searched")
    try:
        found = find_watermark(frames_to_search(path))
    except MediaError:
        return sentences.finding("watermark", "unreadable")
    claimed = claim.watermark_id if claim is not None else None
    if found.payload is None and found.traces:
        return sentences.finding("watermark", "traces")
    if found.payload is None:
        return sentences.finding("watermark", "missing" if claimed is not None else "absent")
    if claimed is None:
        return sentences.finding("watermark", "found", payload=found.payload.hex())
    state = "matches" if claimed == found.payload else "differs"
    return sentences.finding("watermark", state, payload=found.payload.hex(), claimed=claimed.hex())


def _consent(
    integrity: Finding, claim: RenderClaim | None, record: ConsentFacts | None, revoked: Revoked | None, now: datetime
) -> Finding:
    if claim is None:
        return sentences.finding("consent", "not_relied_on" if integrity.state == "broken" else "absent")
    facts = {"record_id": claim.record_id, "made_at": f"{claim.made_at:%Y-%m-%d %H:%M} UTC"}
    if record is None:
        return sentences.finding("consent", "named", **facts)
    if record.sha256 != claim.record_sha256:
        return sentences.finding("consent", "other_record", **facts)
    facts["expires"] = f"{record.expires:%Y-%m-%d}"
    if revoked is not None:
        facts["revoked"] = f"{revoked.time:%Y-%m-%d %H:%M} UTC"
    return sentences.finding("consent", _state_of(claim, record, revoked, now), **facts)


def _state_of(claim: RenderClaim, record: ConsentFacts, revoked: Revoked | None, now: datetime) -> str:
    """How the record at hand, which is the one that is named, stood when the file was made, and stands now."""
    if not record.not_before <= claim.made_at < record.expires:
        return "matches_not_in_force_then"
    if revoked is not None and revoked.time <= claim.made_at:
        return "matches_revoked_then"
    if revoked is not None:
        return "matches_revoked_since" if revoked.exact else "matches_revoked"
    return "matches" if record.not_before <= now < record.expires else "matches_expired_since"
