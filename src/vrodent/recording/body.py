"""Reads a frame of the body out of the simulation: every series of `schema.BODY_SERIES` but proprioception, which the observation holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from vrodent.behaviour import PAW
from vrodent.body import RatIndex
from vrodent.body.rat import PREFIX
from vrodent.recording.schema import KEYPOINT_NAMES, KEYPOINTS

Fields = Any
"""MuJoCo's batched fields, each (world, ...)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyReader:
    """Where in a model's arrays each recorded series lies.

    Attributes:
        index: of the rat's parts.
        keypoints: for `body`, `site` and `geom`, the places among `KEYPOINTS` and the ids of the parts.
        paw: id of the site that tells strides.
        columns: names of joints, actuators, tendons, generalised positions and velocities.
    """

    index: RatIndex
    keypoints: dict[str, tuple[np.ndarray, np.ndarray]]
    paw: int
    columns: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, model: mujoco.MjModel) -> BodyReader:
        """Look every part up by name.

        Raises:
            KeyError: the model does not hold the rat.
        """
        keypoints = {}
        for kind in ("body", "site", "geom"):
            found = [(i, getattr(model, kind)(PREFIX + part).id) for i, (_, anchor, part) in enumerate(KEYPOINTS) if anchor == kind]
            keypoints[kind] = (np.array([i for i, _ in found]), np.array([part for _, part in found]))
        index = RatIndex.of(model)
        columns = {
            "joint": index.joint_names,
            "actuator": index.actuator_names,
            "tendon": index.tendon_names,
            "qpos": _coordinates(model, model.jnt_qposadr, ("x", "y", "z", "qw", "qx", "qy", "qz")),
            "qvel": _coordinates(model, model.jnt_dofadr, ("vx", "vy", "vz", "wx", "wy", "wz")),
        }
        places, sites = keypoints["site"]
        paw = int(sites[places.tolist().index(KEYPOINT_NAMES.index(PAW))])
        return cls(index=index, keypoints=keypoints, paw=paw, columns=columns)

    def read(self, fields: Fields) -> dict[str, np.ndarray]:
        """This moment's value of every series, (world, ...) each. The arrays may be views of `fields`: copy what is to be kept."""
        i = self.index
        return {
            "qpos": fields.qpos,
            "qvel": fields.qvel,
            "joint_angles": fields.qpos[:, i.joint_qpos],
            "joint_velocities": fields.qvel[:, i.joint_dof],
            "joint_torques": fields.qfrc_actuator[:, i.joint_dof],
            "actuator_forces": fields.actuator_force,
            "tendon_lengths": fields.ten_length,
            "touch": fields.sensordata[:, i.touch],
            "accelerometer": fields.sensordata[:, i.accelerometer],
            "gyro": fields.sensordata[:, i.gyro],
            "velocimeter": fields.sensordata[:, i.velocimeter],
            "torso_velocity": fields.sensordata[:, i.torso_linvel],
            "torso_orientation": fields.xquat[:, i.torso],
            "torso_position": fields.xpos[:, i.torso],
            "keypoints": self._keypoints(fields),
        }

    def stride_paw(self, fields: Fields) -> np.ndarray:
        """(world, 3), m, the keypoint whose way tells strides, `vrodent.behaviour.PAW`."""
        return fields.site_xpos[:, self.paw]

    def _keypoints(self, fields: Fields) -> np.ndarray:
        points = np.empty((len(fields.qpos), len(KEYPOINTS), 3))
        for kind, source in (("body", fields.xpos), ("site", fields.site_xpos), ("geom", fields.geom_xpos)):
            places, parts = self.keypoints[kind]
            points[:, places] = source[:, parts]
        return points


def _coordinates(model: mujoco.MjModel, address: np.ndarray, root: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the generalised coordinates: those of the free root joint, then one a hinge."""
    names = [""] * (model.nq if len(root) == 7 else model.nv)
    for joint in range(model.njnt):
        start = int(address[joint])
        name = model.joint(joint).name.removeprefix(PREFIX)
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            names[start : start + len(root)] = [f"root_{axis}" for axis in root]
        else:
            names[start] = name
    return tuple(names)
