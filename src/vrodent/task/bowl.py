"""Climb out of a bumpy bowl.

Source: dm_control `tasks/escape.py`, `arenas/bowl.py`, `examples/basic_rodent_2020.py` `rodent_escape_bowl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple

import mujoco
import numpy as np
from scipy import ndimage

from vrodent.body import RatIndex, add_rat, arena_spec
from vrodent.task.base import Arena, Arenas, Look, Outcome
from vrodent.task.scenery import GROUND_MATERIAL, add_outdoors

_RESOLUTION = 201  # rows and columns of the height field
_LIFT = 0.01  # m by which the rat is raised until it touches nothing
_MAX_LIFTS = 1000
_UPRIGHT = np.cos(np.deg2rad(30))  # cosine of the tilt up to which the reward does not suffer


class BowlProgress(NamedTuple):
    """Attributes: distance (world,) m, the farthest that the head has been from the centre."""

    distance: Any


class BowlEvents(NamedTuple):
    """Attributes: distance (world,) m, of the head from the centre; farthest (world,) m, so far in the episode; upright (world,) in
    [0, 1], 1 where torso and pelvis tilt by less than 30 degrees."""

    distance: Any
    farthest: Any
    upright: Any


@dataclass(frozen=True, kw_only=True)
class Bowl:
    """The bowl. The defaults are the release's, whose terrain reaches 6 m from the centre on a ground plane of 20 m.

    Attributes:
        radius: m, half the side of the height field, and the distance of full reward.
        height: m, of the rim.
        smoothness: from 0, most bumpy, to 1, smooth.
        bump_scale: m, size of the bumps.
        time_limit: s.
    """

    radius: float = 6.0
    height: float = 0.5
    smoothness: float = 0.5
    bump_scale: float = 0.2
    time_limit: float = 20.0
    name: str = "bowl"
    movable_geoms: tuple[str, ...] = ()
    movable_materials: tuple[str, ...] = ()
    target_geoms: tuple[str, ...] = ()
    touching: Literal["rat", "hands"] = "rat"
    refresh: Literal["always", "outcome"] = "outcome"

    def __post_init__(self) -> None:
        if not 0 <= self.smoothness <= 1:
            raise ValueError(f"smoothness must lie in [0, 1], got {self.smoothness}.")
        if not 0 < self.bump_scale <= self.radius:
            raise ValueError(f"bump_scale must lie in (0, radius] = (0, {self.radius}] m, got {self.bump_scale}.")

    def spec(self) -> mujoco.MjSpec:
        """A flat height field on a plane, and the rat."""
        spec = arena_spec()
        spec.visual.map.znear, spec.visual.map.zfar = 0.00025, 50.0
        add_outdoors(spec)
        spec.add_hfield(
            name="terrain", nrow=_RESOLUTION, ncol=_RESOLUTION, size=[self.radius, self.radius, self.height, 0.1],
            userdata=np.zeros(_RESOLUTION**2),
        )
        world = spec.worldbody
        world.add_geom(
            name="terrain", type=mujoco.mjtGeom.mjGEOM_HFIELD, pos=[0, 0, -0.01], hfieldname="terrain", material=GROUND_MATERIAL
        )
        world.add_geom(name="groundplane", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[20, 20, 0.5], material=GROUND_MATERIAL)
        add_rat(spec)
        return spec

    def draw(self, rng: np.random.Generator, model: mujoco.MjModel) -> Arena:
        """A terrain, and the rat at its centre in a random orientation.

        As in the original the rat is raised until it touches nothing before the ground is shaped, so that it falls onto bumps from a
        few centimetres or starts a little inside one.
        """
        quat = rng.standard_normal(4)
        return Arena(qpos=self.resting_qpos(quat / np.linalg.norm(quat), model), hfield=self.terrain(rng))

    def terrain(self, rng: np.random.Generator) -> np.ndarray:
        """Heights of a bowl with bumps.

        Returns:
            (201, 201) float32, as shares of `height`, row by row along y.
        """
        row, column = np.ogrid[-1 : 1 : _RESOLUTION * 1j, -1 : 1 : _RESOLUTION * 1j]
        radius = np.clip(np.sqrt(column**2 + row**2), 0.1, 1)
        bowl = 0.5 - np.cos(2 * np.pi * radius) / 2
        resolution = int(2 * self.radius / self.bump_scale)
        bumps = rng.uniform(self.smoothness, 1, (resolution, resolution))
        smooth = np.asarray(ndimage.zoom(bumps, _RESOLUTION / float(resolution)))
        return (bowl * smooth).astype(np.float32)

    def resting_qpos(self, quat: np.ndarray, model: mujoco.MjModel) -> np.ndarray:
        """The posture `qpos0` in an orientation, over the centre, raised from the plane in steps of 1 cm until nothing touches.

        The rat is lowered instead, from where the spheres around its geoms clear the plane, until it touches: its geoms are convex, so
        the answer is the same, and no buffer overflows with the contacts of a rat embedded in the ground.

        Args:
            quat: (4,) unit quaternion.
            model: compiled from `spec()`; the heights of its terrain do not matter.

        Returns:
            (74,)

        Raises:
            ValueError: the rat touches itself in that posture.
        """
        data = mujoco.MjData(model)
        heights = np.append(0.0, np.cumsum(np.full(_MAX_LIFTS, _LIFT)))  # summed one by one, as the original rounds them
        data.qpos[:] = model.qpos0
        data.qpos[:3], data.qpos[3:7] = 0.0, quat
        mujoco.mj_kinematics(model, data)
        solid = model.geom_contype | model.geom_conaffinity
        lowest = (data.geom_xpos[:, 2] - model.geom_rbound)[(solid != 0) & (model.geom_bodyid > 0)].min()
        ground, terrain = model.geom("groundplane").id, model.geom("terrain").id
        level = int(np.ceil(max(-lowest, 0.0) / _LIFT)) + 1
        while level >= 0:
            data.qpos[2] = heights[level]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_collision(model, data)
            pairs = data.contact.geom
            if (pairs == ground).any():
                break
            if not (pairs == terrain).any(axis=1).all():
                raise ValueError("The rat touches itself in the posture qpos0, so no height is free of contacts.")
            level -= 1
        qpos = data.qpos.copy()
        qpos[2] = heights[level + 1]
        return qpos

    def start(self, arenas: Arenas, xp: ModuleType) -> BowlProgress:
        """At the centre."""
        return BowlProgress(xp.zeros(arenas.qpos.shape[0]))

    def before_step(self, progress: BowlProgress, arenas: Arenas, xp: ModuleType) -> tuple[BowlProgress, None]:
        """Nothing moves."""
        return progress, None

    def step(
        self, progress: BowlProgress, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """Reward: distance of the head from the centre as a share of the radius, at most 1, times uprightness. Never ends by itself."""
        distance = xp.sqrt((fields.site_xpos[:, index.head_site] ** 2).sum(axis=1))
        escape = _rise(distance, self.radius, self.radius, xp)
        bodies = xp.stack([fields.xmat[:, index.torso, 8], fields.xmat[:, index.pelvis, 8]], axis=1)
        upright = _rise(bodies, _UPRIGHT, 1 + _UPRIGHT, xp).min(axis=1)
        farthest = xp.maximum(progress.distance, distance)
        never = xp.zeros_like(distance, dtype=bool)
        events = BowlEvents(distance=distance, farthest=farthest, upright=upright)
        return Outcome(BowlProgress(farthest), upright * escape, never, xp.ones_like(distance), never, events)

    def look(self, progress: BowlProgress, arenas: Arenas, xp: ModuleType) -> Look:
        """Nothing changes."""
        worlds = arenas.qpos.shape[0]
        return Look(xp.zeros((worlds, 0), dtype=int), xp.zeros((worlds, 0), dtype=bool))


def _rise(value: Any, bound: float, margin: float, xp: ModuleType) -> Any:
    """1 from the bound on, falling linearly to 0 at `margin` below it; rounded as dm_control's `rewards.tolerance` does."""
    short = (bound - value) / margin
    return xp.where(value >= bound, 1.0, xp.where(xp.abs(short) < 1, 1 - short, 0.0))
