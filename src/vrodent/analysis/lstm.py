"""A long short-term memory layer by itself, its input held: one step, its Jacobian, the points that it keeps, and how it moves near them.

Weights are plain arrays. Gates come in the order input, forget, cell, output along the columns, as in `equinox.nn.LSTMCell`. All that a
layer's input and bias contribute to the gates is one vector, the `drive`: with it held the layer is an autonomous map of its output `h`
and cell state `c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from vrodent.analysis.checks import AnalysisError

_STIFFEST = 1e12
"""Damping at which a search gives up: no step, however short, leads to less speed."""


def step(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One control step.

    Args:
        weight_hidden: (unit, 4 unit), from a unit's output to the gates.
        drive: (..., 4 unit), what input and bias contribute to the gates.
        h, c: (..., unit), output and cell state before.

    Returns:
        Output and cell state after, (..., unit) each.
    """
    gate_in, gate_forget, cell, gate_out = _gates(weight_hidden, drive, h)
    after = gate_forget * c + gate_in * cell
    return gate_out * np.tanh(after), after


def jacobian(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray) -> np.ndarray:
    """(2 unit, 2 unit), how output and cell state after a step (rows, `h` then `c`) depend on those before (columns).

    Args:
        weight_hidden, drive, h, c: as `step` takes them, of one state.
    """
    units = len(h)
    gate_in, gate_forget, cell, gate_out = _gates(weight_hidden, drive, h)
    after = np.tanh(gate_forget * c + gate_in * cell)
    of_in, of_forget, of_cell, of_out = (part.T for part in np.split(weight_hidden, 4, axis=1))
    out = np.empty((2 * units, 2 * units))
    out[units:, :units] = (
        (gate_in * (1 - gate_in) * cell)[:, None] * of_in
        + (gate_forget * (1 - gate_forget) * c)[:, None] * of_forget
        + (gate_in * (1 - cell**2))[:, None] * of_cell
    )
    out[units:, units:] = np.diag(gate_forget)
    out[:units] = (gate_out * (1 - after**2))[:, None] * out[units:]
    out[:units, :units] += (gate_out * (1 - gate_out) * after)[:, None] * of_out
    return out


def _gates(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    gate_in, gate_forget, cell, gate_out = np.split(drive + h @ weight_hidden, 4, axis=-1)
    return expit(gate_in), expit(gate_forget), np.tanh(cell), expit(gate_out)


class Slowest(NamedTuple):
    """Where a search for the slowest point ended.

    Attributes:
        h, c: (unit,) the state.
        speed: largest change of any value of it in a step.
        steps: of the search.
    """

    h: np.ndarray
    c: np.ndarray
    speed: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How points are searched for that a layer keeps.

    Attributes:
        tolerance: largest change of any value in a control step at a fixed point.
        most_steps: of one search.
        distinct: two points are one if no value differs by more, of cell states beyond 1 in proportion.
    """

    tolerance: float = 1e-9
    most_steps: int = 60
    distinct: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("tolerance", "most_steps", "distinct"):
            if not getattr(self, name) > 0:
                raise AnalysisError(f"SearchConfig.{name} must be positive, got {getattr(self, name)}.")


def slowest(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray, config: SearchConfig | None = None) -> Slowest:
    """Go from a state to where the layer moves most slowly: damped Gauss-Newton (Levenberg-Marquardt) on half the squared change a step.

    It ends at a fixed point, stable or not, or where the speed has a minimum above 0.

    Args:
        weight_hidden, drive, h, c: as `step` takes them, of one state.
        config: when to stop.

    Source: Sussillo & Barak 2013, Neural Computation 25:626-649, doi:10.1162/NECO_a_00409.
    """
    config = config or SearchConfig()
    units, x, damping = len(h), np.concatenate([h, c]).astype(float), 1e-2
    weight, drive = np.asarray(weight_hidden, float), np.asarray(drive, float)
    change = _change(weight, drive, x)
    steps = 0
    while steps < config.most_steps and np.abs(change).max() > config.tolerance and damping < _STIFFEST:
        steps += 1
        slope = jacobian(weight, drive, x[:units], x[units:]) - np.eye(2 * units)
        square, downhill = slope.T @ slope, slope.T @ change
        while damping < _STIFFEST:
            trial = x - cho_solve(cho_factor(square + damping * np.eye(2 * units)), downhill)
            tried = _change(weight, drive, trial)
            if tried @ tried < change @ change:
                x, change, damping = trial, tried, max(damping / 10, 1e-14)
                break
            damping *= 10
    return Slowest(x[:units], x[units:], float(np.abs(change).max()), steps)


def _change(weight: np.ndarray, drive: np.ndarray, x: np.ndarray) -> np.ndarray:
    units = len(x) // 2
    return np.concatenate(step(weight, drive, x[:units], x[units:])) - x


def run(
    weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray, num_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let the layer run by itself from several states.

    Args:
        weight_hidden, drive: as `step` takes them.
        h, c: (start, unit).
        num_steps: how long.

    Returns:
        Output and cell state at the end, (start, unit) each, and (start,) the largest change of any output in the last step.
    """
    speed = np.zeros(len(h))
    for _ in range(num_steps):
        before = h
        h, c = step(weight_hidden, drive, h, c)
        speed = np.abs(h - before).max(axis=1)
    return h, c, speed


class FixedPoints(NamedTuple):
    """Points that a layer keeps.

    Attributes:
        h, c: (point, unit).
        eigenvalues: (point, 2 unit) complex, of the map's Jacobian, largest first; of a conjugate pair the upper one first.
        shown: (point, 2 unit), share of each mode that is in the outputs, 0 to 1: near 0 for a cell so full that its output no longer
            follows it.
    """

    h: np.ndarray
    c: np.ndarray
    eigenvalues: np.ndarray
    shown: np.ndarray

    @property
    def stable(self) -> np.ndarray:
        """(point,) bool, whether every small deviation fades."""
        return np.abs(self.eigenvalues).max(axis=1, initial=0.0) < 1

    def nearest(self, h: np.ndarray, c: np.ndarray) -> np.ndarray:
        """(point,) distance to a state, root mean square over units of `h` and of tanh(c), which are on one scale."""
        return np.sqrt((((self.h - h) ** 2 + (np.tanh(self.c) - np.tanh(c)) ** 2) / 2).mean(axis=1))


def fixed_points(
    weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray, config: SearchConfig | None = None
) -> tuple[FixedPoints, np.ndarray]:
    """The distinct points that a layer keeps, searched for from several states.

    Args:
        weight_hidden, drive: as `step` takes them.
        h, c: (start, unit).
        config: of the searches.

    Returns:
        The points, in the order found, and (start,) the speed at which each search ended.
    """
    config = config or SearchConfig()
    ends = [slowest(weight_hidden, drive, *start, config) for start in zip(h, c, strict=True)]
    kept: list[Slowest] = []
    for end in ends:
        if end.speed <= config.tolerance and not any(_same(end, other, config.distinct) for other in kept):
            kept.append(end)
    units = h.shape[1]
    found = [modes(weight_hidden, drive, point.h, point.c) for point in kept]
    points = FixedPoints(
        np.array([point.h for point in kept]).reshape(-1, units), np.array([point.c for point in kept]).reshape(-1, units),
        np.array([one for one, _ in found], complex).reshape(-1, 2 * units), np.array([s for _, s in found]).reshape(-1, 2 * units),
    )  # fmt: skip
    return points, np.array([end.speed for end in ends])


def modes(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the Jacobian at a state, largest first, and the share of each mode that is in the outputs, (2 unit,) each."""
    found, vectors = np.linalg.eig(jacobian(np.asarray(weight_hidden, float), drive, h, c))
    order = np.lexsort((-np.imag(found), -np.round(np.abs(found), 12)))
    return found.astype(complex)[order], np.linalg.norm(vectors[: len(h)], axis=0)[order]


def cells_at_rest(weight_hidden: np.ndarray, drive: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Output and cell state that follow if the gates stay as outputs `h` (..., unit) set them until the cells move no more."""
    gate_in, gate_forget, cell, gate_out = _gates(weight_hidden, drive, h)
    c = gate_in * cell / np.maximum(1 - gate_forget, np.finfo(float).eps)
    return gate_out * np.tanh(c), c


def _same(one: Slowest, other: Slowest, distinct: float) -> bool:
    room = distinct * np.maximum(1, np.abs(other.c))
    return bool(np.abs(one.h - other.h).max() <= distinct and (np.abs(one.c - other.c) <= room).all())


def time_constant(eigenvalue: np.ndarray, rate: float) -> np.ndarray:
    """s in which a mode fades to 1/e; negative where it grows by that, infinite where it does neither.

    Args:
        eigenvalue: any shape, complex, of a map of `rate` steps a second.
        rate: Hz.
    """
    with np.errstate(divide="ignore"):
        return -1 / (rate * np.log(np.abs(eigenvalue)))


def rotation_frequency(eigenvalue: np.ndarray, rate: float) -> np.ndarray:
    """Hz at which a mode turns; 0 for a real and positive eigenvalue, half the rate for one that alternates.

    Args:
        eigenvalue: any shape, complex, of a map of `rate` steps a second.
        rate: Hz.
    """
    return np.abs(np.angle(eigenvalue)) * rate / (2 * np.pi)
