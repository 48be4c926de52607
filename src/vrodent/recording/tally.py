"""What is counted while a trial runs in closed loop, and how long all trials will still take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from vrodent.recording.rollout import Listener, RecordingProgress

UPRIGHT = 0.5
"""Cosine of the trunk's tilt above which the animal counts as on its feet: less than 60 degrees."""


class Tally:
    """Counts one trial.

    Attributes:
        frames: so far.
        total_reward: so far.
        events: name and frame of what happened.
        openings: frames at which the window opened.
        open_frames: in how many it was open.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.total_reward = 0.0
        self.events: list[tuple[str, int]] = []
        self.openings: list[int] = []
        self.open_frames = 0
        self._sums = {"speed": 0.0, "upright": 0.0, "upright_speed": 0.0, "joint_speed": 0.0}
        self._traces: dict[str, list[np.ndarray]] = {}

    def sense(self, signals: Mapping[str, float], joint_speed: float, since: int) -> None:
        """Take the frame before an action: signals of the motion, rad/s of the joints, frames since the window opened (-1 closed)."""
        speed, upright = float(signals["speed"]), float(signals["upright"])
        for name, value in (("speed", speed), ("upright", upright), ("upright_speed", speed * (upright > UPRIGHT)),
                            ("joint_speed", joint_speed)):  # fmt: skip
            self._sums[name] += value
        self.open_frames += since >= 0
        if since == 0:
            self.openings.append(self.frames)

    def happened(self, name: str) -> None:
        """Enter an event of this frame."""
        self.events.append((name, self.frames))

    def step(self, reward: float) -> None:
        """Take the reward of the control step, and pass to the next frame."""
        self.total_reward += reward
        self.frames += 1

    def trace(self, values: Mapping[str, np.ndarray]) -> None:
        """Keep this frame."""
        for name, value in values.items():
            self._traces.setdefault(name, []).append(np.array(value))

    def motion(self) -> dict[str, float]:
        """Means over the trial."""
        return {name: total / max(self.frames, 1) for name, total in self._sums.items()}

    def traces(self) -> dict[str, np.ndarray]:
        """(frame, ...) of what was kept."""
        return {name: np.stack(values) for name, values in self._traces.items()}


class Forecast:
    """Tells how far many trials of unknown length are.

    Args:
        trials: how many.
        limit: frames of the longest.
        listener: told at most five times a second.
    """

    def __init__(self, trials: int, limit: float, listener: Listener | None) -> None:
        self._trials, self._limit, self._listener = trials, limit, listener
        self._lengths: list[int] = []
        self._started = self._told = time.monotonic()

    def ended(self, frames: int) -> None:
        """A trial has ended after so many frames."""
        self._lengths.append(frames)

    def tell(self, running: Sequence[int], waiting: int, *, last: bool = False) -> None:
        """Say how far it is.

        Args:
            running: frames of the trials that run.
            waiting: trials that have not begun.
            last: all have ended.
        """
        now = time.monotonic()
        if self._listener is None or not (last or now - self._told > 0.2):
            return
        self._told = now
        typical = float(np.mean(self._lengths)) if self._lengths else self._limit
        frames = sum(self._lengths) + sum(running)
        # A trial that has outlived the typical one is as likely as not to reach half of what is left to the limit.
        left = sum(typical - n if n < typical else max(self._limit - n, 0.0) / 2 for n in running) + typical * waiting
        fraction = 1.0 if last else frames / max(frames + left, 1.0)
        seconds_left = (now - self._started) * (1 - fraction) / fraction if fraction > 0 else None
        self._listener(RecordingProgress(len(self._lengths), self._trials, frames, fraction, seconds_left))
