"""The page for compositors that lies in a folder of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countenance.media.probe import VideoInfo

__all__ = ["readme"]

_KIND = {
    "png": "PNG, RGBA, 8 bits, in the frame's full size. Alpha is STRAIGHT (unassociated): colour is not\n"
    "  multiplied by it. Where alpha is 0, colour is 0.",
    "exr": "EXR, RGBA, 16-bit float, ZIP. The display window is the frame, the data window the painted region.\n"
    "  Alpha is PREMULTIPLIED (associated), as in any EXR. The values are not linear light, see below.",
}

_TEXT = """PATCHES: painted faces and veils, apart from the footage
=========================================================

This folder shows the face of a person who agreed to lend it, under a consent record. Each picture is signed (Content
Credentials) and carries an invisible watermark. What you make of it must stay within that record, and you must say in
what you deliver that a face was replaced: the patches carry no visible label. Check any file with:
    countenance verify FILE

WHAT IS HERE
  face_NN/face_NN.FFFFFF.{form}    the painted face number NN in frame FFFFFF (frames count from 0)
  veil_NN/veil_NN.FFFFFF.{form}    what hides a face that could not be replaced. LEAVE NO VEIL OUT, unless something
                                   else hides that face as well: below it is the person in the footage.
  patches.json                     frame by frame: number, pts, timecode, layers in their order, veiled faces
  A sequence has gaps where there is no such face: let your program show nothing (black, alpha 0) there.

PICTURES
  {kind}
  Frame {width} x {height}, {rate} frames a second, time base {time_base} s.

OVER
  For each frame lay the layers of patches.json over the footage in their order, faces first, veils last:
    straight:       out = footage * (1 - alpha) + colour * alpha
    premultiplied:  out = footage * (1 - alpha) + colour
  The result is the render, without its label and its watermark, within a step of 8 bits and the patches' own watermark.

COLOUR
  Values are those of the footage as it is encoded (its own transfer curve, full range RGB, 1.0 = 255), and the blending
  was done in them. So composite them as they are: set the patches AND the footage to "raw", "data" or "non-colour", lay
  over, and only then convert to your working space. Over in linear light makes the soft rim a little brighter.

PIXELS
  frame_from_patch is a 2x3 matrix from a pixel of the file to a pixel of the frame, as columns (x, y, 1).
  The centre of the top-left pixel is (0, 0), x to the right, y down. Nuke, Fusion and Blender count from the lower left
  corner of the picture, After Effects from the upper left one: a point (x, y) here is
    Nuke, Blender:  (x + 0.5, {height} - 0.5 - y)
    Fusion:         ((x + 0.5) / {width}, 1 - (y + 0.5) / {height})
    After Effects:  (x + 0.5, y + 0.5)
  frame_from_aligned, for faces, takes the square crop (side aligned_size) that the face was painted in to the frame:
  the motion of the face, for whatever you attach to it. An ellipse is [x, y, radius_x, radius_y]; a veil fades out at
  1.3 radii.

NUKE
  Read footage and patches with "raw data" on; missing frames: black. {nuke}
  Merge (over), A = patch, B = footage. Then a Colorspace node for the whole.
FUSION
  Loader, import tab: {fusion} Missing frames: output black. No gamut or curve on either side. Merge: patch in front.
AFTER EFFECTS
  Interpret footage > alpha: {after}. Colour management: preserve RGB. {after_depth}
BLENDER
  Compositor: image node, colour space Non-Color (the footage, too), alpha {blender}; Alpha Over: footage below,
  patch above. Render settings: view transform Raw.

These notes follow the programs' manuals; what was tested is the arithmetic above.
"""


def readme(form: str, info: VideoInfo) -> str:
    """The page, for one format and one footage."""
    straight = form == "png"
    return _TEXT.format(
        form=form,
        kind=_KIND[form],
        width=info.width,
        height=info.height,
        rate=info.average_rate,
        time_base=info.time_base,
        nuke="A Premult node after each patch." if straight else "No Premult node: they are premultiplied.",
        fusion="Post-multiply by alpha on." if straight else "Post-multiply by alpha off.",
        after="straight, unmatted" if straight else "premultiplied, matted with black",
        after_depth="8 bits a channel will do." if straight else "Work in 32 bits a channel.",
        blender="straight" if straight else "premultiplied",
    )
