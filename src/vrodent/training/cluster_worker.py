"""A process of a cluster that collects: some worlds of one task, told who acts by arrays and told everything else by text."""

from __future__ import annotations

import os
from collections.abc import Sequence

import jax
import numpy as np

from vrodent.agent import Agent
from vrodent.simulation import make
from vrodent.training.collection import ActorRun, Episode, Teacher, acting_config, task_for
from vrodent.training.run_store import from_json
from vrodent.training.unroll import Unroll
from vrodent.version import __version__


class Collector:
    """What runs in a worker. Its simulation has one thread, and its JAX the CPU.

    Args:
        settings: the run's config as JSON.
        version: of vrodent, of the learner; another one here is refused.
        task: index of the task.
        worlds: how many.
        seed: of arenas and actions; no two workers of a run have the same.
        teacher: labels every row, if any.

    Raises:
        RuntimeError: this machine has another version.
    """

    def __init__(self, settings: str, version: str, task: int, worlds: int, seed: int, teacher: Teacher | None = None) -> None:
        if version != __version__:
            raise RuntimeError(f"The learner is vrodent {version}, but a worker has {__version__}. Install one version on all machines.")
        jax.config.update("jax_platforms", "cpu")
        config = from_json(settings)
        collection = config.collection
        simulation = make(
            task_for(config.tasks[task], teacher, collection.orb_area), worlds, seed=seed, physics=collection.physics,
            num_threads=1, shadows=collection.camera_shadows,
        )  # fmt: skip
        self._agent = Agent(config.agent)
        acting = acting_config(collection, task, seed)
        self._run = ActorRun(acting, self._agent, simulation, teacher)

    def collect(self, leaves: Sequence[np.ndarray], teacher_share: float) -> tuple[Unroll, list[Episode]]:
        """Run every world for one unroll.

        Args:
            leaves: the arrays of the agent that acts.
            teacher_share: see `ActorRun.collect`.

        Returns:
            NumPy arrays with the world axis first, and the episodes that have finished.
        """
        agent = jax.tree.unflatten(jax.tree.structure(self._agent), [jax.numpy.asarray(leaf) for leaf in leaves])
        return self._run.collect(agent, teacher_share), self._run.drain()

    def process(self) -> int:
        """The number of this process on its machine."""
        return os.getpid()
