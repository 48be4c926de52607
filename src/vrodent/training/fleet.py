"""All actors and their replays, and the pace that keeps them and the learner in step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from vrodent.agent import Agent
from vrodent.simulation import make
from vrodent.training.collection import ActorConfig, ActorRun, Episode, Teacher
from vrodent.training.replay import Replay, check_memory, unroll_capacity
from vrodent.training.settings import TrainConfig, allot
from vrodent.training.unroll import Unroll, unroll_shapes

_WORLD_BYTES = 12 * 2**20  # a world's MuJoCo model and data, generously
_ROUNDS_AHEAD = 2  # rounds of unrolls that actors may be ahead of the learner
_WARMUP_TEACHER_SHARE = 0.5


class Fleet:
    """Actors of every task, each with a replay, feeding one learner.

    The pace, in unrolls: after the warm-up, the learner samples `samples_per_insert` for each one inserted; it runs at most a batch
    ahead, an actor at most two rounds. Taking turns (`round`) and running beside the learner (`start`) follow the same rule.

    Args:
        config: of the run.
        worlds: of each task.
        agent: the first that acts.
        directory: where the replays' files lie, or None for RAM.
        teachers: by task; none at all, or one for each task.

    Attributes:
        agent: who acts in the next unroll; to be replaced by newer ones, never by one whose buffers an update will reuse.
        teacher_share: see `ActorRun.collect`.

    Raises:
        ReplayError: too little memory or disk, or a replay smaller than an unroll.
        ValueError: a task has no teacher, while others have.
    """

    def __init__(
        self,
        config: TrainConfig,
        worlds: Sequence[int],
        agent: Agent,
        directory: Path | None = None,
        teachers: Mapping[str, Teacher] | None = None,
    ) -> None:
        self.config, self.worlds, self.agent = config, tuple(worlds), agent
        self.teacher_share = 0.0
        collection, total = config.collection, sum(worlds)
        check_memory(total * (_WORLD_BYTES + collection.unroll_length * 2 * 13_500), f"A simulation of {total} worlds")
        shapes = unroll_shapes(agent.config, collection.unroll_length, bool(teachers))
        self.replays: list[Replay] = []
        for name, count in zip(config.tasks, self.worlds, strict=True):
            capacity = unroll_capacity(collection.replay_steps * count // total, collection.unroll_length, name)
            own = None if directory is None else directory / name
            self.replays.append(Replay(shapes, capacity, surplus=max(capacity // 4, 8 * count), directory=own))
        rounds = -(-collection.warmup_steps // (collection.unroll_length * total))
        self._warmup = tuple(rounds * count for count in self.worlds)
        self.batch = allot(config.batch_unrolls, tuple(1.0 / count for count in self.worlds))
        self.actors = [self._actor(index, agent, teachers or {}) for index in range(len(config.tasks))]
        self._condition = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._stop = False

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
        after = self.inserted - sum(self._warmup)
        return self.sampled / after if after > 0 else float("nan")

    @property
    def warm(self) -> bool:
        """Whether every task has had its warm-up."""
        return all(replay.inserted >= quota for replay, quota in zip(self.replays, self._warmup, strict=True))

    @property
    def may_learn(self) -> bool:
        """Whether the learner may sample the next batch."""
        after = self.inserted - sum(self._warmup)
        return self.warm and self.sampled <= self.config.collection.samples_per_insert * after

    def round(self) -> None:
        """One unroll of every world of every task, in this thread."""
        for index in range(len(self.actors)):
            self._collect(index)

    def sample(self, update: int, salt: int = 0) -> Unroll:
        """The batch of an update, each task's part after the other's, the world axis first. The same update draws the same slots."""
        rng = np.random.default_rng([self.config.seed, update, salt])
        parts = [replay.sample(rng, count) for replay, count in zip(self.replays, self.batch, strict=True)]
        with self._condition:
            self._condition.notify_all()
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    @property
    def batch_tasks(self) -> np.ndarray:
        """(world,) index of the task of each unroll of a batch."""
        return np.repeat(np.arange(len(self.batch)), self.batch)

    def start(self) -> None:
        """Let every actor run in a thread of its own."""
        self._stop = False
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(len(self.actors))]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the actors finish the unroll they are in, and wait for them."""
        with self._condition:
            self._stop = True
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

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (158,) of proprioception in the replays, every task weighing alike."""
        rows = [replay.latest(len(replay)).proprioception for replay in self.replays]
        means = np.mean([row.mean(axis=(0, 1), dtype=np.float64) for row in rows], axis=0)
        variances = np.mean([((row - means) ** 2).mean(axis=(0, 1)) for row in rows], axis=0)
        return means.astype(np.float32), np.maximum(np.sqrt(variances), 1e-3).astype(np.float32)

    def close(self) -> None:
        """Stop the actors and free their simulations."""
        self.stop()
        for actor in self.actors:
            actor.simulation.close()

    def _actor(self, index: int, agent: Agent, teachers: Mapping[str, Teacher]) -> ActorRun:
        config, name = self.config, self.config.tasks[index]
        if teachers and name not in teachers:
            raise ValueError(f"There is no teacher for {name}, only for {', '.join(sorted(teachers))}.")
        simulation = make(
            name,
            self.worlds[index],
            seed=config.seed,
            physics=config.collection.physics,
            num_threads=config.collection.threads,
            shadows=config.collection.camera_shadows,
        )
        acting = ActorConfig(task=index, unroll_length=config.collection.unroll_length, seed=config.seed)
        return ActorRun(acting, agent, simulation, teachers.get(name))

    def _collect(self, index: int) -> None:
        cold = self.replays[index].inserted < self._warmup[index]
        share = max(self.teacher_share, _WARMUP_TEACHER_SHARE) if cold else self.teacher_share
        self.replays[index].insert(self.actors[index].collect(self.agent, share))

    def _may_collect(self, index: int) -> bool:
        replay, count, quota = self.replays[index], self.worlds[index], self._warmup[index]
        ahead = replay.inserted - quota - replay.sampled / self.config.collection.samples_per_insert
        return replay.room >= count and (replay.inserted < quota or ahead < _ROUNDS_AHEAD * count)

    def _run(self, index: int) -> None:
        try:
            while True:
                with self._condition:
                    while not self._stop and not self._may_collect(index):
                        self._condition.wait(1.0)
                    if self._stop:
                        return
                self._collect(index)
                with self._condition:
                    self._condition.notify_all()
        except BaseException as error:
            with self._condition:
                self._error = error
                self._condition.notify_all()


def seconds_per_step(config: TrainConfig, say: Callable[[str], None]) -> tuple[float, ...]:
    """Measure each task: seconds of one step of one world, with the camera, on this machine as it is now."""
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
