"""The tasks as Gymnasium environments: one world, or many worlds as a vector environment.

    import gymnasium, vrodent
    env = gymnasium.make("vrodent/Gaps-v0", render_mode="rgb_array")
    envs = gymnasium.make_vec("vrodent/Gaps-v0", num_envs=8)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vrodent.body import PROPRIOCEPTION_SIZE
from vrodent.simulation.camera import EYE_SIZE
from vrodent.simulation.cpu import CpuSimulation, Observation, Step
from vrodent.simulation.physics import Variant
from vrodent.task import CONTROL_STEP

_ACTIONS = 38
_RENDER_FPS = round(1 / CONTROL_STEP)


def observation_space(camera: bool) -> spaces.Dict:
    """What one rat senses."""
    senses: dict[str, spaces.Space[Any]] = {"proprioception": spaces.Box(-np.inf, np.inf, (PROPRIOCEPTION_SIZE,), np.float32)}
    if camera:
        senses["egocentric"] = spaces.Box(0, 255, (EYE_SIZE, EYE_SIZE, 3), np.uint8)
    return spaces.Dict(senses)


def action_space() -> spaces.Box:
    """MuJoCo's control of each actuator."""
    return spaces.Box(-1.0, 1.0, (_ACTIONS,), np.float32)


def _checked_render_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}.")
    return render_mode


def _step_info(step: Step) -> dict[str, np.ndarray]:
    """Events and the rest of a step, each (world, ...)."""
    info = step.info
    return {**info.events._asdict(), "discount": info.discount, "diverged": info.diverged, "time": info.time}


def _row(arrays: dict[str, np.ndarray], world: int) -> dict[str, Any]:
    return {name: array[world] for name, array in arrays.items()}


class RodentEnv(gymnasium.Env):
    """One world of a task.

    `info` carries the task's events, the original's `discount`, whether the physics has `diverged`, and the simulated `time` in s.
    An event's value that is not defined in a step is left out.

    Args:
        task: one of the four.
        physics, camera, shadows: as in `vrodent.make`.
        render_mode: "rgb_array" for pictures from outside, or None.
        render_camera: one of `vrodent.simulation.camera.CAMERAS`.
        width, height: of a picture, in pixels.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": _RENDER_FPS}

    def __init__(
        self,
        task: str,
        *,
        physics: Variant = "reference",
        camera: bool = True,
        shadows: bool = False,
        render_mode: str | None = None,
        render_camera: str = "side",
        width: int = 640,
        height: int = 480,
    ) -> None:
        self.render_mode = _checked_render_mode(render_mode)
        self._picture = {"camera": render_camera, "width": width, "height": height}
        self.simulation = CpuSimulation(task, 1, physics=physics, camera=camera, num_threads=1, shadows=shadows)
        self.observation_space = observation_space(camera)
        self.action_space = action_space()
        self._seeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Start an episode. A seed decides it and all that follow; without one, the first reset draws one."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            self._seeded = True
            self.simulation.seed = int(self.np_random.integers(2**31)) if seed is None else seed
            self.simulation.episode[:] = -1
        return _row(self.simulation.reset(), 0), {}

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance by 0.02 s."""
        step = self.simulation.step(np.asarray(action)[None])
        info = {name: value for name, value in _row(_step_info(step), 0).items() if np.ndim(value) or not np.isnan(value)}
        return _row(step.observation, 0), float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0]), info

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """A picture from outside, (height, width, 3) uint8; None without a render mode."""
        return None if self.render_mode is None else self.simulation.render(0, **self._picture)

    def close(self) -> None:
        """Free the simulation's graphics."""
        self.simulation.close()


class RodentVectorEnv(VectorEnv):
    """Many worlds of a task, stepped together on all cores.

    A world whose episode ends starts the next in the same step: the observation returned is the first of the new episode, and
    `info["final_obs"][world]` the last of the old (where `info["_final_obs"]`), as Gymnasium's `SAME_STEP` has it.

    Args:
        task: one of the four.
        num_envs: how many worlds.
        num_threads: 0 takes one per core.
        physics, camera, shadows, render_mode, render_camera, width, height: as for `RodentEnv`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as its base class declares it)
        "render_modes": ["rgb_array"], "render_fps": _RENDER_FPS, "autoreset_mode": AutoresetMode.SAME_STEP,
    }  # fmt: skip

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        *,
        num_threads: int = 0,
        physics: Variant = "reference",
        camera: bool = True,
        shadows: bool = False,
        render_mode: str | None = None,
        render_camera: str = "side",
        width: int = 320,
        height: int = 240,
    ) -> None:
        self.render_mode = _checked_render_mode(render_mode)
        self._picture = {"camera": render_camera, "width": width, "height": height}
        self.num_envs = num_envs
        self.simulation = CpuSimulation(task, num_envs, physics=physics, camera=camera, num_threads=num_threads, shadows=shadows)
        self.single_observation_space = observation_space(camera)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeded = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes in all worlds.

        Args:
            seed: of all worlds, which differ nevertheless. None: the first reset draws one.
            options: `{"reset_mask": (world,) bool}` starts only those worlds.

        Raises:
            ValueError: a seed for each world was given.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            raise ValueError("Give one seed for all worlds; each draws its own episodes from it.")
        seed = None if seed is None else int(seed)
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask")
        if seed is not None or not self._seeded:
            self._seeded = True
            self.simulation.seed = int(self.np_random.integers(2**31)) if seed is None else seed
            self.simulation.episode[:] = -1
        return self.simulation.reset(mask), {}

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every world by 0.02 s, and start the next episode where one ends."""
        step = self.simulation.step(actions)
        arrays = _step_info(step)
        info: dict[str, Any] = {}
        for name, values in arrays.items():
            info[name], info["_" + name] = values, np.ones(self.num_envs, bool)
        over = step.terminated | step.truncated
        observation = step.observation
        if over.any():
            info |= self._final(over, "final_obs", observation) | self._final(over, "final_info", arrays)
            observation = self.simulation.reset(over)
        return observation, step.reward.astype(np.float64), step.terminated, step.truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every world, each (height, width, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(self.simulation.render(world, **self._picture) for world in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the simulation's graphics."""
        self.simulation.close()

    def _final(self, over: np.ndarray, key: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        last = np.full(self.num_envs, None, dtype=object)
        for world in np.flatnonzero(over):
            last[world] = {name: array[world].copy() for name, array in arrays.items()}
        return {key: last, "_" + key: over}
