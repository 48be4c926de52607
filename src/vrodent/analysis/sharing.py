"""What layers share across tasks: decoding the task from activity, and likeness of the layer's geometry from task to task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.model_selection import StratifiedKFold

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.cka import cka
from vrodent.analysis.statistics import null_p_value

_SHRINKAGE = 0.05
"""Share of the mean variance in the discriminants' covariance: keeps it invertible where units are copies of each other."""


class Decoding(NamedTuple):
    """How well the task of a frame is read from activity.

    Attributes:
        accuracy: mean over tasks of the share of held-out frames called rightly; chance is 1 / number of tasks.
        by_trial: (trial,) share of each trial's frames called rightly, when it was held out.
        confusion: (task, task) share of a row's held-out frames called as the column.
        null: (draw,), accuracy with the tasks of whole trials exchanged.
        p_value: one-sided.
    """

    accuracy: float
    by_trial: np.ndarray
    confusion: np.ndarray
    null: np.ndarray
    p_value: float


def decode_label(
    trials: Sequence[np.ndarray], labels: Sequence[int], rng: np.random.Generator, *, folds: int = 5, frames: int = 100, num_null: int = 100
) -> Decoding:
    """Read a label of whole trials (the task) from single frames by linear discriminants, cross-validated by trial.

    Frames of one trial never lie on both sides of a split. The null exchanges labels between trials, not frames.

    Args:
        trials: one (time, unit) array a trial.
        labels: class of each trial, 0 to classes - 1.
        rng: source of frames, splits and exchanges.
        folds: splits; at most the number of trials of the rarest class.
        frames: frames taken of each trial, at random.
        num_null: exchanges.

    Raises:
        AnalysisError: fewer than 2 classes, or a class with fewer than 2 trials.
    """
    check_trials(trials, "decoding", min_trials=4)
    label = np.asarray(labels)
    counts = np.bincount(label)
    if len(counts) < 2 or counts.min() < 2:
        raise AnalysisError(f"decoding: trials by class are {counts.tolist()}; at least 2 classes of 2 trials needed.")
    picked = [trial[rng.choice(len(trial), size=min(frames, len(trial)), replace=False)] for trial in trials]
    folds = min(folds, int(counts.min()))
    sums = _sums(picked)
    share, confusion = _cross_validated(picked, sums, label, folds, rng)
    null = np.array(
        [_accuracy(_cross_validated(picked, sums, order, folds, rng)[1]) for order in (rng.permutation(label) for _ in range(num_null))]
    )
    accuracy = _accuracy(confusion)
    return Decoding(accuracy, share, confusion, null, float(null_p_value(np.asarray(accuracy), null)))


class _Sums(NamedTuple):
    """Of each trial: number of frames, sum of frames, sum of their outer products. Linear discriminants need no more."""

    num: np.ndarray
    first: np.ndarray
    second: np.ndarray


def _sums(trials: Sequence[np.ndarray]) -> _Sums:
    first = np.stack([trial.sum(axis=0) for trial in trials])
    return _Sums(np.array([len(trial) for trial in trials]), first, np.stack([trial.T @ trial for trial in trials]))


def _discriminants(sums: _Sums, label: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (unit, class) and offsets (class,) of linear discriminants with equal priors and a shrunken shared covariance."""
    onehot = (label[train][None, :] == np.arange(int(label.max()) + 1)[:, None]).astype(float)
    num = onehot @ sums.num[train]
    means = onehot @ sums.first[train] / num[:, None]
    within = (sums.second[train].sum(axis=0) - (means * num[:, None]).T @ means) / num.sum()
    size = np.trace(within) / len(within)
    within = (1 - _SHRINKAGE) * within + (_SHRINKAGE * size + 1e-12) * np.eye(len(within))
    weights = np.linalg.solve(within, means.T)
    return weights, -0.5 * np.einsum("cu,uc->c", means, weights)


def _cross_validated(
    trials: Sequence[np.ndarray], sums: _Sums, label: np.ndarray, folds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    classes = int(label.max()) + 1
    counts, share = np.zeros((classes, classes)), np.zeros(len(trials))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    for train, test in splitter.split(np.zeros(len(label)), label):
        weights, offsets = _discriminants(sums, label, train)
        for i in test.tolist():
            called = (trials[i] @ weights + offsets).argmax(axis=1)
            counts[label[i]] += np.bincount(called, minlength=classes)
            share[i] = np.mean(called == label[i])
    return share, counts / counts.sum(axis=1, keepdims=True)


def _accuracy(confusion: np.ndarray) -> float:
    return float(np.diag(confusion).mean())


class Geometry(NamedTuple):
    """A layer's mean activity in clusters of behaviour, task by task.

    Attributes:
        means: (task, cluster, unit), NaN where a task never visits a cluster.
        visits: (task, cluster), frames.
        likeness: (task, task), debiased CKA of two tasks' means over the clusters both visit; NaN with fewer than 4.
        shared: (task, task), number of those clusters.
    """

    means: np.ndarray
    visits: np.ndarray
    likeness: np.ndarray
    shared: np.ndarray


def cluster_frames(features: Sequence[np.ndarray], num_clusters: int, seed: int) -> list[np.ndarray]:
    """Cut the frames of all trials into clusters of like features (k-means), as the paper's 50.

    Args:
        features: one (time, column) array a trial, scaled.
        num_clusters: number of clusters.
        seed: of k-means.

    Returns:
        One (time,) array of cluster numbers a trial.

    Raises:
        AnalysisError: NaN, or fewer frames than clusters.
    """
    check_trials(features, "clusters")
    joined = np.concatenate(features)
    if not 1 < num_clusters <= len(joined):
        raise AnalysisError(f"clusters: {num_clusters} clusters wanted of {len(joined)} frames; 2 or more, and no more than frames.")
    found = KMeans(num_clusters, n_init="auto", random_state=seed).fit_predict(joined)
    return np.split(found, np.cumsum([len(trial) for trial in features])[:-1])


def geometry(activity: Sequence[np.ndarray], clusters: Sequence[np.ndarray], tasks: Sequence[int], *, least: int = 10) -> Geometry:
    """Does a layer arrange the same behaviours in the same way in different tasks?

    Args:
        activity: one (time, unit) array a trial.
        clusters: one (time,) array of cluster numbers a trial.
        tasks: task of each trial, 0 to tasks - 1.
        least: frames for which a task must visit a cluster for it to count.

    Raises:
        AnalysisError: trials that do not pair up, or NaN.
    """
    check_trials(activity, "geometry")
    lengths = [len(trial) for trial in activity]
    if lengths != [len(trial) for trial in clusters] or len(tasks) != len(lengths):
        raise AnalysisError("geometry: activity, clusters and tasks do not pair up.")
    x, k, t = np.concatenate(activity), np.concatenate(clusters), np.repeat(np.asarray(tasks), lengths)
    num_tasks, num_clusters = int(t.max()) + 1, int(k.max()) + 1
    cell = t * num_clusters + k
    visits = np.bincount(cell, minlength=num_tasks * num_clusters)
    sums = np.zeros((len(visits), x.shape[1]))
    np.add.at(sums, cell, x)
    means = np.divide(sums, visits[:, None], out=np.full_like(sums, np.nan), where=visits[:, None] >= least).reshape(
        num_tasks, num_clusters, -1
    )
    likeness, shared = np.full((num_tasks, num_tasks), np.nan), np.zeros((num_tasks, num_tasks), int)
    for a in range(num_tasks):
        for b in range(num_tasks):
            both = np.isfinite(means[a, :, 0]) & np.isfinite(means[b, :, 0])
            shared[a, b] = both.sum()
            if both.sum() >= 4 and np.ptp(means[a][both], axis=0).any() and np.ptp(means[b][both], axis=0).any():
                likeness[a, b] = cka(means[a][both], means[b][both])
    return Geometry(means, visits.reshape(num_tasks, num_clusters), likeness, shared)
