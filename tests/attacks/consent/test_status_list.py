"""The status list under attack: whatever is not the issuer's fresh list of this record refuses."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from consent_world import World, b64, payload_of, signed_raw, unb64, with_header, with_payload
from status_world import PLACE, URI, Listed

from countenance.config import ProjectConfig
from countenance.consent.check import check_record
from countenance.consent.gate import enter_render
from countenance.consent.record import parse_record
from countenance.consent.revoke import revoke
from countenance.consent.status import (
    STATUS_TYPE,
    known_revocation,
    make_status_list,
    read_status_list,
    revoked_indices,
)
from countenance.consent.strict_json import canonical
from countenance.consent.terms import STATUS_SIZE, StatusPointer
from countenance.errors import ConsentError, InputError
from countenance.project import Project


def test_a_fresh_list_allows(listed: Listed) -> None:
    listed.world.gate()
    assert listed.world.last().facts["status"]["issued"] == "2026-03-01T12:00:00Z"
    listed.publish(3, PLACE - 1, PLACE + 1, STATUS_SIZE - 1)
    listed.world.gate()
    record = listed.world.project.consent_path("vera").read_bytes()
    assert check_record(record, project=listed.world.project, clock=listed.world.clock).good


def test_a_revoked_bit_refuses_for_good(listed: Listed) -> None:
    listed.publish(PLACE)
    listed.refused("says that it was revoked")
    kinds = listed.world.kinds()
    assert kinds.count("revocation") == 1
    listed.world.later(days=1)
    listed.publish()  # the issuer takes it back: nothing does
    listed.refused("by the status list")
    assert listed.world.kinds().count("revocation") == 1


def test_an_old_list_can_still_revoke(listed: Listed) -> None:
    listed.publish(PLACE)
    listed.world.later(days=60)
    listed.refused("says that it was revoked")


@pytest.mark.parametrize(("days", "lifetime"), [(8, 30), (3, 2), (100, 90)])
def test_stale(listed: Listed, days: int, lifetime: int) -> None:
    listed.publish(lifetime=timedelta(days=lifetime))
    listed.world.gate()
    listed.world.later(days=days)
    listed.refused("too old")
    listed.publish()
    listed.world.gate()


def test_the_project_can_ask_for_a_younger_one(listed: Listed) -> None:
    config = dataclasses.replace(listed.world.project.config, status_max_age_days=1)
    listed.world.project = Project(listed.world.project.root, config)
    listed.world.later(hours=23)
    listed.world.gate()
    listed.world.later(hours=2)
    listed.refused("too old")


def test_from_the_future(listed: Listed) -> None:
    listed.publish(clock=lambda: listed.world.now + timedelta(hours=1))
    listed.refused("still to come")


def test_replayed(listed: Listed) -> None:
    old = listed.file.read_bytes()
    listed.world.later(hours=5)
    new = listed.publish()
    listed.world.gate()
    listed.file.write_bytes(old)
    listed.refused("an old one was put back")
    listed.file.write_bytes(new)
    listed.world.gate()


def test_missing(listed: Listed) -> None:
    listed.file.unlink()
    listed.refused("is missing")
    listed.file.mkdir()
    listed.refused("is missing")


def test_of_another_issuer_or_name(listed: Listed) -> None:
    listed.publish(key=listed.world.key)
    listed.refused("signed with the key")
    listed.publish(uri="https://example.org/other.jws")
    listed.refused("is another one")


def own(listed: Listed, change: Callable[[dict[str, Any]], None], **header: Any) -> bytes:
    """A list with anything in it, under a correct signature by the issuer."""
    payload = payload_of(listed.file.read_bytes())
    change(payload)
    protected = {"alg": "EdDSA", "kid": listed.issuer.key_id, "typ": STATUS_TYPE, **header}
    return signed_raw(listed.issuer, canonical(payload), protected)


def inner(text: bytes) -> Callable[[dict[str, Any]], None]:
    return lambda payload: payload["status_list"].update(lst=b64(text))


BOMB = zlib.compress(b"\0" * 200_000_000, 9)[:40_000]
WHOLE = zlib.compress(b"\0" * (STATUS_SIZE // 8))

SIGNED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a zip bomb": inner(BOMB),
    "a byte too many": inner(zlib.compress(b"\0" * (STATUS_SIZE // 8 + 1))),
    "cut off": inner(WHOLE[:-3]),
    "bytes after the end": inner(WHOLE + b"x"),
    "no zlib": inner(b"\0" * 100),
    "empty": inner(b""),
    "too short for the place": inner(zlib.compress(b"\0" * (PLACE // 8))),
    "no base64": lambda payload: payload["status_list"].update(lst="äöü"),
    "two bits a record": lambda payload: payload["status_list"].update(bits=2),
    "true bits": lambda payload: payload["status_list"].update(bits=True),
    "no exp": lambda payload: payload.pop("exp"),
    "no ttl": lambda payload: payload.pop("ttl"),
    "for ever": lambda payload: payload.update(exp=payload["iat"] + 10**10),
    "a ttl of a year": lambda payload: payload.update(ttl=365 * 86400),
    "ended before it began": lambda payload: payload.update(exp=payload["iat"] - 1),
    "time as text": lambda payload: payload.update(iat="2026-03-01T12:00:00Z"),
    "huge time": lambda payload: payload.update(iat=1e300),
    "an unknown member": lambda payload: payload.update(crit=["x"]),
    "a number for a list": lambda payload: payload.update(status_list=3),
    "another key inside": lambda payload: payload["key"].update(x="A" * 43),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signed_by_the_issuer_and_wrong(listed: Listed, name: str) -> None:
    listed.file.write_bytes(own(listed, SIGNED[name]))
    listed.refused("The status list")


HEADERS = {
    "alg none": {"alg": "none"},
    "HMAC": {"alg": "HS256"},
    "the typ of a record": {"typ": "countenance-consent+jws"},
    "the typ of a revocation": {"typ": "countenance-revocation+jws"},
    "IETF's own typ": {"typ": "statuslist+jwt"},
    "crit": {"crit": ["exp"]},
    "a key in the header": {"jwk": {"kty": "OKP"}},
    "an address of keys": {"jku": "https://example.org/keys"},
    "a stranger's kid": {"kid": "A" * 43},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(listed: Listed, name: str) -> None:
    listed.file.write_bytes(own(listed, lambda _: None, **HEADERS[name]))
    listed.refused("The status list")


def test_alg_none_without_a_signature(listed: Listed) -> None:
    data = with_header(listed.file.read_bytes(), {"alg": "none", "kid": listed.issuer.key_id, "typ": STATUS_TYPE})
    value = json.loads(data)
    for signatures in ([], [{**value["signatures"][0], "signature": ""}], [value["signatures"][0]] * 2):
        listed.file.write_bytes(canonical({**value, "signatures": signatures}))
        listed.refused("The status list")


def test_forged_payload_under_the_old_signature(listed: Listed) -> None:
    data = listed.publish(PLACE)
    payload = payload_of(data)
    payload["status_list"]["lst"] = b64(WHOLE)
    listed.file.write_bytes(with_payload(data, payload))
    listed.refused("changed after it was signed")


def test_every_flipped_bit(listed: Listed) -> None:
    """In the file as well as in the compressed bits: nothing changed is read."""
    data = listed.publish(PLACE)
    for at in range(0, len(data), 7):
        bent = bytearray(data)
        bent[at] ^= 1 << at % 8
        with pytest.raises(ConsentError):
            read_status_list(bytes(bent), listed.pointer)
    payload = payload_of(data)
    packed = bytearray(unb64(payload["status_list"]["lst"]))
    packed[len(packed) // 2] ^= 4
    payload["status_list"]["lst"] = b64(bytes(packed))
    with pytest.raises(ConsentError):
        read_status_list(with_payload(data, payload), listed.pointer)


def test_another_spelling(listed: Listed) -> None:
    data = listed.file.read_bytes()
    listed.file.write_bytes(json.dumps(json.loads(data), indent=1).encode())
    listed.refused("reformatted")
    listed.file.write_bytes(b" " * 70_000 + data)
    listed.refused("larger than 64 KiB")


@pytest.mark.parametrize(
    ("uri", "place", "issuer"),
    [
        ("http://example.org/x", 1, "A" * 43),
        ("file:///etc/passwd", 1, "A" * 43),
        ("https://example.org/\nx", 1, "A" * 43),
        ("status.jws", 1, "A" * 43),
        (URI, -1, "A" * 43),
        (URI, STATUS_SIZE, "A" * 43),
        (URI, 1, "A" * 42),
        (URI, 1, ""),
    ],
)
def test_pointers_that_no_record_can_have(world: World, uri: str, place: int, issuer: str) -> None:
    with pytest.raises(ValueError, match="status list"):
        StatusPointer(uri, place, issuer)
    good = world.record(status=StatusPointer(URI, 1, world.key.key_id))
    payload = payload_of(good)
    payload["status"]["status_list"] = {"uri": uri, "idx": place, "issuer": issuer}
    header = {"alg": "EdDSA", "kid": world.key.key_id, "typ": "countenance-consent+jws"}
    with pytest.raises(ConsentError):
        parse_record(signed_raw(world.key, canonical(payload), header))


@pytest.mark.parametrize(
    "status", [None, {}, [], {"status_list": {}}, {"status_list": {"uri": URI, "idx": True, "issuer": "A" * 43}}]
)
def test_status_members_that_are_none(world: World, status: object) -> None:
    payload = payload_of(world.record())
    payload["status"] = status
    header = {"alg": "EdDSA", "kid": world.key.key_id, "typ": "countenance-consent+jws"}
    with pytest.raises(ConsentError):
        parse_record(signed_raw(world.key, canonical(payload), header))


def test_the_pointer_cannot_be_cut_out(listed: Listed) -> None:
    record = listed.world.project.consent_path("vera").read_bytes()
    payload = payload_of(record)
    del payload["status"]
    listed.world.place(with_payload(record, payload))
    with pytest.raises(ConsentError, match="changed after it was signed"):
        listed.world.gate()


def test_the_record_exchanged_while_the_list_is_fetched(listed: Listed) -> None:
    """The list was got for one record; another one lies there when the gate looks."""
    other = listed.world.record(status=dataclasses.replace(listed.pointer, index=5))

    def fetch(where: str) -> bytes:
        listed.world.place(other)
        return Path(where).read_bytes()

    with pytest.raises(ConsentError, match="exchanged while"):
        listed.world.gate(fetch=fetch)


def test_a_record_without_a_list_needs_none(world: World) -> None:
    world.accept()

    def never(_: str) -> bytes:
        raise AssertionError

    world.gate(fetch=never)
    assert "status" not in payload_of(world.record())


def test_revoked_while_a_render_runs(listed: Listed) -> None:
    """The render is not entered, so it never appears."""
    world = listed.world
    permit = world.gate(act="swap")
    row = {"render_sha256": "ab" * 32}
    enter_render(world.project, permit, row, clock=world.clock)
    assert world.last().kind == "render"
    world.later(hours=1)
    listed.publish(PLACE)
    with pytest.raises(ConsentError, match="says that it was revoked"):
        enter_render(world.project, permit, row, clock=world.clock)
    assert world.kinds()[-2:] == ["revocation", "refusal"]
    assert world.kinds().count("render") == 1


def test_revoked_by_word_or_exchanged_while_a_render_runs(world: World) -> None:
    record = world.accept()
    permit = world.gate(act="swap")
    world.place(world.record())
    with pytest.raises(ConsentError, match="exchanged"):
        enter_render(world.project, permit, {}, clock=world.clock)
    world.place(record.data)
    revoke(world.project, record, clock=world.clock)
    with pytest.raises(ConsentError, match="It was revoked"):
        enter_render(world.project, permit, {}, clock=world.clock)
    assert "render" not in world.kinds()


def test_revocations_and_renders_race(world: World) -> None:
    record = world.accept()
    permit = world.gate(act="swap")
    failed = []

    def renders() -> None:
        for _ in range(12):
            try:
                enter_render(world.project, permit, {}, clock=world.clock)
            except ConsentError:
                failed.append(1)

    threads = [threading.Thread(target=renders) for _ in range(2)]
    for thread in threads:
        thread.start()
    revoke(world.project, record, clock=world.clock)
    for thread in threads:
        thread.join()
    kinds = world.kinds()
    assert kinds.count("render") + len(failed) == 24
    assert "render" not in kinds[kinds.index("revocation") :]
    world.ledger.verify()


def test_publishing_goes_on_from_the_list_before(listed: Listed) -> None:
    world = listed.world
    record = parse_record(world.project.consent_path("vera").read_bytes())
    revoke(world.project, record, clock=world.clock)
    places = revoked_indices(world.ledger.entries(), listed.issuer.key_id, URI)
    assert places == {PLACE}
    assert revoked_indices(world.ledger.entries(), "A" * 43, URI) == set()
    before = read_status_list(listed.publish(8, 9), listed.pointer)
    with pytest.raises(ConsentError, match="Check the clock"):
        listed.publish(previous=before)
    world.later(seconds=1)
    after = read_status_list(listed.publish(*places, previous=before), listed.pointer)
    assert [place for place in (7, 8, 9, PLACE) if after.revoked(place)] == [8, 9, PLACE]
    for place in (-1, STATUS_SIZE):
        with pytest.raises(ConsentError, match="no place"):
            after.revoked(place)
        with pytest.raises(InputError, match="no place"):
            listed.publish(place)
    with pytest.raises(ConsentError, match="another issuer"):
        make_status_list([], world.key, URI, previous=after, clock=world.clock)
    with pytest.raises(InputError, match="90 days"):
        listed.publish(lifetime=timedelta(days=91))


def test_ten_thousand_revoked_fit_and_more_are_refused(listed: Listed) -> None:
    places = random.Random(1).sample(range(STATUS_SIZE), 10_000)
    found = read_status_list(listed.publish(*places), listed.pointer)
    assert all(found.revoked(place) for place in places)
    with pytest.raises(InputError, match="64 KiB"):
        listed.publish(*random.Random(2).sample(range(STATUS_SIZE), 60_000))


def test_an_old_render_is_told_when_it_was_revoked(listed: Listed, tmp_path: Path) -> None:
    world = listed.world
    path = world.project.consent_path("vera")
    record = parse_record(path.read_bytes())
    assert known_revocation(record, path, listed.file) is None
    listed.publish(PLACE)
    away = tmp_path / "elsewhere.json"
    away.write_bytes(record.data)
    told = known_revocation(record, away, listed.file)
    assert told is not None
    assert (told.time, told.exact) == (world.now, False)
    assert known_revocation(record, away) is None
    world.later(hours=3)
    revoke(world.project, record, clock=world.clock)
    told = known_revocation(record, path)
    assert told is not None
    assert (told.time, told.exact) == (world.now, True)
    listed.file.write_bytes(b"{}")
    with pytest.raises(ConsentError, match="status list"):
        known_revocation(record, away, listed.file)


def test_settings(world: World) -> None:
    with pytest.raises(InputError, match="https"):
        ProjectConfig(title="F", status_list="http://example.org/status.jws")
    for days in (0, 91, True, "7"):
        with pytest.raises(InputError, match="whole number"):
            ProjectConfig(title="F", status_max_age_days=days)
