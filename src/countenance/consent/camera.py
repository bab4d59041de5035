"""Filming the answer to a challenge with this computer's camera, card by card. It records pictures and no sound."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from countenance.errors import MediaError
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.consent.challenge import Challenge
    from countenance.media.probe import VideoInfo

__all__ = ["Camera", "film", "open_camera"]

_TICK = Fraction(1, 1000)
_FIRST_SECONDS, _CARD_SECONDS, _DIGITS_SECONDS = 3.0, 5.0, 9.0


class Camera(Protocol):
    """What is used of OpenCV's ``VideoCapture``."""

    def read(self) -> tuple[bool, np.ndarray]:
        """Whether there is a picture, and the picture: uint8 ``(H, W, 3)``, BGR."""
        ...

    def release(self) -> None:
        """Give the camera back."""
        ...


def open_camera(number: int) -> Camera:
    """The camera of that number, 0 for the first (raises MediaError)."""
    import cv2

    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        camera.release()
        raise MediaError(
            f"The camera {number} cannot be opened. Connect it, close other programs, or film with --clip."
        )
    return camera


def film(
    challenge: Challenge,
    path: Path,
    camera: Camera,
    show: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Show the cards one after the other and film the answer; the camera is given back at the end.

    Args:
        challenge: what to ask.
        path: the film to write, readable by its owner only.
        camera: gives pictures as fast as it has them.
        show: puts a card before the lender.
        now: seconds of a clock that never goes back.

    Raises:
        MediaError: the camera gives no pictures any more. OutputError: the film cannot be written.
    """
    from countenance.media.write import VideoWriter

    try:
        first = _picture(camera)
        with VideoWriter(path, _info(path, first), preset="ultrafast", private=True) as writer:
            begun, last = now(), -1
            for text, seconds in _cards(challenge):
                show(text)
                until = now() + seconds
                while now() < until:
                    rgb = _picture(camera)
                    pts = max(round((now() - begun) / float(_TICK)), last + 1)
                    writer.write(Frame(rgb, 0, pts, _TICK))
                    last = pts
    finally:
        camera.release()


def _cards(challenge: Challenge) -> list[tuple[str, float]]:
    cards = [("Look ahead.", _FIRST_SECONDS)]
    for action in challenge.actions:
        longer = _DIGITS_SECONDS if action.do == "digits" else _CARD_SECONDS + 2.0 * (action.times - 1)
        cards.append((action.card, longer))
    return [*cards, ("Look ahead. Done in a moment.", 2.0)]


def _picture(camera: Camera) -> np.ndarray:
    good, bgr = camera.read()
    if not good:
        raise MediaError("The camera gives no pictures any more. Check its cable and film again.")
    height, width = (side // 2 * 2 for side in bgr.shape[:2])
    return np.ascontiguousarray(bgr[:height, :width, ::-1])


def _info(path: Path, rgb: np.ndarray) -> VideoInfo:
    from countenance.media.probe import VideoInfo

    height, width = rgb.shape[:2]
    return VideoInfo(
        path, width, height, 0, Fraction(30), _TICK, 0, None, None, False, "yuv420p", 8, True,
        1, 1, 1, 1, Fraction(1), (), "matroska", "h264",
    )  # fmt: skip
