"""A recorded session as NumPy arrays: one agent in one task, its trials one after another on one 50 Hz clock.

Frame `t` of a trial holds what the animal sensed before its action, the activity of its units on sensing it, the action it took, and the
reward that action earned. Time is the first axis of every array; the frames of trial `i` are `session.frames(i)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from vrodent.analysis.errors import SessionError

Variable = Literal["h", "c"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One recorded quantity.

    Attributes:
        name: its name in the file, as `activity_core_h` or `joint_angles`.
        data: (time, ...), the first axis over all frames of the session.
        unit: SI unit of a value, "1" for a pure number.
        columns: names along the second axis (unit ids, joints, keypoints), or () for a scalar series.
        description: what a person should know of it.
    """

    name: str
    data: np.ndarray
    unit: str = "1"
    columns: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if self.columns and (self.data.ndim < 2 or self.data.shape[1] != len(self.columns)):
            raise SessionError(f"Series {self.name!r} has shape {self.data.shape} but {len(self.columns)} column names.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """The table of trials.

    Attributes:
        start: (trial,) first frame.
        stop: (trial,) one past the last frame; a trial's `stop` is the next one's `start`.
        total_reward: (trial,) sum of its rewards.
        terminated: (trial,) bool, the task ended by its own rule, or the physics failed (then `measures["diverged"]`).
        truncated: (trial,) bool, the time limit ended it.
        seed: (trial,) seed of the session.
        arena_seed: (trial,) str, what the arena was drawn from, as `0/3/1` (seed, world, episode).
        measures: further columns by name, (trial,) each: success measures such as `gaps_crossed`.
    """

    start: np.ndarray
    stop: np.ndarray
    total_reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    seed: np.ndarray
    arena_seed: np.ndarray
    measures: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """What happened in the task, by time. An event carries the frame of the control step during which it happened.

    Attributes:
        name: (event,) str, as `first_tap`, `orb_taken`, `gap_crossed`, `fall`.
        frame: (event,) frame in the session.
        trial: (event,) trial.
    """

    name: np.ndarray
    frame: np.ndarray
    trial: np.ndarray

    def __len__(self) -> int:
        return len(self.name)

    def frames(self, name: str) -> np.ndarray:
        """Frames at which the event `name` happened; empty if never."""
        return self.frame[self.name == name]


@dataclass(frozen=True, kw_only=True, eq=False)
class Session:
    """One agent in one task.

    Attributes:
        identifier: unique name of the session.
        task: `gaps`, `forage`, `bowl` or `two_tap`.
        agent: name of the agent.
        control_step: seconds between frames.
        layers: `("core", "policy0", ...)`, those whose activity is here.
        series: every recorded quantity by name; activity is `activity_<layer>_<h|c>`.
        trials: the table of trials.
        events: what happened in the task.
        lineage: JSON text: the agent's origin and the recording's settings.
        remarks: sentences on what is unusual in this session, such as frames with missing values; () when nothing is.
        path: the file it was read from, None if made in memory.
    """

    identifier: str
    task: str
    agent: str
    control_step: float
    layers: tuple[str, ...]
    series: Mapping[str, Series]
    trials: Trials
    events: Events
    lineage: str = "{}"
    remarks: tuple[str, ...] = ()
    path: Path | None = None

    def __post_init__(self) -> None:
        if not self.control_step > 0:
            raise SessionError(f"Session {self.identifier!r}: control_step is {self.control_step} s; it must be positive.")
        if len(self.trials) == 0:
            raise SessionError(f"Session {self.identifier!r} holds no trials; record it again with --trials of 1 or more.")
        for name, series in self.series.items():
            if len(series.data) != self.num_frames:
                raise SessionError(
                    f"Session {self.identifier!r}: series {name!r} has {len(series.data)} frames, its trials {self.num_frames}. "
                    "The file is damaged or was edited; record it again."
                )
        object.__setattr__(self, "series", MappingProxyType(dict(self.series)))

    @property
    def num_trials(self) -> int:
        """Number of trials."""
        return len(self.trials)

    @property
    def num_frames(self) -> int:
        """Number of frames, over all trials."""
        return int(self.trials.stop[-1])

    @property
    def time(self) -> np.ndarray:
        """(time,) seconds from the start of the session."""
        return np.arange(self.num_frames) * self.control_step

    @property
    def trial_of_frame(self) -> np.ndarray:
        """(time,) trial of each frame."""
        return np.repeat(np.arange(self.num_trials), self.trials.stop - self.trials.start)

    def frames(self, trial: int) -> slice:
        """The frames of one trial, to index any series with."""
        return slice(int(self.trials.start[trial]), int(self.trials.stop[trial]))

    def split(self, data: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cut an array with a frame axis into one view per trial."""
        return tuple(data[self.frames(trial)] for trial in range(self.num_trials))

    def get(self, name: str) -> np.ndarray:
        """The data of a series, (time, ...).

        Raises:
            SessionError: the session lacks it; the message lists what it has.
        """
        if name not in self.series:
            raise SessionError(f"Session {self.identifier!r} has no series {name!r}. It has: {', '.join(sorted(self.series))}.")
        return self.series[name].data

    def activity(self, layer: str, variable: Variable = "h") -> np.ndarray:
        """Activity of every unit of a layer, (time, unit).

        Raises:
            SessionError: the session lacks the layer or the variable.
        """
        if layer not in self.layers:
            raise SessionError(f"Session {self.identifier!r} has no layer {layer!r}. It has: {', '.join(self.layers) or 'none'}.")
        return self.get(f"activity_{layer}_{variable}")

    def unit_ids(self, layer: str) -> tuple[str, ...]:
        """Stable names of a layer's units, as `core:17`."""
        return tuple(f"{layer}:{unit}" for unit in range(self.activity(layer).shape[1]))

    def keypoint(self, name: str) -> np.ndarray:
        """(time, 3) metres, path of one keypoint in the world.

        Raises:
            SessionError: there is none of that name.
        """
        series = self.series.get("keypoints")
        columns = series.columns if series else ()
        if series is None or name not in columns:
            raise SessionError(f"Session {self.identifier!r} has no keypoint {name!r}. It has: {', '.join(columns) or 'none'}.")
        return series.data[:, columns.index(name)]

    def __iter__(self) -> Iterator[slice]:
        return (self.frames(trial) for trial in range(self.num_trials))
