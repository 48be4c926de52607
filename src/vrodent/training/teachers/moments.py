"""Moments worth living through again: episodes that begin where others got to.

A second tap is tried only after a first, once in four seconds of practice; begun from just after first taps, episodes try one a second.
Source: reference state initialisation, Peng et al. 2018, arXiv:1804.02717, section 6.1, with the rat's own past as the reference.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.task import Arena
from vrodent.task.two_tap import TwoTapProgress

_TIMES = ("first_time", "last_time", "touch_time")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moment:
    """A world as it was: its arena with posture, speeds and activations; its progress, with times counted from that moment (s); action."""

    arena: Arena
    progress: TwoTapProgress
    action: np.ndarray


class Moments:
    """The latest moments of two_tap, so many.

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
        row = {name: np.array(rows[world]) for name, rows in zip(TwoTapProgress._fields, env.progress, strict=True)}
        for name in _TIMES:
            row[name] = row[name] - fields.time[world]
        self._kept.append(_Moment(arena=replace(arena, **posture), progress=TwoTapProgress(**row), action=action.copy()))

    def relive(self, env: CpuSimulation, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Put worlds (ascending ids) back to moments drawn at random; the actions (id, 38) that led to them.

        The clock begins at 0 again. Accelerations are those with actuators off, as at the start of every episode.
        """
        moments = [self._kept[int(chosen)] for chosen in rng.integers(len(self._kept), size=len(ids))]
        env.reset_to(ids, [moment.arena for moment in moments])
        for world, moment in zip(ids, moments, strict=True):
            for rows, value in zip(env.progress, moment.progress, strict=True):
                rows[world] = value
        # The orb of the sequence under way, where it was; the step to come would move it, but observations are made before.
        _, targets = env.task.before_step(env.progress, env.arenas, np)
        env.physics.place_targets(targets, ids)
        return np.stack([moment.action for moment in moments])
