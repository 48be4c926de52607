"""Behaviours told by rule from the motion of the trunk and the touch of a paw: one definition for recordings and for experiments in
closed loop, where the next frame is not known yet.

A behaviour begins at the frame at which its condition has held for its `hold`; it lasts while the condition does. It begins anew only
after the condition has failed for `RELEASE`. Nothing here looks ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

RATE = 50.0
"""Frames a second."""

RELEASE = 0.1
"""s for which a behaviour's condition must have failed before it can begin anew."""

SIGNALS = ("forward", "turning", "upward", "pitch", "upright", "speed", "striding")
"""Columns of `signals`: velocity along the heading (m/s), rate of turn (rad/s, left positive), velocity upwards (m/s), pitch (rad, nose up
positive), cosine of the trunk's tilt (1 upright, -1 on the back), horizontal speed (m/s), 1 while the left hind paw bears weight and the
animal moves forward, else 0."""

_STRIDE_SPEED = 0.1  # m/s forward
_WEIGHT = 1e-3  # N on the paw's touch sensor, which the animal feels


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """A rule: a signal beyond a threshold for some time.

    Attributes:
        signal: one of `SIGNALS`.
        threshold: in the signal's unit; beyond it means above, or below where `above` is false.
        hold: s for which it must be beyond.
        meaning: for people.
    """

    signal: str
    threshold: float
    hold: float
    meaning: str
    above: bool = True


BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType({
    "run": Behaviour(signal="forward", threshold=0.3, hold=0.2, meaning="forward faster than 0.3 m/s"),
    "turn_left": Behaviour(signal="turning", threshold=2.0, hold=0.1, meaning="turns left faster than 2 rad/s"),
    "turn_right": Behaviour(signal="turning", threshold=-2.0, hold=0.1, above=False, meaning="turns right faster than 2 rad/s"),
    "rear": Behaviour(signal="pitch", threshold=0.6, hold=0.2, meaning="trunk pitched up by more than 0.6 rad"),
    "jump": Behaviour(signal="upward", threshold=0.5, hold=0.04, meaning="trunk rises faster than 0.5 m/s"),
    "topple": Behaviour(signal="upright", threshold=0.0, hold=0.2, above=False, meaning="trunk tilted by more than 90 degrees"),
    "stride": Behaviour(signal="striding", threshold=0.5, hold=0.02, meaning="the left hind paw lands while the animal moves forward"),
})  # fmt: skip
"""By name."""

_COLUMN = np.array([SIGNALS.index(rule.signal) for rule in BEHAVIOURS.values()])
_SIGN = np.array([1.0 if rule.above else -1.0 for rule in BEHAVIOURS.values()])
_LEAST = _SIGN * np.array([rule.threshold for rule in BEHAVIOURS.values()])
_HOLD = np.array([max(1, round(rule.hold * RATE)) for rule in BEHAVIOURS.values()])
_RELEASE = round(RELEASE * RATE)


def signals(qpos: np.ndarray, qvel: np.ndarray, touch: np.ndarray) -> np.ndarray:
    """The signals that behaviours are told from.

    Args:
        qpos: (..., 7 or more), MuJoCo's: position (m) and orientation (w, x, y, z) of the trunk first.
        qvel: (..., 6 or more), MuJoCo's: velocity of the trunk in the world (m/s) and angular velocity in its own frame (rad/s) first.
        touch: (..., 4), N, on left and right palm and left and right sole.

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
    striding = (np.asarray(touch)[..., 2] > _WEIGHT) & (along > _STRIDE_SPEED)
    return np.stack([along, turning, qvel[..., 2], pitch, up[2], speed, striding.astype(float)], axis=-1)


class Detector:
    """Tells behaviours frame by frame, in many worlds.

    Args:
        num_worlds: number of worlds.
    """

    def __init__(self, num_worlds: int) -> None:
        shape = (num_worlds, len(BEHAVIOURS))
        self._held = np.zeros(shape, int)
        self._failed = np.full(shape, _RELEASE)
        self._armed = np.ones(shape, bool)

    def restart(self, worlds: np.ndarray | int) -> None:
        """Forget what some worlds did: their trials begin anew."""
        self._held[worlds], self._failed[worlds], self._armed[worlds] = 0, _RELEASE, True

    def update(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take one frame.

        Args:
            values: (world, signal), as `signals` gives them. NaN is beyond no threshold.

        Returns:
            (world, behaviour) bool, which begin now; and which are going on. Columns in the order of `BEHAVIOURS`.
        """
        beyond = values[:, _COLUMN] * _SIGN > _LEAST
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
