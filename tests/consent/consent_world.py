"""A project with an enrolled lender, a key and a record, made of numbers; and faces at chosen similarities."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from two_signatures import WITNESS, WITNESS_KEY, both_sign, performer_faces

from countenance.consent.check import accept_record
from countenance.consent.gate import Permit, require_consent
from countenance.consent.keys import SigningKey, generate_key
from countenance.consent.ledger import Entry, Ledger
from countenance.consent.record import ConsentRecord, create_request, sign_request
from countenance.consent.strict_json import canonical
from countenance.consent.template import FaceTemplate, enrol, save_template
from countenance.project import Project

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSPHRASE = "correct horse battery"
TITLE = "Welcome"


def direction(seed: int) -> np.ndarray:
    """A random unit vector: two of them are nearly at right angles, as different people are."""
    vector = np.random.default_rng(seed).normal(size=128)
    return vector / np.linalg.norm(vector)


def faces_at(centre: np.ndarray, cosines: np.ndarray | list[float], seed: int = 0) -> np.ndarray:
    """Embeddings float32 with exactly these cosines to ``centre``, in random directions around it."""
    cosines = np.asarray(cosines, np.float64)
    around = np.random.default_rng(seed).normal(size=(len(cosines), 128))
    around -= np.outer(around @ centre, centre)
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    return (cosines[:, None] * centre + np.sqrt(1 - cosines**2)[:, None] * around).astype(np.float32)


def faces_of(centre: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """A person's faces with the range of cosines that the synthetic performers show: 0.75 to 0.95."""
    return faces_at(centre, np.random.default_rng(seed + 1000).uniform(0.75, 0.95, count), seed)


@dataclass
class World:
    """Everything that a story about consent needs; ``now`` is the time by its clock.

    ``protected`` are the performers who are noted as protected witnesses, so that nothing but the lender's record
    decides.
    """

    folder: Path
    title: str = TITLE
    lender: str = "vera"
    project: Project = field(init=False)
    key: SigningKey = field(init=False)
    template: FaceTemplate = field(init=False)
    centre: np.ndarray = field(init=False)
    now: datetime = NOON
    protected: tuple[str, ...] = ("ivan",)

    def __post_init__(self) -> None:
        self.project = Project.create(self.folder / "film", title=self.title, purpose="double")
        for name in self.protected:
            self.project = self.project.protect(name)
        self.key = generate_key(self.folder / "key.pem", PASSPHRASE)
        self.template = enrol(faces_of(direction(1), 200, seed=5), [30.0, 41.0, 35.0])
        self.centre = self.template.embedding.astype(np.float64)
        self.project.person_dir(self.lender).mkdir()
        save_template(self.project.template_path(self.lender), self.template, self.project.key())

    def clock(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def request(self, **options: Any) -> dict[str, Any]:
        return create_request(self.project, self.lender, clock=self.clock, **{"witness": WITNESS, **options})

    def record(self, key: SigningKey | None = None, **options: Any) -> bytes:
        return both_sign(self.request(**options), key or self.key, clock=self.clock)

    @property
    def keys(self) -> list[SigningKey]:
        """Who has to sign, in order."""
        return [self.key, WITNESS_KEY]

    def half(self, **options: Any) -> bytes:
        """What the lender has signed, and the witness has not."""
        return sign_request(self.request(**options), self.key, self.template, clock=self.clock)

    def place(self, data: bytes) -> None:
        """Put a record's file where the gate looks, past ``accept_record``, as an attacker would."""
        self.project.consent_path(self.lender).write_bytes(data)

    def accept(self, **options: Any) -> ConsentRecord:
        return accept_record(self.project, self.lender, self.record(**options), clock=self.clock)

    def faces(self, count: int = 200, seed: int = 9) -> np.ndarray:
        return faces_of(self.centre, count, seed)

    def gate(self, **options: Any) -> Permit:
        given: dict[str, Any] = {"act": "train", "embeddings": self.faces(), "clock": self.clock}
        given |= {"performer_embeddings": performer_faces(), **options}
        project, lender = given.pop("project", self.project), given.pop("lender", self.lender)
        return require_consent(project, lender, given.pop("performer", "ivan"), **given)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.project.ledger_path, clock=self.clock)

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.ledger.entries()]

    def last(self) -> Entry:
        return self.ledger.entries()[-1]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def payload_of(data: bytes) -> dict[str, Any]:
    return json.loads(unb64(json.loads(data)["payload"]))


def with_payload(data: bytes, payload: dict[str, Any] | bytes) -> bytes:
    """The record with another payload under the old signature."""
    value = json.loads(data)
    value["payload"] = b64(payload if isinstance(payload, bytes) else canonical(payload))
    return canonical(value)


def with_header(data: bytes, header: dict[str, Any] | bytes) -> bytes:
    """The record with another protected header over the old signature."""
    value = json.loads(data)
    value["signatures"][0]["protected"] = b64(header if isinstance(header, bytes) else canonical(header))
    return canonical(value)


def signature_over(key: SigningKey, payload: bytes, header: dict[str, Any] | bytes) -> dict[str, str]:
    """A correct signature over anything at all: what a hostile signer with a real key can make."""
    protected = b64(header if isinstance(header, bytes) else canonical(header))
    signed = f"{protected}.{b64(payload)}".encode()
    return {"protected": protected, "signature": b64(key.secret.get_op_key("sign").sign(signed))}


def signed_raw(key: SigningKey, payload: bytes, header: dict[str, Any] | bytes) -> bytes:
    """A document that the lender signed under any header, and the witness as it should be."""
    witness = signature_over(WITNESS_KEY, payload, header_of(WITNESS_KEY))
    return canonical({"payload": b64(payload), "signatures": [signature_over(key, payload, header), witness]})


def witnessed_raw(world: World, payload: bytes, key: SigningKey, header: dict[str, Any] | bytes) -> bytes:
    """A document that the lender signed as it should be, and the witness with any key under any header."""
    lender = signature_over(world.key, payload, header_of(world.key))
    return canonical({"payload": b64(payload), "signatures": [lender, signature_over(key, payload, header)]})


def header_of(key: SigningKey) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": key.key_id, "typ": "countenance-consent+jws"}
