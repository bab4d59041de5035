"""Runs the python blocks of the documents, each document from top to bottom in one namespace and an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((ROOT / "docs" / "concepts").glob("*.md")) + [p for p in [ROOT / "README.md"] if p.exists()]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(path: Path) -> list[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start()) + 1, match.group(1)) for match in BLOCK.finditer(text)]


def test_the_conventions_have_snippets() -> None:
    assert len(_blocks(ROOT / "docs" / "concepts" / "conventions.md")) >= 8


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_snippets_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__docs__"}
    for line, source in _blocks(path):
        # The blank lines make a traceback point at the line of the document.
        exec(compile("\n" * line + source, str(path), "exec"), names)
