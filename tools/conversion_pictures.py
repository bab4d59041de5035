"""The pictures of docs/reference/conversion.md: crops of renders with one setting changed, side by side.

Each is made the product's own way (gate, conversion, marks), labelled and signed. The project needs the people
``lender`` and ``performer`` (train_B and train_A of the synthetic performers) and a swift model.
"""

from __future__ import annotations

import io
import secrets
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from countenance.consent.record import parse_record
from countenance.consent.strict_json import read_bounded
from countenance.conversion.pipeline import convert
from countenance.conversion.settings import ConvertSettings
from countenance.errors import NoFaceError
from countenance.fonts import dejavu
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.perceive import Perception
from countenance.project import Project
from countenance.provenance.label import LABEL_TEXT, draw_label
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_picture
from countenance.provenance.watermark import Watermarker
from countenance.render import SCREENS, Extras
from countenance.render.job import Job, own_identity, performer_template
from countenance.types import Frame

CLIPS = Path(str(files("countenance") / "data" / "performers"))
FRAMES = 32
SIDE = 210  # of one picture
GREY = (62, 62, 62)


class Studio:
    """Footage, and renders of it, each made once.

    Args:
        project: see the module.
        folder: for the clips, removed afterwards.
    """

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.see = Perception()
        self.mark = secrets.token_bytes(5)  # one for all, or they would differ by their marks
        # The gate is asked once, and the model loaded once, for all of the renders.
        job = Job(
            project, CLIPS / "test_A.mp4", folder / "render.mp4", "lender", "performer", "swift", "cpu",
            ConvertSettings(), Extras(), label_shown=True,
        )  # fmt: skip
        faces = job.lender_faces(self.see)
        self.swapper = job.model(job.permit(faces, self.see), faces, None)
        self.template = performer_template(project, "performer")
        self._made: dict[str, list[np.ndarray]] = {}

    def clip(self, name: str, change: Callable[[np.ndarray, int], np.ndarray] | None = None, first: int = 0) -> Path:
        """The frames from ``first`` of the test footage, each changed."""
        path = self.folder / f"{name}.mp4"
        if not path.exists():
            source = CLIPS / "test_A.mp4"
            with VideoWriter(path, probe(source), crf=4, preset="veryfast") as writer:
                for number, frame in enumerate(islice(read_frames(source, start_index=first), FRAMES)):
                    rgb = frame.rgb if change is None else change(frame.rgb.copy(), number)
                    writer.write(Frame(rgb, frame.index, frame.pts, frame.time_base))
        return path

    def frames(self, clip: Path, **knobs: Any) -> list[np.ndarray]:
        """The render's frames, marks and all; nearly lossless unless ``crf`` is turned."""
        key = f"{clip.name} {sorted(knobs.items())}"
        if key not in self._made:
            output, info = self.folder / "render.mp4", probe(clip)
            convert(
                clip,
                output,
                swapper=self.swapper,
                performer_template=self.template,
                label=draw_label,
                watermark=Watermarker(self.mark, (info.height, info.width)),
                perception=self.see,
                settings=ConvertSettings(**{"crf": 6, **knobs}),
            )
            self._made[key] = [frame.rgb for frame in read_frames(output)]
            print(key, flush=True)
        return self._made[key]

    @cached_property
    def plain(self) -> Path:
        return self.clip("plain")

    @cached_property
    def coming(self) -> Path:
        """The performer comes nearer."""
        return self.clip("coming", _coming)

    @cached_property
    def lamp(self) -> Path:
        return self.clip("lamp", _lamp)

    @cached_property
    def evening(self) -> Path:
        """Blue light, unlike any that the model was trained on."""
        return self.clip("evening", lambda rgb, _: np.clip(rgb * np.array((0.66, 0.86, 1.2)), 0, 255).astype(np.uint8))

    @cached_property
    def blurred(self) -> Path:
        """The face cannot be made out from frame 18 to 23."""
        return self.clip("blurred", lambda rgb, at: _blur(rgb) if 18 <= at < 24 else rgb)

    @cached_property
    def grainy(self) -> Path:
        rng = np.random.default_rng(0)

        def grain(rgb: np.ndarray, at: int) -> np.ndarray:
            del at
            noise = cv2.GaussianBlur(rng.normal(0, 16, rgb.shape[:2]), (0, 0), 0.7)[..., None]
            return np.clip(rgb + noise, 0, 255).astype(np.uint8)

        return self.clip("grainy", grain)

    @cached_property
    def before_a_microphone(self) -> Path:
        return self.clip("microphone", _microphone)

    @cached_property
    def still(self) -> Path:
        """One frame all the time, under changing grain: whatever moves in its render was made by the program."""
        rng = np.random.default_rng(1)
        found = next(islice(read_frames(CLIPS / "test_A.mp4"), 30, None)).rgb

        def still(_: np.ndarray, at: int) -> np.ndarray:
            del at
            return np.clip(found + rng.normal(0, 14, (*found.shape[:2], 1)), 0, 255).astype(np.uint8)

        return self.clip("still", still)


def _blur(rgb: np.ndarray) -> np.ndarray:
    part = rgb[50:300, 40:260]
    alpha = np.zeros(part.shape[:2], np.float32)
    cv2.ellipse(alpha, (110, 115), (80, 100), 0, 0, 360, 1.0, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 8)[..., None]
    part[:] = part + alpha * (cv2.GaussianBlur(part, (0, 0), 22).astype(np.float32) - part)
    return rgb


def _coming(rgb: np.ndarray, at: int) -> np.ndarray:
    side = 150 + 4 * at
    near = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    whole = cv2.GaussianBlur(rgb, (0, 0), 30)
    corner = (rgb.shape[0] - side) // 2
    whole[-side:, corner : corner + side] = near
    return whole


def _microphone(rgb: np.ndarray, at: int) -> np.ndarray:
    """A ball of foam before the mouth, on a stick."""
    middle = (150 + round(6 * np.sin(at / 5)), 218)
    cv2.line(rgb, middle, (middle[0] - 40, 330), (28, 28, 30), 15, cv2.LINE_AA)
    mask = np.zeros(rgb.shape[:2], np.float32)
    cv2.circle(mask, middle, 30, 1.0, -1, cv2.LINE_AA)
    grain = np.random.default_rng(2).normal(0, 11, rgb.shape[:2])
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    foam = 46 + grain - 0.35 * (x - middle[0]) - 0.35 * (y - middle[1])
    return np.clip(rgb + mask[..., None] * (foam[..., None] - rgb), 0, 255).astype(np.uint8)


def _face(rgb: np.ndarray) -> np.ndarray:
    return rgb[60:270, 40:250]


def _zoom(rgb: np.ndarray, x: int, y: int, side: int = 70) -> np.ndarray:
    part = rgb[y : y + side, x : x + side]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST))


def _unrest(frames: Sequence[np.ndarray]) -> np.ndarray:
    """How much each pixel changes from frame to frame, 12 times as bright."""
    grey = np.stack([cv2.cvtColor(_face(frame), cv2.COLOR_RGB2GRAY) for frame in frames[6:]]).astype(np.float32)
    change = np.abs(np.diff(grey, axis=0)).mean(axis=0)
    return np.repeat(np.clip(12.0 * change, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _warmth(lines: dict[str, Sequence[np.ndarray]]) -> np.ndarray:
    """A chart: how much warmer than the footage's the cheek is, frame by frame."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 2.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()

    def warm(frames: Sequence[np.ndarray]) -> np.ndarray:
        cheeks = np.array([frame[150:180, 105:130].reshape(-1, 3).astype(float).mean(0) for frame in frames])
        return np.asarray(cheeks[:, 0] - cheeks[:, 2])

    below = warm(lines.pop("footage"))
    for (name, frames), colour in zip(lines.items(), ("#d55e00", "#0072b2", "#009e73"), strict=True):
        axis.plot(warm(frames) - below, label=name, color=colour, linewidth=1.6)
    axis.set_xlabel("frame")
    axis.set_ylabel("warmth, from the footage's", fontsize=9)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    figure.tight_layout()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _film(frames: Sequence[np.ndarray], at: Sequence[int]) -> np.ndarray:
    return np.hstack(
        [cv2.resize(frames[index][30:300, 20:290], (104, 104), interpolation=cv2.INTER_AREA) for index in at]
    )


Panels = list[tuple[str, np.ndarray]]


def panels(studio: Studio) -> dict[str, Callable[[], Panels]]:
    """What each picture shows: captions and pictures, by setting."""
    plain, default, look = studio.plain, ConvertSettings(), 29

    def compared(name: str, values: Sequence[Any], clip: Path, show: Callable[..., np.ndarray], **more: Any) -> Panels:
        return [
            (f"{name} {value}", show(studio.frames(clip, **{name: value}, **more)))
            for value in values
        ]  # fmt: skip

    def face(frames: list[np.ndarray]) -> np.ndarray:
        return _face(frames[look])

    def stricter(name: str, values: Sequence[Any], clip: Path) -> Panels:
        """The default and the first value that lets some frames through, not all; where they differ most."""
        usual = getattr(default, name)
        loose = studio.frames(clip, **{name: usual})
        for value in values:
            try:
                strict = studio.frames(clip, **{name: value})
            except NoFaceError:
                continue
            changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(loose, strict, strict=True)]
            at = int(np.argmax(changes))
            if changes[at] > 5.0:
                return [(f"{name} {usual}", _face(loose[at])), (f"{name} {value}", _face(strict[at]))]
        raise SystemExit(f"No value of {name} lets some frames through, and not all.")

    def unlike(name: str, values: tuple[Any, Any], show: Callable[..., np.ndarray], **more: Any) -> Panels:
        (one, before), (other, after) = compared(name, values, studio.evening, show, **more)
        change = cv2.GaussianBlur(after.astype(np.float32) - before, (0, 0), 2.0)
        change = np.clip(128 + 8 * change, 0, 255).astype(np.uint8)
        return [(one, before), (other, after), ("the difference, 8 times", change)]

    def sheet(name: str, values: Sequence[Any], clip: Path, at: Sequence[int], **more: Any) -> Panels:
        return compared(name, values, clip, lambda frames: _film(frames, at), **more)

    return {
        "blend": lambda: unlike(
            "blend", ("feather", "pyramid"), lambda f: _zoom(f[look], 60, 110, 140), color_strength=0.4
        ),
        "color_strength": lambda: unlike("color_strength", (0.0, 1.0), face),
        "color_seconds": lambda: [
            (
                "under a lamp that jumps between cold and warm",
                _warmth(
                    {"footage": [frame.rgb for frame in read_frames(studio.lamp)]}
                    | {
                        f"color_seconds {value}": studio.frames(studio.lamp, color_seconds=value)
                        for value in (0.0, default.color_seconds, 3.0)
                    }
                ),
            )
        ],
        "occlusion": lambda: compared("occlusion", (False, True), studio.before_a_microphone, face),
        "texture": lambda: compared(
            "texture", (False, True), studio.grainy, lambda frames: _zoom(frames[look], 96, 120)
        ),
        "smoothing_frames": lambda: compared(
            "smoothing_frames", (0, default.smoothing_frames), studio.still, _unrest, texture=False
        ),
        "smallest_face": lambda: stricter("smallest_face", (110, 100, 90), studio.coming),
        "largest_yaw_degrees": lambda: stricter("largest_yaw_degrees", (12.0, 15.0, 18.0), plain),
        "largest_pitch_degrees": lambda: stricter("largest_pitch_degrees", (12.0, 12.75, 13.5, 11.25), plain),
        "largest_misfit_cm": lambda: stricter("largest_misfit_cm", (0.35, 0.3, 0.4, 0.25), plain),
        "fade_frames": lambda: sheet(
            "fade_frames", (0, default.fade_frames), plain, range(21, 31, 2), largest_yaw_degrees=15.0
        ),
        "hold_seconds": lambda: sheet("hold_seconds", (0.0, default.hold_seconds), studio.blurred, range(16, 26, 2)),
        "crf": lambda: compared("crf", (default.crf, 36), plain, lambda frames: _zoom(frames[look], 96, 96, 90)),
    }


def _lamp(rgb: np.ndarray, at: int) -> np.ndarray:
    """The light jumps between warm and cold."""
    gain = (1.12, 1.0, 0.84) if at // 6 % 2 else (0.88, 1.0, 1.14)
    return np.clip(rgb * np.array(gain), 0, 255).astype(np.uint8)


def composed(shown: Panels) -> np.ndarray:
    """Captions and pictures on grey, with room for the label below."""
    wide = shown[0][1].shape[1] > 2 * SIDE  # strips of film go below each other
    gap, head, foot = 10, 24, 44
    widths, heights = [p.shape[1] for _, p in shown], [p.shape[0] for _, p in shown]
    width = (max(widths) if wide else sum(widths) + gap * (len(shown) - 1)) + 2 * gap
    height = (sum(heights) + (head + gap) * len(shown) if wide else max(heights) + head + gap) + foot
    sheet = Image.new("RGB", (max(width, 440), height), GREY)
    pen, x, y = ImageDraw.Draw(sheet), gap, gap
    for caption, picture in shown:
        pen.text((x, y + head - 8), caption, font=dejavu("DejaVuSans.ttf", 14), fill=(232, 232, 232), anchor="ls")
        sheet.paste(Image.fromarray(picture), (x, y + head))
        if wide:
            y += head + picture.shape[0] + gap
        else:
            x += picture.shape[1] + gap
    return np.array(sheet, np.uint8)


def make_pictures(root: Path, target: Path, only: Sequence[str] = ()) -> None:
    """Write the pictures, or only some of them.

    Args:
        root: of the project.
        target: folder.
        only: names of settings.
    """
    project = Project.open(root)
    record = parse_record(read_bounded(project.consent_path("lender"), "The consent record"))
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made = panels(Studio(project, Path(folder)))
        for name in only or made:
            sheet, mark = draw_label(composed(made[name]())), secrets.token_bytes(5)
            data = io.BytesIO()
            Image.fromarray(Watermarker(mark, sheet.shape[:2])(sheet)).save(data, "JPEG", quality=90, subsampling=0)
            claim = RenderClaim(
                record_id=record.id, record_sha256=record.sha256, purpose=project.config.purpose,
                made_at=datetime.now(UTC), preset="swift", label_text=LABEL_TEXT, watermark_id=mark,
                synthetic=record.synthetic, screens=SCREENS,
            )  # fmt: skip
            path = target / f"{name}.jpg"
            signed, _ = sign_picture(
                data.getvalue(), path, parent_kind="video/mp4", footage="none", claim=claim, identity=own_identity()
            )
            path.write_bytes(signed)


if __name__ == "__main__":
    import sys

    make_pictures(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
