"""Refusals that come from elsewhere than the gate, the screens above all, are rows of the ledger too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from countenance.consent.clock import Clock, utc_now
from countenance.consent.ledger import Ledger
from countenance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.project import Project

__all__ = ["refusals_entered"]


@contextmanager
def refusals_entered(project: Project, *, clock: Clock = utc_now, **about: str) -> Iterator[None]:
    """Enter what is refused in this block; the refusal goes on as it is.

    Not for what the gate is asked in: it enters its refusals itself.

    Args:
        project: whose ledger.
        clock: gives the present.
        about: what the row says beside the reason, such as ``lender``, ``performer`` and ``act``.

    Raises:
        LedgerError, OutputError: the row cannot be written; the cause is the refusal.
    """
    try:
        yield
    except RefusedError as error:
        Ledger(project.ledger_path, clock=clock).append("refusal", {**about, "reason": str(error)[:2000]})
        raise
