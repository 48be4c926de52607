"""Collecting on a GPU: as `vrodent.training.collection`, with everything that an unroll holds computed and kept on the device.

From step to step the host learns a few bits: whether some action is not a number, whether contacts found no room, whether some episode has
ended. Only then does it read which ones, for it draws their arenas. A teacher works on the host and is shown copies of the fields it reads.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent, AgentConfig, Memory, forget
from vrodent.simulation.cpu import Step
from vrodent.simulation.gpu import GpuSimulation
from vrodent.training.collection import ActorConfig, Episode, HonestTeacher, Teacher, ask, teachers_steps, teachers_turn
from vrodent.training.hints import HintingTeacher
from vrodent.training.host_view import HostView
from vrodent.training.unroll import Unroll, unroll_shapes

Label = tuple[jax.Array, jax.Array, jax.Array]


class _Choice(NamedTuple):
    """What is done in a row: (world, 38) each, and the memory after it."""

    action: jax.Array
    mean: jax.Array
    log_std: jax.Array
    control: jax.Array
    memory: Memory


class _Course(NamedTuple):
    """How far every world's episode is, (world,): whether this row is its final observation, whether it begins a new episode, and so far
    the sum of rewards, the number of steps, and what `Episode` tells of the student's own."""

    ended: jax.Array
    reset: jax.Array
    total: jax.Array
    length: jax.Array
    own_steps: jax.Array
    own_error: jax.Array


class _Ending(NamedTuple):
    """What ended in a step, (world,): whether it did, sum of rewards, number of steps, by the task's rule, by failing physics; and
    what `Episode` tells of the student's own steps."""

    over: jax.Array
    total: jax.Array
    length: jax.Array
    terminated: jax.Array
    diverged: jax.Array
    own_steps: jax.Array
    own_error: jax.Array


class DeviceActorRun:
    """The worlds of one task on a GPU and the agent's memory in them. Rows mean what they mean in `ActorRun`.

    Args:
        config: of the collecting.
        agent: any agent of the architecture that will act.
        simulation: fresh, with a camera; its first reset is made here.
        teacher: labels every row, from a copy on the host; None for unrolls without labels.
    """

    def __init__(self, config: ActorConfig, agent: Agent, simulation: GpuSimulation, teacher: Teacher | None = None) -> None:
        self.config, self.simulation, self.teacher = config, simulation, teacher
        self._hint_size = teacher.hint_size if isinstance(teacher, HintingTeacher) else 0
        self.collected = 0
        self.seconds = 0.0
        self._endings: list[_Ending] = []
        self._some_ended = False
        worlds = simulation.num_worlds
        with jax.default_device(simulation.jax_device):
            self._memory = agent.initial_memory(worlds)
            self._observation = simulation.reset()
            zero, none = jnp.zeros(worlds), jnp.zeros(worlds, jnp.int32)
            self._course = _Course(jnp.zeros(worlds, bool), jnp.ones(worlds, bool), zero, none, none, zero)
            self._label: Label | None = None
            self._label = self._ask()

    def collect(self, agent: Agent, teacher_share: float = 0.0) -> Unroll:
        """Run every world for one unroll.

        Args:
            agent: who acts.
            teacher_share: see `ActorRun.collect`.

        Returns:
            arrays on the device with the world axis first.
        """
        begin = time.perf_counter()
        worlds, length = self.simulation.num_worlds, self.config.unroll_length
        rng = np.random.default_rng([self.config.seed, self.config.task, self.collected])
        turn = teachers_turn(self.config, self.simulation.episode, teacher_share if self.teacher is not None else 0.0)
        key = jax.random.key(int(rng.integers(2**31)))
        with jax.default_device(self.simulation.jax_device):
            memory = self._memory
            rows = _blank(agent.config, length, self.teacher is not None, self._hint_size, worlds)
            there = jnp.asarray(teachers_steps(self.config, turn, self.collected))
            for row in range(length):
                rows = self._step(agent, rows, row, jax.random.fold_in(key, row), there[:, row])
            rows = _write_observation(rows, length, self._observation, self._course.reset)
        self.collected += 1
        self.seconds += time.perf_counter() - begin
        return rows._replace(memory=memory)

    def drain(self) -> list[Episode]:
        """Episodes that have finished since the last call; what the device has kept of them comes to the host here."""
        kept, self._endings = self._endings, []
        episodes = []
        for ending in kept:
            over, total, length, terminated, diverged, own_steps, own_error = map(np.asarray, ending)
            for world in np.flatnonzero(over):
                how = bool(terminated[world]), bool(diverged[world])
                own = int(own_steps[world]), float(own_error[world])
                episodes.append(Episode(self.config.task, float(total[world]), int(length[world]), *how, *own))
        return episodes

    def close(self) -> None:
        """Free the simulation."""
        self.simulation.close()

    def _step(self, agent: Agent, rows: Unroll, row: int, key: jax.Array, driven: jax.Array) -> Unroll:
        rows = _write_observation(rows, row, self._observation, self._course.reset)
        choice = _choose(agent, self._observation, self._memory, self._course.reset, key, self._label, driven)
        self._memory = choice.memory
        step = self.simulation.step(choice.control)
        hopeless = self._hopeless()
        before, anywhere = self._course.ended, self._some_ended
        seen = step._replace(observation={})
        rows, self._course, ending = _write_step(rows, row, choice, self._label, driven, seen, self._course, hopeless)
        self._some_ended = bool(ending.over.any())
        if self._some_ended:
            self._endings.append(ending)
        self._observation = self.simulation.reset(before) if anywhere else step.observation
        self._label = self._ask()
        return rows

    def _hopeless(self) -> jax.Array:
        if isinstance(self.teacher, HonestTeacher):
            return jnp.asarray(self.teacher.hopeless(HostView(self.simulation)))  # pyright: ignore[reportArgumentType]
        return jnp.zeros(self.simulation.num_worlds, bool)

    def _ask(self) -> Label | None:
        if self.teacher is None:
            return None
        before = None if self._label is None else np.asarray(self._label[0])
        label = ask(self.teacher, HostView(self.simulation), before, np.asarray(self._course.reset))
        mean, log_std, hint = map(jnp.asarray, label)
        return mean, log_std, hint


@eqx.filter_jit
def _choose(
    agent: Agent, observation: dict[str, Any], memory: Memory, reset: jax.Array, key: jax.Array, label: Label | None, driven: jax.Array
) -> _Choice:
    """The student's action; in driven worlds the teacher's."""
    output, memory = agent.act(observation, forget(memory, reset), key)
    action, mean, log_std = output.action, output.mean, output.log_std
    if label is not None:
        taught = label[0] + jnp.exp(label[1]) * jax.random.normal(jax.random.fold_in(key, 1), action.shape)
        action, mean, log_std = (
            jnp.where(driven[:, None], theirs, own) for own, theirs in ((action, taught), (mean, label[0]), (log_std, label[1]))
        )
    return _Choice(action, mean, log_std, agent.ctrl(action), memory)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _blank(config: AgentConfig, length: int, taught: bool, hint_size: int, worlds: int) -> Unroll:
    """Rows to be written, without a memory."""
    shapes = unroll_shapes(config, length, taught, hint_size)._replace(memory=())  # pyright: ignore[reportArgumentType]
    return jax.tree.map(lambda leaf: jnp.zeros((worlds, *leaf.shape), leaf.dtype), shapes)


@partial(jax.jit, donate_argnums=0)
def _write_observation(rows: Unroll, row: Any, observation: dict[str, jax.Array], reset: jax.Array) -> Unroll:
    return rows._replace(
        proprioception=rows.proprioception.at[:, row].set(observation["proprioception"]),
        egocentric=rows.egocentric.at[:, row].set(observation["egocentric"]),
        reset=rows.reset.at[:, row].set(reset.astype(jnp.float32)),
    )


@partial(jax.jit, donate_argnums=0)
def _write_step(
    rows: Unroll,
    row: Any,
    choice: _Choice,
    label: Label | None,
    driven: jax.Array,
    step: Step,
    course: _Course,
    hopeless: jax.Array,
) -> tuple[Unroll, _Course, _Ending]:
    """One row of the unroll, and how the episodes go on after it."""
    going, diverged = ~course.ended, jnp.asarray(step.info.diverged)
    reward = jnp.where(going, step.reward, 0.0).astype(jnp.float32)
    values = {
        "action": choice.action, "behaviour_mean": choice.mean, "behaviour_log_std": choice.log_std, "reward": reward,
        "acted": going & ~diverged, "discount": jnp.where(going, jnp.where(step.terminated, step.info.discount, 1.0), 0.0),
    }  # fmt: skip
    own_steps, own_error = course.own_steps, course.own_error
    if label is not None:
        itself = going & ~driven
        own_steps = own_steps + itself
        own_error = own_error + itself * ((choice.mean - label[0]) ** 2).mean(axis=1)
        values |= {"teacher_mean": label[0], "teacher_log_std": label[1], "hint": label[2]}
    written = {name: getattr(rows, name).at[:, row].set(value.astype(jnp.float32)) for name, value in values.items()}
    total, length = course.total + reward, course.length + going
    over = jnp.asarray(step.terminated | step.truncated | hopeless) & going
    ending = _Ending(over, total, length, jnp.asarray(step.terminated), diverged, own_steps, own_error)
    kept = (jnp.where(over, 0, count) for count in (total, length, own_steps, own_error))
    after = _Course(over, course.ended, *kept)
    return rows._replace(**written), after, ending
