from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vrodent.recording.events import RULES, EventTracker
from vrodent.task import TASK_NAMES


class Gaps(NamedTuple):
    gaps_crossed: np.ndarray
    fell: np.ndarray


class Taps(NamedTuple):
    tap: np.ndarray
    taps: np.ndarray


def _gaps(crossed, fell) -> Gaps:
    return Gaps(np.array(crossed), np.array(fell))


def test_every_task_has_rules():
    assert set(RULES) == set(TASK_NAMES)


def test_a_counter_gives_one_event_each_time_it_counts():
    tracker = EventTracker("gaps", 2)
    assert tracker.update(_gaps([0, 0], [False, False])) == []
    assert tracker.update(_gaps([1, 0], [False, False])) == [(0, "gap_crossed")]
    assert tracker.update(_gaps([1, 2], [False, False])) == [(1, "gap_crossed"), (1, "gap_crossed")]
    assert tracker.update(_gaps([1, 2], [False, False])) == []


def test_a_flag_gives_one_event_when_it_rises():
    tracker = EventTracker("gaps", 1)
    names = [tracker.update(_gaps([0], [fell])) for fell in (False, True, True, False, True)]
    assert names == [[], [(0, "fall")], [], [], [(0, "fall")]]


def test_a_new_trial_in_one_world_counts_afresh():
    tracker = EventTracker("gaps", 2)
    tracker.update(_gaps([3, 3], [True, True]))
    tracker.restart(0)
    assert tracker.update(_gaps([1, 3], [True, True])) == [(0, "gap_crossed"), (0, "fall")]


def test_codes_have_names():
    tracker = EventTracker("two_tap", 5)
    events = tracker.update(Taps(np.arange(5), np.zeros(5)))
    assert events == [(1, "first_tap"), (2, "second_tap"), (3, "second_tap_too_soon"), (4, "second_tap_too_late")]


def test_measures_are_plain_values_of_one_world():
    measures = EventTracker("gaps", 2).measures(_gaps([4, 7], [False, True]), 1)
    assert measures == {"gaps_crossed": 7, "fell": True}
    assert type(measures["fell"]) is bool
