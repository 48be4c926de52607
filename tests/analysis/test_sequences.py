"""A planted sequence is found on held-out events; activity without one is not."""

import numpy as np
import pytest
from scipy import stats
from tests.analysis.signals import red_noise

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.sequences import peri_event, sequence, sequentiality_index

RATE = 50.0


def planted(rng: np.random.Generator, events: int = 24, units: int = 20) -> tuple[list[np.ndarray], list[tuple[int, int]], np.ndarray]:
    """Units fire one after another within 1 s around each event, in a hidden order."""
    hidden = rng.permutation(units)
    trials, marks = [], []
    for trial in range(4):
        time = 1500
        activity = 0.3 * red_noise(rng, time, units, 0.1)
        for frame in np.linspace(150, 1350, events // 4).astype(int):
            centre = frame - 25 + 50 * np.argsort(hidden) / (units - 1)
            activity += np.exp(-((np.arange(time)[:, None] - centre) ** 2) / (2 * 3.0**2))
            marks.append((trial, int(frame)))
        trials.append(activity)
    return trials, marks, hidden


def test_a_planted_sequence_is_sorted_and_stands_out() -> None:
    rng = np.random.default_rng(0)
    trials, events, hidden = planted(rng)
    score = sequence(trials, events, RATE, 0.6, 0.6, rng, num_null=99)
    assert stats.spearmanr(np.argsort(score.order), np.argsort(hidden)).statistic > 0.98
    assert score.ridge > 2 and score.p_value == pytest.approx(0.01)
    assert score.p_sequentiality == pytest.approx(0.01) and score.p_tiling == pytest.approx(0.01)
    assert 0 < score.tiling_low < score.tiling < score.tiling_high and score.num_trials == 4
    peaks = score.average.argmax(axis=0)
    assert stats.spearmanr(peaks, np.arange(len(peaks))).statistic > 0.95


def test_noise_gives_uniform_p_values() -> None:
    rng = np.random.default_rng(1)
    p_values, tilings = [], []
    for _ in range(80):
        trials = [red_noise(rng, 600, 6, 0.2) for _ in range(3)]
        events = [(i, int(frame)) for i in range(3) for frame in rng.integers(60, 540, size=4)]
        score = sequence(trials, events, RATE, 0.5, 0.5, rng, num_null=19)
        p_values.append(score.p_value)
        tilings.append(score.p_tiling)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert stats.kstest(tilings, "uniform").pvalue > 0.01


def test_sequentiality_of_known_patterns() -> None:
    assert sequentiality_index(np.eye(12)) == pytest.approx(1.0)
    assert sequentiality_index(np.ones((12, 12))) == pytest.approx(0.0, abs=1e-6)
    together = np.zeros((12, 12))
    together[5] = 1.0
    assert sequentiality_index(together) == pytest.approx(0.0, abs=1e-6)


def test_windows_are_where_they_should_be_and_never_padded() -> None:
    trial = np.arange(100.0)[:, None]
    windows = peri_event([trial], [(0, 50), (0, 5), (0, 95)], RATE, 0.2, 0.2)
    np.testing.assert_array_equal(windows.activity[0, :, 0], np.arange(40, 61))
    np.testing.assert_allclose(windows.time, np.arange(-10, 11) / 50)
    assert windows.left_out == 2


def test_refuses() -> None:
    trial = np.random.default_rng(2).normal(size=(100, 3))
    with pytest.raises(AnalysisError, match="none of 1 events"):
        peri_event([trial], [(0, 1)], RATE, 0.2, 0.2)
    with pytest.raises(AnalysisError, match="trial 3, frame 1 lies outside"):
        peri_event([trial], [(3, 1)], RATE, 0.2, 0.2)
    with pytest.raises(AnalysisError, match="3 events with whole windows, at least 4"):
        sequence([trial], [(0, 50)] * 3, RATE, 0.2, 0.2, np.random.default_rng(0))
