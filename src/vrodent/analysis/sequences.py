"""Do units tile the time around an event? Peri-event averages, sorting that is validated on other events, sequentiality, nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.statistics import jackknife_interval, null_p_value


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
        null_sequentiality: (draw,), the index at random times.
        p_sequentiality: of the index, one-sided.
        tiling: mean over units of scaled activity near a unit's peak less that elsewhere, in the even events; 0 without a sequence.
        tiling_low, tiling_high: its 95 % interval, jackknife over trials; NaN with events in one trial.
        null_tiling: (draw,), at random times.
        p_tiling: one-sided.
        unit_tiling: (unit,), NaN for a silent unit.
        left_out: (trial,), tiling without the events of one trial.
        num_events: events with whole windows.
        num_trials: trials they lie in.
    """

    order: np.ndarray
    average: np.ndarray
    ridge: float
    sequentiality: float
    null_ridge: np.ndarray
    p_value: float
    null_sequentiality: np.ndarray
    p_sequentiality: float
    tiling: float
    tiling_low: float
    tiling_high: float
    null_tiling: np.ndarray
    p_tiling: float
    unit_tiling: np.ndarray
    left_out: np.ndarray
    num_events: int
    num_trials: int


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
    check_trials(trials, "sequence")
    first, last = round(before * rate), round(after * rate)
    usable = [(trial, frame) for trial, frame in events if frame >= first and frame + last < len(trials[trial])]
    if len(usable) < 4:
        raise AnalysisError(f"sequence: {len(usable)} events with whole windows, at least 4 needed.")
    places = np.array([trial for trial, _ in usable])
    spans = np.array([len(trials[trial]) for trial in places]) - last - first
    joined, starts = np.concatenate(trials), np.concatenate([[0], np.cumsum([len(trial) for trial in trials])[:-1]])[places]
    at = starts + [frame for _, frame in usable]
    found = _scores(_halves(joined, at, first, last), width * rate)
    null = [_scores(_halves(joined, starts + first + rng.integers(0, spans), first, last), width * rate) for _ in range(num_null)]
    drawn = np.array([[score.ridge, score.sequentiality, np.nanmean(score.unit_tiling)] for score in null])
    tiling = float(np.nanmean(found.unit_tiling))
    left_out = np.array([
        np.nanmean(_scores(_halves(joined, at[keep], first, last), width * rate).unit_tiling)
        for keep in (places != trial for trial in np.unique(places)) if keep.sum() >= 2
    ])  # fmt: skip
    interval = jackknife_interval(np.asarray(tiling), left_out) if len(left_out) > 1 else (tiling, np.nan, np.nan)
    observed = np.array([found.ridge, found.sequentiality, tiling])
    p = null_p_value(observed, drawn)
    return SequenceScore(
        order=found.order, average=found.average, ridge=found.ridge, sequentiality=found.sequentiality, null_ridge=drawn[:, 0],
        p_value=float(p[0]), null_sequentiality=drawn[:, 1], p_sequentiality=float(p[1]), tiling=tiling, tiling_low=float(interval[1]),
        tiling_high=float(interval[2]), null_tiling=drawn[:, 2], p_tiling=float(p[2]), unit_tiling=found.unit_tiling,
        left_out=left_out, num_events=len(usable), num_trials=len(np.unique(places)),
    )  # fmt: skip


class _Score(NamedTuple):
    order: np.ndarray
    average: np.ndarray
    ridge: float
    sequentiality: float
    unit_tiling: np.ndarray


def _halves(joined: np.ndarray, frames: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """(time, unit) averages of the odd and of the even events, without a copy of every window."""
    offsets = range(-first, last + 1)
    odd, even = (np.stack([joined[part + offset].mean(axis=0) for offset in offsets]) for part in (frames[0::2], frames[1::2]))
    return odd, even


def _scores(halves: tuple[np.ndarray, np.ndarray], width: float) -> _Score:
    odd, even = halves
    order, average = _sorted_halves(odd, even)
    near, far, alive = _near_and_far(even, odd, width)
    ridge = float(near.sum() / max(far.sum(), 1e-9)) if alive.any() else 1.0
    tiling = np.full(odd.shape[1], np.nan)
    tiling[alive] = near - far
    return _Score(order, average, ridge, sequentiality_index(np.clip(average, 0, None)), tiling)


def _sorted_halves(odd: np.ndarray, even: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, span = odd.min(axis=0), np.ptp(odd, axis=0)
    silent = span < 1e-9
    order = np.argsort(np.where(silent, len(odd), odd.argmax(axis=0)), kind="stable")
    scaled = np.divide(even - low, span, out=np.zeros_like(even), where=~silent)
    return order, scaled[:, order]


def _near_and_far(even: np.ndarray, odd: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean scaled activity of even events within `width` of a unit's peak in odd events, and elsewhere, of those that vary; which vary."""
    alive = np.ptp(odd, axis=0) > 1e-9
    even, odd = even[:, alive], odd[:, alive]
    scaled = (even - even.min(axis=0)) / np.maximum(np.ptp(even, axis=0), 1e-9)
    near = np.abs(np.arange(len(odd))[:, None] - odd.argmax(axis=0)) <= width
    elsewhere = np.maximum((~near).sum(axis=0), 1)
    return (scaled * near).sum(axis=0) / near.sum(axis=0), (scaled * ~near).sum(axis=0) / elsewhere, alive
