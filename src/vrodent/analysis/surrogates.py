"""Data that keep some properties of trajectories and lack others, for controls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import optimize

from vrodent.analysis.checks import AnalysisError

_KEPT = 12
"""Principal components of the units in which draws of maximal entropy are made; rotations are fitted in fewer."""


def shifted(trajectories: np.ndarray, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Trajectories with time courses shifted circularly.

    Args:
        trajectories: (condition, time, unit).
        shape: of the shifts drawn, as (condition, 1, unit) for one each, (1, 1, unit) for one a unit.
        rng: source of the shifts.
    """
    time = trajectories.shape[1]
    index = (np.arange(time)[None, :, None] + rng.integers(0, time, size=shape)) % time
    return np.take_along_axis(trajectories, np.broadcast_to(index, trajectories.shape), axis=1)


def maximum_entropy(trajectories: np.ndarray, rng: np.random.Generator, num: int, *, least: int = 6) -> Iterator[np.ndarray]:
    """Draws that share the mean and the covariance across each of conditions, times and units with the data, and nothing else.

    Args:
        trajectories: (condition, time, unit), finite.
        rng: source of the draws.
        num: number of draws.
        least: principal components of the units that must be kept.

    Yields:
        (condition, time, component) arrays, the units' leading principal components.

    Raises:
        AnalysisError: trajectories that do not vary.

    Source: Elsayed & Cunningham 2017, doi:10.1038/nn.4617. The draws are Gaussian; in the eigenbases of the three covariances the variance
    of an entry is 1 / (a_condition + b_time + c_unit), with a, b, c such that the covariances come out right.
    """
    centred = trajectories - trajectories.mean(axis=(0, 1))
    flat = centred.reshape(-1, centred.shape[2])
    _, axes = np.linalg.eigh(flat.T @ flat)
    reduced = centred @ axes[:, ::-1][:, : max(least, min(_KEPT, centred.shape[2]))]
    means = [reduced.mean(axis=tuple(other for other in range(3) if other != mode), keepdims=True) for mode in range(3)]
    mean = means[0] + means[1] + means[2] - 2 * reduced.mean()
    residual = reduced - mean
    if not residual.any():
        raise AnalysisError("maximum entropy: the trajectories do not vary beyond the means of conditions, times and units.")
    bases, powers = zip(*(_eigen(residual, mode) for mode in range(3)), strict=True)
    spread = np.sqrt(_variance(powers))
    for _ in range(num):
        drawn = spread * rng.standard_normal(spread.shape)
        yield mean + np.einsum("abc,ia,jb,kc->ijk", drawn, *bases, optimize=True)


def _eigen(residual: np.ndarray, mode: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, kept) eigenvectors and (kept,) eigenvalues of the second moments across one mode, without the directions that hold nothing."""
    unfolded = np.moveaxis(residual, mode, 0).reshape(residual.shape[mode], -1)
    power, vectors = np.linalg.eigh(unfolded @ unfolded.T)
    keep = power > 1e-9 * power[-1]
    return vectors[:, keep], power[keep]


def _variance(powers: tuple[np.ndarray, ...]) -> np.ndarray:
    """(a, b, c) variances of largest entropy whose sums over two modes are the given powers of the third."""
    sizes = [len(power) for power in powers]
    total = powers[0].sum()
    scaled = [power / total * np.prod(sizes) for power in powers]  # a mean variance of 1
    cuts = np.cumsum(sizes)[:-1]

    def objective(logs: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, c = (np.exp(part) for part in np.split(logs, cuts))
        sums = a[:, None, None] + b[None, :, None] + c[None, None, :]
        inverse = 1 / sums
        value = sum(float(part @ power) for part, power in zip((a, b, c), scaled, strict=True)) - float(np.log(sums).sum())
        slopes = [(power - inverse.sum(axis=other)) * part
                  for part, power, other in zip((a, b, c), scaled, ((1, 2), (0, 2), (0, 1)), strict=True)]  # fmt: skip
        return value, np.concatenate(slopes)

    start = np.concatenate([-np.log(3 * power / power.mean()) for power in scaled])
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6})
    a, b, c = (np.exp(part) for part in np.split(found.x, cuts))
    return total / np.prod(sizes) / (a[:, None, None] + b[None, :, None] + c[None, None, :])
