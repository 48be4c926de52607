"""Writing arenas into the worlds of a Warp simulation.

Four things that MuJoCo Warp leaves to its caller are done here. Geoms that hang on the world are posed once, when the data are made, and
`geom_pos` is not looked at again: their global positions are written instead. A geom's size goes with the radius and the box
that the broad phase tests. Height fields are not batched: there is one for each world, and `geom_dataid` says whose is whose. And arrays
are written in place, never replaced, for a captured graph keeps the addresses that it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import warp as wp

from vrodent.simulation import warp_kernels as kernels
from vrodent.simulation.arena_writer import _named_ids, _rotation
from vrodent.task import Arena, Task

_GEOM = mujoco.mjtGeom
_RGB = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)


def half_extents(kinds: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Half-sizes of the boxes around geoms, in their frames.

    Args:
        kinds: (geom,) MuJoCo's types.
        size: (world, geom, 3) MuJoCo's sizes.

    Returns:
        (world, geom, 3) m.
    """
    half = size.copy()
    sphere, capsule, cylinder = (kinds == kind for kind in (_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_CYLINDER))
    round_ = sphere | capsule | cylinder
    half[:, round_, 1:] = size[:, round_, :1]
    half[:, capsule, 2] = size[:, capsule, 0] + size[:, capsule, 1]
    half[:, cylinder, 2] = size[:, cylinder, 1]
    return half


def radii(kinds: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Radii of the spheres around geoms, as MuJoCo's compiler computes them; 0 for planes, which it does not bound.

    Args:
        kinds: (geom,) MuJoCo's types.
        size: (world, geom, 3) MuJoCo's sizes.

    Returns:
        (world, geom) m.
    """
    found = np.sqrt((size**2).sum(axis=-1))
    for kind, radius in (
        (_GEOM.mjGEOM_SPHERE, size[..., 0]),
        (_GEOM.mjGEOM_CAPSULE, size[..., 0] + size[..., 1]),
        (_GEOM.mjGEOM_CYLINDER, np.hypot(size[..., 0], size[..., 1])),
        (_GEOM.mjGEOM_ELLIPSOID, size.max(axis=-1)),
        (_GEOM.mjGEOM_PLANE, np.zeros_like(size[..., 0])),
    ):
        found[:, kinds == kind] = radius[:, kinds == kind]
    return found


class WarpArenas:
    """Writes arenas into worlds.

    Args:
        task: names what an arena changes.
        model: compiled from the task's spec, with textures.
        num_worlds: how many worlds.

    Raises:
        KeyError: the task names what the model has not.
        ValueError: a geom that an arena places hangs on a body that moves.
    """

    def __init__(self, task: Task, model: mujoco.MjModel, num_worlds: int) -> None:
        self._task, self._model, self._num_worlds = task, model, num_worlds
        self._geoms = _named_ids(model, mujoco.mjtObj.mjOBJ_GEOM, task.movable_geoms)
        self._materials = _named_ids(model, mujoco.mjtObj.mjOBJ_MATERIAL, task.movable_materials)
        self._kinds = model.geom_type[self._geoms]
        bodies = model.geom_bodyid[self._geoms]
        if (model.body_weldid[bodies] != 0).any():
            raise ValueError("Geoms that an arena places must hang on the world or on bodies that cannot move.")
        posed = mujoco.MjData(model)
        mujoco.mj_kinematics(model, posed)
        self._body_pos, self._body_mat = posed.xpos[bodies].copy(), posed.xmat[bodies].reshape(-1, 3, 3).copy()
        self._terrain = bool(model.nhfield)

    @property
    def batch_sizes(self) -> dict[str, int]:
        """Which of the model's fields each world has for itself, for `mujoco_warp.put_model`."""
        names: list[str] = []
        if len(self._geoms):
            names += ["geom_size", "geom_aabb", "geom_rbound", "geom_rgba"]
        if len(self._materials):
            names += ["mat_texid", "mat_texrepeat"]
        if self._terrain:
            names.append("geom_dataid")
        return dict.fromkeys(names, self._num_worlds)

    def attach(self, model: Any, data: Any) -> None:
        """Take the model and data on the device that arenas are to be written into; before any graph is captured.

        Raises:
            ValueError: the task's model has more than one height field.
        """
        self._on_device, self._data = model, data
        self._geom_columns = wp.array(self._geoms, dtype=int)
        self._material_columns = wp.array(self._materials, dtype=int)
        if self._terrain:
            self._attach_terrain(model)

    def _attach_terrain(self, model: Any) -> None:
        host = self._model
        if host.nhfield != 1:
            raise ValueError(f"A task may have one height field, not {host.nhfield}.")
        worlds, cells = self._num_worlds, int(host.nhfielddata)
        model.hfield_data = wp.zeros(worlds * cells, dtype=float)
        model.hfield_adr = wp.array(np.arange(worlds) * cells, dtype=int)
        for name in ("hfield_nrow", "hfield_ncol"):
            setattr(model, name, wp.full(worlds, int(getattr(host, name)[0]), dtype=int))
        model.hfield_size = wp.full(worlds, wp.vec4(*host.hfield_size[0].tolist()), dtype=wp.vec4)
        dataid = np.tile(host.geom_dataid, (worlds, 1))
        dataid[:, host.geom_type == _GEOM.mjGEOM_HFIELD] = np.arange(worlds)[:, None]
        model.geom_dataid.assign(dataid.astype(np.int32))

    def write(self, ids: np.ndarray, arenas: Sequence[Arena]) -> None:
        """Write arenas into the worlds `ids`; the others do not change.

        Raises:
            ValueError: an array of an arena has another shape than the task's geoms, materials or height field.
        """
        worlds = wp.array(ids, dtype=int)
        if len(self._geoms):
            self._write_geoms(worlds, arenas)
        if len(self._materials):
            repeat = self._stack(arenas, "material_texrepeat", (len(self._materials), 2))
            self._scatter(repeat, wp.vec2, worlds, self._material_columns, self._on_device.mat_texrepeat)
        if self._terrain:
            cells = int(self._model.nhfielddata)
            heights = np.stack([np.asarray(arena.hfield, np.float32).reshape(-1) for arena in arenas])
            if heights.shape[1] != cells:
                raise ValueError(f"An arena has {heights.shape[1]} heights, the model {cells}.")
            rows = wp.array(heights, dtype=float)
            wp.launch(kernels.copy_heights, rows.shape, inputs=[rows, worlds], outputs=[self._on_device.hfield_data])

    def write_textures(self, texture: Any) -> None:
        """Give every world's materials their textures: (world, material) int32 on the device."""
        if not len(self._materials):
            return
        wp.launch(kernels.set_textures, texture.shape, inputs=[texture, self._material_columns, _RGB], outputs=[self._on_device.mat_texid])

    def _write_geoms(self, worlds: Any, arenas: Sequence[Arena]) -> None:
        count, model, data = len(self._geoms), self._on_device, self._data
        pos, quat, size, rgba = (
            self._stack(arenas, name, (count, width))
            for name, width in (("geom_pos", 3), ("geom_quat", 4), ("geom_size", 3), ("geom_rgba", 4))
        )
        columns = self._geom_columns
        self._scatter(np.einsum("gij,wgj->wgi", self._body_mat, pos) + self._body_pos, wp.vec3, worlds, columns, data.geom_xpos)
        rotation = np.stack([_rotation(rows / np.linalg.norm(rows, axis=1, keepdims=True)) for rows in quat])
        self._scatter(np.einsum("gij,wgjk->wgik", self._body_mat, rotation), wp.mat33, worlds, columns, data.geom_xmat)
        self._scatter(size, wp.vec3, worlds, columns, model.geom_size)
        self._scatter(radii(self._kinds, size), float, worlds, columns, model.geom_rbound)
        self._scatter(rgba, wp.vec4, worlds, columns, model.geom_rgba)
        half = wp.array(half_extents(self._kinds, size), dtype=wp.vec3)
        wp.launch(kernels.scatter_boxes, half.shape, inputs=[half, worlds, columns], outputs=[model.geom_aabb])

    def _stack(self, arenas: Sequence[Arena], name: str, shape: tuple[int, ...]) -> np.ndarray:
        rows = np.stack([np.asarray(getattr(arena, name), float) for arena in arenas])
        if rows.shape[1:] != shape:
            raise ValueError(f"An arena's {name} must have shape {shape}, got {rows.shape[1:]}.")
        return rows

    def _scatter(self, rows: np.ndarray, dtype: Any, worlds: Any, columns: Any, out: Any) -> None:
        source = wp.array(rows, dtype=dtype)
        wp.launch(kernels.scatter, source.shape, inputs=[source, worlds, columns], outputs=[out])
