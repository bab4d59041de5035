"""A register with one render, and files of which a watermark was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.register import Register, Registered
from countenance.provenance.report import Marks, Verification
from countenance.provenance.sentences import finding
from countenance.provenance.trace import Trace, register_at, traced
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark import Watermarker
from countenance.provenance.watermark_pattern import layer_of
from countenance.provenance.watermark_recognise import EVIDENCE_BYTES, packed

ID = "1020304050"
OTHER = "1122334455"
TraceOf = Callable[..., Trace]


@pytest.fixture(scope="session")
def filled(signed: Path, identity: SigningIdentity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a register of one render."""
    folder = tmp_path_factory.mktemp("a secret project")
    Register(folder).add(signed, trusted_pem=identity.authority_pem)
    return folder


@pytest.fixture(scope="session")
def entry(filled: Path) -> Registered:
    (found,) = Register(filled).find(ID)
    return found


@pytest.fixture(scope="session")
def other(sign, claim: RenderClaim, identity, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """Another render, of another watermark."""
    folder = tmp_path_factory.mktemp("other")
    render = sign(folder / "o.mp4", states=replace(claim, watermark_id=bytes.fromhex(OTHER)))
    return Register(folder).add(render, trusted_pem=identity.authority_pem)


@pytest.fixture
def trace_of(footage: Path, identity: SigningIdentity) -> TraceOf:
    """What a register says of a copy with the watermark; ``payload`` can be another, None is none."""

    def run(register: object, payload: str | None = ID, trusted_pem: str = identity.authority_pem) -> Trace:
        found = register_at(register) if isinstance(register, str) else register
        result = traced(copy_with(footage, payload), found, trusted_pem)  # type: ignore[arg-type]
        assert result.trace is not None
        assert result.verdict == "unproven"
        assert result.layers["register"] is result.trace.finding
        assert result.trace.finding.sentence in result.to_text()
        assert result.to_dict()["trace"]["state"] == result.trace.finding.state
        return result.trace

    return run


def evidence_of(payload: bytes, strength: float, seed: int) -> bytes:
    """What the bits of a mark say that has so many standard deviations a bit; 1.1 are read."""
    noise = np.random.default_rng(seed).standard_normal(EVIDENCE_BYTES)
    return packed(noise + strength * layer_of(None).signs([payload])[0])


def weak_copy(frames: Iterable[np.ndarray], payload: bytes, size_hw: tuple[int, int]) -> list[np.ndarray]:
    """Frames with a twelfth of the mark that is put into renders, under grain: too little to read it."""
    marker, noise, copies = Watermarker(payload, size_hw), np.random.default_rng(1), []
    for frame in frames:
        step = marker(frame).astype(np.float32) - frame
        grain = noise.standard_normal(frame.shape[:2])[..., None]
        copies.append(np.clip(np.rint(frame + 0.08 * step + grain), 0, 255).astype(np.uint8))
    return copies


def copy_with(path: Path, payload: str | None) -> Verification:
    """The verification of a file without credentials, as if a watermark had been read in it."""
    result = verify_file(path, trusted_pem="", search_watermark=False)
    found = finding("watermark", "absent") if payload is None else finding("watermark", "found", payload=payload)
    return replace(result, marks=Marks(result.marks.label, found))
