"""Behaviours told by rule from the motion of the trunk and of a paw beside it: one definition for recordings and for experiments in
closed loop, where the next frame is not known yet.

A behaviour begins at the frame at which its condition has held for its `hold`; it lasts while the condition does. It begins anew only
after the condition has failed for its `release`. Nothing here looks ahead.

A stride's condition is a matter of the paw's way and not of one frame: it sets in where the left hind paw, seen from the trunk, turns
from going forward to going backward, as it does about when it lands, and ends where it turns forward again. Touch sensors tell no
strides: the soles of walking animals felt more than 1 mN in less than one frame of a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

RATE = 50.0
"""Frames a second."""

RELEASE = 0.1
"""s for which a behaviour's condition must have failed before it can begin anew, unless its rule says otherwise."""

STRIDE_SPEED = 0.1
"""m/s forward, below which a paw that turns makes no stride."""

PAW = "hindpaw_L"
"""Keypoint whose way beside the trunk tells strides."""

SIGNALS = ("forward", "turning", "upward", "pitch", "upright", "speed", "reach")
"""Columns of `signals`: velocity along the heading (m/s), rate of turn (rad/s, left positive), velocity upwards (m/s), pitch (rad, nose up
positive), cosine of the trunk's tilt (1 upright, -1 on the back), horizontal speed (m/s), how far the left hind paw is before the trunk
along its heading (m)."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """A rule: a signal beyond a threshold for some time.

    Attributes:
        signal: one of `SIGNALS`.
        threshold: in the signal's unit; beyond it means above, or below where `above` is false.
        hold: s for which it must be beyond.
        meaning: for people.
        release: s for which it must have failed before the behaviour can begin anew.
    """

    signal: str
    threshold: float
    hold: float
    meaning: str
    above: bool = True
    release: float = RELEASE


BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType({
    "run": Behaviour(signal="forward", threshold=0.3, hold=0.2, meaning="forward faster than 0.3 m/s"),
    "turn_left": Behaviour(signal="turning", threshold=2.0, hold=0.1, meaning="turns left faster than 2 rad/s"),
    "turn_right": Behaviour(signal="turning", threshold=-2.0, hold=0.1, above=False, meaning="turns right faster than 2 rad/s"),
    "rear": Behaviour(signal="pitch", threshold=0.6, hold=0.2, meaning="trunk pitched up by more than 0.6 rad"),
    "jump": Behaviour(signal="upward", threshold=0.5, hold=0.04, meaning="trunk rises faster than 0.5 m/s"),
    "topple": Behaviour(signal="upright", threshold=0.0, hold=0.2, above=False, meaning="trunk tilted by more than 90 degrees"),
    "stride": Behaviour(signal="reach", threshold=0.01, hold=0.02, release=0.02, meaning="the left hind paw, having gone to and fro by "
                        "1 cm beside the trunk, turns backward while the animal moves forward faster than 0.1 m/s"),
})  # fmt: skip
"""By name."""

_COLUMN = np.array([SIGNALS.index(rule.signal) for rule in BEHAVIOURS.values()])
_SIGN = np.array([1.0 if rule.above else -1.0 for rule in BEHAVIOURS.values()])
_LEAST = _SIGN * np.array([rule.threshold for rule in BEHAVIOURS.values()])
_HOLD = np.array([max(1, round(rule.hold * RATE)) for rule in BEHAVIOURS.values()])
_RELEASE = np.array([max(1, round(rule.release * RATE)) for rule in BEHAVIOURS.values()])
_STRIDE = list(BEHAVIOURS).index("stride")
_REACH, _FORWARD = SIGNALS.index("reach"), SIGNALS.index("forward")


def signals(qpos: np.ndarray, qvel: np.ndarray, paw: np.ndarray) -> np.ndarray:
    """The signals that behaviours are told from.

    Args:
        qpos: (..., 7 or more), MuJoCo's: position (m) and orientation (w, x, y, z) of the trunk first.
        qvel: (..., 6 or more), MuJoCo's: velocity of the trunk in the world (m/s) and angular velocity in its own frame (rad/s) first.
        paw: (..., 3), m, position of the left hind paw in the world.

    Returns:
        (..., signal), columns as `SIGNALS`.
    """
    qpos, qvel = np.asarray(qpos, float), np.asarray(qvel, float)
    w, x, y, z = np.moveaxis(qpos[..., 3:7], -1, 0)
    nose = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    up = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])  # the world's vertical in the trunk's frame
    heading = np.hypot(nose[0], nose[1])
    along = (nose[0] * qvel[..., 0] + nose[1] * qvel[..., 1]) / np.maximum(heading, 1e-9)
    turning = (up * np.moveaxis(qvel[..., 3:6], -1, 0)).sum(axis=0)
    pitch = np.arcsin(np.clip(nose[2], -1, 1))
    speed = np.hypot(qvel[..., 0], qvel[..., 1])
    away = np.asarray(paw, float)[..., :2] - qpos[..., :2]
    reach = (nose[0] * away[..., 0] + nose[1] * away[..., 1]) / np.maximum(heading, 1e-9)
    return np.stack([along, turning, qvel[..., 2], pitch, up[2], speed, reach], axis=-1)


class _Paw:
    """The way of a paw to and fro beside the trunk, in many worlds, cut into legs at its turns.

    A turn counts once the paw has gone the least excursion on its leg, so that a tremble is none.
    """

    def __init__(self, num_worlds: int) -> None:
        self._onward = np.ones(num_worlds)  # 1 on a leg forward, -1 on a leg backward
        self._start = np.full(num_worlds, np.nan)  # m, where the leg began: its extreme on the side it comes from
        self._tip = self._start.copy()  # m, the farthest reached on it
        self._latest = self._start.copy()
        self._stride = np.zeros(num_worlds, bool)

    def restart(self, worlds: np.ndarray | int) -> None:
        self._onward[worlds], self._stride[worlds] = 1.0, False
        self._start[worlds] = self._tip[worlds] = self._latest[worlds] = np.nan

    def update(self, reach: np.ndarray, speed: np.ndarray) -> np.ndarray:
        """(world,) bool, whether a stride is going on, after one more frame of reach (m) and forward speed (m/s), each (world,)."""
        seen = np.isfinite(reach)
        anew = seen & ~(self._onward * (reach - self._start) >= 0)
        self._start = np.where(anew, reach, self._start)
        self._tip = np.where(anew | (seen & (self._onward * (reach - self._tip) > 0)), reach, self._tip)
        went = self._onward * (self._tip - self._start) >= BEHAVIOURS["stride"].threshold
        turned = went & (self._onward * (reach - self._latest) < 0)
        self._stride = np.where(turned, self._onward > 0, self._stride) & (speed > STRIDE_SPEED)
        self._start = np.where(turned, self._tip, self._start)
        self._tip = np.where(turned, reach, self._tip)
        self._onward = np.where(turned, -self._onward, self._onward)
        self._latest = np.where(seen, reach, self._latest)
        return self._stride


class Detector:
    """Tells behaviours frame by frame, in many worlds.

    Args:
        num_worlds: number of worlds.
    """

    def __init__(self, num_worlds: int) -> None:
        shape = (num_worlds, len(BEHAVIOURS))
        self._held = np.zeros(shape, int)
        self._failed = np.tile(_RELEASE, (num_worlds, 1))
        self._armed = np.ones(shape, bool)
        self._paw = _Paw(num_worlds)

    def restart(self, worlds: np.ndarray | int) -> None:
        """Forget what some worlds did: their trials begin anew."""
        self._held[worlds], self._failed[worlds], self._armed[worlds] = 0, _RELEASE, True
        self._paw.restart(worlds)

    def update(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take one frame.

        Args:
            values: (world, signal), as `signals` gives them. NaN is beyond no threshold.

        Returns:
            (world, behaviour) bool, which begin now; and which are going on. Columns in the order of `BEHAVIOURS`.
        """
        beyond = values[:, _COLUMN] * _SIGN > _LEAST
        beyond[:, _STRIDE] = self._paw.update(values[:, _REACH], values[:, _FORWARD])
        self._held = np.where(beyond, self._held + 1, 0)
        self._failed = np.where(beyond, 0, self._failed + 1)
        self._armed |= self._failed >= _RELEASE
        going_on = self._held >= _HOLD
        begins = going_on & self._armed
        self._armed &= ~begins
        return begins, going_on


def detect(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell the behaviours of one whole trial, as `Detector` would frame by frame.

    Args:
        values: (time, signal), as `signals` gives them.

    Returns:
        (time, behaviour) bool, which begin; and which are going on. Columns in the order of `BEHAVIOURS`.
    """
    detector = Detector(1)
    frames = [detector.update(frame[None]) for frame in values]
    shape = (len(values), len(BEHAVIOURS))
    begins, going_on = (np.array([frame[i][0] for frame in frames], bool).reshape(shape) for i in (0, 1))
    return begins, going_on
