"""Trace a copy that lost its credentials: its watermark leads to the manifest of the render that it was made from."""

from __future__ import annotations

import ssl
import urllib.error
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from countenance.errors import ConsentError, InputError, IntegrityError, OutputError
from countenance.provenance.register import FOUND_AT_MOST, MANIFEST_LIMIT, Register, Registered, read_answer
from countenance.provenance.report import claim_facts
from countenance.provenance.sentences import finding

if TYPE_CHECKING:
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.register import Standing
    from countenance.provenance.report import Finding, Verification

__all__ = ["AsksRegister", "Trace", "register_at", "traced"]

_ANSWER_LIMIT = 2 * FOUND_AT_MOST * MANIFEST_LIMIT  # base64 and its frame
_SECONDS = 15.0
_STANDING: dict[Standing, str] = {
    "trusted": "",
    "unknown": ", whom this computer does not know,",
    "expired": ", whose certificate is not valid now,",
}
_TRACEABLE = ("found", "differs")


@dataclass(frozen=True, slots=True)
class Trace:
    """What a register answered: ``claim`` of the render that the copy most likely comes from, ``sha256`` of its file,
    ``signer`` and whether this computer knows them (``trusted``); all None or False where it did not help.
    """

    finding: Finding
    claim: RenderClaim | None = None
    sha256: str | None = None
    signer: str | None = None
    trusted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "state": self.finding.state,
            "claim": claim_facts(self.claim),
            "sha256": self.sha256,
            "signer": self.signer,
            "trusted": self.trusted,
        }


class AsksRegister(Protocol):
    """A register that can be asked: a folder's, or a served one."""

    @property
    def name(self) -> str:
        """Where it is, in messages."""
        ...

    def find(self, watermark: str) -> tuple[Registered, ...]:
        """The renders that carry a watermark.

        Raises:
            LookupError: it cannot be asked; with a sentence.
            ValueError: what it answers is of no use; with the reason.
        """
        ...


def register_at(where: str, *, context: ssl.SSLContext | None = None) -> AsksRegister:
    """The register in a folder, or the served one at an address.

    Args:
        where: a folder with ``register.sqlite``; or an https address, or an http one of this computer.
        context: which certificates are believed; the computer's own when None.

    Raises:
        InputError: neither.
    """
    if "://" in where:
        parts = urlsplit(where)
        local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if (
            (parts.scheme != "https" and not local)
            or parts.query
            or parts.fragment
            or parts.username
            or not parts.netloc
        ):
            raise InputError(
                f"{where[:200]} is not the address of a register. Give an https address (http only on this computer), "
                "without a name, question mark or #."
            )
        return _Served(where.rstrip("/"), context)
    folder = Path(where)
    register = Register(folder)
    if not register.path.is_file():
        raise InputError(f"There is no register in {folder} (no {register.path.name}). Give a project's folder.")
    return _Local(register)


@dataclass(frozen=True, slots=True)
class _Local:
    register: Register

    @property
    def name(self) -> str:
        return f"in {self.register.path.parent}"

    def find(self, watermark: str) -> tuple[Registered, ...]:
        try:
            return self.register.find(watermark)
        except (IntegrityError, OutputError) as error:
            raise LookupError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Served:
    address: str
    context: ssl.SSLContext | None

    @property
    def name(self) -> str:
        return f"at {self.address}"

    def find(self, watermark: str) -> tuple[Registered, ...]:
        from countenance.consent.https import get

        url = f"{self.address}/v1/watermarks/{watermark}"
        try:
            data = get(
                url,
                "The register",
                limit=_ANSWER_LIMIT,
                seconds=_SECONDS,
                context=self.context,
                accept="application/json",
                local_http=True,
            )
        except ConsentError as error:
            cause = error.__cause__
            if isinstance(cause, urllib.error.HTTPError) and cause.code == 404:
                return ()
            raise LookupError(str(error)) from error
        return read_answer(data, watermark)


def traced(result: Verification, register: AsksRegister, trusted_pem: str) -> Verification:
    """A verification, with what a register knows of the file's watermark.

    The register is asked only when a watermark was read that the file's own credentials do not state; it is told that
    watermark and nothing else. The verdict stays what the file's own bytes say.

    Args:
        result: of the file, searched for a watermark.
        register: which one to ask.
        trusted_pem: certificates of the authorities to trust.
    """
    mark = result.marks.watermark
    if mark.state not in _TRACEABLE:
        return replace(result, trace=Trace(finding("register", "nothing_to_ask", where=register.name)))
    facts = {"where": register.name, "payload": mark.facts["payload"]}
    try:
        found = register.find(facts["payload"])
        if not found:
            return replace(result, trace=Trace(finding("register", "unknown", **facts)))
        trace = _best([_checked(one, facts, trusted_pem) for one in found])
    except LookupError as error:
        trace = Trace(finding("register", "unreachable", reason=str(error)))
    except ValueError as error:
        trace = Trace(finding("register", "false", reason=str(error), **facts))
    return replace(result, trace=trace)


def _checked(one: Registered, facts: dict[str, str], trusted_pem: str) -> Trace:
    claim, signer, standing = one.claim(trusted_pem)
    told = {
        "signer": f"{signer}{_STANDING[standing]}",
        "made_at": f"{claim.made_at:%Y-%m-%d %H:%M} UTC",
        "purpose": claim.purpose,
        "record_id": claim.record_id,
    }
    return Trace(finding("register", "traced", **facts, **told), claim, one.sha256, signer, standing == "trusted")


def _best(traces: list[Trace]) -> Trace:
    return max(traces, key=lambda trace: trace.trusted)
