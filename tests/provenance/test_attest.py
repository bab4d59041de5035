from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attest_world import ACCOUNT, RESOURCES, redraw, repack, sound_file

from countenance import api
from countenance.digest import file_sha256
from countenance.errors import InputError, MarkError, MediaError, OutputError
from countenance.project import user_data_dir
from countenance.provenance import credentials, watermark
from countenance.provenance.account import ACCOUNT_LIMIT, shown, written_account
from countenance.provenance.attest import Attested, attest_file
from countenance.provenance.attestation import beside_original
from countenance.provenance.fingerprint import measure
from countenance.provenance.identities import NamedIdentity, new_identity
from countenance.provenance.identity import SigningIdentity, local_authority_pem, watermark_secret
from countenance.provenance.report import Verification
from countenance.provenance.verify import verify_file

Verify = Callable[..., Verification]


@pytest.fixture
def verify(ida_signs: SigningIdentity) -> Verify:
    def run(path: Path, *, original: Path | None = None, trusted_pem: str = ida_signs.authority_pem) -> Verification:
        result = verify_file(path, trusted_pem=trusted_pem)
        if original is None:
            return result
        return beside_original(result, verify_file(original, trusted_pem=trusted_pem, search_watermark=False))

    return run


def state(result: Verification) -> tuple[str, str]:
    assert result.attestation is not None
    return result.attestation.finding.state, result.verdict


class TestAttested:
    def test_verification_shows_account_signer_and_time(self, verify: Verify, attested: Attested) -> None:
        result = verify(attested.output)
        assert (state(result), result.exit_code) == (("stands", "holds"), 0)
        text = result.to_text()
        assert "Ida Holm" in result.layers["account"].sentence
        assert f"{attested.account.made_at:%Y-%m-%d %H:%M}" in text
        assert "does not say that the account is true" in text
        assert "no program can prove it" in result.summary
        assert "  | I stood at the window of the *Hotel Astoria*.\n  | The shots came" in text
        told = json.loads(result.to_json())["account"]
        assert (told["text"], told["state"]) == (ACCOUNT, "stands")

    def test_the_recording_stays_and_the_copy_shows_the_same(self, attested: Attested) -> None:
        source = RESOURCES / "two_sounds.mp4"
        assert attested.account.recording_sha256 == file_sha256(source)
        assert measure(attested.output) == measure(source) == attested.account.tracks
        assert [track.kind for track in attested.account.tracks] == ["picture", "sound", "sound"]

    def test_a_stranger_is_told_as_one(self, verify: Verify, attested: Attested) -> None:
        result = verify(attested.output, trusted_pem="")
        assert (state(result), result.exit_code) == (("stands", "unproven"), 1)
        assert result.trust.state == "unknown_signer"

    def test_own_people_are_trusted_here(
        self, ida: NamedIdentity, attested: Attested, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
        assert verify_file(attested.output, search_watermark=False).verdict == "holds"
        assert ida.authority.read_text() in local_authority_pem(data_dir)

    def test_no_name_path_or_thumbnail_in_the_credentials(self, attested: Attested) -> None:
        data = attested.output.read_bytes()
        assert b"two_sounds" not in data
        assert str(attested.output.parent).encode() not in data
        assert b"thumbnail" not in data

    @pytest.mark.parametrize("name", ["photo_turned.jpg", "camera.avi", "turned_270.mov"])
    def test_other_kinds(self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path, name: str) -> None:
        done = attest_file(RESOURCES / name, ACCOUNT, tmp_path / name, ida_signs)
        assert state(verify(done.output)) == ("stands", "holds")

    @pytest.mark.parametrize("name", ["odd_size.webm", "ntsc_2997.mkv"])
    def test_credentials_beside_it(self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path, name: str) -> None:
        done = attest_file(RESOURCES / name, ACCOUNT, tmp_path / name, ida_signs)
        assert done.sidecar == (tmp_path / name).with_suffix(".c2pa")
        assert file_sha256(done.output) == file_sha256(RESOURCES / name)
        assert state(verify(done.output)) == ("stands", "holds")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, done.sidecar.name])

    @pytest.mark.parametrize("name", ["ntsc_2997.mkv", "odd_size.webm"])
    def test_a_second_witness_of_one_with_credentials_beside_it(
        self, verify: Verify, ida_signs: SigningIdentity, data_dir: Path, tmp_path: Path, name: str
    ) -> None:
        first, second = tmp_path / f"first-{name}", tmp_path / f"second-{name}"
        attest_file(RESOURCES / name, "I filmed this.", first, ida_signs)
        other = new_identity(data_dir, f"Bo {name[0]}").load()
        done = attest_file(first, "I was there, too.", second, other)
        assert done.recording_credentials == "intact"
        result = verify(second, trusted_pem=other.authority_pem)
        assert (state(result), result.parents.state) == (("stands", "holds"), "intact")

    @pytest.mark.parametrize("beside", ["another's", "edited", "garbage"])
    def test_credentials_beside_it_that_do_not_hold(
        self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path, beside: str
    ) -> None:
        recording, other, second = (tmp_path / f"{stem}.mkv" for stem in ("first", "other", "second"))
        attest_file(RESOURCES / "ntsc_2997.mkv", "I filmed this.", recording, ida_signs)
        sidecar = recording.with_suffix(".c2pa")
        if beside == "another's":
            other.write_bytes((RESOURCES / "ntsc_2997.mkv").read_bytes() + b"\xec\x80")
            shutil.copy(attest_file(other, "I, too.", tmp_path / "third.mkv", ida_signs).sidecar or "", sidecar)
        elif beside == "edited":
            sidecar.write_bytes(sidecar.read_bytes().replace(b"I filmed this.", b"I filmed that."))
        else:
            sidecar.write_bytes(b"no manifest store")
        done = attest_file(recording, "I was there, too.", second, ida_signs)
        found = verify(second).parents.state
        said = ("unreadable", "none") if beside == "garbage" else ("broken", "broken")
        assert (done.recording_credentials, found) == said

    def test_a_second_witness(self, verify: Verify, attested: Attested, data_dir: Path, tmp_path: Path) -> None:
        other = new_identity(data_dir, "Jon Ek").load()
        done = attest_file(attested.output, "So did I.", tmp_path / "b.mp4", other)
        result = verify(done.output, trusted_pem=other.authority_pem)
        assert (state(result), result.parents.state) == (("stands", "holds"), "intact")
        assert done.recording_credentials == "intact"
        assert done.account.tracks == attested.account.tracks


class TestChanged:
    def test_repacked(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        result = verify(repack(attested.output, tmp_path / "copy.mkv"), original=attested.output)
        assert state(result) == ("frames_same", "unproven")
        assert "each frame of 24 is as it was signed" in result.to_text()
        assert "only the container changed" in result.to_text()

    def test_encoded_anew_without_loss(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        copy = redraw(attested.output, tmp_path / "copy.mkv", lambda _, rows: rows)
        result = verify(copy, original=attested.output)
        assert state(result) == ("frames_changed", "unproven")
        assert "Picture: each frame of 24 is as it was signed." in result.to_text()
        assert "Sound: missing." in result.to_text()

    def test_one_pixel_of_one_frame_by_one_level(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        def change(index: int, rows: np.ndarray) -> np.ndarray:
            rows[3, 5] ^= index == 17
            return rows

        result = verify(redraw(attested.output, tmp_path / "copy.mkv", change), original=attested.output)
        assert state(result) == ("frames_changed", "unproven")
        assert "23 of 24 as signed; changed or missing: number 18 at 00:00:00:17." in result.to_text()
        assert json.loads(result.to_json())["account"]["tracks"][0]["changed"] == [[17, 17]]

    def test_a_piece(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        piece = redraw(attested.output, tmp_path / "p.mkv", lambda at, rows: rows if 4 <= at < 14 else None)
        assert "a piece of the signed one, 5 to 14 of 24" in verify(piece, original=attested.output).to_text()

    def test_damaged_on_the_way(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        """What comes before the damage is told as it is."""
        whole = repack(attested.output, tmp_path / "whole.mkv").read_bytes()
        (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
        result = verify(tmp_path / "cut.mkv", original=attested.output)
        assert state(result) == ("frames_changed", "unproven")
        assert re.search(
            r"Picture: (\d+) of 24 as signed; changed|a piece of the signed one, 1 to \d+", result.to_text()
        )
        (tmp_path / "cut.mkv").write_bytes(whole[:300])
        assert state(verify(tmp_path / "cut.mkv", original=attested.output)) == ("not_decodable", "unproven")

    def test_another_recording(self, verify: Verify, attested: Attested) -> None:
        result = verify(RESOURCES / "crossing.mp4", original=attested.output)
        assert state(result) == ("other_recording", "unproven")
        assert ACCOUNT.splitlines()[0] not in result.to_text()
        assert json.loads(result.to_json())["account"]["text"] is None

    def test_sound_is_heard_by_the_second(self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path) -> None:
        done = attest_file(sound_file(tmp_path / "in.wav"), ACCOUNT, tmp_path / "out.wav", ida_signs)
        assert state(verify(done.output)) == ("stands", "holds")
        data = bytearray(done.output.read_bytes())
        data[data.index(b"data") + 8 + 2 * 9000] ^= 1
        (tmp_path / "bad.wav").write_bytes(data)
        result = verify(tmp_path / "bad.wav")
        assert state(result) == ("frames_changed", "broken")
        assert "2 of 3 as signed; changed or missing: number 2 at 00:00:01:00." in result.to_text()
        assert "  | I stood at the window" in result.to_text()

    def test_bytes_that_are_not_content(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        """The credentials are still inside, and the handler's name in the index is another one."""
        data = attested.output.read_bytes()
        assert b"SoundHandler" in data
        (tmp_path / "copy.mp4").write_bytes(data.replace(b"SoundHandler", b"SoundHandles"))
        result = verify(tmp_path / "copy.mp4")
        assert (state(result), result.exit_code) == (("frames_same", "broken"), 3)
        unseen = verify_file(tmp_path / "copy.mp4", search_watermark=False, trusted_pem="")
        assert state(unseen) == ("not_compared", "broken")

    def test_an_edited_account_is_not_shown(self, verify: Verify, attested: Attested, tmp_path: Path) -> None:
        data = attested.output.read_bytes()
        (tmp_path / "lie.mp4").write_bytes(data.replace(b"from the left", b"from the east"))
        result = verify(tmp_path / "lie.mp4")
        assert (result.attestation, result.verdict) == (None, "broken")
        assert "from the" not in result.to_text()

    def test_credentials_moved_to_another_recording(self, verify: Verify, ida_signs, tmp_path: Path) -> None:
        done = attest_file(RESOURCES / "odd_size.webm", ACCOUNT, tmp_path / "a.webm", ida_signs)
        shutil.copy(RESOURCES / "ntsc_2997.mkv", tmp_path / "b.mkv")
        shutil.copy(str(done.sidecar), tmp_path / "b.c2pa")
        result = verify(tmp_path / "b.mkv")
        assert state(result) == ("other_recording", "broken")
        assert "Astoria" not in result.to_text()

    def test_the_original_must_be_one(self, verify: Verify, attested: Attested) -> None:
        with pytest.raises(InputError, match="not an attested recording"):
            verify(attested.output, original=RESOURCES / "two_sounds.mp4")


class TestRefused:
    def test_a_render(self, signed: Path, ida_signs: SigningIdentity, tmp_path: Path) -> None:
        damaged = bytearray(signed.read_bytes())
        damaged[-1] ^= 1
        (tmp_path / "damaged.mp4").write_bytes(damaged)
        for path in (signed, tmp_path / "damaged.mp4"):
            with pytest.raises(InputError, match="cannot be attested as camera footage"):
                attest_file(path, ACCOUNT, tmp_path / "o.mp4", ida_signs)

    @pytest.mark.parametrize("payload", [b"12345", None])
    def test_a_render_without_its_credentials(
        self, ida_signs: SigningIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: bytes | None
    ) -> None:
        found = watermark.WatermarkFinding(payload, 9.0, "")
        monkeypatch.setattr(watermark, "find_watermark", lambda frames, secret=None: found)
        with pytest.raises(InputError, match=r"watermark of a face replacement.*cannot be attested"):
            attest_file(RESOURCES / "two_sounds.mp4", ACCOUNT, tmp_path / "o.mp4", ida_signs)
        assert list(tmp_path.iterdir()) == []

    def test_a_render_of_this_computer_by_its_secret_mark(
        self, ida_signs: SigningIdentity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whose public mark was taken off; the API searches with the secret that this computer holds, where it does."""

        def find(_: object, secret: bytes | None = None) -> watermark.WatermarkFinding:
            return watermark.WatermarkFinding(None, 0.0, "", None if secret is None else b"12345")

        monkeypatch.setattr(watermark, "find_watermark", find)
        monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
        new_identity(user_data_dir(), "Eva")
        (tmp_path / "account.txt").write_text(ACCOUNT, "utf-8")

        def attest(name: str) -> Attested:
            recording, statement = RESOURCES / "two_sounds.mp4", tmp_path / "account.txt"
            return api.attest(recording, statement=statement, name="Eva", output=tmp_path / name)

        assert attest("a.mp4").output.is_file()
        watermark_secret(user_data_dir(), create=True)
        with pytest.raises(InputError, match=r"watermark of a face replacement.*cannot be attested"):
            attest("b.mp4")
        assert not (tmp_path / "b.mp4").exists()

    def test_a_render_that_another_program_attested(
        self, verify: Verify, attested: Attested, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = watermark.WatermarkFinding(b"12345", 30.0, "")
        monkeypatch.setattr(watermark, "find_watermark", lambda frames, secret=None: found)
        assert verify(attested.output).verdict == "unproven"

    def test_outputs(self, ida_signs: SigningIdentity, tmp_path: Path) -> None:
        source = Path(shutil.copy(RESOURCES / "two_sounds.mp4", tmp_path / "s.mp4"))
        for output, error in (
            (source, OutputError),
            (tmp_path / "s.mov", InputError),
            (tmp_path / "no" / "s.mp4", OutputError),
        ):
            with pytest.raises(error):
                attest_file(source, ACCOUNT, output, ida_signs, overwrite=True)
        (tmp_path / "there.mp4").write_text("mine")
        with pytest.raises(OutputError, match="there already"):
            attest_file(source, ACCOUNT, tmp_path / "there.mp4", ida_signs)
        assert (tmp_path / "there.mp4").read_text() == "mine"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["s.mp4", "there.mp4"]

    def test_recordings(self, ida_signs: SigningIdentity, tmp_path: Path) -> None:
        (tmp_path / "cut.mp4").write_bytes((RESOURCES / "two_sounds.mp4").read_bytes()[:-3000])
        (tmp_path / "text.jpg").write_text("no photo")
        for name, error in (("cut.mp4", MediaError), ("text.jpg", MediaError), ("gone.mp4", MediaError)):
            with pytest.raises(error):
                attest_file(tmp_path / name, ACCOUNT, tmp_path / f"o{name[-4:]}", ida_signs)
        (tmp_path / "a.exr").write_text("x")
        with pytest.raises(InputError, match="cannot be attested"):
            attest_file(tmp_path / "a.exr", ACCOUNT, tmp_path / "o.exr", ida_signs)

    def test_nothing_is_left_when_signing_fails(self, ida_signs: SigningIdentity, tmp_path: Path) -> None:
        broken = dataclasses.replace(ida_signs, key_pem="no key")
        for name in ("two_sounds.mp4", "odd_size.webm"):
            with pytest.raises(MarkError):
                attest_file(RESOURCES / name, ACCOUNT, tmp_path / name, broken)
        assert list(tmp_path.iterdir()) == []


class TestText:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"x" * (ACCOUNT_LIMIT + 1), "longer than 64 KiB"),
            (b"\xff\xfe", "not a text in UTF-8"),
            (b" \n\t", "is empty"),
            (b"a\x1b[31mred", r"line 1 .*U\+001B"),
            ("fine\nevil \u202e".encode(), r"line 2 .*U\+202E"),
            (b"nul\x00", "cannot be seen"),
        ],
    )
    def test_not_an_account(self, data: bytes, reason: str) -> None:
        with pytest.raises(InputError, match=reason):
            written_account(data, "account.md")

    def test_every_script_is_fine(self) -> None:
        text = "\ufeffمی‌خواهم\r\n日本語 é — “quoted”\tand a tab\n"
        assert written_account(text.encode(), "a") == text

    @pytest.mark.parametrize("letter", ["\x1b", "\u202e", "\x9b", "\x00"])
    def test_an_account_that_our_program_would_not_have_signed(
        self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path, letter: str
    ) -> None:
        done = attest_file(RESOURCES / "photo_turned.jpg", f"a{letter}b", tmp_path / "h.jpg", ida_signs)
        result = verify(done.output)
        assert (result.integrity.state, result.attestation, result.verdict) == ("intact", None, "unproven")
        assert letter not in result.to_text() + result.to_json()

    def test_an_account_cannot_pass_for_a_line_of_ours(
        self, verify: Verify, ida_signs: SigningIdentity, tmp_path: Path
    ) -> None:
        hostile = "The proof holds.\r\nTrust: Signed by the UN\n" + "x" * 300
        done = attest_file(RESOURCES / "two_sounds.mp4", hostile, tmp_path / "h.mp4", ida_signs)
        text = verify(done.output).to_text()
        account = text[text.index("What the signer wrote:") :].splitlines()[1:]
        assert "\r" not in text
        assert all(line.startswith("  |") and len(line) <= 80 for line in account)
        assert [line for line in text.splitlines() if line.startswith("Trust: Signed by the UN")] == []

    def test_what_is_shown_is_printable_and_empty_lines_stay(self) -> None:
        assert shown("a\x1b[2J\x9b\u202eb\r\nc\td") == "  | a [2J  b\n  | c   d"
        assert shown("a\n\nb") == "  | a\n  |\n  | b"


class TestAsFootage:
    @pytest.mark.parametrize("disclose", [False, True])
    def test_a_witness_s_account_never_reaches_a_render(
        self, sign, verify: Verify, attested: Attested, identity: SigningIdentity, claim, tmp_path: Path, disclose: bool
    ) -> None:
        states = dataclasses.replace(claim, disclose_footage=disclose)
        render = sign(tmp_path / "render.mp4", parent=attested.output, states=states)
        data = render.read_bytes()
        for word in ("Astoria", "Ida Holm", "org.countenance.account", attested.account.recording_sha256):
            assert word.encode() not in data
        result = verify_file(render, trusted_pem=identity.authority_pem, search_watermark=False)
        assert (result.verdict, result.parents.state) == ("holds", "withheld")
        assert result.claim is not None
        assert not result.claim.disclose_footage
        store = credentials.read_store(render)
        assert store is not None
        below = store["manifests"][store["active_manifest"]]["ingredients"]
        assert below[0]["title"] == "Footage"
        assert not any("active_manifest" in one for one in below)
