"""A lender whose record names a status list."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from consent_world import World

from countenance.consent.check import check_record
from countenance.consent.keys import SigningKey
from countenance.consent.status import make_status_list
from countenance.consent.terms import StatusPointer
from countenance.errors import ConsentError

URI = "https://example.org/status.jws"
PLACE = 700_001


@dataclasses.dataclass
class Listed:
    """A world whose lender's record names a list, the list's issuer, and the file that the project takes it from."""

    world: World
    issuer: SigningKey
    file: Path
    pointer: StatusPointer

    def publish(self, *places: int, **options: Any) -> bytes:
        given = {"key": self.issuer, "uri": URI, "clock": self.world.clock, **options}
        data = make_status_list(places, given.pop("key"), given.pop("uri"), **given)
        self.file.write_bytes(data)
        return data

    def refused(self, says: str) -> None:
        """Both the gate and the check say so, and the gate keeps it."""
        with pytest.raises(ConsentError) as caught:
            self.world.gate()
        assert says in str(caught.value)
        assert self.world.last().kind == "refusal"
        record = self.world.project.consent_path("vera").read_bytes()
        assert says in " ".join(check_record(record, project=self.world.project, clock=self.world.clock).problems)
