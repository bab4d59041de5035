"""Reads one video or photo into a face set, in chunks that are written whole or not at all.

A chunk is 25 frames. Faces are searched afresh at its start and everything else that later frames depend on is read
back from the file, so that an extraction that was killed goes on to the very same set as one that was not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import floor, sqrt
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance import geometry
from countenance.faceset import layout
from countenance.faceset.crops import averaged
from countenance.faceset.curate import BLURRED_BELOW, Seen, face_pixels, reason_before_alignment, sharpness
from countenance.faceset.follow import FaceFollower, Sighting
from countenance.faceset.records import MASK_SIZE, Moment, NewFace, NewRejection, Reason, SourceRecord
from countenance.media.read import read_frames, read_picture
from countenance.perception.identity import EMBEDDING_SIZE
from countenance.perception.screen import require_decent
from countenance.types import AlignedFace, FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from countenance.faceset.store import FaceSet
    from countenance.perception.perceive import Perception
    from countenance.types import Float32, Float64, Frame, UInt8

__all__ = ["CHUNK_FRAMES", "align", "embed", "read_source"]

CHUNK_FRAMES = 25
"""Frames that are written together: a kill costs at most these."""

_SCREENS_A_SECOND = 2
_REGION = 256  # side of what the person network sees
_REGION_FACES = 2.6  # its side in faces: head and shoulders, as on the selfies that it learned from


def align(frame_rgb: UInt8, landmarks: FaceLandmarks, size: int = geometry.CROP_SIZE) -> AlignedFace:
    """The crop of a face, ``size`` × ``size``, with landmarks and depth in the crop's pixels.

    Raises:
        ValueError: the landmarks are a single point.
    """
    matrix = geometry.aligned_from_frame(landmarks.points_xy, size)
    scale = sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    crop = geometry.warp(frame_rgb, matrix, (size, size))
    inside = FaceLandmarks(
        geometry.apply(matrix, landmarks.points_xy),
        (landmarks.depth * scale).astype(np.float32),
        landmarks.blendshapes,
        landmarks.presence,
    )
    return AlignedFace(crop, matrix, inside)


def embed(perception: Perception, aligned: AlignedFace) -> Float32:
    """The identity vector of an aligned face, from its own pixels; zeros, which match nobody, when there is none."""
    try:
        return perception.embedder(aligned.rgb, aligned.landmarks)
    except ValueError:
        return np.zeros(EMBEDDING_SIZE, np.float32)


def read_source(
    faceset: FaceSet, source: SourceRecord, path: Path, perception: Perception, tick: Callable[[int], None]
) -> SourceRecord:
    """Read a source from where it was left to its end; its faces are pending then.

    Args:
        faceset: where faces go.
        source: as the face set has it.
        path: the file.
        perception: the networks.
        tick: called with the number of frames done in this source after each.

    Raises:
        MediaError: the file is damaged; chunks before the damage stay in the face set.
        SexualContentError: the screen flagged a frame of this source.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        reader = _Reader(faceset, source, perception, pool)
        try:
            for frame in _frames(path, source):
                if frame.index % CHUNK_FRAMES == 0 and frame.index > reader.source.next_frame:
                    reader.write(frame.index, finished=False)
                reader.look(frame)
                tick(frame.index + 1)
            reader.write(reader.next_frame, finished=True)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return reader.source


def _frames(path: Path, source: SourceRecord) -> Iterator[Frame]:
    if source.kind == "photo":
        yield read_picture(path)
    else:
        yield from read_frames(path, start_index=source.next_frame)


class _Found(NamedTuple):
    """A face whose slower facts are being computed: embedding, person mask, PNG; ``aligned`` of the face set's side."""

    moment: Moment
    aligned: AlignedFace
    sharpness: float
    pose_degrees: tuple[float, float, float]
    detection_score: float
    face_pixels: float
    rest: Future[tuple[Float32, UInt8, bytes]]


class _Reader:
    """One source on its way into the face set."""

    def __init__(
        self, faceset: FaceSet, source: SourceRecord, perception: Perception, pool: ThreadPoolExecutor
    ) -> None:
        self.source = source
        self.next_frame = source.next_frame
        self._faceset, self._crop_size = faceset, faceset.crop_size
        self._perception = perception
        self._pool = pool
        self._follower = FaceFollower(perception)
        self._screened = faceset.screens(source.id)
        self._last_slot = self._screened[-1][0] if self._screened else None
        self._seen = _remembered(faceset, source)
        self._screens: list[tuple[int, int, Future[float]]] = []
        self._faces: list[NewRejection | _Found] = []
        self._without_face = 0

    def look(self, frame: Frame) -> None:
        """Take note of a frame's faces, and of how decent it is every half second."""
        slot = floor(frame.pts_seconds * _SCREENS_A_SECOND)
        if self._last_slot is None or slot > self._last_slot:
            self._screens.append((slot, frame.index, self._pool.submit(self._perception.screen, frame.rgb)))
            self._last_slot = slot
        sightings = self._follower(frame.rgb)
        self._without_face += not sightings
        for sighting in sightings:
            self._judge(frame, sighting)
        self.next_frame = frame.index + 1

    def write(self, next_frame: int, *, finished: bool) -> None:
        """Write the chunk, and start the next without a memory of faces' places."""
        for slot, _, score in self._screens:
            self._screened.append((slot, score.result()))
        require_decent([score for _, score in self._screened], self.source.name)
        ready = [face if isinstance(face, NewRejection) else _complete(face) for face in self._faces]
        with self._faceset.transaction():
            for slot, frame_index, score in self._screens:
                self._faceset.add_screen(self.source.id, slot, frame_index, score.result())
            for face in ready:
                if isinstance(face, NewFace):
                    self._faceset.add(self.source.id, face)
                else:
                    self._faceset.reject(self.source.id, face)
            self.source = self._faceset.advance_source(
                self.source, next_frame=next_frame, without_face=self._without_face, finished=finished
            )
        self._screens, self._faces, self._without_face = [], [], 0
        self._follower.restart()

    def _judge(self, frame: Frame, sighting: Sighting) -> None:
        marks = sighting.landmarks
        try:
            aligned = align(frame.rgb, marks, self._crop_size)
            pose = geometry.head_pose_degrees(marks.points_xy, marks.depth)
        except ValueError:  # all landmarks in one point
            return
        usual = averaged(aligned, geometry.CROP_SIZE)  # what thresholds were set on
        sharp = sharpness(usual.rgb)
        moment = Moment(frame.index, frame.pts, frame.time_base)
        size = face_pixels(marks.points_xy)
        reason = reason_before_alignment(marks.points_xy, marks.presence, pose, frame.size_hw)
        if reason is None and sharp < BLURRED_BELOW:
            reason = Reason.BLURRED
        if reason is None and self._seen.holds_one_like(usual.rgb, usual.landmarks.points_xy):
            reason = Reason.NEAR_DUPLICATE
        score = sighting.detection_score
        if reason is not None:
            small = layout.thumbnail_of(usual.rgb)
            self._faces.append(NewRejection(moment, reason, small, sharp, pose, score, marks.presence, size))
            return
        self._seen.add(usual.rgb, usual.landmarks.points_xy)
        region, region_from_frame = _region(frame.rgb, marks.points_xy)
        rest = self._pool.submit(self._rest, aligned, usual, region, region_from_frame)
        self._faces.append(_Found(moment, aligned, sharp, pose, score, size, rest))

    def _rest(
        self, aligned: AlignedFace, usual: AlignedFace, region: UInt8, region_from_frame: Float64
    ) -> tuple[Float32, UInt8, bytes]:
        person = np.round(self._perception.segmenter(region).values * 255.0).astype(np.uint8)
        aligned_from_region = geometry.compose(usual.aligned_from_frame, geometry.invert(region_from_frame))
        small_from_region = geometry.compose(geometry.resize_matrix(geometry.CROP_SIZE, MASK_SIZE), aligned_from_region)
        mask = geometry.warp(person, small_from_region, (MASK_SIZE, MASK_SIZE))
        return embed(self._perception, usual), mask, layout.png_of(aligned.rgb)


def _complete(found: _Found) -> NewFace:
    embedding, mask, png = found.rest.result()
    return NewFace(
        moment=found.moment,
        aligned=found.aligned,
        embedding=embedding,
        person_mask=mask,
        sharpness=found.sharpness,
        pose_degrees=found.pose_degrees,
        detection_score=found.detection_score,
        face_pixels=found.face_pixels,
        png=png,
    )


def _remembered(faceset: FaceSet, source: SourceRecord) -> Seen:
    """The faces of a source that were found before the extraction was interrupted."""
    seen = Seen()
    ids = [record.id for record in faceset.records("pending") if record.source_id == source.id]
    for start in range(0, len(ids), 100):
        faces = faceset.load_some(ids[start : start + 100], crop_size=geometry.CROP_SIZE)
        for crop, points in zip(faces.rgb, faces.landmarks_xy, strict=True):
            seen.add(crop, points)
    return seen


def _region(rgb: UInt8, points_xy: Float32) -> tuple[UInt8, Float64]:
    """Head and shoulders around a face, squeezed to 256 × 256, and ``region_from_frame``."""
    height, width = rgb.shape[:2]
    low, high = points_xy[:468].min(axis=0), points_xy[:468].max(axis=0)
    half = float((high - low).max()) * _REGION_FACES / 2.0
    centre = (low + high) / 2.0
    left, top = (int(max(0.0, floor(float(value) - half))) for value in centre)
    right, bottom = min(width, int(centre[0] + half) + 1), min(height, int(centre[1] + half) + 1)
    if right - left < 2 or bottom - top < 2:  # a face wholly outside; the caller has rejected it as cut
        left, top, right, bottom = 0, 0, width, height
    region = cv2.resize(rgb[top:bottom, left:right], (_REGION, _REGION), interpolation=cv2.INTER_AREA)
    scale_x, scale_y = _REGION / (right - left), _REGION / (bottom - top)
    # Pixel edges coincide: an edge at −0.5 + left becomes one at −0.5.
    matrix = np.array(
        [[scale_x, 0.0, scale_x * (0.5 - left) - 0.5], [0.0, scale_y, scale_y * (0.5 - top) - 0.5]], np.float64
    )
    return np.asarray(region, np.uint8), matrix
