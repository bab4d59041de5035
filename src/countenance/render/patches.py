"""The folder of patches: each face and veil of each frame as a picture of its own, marked, signed, and listed.

Every picture carries the patches' watermark in its colour and its own Content Credentials. The list, ``patches.json``,
has the hash of each, and the ledger has the list's. While the render is made the folder grows in a private place,
a segment at a time; an interrupted render goes on with the patches of its finished segments.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from countenance import __version__
from countenance.atomic import output_error, sync_folder, write_bytes
from countenance.conversion.report import timecode
from countenance.digest import file_sha256
from countenance.errors import MediaError
from countenance.provenance.credentials import sidecar_path
from countenance.provenance.sign import sign_picture
from countenance.render.hand_over import readme
from countenance.render.outputs import PatchesReport
from countenance.render.pictures import exr_bytes, marked_colour, png_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from countenance.conversion.patches import Patch, Veiled
    from countenance.media.probe import VideoInfo
    from countenance.provenance.manifest import FootageCredentials, RenderClaim
    from countenance.provenance.sign import Signs
    from countenance.types import Frame

__all__ = ["PatchFolder", "PatchSigner"]

_SCHEMA = 1
_BEFORE_FIRST = "0" * 64


class PatchSigner(NamedTuple):
    """What is needed to sign a patch: its claim, who signs, and what is known of the footage."""

    claim: RenderClaim
    identity: Signs
    parent_kind: str
    footage: FootageCredentials


class PatchFolder:
    """Takes the patches of a conversion; see :class:`countenance.conversion.patches.TakesPatches`.

    Call :meth:`take_up` first and :meth:`finish` at the end.

    Args:
        folder: for the pictures, in a private folder that holds nothing else.
        form: ``png`` or ``exr``.
        info: the footage.
        footage_sha256: of its bytes; None where nothing may lead back to it: then pts count from the first frame, too,
            whose own can be a camera's running clock.
        signer: signs each picture.
    """

    def __init__(
        self, folder: Path, form: str, info: VideoInfo, footage_sha256: str | None, signer: PatchSigner
    ) -> None:
        self.folder, self._form, self._info, self._signer = folder, form, info, signer
        self._footage_sha256 = footage_sha256
        self._zero_pts = info.start_pts if footage_sha256 is None else 0
        self._lines: list[str] = []
        self._new: list[Path] = []
        self._segments = self._files = 0
        self._chain = _BEFORE_FIRST

    def take_up(self, memory: Any) -> bool:
        """Go on after finished segments, or begin with an empty folder when ``memory`` is None.

        Args:
            memory: what :meth:`finish_segment` gave last.

        Returns:
            False when the patches of the finished segments are not there as they were written.

        Raises:
            OutputError: the folder cannot be written.
        """
        try:
            if memory is None:
                shutil.rmtree(self.folder, ignore_errors=True)
                for index in self.folder.parent.glob("index-*.jsonl"):
                    index.unlink()
                self.folder.mkdir()
                return True
            return self._took_up(memory)
        except OSError as error:
            raise output_error(self.folder, error) from error

    def _took_up(self, memory: dict[str, Any]) -> bool:
        chain, known = _BEFORE_FIRST, set[str]()
        try:
            for number in range(int(memory["segments"])):
                text = self._index(number).read_bytes()
                chain = _linked(chain, text)
                for layer in _layers(text):
                    if file_sha256(self.folder / layer["file"]) != layer["sha256"]:
                        return False
                    known |= {layer["file"], *([layer["credentials"]] if "credentials" in layer else [])}
        except (OSError, MediaError, ValueError, KeyError, TypeError):
            return False
        if chain != memory["chain"]:
            return False
        for path in self.folder.rglob("*"):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in known:
                path.unlink()
        self._segments, self._files, self._chain = int(memory["segments"]), int(memory["files"]), chain
        return True

    def _index(self, number: int) -> Path:
        return self.folder.parent / f"index-{number:06d}.jsonl"

    def write(self, frame: Frame, shot: int, patches: tuple[Patch, ...], veiled: tuple[Veiled, ...]) -> None:
        """Mark, sign and write a frame's patches.

        Raises:
            MarkError: one could not be signed.
            OutputError: the disk is full, or the folder cannot be written.
        """
        if not patches and not veiled:
            return
        used: dict[str, int] = {}
        layers = []
        for patch in patches:
            sequence = f"{patch.kind}_{patch.track:02d}"
            used[sequence] = used.get(sequence, 0) + 1
            sequence += f"_{used[sequence]}" if used[sequence] > 1 else ""  # several loose veils share a number
            layers.append(self._written(frame, sequence, patch))
        info = self._info
        start = info.start_pts * info.time_base
        row = {
            "index": frame.index,
            "pts": frame.pts - self._zero_pts,
            "timecode": timecode(frame.pts_seconds - start, info.average_rate),
            "shot": shot,
            "layers": layers,
            "veiled": [
                {
                    "track": face.track,
                    "reason": face.reason,
                    "ellipse": [round(float(part), 2) for part in face.ellipse],
                }
                for face in veiled
            ],
        }
        self._lines.append(json.dumps(row, separators=(",", ":"), ensure_ascii=False))

    def _written(self, frame: Frame, sequence: str, patch: Patch) -> dict[str, Any]:
        info, signer = self._info, self._signer
        watermark = signer.claim.watermark_id or b""
        rgb, size_hw, region = marked_colour(patch, watermark), (info.height, info.width), patch.region
        path = self.folder / sequence / f"{sequence}.{frame.index:06d}.{self._form}"
        if self._form == "png":
            data, left, top = png_bytes(rgb, patch, size_hw), 0, 0
        else:
            scratch = self.folder.parent / "scratch.exr"
            aspect = info.sample_aspect_ratio
            data = exr_bytes(rgb, patch, size_hw, scratch, pixel_aspect=aspect)
            left, top = region.x0, region.y0
        signed, beside = sign_picture(
            data,
            path,
            parent_kind=signer.parent_kind,
            footage=signer.footage,
            claim=signer.claim,
            identity=signer.identity,
        )
        written = {path: signed} if beside is None else {sidecar_path(path): beside, path: signed}
        try:
            path.parent.mkdir(exist_ok=True)
            for target, content in written.items():
                target.write_bytes(content)
        except OSError as error:
            raise output_error(path, error) from error
        self._new += written
        self._files += 1
        layer = {
            "file": path.relative_to(self.folder).as_posix(),
            "sha256": hashlib.sha256(signed).hexdigest(),
            "kind": patch.kind,
            "track": patch.track,
            "box": [region.x0, region.y0, region.x1, region.y1],
            "frame_from_patch": [[1, 0, left], [0, 1, top]],
        }
        if beside is not None:
            layer["credentials"] = sidecar_path(path).relative_to(self.folder).as_posix()
        if patch.frame_from_aligned is not None:
            layer["frame_from_aligned"] = [[round(float(part), 6) for part in row] for row in patch.frame_from_aligned]
            layer["aligned_size"] = patch.aligned_size
        return layer

    def finish_segment(self) -> dict[str, Any]:
        """Sync what was written, with its index; gives what :meth:`take_up` wants.

        Raises:
            OutputError: the disk is full.
        """
        text = "".join(f"{line}\n" for line in self._lines).encode()
        try:
            for path in self._new:
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
            for folder in {path.parent for path in self._new}:
                sync_folder(folder)
        except OSError as error:
            raise output_error(self.folder, error) from error
        write_bytes(self._index(self._segments), text)
        self._chain = _linked(self._chain, text)
        self._segments += 1
        self._lines, self._new = [], []
        return {"segments": self._segments, "files": self._files, "chain": self._chain}

    def finish(self, final: Path) -> PatchesReport:
        """Write the list and the page for compositors; the folder is then ready for its name.

        Args:
            final: what it will be called.

        Raises:
            OutputError: the disk is full.
        """
        listed = self.folder / "patches.json"
        try:
            for folder in self.folder.iterdir():
                if folder.is_dir():
                    with suppress(OSError):
                        folder.rmdir()  # whose patches were of an unfinished segment
            with listed.open("w", encoding="utf-8") as stream:
                head = json.dumps(self._head(), indent=2, ensure_ascii=False).removesuffix("\n}")
                stream.write(f'{head},\n  "frames": [')
                for number, line in enumerate(self._all_lines()):
                    stream.write(f"{',' if number else ''}\n    {line}")
                stream.write("\n  ]\n}\n")
                stream.flush()
                os.fsync(stream.fileno())
            (self.folder / "README.txt").write_text(readme(self._form, self._info), encoding="utf-8")
        except OSError as error:
            raise output_error(self.folder, error) from error
        watermark = (self._signer.claim.watermark_id or b"").hex()
        return PatchesReport(final, self._files, file_sha256(listed), watermark)

    def first(self) -> list[Path]:
        """One of the pictures that were written, or none where no face was painted."""
        first = min(self.folder.glob(f"*/*.{self._form}"), default=None)  # a film has hundreds of thousands
        return [] if first is None else [first]

    def _head(self) -> dict[str, Any]:
        info, claim = self._info, self._signer.claim
        return {
            "schema": _SCHEMA,
            "made_by": f"Countenance {__version__}",
            "record_id": claim.record_id,
            "record_sha256": claim.record_sha256,
            "watermark": (claim.watermark_id or b"").hex(),
            **({} if self._footage_sha256 is None else {"footage_sha256": self._footage_sha256}),
            "width": info.width,
            "height": info.height,
            "rate": str(info.average_rate),
            "time_base": str(info.time_base),
            "format": self._form,
            "alpha": "straight" if self._form == "png" else "premultiplied",
            "values": "as in the footage: encoded, full range, not linear; 1.0 is 8-bit 255",
            "pixel_centre": "the centre of the top-left pixel is (0, 0); x to the right, y down",
        }

    def _all_lines(self) -> Iterator[str]:
        for number in range(self._segments):
            yield from self._index(number).read_text("utf-8").splitlines()


def _linked(chain: str, text: bytes) -> str:
    return hashlib.sha256(chain.encode() + text).hexdigest()


def _layers(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.decode("utf-8").splitlines():
        yield from json.loads(line)["layers"]
