"""Records with both signatures, for every test that needs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from joserfc.jwk import OKPKey

from countenance.consent.check import accept_record
from countenance.consent.clock import Clock, utc_now
from countenance.consent.keys import SigningKey
from countenance.consent.parties import Witness
from countenance.consent.record import ConsentRecord, sign_request, witness_record
from countenance.consent.request import create_request
from countenance.consent.template import enrol, save_template
from countenance.project import Project


def memory_key() -> SigningKey:
    """A new key that lies in no file."""
    secret = OKPKey.generate_key("Ed25519")
    public = {name: str(value) for name, value in secret.as_dict(private=False).items() if name in ("kty", "crv", "x")}
    return SigningKey(secret.thumbprint(), public, secret)


WITNESS_KEY = memory_key()
WITNESS = Witness("lawyer", WITNESS_KEY.public_jwk, "Maria Long")
"""Who witnesses all consents of the tests, unless one is about witnesses."""


def both_sign(
    request: Mapping[str, Any], lender: SigningKey, witness: SigningKey = WITNESS_KEY, *, clock: Clock = utc_now
) -> bytes:
    """The record of a request that lender and witness signed."""
    return witness_record(sign_request(request, lender, clock=clock), witness, clock=clock)


def signed_record(project: Project, lender: str, key: SigningKey, *, clock: Clock = utc_now, **options: Any) -> bytes:
    """A request about the lender's enrolled face, signed by both."""
    return both_sign(create_request(project, lender, witness=WITNESS, clock=clock, **options), key, clock=clock)


def performer_faces(axis: int = 1) -> np.ndarray:
    """Embeddings of a performer made of numbers: a person lies along an axis."""
    rows = np.random.default_rng(7).normal(0, 0.02, (24, 128))
    rows[:, axis] += 1.0
    return rows


def performer_agrees(
    project: Project, performer: str = "ivan", *, axis: int = 1, clock: Clock = utc_now, **options: Any
) -> ConsentRecord:
    """The performer's own record in the project: the face may be replaced. It is enrolled from numbers."""
    rows = performer_faces(axis)
    project.person_dir(performer).mkdir(parents=True, exist_ok=True)
    save_template(project.template_path(performer), enrol(rows, [33.0]), project.key())
    data = signed_record(project, performer, memory_key(), clock=clock, **{"replaced": True, **options})
    return accept_record(project, performer, data, clock=clock)
