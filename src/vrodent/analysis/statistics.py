"""Intervals over trials and p-values from nulls. The trial is the unit of replication; frames of a trial are not independent."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from vrodent.analysis.checks import AnalysisError


class Interval(NamedTuple):
    """An estimate with its confidence limits, each of the statistic's own shape."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap_interval(values: np.ndarray, rng: np.random.Generator, *, num: int = 2000, level: float = 0.95) -> Interval:
    """Mean over trials with a percentile bootstrap interval.

    Args:
        values: (trial, ...), finite.
        rng: source of the resamples.
        num: number of resamples.
        level: coverage aimed at.

    Raises:
        AnalysisError: one trial or none: there is no spread to resample.
    """
    if len(values) < 2:
        raise AnalysisError(f"bootstrap: {len(values)} trial(s), at least 2 needed for an interval.")
    flat = values.reshape(len(values), -1)
    counts = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=num)
    means = counts @ flat / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    shape = values.shape[1:]
    return Interval(values.mean(axis=0), low.reshape(shape), high.reshape(shape))


def jackknife_interval(estimate: np.ndarray, left_out: np.ndarray, *, level: float = 0.95) -> Interval:
    """Interval of a statistic from its values with each trial left out in turn, by Student's t on the pseudo-values.

    For statistics of pairs of frames this is used in place of a bootstrap: a resample holds trials twice, and the equal frames of the
    two copies are pairs that a debiased statistic does not expect and that push it up.

    Args:
        estimate: the statistic on all trials, any shape.
        left_out: (trial, ...), the statistic without that trial.
        level: coverage aimed at.

    Returns:
        The plain estimate (not the jackknife's bias-corrected one) and the limits about it.

    Source: Efron & Stein 1981; Arvesen 1969 for U-statistics.
    """
    num = len(left_out)
    if num < 2:
        raise AnalysisError(f"jackknife: {num} trial(s), at least 2 needed for an interval.")
    deviation = left_out - left_out.mean(axis=0)
    error = np.sqrt((num - 1) / num * (deviation**2).sum(axis=0))
    half = stats.t.ppf((1 + level) / 2, num - 1) * error
    return Interval(np.asarray(estimate), estimate - half, estimate + half)


def null_p_value(observed: np.ndarray, null: np.ndarray, side: Literal["greater", "two-sided"] = "greater") -> np.ndarray:
    """Share of null draws at least as extreme as the observed value, the observed one counted among them, so never 0.

    Args:
        observed: any shape.
        null: (draw, ...), the same shape after the first axis.
        side: `two-sided` doubles the smaller tail.

    Source: Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    num = len(null)
    upper = (1 + (null >= observed).sum(axis=0)) / (num + 1)
    if side == "greater":
        return upper
    lower = (1 + (null <= observed).sum(axis=0)) / (num + 1)
    return np.minimum(1.0, 2 * np.minimum(upper, lower))


def max_corrected(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p-values corrected for the number of statistics looked at: the chance that the largest of them all, each standardised by
    its own null, would reach so far. Unlike corrections of single p-values this does not need more draws for more statistics.

    Args:
        observed: any shape; NaN entries stay NaN and take no part.
        null: (draw, ...), the same shape after the first axis.

    Source: Westfall & Young 1993, single-step maxT.
    """
    # The observed values are standardised together with the null's, as one more draw: only so are all draws exchangeable under the null.
    joined = np.concatenate([observed[None], null])
    spread = joined.std(axis=0)
    use = np.isfinite(joined).all(axis=0) & (spread > 0)
    if not use.any():
        return np.full(observed.shape, np.nan)
    standard = (joined[:, use] - joined.mean(axis=0)[use]) / spread[use]
    largest = standard[1:].max(axis=1)
    out = np.full(observed.shape, np.nan)
    out[use] = (1 + (largest[:, None] >= standard[0]).sum(axis=0)) / (len(null) + 1)
    return out


def sign_flip_p_value(differences: np.ndarray, rng: np.random.Generator, *, num: int = 9999) -> float:
    """Two-sided p-value that paired differences are centred on 0: every sign assignment up to 2^12 of them, else `num` random ones.

    Args:
        differences: (trial,).
        rng: source of the random signs.
        num: random sign assignments when there are more than 12 trials.
    """
    trials = len(differences)
    observed = abs(differences.mean())
    if trials <= 12:
        signs = 1 - 2 * ((np.arange(2**trials)[:, None] >> np.arange(trials)) & 1)
        flipped = np.abs(signs @ differences) / trials
        return float((flipped >= observed * (1 - 1e-12)).mean())
    signs = rng.choice([-1, 1], size=(num, trials))
    flipped = np.abs(signs @ differences) / trials
    return float((1 + (flipped >= observed * (1 - 1e-12)).sum()) / (num + 1))


def label_permutation_p_value(left: np.ndarray, right: np.ndarray, rng: np.random.Generator, *, num: int = 9999) -> float:
    """Two-sided p-value that two groups have one mean: group labels permuted over the pooled values.

    Args:
        left: (a,).
        right: (b,).
        rng: source of the permutations.
        num: number of permutations.
    """
    pooled = np.concatenate([left, right])
    order = rng.permuted(np.broadcast_to(np.arange(len(pooled)), (num, len(pooled))), axis=1)
    shuffled = pooled[order]
    difference = shuffled[:, : len(left)].mean(axis=1) - shuffled[:, len(left) :].mean(axis=1)
    observed = abs(left.mean() - right.mean())
    return float((1 + (np.abs(difference) >= observed * (1 - 1e-12)).sum()) / (num + 1))


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Smallest false discovery rate at which each p-value is called, same shape (Benjamini & Hochberg 1995)."""
    flat = np.ravel(p_values)
    order = np.argsort(flat)[::-1]
    scaled = flat[order] * len(flat) / np.arange(len(flat), 0, -1)
    adjusted = np.empty_like(flat, dtype=float)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return adjusted.reshape(np.shape(p_values))
