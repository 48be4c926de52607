"""The used trials of all sessions as one list, for analyses that look across tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, Trial


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """Trials of every analysable session, one after another; trial numbers are those of `events.all_events`.

    Attributes:
        tasks: names of the tasks, one a session.
        task: (trial,) index of each trial's task.
        activity: of each trial, layer -> (time, unit).
        signals, features: of each trial, set -> (time, column); see `data.Prepared`.
        layers: names, core first.
        rate: frames a second, Hz.
    """

    tasks: tuple[str, ...]
    task: np.ndarray
    activity: list[Trial]
    signals: list[Trial]
    features: list[Trial]
    layers: tuple[str, ...]
    rate: float

    def layer(self, name: str) -> list[np.ndarray]:
        """One (time, unit) array a trial."""
        return [trial[name] for trial in self.activity]

    @property
    def lengths(self) -> list[int]:
        """Frames of each trial."""
        return [len(trial[self.layers[0]]) for trial in self.activity]


def pooled(data: Data) -> Pooled:
    """All used trials of the analysable sessions.

    Raises:
        AnalysisError: there is none.
    """
    sessions = data.analysable
    if not sessions:
        raise AnalysisError("No session has two usable trials; record more or longer trials.")
    return Pooled(
        tasks=tuple(s.task for s in sessions),
        task=np.repeat(np.arange(len(sessions)), [len(s.activity) for s in sessions]),
        activity=[trial for s in sessions for trial in s.activity],
        signals=[trial for s in sessions for trial in s.signals],
        features=[trial for s in sessions for trial in s.features],
        layers=data.layers,
        rate=data.rate,
    )


def joined(trials: list[np.ndarray], every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Every n-th frame of each trial, joined, and the trial of each."""
    cut = [trial[::every] for trial in trials]
    return np.concatenate(cut), np.repeat(np.arange(len(cut)), [len(trial) for trial in cut])
