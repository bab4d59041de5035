"""Consent that is taken back while work goes on: trainings and previews ask again and again."""

from __future__ import annotations

import pytest
from consent_world import World
from status_world import PLACE, Listed

from countenance.consent.watch import ConsentWatch
from countenance.errors import ConsentError

STOPPED = "The training was stopped."


def _watch(world: World) -> ConsentWatch:
    return ConsentWatch(world.project, world.gate(), STOPPED, clock=world.clock)


def _holds(watch: ConsentWatch) -> bool:
    with watch():
        return True


def test_revoked_by_word(world: World) -> None:
    record = world.accept()
    watch = _watch(world)
    assert _holds(watch)
    world.ledger.append("revocation", {"lender": "vera", "record_id": record.id, "record_sha256": record.sha256})
    with pytest.raises(ConsentError, match=r"^The training was stopped\. The consent record of vera does not cover"):
        _holds(watch)
    assert world.last().kind == "refusal"
    assert world.last().facts["at"] == "work"


@pytest.mark.parametrize("person", ["vera", "ivan"])
def test_forgotten(person: str, world: World) -> None:
    """From the moment on that their files are listed, before the first one is gone."""
    world.ledger.append("destruction", {"person": person, "stage": "done", "files": 0})  # before the record
    world.accept()
    watch = _watch(world)
    assert _holds(watch)
    world.ledger.append("destruction", {"person": "somebody else", "stage": "listed", "files": []})
    assert _holds(watch)
    world.ledger.append("destruction", {"person": person, "stage": "listed", "files": []})
    with pytest.raises(ConsentError, match=f"Everything of {person} is being destroyed"):
        _holds(watch)


@pytest.mark.parametrize("how", ["gone", "exchanged", "ended"])
def test_a_record_that_is_not_there_any_more(how: str, world: World) -> None:
    world.accept()
    watch = _watch(world)
    if how == "gone":
        world.project.consent_path("vera").unlink()
    elif how == "exchanged":
        world.place(world.record())
    else:
        world.later(days=4000)
    with pytest.raises(ConsentError, match="The training was stopped"):
        _holds(watch)


def test_nobody_revokes_while_something_is_saved(world: World) -> None:
    """The block holds the ledger, so a revocation, or a destruction, comes before it or after."""
    world.accept()
    with _watch(world)():
        rows = len(world.ledger.entries())
        import sqlite3

        with sqlite3.connect(world.project.ledger_path, timeout=0.05) as other, pytest.raises(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
    assert len(world.ledger.entries()) == rows


def test_the_list_is_looked_up_again(listed: Listed) -> None:
    world = listed.world
    watch = _watch(world)
    listed.publish(PLACE)
    world.later(minutes=5)
    assert _holds(watch)  # not yet
    world.later(minutes=5)
    with pytest.raises(ConsentError, match="says that it was revoked"):
        _holds(watch)
    assert world.kinds()[-2:] == ["revocation", "refusal"]


def test_a_list_that_cannot_be_had_for_a_while_ends_nothing_but_for_long_does(listed: Listed) -> None:
    world = listed.world
    watch = _watch(world)
    listed.file.unlink()
    world.later(hours=5)
    assert _holds(watch)
    world.later(days=world.project.config.status_max_age_days + 1)
    with pytest.raises(ConsentError):
        _holds(watch)
