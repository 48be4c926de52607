"""OpenGL display lists of geometry that differs from world to world, so that one context draws them all.

`mjr_makeContext` compiles every height field and every plane of a model into display lists and knows of no other. Here each world has
lists of its own, of the very same vertices, and `MjrContext.baseHField` and `basePlane` are pointed at the world to be drawn. A
terrain is cut into square patches, of which only those that the eye can see are drawn: what lies outside of a picture does
not change it. All of this must run on the thread that owns the context.

Source: MuJoCo `src/render/classic/render_context.c`, `makePlane` and `mjr_uploadHField`, whose arithmetic in single precision is kept.
"""

from __future__ import annotations

import mujoco
import numpy as np

from vrodent.simulation.culling import Boxes
from vrodent.simulation.gl import opengl
from vrodent.simulation.horizon import Horizon

_F = np.float32
_PATCH = 10  # cells along the side of a patch
_MAX_PLANE_GRID = 200  # mjMAXPLANEGRID


def _unit_normal(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    (ux, uy, uz), (vx, vy, vz) = np.moveaxis(b - a, -1, 0), np.moveaxis(c - a, -1, 0)
    normal = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=-1)
    x, y, z = np.moveaxis(normal, -1, 0)
    return normal / np.sqrt(x * x + y * y + z * z)[..., None]


def terrain_points(model: mujoco.MjModel, heights: np.ndarray) -> np.ndarray:
    """Vertices of height field 0 in the geom's frame.

    Args:
        model: gives the size and the grid.
        heights: (row, column) in [0, 1].

    Returns:
        (row, column, 3) float32, m.
    """
    rows, columns = int(model.hfield_nrow[0]), int(model.hfield_ncol[0])
    size = model.hfield_size[0].astype(_F)
    points = np.empty((rows, columns, 3), _F)
    points[..., 0] = size[0] * (np.arange(columns, dtype=_F) / (_F(0.5) * _F(columns - 1)) - _F(1))
    points[..., 1] = (size[1] * (np.arange(rows, dtype=_F) / (_F(0.5) * _F(rows - 1)) - _F(1)))[:, None]
    points[..., 2] = np.asarray(heights, _F).reshape(rows, columns) * size[2]
    return points


def patch_triangles(points: np.ndarray) -> np.ndarray:
    """Triangles of a patch in MuJoCo's order, as OpenGL's N3F_V3F: (2 (rows-1) (columns-1) 3, 6) float32."""
    a, b = points[1:, :-1], points[:-1, :-1]
    a2, b2 = points[1:, 1:], points[:-1, 1:]
    corners = np.stack([np.stack([a, b, a2], axis=2), np.stack([b, b2, a2], axis=2)], axis=2)
    normals = np.stack([_unit_normal(a, b, a2), _unit_normal(b, b2, a2)], axis=2)[:, :, :, None]
    return np.concatenate([np.broadcast_to(normals, corners.shape), corners], axis=-1).reshape(-1, 6)


def _skirt(points: np.ndarray, base: np.floating, bottom_quads: int) -> list[np.ndarray]:
    """The four sides and the bottom under a terrain, as quads of N3F_V3F."""
    low = points.copy()
    low[..., 2] = -base

    def side(normal: tuple[int, int, int], *corners: np.ndarray) -> np.ndarray:
        quads = np.stack(corners, axis=1)
        return np.concatenate([np.broadcast_to(np.array(normal, _F), quads.shape), quads], axis=-1).reshape(-1, 6)

    sides = [
        side((-1, 0, 0), low[1:, 0], low[:-1, 0], points[:-1, 0], points[1:, 0]),
        side((1, 0, 0), low[:-1, -1], low[1:, -1], points[1:, -1], points[:-1, -1]),
        side((0, -1, 0), low[0, :-1], low[0, 1:], points[0, 1:], points[0, :-1]),
        side((0, 1, 0), low[-1, 1:], low[-1, :-1], points[-1, :-1], points[-1, 1:]),
    ]
    steps = np.arange(bottom_quads + 1, dtype=_F) / (_F(0.5) * _F(bottom_quads)) - _F(1)
    x, y = np.meshgrid(points[0, -1, 0] * steps, points[-1, 0, 1] * steps)
    grid = np.stack([x, y, np.full_like(x, -base)], axis=-1)
    bottom = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
    down = np.broadcast_to(np.array([0, 0, -1], _F), bottom.shape)
    return [*sides, np.concatenate([down, bottom], axis=-1).reshape(-1, 6)]


def compile_list(name: int, layout: str, vertices: np.ndarray, mode: str) -> None:
    """Compile vertices into a display list.

    Args:
        name: of the list.
        layout: OpenGL's name of the interleaved layout of a vertex, such as "N3F_V3F".
        vertices: (vertex, value) float32.
        mode: "TRIANGLES" or "QUADS".
    """
    gl = opengl()
    vertices = np.ascontiguousarray(vertices, _F)
    gl.glNewList(name, gl.GL_COMPILE)
    gl.glInterleavedArrays(getattr(gl, "GL_" + layout), 0, vertices)
    gl.glDrawArrays(getattr(gl, "GL_" + mode), 0, len(vertices))
    gl.glEndList()
    for array in (gl.GL_VERTEX_ARRAY, gl.GL_NORMAL_ARRAY, gl.GL_TEXTURE_COORD_ARRAY):
        gl.glDisableClientState(array)


class Terrain:
    """One world's height field: patches that are compiled when first seen.

    A terrain of 201 x 201 heights takes up to 6 MB once all of it has been seen.

    Args:
        model: gives size, grid and quality.
        heights: (row, column) in [0, 1].

    Attributes:
        boxes: around the patches, in the geom's frame.
        horizon: which patches hide behind others.
    """

    def __init__(self, model: mujoco.MjModel, heights: np.ndarray) -> None:
        gl = opengl()
        self._points = points = terrain_points(model, heights)
        rows, columns = range(0, points.shape[0] - 1, _PATCH), range(0, points.shape[1] - 1, _PATCH)
        self._patches = [(slice(r, r + _PATCH + 1), slice(c, c + _PATCH + 1)) for r in rows for c in columns]
        self._skirt = _skirt(points, model.hfield_size[0].astype(_F)[3], model.vis.quality.numquads)
        pieces = [points[patch].reshape(-1, 3) for patch in self._patches] + [quads[:, 3:] for quads in self._skirt]
        self.boxes = Boxes.around(pieces)
        self.horizon = Horizon(points)
        self._whole = int(gl.glGenLists(1 + len(pieces)))
        self._names = self._whole + 1 + np.arange(len(pieces), dtype=np.uint32)
        self._compiled = np.zeros(len(pieces), bool)

    def choose(self, visible: np.ndarray) -> int:
        """Let the terrain be the patches of a mask (patch,); returns the name of its display list."""
        gl = opengl()
        chosen = np.flatnonzero(visible)
        for i in chosen[~self._compiled[chosen]]:
            self._compile(int(i))
        names = self._names[chosen]
        gl.glNewList(self._whole, gl.GL_COMPILE)
        if len(names):
            gl.glCallLists(len(names), gl.GL_UNSIGNED_INT, names)
        gl.glEndList()
        return self._whole

    def free(self) -> None:
        """Delete the display lists."""
        gl = opengl()
        gl.glDeleteLists(self._whole, 1 + len(self._names))

    def _compile(self, i: int) -> None:
        name, patches = int(self._names[i]), len(self._patches)
        if i < patches:
            compile_list(name, "N3F_V3F", patch_triangles(self._points[self._patches[i]]), "TRIANGLES")
        else:
            compile_list(name, "N3F_V3F", self._skirt[i - patches], "QUADS")
        self._compiled[i] = True


def _plane_grid(half: float, spacing: float) -> np.ndarray:
    """Where a plane's quads begin and end along one axis."""
    step = max(spacing, half / (_MAX_PLANE_GRID - 2))
    inner = int(np.floor(half / max(mujoco.mjMINVAL, step)))
    inner -= inner % 2
    pad = half - inner * step
    count = inner + 2
    left = np.array([-half] + [-half + pad + (x - 1) * step * 2 for x in range(1, count)])
    last = max(left[-1], left[-1] + pad)
    return np.append(left, last)


def plane_quads(size: np.ndarray) -> np.ndarray:
    """The quads that MuJoCo draws for a finite plane, as OpenGL's T2F_N3F_V3F.

    Args:
        size: (3,), half lengths and spacing, m; both half lengths positive.

    Returns:
        (vertex, 8) float32.
    """
    x, y = _plane_grid(size[0], size[2]), _plane_grid(size[1], size[2])
    u, v = (x + size[0]) / (2 * size[0]), 1 - (y + size[1]) / (2 * size[1])
    i, j = (k.reshape(-1) for k in np.meshgrid(np.arange(len(x) - 1), np.arange(len(y) - 1), indexing="ij"))
    vertices = np.zeros((len(i), 4, 8))
    vertices[..., 4] = 1.0
    for corner, (di, dj) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
        vertices[:, corner, 0], vertices[:, corner, 1] = u[i + di], v[j + dj]
        vertices[:, corner, 5], vertices[:, corner, 6] = x[i + di], y[j + dj]
    return vertices.reshape(-1, 8).astype(_F)


class PlaneLists:
    """Display lists of planes whose size differs from world to world. Equal sizes share a list.

    Args:
        model: as compiled.
        base: `MjrContext.basePlane` of the context made from it.
        geoms: ids of the geoms whose size may change; those that are not planes are passed over.
    """

    def __init__(self, model: mujoco.MjModel, base: int, geoms: np.ndarray) -> None:
        planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
        self._base, self._count = base, 1 + len(planes)
        self._number = {int(geom): i + 1 for i, geom in enumerate(planes)}
        self._geoms = [int(geom) for geom in geoms if int(geom) in self._number]
        self._shared: dict[tuple[float, ...], int] = {}

    def __bool__(self) -> bool:
        return bool(self._geoms)

    def compile(self, sizes: np.ndarray, block: int | None = None) -> int:
        """Compile a world's planes.

        Args:
            sizes: (geom, 3) `geom_size` of all geoms.
            block: an earlier result, to be overwritten; None for a new one.

        Returns:
            What `MjrContext.basePlane` must be to draw them.
        """
        gl = opengl()
        if block is None:
            block = int(gl.glGenLists(self._count))
        names = self._base + np.arange(self._count)
        for geom in self._geoms:
            names[self._number[geom]] = self._list(tuple(sizes[geom]))
        for i, name in enumerate(names):
            gl.glNewList(block + i, gl.GL_COMPILE)
            gl.glCallList(int(name))
            gl.glEndList()
        return block

    def _list(self, size: tuple[float, ...]) -> int:
        gl = opengl()
        if size not in self._shared:
            self._shared[size] = int(gl.glGenLists(1))
            compile_list(self._shared[size], "T2F_N3F_V3F", plane_quads(np.array(size)), "QUADS")
        return self._shared[size]
