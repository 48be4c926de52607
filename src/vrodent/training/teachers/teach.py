"""Learning a teacher: practice on one thread, updates on another, an evaluation of nothing but its own tracking.

One command: `vrodent teach --out DIR`. A resumed run takes up networks, optimisers, replay and difficulties, and starts its episodes anew.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.training.lineage import Stage
from vrodent.training.teachers.grounds import make_grounds
from vrodent.training.teachers.mirror import Mirror
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.normaliser import RunningMoments
from vrodent.training.teachers.practice import GroundStep, PracticeConfig, PracticeGround
from vrodent.training.teachers.privileged import OBSERVATION_SIZE
from vrodent.training.teachers.sac import SacConfig, SacLearner, SacMetrics, SacVariables
from vrodent.training.teachers.shaping import ShapingConfig
from vrodent.training.teachers.store import config_json, find_teacher, load_run, save_run, start_from
from vrodent.training.teachers.stumbles import Stumbles
from vrodent.training.teachers.transitions import ReplayConfig, TransitionReplay, Transitions


@dataclass(frozen=True, kw_only=True)
class TeachConfig:
    """A teacher's schooling.

    Attributes:
        seed: of everything.
        steps: control steps in all worlds together.
        updates: critic updates per control step of all worlds; even, two to an actor update.
        batch_size: transitions in an update.
        warm_up: transitions in the replay before the first update (after a resume without replay, too).
        random_steps: control steps with random actions at the start.
        moments_steps: control steps after which the observation's normalisation is frozen.
        noise_correlation: between the exploration noise of one control step and the next; 0 is white. Noise that lasts moves limbs farther
            (Eberhard et al. 2023, OpenReview hQ9V5QN27eS): a rat on its back never comes to its feet by white noise.
        actor_from: control step from which the actor learns; the critics alone do before, of what a teacher taken over is worth elsewhere.
        calm: share of the worlds that act by the mean action, without noise. It is the mean that a teacher is judged by, and where it
            stands still, or sways, is a place that noise never lets a rat stay in: nobody would learn that it is bad there.
        stumbles: that begin a second in each world, see `vrodent.training.teachers.stumbles`; for a teacher whose student is clumsy.
        mirror: learn from half of what is sampled as if seen in a mirror, see `mirror`: a step teaches twice, left is as good as right.
        save_every: s between checkpoints.
        actor_width, critic_width: units.
        practice, sac, replay: see there.
    """

    seed: int = 0
    steps: int = 4_000_000
    updates: int = 12
    batch_size: int = 256
    warm_up: int = 10_000
    random_steps: int = 8_000
    moments_steps: int = 400_000
    noise_correlation: float = 0.0
    actor_from: int = 0
    calm: float = 0.0
    stumbles: float = 0.0
    mirror: bool = False
    save_every: float = 120.0
    actor_width: int = 256
    critic_width: int = 256
    practice: PracticeConfig = field(default_factory=PracticeConfig)
    sac: SacConfig = field(default_factory=SacConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)

    def __post_init__(self) -> None:
        if self.updates < 2 or self.updates % 2:
            raise ValueError(f"updates must be even and at least 2, got {self.updates}.")
        if self.warm_up < self.batch_size:
            raise ValueError(f"warm_up must be at least batch_size = {self.batch_size}, got {self.warm_up}.")
        if not 0 <= self.noise_correlation < 1:
            raise ValueError(f"noise_correlation must be at least 0 and less than 1, got {self.noise_correlation}.")
        if not 0 <= self.calm < 1:
            raise ValueError(f"calm must be a share in [0, 1), got {self.calm}: somebody must explore.")
        if not 0 <= self.stumbles <= 50:
            raise ValueError(f"stumbles must be from 0 to 50 a second, got {self.stumbles}.")
        if self.replay.capacity < self.warm_up:
            raise ValueError(f"replay.capacity must be at least warm_up = {self.warm_up}, got {self.replay.capacity}.")


class Classroom:
    """All grounds as one: observations, actions and ends of all their worlds, ground after ground."""

    def __init__(self, grounds: list[PracticeGround]):
        self.grounds = grounds
        ends = np.cumsum([ground.env.num_worlds for ground in grounds])
        self.rows = [slice(end - ground.env.num_worlds, end) for ground, end in zip(grounds, ends, strict=True)]
        self.num_worlds = int(ends[-1])

    def observe(self) -> np.ndarray:
        """(world, observation)."""
        return np.concatenate([ground.observe() for ground in self.grounds])

    def step(self, action: np.ndarray) -> tuple[list[GroundStep], np.ndarray]:
        """Step and restart all; the steps, and the observations to act on next."""
        steps, following = [], []
        for ground, rows in zip(self.grounds, self.rows, strict=True):
            last = ground.step(action[rows])
            steps.append(last)
            following.append(ground.restart(last))
        return steps, np.concatenate(following)


def _join(steps: list[GroundStep], name: str) -> np.ndarray:
    return np.concatenate([getattr(step, name) for step in steps])


class Schooling:
    """One run. `run` returns when the steps are taken, or soon after SIGTERM or Ctrl-C, with everything saved.

    Args:
        config: the settings; on resume those stored in `out` are used.
        out: folder, made if need be.
        resume: take up the run in `out`.
        start: a teacher's folder to start from, instead of fresh networks.

    Raises:
        FileExistsError: `out` holds a run and resume is False.
        FileNotFoundError: resume is True and `out` holds none.
    """

    def __init__(self, config: TeachConfig, out: Path, *, resume: bool = False, start: Path | None = None):
        self.out = Path(out)
        begun = self.out / "config.json"
        if resume and not begun.is_file():
            raise FileNotFoundError(f"{self.out} holds no run to go on with: leave --resume out to begin one there.")
        if not resume and begun.exists():
            raise FileExistsError(f"{self.out} already holds a run: go on with it by --resume, or choose another folder.")
        self.config = config = config_from_json(begun.read_text()) if resume else config
        self.network = TeacherConfig(
            observation_size=OBSERVATION_SIZE, actor_width=config.actor_width, critic_width=config.critic_width,
            action_scale=config.practice.action_scale,
        )  # fmt: skip
        self.learner = SacLearner(self.network, config.sac)
        self.variables: SacVariables = self.learner.initial(config.seed)
        self.moments = RunningMoments(OBSERVATION_SIZE)
        size = OBSERVATION_SIZE * (2 if config.practice.onlooker else 1)
        self.replay = TransitionReplay(config.replay, size, self.network.action_size, config.sac.gamma)
        self.steps = 0
        self.seconds = 0.0
        # Pictures are dear, and so are rats that fall about on bumps: who practises by an onlooker is worth both halves of a small machine.
        threads = 0 if config.practice.onlooker else 1
        self.classroom = Classroom(make_grounds(config.practice, config.seed, num_threads=threads))
        self._stopping = False
        self.origin: tuple[Stage, ...] = ()
        if resume:
            load_run(self, self.out)
        else:
            if start is not None:
                self.origin = start_from(self, find_teacher(start))
            self.out.mkdir(parents=True, exist_ok=True)
            begun.write_text(config_json(config))
        self.rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(1_000, self.steps)))
        worlds = np.arange(self.classroom.num_worlds + 1)
        self._calm = np.diff(np.floor(worlds * config.calm)) > 0  # spread evenly, over grounds and difficulties
        self._noise = self.rng.standard_normal((self.classroom.num_worlds, self.network.action_size))
        self._mirror = Mirror.of(self.classroom.grounds[0].env.index)
        self._stumbles = Stumbles(config.stumbles, self.classroom.num_worlds, self.network.action_size)
        self._act = jax.jit(lambda actor, observation, noise: actor.with_noise(observation, noise)[0])

    def teacher(self) -> Teacher:
        """The teacher as it stands."""
        blank = Teacher(jax.random.key(0), self.network)
        values = (self.variables.actor, jnp.asarray(self.moments.mean, jnp.float32), jnp.asarray(self.moments.variance, jnp.float32))
        return _with(blank, *values)

    def lineage(self) -> tuple[Stage, ...]:
        """What made it."""
        practice = self.config.practice
        bound = " with its eyes bound" if practice.blindfold else ""
        told = f"told by {practice.onlooker}{bound}, critics by " if practice.onlooker else ""
        stage = Stage(
            method=f"soft actor-critic on practice grounds, {practice.physics} physics, {told}privileged observation",
            trained_from=self.origin[-1].method if self.origin else f"initial weights, seed {self.config.seed}",
            tasks=tuple(type(ground).__name__ for ground in self.classroom.grounds),
            steps=self.steps,
            wall_clock_hours=self.seconds / 3600,
            machine=f"{platform.machine()}, {os.cpu_count()} cores",
        )
        return (*self.origin, stage)

    def run(self, report: Callable[[str], None] = print) -> None:
        """Learn."""
        previous = signal.signal(signal.SIGTERM, lambda *_: self.stop())
        try:
            with ThreadPoolExecutor(1) as simulator:
                self._loop(simulator, report)
        finally:
            signal.signal(signal.SIGTERM, previous)
            save_run(self, self.out)

    def stop(self) -> None:
        """Ask the run to end after the present step."""
        self._stopping = True

    def _loop(self, simulator: ThreadPoolExecutor, report: Callable[[str], None]) -> None:
        observation = self.classroom.observe()
        start, saved, tally = time.monotonic(), time.monotonic(), Tally(self.classroom)
        first_step, first_seconds = self.steps, self.seconds
        goal = self.config.steps
        metrics: SacMetrics | None = None
        while self.steps < goal and not self._stopping:
            action = self._choose(observation)
            future = simulator.submit(self.classroom.step, action)
            if self.replay.size >= self.config.warm_up:
                self.variables, metrics = self._learn()
            steps, following = future.result()
            self._store(observation, action, steps)
            tally.add(steps)
            observation = following
            self.steps += self.classroom.num_worlds
            now = time.monotonic()
            self.seconds = first_seconds + now - start
            if now - tally.since > 30:
                rate = (self.steps - first_step) / (now - start)
                report(tally.line(self.steps, goal, rate, metrics))
                tally.write(self.out / "progress.csv", self.steps, self.seconds, metrics)
                tally = Tally(self.classroom)
            if now - saved > self.config.save_every:
                save_run(self, self.out, replay=False)
                saved = now

    def _choose(self, observation: np.ndarray) -> np.ndarray:
        if self.steps < self.config.random_steps and not self.origin:
            shape = (self.classroom.num_worlds, self.network.action_size)
            return np.clip(self.rng.normal(0.0, 0.4, shape), -1.0, 1.0).astype(np.float32)
        last = self.config.noise_correlation
        self._noise = last * self._noise + np.sqrt(1.0 - last**2) * self.rng.standard_normal(self._noise.shape)
        noise = np.where(self._calm[:, None], 0.0, self._noise)
        told = self._normalised(observation[:, :OBSERVATION_SIZE])
        chosen = self._act(self.variables.actor, told, noise.astype(np.float32))
        return self._stumbles(np.asarray(chosen), self.rng)

    def _normalised(self, observation: np.ndarray) -> np.ndarray:
        normalised = _parts(observation) - self.moments.mean.astype(np.float32)
        normalised *= (1.0 / np.sqrt(self.moments.variance + 1e-3)).astype(np.float32)
        return np.clip(normalised, -8.0, 8.0, out=normalised).reshape(observation.shape)

    def _learn(self) -> tuple[SacVariables, SacMetrics]:
        batch = self.replay.sample(self.rng, (self.config.updates // 2, 2, self.config.batch_size))
        if self.config.mirror:
            self._reflect(batch, self.config.batch_size // 2)
        batch = batch._replace(
            observation=self._normalised(batch.observation), next_observation=self._normalised(batch.next_observation)
        )
        variables, metrics = self.learner.update(self.variables, batch)
        if self.steps < self.config.actor_from:
            held = {name: getattr(self.variables, name) for name in ("actor", "log_temperature", "actor_optimiser")}
            variables = variables._replace(**held)
        if not np.isfinite(float(metrics.critic_loss)):
            raise FloatingPointError(
                f"The critics' error is {float(metrics.critic_loss)} after {self.steps} steps. The last checkpoint in {self.out} is whole: "
                "resume from it, with a smaller sac.learning_rate if this happens again."
            )
        return variables, metrics

    def _reflect(self, batch: Transitions, count: int) -> None:
        """Turn the first `count` transitions of every minibatch into their mirror images. Which they are is chance already."""
        rows = (..., slice(count), slice(None))
        for observation in (batch.observation, batch.next_observation):
            _parts(observation)[..., :count, :, :] = self._mirror.observation(_parts(observation[rows]))
        batch.action[rows] = self._mirror.action(batch.action[rows])

    def _store(self, observation: np.ndarray, action: np.ndarray, steps: list[GroundStep]) -> None:
        if self.steps < self.config.moments_steps and not self.origin:
            self.moments.add(observation[:, -OBSERVATION_SIZE:])
        self.replay.add(
            observation, action, _join(steps, "reward"), _join(steps, "terminated"), _join(steps, "truncated"), _join(steps, "observation"),
            _join(steps, "practised"),
        )  # fmt: skip


def _parts(observation: np.ndarray) -> np.ndarray:
    """(..., part, OBSERVATION_SIZE), the same memory: one observation, or what is told and what is true."""
    return observation.reshape(*observation.shape[:-1], -1, OBSERVATION_SIZE)


class Tally:
    """How each ground has gone since the last report."""

    def __init__(self, classroom: Classroom):
        self.since = time.monotonic()
        self._names = [type(ground).__name__ for ground in classroom.grounds]
        self._grounds = classroom.grounds
        self._sums = np.zeros((len(self._names), 7))

    def add(self, steps: list[GroundStep]) -> None:
        """Take in a step of every ground, where it was practice."""
        for i, step in enumerate(steps):
            ended, here = step.terminated | step.truncated, step.practised
            first, second = (step.taps == 1).sum(), (step.taps == 2).sum()
            reward, tracking = step.reward[here].sum(), step.tracking[here].sum()
            self._sums[i] += here.sum(), reward, tracking, step.terminated.sum(), ended.sum(), first, second

    def rows(self) -> list[tuple[str, float, float, float, float, float, float, float, float]]:
        """(ground, reward per step, tracking, share of episodes that fell, difficulty, top speed m/s, first taps and correct second taps
        a minute, s that passed for each end of an episode) of each ground."""
        found = []
        for name, (count, reward, tracking, fell, ended, *taps), ground in zip(self._names, self._sums, self._grounds, strict=True):
            values = reward / max(count, 1), tracking / max(count, 1), fell / max(ended, 1)
            minutes = max(count, 1) * 0.02 / 60
            grown = float(ground.difficulty.mean()), float(ground.top_speed.mean())
            found.append((name, *values, *grown, *(n / minutes for n in taps), 0.02 * count / max(ended, 1)))
        return found

    def line(self, steps: int, goal: int, rate: float, metrics: SacMetrics | None) -> str:
        """One line for a person: how far, how long still, how it goes."""
        left = (goal - steps) / max(rate, 1e-9)
        parts = [
            f"{n} {r:.2f}/step track {t:.2f} fell {f:.0%} after {s:.1f} s level {d:.2f} to {v:.2f} m/s"
            + (f" taps {a:.1f}, {b:.1f}/min" if a else "")
            for n, r, t, f, d, v, a, b, s in self.rows()
        ]
        learned = "" if metrics is None else f" | critic error {float(metrics.critic_loss):.3f} value {float(metrics.value):.2f}"
        return f"{steps:,} of {goal:,} steps, {rate:.0f}/s, {left / 60:.0f} min left | " + " | ".join(parts) + learned

    def write(self, path: Path, steps: int, seconds: float, metrics: SacMetrics | None) -> None:
        """Append a row per ground to a CSV."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                names = ("reward", "tracking", "fell", "difficulty", "top_speed", "taps", "double_taps", "lasted")
                writer.writerow(["steps", "seconds", "ground", *names, "critic_error"])
            error = "" if metrics is None else float(metrics.critic_loss)
            for row in self.rows():
                writer.writerow([steps, round(seconds, 1), *row, error])


def _with(teacher: Teacher, actor: object, mean: jax.Array, variance: jax.Array) -> Teacher:
    return eqx.tree_at(lambda t: (t.actor, t.observation_mean, t.observation_variance), teacher, (actor, mean, variance))


def config_from_json(text: str) -> TeachConfig:
    """The settings from `config.json` of a run.

    Raises:
        ValueError: not a run's settings of this version.
    """
    try:
        values = json.loads(text)
        practice = values.pop("practice")
        practice["shaping"] = ShapingConfig(**practice["shaping"])
        for name in ("num_worlds", "top_speed", "levels"):
            practice[name] = None if practice.get(name) is None else tuple(practice[name])
        return TeachConfig(
            **{key: values[key] for key in values if key not in ("sac", "replay")},
            practice=PracticeConfig(**practice),
            sac=SacConfig(**values["sac"]),
            replay=ReplayConfig(**values["replay"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"these are no settings of a teacher's run of this version: {error!r}") from error
