"""Touches of targets, after every physics step, exactly as MuJoCo's own contacts have them."""

from __future__ import annotations

import mujoco
import numpy as np

_LEAP = 0.5  # m; nothing of the rat comes this far in one physics step (that were 500 m/s)


class TouchFinder:
    """Finds which targets are touched in a control step.

    Most worlds are nowhere near a target: boxes around the rat's geoms and then spheres around each geom say so for all worlds
    at once. What is left is posed again in a scratch `MjData` and asked for its contacts.

    Args:
        model: of the task.
        touching: ids of the geoms that can touch.
        targets: ids of the target geoms.
    """

    def __init__(self, model: mujoco.MjModel, touching: np.ndarray, targets: np.ndarray) -> None:
        self._touching, self._targets = touching, targets
        self._data = mujoco.MjData(model)
        # Slack far above rounding: a candidate too many costs microseconds, one too few would be a missed touch.
        self._reach = model.geom_rbound[touching] + 1e-6
        self._radius = model.geom_rbound[targets]

    def find(self, models: list[mujoco.MjModel], qpos: np.ndarray, geom_xpos: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Touched targets after every physics step.

        Args:
            models: one per world.
            qpos: (world, substep, nq) after each physics step.
            geom_xpos: (world, substep, geom, 3) m, after each physics step but the last but one, which is worked out here.
            targets: (world, target, 3) m.

        Returns:
            (world, substep, target) bool.
        """
        positions = geom_xpos[:, :, self._touching]
        self._fill_last_but_one(models, qpos, positions, targets)
        touched = np.zeros((*qpos.shape[:2], len(self._targets)), bool)
        for world, substep in np.argwhere(self._boxes_meet(positions, targets, 0.0).any(axis=2)):
            if self._spheres_meet(positions[world, substep], targets[world]):
                touched[world, substep] = self._contacts(models[world], qpos[world, substep])
        return touched

    def _fill_last_but_one(self, models: list[mujoco.MjModel], qpos: np.ndarray, positions: np.ndarray, targets: np.ndarray) -> None:
        if positions.shape[1] < 2:
            return
        around = positions[:, [-3, -1] if positions.shape[1] > 2 else [-1]]
        positions[:, -2] = around[:, 0]
        for world in np.flatnonzero(self._boxes_meet(around, targets, _LEAP).any(axis=(1, 2))):
            self._data.qpos[:] = qpos[world, -2]
            mujoco.mj_kinematics(models[world], self._data)
            positions[world, -2] = self._data.geom_xpos[self._touching]

    def _boxes_meet(self, positions: np.ndarray, targets: np.ndarray, slack: float) -> np.ndarray:
        """(world, substep, target): whether the box around the touching geoms reaches the target."""
        reach = self._reach.max() + self._radius[:, None] + slack
        low, high = positions.min(axis=2)[:, :, None], positions.max(axis=2)[:, :, None]
        target = targets[:, None]
        return ((target >= low - reach) & (target <= high + reach)).all(axis=-1)

    def _spheres_meet(self, positions: np.ndarray, targets: np.ndarray) -> bool:
        offset = positions[:, None] - targets
        return bool(((offset * offset).sum(axis=-1) <= (self._reach[:, None] + self._radius) ** 2).any())

    def _contacts(self, model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
        """(target,) bool: touched in this posture."""
        data = self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        pairs = data.contact.geom
        other = np.isin(pairs[:, ::-1], self._touching)
        return np.array([(other & (pairs == target)).any() for target in self._targets])
