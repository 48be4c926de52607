"""Bumpy slopes, on which a rat learns to climb out of a bowl: by the easiest way, or, told by an onlooker, onward as fast as it can."""

from __future__ import annotations

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task import Arena
from vrodent.task.bowl import Bowl
from vrodent.training.teachers.bowl_path import BowlPath
from vrodent.training.teachers.guidance import Ground, Guide, pose
from vrodent.training.teachers.guides import Along, level_terrain, onward
from vrodent.training.teachers.practice import PracticeConfig, PracticeGround, turned
from vrodent.training.teachers.skills import Role
from vrodent.training.teachers.task_teacher import lies

_CLIMB, _RIDGE = 0.2, 0.5  # of the bowl's radius, well within the climb and where it ends
_LOWEST = 0.2  # of the bowl's height, to begin with
_TERRAINS = 64  # that slopes are practised on


def highest(env: CpuSimulation, hfield: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> float:
    """m, height of the highest of 30 points within 8 cm (each way) of a place.

    Args:
        env: of the bowl.
        hfield: terrain, (row along y, column along x), as shares of the rim's height.
        place: (2,) m.
        rng: draws the points.
    """
    task = env.task
    assert isinstance(task, Bowl)
    cells = hfield.shape[0] - 1
    around = (place + rng.uniform(-0.08, 0.08, (30, 2)) + task.radius) / (2 * task.radius) * cells
    column, row = np.clip(around.round().astype(int), 0, cells).T
    return max(hfield[row, column].max() * task.height + env.model.geom("terrain").pos[2], 0.0)


class Slopes(PracticeGround):
    """Walking out of the bowl by its easiest way, from a standing start somewhere on its slopes. A fall ends it, as on open ground.

    With a world's difficulty in [0, 1] the terrain rises to the task's height, at a half; then the rat begins farther and farther out, up
    to the ridge. (A walker that practised anywhere on lower terrain was at home on bumps and stopped at the foot of the climb, which
    goes on for two metres and is steepest near its beginning; one put at once before the full climb sat down there.)

    An onlooker knows no easiest way: with one it is onward from where the episode began, as fast as can be. Some episodes are then the
    task's own, in which the onlooker brings the rat to its feet first.
    """

    ground, role = Ground.FLAT, Role.CLIMB
    leads_on = True
    second_chance_steps = 250  # to set off and be well on the way

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.difficulty[:] = np.linspace(0.0, 0.3, env.num_worlds)
        self._along = Along(self.ground, level_terrain, env.num_worlds)
        self._terrains: list[tuple[np.ndarray, BowlPath]] = []
        self._path: list[BowlPath | None] = [None] * env.num_worlds
        self._risen_on: dict[int, BowlPath] = {}  # by the arena of a moment, which the moments keep

    def arena(self, world: int) -> Arena:
        """A terrain; the rat standing as far from its centre as it may begin or nearer, above the highest bump under it."""
        task = self.env.task
        assert isinstance(task, Bowl)
        level = 2.0 * max(self.difficulty[world] - self.rng.choice([0.0, 0.1]), 0.0)
        terrain, path = self._terrain(task)
        hfield = (terrain * (_LOWEST + (1.0 - _LOWEST) * min(level, 1.0))).astype(np.float32)
        distance = task.radius * self.rng.uniform(0.01, _CLIMB + (_RIDGE - _CLIMB) * max(level - 1.0, 0.0))
        angle = self.rng.uniform(-np.pi, np.pi)
        place = distance * np.array([np.cos(angle), np.sin(angle)])
        ground = highest(self.env, hfield, place, self.rng)
        self._path[world] = path
        yaw = path.heading(place[None])[0] + self.rng.normal(0.0, 0.7) if self.onlooker is None else angle
        return Arena(qpos=turned(self.env.model.qpos0, (place[0], place[1], ground + 0.005), yaw), hfield=hfield)

    def _terrain(self, task: Bowl) -> tuple[np.ndarray, BowlPath]:
        """One of so many terrains, with the ways on it where it is of full height: to find them anew in each episode would take a while."""
        chosen = int(self.rng.integers(_TERRAINS))
        if chosen >= len(self._terrains):
            terrain = task.terrain(self.rng)
            self._terrains.append((terrain, BowlPath(terrain * task.height, task.radius)))
        return self._terrains[min(chosen, len(self._terrains) - 1)]

    def again(self, world: int, arena: Arena) -> Arena:
        """The bowl that the rat was thrown into, whole, with the ways on it."""
        task = self.env.task
        assert isinstance(task, Bowl)
        path = self._risen_on.get(id(arena))
        if path is None:
            path = self._risen_on[id(arena)] = BowlPath(np.asarray(arena.hfield) * task.height, task.radius)
        self._path[world] = path
        return arena

    def guide_of(self) -> Guide:
        """The way, as it is at the moment."""
        return self._along

    def begin(self, ids: np.ndarray) -> None:
        """A speed."""
        self.hurried = self.onlooker is not None
        self._along.speed[ids] = self.top_speed[ids] if self.hurried else self.rng.uniform(0.3, self.top_speed[ids])
        self.advance()

    def advance(self) -> None:
        """Along the way."""
        at = pose(self.env.physics.fields, self.env.index)
        if self.onlooker is not None:
            self._along.heading[:] = onward(at)
        else:
            places = at.position[:, None, :2]
            self._along.heading[:] = [0.0 if path is None else path.heading(places[i])[0] for i, path in enumerate(self._path)]

    def started(self, world: int) -> Arena:
        """With an onlooker, at times as in the task."""
        if self.onlooker is None or self.rng.random() >= self.config.second_chances:
            return super().started(world)
        self.second_chance[world], self.practised[world] = True, False
        return self.env.task.draw(self.rng, self.env.model)

    def ready(self) -> np.ndarray:
        """On its feet, and given to the skill that climbs."""
        return ~lies(self.env) & (True if self.onlooker is None else self.onlooker.share > 0.5)

    def grow(self, world: int, fell: bool) -> None:
        """Farther out where the rat went as it was told, to the end or for long; nearer where it fell, the more so the sooner.

        Exploration makes a rat that could walk here fall in the end, more often than not: were each fall to count alike, the slopes would
        sink to level ground under a rat that climbs them.
        """
        if self.second_chance[world]:
            return  # as hard as the task itself, whatever the world's difficulty
        share = self.tracking_sum[world] / max(self.lived[world], 1)
        lasted = self.lived[world] / self.limit if fell else 1.0
        step = (0.06 * lasted if share > 0.4 else 0.0) - (0.02 * (1.0 - lasted) if fell else 0.0)
        self.difficulty[world] = np.clip(self.difficulty[world] + step, 0.0, 1.0)
