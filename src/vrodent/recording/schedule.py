"""When a perturbation acts: the whole trial, times in it, or windows that an event of the task or a behaviour opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from vrodent.agent import Clamp, Perturbation
from vrodent.behaviour import BEHAVIOURS, Detector, signals
from vrodent.recording.events import RULES
from vrodent.recording.schema import RATE

NEVER = -1
"""In place of a number of frames: it has not happened."""


class Moment(NamedTuple):
    """What a perturbation may depend on beside the memory: known to the experimenter before the action is chosen.

    Attributes:
        trial: (world,) number of the trial that runs in the world, `NEVER` where none does.
        frame: (world,) frames since the trial began.
        first: by name of event or behaviour, (world,) frames since it first happened in the trial, `NEVER` before.
        latest: since it happened last.
    """

    trial: np.ndarray
    frame: np.ndarray
    first: Mapping[str, np.ndarray]
    latest: Mapping[str, np.ndarray]


@runtime_checkable
class Scheduled(Protocol):
    """A perturbation that depends on the moment."""

    def at(self, moment: Moment) -> Perturbation | None:
        """What acts now, in all worlds. Return the same kind of thing every time, with arrays of the same shapes: then nothing is compiled
        anew."""
        ...


def event_names(task: str) -> tuple[str, ...]:
    """What can open a window in a task: its events, then the behaviours."""
    rules = RULES[task]
    named = (*rules.counters.values(), *rules.flags.values(), *(name for names in rules.codes.values() for name in names.values()))
    return (*named, *BEHAVIOURS)


@dataclass(frozen=True, kw_only=True)
class Window:
    """When a perturbation acts. By default in the whole trial.

    Attributes:
        after: the event or behaviour that opens it; None for the trial's start.
        first_only: only the first time that happens in a trial; otherwise every time.
        times: s after that, ascending, at each of which it opens; an opening ends the one before.
        duration: s that it stays open; None: until something else closes it, or the trial ends.
        until: events or behaviours that close it.
    """

    after: str | None = None
    first_only: bool = False
    times: tuple[float, ...] = (0.0,)
    duration: float | None = None
    until: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.times or self.times[0] < 0 or any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError(f"a window's times must be 0 s or more, each later than the one before, got {self.times}.")
        if self.duration is not None and not self.duration > 0:
            raise ValueError(f"a window's duration must be positive seconds or None, got {self.duration}.")

    def check(self, task: str) -> None:
        """See that the task can bring what opens and closes it.

        Raises:
            ValueError: an event or behaviour that does not exist there.
        """
        for name in (*((self.after,) if self.after else ()), *self.until):
            if name not in event_names(task):
                raise ValueError(f"there is no event or behaviour {name!r} in {task}; there are {', '.join(event_names(task))}.")

    def since(self, moment: Moment) -> np.ndarray:
        """(world,) frames since it opened, `NEVER` where it is closed."""
        base = moment.frame if self.after is None else (moment.first if self.first_only else moment.latest)[self.after]
        openings = np.array([round(time * RATE) for time in self.times])
        passed = np.searchsorted(openings, base, side="right")
        since = np.where((passed > 0) & (moment.trial >= 0), base - openings[np.maximum(passed - 1, 0)], NEVER)
        if self.duration is not None:
            since = np.where(since < max(1, round(self.duration * RATE)), since, NEVER)
        for name in self.until:
            closed = moment.latest[name]
            # What closes a window that an event opens may come before a delayed opening, and then keeps it shut.
            span = since if self.after is None else base
            since = np.where((closed >= 0) & ((closed <= since) if self.after is None else (closed < span)), NEVER, since)
        return since


@dataclass(frozen=True, kw_only=True, eq=False)
class Within:
    """A clamp that acts only while a window is open: a `Scheduled` perturbation for `record`.

    Attributes:
        window: when.
        clamp: what; its `where` (unit,) or (world, unit).
    """

    window: Window
    clamp: Clamp

    def at(self, moment: Moment) -> Clamp:
        """The clamp, of no unit in worlds where the window is closed."""
        is_open = jnp.asarray(self.window.since(moment) >= 0)[:, None]
        return Clamp(tuple(where & is_open for where in self.clamp.where), self.clamp.value, self.clamp.variable, self.clamp.keep)

    def __str__(self) -> str:
        held = sum(int(np.count_nonzero(where)) for where in self.clamp.where)
        return f"{self.clamp.variable} of {held} unit(s) clamped within {self.window}"


class Chronicle:
    """Remembers what happened when in the trials that run.

    Args:
        task: name of the task.
        num_worlds: number of worlds.

    Attributes:
        trial, frame: (world,) as in `Moment`.
    """

    def __init__(self, task: str, num_worlds: int) -> None:
        self.trial = np.full(num_worlds, NEVER)
        self.frame = np.zeros(num_worlds, int)
        self._names = event_names(task)
        self._first = np.full((len(self._names), num_worlds), NEVER)  # frame at which each thing happened first, and last
        self._latest = self._first.copy()
        self._detector = Detector(num_worlds)
        self._column = {name: i for i, name in enumerate(self._names)}

    def restart(self, world: int, trial: int) -> None:
        """A trial begins in a world; or, with `NEVER`, none does."""
        self.trial[world], self.frame[world] = trial, 0
        self._first[:, world] = self._latest[:, world] = NEVER
        self._detector.restart(world)

    def sense(self, qpos: np.ndarray, qvel: np.ndarray, paw: np.ndarray) -> tuple[np.ndarray, list[tuple[int, str]]]:
        """Take the frame on which the next action is chosen.

        Args:
            qpos, qvel, paw: as `vrodent.behaviour.signals` takes them, (world, ...).

        Returns:
            The signals, (world, signal), and world and name of every behaviour that begins.
        """
        values = signals(qpos, qvel, paw)
        begins, _ = self._detector.update(values)
        names = tuple(BEHAVIOURS)
        found = [(int(world), names[column]) for world, column in zip(*np.nonzero(begins), strict=True)]
        self._enter(found)
        return values, found

    def advance(self, happened: Iterable[tuple[int, str]]) -> None:
        """Pass to the next frame.

        Args:
            happened: world and name of the task's events in the control step between.
        """
        self.frame += 1
        self._enter(happened)

    def moment(self) -> Moment:
        """Now."""
        first, latest = (np.where(at == NEVER, NEVER, self.frame - at) for at in (self._first, self._latest))
        return Moment(self.trial.copy(), self.frame.copy(), dict(zip(self._names, first, strict=True)),
                      dict(zip(self._names, latest, strict=True)))  # fmt: skip

    def _enter(self, happened: Iterable[tuple[int, str]]) -> None:
        for world, name in happened:
            if name in self._column:
                row = self._column[name]
                self._latest[row, world] = self.frame[world]
                if self._first[row, world] == NEVER:
                    self._first[row, world] = self.frame[world]
