"""Where population activity goes: leading axes, flow fields, and how much of the activity's variance lies between tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials


def leading_axes(trials: Sequence[np.ndarray], num: int, *, every: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal axes over the frames of all trials.

    Args:
        trials: one (time, column) array a trial.
        num: axes wanted; those beyond the number of columns are 0.
        every: only every n-th frame is used.

    Returns:
        mean (column,), axes (column, num) with signs fixed so that reruns agree, and (num,) shares of variance.
    """
    check_trials(trials, "principal axes")
    columns = trials[0].shape[1]
    count = sum(len(trial[::every]) for trial in trials)
    mean = np.sum([trial[::every].sum(axis=0, dtype=float) for trial in trials], axis=0) / count
    covariance = np.zeros((columns, columns))
    for trial in trials:
        centred = trial[::every] - mean
        covariance += centred.T @ centred
    power, vectors = np.linalg.eigh(covariance)
    kept = min(num, columns)
    axes = np.zeros((columns, num))
    axes[:, :kept] = vectors[:, ::-1][:, :kept]
    axes[:, :kept] *= np.sign(axes[np.abs(axes[:, :kept]).argmax(axis=0), np.arange(kept)])
    share = np.zeros(num)
    share[:kept] = np.maximum(power[::-1][:kept], 0) / max(float(power.sum()), 1e-300)
    return mean, axes, share


def flow_field(paths: Sequence[np.ndarray], rate: float, grid: int, least_visits: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean velocity in the cells of a plane.

    Args:
        paths: one (time, 2) array a trial.
        rate: frames a second, Hz.
        grid: cells along each axis; they span the middle 96 % of the frames along each axis.
        least_visits: frames in a cell, else its velocity is NaN.

    Returns:
        (grid, grid, 2) velocities, units a second, first axis along the first column of the paths; (2, grid + 1) edges.

    Raises:
        AnalysisError: paths that are not planar, or NaN.
    """
    check_trials(paths, "flow", min_frames=2)
    if paths[0].shape[1] != 2:
        raise AnalysisError(f"flow: paths in a plane expected, got {paths[0].shape[1]} columns.")
    middle = np.concatenate([(path[1:] + path[:-1]) / 2 for path in paths])
    velocity = np.concatenate([np.diff(path, axis=0) * rate for path in paths])
    low, high = np.quantile(middle, [0.02, 0.98], axis=0)
    edges = np.linspace(low, high, grid + 1, axis=1)
    cell = np.stack([np.searchsorted(edges[k], middle[:, k], side="right") - 1 for k in range(2)])
    inside = ((cell >= 0) & (cell < grid)).all(axis=0)
    flat = cell[0, inside] * grid + cell[1, inside]
    visits = np.bincount(flat, minlength=grid * grid)
    sums = np.stack([np.bincount(flat, velocity[inside, k], minlength=grid * grid) for k in range(2)], axis=1)
    field = np.divide(sums, visits[:, None], out=np.full_like(sums, np.nan), where=visits[:, None] >= least_visits)
    return field.reshape(grid, grid, 2), edges


class TaskShare(NamedTuple):
    """How much of units' variance lies between tasks.

    Attributes:
        unit: (unit,) share, NaN for a silent unit.
        left_out: (trial,) mean share over units without one trial.
        null: (draw,) mean share with the tasks of whole trials exchanged.
    """

    unit: np.ndarray
    left_out: np.ndarray
    null: np.ndarray


def task_share(trials: Sequence[np.ndarray], task: np.ndarray, rng: np.random.Generator, *, num_null: int = 100) -> TaskShare:
    """Variance of the tasks' mean activity over the variance of all frames, every trial and task weighing the same.

    Trials differ from each other anyway: compare with `null`, in which tasks are exchanged between trials.

    Args:
        trials: one (time, unit) array a trial.
        task: (trial,) task of each, 0 to tasks - 1.
        rng: source of the exchanges.
        num_null: exchanges.

    Raises:
        AnalysisError: fewer than two tasks, or a task with fewer than two trials.
    """
    check_trials(trials, "share between tasks", min_trials=4)
    counts = np.bincount(task)
    if len(counts) < 2 or counts.min() < 2:
        raise AnalysisError(f"share between tasks: trials by task are {counts.tolist()}; at least 2 tasks of 2 trials needed.")
    mean = np.stack([trial.mean(axis=0) for trial in trials])
    square = np.stack([(trial**2).mean(axis=0) for trial in trials])

    def share(kept: np.ndarray, labels: np.ndarray) -> np.ndarray:
        onehot = (labels[kept][None, :] == np.arange(len(counts))[:, None]).astype(float)
        onehot /= onehot.sum(axis=1, keepdims=True)
        means, squares = onehot @ mean[kept], onehot @ square[kept]
        total = squares.mean(axis=0) - means.mean(axis=0) ** 2
        return np.divide(means.var(axis=0), total, out=np.full_like(total, np.nan), where=total > 1e-12)

    everyone = np.arange(len(trials))
    left_out = np.array([np.nanmean(share(np.delete(everyone, i), task)) for i in everyone])
    null = np.array([np.nanmean(share(everyone, rng.permutation(task))) for _ in range(num_null)])
    return TaskShare(share(everyone, task), left_out, null)
