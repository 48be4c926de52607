"""A run of training, from its first step or from where it was killed."""

from __future__ import annotations

import errno
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vrodent.agent import Agent, in_precision
from vrodent.body import add_rat, arena_spec, standing_ctrl
from vrodent.training import progress
from vrodent.training.checkpoint import Checkpoint, check_architecture, load_checkpoint
from vrodent.training.cluster import Cluster, ClusterConfig
from vrodent.training.collection import StrikingTeacher, Teacher
from vrodent.training.fleet import Fleet, seconds_per_step
from vrodent.training.learner import UpdateReport, copy_of, initial_learned, make_update, set_normaliser
from vrodent.training.lineage import Stage
from vrodent.training.metrics_log import MetricsLog, summarise
from vrodent.training.rollback import DivergenceWatch, TrainingDiverged
from vrodent.training.run_store import ResumeError, RunStore
from vrodent.training.settings import TrainConfig, allot
from vrodent.training.sharding import learner_mesh
from vrodent.training.teachers.network import Teacher as SkillTeacher
from vrodent.training.teachers.skills import Role, stakes, with_skills
from vrodent.training.teachers.strikes import STRIKE

Evaluate = Callable[[Agent, int], Mapping[str, float]]
"""Agent and update in, a number per task out, such as its mean return in reference physics on held-out seeds."""


def train(
    config: TrainConfig | None,
    out: Path,
    *,
    resume: bool = False,
    teachers: Mapping[str, Teacher] | None = None,
    start: Path | None = None,
    skills: Mapping[Role, SkillTeacher] | None = None,
    method: str = "reinforcement",
    evaluate: Evaluate | None = None,
    cluster: ClusterConfig | None = None,
    say: Callable[[str], None] = progress.say,
) -> Path:
    """Train an agent. Interrupted with Ctrl-C, it writes a checkpoint first.

    Args:
        config: of the run; None takes the one of the run to be resumed.
        out: directory of the run.
        resume: go on with the run that is there. A deterministic run then equals one that was never stopped.
        teachers: by task; required for every task if for any. They label all experience; how they count is in `config.learner.loss`.
        start: checkpoint whose agent, with its normalisation, the run starts from; None starts from an untrained one. An agent that
            commands skills keeps them, whatever `config` says of skills.
        skills: teachers whose networks become the agent's skills, see `vrodent.training.teachers.skills`, in place of any that it has.
        method: what this stage is, for the agent's lineage.
        evaluate: called now and then, and at the end.
        cluster: where actors run; None runs them in this process. A run may be resumed with or without.
        say: takes the lines of progress.

    Returns:
        the last checkpoint.

    Raises:
        ResumeError, ReplayError, CheckpointError, ClusterError, NoGpuError, ValueError: the run cannot begin; nothing has been learned yet.
        TrainingDiverged: it diverged more often than it may go back.
    """
    store = RunStore(out, config.keep_checkpoints if config else 3)
    if resume:
        config = store.config(config)
        store = RunStore(out, config.keep_checkpoints)
    elif config is None:
        raise ResumeError("A new run needs a config.")
    elif config.collection.frozen_eyes and start is None:
        raise ValueError("Eyes that never saw cannot be frozen: give collection.frozen_eyes an agent to start from.")
    else:
        store.clear()
    crew = Cluster(cluster, config, say) if cluster is not None else None
    try:
        options = _Options(teachers=teachers, start=start, skills=skills, method=method, evaluate=evaluate, crew=crew, say=say)
        return _finish(_Run(config, store, options, resume=resume))
    finally:
        if crew is not None:
            crew.close()


def _finish(run: _Run) -> Path:
    """Run to the end, and close whatever happens."""
    try:
        return run.go()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        out = run.store.directory
        raise ResumeError(f"The disk of {out} is full. Free some space and resume: the last checkpoint is whole.") from error
    finally:
        run.close()


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The arguments of `train` that only pass through."""

    teachers: Mapping[str, Teacher] | None
    start: Path | None
    skills: Mapping[Role, SkillTeacher] | None
    method: str
    evaluate: Evaluate | None
    crew: Cluster | None
    say: Callable[[str], None]


def _beginning(config: TrainConfig, options: _Options) -> tuple[TrainConfig, Checkpoint | None, Agent]:
    """The config with the skills that there are, where the agent comes from, and the agent."""
    origin = None if options.start is None else load_checkpoint(options.start)
    if origin is None:
        agent = Agent(config.agent, seed=config.seed, stance=_stance())
    else:
        agent = origin.agent
        check_architecture(origin.path, agent.config, config.agent.with_skills_of(agent.config))
    if options.skills:
        told = (options.teachers or {}).get("two_tap")
        strike = told.strike if isinstance(told, StrikingTeacher) else 0.0
        agent = with_skills(agent, options.skills, config.seed, strike or STRIKE)
    return replace(config, agent=agent.config), origin, agent


class _Run:
    """One run's moving parts."""

    def __init__(self, config: TrainConfig, store: RunStore, options: _Options, *, resume: bool) -> None:
        now = time.monotonic()
        self._begun = self._logged = self._saved = self._evaluated = now
        self.store, self.evaluate, self.say = store, options.evaluate, options.say
        found = _latest(store) if resume else None
        config, origin, agent = _beginning(config, options)
        if not config.collection.worlds:
            worlds = allot(config.collection.num_worlds, seconds_per_step(config, self.say))
            config = replace(config, collection=replace(config.collection, worlds=worlds))
        self.config = config
        self.keeps_normaliser = origin is not None
        self.lineage = origin.lineage if origin else ()
        self.method = options.method
        self.origin = options.start.name if options.start is not None else f"initial weights, seed {config.seed}"
        mesh = _mesh(config)
        self._home = None if mesh is None else mesh.devices.flat[0]
        self.fleet = Fleet(config, config.collection.worlds, self._acting(agent), store.replay, options.teachers, options.crew)
        sizes = len(config.tasks), config.total_updates
        self.learned = initial_learned(config.learner, agent, *sizes, hint_size=self.fleet.hint_size, seed=config.seed)
        if not resume:
            store.begin(config)
        at_stake = None if agent.motor is None else stakes(agent, config.seed)
        self.update = make_update(config.learner, config.total_updates, mesh, at_stake)
        self.watch = DivergenceWatch(config.divergence, config.tasks)
        self.rollbacks, self.seconds = 0, 0.0
        if found is not None:
            self._restore(found)
        self._updates = int(self.learned.update)
        self.log = MetricsLog(store.directory, config.tasks, self._updates)
        self._pending: list[UpdateReport] = []
        self._reports: list[UpdateReport] = []
        self._since = (self._updates, self.fleet.steps)
        worlds = ", ".join(f"{task} {count}" for task, count in zip(config.tasks, config.collection.worlds, strict=True))
        self.say(f"Worlds: {worlds}; {config.total_updates:,} updates in all.")
        if mesh is not None:
            self.say(f"Each update's {config.batch_unrolls} unrolls are divided between {mesh.size} devices.")

    def go(self) -> Path:
        """Run to the end."""
        if not self.fleet.takes_turns:
            self.fleet.start()
        try:
            while self._updates < self.config.total_updates:
                if self.fleet.may_learn:
                    self._learn()
                elif self.fleet.takes_turns:
                    self.fleet.round()
                else:
                    self.fleet.wait(1.0)
                self._keep_house()
        except KeyboardInterrupt:
            self.say("Interrupted; writing a checkpoint.")
            self._look()
            self._save()
            raise
        self.fleet.stop()
        self._look()
        self._write_log(self._evaluation() if self.evaluate else {})
        return self._save()

    def close(self) -> None:
        """Stop the actors and close the files."""
        self.fleet.close()
        self.log.close()

    def _acting(self, agent: Agent) -> Agent:
        """A copy for the actors: its densities are compared with the learner's, so its arithmetic is the learner's."""
        return in_precision(copy_of(agent, self._home), self.config.learner.image_precision)

    def _learn(self) -> None:
        if self._updates == 0 and not self.keeps_normaliser:
            moments = self.fleet.moments()
            agent, anchor = (set_normaliser(a, *map(jnp.asarray, moments)) for a in (self.learned.agent, self.learned.anchor))
            self.learned = self.learned._replace(agent=agent, anchor=copy_of(anchor))
            self.fleet.agent = self._acting(agent)
        batch = self.fleet.sample(self._updates, self.rollbacks)
        self.learned, report = self.update(self.learned, batch, jnp.asarray(self.fleet.batch_tasks))
        self._updates += 1
        self._pending.append(report)
        self.fleet.learned(report)
        if self._updates % self.config.publish_updates == 0:
            self.fleet.agent = self._acting(self.learned.agent)
        self.fleet.teacher_share = self.config.collection.share_at(self._updates)

    def _keep_house(self) -> None:
        now = time.monotonic()
        if (now - self._saved > self.config.checkpoint_seconds or self.fleet.nearly_full) and self._look():
            self._save()
        if now - self._logged > self.config.log_seconds:
            self._look()
            self._write_log({})
        if self.evaluate and now - self._evaluated > self.config.evaluate_seconds:
            self._write_log(self._evaluation())

    def _look(self) -> bool:
        """Fetch what the updates since the last look reported, and go back to the last checkpoint if learning has diverged.

        Returns:
            whether all was well.
        """
        reports = [jax.tree.map(np.asarray, report) for report in self._pending]
        self._pending = []
        self._reports += reports
        wrong = self.watch.look(reports, self.learned)
        if wrong is None:
            return True
        self.rollbacks += 1
        found = self.store.checkpoints.latest()
        if self.rollbacks > self.config.divergence.most_rollbacks or found is None:
            raise TrainingDiverged(
                f"After {self._updates} updates: {wrong} The run went back {self.rollbacks - 1} times already. Lower the learning rate "
                "or raise popart_step, then start anew from the last checkpoint's agent."
            )
        like = self.learned._replace(agent=())
        checkpoint = load_checkpoint(found)
        self.learned = checkpoint.tree("learner", like)._replace(agent=checkpoint.agent)
        self.say(f"DIVERGED after {self._updates} updates. {wrong} Back to {found.name}, with other batches.")
        self._updates = int(self.learned.update)
        self.fleet.agent = self._acting(self.learned.agent)
        return False

    def _save(self) -> Path:
        """Write a checkpoint."""
        config, learned = self.config, self.learned
        self.fleet.flush()
        counts = self._counts()
        trees = {"learner": learned._replace(agent=()), "counts": counts}
        if config.deterministic:
            trees["actors"] = (self.fleet.agent, tuple(actor.snapshot() for actor in self.fleet.actors))
        hours = (self.seconds + time.monotonic() - self._begun) / 3600
        stage = Stage(
            method=self.method,
            trained_from=self.origin,
            tasks=config.tasks,
            steps=self.fleet.steps,
            wall_clock_hours=hours,
            machine=_machine(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        numbers = {"updates": self._updates, "steps": self.fleet.steps}
        lineage = (*self.lineage, stage)
        path = self.store.checkpoints.save(self.fleet.steps, learned.agent, lineage=lineage, trees=trees, numbers=numbers)
        self.fleet.mark(counts["inserted"].tolist())
        self._saved = time.monotonic()
        return path

    def _counts(self) -> dict[str, np.ndarray]:
        return {
            "inserted": np.array([replay.inserted for replay in self.fleet.replays]),
            "sampled": np.array([replay.sampled for replay in self.fleet.replays]),
            "rollbacks": np.array(self.rollbacks),
            "seconds": np.array(self.seconds + time.monotonic() - self._begun),
            "teacher_share": np.array(self.fleet.teacher_share),
        }

    def _restore(self, found: Checkpoint) -> None:
        counts = found.tree("counts", self._counts())
        self.learned = found.tree("learner", self.learned._replace(agent=()))._replace(agent=found.agent)
        self.lineage = found.lineage[:-1]
        self.method, self.origin = found.lineage[-1].method, found.lineage[-1].trained_from
        self.rollbacks, self.seconds = int(counts["rollbacks"]), float(counts["seconds"])
        self.fleet.teacher_share = float(counts["teacher_share"])
        self.fleet.rewind(counts["inserted"].tolist(), counts["sampled"].tolist())
        self.fleet.agent = self._acting(self.learned.agent)
        if self.config.deterministic:
            like = (self.fleet.agent, tuple(actor.snapshot() for actor in self.fleet.actors))
            self.fleet.agent, snapshots = found.tree("actors", like)
            for actor, arrays in zip(self.fleet.actors, snapshots, strict=True):
                actor.restore(arrays)
        self.say(f"Going on from {found.path.name} after {int(self.learned.update)} updates.")
        if again := self.fleet.warming_again:
            self.say(f"The replay was in the device's memory and is lost: {again:,} steps are collected before learning goes on.")

    def _evaluation(self) -> dict[str, float]:
        assert self.evaluate is not None
        scores = self.evaluate(copy_of(self.learned.agent, self._home), self._updates)
        self._evaluated = time.monotonic()
        self.say("Evaluation: " + ", ".join(f"{task} {score:.2f}" for task, score in scores.items()))
        return {f"evaluation/{task}": score for task, score in scores.items()}

    def _write_log(self, extra: Mapping[str, float]) -> None:
        now = time.monotonic()
        passed, self._logged = max(now - self._logged, 1e-9), now
        updates, steps = self._since
        self._since = (self._updates, self.fleet.steps)
        row = {
            "update": self._updates,
            "step": self.fleet.steps,
            "seconds": self.seconds + now - self._begun,
            "updates_per_second": (self._updates - updates) / passed,
            "steps_per_second": (self.fleet.steps - steps) / passed,
            "skipped_updates": int(self.learned.skipped),
            "rollbacks": self.rollbacks,
        }
        if self._updates:
            row["samples_per_insert"] = self.fleet.ratio
        row |= summarise(self._reports, self.fleet.drain(), self.config.tasks) | dict(extra)
        self._reports = []
        self.log.write(row)
        self.say(progress.line(row, self.config.tasks, self.config.total_steps, self.config.collection.samples_per_insert))


def _latest(store: RunStore) -> Checkpoint | None:
    """The newest whole checkpoint; None for a run that was killed before its first one."""
    path = store.checkpoints.latest()
    return None if path is None else load_checkpoint(path)


def _mesh(config: TrainConfig) -> Mesh | None:
    """The devices that learn, the one that collects first. A device that is named is used alone, unless more are asked for."""
    wanted, first, named = config.learner.num_devices, None, config.collection.warp_device
    if config.collection.device == "gpu":
        from vrodent.simulation.gpu import gpu_devices

        first = gpu_devices(named)[1]
        wanted = 1 if wanted is None and named is not None else wanted
    return learner_mesh(wanted, config.batch_unrolls, first)


def _stance() -> jax.Array:
    arena = arena_spec()
    add_rat(arena)
    return jnp.asarray(standing_ctrl(arena.compile()))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, JAX on {jax.devices()[0].device_kind}"


def latest_agent(out: Path) -> Path:
    """The newest whole checkpoint of a run's directory.

    Raises:
        ResumeError: there is none.
    """
    path = RunStore(out, 1).checkpoints.latest()
    if path is None:
        raise ResumeError(f"{out} holds no checkpoint.")
    return path
