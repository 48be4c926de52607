"""How far a long analysis has come and how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """One report of progress: what is being computed, how many of how many steps are behind, and seconds left (None: not known yet)."""

    label: str
    completed: int
    total: int
    seconds_left: float | None


Listener = Callable[[Step], None]


class Progress:
    """Counts steps and tells a listener, at most five times a second.

    Args:
        total: number of steps expected.
        listener: told of progress.
    """

    def __init__(self, total: int, listener: Listener) -> None:
        self._total = max(total, 1)
        self._listener = listener
        self._completed = 0
        self._label = ""
        self._started = time.monotonic()
        self._told = 0.0

    def label(self, text: str) -> None:
        """Name what comes next."""
        self._label = text
        self._tell()

    def tick(self, steps: int = 1) -> None:
        """Count steps as behind us."""
        self._completed = min(self._completed + steps, self._total)
        if time.monotonic() - self._told > 0.2 or self._completed == self._total:
            self._tell()

    def finish(self) -> None:
        """Say that nothing is left, whatever was counted."""
        if self._completed < self._total:
            self._completed = self._total
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        passed = self._told - self._started
        left = passed / self._completed * (self._total - self._completed) if self._completed else None
        self._listener(Step(self._label, self._completed, self._total, left))


def silent(step: Step) -> None:
    """A listener that says nothing."""


def to_stderr(step: Step) -> None:
    """A listener that keeps one line of standard error up to date."""
    left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
    end = "\n" if step.completed == step.total else ""
    sys.stderr.write(f"\r\x1b[K{100 * step.completed // step.total:3d} %  {step.label}{left}{end}")
    sys.stderr.flush()
