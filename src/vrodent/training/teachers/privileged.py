"""The teacher's observation: the rat's senses, its own motion, and the guidance, as one vector."""

from __future__ import annotations

import numpy as np

from vrodent.body import proprioception, sense_slices
from vrodent.simulation import CpuSimulation
from vrodent.training.teachers.guidance import Ground, Guidance, Guide, Pose, hand_distance, pose

_AHEAD = np.array([-0.12, -0.06, 0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.44, 0.55])  # m along the torso's yaw
_ASIDE = np.array([-0.05, 0.0, 0.05])  # m to its left
_SCAN = np.stack(np.meshgrid(_AHEAD, _ASIDE, indexing="ij"), axis=-1).reshape(-1, 2)
SCAN_SHAPE = len(_AHEAD), len(_ASIDE)
"""Points of the scan ahead and, from right to left, aside."""

STANDING_HEIGHT = 0.06
"""m, torso above the ground when standing."""
_DEEPEST = -0.05  # m; below that a hole is a hole
# s that the timer tells: no interval that matters is longer. Told 13 s, which it had never met, a teacher no longer rose to an orb.
_LONGEST = 2.0

OBSERVATION_SIZE = 158 + 3 + 3 + 3 + 38 + 3 + len(_SCAN) + 4 + 3 + 1 + 3 + 1
"""Length of a privileged observation."""

PREVIOUS_ACTION = slice(158 + 3 + 3 + 3, 158 + 3 + 3 + 3 + 38)
"""Where in it the previous action is."""

TOLD = slice(PREVIOUS_ACTION.stop, OBSERVATION_SIZE)
"""What in it the rat does not feel: instructions, the ground's shape, the situation and the target."""

BODY = slice(0, PREVIOUS_ACTION.start)
"""What in it is of the rat's own body and motion: proprioception, scaled, and nine numbers more."""

TOUCHED_ONCE = -3
"""Where in it, from its end, it says 1 if an orb has been touched once and is to be touched again: before phase 2 and the timer."""


SPIN_GAIN = 0.1
"""Per rad/s, of the angular velocity in a privileged observation."""

_GAINS = {
    "joints_vel": 0.05, "tendons_vel": 0.05, "end_effectors_pos": 10.0, "appendages_pos": 10.0, "sensors_gyro": 0.1, "body_height": 10.0,
    "sensors_accelerometer": 0.05,
}  # fmt: skip


def sense_gains() -> np.ndarray:
    """(158,): what each number of proprioception is multiplied by to be of order one."""
    gains = np.ones(158)
    for name, gain in _GAINS.items():
        gains[sense_slices()[name]] = gain
    return gains


def not_felt() -> np.ndarray:
    """(number,): which of `BODY` do not follow from proprioception by scaling: height above the ground below, how hard each paw touches,
    and what comes after proprioception."""
    where, every = sense_slices(), np.arange(BODY.stop)
    return np.concatenate([every[where["body_height"]], every[where["sensors_touch"]], every[158:]])


def _scaled_senses(env: CpuSimulation, height: np.ndarray) -> np.ndarray:
    """Proprioception in numbers of order one, its height measured from the ground below (height (world,) m)."""
    where = sense_slices()
    felt = proprioception(env.physics.fields, env.index) * sense_gains()
    felt[:, where["body_height"]] = 10.0 * height[:, None]
    felt[:, where["sensors_accelerometer"]] = np.tanh(felt[:, where["sensors_accelerometer"]])
    touch = env.physics.fields.sensordata[:, env.index.touch]
    felt[:, where["sensors_touch"]] = np.tanh(5.0 * touch)
    return felt


def _scan(env: CpuSimulation, guide: Guide, at: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Ground heights relative to the feet, scaled and clipped (world, 39), and the torso's height above the ground below it (world,)."""
    cos, sin = np.cos(at.yaw)[:, None], np.sin(at.yaw)[:, None]
    x = at.position[:, :1] + cos * _SCAN[:, 0] - sin * _SCAN[:, 1]
    y = at.position[:, 1:2] + sin * _SCAN[:, 0] + cos * _SCAN[:, 1]
    points = np.concatenate([np.stack([x, y], axis=-1), at.position[:, None, :2]], axis=1)
    heights = guide.heights(env, points)
    feet = at.position[:, 2:] - STANDING_HEIGHT
    relative = np.clip(heights[:, :-1] - feet, -0.15, 0.15) * 8.0
    return relative, at.position[:, 2] - np.maximum(heights[:, -1], _DEEPEST)


def previous_action(env: CpuSimulation, action_scale: float) -> np.ndarray:
    """(world, 38): the standing-centred action that gave the present control; zero at the start of an episode."""
    fields = env.physics.fields
    return np.where(fields.time[:, None] > 0.0, (fields.ctrl - env.standing_ctrl) / action_scale, 0.0)


def observe(env: CpuSimulation, guide: Guide, guidance: Guidance, action_scale: float = 0.5) -> np.ndarray:
    """What a teacher sees.

    Args:
        env: the simulation, of one task.
        guide: knows its ground.
        guidance: instructions of this moment.
        action_scale: ctrl = clip(stance + action_scale * action, -1, 1).

    Returns:
        (world, OBSERVATION_SIZE) float32: scaled senses; the pelvis' up-vector; velocity in the yaw frame; angular velocity; previous
        action; heading error as cosine and sine; speed; ground scan; kind of situation; and where there is a target its direction in the
        torso's frame, how near a forepaw is, the phase and the timer.
    """
    fields, index, at = env.physics.fields, env.index, pose(env.physics.fields, env.index)
    worlds = env.num_worlds
    scan, height = _scan(env, guide, at)
    cos, sin = np.cos(at.yaw), np.sin(at.yaw)
    v = at.velocity
    velocity = np.stack([cos * v[:, 0] + sin * v[:, 1], -sin * v[:, 0] + cos * v[:, 1], v[:, 2]], axis=1)
    error = guidance.heading - at.yaw
    command = np.stack([np.cos(error), np.sin(error), guidance.speed], axis=1)
    kind = np.tile(np.eye(len(Ground))[guide.ground], (worlds, 1))
    tapping = float(guide.ground is Ground.TAP)
    toward = np.einsum("wi,wij->wj", guidance.target - at.position, at.rotation)
    near = np.tanh(10.0 * hand_distance(fields, index, guidance.target))
    timer = np.minimum(guidance.timer, _LONGEST)[:, None]
    target = np.concatenate(
        [np.clip(toward, -0.5, 0.5) * 4.0, near[:, None], np.eye(3)[guidance.phase], timer], axis=1
    )
    parts = [
        _scaled_senses(env, height), at.pelvis[:, 2], velocity, SPIN_GAIN * fields.qvel[:, 3:6],
        previous_action(env, action_scale), command, scan, kind,
        tapping * target,
    ]  # fmt: skip
    return np.concatenate(parts, axis=1).astype(np.float32)
