"""Write docs/reference/attacks.md: every attack on consent that is a test, with the reason that the program gave.

The attacks are run, and the words are those of the error that stopped each of them, so that the page cannot promise
what the program does not say. A test compares the page's list with the tests that there are.

    .venv/bin/python tools/make_attacks_page.py
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "attacks.md"
FOLDERS = ("tests/attacks/consent", "tests/attacks/faceset", "tests/attacks/training")

HEAD = """# Attacks on consent, and what the program answers

Each row is a test under `tests/attacks/`, run with every change. This page is written by `tools/make_attacks_page.py`,
which runs them and notes the reason that the program gave. *Ways* is how many variants of the attack are tried. What
lies outside of these, and what no program can stop: [threat model](../concepts/threat-model.md).
"""


def attacks() -> dict[str, list[tuple[str, str]]]:
    """Title of each file with the ``(test, words)`` in it; words are the docstring's, or the test's own name."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("test_*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"]
            tests.sort(key=lambda node: node.lineno)
            title = (ast.get_docstring(tree) or path.stem).split("\n")[0].rstrip(".")
            found[f"{path.relative_to(ROOT)}\n{title}"] = [(node.name, _words(node)) for node in tests]
    return found


def _words(node: ast.FunctionDef) -> str:
    words = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")
    name = node.name.removeprefix("test_").replace("_", " ")
    return f"{name} ({words})" if words else name


class Listener:
    """A plugin of pytest that notes the last reason that was given in each test."""

    def __init__(self) -> None:
        self.reasons: dict[str, list[str]] = {}
        self.ways: dict[str, int] = {}
        self._said: list[str] = []

    def listen(self) -> None:
        """Hear every error of ours that is made from now on."""
        from countenance import errors

        said = self._said

        def heard(self: Exception, *words: object) -> None:
            Exception.__init__(self, *words)
            said.append(str(self))

        errors.CountenanceError.__init__ = heard  # type: ignore[method-assign]

    def pytest_runtest_setup(self) -> None:
        """A new test begins."""
        self._said.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test has run: keep what was said."""
        if report.when != "call":
            return
        if not report.passed:
            sys.exit(f"{report.nodeid} fails: mend that first")
        test = report.nodeid.partition("[")[0]
        self.ways[test] = self.ways.get(test, 0) + 1
        reasons = self.reasons.setdefault(test, [])
        if self._said and (reason := clean(self._said[-1])) not in reasons:
            reasons.append(reason)


def clean(reason: str) -> str:
    """A reason without what differs from run to run: folders, hashes, numbers of keys."""
    reason = re.sub(r"(?<![\w:/])/\S*/(?=[\w.-]+)", "", reason)
    reason = re.sub(r"\b[0-9a-f]{16,64}\b…?", "…", reason)
    reason = re.sub(r"urn:uuid:[0-9a-f-]+", "urn:uuid:…", reason)
    reason = re.sub(r"(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])", "…", reason)
    reason = re.sub(r"[\x00-\x1f]", "?", reason)
    return reason.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def page(ways: dict[str, int], reasons: dict[str, list[str]]) -> str:
    """The whole page."""
    parts, count = [], 0
    for heading, tests in attacks().items():
        path, title = heading.split("\n")
        parts += [f"## {title}", f"`{path}`", "", "| attack | ways | the program's reason |", "|---|---:|---|"]
        for test, words in tests:
            node = next(key for key in ways if key.startswith(path) and key.endswith(f"::{test}"))
            said = reasons[node]
            more = " *(and others)*" if len(said) > 1 else ""
            shown = f"{said[0][:260]}{'…' if len(said[0]) > 260 else ''}{more}" if said else "—"
            parts.append(f"| {words.replace('|', '/')} | {ways[node]} | {shown} |")
            count += 1
        parts.append("")
    dash = "A dash: nothing is refused there; the test shows what must go on."
    head = f"{HEAD}\n{count} attacks, in {sum(ways.values())} ways. {dash}\n"
    return head + "\n" + "\n".join(parts).rstrip() + "\n"


def main() -> None:
    """Run the attacks and write the page."""
    import pytest

    listener = Listener()
    listener.listen()
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *FOLDERS], plugins=[listener])
    if code:
        sys.exit(int(code))
    PAGE.write_text(page(listener.ways, listener.reasons), encoding="utf-8")


if __name__ == "__main__":
    main()
