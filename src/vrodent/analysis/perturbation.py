"""Which units does a behaviour modulate, and what are they to be held at or driven with? From a recorded session, for experiments in closed
loop on the agent that was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.data import usable
from vrodent.analysis.sequences import peri_event
from vrodent.analysis.session import Session, Variable
from vrodent.analysis.statistics import max_corrected
from vrodent.behaviour import BEHAVIOURS, PAW, detect, signals

Selection = Literal["top", "bottom", "random"]
_DRAWS_AT_ONCE = 32


class Modulation(NamedTuple):
    """How much the mean activity of units differs inside windows.

    Attributes:
        score: (unit,) mean inside less mean outside, in standard deviations of the unit over all frames; 0 for a silent unit.
        null: (draw, unit) the same with the windows shifted in time, each trial by itself.
        p_value: (unit,) two-sided, against that unit's null.
        p_corrected: (unit,) corrected for the number of units; NaN for a silent unit.
        frames_inside, frames: how many frames lie inside, and all.
    """

    score: np.ndarray
    null: np.ndarray
    p_value: np.ndarray
    p_corrected: np.ndarray
    frames_inside: int
    frames: int


class Occurrences(NamedTuple):
    """Where something happened in a session.

    Attributes:
        name: what.
        events: trial (of those used) and frame within it of each time.
        inside: of each used trial, (time,) bool: around an event, or while a behaviour went on.
        used: numbers of the trials used.
        notes: why others are not.
    """

    name: str
    events: list[tuple[int, int]]
    inside: list[np.ndarray]
    used: np.ndarray
    notes: tuple[str, ...]


def modulation(trials: Sequence[np.ndarray], inside: Sequence[np.ndarray], rng: np.random.Generator, *, num_null: int = 200) -> Modulation:
    """Standardised difference of mean activity inside windows against outside.

    The null shifts the windows of every trial by a random time, around its end: it keeps the units' own rhythms and the windows' lengths
    and spacing, and breaks the tie between them.

    Args:
        trials: one (time, unit) array a trial.
        inside: one (time,) bool array a trial.
        rng: source of the shifts.
        num_null: draws.

    Raises:
        AnalysisError: NaN, masks that do not pair up with the trials, or no frame inside, or none outside.
    """
    check_trials(trials, "modulation")
    if [len(trial) for trial in trials] != [len(mask) for mask in inside]:
        raise AnalysisError("modulation: activity and windows do not pair up, trial by trial and frame by frame.")
    mask = np.concatenate(inside).astype(bool)
    count, frames = int(mask.sum()), len(mask)
    if not 0 < count < frames:
        raise AnalysisError(f"modulation: {count} of {frames} frames lie inside the windows; some inside and some outside are needed.")
    activity = np.concatenate(trials).astype(float)
    activity -= activity.mean(axis=0)
    spread = activity.std(axis=0)
    loud = spread > 1e-9
    activity[:, loud] /= spread[loud]
    activity[:, ~loud] = 0.0
    # With centred columns the means inside and outside follow from the sum inside alone.
    scale = frames / (count * (frames - count))
    score = mask @ activity * scale
    null = np.empty((num_null, activity.shape[1]))
    for start in range(0, num_null, _DRAWS_AT_ONCE):
        rows = range(start, min(start + _DRAWS_AT_ONCE, num_null))
        moved = np.stack([np.concatenate([np.roll(m, int(rng.integers(len(m)))) for m in inside]) for _ in rows])
        null[rows.start : rows.stop] = moved.astype(float) @ activity * scale
    p = (1 + (np.abs(null) >= np.abs(score)).sum(axis=0)) / (num_null + 1)
    return Modulation(score, null, p, max_corrected(np.abs(score), np.abs(null)), count, frames)


def occurrences(session: Session, name: str, variable: Variable = "h", *, before: float = 0.2, after: float = 0.5) -> Occurrences:
    """Where an event of the task or a behaviour happened in a session.

    Args:
        session: recorded from the agent.
        name: an event of the session, or one of `vrodent.behaviour.BEHAVIOURS`.
        variable: trials in which this activity is not finite are left out.
        before, after: s around an event that count as inside; a behaviour is inside while it goes on.

    Raises:
        AnalysisError: it is unknown, or never happened; says what did.
        SessionError: the session lacks a series.
    """
    names = (*(f"activity_{layer}_{variable}" for layer in session.layers), "qpos", "qvel", "keypoints")
    use, notes = usable(session, 2, names)
    used = np.flatnonzero(use)
    found = _all_occurrences(session, used, before, after)
    if name not in found:
        counts = ", ".join(f"{key} {len(events)}" for key, (events, _) in found.items() if events) or "nothing"
        known = name in BEHAVIOURS or name in session.events.name
        raise AnalysisError(
            f"{'There is no usable trial with' if known else 'There is no event or behaviour'} {name!r} in session "
            f"{session.identifier!r} ({session.task}). What happened there: {counts}. Behaviours are {', '.join(BEHAVIOURS)}."
        )
    events, inside = found[name]
    if not events:
        counts = ", ".join(f"{key} {len(other)}" for key, (other, _) in found.items() if other) or "nothing"
        raise AnalysisError(f"{name!r} never happened in session {session.identifier!r} ({session.task}). What did: {counts}.")
    return Occurrences(name, events, inside, used, notes)


def counts(session: Session) -> dict[str, int]:
    """How often each event of the task and each behaviour happened in a session."""
    found = _all_occurrences(session, np.arange(session.num_trials), 0.0, 0.0)
    return {name: len(events) for name, (events, _) in found.items()}


def _all_occurrences(
    session: Session, used: np.ndarray, before: float, after: float
) -> dict[str, tuple[list[tuple[int, int]], list[np.ndarray]]]:
    lengths = [session.frames(trial).stop - session.frames(trial).start for trial in used.tolist()]
    first, last = round(before / session.control_step), round(after / session.control_step)
    out: dict[str, tuple[list[tuple[int, int]], list[np.ndarray]]] = {}
    for name in np.unique(session.events.name).tolist():
        events, inside = [], [np.zeros(length, bool) for length in lengths]
        for i, trial in enumerate(used.tolist()):
            here = (session.events.name == name) & (session.events.trial == trial)
            for frame in (session.events.frame[here] - session.trials.start[trial]).tolist():
                events.append((i, int(frame)))
                inside[i][max(0, int(frame) - first) : int(frame) + last + 1] = True
        out[str(name)] = events, inside
    told = [detect(behaviour_signals(session, trial)) for trial in used.tolist()]
    for column, name in enumerate(BEHAVIOURS):
        events = [(i, int(frame)) for i, (begins, _) in enumerate(told) for frame in np.flatnonzero(begins[:, column])]
        out[name] = events, [going_on[:, column] for _, going_on in told]
    return out


def behaviour_signals(session: Session, trial: int) -> np.ndarray:
    """(time, signal) that behaviours are told from, in one trial; see `vrodent.behaviour.signals`.

    Raises:
        SessionError: the session lacks a series.
    """
    at = session.frames(trial)
    return signals(session.get("qpos")[at], session.get("qvel")[at], session.keypoint(PAW)[at])


def layer_trials(session: Session, layer: str, used: np.ndarray, variable: Variable) -> list[np.ndarray]:
    """(time, unit) activity of a layer in the used trials, as float."""
    activity = session.activity(layer, variable)
    return [np.asarray(activity[session.frames(trial)], float) for trial in used.tolist()]


def time_course(trials: Sequence[np.ndarray], events: Sequence[tuple[int, int]], rate: float, before: float, after: float) -> np.ndarray:
    """(frame, unit) average activity from `before` s before an event to `after` s after it: what units are driven with.

    Raises:
        AnalysisError: NaN, or no event that far from the ends of its trial.
    """
    return peri_event(trials, events, rate, before, after).activity.mean(axis=0)


def default_ks(size: int) -> tuple[int, ...]:
    """How many units are chosen: 1, 4, 16, ... and all."""
    ks = [1]
    while ks[-1] * 4 < size:
        ks.append(ks[-1] * 4)
    return tuple(ks) if ks[-1] == size else (*ks, size)


def select_units(score: np.ndarray, k: int, how: str, rng: np.random.Generator | None = None) -> np.ndarray:
    """Numbers of k units of a layer.

    Args:
        score: (unit,) modulation; its size counts, not its sign.
        k: how many.
        how: `top`, the most modulated; `bottom`, the least; `random`. Each is part of the choice for a larger k, `random` if the generator
            starts the same.
        rng: for `random`.

    Raises:
        AnalysisError: k is not between 1 and the number of units, or another way to choose.
    """
    if not 1 <= k <= len(score):
        raise AnalysisError(f"k must lie between 1 and the layer's {len(score)} units, got {k}.")
    if how == "random":
        if rng is None:
            raise AnalysisError("a random choice of units needs a generator.")
        return rng.permutation(len(score))[:k]
    if how not in ("top", "bottom"):
        raise AnalysisError(f"units are chosen as 'top', 'bottom' or 'random', not {how!r}.")
    order = np.argsort(-np.abs(score), kind="stable")
    return order[:k] if how == "top" else order[::-1][:k]
