"""What each figure of an evaluation means: formula, source, range, direction, and what fools it.

The table is data, so that the command, the page of the metrics and the tests all say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METRICS", "Metric", "value_of"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    ``part`` and ``key`` say where it stands in :class:`~countenance.evaluation.evaluate.Evaluation` (``part`` empty: on
    top); ``better`` is the good direction, ``one`` for a ratio that should be 1; ``digits`` after the point in tables.
    """

    part: str
    key: str
    name: str
    unit: str
    range: str
    better: Literal["higher", "lower", "one"]
    digits: int
    formula: str
    source: str
    fooled_by: str


# fmt: off
METRICS: tuple[Metric, ...] = (
    Metric(
        "truth", "ssim", "SSIM", "", "−1 .. 1", "higher", 3,
        "Mean over the face mask of (2μₓμᵧ+C₁)(2σₓᵧ+C₂) / ((μₓ²+μᵧ²+C₁)(σₓ²+σᵧ²+C₂)); Gaussian window of 11 pixels, "
        "σ = 1.5; R, G and B apart, then their mean; mean over the frames.",
        "Z. Wang et al., IEEE TIP 2004",
        "A shift of one pixel costs more than a blur; a slight colour cast hardly counts; a mask that reaches outside "
        "the "
        "face flatters.",
    ),
    Metric(
        "truth", "inner_ssim", "SSIM, inner", "", "−1 .. 1", "higher", 3,
        "The same inside the mask eroded by 8 pixels: without the outline, where the lender's and the performer's "
        "heads "
        "differ.",
        "as SSIM",
        "A wrong seam or outline is not seen at all.",
    ),
    Metric(
        "truth", "psnr_db", "PSNR", "dB", "0 .. ∞ (about 40 after an encoder)", "higher", 1,
        "10·log₁₀(255² / MSE), the mean squared error over the mask, the three channels and all frames.",
        "common usage",
        "A blur costs little; a small shift of a sharp edge much; light counts more than any feature.",
    ),
    Metric(
        "truth", "ms_ssim", "MS-SSIM", "", "0 .. 1", "higher", 3,
        "Product over five scales, each half the one before, of the masked means of contrast and structure, with "
        "exponents "
        "0.0448, 0.2856, 0.3001, 0.2363, 0.1333; luminance at the last scale.",
        "Z. Wang, E. Simoncelli, A. Bovik, Asilomar 2003",
        "Fine detail has 4 % of the say: pores, lashes and grain hardly count. Coarse scales see a little around the "
        "face.",
    ),
    Metric(
        "truth", "delta_e", "ΔE00", "", "0 .. about 100", "lower", 2,
        "Mean over the mask of the CIEDE2000 difference of each pixel, kL = kC = kH = 1.",
        "G. Sharma, W. Wu, E. Dalal, Color Research and Application 2005",
        "A wrong face in the right colour scores well. It is made for flat patches, not for texture.",
    ),
    Metric(
        "truth", "gradient_similarity", "Gradient similarity", "", "0 .. 1", "higher", 3,
        "Mean over the mask of (2ab+170)/(a²+b²+170), a and b the Prewitt gradient magnitudes of luma at half size.",
        "W. Xue et al., IEEE TIP 2014",
        "Blind to colour and brightness; smooth skin, most of a face, always agrees, so figures crowd near 0.9.",
    ),
    Metric(
        "truth", "seam", "Seam error", "grey levels/px", "0 .. 255", "lower", 2,
        "Mean length of ∇swap − ∇truth (luma, Scharr) in a ring of 3 % of the face's height on both sides of the "
        "mask's "
        "edge.",
        "ours; the ring as in boundary scores of matting",
        "The ring lies on the true mask's edge; a tool that blends further inside has its seam elsewhere. The "
        "lender's and "
        "performer's outlines differ by some pixels, so even a perfect blend is not 0.",
    ),
    Metric(
        "outside", "excess", "Outside, excess", "grey levels", "0 .. 255", "lower", 0,
        "Largest difference outside the face (16 pixels away from it) between swap and footage, less the largest of "
        "the "
        "footage itself, marked alike and encoded with the same settings; 0 at least.",
        "ours",
        "A maximum over some 10⁷ values: one pixel decides, and a few levels of difference are the encoder's own "
        "dice. Settings "
        "other than the conversion's own shift both sides.",
    ),
    Metric(
        "outside", "mean", "Outside, mean", "grey levels", "0 .. 255", "lower", 2,
        "Mean absolute difference there, of the channel that changed most; to be read beside encoder_mean.",
        "ours",
        "A change of a small part drowns in the encoder's noise; that is what the excess is for.",
    ),
    Metric(
        "identity", "top1", "Identity top-1", "", "0 .. 1", "higher", 3,
        "Share of frames whose descriptor lies nearer to the lender's mean descriptor than to the performer's.",
        "FaceForensics++ and later benchmarks; dlib's 128-d network, D. King 2017",
        "A paste of a still photo wins. Two people who look alike make it harder, unlike ones easy: compare within "
        "one pair.",
    ),
    Metric(
        "identity", "margin", "Identity margin", "descriptor distance", "about −1 .. 1", "higher", 3,
        "Mean over the frames of (distance to the performer − distance to the lender).",
        "as above",
        "Light, pose and sharpness move it by 0.05; the truth's own margin is the mark to reach, not more.",
    ),
    Metric(
        "behaviour", "pose_degrees", "Head pose error", "degrees", "0 .. 180", "lower", 2,
        "Mean angle of the turn between the two head rotations, each from fitting the canonical mesh to 52 rigid "
        "points.",
        "fit: S. Umeyama, PAMI 1991",
        "Another person's bones fit the canonical mesh at another angle: the truth itself is about 3° off.",
    ),
    Metric(
        "behaviour", "expression", "Expression error", "", "0 .. 1", "lower", 4,
        "Mean absolute difference of 52 blendshape coefficients, each clip's own mean taken out.",
        "blendshapes: MediaPipe (ARKit's names)",
        "A constant error (a mouth always half open) is not seen. Most coefficients are near 0 most of the time.",
    ),
    Metric(
        "behaviour", "mouth_correlation", "Mouth correlation", "", "−1 .. 1", "higher", 3,
        "Pearson's correlation over the clip of the gap between the lips, in face widths.",
        "ours",
        "Too small or too large movement in the right rhythm is perfect; a clip in which nobody speaks says nothing "
        "(null).",
    ),
    Metric(
        "behaviour", "blink_correlation", "Blink correlation", "", "−1 .. 1", "higher", 3,
        "Pearson's correlation over the clip of the eyes' aspect ratio (lid gap by eye width).",
        "aspect ratio: T. Soukupová, J. Čech, CVWW 2016",
        "As the mouth. Landmarks see a closed eye in a smear of the right shape.",
    ),
    Metric(
        "behaviour", "gaze_degrees", "Gaze error", "degrees", "0 .. 180", "lower", 2,
        "Mean angle between the eyes' turns in footage and swap, where both are open: the iris's place between the "
        "corners "
        "on an eyeball of 12 mm in an eye of 30 mm.",
        "ours; sizes from anthropometry",
        "Another person's eye corners shift the angle: the truth itself is about 5° off. Iris landmarks are guesses "
        "on small "
        "or blurred eyes.",
    ),
    Metric(
        "behaviour", "jitter_ratio", "Jitter, ratio", "× footage", "0 .. ∞", "one", 2,
        "Mean acceleration (second difference) of the 478 landmarks in face widths, by the footage's own.",
        "ours",
        "A frozen face has none. Under 1 may be smoothing that also lags; the landmark network smooths by itself.",
    ),
    Metric(
        "", "flicker_ratio", "Flicker, ratio", "× footage", "0 .. ∞", "one", 2,
        "Mean absolute difference of luma inside the face between a frame and the one before moved by the footage's "
        "optical flow (DIS), by the footage's own.",
        "W.-S. Lai et al., ECCV 2018",
        "A soft picture flickers less. The flow is the footage's: the truth itself is not at 1.",
    ),
    Metric(
        "tone", "step", "Tone step", "ΔE00", "0 .. about 100", "lower", 2,
        "CIEDE2000 difference of the mean colours of the face's skin (without eyes, mouth and rim) and of the skin "
        "above and "
        "below it, chosen in the footage as within 12 of the face's median colour; to be read beside footage_step.",
        "ours",
        "Means only: a face lit from the wrong side passes. Shadow on the neck is a step of its own.",
    ),
)
# fmt: on
"""In the order of the tables."""


def value_of(facts: Mapping[str, Any], metric: Metric) -> float | None:
    """A metric's value in :meth:`Evaluation.to_json`'s facts; None where it was not measured."""
    part = facts if not metric.part else facts.get(metric.part)
    value = None if part is None else part.get(metric.key)
    return None if value is None else float(value)
