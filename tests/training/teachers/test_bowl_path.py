"""The easiest way out of a bowl, where it is known."""

import numpy as np
import pytest
from scipy import ndimage

from vrodent.task.bowl import Bowl
from vrodent.training.teachers.bowl_path import BowlPath

HALF = 3.0


def _grid(side: int = 61) -> tuple[np.ndarray, np.ndarray]:
    along = np.linspace(-HALF, HALF, side)
    x, y = np.meshgrid(along, along)
    return x, y


def _walked(path: BowlPath, start: tuple[float, float], stride: float = 0.05) -> np.ndarray:
    """(step, 2): where a point comes that walks as told, until it is out."""
    way = [np.array(start)]
    while np.linalg.norm(way[-1]) < 0.92 * HALF and len(way) < 400:
        heading = path.heading(way[-1][None])[0]
        way.append(way[-1] + stride * np.array([np.cos(heading), np.sin(heading)]))
    return np.array(way)


def test_on_level_ground_the_way_leads_straight_out_and_its_effort_is_its_length():
    path = BowlPath(np.zeros((61, 61)), HALF)
    points = np.array([[1.0, 0.0], [0.0, -1.5], [1.1, 1.1], [-2.9, 0.5], [2.99, 2.99]])
    outward = np.arctan2(points[:, 1], points[:, 0])
    # Moves have sixteen directions, 26.6 degrees apart at most, and a way of two directions may begin with either.
    np.testing.assert_allclose(np.angle(np.exp(1j * (path.heading(points) - outward))), 0.0, atol=0.47)
    centre = path.effort.reshape(61, 61)[30, 30]
    assert 0.92 * HALF <= centre <= 0.92 * HALF * 1.03 + 0.1


def test_the_way_leads_through_the_gate_of_a_wall():
    x, y = _grid()
    wall = (np.abs(np.hypot(x, y) - 1.5) < 0.2) & ~((np.abs(y) < 0.4) & (x < 0))
    way = _walked(BowlPath(0.5 * wall, HALF), (0.8, 0.0))
    assert len(way) < 400
    through = way[np.argmin(np.abs(np.linalg.norm(way, axis=1) - 1.5))]
    assert through[0] < 0 and abs(through[1]) < 0.4


def test_rotating_the_ground_rotates_the_way():
    rng = np.random.default_rng(3)
    heights = 0.2 * rng.random((61, 61))
    points = rng.uniform(-2.0, 2.0, (50, 2))
    turned = np.stack([-points[:, 1], points[:, 0]], axis=1)
    # Rows run along y and columns along x, so a quarter turn to the left is NumPy's to the right.
    told, told_turned = BowlPath(heights, HALF).heading(points), BowlPath(np.rot90(heights, -1), HALF).heading(turned)
    same = np.abs(np.angle(np.exp(1j * (told_turned - told - np.pi / 2)))) < 1e-6
    assert same.mean() > 0.9  # of two ways that are equally easy either may be found


def test_in_the_tasks_terrain_ways_are_a_little_longer_and_much_less_steep():
    task = Bowl()
    for seed in (11, 12):
        heights = task.terrain(np.random.default_rng(seed)) * task.height
        path, slopes, lengths = BowlPath(heights, task.radius), [], []
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            direction = np.array([np.cos(angle), np.sin(angle)])
            way, straight = [0.6 * direction], 0.6 * direction + np.arange(0.0, 3.6, 0.06)[:, None] * direction
            while np.linalg.norm(way[-1]) < 4.2 and len(way) < 200:
                heading = path.heading(way[-1][None])[0]
                way.append(way[-1] + 0.06 * np.array([np.cos(heading), np.sin(heading)]))
            slopes.append([_climb(heights, task.radius, np.array(line)) for line in (straight, np.array(way))])
            lengths.append(len(way) * 0.06 / 3.6)
        outward, found = np.mean(slopes, axis=0)
        assert found < 0.6 * outward
        assert np.mean(lengths) < 1.4


def _climb(heights: np.ndarray, radius: float, line: np.ndarray) -> float:
    """Mean absolute slope along a line."""
    column, row = ((line + radius) / (2 * radius) * (len(heights) - 1)).T
    return float(np.abs(np.diff(ndimage.map_coordinates(heights, [row, column], order=1))).mean() / 0.06)


@pytest.mark.parametrize("shape", [(5, 5), (10, 12), (10,)])
def test_what_is_no_square_is_refused(shape):
    with pytest.raises(ValueError, match="square of at least 8 by 8"):
        BowlPath(np.zeros(shape), 1.0)
