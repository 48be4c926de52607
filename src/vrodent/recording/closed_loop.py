"""Many short experiments on one agent at once: trials with interventions in its units, each beside its like without, in parallel worlds.

Trial i of every condition takes place in the same arena, from the same start, with the same noise in the actions: what differs is what
was done to the units. What a trial gives does not depend on the world it ran in nor on what ran beside it, as long as the number of
worlds is the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from vrodent.behaviour import SIGNALS
from vrodent.recording.body import BodyReader
from vrodent.recording.events import EventTracker
from vrodent.recording.intervention import Intervention, LoopMind, layer_sizes_of
from vrodent.recording.mind import ActingAgent
from vrodent.recording.rollout import Listener, VideoConfig
from vrodent.recording.schedule import NEVER, Chronicle, Window
from vrodent.recording.schema import RATE
from vrodent.recording.tally import Forecast, Tally
from vrodent.recording.trial import Measure
from vrodent.recording.video import VideoWriter
from vrodent.simulation import CpuSimulation, Step, make
from vrodent.task import Arena, get_task

MOST_WORLDS = 16
_ARENAS_KEPT = 8


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings that all trials of an experiment share.

    Attributes:
        task: `gaps`, `forage`, `bowl` or `two_tap`.
        seed: of the arenas and of the actions' noise.
        deterministic: take the mean of the policy instead of a sample.
        physics: "reference" is the paper's.
        num_worlds: trials run at once, 0 for up to 16. The same number gives the same values.
        num_threads: of the simulation, 0 for one a core.
        time_limit: s after which a trial is cut short; None for the task's own limit.
        variable: `h`, interventions overwrite the units' output, the cell state running on beneath; `c`, the cell state, their output
            following.
        window: when interventions act. It opens in trials without interventions too, where nothing comes of it.
        traces: keep every frame of the motion, the controls and the activity, for a look at single trials.
        video: size and pace of films.
    """

    task: str
    seed: int = 1
    deterministic: bool = False
    physics: Literal["reference", "training"] = "reference"
    num_worlds: int = 0
    num_threads: int = 0
    time_limit: float | None = None
    variable: Literal["h", "c"] = "h"
    window: Window = field(default_factory=Window)
    traces: bool = False
    video: VideoConfig = field(default_factory=lambda: VideoConfig(seconds=12.0, shadows=False))

    def __post_init__(self) -> None:
        get_task(self.task)
        self.window.check(self.task)
        if self.variable not in ("h", "c"):
            raise ValueError(f"variable must be 'h' (output) or 'c' (cell state), got {self.variable!r}.")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}.")
        if self.num_worlds < 0:
            raise ValueError(f"num_worlds must be 0 (choose for me) or more, got {self.num_worlds}.")
        if self.physics not in ("reference", "training"):
            raise ValueError(f"physics must be 'reference' or 'training', got {self.physics!r}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise ValueError(f"time_limit must be positive seconds or None, got {self.time_limit}.")

    @property
    def seconds(self) -> float:
        """Longest that a trial lasts, s."""
        limit = get_task(self.task).time_limit
        return limit if self.time_limit is None else min(limit, self.time_limit)

    def worlds(self, jobs: int) -> int:
        """Worlds that are used for so many trials: as many as were asked for, even if some then idle, for the values depend on it."""
        return self.num_worlds or min(MOST_WORLDS, jobs)


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One trial to be run.

    Attributes:
        trial: which arena and which noise.
        interventions: what is done to the units; nothing by default.
        film: file for a film of it from outside, mp4; its folder exists.
    """

    trial: int
    interventions: tuple[Intervention, ...] = ()
    film: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LoopTrial:
    """What one trial gave.

    Attributes:
        trial: as in its job.
        arena_seed: what the arena was drawn from, as `1/3/0`.
        frames: how long it lasted, at 50 a second.
        terminated: the task ended it by its own rule, or the physics failed.
        diverged: the physics failed.
        total_reward: sum of the rewards.
        measures: the task's success measures.
        motion: means over the trial: `speed` (m/s, horizontal), `upright` (cosine of the trunk's tilt), `upright_speed` (m/s, of frames in
            which the trunk tilts by less than 60 degrees, the others counting as 0), `joint_speed` (rad/s, root mean square over joints).
        events: name and frame of the task's events and of the behaviours that began.
        openings: frames at which the window opened.
        open_frames: in how many frames it was open.
        traces: (frame, ...) arrays where they were asked for: `signals` (see `vrodent.behaviour.SIGNALS`), `qpos`, `ctrl`,
            `activity_LAYER_h`, `activity_LAYER_c`.
    """

    trial: int
    arena_seed: str
    frames: int
    terminated: bool
    diverged: bool
    total_reward: float
    measures: Mapping[str, Measure]
    motion: Mapping[str, float]
    events: tuple[tuple[str, int], ...]
    openings: tuple[int, ...]
    open_frames: int
    traces: Mapping[str, np.ndarray] = field(default_factory=dict)


Finished = Callable[[int, LoopTrial], None]
"""Told of the number of a job and what it gave, as soon as it has."""


def closed_loop(
    agent: ActingAgent, jobs: Sequence[Job], config: LoopConfig, *, progress: Listener | None = None, finished: Finished | None = None
) -> list[LoopTrial]:
    """Run trials of an agent, with interventions or without.

    Args:
        agent: an `Agent`, or anything with its methods.
        jobs: the trials, run in about this order.
        config: what they share.
        progress: told how far it is, at most five times a second.
        finished: told of every trial as it ends.

    Returns:
        What each job gave, in the order of the jobs.

    Raises:
        ValueError: no jobs, or an intervention in a layer or units that the agent does not have; before anything runs.
    """
    if not jobs:
        raise ValueError("closed_loop needs at least one job.")
    sizes = layer_sizes_of(agent)
    for job in jobs:
        for intervention in job.interventions:
            intervention.check(sizes)
    task: Any = get_task(config.task)
    task = dataclasses.replace(task, time_limit=config.seconds)
    env = make(task, config.worlds(len(jobs)), config.seed, physics=config.physics, camera=True, num_threads=config.num_threads)
    try:
        return _Loop(env, agent, jobs, config, progress, finished).run()
    finally:
        env.close()


@dataclass(kw_only=True, eq=False)
class _Running:
    """A trial in progress."""

    number: int
    job: Job
    tally: Tally
    film: VideoWriter | None = None


class _Loop:
    """The loop: worlds take the next job as they become free."""

    def __init__(
        self, env: CpuSimulation, agent: ActingAgent, jobs: Sequence[Job], config: LoopConfig, progress: Listener | None,
        finished: Finished | None,
    ) -> None:  # fmt: skip
        self._env, self._jobs, self._config, self._told = env, jobs, config, finished
        self._mind = LoopMind(agent, env.num_worlds, config.seed, config.variable, deterministic=config.deterministic)
        self._body = BodyReader.of(env.model)
        self._tracker = EventTracker(env.task.name, env.num_worlds)
        self._chronicle = Chronicle(env.task.name, env.num_worlds)
        self._running: list[_Running | None] = [None] * env.num_worlds
        self._next = 0
        self._finished: dict[int, LoopTrial] = {}
        self._arenas: OrderedDict[int, Arena] = OrderedDict()
        self._forecast = Forecast(len(jobs), env.task.time_limit * RATE, progress)

    def run(self) -> list[LoopTrial]:
        """Run all jobs."""
        try:
            observation = self._start(list(range(self._env.num_worlds)), {})
            while any(self._running):
                observation = self._frame(observation)
            self._forecast.tell([], 0, last=True)
            return [self._finished[number] for number in range(len(self._jobs))]
        finally:
            for running in self._running:
                if running is not None and running.film is not None:
                    running.film.close()

    def _frame(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        env, fields = self._env, self._env.physics.fields
        values, began = self._chronicle.sense(fields.qpos, fields.qvel, self._body.stride_paw(fields))
        moment = self._chronicle.moment()
        since = self._config.window.since(moment)
        ctrl, memory = self._mind.act(observation, moment.trial, moment.frame, since)
        active = [(world, running) for world, running in enumerate(self._running) if running]
        joint_speed = np.sqrt((fields.qvel[:, self._body.index.joint_dof] ** 2).mean(axis=1))
        for world, running in active:
            running.tally.sense(dict(zip(SIGNALS, values[world], strict=True)), float(joint_speed[world]), int(since[world]))
            self._trace(running, world, values, ctrl, memory)
            self._film(running, world)
        step = env.step(ctrl)
        happened = self._tracker.update(step.info.events)
        for world, name in (*began, *happened):
            if (running := self._running[world]) is not None:
                running.tally.happened(name)
        for world, running in active:
            running.tally.step(float(step.info.reward[world]))
        self._chronicle.advance(happened)
        ended = [world for world, _ in active if step.terminated[world] or step.truncated[world]]
        for world in ended:
            self._end(world, step)
        observation = self._start(ended, step.observation)
        self._forecast.tell([one.tally.frames for one in self._running if one], len(self._jobs) - self._next)
        return observation

    def _start(self, worlds: list[int], observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Give free worlds the next jobs. Returns the observation of all worlds."""
        started, arenas = [], []
        for world in worlds:
            self._running[world] = None
            interventions: tuple[Intervention, ...] = ()
            trial = NEVER
            if self._next < len(self._jobs):
                job = self._jobs[self._next]
                film = VideoWriter(job.film, RATE / self._config.video.every, "browser") if job.film else None
                self._running[world] = _Running(number=self._next, job=job, tally=Tally(), film=film)
                trial, interventions = job.trial, job.interventions
                self._next += 1
                started.append(world)
                arenas.append(self._arena(trial))
            elif not observation:  # an idle world must be somewhere, too
                started.append(world)
                arenas.append(self._arena(self._jobs[0].trial))
            self._tracker.restart(world)
            self._chronicle.restart(world, trial)
            self._mind.restart(world, trial, interventions)
        return self._env.reset_to(np.array(started), arenas) if started else observation

    def _arena(self, trial: int) -> Arena:
        """The arena of a trial, that of `record` with the same seed; drawn once for the conditions that come one after the other."""
        if trial not in self._arenas:
            self._arenas[trial] = self._env.draw(trial, 0)
            if len(self._arenas) > _ARENAS_KEPT:
                self._arenas.popitem(last=False)
        return self._arenas[trial]

    def _trace(self, running: _Running, world: int, values: np.ndarray, ctrl: np.ndarray, memory: Mapping[str, jax.Array]) -> None:
        if self._config.traces:
            qpos = self._env.physics.fields.qpos[world]
            activity = {name: np.asarray(held)[world] for name, held in memory.items()}
            running.tally.trace({"signals": values[world], "qpos": qpos, "ctrl": ctrl[world], **activity})

    def _film(self, running: _Running, world: int) -> None:
        video, frame = self._config.video, running.tally.frames
        limit = math.inf if video.seconds is None else video.seconds * RATE
        if running.film is not None and frame % video.every == 0 and frame < limit:
            picture = self._env.render(world, camera=video.camera, width=video.width, height=video.height, shadows=video.shadows)
            running.film.add(picture)

    def _end(self, world: int, step: Step) -> None:
        running = self._running[world]
        assert running is not None
        if running.film is not None:
            running.film.close()
        tally = running.tally
        trial = LoopTrial(
            trial=running.job.trial,
            arena_seed=f"{self._config.seed}/{running.job.trial}/0",
            frames=tally.frames,
            terminated=bool(step.terminated[world]),
            diverged=bool(step.info.diverged[world]),
            total_reward=tally.total_reward,
            measures=self._tracker.measures(step.info.events, world),
            motion=tally.motion(),
            events=tuple(tally.events),
            openings=tuple(tally.openings),
            open_frames=tally.open_frames,
            traces=tally.traces(),
        )
        self._finished[running.number] = trial
        self._forecast.ended(tally.frames)
        if self._told is not None:
            self._told(running.number, trial)
