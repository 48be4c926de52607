"""Which boxes a camera can see any part of. A box that it cannot see may be left out of a picture without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

_SLACK = 1e-5
"""Widening of the field of view, against rounding."""


class Boxes(NamedTuple):
    """Boxes along the axes of a common frame.

    Attributes:
        centre: (box, 3) m.
        half: (box, 3) m.
    """

    centre: np.ndarray
    half: np.ndarray

    @classmethod
    def around(cls, pieces: Sequence[np.ndarray]) -> Boxes:
        """Boxes around sets of points, each (point, 3)."""
        low, high = (np.array([getattr(piece, end)(axis=0) for piece in pieces], dtype=float) for end in ("min", "max"))
        return cls((low + high) / 2, (high - low) / 2)


def view_planes(rotation: np.ndarray, fovy: float) -> np.ndarray:
    """Inward normals of the sides of a square picture's field of view, and of the plane through the eye.

    Args:
        rotation: (world, 3, 3) of the camera, which looks along its negative z axis.
        fovy: degrees, vertical field of view; the picture is as wide as high.

    Returns:
        (world, 5, 3): a point at x from the eye can be seen only if all five products with x are not negative.
    """
    x, y, z = np.moveaxis(rotation, -1, 0)
    reach = -np.tan(np.deg2rad(fovy) / 2) * (1 + _SLACK) * z
    return np.stack([reach - x, reach + x, reach - y, reach + y, -z], axis=1)


def in_view(planes: np.ndarray, centre: np.ndarray, axes: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Which boxes lie at least partly in view; may be True for a few that do not.

    Args:
        planes: (world, 5, 3) from `view_planes`.
        centre: (world, box, 3) from the eye, m.
        axes: (world, box, 3, 3), a box's axes in its columns.
        half: (world, box, 3) or (box, 3), m; infinity for what is always in view.

    Returns:
        (world, box) bool.
    """
    along = np.abs(np.matmul(planes[:, None], axes))
    with np.errstate(invalid="ignore"):  # 0 * infinity
        reach = np.matmul(along, np.broadcast_to(half, centre.shape)[..., None])[..., 0]
    distance = np.matmul(centre, planes.swapaxes(1, 2))
    return ~(distance + reach < -1e-9).any(axis=-1)


def half_extent(kind: np.ndarray, size: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Half-sizes of boxes around geoms, in the geoms' frames.

    Args:
        kind: (geom,) `mjtGeom`.
        size: (..., geom, 3) `geom_size`, m.
        radius: (..., geom) `geom_rbound`, m, for all but planes, boxes and spheres.

    Returns:
        (..., geom, 3), m; infinity for planes without end and for height fields.
    """
    geom = mujoco.mjtGeom
    half = np.broadcast_to(np.asarray(radius)[..., None], size.shape).copy()
    for i, each in enumerate(kind):
        if each == geom.mjGEOM_BOX:
            half[..., i, :] = size[..., i, :]
        elif each == geom.mjGEOM_SPHERE:
            half[..., i, :] = size[..., i, :1]
        elif each == geom.mjGEOM_PLANE:
            half[..., i, :2] = np.where(size[..., i, :2] > 0, size[..., i, :2], np.inf)
            half[..., i, 2] = 0.0
        elif each == geom.mjGEOM_HFIELD:
            half[..., i, :] = np.inf
    return half
