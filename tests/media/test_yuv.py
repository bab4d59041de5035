from __future__ import annotations

import numpy as np
import pytest

from countenance.errors import MediaError
from countenance.media.yuv import RgbFromVideo, VideoFromRgb, rule_of

BT709, BT601, BT2020 = 1, 6, 9
LIMITED, FULL = 1, 2

# Y'CbCr of saturated colours, from the standards' luma weights (BT.709 .2126 .7152 .0722; BT.601 .299 .587 .114).
KNOWN = [
    (BT709, LIMITED, (255, 0, 0), (63, 102, 240)),
    (BT709, FULL, (255, 0, 0), (54, 99, 255)),
    (BT601, LIMITED, (255, 0, 0), (81, 90, 240)),
    (BT601, FULL, (255, 0, 0), (76, 85, 255)),
    (BT709, LIMITED, (0, 255, 0), (173, 42, 26)),
    (BT601, LIMITED, (0, 0, 255), (41, 240, 110)),
    (BT2020, LIMITED, (255, 0, 0), (74, 97, 240)),
    (BT709, LIMITED, (255, 255, 255), (235, 128, 128)),
    (BT601, FULL, (0, 0, 0), (0, 128, 128)),
]


def scene(width: int, height: int) -> np.ndarray:
    """Smooth in colour, since 4:2:0 halves the chroma's resolution; every channel spans its range."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(7 * x + 3 * y), np.cos(5 * y - 2 * x), np.sin(4 * x * y + 1)]
    return np.ascontiguousarray(np.stack([np.clip(127.5 + 127.5 * wave, 0, 255) for wave in waves], 2).astype(np.uint8))


@pytest.mark.parametrize(("space", "value_range", "rgb", "yuv"), KNOWN)
def test_known_colours(space: int, value_range: int, rgb: tuple[int, ...], yuv: tuple[int, ...]) -> None:
    rule = rule_of(space, value_range, "yuv420p", 64, 64)
    frame = VideoFromRgb(rule, "yuv420p")(np.full((64, 64, 3), rgb, np.uint8))
    values = [np.frombuffer(plane, np.uint8)[0] for plane in frame.planes]
    assert np.abs(np.array(values, int) - yuv).max() <= 1
    frame.colorspace, frame.color_range = space, value_range
    assert np.abs(RgbFromVideo()(frame).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("space", [BT709, BT601, BT2020])
@pytest.mark.parametrize("value_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_there_and_back_changes_almost_nothing(space: int, value_range: int, pixel_format: str) -> None:
    rgb = scene(320, 240)
    frame = VideoFromRgb(rule_of(space, value_range, pixel_format, 320, 240), pixel_format)(rgb)
    frame.colorspace, frame.color_range = space, value_range
    error = RgbFromVideo()(frame).astype(np.float64) - rgb
    assert np.sqrt((error**2).mean()) < 1.2
    assert np.abs(error.mean((0, 1))).max() < 0.3  # no tint, no darkening, however often it is done


@pytest.mark.parametrize("wrong", [(BT601, LIMITED), (BT709, FULL)])
def test_another_rule_would_be_seen(wrong: tuple[int, int]) -> None:
    rgb = scene(320, 240)
    frame = VideoFromRgb(rule_of(BT709, LIMITED, "yuv420p", 320, 240), "yuv420p")(rgb)
    frame.colorspace, frame.color_range = wrong
    assert np.sqrt(((RgbFromVideo()(frame).astype(float) - rgb) ** 2).mean()) > 5


def test_ten_passes_do_not_drift() -> None:
    first = current = scene(160, 120)
    to_video, to_rgb = VideoFromRgb(rule_of(BT709, LIMITED, "yuv420p", 160, 120), "yuv420p"), RgbFromVideo()
    for _ in range(10):
        frame = to_video(current)
        frame.colorspace, frame.color_range = BT709, LIMITED
        current = to_rgb(frame)
    assert np.abs((current.astype(float) - first).mean((0, 1))).max() < 0.5


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(1920, 1080, 1), (1080, 1920, 1), (1280, 720, 1), (720, 1280, 1), (720, 576, 5), (320, 320, 5), (576, 720, 5)],
)
def test_untagged_video_is_guessed_as_players_do_and_stays_untagged(width: int, height: int, matrix: int) -> None:
    rule = rule_of(2, 0, "yuv420p", width, height)
    assert (rule.matrix, rule.full_range, rule.space_tag, rule.range_tag) == (matrix, False, 2, 0)


def test_full_range_formats_and_rgb() -> None:
    assert rule_of(2, 0, "yuvj420p", 64, 64).full_range
    rgb = rule_of(0, 2, "gbrp", 1920, 1080)  # becomes YCbCr, so it must be tagged as such
    assert (rgb.matrix, rgb.full_range, rgb.space_tag, rgb.range_tag) == (1, False, 1, 1)


def test_a_matrix_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(MediaError, match="colour matrix 8"):
        rule_of(8, 1, "yuv420p", 64, 64)  # YCgCo


def test_ten_bits_are_rounded() -> None:
    rgb = scene(320, 240)
    rule = rule_of(BT709, LIMITED, "yuv420p10le", 320, 240)
    frame = VideoFromRgb(rule, "yuv420p10le")(rgb)
    frame.colorspace, frame.color_range = BT709, LIMITED
    error = RgbFromVideo()(frame).astype(float) - rgb
    assert np.sqrt((error**2).mean()) < 1.0
    assert np.abs(error.mean((0, 1))).max() < 0.3


def test_rgb_frames_are_copied_and_unchanged() -> None:
    import av

    rgb = scene(64, 48)
    for pixel_format in ("rgb24", "gbrp", "rgba"):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
        result = RgbFromVideo()(frame)
        np.testing.assert_array_equal(result, rgb)
        result[:] = 0
        np.testing.assert_array_equal(RgbFromVideo()(frame), rgb)
