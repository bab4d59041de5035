"""Where a long conversion lays down what is finished, so that the same work goes on there after any interruption.

A folder holds the finished segments and ``state.json``: which segments, what they were made from, and what the trackers
and smoothers remember before the next frame, encrypted: it holds measurements of faces. Each file is complete or absent
and synced, the state comes after the segment that it names. A code over the state (HMAC), by the project's key, and a
hash of each segment keep anybody who can write into the folder from having other pictures signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from countenance.atomic import write_bytes
from countenance.errors import IntegrityError, OutputError
from countenance.media.segments import Segment, examine
from countenance.media.write import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from countenance.media.codecs import Encoding
    from countenance.media.probe import VideoInfo
    from countenance.types import Frame
    from countenance.vault import ProjectKey

__all__ = ["SegmentStore", "SegmentWriter"]

_STATE = "state.json"
_SCHEMA = 3  # 3: other things are remembered of faces, other pictures are painted, and the footage's hash is keyed
_SEALED = "unfinished render"
_STATE_LIMIT = 256 * 2**20  # bytes; it is read whole


class SegmentStore:
    """The finished segments of one conversion.

    Args:
        folder: private to its owner, empty or with what an interrupted conversion left.
        key: the project's, the same for each run.
        made_from: everything that decides what the pictures look like; words to words.
        watermark: the id for new pictures, used where none are finished yet.

    Attributes:
        segments: finished ones, in order.
        memory: what is remembered before the next frame, as :mod:`countenance.conversion.state` stores it; empty before
            the first segment.
        complete: whether the last segment is the film's last.
        watermark: the id that finished pictures carry, and so the next ones must.
        differs: keys of ``made_from`` in which what was found differs; ``("state",)`` when it cannot be read,
            ``("program",)`` when a program of another schema wrote it. It was then deleted and the store is empty.
    """

    def __init__(self, folder: Path, key: ProjectKey, made_from: Mapping[str, str], watermark: bytes = b"") -> None:
        self.folder, self._key, self._made_from = folder, key, dict(made_from)
        self.segments: list[Segment] = []
        self.memory: dict[str, Any] = {}
        self.complete, self.watermark = False, watermark
        self.differs: tuple[str, ...] = ()
        self._take_up()

    @property
    def next_frame(self) -> int:
        """Index of the first frame that is not in a finished segment."""
        return sum(segment.frames for segment in self.segments)

    def path_of_next(self, encoding: Encoding) -> Path:
        """Where the next segment goes."""
        return self.folder / f"{len(self.segments):06d}.{encoding.container}"

    def add(self, segment: Segment, memory: Mapping[str, Any], *, complete: bool) -> None:
        """Take a finished segment in, with what is remembered after it.

        Raises:
            OutputError: the state cannot be written; the store is as it was.
        """
        segments = [*self.segments, segment]
        body = {
            "schema": _SCHEMA,
            "made_from": self._made_from,
            "segments": [asdict(one) for one in segments],
            "complete": complete,
            "watermark": self.watermark.hex(),
            "memory": self._key.seal(json.dumps(dict(memory)).encode(), _SEALED).decode(),
        }
        text = json.dumps(body, separators=(",", ":"))
        write_bytes(self.folder / _STATE, f"{self._code(text)}\n{text}".encode())
        self.segments, self.memory, self.complete = segments, dict(memory), complete

    def discard(self) -> None:
        """Forget what is finished, since something that belongs to it is gone; the conversion begins anew."""
        for name in (_STATE, *(segment.name for segment in self.segments)):
            with suppress(OSError):
                (self.folder / name).unlink()
        self.segments, self.memory, self.complete, self.differs = [], {}, False, ("patches",)

    def _take_up(self) -> None:
        found = self._read()
        if found is not None and not self.differs:
            self.segments = [Segment(**one) for one in found["segments"]]
            self.memory, self.complete = found["memory"], found["complete"]
            self.watermark = bytes.fromhex(found["watermark"])
        known = {segment.name for segment in self.segments}
        for old in self.folder.iterdir():  # half-written ones, or all of another conversion
            if old.is_file() and old.suffix in (".nut", ".mov", ".json") and old.name not in known:
                if old.name == _STATE and self.segments:
                    continue
                with suppress(OSError):
                    old.unlink()

    def _read(self) -> dict[str, Any] | None:
        path = self.folder / _STATE
        if not path.is_file():
            return None
        try:
            body = self._believed(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IntegrityError):
            self.differs = ("state",)
            return None
        if body is None:
            self.differs = ("program",)
            return None
        names = sorted({*body["made_from"], *self._made_from})
        self.differs = tuple(name for name in names if body["made_from"].get(name) != self._made_from.get(name))
        return body

    def _believed(self, path: Path) -> dict[str, Any] | None:
        """What the file says; None of another schema, of which nothing can be taken up."""
        if path.stat().st_size > _STATE_LIMIT:
            raise ValueError("too large")
        code, _, text = path.read_text("utf-8").partition("\n")
        if not hmac.compare_digest(code.encode(), self._code(text).encode()):
            raise ValueError("not written by this user's installation")
        body = json.loads(text)
        if body["schema"] != _SCHEMA:
            return None
        if not all((self.folder / one["name"]).is_file() for one in body["segments"]):
            raise ValueError("a segment is gone")
        return {**body, "memory": json.loads(self._key.unseal(body["memory"].encode(), _SEALED))}

    def _code(self, text: str) -> str:
        return hmac.new(self._key.derive(b"", _SEALED), text.encode(), hashlib.sha256).hexdigest()


class SegmentWriter:
    """Writes marked frames, one segment after another; use it as a context manager.

    What is not finished when the block ends is removed.

    Args:
        store: takes the finished segments.
        info: the footage.
        encoding: of the pictures.
        crf: see :class:`countenance.media.write.VideoWriter`.
        preset: likewise.
    """

    def __init__(self, store: SegmentStore, info: VideoInfo, encoding: Encoding, *, crf: int, preset: str) -> None:
        self._store, self._info, self._encoding = store, info, encoding
        self._crf, self._preset = crf, preset
        self._writer: VideoWriter | None = None
        self._first_pts = self._frames = 0

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            left = error or OutputError("The segment was not finished.")
            writer.__exit__(type(left), left, traceback)

    def write(self, frame: Frame) -> None:
        """Encode one frame.

        Raises:
            OutputError: the disk is full or the encoder failed.
        """
        if self._writer is None:
            info, encoding = self._info, self._encoding
            path = self._store.path_of_next(encoding)
            writer = VideoWriter(path, info, codec=encoding.encoder, crf=self._crf, preset=self._preset, private=True)
            self._writer = writer.__enter__()
            self._first_pts = round((frame.pts_seconds - info.clock_start_seconds) / info.time_base)
            self._frames = 0
        self._writer.write(frame)
        self._frames += 1

    def finish(self, memory: Mapping[str, Any], *, complete: bool = False) -> None:
        """Finish the segment and lay it down, with what is remembered after it.

        Raises:
            OutputError: the disk is full, or the encoder failed.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            raise ValueError("finish: expected a frame before it")
        writer.__exit__(None, None, None)
        path = self._store.path_of_next(self._encoding)
        self._store.add(examine(path, self._first_pts, self._frames), memory, complete=complete)
