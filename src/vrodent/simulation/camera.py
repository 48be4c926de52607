"""What the rat sees, and what a bystander sees.

The rat's eye gives 64x64 RGB, drawn as in the original by MuJoCo's renderer, with the rat's skin and without its geoms. With shadows
the pixels are the original's to the last bit. Without them a frame costs about a tenth, and what lies outside the field of
view is left out, which changes no pixel.
"""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from vrodent.simulation.culling import Boxes, in_view, view_planes
from vrodent.simulation.gl import GlThread
from vrodent.simulation.view import POSES, SKIN_POSES, Dress, View, option, set_flag

if TYPE_CHECKING:
    from vrodent.simulation.cpu import CpuSimulation
    from vrodent.task import Look

EYE_SIZE = 64
"""Pixels along either side of what the rat sees."""
_RAT_GROUPS = (1, 2)
CAMERAS = ("side", "side_alt", "back", "top", "egocentric", "follow", "overview")
"""Cameras of `render`: five of the rat's own, which move with it; one that follows it at an angle; and one high above the arena."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class EgocentricCamera:
    """The eyes of all worlds' rats. Worlds are shared out among threads, each with an OpenGL context.

    Args:
        simulation: whose worlds; its physics must not run while frames are drawn.
        shadows: draw shadows, as the original does.
        num_threads: 0 takes one per core.

    Raises:
        GraphicsError: OpenGL does not work here.
    """

    def __init__(self, simulation: CpuSimulation, *, shadows: bool = False, num_threads: int = 0) -> None:
        self._simulation = weakref.proxy(simulation)
        self._shadows = shadows
        self._poses = (*POSES, *SKIN_POSES)
        for name in self._poses:
            simulation.physics.fields.bind(name)
        self._option = option(hidden_groups=_RAT_GROUPS, skin=True)
        self._eye = simulation.index.camera
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._eye
        drawn = ~np.isin(simulation.model.geom_group, _RAT_GROUPS)
        self._candidates = np.flatnonzero(drawn)
        count = min(num_threads or _cores(), simulation.num_worlds)
        self._shares = np.array_split(np.arange(simulation.num_worlds), count)
        self._dresses: list[Dress | None] = [None] * simulation.num_worlds
        self._threads = [GlThread(f"vrodent-eye-{i}") for i in range(count)]
        self._views: list[View] = []
        try:
            for thread in self._threads:
                self._views.append(thread.call(partial(self._open, simulation, thread.lane)))
        except BaseException:
            self.close()
            raise
        weakref.finalize(simulation, self.close).atexit = False

    def frames(self) -> np.ndarray:
        """Draw what every rat sees now.

        Returns:
            (world, 64, 64, 3) uint8, top row first; black for a world whose physics has diverged.
        """
        simulation = self._simulation
        look = simulation.task.look(simulation.progress, simulation.arenas, np)
        frames = np.zeros((simulation.num_worlds, EYE_SIZE, EYE_SIZE, 3), np.uint8)
        jobs = [
            thread.submit(partial(self._draw_share, view, share, look, frames))
            for thread, view, share in zip(self._threads, self._views, self._shares, strict=True)
        ]
        for job in jobs:
            job.result()
        return frames

    def close(self) -> None:
        """Free the contexts and end the threads."""
        for thread, view in zip(self._threads, self._views, strict=False):
            thread.call(view.close)
        self._views = []
        for thread in self._threads:
            thread.stop()
        self._threads = []

    def _open(self, simulation: CpuSimulation, lane: int) -> View:
        view = View(simulation.model, simulation.task, EYE_SIZE, EYE_SIZE, lane)
        set_flag(view.scene, "SHADOW", self._shadows)
        set_flag(view.scene, "REFLECTION", self._shadows)
        return view

    def _draw_share(self, view: View, worlds: np.ndarray, look: Look, frames: np.ndarray) -> None:
        simulation = self._simulation
        fields, diverged = simulation.physics.fields, simulation.physics.diverged
        worlds = worlds[~diverged[worlds]]
        dresses = [self._dress(view, int(world)) for world in worlds]
        rotation = fields.cam_xmat[worlds, self._eye].reshape(-1, 3, 3)
        planes = view_planes(rotation, float(view.model.cam_fovy[self._eye]))
        visible = None if self._shadows else self._visible(worlds, dresses, planes)
        for i, (world, dress) in enumerate(zip(worlds, dresses, strict=True)):
            view.wear(dress, look.material_texture[world], look.target_visible[world], None if visible is None else visible[i])
            view.pose({name: getattr(fields, name)[world] for name in self._poses})
            patches = None if dress.terrain is None else self._patches(view, dress, planes[i])
            view.draw(self._camera, self._option, frames[world], patches)

    def _dress(self, view: View, world: int) -> Dress:
        arena, dress = self._simulation.world_arenas[world], self._dresses[world]
        if dress is None or dress.arena is not arena:
            dress = self._dresses[world] = view.dress(arena, dress)
        return dress

    def _visible(self, worlds: np.ndarray, dresses: list[Dress], planes: np.ndarray) -> np.ndarray:
        fields, some = self._simulation.physics.fields, self._candidates
        index = np.ix_(worlds, some)
        centre = fields.geom_xpos[index] - fields.cam_xpos[worlds, self._eye][:, None]
        axes = fields.geom_xmat[index].reshape(len(worlds), len(some), 3, 3)
        half = np.array([dress.half[some] for dress in dresses]).reshape(centre.shape)
        visible = np.ones((len(worlds), fields.geom_xpos.shape[1]), bool)
        visible[:, some] = in_view(planes, centre, axes, half)
        return visible

    def _patches(self, view: View, dress: Dress, planes: np.ndarray) -> int:
        terrain, geom, data = dress.terrain, view.hfield, view.data
        assert terrain is not None and geom is not None
        boxes = terrain.boxes
        if self._shadows:
            return terrain.choose(np.ones(len(boxes.centre), bool))
        frame = data.geom_xmat[geom].reshape(3, 3)
        local = planes @ frame
        eye = (data.cam_xpos[self._eye] - data.geom_xpos[geom]) @ frame
        chosen = in_view(local[None], (boxes.centre - eye)[None], np.eye(3)[None, None], boxes.half)[0]
        some = np.flatnonzero(chosen)
        chosen[some[terrain.horizon.hidden(eye, Boxes(boxes.centre[some], boxes.half[some]))]] = False
        return terrain.choose(chosen)


class _Studio:
    """A bystander's view of one simulation, on a thread of its own."""

    def __init__(self, simulation: CpuSimulation, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._closed = False
        self._dresses: dict[int, Dress] = {}
        self._thread = GlThread("vrodent-bystander")
        try:
            self._view = self._thread.call(partial(View, simulation.model, simulation.task, width, height, self._thread.lane))
        except BaseException:
            self._thread.stop()
            raise

    def draw(self, simulation: CpuSimulation, world: int, camera: mujoco.MjvCamera, skin: bool, shadows: bool, out: np.ndarray) -> None:
        self._thread.call(partial(self._draw, simulation, world, camera, skin, shadows, out))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._thread.call(self._view.close)
            self._thread.stop()

    def _draw(self, simulation: CpuSimulation, world: int, camera: mujoco.MjvCamera, skin: bool, shadows: bool, out: np.ndarray) -> None:
        view, arena = self._view, simulation.world_arenas[world]
        dress = self._dresses.get(world)
        if dress is None or dress.arena is not arena:
            dress = self._dresses[world] = view.dress(arena, dress)
        look = simulation.task.look(simulation.progress, simulation.arenas, np)
        view.wear(dress, look.material_texture[world], look.target_visible[world], None)
        source = simulation.physics.fields.get_data(world)
        view.pose({name: getattr(source, name) for name in (*POSES, *SKIN_POSES)})
        patches = None if dress.terrain is None else dress.terrain.choose(np.ones(len(dress.terrain.boxes.centre), bool))
        set_flag(view.scene, "SHADOW", shadows)
        view.draw(camera, option(hidden_groups=_RAT_GROUPS if skin else (), skin=skin), out, patches)


_studios: weakref.WeakKeyDictionary[CpuSimulation, _Studio] = weakref.WeakKeyDictionary()


def _bystander(simulation: CpuSimulation, camera: str, world: int) -> mujoco.MjvCamera:
    model, made = simulation.model, mujoco.MjvCamera()
    if camera in ("follow", "overview"):
        torso = simulation.physics.fields.xpos[world, simulation.index.torso]
        if camera == "follow":
            made.lookat[:] = torso
            made.distance, made.azimuth, made.elevation = 0.75, 120.0, -20.0
        else:
            made.lookat[:] = (0.0, 0.0, 0.0) if simulation.task.name in ("forage", "bowl", "two_tap") else torso
            made.distance, made.azimuth, made.elevation = 8.0, 90.0, -60.0
    else:
        made.type, made.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera("walker/" + camera).id
    return made


def render(
    simulation: CpuSimulation,
    world: int = 0,
    camera: str | mujoco.MjvCamera = "side",
    width: int = 640,
    height: int = 480,
    skin: bool = True,
    shadows: bool = True,
) -> np.ndarray:
    """What a bystander sees of one world.

    Args:
        simulation: reset at least once.
        world: which.
        camera: one of `CAMERAS`, or a MuJoCo camera.
        width, height: pixels.
        skin: draw the skin; otherwise the geoms that collide.
        shadows: draw shadows.

    Returns:
        (height, width, 3) uint8, top row first.

    Raises:
        ValueError: an argument is out of range.
        RuntimeError: the simulation has not been reset.
        GraphicsError: OpenGL does not work here.
    """
    if not 0 <= world < simulation.num_worlds:
        raise ValueError(f"world must be at least 0 and less than num_worlds = {simulation.num_worlds}, got {world}.")
    if isinstance(camera, str) and camera not in CAMERAS:
        raise ValueError(f"There is no camera {camera!r}; the cameras are {', '.join(CAMERAS)}.")
    if width < 1 or height < 1:
        raise ValueError(f"width and height must be at least 1, got {width} and {height}.")
    if simulation.progress is None:
        raise RuntimeError("Nothing to draw yet: call reset() first.")
    out = np.zeros((height, width, 3), np.uint8)
    if simulation.physics.diverged[world]:
        return out
    studio = _studios.get(simulation)
    if studio is None or studio.width < width or studio.height < height:
        close_bystander(simulation)
        studio = _studios[simulation] = _Studio(simulation, width, height)
        weakref.finalize(simulation, studio.close).atexit = False
    studio.draw(simulation, world, _bystander(simulation, camera, world) if isinstance(camera, str) else camera, skin, shadows, out)
    return out


def close_bystander(simulation: CpuSimulation) -> None:
    """Free the context that `render` has made for a simulation, if any."""
    studio = _studios.pop(simulation, None)
    if studio is not None:
        studio.close()
