"""Run down a corridor and jump its gaps.

Source: dm_control `tasks/corridors.py`, `arenas/corridors.py`, `examples/basic_rodent_2020.py` `rodent_run_gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple

import mujoco
import numpy as np

from vrodent.body import RatIndex, add_rat, arena_spec
from vrodent.task.base import Arena, Arenas, Look, Outcome
from vrodent.task.scenery import GROUND_MATERIAL, add_outdoors

_PADDING = 2.0  # m of corridor before its start and after its end
_HALF_THICKNESS = 0.16  # m
_WALL_HEIGHT = 4.0  # m
_WALL_MARGIN = 0.2  # m, that MuJoCo's compiler adds around a plane
_PARKING = 50.0  # m along the corridor, behind the wall at its far end, where spare platforms wait
_ALONG = {"left": (1, 0, 0), "right": (-1, 0, 0), "near": (0, 1, 0), "far": (0, -1, 0)}
"""The direction in which each wall runs; it rises along z."""


def _wall_quat(along: tuple[int, int, int]) -> np.ndarray:
    up = np.array([0.0, 0.0, 1.0])
    x = np.array(along, float)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([x, up, np.cross(x, up)], axis=1).reshape(-1))
    return quat


class GapsProgress(NamedTuple):
    """Attributes: gaps_crossed (world,) int, how many gaps lie behind the rat."""

    gaps_crossed: Any


class GapsEvents(NamedTuple):
    """Attributes: gaps_crossed (world,) int, gaps crossed so far in the episode; fell (world,) bool, a paw is below the fall height."""

    gaps_crossed: Any
    fell: Any


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """The corridor of gaps. The defaults are the release's.

    Attributes:
        platform_length: (least, most) m, uniform.
        gap_length: (least, most) m, uniform.
        corridor_width: m.
        corridor_length: m.
        start_x: m, where along the corridor the rat starts.
        target_velocity: m/s, the speed of full reward.
        fall_height: m, height of a paw below which the episode ends.
        time_limit: s.
    """

    platform_length: tuple[float, float] = (0.4, 0.8)
    gap_length: tuple[float, float] = (0.05, 0.2)
    corridor_width: float = 2.0
    corridor_length: float = 40.0
    start_x: float = 5.0
    target_velocity: float = 1.0
    fall_height: float = -0.3
    time_limit: float = 30.0
    name: str = "gaps"
    movable_materials: tuple[str, ...] = ()
    target_geoms: tuple[str, ...] = ()
    touching: Literal["rat", "hands"] = "rat"
    refresh: Literal["always", "outcome"] = "always"

    def __post_init__(self) -> None:
        for key in ("platform_length", "gap_length"):
            low, high = getattr(self, key)
            if not 0 < low <= high:
                raise ValueError(f"{key} must be (least, most) with 0 < least <= most, got {(low, high)}.")
        if self.corridor_length <= 3 * _PADDING:
            raise ValueError(f"corridor_length must exceed the {3 * _PADDING} m of the first platform, got {self.corridor_length}.")

    @property
    def max_platforms(self) -> int:
        """The most platforms that a draw can need, the long first one included."""
        return 1 + int(np.ceil((self.corridor_length - 3 * _PADDING) / (self.platform_length[0] + self.gap_length[0])))

    @property
    def movable_geoms(self) -> tuple[str, ...]:
        """The platforms along the corridor."""
        return ("start_floor", *(f"floor_{i}" for i in range(self.max_platforms - 1)))

    def spec(self) -> mujoco.MjSpec:
        """Corridor, platforms of mean length and spacing, rat."""
        spec = arena_spec()
        spec.visual.map.znear, spec.visual.map.zfar = 0.00025, 4.0
        add_outdoors(spec)
        spec.worldbody.add_body(name="walls")
        length, width, height = self.corridor_length, self.corridor_width, _WALL_HEIGHT
        # As the original's compiler finds them, from the walls; the parked platforms would make them larger, and the picture another.
        spec.stat.extent = (length + _PADDING + _WALL_MARGIN) + (_PADDING + _WALL_MARGIN)
        spec.stat.center = [length / 2, 0.0, -4.0]
        plane = mujoco.mjtGeom.mjGEOM_PLANE
        along = length / 2 + _PADDING
        spec.worldbody.add_geom(type=plane, size=[along, width / 2, 1], pos=[length / 2, 0, -10], rgba=[0, 0, 0, 0])
        for name, pos, half in (
            ("left", (length / 2, width / 2), along),
            ("right", (length / 2, -width / 2), along),
            ("near", (-_PADDING, 0), width / 2),
            ("far", (length + _PADDING, 0), width / 2),
        ):
            spec.worldbody.add_geom(
                type=plane, size=[half, height / 2, 1], pos=[*pos, height / 2], quat=_wall_quat(_ALONG[name]), group=3, rgba=[1, 0, 0, 0]
            )
        ground = spec.worldbody.add_body(name="ground")
        mean = (np.mean(self.platform_length), np.mean(self.gap_length))
        lengths = np.full((self.max_platforms - 1, 2), mean)
        pos, size, _ = self._platforms(lengths)
        for name, p, s in zip(self.movable_geoms, pos, size, strict=True):
            ground.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=p, size=s, material=GROUND_MATERIAL)
        add_rat(spec)
        return spec

    def _platforms(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Positions (platform, 3), half-sizes (platform, 3) and number in use, from drawn lengths (platform, [platform, gap])."""
        first = 3.0 * _PADDING
        spans = [(0.0, first)]
        x = first
        for platform, gap in lengths:
            if x >= self.corridor_length:
                break
            spans.append((x, platform))
            x += platform + gap
        used = len(spans)
        spans += [(_PARKING + self.corridor_length + i, 0.5) for i in range(self.max_platforms - used)]
        pos = np.array([[x + length / 2, 0.0, -_HALF_THICKNESS] for x, length in spans])
        size = np.array([[length / 2, self.corridor_width / 2, _HALF_THICKNESS] for _, length in spans])
        return pos, size, used

    def draw(self, rng: np.random.Generator, model: mujoco.MjModel) -> Arena:
        """Platforms and gaps along the corridor; the rat stands on the first platform, facing along it."""
        ranges = np.array([self.platform_length, self.gap_length])
        lengths = rng.uniform(ranges[:, 0], ranges[:, 1], size=(self.max_platforms - 1, 2))
        return self.arena(lengths, model)

    def arena(self, lengths: np.ndarray, model: mujoco.MjModel) -> Arena:
        """The arena with platforms and gaps of given lengths.

        Args:
            lengths: (platform, 2), m, of each platform after the first and of the gap behind it, as far as the corridor needs.
            model: compiled from `spec()`.
        """
        pos, size, used = self._platforms(lengths)
        rgba = np.tile([0.5, 0.5, 0.5, 1.0], (len(pos), 1))
        rgba[used:, 3] = 0.0
        qpos = model.qpos0.copy()
        qpos[0] += self.start_x
        quat = np.tile([1.0, 0.0, 0.0, 0.0], (len(pos), 1))
        return Arena(qpos=qpos, geom_pos=pos, geom_quat=quat, geom_size=size, geom_rgba=rgba)

    def start(self, arenas: Arenas, xp: ModuleType) -> GapsProgress:
        """No gap crossed yet."""
        return GapsProgress(xp.zeros(arenas.qpos.shape[0], dtype=int))

    def before_step(self, progress: GapsProgress, arenas: Arenas, xp: ModuleType) -> tuple[GapsProgress, None]:
        """Nothing moves."""
        return progress, None

    def step(
        self, progress: GapsProgress, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """Reward 1 at the target velocity of the torso's subtree along the corridor, falling linearly to 0 at standstill and twice it."""
        velocity = fields.sensordata[:, index.torso_linvel][:, 0]
        target = self.target_velocity
        # Written as dm_control's `rewards.tolerance` rounds it.
        off = xp.where(velocity < target, target - velocity, velocity - target) / target
        reward = xp.where(velocity == target, 1.0, xp.where(xp.abs(off) < 1, 1 - off, 0.0))
        fell = (fields.xpos[:, index.end_effectors, 2] < self.fall_height).any(axis=1)
        torso = fields.xpos[:, index.torso]
        edges = arenas.geom_pos[:, 1:, 0] - arenas.geom_size[:, 1:, 0]
        behind = ((torso[:, :1] > edges) & (torso[:, 2:] > 0)).sum(axis=1)
        crossed = xp.maximum(progress.gaps_crossed, behind - (behind > 0))
        discount = xp.where(fell, 0.0, 1.0)
        events = GapsEvents(gaps_crossed=crossed, fell=fell)
        return Outcome(GapsProgress(crossed), reward, fell, discount, xp.ones_like(fell), events)

    def look(self, progress: GapsProgress, arenas: Arenas, xp: ModuleType) -> Look:
        """Nothing changes."""
        worlds = arenas.qpos.shape[0]
        return Look(xp.zeros((worlds, 0), dtype=int), xp.zeros((worlds, 0), dtype=bool))
