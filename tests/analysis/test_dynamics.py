"""A planted rotation is found at its frequency; expansion is not a rotation; shifted units give a null."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.dynamics import jpca, rotation_test
from vrodent.analysis.flow import flow_field, task_share
from vrodent.analysis.surrogates import maximum_entropy

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
    assert rotation_test(data, RATE, rng, num_components=2, num_null=39).p_value["units"] == pytest.approx(1 / 40)
    p_values = []
    for _ in range(40):
        # Each unit repeats with the window's length, so that the shifted time courses are as likely as the first ones.
        phase = rng.uniform(0, 2 * np.pi, size=(4, 1, 8))
        units = np.sin(2 * np.pi * 2 * np.arange(50)[None, :, None] / 50 + phase)
        p_values.append(rotation_test(units, RATE, rng, num_components=2, num_null=19).p_value["units"])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_sequence_of_bumps_rotates_no_more_than_another_sequence_of_them() -> None:
    """Lebedev et al. 2019: bumps at random times, the same in every condition, rotate by themselves; only the first control is beaten."""
    rng = np.random.default_rng(4)
    p_values = []
    for _ in range(30):
        peak = rng.uniform(0, 50, size=20)
        away = (np.arange(50)[:, None] - peak + 25) % 50 - 25  # on a circle, so that shifted bumps are as likely
        data = np.exp(-(away**2) / 50)[None] + 0.05 * rng.normal(size=(6, 50, 20))
        p_values.append(rotation_test(data, RATE, rng, num_null=19, subtract_mean=False).p_value)
    assert np.mean([p["units"] for p in p_values]) < 0.06
    assert stats.kstest([p["sequence"] for p in p_values], "uniform").pvalue > 0.01


def test_draws_of_maximal_entropy_share_the_three_covariances() -> None:
    rng = np.random.default_rng(5)
    data = rotating(rng, (3.0,), units=8, conditions=6, time=30) + 0.3 * red_noise(rng, 180, 8, 0.1).reshape(6, 30, 8)
    flat = (data - data.mean(axis=(0, 1))).reshape(-1, 8)
    reduced = (flat @ np.linalg.eigh(flat.T @ flat)[1][:, ::-1]).reshape(6, 30, 8)
    draws = np.stack(list(maximum_entropy(data, rng, 400)))

    def moments(x: np.ndarray, mode: int) -> np.ndarray:
        means = sum(x.mean(axis=tuple(i for i in range(3) if i != m), keepdims=True) for m in range(3)) - 2 * x.mean()
        unfolded = np.moveaxis(x - means, mode, 0).reshape(x.shape[mode], -1)
        return unfolded @ unfolded.T

    for mode in range(3):
        truth, drawn = moments(reduced, mode), np.mean([moments(draw, mode) for draw in draws], axis=0)
        assert np.linalg.norm(drawn - truth) < 0.1 * np.linalg.norm(truth), mode


def test_flow_of_a_rotation_and_the_share_between_tasks() -> None:
    rng = np.random.default_rng(6)
    radius = rng.uniform(0.2, 1.0, size=(40, 1))
    phase = rng.uniform(0, 2 * np.pi, size=(40, 1)) + 2 * np.pi * np.arange(50) / RATE  # 1 Hz
    paths = [np.column_stack([r * np.cos(p), r * np.sin(p)]) for r, p in zip(radius, phase, strict=True)]
    field, edges = flow_field(paths, RATE, 6, 5)
    centre = (edges[:, 1:] + edges[:, :-1]) / 2
    x, y = np.meshgrid(*centre, indexing="ij")
    seen = np.isfinite(field[..., 0])
    assert seen.sum() > 25
    np.testing.assert_allclose(field[seen], 2 * np.pi * np.stack([-y, x], axis=-1)[seen], atol=0.8)
    task = np.repeat([0, 1], 5)
    offset = np.array([3.0, 0.0])
    trials = [rng.normal(size=(400, 2)) + offset * t for t in task]
    share = task_share(trials, task, rng, num_null=50)
    assert share.unit[0] == pytest.approx(9 / 4 / (9 / 4 + 1), abs=0.05) and share.unit[1] < 0.02
    assert share.null.mean() < 0.4 * np.mean(share.unit)


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
