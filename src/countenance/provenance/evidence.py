"""What the reference reader finds in a file, sorted: what failed, what held, who signed, what lies below."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import c2pa

from countenance.errors import MediaError
from countenance.provenance import credentials, sentences

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from countenance.provenance.report import Finding

__all__ = ["HARMLESS_TO_BYTES", "Evidence", "plain", "read_evidence", "signer_name"]

_STAMP_FAILURES = frozenset(
    {
        "timeStamp.malformed",
        "timeStamp.mismatch",
        "timeStamp.outsideValidity",
        "timeStamp.untrusted",
        "timeOfSigning.outsideValidity",
    }
)
HARMLESS_TO_BYTES = (
    credentials.FAILURES_OF_TRUST
    | credentials.FAILURES_OF_TIME
    | _STAMP_FAILURES
    | frozenset({"signingCredential.invalid"})
)
"""Failure codes about who signed and when; what was signed is whole."""

_BYTES_MATCH = frozenset(
    f"assertion.{kind}.match" for kind in ("dataHash", "bmffHash", "boxesHash", "collectionHash", "multiAssetHash")
)
_NAME_LIMIT = 80
_MOST_MANIFESTS = 10_000  # walked; more than any file has


@dataclass(frozen=True, slots=True)
class Evidence:
    """One file's credentials as the reference reader judges them.

    ``integrity`` is the answer on the bytes; ``state`` the reader's own word; ``active`` the manifest that speaks for
    the file, None where there is none; ``failures``, ``successes`` and ``notes`` codes of the standard on it,
    ``delta_failures`` those on its ingredients that are new since it was signed. ``validity`` is the certificate's,
    ``stamped_at`` the time in a timestamp, by whomever.
    """

    integrity: Finding
    state: str = ""
    active: Mapping[str, Any] | None = None
    failures: frozenset[str] = frozenset()
    successes: frozenset[str] = frozenset()
    notes: frozenset[str] = frozenset()
    delta_failures: frozenset[str] = frozenset()
    validity: tuple[datetime, datetime] | None = None
    stamped_at: datetime | None = None
    parents_found: bool = False
    parents_broken: bool = False

    @property
    def outside_validity(self) -> bool:
        """Whether the certificate was not valid at the time that counts: a trusted timestamp's, or now."""
        return bool(self.failures & credentials.FAILURES_OF_TIME)

    @property
    def signer(self) -> str:
        """Who signed, by the certificate's word, fit for a terminal."""
        return signer_name(self.active or {})


def signer_name(manifest: Mapping[str, Any]) -> str:
    """Who signed a manifest, by the certificate's word, fit for a terminal."""
    info = manifest.get("signature_info")
    if not isinstance(info, dict):
        return "somebody unnamed"
    names = [plain(str(info[key])) for key in ("common_name", "issuer") if info.get(key)]
    return ", ".join(names) or "somebody unnamed"


def plain(text: str) -> str:
    """A stranger's text, made fit for a terminal: printable, one line, short."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return clean if len(clean) <= _NAME_LIMIT else clean[: _NAME_LIMIT - 1] + "…"


def read_evidence(path: Path, trusted_pem: str, time_pem: str) -> Evidence:
    """Read a file's credentials.

    Args:
        path: any file.
        trusted_pem: certificates of the authorities to trust, PEM.
        time_pem: those of timestamp services.

    Raises:
        MediaError: it cannot be opened.
    """
    try:
        store = credentials.read_store(path, trusted_pem, time_pem=time_pem)
        if store is None:
            return Evidence(_without_store(path, None))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"Cannot read {path} ({reason}). Check its permissions.") from error
    except c2pa.C2paError as error:
        return Evidence(_without_store(path, error))
    active = _manifest(store, store.get("active_manifest"))
    if active is None:
        return Evidence(sentences.finding("integrity", "broken", reason="no active manifest"))
    results = store.get("validation_results")
    results = results if isinstance(results, dict) else {}
    failures, successes, notes = (
        credentials.codes(results.get("activeManifest"), group) for group in ("failure", "success", "informational")
    )
    deltas = frozenset(credentials.failure_codes({"ingredientDeltas": results.get("ingredientDeltas")}))
    found, broken = _walk(store, active)
    return Evidence(
        integrity=_integrity(failures | deltas, successes),
        state=str(store.get("validation_state")),
        active=active,
        failures=failures,
        successes=successes,
        notes=notes,
        delta_failures=deltas,
        validity=_span(store.get(credentials.VALIDITY)),
        stamped_at=_time((active.get("signature_info") or {}).get("time")),
        parents_found=found,
        parents_broken=broken or bool(deltas - HARMLESS_TO_BYTES),
    )


def _integrity(failures: frozenset[str], successes: frozenset[str]) -> Finding:
    """Intact only where a hash over the bytes was compared and nothing else failed."""
    harmful = failures - HARMLESS_TO_BYTES
    if harmful or not successes & _BYTES_MATCH:
        reason = ", ".join(sorted(harmful)) or "no hash over its bytes was compared"
        return sentences.finding("integrity", "broken", reason=reason)
    return sentences.finding("integrity", "intact")


def _without_store(path: Path, error: c2pa.C2paError | None) -> Finding:
    """What it means that c2pa gave no manifest store: none there, none that it can read, or no media at all."""
    if credentials.is_elsewhere(error):
        return sentences.finding("integrity", "elsewhere")
    if isinstance(error, c2pa.C2paError.NotSupported) and credentials.media_type(path) is None:
        return sentences.finding("integrity", "absent")  # a kind of file that neither it nor we know
    if credentials.has_remains(path):
        reason = f"its credentials cannot be read: {plain(str(error))}" if error else "pieces of credentials are left"
        return sentences.finding("integrity", "broken", reason=reason)
    none = error is None or isinstance(error, c2pa.C2paError.NotSupported)
    return sentences.finding("integrity", "absent" if none else "unreadable")


def _manifest(store: Mapping[str, Any], label: object) -> Mapping[str, Any] | None:
    manifests = store.get("manifests")
    manifest = manifests.get(label) if isinstance(manifests, dict) and isinstance(label, str) else None
    return manifest if isinstance(manifest, dict) else None


def _walk(store: Mapping[str, Any], active: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether any ingredient, at any depth, has credentials, and whether some did not hold when they were taken in.

    A broken parent does not make its child invalid in c2pa's eyes, so the child's own state is not enough.
    """
    found = broken = False
    seen: set[str] = set()
    pending = [active]
    while pending and len(seen) < _MOST_MANIFESTS:
        for ingredient in pending.pop().get("ingredients") or ():
            label = ingredient.get("active_manifest") if isinstance(ingredient, dict) else None
            if not isinstance(label, str):
                continue
            found = True
            broken = broken or bool(credentials.failure_codes(ingredient.get("validation_results")) - HARMLESS_TO_BYTES)
            below = _manifest(store, label)
            if below is not None and label not in seen:
                seen.add(label)
                pending.append(below)
    return found, broken


def _span(texts: object) -> tuple[datetime, datetime] | None:
    begins, ends = (_time(text) for text in texts) if isinstance(texts, list) and len(texts) == 2 else (None, None)
    return None if begins is None or ends is None else (begins, ends)


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
