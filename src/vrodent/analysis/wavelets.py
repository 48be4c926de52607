"""Morlet wavelet amplitudes of one trial's signals."""

from __future__ import annotations

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials

HIGHEST_FREQUENCY = 24.0
"""Hz. At 50 Hz the Nyquist frequency is 25 Hz; there half of the wavelet's band is folded away, so the paper's 25 Hz becomes 24 here."""


def log_frequencies(low: float, high: float, num: int) -> np.ndarray:
    """(num,) frequencies from `low` to `high` Hz, equally spaced in their logarithm."""
    return np.geomspace(low, high, num)


def morlet_amplitude(signal: np.ndarray, frequencies: np.ndarray, rate: float, *, omega0: float = 5.0) -> np.ndarray:
    """Amplitude of each column at each frequency: a sine of amplitude A at one of the frequencies gives A there, at every frequency.

    The wavelet is applied in the Fourier domain, where it is the Gaussian 2 exp(-(s w - omega0)^2 / 2) on positive frequencies with
    s = omega0 / (2 pi f). The trial is mirrored at both ends first, so that nothing wraps round from its end to its start; within
    about one period of an end the amplitude at that frequency rests on mirrored data.

    Args:
        signal: (time, column), one trial. Never join trials.
        frequencies: (frequency,), Hz, each above 0 and below rate / 2.
        rate: samples a second, Hz.
        omega0: number of radians of oscillation under the wavelet's unit-width Gaussian; sets the trade of time against frequency.

    Returns:
        (time, column, frequency), in the signal's unit.

    Raises:
        AnalysisError: fewer frames than one period of the lowest frequency, values not finite, or a frequency out of range.

    Source: Torrence & Compo 1998; amplitude convention of Berman et al. 2014, doi:10.1098/rsif.2014.0672.
    """
    frequencies = np.asarray(frequencies, dtype=float)
    if frequencies.ndim != 1 or not len(frequencies) or frequencies.min() <= 0 or frequencies.max() >= rate / 2:
        raise AnalysisError(f"wavelets: frequencies must lie between 0 and {rate / 2} Hz, got {frequencies}.")
    check_trials([signal], "wavelets", min_frames=int(np.ceil(rate / frequencies.min())))
    time = len(signal)
    pad = min(time - 1, int(np.ceil(3.0 * omega0 / (2 * np.pi * frequencies.min()) * rate)))
    centred = signal - signal.mean(axis=0)
    mirrored = np.pad(centred, ((pad, pad), (0, 0)), mode="reflect")
    size = 1 << (len(mirrored) - 1).bit_length()
    spectrum = np.fft.fft(mirrored, size, axis=0)
    omega = 2 * np.pi * np.fft.fftfreq(size, 1 / rate)
    out = np.empty((time, signal.shape[1], len(frequencies)))
    for k, frequency in enumerate(frequencies):
        scale = omega0 / (2 * np.pi * frequency)
        window = np.where(omega > 0, 2 * np.exp(-((scale * omega - omega0) ** 2) / 2), 0.0)
        out[:, :, k] = np.abs(np.fft.ifft(spectrum * window[:, None], axis=0)[pad : pad + time])
    return out
