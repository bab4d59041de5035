"""What ``countenance verify`` says of signed papers: a ledger's export, a certificate of destruction.

The verdicts and exit codes are those of renders (:mod:`countenance.provenance.report`): *holds* needs a signer that
this computer knows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from countenance.errors import IntegrityError
from countenance.provenance.report import EXIT_CODES

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.provenance.report import Verdict

__all__ = ["Paper", "paper_kind", "verify_paper"]

Kind = Literal["certificate", "export"]

_PEEK = 64


@dataclass(frozen=True, slots=True)
class Paper:
    """What a paper proves: ``lines`` are sentences, ``facts`` the same for programs."""

    kind: Kind
    verdict: Verdict
    facts: dict[str, Any]
    lines: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 holds, 1 unproven, 3 broken."""
        return EXIT_CODES[self.verdict]

    def to_text(self) -> str:
        """The answer for people."""
        return "\n".join(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """The answer for programs."""
        return {"kind": self.kind, "verdict": self.verdict, "exit_code": self.exit_code, **self.facts}


def paper_kind(path: Path) -> Kind | None:
    """Which paper a file seems to be, by its first bytes; None for anything else, a video for example."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            begin = stream.read(_PEEK)
    except OSError:
        return None
    if begin.startswith(b'{"payload":"'):
        return "certificate"
    return "export" if begin.startswith((b'{"facts":', b'{"hash":')) else None


def verify_paper(path: Path, kind: Kind, *, trusted_pem: str | None = None) -> Paper:
    """Say what a paper proves.

    Args:
        path: the file, which may be hostile.
        kind: what :func:`paper_kind` says.
        trusted_pem: certificates of the authorities to trust; None takes this installation's own.

    Raises:
        MarkError: this installation's own authority is damaged.
    """
    from countenance.provenance.ledger_export import verify_export  # here: a render needs none of this

    try:
        if kind == "certificate":
            return _certificate(path, trusted_pem)
        export = verify_export(path, trusted_pem=trusted_pem)
    except IntegrityError as error:
        return Paper(kind, "broken", {"reason": str(error)}, (str(error),))
    facts = {"rows": export.rows, "head": export.head, "time": export.time, "signer": export.signer}
    says = (
        f"A ledger's export of {export.time}: {export.rows} rows, in order, none edited or dropped since it was signed."
    )
    return Paper(kind, _verdict(export.trusted), facts, (says, _signed_by(export.signer, export.trusted)))


def _certificate(path: Path, trusted_pem: str | None) -> Paper:
    from countenance.provenance.destruction import DESTRUCTION_TYPE, read_certificate

    signed = read_certificate(path, trusted_pem=trusted_pem)
    stated = signed.payload
    lines = [
        f"A certificate of destruction of {stated['time']}: {len(stated['files'])} files of {stated['person']} in the "
        f"project “{stated['title']}” were destroyed.",
        *(f"  {one['path']}  {one['bytes']} bytes  SHA-256 {one['sha256']}  ({one['how']})" for one in stated["files"]),
        *(str(line) for line in stated["limits"]),
        _signed_by(signed.signer, signed.trusted),
    ]
    facts = {"signer": signed.signer, "certificate": json.loads(json.dumps(stated)), "typ": DESTRUCTION_TYPE}
    return Paper("certificate", _verdict(signed.trusted), facts, tuple(lines))


def _verdict(trusted: bool) -> Verdict:
    return "holds" if trusted else "unproven"


def _signed_by(signer: str, trusted: bool) -> str:
    if trusted:
        return (
            f"Signed by {signer}, under an authority that this computer trusts. It names an installation, not a person."
        )
    return (
        f"Signed by {signer}, whom this computer does not know: anybody can make such a file. Nothing is proven here."
    )
