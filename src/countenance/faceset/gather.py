"""Reads one video or photo into a face set, in chunks that are written whole or not at all.

A chunk is 25 frames. Faces are searched afresh at its start and everything else that later frames depend on is read
back from the file, so that an extraction that was killed goes on to the very same set as one that was not.

One thread decodes ahead, this one follows and judges the faces, two do the slower work on those that are kept. A chunk
is written when the next one has been looked at, so that nobody waits for the last faces of a chunk.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
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
from countenance.media.shots import ShotDetector
from countenance.perception.identity import EMBEDDING_SIZE
from countenance.perception.screen import Looks, require_decent
from countenance.types import AlignedFace, FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future
    from pathlib import Path

    from countenance.faceset.store import FaceSet
    from countenance.perception.perceive import Perception
    from countenance.types import Float32, Float64, Frame, UInt8

__all__ = ["CHUNK_FRAMES", "align", "embed", "read_source"]

CHUNK_FRAMES = 25
"""Frames that are written together: a kill costs at most these and as many before them."""

_AHEAD = 3  # frames that wait decoded

_SCREEN_SECONDS = Fraction(1, 2)
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
    with (
        ThreadPoolExecutor(max_workers=2, thread_name_prefix="extract") as pool,
        closing(_ahead(_frames(path, source))) as frames,
    ):
        reader = _Reader(faceset, source, perception, pool)
        try:
            for frame in frames:
                if frame.index % CHUNK_FRAMES == 0 and frame.index > source.next_frame:
                    reader.end_chunk()
                reader.look(frame)
                tick(frame.index + 1)
            reader.end()
        except BaseException:
            with suppress(Exception):  # what is whole is kept; the first error is the one to tell
                reader.write(finished=False)
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return reader.source


def _frames(path: Path, source: SourceRecord) -> Generator[Frame]:
    if source.kind == "photo":
        yield read_picture(path)
    else:
        yield from read_frames(path, start_index=source.next_frame)


def _ahead(frames: Generator[Frame]) -> Generator[Frame]:
    """The same frames, decoded by a thread of its own while those before them are looked at."""
    waiting: deque[Future[Frame | None]] = deque()
    with closing(frames), ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as decoder:
        try:
            while True:
                while len(waiting) < _AHEAD:
                    waiting.append(decoder.submit(next, frames, None))
                frame = waiting.popleft().result()
                if frame is None:
                    return
                yield frame
        finally:
            for future in waiting:
                future.cancel()


class _Found(NamedTuple):
    """A face whose slower facts are being computed: embedding, person mask, PNG, expression.

    ``aligned`` is of the face set's side and lacks the expression.
    """

    moment: Moment
    aligned: AlignedFace
    sharpness: float
    pose_degrees: tuple[float, float, float]
    detection_score: float
    face_pixels: float
    rest: Future[tuple[Float32, UInt8, bytes, Float32]]


@dataclass(slots=True)
class _Chunk:
    """What was seen in the frames of a chunk, up to ``next_frame``."""

    next_frame: int
    without_face: int = 0
    screens: list[tuple[int, Future[float]]] = field(default_factory=list)
    faces: list[NewRejection | _Found] = field(default_factory=list)


class _Reader:
    """One source on its way into the face set: a chunk that is being looked at, and one that waits to be written."""

    def __init__(
        self, faceset: FaceSet, source: SourceRecord, perception: Perception, pool: ThreadPoolExecutor
    ) -> None:
        self.source = source
        self._faceset, self._crop_size = faceset, faceset.crop_size
        self._perception = perception
        self._pool = pool
        self._follower = FaceFollower(perception)
        self._screened = faceset.screens(source.id)
        self._shots, self._looks = ShotDetector(), Looks(_SCREEN_SECONDS)
        self._unseen: Frame | None = None  # the newest frame, where it was not screened
        self._seen = _remembered(faceset, source)
        self._chunk = _Chunk(source.next_frame)
        self._whole: _Chunk | None = None

    def look(self, frame: Frame) -> None:
        """Take note of a frame's faces, and of how decent it is: every half second, and where a shot begins."""
        if self._looks.due(frame.pts_seconds, cut=self._shots(frame.rgb)):
            self._screen(frame)
        else:
            self._unseen = frame
        sightings = self._follower(frame.rgb)
        self._chunk.without_face += not sightings
        for sighting in sightings:
            self._judge(frame, sighting)
        self._chunk.next_frame = frame.index + 1

    def _screen(self, frame: Frame) -> None:
        self._chunk.screens.append((frame.index, self._pool.submit(self._perception.screen, frame.rgb)))
        self._unseen = None

    def end_chunk(self) -> None:
        """Write the chunk before; the next one starts without a memory of faces' places and of when one looked."""
        self.write(finished=False)
        self._whole, self._chunk = self._chunk, _Chunk(self._chunk.next_frame)
        self._follower.restart()
        self._shots = ShotDetector()
        self._looks.restart()

    def end(self) -> None:
        """The source is at its end: screen its last frame, and write what is left."""
        if self._unseen is not None:
            self._screen(self._unseen)
        self.end_chunk()
        self.write(finished=True)

    def write(self, *, finished: bool) -> None:
        """Write the chunk that has ended, if there is one; ``finished`` when it is the last of the source."""
        chunk = self._whole
        if chunk is None:
            return
        screens = [(index, score.result()) for index, score in chunk.screens]
        scores = [score for _, score in self._screened] + [score for _, score in screens]
        require_decent(scores, self.source.name)
        ready = [face if isinstance(face, NewRejection) else _complete(face) for face in chunk.faces]
        with self._faceset.transaction():
            for index, score in screens:
                self._faceset.add_screen(self.source.id, index, score)
            for face in ready:
                if isinstance(face, NewFace):
                    self._faceset.add(self.source.id, face)
                else:
                    self._faceset.reject(self.source.id, face)
            self.source = self._faceset.advance_source(
                self.source, next_frame=chunk.next_frame, without_face=chunk.without_face, finished=finished
            )
        self._screened += screens
        self._whole = None

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
            self._chunk.faces.append(NewRejection(moment, reason, small, sharp, pose, score, marks.presence, size))
            return
        self._seen.add(usual.rgb, usual.landmarks.points_xy)
        region, region_from_frame = _region(frame.rgb, marks.points_xy)
        rest = self._pool.submit(self._rest, aligned, usual, marks.points_xy, region, region_from_frame)
        self._chunk.faces.append(_Found(moment, aligned, sharp, pose, score, size, rest))

    def _rest(
        self,
        aligned: AlignedFace,
        usual: AlignedFace,
        points_xy: Float32,
        region: UInt8,
        region_from_frame: Float64,
    ) -> tuple[Float32, UInt8, bytes, Float32]:
        person = np.round(self._perception.segmenter(region).values * 255.0).astype(np.uint8)
        aligned_from_region = geometry.compose(usual.aligned_from_frame, geometry.invert(region_from_frame))
        small_from_region = geometry.compose(geometry.resize_matrix(geometry.CROP_SIZE, MASK_SIZE), aligned_from_region)
        mask = geometry.warp(person, small_from_region, (MASK_SIZE, MASK_SIZE))
        expression = self._perception.expression(points_xy)
        return embed(self._perception, usual), mask, layout.png_of(aligned.rgb), expression


def _complete(found: _Found) -> NewFace:
    embedding, mask, png, expression = found.rest.result()
    return NewFace(
        moment=found.moment,
        aligned=replace(found.aligned, landmarks=replace(found.aligned.landmarks, blendshapes=expression)),
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
    # By whole numbers first: the mean over any other area takes seven times as long.
    times_x, times_y = max(1, (right - left) // _REGION), max(1, (bottom - top) // _REGION)
    right, bottom = right - (right - left) % times_x, bottom - (bottom - top) % times_y
    part = rgb[top:bottom, left:right]
    if times_x > 1 or times_y > 1:
        smaller = ((right - left) // times_x, (bottom - top) // times_y)
        part = np.asarray(cv2.resize(part, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    region = cv2.resize(part, (_REGION, _REGION), interpolation=cv2.INTER_LINEAR)
    scale_x, scale_y = _REGION / (right - left), _REGION / (bottom - top)
    # Pixel edges coincide: an edge at −0.5 + left becomes one at −0.5.
    matrix = np.array(
        [[scale_x, 0.0, scale_x * (0.5 - left) - 0.5], [0.0, scale_y, scale_y * (0.5 - top) - 0.5]], np.float64
    )
    return np.asarray(region, np.uint8), matrix
