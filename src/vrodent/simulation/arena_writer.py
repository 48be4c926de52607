"""Writing an arena into a compiled model's numbers, and keeping the model consistent.

MuJoCo's collision mid-phase walks a tree of boxes over each body's geoms that the compiler builds once. A geom moved afterwards leaves
the tree stale, contacts are missed and the rat falls through its platform. So the boxes are computed anew here; which geom
sits in which leaf may stay, for the tree is correct under any assignment and only its speed depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from vrodent.task import Arena

_GEOM = mujoco.mjtGeom
_SHAPELESS = (int(_GEOM.mjGEOM_PLANE), int(_GEOM.mjGEOM_HFIELD))


def _half_extent(kind: int, size: np.ndarray) -> np.ndarray:
    """Half-size of the box around a geom, in the geom's frame."""
    if kind == _GEOM.mjGEOM_SPHERE:
        return np.full(3, size[0])
    if kind == _GEOM.mjGEOM_CAPSULE:
        return np.array([size[0], size[0], size[0] + size[1]])
    if kind == _GEOM.mjGEOM_CYLINDER:
        return np.array([size[0], size[0], size[1]])
    return size


def _radius(kind: int, size: np.ndarray) -> float:
    """Radius of the sphere around a geom, as MuJoCo's compiler computes it."""
    if kind == _GEOM.mjGEOM_SPHERE:
        return float(size[0])
    if kind == _GEOM.mjGEOM_CAPSULE:
        return float(size[0] + size[1])
    if kind == _GEOM.mjGEOM_CYLINDER:
        return float(np.hypot(size[0], size[1]))
    if kind == _GEOM.mjGEOM_ELLIPSOID:
        return float(size.max())
    return float(np.sqrt(size[0] ** 2 + size[1] ** 2 + size[2] ** 2))


def _rotation(quat: np.ndarray) -> np.ndarray:
    """(n, 4) unit quaternions to (n, 3, 3) rotation matrices."""
    w, x, y, z = np.moveaxis(quat, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _named_ids(model: mujoco.MjModel, kind: mujoco.mjtObj, names: Sequence[str]) -> np.ndarray:
    ids = np.array([mujoco.mj_name2id(model, kind, name) for name in names], dtype=int)
    if (ids < 0).any():
        missing = [name for name, i in zip(names, ids, strict=True) if i < 0]
        raise KeyError(f"The task's model has no {kind.name.removeprefix('mjOBJ_').lower()} named {missing[0]!r}.")
    return ids


class ArenaWriter:
    """Writes arenas into models compiled from one task's spec.

    Args:
        model: any model of that spec; only its structure is read.
        geoms: names of the geoms that an arena places.
        materials: names of the materials that an arena textures; empty for a model without textures.

    Raises:
        KeyError: a name is not in the model.
    """

    def __init__(self, model: mujoco.MjModel, geoms: Sequence[str], materials: Sequence[str] = ()) -> None:
        self.geom_ids = _named_ids(model, mujoco.mjtObj.mjOBJ_GEOM, geoms)
        self.material_ids = _named_ids(model, mujoco.mjtObj.mjOBJ_MATERIAL, materials)
        self._kinds = model.geom_type[self.geom_ids]
        self._shaped = np.flatnonzero(~np.isin(self._kinds, _SHAPELESS))
        self._bodies = sorted({int(b) for b in model.geom_bodyid[self.geom_ids[self._shaped]]})
        self._trees = [_Tree(model, body) for body in self._bodies]

    def write(self, model: mujoco.MjModel, arena: Arena) -> None:
        """Overwrite a model's numbers with an arena's, in place: visible geometry, collision geometry, textures, heights.

        Raises:
            ValueError: an array of the arena has another shape than the task's geoms, materials or height field.
        """
        ids = self.geom_ids
        for name in ("geom_pos", "geom_quat", "geom_size", "geom_rgba"):
            field, value = getattr(model, name), getattr(arena, name)
            expected = (len(ids), field.shape[1])
            if value.shape != expected:
                raise ValueError(f"The arena's {name} must have shape {expected}, got {value.shape}.")
            field[ids] = value
        if len(ids):
            # Otherwise a geom that the compiler found at its body's origin would stay there.
            model.geom_sameframe[ids] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
            self._bound(model, arena)
        if len(self.material_ids):
            model.mat_texid[self.material_ids, mujoco.mjtTextureRole.mjTEXROLE_RGB] = arena.material_texture
            model.mat_texrepeat[self.material_ids] = arena.material_texrepeat
        if arena.hfield is not None:
            if model.nhfield != 1 or arena.hfield.size != model.nhfielddata:
                raise ValueError(f"The arena has {arena.hfield.shape} heights, the model {model.nhfielddata}.")
            model.hfield_data[:] = arena.hfield.reshape(-1)
        if arena.extent is not None:
            model.stat.extent = arena.extent

    def _bound(self, model: mujoco.MjModel, arena: Arena) -> None:
        for i in self._shaped:
            geom, kind, size = self.geom_ids[i], int(self._kinds[i]), arena.geom_size[i]
            model.geom_rbound[geom] = _radius(kind, size)
            model.geom_aabb[geom, :3] = 0.0
            model.geom_aabb[geom, 3:] = _half_extent(kind, size)
        for tree in self._trees:
            tree.refit(model)


class _Tree:
    """The box tree over one body's geoms."""

    def __init__(self, model: mujoco.MjModel, body: int) -> None:
        start, count = int(model.body_bvhadr[body]), int(model.body_bvhnum[body])
        nodes = np.arange(start, start + count)
        leaf = (model.bvh_child[nodes] < 0).all(axis=1)
        self._body = body
        self._leaves = nodes[leaf]
        self._geoms = model.bvh_nodeid[self._leaves]
        shaped = ~np.isin(model.geom_type[self._geoms], _SHAPELESS)
        self._leaves, self._geoms = self._leaves[shaped], self._geoms[shaped]
        inner = nodes[~leaf]
        depth = model.bvh_depth[inner]
        # Children before parents.
        self._levels = [(inner[depth == d], start + model.bvh_child[inner[depth == d]]) for d in np.unique(depth)[::-1]]

    def refit(self, model: mujoco.MjModel) -> None:
        """Recompute every box from the geoms, in the body's inertial frame as MuJoCo keeps them."""
        frame = _rotation(model.body_iquat[self._body][None])[0]
        rotation = frame.T @ _rotation(model.geom_quat[self._geoms])
        aabb = model.geom_aabb[self._geoms]
        centre = (model.geom_pos[self._geoms] - model.body_ipos[self._body]) @ frame + np.einsum("nij,nj->ni", rotation, aabb[:, :3])
        boxes = model.bvh_aabb
        boxes[self._leaves, :3] = centre
        boxes[self._leaves, 3:] = np.einsum("nij,nj->ni", np.abs(rotation), aabb[:, 3:])
        for parents, children in self._levels:
            low = (boxes[children, :3] - boxes[children, 3:]).min(axis=1)
            high = (boxes[children, :3] + boxes[children, 3:]).max(axis=1)
            boxes[parents, :3], boxes[parents, 3:] = (low + high) / 2, (high - low) / 2
