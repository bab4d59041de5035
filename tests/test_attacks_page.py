"""The page of the attacks lists the attacks that there are; what each was answered is written when they are run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_attack_on_consent_is_on_the_page() -> None:
    spec = importlib.util.spec_from_file_location("make_attacks_page", ROOT / "tools" / "make_attacks_page.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (ROOT / "docs" / "reference" / "attacks.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", written, re.MULTILINE) == [name.split("\n")[1] for name in tool.attacks()]
    expected = [words.replace("|", "/") for tests in tool.attacks().values() for _, words in tests]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in written.split("\n") if line.startswith("| ")]
    assert [row for row in rows if row != "attack"] == expected, "run: .venv/bin/python tools/make_attacks_page.py"
    assert len(expected) >= 40
