"""Turned and tiled searches give places of the frame."""

from __future__ import annotations

import numpy as np
import pytest
from perception_fakes import FakeSessions

from countenance.perception.detect import FaceDetector
from countenance.perception.search import FaceSearch
from countenance.types import Detection


def _red(rgb: np.ndarray, *, min_score: float, own_size: bool = False) -> list[Detection]:
    """A face is a red square, upright when its green corner is at its top left."""
    ys, xs = np.nonzero((rgb[..., 0] > 150) & (rgb[..., 2] < 90))
    if len(xs) < 4:
        return []
    box = np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)
    gy, gx = np.nonzero((rgb[..., 1] > 130) & (rgb[..., 0] < 120))
    if not len(gx) or gx.mean() > box[[0, 2]].mean() or gy.mean() > box[[1, 3]].mean():
        return []
    corner = np.array([gx.mean(), gy.mean()], np.float32)
    return [Detection(box, 0.9, np.stack([corner, *np.repeat(box[None, 2:], 4, axis=0)]).astype(np.float32))]


def _picture(height: int, width: int, x: int, y: int, turns: int, half: int = 20) -> np.ndarray:
    face = np.zeros((2 * half + 1, 2 * half + 1, 3), np.uint8)
    face[..., 0] = 255
    face[: half // 2, : half // 2] = (0, 255, 0)
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[y - half : y + half + 1, x - half : x + half + 1] = np.rot90(face, -turns)
    return rgb


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("size", [(240, 400), (700, 1100)])
def test_turned_faces_are_found_where_they_are(turns: int, size: tuple[int, int]) -> None:
    rgb = _picture(*size, 210, 120, turns)
    search = FaceSearch(_red)  # type: ignore[arg-type]
    (face,) = search.wide(rgb, 0.6, turned=True)
    assert face.box_xyxy.reshape(2, 2).mean(0) == pytest.approx([210, 120], abs=1.5)
    corner = {1: (225, 105), 2: (225, 135), 3: (195, 135)}[turns]
    assert face.points_xy[0] == pytest.approx(corner, abs=2.5)
    assert search.wide(rgb, 0.6, turned=False) == []


def test_a_large_picture_is_searched_in_tiles() -> None:
    rgb = _picture(900, 1500, 1301, 777, 0)
    (face,) = FaceSearch(_red).wide(rgb, 0.6, turned=False)  # type: ignore[arg-type]
    assert face.box_xyxy == pytest.approx([1281, 757, 1321, 797], abs=0.6)


@pytest.mark.parametrize("size_hw", [(360, 640), (720, 1280), (1080, 1920), (2160, 3840), (3840, 2160)])
def test_tiles_of_own_size_show_every_small_face_whole(size_hw: tuple[int, int]) -> None:
    """Every square of 96 pixels lies within a tile; what the detector has seen at its own size is not seen again."""
    height, width = size_hw
    columns = np.repeat(np.arange(width, dtype=np.uint16)[None], height, axis=0)
    rgb = np.dstack([columns // 256, columns % 256, np.arange(height)[:, None] // 16 + 0 * columns]).astype(np.uint8)
    tiles: list[tuple[int, int, int, int]] = []

    def look(tile: np.ndarray, *, min_score: float, own_size: bool = False) -> list[Detection]:
        assert own_size
        left, top = int(tile[0, 0, 0]) * 256 + int(tile[0, 0, 1]), int(tile[0, 0, 2]) * 16
        tiles.append((left, top, left + tile.shape[1], top + tile.shape[0]))
        return []

    FaceSearch(look).wide(rgb, 0.6, turned=False)  # type: ignore[arg-type]
    assert len(tiles) == {640: 0, 1280: 1}.get(width, len(tiles))
    if width > 640:
        for x in range(0, width - 96, 16):
            for y in range(0, height - 96, 16):
                assert any(
                    left <= x and top <= y and x + 96 <= right and y + 96 <= bottom
                    for left, top, right, bottom in tiles
                )


@pytest.mark.parametrize(("size_hw", "passes"), [((720, 1280), 3), ((900, 1500), 5)])
def test_what_the_detector_saw_empty_at_its_own_size_is_not_looked_at_again(
    size_hw: tuple[int, int], passes: int
) -> None:
    def answer(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        height, width = inputs["input"].shape[2:]
        cells = [(height // stride) * (width // stride) for stride in (8, 16, 32)]
        return [np.zeros((1, count, size), np.float32) for size in (1, 1, 4, 10) for count in cells]

    sessions = FakeSessions(face_detector=answer)
    detector, rgb = FaceDetector(sessions), np.zeros((*size_hw, 3), np.uint8)
    assert detector(rgb, min_score=0.3) == []
    assert FaceSearch(detector).wide(rgb, 0.6, turned=False, empty=True) == []
    asked = sessions.by_name["face-detector"].asked
    assert len(asked) == passes
    own = next(number for number, one in enumerate(asked) if one["input"].shape[3] >= size_hw[1])
    assert own == 2  # the detector's third look


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_closer_search_turns_until_it_sees(turns: int) -> None:
    rgb = _picture(240, 400, 210, 120, turns)
    near = FaceSearch(_red).near(rgb, np.float32([185, 100, 225, 140]), 0.0, 0.3)  # type: ignore[arg-type]
    assert near is not None
    assert near.box_xyxy.reshape(2, 2).mean(0) == pytest.approx([210, 120], abs=1.5)


def test_a_closer_search_refuses_what_is_elsewhere_or_of_another_size() -> None:
    search = FaceSearch(_red)  # type: ignore[arg-type]
    rgb = _picture(240, 400, 210, 120, 0)
    assert search.near(rgb, np.float32([150, 100, 190, 140]), 0.0, 0.3) is None
    assert search.near(rgb, np.float32([150, 60, 270, 180]), 0.0, 0.3) is None
    assert search.near(rgb, np.float32([900, 900, 940, 940]), 0.0, 0.3) is None
    assert search.near(rgb, np.full(4, np.nan, np.float32), 0.0, 0.3) is None
