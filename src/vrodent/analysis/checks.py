"""What the analyses refuse, said early: too little data, NaN, unequal columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class AnalysisError(ValueError):
    """The data cannot carry the analysis that was asked of it; the message says which, where, and what to do."""


def check_trials(trials: Sequence[np.ndarray], name: str, *, min_trials: int = 1, min_frames: int = 1) -> None:
    """Refuse trials that no analysis can use.

    Args:
        trials: one (time, column) array a trial.
        name: what they are, for the message.
        min_trials: fewest trials the analysis needs.
        min_frames: fewest frames it needs in every trial.

    Raises:
        AnalysisError: too few trials or frames, an array that is not two-dimensional, unequal columns, or values that are not finite.
    """
    if len(trials) < min_trials:
        raise AnalysisError(f"{name}: {len(trials)} trial(s) given, at least {min_trials} needed; record more trials.")
    for i, trial in enumerate(trials):
        if trial.ndim != 2:
            raise AnalysisError(f"{name}, trial {i}: expected (time, column), got shape {trial.shape}.")
        if trial.shape[1] == 0:
            raise AnalysisError(f"{name}, trial {i}: no columns, shape {trial.shape}.")
        if trial.shape[1] != trials[0].shape[1]:
            raise AnalysisError(f"{name}, trial {i}: {trial.shape[1]} columns, but trial 0 has {trials[0].shape[1]}.")
        if trial.shape[0] < min_frames:
            raise AnalysisError(f"{name}, trial {i}: {trial.shape[0]} frames, at least {min_frames} needed; leave the trial out.")
        finite = np.isfinite(trial).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            raise AnalysisError(
                f"{name}, trial {i}: {int((~finite).sum())} of {finite.size} frames hold NaN or infinity, the first is frame {first}; "
                "leave the trial out."
            )


def check_paired(left: Sequence[np.ndarray], right: Sequence[np.ndarray], names: tuple[str, str]) -> None:
    """Refuse two sets of trials whose frames do not pair up.

    Raises:
        AnalysisError: different numbers of trials, or of frames in a trial.
    """
    lengths = [[len(trial) for trial in trials] for trials in (left, right)]
    if lengths[0] != lengths[1]:
        raise AnalysisError(f"{names[0]} and {names[1]} do not pair up: frames by trial {lengths[0]} and {lengths[1]}.")
