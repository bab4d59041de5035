from __future__ import annotations

import dataclasses
import http.client
import io
import json
import random
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from PIL import Image
from register_world import ID, OTHER, TraceOf

from countenance import api
from countenance.digest import file_sha256
from countenance.errors import InputError, OutputError
from countenance.media.read import read_frames
from countenance.provenance.attest import Attested
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim, footage_ingredient, manifest_definition
from countenance.provenance.register import Register, Registered, read_answer
from countenance.provenance.register_server import RegisterServer
from countenance.provenance.sign import SignerOf, sign_stream
from countenance.provenance.trace import register_at, traced
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark import Watermarker


class TestEntries:
    def test_entered_once_and_found(self, filled: Path, signed: Path, identity: SigningIdentity) -> None:
        again = Register(filled).add(signed, trusted_pem=identity.authority_pem)
        assert Register(filled).find(ID) == (again,)
        assert again.sha256 == file_sha256(signed)
        assert Register(filled).find(OTHER) == ()
        assert [one.watermark for one in Register(filled).entries()] == [ID]

    @pytest.mark.parametrize("name", ["scene.mov", "scene.mkv"])
    def test_other_kinds(self, sign, identity: SigningIdentity, swap: Path, tmp_path: Path, name: str) -> None:
        clip = tmp_path / f"u{name[-4:]}"
        with av.open(str(swap)) as source, av.open(str(clip), "w") as out:
            stream = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        entry = Register(tmp_path).add(sign(tmp_path / name, unsigned=clip), trusted_pem=identity.authority_pem)
        claim, signer, standing = entry.claim(identity.authority_pem)
        assert (claim.purpose, standing) == ("double", "trusted")
        assert signer.startswith("Countenance local signer")

    def test_a_manifest_without_its_file_is_whole(self, entry: Registered, claim: RenderClaim) -> None:
        stated, _, standing = entry.claim()
        assert stated == claim
        assert standing == "unknown"  # nobody is trusted without certificates to trust

    def test_only_renders_that_hold(
        self, sign, signed: Path, footage: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        damaged = bytearray(signed.read_bytes())
        damaged[-1] ^= 1
        (tmp_path / "damaged.mp4").write_bytes(damaged)
        unmarked = sign(tmp_path / "unmarked.mp4", states=dataclasses.replace(claim, watermark_id=None))
        register = Register(tmp_path / "r")
        for path, trusted, reason in (
            (footage, identity.authority_pem, "not a face replacement"),
            (tmp_path / "damaged.mp4", identity.authority_pem, "not a face replacement"),
            (signed, "", "signer whom this computer knows"),
            (unmarked, identity.authority_pem, "states no watermark"),
        ):
            with pytest.raises(InputError, match=reason):
                register.add(path, trusted_pem=trusted)
        assert not register.path.exists()

    def test_a_jpeg_s_manifest_in_several_segments(
        self, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        """One segment holds 64 KB; every byte put together is the one that was signed."""
        definition = manifest_definition(claim, "image/jpeg", "none")
        noise = random.Random(3).randbytes(60_000).hex()
        definition["assertions"].append({"label": "org.example.noise", "data": {"noise": noise}})
        plain, jpeg = io.BytesIO(), tmp_path / "still.jpg"
        Image.new("RGB", (64, 48), (90, 120, 150)).save(plain, "JPEG")
        plain.seek(0)
        with jpeg.open("w+b") as out:
            signer = SignerOf(identity, timestamp=False)
            sign_stream(plain, out, "image/jpeg", definition, footage_ingredient("video/mp4"), signer, True)
        entry = Register(tmp_path).add(jpeg, trusted_pem=identity.authority_pem)
        assert entry.watermark == ID
        assert len(entry.manifest) > 120_000
        assert noise.encode() in entry.manifest
        assert entry.claim()[0].record_id == claim.record_id

    def test_no_render_that_holds_its_footage_s_credentials(
        self, sign, signed: Path, claim: RenderClaim, identity, data_dir: Path, swap: Path, tmp_path: Path
    ) -> None:
        """Ingredients that are renders of ours are fine: a clip to review has its render inside."""
        states = dataclasses.replace(claim, disclose_footage=True)
        review = sign(tmp_path / "review.mp4", parent=signed, states=states)
        assert Register(tmp_path).add(review, trusted_pem=identity.authority_pem).watermark == ID
        camera = camera_clip(swap, tmp_path / "camera.mp4", identity)
        render = sign(tmp_path / "render.mp4", parent=camera, states=states)
        with pytest.raises(InputError, match="hold those of its footage"):
            Register(tmp_path).add(render, trusted_pem=identity.authority_pem)


def camera_clip(clip: Path, target: Path, identity: SigningIdentity) -> Path:
    """Footage that a camera signed, with what cameras write into it."""
    definition = {
        "claim_generator_info": [{"name": "Camera"}],
        "title": "DSC_1234",
        "format": "video/mp4",
        "ingredients": [],
        "assertions": [{"label": "org.camera.place", "data": {"latitude": "55.7 N"}}],
    }
    parent = {"title": "x", "format": "video/mp4", "relationship": "parentOf"}
    with clip.open("rb") as source, target.open("w+b") as out:
        sign_stream(source, out, "video/mp4", definition, parent, SignerOf(identity, timestamp=False), True)
    return target


class TestNobodyIsInIt:
    def test_no_name_and_no_path(
        self, sign, attested: Attested, identity: SigningIdentity, tmp_path: Path, claim: RenderClaim
    ) -> None:
        """A render of a protected witness: of footage that somebody attested, under telling names."""
        folder = tmp_path / "Grozny interview"
        folder.mkdir()
        render = sign(folder / "Zelim at the window.mp4", parent=attested.output)
        register = Register(folder)
        register.add(render, trusted_pem=identity.authority_pem)
        register.export(tmp_path / "public")
        said = register.path.read_bytes() + (tmp_path / "public" / "v1" / "watermarks" / ID).read_bytes()
        (one,) = register.find(ID)
        for data in (said, one.manifest):
            for word in (
                "Grozny",
                "Zelim",
                "Ida",
                "Astoria",
                "square",
                "two_sounds",
                str(tmp_path),
                "thumbnail",
                "/home",
            ):
                assert word.encode() not in data, word
        assert sorted(json.loads((tmp_path / "public" / "v1" / "watermarks" / ID).read_text())["renders"][0]) == [
            "manifest",
            "media_type",
            "sha256",
        ]


@pytest.fixture(scope="module")
def copy(swap: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of the render, encoded anew at half the size: credentials gone, watermark kept."""
    path = tmp_path_factory.mktemp("copy") / "from the net.mp4"
    marker = Watermarker(bytes.fromhex(ID), (320, 320))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 240, 240, "yuv420p"
        for _, frame in zip(range(30), read_frames(swap), strict=False):
            picture = av.VideoFrame.from_ndarray(marker(frame.rgb), format="rgb24")
            out.mux(stream.encode(picture.reformat(240, 240)))
        out.mux(stream.encode(None))
    return path


class TestTraced:
    def test_a_copy_that_was_encoded_anew(
        self, copy: Path, filled: Path, entry: Registered, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
        result = api.verify(copy, register=filled)
        assert (result.verdict, result.exit_code) == ("unproven", 1)
        assert result.trace is not None
        assert result.trace.finding.state == "traced"
        assert result.trace.claim is not None
        assert (result.trace.claim.purpose, result.trace.sha256, result.trace.trusted) == ("double", entry.sha256, True)
        text = result.to_text()
        for words in ("most likely a copy", "proves nothing of the copy", "urn:uuid:3f0e9bb2", "“double”"):
            assert words in text
        assert result.claim is None  # of the file itself nothing is proven
        assert json.loads(result.to_json())["trace"]["claim"]["record_sha256"] == "9f" * 32

    def test_over_the_network_it_is_the_same(self, trace_of: TraceOf, filled: Path) -> None:
        with RegisterServer(Register(filled)) as server:
            served = trace_of(server.address)
            local = trace_of(str(filled))
            assert served.finding.sentence.replace(server.address, "") == local.finding.sentence.replace(
                f"in {filled}", "at "
            )
            assert dataclasses.replace(served, finding=local.finding) == local
            assert trace_of(server.address, OTHER).finding.state == "unknown"

    def test_a_signer_whom_nobody_here_knows(self, trace_of: TraceOf, filled: Path) -> None:
        trace = trace_of(str(filled), trusted_pem="")
        assert (trace.finding.state, trace.trusted) == ("traced", False)
        assert "whom this computer does not know" in trace.finding.sentence

    def test_nothing_is_asked_without_need(self, trace_of: TraceOf, signed: Path, identity: SigningIdentity) -> None:
        class Ask:
            name = "that must not be asked"

            def find(self, watermark: str) -> tuple[Registered, ...]:
                raise AssertionError(watermark)

        assert trace_of(Ask(), None).finding.state == "nothing_to_ask"
        whole = traced(verify_file(signed, trusted_pem=identity.authority_pem, search_watermark=False), Ask(), "")
        assert whole.verdict == "holds"
        assert whole.trace is not None
        assert whole.trace.finding.state == "nothing_to_ask"

    def test_no_register(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no register"):
            register_at(str(tmp_path))


class TestServed:
    def test_what_is_written_is_what_is_served(self, filled: Path, tmp_path: Path) -> None:
        assert Register(filled).export(tmp_path / "public") == 1
        with pytest.raises(OutputError, match="there already"):
            Register(filled).export(tmp_path / "public")
        with RegisterServer(Register(filled)) as server:
            connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=5)
            connection.request("GET", f"/v1/watermarks/{ID}")
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            connection.request("HEAD", f"/v1/watermarks/{ID}")
            head = connection.getresponse()
            assert (head.status, head.read(), head.getheader("Content-Length")) == (200, b"", str(len(body)))
            connection.close()
        assert answer.getheader("Content-Type") == "application/json"
        assert body == (tmp_path / "public" / "v1" / "watermarks" / ID).read_bytes()
        assert read_answer(body, ID) == Register(filled).find(ID)

    def test_a_render_that_is_entered_later_is_served_at_once(
        self, trace_of: TraceOf, signed: Path, identity: SigningIdentity, tmp_path: Path
    ) -> None:
        with RegisterServer(Register(tmp_path)) as server:
            assert trace_of(server.address).finding.state == "unknown"
            Register(tmp_path).add(signed, trusted_pem=identity.authority_pem)
            assert trace_of(server.address).finding.state == "traced"

    def test_an_address_that_is_taken(self, filled: Path) -> None:
        with RegisterServer(Register(filled)) as server:
            port = int(urlsplit(server.address).port or 0)
            with pytest.raises(InputError, match="Cannot listen"):
                RegisterServer(Register(filled), port=port)
        with pytest.raises(InputError, match="Cannot listen"):
            RegisterServer(Register(filled), host="192.0.2.1")


def test_the_commands(
    signed: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from countenance.cli import run

    def told(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
    where = ("--register", tmp_path)
    assert told("register", "serve", *where)[0] == 2
    assert told("register", "list", *where)[1] == "There is nothing in the register yet.\n"
    assert json.loads(told("register", "add", signed, *where, "--json")[1])["added"][0]["watermark"] == ID
    assert told("register", "list", *where)[1].startswith(f"{ID}  2026-05-17 12:30  double  urn:uuid:")
    assert told("register", "export", tmp_path / "public", *where)[0] == 0
    assert told("verify", signed, "--no-watermark", *where)[0] == 0
    code, _, error = told("verify", signed, "--register", "http://example.org")
    assert (code, "not the address of a register" in error) == (2, True)
