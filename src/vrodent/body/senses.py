"""The rat's senses: one table of what it feels, in what order, of what size and unit, and how each is computed.

The 64x64 RGB head camera is the other sense (`egocentric`); it is rendered in `vrodent.simulation`. There is no sense of the task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from vrodent.body.index import RatIndex

_TOUCH_THRESHOLD = 1e-3  # N; dm_control `legacy_base._TOUCH_THRESHOLD`

Fields = Any
"""Anything with MuJoCo's batched fields `qpos qvel act xpos xmat ten_length ten_velocity sensordata`, each (world, ...)."""


@dataclass(frozen=True, kw_only=True)
class Sense:
    """One entry of the proprioception vector.

    Attributes:
        name: dm_control's name of the observable.
        size: number of values.
        unit: SI unit of a value.
        meaning: what a person should know of it.
        read: (fields, index, namespace) -> (world, size).
    """

    name: str
    size: int
    unit: str
    meaning: str
    read: Callable[[Fields, RatIndex, ModuleType], Any]


def _appendages(fields: Fields, index: RatIndex, xp: ModuleType) -> Any:
    offset = fields.xpos[:, index.appendages] - fields.xpos[:, index.torso, None]
    rotation = fields.xmat[:, index.torso].reshape(-1, 3, 3)
    return xp.einsum("wai,wij->waj", offset, rotation).reshape(offset.shape[0], -1)


PROPRIOCEPTION: tuple[Sense, ...] = (
    Sense(name="joints_pos", size=30, unit="rad", meaning="angle of each directly driven joint",
          read=lambda f, i, xp: f.qpos[:, i.joint_qpos]),
    Sense(name="joints_vel", size=30, unit="rad/s", meaning="its velocity",
          read=lambda f, i, xp: f.qvel[:, i.joint_dof]),
    Sense(name="tendons_pos", size=8, unit="rad", meaning="length of each tendon (a sum of joint angles) of spine, neck and tail",
          read=lambda f, i, xp: f.ten_length),
    Sense(name="tendons_vel", size=8, unit="rad/s", meaning="its velocity",
          read=lambda f, i, xp: f.ten_velocity),
    Sense(name="actuator_activation", size=38, unit="1", meaning="filtered control of each actuator, in [-1, 1]",
          read=lambda f, i, xp: f.act),
    Sense(name="body_height", size=1, unit="m", meaning="height of the torso above the world's zero",
          read=lambda f, i, xp: f.xpos[:, i.torso, 2:]),
    Sense(name="end_effectors_pos", size=12, unit="m", meaning="right and left forearm, right and left foot, from the torso, in its frame",
          read=lambda f, i, xp: f.sensordata[:, i.end_effector_pos]),
    Sense(name="appendages_pos", size=15, unit="m", meaning="the same four and the head, from the torso, in its frame",
          read=_appendages),
    Sense(name="world_zaxis", size=3, unit="1", meaning="the world's up-vector in the torso's frame",
          read=lambda f, i, xp: f.xmat[:, i.torso, 6:]),
    Sense(name="sensors_gyro", size=3, unit="rad/s", meaning="angular velocity of the head",
          read=lambda f, i, xp: f.sensordata[:, i.gyro]),
    Sense(name="sensors_velocimeter", size=3, unit="m/s", meaning="linear velocity of the head, in its frame",
          read=lambda f, i, xp: f.sensordata[:, i.velocimeter]),
    Sense(name="sensors_accelerometer", size=3, unit="m/s^2", meaning="linear acceleration of the head with gravity, in its frame",
          read=lambda f, i, xp: f.sensordata[:, i.accelerometer]),
    Sense(name="sensors_touch", size=4, unit="1", meaning="1 where left palm, right palm, left sole, right sole press with over 1 mN",
          read=lambda f, i, xp: xp.asarray(f.sensordata[:, i.touch] > _TOUCH_THRESHOLD, dtype=f.sensordata.dtype)),
)
"""The layout of `observation["proprioception"]`, in order. `xmat` is (world, body, 9), row-major."""

PROPRIOCEPTION_SIZE = sum(sense.size for sense in PROPRIOCEPTION)


def sense_slices() -> dict[str, slice]:
    """Where each sense lies in the proprioception vector."""
    ends = np.cumsum([sense.size for sense in PROPRIOCEPTION]).tolist()
    return {sense.name: slice(end - sense.size, end) for sense, end in zip(PROPRIOCEPTION, ends, strict=True)}


def proprioception(fields: Fields, index: RatIndex, xp: ModuleType = np) -> Any:
    """Everything the rat feels.

    Args:
        fields: batched MuJoCo fields, each (world, ...).
        index: where the rat's parts lie in them.
        xp: array namespace, `numpy` or `jax.numpy`.

    Returns:
        (world, 158), in the order and units of `PROPRIOCEPTION`, in the fields' precision.
    """
    return xp.concatenate([sense.read(fields, index, xp) for sense in PROPRIOCEPTION], axis=1)
