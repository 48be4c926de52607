"""The rat's forelimbs as chains of hinges, for an agent that is to know where its palms are."""

from __future__ import annotations

from functools import lru_cache

import jax.numpy as jnp
import mujoco
import numpy as np

from vrodent.agent.tapping import JOINTS, Chain
from vrodent.body import RatIndex, add_rat, arena_spec, sense_slices


@lru_cache(maxsize=1)
def palm_chains() -> tuple[Chain, np.ndarray]:
    """The chains from torso to palms, and (limb, hinge) int: which number of proprioception is the angle of each hinge."""
    spec = arena_spec()
    add_rat(spec)
    model = spec.compile()
    index = RatIndex.of(model)
    limbs = [_limb(model, index, int(geom)) for geom in index.palm_geoms]
    chain = Chain(*(jnp.asarray(np.array(part), jnp.float32) for part in zip(*(limb[0] for limb in limbs), strict=True)))
    return chain, np.array([limb[1] for limb in limbs])


def _limb(model: mujoco.MjModel, index: RatIndex, geom: int) -> tuple[tuple[np.ndarray, ...], list[int]]:
    """One limb's arrays, as `Chain` has them, and its hinges' senses."""
    bodies, body = [], int(model.geom_bodyid[geom])
    while body != index.torso:
        bodies.insert(0, body)
        body = int(model.body_parentid[body])
    offset, turn, joints = [], [], []
    for body in bodies:
        for number in range(model.body_jntnum[body]):
            first = number == 0
            offset.append(model.body_pos[body] if first else np.zeros(3))
            turn.append(_matrix(model.body_quat[body]) if first else np.eye(3))
            joints.append(int(model.body_jntadr[body]) + number)
    if len(joints) != JOINTS:
        raise ValueError(f"a forelimb has {JOINTS} hinges, but that of {model.geom(geom).name} has {len(joints)}.")
    angles = list(range(*sense_slices()["joints_pos"].indices(158)))
    senses = [angles[index.joint_names.index(model.joint(joint).name.split("/")[-1])] for joint in joints]
    rest = model.qpos0[model.jnt_qposadr[joints]]
    arrays = np.array(offset), np.array(turn), model.jnt_axis[joints], model.jnt_pos[joints], rest, model.geom_pos[geom]
    return arrays, senses


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
