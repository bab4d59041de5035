from __future__ import annotations

import hashlib
import io
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from countenance.errors import MediaError
from countenance.provenance import watermark as watermark_module
from countenance.provenance.label import draw_label
from countenance.provenance.watermark import Watermarker, find_watermark, frames_to_search
from countenance.provenance.watermark_pattern import Layer, layer_of
from countenance.provenance.watermark_search import AS_IT_IS, median_of, picture_area

CLIPS = Path(str(files("countenance") / "data" / "performers"))
PAYLOAD = bytes.fromhex("c0ffee0042")


def clip(name: str, count: int) -> list[np.ndarray]:
    with av.open(str(CLIPS / name)) as container:
        return [f.to_ndarray(format="rgb24") for _, f in zip(range(count), container.decode(video=0), strict=False)]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return clip("test_A.mp4", 30)


@pytest.fixture(scope="module")
def marked(frames: list[np.ndarray]) -> list[np.ndarray]:
    marker = Watermarker(PAYLOAD, frames[0].shape[:2])
    return [marker(draw_label(frame)) for frame in frames]


def recoded(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            even = np.ascontiguousarray(frame[:height, :width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((luma(a) - luma(b)) ** 2)))


def test_found_after_x264_in_a_small_short_clip(marked: list[np.ndarray]) -> None:
    found = find_watermark(recoded(marked, 26))
    assert found.payload == PAYLOAD
    assert found.score > 8
    assert found.traces
    assert found.shown == AS_IT_IS
    assert found.wrong_bits is not None
    assert found.wrong_bits <= 20
    assert PAYLOAD.hex() in found.sentence


@pytest.mark.parametrize("size_wh", [(160, 160), (400, 300), (640, 480)])
def test_found_after_scaling_even_without_keeping_the_shape(marked: list[np.ndarray], size_wh: tuple[int, int]) -> None:
    assert find_watermark(cv2.resize(f, size_wh, interpolation=cv2.INTER_AREA) for f in marked).payload == PAYLOAD


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda f: f[32:288, 32:288], (0.1, 0.9, 0.1, 0.9)),
        (lambda f: f[:, 64:], (0.2, 1.0, 0.0, 1.0)),
        (lambda f: cv2.resize(f[50:310, 5:270], (300, 310)), (5 / 320, 270 / 320, 50 / 320, 310 / 320)),
        (lambda f: f[:, ::-1], (1.0, 0.0, 0.0, 1.0)),
    ],
    ids=["80 % of each side", "80 % of the width", "odd part, another shape", "mirrored"],
)
def test_found_in_a_part_and_told_which(marked: list[np.ndarray], change, shown: tuple[float, ...]) -> None:
    found = find_watermark(recoded([np.ascontiguousarray(change(frame)) for frame in marked], 20))
    assert found.payload == PAYLOAD
    assert found.shown == pytest.approx(shown, abs=0.006)


@pytest.mark.parametrize("bars", [(60, 60, 0, 0), (0, 0, 90, 110), (20, 30, 40, 50)])
@pytest.mark.parametrize("grey", [0, 60])
def test_found_inside_bars(marked: list[np.ndarray], bars: tuple[int, int, int, int], grey: int) -> None:
    framed = [cv2.copyMakeBorder(f, *bars, cv2.BORDER_CONSTANT, value=(grey,) * 3) for f in marked[:25]]
    found = find_watermark(framed)
    assert found.payload == PAYLOAD
    assert found.shown == AS_IT_IS


def test_bars_that_were_there_before_do_not_hide_it(frames: list[np.ndarray]) -> None:
    framed = [cv2.copyMakeBorder(f, 40, 40, 0, 0, cv2.BORDER_CONSTANT) for f in frames[:25]]
    marker = Watermarker(PAYLOAD, framed[0].shape[:2])
    assert find_watermark(marker(frame) for frame in framed).payload == PAYLOAD


def test_area_of_pictures_without_bars_and_of_nothing_but_bars(frames: list[np.ndarray]) -> None:
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[:5]]
    assert picture_area(grey) == (0, 320, 0, 320)
    assert picture_area([np.zeros((90, 160), np.uint8)] * 3) == (0, 90, 0, 160)


def test_a_plain_sky_between_bars_is_no_bar() -> None:
    sky = np.repeat(np.linspace(150, 230, 200, dtype=np.uint8)[:, None], 160, axis=1)
    area = picture_area([cv2.copyMakeBorder(sky, 0, 0, 60, 40, cv2.BORDER_CONSTANT, value=40)])
    assert (area.left, area.right) == (60, 220)
    assert area.bottom - area.top >= 180  # the search for size and place makes up for the rest


@pytest.mark.parametrize(
    "change",
    [
        lambda f: np.clip(f * 1.25, 0, 255).astype(np.uint8),
        lambda f: np.clip(f.astype(np.int16) - 30, 0, 255).astype(np.uint8),
        lambda f: (255 * (f / 255.0) ** 1.3).astype(np.uint8),
        lambda f: cv2.GaussianBlur(f, (0, 0), 0.8),
        lambda f: cv2.rectangle(f.copy(), (200, 10), (310, 60), (255, 0, 0), -1),
    ],
    ids=["brighter", "darker", "gamma", "blur", "logo"],
)
def test_found_after_everyday_changes(marked: list[np.ndarray], change) -> None:
    assert find_watermark(change(frame) for frame in marked).payload == PAYLOAD


def test_a_secret_mark_is_found_only_with_its_secret(frames: list[np.ndarray]) -> None:
    secret, other = bytes(range(32)), bytes(32)
    marker = Watermarker(PAYLOAD, (320, 320), secret)
    both = [marker(frame) for frame in frames[:25]]
    assert min(psnr(a, b) for a, b in zip(frames[::12], both[::12], strict=False)) >= 42.0
    found = find_watermark(both, secret)
    assert (found.payload, found.secret_payload) == (PAYLOAD, PAYLOAD)
    found = find_watermark(both, other)
    assert (found.payload, found.secret_payload) == (PAYLOAD, None)
    assert find_watermark(both).secret_payload is None


def test_the_secret_mark_stays_when_the_public_one_is_taken_off(frames: list[np.ndarray]) -> None:
    secret = bytes(range(32))
    both, public = Watermarker(PAYLOAD, (320, 320), secret), Watermarker(PAYLOAD, (320, 320))
    without = [
        np.clip(both(frame).astype(np.int16) - 0.8 * (public(frame).astype(np.int16) - frame), 0, 255).astype(np.uint8)
        for frame in frames[:25]
    ]
    found = find_watermark(without, secret)
    assert found.payload is None
    assert found.secret_payload == PAYLOAD


@pytest.mark.parametrize("name", ["test_A.mp4", "occl_C.mp4", "train_B.mp4", "test_gt_own.mp4"])
def test_colour_stays_and_it_does_not_show(name: str) -> None:
    frame = clip(name, 1)[0]
    for size_hw in [(320, 320), (720, 1280)]:
        original = cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
        result = Watermarker(PAYLOAD, size_hw)(original)
        assert psnr(original, result) >= 42.0
        change = result.astype(np.int16) - original
        assert np.abs(change).max() <= 10
        unclipped = (result > 0).all(axis=2) & (result < 255).all(axis=2)
        assert (np.ptp(change[unclipped], axis=1) == 0).all()  # the same step in red, green and blue


@pytest.mark.parametrize("fill", [0, 128, 255])
def test_plain_frames_change_by_a_level_or_two(fill: int) -> None:
    frame = np.full((360, 640, 3), fill, np.uint8)
    change = Watermarker(PAYLOAD, (360, 640))(frame).astype(np.int16) - frame
    assert np.abs(change).max() <= 3
    assert change.std() < 0.9  # better than 49 dB


@pytest.mark.parametrize("name", ["occl_C.mp4", "train_B_mask.mp4"])
def test_unmarked_footage_has_none(name: str) -> None:
    found = find_watermark(clip(name, 30))
    assert found.payload is None
    assert found.score < 7.5
    assert not found.traces


def test_noise_and_plain_pictures_have_none() -> None:
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(30)]
    assert find_watermark(noise).payload is None
    assert find_watermark([np.zeros((64, 64, 3), np.uint8)] * 3).payload is None
    assert find_watermark([]).payload is None


def test_payloads_are_told_apart(frames: list[np.ndarray]) -> None:
    for payload in (bytes(5), b"\xff" * 5, b"\x00\x00\x00\x00\x01"):
        marker = Watermarker(payload, (320, 320))
        assert find_watermark(marker(frame) for frame in frames[:30]).payload == payload


def test_search_stops_when_certain(marked: list[np.ndarray]) -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield marked[taken % len(marked)]

    assert find_watermark(endless()).payload == PAYLOAD
    assert taken <= 51


def test_pattern_is_the_same_on_every_machine_and_for_ever() -> None:
    """A change here makes the watermarks of earlier renders unreadable: then the algorithm's name must change too."""
    layer = layer_of(None)
    drawn = b"".join(np.asarray(part, "<i2").tobytes() for part in layer[1:])
    assert len(layer.rows) == 3696
    assert len(layer.bit) == 2957
    assert hashlib.sha256(drawn).hexdigest() == "60b2a770dca5fa3a5ff69d22fcecbcf453adadb912d02a89ff933c2d52f8a23f"


def test_files_whose_waves_were_all_equally_strong_are_still_read(
    frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As renders were marked at first; places and signs in the transform are the same."""
    watermark_module._pattern.cache_clear()
    with monkeypatch.context() as before:
        before.setattr(Layer, "coarseness", lambda self, size_hw: np.ones(len(self.rows), np.float32))
        marker = Watermarker(PAYLOAD, frames[0].shape[:2])
    watermark_module._pattern.cache_clear()
    marked = [marker(draw_label(frame)) for frame in frames]
    assert find_watermark(recoded(marked, 26)).payload == PAYLOAD
    assert find_watermark(f[32:288, 32:288] for f in marked).payload == PAYLOAD


def test_long_waves_are_stronger_by_the_frame_s_own_pixels() -> None:
    layer = layer_of(None)
    for size_hw in ((320, 320), (360, 640), (640, 360)):
        pixels = 1.0 / np.hypot(layer.rows / size_hw[0], layer.columns / size_hw[1])
        strong = layer.coarseness(size_hw)
        assert np.all(np.diff(strong[np.argsort(pixels)]) >= -1e-6)
        spectrum = cv2.dct(layer.pattern(PAYLOAD, size_hw))[layer.rows, layer.columns]
        assert np.abs(spectrum) / strong == pytest.approx(np.abs(spectrum[0]) / strong[0], rel=1e-2)


def test_letters_that_pass_leave_the_median_alone() -> None:
    ground = np.random.default_rng(0).integers(0, 200, (256, 256), np.uint8)
    grids = [ground.copy() for _ in range(9)]
    for step, grid in enumerate(grids):
        grid[20 * step : 20 * step + 50] = 255
    assert np.array_equal(median_of(grids), ground)


def test_input_is_not_touched(frames: list[np.ndarray]) -> None:
    before = frames[0].copy()
    Watermarker(PAYLOAD, (320, 320))(frames[0])
    assert np.array_equal(frames[0], before)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        Watermarker(b"1234", (10, 10))
    with pytest.raises(ValueError, match="5 bytes"):
        Watermarker(PAYLOAD, (0, 10))
    with pytest.raises(ValueError, match="32 bytes"):
        Watermarker(PAYLOAD, (10, 10), b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        find_watermark([], b"short")
    with pytest.raises(ValueError, match=r"expected uint8 \(10, 12, 3\)"):
        Watermarker(PAYLOAD, (10, 12))(np.zeros((12, 10, 3), np.uint8))


@pytest.mark.parametrize("size_hw", [(2, 2), (1, 400), (17, 5)])
def test_tiny_frames_pass(size_hw: tuple[int, int]) -> None:
    frame = np.full((*size_hw, 3), 90, np.uint8)
    assert Watermarker(PAYLOAD, size_hw)(frame).shape == frame.shape


def test_frames_of_a_video_and_of_a_photo(tmp_path: Path) -> None:
    photo = tmp_path / "still.png"
    cv2.imwrite(str(photo), np.zeros((40, 60, 3), np.uint8))
    assert [f.shape for f in frames_to_search(photo)] == [(40, 60, 3)]
    assert sum(1 for _ in frames_to_search(CLIPS / "occl_C.mp4")) == 76  # the key frame once more
    with pytest.raises(MediaError):
        next(frames_to_search(tmp_path / "missing.mp4"))
