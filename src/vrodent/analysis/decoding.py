"""What can be read from activity by a linear map, on trials that took no part in fitting it, and what of it holds in another task.

Ridge regression needs only sums of products, which add over trials: every fold, every task and every shifted pairing is a sum of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_paired, check_trials


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """How features are read from activity.

    Attributes:
        folds: of trials; at most the trials of a task.
        every: frames; every n-th is used.
        ridge: penalty, as a share of the units' mean variance.
        num_null: shifted pairings.
    """

    folds: int = 5
    every: int = 5
    ridge: float = 0.01
    num_null: int = 40

    def __post_init__(self) -> None:
        for name, least in (("folds", 2), ("every", 1), ("num_null", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"DecodingConfig.{name} must be at least {least}, got {getattr(self, name)}.")
        if not self.ridge > 0:
            raise AnalysisError(f"DecodingConfig.ridge must be positive, got {self.ridge}.")


class Sums(NamedTuple):
    """Sums over the frames of groups (trials or folds), units widened by a 1.

    Attributes:
        xx: (group, unit + 1, unit + 1).
        xy: (group, unit + 1, column); the last row is the sum of the columns.
        yy: (group, column), sums of squares.
    """

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def trial_sums(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> Sums:
    """Sums of each trial.

    Args:
        x: one (time, unit) array a trial.
        y: one (time, column) array a trial, of the same lengths.

    Raises:
        AnalysisError: trials that do not pair up, or NaN.
    """
    check_trials(x, "decoding, activity")
    check_trials(y, "decoding, features")
    check_paired(x, y, ("decoding, activity", "features"))
    wide = [np.column_stack([trial, np.ones(len(trial), trial.dtype)]) for trial in x]
    xx = np.stack([(trial.T @ trial).astype(float) for trial in wide])
    xy = np.stack([(a.T @ b).astype(float) for a, b in zip(wide, y, strict=True)])
    return Sums(xx, xy, np.stack([(trial.astype(float) ** 2).sum(axis=0) for trial in y]))


def grouped(sums: Sums, group: np.ndarray, num: int) -> Sums:
    """Sums of sums: trials into folds. Trials of group -1 are left out."""
    return Sums(*(np.stack([part[group == g].sum(axis=0) for g in range(num)]) for part in sums))


def fit(sums: Sums, train: np.ndarray, ridge: float) -> np.ndarray:
    """(unit + 1, column) weights by ridge regression on the groups of `train`; the offset is not penalised."""
    xx, xy = sums.xx[train].sum(axis=0), sums.xy[train].sum(axis=0)
    num, mean = xx[-1, -1], xx[-1, :-1] / xx[-1, -1]
    covariance = xx[:-1, :-1] - num * np.outer(mean, mean)
    penalty = ridge * np.trace(covariance) / len(covariance) + 1e-12 * num
    weights = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), xy[:-1] - np.outer(mean, xy[-1]))
    return np.concatenate([weights, (xy[-1] / num - mean @ weights)[None]])


def errors(sums: Sums, test: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(group, column) sums of squared errors of the groups of `test`."""
    quadratic = np.stack([((weights.T @ sums.xx[g]) * weights.T).sum(axis=1) for g in test])
    linear = np.stack([(weights * sums.xy[g]).sum(axis=0) for g in test])
    return np.maximum(sums.yy[test] - 2 * linear + quadratic, 0.0)


def spread(sums: Sums, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(group, column) sums of squares of the groups of `test` about the mean of those of `train`."""
    mean = sums.xy[train, -1].sum(axis=0) / sums.xx[train, -1, -1].sum()
    return sums.yy[test] - 2 * mean * sums.xy[test, -1] + mean**2 * sums.xx[test, -1, -1][:, None]


class HeldOut(NamedTuple):
    """Squared errors and spreads of held-out groups, each (group, column); rows of groups that took no part are 0."""

    error: np.ndarray
    spread: np.ndarray


def held_out(sums: Sums, fold: np.ndarray, ridge: float) -> HeldOut:
    """Errors of every group when the groups of its fold took no part in the fit.

    Args:
        sums: of groups.
        fold: (group,) fold of each; -1 for those left out.
        ridge: see `DecodingConfig`.
    """
    error, around = np.zeros(sums.yy.shape), np.zeros(sums.yy.shape)
    for number in np.unique(fold[fold >= 0]):
        train, test = np.flatnonzero((fold >= 0) & (fold != number)), np.flatnonzero(fold == number)
        error[test] = errors(sums, test, fit(sums, train, ridge))
        around[test] = spread(sums, train, test)
    return HeldOut(error, around)


def transferred(sums: Sums, train: np.ndarray, test: np.ndarray, ridge: float) -> np.ndarray:
    """(column,) share of variance in the groups of `test` that a map fitted to those of `train` explains, a constant offset forgiven.

    Args:
        sums: of groups.
        train, test: groups.
        ridge: see `DecodingConfig`.
    """
    weights = fit(sums, train, ridge)
    error = errors(sums, test, weights).sum(axis=0)
    xx, xy, yy = sums.xx[test].sum(axis=0), sums.xy[test].sum(axis=0), sums.yy[test].sum(axis=0)
    num = xx[-1, -1]
    residual = (xy[-1] - xx[-1] @ weights) / num
    total = yy - xy[-1] ** 2 / num
    return np.divide(error - num * residual**2, total, out=np.full_like(total, np.nan), where=total > 1e-9 * num) * -1 + 1


def ratio_interval(
    above: np.ndarray, below: np.ndarray, rng: np.random.Generator, *, num: int = 2000, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One less a ratio of sums over trials, with a percentile bootstrap interval over trials.

    Args:
        above, below: (trial, ...).
        rng: source of the resamples.
        num: resamples.
        level: coverage aimed at.

    Raises:
        AnalysisError: fewer than two trials.
    """
    if len(above) < 2:
        raise AnalysisError(f"ratio: {len(above)} trial(s), at least 2 needed for an interval.")
    counts = rng.multinomial(len(above), np.full(len(above), 1 / len(above)), size=num)
    flat = [part.reshape(len(part), -1) for part in (above, below)]
    drawn = 1 - (counts @ flat[0]) / np.maximum(counts @ flat[1], 1e-300)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    value = 1 - above.sum(axis=0) / np.maximum(below.sum(axis=0), 1e-300)
    return value, low.reshape(value.shape), high.reshape(value.shape)
