"""A teacher at work in one of the four tasks: it labels a student's rollout, or drives the rat itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.training.teachers.guidance import Ground, Guide, pose
from vrodent.training.teachers.guides import BowlGuide, ForageGuide, GapsGuide, TwoTapGuide
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, TOLD, observe
from vrodent.training.teachers.skills import HINT_SIZE, Role, hint_of
from vrodent.training.teachers.strikes import SIGHT, UNDER, check_strike

_PATIENCE = 20.0  # s to find an orb and tap it; whoever has not will not
_ON_ITS_FEET = 0.5  # cosine between an up-vector and the vertical above which the rat is left to walk
_LYING = 0.1  # cosine between an up-vector and the vertical, a little below the 0.3 at which its practice ended

GUIDES: Mapping[str, Callable[[float], Guide]] = {
    "gaps": lambda speed: GapsGuide(speed=speed),
    "forage": lambda speed: ForageGuide(speed=speed),
    "bowl": lambda speed: BowlGuide(speed=speed),
    "two_tap": lambda speed: TwoTapGuide(speed=speed),
}
"""The guide of each task, given the speed in m/s at which the rat is to walk."""

ROLES: Mapping[str, Role] = {"gaps": Role.JUMP, "forage": Role.WALK, "bowl": Role.CLIMB, "two_tap": Role.TAP}
"""What the teacher of each task is for, where it has the task alone."""


class TaskTeacher:
    """A teacher with the guide of one task. Keeps nothing between steps.

    Args:
        teacher: the networks.
        guide: what it is told.
        unit: of the labels: ctrl = clip(stance + unit * action, -1, 1), as the student's. The teacher's own reach may be another.
        strike: m from an orb within which a palm that stays strikes it, as a teacher of two_tap is told, see `strikes`; 0 tells of touches.
        calmness: share of the label before in a label, whoever acted: a low-pass filter. Soft actor-critic's means tremble from step to
            step, by as much as they differ at all, to no end and beyond what can be imitated.
        role: what it is for, as hints tell.

    Raises:
        ValueError: a distance or a share that is none.
    """

    def __init__(
        self, teacher: Teacher, guide: Guide, unit: float = 0.5, strike: float = 0.0, calmness: float = 0.0, role: Role = Role.WALK
    ):
        if strike != 0.0:
            check_strike(strike)
        if not 0.0 <= calmness < 1.0:
            raise ValueError(f"calmness must be a share of at least 0 and below 1, got {calmness}.")
        self.teacher, self.guide, self.unit, self.strike, self.calmness = teacher, guide, unit, strike, calmness
        self.role = role
        self._act = eqx.filter_jit(lambda network, seen: network.act(seen))

    def observe(self, env: CpuSimulation) -> np.ndarray:
        """The privileged observation of the present moment, (world, n) float32; zero where the physics has failed."""
        seen = observe(env, self.guide, self.guide.guide(env), self.teacher.config.action_scale)
        return np.where(np.isfinite(seen).all(axis=1, keepdims=True), seen, 0.0).astype(np.float32)

    def act(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log standard deviation of the standing-centred action in the labels' unit, each (world, 38)."""
        mean, log_std = self._act(self.teacher, jax.numpy.asarray(observation))
        scale = self.teacher.config.action_scale / self.unit
        return scale * np.asarray(mean), np.log(scale) + np.asarray(log_std)

    def calm(self, observation: np.ndarray) -> np.ndarray:
        """(world,): share of the label before in a label."""
        return np.full(len(observation), self.calmness)

    @property
    def hint_size(self) -> int:
        """Numbers in a hint."""
        return HINT_SIZE

    def hint(self, observation: np.ndarray) -> np.ndarray:
        """(world, hint_size): see `skills.hint_of`."""
        return hint_of(observation, self.roles(observation), self.told(observation))

    def told(self, observation: np.ndarray) -> np.ndarray:
        """(world, told): what it is told, in the scale that it is told in."""
        return observation[:, TOLD]

    def roles(self, observation: np.ndarray) -> np.ndarray:
        """(world,) int: its role."""
        return np.full(len(observation), int(self.role))

    def hopeless(self, env: CpuSimulation) -> np.ndarray:
        """(world,) bool: the rat lies on its side or back. In the bowl, where it begins so, righting is part of the lesson."""
        if self.guide.ground is Ground.BOWL:
            return np.zeros(env.num_worlds, bool)
        at = pose(env.physics.fields, env.index)
        least = -_LYING if self.guide.ground is Ground.TAP else _LYING  # a rat that rears may lean back
        return (at.rotation[:, 2, 2] < least) | (at.pelvis[:, 2, 2] < _LYING)

    def ctrl(self, env: CpuSimulation) -> np.ndarray:
        """(world, 38): MuJoCo's control by the mean action, to drive the rat with."""
        mean, _ = self.act(self.observe(env))
        return np.clip(env.standing_ctrl + self.unit * mean, -1.0, 1.0)


class SwitchingTeacher:
    """Two teachers in one task, of which one has the rat at special moments and the other for the rest.

    Args:
        usual: for the rest; it may be of two kinds itself.
        special: for the special moments.
        when: (world,) bool of a simulation, whether this moment is special.
        gives_up: whether the usual one gives up episodes, see `TaskTeacher.hopeless`.
        special_hints: whether hints are always the special one's, otherwise always the usual one's: they must not jump as teachers change.
        stuck: (world,) bool of a simulation, moments at which the episode is given up besides.

    Raises:
        ValueError: their labels are in different units.
    """

    def __init__(
        self,
        usual: TaskTeacher | SwitchingTeacher,
        special: TaskTeacher,
        when: Callable[[CpuSimulation], np.ndarray],
        *,
        gives_up: bool = True,
        special_hints: bool = False,
        stuck: Callable[[CpuSimulation], np.ndarray] | None = None,
    ):
        if usual.unit != special.unit:
            raise ValueError(f"Both teachers must label in one unit, but they do in {usual.unit} and {special.unit}.")
        self.usual, self.special, self.when, self.gives_up, self.unit = usual, special, when, gives_up, usual.unit
        self.special_hints, self.stuck = special_hints, stuck

    def observe(self, env: CpuSimulation) -> np.ndarray:
        """(world, n): whether the moment is special, what the usual teacher sees, and what the special one does."""
        parts = self.when(env)[:, None], self.usual.observe(env), self.special.observe(env)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def act(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log standard deviation, each (world, 38), as either teacher's."""
        special, usually, specially = _parted(observation)
        pairs = zip(self.special.act(specially), self.usual.act(usually), strict=True)
        mean, log_std = (np.where(special > 0.5, one, other) for one, other in pairs)
        return mean, log_std

    def calm(self, observation: np.ndarray) -> np.ndarray:
        """(world,), as either teacher has it."""
        special, usually, specially = _parted(observation)
        return np.where(special[:, 0] > 0.5, self.special.calm(specially), self.usual.calm(usually))

    @property
    def strike(self) -> float:
        """As one of them is told of taps, see `TaskTeacher.strike`."""
        return max(self.usual.strike, self.special.strike)

    @property
    def hint_size(self) -> int:
        """Numbers in a hint."""
        return HINT_SIZE

    def hint(self, observation: np.ndarray) -> np.ndarray:
        """(world, hint_size): see `skills.hint_of`; what is told is that of one of them, see `special_hints`."""
        return hint_of(_parted(observation)[2], self.roles(observation), self.told(observation))

    def told(self, observation: np.ndarray) -> np.ndarray:
        """(world, told): what the one of them is told that hints are taken from."""
        _, usually, specially = _parted(observation)
        return self.special.told(specially) if self.special_hints else self.usual.told(usually)

    def roles(self, observation: np.ndarray) -> np.ndarray:
        """(world,) int: the role of who has the rat."""
        special, usually, specially = _parted(observation)
        return np.where(special[:, 0] > 0.5, self.special.roles(specially), self.usual.roles(usually))

    def hopeless(self, env: CpuSimulation) -> np.ndarray:
        """(world,) bool, as the special teacher has it, or stuck."""
        hopeless = self.special.hopeless(env) if self.gives_up else np.zeros(env.num_worlds, bool)
        return hopeless if self.stuck is None else hopeless | self.stuck(env)

    def ctrl(self, env: CpuSimulation) -> np.ndarray:
        """(world, 38): MuJoCo's control by the mean action, to drive the rat with."""
        mean, _ = self.act(self.observe(env))
        return np.clip(env.standing_ctrl + self.unit * mean, -1.0, 1.0)


def _parted(observation: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.split(observation, [1, observation.shape[1] - OBSERVATION_SIZE], axis=1))


def lies(env: CpuSimulation) -> np.ndarray:
    """(world,) bool: torso or pelvis is tilted by more than 60 degrees, or upside down."""
    at = pose(env.physics.fields, env.index)
    return np.minimum(at.rotation[:, 2, 2], at.pelvis[:, 2, 2]) < _ON_ITS_FEET


def righting_teacher(
    walker: Teacher, righter: Teacher, speed: float, calmness: float = 0.0, mapless: bool = False
) -> SwitchingTeacher:
    """Out of the bowl: to its feet, then away from the centre at a speed in m/s, over slopes as over open ground, so calmly, by a map or
    without, see `BowlGuide`."""
    outward = TaskTeacher(walker, BowlGuide(speed=speed, ground=Ground.FLAT, mapless=mapless), calmness=calmness, role=Role.CLIMB)
    return SwitchingTeacher(outward, TaskTeacher(righter, BowlGuide(speed=0.0), role=Role.RISE), lies, gives_up=False)


def approaching_teacher(
    walker: Teacher,
    tapper: Teacher,
    speed: float,
    righter: Teacher | None = None,
    strike: float = 0.0,
    calmness: tuple[float, float] = (0.0, 0.0),
) -> SwitchingTeacher:
    """Two taps: the walker turns until it sees the orb and brings the rat to within 20 cm at a speed in m/s, then the tapper has it.

    With a righter no episode is given up for a fall: it has the rat when it has toppled, away from the orb or beyond what belongs to
    rearing. Either way an episode is given up when an orb has not been tapped for 20 s: a student that crouches under an orb is in a place
    from which the tapper does not rise either, and would fill all episodes with it. Walker and tapper are as calm as `calmness` says.
    """
    # of one sight, so that hints, the tapper's, tell where the walker is sent; the tapper has the rat where an orb is known without sight
    walk, tap = TwoTapGuide(speed=speed, ground=Ground.FLAT, sight=SIGHT), TwoTapGuide(speed=speed, sight=SIGHT)
    tapping = TaskTeacher(tapper, tap, strike=strike, calmness=calmness[1], role=Role.TAP)

    def near(env: CpuSimulation) -> np.ndarray:
        offset = tap.guide(env).target - pose(env.physics.fields, env.index).position
        return (np.linalg.norm(offset[:, :2], axis=1) < UNDER) & ~tap.lost(env)

    def stuck(env: CpuSimulation) -> np.ndarray:
        told = tap.guide(env)
        return (told.phase == 0) & (told.timer > _PATIENCE)

    both = SwitchingTeacher(TaskTeacher(walker, walk, calmness=calmness[0]), tapping, near, special_hints=True, stuck=stuck)
    if righter is None:
        return both
    rising = TaskTeacher(righter, TwoTapGuide(speed=0.0, ground=Ground.BOWL), role=Role.RISE)
    return SwitchingTeacher(both, rising, lambda env: tapping.hopeless(env) | (lies(env) & ~near(env)), gives_up=False, stuck=stuck)


def task_teachers(
    teacher: Teacher | Mapping[str, Teacher], speeds: Mapping[str, float], calmness: float = 0.0
) -> dict[str, TaskTeacher]:
    """Teachers for several tasks.

    Args:
        teacher: the networks, of one for all or by task.
        speeds: m/s to walk at, by task.
        calmness: share of the label before in a label.

    Raises:
        ValueError: there is no such task.
    """
    unknown = sorted(set(speeds) - set(GUIDES))
    if unknown:
        raise ValueError(f"There is no guide for {unknown[0]!r}; there are guides for {', '.join(GUIDES)}.")
    experts = {task: teacher if isinstance(teacher, Teacher) else teacher[task] for task in speeds}
    return {task: TaskTeacher(experts[task], GUIDES[task](speed), calmness=calmness, role=ROLES[task]) for task, speed in speeds.items()}
