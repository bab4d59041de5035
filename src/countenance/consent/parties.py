"""Who has a part in a consent beside the lender: the witness, and what lets somebody speak for an estate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from countenance.config import clean_line
from countenance.consent.keys import public_key
from countenance.consent.table import Table, with_optional
from countenance.errors import InputError

__all__ = ["AUTHORITY_KINDS", "WITNESS_ROLES", "Authority", "Witness"]

WITNESS_ROLES = {
    "agent": "an agent",
    "caseworker": "a caseworker of an organisation that stands by witnesses",
    "ethics-board": "a member of an ethics board",
    "lawyer": "a lawyer",
    "notary": "a notary",
    "producer": "a producer",
    "union": "a representative of a union",
}
"""What a witness can be, and in words. A closed list."""

AUTHORITY_KINDS = {
    "contract": "a contract by which the rights in the face were passed on",
    "court-order": "a court's order",
    "inheritance-certificate": "a certificate of inheritance",
    "will": "a will",
}
"""What lets somebody speak for an estate, and in words. A closed list."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Witness:
    """The second person who must sign.

    ``role`` is one of :data:`WITNESS_ROLES`, ``public_jwk`` the public half of the witness's key, ``name`` how people
    know the witness, or empty; ``key_id`` the key's thumbprint.

    Raises:
        ValueError: a member is out of range.
    """

    role: str
    public_jwk: dict[str, str] = field(compare=False)
    name: str = ""
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        if self.role not in WITNESS_ROLES:
            raise ValueError(f"the witness's role is none of: {', '.join(WITNESS_ROLES)}")
        if self.name and not _is_line(self.name):
            raise ValueError("the witness's name is not one plain line")
        object.__setattr__(self, "key_id", public_key(self.public_jwk).thumbprint())

    @property
    def words(self) -> str:
        """Such as ``"Maria Long, a lawyer"``."""
        return f"{self.name}, {WITNESS_ROLES[self.role]}" if self.name else WITNESS_ROLES[self.role]

    def to_json(self) -> dict[str, Any]:
        """The member ``witness`` of a request or record."""
        named = {"name": self.name} if self.name else {}
        return {"role": self.role, **named, "key": dict(self.public_jwk)}

    @classmethod
    def from_json(cls, value: object) -> Witness:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        table = Table(value, "witness", with_optional(value, ("role", "key"), ("name",)))
        name = table.line("name") if "name" in table.members() else ""
        return cls(table.text("role"), table.raw("key"), name)


@dataclass(frozen=True, slots=True)
class Authority:
    """The document that lets the signer speak for a dead person's estate.

    ``kind`` is one of :data:`AUTHORITY_KINDS`, ``document_sha256`` the hash of the document's file (which stays with
    the people), ``description`` a line by which they find it again.

    Raises:
        ValueError: a member is out of range.
    """

    kind: str
    document_sha256: str
    description: str

    def __post_init__(self) -> None:
        if self.kind not in AUTHORITY_KINDS:
            raise ValueError(f"the authority is none of: {', '.join(AUTHORITY_KINDS)}")
        if not _SHA256.fullmatch(self.document_sha256):
            raise ValueError("the authority's document is not named by a SHA-256")
        if not _is_line(self.description):
            raise ValueError("the authority's description is not one plain line")

    def to_json(self) -> dict[str, Any]:
        """The member ``authority`` of a subject."""
        return {"kind": self.kind, "document_sha256": self.document_sha256, "description": self.description}

    @classmethod
    def from_json(cls, value: object) -> Authority:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        table = Table(value, "authority", ("kind", "document_sha256", "description"))
        return cls(table.text("kind"), table.sha256("document_sha256"), table.line("description"))


def _is_line(text: str) -> bool:
    try:
        return clean_line(text, "text") == text
    except InputError:
        return False
