from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

from countenance.errors import MediaError
from countenance.media.read import is_photo, list_sources, read_picture

if TYPE_CHECKING:
    from countenance.types import UInt8


def test_exif_orientation_is_applied(clips: Path, reference: Callable[[int, int, int], list[UInt8]]) -> None:
    frame = read_picture(clips / "photo_turned.jpg")
    assert (frame.index, frame.pts, frame.time_base) == (0, 0, 1)
    assert np.abs(frame.rgb.astype(float) - reference(1, 320, 320)[0]).mean() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_exif_orientations(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = (250, 10, 10)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(read_picture(path).rgb, upright)


def test_grey_palette_alpha_and_sixteen_bit(tmp_path: Path) -> None:
    grey = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    images = {
        "grey": Image.fromarray(grey),
        "palette": Image.fromarray(grey).convert("P"),
        "deep": Image.fromarray(grey.astype(np.uint16) * 257),
        "alpha": Image.fromarray(np.dstack([rgb, np.full_like(grey, 255)])),
    }
    for name, image in images.items():
        path = tmp_path / f"{name}.png"
        image.save(path)
        assert np.abs(read_picture(path).rgb.astype(int) - rgb).max() <= 1, name


def test_hidden_colours_do_not_shine_through_transparency(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255
    path = tmp_path / "cut.png"
    Image.fromarray(rgba).save(path)
    assert read_picture(path).rgb.max() == 0


def test_a_colour_profile_becomes_srgb(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    red = Image.new("RGB", (8, 8), (200, 30, 40))
    path = tmp_path / "red.png"
    red.save(path, icc_profile=srgb.tobytes())
    assert np.abs(read_picture(path).rgb.astype(int) - (200, 30, 40)).max() <= 1
    for broken in (profile.tobytes(), b"not a profile"):  # of another colour space; nonsense
        red.save(path, icc_profile=broken)
        np.testing.assert_array_equal(read_picture(path).rgb[0, 0], (200, 30, 40))


def test_is_photo_goes_by_the_name() -> None:
    assert is_photo(Path("A.JPG"))
    assert is_photo(Path("b.png"))
    assert not is_photo(Path("c.mp4"))
    assert not is_photo(Path("jpg"))


def test_sources_come_once_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    inner = tmp_path / "Tag 2 – Gespräch"
    inner.mkdir()
    (tmp_path / ".thumbs").mkdir()
    wanted = [inner / "b.JPG", inner / "ß c.mov", tmp_path / "a.mp4"]
    for path in [*wanted, tmp_path / "notes.txt", tmp_path / "._a.mp4", tmp_path / ".thumbs" / "x.png"]:
        path.write_bytes(b"x")
    assert list_sources([tmp_path]) == sorted(wanted)
    assert list_sources([tmp_path / "a.mp4", tmp_path]) == [tmp_path / "a.mp4", *sorted(wanted)[:2]]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "empty.jpg", "empty"),
        (b"just text", "text.png", "not a readable photo"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "script.jpg", "not a readable photo"),
    ],
)
def test_what_is_no_photo(tmp_path: Path, content: bytes, name: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        read_picture(path)


def test_truncated_photo(tmp_path: Path, clips: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes((clips / "photo_turned.jpg").read_bytes()[:6000])
    with pytest.raises(MediaError, match="not a readable photo"):
        read_picture(path)


def test_a_huge_photo_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("1", (12000, 10000)).save(buffer, "PNG")  # 120 megapixels in a few kilobytes
    path = tmp_path / "bomb.png"
    path.write_bytes(buffer.getvalue())
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaError, match="90 megapixels"):
        read_picture(path)


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(MediaError, match="no video and no photo"):
        list_sources([tmp_path])
    with pytest.raises(MediaError, match="neither a video nor a photo"):
        list_sources([tmp_path / "notes.txt"])
    with pytest.raises(MediaError, match="There is no file"):
        list_sources([tmp_path / "missing.mp4"])
    with pytest.raises(MediaError, match="empty list"):
        list_sources([])


def test_an_unreadable_folder_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    (tmp_path / "a.mp4").write_bytes(b"x")
    locked = tmp_path / "locked"
    locked.mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:  # chmod does not stop root, and tests may run as root
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MediaError, match="Permission denied"):
        list_sources([tmp_path])
