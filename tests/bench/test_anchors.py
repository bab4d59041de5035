"""The anchors must be as good as pasting can be, and no better than they say."""

import cv2
import numpy as np
import pytest
import torch
from anchors import AffinePaste, MeshPaste, inner_points
from training_faces import made_faces

from countenance.training.losses import ssim_map
from countenance.training.prepare import PersonFaces
from countenance.training.reference import want
from countenance.types import BLENDSHAPES, AlignedFace, FaceLandmarks

anchors = pytest.mark.parametrize("anchor", [AffinePaste, MeshPaste])
MARKERS = {0: (255, 0, 0), 17: (0, 255, 0), 61: (0, 0, 255), 291: (255, 255, 0)}  # lips: above, below, both corners
FACTS = object()


def aligned(rgb: np.ndarray, points: np.ndarray, depth: np.ndarray) -> AlignedFace:
    return AlignedFace(rgb, np.eye(2, 3), FaceLandmarks(points, depth, np.zeros(BLENDSHAPES, np.float32), 1.0))


def face_of(faces: PersonFaces, row: int) -> AlignedFace:
    return aligned(faces.rgb[row], faces.points_xy[row], faces.depth[row])


def similarity(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean SSIM where the mask is nearly whole."""
    first, second = (torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255.0 for x in (a, b))
    return float(ssim_map(first, second)[0].mean(0)[torch.from_numpy(mask > 0.9)].mean())


@pytest.fixture(scope="module")
def lender() -> PersonFaces:
    return made_faces(12, 7)


@anchors
def test_a_face_of_the_gallery_comes_back(anchor, lender) -> None:
    swapper = anchor(lender, lender, FACTS)
    assert swapper.facts is FACTS
    for row in (0, 5):
        face = face_of(lender, row)
        assert swapper.find(face)[1] == row
        (result,) = swapper([face])
        assert similarity(result.rgb, face.rgb, result.mask.values) > 0.97


@anchors
def test_the_mask_is_soft_and_within_the_face(anchor, lender) -> None:
    swapper = anchor(lender, lender, FACTS)
    face = face_of(lender, 3)
    (result,) = swapper([face])
    values, inside = result.mask.values, want(swapper.find(face)[0], 256, 128).raster.inside
    assert result.mask.kind == "predicted"
    assert values[128, 128] == 1.0
    assert 0.0 < ((values > 0.05) & (values < 0.95)).mean() < 0.2
    assert not (values[cv2.dilate(np.kron(inside, np.ones((2, 2))), np.ones((3, 3))) == 0] > 0).any()


def test_no_faces_no_results(lender) -> None:
    assert MeshPaste(lender, lender, FACTS)([]) == []


def test_inner_points_are_features_and_no_outline() -> None:
    inner = set(inner_points().tolist())
    assert {33, 263, 1, 61, 291, 0} <= inner  # eye corners, nose, mouth
    assert not inner & {10, 152, 234, 454}  # forehead, chin, temples


def marked(faces: PersonFaces) -> PersonFaces:
    """Grey faces with coloured dots on their lips, so that a picture tells where its mouth went."""
    rgb = np.full_like(faces.rgb, 110)
    for picture, points in zip(rgb, faces.points_xy, strict=True):
        for number, colour in MARKERS.items():
            x, y = points[number] * 16.0
            cv2.circle(picture, (round(x), round(y)), 4 * 16, colour, cv2.FILLED, cv2.LINE_AA, 4)
    return faces._replace(rgb=rgb)


def mouth_error(rgb: np.ndarray, points: np.ndarray) -> float:
    """Mean distance in pixels of the dots from where the landmarks are wanted."""
    errors = []
    for number, colour in MARKERS.items():
        near = np.clip(1.0 - np.abs(rgb.astype(np.float64) - colour).sum(2) / 150.0, 0.0, 1.0)
        rows, columns = np.nonzero(near)
        weight = near[rows, columns]
        centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        errors.append(float(np.linalg.norm(centre - points[number])))
    return float(np.mean(errors))


def test_only_the_mesh_follows_an_expression_that_the_lender_never_had(lender) -> None:
    dotted, performer = marked(lender), made_faces(12, 8)
    points = performer.points_xy[0].copy()
    low = points[:, 1] > 160.0
    points[low, 1] += 0.7 * (points[low, 1] - 160.0)  # the mouth opens far wider
    face = aligned(performer.rgb[0], points, performer.depth[0])
    affine, mesh = AffinePaste(dotted, performer, FACTS), MeshPaste(dotted, performer, FACTS)
    wanted, number = mesh.find(face)
    assert affine.find(face)[1] == number
    by_affine, by_mesh = (mouth_error(anchor([face])[0].rgb, wanted.points_xy) for anchor in (affine, mesh))
    assert by_mesh < 1.0
    assert by_affine > by_mesh + 1.5


def test_the_pasted_face_is_the_lenders(lender) -> None:
    performer = made_faces(12, 9)
    red = lender._replace(rgb=np.full_like(lender.rgb, (200, 30, 30)))
    for anchor in (AffinePaste, MeshPaste):
        (result,) = anchor(red, performer, FACTS)([face_of(performer, 2)])
        assert (result.rgb[result.mask.values > 0.0] == (200, 30, 30)).all()
