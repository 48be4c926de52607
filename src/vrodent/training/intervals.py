"""Estimates with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its uncertainty over trials.

    Attributes:
        name: what it is.
        unit: SI unit, or "1".
        value: mean, or proportion.
        low, high: bounds of the 95 % interval; None where one trial cannot give one.
        trials: how many it rests on.
        method: how the interval was made.
    """

    name: str
    unit: str
    value: float
    low: float | None
    high: float | None
    trials: int
    method: str


def mean_estimate(name: str, unit: str, values: np.ndarray, seed: int = 0) -> Estimate:
    """The mean over trials with its bootstrap interval (bias-corrected and accelerated, 9999 resamples).

    If all trials agree the interval has no width: resampling cannot see what never varied.

    Raises:
        ValueError: no values.
    """
    values = np.asarray(values, float)
    if not values.size:
        raise ValueError(f"no trial to estimate {name} from")
    mean = float(values.mean())
    if values.size == 1:
        return Estimate(name=name, unit=unit, value=mean, low=None, high=None, trials=1, method="one trial")
    if np.ptp(values) == 0.0:
        return Estimate(name=name, unit=unit, value=mean, low=mean, high=mean, trials=values.size, method="all trials equal")
    rng = np.random.default_rng(seed)
    interval = stats.bootstrap((values,), np.mean, confidence_level=CONFIDENCE, n_resamples=9999, method="BCa", rng=rng).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return Estimate(name=name, unit=unit, value=mean, low=low, high=high, trials=values.size, method="bootstrap, BCa")


def proportion_estimate(name: str, hits: int, trials: int) -> Estimate:
    """A proportion of trials with its Wilson interval, which has a width even if no trial, or every trial, is a hit.

    Raises:
        ValueError: no trials, or more hits than trials.
    """
    if not 0 <= hits <= trials or not trials:
        raise ValueError(f"{hits} of {trials} trials is no proportion of {name}")
    interval = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="wilson")
    low, high = float(interval.low), float(interval.high)
    return Estimate(name=name, unit="1", value=hits / trials, low=low, high=high, trials=trials, method="Wilson")
