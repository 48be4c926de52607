"""The control that holds the rat in its standing posture."""

from __future__ import annotations

import mujoco
import numpy as np


def standing_ctrl(model: mujoco.MjModel) -> np.ndarray:
    """Control under which every actuator exerts no force in the posture `qpos0`, in which the rat stands (torso at 0.061 m).

    A zero control is not standing: ankles, wrists and toes are driven to mid-range, far from where they are in a standing rat.

    Returns:
        (38,), in [-1, 1]: the root of gain * u + bias0 + bias1 * length at the length each actuator has in `qpos0`.
    """
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    bias = model.actuator_biasprm[:, 0] + model.actuator_biasprm[:, 1] * data.actuator_length
    return np.clip(-bias / model.actuator_gainprm[:, 0], -1.0, 1.0)
