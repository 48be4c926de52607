"""Where things are told to be and are not: a teacher whose student judges by eye is told a little wrong.

A network that was only ever told the truth trusts it to the centimetre: as a student's skill it misses an orb, or steps off an edge, by as
much as the student misjudges it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vrodent.simulation import CpuSimulation

_LASTS = 0.98  # of an error, from one control step to the next: it lasts for a second
_FAR = 0.3  # m, from where on a distance is misjudged no more

Heights = Callable[[CpuSimulation, np.ndarray], np.ndarray]


class Misjudgement:
    """Errors that wander (Ornstein and Uhlenbeck's process).

    Args:
        rng: source of all draws.
        shape: of the errors.
        deviation: their standard deviation; of 0 nothing is drawn.

    Attributes:
        error: of the moment, of that shape.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], deviation: float):
        self._rng, self.deviation = rng, deviation
        self.error = np.zeros(shape)
        self._wander(0.0)

    def advance(self) -> None:
        """A control step later."""
        self._wander(_LASTS)

    def _wander(self, last: float) -> None:
        if self.deviation > 0.0:
            fresh = self._rng.normal(0.0, self.deviation, self.error.shape)
            self.error = last * self.error + np.sqrt(1.0 - last**2) * fresh


def misjudged(heights: Heights, judgement: Misjudgement) -> Heights:
    """Heights along a corridor as one tells of them who judges by eye: shifted along x by an error of their own and, the more so the
    farther off, by one of distances; and not sharp, but the mean over a deviation of the errors to either side.

    Args:
        heights: of (env, points), the truth; points (world, point, [x, y]) m, the last of them beneath the rat, which it feels.
        judgement: errors (world, 2) m.
    """

    def told(env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        if judgement.deviation == 0.0:
            return heights(env, points)
        far = np.clip(np.linalg.norm(points - points[:, -1:], axis=2) / _FAR, 0.0, 1.0)
        shift = judgement.error[:, :1] + judgement.error[:, 1:] * far
        found = []
        for blur in (-judgement.deviation, 0.0, judgement.deviation):
            moved = points.copy()
            moved[:, :-1, 0] += (shift + blur)[:, :-1]
            found.append(heights(env, moved))
        return np.mean(found, axis=0)

    return told
