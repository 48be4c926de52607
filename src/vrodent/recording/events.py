"""From what a task reports at each control step to named events and success measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vrodent.recording.trial import Measure


@dataclass(frozen=True, kw_only=True)
class EventRules:
    """How one task's event fields are read.

    Attributes:
        counters: field that counts up in a trial -> name of the event each time it does.
        flags: bool field -> name of the event when it becomes true.
        codes: int field -> name of the event by value.
        measures: field whose last value in a trial is a success measure -> what it means.
    """

    counters: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    measures: Mapping[str, str] = field(default_factory=dict)


RULES: Mapping[str, EventRules] = {
    "gaps": EventRules(
        counters={"gaps_crossed": "gap_crossed"},
        flags={"fell": "fall"},
        measures={"gaps_crossed": "gaps crossed in the trial", "fell": "the animal fell into a gap"},
    ),
    "forage": EventRules(
        counters={"orbs_taken": "orb_taken"},
        measures={"orbs_taken": "orbs taken in the trial", "orbs_left": "orbs left in the maze at its end"},
    ),
    "bowl": EventRules(measures={"farthest": "m, greatest distance of the head from the bowl's centre in the trial"}),
    "two_tap": EventRules(
        codes={"tap": {1: "first_tap", 2: "second_tap", 3: "second_tap_too_soon", 4: "second_tap_too_late"}},
        measures={"taps": "double taps with the right interval in the trial"},
    ),
}
"""By task. A task that is not here records no events."""


class EventTracker:
    """Notices events, world by world.

    Args:
        task: name of the task.
        num_worlds: number of worlds.
    """

    def __init__(self, task: str, num_worlds: int) -> None:
        self.rules = RULES.get(task, EventRules())
        self._counts = {name: np.zeros(num_worlds, np.int64) for name in self.rules.counters}
        self._flags = {name: np.zeros(num_worlds, bool) for name in self.rules.flags}

    def restart(self, world: int) -> None:
        """Forget a world's trial."""
        for values in (*self._counts.values(), *self._flags.values()):
            values[world] = 0

    def update(self, events: Any) -> list[tuple[int, str]]:
        """World and name of every event of one control step.

        Args:
            events: the task's NamedTuple of (world,) arrays.
        """
        found: list[tuple[int, str]] = []
        for field_name, event in self.rules.counters.items():
            count = np.asarray(getattr(events, field_name))
            more = np.maximum(count - self._counts[field_name], 0)
            found += [(int(world), event) for world in np.repeat(np.arange(len(more)), more)]
            self._counts[field_name][:] = count
        for field_name, event in self.rules.flags.items():
            flag = np.asarray(getattr(events, field_name), bool)
            found += [(int(world), event) for world in np.flatnonzero(flag & ~self._flags[field_name])]
            self._flags[field_name][:] = flag
        for field_name, names in self.rules.codes.items():
            code = np.asarray(getattr(events, field_name))
            found += [(int(world), names[int(code[world])]) for world in np.flatnonzero(np.isin(code, list(names)))]
        return found

    def measures(self, events: Any, world: int) -> dict[str, Measure]:
        """A world's success measures, from the last control step of its trial."""
        return {name: np.asarray(getattr(events, name))[world].item() for name in self.rules.measures}
