"""A still picture of a synthetic performer, moved as if it were a head: the landmarks turn in three dimensions."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from countenance.types import FaceLandmarks

INNER_LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
GRID = 8  # pixels between the places at which the motion is worked out
RELIEF = 1.6  # the networks see less of a turn in a picture that is only pulled: nothing comes into view behind a cheek


class Puppet:
    """Renders the picture turned, with the eyes open or shut, the mouth open by parts of the face's height."""

    def __init__(self, open_eyes: np.ndarray, shut_eyes: np.ndarray, landmarks: FaceLandmarks) -> None:
        self.stills = (open_eyes, shut_eyes)
        self.at = np.column_stack([landmarks.points_xy, RELIEF * landmarks.depth])[:468].astype(np.float64)
        self.middle = self.at.mean(0) + np.array([0.0, 0.0, 30.0])
        self.height = np.ptp(self.at[:, 1])
        self.render = lru_cache(maxsize=None)(self._render)

    def _render(self, yaw: float = 0.0, pitch: float = 0.0, shut: bool = False, mouth: float = 0.0) -> np.ndarray:
        a, b = np.radians([yaw, pitch])
        about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
        shape = self.at.copy()
        below = shape[:, 1] - self.at[13, 1]
        beside = np.exp(-(((shape[:, 0] - self.at[13, 0]) / (0.25 * self.height)) ** 2))
        shape[:, 1] += mouth * self.height * beside * np.clip(below / (0.05 * self.height), 0.0, 1.0)
        new = (shape - self.middle) @ about_x.T @ about_y.T + self.middle
        moved = self._pulled(self.stills[int(shut)], new[:, :2])
        if mouth:
            cv2.fillPoly(moved, [np.round(new[INNER_LIPS, :2]).astype(np.int32)], (60, 20, 20), cv2.LINE_AA)
        return moved

    def _pulled(self, rgb: np.ndarray, new_xy: np.ndarray) -> np.ndarray:
        """The picture with each landmark where it should be, and its border where it was."""
        height, width = rgb.shape[:2]
        along = np.linspace(0, width - 1, 9)
        border = np.array([[u, v] for u in along for v in along if {u, v} & {along[0], along[-1]}])
        points = np.concatenate([new_xy, border])
        shift = np.concatenate([new_xy - self.at[:, :2], np.zeros_like(border)])
        y, x = np.mgrid[0:height:GRID, 0:width:GRID]
        places = np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)
        weight = 1.0 / (((places[:, None] - points[None]) ** 2).sum(2) + 1.0) ** 2
        flow = ((weight @ shift) / weight.sum(1, keepdims=True)).reshape(*x.shape, 2).astype(np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        yy, xx = np.mgrid[:height, :width].astype(np.float32)
        return cv2.remap(rgb, xx - flow[..., 0], yy - flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def tilted(rgb: np.ndarray, yaw: float, pitch: float, focal: float = 600.0) -> np.ndarray:
    """A photograph of that picture, held at an angle before a camera."""
    height, width = rgb.shape[:2]
    a, b = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = about_y @ about_x
    cx, cy = (width - 1) / 2.0, (height - 1) / 2.0
    camera = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
    plane = np.column_stack([turn[:, 0], turn[:, 1], [0.0, 0.0, focal]])
    matrix = camera @ plane @ np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1]])
    return cv2.warpPerspective(rgb, matrix, (width, height), borderValue=(120, 120, 120))
