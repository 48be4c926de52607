"""When the animal does something: taps, strides, turns, rears and jumps, from the task's events and from kinematics by fixed rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import ndimage, signal

from vrodent.analysis.checks import AnalysisError, check_trials
from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.features import MOVEMENT
from vrodent.analysis.gait import PAWS, GaitConfig, landings

Event = tuple[int, int]
"""Trial, numbered over the used trials of all analysable sessions in order, and frame within it."""

TASK_EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tap": ("first_tap", "second_tap", "second_tap_too_soon"), "gap": ("gap_crossed",), "orb": ("orb_taken",)}
)
"""Kind -> names in a session's events. A second tap that never came is no tap."""

KINDS = (*TASK_EVENTS, "stride", "turn", "rear", "jump")
"""Kinds of events, task events first."""


@dataclass(frozen=True, kw_only=True)
class EventConfig:
    """Rules by which movements are found.

    Attributes:
        excursion: m, smallest to and fro of the left hind paw along the trunk in a stride.
        shortest: s, of a stride.
        stride_speed: m/s, forward speed above which the paw's turns are strides.
        turn_rate: rad/s, peaks of the smoothed rate of turn above it are turns, to either side.
        separation: s, least time between two turns.
        rear_pitch: rad, nose up; a rear begins when the torso passes it.
        rear_duration: s, for so long it stays above, and stayed below before.
        jump_speed: m/s, a jump begins when the torso rises faster.
        jump_duration: s, for so long it does, and did not before.
        upright: rad, largest roll at which that is a jump and not a tumble.
    """

    excursion: float = 0.01
    shortest: float = 0.06
    stride_speed: float = 0.1
    turn_rate: float = 1.5
    separation: float = 0.5
    rear_pitch: float = 0.6
    rear_duration: float = 0.2
    jump_speed: float = 0.5
    jump_duration: float = 0.04
    upright: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise AnalysisError(f"EventConfig.{name} must be positive, got {value}.")


def movement_events(
    movement: np.ndarray, reach: np.ndarray | None, rate: float, config: EventConfig | None = None
) -> dict[str, np.ndarray]:
    """Frames of strides, turns, rears and jumps in one trial.

    Args:
        movement: (time, column), the columns of `features.MOVEMENT`.
        reach: (time,), m, how far the left hind paw is before the trunk; None leaves out strides.
        rate: frames a second, Hz.
        config: the rules.

    Returns:
        Kind -> (event,) frames: a stride where the left hind paw is farthest forward, about where it lands (see
            `vrodent.analysis.gait`), a turn at its fastest, a rear and a jump at their onset.

    Raises:
        AnalysisError: NaN, or a wrong number of columns.
    """
    config = config or EventConfig()
    check_trials([movement], "movement events")
    if movement.shape[1] != len(MOVEMENT):
        raise AnalysisError(f"movement events: {movement.shape[1]} columns of movement, {len(MOVEMENT)} expected.")
    column = {name: movement[:, i] for i, name in enumerate(MOVEMENT)}
    width = max(1, round(0.2 * rate))
    turning = np.abs(ndimage.uniform_filter1d(column["turning"], width))
    turns, _ = signal.find_peaks(turning, height=config.turn_rate, distance=max(1, round(config.separation * rate)))
    hold = max(1, round(config.rear_duration * rate))
    leap = max(1, round(config.jump_duration * rate))
    rising = (column["upward"] > config.jump_speed) & (np.abs(column["roll"]) < config.upright)
    found = {"turn": turns, "rear": onsets(column["pitch"] > config.rear_pitch, hold, hold), "jump": onsets(rising, leap, leap)}
    speed = ndimage.uniform_filter1d(column["forward"], width)
    if reach is not None:
        gait = GaitConfig(least_excursion=config.excursion, shortest=config.shortest, longest=max(1.2, 2 * config.shortest))
        strides = np.round(landings(reach, rate, gait)[0] * rate).astype(np.int64)
        found["stride"] = strides[speed[strides] > config.stride_speed]
    return found


def onsets(mask: np.ndarray, hold: int, quiet: int) -> np.ndarray:
    """Frames at which a mask becomes true and stays so for `hold` frames, after `quiet` frames at which it was false.

    Args:
        mask: (time,), bool.
        hold, quiet: frames, 1 or more.
    """
    if len(mask) < hold + quiet:
        return np.array([], dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(mask, hold + quiet)
    return np.flatnonzero(~windows[:, :quiet].any(axis=1) & windows[:, quiet:].all(axis=1)) + quiet


def all_events(data: Data, config: EventConfig | None = None) -> tuple[dict[str, list[Event]], list[str]]:
    """Every event of every kind that occurs in a used trial, and notes on what could not be looked for.

    Returns:
        Kind -> events in order of time, for kinds that occur, in the order of `KINDS`.
    """
    config = config or EventConfig()
    found: dict[str, list[Event]] = {kind: [] for kind in KINDS}
    notes, first = [], 0
    for session in data.analysable:
        for kind, trial, frame in _task_events(session):
            found[kind].append((first + trial, frame))
        paw = session.keypoint_names.index(PAWS[0]) if PAWS[0] in session.keypoint_names else None
        if paw is None:
            notes.append(f"{session.task}: no keypoint {PAWS[0]}; no strides are looked for.")
        for i, signals in enumerate(session.signals):
            reach = None if paw is None else signals["pose"][:, 3 * paw]
            for kind, frames in movement_events(signals["movement"], reach, data.rate, config).items():
                found[kind] += [(first + i, int(frame)) for frame in frames]
        first += len(session.signals)
    return {kind: sorted(events) for kind, events in found.items() if events}, notes


def _task_events(session: Prepared) -> list[tuple[str, int, int]]:
    kinds = {name: kind for kind, names in TASK_EVENTS.items() for name in names}
    place = {int(trial): i for i, trial in enumerate(session.used_trials)}
    rows = zip(session.events.name.tolist(), session.events.frame.tolist(), session.events.trial.tolist(), strict=True)
    return [
        (kinds[name], place[trial], frame - int(session.trials.start[trial]))
        for name, frame, trial in rows
        if name in kinds and trial in place
    ]


def thinned(events: Sequence[Event], most: int) -> list[Event]:
    """At most so many events, evenly spread over all of them."""
    if len(events) <= most:
        return list(events)
    return [events[i] for i in np.linspace(0, len(events) - 1, most).round().astype(int)]


def whole(events: Sequence[Event], lengths: Sequence[int], first: int, last: int) -> list[Event]:
    """Events with `first` frames before and `last` frames after them in their trial."""
    return [(trial, frame) for trial, frame in events if frame >= first and frame + last < lengths[trial]]
