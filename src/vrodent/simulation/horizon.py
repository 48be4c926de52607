"""Which patches of a terrain are hidden behind nearer terrain. A rat's eye is low: most of a bumpy bowl is out of its sight.

A ray from the eye that is below the ground at some distance has gone through the ground on its way, and sees nothing beyond. How high the
ground is at least, around points on rays in all directions, gives a horizon that is never too high; a patch is hidden where
all of it lies below. So what is left out is left out by right, and no pixel changes.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from vrodent.simulation.culling import Boxes

_BINS = 420  # directions around the eye
_REACH = 4.0  # m, within which ground is looked for that hides
_STEPS = 40  # distances along a ray
_WIDEST = 80  # bins that a patch may span; a wider one is near
_CLEARANCE = 0.01  # m that the eye must be above the ground around it, well beyond the near clipping plane


class Horizon:
    """The horizon of one terrain, in the frame of its geom, z up.

    Args:
        points: (row, column, 3) m, a regular grid: x along the columns, y along the rows.
    """

    def __init__(self, points: np.ndarray) -> None:
        heights = points[..., 2].astype(float)
        self._origin = points[0, 0, :2].astype(float)
        span = points[-1, -1, :2].astype(float) - self._origin
        self._cell = span / (np.array(heights.shape[::-1]) - 1)
        # Around a vertex, up to one cell away.
        self._least = np.pad(ndimage.minimum_filter(heights, 3), 1, constant_values=-np.inf)
        self._most = np.asarray(ndimage.maximum_filter(heights, 3))
        self._shape = points.shape[0], points.shape[1]
        turn = (np.arange(_BINS) + 0.5) * (2 * np.pi / _BINS)
        # Between neighbouring rays the ground is at most half a cell from either: what is least one cell around is less than all of it.
        reach = min(_REACH, float(self._cell.min()) / (2 * np.pi / _BINS))
        self._distance = np.geomspace(0.08, reach, _STEPS)
        self._offset = self._distance[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)

    def hidden(self, eye: np.ndarray, boxes: Boxes) -> np.ndarray:
        """Which boxes are hidden; False where that is not certain.

        Args:
            eye: (3,) m.
            boxes: around pieces of the terrain.

        Returns:
            (box,) bool.
        """
        column, row = np.rint((eye[:2] - self._origin) / self._cell).astype(int)
        rows, columns = self._shape
        if not (0 <= row < rows and 0 <= column < columns) or eye[2] < self._most[row, column] + _CLEARANCE:
            return np.zeros(len(boxes.centre), bool)
        return self._below(eye, boxes, self._slopes(eye))

    def _slopes(self, eye: np.ndarray) -> np.ndarray:
        """(distance, bin): the steepest slope from the eye to ground at most so far away, or less."""
        rows, columns = self._shape
        index = np.rint((eye[:2] + self._offset - self._origin) / self._cell).astype(int) + 1
        column, row = np.clip(index[..., 0], 0, columns + 1), np.clip(index[..., 1], 0, rows + 1)
        slope = (self._least[row, column] - eye[2]) / self._distance[:, None]
        return np.maximum.accumulate(slope, axis=0)

    def _below(self, eye: np.ndarray, boxes: Boxes, slopes: np.ndarray) -> np.ndarray:
        offset = boxes.centre - eye
        gap = np.maximum(np.abs(offset[:, :2]) - boxes.half[:, :2], 0.0)
        near = np.hypot(gap[:, 0], gap[:, 1])
        far = np.hypot(*(np.abs(offset[:, :2]) + boxes.half[:, :2]).T)
        top = offset[:, 2] + boxes.half[:, 2]
        steepest = np.where(top > 0, top / np.maximum(near, 1e-9), top / far)
        last = np.searchsorted(self._distance, near) - 1  # the last distance before the box
        middle = np.arctan2(offset[:, 1], offset[:, 0])
        corners = offset[:, None, :2] + boxes.half[:, None, :2] * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        aside = np.arctan2(corners[..., 1], corners[..., 0]) - middle[:, None]
        width = np.abs((aside + np.pi) % (2 * np.pi) - np.pi).max(axis=1)
        scale = _BINS / (2 * np.pi)
        first = np.floor((middle - width) * scale - 1e-6).astype(int)
        count = np.floor((middle + width) * scale + 1e-6).astype(int) - first + 1
        known = (last >= 0) & (count <= _WIDEST)
        bins = first[:, None] + np.minimum(np.arange(_WIDEST), count[:, None] - 1)
        horizon = slopes[np.maximum(last, 0)[:, None], bins % _BINS].min(axis=1)
        return known & (steepest < horizon - 1e-6)
