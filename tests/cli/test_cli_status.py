"""The commands of the status list, and what verify says of a render whose record was revoked since."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "consent"))

from consent_world import PASSPHRASE, World

from countenance.cli import run
from countenance.consent.keys import generate_key
from countenance.consent.record import parse_record
from countenance.consent.revoke import Revoked, revoke
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file

URI = "urn:example:status"


def now_world(folder: Path) -> World:
    world = World(folder)
    world.now = datetime.now(UTC) - timedelta(hours=2)
    return world


def test_publish_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", PASSPHRASE)
    world = now_world(tmp_path)
    root = world.project.root
    where = ["--project", str(root)]
    agency = generate_key(tmp_path / "agency.key", PASSPHRASE)
    ask = ["consent", "request", "vera", *where, "--status-uri", URI]
    assert run(ask) == 2
    assert "--status-key" in capsys.readouterr().err
    assert run([*ask, "--status-key", "short"]) == 2
    assert run([*ask, "--status-key", agency.key_id]) == 0
    request = root / "people" / "vera" / "consent-request.json"
    assert agency.key_id in request.with_suffix(".txt").read_text()
    assert run(["consent", "sign", str(request), "--key", str(world.folder / "key.pem"), "--yes"]) == 0
    capsys.readouterr()
    assert run(["consent", "status", "check", "vera", *where]) == 2
    assert "no address" in capsys.readouterr().out
    with (root / "countenance.toml").open("a") as stream:
        stream.write('status_list = "status.jws"\n')
    publish = ["consent", "status", "publish", str(root / "status.jws"), "--uri", URI, *where, "--json"]
    publish += ["--key", str(tmp_path / "agency.key")]
    assert run(publish) == 0
    assert json.loads(capsys.readouterr().out)["status"]["revoked"] == 0
    assert run(["consent", "status", "check", "vera", *where]) == 0
    assert run(["consent", "check", "vera", *where]) == 0
    assert run(["consent", "revoke", "vera", *where]) == 0
    (root / "status.jws").unlink()
    capsys.readouterr()
    assert run(publish) == 0
    assert json.loads(capsys.readouterr().out)["status"]["revoked"] == 1
    assert run(["consent", "status", "check", "vera", *where, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["status"]["revoked"] is True


def test_an_old_render_is_valid_when_made_revoked_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli_world import PERFORMERS, cut

    from countenance.provenance.verify import verify_file

    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    world = now_world(tmp_path)
    record = world.accept()
    world.later(hours=1)
    footage = cut(PERFORMERS / "test_A.mp4", tmp_path / "footage.mp4", 4)
    claim = RenderClaim(
        record_id=record.id,
        record_sha256=record.sha256,
        purpose="double",
        made_at=world.now,
        preset="swift",
        label_text="Face replaced with consent",
        watermark_id=None,
        synthetic=True,
        screens=("sexual-content", "apparent-age"),
    )
    render = tmp_path / "render.mp4"
    draft = cut(PERFORMERS / "test_A.mp4", tmp_path / "draft.mp4", 4)
    identity = SigningIdentity.load_or_create(tmp_path / "home" / "data")
    sign_file(draft, render, parent=footage, claim=claim, identity=identity)
    path = world.project.consent_path("vera")
    words = ["verify", str(render), "--record", str(path), "--no-watermark", "--json"]
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["layers"]["consent_now"]["state"] == "in_force"
    world.later(minutes=30)
    revoke(world.project, record, clock=world.clock)
    assert run(words) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert (layers["consent_then"]["state"], layers["consent_now"]["state"]) == ("in_force", "revoked")
    assert "ask whether this may still be shown" in layers["consent_now"]["sentence"]
    assert run(["verify", str(render), "--status-list", "x", "--no-watermark"]) == 2

    def told(revoked: Revoked) -> tuple[str, str]:
        result = verify_file(render, record=parse_record(path.read_bytes()), revoked=revoked, search_watermark=False)
        return result.consent.then.state, result.verdict

    assert told(Revoked(world.now, exact=False)) == ("perhaps_revoked", "holds")
    assert told(Revoked(claim.made_at - timedelta(days=1), exact=True)) == ("revoked", "unproven")
