"""One OpenGL context and what is needed to draw any world of a task with it, one after another.

A world's own model has no textures and no skin, so that a thousand of them are small. A view has one full model; before
a world is drawn, what its arena changes is written into it, and its poses into one `MjData`. All methods run on the thread that
made the view.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from vrodent.simulation.culling import half_extent
from vrodent.simulation.display_lists import PlaneLists, Terrain
from vrodent.simulation.gl import GraphicsError, backend, make_context
from vrodent.task import Arena, Task

POSES = ("geom_xpos", "geom_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir")
"""Fields of `MjData` that decide what is seen, but for the skin."""
SKIN_POSES = ("xpos", "xquat")
HIDDEN = 5  # a group of geoms that is never drawn
_RGB = mujoco.mjtTextureRole.mjTEXROLE_RGB


@dataclass(frozen=True, kw_only=True, eq=False)
class Dress:
    """What one world's arena changes of the picture.

    Attributes:
        arena: whose it is.
        planes: `MjrContext.basePlane` that draws its planes.
        terrain: its height field, or None.
        half: (geom, 3) half-sizes of boxes around the geoms, in their frames, m.
    """

    arena: Arena
    planes: int
    terrain: Terrain | None
    half: np.ndarray


class View:
    """See the module.

    Args:
        model: the task's, with textures and skin; copied.
        task: names what an arena changes.
        width, height: of the largest picture, in pixels.
        lane: see `vrodent.simulation.gl.make_context`.

    Raises:
        GraphicsError: OpenGL does not work here.
    """

    def __init__(self, model: mujoco.MjModel, task: Task, width: int, height: int, lane: int = 0) -> None:
        self._gl = make_context(width, height, lane)
        self.model = copy.copy(model)
        self.model.vis.global_.offwidth, self.model.vis.global_.offheight = width, height
        self.data = mujoco.MjData(self.model)
        try:
            self.renderer = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        except mujoco.FatalError as error:
            self._gl.free()
            raise GraphicsError(backend(), str(error)) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.renderer)
        self.scene = mujoco.MjvScene(self.model, maxgeom=2 * self.model.ngeom + 100)
        self.hfield = int(np.argmax(self.model.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD)) if self.model.nhfield else None
        self._geoms = np.array([model.geom(name).id for name in task.movable_geoms], dtype=int)
        self._targets = np.array([model.geom(name).id for name in task.target_geoms], dtype=int)
        self._materials = np.array([model.material(name).id for name in task.movable_materials], dtype=int)
        self._own = self.renderer.basePlane, self.renderer.baseHField
        self._planes = PlaneLists(self.model, int(self._own[0]), self._geoms)
        self._group = self.model.geom_group.copy()
        self._extent = float(self.model.stat.extent)
        self._worn: Dress | None = None

    def dress(self, arena: Arena, old: Dress | None) -> Dress:
        """Make what draws an arena. The old dress of the same world is used up."""
        model = self.model
        model.geom_size[self._geoms] = arena.geom_size
        self._worn = None
        planes = int(self._own[0])
        if self._planes:
            planes = self._planes.compile(model.geom_size, old.planes if old else None)
        if old and old.terrain:
            old.terrain.free()
        terrain = Terrain(model, arena.hfield) if arena.hfield is not None else None
        half = half_extent(model.geom_type, model.geom_size, model.geom_rbound)
        return Dress(arena=arena, planes=planes, terrain=terrain, half=half)

    def wear(self, dress: Dress, material_texture: np.ndarray, target_visible: np.ndarray, in_view: np.ndarray | None) -> None:
        """Write a world's look into the model.

        Args:
            dress: the world's.
            material_texture: (material,) texture of each of the task's movable materials.
            target_visible: (target,) bool.
            in_view: (geom,) False for geoms that need not be drawn; None to draw all.
        """
        model, arena, renderer = self.model, dress.arena, self.renderer
        if dress is not self._worn:
            model.geom_size[self._geoms] = arena.geom_size
            model.geom_rgba[self._geoms] = arena.geom_rgba
            model.stat.extent = self._extent if arena.extent is None else arena.extent
            if len(self._materials):
                repeat = np.asarray(arena.material_texrepeat)
                model.mat_texrepeat[self._materials] = repeat
                renderer.mat_texrepeat.reshape(-1, 2)[self._materials] = repeat
            renderer.basePlane = dress.planes
            self._worn = dress
        if len(self._materials):
            # MuJoCo's renderer keeps a copy.
            model.mat_texid[self._materials, _RGB] = material_texture
            renderer.mat_texid.reshape(-1, mujoco.mjtTextureRole.mjNTEXROLE)[self._materials, _RGB] = material_texture
        model.geom_group[:] = self._group if in_view is None else np.where(in_view, self._group, HIDDEN)
        if len(self._targets):
            model.geom_group[self._targets[~target_visible]] = HIDDEN

    def pose(self, poses: Mapping[str, np.ndarray]) -> None:
        """Write fields of one world's `MjData`, by name."""
        for name, value in poses.items():
            getattr(self.data, name)[:] = value

    def draw(self, camera: mujoco.MjvCamera, option: mujoco.MjvOption, out: np.ndarray, patches: int | None = None) -> None:
        """Draw the world that was worn and posed.

        Args:
            camera: from where.
            option: what.
            out: (height, width, 3) uint8, top row first, to be filled.
            patches: the terrain's display list; None for a model without one.
        """
        if patches is not None:
            self.renderer.baseHField = patches
        rect = mujoco.MjrRect(0, 0, out.shape[1], out.shape[0])
        pixels = np.empty(out.shape, np.uint8)
        mujoco.mjv_updateScene(self.model, self.data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, self.scene)
        mujoco.mjr_render(rect, self.scene, self.renderer)
        mujoco.mjr_readPixels(pixels, None, rect, self.renderer)
        out[:] = pixels[::-1]

    def close(self) -> None:
        """Free the context and everything in it."""
        self.renderer.basePlane, self.renderer.baseHField = self._own
        self.renderer.free()
        self._gl.free()


def set_flag(scene: mujoco.MjvScene, name: str, on: bool) -> None:
    """Turn a rendering flag on or off, such as "SHADOW"."""
    scene.flags[int(getattr(mujoco.mjtRndFlag, "mjRND_" + name))] = int(on)


def option(*, hidden_groups: tuple[int, ...], skin: bool) -> mujoco.MjvOption:
    """MuJoCo's default visual options without some groups of geoms, with or without the skin."""
    made: Any = mujoco.MjvOption()
    for group in (*hidden_groups, HIDDEN):
        made.geomgroup[group] = 0
    made.flags[int(mujoco.mjtVisFlag.mjVIS_SKIN)] = int(skin)
    return made
