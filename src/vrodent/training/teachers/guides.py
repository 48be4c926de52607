"""A guide for each of the four tasks: what a teacher is told when it solves the real thing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task import Arena
from vrodent.task.two_tap import CORRECT, TAPPED, WAITING
from vrodent.training.teachers.bowl_path import BowlPath
from vrodent.training.teachers.guidance import Ground, Guidance, Pose, no_target, pose
from vrodent.training.teachers.strikes import StruckProgress, struck_since

_SLOWEST = 0.3  # m/s, of a walk
_PIT = -0.15  # m, height told for a gap: as deep as the scan tells
_WHISKERS = 0.25  # m from the torso, nearer than which the rat knows where the orb is
_SEARCH = 1.2  # rad to the left of where it faces, whither it turns to look for an orb: at 3 rad/s
# rad, and m/s: then in a circle so wide, with a radius of 48 cm, that it sees what was above it. At 0.4 m/s `locomotion` turns at 1.3 rad/s
# when it is told to go straight on, and at 2.4 at this angle.
_CIRCLE, _BRISK = 0.4, 0.6
_ROUND = 2.5  # s to look around once
_LOST = 6.0  # s after which it is to take it that it has forgotten where an orb is
_ONWARD = 0.5  # m ahead of the torso
_SIGHT = 0.025  # m, half the length over which a gap's share is told


def platform_heights(env: CpuSimulation, points: np.ndarray) -> np.ndarray:
    """(world, point): 0 over a platform of the corridor, a pit elsewhere, in between near an edge.

    Each is the mean over 5 cm along the corridor: points 4 cm apart would step over the narrow gaps and not tell where an edge is.
    """
    centre, half = env.arenas.geom_pos[:, None, :, 0], env.arenas.geom_size[:, None, :, 0]
    x = points[:, :, None, 0]
    over = np.minimum(x + _SIGHT, centre + half) - np.maximum(x - _SIGHT, centre - half)
    return _PIT * (1.0 - np.clip(over, 0.0, None).sum(axis=2) / (2 * _SIGHT))


def terrain_heights(env: CpuSimulation, points: np.ndarray) -> np.ndarray:
    """(world, point): the height field under points, interpolated bilinearly; the ground plane where that is higher or the field ends."""
    model = env.physics.model
    half, top = model.hfield_size[0, 0], model.hfield_size[0, 2]
    base = model.geom("terrain").pos[2]
    fields = np.stack([np.asarray(arena.hfield) for arena in env.world_arenas])
    cells = fields.shape[1] - 1
    grid = np.clip((points + half) / (2 * half) * cells, 0.0, cells - 1e-6)
    low = grid.astype(int)
    u, v = (grid - low)[..., 0], (grid - low)[..., 1]
    world, x, y = np.arange(len(fields))[:, None], low[..., 0], low[..., 1]
    height = (fields[world, y, x] * (1 - u) * (1 - v) + fields[world, y, x + 1] * u * (1 - v)
              + fields[world, y + 1, x] * (1 - u) * v + fields[world, y + 1, x + 1] * u * v)  # fmt: skip
    outside = (np.abs(points) > half).any(axis=2)
    return np.where(outside, 0.0, np.maximum(height * top + base, 0.0))


def level_terrain(env: CpuSimulation, points: np.ndarray) -> np.ndarray:
    """(world, point): the height of the bowl under the last point of each world, which is the rat's, told of all of them.

    A walker feels a slope in its feet and by its tilt. Told as well how the ground ahead rises, one that had practised on level ground and
    beside pits stopped at a rise of 5 cm a metre; told nothing, it climbed 15.
    """
    return np.broadcast_to(terrain_heights(env, points[:, -1:]), points.shape[:2])


_Ways = TypeVar("_Ways")


class _Atlas(Generic[_Ways]):
    """The ways in every world, found once an arena.

    Args:
        find: the ways in a world's arena.
    """

    def __init__(self, find: Callable[[CpuSimulation, Arena], _Ways]):
        self._find = find
        self._known: dict[int, tuple[Arena, _Ways]] = {}

    def of(self, env: CpuSimulation, world: int) -> _Ways:
        """Those in a world."""
        arena = env.world_arenas[world]
        known = self._known.get(world)
        if known is None or known[0] is not arena:
            known = (arena, self._find(env, arena))
            self._known[world] = known
        return known[1]


def _bowl_path(env: CpuSimulation, arena: Arena) -> BowlPath:
    half, top = env.physics.model.hfield_size[0, 0], env.physics.model.hfield_size[0, 2]
    return BowlPath(np.asarray(arena.hfield) * top, half)


class Along:
    """A guide with a fixed heading and speed per world, over a ground given by a function."""

    def __init__(self, ground: Ground, heights: Callable[[CpuSimulation, np.ndarray], np.ndarray], num_worlds: int):
        self.ground = ground
        self._heights = heights
        self.heading, self.speed = np.zeros(num_worlds), np.full(num_worlds, 0.4)

    def guide(self, env: CpuSimulation) -> Guidance:
        """As set."""
        return Guidance(self.heading, self.speed, *no_target(env.num_worlds))

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """By the function."""
        return self._heights(env, points)


@dataclass(frozen=True, kw_only=True)
class GapsGuide:
    """Along the corridor at a speed.

    Attributes:
        speed: m/s.
    """

    speed: float = 1.0
    ground: Ground = Ground.GAPS

    def guide(self, env: CpuSimulation) -> Guidance:
        """Straight on, back to the middle if it has strayed."""
        offset = pose(env.physics.fields, env.index).position[:, 1]
        heading = np.clip(-0.5 * offset, -0.3, 0.3)
        return Guidance(heading, np.full(env.num_worlds, self.speed), *no_target(env.num_worlds))

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Platforms and pits."""
        return platform_heights(env, points)


def onward(at: Pose) -> np.ndarray:
    """(world,) rad: from the origin toward the place 0.5 m ahead of the rat; at the origin the way it faces, far out straight outward."""
    toward = at.position[:, :2] + _ONWARD * np.stack([np.cos(at.yaw), np.sin(at.yaw)], axis=1)
    return np.arctan2(toward[:, 1], toward[:, 0])


class BowlGuide:
    """Out of the bowl by the easiest way, from wherever it is.

    Args:
        speed: m/s; 0 is to stand, the way the rat faces.
        ground: kind of situation.
        mapless: not by the easiest way, which only a map of the bumps tells, but onward from the centre, which a rat can tell that
            remembers where it came from: at the centre the way it faces, far out straight outward, in between toward the place 0.5 m ahead
            of it. A student told of easiest ways foretold none of it (mean squared error of cosine and sine 1.3 together; to guess nothing
            makes 1) and came 0.6 m far; 2.0 m when it was told the truth (8 s, 10 trials of reference physics).
    """

    def __init__(self, *, speed: float = 1.0, ground: Ground = Ground.BOWL, mapless: bool = False):
        self.speed, self.ground, self.mapless = speed, ground, mapless
        self.atlas = _Atlas(_bowl_path)

    def guide(self, env: CpuSimulation) -> Guidance:
        """Along the way."""
        at, speed = pose(env.physics.fields, env.index), np.full(env.num_worlds, self.speed)
        heading = at.yaw
        if self.speed > 0 and self.mapless:
            heading = onward(at)
        elif self.speed > 0:
            places = at.position[:, None, :2]
            heading = np.concatenate([self.atlas.of(env, world).heading(places[world]) for world in range(env.num_worlds)])
        return Guidance(heading, speed, *no_target(env.num_worlds))

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """As high everywhere as under the rat, see `level_terrain`."""
        return level_terrain(env, points)


class MazePath:
    """Shortest ways through one maze to its orbs, on a grid of cells.

    Args:
        walls: (wall, [x, y, half x, half y]) m, boxes.
        half_width: m, half the side of the square maze.
        cell: m, side of a cell.
    """

    def __init__(self, walls: np.ndarray, half_width: float, cell: float):
        self.cell, self.half_width = cell, half_width
        self.size = round(2 * half_width / cell)
        centres = (np.arange(self.size) + 0.5) * cell - half_width
        x, y = np.meshgrid(centres, centres, indexing="ij")
        inside = np.abs(x[..., None] - walls[:, 0]) < walls[:, 2]
        self.blocked: np.ndarray = np.any(inside & (np.abs(y[..., None] - walls[:, 1]) < walls[:, 3]), axis=-1)

    def cell_of(self, point: np.ndarray) -> tuple[int, int]:
        """The cell that holds point [x, y]."""
        index = np.clip(((np.asarray(point[:2]) + self.half_width) // self.cell).astype(int), 0, self.size - 1)
        return int(index[0]), int(index[1])

    def centre(self, cell: tuple[int, int]) -> np.ndarray:
        """[x, y] of a cell's centre."""
        return (np.array(cell) + 0.5) * self.cell - self.half_width

    def next_waypoint(self, start: np.ndarray, goals: list[np.ndarray]) -> np.ndarray:
        """Where to walk now to reach the nearest goal: the goal itself once in its cell, else the centre of the next cell on the way.

        Breadth-first over cells that share a side. With no goal, or none in reach, the point itself.
        """
        origin, ends = self.cell_of(start), {self.cell_of(goal): goal for goal in goals}
        if origin in ends:
            return ends[origin][:2]
        queue, first = deque([origin]), {origin: origin}
        while queue:
            here = queue.popleft()
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                there = (here[0] + dx, here[1] + dy)
                if there in first or not (0 <= there[0] < self.size and 0 <= there[1] < self.size) or self.blocked[there]:
                    continue
                first[there] = there if here == origin else first[here]
                if there in ends:
                    step = first[there]
                    return ends[step][:2] if step in ends else self.centre(step)
                queue.append(there)
        return np.asarray(start[:2])


class ForageGuide:
    """Along the shortest way to the nearest orb left, cell by cell.

    Args:
        speed: m/s.
        half_width: m, half the side of the maze.
        cell: m, side of a cell.
    """

    ground = Ground.FLAT

    def __init__(self, speed: float = 0.6, half_width: float = 2.75, cell: float = 0.5):
        self.speed, self._half_width, self._cell = speed, half_width, cell
        self.atlas = _Atlas(self._maze_path)

    def guide(self, env: CpuSimulation) -> Guidance:
        """Toward the next waypoint of every world."""
        position = pose(env.physics.fields, env.index).position
        taken = env.progress.taken
        heading, speed = np.zeros(env.num_worlds), np.full(env.num_worlds, self.speed)
        for world, arena in enumerate(env.world_arenas):
            left = [arena.targets[i] for i in range(arena.num_targets) if not taken[world, i]]
            offset = self.atlas.of(env, world).next_waypoint(position[world], left) - position[world, :2]
            heading[world] = np.arctan2(offset[1], offset[0])
        return Guidance(heading, speed, *no_target(env.num_worlds))

    def _maze_path(self, env: CpuSimulation, arena: Arena) -> MazePath:
        walls = [i for i, name in enumerate(env.task.movable_geoms) if name in set(env.task.wall_geoms)]  # type: ignore[attr-defined]
        used = [i for i in walls if arena.geom_pos[i, 2] > 0]
        boxes = np.concatenate([arena.geom_pos[used, :2], arena.geom_size[used, :2]], axis=1)
        return MazePath(boxes, self._half_width, self._cell)

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Level: the way leads around walls."""
        return np.zeros(points.shape[:2])


@dataclass(frozen=True, kw_only=True)
class TwoTapGuide:
    """To the orb, then up to it, twice.

    Attributes:
        speed: m/s, while walking to the orb.
        near: m in the plane, nearer than which the rat stands and rears.
        sight: rad to either side within which the rat's eye, of 80 degrees, sees the orb. Farther aside than that and farther off than its
            whiskers, the orb is looked for by turning left: a student cannot learn to turn at once to what it does not see, and when
            taught to it learned to walk about aimlessly. Where it is remembered when the orb was last in sight, it is looked for in a
            wide circle, briskly, after one turn on the spot; and one not tapped and not in sight for 6 s is lost, and looked for though
            it were above the rat's head. A student that was taught to rear there nevertheless stayed under an orb that it had lost for
            25 s, to the end of its trial.
    """

    speed: float = 0.4
    near: float = 0.15
    sight: float = np.pi
    ground: Ground = Ground.TAP

    def guide(self, env: CpuSimulation) -> Guidance:
        """Heading and distance to the orb, the phase of the sequence, the time since it began; by strikes where they are remembered."""
        progress, time = env.progress, np.asarray(env.physics.fields.time)
        worlds = np.arange(env.num_worlds)
        orb = env.arenas.targets[worlds, progress.orb % env.arenas.targets.shape[1]]
        at = pose(env.physics.fields, env.index)
        offset = (orb - at.position)[:, :2]
        distance, bearing = np.linalg.norm(offset, axis=1), np.arctan2(offset[:, 1], offset[:, 0])
        aside = np.abs(np.angle(np.exp(1j * (bearing - at.yaw)))) > self.sight
        sought, looked = self.lost(env) | (aside & (distance > _WHISKERS)), _unseen(env) >= _ROUND
        heading = np.where(sought, at.yaw + np.where(looked, _CIRCLE, _SEARCH), bearing)
        phase = np.minimum(progress.phase, CORRECT)
        since = time - np.where(phase == TAPPED, progress.first_time, progress.last_time)
        if isinstance(progress, StruckProgress):
            struck, strike = struck_since(progress, time)
            phase = np.where(struck, TAPPED, WAITING)
            since = np.where(struck, strike, since)
        speed = np.where(distance > self.near, self.speed, 0.0)
        return Guidance(heading, np.where(sought & looked, _BRISK, speed), orb, phase, since)

    def lost(self, env: CpuSimulation) -> np.ndarray:
        """(world,) bool: the rat has not seen the orb for so long that it cannot know where it is; never where that is not remembered."""
        progress, time = env.progress, np.asarray(env.physics.fields.time)
        if not isinstance(progress, StruckProgress) or self.sight >= np.pi:
            return np.zeros(env.num_worlds, bool)
        return ~struck_since(progress, time)[0] & (progress.phase == WAITING) & (time - progress.seen_time > _LOST)

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Level."""
        return np.zeros(points.shape[:2])


def _unseen(env: CpuSimulation) -> np.ndarray:
    """(world,) s since the orb was last in sight; 0 where that is not remembered."""
    time = np.asarray(env.physics.fields.time)
    return time - env.progress.seen_time if isinstance(env.progress, StruckProgress) else np.zeros_like(time)


class HeldCommands:
    """Instructions that change now and then at random: for practice on open ground.

    Args:
        rng: source of all draws.
        num_worlds: how many.
        change_rate: chance of a new instruction per control step.
    """

    ground = Ground.FLAT

    def __init__(self, rng: np.random.Generator, num_worlds: int, change_rate: float = 0.005):
        self._rng, self._rate = rng, change_rate
        self.heading = np.zeros(num_worlds)
        self.speed = np.full(num_worlds, 0.3)
        self.top_speed = np.full(num_worlds, 0.65)

    def redraw(self, ids: np.ndarray, yaw: np.ndarray, turn: float) -> None:
        """New instructions for some worlds: headings within `turn` rad of their yaw (world,); a tenth stand, the others walk.

        Slow walks are asked of nobody: within the sway of a step, 0.1 m/s cannot be told from standing.
        """
        self.heading[ids] = yaw[ids] + self._rng.uniform(-turn, turn, len(ids))
        speed = self._rng.uniform(_SLOWEST, self.top_speed[ids])
        self.speed[ids] = np.where(self._rng.random(len(ids)) < 0.1, 0.0, speed)

    def guide(self, env: CpuSimulation) -> Guidance:
        """The instructions as they stand."""
        return Guidance(self.heading, self.speed, *no_target(env.num_worlds))

    def advance(self, env: CpuSimulation) -> None:
        """Change some instructions."""
        ids = np.flatnonzero(self._rng.random(env.num_worlds) < self._rate)
        self.redraw(ids, pose(env.physics.fields, env.index).yaw, 1.0)

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Level."""
        return np.zeros(points.shape[:2])
