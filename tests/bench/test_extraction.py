"""The pages on speed say what was measured, and the measuring measures."""

import json
from pathlib import Path

import extraction
import preview

GUIDE = extraction.ROOT / "docs" / "guides" / "preview.md"


def test_the_page_on_extraction_says_what_was_measured() -> None:
    result = json.loads(extraction.RESULT.read_text(encoding="utf-8"))
    page = extraction.PAGE.read_text(encoding="utf-8")
    assert page.split("<!-- table -->\n")[1].split("<!-- end -->")[0] == extraction.table(result)
    assert result["before"]["kept"] == result["after"]["kept"]
    assert result["before"]["rejected"] == result["after"]["rejected"]
    assert f"{result['footage']['frames']} frames of 720p" in page


def test_the_guide_to_the_preview_says_what_was_measured() -> None:
    result = json.loads(preview.RESULT.read_text(encoding="utf-8"))
    table = GUIDE.read_text(encoding="utf-8").split("<!-- table -->\n")[1].split("<!-- end -->")[0]
    assert table == preview.table(result)


def test_an_extraction_is_parted_into_steps_without_a_gap(tmp_path: Path) -> None:
    clip = extraction.footage(tmp_path / "a.mp4", 30)
    told = extraction.in_turn(extraction.ROOT / "src", clip, clip)
    assert told["frames"] == 30
    assert 3 <= told["kept"] <= 30
    steps = told["steps_cpu_ms_per_frame"]
    assert abs(sum(steps.values()) - told["cpu_ms_per_frame"]) < 0.2
    assert steps["landmarks, every frame"] > 1.0
    assert steps["embedding of kept faces"] > 1.0
    assert steps["decoding and the rest"] > 0.0
    summed = extraction.summed([told, told])
    assert summed["frames_per_second_of_two_cores"] == round(2000 / told["cpu_ms_per_frame"], 1)
