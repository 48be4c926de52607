"""Running mean and variance of observations."""

from __future__ import annotations

import numpy as np


class RunningMoments:
    """Mean and variance of all rows seen so far, merged batch by batch.

    Source: Chan, Golub & LeVeque 1983, pairwise update of the sum of squared deviations.
    """

    def __init__(self, size: int):
        self.count = 0.0
        self.mean = np.zeros(size)
        self.variance = np.ones(size)

    def add(self, rows: np.ndarray) -> None:
        """Take in rows (row, size)."""
        rows = np.asarray(rows, np.float64)
        count = self.count + len(rows)
        offset = rows.mean(axis=0) - self.mean
        spread = self.variance * self.count + rows.var(axis=0) * len(rows)
        self.variance = (spread + offset**2 * self.count * len(rows) / count) / count
        self.mean = self.mean + offset * len(rows) / count
        self.count = count
