"""Small recordings, and one that somebody attested; copies of it are made by the tests."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from countenance.provenance.attest import Attested, attest_file
from countenance.provenance.identities import NamedIdentity, new_identity
from countenance.provenance.identity import SigningIdentity

RESOURCES = Path(__file__).parents[1] / "resources"
ACCOUNT = "I stood at the window of the *Hotel Astoria*.\nThe shots came from the left.\n"


@pytest.fixture(scope="session")
def ida(data_dir: Path) -> NamedIdentity:
    return new_identity(data_dir, "Ida Holm")


@pytest.fixture(scope="session")
def ida_signs(ida: NamedIdentity) -> SigningIdentity:
    return ida.load()


@pytest.fixture(scope="session")
def attested(ida_signs: SigningIdentity, tmp_path_factory: pytest.TempPathFactory) -> Attested:
    """24 frames at 25 a second and two sound tracks."""
    output = tmp_path_factory.mktemp("attested") / "square.mp4"
    return attest_file(RESOURCES / "two_sounds.mp4", ACCOUNT, output, ida_signs)


def repack(source: Path, target: Path) -> Path:
    """Copy every packet into another container."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in container.streams if s.type in ("video", "audio")}
        for packet in container.demux(tuple(container.streams[index] for index in streams)):
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def redraw(source: Path, target: Path, change: Callable[[int, np.ndarray], np.ndarray | None]) -> Path:
    """Encode the picture anew without loss; ``change`` gets and gives each frame's luma rows, None leaves it out."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        first = container.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for index, frame in enumerate(container.decode(video=0)):
            planes = change(index, frame.to_ndarray())
            if planes is not None:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        out.mux(stream.encode(None))
    return target


def sound_file(path: Path, *, louder_at: int | None = None) -> Path:
    """Three seconds of mono noise; one sample can be another."""
    samples = np.random.default_rng(5).integers(-900, 900, 3 * 8000, dtype=np.int16)
    if louder_at is not None:
        samples[louder_at] += 1
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(samples.tobytes())
    return path
