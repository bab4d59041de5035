"""The three words for people, and that the page of the settings tells all of them."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from countenance.conversion.quality import QUALITIES, settings_for
from countenance.conversion.settings import ConvertSettings
from countenance.errors import ConfigError
from countenance.provenance.verify import verify_file

ROOT = Path(__file__).parents[2]
RULES = {
    "strong_score", "weak_score", "least_presence", "performer_cosine", "other_cosine", "smallest_face",
    "largest_yaw_degrees", "largest_pitch_degrees", "fade_frames", "hold_seconds", "screen_seconds", "occlusion",
    "largest_misfit_cm",
}  # fmt: skip


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_conversion_page", ROOT / "tools" / "make_conversion_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_good_is_the_default_and_what_is_asked_for_wins() -> None:
    assert settings_for() == settings_for("good") == ConvertSettings()
    assert settings_for("draft").crf > ConvertSettings().crf > settings_for("film").crf
    assert settings_for("draft", crf=3, codec=None).crf == 3
    assert settings_for("draft", crf=3).preset == QUALITIES["draft"]["preset"]
    assert settings_for("film", codec="h265", encoder=None).codec == "h265"


def test_no_quality_touches_what_decides_about_a_face() -> None:
    assert {"draft", "good", "film"} == set(QUALITIES)
    assert {field.name for field in fields(ConvertSettings)} >= RULES
    for changes in QUALITIES.values():
        assert not RULES & set(changes)


@pytest.mark.parametrize(
    ("words", "message"),
    [({"quality": "best"}, "no quality 'best'"), ({"sharpness": 3}, "no such knob"), ({"crf": 99}, "crf is 99")],
)
def test_what_there_is_not(words: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_for(**words)  # type: ignore[arg-type]


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    written = (ROOT / "docs" / "reference" / "conversion.md").read_text(encoding="utf-8")
    assert written == tool.page(), "run: .venv/bin/python tools/make_conversion_page.py"


def test_every_setting_has_its_place_and_each_picture_is_there_and_signed(tool: ModuleType) -> None:
    knobs = [knob for entries in tool.GROUPS.values() for knob in entries]
    assert {knob.name for knob in knobs} == {field.name for field in fields(ConvertSettings)}
    pictured = {knob.name for knob in knobs if knob.picture}
    assert pictured == {path.stem for path in tool.PICTURES.glob("*.jpg")}
    for name in sorted(pictured):
        found = verify_file(tool.PICTURES / f"{name}.jpg", trusted_pem="", search_watermark=False)
        assert found.integrity.state == "intact", name
        assert found.claim is not None
        assert found.claim.synthetic
        assert found.claim.label_shown
