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

    Args:
        project: whose ledger.
        about: what the row says beside the reason, such as ``lender``, ``performer`` and ``act``.

    Raises:
        LedgerError, OutputError: the row cannot be written; the cause is the refusal.
    """
    try:
        yield
    except (MinorError, SexualContentError) as error:
        Ledger(project.ledger_path).append("refusal", {**about, "reason": str(error)[:2000]})
        raise
