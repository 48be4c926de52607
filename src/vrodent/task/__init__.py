"""The four tasks: arena geometry from a seed, start, reward, ending. Knows no threads and no device."""

from __future__ import annotations

import importlib

from vrodent.task.base import CONTROL_STEP, Arena, Arenas, Look, Outcome, Task, select, stack_arenas

TASK_NAMES = ("gaps", "forage", "bowl", "two_tap")
_CLASSES = {"gaps": "Gaps", "forage": "Forage", "bowl": "Bowl", "two_tap": "TwoTap"}


def get_task(name: str) -> Task:
    """The task of that name, with the release's parameters.

    Raises:
        ValueError: no such task.
    """
    if name not in TASK_NAMES:
        raise ValueError(f"There is no task {name!r}; the tasks are {', '.join(TASK_NAMES)}.")
    module = importlib.import_module(f"vrodent.task.{name}")
    return getattr(module, _CLASSES[name])()


__all__ = ["CONTROL_STEP", "TASK_NAMES", "Arena", "Arenas", "Look", "Outcome", "Task", "get_task", "select", "stack_arenas"]
