"""Progress bars on standard error, for the callbacks that the rooms offer. Nothing is drawn when standard error is no terminal and
nobody could watch a bar move: then one line tells of the beginning and one of the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} passed, {postfix}"


def seconds_as_text(seconds: float | None) -> str:
    """`75` -> `1:15 left`; nothing known -> `time left not known yet`."""
    if seconds is None:
        return "time left not known yet"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} left"


@contextmanager
def _bar(label: str, read: Callable[[Any], tuple[float, float | None]]) -> Iterator[Callable[[Any], None]]:
    started = time.monotonic()
    watched = sys.stderr.isatty()
    if not watched:
        print(f"{label} ...", file=sys.stderr, flush=True)
    with tqdm(total=100.0, desc=label, bar_format=_BAR, disable=not watched, leave=True) as bar:

        def listen(step: Any) -> None:
            fraction, left = read(step)
            bar.set_postfix_str(seconds_as_text(left), refresh=False)
            bar.update(100.0 * fraction - bar.n)

        yield listen
    if not watched:
        print(f"{label}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def recording_bar(label: str) -> Any:
    """A context that gives a listener for `vrodent.recording.record`."""
    return _bar(label, lambda step: (step.fraction, step.seconds_left))


def analysis_bar(label: str) -> Any:
    """A context that gives a listener for the functions of `vrodent.analysis`."""
    return _bar(label, lambda step: (step.completed / step.total, step.seconds_left))


@contextmanager
def share_bar(label: str, tasks: Sequence[str]) -> Iterator[Callable[[str, float], None]]:
    """A context that gives a listener for `vrodent.training.evaluate`, which tells of the task and the share of it that is behind."""
    started = time.monotonic()

    def read(step: tuple[str, float]) -> tuple[float, float | None]:
        fraction = (tasks.index(step[0]) + step[1]) / len(tasks)
        passed = time.monotonic() - started
        return fraction, passed / fraction * (1.0 - fraction) if fraction > 0 else None

    with _bar(label, read) as listen:
        yield lambda task, share: listen((task, share))
