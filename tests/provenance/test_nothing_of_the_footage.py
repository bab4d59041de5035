"""A protected witness: what the footage's file knows of place, device, people and time does not get into the render."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file

SECRETS = {
    "title": "Interview with Anna Kowalska",
    "artist": "Zelim Betrin",
    "comment": "safe house, 12 Rosenweg",
    "location": "+43.3180+045.6949/",
    "location-eng": "+43.3180+045.6949/",
    "com.apple.quicktime.make": "Fruitphone",
    "com.apple.quicktime.model": "Model Nineteen",
    "com.apple.quicktime.location.ISO6709": "+43.3180+045.6949/",
    "encoder": "CamFirmware 4.2",
    "creation_time": "2021-03-04T05:06:07.000000Z",
}
WORDS = (
    "Anna",
    "Kowalska",
    "Betrin",
    "Rosenweg",
    "43.318",
    "45.6949",
    "Fruitphone",
    "Nineteen",
    "CamFirmware",
    "Grozny",
)


@pytest.fixture(scope="module", params=[".mp4", ".mov", ".mkv"])
def footage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames and some sound with all that a camera writes, in a folder and under a name that tell, too."""
    path = tmp_path_factory.mktemp("Grozny") / f"witness_Anna_Kowalska{request.param}"
    options = {"movflags": "use_metadata_tags"} if request.param != ".mkv" else {}
    with av.open(str(path), "w", options=options) as out:
        out.metadata.update(SECRETS)
        video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.metadata.update({"handler_name": "Fruitphone Core Media", "creation_time": SECRETS["creation_time"]})
        sound = out.add_stream("aac", rate=48_000)
        sound.metadata.update({"handler_name": "Fruitphone microphone of Anna", "language": "ces"})
        for number in range(5):
            rgb = np.full((120, 160, 3), 40 * number, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(video.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 9600), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 48_000
        out.mux(sound.encode(silence))
        out.mux(sound.encode())
    held = path.read_bytes()
    assert all(word.encode() in held for word in ("Kowalska", "43.318", "Fruitphone"))
    return path


def test_none_of_it_is_in_the_render(
    footage: Path, claim: RenderClaim, identity: SigningIdentity, tmp_path: Path
) -> None:
    info = probe(footage)
    for suffix in (".mp4", ".mov", ".mkv"):
        unsigned, final = tmp_path / f"unsigned{suffix}", tmp_path / f"render{suffix}"
        with VideoWriter(unsigned, info, preset="ultrafast", tracks_from=footage) as writer:
            for frame in read_frames(footage):
                writer.write(frame)
        sign_file(unsigned, final, parent=footage, claim=claim, identity=identity)
        written = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.stem == "render"}
        assert len(written) == (2 if suffix == ".mkv" else 1)
        for name, data in written.items():
            found = [word for word in (*WORDS, "witness", footage.parent.name) if word.encode() in data]
            assert not found, name
            assert b"thumbnail" not in data
        with av.open(str(final)) as container:
            streams = list(container.streams)
            assert {stream.type for stream in streams} == {"video", "audio"}
            tags = [container.metadata, *(stream.metadata for stream in streams)]
        told = " ".join(f"{key}={value}" for tag in tags for key, value in tag.items())
        assert "2021-03-04" not in told
        assert "creation_time" not in told
        assert "ces" in told  # the sound's language is for those who listen
        for path in tmp_path.iterdir():
            path.unlink()
