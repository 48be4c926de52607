"""Moments worth living through again: episodes that begin where others got to.

A second tap is tried only after a first, once in four seconds of practice; begun from just after first taps, episodes try one a second.
Likewise a gap is tried at once by an episode that begins in the run-up to it.
Source: reference state initialisation, Peng et al. 2018, arXiv:1804.02717, section 6.1, with the rat's own past as the reference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task import Arena

_TIMES = {"first_time", "last_time", "touch_time"}
Change = Callable[[int, Arena], Arena]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moment:
    """A world as it was: its arena with posture, speeds and activations; its progress, with times counted from that moment (s); action."""

    arena: Arena
    progress: Any
    action: np.ndarray


class Moments:
    """The latest moments of one task, so many.

    Args:
        capacity: how many are kept.
    """

    def __init__(self, capacity: int = 256):
        self._kept: deque[_Moment] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, env: CpuSimulation, world: int, action: np.ndarray) -> None:
        """Keep the present moment of a world and the action (38,) that led to it."""
        fields, arena = env.physics.fields, env.world_arenas[world]
        posture = {name: np.array(getattr(fields, name)[world]) for name in ("qpos", "qvel", "act")}
        progress = type(env.progress)
        row = {name: np.array(rows[world]) for name, rows in zip(progress._fields, env.progress, strict=True)}
        for name in row.keys() & _TIMES:
            row[name] = row[name] - fields.time[world]
        self._kept.append(_Moment(arena=replace(arena, **posture), progress=progress(**row), action=action.copy()))

    def relive(self, env: CpuSimulation, ids: np.ndarray, rng: np.random.Generator, change: Change) -> np.ndarray:
        """Put worlds (ascending ids) back to moments drawn at random; the actions (id, 38) that led to them.

        Each begins in the arena that `change(world, arena)` makes of the moment's own, posture and all.

        The clock begins at 0 again. Accelerations are those with actuators off, as at the start of every episode.
        """
        moments = [self._kept[int(chosen)] for chosen in rng.integers(len(self._kept), size=len(ids))]
        env.reset_to(ids, [change(int(world), moment.arena) for world, moment in zip(ids, moments, strict=True)])
        for world, moment in zip(ids, moments, strict=True):
            for rows, value in zip(env.progress, moment.progress, strict=True):
                rows[world] = value
        # The orb of the sequence under way, where it was; the step to come would move it, but observations are made before.
        _, targets = env.task.before_step(env.progress, env.arenas, np)
        if targets is not None:
            env.physics.place_targets(targets, ids)
        return np.stack([moment.action for moment in moments])
