"""Actors on a cluster: processes of Ray that collect for the learner in this one.

The learner, its replays and its checkpoints stay in this process. A worker holds nothing but its worlds and the agent it was last sent:
what a lost one takes with it is the unroll it was in, and a new one, with arenas and actions of its own, takes its place.

Between these processes Ray sends objects as it likes to, pickled: whoever can reach a cluster can run code on it. A local one is of this
machine alone, and without a dashboard. Settings travel as text and agents as arrays; no file is ever unpickled.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from vrodent.agent import Agent
from vrodent.training import progress
from vrodent.training.collection import Episode, Teacher
from vrodent.training.evaluation import HELD_OUT_SEED, VALIDATION_SEED
from vrodent.training.run_store import to_json
from vrodent.training.settings import TrainConfig
from vrodent.training.unroll import Unroll
from vrodent.version import __version__

_STORE_BYTES = 512 * 2**20  # of a local cluster's shared memory: unrolls on their way, and an agent
_LOOPBACK = "127.0.0.1"


class ClusterError(RuntimeError):
    """A cluster cannot be used, or loses its workers faster than they can be replaced; the message says which."""


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Where actors run.

    Attributes:
        address: of an existing cluster of Ray, such as "10.0.0.1:6379" or "auto"; "local" starts one on this machine for this run.
        workers: processes, of one CPU each, at least one a task; 0 takes one a task.
        most_losses: workers that may be lost one after another in one place without an unroll between them.
    """

    address: str = "local"
    workers: int = 0
    most_losses: int = 5

    def __post_init__(self) -> None:
        if not self.address:
            raise ValueError("cluster.address must be local or the address of a cluster of Ray, but is empty.")
        if self.workers < 0 or self.most_losses < 1:
            raise ValueError(f"cluster needs workers >= 0 and most_losses >= 1, not {self.workers} and {self.most_losses}.")


class Cluster:
    """A connection to Ray, and what its workers have in common. To be closed.

    Args:
        config: where.
        run: what for.
        say: is told of lost workers.

    Attributes:
        replaced: workers that were lost and replaced so far.

    Raises:
        ClusterError: Ray is not installed, or there is no such cluster.
        ValueError: fewer workers than tasks, or a run that is deterministic or on a GPU.
    """

    def __init__(self, config: ClusterConfig, run: TrainConfig, say: Callable[[str], None] = progress.say) -> None:
        self.config, self.say, self.replaced = config, say, 0
        self.workers = config.workers or len(run.tasks)
        if self.workers < len(run.tasks):
            raise ValueError(f"{self.workers} workers are too few for {len(run.tasks)} tasks: each worker has one.")
        if run.deterministic:
            raise ValueError("A run on a cluster cannot be deterministic: its actors run beside the learner. Set deterministic to False.")
        if run.collection.device == "gpu":
            raise ValueError("On a cluster, actors simulate on CPUs: set collection.device to cpu. The learner uses a GPU all the same.")
        self._lock = threading.Lock()
        self._published: tuple[Agent, Any] | None = None
        self.ray = _connected(config, self.workers)
        self._kind = self.ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_collector())

    def enlist(
        self, config: TrainConfig, worlds: Sequence[int], teachers: Mapping[str, Teacher], stopping: Callable[[], bool]
    ) -> list[tuple[int, int, RemoteActor]]:
        """Workers for these worlds of each task, see `vrodent.training.fleet.Crew`.

        Raises:
            ValueError: a task has fewer worlds than workers.
        """
        places = []
        for task, (count, crew) in enumerate(zip(worlds, _split(self.workers, len(worlds)), strict=True)):
            if count < crew:
                raise ValueError(f"{count} worlds of {config.tasks[task]} are too few for its {crew} workers: give each at least one.")
            places += [(task, share) for share in _split(count, crew)]
        settings = to_json(config)
        return [
            (task, share, RemoteActor(self, Place(settings, task, share, config.seed, number, teachers.get(config.tasks[task])), stopping))
            for number, (task, share) in enumerate(places)
        ]

    def hire(self, place: Place, generation: int) -> Any:
        """A new worker. It is there at once; what is wrong with it shows when it is asked for something."""
        seed = worker_seed(place.seed, place.number, generation)
        return self._kind.remote(place.settings, __version__, place.task, place.worlds, seed, place.teacher)

    def publish(self, agent: Agent) -> Any:
        """A reference to the arrays of an agent, which are sent once for all workers."""
        with self._lock:
            if self._published is None or self._published[0] is not agent:
                self._published = agent, self.ray.put([np.asarray(leaf) for leaf in jax.tree.leaves(agent)])
            return self._published[1]

    def lost(self, place: Place, why: BaseException) -> None:
        """Take note of a lost worker."""
        with self._lock:
            self.replaced += 1
        first = str(why).strip().splitlines()[0]
        self.say(f"LOST worker {place.number}, with {place.worlds} worlds; another takes its place. {first}")

    def close(self) -> None:
        """Leave; a local cluster ends."""
        self.ray.shutdown()


@dataclass(frozen=True)
class Place:
    """What a worker, and whoever takes its place, is there for: see `Collector`. `seed` is the run's, `number` the worker's."""

    settings: str
    task: int
    worlds: int
    seed: int
    number: int
    teacher: Teacher | None


class RemoteActor:
    """The end of a worker that the learner holds; an actor of `vrodent.training.fleet.Fleet`.

    Args:
        cluster: whose worker.
        place: what for.
        stopping: whether the run ends: an unroll under way is then given up.
    """

    def __init__(self, cluster: Cluster, place: Place, stopping: Callable[[], bool]) -> None:
        self._cluster, self._place, self._stopping = cluster, place, stopping
        self._generation = self._losses = 0
        self._episodes: list[Episode] = []
        self.worker = cluster.hire(place, 0)

    def collect(self, agent: Agent, teacher_share: float = 0.0) -> Unroll | None:
        """One unroll of every world of the worker, or of the one that takes its place; None if the run ends meanwhile.

        Raises:
            ClusterError: one worker after another was lost.
            Exception: what went wrong within the worker.
        """
        ray = self._cluster.ray
        while True:
            try:
                asked = self.worker.collect.remote(self._cluster.publish(agent), teacher_share)
                while not ray.wait([asked], timeout=0.5)[0]:
                    if self._stopping():
                        return None
                unroll, episodes = ray.get(asked)
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.WorkerCrashedError) as error:
                self._replace(error)
                continue
            self._losses = 0
            self._episodes += episodes
            return unroll

    def drain(self) -> list[Episode]:
        """Episodes that have finished since the last call."""
        finished, self._episodes = self._episodes, []
        return finished

    def close(self) -> None:
        """Let the worker go."""
        self._cluster.ray.kill(self.worker)

    def _replace(self, error: BaseException) -> None:
        if getattr(error, "actor_init_failed", False):
            raise ClusterError(f"Worker {self._place.number} could not begin: {error}") from error
        self._losses += 1
        if self._losses > self._cluster.config.most_losses:
            raise ClusterError(
                f"Worker {self._place.number} was lost {self._losses} times without an unroll in between. Is there memory for its "
                f"{self._place.worlds} worlds? The last time: {error}"
            ) from error
        self._cluster.lost(self._place, error)
        self._generation += 1
        self.worker = self._cluster.hire(self._place, self._generation)


def worker_seed(seed: int, number: int, generation: int) -> int:
    """The seed of a worker's arenas and actions, other than the seeds that evaluations keep for themselves."""
    for salt in range(8):
        drawn = int(np.random.SeedSequence([seed, number, generation, salt]).generate_state(1)[0])
        if drawn not in (HELD_OUT_SEED, VALIDATION_SEED):
            return drawn
    raise AssertionError("eight draws of 32 bits gave a reserved seed each")


def _split(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def _collector() -> type:
    from vrodent.training.cluster_worker import Collector

    return Collector


def _connected(config: ClusterConfig, workers: int) -> Any:
    """Ray, connected."""
    local = config.address == "local"
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    if local:  # read when ray is imported; without it, its processes listen on all of the machine's addresses
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ClusterError("Training on a cluster needs ray, which is not installed: pip install 'vrodent[cluster]'.") from error
    if ray.is_initialized():
        raise ClusterError("This process is connected to Ray already; one run at a time.")
    options: dict[str, Any] = {"address": config.address, "log_to_driver": False, "logging_level": logging.WARNING}
    if local:
        options |= {"num_cpus": workers, "num_gpus": 0, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"No cluster of Ray at {config.address!r}: {str(error).strip().splitlines()[0]}") from error
    if local and ray.util.get_node_ip_address() != _LOOPBACK:
        ray.shutdown()
        raise ClusterError("Ray was imported before this run and would listen beyond this machine. Start the run in a process of its own.")
    return ray
