"""Practice: five grounds on which one teacher learns side by side, each as hard as the rat can bear.

Open ground with changing instructions, corridors whose gaps grow from steps into jumps, bumpy slopes, bowls with the rat thrown in any
orientation, and orbs to be tapped twice, low and near at first. Terrain is in the mixture from the start: a walker put onto gaps later
loses its gait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vrodent.simulation import CpuSimulation, make
from vrodent.task import Arena
from vrodent.task.bowl import Bowl
from vrodent.task.gaps import Gaps
from vrodent.task.two_tap import TwoTap
from vrodent.training.teachers.guidance import Ground, Guidance, Guide, no_target, pose
from vrodent.training.teachers.guides import HeldCommands, TwoTapGuide, platform_heights, terrain_heights
from vrodent.training.teachers.privileged import observe
from vrodent.training.teachers.shaping import ShapingConfig, shape


@dataclass(frozen=True, kw_only=True)
class PracticeConfig:
    """How practice is set.

    Attributes:
        num_worlds: worlds of open ground, corridors, slopes, hollows and orbs.
        episode_steps: control steps of an episode; half as much again in corridors.
        action_scale: ctrl = clip(stance + action_scale * action, -1, 1).
        posture_noise: rad, standard deviation added to every joint at the start.
        pit: m, height of a paw below which a corridor episode ends; sooner than in the task, but a paw that slips may be pulled out.
        top_speed: (least, most) m/s between which the speeds asked of a world are adapted.
        shaping: weights of the reward.
    """

    num_worlds: tuple[int, int, int, int, int] = (26, 16, 6, 6, 10)
    episode_steps: int = 500
    action_scale: float = 0.5
    posture_noise: float = 0.03
    pit: float = -0.15
    top_speed: tuple[float, float] = (0.6, 1.2)
    shaping: ShapingConfig = field(default_factory=ShapingConfig)

    def __post_init__(self) -> None:
        if min(self.num_worlds) < 0 or sum(self.num_worlds) < 1:
            raise ValueError(f"num_worlds must be five numbers, none negative, not all zero; got {self.num_worlds}.")


class PracticeGround:
    """Worlds of one ground, restarted as episodes end, with a difficulty of their own.

    Args:
        env: the simulation.
        rng: source of all draws.
        config: the settings.
    """

    ground: Ground

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        self.env, self.rng, self.config = env, rng, config
        worlds = env.num_worlds
        self.steps = np.zeros(worlds, int)
        self.limit = config.episode_steps
        self.previous_action = np.zeros((worlds, env.action_size))
        self.tracking_sum = np.zeros(worlds)
        self.top_speed = np.full(worlds, 0.65)
        self.difficulty = np.zeros(worlds)

    # What a ground decides -----------------------------------------------------------------------------------------------------

    def arena(self, world: int) -> Arena:
        """Geometry and start of a world's next episode."""
        raise NotImplementedError

    def guide_of(self) -> Guide:
        """Who tells the rat what to do."""
        raise NotImplementedError

    def grow(self, world: int, fell: bool) -> None:
        """Adapt the difficulty of a world at the end of its episode."""

    def begin(self, ids: np.ndarray) -> None:
        """New instructions after a reset."""

    def advance(self) -> None:
        """Change instructions during an episode."""

    # What all grounds do ---------------------------------------------------------------------------------------------------------

    def reset(self, ids: np.ndarray) -> None:
        """Start episodes."""
        self.env.reset_to(ids, [self._disturbed(self.arena(int(world))) for world in ids])
        self.steps[ids] = self.rng.integers(0, self.limit // 2, len(ids))
        self.previous_action[ids] = 0.0
        self.tracking_sum[ids] = 0.0
        self.begin(ids)

    def _disturbed(self, arena: Arena) -> Arena:
        qpos = arena.qpos.copy()
        qpos[7:] += self.rng.normal(0.0, self.config.posture_noise, len(qpos) - 7)
        values = {name: getattr(arena, name) for name in arena.__dataclass_fields__}
        settled = self.rng.random() < 0.6  # else as the tasks begin: actuators at rest, away from the stance
        return Arena(**{**values, "qpos": qpos, "act": self.env.standing_ctrl * settled})

    def observe(self) -> np.ndarray:
        """(world, observation) privileged."""
        guide = self.guide_of()
        return observe(self.env, guide, guide.guide(self.env), self.config.action_scale)

    def step(self, action: np.ndarray) -> GroundStep:
        """Take one standing-centred action (world, 38) in [-1, 1] in every world. Ended worlds are not restarted: call `restart`."""
        env, config = self.env, self.config
        told = _copied(self.guide_of().guide(env))
        result = env.step(np.clip(env.standing_ctrl + config.action_scale * action, -1.0, 1.0))
        taps = getattr(result.info.events, "tap", np.zeros(env.num_worlds, int))
        judged = shape(env, self.ground, told, action - self.previous_action, taps, config.shaping)
        diverged = result.info.diverged
        terminated = judged.fallen | diverged | self.lost()
        self.steps += 1
        self.tracking_sum += judged.tracking
        self.previous_action = action.copy()
        self.advance()
        observation = self.observe()
        broken = diverged | ~np.isfinite(observation).all(axis=1)
        observation[broken] = 0.0
        return GroundStep(
            observation=observation,
            reward=np.where(broken, 0.0, judged.reward).astype(np.float32),
            terminated=terminated | broken,
            truncated=(self.steps >= self.limit) & ~(terminated | broken),
            tracking=np.where(broken, 0.0, judged.tracking),
            taps=taps,
        )

    def lost(self) -> np.ndarray:
        """(world,) bool: the episode ends for a reason of the ground's own."""
        return np.zeros(self.env.num_worlds, bool)

    def restart(self, last: GroundStep) -> np.ndarray:
        """Restart the worlds that have ended, after adapting their difficulty; the observations (world, observation) to act on."""
        ids = np.flatnonzero(last.terminated | last.truncated)
        if not ids.size:
            return last.observation
        for world in ids:
            if self.steps[world] > 150:
                share = self.tracking_sum[world] / self.steps[world]
                low, high = self.config.top_speed
                step = 0.04 if share > 0.5 else -0.02 if share < 0.3 else 0.0
                self.top_speed[world] = np.clip(self.top_speed[world] + step, low, high)
            self.grow(int(world), bool(last.terminated[world]))
        self.reset(ids)
        observation = last.observation.copy()
        observation[ids] = self.observe()[ids]
        return observation


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundStep:
    """One step on one ground: privileged observation (world, ...) before any restart, shaped reward, ends, tracking in [0, 1], taps."""

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    tracking: np.ndarray
    taps: np.ndarray


def _copied(guidance: Guidance) -> Guidance:
    return Guidance(*(np.array(part) for part in guidance))


def _turned(model_qpos0: np.ndarray, position: tuple[float, float, float], yaw: float) -> np.ndarray:
    qpos = model_qpos0.copy()
    qpos[:3] = position
    qpos[3:7] = np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)
    return qpos


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
        qpos = _turned(self.env.model.qpos0, (0.0, 0.0, 0.0), self.rng.uniform(-np.pi, np.pi))
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


HeightFunction = Callable[[CpuSimulation, np.ndarray], np.ndarray]


class _Along:
    """A guide with a fixed heading and speed per world, over a ground given by a function."""

    def __init__(self, ground: Ground, heights: HeightFunction, num_worlds: int):
        self.ground = ground
        self._heights = heights
        self.heading, self.speed = np.zeros(num_worlds), np.full(num_worlds, 0.4)

    def guide(self, env: CpuSimulation) -> Guidance:
        return Guidance(self.heading, self.speed, *no_target(env.num_worlds))

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        return self._heights(env, points)


class Corridor(PracticeGround):
    """A corridor whose gaps are scaled by the world's difficulty in [0, 1] of the release's."""

    ground = Ground.GAPS

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.limit = config.episode_steps * 8 // 5
        self.difficulty[:] = np.linspace(0.05, 0.5, env.num_worlds)  # all kinds of gaps from the first step: none is forgotten, none is far
        self._along = _Along(self.ground, platform_heights, env.num_worlds)

    def arena(self, world: int) -> Arena:
        """Gaps of the world's scale, a little easier at times; the rat on the first platform, roughly along it."""
        task = self.env.task
        assert isinstance(task, Gaps)
        scale = max(self.difficulty[world] - 0.1 * self.rng.integers(0, 2), 0.01)
        count = task.max_platforms - 1
        lengths = np.stack([self.rng.uniform(0.4, 0.8, count), np.maximum(self.rng.uniform(0.05, 0.2, count) * scale, 1e-3)], axis=1)
        arena = task.arena(lengths, self.env.model)
        qpos = _turned(self.env.model.qpos0, (self.rng.uniform(4.5, 5.8), 0.0, 0.0), self.rng.uniform(-0.3, 0.3))
        return Arena(**{**{name: getattr(arena, name) for name in arena.__dataclass_fields__}, "qpos": qpos})

    def guide_of(self) -> Guide:
        """Straight on."""
        return self._along

    def begin(self, ids: np.ndarray) -> None:
        """A speed, the faster the wider the gaps: nobody crosses 20 cm at a walk."""
        top = self.top_speed[ids]
        self._along.speed[ids] = self.rng.uniform(np.minimum(0.3 + 0.4 * self.difficulty[ids], top - 0.1), top)

    def lost(self) -> np.ndarray:
        """A paw is in a gap."""
        return self.env.physics.fields.xpos[:, self.env.index.end_effectors, 2].min(axis=1) < self.config.pit

    def grow(self, world: int, fell: bool) -> None:
        """Wider gaps after three crossed without a fall or five with one; narrower after a fall at the first or second."""
        crossed = int(self.env.progress.gaps_crossed[world])
        if (crossed >= 3 and not fell) or crossed >= 5:
            self.difficulty[world] = min(1.0, self.difficulty[world] + (0.1 if crossed >= 5 and not fell else 0.05))
        elif fell and crossed < 2:
            self.difficulty[world] = max(0.01, self.difficulty[world] - 0.025)


class Slopes(PracticeGround):
    """Walking on the bumps of a bowl, from a standing start somewhere on its slopes. A fall ends it, as on open ground."""

    ground = Ground.FLAT

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self._along = _Along(self.ground, terrain_heights, env.num_worlds)

    def arena(self, world: int) -> Arena:
        """A terrain; the rat standing within 4 m of its centre, above the highest bump under it."""
        task = self.env.task
        assert isinstance(task, Bowl)
        hfield = task.terrain(self.rng)
        place = self.rng.uniform(-4.0, 4.0, 2)
        cells = hfield.shape[0] - 1
        around = (place + self.rng.uniform(-0.08, 0.08, (30, 2)) + task.radius) / (2 * task.radius) * cells
        column, row = np.clip(around.round().astype(int), 0, cells).T
        ground = max(hfield[row, column].max() * task.height + self.env.model.geom("terrain").pos[2], 0.0)
        qpos = _turned(self.env.model.qpos0, (place[0], place[1], ground + 0.005), self.rng.uniform(-np.pi, np.pi))
        return Arena(qpos=qpos, hfield=hfield)

    def guide_of(self) -> Guide:
        """One way, held."""
        return self._along

    def begin(self, ids: np.ndarray) -> None:
        """A heading and a speed."""
        self._along.heading[ids] = self.rng.uniform(-np.pi, np.pi, len(ids))
        self._along.speed[ids] = self.rng.uniform(0.3, self.top_speed[ids])


class Hollow(Slopes):
    """The bowl's own start: dropped at its centre in any orientation, to right itself. Lying down ends nothing here."""

    ground = Ground.BOWL

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.limit = config.episode_steps * 3 // 5

    def arena(self, world: int) -> Arena:
        """As the task draws it."""
        return self.env.task.draw(self.rng, self.env.model)


class Orbs(PracticeGround):
    """Orbs to tap twice, each within some distance of the one before; low and near at first.

    A world's difficulty in [0, 1] is the orb's height between a lifted paw's and the task's; once it is high, orbs come from farther away.
    """

    ground = Ground.TAP

    def __init__(self, env: CpuSimulation, rng: np.random.Generator, config: PracticeConfig):
        super().__init__(env, rng, config)
        self.distance = np.full(env.num_worlds, 0.15)
        self.touched = np.zeros(env.num_worlds, int)
        self._guide = TwoTapGuide()

    def arena(self, world: int) -> Arena:
        """A walk of orbs from the origin."""
        base = self.env.task.draw(self.rng, self.env.model)
        angle = self.rng.uniform(-np.pi, np.pi, len(base.targets))
        distance = np.sqrt(self.rng.uniform(0.05, 1.0, len(base.targets))) * self.distance[world]
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
        """Higher and then farther orbs where two or more are tapped in an episode; lower and nearer ones where none is."""
        if self.touched[world] >= 2:
            self.difficulty[world] = min(1.0, self.difficulty[world] + 0.03 * min(self.touched[world], 4))
            if self.difficulty[world] > 0.9 or self.distance[world] < 0.2:
                self.distance[world] = min(1.5, self.distance[world] + 0.04)
        elif self.touched[world] == 0:
            self.difficulty[world] = max(0.0, self.difficulty[world] - 0.015)
            self.distance[world] = max(0.1, self.distance[world] - 0.02)
        self.touched[world] = 0

    def step(self, action: np.ndarray) -> GroundStep:
        """As everywhere, counting first touches."""
        last = super().step(action)
        self.touched += last.taps == 1
        return last


def make_grounds(config: PracticeConfig, seed: int, num_threads: int = 1) -> list[PracticeGround]:
    """The grounds that have worlds, each reset, in training physics without a camera."""
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
            env = make(task, worlds, seed=seed, physics="training", camera=False, num_threads=num_threads)  # type: ignore[arg-type]
            ground = kind(env, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,))), config)
            ground.reset(np.arange(worlds))
            grounds.append(ground)
    return grounds
