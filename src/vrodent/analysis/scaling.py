"""Distances between trials by what they hold, and maps that keep them: energy distance and classical scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from vrodent.analysis.checks import AnalysisError, check_trials


def energy_distance(trials: Sequence[np.ndarray]) -> np.ndarray:
    """(trial, trial) square root of the energy distance between the frames of trials: 0 only for equal distributions.

    Args:
        trials: one (time, column) array a trial; a few dozen frames each are enough.

    Raises:
        AnalysisError: NaN, or no frames.

    Source: Székely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018. It embeds in a Euclidean space, so classical scaling keeps it.
    """
    check_trials(trials, "energy distance")
    joined = np.concatenate(trials)
    starts = np.concatenate([[0], np.cumsum([len(trial) for trial in trials])[:-1]])
    lengths = np.array([len(trial) for trial in trials])
    mean = np.stack([np.add.reduceat(cdist(trial, joined).mean(axis=0), starts) / lengths for trial in trials])
    own = np.diag(mean)
    return np.sqrt(np.maximum(2 * mean - own[:, None] - own[None, :], 0.0))


def classical_mds(distance: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Points whose distances are as near as may be to those given.

    Args:
        distance: (item, item), symmetric, 0 on the diagonal.
        num: dimensions.

    Returns:
        (item, num) points about 0, signs fixed so that reruns agree; (num,) shares of the positive eigenvalues.

    Raises:
        AnalysisError: a matrix that is not square, or not finite.

    Source: Torgerson 1952.
    """
    if distance.ndim != 2 or distance.shape[0] != distance.shape[1] or not np.isfinite(distance).all():
        raise AnalysisError(f"scaling: a square, finite matrix of distances needed, got shape {distance.shape}.")
    size = len(distance)
    centre = np.eye(size) - 1 / size
    power, vectors = np.linalg.eigh(-0.5 * centre @ distance**2 @ centre)
    power, vectors = np.maximum(power[::-1], 0.0), vectors[:, ::-1]
    kept = min(num, size)
    vectors = vectors[:, :kept] * np.sign(vectors[np.abs(vectors[:, :kept]).argmax(axis=0), np.arange(kept)])
    points, share = np.zeros((size, num)), np.zeros(num)
    points[:, :kept] = vectors * np.sqrt(power[:kept])
    share[:kept] = power[:kept] / max(float(power.sum()), 1e-300)
    return points, share
