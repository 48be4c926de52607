"""Intervals cover what they say; p-values of a true null are uniform."""

import numpy as np
import pytest
from scipy import stats

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.statistics import (
    benjamini_hochberg,
    bootstrap_interval,
    jackknife_interval,
    label_permutation_p_value,
    max_corrected,
    null_p_value,
    sign_flip_p_value,
)


def test_bootstrap_covers() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        interval = bootstrap_interval(rng.normal(1.0, 2.0, size=40), rng, num=400)
        hits += bool(interval.low <= 1.0 <= interval.high)
    assert 0.90 <= hits / 300 <= 0.98


def test_jackknife_of_a_mean_is_students_interval() -> None:
    values = np.random.default_rng(1).normal(size=12)
    left_out = (values.sum() - values) / 11
    ours = jackknife_interval(values.mean(), left_out)
    low, high = stats.t.interval(0.95, 11, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([ours.low, ours.high], [low, high])


def test_one_trial_has_no_interval() -> None:
    with pytest.raises(AnalysisError, match="1 trial"):
        bootstrap_interval(np.ones((1, 3)), np.random.default_rng(0))
    with pytest.raises(AnalysisError, match="1 trial"):
        jackknife_interval(np.ones(3), np.ones((1, 3)))


def test_null_p_value_counts_the_observed_one() -> None:
    null = np.arange(99.0)
    assert null_p_value(np.array(1000.0), null) == pytest.approx(0.01)
    assert null_p_value(np.array(-1.0), null) == pytest.approx(1.0)
    assert null_p_value(np.array(-1.0), null, "two-sided") == pytest.approx(0.02)


@pytest.mark.parametrize("trials", [8, 20])
def test_sign_flip_is_uniform_under_the_null_and_small_under_an_effect(trials: int) -> None:
    rng = np.random.default_rng(trials)
    p_values = [sign_flip_p_value(rng.normal(size=trials), rng, num=499) for _ in range(300)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert sign_flip_p_value(rng.normal(3.0, 1.0, size=trials), rng) <= 0.01


def test_sign_flip_of_three_trials_cannot_be_significant() -> None:
    assert sign_flip_p_value(np.array([1.0, 1.1, 0.9]), np.random.default_rng(0)) == pytest.approx(0.25)


def test_label_permutation_is_uniform_under_the_null() -> None:
    rng = np.random.default_rng(4)
    p_values = [label_permutation_p_value(rng.normal(size=12), rng.normal(size=9), rng, num=299) for _ in range(300)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert label_permutation_p_value(np.zeros(10) + rng.normal(size=10) * 0.1, np.ones(10), rng, num=999) == pytest.approx(0.001)


def test_max_correction_keeps_the_family_wise_rate_and_its_power() -> None:
    """Under the null the smallest of 20 corrected p-values is uniform; one large effect among them is still found with 39 draws."""
    rng = np.random.default_rng(6)
    smallest = [max_corrected(rng.normal(size=(4, 5)), rng.normal(size=(39, 4, 5))).min() for _ in range(300)]
    assert stats.kstest(smallest, "uniform").pvalue > 0.01
    observed = rng.normal(size=(4, 5))
    observed[2, 3] = 8.0
    observed[0, 0] = np.nan
    corrected = max_corrected(observed, rng.normal(size=(39, 4, 5)))
    assert corrected[2, 3] == pytest.approx(1 / 40)
    assert np.isnan(corrected[0, 0])
    assert np.sum(corrected < 0.05) == 1


def test_benjamini_hochberg_agrees_with_scipy() -> None:
    p_values = np.random.default_rng(5).uniform(size=(4, 6)) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values.ravel()).reshape(4, 6))
