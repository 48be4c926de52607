"""Where each named part of the rat lies in a compiled model's arrays."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vrodent.body.rat import END_EFFECTORS, PREFIX


def _sensor(model: mujoco.MjModel, name: str) -> slice:
    sensor = model.sensor(PREFIX + name)
    start = int(sensor.adr[0])
    return slice(start, start + int(sensor.dim[0]))


@dataclass(frozen=True, kw_only=True, eq=False)
class RatIndex:
    """Indices of the rat's parts in one compiled model.

    Integer arrays index the second axis of batched arrays (`qpos[:, joint_qpos]`, `xpos[:, appendages]`); slices cut `sensordata`.
    Bodies `head` (the skull) and the site `head_site` differ: the bowl's distance is the site's, the height and vector are the body's.
    """

    root_qpos: slice
    joint_qpos: np.ndarray
    joint_dof: np.ndarray
    joint_names: tuple[str, ...]
    actuator_names: tuple[str, ...]
    tendon_names: tuple[str, ...]
    torso: int
    pelvis: int
    head: int
    head_site: int
    end_effectors: np.ndarray
    appendages: np.ndarray
    hands: np.ndarray
    hand_geoms: np.ndarray
    palm_geoms: np.ndarray
    rat_geoms: np.ndarray
    accelerometer: slice
    velocimeter: slice
    gyro: slice
    touch: slice
    torso_linvel: slice
    end_effector_pos: slice
    camera: int

    @classmethod
    def of(cls, model: mujoco.MjModel) -> RatIndex:
        """Look every part up by name.

        Raises:
            KeyError: the model does not hold this rat.
        """
        joints = actuated_joints(model)
        bodies = np.array([model.body(PREFIX + name).id for name in END_EFFECTORS])
        first = model.body(PREFIX).id
        rat_bodies = {i for i in range(model.nbody) if model.body_rootid[i] == first}
        hands = {i for i in rat_bodies if model.body(i).name.removeprefix(PREFIX) in _HAND_BODIES}
        geom_body = model.geom_bodyid
        touch = [_sensor(model, name) for name in ("palm_L", "palm_R", "sole_L", "sole_R")]
        effectors = [_sensor(model, f"{name}_end_effector") for name in END_EFFECTORS]
        head = model.body(PREFIX + "skull").id
        root = int(model.jnt_qposadr[model.joint(PREFIX).id])
        return cls(
            root_qpos=slice(root, root + 7),
            joint_qpos=model.jnt_qposadr[joints],
            joint_dof=model.jnt_dofadr[joints],
            joint_names=tuple(model.joint(i).name.removeprefix(PREFIX) for i in joints),
            actuator_names=tuple(model.actuator(i).name.removeprefix(PREFIX) for i in range(model.nu)),
            tendon_names=tuple(model.tendon(i).name.removeprefix(PREFIX) for i in range(model.ntendon)),
            torso=model.body(PREFIX + "torso").id,
            pelvis=model.body(PREFIX + "pelvis").id,
            head=head,
            head_site=model.site(PREFIX + "head").id,
            end_effectors=bodies,
            appendages=np.append(bodies, head),
            hands=np.array([model.body(PREFIX + name).id for name in ("hand_L", "hand_R")]),
            palm_geoms=np.array([model.geom(f"{PREFIX}{name}_collision").id for name in ("hand_L", "hand_R")]),
            hand_geoms=np.array([i for i in range(model.ngeom) if int(geom_body[i]) in hands]),
            rat_geoms=np.array([i for i in range(model.ngeom) if int(geom_body[i]) in rat_bodies]),
            accelerometer=_sensor(model, "accelerometer"),
            velocimeter=_sensor(model, "velocimeter"),
            gyro=_sensor(model, "gyro"),
            touch=slice(touch[0].start, touch[-1].stop),
            torso_linvel=_sensor(model, "torso"),
            end_effector_pos=slice(effectors[0].start, effectors[-1].stop),
            camera=model.camera(PREFIX + "egocentric").id,
        )


_HAND_BODIES = frozenset({"hand_L", "hand_R", "finger_L", "finger_R"})


def actuated_joints(model: mujoco.MjModel) -> np.ndarray:
    """Ids of the joints with an actuator of their own, in actuator order (30 of 38 actuators; 8 drive tendons).

    Source: dm_control `Rat.observable_joints`.
    """
    direct = model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT
    return model.actuator_trnid[direct, 0].copy()
