"""The page of the commands says what the commands say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli_page", ROOT / "tools" / "make_cli_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == tool.page(), "run: .venv/bin/python tools/make_cli_page.py"


def test_commands_in_the_quickstart_exist(tool: ModuleType) -> None:
    from countenance.cli import cli

    text = (ROOT / "docs" / "start" / "quickstart.md").read_text(encoding="utf-8")
    known = {name: {option for p in command.params for option in p.opts} for name, command in tool.commands(cli)}
    lines = re.findall(r"^(countenance .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 12
    for line in lines:
        words = line.split()
        name = " ".join(words[:3]) if words[1] == "consent" else " ".join(words[:2])
        assert name in known, line
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line):
            assert option in known[name], line
