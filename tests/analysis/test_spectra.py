"""Spectra and autocorrelation times of planted units."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise, sine

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.spectra import autocorrelation_time, layer_mean, unit_spectra

RATE = 50.0


def test_a_unit_that_oscillates_at_3_hz_is_found_at_3_hz() -> None:
    rng = np.random.default_rng(0)
    trials = [np.column_stack([sine(1000, 3.0, phase=p), rng.normal(size=1000)]) for p in (0.0, 1.0)]
    spectra = unit_spectra(trials, RATE)
    assert np.all(spectra.frequency[spectra.power[:, 0].argmax(axis=-1)] == 3.0)
    np.testing.assert_allclose(spectra.centroid[:, 0], 3.0, atol=0.05)
    np.testing.assert_allclose(spectra.centroid[:, 1], 12.5, atol=1.0)  # white noise: the middle of 0 to 25 Hz


def test_power_integrates_to_one_whatever_the_scale() -> None:
    trials = [red_noise(np.random.default_rng(1), 900, 3, 0.2) * [1e-3, 1.0, 1e3]]
    spectra = unit_spectra(trials, RATE)
    np.testing.assert_allclose(np.sum(spectra.power, axis=-1) * spectra.frequency[0], 1.0)


def test_red_noise_has_its_lorentzian_spectrum() -> None:
    tau = 0.1
    trials = [red_noise(np.random.default_rng(seed), 3000, 20, tau) for seed in range(4)]
    spectra = unit_spectra(trials, RATE)
    power = spectra.power.mean(axis=(0, 1))
    keep = np.exp(-1 / (tau * RATE))
    expected = 1 / (1 - 2 * keep * np.cos(2 * np.pi * spectra.frequency / RATE) + keep**2)
    expected /= expected.sum() * spectra.frequency[0]
    inner = (spectra.frequency > 0.3) & (spectra.frequency < 20)
    np.testing.assert_allclose(power[inner], expected[inner], rtol=0.15)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_autocorrelation_time_is_the_time_constant(tau: float) -> None:
    noise = red_noise(np.random.default_rng(2), 20000, 8, tau)
    np.testing.assert_allclose(autocorrelation_time(noise, RATE).mean(), tau, rtol=0.15)


def test_a_silent_unit_is_nan_and_left_out_of_the_layer_mean() -> None:
    trial = np.column_stack([np.full(500, 0.3), sine(500, 2.0)])
    spectra = unit_spectra([trial], RATE)
    assert np.isnan(spectra.power[0, 0]).all()
    assert np.isnan(spectra.centroid[0, 0]) and np.isnan(spectra.autocorrelation_time[0, 0])
    np.testing.assert_allclose(layer_mean(spectra.centroid), spectra.centroid[:, 1])
    assert np.isnan(layer_mean(np.full((1, 2), np.nan))).all()


def test_refuses_a_trial_shorter_than_a_segment() -> None:
    with pytest.raises(AnalysisError, match="trial 1: 399 frames, at least 400"):
        unit_spectra([np.ones((400, 1)), np.ones((399, 1))], RATE)
    with pytest.raises(AnalysisError, match="trial 0: 1 of 500 frames hold NaN or infinity, the first is frame 17"):
        bad = np.zeros((500, 2))
        bad[17, 1] = np.nan
        unit_spectra([bad], RATE)
    with pytest.raises(AnalysisError, match="0 trial"):
        unit_spectra([], RATE)
