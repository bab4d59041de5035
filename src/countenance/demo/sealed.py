"""The marks of pictures that show frames of a render: its watermark, and credentials that say the same as its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import c2pa

from countenance.errors import MarkError
from countenance.project import user_data_dir
from countenance.provenance import credentials
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import read_claim
from countenance.provenance.sign import footage_credentials, sign_picture
from countenance.provenance.watermark import Watermarker

if TYPE_CHECKING:
    from countenance.provenance.manifest import RenderClaim
    from countenance.types import UInt8

__all__ = ["Seal"]


class Seal:
    """Marks and signs pictures made from a render, which is their parent.

    Args:
        render: a signed render.

    Raises:
        MarkError: it has no statement of ours.
    """

    def __init__(self, render: Path) -> None:
        self._identity = SigningIdentity.load_or_create(user_data_dir())
        self._claim = _claim_of(render, self._identity.authority_pem)
        self._kind, self._credentials = credentials.parent_type(render), footage_credentials(render)

    def mark(self, rgb: UInt8) -> UInt8:
        """The picture with the render's watermark; the label is in the frames that it shows."""
        watermark = self._claim.watermark_id
        return rgb if watermark is None else Watermarker(watermark, rgb.shape[:2])(rgb)

    def sign(self, picture: bytes, name: str) -> bytes:
        """A marked PNG or JPEG with its credentials.

        Raises:
            MarkError: it could not be signed.
        """
        signed, _ = sign_picture(
            picture,
            Path(name),
            parent_kind=self._kind,
            footage=self._credentials,
            claim=self._claim,
            identity=self._identity,
        )
        return signed


def _claim_of(render: Path, authority_pem: str) -> RenderClaim:
    try:
        store = credentials.read_store(render, authority_pem) or {}
    except (c2pa.C2paError, OSError) as error:
        raise MarkError(f"The credentials of {render} cannot be read ({error}). Render it again.") from error
    active = store.get("manifests", {}).get(store.get("active_manifest"))
    claim = None if active is None else read_claim(active)
    if claim is None:
        raise MarkError(f"{render} has no statement of ours. Render it again.")
    return claim
