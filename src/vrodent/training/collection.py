"""Collecting: an actor runs the agent in the worlds of one task and cuts what happens into unrolls."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import numpy as np

from vrodent.agent import Agent, Memory, forget
from vrodent.simulation import CpuSimulation
from vrodent.task import Task
from vrodent.training.hints import HintingTeacher
from vrodent.training.settings import CollectionConfig
from vrodent.training.snapshot import restore, snapshot
from vrodent.training.teachers.strikes import told_of
from vrodent.training.unroll import Unroll, empty_unroll, unroll_shapes

_LAPSE_STEPS = 25  # for which a lapse lasts on average
_COUNTS = ("ended", "reset", "return", "length", "own_steps", "own_error")  # of an actor's worlds


class Teacher(Protocol):
    """Who labels what the student sees with what it should have done. It may look at anything in the simulation, and keeps nothing."""

    def observe(self, env: CpuSimulation, /) -> np.ndarray:
        """The teacher's own, privileged observation of the present moment, (world, n)."""
        ...

    def act(self, observation: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log standard deviation, each (world, 38), in the student's standing-centred actions."""
        ...


@runtime_checkable
class HonestTeacher(Protocol):
    """A teacher that knows when its advice is worth nothing, such as when the rat lies on its back and it never learned to get up."""

    def hopeless(self, env: CpuSimulation, /) -> np.ndarray:
        """(world,) bool: the episode may as well be cut short. It then counts as truncated, not as terminated: no blame falls on it."""
        ...


@runtime_checkable
class StrikingTeacher(Protocol):
    """A teacher that is told of taps by strikes, which the worlds it looks at must remember.

    Attributes:
        strike: m from an orb within which a palm has struck it; 0 for one that is told of touches.
    """

    @property
    def strike(self) -> float: ...


@runtime_checkable
class CalmTeacher(Protocol):
    """A teacher that goes on from what it said before, which `act` knows nothing of."""

    def calm(self, observation: np.ndarray, /) -> np.ndarray:
        """(world,): share of what it said before in what it says, for each row of what it saw."""
        ...


def task_for(name: str, teacher: object, orb_area: float | None = None) -> str | Task:
    """The task to make worlds of in which a teacher is to be asked, given its name, and the area of orbs in m if not the task's own."""
    return told_of(name, teacher.strike if isinstance(teacher, StrikingTeacher) else 0.0, orb_area)


class Episode(NamedTuple):
    """A finished episode: undiscounted sum of rewards in the task's own units, number of steps, how it ended; the labelled steps
    in which the student itself acted, and their summed mean squared distances of its mean action from the label."""

    task: int
    reward: float
    length: int
    terminated: bool
    diverged: bool
    own_steps: int = 0
    own_error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """How one actor collects.

    Attributes:
        task: index of the task, the same as of its value head.
        unroll_length: steps of an unroll.
        seed: of the actions drawn.
        frozen_eyes: whether unrolls hold what the agent's image encoder made of pictures instead of the pictures.
        lapses: share of the steps of the teacher's episodes in which the student acts, see `teachers_steps`.
    """

    task: int
    unroll_length: int
    seed: int
    frozen_eyes: bool = False
    lapses: float = 0.0


def acting_config(collection: CollectionConfig, task: int, seed: int) -> ActorConfig:
    """How an actor of the task of that index collects in a run."""
    return ActorConfig(
        task=task,
        unroll_length=collection.unroll_length,
        seed=seed,
        frozen_eyes=collection.frozen_eyes,
        lapses=collection.lapses,
    )


Label = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Mean and log standard deviation of the teacher's action, (world, 38) each, and its hint (world, hint), float32."""


def teachers_turn(config: ActorConfig, episode: np.ndarray, share: float) -> np.ndarray:
    """(world,) bool: whether the teacher acts, in a part `share` of all episodes (world,) int.

    By whole episodes, not unroll by unroll: a teacher that got the rat where a student had brought it to a standstill would be stuck
    there as well, and what a teacher does after having got somewhere by itself would hardly be seen.
    """
    draws = [np.random.default_rng([config.seed, config.task, world, int(e) + 1]).random() for world, e in enumerate(episode)]
    return np.array(draws) < share


def teachers_steps(config: ActorConfig, driven: np.ndarray, collected: int) -> np.ndarray:
    """(world, row) bool: whether the teacher acts in each step of the unroll to come, the `collected`-th, given whose turn it is (world,).

    In a part `lapses` of the steps of its episodes the teacher lets the student act, half a second on average, and then mends what came of
    it. Of its own episodes a student sees little but what its first errors led to, far from anything that the teacher ever met and can tell
    sense of; lapses lead to where it can.
    """
    worlds, length = len(driven), config.unroll_length
    if config.lapses == 0.0:
        return np.repeat(driven[:, None], length, axis=1)
    rng = np.random.default_rng([config.seed, config.task, collected, 1])
    draws, student = rng.random((length, worlds)), np.zeros((worlds, length), bool)
    ends = 1.0 / _LAPSE_STEPS
    begins = ends * config.lapses / (1.0 - config.lapses)
    acts = rng.random(worlds) < config.lapses
    for row in range(length):
        acts = np.where(acts, draws[row] >= ends, draws[row] < begins)
        student[:, row] = acts
    return driven[:, None] & ~student


def ask(teacher: Teacher, env: Any, before: np.ndarray | None = None, fresh: np.ndarray | bool = False) -> Label:
    """What the teacher says of the present moment.

    Args:
        teacher: to be asked.
        env: the moment.
        before: (world, 38), what it said in the step before, from which a calm teacher goes on, whoever acted.
        fresh: (world,) bool, worlds in which no step was before.
    """
    observation = teacher.observe(env)
    hint = teacher.hint(observation) if isinstance(teacher, HintingTeacher) else np.zeros((len(observation), 0))
    mean, log_std = teacher.act(observation)
    if before is not None and isinstance(teacher, CalmTeacher):
        calm = np.where(fresh, 0.0, teacher.calm(observation))[:, None]
        mean = calm * before + (1.0 - calm) * mean
    return np.asarray(mean, np.float32), np.asarray(log_std, np.float32), np.asarray(hint, np.float32)


@eqx.filter_jit
def _act(
    agent: Agent, observation: dict[str, Any], memory: Memory, reset: Any, key: jax.Array, row: np.ndarray
) -> tuple[jax.Array, jax.Array, jax.Array, Memory]:
    output, memory = agent.act(observation, forget(memory, reset), jax.random.fold_in(key, row))
    return output.action, output.mean, output.log_std, memory


_see = eqx.filter_jit(lambda agent, egocentric: agent.see(egocentric))


class ActorRun:
    """The worlds of one task and the agent's memory in them.

    Episodes are not cut by unrolls: one goes on where the last one stopped. A world whose episode has ended spends one row at its final
    observation and is reset after it, see `Unroll`.

    Args:
        config: of the collecting.
        agent: any agent of the architecture that will act.
        simulation: fresh; its first reset is made here.
        teacher: labels every row; None for unrolls without labels.
        turn: waited for before each step; None never waits.
    """

    def __init__(
        self,
        config: ActorConfig,
        agent: Agent,
        simulation: CpuSimulation,
        teacher: Teacher | None = None,
        turn: threading.Event | None = None,
    ) -> None:
        self.config, self.turn = config, turn
        self.simulation = simulation
        self.teacher = teacher
        self.collected = 0
        self.episodes: list[Episode] = []
        self.seconds = 0.0
        worlds = simulation.num_worlds
        self._memory: Memory = agent.initial_memory(worlds)
        self._hint_size = teacher.hint_size if isinstance(teacher, HintingTeacher) else 0
        self._observation = simulation.reset()
        self._ended = np.zeros(worlds, bool)
        self._reset = np.ones(worlds, bool)
        self._return, self._length = np.zeros(worlds), np.zeros(worlds, int)
        self._own_steps, self._own_error = np.zeros(worlds, int), np.zeros(worlds)
        self._label: Label | None = None
        self._label = self._ask()

    def collect(self, agent: Agent, teacher_share: float = 0.0) -> Unroll:
        """Run every world for one unroll.

        Args:
            agent: who acts.
            teacher_share: part of the episodes in which the teacher acts in the student's stead, but for lapses. The behaviour of such a
                step is the teacher's Gaussian, so that importance ratios stay true.

        Returns:
            arrays with the world axis first.
        """
        begin = time.perf_counter()
        worlds, length = self.simulation.num_worlds, self.config.unroll_length
        rng = np.random.default_rng([self.config.seed, self.config.task, self.collected])
        turn = teachers_turn(self.config, self.simulation.episode, teacher_share if self.teacher is not None else 0.0)
        driven = teachers_steps(self.config, turn, self.collected)
        key = jax.random.key(int(rng.integers(2**31)))
        shapes = unroll_shapes(
            agent.config, length, self.teacher is not None, self._hint_size, frozen_eyes=self.config.frozen_eyes
        )
        unroll = empty_unroll(shapes, worlds)
        unroll = unroll._replace(memory=jax.tree.map(np.asarray, self._memory))
        for row in range(length):
            if self.turn is not None:
                self.turn.wait()
            self._step(agent, unroll, row, key, driven[:, row], rng)
        self._write_observation(agent, unroll, length)
        self.collected += 1
        self.seconds += time.perf_counter() - begin
        return unroll

    def drain(self) -> list[Episode]:
        """Episodes that have finished since the last call."""
        finished, self.episodes = self.episodes, []
        return finished

    def close(self) -> None:
        """Free the simulation."""
        self.simulation.close()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything that the next unroll depends on beside the agent, as arrays."""
        arrays = {f"simulation.{name}": array for name, array in snapshot(self.simulation).items()}
        arrays |= {f"memory{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self._memory))}
        arrays |= {f"observation.{name}": array for name, array in self._observation.items()}
        if self._label is not None:
            arrays["label_mean"], arrays["label_log_std"], arrays["label_hint"] = self._label
        own = {name: getattr(self, f"_{name}") for name in _COUNTS}
        return arrays | own | {"collected": np.array(self.collected)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot of a run made with the same arguments."""
        restore(self.simulation, _under("simulation.", arrays))
        structure = jax.tree.structure(self._memory)
        self._memory = jax.tree.unflatten(structure, [jax.numpy.asarray(arrays[f"memory{i}"]) for i in range(structure.num_leaves)])
        self._observation = _under("observation.", arrays)
        kept = "label_mean" in arrays
        self._label = (arrays["label_mean"], arrays["label_log_std"], arrays["label_hint"]) if kept else None
        for name in _COUNTS:
            setattr(self, f"_{name}", arrays[name].copy())
        self.collected = int(arrays["collected"])

    def _step(self, agent: Agent, unroll: Unroll, row: int, key: jax.Array, driven: np.ndarray, rng: np.random.Generator) -> None:
        observation = self._write_observation(agent, unroll, row)
        # an array: for a Python integer this would be compiled anew in each row
        action, mean, log_std, self._memory = _act(agent, observation, self._memory, self._reset, key, np.asarray(row))
        action, mean, log_std = np.array(action), np.array(mean), np.array(log_std)
        if self._label is not None:
            unroll.teacher_mean[:, row], unroll.teacher_log_std[:, row], unroll.hint[:, row] = self._label
            noise = rng.standard_normal(action.shape, dtype=np.float32)
            taught = self._label[0] + np.exp(self._label[1]) * noise
            itself = ~driven & ~self._ended
            self._own_steps += itself
            self._own_error += itself * ((mean - self._label[0]) ** 2).mean(axis=1)
            for own, teachers in ((action, taught), (mean, self._label[0]), (log_std, self._label[1])):
                own[driven] = teachers[driven]
        control = np.clip(np.asarray(agent.stance) + agent.config.action_scale * action, -1.0, 1.0)
        step = self.simulation.step(control)
        going = ~self._ended
        unroll.action[:, row], unroll.behaviour_mean[:, row], unroll.behaviour_log_std[:, row] = action, mean, log_std
        unroll.acted[:, row] = going & ~step.info.diverged
        unroll.reward[:, row] = np.where(going, step.reward, 0.0)
        unroll.discount[:, row] = np.where(going, np.where(step.terminated, step.info.discount, 1.0), 0.0)
        self._return += unroll.reward[:, row]
        self._length += going
        over = (step.terminated | step.truncated | self._hopeless()) & going
        self._finish(over, step.terminated, step.info.diverged)
        self._observation = self.simulation.reset(self._ended) if self._ended.any() else step.observation
        self._reset, self._ended = self._ended, over
        self._label = self._ask()

    def _hopeless(self) -> np.ndarray:
        if isinstance(self.teacher, HonestTeacher):
            return self.teacher.hopeless(self.simulation)
        return np.zeros(self.simulation.num_worlds, bool)

    def _finish(self, over: np.ndarray, terminated: np.ndarray, diverged: np.ndarray) -> None:
        for world in np.flatnonzero(over):
            reward, length = float(self._return[world]), int(self._length[world])
            own = int(self._own_steps[world]), float(self._own_error[world])
            self.episodes.append(Episode(self.config.task, reward, length, bool(terminated[world]), bool(diverged[world]), *own))
        for count in (self._return, self._length, self._own_steps, self._own_error):
            count[over] = 0

    def _write_observation(self, agent: Agent, unroll: Unroll, row: int) -> dict[str, np.ndarray]:
        """Keep what is there to be seen; the observation to act on."""
        observation = self._observation
        if self.config.frozen_eyes:
            observation = observation | {"egocentric": np.asarray(_see(agent, observation["egocentric"]))}
        unroll.proprioception[:, row] = observation["proprioception"]
        unroll.egocentric[:, row] = observation["egocentric"]
        unroll.reset[:, row] = self._reset
        return observation

    def _ask(self) -> Label | None:
        before = None if self._label is None else self._label[0]
        return None if self.teacher is None else ask(self.teacher, self.simulation, before, self._reset)


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): np.array(array) for name, array in arrays.items() if name.startswith(prefix)}
