"""A random maze as a text grid, and the boxes, planes and tiles that it is built of. Pure geometry: no physics, no global randomness.

The grids come from DeepMind Lab's maze maker (package `labmaze`), as in the original; the covering by rectangles follows dm_control
`locomotion/arenas/covering.py`, which cannot be imported at run time because dm_control opens a display.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import NamedTuple

import labmaze
import numpy as np

CELLS = 11
"""Cells along either side of the maze."""
CELL_SIZE = 0.5  # m
WALL_HEIGHT = 0.3  # m
MAX_ROOMS = 4
ORBS_PER_ROOM = 3
WALL, FLOOR, ORB, SPAWN = "*", ".", "G", "P"
ROOM_LETTERS = string.ascii_uppercase


class Rectangle(NamedTuple):
    """Cells `top <= row < bottom`, `left <= column < right` of a grid."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Maze:
    """One maze.

    Attributes:
        entities: (11, 11) of one-character strings: `*` wall, `G` orb, `P` where the rat may start, blank elsewhere. Row 0 is at the
            largest y.
        variations: (11, 11) of one-character strings: a letter for each room, `.` elsewhere.
    """

    entities: np.ndarray
    variations: np.ndarray

    def positions(self, token: str) -> np.ndarray:
        """World coordinates of the centres of the cells that hold a token, in reading order.

        Returns:
            (k, 3), m, on the floor.
        """
        row, column = np.nonzero(self.entities == token)
        return np.stack([_x(column), _y(row), np.zeros(len(row))], axis=1)


def draw_maze(rng: np.random.Generator) -> Maze:
    """Draw a maze of up to four rooms, each with three orbs and one place to start.

    The original makes one `labmaze.RandomMaze` and regenerates it for every episode; a fresh one for every episode has the same
    distribution and needs no memory of the episodes before.
    """
    drawn = labmaze.RandomMaze(
        height=CELLS, width=CELLS, max_rooms=MAX_ROOMS, room_min_size=4, room_max_size=5, spawns_per_room=1,
        objects_per_room=ORBS_PER_ROOM, random_seed=int(rng.integers(2**31)),
    )
    return Maze(entities=np.array(drawn.entity_layer), variations=np.array(drawn.variations_layer))


def cover(grid: np.ndarray, token: str) -> list[Rectangle]:
    """Cover all cells that hold a token with disjoint rectangles of odd sides, greedily from the top left.

    Sides are odd because MuJoCo centres a repeated texture on a face: only then does the pattern start and end with whole cells.

    Args:
        grid: (rows, columns) of one-character strings.
        token: the character to cover.

    Source: dm_control `covering.make_walls(grid, token, make_odd_sized_walls=True)`.
    """
    todo = grid == token
    rectangles = []
    while todo.any():
        top, left = divmod(int(todo.argmax()), grid.shape[1])
        rectangle = _largest(todo, top, left)
        todo[rectangle.top : rectangle.bottom, rectangle.left : rectangle.right] = False
        rectangles.append(rectangle)
    return rectangles


def _largest(todo: np.ndarray, top: int, left: int) -> Rectangle:
    """The first largest rectangle of odd sides with this top left corner within the cells still to cover."""
    right, best, best_size = todo.shape[1], None, 0
    for row in range(top, todo.shape[0]):
        free = todo[row, left:right]
        width = len(free) if free.all() else int(free.argmin())
        if width == 0:
            break
        right = left + width - (width + 1) % 2
        size = (right - left) * (row + 1 - top)
        if (row - top) % 2 == 0 and size > best_size:
            best, best_size = Rectangle(top, left, row + 1, right), size
    assert best is not None  # the corner itself is to be covered
    return best


def _x(column: np.ndarray) -> np.ndarray:
    return (column - (CELLS - 1) / 2) * CELL_SIZE


def _y(row: np.ndarray) -> np.ndarray:
    return -(row - (CELLS - 1) / 2) * CELL_SIZE


def _centre_and_half(rectangles: list[Rectangle]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    top, left, bottom, right = np.array(rectangles, dtype=float).reshape(-1, 4).T
    row, column = (top + bottom - 1) / 2, (left + right - 1) / 2
    return _x(column), _y(row), (right - column - 0.5) * CELL_SIZE, (bottom - row - 0.5) * CELL_SIZE


def wall_boxes(rectangles: list[Rectangle]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that fill the rectangles.

    Returns:
        centres (k, 3) and half sizes (k, 3), m.
    """
    x, y, half_x, half_y = _centre_and_half(rectangles)
    half_height = np.full(len(rectangles), WALL_HEIGHT / 2)
    return np.stack([x, y, half_height], axis=1), np.stack([half_x, half_y, half_height], axis=1)


class Face(NamedTuple):
    """A visible face of a wall: the axis it is normal to, on which side it lies, and the x and y axes of the plane that draws it."""

    name: str
    axis: int
    sign: int
    xyaxes: tuple[float, ...]

    @property
    def plane(self) -> list[int]:
        """The two axes along which the face extends."""
        return [i for i in range(3) if i != self.axis]


FACES = (
    Face("neg_x", 0, -1, (0, -1, 0, 0, 0, 1)),
    Face("pos_x", 0, 1, (0, 1, 0, 0, 0, 1)),
    Face("neg_y", 1, -1, (1, 0, 0, 0, 0, 1)),
    Face("pos_y", 1, 1, (-1, 0, 0, 0, 0, 1)),
    Face("pos_z", 2, 1, (1, 0, 0, 0, 1, 0)),
)
"""The faces of a wall that are drawn, in the original's order; a plane of its own draws each with its texture."""


def wall_faces(centre: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes over the faces of boxes.

    Args:
        centre: (k, 3), m.
        half: (k, 3), m.

    Returns:
        centres (k, 5, 3) and sizes (k, 5, 3) of the planes: half lengths along the plane's axes, and the spacing of its grid, m.
    """
    position, size = np.empty((2, len(centre), len(FACES), 3))
    for i, face in enumerate(FACES):
        position[:, i] = centre
        position[:, i, face.axis] += face.sign * half[:, face.axis]
        size[:, i, :2] = half[:, face.plane]
        size[:, i, 2] = CELL_SIZE
    return position, size


def floor_tiles(variations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes that draw the floor: first the tiles outside rooms, then the rooms in the order of their letters.

    Returns:
        centres (k, 3) and sizes (k, 3), m.
    """
    rectangles: list[Rectangle] = []
    for token in FLOOR + ROOM_LETTERS:
        found = cover(variations, token)
        if not found:
            break
        rectangles += found
    x, y, half_x, half_y = _centre_and_half(rectangles)
    flat = np.zeros(len(rectangles))
    return np.stack([x, y, flat], axis=1), np.stack([half_x, half_y, flat + CELL_SIZE], axis=1)
