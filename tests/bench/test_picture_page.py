"""docs/concepts/picture.md says what the benches found."""

import json
from pathlib import Path

import blending
import landmarks
import numpy as np
import pytest
import texture

from countenance.conversion.settings import ConvertSettings

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "picture.md"


@pytest.mark.parametrize(("name", "bench"), [("landmarks", landmarks), ("texture", texture)])
def test_the_page_holds_the_published_figures(name: str, bench):
    facts = json.loads(bench.RESULT.read_bytes())
    page = PAGE.read_text(encoding="utf-8")
    between = page.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    assert bench.table(facts) in between
    assert facts["surroundings"]["commit"][:7] in between


def test_the_blending_that_is_the_default_has_the_faintest_seam():
    facts = json.loads(blending.RESULT.read_bytes())
    assert blending.table(facts) in PAGE.read_text(encoding="utf-8")
    for kind in blending.KINDS:
        seams = {way: facts["figures"][f"{kind}_{way}_seam"]["median"] for way in blending.WAYS}
        assert min(seams, key=seams.__getitem__) == ConvertSettings(performer_cosine=0.65).blend == "pyramid"


def test_a_delay_is_found():
    times = np.arange(200) / 25.0

    def path(delay: float) -> np.ndarray:
        way = 10.0 * np.sin(2 * np.pi * 1.3 * (times - delay))
        return np.stack([way, 0.5 * way], -1)[:, None]

    for true in (0.0, 0.013, 0.04, -0.02):
        assert landmarks.lag_seconds(path(true), path) == pytest.approx(true, abs=5e-4)


def test_the_one_euro_filter_lags():
    times = np.arange(200) / 25.0
    way = 60.0 * np.sin(2 * np.pi * 1.0 * times)[:, None, None] * np.ones((1, 3, 2))
    found = landmarks.one_euro(way)
    lag = landmarks.lag_seconds(
        found[20:], lambda delay: (60.0 * np.sin(2 * np.pi * (times - delay)))[20:, None, None] * np.ones((1, 3, 2))
    )
    assert 0.005 < lag < 0.08


def test_spoiling_does_what_it_says():
    grey = [np.full((64, 64, 3), 128, np.uint8)] * 2
    assert np.std(texture.noise(grey, 8.0)[0]) == pytest.approx(8.0, rel=0.05)
    film = texture.noise(grey, 8.0, 1.0)[0]
    assert np.std(film) == pytest.approx(8.0, rel=0.05) and np.array_equal(film[..., 0], film[..., 2])
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    assert np.count_nonzero(texture.smear([spot], 9)[0][..., 0]) == 9
    assert texture.ssim(grey[0], grey[0], np.ones((64, 64))) == pytest.approx(1.0)
