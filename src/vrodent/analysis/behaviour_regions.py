"""A density over the plane, and its regions: the catchments of its peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from vrodent.analysis.checks import AnalysisError

_EMPTY = 1e-3  # of the highest density: below it, a cell belongs to no region


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A square grid of cells over the plane.

    Attributes:
        low: (2,) corner.
        cell: side of a cell.
        size: cells along a side.
    """

    low: np.ndarray
    cell: float
    size: int

    @classmethod
    def over(cls, points: np.ndarray, size: int, margin: float = 0.15) -> Grid:
        """A grid that holds the points with a margin of that share of their extent on each side.

        Raises:
            AnalysisError: no points, or all in one place.
        """
        low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.zeros(2))
        side = float((high - low).max())
        if not side > 0:
            raise AnalysisError(f"behaviour map: {len(points)} points in one place make no map.")
        whole = side * (1 + 2 * margin)
        return cls(low=(low + high) / 2 - whole / 2, cell=whole / size, size=size)

    def cells(self, points: np.ndarray) -> np.ndarray:
        """(point, 2) row and column of the cell of each point; points outside go to the nearest cell. Rows go with the second axis."""
        index = np.floor((points - self.low) / self.cell).astype(int)
        return np.clip(index, 0, self.size - 1)[:, ::-1]

    def centres(self, axis: int) -> np.ndarray:
        """(size,) middles of the cells along an axis of the plane."""
        return self.low[axis] + (np.arange(self.size) + 0.5) * self.cell


def density(points: np.ndarray, grid: Grid, bandwidth: float) -> np.ndarray:
    """(row, column) Gaussian density of points, integral 1 over the grid.

    Args:
        points: (point, 2).
        grid: where.
        bandwidth: standard deviation, in units of the plane.
    """
    counts = np.zeros((grid.size, grid.size))
    np.add.at(counts, tuple(grid.cells(points).T), 1.0)
    smooth = gaussian_filter(counts, bandwidth / grid.cell, mode="constant")
    return smooth / (smooth.sum() * grid.cell**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Catchments of a density's peaks, the one of most mass first.

    Attributes:
        labels: (row, column) region of each cell, -1 where there is next to nothing.
        peak: (region, 2) row and column of its highest cell.
        mass: (region,) share of the density.
        saddle: (region,) the highest pass to another region, as a share of the region's own peak; 0 for one that stands alone.
    """

    labels: np.ndarray
    peak: np.ndarray
    mass: np.ndarray
    saddle: np.ndarray

    @property
    def separation(self) -> float:
        """How deep the valleys are: mean over mass of 1 less the saddle; 0 for a single region."""
        return float(self.mass @ (1 - self.saddle)) if len(self.mass) > 1 else 0.0

    @property
    def filled(self) -> np.ndarray:
        """(row, column) labels with every empty cell given to the nearest region."""
        nearest = np.asarray(distance_transform_edt(self.labels < 0, return_distances=False, return_indices=True))
        return self.labels[nearest[0], nearest[1]]


def watershed(values: np.ndarray, contrast: float = 0.2) -> Regions:
    """Cut a density into the catchments of its peaks.

    Cells are visited from the highest down. A cell next to no labelled one is a peak; any other joins the region of its highest labelled
    neighbour. Where two regions meet, the one of the lower peak is dissolved into the other if it stands out of the pass by less than
    `contrast` of its height. Without dissolving this is the watershed transform of the density turned upside down; dissolving by height
    above the pass is its hierarchy by dynamics (Grimaud 1992), which for point densities is known as persistence (Chazal et al. 2013,
    doi:10.1145/2535927). Written out here because it is short and gives the passes too, which a library's watershed does not.

    Args:
        values: (row, column), at least 0, some above.
        contrast: in [0, 1).

    Raises:
        AnalysisError: nothing above 0, values not finite, or a contrast out of range.
    """
    if not 0 <= contrast < 1:
        raise AnalysisError(f"watershed: contrast must be in [0, 1), got {contrast}.")
    if not np.isfinite(values).all() or not values.max() > 0:
        raise AnalysisError("watershed: the density must be finite and somewhere above 0.")
    height = np.pad(values, 1, constant_values=-1.0)
    labels, peaks, parent, saddle = _flood(height.ravel(), height.shape[1], contrast, _EMPTY * float(values.max()))
    roots = np.array([_root(parent, i) for i in range(len(parent))])
    whole = np.where(labels >= 0, roots[labels], -1).reshape(height.shape)[1:-1, 1:-1]
    kept = np.unique(roots)
    mass = np.array([values[whole == root].sum() for root in kept]) / values.sum()
    order = np.argsort(-mass, kind="stable")
    kept, mass = kept[order], mass[order]
    number = np.full(len(roots) + 1, -1)
    number[kept] = np.arange(len(kept))
    places = np.array([divmod(peaks[root], height.shape[1]) for root in kept]) - 1
    passes = np.array([saddle[root] for root in kept]) / values[tuple(places.T)]
    return Regions(labels=number[whole], peak=places, mass=mass / mass.sum(), saddle=passes)


def _flood(height: np.ndarray, width: int, contrast: float, least: float) -> tuple[np.ndarray, list[int], list[int], list[float]]:
    """Labels of cells before dissolving, and of each label its peak's cell, its parent, and its highest pass that was not dissolved."""
    labels = np.full(len(height), -1)
    peaks: list[int] = []
    parent: list[int] = []
    saddle: list[float] = []
    around = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    order = np.argsort(-height, kind="stable")
    for cell in order[: np.count_nonzero(height > least)].tolist():
        near = cell + around
        near = near[labels[near] >= 0]
        if not len(near):
            labels[cell] = len(peaks)
            peaks.append(cell)
            parent.append(len(parent))
            saddle.append(0.0)
            continue
        labels[cell] = labels[near[height[near].argmax()]]
        here = float(height[cell])
        meeting = sorted({_root(parent, int(label)) for label in labels[near]}, key=lambda root: (-height[peaks[root]], root))
        for lower in meeting[1:]:
            if here > (1 - contrast) * height[peaks[lower]]:
                parent[lower] = meeting[0]
        standing = [root for root in meeting if parent[root] == root]
        if len(standing) > 1:
            for root in standing:
                saddle[root] = max(saddle[root], here)
    return labels, peaks, parent, saddle


def _root(parent: list[int], label: int) -> int:
    while parent[label] != label:
        label = parent[label]
    return label
