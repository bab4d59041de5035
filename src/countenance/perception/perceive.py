"""All the networks that look at pictures, in one bundle that loads each at its first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from countenance.perception.detect import FaceDetector
from countenance.perception.identity import FaceEmbedder
from countenance.perception.landmarks import FaceMesh
from countenance.perception.occlusion import OcclusionNet
from countenance.perception.screen import ApparentAge, SexualContentScreen
from countenance.perception.search import FaceSearch
from countenance.perception.segment import PersonSegmenter
from countenance.perception.session import default_sessions

if TYPE_CHECKING:
    from countenance.perception.identity import Impression
    from countenance.perception.session import SessionProvider
    from countenance.types import Detection, FaceLandmarks, Float32, UInt8

__all__ = ["Perception"]


class Perception:
    """Detector, mesh, embedder, segmenter and the two screens, sharing one set of sessions.

    Making one costs nothing: weights are fetched and loaded when a part first runs.

    Args:
        sessions: gives the networks; the process's own real ones when None. Tests pass their own.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions: SessionProvider = sessions or default_sessions()

    @cached_property
    def detector(self) -> FaceDetector:
        """Finds faces."""
        return FaceDetector(self._sessions)

    @cached_property
    def mesh(self) -> FaceMesh:
        """Finds a face's landmarks."""
        return FaceMesh(self._sessions)

    @cached_property
    def embedder(self) -> FaceEmbedder:
        """Tells who a face is."""
        return FaceEmbedder(self._sessions)

    @cached_property
    def search(self) -> FaceSearch:
        """Finds faces that the detector overlooks."""
        return FaceSearch(self.detector)

    def look(self, rgb: UInt8, face: FaceLandmarks | Detection) -> Impression:
        """Who a face is and how clearly that was seen, see :meth:`FaceEmbedder.look`."""
        return self.embedder.look(rgb, face)

    def expression(self, points_xy: Float32) -> Float32:
        """The expression that landmarks show, see :meth:`FaceMesh.expression`."""
        return self.mesh.expression(points_xy)

    @cached_property
    def occlusion(self) -> OcclusionNet:
        """Tells a face from what is in front of it."""
        return OcclusionNet(self._sessions)

    @cached_property
    def segmenter(self) -> PersonSegmenter:
        """Separates people from the background."""
        return PersonSegmenter(self._sessions)

    @cached_property
    def screen(self) -> SexualContentScreen:
        """Scores sexual content."""
        return SexualContentScreen(self._sessions)

    @cached_property
    def age(self) -> ApparentAge:
        """Estimates apparent age."""
        return ApparentAge(self._sessions)
