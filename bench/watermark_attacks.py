"""What happens to marked clips on their way, for bench/watermark.py: codecs, cuts, screens, and what destroys a mark.

Everything but the codecs themselves is followed by x264 at CRF 23, as a site that takes uploads would do it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import cv2
import numpy as np

Clip = list[np.ndarray]
Attack = Callable[[Clip], Clip]
Change = Callable[[np.ndarray], np.ndarray]


def recoded(clip: Clip, codec: str, options: dict[str, str]) -> tuple[Clip, float]:
    """The frames after a codec in one thread, and the kilobits a second that it took."""
    height, width = clip[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=25, options={"threads": "1", **options})
        stream.width, stream.height, stream.pix_fmt = width - width % 2, height - height % 2, "yuv420p"
        for frame in clip:
            even = np.ascontiguousarray(frame[: stream.height, : stream.width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        out.mux(stream.encode())
    kbps = buffer.tell() * 8 / 1000 / (len(clip) / 25)
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], kbps


def x264(crf: int, preset: str = "fast") -> Attack:
    return lambda clip: recoded(clip, "libx264", {"crf": str(crf), "preset": preset})[0]


def x265(crf: int) -> Attack:
    options = {"crf": str(crf), "preset": "superfast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
    return lambda clip: recoded(clip, "libx265", options)[0]


def vp9(crf: int) -> Attack:
    return lambda clip: recoded(
        clip, "libvpx-vp9", {"crf": str(crf), "b": "0", "cpu-used": "8", "deadline": "realtime"}
    )[0]


def upload(clip: Clip) -> Clip:
    """As sites do it: fast, and faster still where pictures are big."""
    return x264(23, "superfast" if clip[0].size < 1_500_000 else "ultrafast")(clip)


def each(change: Change) -> Attack:
    """A change of every frame, then the upload."""
    return lambda clip: upload([np.clip(np.rint(change(frame)), 0, 255).astype(np.uint8) for frame in clip])


def scaled(across: float, down: float | None = None) -> Change:
    down = across if down is None else down
    how = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
    return lambda f: cv2.resize(f, None, fx=across, fy=down, interpolation=how)


def cropped(width: float, height: float, x: float = 0.5, y: float = 0.5) -> Change:
    """A part of the frame; ``x``, ``y`` in [0, 1] say how far to the right and below it lies."""

    def cut(f: np.ndarray) -> np.ndarray:
        w, h = round(f.shape[1] * width), round(f.shape[0] * height)
        left, top = round((f.shape[1] - w) * x), round((f.shape[0] - h) * y)
        return f[top : top + h, left : left + w]

    return cut


def framed(top: float, left: float, grey: int = 0) -> Change:
    """Bars, as fractions of the frame's sides."""

    def add(f: np.ndarray) -> np.ndarray:
        down, across = round(f.shape[0] * top), round(f.shape[1] * left)
        return cv2.copyMakeBorder(f, down, down, across, across, cv2.BORDER_CONSTANT, value=(grey,) * 3)

    return add


def turned(degrees: float) -> Change:
    def turn(f: np.ndarray) -> np.ndarray:
        height, width = f.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return cv2.warpAffine(f, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)

    return turn


def windowed(f: np.ndarray) -> np.ndarray:
    """In the middle of a picture of twice its width and height."""
    down, across = f.shape[0] // 2, f.shape[1] // 2
    return cv2.copyMakeBorder(f, down, down, across, across, cv2.BORDER_REFLECT)


def skewed(f: np.ndarray, by: float) -> np.ndarray:
    """Seen from one side: the left edge is shorter."""
    h, w = f.shape[:2]
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    moved = corners + np.array([[0, by * h], [0, 0], [0, 0], [0, -by * h]], np.float32)
    return cv2.warpPerspective(f, cv2.getPerspectiveTransform(corners, moved), (w, h), borderMode=cv2.BORDER_REFLECT)


def logo(f: np.ndarray) -> np.ndarray:
    f, (h, w) = f.copy(), f.shape[:2]
    cv2.rectangle(f, (round(0.74 * w), round(0.05 * h)), (round(0.97 * w), round(0.2 * h)), (220, 20, 30), -1)
    cv2.putText(f, "NEWS 24", (round(0.76 * w), round(0.16 * h)), cv2.FONT_HERSHEY_DUPLEX, w / 700, (255,) * 3, 2)
    return f


def captioned(f: np.ndarray) -> np.ndarray:
    f, (h, w) = logo(f), f.shape[:2]
    cv2.rectangle(f, (0, round(0.82 * h)), (w, round(0.95 * h)), (20, 30, 120), -1)
    cv2.putText(f, "BREAKING: WHAT IS KNOWN", (9, round(0.91 * h)), cv2.FONT_HERSHEY_DUPLEX, w / 620, (255,) * 3, 1)
    return f


def noisy(f: np.ndarray, sigma: float) -> np.ndarray:
    return f + np.random.default_rng(int(f[::7, ::7].sum())).normal(0, sigma, (*f.shape[:2], 1))


def mixed(clip: Clip) -> Clip:
    """From 25 to 30 frames a second by mixing neighbours."""
    times = np.arange(0, len(clip) - 1, 25 / 30)
    return [cv2.addWeighted(clip[int(t)], 1 - t % 1, clip[int(t) + 1], t % 1, 0.0) for t in times]


def screen(clip: Clip) -> Clip:
    """A player's window on a screen, recorded: odd scale, half a pixel beside, blur, tone, noise, other frame rate."""
    out = []
    for index, f in enumerate(clip):
        h, w = f.shape[:2]
        size = (round(1.137 * w), round(1.137 * h))
        matrix = np.array([[1.137, 0.0, 0.43 - 0.008 * w], [0.0, 1.137, -0.37 - 0.005 * h]])
        seen = cv2.GaussianBlur(cv2.warpAffine(f, matrix, size, flags=cv2.INTER_LINEAR), (0, 0), 0.7)
        seen = noisy(255.0 * (seen / 255.0) ** 1.12, 1.5)
        out += [np.clip(np.rint(seen), 0, 255).astype(np.uint8)] * (2 if index % 5 == 4 else 1)  # 25 to 30 a second
    return x264(26, "superfast")(out)


def small_copy(clip: Clip) -> Clip:
    """Cut to 90 %, half the size, brighter, compressed strongly, then uploaded again."""
    step = [cropped(0.9, 0.9, 0.3, 0.6)(f) for f in clip]
    step = [np.clip(1.1 * scaled(0.5)(f).astype(np.float32) + 6, 0, 255).astype(np.uint8) for f in step]
    return upload(x264(27, "superfast")(step))


def studied(clip: Clip) -> Clip:
    """Somebody who knows how the public mark is made: takes the likeliest pattern off, in its right strength."""
    from countenance.provenance.watermark import Watermarker, find_watermark

    found = find_watermark(clip).payload
    if found is None:
        return clip
    marker = Watermarker(found, clip[0].shape[:2])
    return upload([np.clip(2 * f.astype(np.int16) - marker(f), 0, 255).astype(np.uint8) for f in clip])


ATTACKS: dict[str, Attack] = {
    "none": list,
    **{f"x264 CRF {crf}": x264(crf) for crf in (18, 23, 28, 32, 35)},
    **{f"x265 CRF {crf}": x265(crf) for crf in (18, 23, 28, 32, 35)},
    **{f"VP9 CRF {crf}": vp9(crf) for crf in (24, 32, 40)},
    **{f"scaled {factor}": each(scaled(factor)) for factor in (0.4, 0.5, 0.75, 1.3, 2.0)},
    "squeezed to 95 % of the width": each(scaled(0.95, 1.0)),
    "cropped to 97 %": each(cropped(0.97, 0.97)),
    "cropped to 90 %, off centre": each(cropped(0.9, 0.9, 0.2, 0.9)),
    "cropped to 80 %": each(cropped(0.8, 0.8)),
    "cropped to 80 %, a corner": each(cropped(0.8, 0.8, 1.0, 0.0)),
    "width cropped to 80 %": each(cropped(0.8, 1.0, 0.3)),
    "cropped to 80 %, scaled 0.5": each(lambda f: scaled(0.5)(cropped(0.8, 0.8, 0.1, 0.5)(f))),
    "letterboxed": each(framed(0.17, 0.0)),
    "pillarboxed, grey": each(framed(0.0, 0.3, 40)),
    "cropped to 88 %, letterboxed": each(lambda f: framed(0.12, 0.0)(cropped(0.88, 0.88, 0.6, 0.4)(f))),
    "mirrored": each(lambda f: f[:, ::-1]),
    "every 2nd frame": lambda clip: upload(clip[::2]),
    "frames mixed, 25 to 30 a second": lambda clip: upload(mixed(clip)),
    "trimmed to 1 s": lambda clip: upload(clip[25:50]),
    "brightness +30": each(lambda f: f + 30.0),
    "brightness −30": each(lambda f: f - 30.0),
    "contrast 0.7": each(lambda f: (f - 128.0) * 0.7 + 128.0),
    "contrast 1.3": each(lambda f: (f - 128.0) * 1.3 + 128.0),
    "gamma 0.75": each(lambda f: 255.0 * (f / 255.0) ** 0.75),
    "gamma 1.4": each(lambda f: 255.0 * (f / 255.0) ** 1.4),
    "blur 1 px": each(lambda f: cv2.GaussianBlur(f, (0, 0), 1.0)),
    "blur 1.5 px": each(lambda f: cv2.GaussianBlur(f, (0, 0), 1.5)),
    "sharpened": each(lambda f: 2.0 * f - cv2.GaussianBlur(f, (0, 0), 1.5)),
    "noise, 6 levels": each(lambda f: noisy(f, 6.0)),
    "logo": each(logo),
    "logo and caption": each(captioned),
    "screen recording": screen,
    "small copy: 90 %, half size, twice compressed": small_copy,
}
"""What a mark should survive."""

LOSSES: dict[str, Attack] = {
    **{f"x264 CRF {crf}": x264(crf) for crf in (38, 42)},
    "scaled 0.25": each(scaled(0.25)),
    **{f"cropped to {keep:.0%}".replace("%", " %"): each(cropped(keep, keep)) for keep in (0.75, 0.7, 0.6, 0.5)},
    "blur 3 px": each(lambda f: cv2.GaussianBlur(f, (0, 0), 3.0)),
    **{f"turned {angle}°": each(turned(angle)) for angle in (0.3, 0.5, 1.0, 2.0, 5.0)},
    "seen from one side, 1 %": each(lambda f: skewed(f, 0.01)),
    "seen from one side, 4 %": each(lambda f: skewed(f, 0.04)),
    "in a window: a quarter of a picture": each(windowed),
    "one frame": lambda clip: upload(clip[30:31]),
    "the public mark taken off by who knows it": studied,
}
"""What it may not survive; measured on every third clip."""
