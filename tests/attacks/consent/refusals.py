"""What every refusal must look like."""

import pytest
from consent_world import World

from countenance.consent.record import parse_record
from countenance.errors import ConsentError


def refused(world: World, data: bytes, says: str) -> None:
    """Neither the reader nor the gate takes it, and the gate keeps the refusal."""
    with pytest.raises(ConsentError) as caught:
        parse_record(data)
    assert says in str(caught.value)
    world.place(data)
    with pytest.raises(ConsentError):
        world.gate()
    assert world.last().kind == "refusal"
