"""Small signed files of every kind, made once a session, for the tampering tests."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from boxes import mp4_boxes
from forge import Authority
from PIL import Image
from tamper_cases import flipped
from timestamps import TimestampAuthority

from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file, sign_picture

FRAMES, WIDTH, HEIGHT = 5, 160, 120


def picture(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 10, WIDTH // 10, 3), np.uint8)
    return small.repeat(10, 0).repeat(10, 1)


def clip(path: Path, seed: int) -> Path:
    """Five frames without marks."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(seed + number), format="rgb24")))
        out.mux(stream.encode())
    return path


def remux(data: bytes) -> bytes:
    """The same packets in a new MP4."""
    out = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(out, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


class World:
    """The signed files; what is made of them is in :mod:`tamper_cases`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(authority_name="Forged authority!")
        self.identity = self.authority.identity()
        self.stranger = Authority(authority_name="Stranger").identity()
        self.impostor = Authority(authority_name=self.authority.name).identity()
        self.clock = TimestampAuthority()
        self.claim = RenderClaim(
            record_id="urn:uuid:3f0e9bb2-6e5a-4d8b-9f27-5f1c2f6f2b11",
            record_sha256="9f" * 32,
            scope_sha256="5c" * 32,
            purpose="double",
            made_at=datetime.now(UTC) - timedelta(days=200),
            preset="swift",
            label_text="Face replaced with consent · Countenance",
            watermark_id=b"\x10\x20\x30\x40\x50",
            screens=("sexual-content", "apparent-age"),
        )
        self.footage = clip(folder / "footage.mp4", 1)
        self.mp4 = self.signed("render.mp4", 10).read_bytes()
        self.other_mp4 = self.signed("other.mp4", 20).read_bytes()
        self.mkv, self.sidecar = self._beside("render.mkv", 10)
        _, self.other_sidecar = self._beside("other.mkv", 20)
        self.png, self.other_png = self.signed_png(), self.signed_png(seed=20)
        self.jpg = self._still(".jpg", "JPEG", 10, self.claim, self.identity)

    def signed(self, name: str, seed: int, *, parent: Path | None = None, disclose: bool = False) -> Path:
        draft = clip(self.folder / f"draft-{name}", seed)
        claim = dataclasses.replace(self.claim, disclose_footage=disclose)
        final = self.folder / name
        sign_file(draft, final, parent=parent or self.footage, claim=claim, identity=self.identity)
        return final

    def _beside(self, name: str, seed: int) -> tuple[bytes, bytes]:
        path = self.signed(name, seed)
        return path.read_bytes(), path.with_suffix(".c2pa").read_bytes()

    def _still(self, suffix: str, form: str, seed: int, claim: RenderClaim, by: SigningIdentity) -> bytes:
        plain = io.BytesIO()
        Image.fromarray(picture(seed)).save(plain, form)
        signed, _ = sign_picture(
            plain.getvalue(), Path(f"a{suffix}"), parent_kind="video/mp4", footage="none", claim=claim, identity=by
        )
        return signed

    def signed_png(
        self, *, seed: int = 10, made_at: datetime | None = None, by: SigningIdentity | None = None
    ) -> bytes:
        claim = dataclasses.replace(self.claim, made_at=made_at or self.claim.made_at)
        return self._still(".png", "PNG", seed, claim, by or self.identity)

    def untouched(self) -> Iterator[tuple[str, bytes]]:
        yield from (("f.mp4", self.mp4), ("f.png", self.png), ("f.jpg", self.jpg), ("f.mp4", self.child))

    def credentials_box(self, data: bytes) -> bytes:
        [(start, end)] = [(start, end) for path, start, end in mp4_boxes(data) if path == ("uuid",)]
        return data[start:end]

    @cached_property
    def remuxed(self) -> bytes:
        return remux(self.mp4)

    @cached_property
    def stamped_png(self) -> bytes:
        return self.stamped(self.identity)

    def stamped(self, identity: SigningIdentity) -> bytes:
        """A PNG with a timestamp, which is asked for as for a video."""
        draft, final = self.folder / "draft.png", self.folder / "stamped.png"
        Image.fromarray(picture(10)).save(draft, "PNG")
        with self.clock.serving() as (url, asked):
            by = dataclasses.replace(identity, timestamp_url=url)
            sign_file(draft, final, parent=self.footage, claim=self.claim, identity=by)
        assert len(asked) == 1
        return final.read_bytes()

    @cached_property
    def child(self) -> bytes:
        """A render of a signed render, whose credentials are disclosed."""
        return self.signed("child.mp4", 30, parent=self.folder / "render.mp4", disclose=True).read_bytes()

    @cached_property
    def child_of_changed(self) -> bytes:
        changed = self.folder / "changed.mp4"
        shutil.copy(self.folder / "render.mp4", changed)
        changed.write_bytes(flipped(self.mp4, len(self.mp4) - 40))
        return self.signed("child-of-changed.mp4", 40, parent=changed, disclose=True).read_bytes()

    @cached_property
    def grandchild_of_changed(self) -> bytes:
        self.child_of_changed  # noqa: B018 - made now
        parent = self.folder / "child-of-changed.mp4"
        return self.signed("grandchild.mp4", 50, parent=parent, disclose=True).read_bytes()
