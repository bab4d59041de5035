"""Outside the face nothing may change, but for the marks and what any encoder loses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.conversion.settings import ConvertSettings
from countenance.media.codecs import encoder_for
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.provenance.label import LABEL_TEXTS, LabelLook, draw_label, label_plate, label_text
from countenance.provenance.watermark import Watermarker, find_watermark, frames_to_search
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = ["Marking", "Outside", "OutsideScorer", "encode_unswapped", "find_marking"]

_MARGIN = 16  # pixels: an encoder decides by macroblocks, so its loss beside a changed face is another one
# Grey levels by which an encoded label may differ from the drawn one, on average. Letters without a plate are edges,
# where an encoder loses most: up to 25 at CRF 35; pictures without a label differ by 82 and more from any of them.
_SAME_PLATE, _SAME_LETTERS = 24.0, 48.0


@dataclass(frozen=True, slots=True)
class Outside:
    """How much changed outside the face, in grey levels of the channel that changed most.

    ``largest`` is the largest difference between the swap and the marked footage; ``encoder_largest`` that of the
    footage itself, marked alike and encoded with the same settings; ``excess`` what the first exceeds the second by, 0
    at least; ``mean`` and ``encoder_mean`` are mean absolute differences.
    """

    largest: int
    encoder_largest: int
    excess: int
    mean: float
    encoder_mean: float


class Marking:
    """The marks that a file carries, to be put on the untouched footage too, so that only the rest differs.

    Args:
        watermark: the five bytes found in the file, or None.
        label: words and look of the label that it shows, or None.
        size_hw: of its frames.
    """

    def __init__(self, watermark: bytes | None, label: tuple[str, LabelLook] | None, size_hw: tuple[int, int]) -> None:
        self.watermark, self.drawn = watermark, label
        self._mark = None if watermark is None else Watermarker(watermark, size_hw)
        self.label: NDArray[np.bool_] = np.zeros(size_hw, bool)
        """Where the label covers the picture, bool ``(H, W)``: nothing there tells about the swap."""
        if label is not None:
            plate = label_plate(size_hw, *label)
            height, width = plate.rgb.shape[:2]
            self.label[plate.top : plate.top + height, plate.left : plate.left + width] = True

    def __call__(self, rgb: UInt8) -> UInt8:
        """A picture with these marks, in the order in which conversion puts them on."""
        labelled = rgb if self.drawn is None else draw_label(rgb, *self.drawn)
        return labelled if self._mark is None else self._mark(labelled)


def find_marking(clip: Path) -> Marking:
    """Look for the label and the watermark in a clip.

    Raises:
        MediaError: the clip cannot be read.
    """
    first = next(iter(read_frames(clip)))
    best, least = None, 1.0
    for label in _labels():
        plate = label_plate(first.size_hw, *label)
        height, width = plate.rgb.shape[:2]
        there = first.rgb[plate.top : plate.top + height, plate.left : plate.left + width]
        difference = np.abs(there.astype(np.float32) - plate.rgb)
        # Of a label without a plate only the letters and their rims are its own: white beside dark, as no picture is.
        if plate.alpha is None:
            share = float(difference.mean()) / _SAME_PLATE
        else:
            share = float(difference[plate.alpha == 255].mean()) / _SAME_LETTERS
        if share < least:
            best, least = label, share
    payload = find_watermark(frames_to_search(clip)).payload
    return Marking(payload, best, first.size_hw)


def _labels() -> Iterator[tuple[str, LabelLook]]:
    """Every label that a render can show."""
    for language, position, style in product(LABEL_TEXTS, LabelLook.POSITIONS, LabelLook.STYLES):
        for synthetic in (False, True):
            yield label_text(synthetic=synthetic, language=language), LabelLook(position, style, language)


def encode_unswapped(
    footage: Path, out: Path, marking: Marking, settings: ConvertSettings, progress: Progress | None = None
) -> None:
    """Encode untouched footage as a conversion would, with the same marks.

    Args:
        footage: the video.
        out: where to; in a private folder, it is only for measuring.
        marking: of the swap that it will be compared with.
        settings: of the encoder.
        progress: called per frame.

    Raises:
        MediaError, OutputError: as reading and writing do.
    """
    info = probe(footage)
    codec = encoder_for(out, settings.codec, settings.encoder)
    with VideoWriter(out, info, codec=codec, crf=settings.crf, preset=settings.preset) as writer:
        for frame in read_frames(footage):
            writer.write(Frame(marking(frame.rgb), frame.index, frame.pts, frame.time_base))
            if progress is not None:
                progress(frame.index + 1, info.frame_count, "encoding the untouched footage")


class OutsideScorer:
    """Collects differences outside the face; for one clip."""

    def __init__(self, marking: Marking) -> None:
        self._marking = marking
        self._rows: list[tuple[float, float, float, float]] = []

    def add(self, swapped: UInt8, encoded: UInt8, footage: UInt8, face: Float32 | None) -> None:
        """Score one frame.

        Args:
            swapped: uint8 ``(H, W, 3)``.
            encoded: the unswapped footage after its encoder.
            footage: the unswapped footage before it, without marks.
            face: float32 ``(H, W)``, where the face may have been replaced; None where nothing was.
        """
        allowed = np.zeros(footage.shape[:2], np.uint8) if face is None else (face > 0.0).astype(np.uint8)
        side = 2 * _MARGIN + 1
        outside = cv2.dilate(allowed, np.ones((side, side), np.uint8)) == 0
        if not outside.any():
            return
        marked = self._marking(footage)
        row: list[float] = []
        for picture in (swapped, encoded):
            change = cv2.absdiff(picture, marked).max(axis=2)[outside]
            row += [float(change.max()), float(change.mean())]
        self._rows.append((row[0], row[1], row[2], row[3]))

    def result(self) -> Outside | None:
        """None when the face filled every frame."""
        if not self._rows:
            return None
        table = np.array(self._rows, np.float64)
        largest, encoder_largest = int(table[:, 0].max()), int(table[:, 2].max())
        return Outside(
            largest=largest,
            encoder_largest=encoder_largest,
            excess=max(0, largest - encoder_largest),
            mean=float(table[:, 1].mean()),
            encoder_mean=float(table[:, 3].mean()),
        )
