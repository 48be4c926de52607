"""A planted rotation is found at its frequency; expansion is not a rotation; shifted units give a null."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.dynamics import jpca, rotation_test

RATE = 50.0


def rotating(rng: np.random.Generator, frequencies: tuple[float, ...], units: int = 30, conditions: int = 8, time: int = 60) -> np.ndarray:
    """(condition, time, unit): circles at the given frequencies, phases by condition, mixed into units."""
    mixing, _ = np.linalg.qr(rng.normal(size=(units, 2 * len(frequencies))))
    t = np.arange(time) / RATE
    planes = []
    for k, frequency in enumerate(frequencies):
        phase = 2 * np.pi * np.arange(conditions)[:, None] / conditions * (k + 1) + 2 * np.pi * frequency * t
        planes += [(2 - 0.5 * k) * np.cos(phase), (2 - 0.5 * k) * np.sin(phase)]
    return np.stack(planes, axis=-1) @ mixing.T


@pytest.mark.parametrize("frequency", [1.0, 3.0, 8.0])
def test_a_planted_rotation_is_found_at_its_frequency(frequency: float) -> None:
    data = rotating(np.random.default_rng(0), (frequency,))
    found = jpca(data, RATE, num_components=2)
    assert found.frequency[0] == pytest.approx(frequency, rel=1e-6)
    assert found.r2_skew == pytest.approx(1.0, abs=1e-6) and found.ratio == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(found.skew, -found.skew.T, atol=1e-9)
    np.testing.assert_allclose(found.plane.T @ found.plane, np.eye(2), atol=1e-9)


def test_two_rotations_at_once_in_noise() -> None:
    rng = np.random.default_rng(1)
    data = rotating(rng, (2.0, 5.0)) + 0.02 * rng.normal(size=(8, 60, 30))
    found = jpca(data, RATE, num_components=4)
    np.testing.assert_allclose(found.frequency, [5.0, 2.0], rtol=0.05)
    assert found.ratio > 0.95


def test_expansion_is_linear_but_no_rotation() -> None:
    rng = np.random.default_rng(2)
    growth = np.exp(np.arange(60) / 40)[None, :, None]
    start = rng.normal(size=(8, 1, 2))
    start -= start.mean(axis=0)
    mixing, _ = np.linalg.qr(rng.normal(size=(10, 2)))
    found = jpca((start * growth) @ mixing.T, RATE, num_components=2)
    assert found.r2_full > 0.99 and found.r2_skew < 0.01


def test_coordination_stands_out_of_the_null_and_its_absence_does_not() -> None:
    rng = np.random.default_rng(3)
    data = rotating(rng, (3.0,)) + 0.1 * rng.normal(size=(8, 60, 30))
    assert rotation_test(data, RATE, rng, num_components=2, num_null=39).p_value == pytest.approx(1 / 40)
    p_values = []
    for _ in range(40):
        # Each unit repeats with the window's length, so that the shifted time courses are as likely as the first ones.
        phase = rng.uniform(0, 2 * np.pi, size=(4, 1, 8))
        units = np.sin(2 * np.pi * 2 * np.arange(50)[None, :, None] / 50 + phase)
        p_values.append(rotation_test(units, RATE, rng, num_components=2, num_null=19).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("shape", "components", "match"),
    [
        ((3, 20), 2, "expected"),
        ((1, 20, 6), 2, "1 conditions"),
        ((4, 3, 6), 2, "of 3 samples"),
        ((4, 20, 6), 3, "got 3"),
        ((4, 20, 6), 8, "got 8"),
    ],
)
def test_refuses(shape: tuple[int, ...], components: int, match: str) -> None:
    with pytest.raises(AnalysisError, match=match):
        jpca(np.random.default_rng(0).normal(size=shape), RATE, num_components=components)


def test_refuses_nan_and_flat_trajectories() -> None:
    data = np.stack([red_noise(np.random.default_rng(i), 40, 6, 0.1) for i in range(4)])
    data[0, 0, 0] = np.nan
    with pytest.raises(AnalysisError, match="NaN"):
        jpca(data, RATE, num_components=2)
    with pytest.raises(AnalysisError, match="fewer than 4 dimensions"):
        jpca(rotating(np.random.default_rng(0), (3.0,)), RATE, num_components=4)
