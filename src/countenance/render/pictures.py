"""Patches as picture files: PNG with straight alpha, EXR of 16-bit floats with premultiplied colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.atomic import output_error
from countenance.errors import OutputError
from countenance.provenance.watermark import Watermarker

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from countenance.conversion.patches import Patch
    from countenance.types import Float32

__all__ = ["exr_bytes", "marked_colour", "png_bytes", "require_exr"]


def require_exr() -> None:
    """Raise ``OutputError`` where the library that writes EXR is not installed."""
    try:
        import OpenEXR  # noqa: F401
    except ImportError as error:
        raise OutputError(
            "EXR patches need the package OpenEXR. Install it with: pip install 'countenance[film]', or choose "
            "--patches-format png."
        ) from error


def marked_colour(patch: Patch, watermark: bytes) -> Float32:
    """The patch's straight colour with the invisible watermark in it, float32 ``(h, w, 3)`` in 8-bit codes.

    The mark is that of the patch's own region, so that it is found in a single file; it is as strong as it would be in
    the finished picture, and none is where the patch is transparent.
    """
    height, width = patch.alpha.shape
    picture = patch.picture
    mark = Watermarker(watermark, (height, width))(picture).astype(np.float32) - picture
    rgb = np.clip(patch.rgb + mark, 0.0, 255.0)
    rgb[patch.alpha <= 0.0] = 0.0
    return np.asarray(rgb, np.float32)


def png_bytes(rgb: Float32, patch: Patch, size_hw: tuple[int, int]) -> bytes:
    """An RGBA PNG of 8 bits in the frame's size; colour is straight, and zero wherever alpha is.

    Args:
        rgb: see :func:`marked_colour`.
        patch: gives alpha and place.
        size_hw: of the frame.
    """
    region = patch.region
    alpha = np.rint(patch.alpha * 255.0).astype(np.uint8)
    bgra = np.zeros((*size_hw, 4), np.uint8)
    part = bgra[region.y0 : region.y1, region.x0 : region.x1]
    part[..., :3] = np.rint(rgb[..., ::-1]).astype(np.uint8)
    part[..., 3] = alpha
    part[alpha == 0] = 0
    made, data = cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not made:
        raise OutputError("A patch could not be written as PNG. Run the same command again.")
    return data.tobytes()


def exr_bytes(rgb: Float32, patch: Patch, size_hw: tuple[int, int], scratch: Path, *, pixel_aspect: Fraction) -> bytes:
    """An EXR of 16-bit floats: the patch's region as data window, the frame as display window, premultiplied.

    The values are the picture's own, encoded ones (1.0 is 8-bit 255), not linear light: blending was done in them.

    Args:
        rgb: see :func:`marked_colour`.
        patch: gives alpha and place.
        size_hw: of the frame.
        scratch: a file in a private folder; the library writes files only.
        pixel_aspect: width of a pixel by its height.

    Raises:
        OutputError: it cannot be written.
    """
    import OpenEXR

    region, (height, width) = patch.region, size_hw
    alpha = patch.alpha[..., None]
    rgba = np.concatenate([rgb / 255.0 * alpha, alpha], axis=2).astype(np.float16)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "displayWindow": (np.array([0, 0], np.int32), np.array([width - 1, height - 1], np.int32)),
        "dataWindow": (
            np.array([region.x0, region.y0], np.int32),
            np.array([region.x1 - 1, region.y1 - 1], np.int32),
        ),
        "pixelAspectRatio": float(pixel_aspect),
        "comments": "Countenance patch: display-referred values as in the footage, not linear; premultiplied alpha.",
    }
    try:
        with OpenEXR.File(header, {"RGBA": np.ascontiguousarray(rgba)}) as file:
            file.write(str(scratch))
        return scratch.read_bytes()
    except (RuntimeError, OSError) as error:
        if isinstance(error, OSError):
            raise output_error(scratch, error) from error
        raise OutputError(f"An EXR patch could not be written ({error}). Free some space and try again.") from error
    finally:
        scratch.unlink(missing_ok=True)
