"""A signing identity and signed renders, made once a session; the clips are the package's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file

CLIPS = Path(str(files("countenance") / "data" / "performers"))
MADE_AT = datetime(2026, 5, 17, 12, 30, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def footage() -> Path:
    return CLIPS / "test_A.mp4"


@pytest.fixture(scope="session")
def swap() -> Path:
    """An unmarked stand-in for a render: the ground truth of the swap."""
    return CLIPS / "test_gt_matched.mp4"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / "data"


@pytest.fixture(scope="session")
def identity(data_dir: Path) -> SigningIdentity:
    return SigningIdentity.load_or_create(data_dir)


@pytest.fixture(scope="session")
def claim() -> RenderClaim:
    return RenderClaim(
        record_id="urn:uuid:3f0e9bb2-6e5a-4d8b-9f27-5f1c2f6f2b11",
        record_sha256="9f" * 32,
        purpose="double",
        made_at=MADE_AT,
        preset="swift",
        label_text="Face replaced with consent · Countenance",
        watermark_id=b"\x10\x20\x30\x40\x50",
        synthetic=True,
        screens=("sexual-content", "apparent-age"),
    )


@pytest.fixture(scope="session")
def sign(
    footage: Path, swap: Path, identity: SigningIdentity, claim: RenderClaim, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Sign a copy of a clip under a name; ``unsigned``, ``parent``, ``claim`` and ``identity`` can be others."""

    def make(final: Path, *, unsigned: Path = swap, parent: Path = footage, by=identity, states=claim) -> Path:
        draft = tmp_path_factory.mktemp("draft") / f"unsigned{final.suffix}"
        shutil.copy(unsigned, draft)
        sign_file(draft, final, parent=parent, claim=states, identity=by)
        return final

    return make


@pytest.fixture(scope="session")
def signed(sign: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sign(tmp_path_factory.mktemp("signed") / "scene é 1.mp4")
