"""Rotations of population activity: jPCA and its controls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_continuous_lyapunov

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.statistics import null_p_value
from vrodent.analysis.surrogates import maximum_entropy, shifted


class Rotation(NamedTuple):
    """Best purely rotational dynamics of a set of trajectories.

    Attributes:
        frequency: (plane,), Hz, fastest plane first.
        skew: (component, component), the skew-symmetric dynamics, 1/s.
        plane: (unit, 2), unit weights of the first plane, orthonormal.
        r2_skew: share of the velocities' variance that rotation explains.
        r2_full: share that unconstrained linear dynamics explain.
        ratio: r2_skew / r2_full: how purely rotational the linear dynamics are.
        variance: share of the activity's variance in the components kept.
    """

    frequency: np.ndarray
    skew: np.ndarray
    plane: np.ndarray
    r2_skew: float
    r2_full: float
    ratio: float
    variance: float


NULLS = ("units", "sequence", "entropy")
"""Controls of a rotation, see `rotation_test`."""


class RotationTest(NamedTuple):
    """A rotation with its controls.

    Attributes:
        rotation: what was found.
        null: control -> (draw,) values of r2_skew, for each of `NULLS`.
        p_value: control -> one-sided p-value of r2_skew.
    """

    rotation: Rotation
    null: dict[str, np.ndarray]
    p_value: dict[str, float]


def jpca(trajectories: np.ndarray, rate: float, *, num_components: int = 6, subtract_mean: bool = True) -> Rotation:
    """Fit rotational dynamics dx/dt = M x with M skew-symmetric to trajectories in their leading principal components.

    Args:
        trajectories: (condition, time, unit), time courses of the population in several conditions (bouts, events, phases).
        rate: samples a second, Hz.
        num_components: principal components kept, even, at most the number of units.
        subtract_mean: remove the mean over conditions at every time, as Churchland et al. do: what all conditions share does not count.

    Raises:
        AnalysisError: too few conditions or times, NaN, or an odd number of components.

    Source: Churchland et al. 2012, doi:10.1038/nature11129. M solves S M + M S = A - A^T with S = X^T X and A = X^T dX/dt.
    """
    _check(trajectories, num_components, subtract_mean)
    data = trajectories - trajectories.mean(axis=0) if subtract_mean else trajectories - trajectories.mean(axis=(0, 1))
    flat = data.reshape(-1, data.shape[2])
    centred = flat - flat.mean(axis=0)
    # Eigenvectors of the small matrix: many times faster than a decomposition of all samples, and the null draws need many.
    power, axes = np.linalg.eigh(centred.T @ centred)
    power, axes = np.maximum(power[::-1], 0.0), axes[:, ::-1]
    if power[num_components - 1] <= 1e-12 * power[0]:
        raise AnalysisError(f"jPCA: the trajectories span fewer than {num_components} dimensions; keep fewer components.")
    components = axes[:, :num_components]
    projected = (data - flat.mean(axis=0)) @ components
    velocity = (np.diff(projected, axis=1) * rate).reshape(-1, num_components)
    middle = ((projected[:, 1:] + projected[:, :-1]) / 2).reshape(-1, num_components)
    # Rows are time, so that dX/dt = X M^T in the usual notation; the row convention below solves for M^T and turns it.
    gram, cross = middle.T @ middle, middle.T @ velocity
    skew = solve_continuous_lyapunov(gram, cross - cross.T).T
    full = np.linalg.lstsq(middle, velocity, rcond=None)[0]
    r2_skew, r2_full = _explained(velocity, middle @ skew.T), _explained(velocity, middle @ full)
    # i times a skew-symmetric matrix is Hermitian: its eigenvalues are the angular velocities, in pairs of either sign.
    speeds, vectors = np.linalg.eigh(1j * skew)
    speeds, first = speeds[::-1][: num_components // 2], vectors[:, -1]
    plane, _ = np.linalg.qr(np.column_stack([np.real(first), np.imag(first)]))
    # Midpoint differences shorten a rotation by tan(x)/x, x = half the angle a sample; undo it.
    frequency = np.arctan(speeds / (2 * rate)) * rate / np.pi
    share = float(power[:num_components].sum() / power.sum())
    ratio = r2_skew / r2_full if r2_full > 0 else float("nan")
    return Rotation(frequency, skew, components @ plane, r2_skew, r2_full, ratio, share)


def rotation_test(
    trajectories: np.ndarray,
    rate: float,
    rng: np.random.Generator,
    *,
    num_components: int = 6,
    num_null: int = 200,
    subtract_mean: bool = True,
) -> RotationTest:
    """jPCA beside three controls.

    `units`: every unit's time course is shifted (circularly), by an amount of its own in every condition. Each unit keeps its frequencies
    and amplitudes; the coordination of units is gone. `sequence`: each unit is shifted by an amount of its own, the same in all conditions.
    Units still follow one another in a fixed order, only another one: sequences of bumps rotate by themselves (Lebedev et al. 2019), so a
    rotation that does not exceed this is no more than a sequence. `entropy`: draws of maximal entropy among all data with the same means
    and covariances across times, units and conditions (Elsayed & Cunningham 2017): a rotation that does not exceed it follows from those.

    Raises:
        AnalysisError: as `jpca`.

    Source: Lebedev et al. 2019, doi:10.1038/s41598-019-54760-4; Elsayed & Cunningham 2017, doi:10.1038/nn.4617.
    """

    def explained(drawn: np.ndarray) -> float:
        return jpca(drawn, rate, num_components=num_components, subtract_mean=subtract_mean).r2_skew

    found = jpca(trajectories, rate, num_components=num_components, subtract_mean=subtract_mean)
    conditions, _, units = trajectories.shape
    null = {
        "units": np.array([explained(shifted(trajectories, (conditions, 1, units), rng)) for _ in range(num_null)]),
        "sequence": np.array([explained(shifted(trajectories, (1, 1, units), rng)) for _ in range(num_null)]),
        "entropy": np.array([explained(drawn) for drawn in maximum_entropy(trajectories, rng, num_null, least=num_components)]),
    }
    p_value = {name: float(null_p_value(np.asarray(found.r2_skew), values)) for name, values in null.items()}
    return RotationTest(found, null, p_value)


def _explained(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((truth - predicted) ** 2).sum() / (truth**2).sum())


def _check(trajectories: np.ndarray, num_components: int, subtract_mean: bool) -> None:
    if trajectories.ndim != 3:
        raise AnalysisError(f"jPCA: expected (condition, time, unit), got shape {trajectories.shape}.")
    conditions, time, units = trajectories.shape
    if conditions < (2 if subtract_mean else 1) or time < 4:
        raise AnalysisError(
            f"jPCA: {conditions} conditions of {time} samples; 2 conditions (the mean over them is removed) and 4 samples needed."
        )
    if num_components < 2 or num_components % 2 or num_components > units:
        raise AnalysisError(f"jPCA: num_components must be even, 2 or more and at most the {units} units, got {num_components}.")
    if not np.isfinite(trajectories).all():
        raise AnalysisError("jPCA: the trajectories hold NaN or infinity; leave those conditions out.")
