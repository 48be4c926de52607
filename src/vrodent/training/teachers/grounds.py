"""Five grounds on which one teacher, or several, learn side by side.

Open ground with changing instructions, corridors whose gaps grow from steps into jumps, bumpy slopes, bowls with the rat thrown in any
orientation, and orbs to be tapped twice, low and near at first. Terrain is in the mixture from the start: a walker put onto gaps later
loses its gait.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from vrodent.simulation import CpuSimulation, make
from vrodent.task import Arena
from vrodent.task.bowl import Bowl
from vrodent.task.gaps import Gaps
from vrodent.task.two_tap import TwoTap
from vrodent.training.checkpoint import load_agent
from vrodent.training.teachers.blindfolded import Blindfolded
from vrodent.training.teachers.guidance import Ground, Guidance, Guide, pose
from vrodent.training.teachers.guides import Along, HeldCommands, TwoTapGuide, platform_heights, terrain_heights
from vrodent.training.teachers.misjudgement import Misjudgement, misjudged
from vrodent.training.teachers.onlooker import Onlooker
from vrodent.training.teachers.practice import GroundStep, PracticeConfig, PracticeGround, turned
from vrodent.training.teachers.risen import risen
from vrodent.training.teachers.skills import Role
from vrodent.training.teachers.slopes import Slopes, highest
from vrodent.training.teachers.store import find_teacher, load_teacher

_FARTHEST = 4.0  # m from the centre, where a rat may be dropped; the ridge is at 3
_BACKWARD = (np.deg2rad(50), np.deg2rad(140))  # from level, how far the nose is up where a rat falls over backward
_RISEN = 64  # moments on their feet that slopes are also practised from
_WALKED_UP = 0.35  # m, how far the orbs of one who reaches high are at least: it must come to a tap from a walk
_RUN_UP = (0.1, 0.25)  # m from the torso to the edge ahead, where a moment before a gap is kept
_LOWEST_ORB, _ORB_HEIGHT = 0.05, 0.14  # m, centre of the orb within reach of a lifted paw, and in the task


class OpenGround(PracticeGround):
    """Level ground, headings and speeds that change."""

    ground = Ground.FLAT

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.commands = HeldCommands(rng, env.num_worlds)
        self.commands.top_speed = self.top_speed

    def arena(self, world: int) -> Arena:
        """Anywhere is the same; any direction."""
        qpos = turned(self.env.model.qpos0, (0.0, 0.0, 0.0), self.rng.uniform(-np.pi, np.pi))
        base = self.env.task.draw(self.rng, self.env.model)
        return Arena(**{**{name: getattr(base, name) for name in base.__dataclass_fields__}, "qpos": qpos})

    def guide_of(self) -> Guide:
        """The held commands."""
        return self.commands

    def begin(self, ids: np.ndarray) -> None:
        """A heading up to 1 rad off, a speed."""
        self.commands.redraw(ids, pose(self.env.physics.fields, self.env.index).yaw, 1.0)

    def advance(self) -> None:
        """Now and then, new instructions."""
        self.commands.advance(self.env)


class Corridor(PracticeGround):
    """A corridor whose gaps are scaled by the world's difficulty in [0, 1] of the release's."""

    ground, role = Ground.GAPS, Role.JUMP
    leads_on, hurried = True, True
    second_chance_steps = 70  # for the gap and half the platform behind it, where the hind feet may still slip

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self._kept_before = np.zeros(env.num_worlds, int)  # the platform at whose edge the last moment was kept
        self._crossed_before = np.zeros(env.num_worlds, int)  # gaps, when the episode began
        self.limit = config.episode_steps * 8 // 5
        self.difficulty[:] = np.linspace(0.05, 0.5, env.num_worlds)  # all kinds of gaps from the first step: none is forgotten, none is far
        self._judgement = Misjudgement(rng, (env.num_worlds, 2), config.blur)
        self._along = Along(self.ground, misjudged(platform_heights, self._judgement), env.num_worlds)

    def arena(self, world: int) -> Arena:
        """Gaps of the world's scale, a little easier at times; the rat on the first platform, roughly along it."""
        task = self.env.task
        assert isinstance(task, Gaps)
        count = task.max_platforms - 1
        lengths = np.stack([self.rng.uniform(0.4, 0.8, count), self._gaps(world, count)], axis=1)
        arena = task.arena(lengths, self.env.model)
        qpos = turned(self.env.model.qpos0, (self.rng.uniform(4.5, 5.8), 0.0, 0.0), self.rng.uniform(-0.3, 0.3))
        return Arena(**{**{name: getattr(arena, name) for name in arena.__dataclass_fields__}, "qpos": qpos})

    def _gaps(self, world: int, count: int) -> np.ndarray:
        """(gap,) m, of the world's scale or a little narrower."""
        scale = max(self.difficulty[world] - 0.1 * self.rng.integers(0, 2), 0.01)
        return np.maximum(self.rng.uniform(0.05, 0.2, count) * scale, 1e-3)

    def again(self, world: int, arena: Arena) -> Arena:
        """The gaps ahead as wide as this world's are: the same run-up to another leap."""
        here = int(self._platform(arena.geom_pos[:, 0], arena.geom_size[:, 0], arena.qpos[0]))
        ahead = int((arena.geom_rgba[:, 3] > 0.0).sum()) - here - 1
        pos = arena.geom_pos.copy()
        half = arena.geom_size[here : here + ahead + 1, 0]
        steps = half[:-1] + self._gaps(world, ahead) + half[1:]
        pos[here + 1 : here + 1 + ahead, 0] = pos[here, 0] + np.cumsum(steps)
        return replace(arena, geom_pos=pos)

    @staticmethod
    def _platform(centre: np.ndarray, half: np.ndarray, x: float | np.ndarray) -> np.ndarray:
        """The number of the last platform that begins before x."""
        return (np.expand_dims(x, -1) > centre - half).sum(axis=-1) - 1

    def guide_of(self) -> Guide:
        """Straight on."""
        return self._along

    def step(self, action: np.ndarray) -> GroundStep:
        """As everywhere, keeping moments of running up to an edge, one a gap."""
        self._judgement.advance()
        last = super().step(action)
        x = self.env.physics.fields.xpos[:, self.env.index.torso, 0]
        centre, half = self.env.arenas.geom_pos[:, :, 0], self.env.arenas.geom_size[:, :, 0]
        platform = self._platform(centre, half, x)
        everyone = np.arange(len(x))
        left = (centre + half)[everyone, platform] - x
        running = (platform > self._kept_before) & (left > _RUN_UP[0]) & (left < _RUN_UP[1]) & (last.tracking > 0.3)
        self.keep(np.flatnonzero(running & ~last.terminated), action)
        self._kept_before = np.where(running, platform, self._kept_before)
        return last

    def begin(self, ids: np.ndarray) -> None:
        """A speed, the faster the wider the gaps: nobody crosses 20 cm at a walk."""
        top = self.top_speed[ids]
        self._along.speed[ids] = self.rng.uniform(np.minimum(0.3 + 0.4 * self.difficulty[ids], top - 0.1), top)
        self._crossed_before[ids] = self.env.progress.gaps_crossed[ids]
        self._kept_before[ids] = np.where(self.second_chance[ids], self._crossed_before[ids] + 1, 0)

    def lost(self) -> np.ndarray:
        """A paw is in a gap."""
        return self.env.physics.fields.xpos[:, self.env.index.end_effectors, 2].min(axis=1) < self.config.pit

    def grow(self, world: int, fell: bool) -> None:
        """Wider gaps after three crossed without a fall or five with one; narrower after a fall at the first or second.

        A second chance is one leap: a fall weighs as two that succeed, so that two of three do.
        """
        crossed = int(self.env.progress.gaps_crossed[world] - self._crossed_before[world])
        if self.second_chance[world]:
            change = -0.02 if fell else 0.01 * (crossed > 0)
            self.difficulty[world] = np.clip(self.difficulty[world] + change, 0.01, 1.0)
        elif (crossed >= 3 and not fell) or crossed >= 5:
            self.difficulty[world] = min(1.0, self.difficulty[world] + (0.1 if crossed >= 5 and not fell else 0.05))
        elif fell and crossed < 2:
            self.difficulty[world] = max(0.01, self.difficulty[world] - 0.025)


class Hollow(PracticeGround):
    """The bowl's own start: dropped at its centre in any orientation, to come to its feet and stand. Lying down ends nothing here.

    With a world's difficulty in [0, 1] it is dropped farther out, up to beyond the ridge, where rats fall that climb; half of the time as
    they do, over backward: rats that had fallen lay with the nose up, as one dropped in any orientation hardly ever does.
    """

    ground, role = Ground.BOWL, Role.RISE

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.limit = config.episode_steps * 2 // 5
        self._along = Along(self.ground, terrain_heights, env.num_worlds)

    def arena(self, world: int) -> Arena:
        """As the task draws it, but for the place."""
        task = self.env.task
        assert isinstance(task, Bowl)
        arena = task.draw(self.rng, self.env.model)
        if self.difficulty[world] == 0.0:
            return arena
        backward = self.rng.random() < 0.5
        angle = self.rng.uniform(-np.pi, np.pi)
        place = _FARTHEST * self.difficulty[world] * self.rng.random() * np.array([np.cos(angle), np.sin(angle)])
        qpos = task.resting_qpos(self._over_backward(), self.env.model) if backward else arena.qpos.copy()
        qpos[:2] += place
        qpos[2] += highest(self.env, np.asarray(arena.hfield), place, self.rng)
        return replace(arena, qpos=qpos)

    def _over_backward(self) -> np.ndarray:
        """(4,) a quaternion: nose up, or beyond."""
        yaw, pitch = self.rng.uniform(-np.pi, np.pi), self.rng.uniform(*_BACKWARD)
        return Rotation.from_euler("ZYX", [yaw, -pitch, self.rng.normal(0.0, 0.4)]).as_quat()[[3, 0, 1, 2]]

    def guide_of(self) -> Guide:
        """Stand, facing anywhere."""
        return self._along

    def begin(self, ids: np.ndarray) -> None:
        """No speed."""
        self._along.speed[ids] = 0.0
        self.advance()

    def advance(self) -> None:
        """Whichever way the rat faces is right."""
        self._along.heading[:] = pose(self.env.physics.fields, self.env.index).yaw


class Orbs(PracticeGround):
    """Orbs to tap twice, each within some distance of the one before; low and near at first.

    A world's difficulty in [0, 1] is the orb's height between a lifted paw's and the task's; once it is high, orbs come from farther away.
    """

    ground = Ground.TAP
    second_chance_steps = 60  # the sequence lasts 45 more at most

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.difficulty[:] = np.linspace(0.0, 0.6, env.num_worlds)
        self.distance = np.full(env.num_worlds, 0.15)
        self.touched, self.touched_twice = np.zeros(env.num_worlds, int), np.zeros(env.num_worlds, int)
        self._guide = TwoTapGuide()
        self._judgement = Misjudgement(rng, (env.num_worlds, 3), config.blur)

    def arena(self, world: int) -> Arena:
        """A walk of orbs from the origin."""
        base = self.env.task.draw(self.rng, self.env.model)
        angle = self.rng.uniform(-np.pi, np.pi, len(base.targets))
        near = max(self.distance[world], _WALKED_UP * (self.difficulty[world] > 0.9))
        reach = np.where(self.rng.random(len(base.targets)) < 0.15, 1.2, near)  # some always far: walking is not to be lost
        distance = np.sqrt(self.rng.uniform(0.05, 1.0, len(base.targets))) * reach
        walk = np.cumsum(distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
        targets = base.targets.copy()
        targets[:, :2] = np.clip(walk, -4.0, 4.0)
        easier = self.rng.choice([0.0, 0.0, 0.15])
        targets[:, 2] = _LOWEST_ORB + (_ORB_HEIGHT - _LOWEST_ORB) * np.clip(self.difficulty[world] - easier, 0.0, 1.0)
        return Arena(**{**{name: getattr(base, name) for name in base.__dataclass_fields__}, "targets": targets})

    def guide_of(self) -> Guide:
        """As in the task."""
        return self._guide

    def grow(self, world: int, fell: bool) -> None:
        """Higher and then farther orbs where one is tapped twice in time, or many once; lower and nearer ones where none is.

        With height growing by first taps alone the rat went on to ever higher orbs, hopped at each once, and never learned to come again.
        """
        if self.second_chance[world]:
            pass
        elif self.touched_twice[world] >= 1 or self.touched[world] >= 6:
            self.difficulty[world] = min(1.0, self.difficulty[world] + 0.06 * np.clip(self.touched_twice[world], 1, 3))
            if self.difficulty[world] > 0.9 or self.distance[world] < 0.2:
                self.distance[world] = min(1.5, self.distance[world] + 0.04)
        elif self.touched[world] == 0:
            self.difficulty[world] = max(0.0, self.difficulty[world] - 0.015)
            self.distance[world] = max(0.1, self.distance[world] - 0.02)
        self.touched[world] = self.touched_twice[world] = 0

    def told(self, guidance: Guidance) -> Guidance:
        """The orb is told to be somewhere else by the error of the moment."""
        return guidance._replace(target=guidance.target + self._judgement.error)

    def step(self, action: np.ndarray) -> GroundStep:
        """As everywhere, counting touches."""
        self._judgement.advance()
        last = super().step(action)
        self.keep(np.flatnonzero(last.taps == 1), action)
        self.touched += last.taps == 1
        self.touched_twice += last.taps == 2
        return last


def make_grounds(config: PracticeConfig, seed: int, num_threads: int = 1) -> list[PracticeGround]:
    """The grounds that have worlds, each reset; without cameras, but for those where an onlooker tells.

    Raises:
        ValueError: there is an onlooker, and worlds in which it cannot tell what an oracle does.
        CheckpointError: a teacher or an agent is not there, or damaged.
    """
    teller = load_agent(config.onlooker) if config.onlooker else None
    kinds: tuple[tuple[type[PracticeGround], object], ...] = (
        (OpenGround, TwoTap()),
        (Corridor, Gaps(corridor_length=16.0, gap_length=(1e-3, 0.2))),
        (Slopes, Bowl()),
        (Hollow, Bowl()),
        (Orbs, TwoTap()),
    )
    grounds = []
    for number, ((kind, task), worlds) in enumerate(zip(kinds, config.num_worlds, strict=True)):
        if worlds:
            if teller is not None and (kind.role is None or (kind is Hollow and not config.blindfold)):
                raise ValueError(
                    f"an onlooker tells in corridors and on slopes, blindfold in hollows too, not in {worlds} worlds of {kind.__name__}."
                )
            camera = teller is not None and not config.blindfold
            env = make(task, worlds, seed=seed, physics=config.physics, camera=camera, num_threads=num_threads)  # type: ignore[arg-type]
            ground = kind(env, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,))), config)
            if config.levels is not None:
                ground.difficulty[:] = np.linspace(*config.levels, worlds)
            if teller is not None and kind.role is not None:
                ground.onlooker = Blindfolded(teller, env, kind.role) if config.blindfold else Onlooker(teller, worlds, kind.role)
            ground.reset(np.arange(worlds))
            if kind is Slopes and config.righting and config.second_chances:
                ground.moments = risen(load_teacher(find_teacher(config.righting)).teacher, _RISEN, seed, config.action_scale)
            grounds.append(ground)
    return grounds
