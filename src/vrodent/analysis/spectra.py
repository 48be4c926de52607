"""How fast units fluctuate: power spectra, spectral centroids and autocorrelation times, by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import signal

from vrodent.analysis.checks import AnalysisError, check_trials

_SILENT = 1e-9
"""Activity whose standard deviation lies below this in a trial does not fluctuate; its normalised spectrum would be rounding noise."""


class Spectra(NamedTuple):
    """Fluctuations of the units of one layer.

    Attributes:
        frequency: (frequency,), Hz, above 0 and below rate / 2, where a one-sided spectrum holds half.
        power: (trial, unit, frequency), share of a unit's power per Hz in one trial: it integrates to 1. NaN for a silent unit.
        centroid: (trial, unit), Hz, mean frequency weighted by power. NaN for a silent unit.
        autocorrelation_time: (trial, unit), s, see `autocorrelation_time`. NaN for a silent unit.
    """

    frequency: np.ndarray
    power: np.ndarray
    centroid: np.ndarray
    autocorrelation_time: np.ndarray


def unit_spectra(trials: Sequence[np.ndarray], rate: float, *, segment: int = 400) -> Spectra:
    """Spectrum of every unit in every trial, by Welch's method inside the trial (Hann windows, half overlapping, mean removed).

    Args:
        trials: one (time, unit) array a trial.
        rate: frames a second, Hz.
        segment: frames of a Welch segment; sets the lowest frequency and the resolution, rate / segment.

    Raises:
        AnalysisError: a trial shorter than a segment, or values that are not finite.

    Source: Welch 1967.
    """
    check_trials(trials, "spectra", min_frames=segment)
    if segment < 8:
        raise AnalysisError(f"spectra: a segment of {segment} frames has no spectrum; use 8 or more.")
    frequency = np.fft.rfftfreq(segment, 1 / rate)
    inner = (frequency > 0) & (frequency < rate / 2)
    frequency = frequency[inner]
    power = np.stack([signal.welch(trial, rate, nperseg=segment, axis=0)[1][inner].T for trial in trials])
    silent = np.stack([trial.std(axis=0) < _SILENT for trial in trials])
    total = power.sum(axis=-1, keepdims=True) * frequency[0]
    power = np.divide(power, total, out=np.full_like(power, np.nan), where=~silent[:, :, None] & (total > 0))
    centroid = (power * frequency).sum(axis=-1) * frequency[0]
    times = np.stack([autocorrelation_time(trial, rate) for trial in trials])
    return Spectra(frequency, power, centroid, times)


def autocorrelation(trial: np.ndarray) -> np.ndarray:
    """(lag, column) autocorrelation of each column of one trial (time, column), 1 at lag 0; NaN for a silent column."""
    centred = trial - trial.mean(axis=0)
    size = 1 << (2 * len(trial) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    covariance = np.fft.irfft(power, size, axis=0)[: len(trial)]
    alive = trial.std(axis=0) >= _SILENT
    return np.divide(covariance, covariance[:1], out=np.full_like(covariance, np.nan), where=alive[None, :])


def autocorrelation_time(trial: np.ndarray, rate: float) -> np.ndarray:
    """Seconds for which a column remembers itself: the integral of its autocorrelation from 0 to its first zero crossing.

    For a first-order process of time constant tau this is tau, once the trial is much longer than tau.

    Args:
        trial: (time, column), one trial.
        rate: frames a second, Hz.

    Returns:
        (column,), NaN for a silent column.
    """
    rho = autocorrelation(trial)
    before_crossing = np.cumprod(np.nan_to_num(rho, nan=-1.0) > 0, axis=0).astype(bool)
    total = np.where(before_crossing, rho, 0.0).sum(axis=0) - 0.5  # trapezoid: half of lag 0
    return np.where(np.isnan(rho[0]), np.nan, total / rate)


def layer_mean(values: np.ndarray) -> np.ndarray:
    """Mean over units (second axis) that leaves silent ones out: (trial, unit, ...) -> (trial, ...). NaN where all are silent."""
    alive = np.isfinite(values)
    count = alive.sum(axis=1)
    return np.divide(np.where(alive, values, 0.0).sum(axis=1), count, out=np.full(count.shape, np.nan), where=count > 0)
