"""A project whose people are painted numbers, so that whole renders run in seconds: real gate, ledger and marks.

The people and the networks that see them are those of the extraction's tests; the painter of faces is made up here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "faceset"))

RATE, TICK = Fraction(30000, 1001), Fraction(1, 30000)
SAMPLES = 48000
FLASH = 20
"""The frame with the flash, whose time is that of the click."""
LENDER, PERFORMER = "vera", "ivan"
_WATERMARK = b"\x01\x02\x03\x04\x05"


def pts_of(index: int) -> int:
    """29.97 frames a second, and every seventh frame shown longer: a variable rate."""
    return index * 1001 + index // 7 * 500


def script_of(count: int) -> list[list[Any]]:
    """The performer moves; now and then the landmarks are lost, or the face is small."""
    from faceset_world import Actor

    script = []
    for index in range(count):
        lost = index % 23 in (9, 10)
        x, y = 150.0 + 12.0 * np.sin(index / 9.0), 118.0 + 6.0 * np.cos(index / 7.0)
        actor = Actor(who=1, x=float(x), y=float(y), mouth=8.0 * (index % 5), presence=0.0 if lost else 1.0)
        script.append([actor])
    return script


def write_footage(path: Path, count: int) -> Path:
    """Footage with a flash and a click, a variable frame rate and two sound tracks, one copied and one of PCM."""
    from faceset_world import HEIGHT, WIDTH, paint

    from countenance.media.probe import VideoInfo
    from countenance.media.write import VideoWriter
    from countenance.types import Frame

    clicks = path.with_name("clicks.mov")
    at = round(pts_of(FLASH) * TICK * SAMPLES)
    with av.open(str(clicks), "w") as container:
        streams = [container.add_stream(codec, rate=SAMPLES, layout="mono") for codec in ("pcm_s16le", "aac")]
        for stream in streams:
            wave = np.zeros((1, round(pts_of(count) * TICK * SAMPLES)), np.int16)
            wave[0, at : at + 240] = 20000
            sound = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SAMPLES, 0, Fraction(1, SAMPLES)
            container.mux([*stream.encode(sound), *stream.encode(None)])
    like = VideoInfo(
        path, WIDTH, HEIGHT, 0, RATE, TICK, 0, None, None, False, "yuv420p", 8, True,
        1, 1, 1, 1, Fraction(1), probe_sounds(clicks), "mov", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=6, preset="ultrafast", tracks_from=clicks) as writer:
        for index, actors in enumerate(script_of(count)):
            rgb = paint(index, actors)
            if index == FLASH:
                rgb[16:] = 255 - (255 - rgb[16:]) // 4  # the face stays to be seen
            writer.write(Frame(rgb, index, pts_of(index), TICK))
    clicks.unlink()
    return path


def probe_sounds(path: Path) -> tuple[Any, ...]:
    """The sound tracks of a file without a picture."""
    from countenance.media.probe import AudioStream

    with av.open(str(path)) as container:
        return tuple(AudioStream(s.index, s.codec_context.name, s.rate, s.channels) for s in container.streams.audio)


@dataclass(frozen=True)
class Offset:
    """Where flash and click are, and how many seconds the click comes after the flash, in each sound track."""

    flash_seconds: Fraction
    click_seconds: tuple[Fraction, ...]

    @property
    def offsets(self) -> tuple[Fraction, ...]:
        return tuple(click - self.flash_seconds for click in self.click_seconds)


def measure_offset(path: Path) -> Offset:
    """Find the brightest frame and, by the sample, the first loud one of each track."""
    from countenance.media.read import read_frames

    flash = max(read_frames(path), key=lambda frame: float(frame.rgb[120:].mean())).pts_seconds
    with av.open(str(path)) as container:
        count = len(container.streams.audio)
    return Offset(flash, tuple(_first_click(path, track) for track in range(count)))


def _first_click(path: Path, track: int) -> Fraction:
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        for frame in container.decode(stream):
            values = frame.to_ndarray().astype(np.float64)
            loud = np.abs(values[0]) > (0.3 if values.max(initial=0.0) <= 2.0 else 10000)
            if loud.any() and frame.pts is not None and frame.time_base is not None:
                return frame.pts * frame.time_base + Fraction(int(loud.argmax()), frame.sample_rate)
    raise SystemExit(f"There is no click in {path}.")


def make_project(folder: Path, *, label_required: bool = True, purpose: str = "research") -> Any:
    """A project with both people, a template and an accepted consent record."""
    from faceset_world import World, film, run, talk

    from countenance.consent.check import accept_record
    from countenance.consent.keys import generate_key
    from countenance.consent.parties import Witness
    from countenance.consent.record import create_request, sign_request, witness_record
    from countenance.consent.template import enrol, save_template
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import reembed
    from countenance.project import Project

    project = Project.create(folder / "film", title="Kills", purpose=purpose)
    for person, who in ((LENDER, 0), (PERFORMER, 1)):
        script = talk(28, who=who)
        run(project, World(script), film(folder / f"{person}.mkv", script), person=person)
    embedder = World([]).perception().embedder
    witness = generate_key(folder / "witness.pem", "correct horse battery")
    named = Witness("producer", witness.public_jwk)
    agreed: dict[str, dict[str, Any]] = {LENDER: {"label_required": label_required}, PERFORMER: {"replaced": True}}
    for person, terms in agreed.items():
        with FaceSet.open(project.faceset_path(person), project.key()) as faceset:
            template = enrol(reembed(faceset, embedder), [40.0])
        save_template(project.template_path(person), template, project.key())
        key = generate_key(folder / f"{person}.pem", "correct horse battery")
        request = create_request(project, person, witness=named, **terms)
        accept_record(project, person, witness_record(sign_request(request, key, template), witness))
    return project


class SlowSwapper:
    """Gives each face another colour, slowly, as a network would take its time."""

    crop_size = 256

    def __init__(self, facts: Any, seconds: float) -> None:
        self.facts, self._seconds = facts, seconds

    def __call__(self, faces: Sequence[Any]) -> list[Any]:
        from countenance.types import Mask, SwappedFace

        time.sleep(self._seconds * len(faces))
        return [
            SwappedFace(
                np.clip(face.rgb * 0.8 + np.array([30, 0, 10]), 0, 255).astype(np.uint8),
                Mask(np.ones((face.size, face.size), np.float32), "predicted"),
            )
            for face in faces
        ]


def render(
    project: Any,
    footage: Path,
    output: Path,
    *,
    count: int,
    seconds_per_face: float = 0.0,
    segment_seconds: float = 1.0,
    progress: Callable[..., None] | None = None,
    note: Callable[[str], None] | None = None,
    script: list[list[Any]] | None = None,
    **more: Any,
) -> Any:
    """The whole render; the watermark's id is fixed, so that two renders can be compared bit by bit.

    ``more`` goes to :func:`countenance.render.render`.
    """
    from faceset_world import World

    import countenance.render.job as job
    from countenance.consent.gate import require_consent
    from countenance.conversion.settings import ConvertSettings
    from countenance.render import render as run
    from countenance.training.checkpoint import CheckpointFacts

    job.secrets = SimpleNamespace(token_bytes=lambda _: _WATERMARK)  # type: ignore[attr-defined]
    permits: list[Any] = []

    def load(*_: Any, lender_faces: Any, **__: Any) -> SlowSwapper:
        embedder = World([]).perception().embedder
        from countenance.faceset.use import reembed
        from countenance.training.train import load_faces

        faces = {"embeddings": lender_faces, "performer_embeddings": load_faces(project, PERFORMER)}
        measured = {name: reembed(of, embedder) for name, of in faces.items()}
        permit = require_consent(project, LENDER, PERFORMER, act="swap", **measured)
        permits.append(permit)
        facts = CheckpointFacts(
            {"name": "swift"}, LENDER, PERFORMER, permit.record_id, permit.record_sha256, "e", ("a", "b"), 5, 1, 1, 1.0,
            "cpu", (), tensors_sha256="0" * 64,
        )  # fmt: skip
        return SlowSwapper(replace(facts), seconds_per_face)

    return run(
        project,
        footage,
        lender=LENDER,
        performer=PERFORMER,
        output=output,
        settings=ConvertSettings(segment_seconds=segment_seconds, preset="ultrafast", performer_cosine=0.65),
        perception=World(script or script_of(count)).perception(),  # type: ignore[arg-type]
        load=load,  # type: ignore[arg-type]
        progress=progress,
        note=note,
        **more,
    )
