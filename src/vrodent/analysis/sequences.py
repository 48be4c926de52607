"""Do units tile the time around an event? Peri-event averages, sorting that is validated on other events, sequentiality, nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.statistics import null_p_value


class Windows(NamedTuple):
    """Activity around events.

    Attributes:
        activity: (event, time, unit).
        time: (time,), s from the event.
        left_out: events whose window passes the end or start of their trial.
    """

    activity: np.ndarray
    time: np.ndarray
    left_out: int


class SequenceScore(NamedTuple):
    """How sequential the population is around an event, judged on events that took no part in sorting the units.

    Attributes:
        order: (unit,) units sorted by the time of their peak in the odd events; silent ones last.
        average: (time, unit) of the even events in that order, every unit scaled to 0..1 by the odd events' range.
        ridge: activity near a unit's peak over activity elsewhere, in the even events; 1 without a sequence.
        sequentiality: square root of peak entropy times temporal sparsity of the even events' average, 0 to 1.
        null_ridge: (draw,), ridge at random times instead of events.
        p_value: of the ridge, one-sided.
    """

    order: np.ndarray
    average: np.ndarray
    ridge: float
    sequentiality: float
    null_ridge: np.ndarray
    p_value: float


def peri_event(trials: Sequence[np.ndarray], events: Sequence[tuple[int, int]], rate: float, before: float, after: float) -> Windows:
    """Cut the activity around events; an event too close to an end of its trial is left out and counted, never padded.

    Args:
        trials: one (time, unit) array a trial.
        events: trial and frame within the trial of each event.
        rate: frames a second, Hz.
        before, after: s.

    Raises:
        AnalysisError: NaN, an event that names no trial or frame, or no event with a whole window.
    """
    check_trials(trials, "peri-event activity")
    first, last = round(before * rate), round(after * rate)
    cut = []
    for trial, frame in events:
        if not 0 <= trial < len(trials) or not 0 <= frame < len(trials[trial]):
            raise AnalysisError(f"peri-event: event at trial {trial}, frame {frame} lies outside the {len(trials)} trials.")
        if frame >= first and frame + last < len(trials[trial]):
            cut.append(trials[trial][frame - first : frame + last + 1])
    if not cut:
        raise AnalysisError(
            f"peri-event: none of {len(events)} events lies {before:g} s after the start and {after:g} s before the end of its trial."
        )
    return Windows(np.stack(cut), np.arange(-first, last + 1) / rate, len(events) - len(cut))


def sequentiality_index(average: np.ndarray) -> float:
    """Square root of peak entropy times temporal sparsity: 1 when every moment has its own unit and each unit one moment.

    Args:
        average: (time, unit), not below 0.

    Source: Zhou et al. 2020, doi:10.1016/j.neuron.2020.08.020; Orhan & Ma 2019.
    """
    time, unit = average.shape
    if time < 2 or unit < 2:
        raise AnalysisError(f"sequentiality: {time} moments and {unit} units, at least 2 of each needed.")
    share = np.bincount(average.argmax(axis=0), minlength=time) / unit
    peak_entropy = _entropy(share) / np.log(min(time, unit))
    total = average.sum(axis=1, keepdims=True)
    across = np.divide(average, total, out=np.full_like(average, 1 / unit), where=total > 0)
    sparsity = 1 - np.mean([_entropy(row) for row in across]) / np.log(unit)
    return float(np.sqrt(max(0.0, peak_entropy) * max(0.0, sparsity)))


def _entropy(share: np.ndarray) -> float:
    some = share[share > 0]
    return float(-(some * np.log(some)).sum())


def sequence(
    trials: Sequence[np.ndarray],
    events: Sequence[tuple[int, int]],
    rate: float,
    before: float,
    after: float,
    rng: np.random.Generator,
    *,
    num_null: int = 200,
    width: float = 0.1,
) -> SequenceScore:
    """Score the sequence around an event: units are sorted on odd events and judged on even ones.

    The null takes random times in place of the events, in the same trials: it keeps each unit's own rhythm and what units share, and breaks
    their tie to the event.

    Args:
        trials: one (time, unit) array a trial.
        events: trial and frame within the trial of each event.
        rate: frames a second, Hz.
        before, after: s around the event.
        rng: source of the random times.
        num_null: draws.
        width: s on either side of a peak that count as the ridge.

    Raises:
        AnalysisError: fewer than 4 events with whole windows.

    Source: ridge to background, Harvey et al. 2012, doi:10.1038/nature10918.
    """
    windows = peri_event(trials, events, rate, before, after).activity
    if len(windows) < 4:
        raise AnalysisError(f"sequence: {len(windows)} events with whole windows, at least 4 needed.")
    order, average = _sorted_halves(windows)
    ridge = _ridge(windows[1::2].mean(axis=0), windows[0::2].mean(axis=0), width * rate)
    first, last = round(before * rate), round(after * rate)
    usable = [(trial, frame) for trial, frame in events if frame >= first and frame + last < len(trials[trial])]
    null = np.empty(num_null)
    for k in range(num_null):
        moved = [(trial, int(rng.integers(first, len(trials[trial]) - last))) for trial, _ in usable]
        drawn = peri_event(trials, moved, rate, before, after).activity
        null[k] = _ridge(drawn[1::2].mean(axis=0), drawn[0::2].mean(axis=0), width * rate)
    p = float(null_p_value(np.asarray(ridge), null))
    return SequenceScore(order, average, ridge, sequentiality_index(np.clip(average, 0, None)), null, p)


def _sorted_halves(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    odd, even = windows[0::2].mean(axis=0), windows[1::2].mean(axis=0)
    low, span = odd.min(axis=0), np.ptp(odd, axis=0)
    silent = span < 1e-9
    order = np.argsort(np.where(silent, len(odd), odd.argmax(axis=0)), kind="stable")
    scaled = np.divide(even - low, span, out=np.zeros_like(even), where=~silent)
    return order, scaled[:, order]


def _ridge(even: np.ndarray, odd: np.ndarray, width: float) -> float:
    """Mean scaled activity of even events within `width` of the peak in odd events, over that elsewhere."""
    alive = np.ptp(odd, axis=0) > 1e-9
    if not alive.any():
        return 1.0
    even, odd = even[:, alive], odd[:, alive]
    low = even.min(axis=0)
    scaled = (even - low) / np.maximum(np.ptp(even, axis=0), 1e-9)
    near = np.abs(np.arange(len(odd))[:, None] - odd.argmax(axis=0)) <= width
    return float(scaled[near].mean() / max(scaled[~near].mean(), 1e-9)) if (~near).any() else 1.0
