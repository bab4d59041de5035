from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import c2pa
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from countenance.errors import MarkError, MediaError, OutputError
from countenance.provenance import credentials
from countenance.provenance.identity import SigningIdentity, local_authority_pem, watermark_secret
from countenance.provenance.manifest import CONSENT_LABEL, SOURCE_TYPE, RenderClaim, read_claim
from countenance.provenance.sign import footage_credentials, sign_file


def active(path: Path, identity: SigningIdentity) -> dict:
    store = credentials.read_store(path, identity.authority_pem)
    assert store is not None
    assert store["validation_state"] == "Trusted"
    return store["manifests"][store["active_manifest"]]


def remux(source: Path, target: Path) -> Path:
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        video = container.streams.video[0]
        stream = out.add_stream_from_template(video)
        for packet in container.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return target


class TestIdentity:
    def test_created_once_and_reused(self, tmp_path: Path) -> None:
        first = SigningIdentity.load_or_create(tmp_path)
        assert SigningIdentity.load_or_create(tmp_path) == first
        assert local_authority_pem(tmp_path) == first.authority_pem
        assert [p.name for p in tmp_path.iterdir()] == ["identity"]

    def test_the_watermark_s_secret_is_made_with_it_and_kept_from_others(self, tmp_path: Path) -> None:
        assert watermark_secret(tmp_path) is None
        SigningIdentity.load_or_create(tmp_path)
        secret, file = watermark_secret(tmp_path), tmp_path / "identity" / "watermark.key"
        assert secret is not None
        assert len(secret) == 32
        assert file.stat().st_mode & 0o777 == 0o600
        file.unlink()
        assert watermark_secret(tmp_path) is None
        made = watermark_secret(tmp_path, create=True)
        assert made not in (None, secret)
        assert watermark_secret(tmp_path) == made
        file.write_text("ab")
        with pytest.raises(MarkError, match="damaged"):
            watermark_secret(tmp_path)
        file.chmod(0o644)
        with pytest.raises(MarkError, match="chmod 600"):
            watermark_secret(tmp_path)

    def test_two_installations_differ(self, tmp_path: Path, identity: SigningIdentity) -> None:
        assert SigningIdentity.load_or_create(tmp_path).authority_pem != identity.authority_pem

    def test_certificates_are_what_c2pa_wants(self, identity: SigningIdentity) -> None:
        signer, authority = x509.load_pem_x509_certificates(identity.chain_pem.encode())
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
        assert not signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        signer.verify_directly_issued_by(authority)

    def test_certificates_name_nobody(self, identity: SigningIdentity) -> None:
        text = " ".join(
            c.subject.rfc4514_string() for c in x509.load_pem_x509_certificates(identity.chain_pem.encode())
        )
        for word in (os.environ.get("USER", "root"), os.uname().nodename):
            assert word.lower() not in text.lower()

    @pytest.mark.skipif(os.name != "posix", reason="file modes")
    def test_keys_are_private(self, tmp_path: Path) -> None:
        SigningIdentity.load_or_create(tmp_path)
        folder = tmp_path / "identity"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
        (folder / "signer.pem").chmod(0o644)
        with pytest.raises(MarkError, match="chmod 600"):
            SigningIdentity.load_or_create(tmp_path)

    def test_key_does_not_show_in_print(self, identity: SigningIdentity) -> None:
        assert "PRIVATE" not in repr(identity)

    @pytest.mark.parametrize(
        "damage", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
    )
    def test_damaged_is_a_sentence(self, tmp_path: Path, damage: bytes) -> None:
        SigningIdentity.load_or_create(tmp_path)
        (tmp_path / "identity" / "signer.pem").write_bytes(damage)
        with pytest.raises(MarkError, match="missing or damaged"):
            SigningIdentity.load_or_create(tmp_path)

    def test_key_of_another_is_refused(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            SigningIdentity.load_or_create(tmp_path / name)
        ours, theirs = (tmp_path / name / "identity" / "signer.pem" for name in "ab")
        split = b"-----BEGIN CERTIFICATE"
        ours.write_bytes(theirs.read_bytes().split(split)[0] + split + ours.read_bytes().split(split)[1])
        with pytest.raises(MarkError, match="do not belong together"):
            SigningIdentity.load_or_create(tmp_path / "a")

    def test_signer_is_renewed_from_the_same_authority(self, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        old = SigningIdentity.load_or_create(tmp_path, clock=lambda: now - timedelta(days=3650 - 30))
        new = SigningIdentity.load_or_create(tmp_path)
        assert new.authority_pem == old.authority_pem
        assert new.chain_pem != old.chain_pem
        assert SigningIdentity.load_or_create(tmp_path) == new

    def test_expired_authority_is_a_sentence(self, tmp_path: Path) -> None:
        SigningIdentity.load_or_create(tmp_path)
        with pytest.raises(MarkError, match="expired"):
            SigningIdentity.load_or_create(tmp_path, clock=lambda: datetime.now(UTC) + timedelta(days=366 * 30))

    def test_unwritable_home(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(OutputError):
            SigningIdentity.load_or_create(blocked / "data")
        assert local_authority_pem(tmp_path) == ""


class TestManifest:
    def test_says_what_was_done(self, signed: Path, identity: SigningIdentity, claim: RenderClaim) -> None:
        manifest = active(signed, identity)
        assertions = {a["label"]: a["data"] for a in manifest["assertions"]}
        opened, edited, bound = assertions["c2pa.actions.v2"]["actions"]
        assert opened["action"] == "c2pa.opened"
        assert edited["digitalSourceType"] == SOURCE_TYPE
        assert bound["action"] == "c2pa.watermarked.bound"
        assert [one["relationship"] for one in manifest["ingredients"]] == ["parentOf", "inputTo"]
        linked = edited["parameters"]["ingredients"][0]["url"]
        assert linked.endswith(manifest["ingredients"][1]["label"])
        for house in ("c2pa", "cawg"):
            entries = assertions[f"{house}.training-mining"]["entries"]
            assert len(entries) == 4
            assert all(one["use"] == "notAllowed" for one in entries.values())
        assert assertions["c2pa.soft-binding"]["blocks"][0]["value"] == "ECAwQFA="
        assert assertions[CONSENT_LABEL]["record_sha256"] == claim.record_sha256
        generator = manifest["claim_generator_info"][0]
        assert (generator["name"], generator["version"]) == ("Countenance", claim.version)
        assert read_claim(manifest) == claim

    def test_names_nothing_and_nobody(self, sign: Callable[..., Path], footage: Path, tmp_path: Path) -> None:
        secret = tmp_path / "Anna Kowalska, Grozny" / "witness_Anna_cellar.mp4"
        secret.parent.mkdir()
        shutil.copy(footage, secret)
        final = sign(tmp_path / "Anna_out.mp4", parent=secret)
        written = final.read_bytes()
        for word in (b"Anna", b"Kowalska", b"Grozny", b"cellar", b"unsigned", str(tmp_path).encode()):
            assert word not in written

    def test_no_thumbnail_and_nothing_of_the_footage(self, signed: Path, identity: SigningIdentity) -> None:
        store = credentials.read_store(signed, identity.authority_pem)
        assert store is not None
        assert "thumbnail" not in json.dumps(store)
        assert len(store["manifests"]) == 1

    def test_without_label_and_watermark(
        self, sign: Callable[..., Path], claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        bare = dataclasses.replace(claim, label_text=None, watermark_id=None, synthetic=False, screens=())
        manifest = active(sign(tmp_path / "bare.mp4", states=bare), identity)
        assert read_claim(manifest) == bare
        assert not bare.label_shown

    @pytest.mark.parametrize(
        "wrong",
        [
            {"record_id": "../x y"},
            {"record_sha256": "AB" * 32},
            {"purpose": "Two words"},
            {"made_at": datetime(2026, 1, 1)},  # naive on purpose
            {"label_text": ""},
            {"watermark_id": b"1234"},
            {"screens": ("",)},
            {"version": ""},
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_claims_are_checked_at_birth(self, claim: RenderClaim, wrong: dict) -> None:
        with pytest.raises(ValueError, match="not of the expected form"):
            dataclasses.replace(claim, **wrong)

    @pytest.mark.parametrize(
        "data",
        [None, [], "x", {}, {"schema": 2}, {"schema": 1}, {"schema": 1, "record_id": 5}, {"schema": 1, "screens": 7}],
    )
    def test_strange_statements_are_no_claim(self, data: object) -> None:
        assert read_claim({"assertions": [{"label": CONSENT_LABEL, "data": data}]}) is None
        assert read_claim({"assertions": None}) is None


class TestSignFile:
    def test_unmarked_file_is_gone_and_the_picture_is_the_same(
        self, footage: Path, swap: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        unsigned, final = tmp_path / "u.mp4", tmp_path / "f.mp4"
        shutil.copy(swap, unsigned)
        sign_file(unsigned, final, parent=footage, claim=claim, identity=identity)
        assert [p.name for p in tmp_path.iterdir()] == ["f.mp4"]
        with av.open(str(final)) as a, av.open(str(swap)) as b:
            pictures = [next(c.decode(video=0)).to_ndarray(format="rgb24") for c in (a, b)]
        assert (pictures[0] == pictures[1]).all()

    @pytest.mark.parametrize("suffix", [".mov", ".m4v", ".MP4"])
    def test_other_containers_embed(
        self, sign: Callable[..., Path], swap: Path, identity: SigningIdentity, tmp_path: Path, suffix: str
    ) -> None:
        unsigned = remux(swap, tmp_path / f"u{suffix.lower()}")
        final = sign(tmp_path / f"f{suffix}", unsigned=unsigned)
        assert read_claim(active(final, identity)) is not None
        assert not credentials.sidecar_path(final).exists()

    def test_picture(self, sign: Callable[..., Path], identity: SigningIdentity, tmp_path: Path) -> None:
        from PIL import Image

        Image.new("RGB", (64, 48), (90, 120, 30)).save(tmp_path / "u.png")
        final = sign(tmp_path / "sheet.png", unsigned=tmp_path / "u.png")
        assert read_claim(active(final, identity)) is not None

    def test_matroska_has_it_beside(
        self, sign: Callable[..., Path], swap: Path, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        unsigned = remux(swap, tmp_path / "u.mkv")
        folder = tmp_path / "renders"
        folder.mkdir()
        final = sign(folder / "scene [1].mkv", unsigned=unsigned)
        assert sorted(p.name for p in folder.iterdir()) == ["scene [1].c2pa", "scene [1].mkv"]
        assert final.read_bytes() == unsigned.read_bytes()
        assert read_claim(active(final, identity)) is not None
        sign(final, unsigned=unsigned)  # again: replaces both
        assert read_claim(active(final, identity)) is not None

    def test_sidecar_of_another_is_not_overwritten(self, sign: Callable[..., Path], swap: Path, tmp_path: Path) -> None:
        sign(tmp_path / "scene.mkv", unsigned=remux(swap, tmp_path / "u.mkv"))
        before = (tmp_path / "scene.c2pa").read_bytes()
        with pytest.raises(MarkError, match="another name"):
            sign(tmp_path / "scene.webm", unsigned=tmp_path / "u.mkv")
        assert (tmp_path / "scene.c2pa").read_bytes() == before
        assert not (tmp_path / "scene.webm").exists()

    def fails(self, tmp_path: Path, swap: Path, error: type[Exception], **settings: object) -> None:
        """Signing raises, the unmarked file is gone, and a former output is as it was."""
        unsigned, final = tmp_path / "u.mp4", tmp_path / "out" / "f.mp4"
        final.parent.mkdir(exist_ok=True)
        shutil.copy(swap, unsigned)
        for former in (False, True):
            if former:
                final.write_bytes(b"former")
                shutil.copy(swap, unsigned)
            with pytest.raises(error):
                sign_file(unsigned, final, **settings)  # type: ignore[arg-type]
            assert not unsigned.exists()
            assert [p.read_bytes() for p in final.parent.iterdir()] == ([b"former"] if former else [])

    def test_failing_signer(self, footage: Path, swap: Path, claim: RenderClaim, tmp_path: Path) -> None:
        class Broken:
            authority_pem = ""

            def signer(self, *, timestamp: bool = True) -> c2pa.Signer:
                raise c2pa.C2paError("the module does not answer")

        self.fails(tmp_path, swap, MarkError, parent=footage, claim=claim, identity=Broken())

    def test_untrusted_certificate(
        self, footage: Path, swap: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        other = SigningIdentity.load_or_create(tmp_path / "home")
        mixed = dataclasses.replace(identity, authority_pem=other.authority_pem)
        self.fails(tmp_path, swap, MarkError, parent=footage, claim=claim, identity=mixed)

    def test_interrupted(self, footage: Path, swap: Path, claim: RenderClaim, tmp_path: Path) -> None:
        class Interrupted:
            authority_pem = ""

            def signer(self, *, timestamp: bool = True) -> c2pa.Signer:
                raise KeyboardInterrupt

        self.fails(tmp_path, swap, KeyboardInterrupt, parent=footage, claim=claim, identity=Interrupted())

    def test_footage_is_gone(self, swap: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path) -> None:
        self.fails(tmp_path, swap, MediaError, parent=tmp_path / "gone.mp4", claim=claim, identity=identity)

    def test_kind_that_cannot_be_marked(
        self, footage: Path, swap: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        unsigned = tmp_path / "u.mp4"
        shutil.copy(swap, unsigned)
        with pytest.raises(MarkError, match="cannot carry marks"):
            sign_file(unsigned, tmp_path / "f.flv", parent=footage, claim=claim, identity=identity)
        assert list(tmp_path.iterdir()) == []

    def test_nothing_to_sign(
        self, footage: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        with pytest.raises(MarkError, match="not there"):
            sign_file(tmp_path / "u.mp4", tmp_path / "f.mp4", parent=footage, claim=claim, identity=identity)

    def test_no_folder(
        self, footage: Path, swap: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        unsigned = tmp_path / "u.mp4"
        shutil.copy(swap, unsigned)
        with pytest.raises(OutputError):
            sign_file(unsigned, tmp_path / "no" / "f.mp4", parent=footage, claim=claim, identity=identity)
        assert list(tmp_path.iterdir()) == []

    def test_render_that_is_no_video(
        self, footage: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        unsigned = tmp_path / "u.mp4"
        unsigned.write_text("not a video")
        with pytest.raises(MarkError):
            sign_file(unsigned, tmp_path / "f.mp4", parent=footage, claim=claim, identity=identity)
        assert list(tmp_path.iterdir()) == []


class TestFootage:
    def test_states(self, footage: Path, signed: Path, tmp_path: Path) -> None:
        assert footage_credentials(footage) == "none"
        assert footage_credentials(signed) == "intact"
        changed = bytearray(signed.read_bytes())
        changed[-1000] ^= 1
        (tmp_path / "changed.mp4").write_bytes(changed)
        assert footage_credentials(tmp_path / "changed.mp4") == "broken"
        (tmp_path / "text.mp4").write_text("hello")
        assert footage_credentials(tmp_path / "text.mp4") == "unreadable"

    def test_own_credentials_are_withheld_unless_disclosed(
        self, sign: Callable[..., Path], signed: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        inner = json.dumps(active(signed, identity)["label"]).encode().strip(b'"')
        hidden = sign(tmp_path / "hidden.mp4", parent=signed)
        assert inner not in hidden.read_bytes()
        shown = sign(tmp_path / "shown.mp4", parent=signed, states=dataclasses.replace(claim, disclose_footage=True))
        assert inner in shown.read_bytes()


def test_the_reference_reader_agrees(signed: Path, identity: SigningIdentity) -> None:
    """c2pa-python with nothing but a trust anchor, as anybody else would use it."""
    with c2pa.Context.from_dict({"trust": {"trust_anchors": identity.authority_pem}}) as settings:  # noqa: SIM117
        with c2pa.Reader("video/mp4", io.BytesIO(signed.read_bytes()), context=settings) as reader:
            assert reader.get_validation_state() == "Trusted"
