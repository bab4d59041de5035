"""Pictures that show frames of a render: the demo's contact sheet, and the one in its page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from countenance.demo.pictures import jpeg_bytes, png_bytes
from countenance.demo.sealed import Seal
from countenance.errors import MarkError
from countenance.provenance.verify import verify_file


@pytest.fixture
def seal(signed: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Seal:
    monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
    return Seal(signed)


def test_they_say_what_the_render_says(seal: Seal, claim, tmp_path: Path) -> None:
    plain = np.full((240, 320, 3), 150, np.uint8)
    marked = seal.mark(plain)
    assert (marked != plain).any()
    assert np.abs(marked.astype(int) - plain).max() < 20
    for name, data in (("sheet.png", png_bytes(marked)), ("sheet.jpg", jpeg_bytes(marked))):
        path = tmp_path / name
        path.write_bytes(seal.sign(data, name))
        result = verify_file(path, search_watermark=False)
        assert (result.verdict, result.parents.state) == ("holds", "withheld")  # its parent is the render
        assert result.claim == claim
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert picture.size == (320, 240)


def test_without_a_signed_render_there_are_none(footage: Path, tmp_path: Path, data_dir: Path, monkeypatch) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
    for path in (footage, tmp_path / "gone.mp4"):
        with pytest.raises(MarkError, match="Render it again"):
            Seal(path)
