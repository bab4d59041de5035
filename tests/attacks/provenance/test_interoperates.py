"""Our files in the reference reader alone, and files of others in our verification."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import c2pa
import pytest
from forge import Authority
from PIL import Image
from tamper_world import World, picture

from countenance.provenance.verify import verify_file

KINDS = {"f.mp4": "video/mp4", "f.png": "image/png", "f.jpg": "image/jpeg", "f.mkv": "video/x-matroska"}


def reference(name: str, data: bytes, beside: bytes | None, trusted_pem: str) -> tuple[str, Any]:
    """State and failures by c2pa-python with nothing but a trust anchor, as anybody else would use it."""
    with c2pa.Context.from_dict({"trust": {"trust_anchors": trusted_pem}} if trusted_pem else {}) as settings:  # noqa: SIM117
        with c2pa.Reader(KINDS[name], io.BytesIO(data), beside, context=settings) as reader:
            results = json.loads(reader.json())["validation_results"]["activeManifest"]
            return reader.get_validation_state(), [entry["code"] for entry in results["failure"]]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("known", [True, False])
def test_the_reference_reader_says_the_same(name: str, known: bool, world: World, tmp_path: Path) -> None:
    data = {"f.mp4": world.mp4, "f.png": world.png, "f.jpg": world.jpg, "f.mkv": world.mkv}[name]
    beside = world.sidecar if name == "f.mkv" else None
    anchors = world.identity.authority_pem if known else ""
    for broken in (False, True):
        if broken:
            data = data[:-30] + bytes([data[-30] ^ 1]) + data[-29:]
        (tmp_path / name).write_bytes(data)
        if beside is not None:
            (tmp_path / "f.c2pa").write_bytes(beside)
        ours = verify_file(tmp_path / name, trusted_pem=anchors, time_pem="", search_watermark=False)
        state, failures = reference(name, data, beside, anchors)
        assert sorted(ours.codes) == sorted(set(failures))
        assert state == ("Invalid" if broken else "Trusted" if known else "Valid")
        assert ours.verdict == ("broken" if broken else "holds" if known else "unproven")


def theirs(by: Authority, assertions: list[dict[str, Any]], **more: Any) -> bytes:
    """A PNG as another program signs it: its own name, its own words, a thumbnail too."""
    plain, signed = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(3)).save(plain, "PNG")
    plain.seek(0)
    definition = {
        "claim_generator_info": [{"name": "Somebody's Camera", "version": "7"}],
        "format": "image/png",
        "assertions": assertions,
        **more,
    }
    identity = by.identity()
    with (
        c2pa.Context.from_dict({}) as settings,
        c2pa.Builder(definition, settings) as builder,
        identity.signer() as signer,
    ):
        builder.sign(signer, "image/png", plain, signed)
    return signed.getvalue()


CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
}
STRANGE: list[dict[str, Any]] = [
    {"label": "c2pa.actions.v2", "data": {"actions": [CREATED, {"action": "com.example.sprinkled", "parameters": {}}]}},
    {"label": "com.example.whatever", "data": {"deep": [[[[{"a": None}]]]], "n": 1e300}},
    {"label": "org.countenance.consent", "data": {"schema": 99, "record_id": "urn:uuid:0"}},
    {"label": "org.countenance.consent", "data": {"schema": 1, "record_id": ["not", "a", "text"], "screens": 5}},
]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("known", [True, False])
def test_what_others_sign_is_intact_and_no_statement_of_ours(count: int, known: bool, tmp_path: Path) -> None:
    by = Authority(authority_name="Camera maker")
    (tmp_path / "f.png").write_bytes(theirs(by, STRANGE[: count if count != 4 else 1] + STRANGE[3 : 4 * (count == 4)]))
    anchors = by.identity().authority_pem if known else ""
    result = verify_file(tmp_path / "f.png", trusted_pem=anchors, time_pem="", search_watermark=False)
    layers = {name: finding.state for name, finding in result.layers.items()}
    assert (layers["integrity"], layers["signature"]) == ("intact", "valid")
    assert layers["trust"] == ("trusted" if known else "unknown_signer")
    assert (layers["time"], layers["consent_then"], layers["screens"]) == ("untold", "absent", "absent")
    assert (result.verdict, result.claim) == ("unproven", None)
    json.loads(result.to_json())


def test_footage_of_a_camera_with_credentials_is_told_and_left_out(world: World, tmp_path: Path) -> None:
    """The thumbnail in a camera's credentials shows the very face that is hidden."""
    by = Authority(authority_name="Camera maker")
    footage = tmp_path / "footage.png"
    footage.write_bytes(theirs(by, STRANGE[:1]))
    held = footage.read_bytes()
    assert b"thumbnail" in held
    final = world.signed("of-camera.mp4", 60, parent=footage)
    told = verify_file(final, trusted_pem=world.identity.authority_pem, time_pem="", search_watermark=False)
    assert (told.parents.state, told.verdict) == ("withheld", "holds")
    assert b"thumbnail" not in final.read_bytes()
    assert b"Camera" not in final.read_bytes()


def test_a_component_that_was_changed_shows_as_well_as_a_parent(world: World, tmp_path: Path) -> None:
    """Ingredients of others are walked whatever their relation is."""
    changed = world.png[:-20] + bytes([world.png[-20] ^ 1]) + world.png[-19:]
    plain, signed = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(3)).save(plain, "PNG")
    definition = {"format": "image/png", "assertions": STRANGE[:1], "claim_generator_info": [{"name": "Editor"}]}
    for data, state in ((world.png, "intact"), (changed, "broken")):
        plain.seek(0)
        with c2pa.Context.from_dict({}) as settings, c2pa.Builder(definition, settings) as builder:
            component = {"title": "Layer", "relationship": "componentOf"}
            builder.add_ingredient(component, "image/png", io.BytesIO(data))
            with world.identity.signer() as signer:
                builder.sign(signer, "image/png", plain, signed)
        (tmp_path / "f.png").write_bytes(signed.getvalue())
        result = verify_file(
            tmp_path / "f.png", trusted_pem=world.identity.authority_pem, time_pem="", search_watermark=False
        )
        assert (result.integrity.state, result.parents.state) == ("intact", state)
        signed.seek(0)
        signed.truncate()
