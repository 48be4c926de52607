"""What a teacher is told beside what it feels: where to go, how fast, how the ground lies, what to touch and when."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import mujoco
import numpy as np

from vrodent.body import RatIndex
from vrodent.simulation import CpuSimulation


class Ground(IntEnum):
    """Kinds of situation, told to the teacher as a one-hot vector."""

    FLAT = 0
    GAPS = 1
    BOWL = 2
    TAP = 3


class Guidance(NamedTuple):
    """Instructions to every world of one simulation.

    Attributes:
        heading: (world,) rad, the yaw to move along, in the world's frame.
        speed: (world,) m/s along it.
        target: (world, 3) m, what a forepaw is to touch; of no meaning but in `Ground.TAP`.
        phase: (world,) int: 0 touch it, 1 touched once, 2 waiting for the next target.
        timer: (world,) s since the phase began.
    """

    heading: np.ndarray
    speed: np.ndarray
    target: np.ndarray
    phase: np.ndarray
    timer: np.ndarray


class Guide(Protocol):
    """Turns the hidden truth of one simulation into guidance.

    Attributes:
        ground: the kind of situation.
    """

    @property
    def ground(self) -> Ground: ...

    def guide(self, env: CpuSimulation) -> Guidance:
        """Instructions for the present moment."""
        ...

    def heights(self, env: CpuSimulation, points: np.ndarray) -> np.ndarray:
        """Height of the ground in m, (world, point), under points (world, point, [x, y]) in m."""
        ...


class Pose(NamedTuple):
    """Where the rat is: torso position (world, 3), its rotation and the pelvis' (world, 3, 3), yaw (world,), and
    velocity (world, 3) m/s of the centre of mass."""

    position: np.ndarray
    rotation: np.ndarray
    pelvis: np.ndarray
    yaw: np.ndarray
    velocity: np.ndarray


def pose(fields: Any, index: RatIndex) -> Pose:
    """Read the pose from batched MuJoCo fields."""
    worlds = fields.qpos.shape[0]
    rotation = fields.xmat[:, index.torso].reshape(worlds, 3, 3)
    return Pose(
        position=fields.xpos[:, index.torso],
        rotation=rotation,
        pelvis=fields.xmat[:, index.pelvis].reshape(worlds, 3, 3),
        yaw=np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]),
        velocity=fields.sensordata[:, index.torso_linvel],
    )


def hand_distance(fields: Any, index: RatIndex, target: np.ndarray) -> np.ndarray:
    """(world,) m from the centre of the nearer palm to target (world, 3). Fingers do not count: they do not feel an orb that has moved."""
    return np.linalg.norm(fields.geom_xpos[:, index.palm_geoms] - target[:, None], axis=2).min(axis=1)


def facing_eye(env: CpuSimulation, target: np.ndarray) -> np.ndarray:
    """(world,) cosine between the axis of the egocentric camera and the direction from it to target (world, 3) m."""
    model, fields, camera = env.model, env.physics.fields, env.index.camera
    body = int(model.cam_bodyid[camera])
    rotation = fields.xmat[:, body].reshape(-1, 3, 3)
    eye = fields.xpos[:, body] + rotation @ model.cam_pos[camera]
    inward = np.zeros(9)
    mujoco.mju_quat2Mat(inward, model.cam_quat[camera])
    axis = -rotation @ inward.reshape(3, 3)[:, 2]
    offset = target - eye
    return (axis * offset).sum(axis=1) / np.maximum(np.linalg.norm(offset, axis=1), 1e-6)


def no_target(worlds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, phase and timer of a situation without a target."""
    return np.zeros((worlds, 3)), np.zeros(worlds, int), np.zeros(worlds)
