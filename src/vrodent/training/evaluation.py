"""How good an agent is: trials in arenas it has not learned in, the release's rewards and limits, intervals over trials."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Actor
from vrodent.simulation import CpuSimulation, Step, make
from vrodent.task import CONTROL_STEP, TASK_NAMES, get_task
from vrodent.training.intervals import Estimate, mean_estimate, proportion_estimate
from vrodent.version import __version__

WORLDS = 25
"""Worlds run at once. Fixed, so that trial i has the same arena however many trials are run: episode i // 25 of world i % 25."""

HELD_OUT_SEED = 1000
"""Seed of the arenas that agents are compared in. Nobody trains with it."""

VALIDATION_SEED = 2000
"""Seed of the arenas by which a run may choose between its checkpoints: those of `HELD_OUT_SEED` stay unseen. Nobody trains with it."""

_MEASURES = {"gaps": ("gaps_crossed", "1"), "forage": ("orbs_taken", "1"), "bowl": ("farthest", "m"), "two_tap": ("taps", "1")}
_NAMES = {"taps": "correct_taps"}
Listener = Callable[[str, float], None]


class Driver(Protocol):
    """Who drives the rats of one task by looking at the simulation itself, as a privileged teacher does."""

    def ctrl(self, env: CpuSimulation, /) -> np.ndarray:
        """MuJoCo's control, (world, 38)."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial.

    Attributes:
        number: from 0; with the evaluation's seed it names the arena.
        total_reward: sum of the task's rewards.
        seconds: s of simulated time.
        ended: why: "time" (limit), "rule" (the task ended by its own: a fall, all orbs taken), "physics" (it diverged).
        measure: gaps crossed, orbs taken, farthest distance of the head from the centre in m, or correct double taps.
        intervals: s between first and second taps, correct or too soon, in order; empty but for two_tap.
    """

    number: int
    total_reward: float
    seconds: float
    ended: Literal["time", "rule", "physics"]
    measure: float
    intervals: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """One task.

    Attributes:
        task: its name.
        estimates: `return` first, then the task's own measures.
        trials: one by one.
    """

    task: str
    estimates: tuple[Estimate, ...]
    trials: tuple[TrialResult, ...]

    def estimate(self, name: str) -> Estimate:
        """The estimate of that name.

        Raises:
            KeyError: there is none; lists them.
        """
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(f"{self.task} has no measure {name!r}; it has {', '.join(e.name for e in self.estimates)}")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One agent in some tasks, with what the numbers depend on. `wall_seconds` is what it took."""

    seed: int
    physics: str
    deterministic: bool
    code_version: str
    wall_seconds: float
    tasks: tuple[TaskResult, ...]

    def task(self, name: str) -> TaskResult:
        """The result of one task.

        Raises:
            KeyError: it was not evaluated.
        """
        for result in self.tasks:
            if result.task == name:
                return result
        raise KeyError(f"{name!r} was not evaluated, only {', '.join(r.task for r in self.tasks)}")

    def to_json(self) -> str:
        """Everything, as one JSON object."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    def table(self) -> str:
        """The estimates as text to read."""
        rows = [("task", "measure", "mean", "95 % interval", "trials")]
        for result in self.tasks:
            for e in result.estimates:
                interval = "" if e.low is None or e.high is None else f"{e.low:.3g} to {e.high:.3g}"
                rows.append((result.task, e.name + ("" if e.unit == "1" else f" ({e.unit})"), f"{e.value:.4g}", interval, str(e.trials)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def evaluate(
    agent: Actor | Mapping[str, Driver],
    tasks: Sequence[str] = TASK_NAMES,
    trials: int = 25,
    seed: int = HELD_OUT_SEED,
    physics: Literal["reference", "training"] = "reference",
    *,
    deterministic: bool = False,
    camera: bool = True,
    num_threads: int = 0,
    listener: Listener | None = None,
) -> Evaluation:
    """Run an agent through trials of each task.

    Args:
        agent: an `Agent`, or anything with its `initial_memory`, `act` and `ctrl`; or a driver for each task.
        tasks: which of the four, in the order of the result.
        trials: of each task.
        seed: of arenas, starts, and the actions' noise. Trial i of a seed is the same arena whatever the number of trials.
        physics: "reference", the paper's, or the faster "training".
        deterministic: act by the policy's mean; by default it samples, as it does in recordings.
        camera: False for agents that do not look, which is faster.
        num_threads: of the simulation; 0 takes one per core.
        listener: called with the task and the share of its steps that are done.

    Raises:
        ValueError: an unknown task, none, or one twice; fewer than one trial.
    """
    tasks = tuple(tasks)
    for task in tasks:
        get_task(task)
    if not tasks or len(set(tasks)) != len(tasks):
        raise ValueError(f"tasks must name at least one task and none twice, not {tasks!r}; there are {', '.join(TASK_NAMES)}")
    if trials < 1:
        raise ValueError(f"trials must be at least 1, not {trials}")
    start, results = time.perf_counter(), []
    for task in tasks:
        env = make(task, min(trials, WORLDS), seed, physics, camera, num_threads=num_threads)
        try:
            choose = _driven(agent[task]) if isinstance(agent, Mapping) else _Acting(agent, env.num_worlds, seed, deterministic)
            results.append(summarise(task, _run(env, choose, trials, listener), seed))
        finally:
            env.close()
    return Evaluation(
        seed=seed,
        physics=physics,
        deterministic=deterministic,
        code_version=__version__,
        wall_seconds=time.perf_counter() - start,
        tasks=tuple(results),
    )


def summarise(task: str, trials: Sequence[TrialResult], seed: int = 0) -> TaskResult:
    """Estimates from trials.

    Args:
        task: whose measures they are.
        trials: at least one.
        seed: of the bootstrap.
    """
    name, unit = _MEASURES[task]
    estimates = [
        mean_estimate("return", "1", np.array([trial.total_reward for trial in trials]), seed),
        mean_estimate(_NAMES.get(name, name), unit, np.array([trial.measure for trial in trials]), seed),
    ]
    if task == "gaps":
        estimates.append(proportion_estimate("trials_with_a_fall", sum(trial.ended == "rule" for trial in trials), len(trials)))
    if task == "two_tap":
        estimates.append(proportion_estimate("trials_with_a_correct_double_tap", sum(trial.measure > 0 for trial in trials), len(trials)))
    failed = sum(trial.ended == "physics" for trial in trials)
    if failed:
        estimates.append(proportion_estimate("trials_whose_physics_failed", failed, len(trials)))
    return TaskResult(task=task, estimates=tuple(estimates), trials=tuple(trials))


_Choice = Callable[[CpuSimulation, Mapping[str, np.ndarray], int, int], np.ndarray]
"""Control (world, 38) from simulation, observation, number of the round, and step in it."""


class _Acting:
    """An agent that acts, with its memory."""

    def __init__(self, agent: Actor, num_worlds: int, seed: int, deterministic: bool) -> None:
        self._agent, self._num_worlds, self._seed, self._deterministic = agent, num_worlds, seed, deterministic

    def __call__(self, env: CpuSimulation, observation: Mapping[str, np.ndarray], index: int, steps: int) -> np.ndarray:
        if steps == 0:
            self._memory = self._agent.initial_memory(self._num_worlds)
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(self._seed), index), steps)
        seen = {name: jnp.asarray(values) for name, values in observation.items()}
        ctrl, self._memory = _act(self._agent, seen, self._memory, None if self._deterministic else key)
        return np.asarray(ctrl)


def _driven(driver: Driver) -> _Choice:
    return lambda env, observation, index, steps: driver.ctrl(env)


def _run(env: CpuSimulation, choose: _Choice, trials: int, listener: Listener | None) -> list[TrialResult]:
    """Round by round, one trial a world; a round ends with its longest trial."""
    results, rounds = [], -(-trials // env.num_worlds)
    longest = round(env.task.time_limit / CONTROL_STEP)
    for index in range(rounds):
        first = index * env.num_worlds
        ledger = _Ledger(env, first, min(trials - first, env.num_worlds))
        observation, steps = env.reset(), 0
        while not ledger.over:
            ctrl = choose(env, observation, index, steps)
            # A trial that has ended runs on unheeded until the round does.
            step = env.step(np.where(ledger.ended[:, None], 0.0, ctrl))
            ledger.add(step)
            observation, steps = step.observation, steps + 1
            if listener is not None and steps % 50 == 0:
                listener(env.task.name, (index + min(steps / longest, 1.0)) / rounds)
        results += ledger.results
    if listener is not None:
        listener(env.task.name, 1.0)
    return sorted(results, key=lambda result: result.number)


@eqx.filter_jit
def _act(agent: Actor, observation: Mapping[str, jax.Array], memory: Any, key: jax.Array | None) -> tuple[jax.Array, Any]:
    output, memory = agent.act(observation, memory, key)
    return agent.ctrl(output.action), memory


class _Ledger:
    """What has happened in the trials of a round.

    Attributes:
        ended: (world,) bool, the trial is over, or the world has none.
        results: of the trials that are over.
    """

    def __init__(self, env: CpuSimulation, first: int, trials: int) -> None:
        self._task = env.task.name
        self._first = first
        self._reward = np.zeros(env.num_worlds)
        self._intervals: list[list[float]] = [[] for _ in range(env.num_worlds)]
        self.ended = np.arange(env.num_worlds) >= trials
        self.results: list[TrialResult] = []

    @property
    def over(self) -> bool:
        """All trials have ended."""
        return bool(self.ended.all())

    def add(self, step: Step) -> None:
        """Enter one control step of all worlds."""
        self._reward[~self.ended] += step.info.reward[~self.ended]
        if self._task == "two_tap":
            for world in np.flatnonzero(~self.ended & np.isfinite(step.info.events.interval)):
                self._intervals[world].append(float(step.info.events.interval[world]))
        for world in np.flatnonzero(~self.ended & (step.terminated | step.truncated)):
            self.results.append(self._result(step, int(world)))
            self.ended[world] = True

    def _result(self, step: Step, world: int) -> TrialResult:
        failed = bool(step.info.diverged[world])
        return TrialResult(
            number=self._first + world,
            total_reward=float(self._reward[world]),
            seconds=float(step.info.time[world]),
            ended="physics" if failed else "rule" if step.terminated[world] else "time",
            measure=float(getattr(step.info.events, _MEASURES[self._task][0])[world]),
            intervals=tuple(self._intervals[world]),
        )
