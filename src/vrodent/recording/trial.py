"""What is recorded, before it is written: one trial's arrays, and what all trials of a session share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from vrodent.recording.errors import RecordingError
from vrodent.recording.schema import FIXED_COLUMNS, KEYPOINT_NAMES, STANDARD_SERIES, SeriesSpec, activity_series, unit_ids

Measure = float | int | bool | str


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialData:
    """One trial.

    Attributes:
        data: (frame, ...) of every series, by name; see `schema`.
        terminated: the task ended it by its own rule, or the physics failed.
        truncated: the time limit ended it.
        seed: seed of the session.
        arena_seed: what the arena was drawn from, as `0/3/1` (seed, world, episode).
        measures: success measures, the same names in every trial of a session.
        events: name and frame within the trial of all that happened.
        video: file with one picture a frame, inside the session's folder; None if there is none.
    """

    data: Mapping[str, np.ndarray]
    terminated: bool
    truncated: bool
    seed: int
    arena_seed: str
    measures: Mapping[str, Measure] = field(default_factory=dict)
    events: tuple[tuple[str, int], ...] = ()
    video: Path | None = None

    @property
    def num_frames(self) -> int:
        """Frames of the trial."""
        return len(self.data["reward"])

    @property
    def total_reward(self) -> float:
        """Sum of the rewards."""
        return float(np.sum(self.data["reward"], dtype=np.float64))


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionInfo:
    """What the trials of a session share.

    Attributes:
        identifier: unique name of the session.
        task: name of the task.
        agent: name of the agent.
        start: when the recording began, with a time zone.
        layers: size of each layer by name, in order: `{"core": 128, "policy0": 128}`.
        columns: names of joints, actuators, tendons, generalised positions and velocities, value heads, by axis of `schema`.
        lineage: JSON text: the agent's origin and the recording's settings.
        task_series: series that this task has beside the standard ones.
        frame_size: height and width of the egocentric picture.
    """

    identifier: str
    task: str
    agent: str
    start: datetime
    layers: Mapping[str, int]
    columns: Mapping[str, tuple[str, ...]]
    lineage: str = "{}"
    task_series: tuple[SeriesSpec, ...] = ()
    frame_size: tuple[int, int] = (64, 64)

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise RecordingError(f"The session's start {self.start} has no time zone.")

    def specs(self) -> tuple[SeriesSpec, ...]:
        """Every series of this session, in the order they are written."""
        return tuple(spec for layer in self.layers for spec in activity_series(layer)) + STANDARD_SERIES + self.task_series

    def column_names(self, spec: SeriesSpec) -> tuple[str, ...]:
        """Names of a series' columns, () for one value a frame."""
        if spec.axis is None:
            return ()
        if spec.axis == "unit":
            layer = spec.name.removeprefix("activity_")[:-2]
            return unit_ids(layer, self.layers[layer])
        return FIXED_COLUMNS[spec.axis] if spec.axis in FIXED_COLUMNS else self.columns[spec.axis]

    def frame_shape(self, spec: SeriesSpec) -> tuple[int, ...]:
        """Shape of one frame of a series."""
        if spec.axis is None:
            return ()
        return (len(KEYPOINT_NAMES), 3) if spec.axis == "keypoint" else (len(self.column_names(spec)),)

    def check(self, trials: tuple[TrialData, ...]) -> None:
        """See that every trial holds every series in its shape.

        Raises:
            RecordingError: no trials, a trial without frames, a missing series or a wrong shape.
        """
        if not trials:
            raise RecordingError("A session needs at least one trial; got none.")
        for number, trial in enumerate(trials):
            for spec in self.specs():
                if spec.name not in trial.data:
                    raise RecordingError(f"Trial {number} lacks the series {spec.name!r}.")
                expected = (trial.num_frames, *self.frame_shape(spec))
                if trial.data[spec.name].shape != expected:
                    raise RecordingError(f"Trial {number}: series {spec.name!r} is {trial.data[spec.name].shape}, expected {expected}.")
            if trial.num_frames == 0:
                raise RecordingError(f"Trial {number} has no frames.")
            if set(trial.measures) != set(trials[0].measures):
                raise RecordingError(f"Trial {number} has measures {sorted(trial.measures)}, trial 0 {sorted(trials[0].measures)}.")
