"""What was agreed, as a hash in the render: somebody who is shown the scope can check it without seeing the record.

A hash of the bare scope could be guessed: titles and first names are no secrets. So a salt goes in with it, which only
the record gives. Who holds the record may show the scope and the salt to others, for instance to a broadcaster; name,
face and key of the lender stay where they are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from countenance.consent.strict_json import canonical, sha256_hex

if TYPE_CHECKING:
    from countenance.consent.record import ConsentRecord

__all__ = ["scope_of", "scope_sha256"]

_MEMBERS = ("scope", "label_required", "not_before", "expires")


def scope_of(record: ConsentRecord) -> dict[str, Any]:
    """The scope, the label, the term and a salt, as they are hashed: canonical JSON, SHA-256."""
    stated = record.to_json()
    return {
        "salt": hashlib.sha256(b"org.countenance.scope\0" + record.data).hexdigest(),
        **{member: stated[member] for member in _MEMBERS},
    }


def scope_sha256(record: ConsentRecord) -> str:
    """Hash of :func:`scope_of`, 64 hex digits."""
    return sha256_hex(canonical(scope_of(record)))
