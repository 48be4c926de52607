"""What an animal is doing at a frame, as a distribution over body modes, frequencies and postures: the input of the behaviour map.

After Berman et al. 2014 (doi:10.1098/rsif.2014.0672): the body's signals are projected on their leading modes, each mode is taken apart by
frequency inside its trial, and the amplitudes of a frame are scaled to a total of 1. Two frames are compared by the Hellinger distance,
which is the Euclidean distance of the square roots, and stands in for the Kullback-Leibler divergence of the original.

Two things are added, since amplitudes alone tell neither a rear from a crouch nor stillness from noise: a share of the distribution for
the posture of the moment, and a bin of constant size that takes over where every amplitude is small. A share of 0 and a floor of 0 give
the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.wavelets import HIGHEST_FREQUENCY, log_frequencies, morlet_amplitude

POSE_SIGNALS = ("joint_angles", "pose")
"""Signals whose joint principal components are the body modes; `movement` comes beside them column by column."""


@dataclass(frozen=True, kw_only=True)
class SpectraConfig:
    """How frames become distributions.

    Attributes:
        num_modes: leading principal components of joint angles and pose.
        num_frequencies: logarithmically spaced frequencies, over the paper's slow, medium and fast bands together.
        lowest, highest: Hz, of those frequencies.
        omega0: of the Morlet wavelet.
        posture: share of the distribution that the posture of the moment takes; 0 for amplitudes alone.
        smoothing: s, standard deviation of the Gaussian that the posture is smoothed with.
        floor: size of the bin for stillness, and of that for the mean posture, relative to the median total of the other bins.
    """

    num_modes: int = 8
    num_frequencies: int = 25
    lowest: float = 0.3
    highest: float = HIGHEST_FREQUENCY
    omega0: float = 5.0
    posture: float = 0.1
    smoothing: float = 0.25
    floor: float = 0.25

    def __post_init__(self) -> None:
        if self.num_modes < 1 or self.num_frequencies < 1:
            raise AnalysisError(f"SpectraConfig needs at least 1 mode and 1 frequency, got {self.num_modes} and {self.num_frequencies}.")
        if not 0 < self.lowest < self.highest <= HIGHEST_FREQUENCY:
            raise AnalysisError(
                f"SpectraConfig needs 0 < lowest < highest <= {HIGHEST_FREQUENCY} Hz, got {self.lowest} and {self.highest}."
            )
        if not 0 <= self.posture < 1 or self.floor < 0 or not self.smoothing > 0:
            raise AnalysisError(
                f"SpectraConfig needs 0 <= posture < 1, floor >= 0, smoothing > 0; got {self.posture}, {self.floor}, {self.smoothing}."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Modes:
    """The body's modes, found on some trials and applied to any.

    Attributes:
        mean, scale: (column,) of the joint pose signals.
        axes: (column, mode), scaled so that the first mode has unit variance and the others keep their size beside it.
        movement_mean, movement_scale: (column,) of the movement signal.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    movement_mean: np.ndarray
    movement_scale: np.ndarray

    @classmethod
    def fit(cls, trials: Sequence[dict[str, np.ndarray]], num: int) -> Modes:
        """Find the modes of trials that hold `joint_angles`, `pose` and `movement`, (time, column) each.

        Raises:
            AnalysisError: no trials, values not finite, or a body that never moves.
        """
        joined = [_pose(trial) for trial in trials]
        check_trials(joined, "behaviour map: pose")
        check_trials([trial["movement"] for trial in trials], "behaviour map: movement")
        mean, scale = _moments(joined)
        covariance = np.sum([part.T @ part for part in (((trial - mean) / scale) for trial in joined)], axis=0)
        values, vectors = np.linalg.eigh(covariance / sum(len(trial) for trial in joined))
        if values[-1] < 1e-9:
            raise AnalysisError("behaviour map: the body never moves in the trials given; there are no modes.")
        axes = vectors[:, ::-1][:, :num] / np.sqrt(values[-1])
        largest = np.abs(axes).argmax(axis=0)
        axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])  # signs fixed so that reruns agree
        movement_mean, movement_scale = _moments([trial["movement"] for trial in trials])
        return cls(mean=mean, scale=scale, axes=axes, movement_mean=movement_mean, movement_scale=movement_scale)

    def channels(self, trial: dict[str, np.ndarray]) -> np.ndarray:
        """(time, channel): modes, then movement, each of about unit size.

        Raises:
            AnalysisError: values not finite, or other columns than the modes were found on.
        """
        pose, movement = _pose(trial), trial["movement"]
        if pose.shape[1] != len(self.mean) or movement.shape[1] != len(self.movement_mean):
            raise AnalysisError(
                f"behaviour map: a trial has {pose.shape[1]} + {movement.shape[1]} columns, the modes were found on {len(self.mean)} + "
                f"{len(self.movement_mean)}."
            )
        check_trials([np.hstack([pose, movement])], "behaviour map")
        return np.hstack([(pose - self.mean) / self.scale @ self.axes, (movement - self.movement_mean) / self.movement_scale])


@dataclass(frozen=True, kw_only=True)
class Floors:
    """Sizes of the bins for stillness and for the mean posture."""

    amplitude: float
    posture: float

    @classmethod
    def fit(cls, channels: Sequence[np.ndarray], rate: float, config: SpectraConfig) -> Floors:
        """Sizes relative to the median frame's totals in these trials of (time, channel)."""
        totals = [tuple(part.sum(axis=1) for part in _parts(trial, rate, config)) for trial in channels]
        amplitude, posture = (float(np.median(np.concatenate(part))) for part in zip(*totals, strict=True))
        return cls(amplitude=config.floor * amplitude, posture=config.floor * posture)


def distributions(channels: np.ndarray, rate: float, config: SpectraConfig, floors: Floors) -> np.ndarray:
    """What is being done at each frame.

    Args:
        channels: (time, channel), one trial. Never join trials.
        rate: frames a second, Hz.
        config: how.
        floors: of the bins for stillness and for the mean posture.

    Returns:
        (time, bin) float32, at least 0, each frame's total 1. Bins are amplitudes by channel and frequency, stillness, and, where posture
        has a share, each channel above and below its mean, and the mean posture. A frame in which nothing stirs and no bin has a floor
        is spread evenly.

    Raises:
        AnalysisError: values not finite, or fewer frames than one period of the lowest frequency.
    """
    amplitude, posture = _parts(channels, rate, config)
    parts = [_shares(amplitude, floors.amplitude) * (1 - config.posture)]
    if config.posture:
        parts.append(_shares(posture, floors.posture) * config.posture)
    return np.hstack(parts).astype(np.float32)


def phase_randomised(channels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels of the same power spectra and means whose phases are drawn anew, each channel's for itself: nothing starts or stops, and
    no channel knows of another.

    Args:
        channels: (time, channel), one trial.
        rng: source of the phases.

    Source: Theiler et al. 1992, doi:10.1016/0167-2789(92)90102-S.
    """
    spectrum = np.fft.rfft(channels, axis=0)
    phase = np.exp(2j * np.pi * rng.random(spectrum.shape))
    phase[0] = 1
    if len(channels) % 2 == 0:
        phase[-1] = 1
    return np.fft.irfft(spectrum * phase, len(channels), axis=0)


def _parts(channels: np.ndarray, rate: float, config: SpectraConfig) -> tuple[np.ndarray, np.ndarray]:
    frequencies = log_frequencies(config.lowest, config.highest, config.num_frequencies)
    amplitude = morlet_amplitude(channels, frequencies, rate, omega0=config.omega0).reshape(len(channels), -1)
    smooth = gaussian_filter1d(channels, config.smoothing * rate, axis=0, mode="nearest")
    return amplitude, np.hstack([np.maximum(smooth, 0), np.maximum(-smooth, 0)])


def _shares(values: np.ndarray, floor: float) -> np.ndarray:
    whole = np.hstack([values, np.full((len(values), 1), floor)])
    total = whole.sum(axis=1, keepdims=True)
    return np.divide(whole, total, out=np.full_like(whole, 1 / whole.shape[1]), where=total > 0)


def _pose(trial: dict[str, np.ndarray]) -> np.ndarray:
    return np.hstack([np.asarray(trial[name], dtype=float) for name in POSE_SIGNALS])


def _moments(trials: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    joined = np.concatenate(trials)
    mean, scale = joined.mean(axis=0), joined.std(axis=0)
    varies = scale > 1e-9 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(varies, scale, np.inf)  # a column that never varies counts nothing
