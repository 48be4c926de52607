"""Planted data for the analyses' tests."""

from __future__ import annotations

import numpy as np
from scipy import signal


def red_noise(rng: np.random.Generator, time: int, columns: int, tau: float, rate: float = 50.0) -> np.ndarray:
    """(time, column) stationary first-order noise of time constant `tau` seconds and unit variance."""
    keep = np.exp(-1 / (tau * rate))
    drive = rng.normal(size=(time + int(10 * tau * rate), columns)) * np.sqrt(1 - keep**2)
    return signal.lfilter([1.0], [1.0, -keep], drive, axis=0)[-time:]


def sine(time: int, frequency: float, rate: float = 50.0, phase: float = 0.0) -> np.ndarray:
    """(time,) sine of amplitude 1."""
    return np.sin(2 * np.pi * frequency * np.arange(time) / rate + phase)
