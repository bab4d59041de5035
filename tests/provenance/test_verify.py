from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from countenance.consent.revoke import Revoked
from countenance.errors import MarkError, MediaError
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.report import EXIT_CODES, VERDICTS, Verification
from countenance.provenance.sentences import SENTENCES
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark import Watermarker

MADE_AT = datetime(2026, 5, 17, 12, 30, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Record:
    sha256: str = "9f" * 32
    not_before: datetime = MADE_AT - timedelta(days=10)
    expires: datetime = MADE_AT + timedelta(days=10)


@pytest.fixture
def verify(identity: SigningIdentity) -> Callable[..., Verification]:
    def run(path: Path, **settings: object) -> Verification:
        settings.setdefault("search_watermark", False)
        settings.setdefault("trusted_pem", identity.authority_pem)
        return verify_file(path, **settings)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def watermarked(swap: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames with the watermark that the claim states."""
    path = tmp_path_factory.mktemp("watermarked") / "w.mp4"
    marker = Watermarker(b"\x10\x20\x30\x40\x50", (320, 320))
    with av.open(str(swap)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        for _, frame in zip(range(30), source.decode(video=0), strict=False):
            rgb = marker(frame.to_ndarray(format="rgb24"))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode())
    return path


def states(result: Verification) -> dict[str, str]:
    return {name: finding.state for name, finding in result.layers.items()}


class TestSigned:
    def test_every_layer(self, verify: Callable[..., Verification], sign, watermarked: Path, tmp_path: Path) -> None:
        result = verify(sign(tmp_path / "f.mp4", unsigned=watermarked), search_watermark=True)
        assert states(result) == {
            "integrity": "intact",
            "signature": "valid",
            "trust": "trusted",
            "time": "stated",
            "parents": "none",
            "label": "claimed",
            "watermark": "matches",
            "consent_then": "named",
            "consent_now": "unknown",
            "screens": "claimed",
        }
        assert (result.verdict, result.exit_code, result.codes) == ("holds", 0, ())
        assert "Countenance local signer" in result.trust.sentence
        assert "Face replaced with consent" in result.marks.label.sentence

    def test_own_installation_is_trusted_by_default(
        self, signed: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
        assert verify_file(signed, search_watermark=False).trust.state == "trusted"

    def test_another_installation_is_unknown_but_intact(
        self, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path))
        for prepare in (lambda: None, lambda: SigningIdentity.load_or_create(tmp_path / "data")):
            prepare()
            result = verify_file(signed, search_watermark=False)
            assert (result.integrity.state, result.trust.state) == ("intact", "unknown_signer")
            assert (result.verdict, result.exit_code) == ("unproven", 1)
            assert result.claim is not None

    def test_damaged_own_authority_is_a_sentence(
        self, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path))
        SigningIdentity.load_or_create(tmp_path / "data")
        (tmp_path / "data" / "identity" / "authority.crt").write_text("x")
        with pytest.raises(MarkError, match="not a readable certificate"):
            verify_file(signed)

    def test_renamed_without_its_suffix(self, verify, signed: Path, tmp_path: Path) -> None:
        shutil.copy(signed, tmp_path / "download.bin")
        assert verify(tmp_path / "download.bin").verdict == "holds"

    def test_label_left_out(self, verify, sign, claim: RenderClaim, tmp_path: Path) -> None:
        final = sign(tmp_path / "f.mp4", states=dataclasses.replace(claim, label_text=None))
        assert verify(final).marks.label.state == "left_out"


class TestWatermark:
    def test_stated_but_not_found(self, verify, signed: Path) -> None:
        result = verify(signed, search_watermark=True)
        assert result.marks.watermark.state == "missing"
        assert result.verdict == "holds"  # the bytes are the signed ones: it was too weak from the start

    def test_of_another_render(self, verify, sign, claim: RenderClaim, watermarked: Path, tmp_path: Path) -> None:
        other = dataclasses.replace(claim, watermark_id=b"other")
        result = verify(sign(tmp_path / "f.mp4", unsigned=watermarked, states=other), search_watermark=True)
        assert result.marks.watermark.state == "differs"
        assert result.verdict == "unproven"

    def test_traces_a_copy_without_credentials(self, verify, watermarked: Path) -> None:
        result = verify(watermarked, search_watermark=True)
        assert (result.integrity.state, result.marks.watermark.state) == ("absent", "found")
        assert "1020304050" in result.marks.watermark.sentence
        assert result.verdict == "unproven"

    def test_unmarked_footage(self, verify, footage: Path) -> None:
        result = verify(footage, search_watermark=True)
        assert set(states(result).values()) == {"absent"}
        assert (result.verdict, result.exit_code) == ("unproven", 1)


class TestConsent:
    NOW = MADE_AT + timedelta(days=1)

    @pytest.mark.parametrize(
        ("record", "now", "then", "today", "verdict"),
        [
            (Record(), NOW, "in_force", "in_force", "holds"),
            (Record(), MADE_AT + timedelta(days=11), "in_force", "expired", "holds"),
            (Record(not_before=MADE_AT + timedelta(hours=1)), NOW, "not_in_force", "in_force", "unproven"),
            (Record(not_before=MADE_AT + timedelta(days=2)), NOW, "not_in_force", "not_yet", "unproven"),
            (Record(expires=MADE_AT), NOW, "not_in_force", "expired", "unproven"),
            (Record(sha256="0" * 64), NOW, "other_record", "other_record", "unproven"),
        ],
    )
    def test_with_the_record_at_hand(
        self, verify, signed: Path, record: Record, now: datetime, then: str, today: str, verdict: str
    ) -> None:
        result = verify(signed, record=record, clock=lambda: now)
        assert (result.consent.then.state, result.consent.now.state, result.verdict) == (then, today, verdict)

    @pytest.mark.parametrize(
        ("days", "exact", "then", "today", "verdict"),
        [
            (+0.5, True, "in_force", "revoked", "holds"),
            (+0.5, False, "perhaps_revoked", "revoked_some_time", "holds"),
            (-0.5, True, "revoked", "revoked", "unproven"),
            (-0.5, False, "revoked", "revoked_some_time", "unproven"),
        ],
    )
    def test_revoked(self, verify, signed: Path, days: float, exact: bool, then: str, today: str, verdict: str) -> None:
        revoked = Revoked(MADE_AT + timedelta(days=days), exact)
        result = verify(signed, record=Record(), revoked=revoked, clock=lambda: self.NOW)
        assert (result.consent.then.state, result.consent.now.state, result.verdict) == (then, today, verdict)

    def test_another_scope(self, verify, sign, claim: RenderClaim, tmp_path: Path) -> None:
        stated = dataclasses.replace(claim, scope_sha256="5c" * 32)
        path = sign(tmp_path / "f.mp4", states=stated)
        same = verify(path, record=Record(), scope_sha256="5c" * 32, clock=lambda: self.NOW)
        assert (same.consent.then.state, same.verdict) == ("in_force", "holds")
        assert same.to_dict()["claim"]["scope_sha256"] == "5c" * 32
        other = verify(path, record=Record(), scope_sha256="5d" * 32, clock=lambda: self.NOW)
        assert (other.consent.then.state, other.verdict) == ("other_scope", "unproven")

    def test_a_record_proves_nothing_for_an_unmarked_file(self, verify, footage: Path) -> None:
        assert verify(footage, record=Record()).consent.then.state == "absent"


class TestFootage:
    def test_withheld(self, verify, sign, signed: Path, tmp_path: Path) -> None:
        result = verify(sign(tmp_path / "f.mp4", parent=signed))
        assert (result.parents.state, result.verdict) == ("withheld", "holds")

    def test_disclosed(self, verify, sign, signed: Path, claim: RenderClaim, tmp_path: Path) -> None:
        shown = dataclasses.replace(claim, disclose_footage=True)
        child = sign(tmp_path / "child.mp4", parent=signed, states=shown)
        assert verify(child).parents.state == "intact"
        grandchild = sign(tmp_path / "grandchild.mp4", parent=child, states=shown)
        assert (verify(grandchild).parents.state, verify(grandchild).verdict) == ("intact", "holds")

    @pytest.mark.parametrize("suffix", [".mkv", ".webm"])
    def test_disclosed_beside_it(self, verify, sign, signed: Path, claim: RenderClaim, tmp_path: Path, suffix) -> None:
        shown = dataclasses.replace(claim, disclose_footage=True)
        child = sign(tmp_path / f"child{suffix}", parent=signed, states=shown)
        grandchild = sign(tmp_path / "grandchild.mp4", parent=child, states=shown)
        assert (verify(grandchild).parents.state, verify(grandchild).verdict) == ("intact", "holds")
        with child.open("ab") as stream:
            stream.write(b"\xec\x80")
        late = sign(tmp_path / "late.mp4", parent=child, states=shown)
        assert (verify(late).parents.state, verify(late).verdict) == ("broken", "unproven")

    def test_changed_footage_does_not_hide_behind_its_child(
        self, verify, sign, signed: Path, claim: RenderClaim, tmp_path: Path
    ) -> None:
        changed = bytearray(signed.read_bytes())
        changed[-1000] ^= 1
        parent = tmp_path / "changed.mp4"
        parent.write_bytes(changed)
        shown = dataclasses.replace(claim, disclose_footage=True)
        child = sign(tmp_path / "child.mp4", parent=parent, states=shown)
        grandchild = sign(tmp_path / "grandchild.mp4", parent=child, states=shown)
        for path in (child, grandchild):
            result = verify(path)
            assert (result.integrity.state, result.parents.state, result.verdict) == ("intact", "broken", "unproven")
        hidden = verify(sign(tmp_path / "hidden.mp4", parent=parent))
        assert (hidden.parents.state, hidden.verdict) == ("withheld_broken", "unproven")


class TestReport:
    def test_json_and_text_say_the_same(self, verify, signed: Path) -> None:
        result = verify(signed)
        data = json.loads(result.to_json())
        assert data["schema"] == 2
        assert data["file"] == signed.name
        assert data["verdict"] == result.verdict
        assert data["claim"]["watermark"] == "1020304050"
        assert list(data["layers"]) == [*result.layers]
        for layer in data["layers"].values():
            assert layer["sentence"] in result.to_text()
        assert VERDICTS[result.verdict] in result.to_text()

    def test_unmarked_has_no_claim(self, verify, footage: Path) -> None:
        assert verify(footage).to_dict()["claim"] is None

    def test_exit_codes_leave_2_to_errors(self) -> None:
        assert EXIT_CODES == {"holds": 0, "unproven": 1, "broken": 3}

    def test_every_good_answer_says_what_it_does_not_mean(self) -> None:
        for layer, state in [
            ("integrity", "intact"),
            ("trust", "trusted"),
            ("integrity", "absent"),
            ("time", "stamped"),
        ]:
            assert "does not" in SENTENCES[layer][state] or "it does not say" in SENTENCES[layer][state]
        assert "does not make the scene" in VERDICTS["holds"]
        assert "does not mean that the file is genuine" in VERDICTS["unproven"]


@pytest.mark.parametrize("name", ["gone.mp4", "."])
def test_no_such_file(verify, tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="no file"):
        verify(tmp_path / name)


def test_traces_of_a_watermark_are_told(verify, footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.provenance import watermark

    weak = watermark.WatermarkFinding(None, 9.0, "")
    monkeypatch.setattr(watermark, "find_watermark", lambda _frames, _secret: weak)
    result = verify(footage, search_watermark=True)
    assert (result.marks.watermark.state, result.verdict) == ("traces", "unproven")
