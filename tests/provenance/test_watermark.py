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
from countenance.provenance.label import draw_label
from countenance.provenance.watermark import Watermarker, find_watermark, frames_to_search
from countenance.provenance.watermark_pattern import layer_of

CLIPS = Path(str(files("countenance") / "data" / "performers"))
PAYLOAD = bytes.fromhex("c0ffee0042")


def clip(name: str, count: int) -> list[np.ndarray]:
    with av.open(str(CLIPS / name)) as container:
        return [f.to_ndarray(format="rgb24") for _, f in zip(range(count), container.decode(video=0), strict=False)]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return clip("test_A.mp4", 75)


@pytest.fixture(scope="module")
def marked(frames: list[np.ndarray]) -> list[np.ndarray]:
    marker = Watermarker(PAYLOAD, frames[0].shape[:2])
    return [draw_label(marker(frame)) for frame in frames]


def recoded(frames: list[np.ndarray], crf: int, size_hw: tuple[int, int] | None = None) -> list[np.ndarray]:
    height, width = size_hw or frames[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((luma(a) - luma(b)) ** 2)))


@pytest.mark.parametrize("crf", [16, 22, 28])
def test_found_after_x264_in_a_small_short_clip(marked: list[np.ndarray], crf: int) -> None:
    found = find_watermark(recoded(marked, crf))
    assert found.payload == PAYLOAD
    assert found.score > 8
    assert found.traces
    assert PAYLOAD.hex() in found.sentence


@pytest.mark.parametrize("size_hw", [(160, 160), (480, 640), (400, 300)])
def test_found_after_scaling_even_without_keeping_the_shape(marked: list[np.ndarray], size_hw: tuple[int, int]) -> None:
    assert find_watermark(recoded(marked, 20, size_hw)).payload == PAYLOAD


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
    assert find_watermark([change(frame) for frame in marked]).payload == PAYLOAD


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


@pytest.mark.parametrize("name", ["test_A.mp4", "occl_C.mp4", "train_A.mp4", "train_B.mp4", "train_B_mask.mp4"])
def test_unmarked_footage_has_none(name: str) -> None:
    found = find_watermark(clip(name, 100))
    assert found.payload is None
    assert found.score < 6
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
    assert taken <= 50


def test_pattern_is_the_same_on_every_machine_and_for_ever() -> None:
    """A change here makes the watermarks of earlier renders unreadable: then the algorithm's name must change too."""
    layer = layer_of(None)
    drawn = b"".join(np.asarray(part, "<i2").tobytes() for part in layer[1:])
    assert len(layer.rows) == 3696
    assert len(layer.bit) == 2957
    assert hashlib.sha256(drawn).hexdigest() == "d3a0eb09f106280c601c71d3056adce0b5b8edf15478f07894fa634b5c743e42"


def test_input_is_not_touched(frames: list[np.ndarray]) -> None:
    before = frames[0].copy()
    Watermarker(PAYLOAD, (320, 320))(frames[0])
    assert np.array_equal(frames[0], before)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        Watermarker(b"1234", (10, 10))
    with pytest.raises(ValueError, match="5 bytes"):
        Watermarker(PAYLOAD, (0, 10))
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
