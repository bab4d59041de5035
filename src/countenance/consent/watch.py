"""Long work asks again and again whether the consent that it rests on still holds."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from countenance.consent.clock import Clock, utc_now
from countenance.consent.gate import LookedUp, Permit, look_up_status, still_in_force
from countenance.consent.status import Fetch, fetch_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.consent.status import Evidence
    from countenance.project import Project

__all__ = ["ConsentWatch"]

_LOOK_UP = timedelta(minutes=10)


class ConsentWatch:
    """Asks the ledger each time, and the status list's address every ten minutes.

    Where a list cannot be got, the last one that could counts on, until the project's ``status_max_age_days`` refuses
    it: a network that is down for a while must not end a night's training.

    Args:
        project: where the work is done.
        permit: what the gate gave when it began.
        stopped: the sentence that a refusal begins with.
        clock: gives the present.
        fetch: gets the status list, where the record names one.
    """

    def __init__(
        self, project: Project, permit: Permit, stopped: str, *, clock: Clock = utc_now, fetch: Fetch = fetch_status
    ) -> None:
        self._project, self._permit, self._stopped = project, permit, stopped
        self._clock, self._fetch = clock, fetch
        self._evidence = look_up_status(project, permit.lender, permit.performer, fetch)
        self._whose = (project, permit.lender, permit.performer)
        self._looked_up = clock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """A block that is entered only while consent holds; nobody can take it back before its end.

        Raises:
            ConsentError: it does not hold any more; the refusal is in the ledger.
            LedgerError, OutputError: the ledger was tampered with, or cannot be written.
        """
        now = self._clock()
        if now - self._looked_up >= _LOOK_UP:
            old, new = self._evidence, look_up_status(*self._whose, self._fetch)
            self._evidence = LookedUp(_better(old.lender, new.lender), _better(old.performer, new.performer))
            self._looked_up = now
        with still_in_force(
            self._project, self._permit, self._evidence, clock=self._clock, at="work", stopped=self._stopped
        ):
            yield


def _better(old: Evidence, new: Evidence) -> Evidence:
    return new if new.problem is None or old.data is None else old
