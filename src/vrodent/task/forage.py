"""Find the blue orbs in the rooms of a random maze.

Source: dm_control `tasks/random_goal_maze.py`, `arenas/mazes.py`, `props/target_sphere.py`, `examples/basic_rodent_2020.py`
`rodent_maze_forage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple

import mujoco
import numpy as np

from vrodent.body import RatIndex, add_rat, arena_spec
from vrodent.task import maze
from vrodent.task.base import Arena, Arenas, Look, Outcome
from vrodent.task.scenery import add_grass, add_material, add_sky, add_wall_colours, hold_still

MAX_ORBS = maze.MAX_ROOMS * maze.ORBS_PER_ROOM
MAX_WALLS = 26
"""Boxes in the model. Of 100,000 mazes none needed more than 24, and 56 needed so many. Each spare one costs 1 % of a physics step."""
MAX_TILES = 24
"""Floor tiles in the model. Of 100,000 mazes none needed more than 21, and 470 needed so many."""
WALL_GROUP = 3
"""Geom group of the walls' boxes, which are felt and not seen; the planes over their faces are seen and not felt."""
_PARKING = (0.0, 0.0, -10.0)
_AXES = ("x", "y", "z")
_SPARE_SIZE = (0.01, 0.01, 0.01)
_USUAL_EXTENT, _USUAL_CENTRE = 10.530822723609933, (0.0, 0.0, 0.15)  # m, of a maze whose first and last rows are one wall each


class ForageProgress(NamedTuple):
    """Attributes: taken (world, 12) bool, the orb has been touched; rewarded (world, 12) bool, and the reward has been given."""

    taken: Any
    rewarded: Any


class ForageEvents(NamedTuple):
    """Attributes: orbs_taken (world,) int, so far in the episode; orbs_left (world,) int."""

    orbs_taken: Any
    orbs_left: Any


@dataclass(frozen=True, kw_only=True)
class Forage:
    """The maze of orbs. The defaults are the release's; the maze's own are in `vrodent.task.maze`.

    Attributes:
        orb_reward: for each orb, once.
        orb_radius: m.
        orb_height: m, of an orb's centre.
        time_limit: s.
    """

    orb_reward: float = 50.0
    orb_radius: float = 0.05
    orb_height: float = 0.125
    time_limit: float = 30.0
    name: str = "forage"
    touching: Literal["rat", "hands"] = "rat"
    refresh: Literal["always", "outcome"] = "outcome"

    def __post_init__(self) -> None:
        if self.orb_radius <= 0:
            raise ValueError(f"orb_radius must be positive, got {self.orb_radius} m.")

    @property
    def wall_geoms(self) -> tuple[str, ...]:
        """The boxes of the walls."""
        return tuple(f"wall*_{i}" for i in range(MAX_WALLS))

    @property
    def face_geoms(self) -> tuple[str, ...]:
        """The planes that draw the walls, five for each."""
        return tuple(f"wall*_{i}_texturing_{face.name}" for i in range(MAX_WALLS) for face in maze.FACES)

    @property
    def tile_geoms(self) -> tuple[str, ...]:
        """The planes that draw the floor."""
        return tuple(f"floor_{i}" for i in range(MAX_TILES))

    @property
    def target_geoms(self) -> tuple[str, ...]:
        """The orbs."""
        return tuple(f"target_0_{i}/geom" for i in range(MAX_ORBS))

    @property
    def movable_geoms(self) -> tuple[str, ...]:
        """Walls, faces, tiles, orbs."""
        return self.wall_geoms + self.face_geoms + self.tile_geoms + self.target_geoms

    @property
    def movable_materials(self) -> tuple[str, ...]:
        """A material for each wall's faces across x, y and z, and for each tile."""
        return tuple(f"wall*_{i}_{axis}" for i in range(MAX_WALLS) for axis in _AXES) + self.tile_geoms

    def spec(self) -> mujoco.MjSpec:
        """Ground, rat, and all walls, faces, tiles and orbs that any maze needs, parked below the ground.

        What is only seen belongs to a body that the original leaves empty, not to the world: MuJoCo skips a body without collisions, but
        asks of each geom of the world and each of the rat whether they collide. No number changes.
        """
        spec = arena_spec()
        headlight = spec.visual.headlight
        headlight.ambient, headlight.diffuse, headlight.specular = [0.3] * 3, [0.6] * 3, [0.0] * 3
        spec.visual.map.znear = 0.0005
        spec.stat.extent, spec.stat.center = _USUAL_EXTENT, _USUAL_CENTRE
        self._add_materials(spec)
        world, plane = spec.worldbody, mujoco.mjtGeom.mjGEOM_PLANE
        half = maze.CELLS * maze.CELL_SIZE / 2
        scenery = world.add_body(name="labmaze_style_01/")
        world.add_geom(name="ground", type=plane, size=[half, half, 1], rgba=[0, 0, 0, 0])
        fovy = np.degrees(2 * np.arctan(1.1 * half / 100))
        world.add_camera(name="top_camera", pos=[0, 0, 100], fovy=float(fovy))
        walls = world.add_body(name="maze_body")
        hold_still(scenery)
        hold_still(walls)
        for name in self.wall_geoms:
            walls.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=_PARKING, size=_SPARE_SIZE, group=WALL_GROUP, rgba=[1] * 4)
        drawn = {"type": plane, "pos": _PARKING, "size": _SPARE_SIZE, "rgba": [1] * 4, "contype": 0, "conaffinity": 0}
        for i, name in enumerate(self.face_geoms):
            face = maze.FACES[i % len(maze.FACES)]
            geom = scenery.add_geom(name=name, material=f"wall*_{i // len(maze.FACES)}_{_AXES[face.axis]}", **drawn)
            geom.alt.type, geom.alt.xyaxes = mujoco.mjtOrientation.mjORIENTATION_XYAXES, face.xyaxes
        for name in self.tile_geoms:
            scenery.add_geom(name=name, material=name, **drawn)
        add_rat(spec)
        for name in self.target_geoms:
            self._add_orb(spec, name)
        return spec

    def _add_materials(self, spec: mujoco.MjSpec) -> None:
        add_sky(spec)
        colours, grass = add_wall_colours(spec), add_grass(spec)
        for name in self.movable_materials:
            add_material(spec, name=name, texture=grass if name in self.tile_geoms else colours[0])
        spec.add_texture(
            name="orb", type=mujoco.mjtTexture.mjTEXTURE_CUBE, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
            rgb1=[0, 0, 0.4], rgb2=[0, 0, 0.7], width=100, height=100,
        )
        add_material(spec, name="orb", texture="orb")

    def _add_orb(self, spec: mujoco.MjSpec, name: str) -> None:
        """A sphere that is touched where it overlaps and pushes nothing: contact begins at -2 radii, detection 2 radii before that."""
        body = spec.worldbody.add_body(name=name.removesuffix("geom"))
        hold_still(body)
        body.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_SPHERE, pos=_PARKING, size=[self.orb_radius, 0, 0], material="orb",
            margin=-2 * self.orb_radius, gap=2 * self.orb_radius,
        )

    def draw(self, rng: np.random.Generator, model: mujoco.MjModel) -> Arena:
        """A maze, its walls' colour, its orbs in random order, the rat in the middle of a room's starting cell, facing anywhere.

        The original turns the rat from the direction of the farthest wall by a uniformly random angle: uniform in all.
        """
        drawn = maze.draw_maze(rng)
        colour = int(rng.integers(len(self._colours(model))))
        orbs = rng.permutation(drawn.positions(maze.ORB))
        starts = drawn.positions(maze.SPAWN)
        start = starts[rng.integers(len(starts))]
        return self.arena(drawn, model, colour=colour, orbs=orbs, start=start, turn=float(rng.uniform(0, 2 * np.pi)))

    def arena(
        self, drawn: maze.Maze, model: mujoco.MjModel, *, colour: int, orbs: np.ndarray, start: np.ndarray, turn: float
    ) -> Arena:
        """The arena of a maze.

        Args:
            drawn: the maze.
            model: compiled from `spec()`.
            colour: index into the eight wall colours.
            orbs: (k, 3) m, on the floor.
            start: (3,) m, where the rat starts.
            turn: rad, where it faces, counter-clockwise from x.

        Raises:
            ValueError: the maze needs more walls, tiles or orbs than the model holds.
        """
        centre, half = maze.wall_boxes(maze.cover(drawn.entities, maze.WALL))
        tile_pos, tile_size = maze.floor_tiles(drawn.variations)
        _check_fits(len(centre), len(tile_pos), len(orbs))
        face_pos, face_size = maze.wall_faces(centre, half)
        orb_pos = orbs + np.array([0.0, 0.0, self.orb_height])
        orb_size = np.tile((self.orb_radius, 0.0, 0.0), (MAX_ORBS, 1))
        pos = _slots(centre, face_pos, tile_pos, orb_pos, _PARKING)
        size = _slots(half, face_size, tile_size, orb_size, _SPARE_SIZE)
        geoms = np.array([model.geom(name).id for name in self.movable_geoms])
        rgba = model.geom_rgba[geoms].astype(float)
        rgba[(pos == _PARKING).all(axis=1), 3] = 0.0
        texture, texrepeat = self._materials(model, colour, half, tile_size)
        qpos = model.qpos0.copy()
        qpos[:7] = [*start, np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)]
        return Arena(
            qpos=qpos, geom_pos=pos, geom_quat=model.geom_quat[geoms].copy(), geom_size=size, geom_rgba=rgba,
            material_texture=texture, material_texrepeat=texrepeat, targets=pos[-MAX_ORBS:], num_targets=len(orbs),
            extent=_extent(centre, half),
        )  # fmt: skip

    def _colours(self, model: mujoco.MjModel) -> list[int]:
        """Ids of the wall textures."""
        return [i for i in range(model.ntex) if model.texture(i).name.startswith("labmaze_style_01/")]

    def _materials(self, model: mujoco.MjModel, colour: int, half: np.ndarray, tile_size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Texture ids (material,) and repeats (material, 2), once a cell."""
        across = np.array([[1, 2], [0, 2], [0, 1]])
        walls = _pad(2 * half[:, across].reshape(-1, 2) / maze.CELL_SIZE, MAX_WALLS * len(_AXES), (1.0, 1.0))
        tiles = _pad(2 * tile_size[:, :2] / maze.CELL_SIZE, MAX_TILES, (1.0, 1.0))
        texture = np.full(len(walls) + MAX_TILES, model.texture("aesthetic_texture").id)
        texture[: len(walls)] = self._colours(model)[colour]
        return texture, np.concatenate([walls, tiles])

    def start(self, arenas: Arenas, xp: ModuleType) -> ForageProgress:
        """No orb taken, but for one in the very centre of the maze.

        The original judges touches at the start before it has moved the rat from the origin, in its posture `qpos0`, to the cell where
        it starts. An orb there is gone, and is rewarded in the first step. The orbs next to it are out of the rat's reach.
        """
        central = (xp.abs(arenas.targets[:, :, :2]) < maze.CELL_SIZE / 2).all(axis=2)
        taken = central & _meant(arenas, xp)
        return ForageProgress(taken, xp.zeros_like(taken))

    def before_step(self, progress: ForageProgress, arenas: Arenas, xp: ModuleType) -> tuple[ForageProgress, None]:
        """Nothing moves."""
        return progress, None

    def step(
        self, progress: ForageProgress, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """Reward for each orb touched for the first time; the task ends, with the original's discount of 1, when all have been."""
        meant = _meant(arenas, xp)
        taken = progress.taken | (touched.any(axis=1) & meant)
        reward = self.orb_reward * (taken & ~progress.rewarded).sum(axis=1)
        left = (meant & ~taken).sum(axis=1)
        events = ForageEvents(orbs_taken=taken.sum(axis=1), orbs_left=left)
        never = xp.zeros_like(left, dtype=bool)
        return Outcome(ForageProgress(taken, taken), reward, left == 0, xp.ones_like(reward), never, events)

    def look(self, progress: ForageProgress, arenas: Arenas, xp: ModuleType) -> Look:
        """Taken orbs vanish."""
        return Look(arenas.material_texture, _meant(arenas, xp) & ~progress.taken)


def _pad(rows: np.ndarray, length: int, filler: tuple[float, ...]) -> np.ndarray:
    return np.concatenate([rows, np.tile(filler, (length - len(rows), 1))])


def _slots(walls: np.ndarray, faces: np.ndarray, tiles: np.ndarray, orbs: np.ndarray, filler: tuple[float, ...]) -> np.ndarray:
    """Rows for `Forage.movable_geoms`, filled up where the maze has fewer."""
    padded = (
        _pad(walls, MAX_WALLS, filler),
        _pad(faces.reshape(-1, 3), MAX_WALLS * len(maze.FACES), filler),
        _pad(tiles, MAX_TILES, filler),
        _pad(orbs, MAX_ORBS, filler),
    )
    return np.concatenate(padded)


def _check_fits(walls: int, tiles: int, orbs: int) -> None:
    for what, number, most in (("walls", walls, MAX_WALLS), ("floor tiles", tiles, MAX_TILES), ("orbs", orbs, MAX_ORBS)):
        if number > most:
            raise ValueError(f"This maze needs {number} {what} and the model holds {most}; raise the number in vrodent.task.forage.")


def _meant(arenas: Arenas, xp: ModuleType) -> Any:
    """(world, 12) bool: the orb exists in this maze."""
    return xp.arange(MAX_ORBS) < xp.asarray(arenas.num_targets)[:, None]


def _extent(centre: np.ndarray, half: np.ndarray) -> float:
    """MuJoCo's `stat.extent` of the walls: the longest side of the box around the spheres around them, m."""
    radius = np.sqrt((half**2).sum(axis=1, keepdims=True))
    return float(((centre + radius).max(axis=0) - (centre - radius).min(axis=0)).max())
