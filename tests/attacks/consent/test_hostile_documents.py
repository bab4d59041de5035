"""Documents that are none, that are ambiguous, or that ask for what nobody may: each is refused in words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from consent_world import (
    World,
    b64,
    header_of,
    payload_of,
    signed_raw,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refused

from countenance.consent.record import parse_record, sign_request
from countenance.consent.strict_json import SIZE_LIMIT, canonical
from countenance.consent.template import enrol
from countenance.errors import ConsentError

# Documents against the reader.


def test_duplicate_keys_in_the_document(world: World) -> None:
    value = json.loads(world.record())
    evil = b64(canonical({**payload_of(world.record()), "label_required": False}))
    text = canonical(value).decode()
    refused(world, (text[:-1] + f',"payload":"{evil}"}}').encode(), "given twice")


def test_duplicate_keys_in_a_signed_payload(world: World) -> None:
    text = canonical(payload_of(world.record())).decode()
    doubled = text[:-1] + ',"label_required":false}'
    refused(world, signed_raw(world.key, doubled.encode(), header_of(world.key)), "given twice")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"payload":NaN,"signatures":[]}',
        b'{"payload":1e999,"signatures":[]}',
        b'{"payload":' + b"9" * 5000 + b',"signatures":[]}',
        b'{"payload":"\\ud800","signatures":[]}',
        b'{"payload":"","signatures":[{}]}',
        b'{"payload":"","signatures":[[]]}',
        b'{"payload":"","signatures":{}}',
        b'{"payload":"e30","signatures":[{"protected":"e30","signature":1}]}',
        b'{"payload":"\xc3\xa9","signatures":[{"protected":"e30","signature":"e30"}]}',
    ],
    ids=lambda data: data[:24].decode("latin-1"),
)
def test_documents_that_are_none(world: World, data: bytes) -> None:
    refused(world, data, "The consent record")


def test_an_oversized_record(world: World) -> None:
    data = world.record()
    padded = data[:-1] + b" " * SIZE_LIMIT + b"}"
    with pytest.raises(ConsentError, match="larger than 64 KiB"):
        parse_record(padded)
    world.place(padded)
    with pytest.raises(ConsentError, match="larger than 64 KiB"):
        world.gate()


def test_a_very_large_file_is_not_read_whole(world: World) -> None:
    path = world.project.consent_path("vera")
    with path.open("wb") as stream:
        stream.truncate(8 * 1024**3)  # sparse
    with pytest.raises(ConsentError, match="larger than 64 KiB"):
        world.gate()


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_any_member_is_refused_in_words(world: World, data: st.DataObject) -> None:
    """Whatever stands in a signed payload, the reader answers with a record or a ConsentError, nothing else."""
    good = _GOOD.setdefault(str(world.folder), payload_of(world.record()))
    payload = copy.deepcopy(good)
    place = payload
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        place = place[key]
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    value = data.draw(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
    place[key] = value
    try:
        raw = canonical(payload)
    except UnicodeEncodeError:
        return
    try:
        record = parse_record(signed_raw(world.key, raw, header_of(world.key)))
    except ConsentError as error:
        assert str(error).endswith(".")
    else:
        assert record.face.apparent_age >= 18


_GOOD: dict[str, dict[str, Any]] = {}


# Requests.


def test_a_request_whose_page_says_something_else(world: World) -> None:
    request = world.request()
    request["statement"]["text"] = request["statement"]["text"].replace("Welcome", "A birthday video")
    with pytest.raises(ConsentError, match="does not say what its terms say"):
        sign_request(request, world.key, world.template, clock=world.clock)


def test_a_request_whose_terms_were_widened(world: World) -> None:
    request = world.request()
    request["terms"]["scope"]["derive"] = True
    with pytest.raises(ConsentError, match="does not say what its terms say"):
        sign_request(request, world.key, world.template, clock=world.clock)


@pytest.mark.parametrize("change", [{"sexual": True}, {"minors": "16 and over"}, {"purposes": ["porn"]}])
def test_a_request_that_asks_for_what_nobody_may(world: World, change: dict[str, Any]) -> None:
    request = world.request()
    request["terms"]["scope"].update(change)
    with pytest.raises(ConsentError, match="not valid"):
        sign_request(request, world.key, world.template, clock=world.clock)


def test_a_request_for_a_minor(world: World) -> None:
    request = world.request()
    request["terms"]["face"]["apparent_age"] = 15
    with pytest.raises(ConsentError, match="under age"):
        sign_request(request, world.key, clock=world.clock)


@pytest.mark.parametrize("drop", ["terms", "statement", "format"])
def test_a_request_with_a_part_missing(world: World, drop: str) -> None:
    request = world.request()
    del request[drop]
    with pytest.raises(ConsentError, match="not valid"):
        sign_request(request, world.key, world.template, clock=world.clock)


def test_a_request_with_anothers_face_slipped_in(world: World) -> None:
    request = world.request()
    request["terms"]["face"]["template_sha256"] = enrol(world.faces(seed=70), [30.0]).sha256()
    with pytest.raises(ConsentError, match="another face"):
        sign_request(request, world.key, world.template, clock=world.clock)
