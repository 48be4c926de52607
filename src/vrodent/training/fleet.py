"""All actors and their replays, and the pace that keeps them and the learner in step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent
from vrodent.simulation import make
from vrodent.training.collection import ActorConfig, ActorRun, Episode, Teacher, acting_config, task_for
from vrodent.training.device_replay import DeviceReplay
from vrodent.training.hints import hint_size
from vrodent.training.replay import Replay, ReplayError, check_memory, unroll_capacity
from vrodent.training.settings import TrainConfig, allot
from vrodent.training.unroll import Unroll, unroll_shapes

_WORLD_BYTES = 12 * 2**20  # a world's MuJoCo model and data, generously
_ROUNDS_AHEAD = 2  # rounds of unrolls that actors may be ahead of the learner
_WARMUP_TEACHER_SHARE = 0.5


class Actor(Protocol):
    """Some worlds of one task, on whatever device or machine."""

    def collect(self, agent: Agent, teacher_share: float = 0.0, /) -> Unroll | None:
        """Run every world for one unroll; None if the run came to an end meanwhile."""
        ...

    def drain(self) -> list[Episode]:
        """Episodes that have finished since the last call."""
        ...

    def close(self) -> None:
        """Free the worlds."""
        ...


class Crew(Protocol):
    """Actors that are elsewhere."""

    def enlist(
        self, config: TrainConfig, worlds: Sequence[int], teachers: Mapping[str, Teacher], stopping: Callable[[], bool]
    ) -> Sequence[tuple[int, int, Actor]]:
        """Actors for these worlds of each task: index of the task, number of worlds, actor. They give up when `stopping`."""
        ...


class Fleet:
    """Actors of every task, each with a replay, feeding one learner.

    The pace, in unrolls: after the warm-up, the learner samples `samples_per_insert` for each one inserted; it runs at most a batch
    ahead, an actor at most two rounds. With `burst_updates`, it waits until it may make as many, and actors pause meanwhile. Taking turns
    (`round`) and running beside the learner (`start`) follow the same rule.

    Args:
        config: of the run.
        worlds: of each task.
        agent: the first that acts.
        directory: where the replays' files lie, or None for RAM; of no meaning on a GPU, whose memory holds the replays.
        teachers: by task; none at all, or one for each task.
        crew: who collects, if not this process.

    Attributes:
        agent: who acts in the next unroll; to be replaced by newer ones, never by one whose buffers an update will reuse.
        teacher_share: see `ActorRun.collect`.
        hint_size: numbers in a hint, 0 where no teacher gives any.
        takes_turns: whether `round` is to be called, and `start` is not: the run is deterministic, or all is on one GPU.

    Raises:
        ReplayError: too little memory or disk, or a replay smaller than an unroll.
        ValueError: a task has no teacher, while others have.
        NoGpuError: the config wants a GPU, and there is none.
    """

    def __init__(
        self,
        config: TrainConfig,
        worlds: Sequence[int],
        agent: Agent,
        directory: Path | None = None,
        teachers: Mapping[str, Teacher] | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.config, self.worlds, self.agent = config, tuple(worlds), agent
        self.teacher_share = 0.0
        collection, total = config.collection, sum(worlds)
        self._on_gpu = collection.device == "gpu"
        self.takes_turns = config.deterministic or self._on_gpu
        _check_teachers(config, teachers or {})
        if crew is None and not self._on_gpu:
            check_memory(total * (_WORLD_BYTES + collection.unroll_length * 2 * 13_500), f"A simulation of {total} worlds")
        rounds = -(-collection.warmup_steps // (collection.unroll_length * total))
        self._warmup = tuple(rounds * count for count in self.worlds)
        self._quota, self._before = list(self._warmup), [float(count) for count in self._warmup]
        self.batch = allot(config.batch_unrolls, tuple(1.0 / count for count in self.worlds))
        self.hint_size = hint_size(teachers or {})
        length, frozen = collection.unroll_length, collection.frozen_eyes
        shapes = unroll_shapes(agent.config, length, bool(teachers), self.hint_size, frozen_eyes=frozen)
        self.replays: list[Any] = self._make_replays(shapes, directory)
        self._condition = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._stop = False
        self._actors_turn, self._left = threading.Event(), 0
        self._actors_turn.set()
        if crew is None:
            enlisted: Sequence[tuple[int, int, Actor]] = [
                (i, count, self._actor(i, agent, teachers or {})) for i, count in enumerate(self.worlds)
            ]
        else:
            enlisted = crew.enlist(config, self.worlds, teachers or {}, lambda: self._stop)
        self.actors: list[Any] = [actor for _, _, actor in enlisted]
        self._task_of, self._size = [task for task, _, _ in enlisted], [count for _, count, _ in enlisted]
        self._flying = [0] * len(self.worlds)

    def _make_replays(self, shapes: Unroll, directory: Path | None) -> list[Any]:
        collection, replays = self.config.collection, []
        for name, count in zip(self.config.tasks, self.worlds, strict=True):
            capacity = unroll_capacity(collection.replay_steps * count // sum(self.worlds), collection.unroll_length, name)
            if self._on_gpu:
                from vrodent.simulation.gpu import gpu_devices

                if capacity < count:
                    raise ReplayError(
                        f"A replay of {capacity} unrolls for {name} does not hold one of each of its {count} worlds. Raise replay_steps."
                    )
                replays.append(DeviceReplay(shapes, capacity, gpu_devices(collection.warp_device)[1]))
            else:
                own = None if directory is None else directory / name
                replays.append(Replay(shapes, capacity, surplus=max(capacity // 4, 8 * count), directory=own))
        return replays

    @property
    def inserted(self) -> int:
        """Unrolls so far."""
        return sum(replay.inserted for replay in self.replays)

    @property
    def sampled(self) -> int:
        """Unrolls learned from so far."""
        return sum(replay.sampled for replay in self.replays)

    @property
    def steps(self) -> int:
        """Steps so far, in all worlds."""
        return self.inserted * self.config.collection.unroll_length

    @property
    def ratio(self) -> float:
        """Realised samples per insert since the warm-up; NaN during it."""
        after = self.inserted - sum(self._before)
        return self.sampled / after if after > 0 else float("nan")

    @property
    def warm(self) -> bool:
        """Whether every task has had its warm-up."""
        return all(replay.inserted >= quota for replay, quota in zip(self.replays, self._quota, strict=True))

    @property
    def may_learn(self) -> bool:
        """Whether the learner may sample the next batch."""
        after = self.inserted - sum(self._before)
        burst = 0 if self._left else (self.config.burst_updates - 1) * self.config.batch_unrolls
        return self.warm and self.sampled + burst <= self.config.collection.samples_per_insert * after

    @property
    def _burst_rounds(self) -> float:
        """Rounds of unrolls that a burst takes to learn from."""
        updates, batch = self.config.burst_updates - 1, self.config.batch_unrolls
        return updates * batch / (self.config.collection.samples_per_insert * sum(self.worlds))

    def round(self) -> None:
        """One unroll of every world of every task, in this thread."""
        for index in range(len(self.actors)):
            self._collect(index)

    def sample(self, update: int, salt: int = 0) -> Unroll:
        """The batch of an update, each task's part after the other's, the world axis first. The same update draws the same slots.
        The first of a burst lets actors pause."""
        if self.config.burst_updates > 1:
            self._left = self._left or self.config.burst_updates
            self._actors_turn.clear()
        if self._on_gpu:
            keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(jax.random.key(self.config.seed), update), salt), len(self.batch))
            parts = [replay.sample(key, count) for replay, key, count in zip(self.replays, keys, self.batch, strict=True)]
            return _joined(parts)
        rng = np.random.default_rng([self.config.seed, update, salt])
        parts = [replay.sample(rng, count) for replay, count in zip(self.replays, self.batch, strict=True)]
        with self._condition:
            self._condition.notify_all()
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def learned(self, report: object) -> None:
        """An update is under way. After the last of a burst, wait for what it gives, and let actors go on."""
        if self._left:
            self._left -= 1
            if not self._left:
                jax.block_until_ready(report)
                self._actors_turn.set()

    @property
    def batch_tasks(self) -> np.ndarray:
        """(world,) index of the task of each unroll of a batch."""
        return np.repeat(np.arange(len(self.batch)), self.batch)

    def start(self) -> None:
        """Let every actor run in a thread of its own."""
        self._stop = False
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i, _ in enumerate(self.actors)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the actors finish the unroll they are in, and wait for them."""
        with self._condition:
            self._stop, self._left = True, 0
            self._actors_turn.set()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def wait(self, timeout: float) -> None:
        """Wait for news from the actors.

        Raises:
            RuntimeError: an actor failed; its error is the cause.
        """
        with self._condition:
            if self._error is None and not self.may_learn:
                self._condition.wait(timeout)
            if self._error is not None:
                raise RuntimeError(f"An actor failed: {self._error}") from self._error

    def flush(self) -> None:
        """Hand the replays' files to the disk."""
        for replay in self.replays:
            replay.flush()

    def mark(self, inserted: Sequence[int]) -> None:
        """A checkpoint with these counts has been made: see `Replay.mark`."""
        for replay, count in zip(self.replays, inserted, strict=True):
            replay.mark(int(count))
        with self._condition:
            self._condition.notify_all()

    @property
    def nearly_full(self) -> bool:
        """Whether some replay needs a checkpoint soon to go on."""
        return any(replay.room < 3 * count for replay, count in zip(self.replays, self.worlds, strict=True))

    def drain(self) -> list[Episode]:
        """Episodes that have finished since the last call."""
        return [episode for actor in self.actors for episode in actor.drain()]

    def rewind(self, inserted: Sequence[int], sampled: Sequence[int]) -> None:
        """Go back to the counts of a checkpoint. Replays that lost what they held are warmed up again before the learner goes on."""
        for i, (replay, count, drawn) in enumerate(zip(self.replays, inserted, sampled, strict=True)):
            replay.rewind(int(count), int(drawn))
            if not len(replay):
                self._quota[i] = int(count) + self._warmup[i]
                # The learner has had its share of what was inserted by then; the second warm-up counts no more than the first.
                self._before[i] = self._quota[i] - drawn / self.config.collection.samples_per_insert

    @property
    def warming_again(self) -> int:
        """Steps that a resumed run still has to collect before it learns; 0 for one whose replays are there."""
        missing = sum(max(quota - replay.inserted, 0) for replay, quota in zip(self.replays, self._quota, strict=True))
        return missing * self.config.collection.unroll_length

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (158,) of proprioception in the replays, every task weighing alike."""
        xp = jnp if self._on_gpu else np
        rows = [replay.felt() for replay in self.replays]
        means = xp.stack([row.mean(axis=(0, 1), dtype=xp.float32 if self._on_gpu else np.float64) for row in rows]).mean(axis=0)
        variances = xp.stack([((row - means) ** 2).mean(axis=(0, 1)) for row in rows]).mean(axis=0)
        return np.asarray(means, np.float32), np.maximum(np.sqrt(np.asarray(variances)), 1e-3).astype(np.float32)

    def close(self) -> None:
        """Stop the actors and free their simulations."""
        self.stop()
        for actor in self.actors:
            actor.close()

    def _actor(self, index: int, agent: Agent, teachers: Mapping[str, Teacher]) -> Actor:
        config, name = self.config, self.config.tasks[index]
        acting = acting_config(config.collection, index, config.seed)
        if self._on_gpu:
            return _gpu_actor(config, acting, self.worlds[index], agent, teachers.get(name))
        simulation = make(
            task_for(name, teachers.get(name), config.collection.orb_area),
            self.worlds[index],
            seed=config.seed,
            physics=config.collection.physics,
            num_threads=config.collection.threads,
            shadows=config.collection.camera_shadows,
        )
        return ActorRun(acting, agent, simulation, teachers.get(name), None if self.takes_turns else self._actors_turn)

    def _collect(self, index: int) -> None:
        task = self._task_of[index]
        cold = self.replays[task].inserted < self._quota[task]
        share = max(self.teacher_share, _WARMUP_TEACHER_SHARE) if cold else self.teacher_share
        unroll = self.actors[index].collect(self.agent, share)
        if unroll is not None:
            self.replays[task].insert(unroll)

    def _may_collect(self, index: int) -> bool:
        task = self._task_of[index]
        replay, count, flying = self.replays[task], self.worlds[task], self._flying[task]
        coming = replay.inserted + flying
        ahead = coming - self._before[task] - replay.sampled / self.config.collection.samples_per_insert
        most = (_ROUNDS_AHEAD + self._burst_rounds) * count
        return replay.room - flying >= self._size[index] and (coming < self._quota[task] or ahead < most)

    def _run(self, index: int) -> None:
        task, count = self._task_of[index], self._size[index]
        try:
            while True:
                with self._condition:
                    while not self._stop and not self._may_collect(index):
                        self._condition.wait(1.0)
                    if self._stop:
                        return
                    self._flying[task] += count
                self._collect(index)
                with self._condition:
                    self._flying[task] -= count
                    self._condition.notify_all()
        except BaseException as error:
            with self._condition:
                self._error = error
                self._condition.notify_all()


@jax.jit
def _joined(parts: Sequence[Unroll]) -> Unroll:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def _check_teachers(config: TrainConfig, teachers: Mapping[str, Teacher]) -> None:
    for name in config.tasks:
        if teachers and name not in teachers:
            raise ValueError(f"There is no teacher for {name}, only for {', '.join(sorted(teachers))}.")


def _gpu_actor(config: TrainConfig, acting: ActorConfig, worlds: int, agent: Agent, teacher: Teacher | None) -> Actor:
    from vrodent.simulation.gpu import GpuSimulation
    from vrodent.training.device_collection import DeviceActorRun

    collection = config.collection
    simulation = GpuSimulation(
        task_for(config.tasks[acting.task], teacher, collection.orb_area), worlds, seed=config.seed,
        physics=collection.physics, shadows=collection.camera_shadows, warp_device=collection.warp_device,
    )  # fmt: skip
    return DeviceActorRun(acting, agent, simulation, teacher)


def seconds_per_step(config: TrainConfig, say: Callable[[str], None]) -> tuple[float, ...]:
    """Measure each task: seconds of one step of one world, with the camera, on this machine as it is now. On a GPU, whose steps take the
    same time for a few worlds as for many, nothing is measured and all are equal."""
    if config.collection.device == "gpu":
        return (1.0,) * len(config.tasks)
    measured = []
    for name in config.tasks:
        collection = config.collection
        env = make(name, 2, seed=config.seed, physics=collection.physics, num_threads=collection.threads)
        env.reset()
        control = np.tile(env.standing_ctrl, (2, 1))
        env.step(control)
        begin = time.perf_counter()
        for _ in range(15):
            env.step(control)
        measured.append((time.perf_counter() - begin) / 30)
        env.close()
    rates = ", ".join(f"{name} {1 / s:.0f}/s" for name, s in zip(config.tasks, measured, strict=True))
    say(f"Steps with camera, one world: {rates}.")
    return tuple(measured)
