"""Writes docs/reference/tamper-matrix.md from the list that the tests work through."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "tamper-matrix.md"
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "provenance")]

from tamper_cases import CASES, Case  # noqa: E402 - after the path

HEAD = """# What tampering shows

What somebody may do to a signed file, and what `countenance verify` answers. Each row is a test
(`tests/attacks/provenance/test_tamper_matrix.py`), done in every way that it names; this page is written from the same
list. The chains of certificates are tried on ledger exports and certificates of destruction, too (`test_chains.py`).

`broken`: there are credentials, and they do not hold. `unproven`: nothing is proven, in either direction. `holds`: see
[Verification](verification.md), also for what each of them does *not* mean.

| what was done | verdict | layers that tell |
|---|---|---|
"""

UNSEEN = """
## What the standard itself does not see

These changes pass every check that C2PA knows, in every reader.

| what was done | verdict | why |
|---|---|---|
"""

TAIL = """
## What no credentials can tell

- **A copy without them.** Filmed from a screen, encoded again or stripped, a file has none; the watermark may still
  trace it.
- **A watermark that was transplanted.** Who studies it can put that of one render into another picture. Beside
  credentials that state another one it is a contradiction (`watermark: differs`, `unproven`); without any it is a trace
  to ask about (`watermark: found`, `unproven`), never a proof.
- **A signer who lies.** What a trusted signer states is kept safe, not made true: the label in the picture, the
  screens, the time without a timestamp are that signer's word.
- **A stolen key.** Who has the key signs as its owner. There is no revocation list for self-made certificates; take the
  authority off the trusted ones.
- **A scene that was staged.** No signature says that what is seen took place.
"""


def _row(case: Case) -> str:
    told = ", ".join(f"`{layer}: {state}`" for layer, state in case.states.items())
    return f"| {case.what} | `{case.verdict}` | {told if not case.unseen else case.unseen} |\n"


def page() -> str:
    """The whole page."""
    seen = "".join(_row(case) for case in CASES if not case.unseen)
    unseen = "".join(_row(case) for case in CASES if case.unseen)
    return HEAD + seen + UNSEEN + unseen + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
