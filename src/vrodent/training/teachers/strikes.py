"""Two taps as a teacher is told of them whose student must do as it says: by strikes at the orb, not by touches of it alone.

A touch of the orb cannot be felt, and is out of sight; a student knows no more than where it thinks the orb is and where its own palm is,
so that it cannot tell a touch from a miss by a centimetre. A teacher that lets go only once the orb has been touched asks it for what it
cannot do. One that is told of *strikes* lets go as well where a palm has been close for some tenths of a second, and comes again 0.8 s
later, touched or not: a rhythm, which a rat can keep without knowing. What is judged stays as it is: touches.

Nor can it know where an orb is that it has not seen for long, though it were right above it: that, too, is remembered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from vrodent.body import RatIndex
from vrodent.task import Task
from vrodent.task.base import Arenas, Outcome
from vrodent.task.two_tap import TwoTap

_NEVER = -10.0  # s
# Both lie between multiples of 0.02 s, the control step, so that rounding decides nothing.
DWELL = 0.19  # s for which a palm is close before it has struck an orb that it does not touch; if it goes on to it, it is there by then
# s after a strike for which a second tap is asked for, and no other strike but a touch told of: until the time for a second tap is over
REFRACTORY = 0.95
STRIKE, TOUCH = 0.04, 0.036  # m from a palm to the orb's centre: how near one that strikes comes, as a rule; and where it touches
UNDER, _FAR = 0.2, 3.0  # m in the plane: an orb nearer is above the picture, one farther less than a pixel of it
SIGHT = 0.6  # rad in the plane: an orb farther to a side is not in the picture, 80 degrees wide


class StruckProgress(NamedTuple):
    """`TwoTapProgress` and three things more, each (world,): near_time, s, since when a palm has been close to the orb, or in the future;
    strike_time, s, of the last strike; and seen_time, s, when the orb, or the one before it, was last in sight."""

    orb: Any
    phase: Any
    first_time: Any
    last_time: Any
    touch_time: Any
    touched: Any
    touched_twice: Any
    timed_out: Any
    move: Any
    taps: Any
    near_time: Any
    strike_time: Any
    seen_time: Any


@dataclass(frozen=True, kw_only=True)
class StruckTwoTap(TwoTap):
    """The task to the last reward, which remembers strikes beside.

    Attributes:
        strike: m from the centre of a palm to that of the orb within which a palm strikes.
    """

    strike: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strike(self.strike)

    def start(self, arenas: Arenas, xp: ModuleType) -> Any:
        """No strike yet, and nothing seen."""
        never = xp.full(arenas.qpos.shape[0], _NEVER)
        return StruckProgress(*super().start(arenas, xp), near_time=-never, strike_time=never, seen_time=xp.zeros_like(never))

    def before_step(self, progress: Any, arenas: Arenas, xp: ModuleType) -> tuple[Any, Any]:
        """A new orb has not been struck."""
        strike_time = xp.where(progress.move, _NEVER, progress.strike_time)
        return super().before_step(progress._replace(strike_time=strike_time), arenas, xp)

    def step(
        self, progress: Any, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """As in the task."""
        outcome = super().step(progress, fields, touched, substep_time, arenas, index, xp)
        after, time, orb = outcome.progress, substep_time[:, -1], outcome.events.orb_pos
        distance = xp.linalg.norm(fields.geom_xpos[:, index.palm_geoms] - orb[:, None], axis=2).min(axis=1)
        near_time = xp.where(distance < self.strike, xp.minimum(after.near_time, time), time - _NEVER)
        struck = (time >= near_time + DWELL) & (time > after.strike_time + REFRACTORY)
        strike_time = xp.where(struck | (outcome.events.tap == 1), time, after.strike_time)
        offset = orb - fields.xpos[:, index.torso]
        seen_time = xp.where(_in_sight(offset, fields.xmat[:, index.torso], xp), time, after.seen_time)
        return outcome._replace(progress=after._replace(near_time=near_time, strike_time=strike_time, seen_time=seen_time))


def _in_sight(offset: Any, xmat: Any, xp: ModuleType) -> Any:
    """(world,) bool: of an orb at an offset (world, 3) m from a torso of orientation xmat (world, 9)."""
    ahead, across = xmat[:, :4:3], offset[:, :2]
    distance = xp.linalg.norm(across, axis=1)
    along = (ahead * across).sum(axis=1)
    return (along > math.cos(SIGHT) * distance * xp.linalg.norm(ahead, axis=1)) & (distance > UNDER) & (distance < _FAR)


def check_strike(strike: float) -> None:
    """Refuse a distance that is none.

    Raises:
        ValueError: it is not between the orb's radius and the length of a forelimb.
    """
    if not 0.025 <= strike <= 0.1:
        raise ValueError(f"strike must be a distance from 0.025 m, the orb's radius, to 0.1 m, got {strike}; 0 tells of touches.")


def struck_since(progress: StruckProgress, time: Any) -> tuple[Any, Any]:
    """Whether the orb was struck lately, bool (world,), and how long ago, s (world,), at time (world,) s. A second tap that failed makes no
    difference while the orb is there: nothing tells the rat of it either, and who is told to let go then never comes again in time."""
    since = time - progress.strike_time
    return since < REFRACTORY, since


def told_of(task: str, strike: float, orb_area: float | None = None) -> str | Task:
    """The task to make worlds of for a teacher.

    Args:
        task: its name.
        strike: m, how near a strike must come in two_tap; 0 for a teacher that is told of touches.
        orb_area: m from the middle within which orbs of two_tap appear; None for the task's own.
    """
    if task != "two_tap":
        return task
    area = TwoTap.area if orb_area is None else (orb_area, orb_area)
    return StruckTwoTap(area=area, strike=strike) if strike > 0.0 else TwoTap(area=area)  # type: ignore[return-value]
