"""Left and right: what a rat's mirror image observes and does.

The rat, level ground, corridors and orbs know no left or right, so that an experience seen in a mirror is an experience as well: who
learns from both learns twice from a step, and to turn left as well as right.

Source: Abdolhosseini et al. 2019, "On learning symmetric locomotion", https://doi.org/10.1145/3359566.3360070 (their DUP).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vrodent.body import PROPRIOCEPTION_SIZE, RatIndex, sense_slices
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, PREVIOUS_ACTION, SCAN_SHAPE, TOLD

_POLAR, _AXIAL = np.array([1.0, -1.0, 1.0]), np.array([-1.0, 1.0, -1.0])  # of vectors (forward, left, up), and of rotations about them


@dataclass(frozen=True, kw_only=True, eq=False)
class Mirror:
    """A reflection in the rat's own upright plane: `reflected[:, i] = sign[i] * original[:, source[i]]`.

    Attributes:
        observation_source, observation_sign: (OBSERVATION_SIZE,) of a teacher's observation.
        action_source, action_sign: (38,) of an action, standing-centred or not.
    """

    observation_source: np.ndarray
    observation_sign: np.ndarray
    action_source: np.ndarray
    action_sign: np.ndarray

    @classmethod
    def of(cls, index: RatIndex) -> Mirror:
        """From the names of a rat's parts."""
        source, sign = np.arange(OBSERVATION_SIZE), np.ones(OBSERVATION_SIZE, np.float32)

        def lay(start: int, part: tuple[np.ndarray, np.ndarray]) -> int:
            stop = start + len(part[0])
            source[start:stop], sign[start:stop] = start + part[0], part[1]
            return stop

        where = sense_slices()
        joints, tendons, actuators = (_by_name(names) for names in (index.joint_names, index.tendon_names, index.actuator_names))
        for name, part in (
            ("joints_pos", joints), ("joints_vel", joints), ("tendons_pos", tendons), ("tendons_vel", tendons),
            ("actuator_activation", actuators), ("end_effectors_pos", _vectors((1, 0, 3, 2), _POLAR)),
            ("appendages_pos", _vectors((1, 0, 3, 2, 4), _POLAR)), ("world_zaxis", _vectors((0,), _POLAR)),
            ("sensors_gyro", _vectors((0,), _AXIAL)), ("sensors_velocimeter", _vectors((0,), _POLAR)),
            ("sensors_accelerometer", _vectors((0,), _POLAR)), ("sensors_touch", (np.array([1, 0, 3, 2]), np.ones(4))),
        ):  # fmt: skip
            lay(where[name].start, part)
        next_ = lay(PROPRIOCEPTION_SIZE, _vectors((0, 1), _POLAR))  # the pelvis' up-vector, velocity
        next_ = lay(next_, _vectors((0,), _AXIAL))  # angular velocity
        assert next_ == PREVIOUS_ACTION.start
        lay(next_, actuators)
        next_ = lay(TOLD.start, (np.arange(3), np.array([1.0, -1.0, 1.0])))  # cosine and sine of the course, speed
        scan = np.arange(np.prod(SCAN_SHAPE)).reshape(SCAN_SHAPE)[:, ::-1].ravel()
        next_ = lay(next_, (scan, np.ones(len(scan))))
        lay(next_ + 4, _vectors((0,), _POLAR))  # the target, after the kind of ground; how near it is, phase and timer know no side
        of_actions = {"action_source": actuators[0], "action_sign": actuators[1].astype(np.float32)}
        return cls(observation_source=source, observation_sign=sign, **of_actions)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """(..., OBSERVATION_SIZE), what the mirror image observes."""
        return observation[..., self.observation_source] * self.observation_sign

    def action(self, action: np.ndarray) -> np.ndarray:
        """(..., 38), what the mirror image does."""
        return action[..., self.action_source] * self.action_sign


def _by_name(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Source and sign of what has a side by its name; spine and tail bend and twist to a side, and stretch to none."""
    other = [name.replace("_L", "_*").replace("_R", "_L").replace("_*", "_R") for name in names]
    signs = [-1.0 if ("bend" in name or "twist" in name) else 1.0 for name in names]
    return np.array([names.index(name) for name in other]), np.array(signs)


def _vectors(order: Sequence[int], signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source and sign of vectors, one after the other."""
    return (3 * np.array(order)[:, None] + np.arange(3)).ravel(), np.tile(signs, len(order))
