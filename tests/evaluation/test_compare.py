"""Scoring whole clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_clips import write_clip

from countenance.errors import MediaError
from countenance.evaluation.compare import INNER_PIXELS, compare
from countenance.media.read import read_frames

SIZE_HW = (96, 128)


def _pictures(count: int, seed: int = 0, size_hw: tuple[int, int] = SIZE_HW) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 215, (count, size_hw[0] // 8, size_hw[1] // 8, 3), np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def _masks(count: int, size_hw: tuple[int, int] = SIZE_HW) -> list[np.ndarray]:
    mask = np.zeros((*size_hw, 3), np.uint8)
    mask[16:80, 24:104] = 255
    return [mask] * count


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    return {
        "truth": write_clip(tmp_path / "truth.mp4", _pictures(5)),
        "mask": write_clip(tmp_path / "mask.mp4", _masks(5)),
    }


def test_the_truth_itself_is_perfect(clips: dict[str, Path]) -> None:
    score = compare(clips["truth"], clips["truth"], clips["mask"])
    assert score.frames == 5
    assert score.ssim == pytest.approx(1.0, abs=1e-9)
    assert score.psnr_db == float("inf")
    assert json.dumps(score.to_json(), allow_nan=False)
    assert score.to_json()["psnr_db"] is None


def test_the_worst_frame_is_named_and_the_mask_counts(clips: dict[str, Path], tmp_path: Path) -> None:
    pictures = _pictures(5)
    pictures[3] = pictures[3].copy()
    pictures[3][16:80, 24:104] = 128  # inside the mask: counts
    pictures[1] = pictures[1].copy()
    pictures[1][:4] = 0  # outside: does not
    score = compare(write_clip(tmp_path / "swap.mp4", pictures), clips["truth"], clips["mask"])
    assert score.worst_frame == 3
    assert score.ssim_by_frame[3] < 0.7
    assert score.ssim_by_frame[1] > 0.99
    assert score.ssim == pytest.approx(np.mean(score.ssim_by_frame))


def test_an_edge_that_is_wrong_costs_the_outer_mask_only(clips: dict[str, Path], tmp_path: Path) -> None:
    pictures = [picture.copy() for picture in _pictures(5)]
    margin = INNER_PIXELS - 6  # SSIM's window reaches five pixels further in
    for picture in pictures:
        picture[16 : 16 + margin, 24:104] = 0
    score = compare(write_clip(tmp_path / "swap.mp4", pictures), clips["truth"], clips["mask"])
    assert score.psnr_db < 25.0
    assert score.inner_psnr_db > 40.0
    assert score.inner_ssim > score.ssim


def test_scoring_only_the_faces_surroundings_changes_nothing(clips: dict[str, Path], tmp_path: Path) -> None:
    from countenance.evaluation.clips import mask_of
    from countenance.evaluation.metrics import psnr_db, ssim

    swap = write_clip(tmp_path / "swap.mp4", _pictures(1, seed=1))
    truth, mask = (write_clip(tmp_path / f"{name}1.mp4", made(1)) for name, made in (("t", _pictures), ("m", _masks)))
    seen, wanted, region = (next(iter(read_frames(path))) for path in (swap, truth, mask))
    score = compare(swap, truth, mask)
    assert score.ssim == pytest.approx(ssim(seen.rgb, wanted.rgb, mask_of(region)), abs=1e-12)
    assert score.psnr_db == pytest.approx(psnr_db(seen.rgb, wanted.rgb, mask_of(region)), abs=1e-9)


def test_clips_that_do_not_belong_together_are_refused(clips: dict[str, Path], tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", _pictures(4))
    with pytest.raises(MediaError, match=r"short\.mp4 ends at frame 4"):
        compare(short, clips["truth"], clips["mask"])
    small = write_clip(tmp_path / "small.mp4", _pictures(5, size_hw=(64, 64)))
    with pytest.raises(MediaError, match="differ in size"):
        compare(small, clips["truth"], clips["mask"])
    black = write_clip(tmp_path / "black.mp4", [np.zeros((*SIZE_HW, 3), np.uint8)] * 5)
    with pytest.raises(MediaError, match="shows no face"):
        compare(clips["truth"], clips["truth"], black)
