"""Which pixels belong to a person: MediaPipe's Selfie Segmentation network, run by LiteRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.perception.pictures import as_rgb
from countenance.perception.session import SessionProvider, default_sessions
from countenance.types import Mask

if TYPE_CHECKING:
    from countenance.types import UInt8

__all__ = ["PersonSegmenter"]

_SIDE = 256


class PersonSegmenter:
    """Separates people from the background.

    It was trained on selfies: people within about two metres, upright. It knows no hands before a face: a hand is
    part of the person.

    Args:
        sessions: gives the network; the real one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8) -> Mask:
        """An occlusion mask, float32 ``(H, W)``: 1 on a person, 0 on the background.

        Args:
            rgb: uint8 ``(H, W, 3)``; squeezed to a square, so give a crop around one person when there is one.

        Raises:
            ValueError: the picture has another form.
            WeightsError: the network cannot be fetched.
        """
        rgb = as_rgb("PersonSegmenter", rgb)
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        tensor = np.multiply(small, np.float32(1.0 / 255.0), dtype=np.float32)[None]
        person = self._sessions("person-mask").run({"input_1": tensor})[0].reshape(_SIDE, _SIDE)
        full = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR)
        return Mask(np.clip(np.nan_to_num(full), 0.0, 1.0).astype(np.float32).reshape(height, width), "occlusion")
