"""What the screens refuse is a row of the ledger, as what the gate refuses is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from countenance.consent.ledger import Ledger
from countenance.errors import MinorError, SexualContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.project import Project

__all__ = ["refusals_entered"]


@contextmanager
def refusals_entered(project: Project, **about: str) -> Iterator[None]:
    """Enter what the screens refuse in this block; the refusal goes on as it is. The gate enters its own ones.

    The sentence names the footage. A hidden witness's is not named: there the row says only which screen it was.

    Args:
        project: whose ledger.
        about: what the row says beside the reason, such as ``lender``, ``performer`` and ``act``.

    Raises:
        LedgerError, OutputError: the row cannot be written; the cause is the refusal.
    """
    try:
        yield
    except (MinorError, SexualContentError) as error:
        reason = str(error)[:2000]
        performer = about.get("performer", "")
        hidden = any(project.protects(name) for name in (about.get("person", ""), performer))
        if hidden or (about.get("act") == "swap" and project.hides_footage(performer)):
            what = "an apparent age" if isinstance(error, MinorError) else "sexual content"
            reason = f"A screen refused footage of a protected witness for {what}."
        Ledger(project.ledger_path).append("refusal", {**about, "reason": reason})
        raise
