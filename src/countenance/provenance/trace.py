"""Trace a copy that lost its credentials: its watermark leads to the manifest of the render that it was made from.

Where the watermark is too weak to be read, the register tells whether one that it knows stands out.
"""

from __future__ import annotations

import base64
import ssl
import urllib.error
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from countenance.errors import ConsentError, InputError, IntegrityError, OutputError
from countenance.provenance.register import (
    FOUND_AT_MOST,
    MANIFEST_LIMIT,
    Recognition,
    Register,
    Registered,
    read_answer,
    read_recognition,
)
from countenance.provenance.report import claim_facts
from countenance.provenance.sentences import finding
from countenance.provenance.watermark_recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.register import Standing
    from countenance.provenance.report import Finding, Verification

__all__ = ["AsksRegister", "Trace", "register_at", "traced"]

_ANSWER_LIMIT = 2 * FOUND_AT_MOST * MANIFEST_LIMIT  # base64 and its frame
_SECONDS = 15.0
_SERVED_AT_LEAST = 10_000  # watermarks that a served one is taken to have compared, whatever it says
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

    @property
    def is_elsewhere(self) -> bool:
        """Whether somebody else learns what it is asked."""
        ...

    def find(self, watermark: str) -> tuple[Registered, ...]:
        """The renders that carry a watermark.

        Raises:
            LookupError: it cannot be asked; with a sentence.
            ValueError: what it answers is of no use; with the reason.
        """
        ...

    def recognise(self, evidence: tuple[bytes, ...]) -> Recognition | None:
        """The renders whose watermark stands out in evidence of one that could not be read; raises the same."""
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
    is_elsewhere = False

    @property
    def name(self) -> str:
        return f"in {self.register.path.parent}"

    def find(self, watermark: str) -> tuple[Registered, ...]:
        with _asked():
            return self.register.find(watermark)

    def recognise(self, evidence: tuple[bytes, ...]) -> Recognition | None:
        with _asked():
            return self.register.recognise(evidence)


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except (IntegrityError, OutputError) as error:
        raise LookupError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Served:
    address: str
    context: ssl.SSLContext | None
    is_elsewhere = True

    @property
    def name(self) -> str:
        return f"at {self.address}"

    def find(self, watermark: str) -> tuple[Registered, ...]:
        data = self._get(f"watermarks/{watermark}")
        return () if data is None else read_answer(data, watermark)

    def recognise(self, evidence: tuple[bytes, ...]) -> Recognition | None:
        data = self._get(f"recognise/{base64.urlsafe_b64encode(b''.join(evidence)).decode('ascii')}")
        if data is None:
            return None
        renders, compared = read_recognition(data)
        # Compared again here: it could name any, and say that it had few to choose from.
        payload = bytes.fromhex(renders[0].watermark)
        found = recognise(evidence, [payload], max(compared, _SERVED_AT_LEAST))
        return None if found is None else Recognition(renders, compared, found.height)

    def _get(self, what: str) -> bytes | None:
        """The answer, or None where there is none."""
        from countenance.consent.https import get

        url = f"{self.address}/v1/{what}"
        try:
            return get(
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
                return None
            raise LookupError(str(error).replace(url, self.address)) from error  # evidence fills a screen


def traced(result: Verification, register: AsksRegister, trusted_pem: str) -> Verification:
    """A verification, with what a register knows of the file's watermark.

    The register is asked only when the file's own credentials do not state the watermark. It is told the watermark that
    was read and nothing else; or, where none could be read, what each of its 127 bits says in up to eight readings,
    from which no picture can be made. A register elsewhere learns that only where part of a mark shows, which it seldom
    does in other footage. The verdict stays what the file's own bytes say.

    Args:
        result: of the file, searched for a watermark.
        register: which one to ask.
        trusted_pem: certificates of the authorities to trust.
    """
    mark, facts = result.marks.watermark, {"where": register.name}
    try:
        if mark.state in _TRACEABLE:
            trace = _looked_up(mark.facts["payload"], register, facts, trusted_pem)
        elif result.unread and (result.hinted or not register.is_elsewhere):
            trace = _recognised(result.unread, register, facts, trusted_pem)
        else:
            trace = Trace(finding("register", "nothing_to_ask", **facts))
    except LookupError as error:
        trace = Trace(finding("register", "unreachable", reason=str(error)))
    return replace(result, trace=trace)


def _looked_up(watermark: str, register: AsksRegister, facts: dict[str, str], trusted_pem: str) -> Trace:
    facts = facts | {"payload": watermark}
    try:
        found = register.find(watermark)
        return _best("traced", found, facts, trusted_pem) if found else Trace(finding("register", "unknown", **facts))
    except ValueError as error:
        return Trace(finding("register", "false", reason=str(error), **facts))


def _recognised(evidence: tuple[bytes, ...], register: AsksRegister, facts: dict[str, str], trusted_pem: str) -> Trace:
    try:
        found = register.recognise(evidence)
        if found is None:
            return Trace(finding("register", "none_recognised", **facts))
        facts = facts | {"payload": found.renders[0].watermark, "count": str(found.compared)}
        return _best("recognised", found.renders, facts | {"height": f"{found.height:.1f}"}, trusted_pem)
    except ValueError as error:
        return Trace(finding("register", "false", reason=str(error), **{"payload": "of its own choice"} | facts))


def _best(state: str, found: Sequence[Registered], facts: dict[str, str], trusted_pem: str) -> Trace:
    """What the register told, by the word of a signer whom this computer knows, if there is one."""
    return max((_checked(state, one, facts, trusted_pem) for one in found), key=lambda trace: trace.trusted)


def _checked(state: str, one: Registered, facts: dict[str, str], trusted_pem: str) -> Trace:
    claim, signer, standing = one.claim(trusted_pem)
    told = {
        "signer": f"{signer}{_STANDING[standing]}",
        "made_at": f"{claim.made_at:%Y-%m-%d %H:%M} UTC",
        "purpose": claim.purpose,
        "record_id": claim.record_id,
    }
    return Trace(finding("register", state, **facts, **told), claim, one.sha256, signer, standing == "trusted")
