"""Runs an agent through trials in parallel worlds and keeps every frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vrodent.recording.body import BodyReader
from vrodent.recording.events import EventTracker
from vrodent.recording.mind import Mind
from vrodent.recording.schedule import NEVER, Chronicle
from vrodent.recording.schema import RATE, TASK_SERIES
from vrodent.recording.trial import TrialData
from vrodent.recording.video import SUFFIX, VideoWriter

EGOCENTRIC = "egocentric"
THIRD_PERSON = "third_person"


class RecordingProgress(NamedTuple):
    """How far a recording is.

    Attributes:
        finished_trials: trials that have ended.
        trials: all trials.
        frames: frames recorded so far.
        fraction: share of the work behind us, in [0, 1]; an estimate while trials run, for they end when they like.
        seconds_left: estimated s until the end, None at the start.
    """

    finished_trials: int
    trials: int
    frames: int
    fraction: float
    seconds_left: float | None


Listener = Callable[[RecordingProgress], None]


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Which videos are made beside the data.

    Attributes:
        egocentric: what the animal sees, of every trial, without loss.
        third_person_trials: how many trials are also filmed from outside, with skin, from the first on.
        width, height: pixels of the film from outside, even.
        every: one picture of the film for so many frames: 2 films at 25 Hz. Rendering is slow without a graphics card.
        seconds: the film of a trial ends after so many; None films it all.
        camera: where from, see `vrodent.simulation.camera.render`.
        shadows: draw shadows in the film; over half of its cost.
    """

    egocentric: bool = True
    third_person_trials: int = 2
    width: int = 480
    height: int = 360
    every: int = 2
    seconds: float | None = None
    camera: str = "follow"
    shadows: bool = True

    def __post_init__(self) -> None:
        if self.third_person_trials < 0:
            raise ValueError(f"third_person_trials must not be negative, got {self.third_person_trials}.")
        for name in ("width", "height"):
            if getattr(self, name) < 2 or getattr(self, name) % 2:
                raise ValueError(f"{name} must be a positive even number of pixels, got {getattr(self, name)}.")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}.")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"seconds must be positive or None, got {self.seconds}.")


class _Frames:
    """One world's frames of the running trial: per series an array that grows."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._length = 0

    def add(self, series: dict[str, np.ndarray], world: int) -> None:
        """Append this world's row of every series."""
        for name, values in series.items():
            held = self._arrays.get(name)
            if held is None or self._length == len(held):
                grown = np.empty((max(512, 2 * self._length), *values.shape[1:]), np.float32)
                if held is not None:
                    grown[: self._length] = held
                self._arrays[name] = held = grown
            held[self._length] = values[world]
        self._length += 1

    def take(self) -> dict[str, np.ndarray]:
        """Copies of what was added."""
        return {name: values[: self._length].copy() for name, values in self._arrays.items()}


@dataclass(kw_only=True, eq=False)
class _Running:
    """A trial in progress in one world."""

    number: int
    frames: _Frames
    outcome: _Frames
    events: list[tuple[str, int]]
    length: int = 0
    eye: VideoWriter | None = None
    film: VideoWriter | None = None

    def close(self) -> None:
        """Close its videos."""
        for video in (self.eye, self.film):
            if video is not None:
                video.close()


class Rollout:
    """Runs trials. Every trial that is started is run to its end, so short trials are not over-represented.

    Trial i takes place in the arena that the seed draws for it, `env.draw(i, 0)`, whatever the number of worlds; worlds take the next
    trial as they become free.

    Args:
        env: a simulation, not yet reset.
        mind: the agent, for as many worlds.
        trials: how many.
        folder: videos go to its folders `egocentric` and `third_person`.
        video: which videos.
        progress: told how far it is, at most five times a second.
    """

    def __init__(self, env: Any, mind: Mind, trials: int, folder: Path, video: VideoConfig, progress: Listener | None = None) -> None:
        self._env, self._trials, self._folder, self._video = env, trials, folder, video
        self.mind = mind
        self._progress = progress
        self.body = BodyReader.of(env.model)
        self._tracker = EventTracker(env.task.name, env.num_worlds)
        self._chronicle = Chronicle(env.task.name, env.num_worlds) if mind.minds_the_moment else None
        self._running: list[_Running | None] = [None] * env.num_worlds
        self._next = 0
        self._finished: dict[int, TrialData] = {}
        self._frames_so_far = 0
        self._started = self._told = time.monotonic()
        if env.num_worlds > trials:
            raise ValueError(f"{env.num_worlds} worlds for {trials} trials: a world would have none.")

    def run(self) -> tuple[TrialData, ...]:
        """Run all trials.

        Returns:
            The trials, in order.
        """
        try:
            return self._run()
        finally:
            for running in self._running:
                if running is not None:
                    running.close()

    def _run(self) -> tuple[TrialData, ...]:
        env = self._env
        observation = self._start(list(range(env.num_worlds)), {})
        restart = np.ones(env.num_worlds, bool)
        while any(self._running):
            series = self.body.read(env.physics.fields)
            moment = None
            if self._chronicle is not None:
                self._chronicle.sense(series["qpos"], series["qvel"], self.body.stride_paw(env.physics.fields))
                moment = self._chronicle.moment()
            series |= self.mind.act(observation, restart, moment)
            series["proprioception"] = observation["proprioception"]
            # Views of live arrays: what is kept must be copied out before the step, which is what `add` does.
            active = [world for world, running in enumerate(self._running) if running]
            self._keep(active, series, observation)
            step = env.step(series["ctrl"])
            self._keep_outcome(active, step)
            ended = [world for world in active if step.terminated[world] or step.truncated[world]]
            for world in ended:
                self._end(world, step)
            observation = self._start(ended, step.observation)
            restart = np.isin(np.arange(env.num_worlds), ended)
            if any(self._running):
                self._tell()
        self._tell(last=True)
        return tuple(self._finished[number] for number in range(self._trials))

    def _start(self, worlds: list[int], observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Give free worlds the next trials. Returns the observation of all worlds."""
        started = []
        for world in worlds:
            self._running[world] = None
            if self._chronicle is not None:
                self._chronicle.restart(world, self._next if self._next < self._trials else NEVER)
            if self._next < self._trials:
                self._running[world] = self._new_trial(self._next)
                self._tracker.restart(world)
                self._next += 1
                started.append(world)
        if not started:
            return observation
        numbers = [running.number for world in started if (running := self._running[world])]
        return self._env.reset_to(np.array(started), [self._env.draw(number, 0) for number in numbers])

    def _new_trial(self, number: int) -> _Running:
        running = _Running(number=number, frames=_Frames(), outcome=_Frames(), events=[])
        if self._video.egocentric:
            running.eye = VideoWriter(self._path(EGOCENTRIC, number), RATE, "lossless")
        if number < self._video.third_person_trials:
            running.film = VideoWriter(self._path(THIRD_PERSON, number), RATE / self._video.every, "browser")
        return running

    def _path(self, kind: str, number: int) -> Path:
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)
        return folder / f"trial_{number:03d}{SUFFIX['lossless' if kind == EGOCENTRIC else 'browser']}"

    def _keep(self, active: list[int], series: dict[str, np.ndarray], observation: dict[str, np.ndarray]) -> None:
        self._frames_so_far += len(active)
        for world in active:
            running = self._running[world]
            assert running is not None
            running.frames.add(series, world)
            if running.eye:
                running.eye.add(observation["egocentric"][world])
            if running.film and self._films(running):
                running.film.add(self._picture(world))

    def _picture(self, world: int) -> np.ndarray:
        film = self._video
        return self._env.render(world, camera=film.camera, width=film.width, height=film.height, shadows=film.shadows)

    def _films(self, running: _Running) -> bool:
        limit = self._video.seconds
        return running.length % self._video.every == 0 and (limit is None or running.length < limit * RATE)

    def _keep_outcome(self, active: list[int], step: Any) -> None:
        outcome = {"reward": step.reward}
        for spec in TASK_SERIES.get(self._env.task.name, ()):
            outcome[spec.name] = np.asarray(getattr(step.info.events, spec.name))
        happened = self._tracker.update(step.info.events)
        if self._chronicle is not None:
            self._chronicle.advance(happened)
        for world in active:
            running = self._running[world]
            assert running is not None
            running.outcome.add(outcome, world)
            running.events += [(name, running.length) for where, name in happened if where == world]
            if step.info.diverged[world]:
                running.events.append(("divergence", running.length))
            running.length += 1

    def _end(self, world: int, step: Any) -> None:
        running = self._running[world]
        assert running is not None
        running.close()
        measures = self._tracker.measures(step.info.events, world) | {"diverged": bool(step.info.diverged[world])}
        self._finished[running.number] = TrialData(
            data=running.frames.take() | running.outcome.take(),
            terminated=bool(step.terminated[world]),
            truncated=bool(step.truncated[world]),
            seed=self._env.seed,
            arena_seed=f"{self._env.seed}/{running.number}/0",
            measures=measures,
            events=tuple(running.events),
            video=self._path(EGOCENTRIC, running.number) if running.eye else None,
        )

    def _tell(self, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or not (last or now - self._told > 0.2):
            return
        self._told = now
        limit = self._env.task.time_limit * RATE
        lengths = [trial.num_frames for trial in self._finished.values()]
        typical = float(np.mean(lengths)) if lengths else limit
        running = [one.length for one in self._running if one]
        # A trial that has outlived the typical one is as likely as not to reach half of what is left to the limit.
        left = sum(typical - n if n < typical else max(limit - n, 0.0) / 2 for n in running) + typical * (self._trials - self._next)
        fraction = 1.0 if last else self._frames_so_far / (self._frames_so_far + left)
        passed = now - self._started
        seconds_left = passed * (1 - fraction) / fraction if self._frames_so_far else None
        self._progress(RecordingProgress(len(lengths), self._trials, self._frames_so_far, fraction, seconds_left))
