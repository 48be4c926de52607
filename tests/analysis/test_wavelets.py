"""Morlet amplitudes against sines of known amplitude and against pynapple."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise, sine

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.wavelets import log_frequencies, morlet_amplitude

RATE = 50.0


@pytest.mark.parametrize("frequency", [0.5, 1.0, 3.0, 8.0, 15.0, 20.0])
def test_a_sine_has_its_own_amplitude_at_its_own_frequency(frequency: float) -> None:
    signal = 0.7 * sine(2000, frequency)[:, None]
    amplitude = morlet_amplitude(signal, np.array([frequency]), RATE)
    middle = amplitude[700:1300, 0, 0]
    np.testing.assert_allclose(middle, 0.7, rtol=0.02)


def test_amplitude_peaks_at_the_frequency_present() -> None:
    frequencies = log_frequencies(0.3, 24, 60)
    amplitude = morlet_amplitude(sine(1500, 3.0)[:, None], frequencies, RATE)[700].squeeze()
    assert abs(frequencies[amplitude.argmax()] / 3.0 - 1) < 0.08


def test_at_the_nyquist_frequency_the_folded_half_is_why_we_stop_at_24_hz() -> None:
    at_24 = morlet_amplitude(sine(1500, 24.0, phase=0.3)[:, None], np.array([24.0]), RATE)[700:800].mean()
    assert 0.9 < at_24 < 1.1
    with pytest.raises(AnalysisError, match="between 0 and 25"):
        morlet_amplitude(sine(1500, 24.0)[:, None], np.array([25.0]), RATE)


def test_a_linear_map_of_time_shifts_the_amplitude_with_it() -> None:
    burst = np.zeros((1000, 1))
    burst[480:520, 0] = sine(40, 10.0)
    amplitude = morlet_amplitude(burst, np.array([10.0]), RATE)[:, 0, 0]
    later = morlet_amplitude(np.roll(burst, 100, axis=0), np.array([10.0]), RATE)[:, 0, 0]
    np.testing.assert_allclose(np.roll(amplitude, 100)[200:900], later[200:900], atol=1e-6)


def test_agrees_with_pynapple() -> None:
    nap = pytest.importorskip("pynapple")
    time = np.arange(1500) / RATE
    values = red_noise(np.random.default_rng(0), 1500, 1, 0.1)[:, 0] + sine(1500, 4.0)
    frequencies = np.array([2.0, 4.0, 8.0])
    omega0 = 5.0
    # At 1 Hz pynapple's filter is exp(2 pi i t) exp(-t^2 / width), ours has a Gaussian of omega0 / (2 pi) s standard deviation.
    width = 2 * (omega0 / (2 * np.pi)) ** 2
    theirs = nap.compute_wavelet_transform(
        nap.Tsd(time, values), freqs=frequencies, fs=RATE, gaussian_width=width, window_length=1.0, precision=20, norm="l1"
    )
    ours = morlet_amplitude(values[:, None], frequencies, RATE, omega0=omega0)[:, 0]
    # Its filter has the constant (pi width)^(-1/4) before the Gaussian, so a sine of amplitude 1 gives (pi width)^(1/4) / 2 there.
    theirs = np.abs(np.asarray(theirs)) * 2 / (np.pi * width) ** 0.25
    inner = slice(300, 1200)
    np.testing.assert_allclose(theirs[inner], ours[inner], atol=0.03 * ours[inner].max())


@pytest.mark.parametrize(
    ("signal", "match"),
    [
        (np.zeros((10, 1)), "10 frames, at least 50"),
        (np.zeros((0, 1)), "0 frames"),
        (np.full((100, 1), np.nan), "hold NaN"),
        (np.zeros(100), r"expected \(time, column\)"),
    ],
)
def test_refuses(signal: np.ndarray, match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        morlet_amplitude(signal, np.array([1.0]), RATE)
