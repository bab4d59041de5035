"""Certificates under intermediate authorities, good and bad: for media and for signed documents alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forge import Authority

from countenance.provenance.identity import SigningIdentity


@dataclass(frozen=True)
class Chain:
    """``make`` gives the identity, from the authority that is trusted here."""

    name: str
    what: str
    trusted: bool
    make: Callable[[Authority], SigningIdentity]


def _days(count: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)


def without_top(identity: SigningIdentity) -> SigningIdentity:
    """The authority at the top does not come along."""
    chain = identity.chain_pem.removesuffix(identity.authority_pem)
    return SigningIdentity(chain, identity.authority_pem, identity.key_pem)


EXPIRED = {"begins": _days(-900), "ends": _days(-10)}

CHAINS = [
    Chain("between", "certificate under an intermediate authority of a trusted one", True, lambda top: top.below({})),
    Chain("two between", "the same with two of them", True, lambda top: top.below({}, {"path_length": 0})),
    Chain("without top", "the same, the trusted one left out", True, lambda top: without_top(top.below({}, {}))),
    Chain("between over", "intermediate authority's certificate over", False, lambda top: top.below(EXPIRED)),
    Chain(
        "between to come",
        "intermediate authority's certificate not valid yet",
        False,
        lambda top: top.below({"begins": _days(5), "ends": _days(99)}),
    ),
    Chain(
        "no authority",
        "an ordinary certificate in the intermediate authority's place (no CA flag)",
        False,
        lambda top: top.below({"authority": False}),
    ),
    Chain(
        "may not issue",
        "intermediate authority that may not issue certificates (key usage)",
        False,
        lambda top: top.below({"signs_certificates": False}),
    ),
    Chain(
        "too long",
        "an authority more than the one above allows (path length)",
        False,
        lambda top: top.below({"path_length": 0}, {}),
    ),
    Chain(
        "between missing",
        "intermediate authority's certificate left out",
        False,
        lambda top: top.below({}, missing=True),
    ),
    Chain(
        "unknown top",
        "intermediate authority of one that is not trusted here",
        False,
        lambda _: Authority(authority_name="Stranger").below({}),
    ),
    Chain(
        "impostor's",
        "the same names all the way, other keys",
        False,
        lambda top: Authority(authority_name=top.name).below({}),
    ),
]
