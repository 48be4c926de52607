"""The simulator on the CPU: observation, step, masked reset."""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np

from vrodent.body import RatIndex, proprioception, standing_ctrl
from vrodent.simulation.physics import BatchPhysics, Variant
from vrodent.task import CONTROL_STEP, Arena, Arenas, Task, get_task, select, stack_arenas

Observation = dict[str, np.ndarray]


class StepInfo(NamedTuple):
    """What is known of a step beside what the rat senses.

    Attributes:
        events: the task's own, a NamedTuple of (world,) arrays.
        discount: (world,) float64, the original's discount.
        reward: (world,) float64, the reward unrounded.
        diverged: (world,) True where the physics failed; the episode ends there with reward 0 and discount 0.
        time: (world,) s of simulated time since the episode's start.
    """

    events: Any
    discount: np.ndarray
    reward: np.ndarray
    diverged: np.ndarray
    time: np.ndarray


class Step(NamedTuple):
    """One control step of all worlds.

    Attributes:
        observation: "proprioception" (world, 158) float32 and, with a camera, "egocentric" (world, 64, 64, 3) uint8. Where the
            episode ended it is the final observation: worlds restart only when `reset` is called.
        reward: (world,) float32.
        terminated: (world,) the task ended by its own rule, or the physics failed.
        truncated: (world,) the time limit came first.
        info: everything else.
    """

    observation: Observation
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    info: StepInfo


class CpuSimulation:
    """Many worlds of one task on the CPU.

    Worlds restart when the caller says so: `step` never resets. World w's k-th episode is drawn from
    `SeedSequence(seed, spawn_key=(w, k))`, whatever the other worlds do.

    Args:
        task: one of `TASK_NAMES`, or any `Task`.
        num_worlds: at least 1.
        seed: of all arenas and starts.
        physics: "reference", the paper's, or the faster "training".
        camera: whether the rat sees.
        num_threads: 0 takes one per core.
        shadows: whether the rat sees shadows, as in the original; most of the cost of a frame.

    Attributes:
        task, physics, model (with textures and skin), index, arenas (stacked), progress: what is going on, to be read.

    Raises:
        ValueError: an argument is out of range.
    """

    control_step = CONTROL_STEP

    def __init__(
        self,
        task: str | Task,
        num_worlds: int = 1,
        *,
        seed: int = 0,
        physics: Variant = "reference",
        camera: bool = True,
        num_threads: int = 0,
        shadows: bool = False,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}.")
        self.task: Task = get_task(task) if isinstance(task, str) else task
        self.physics = BatchPhysics(self.task, num_worlds, num_threads, physics)
        self.num_worlds = num_worlds
        self.seed = seed
        self.model = self.task.spec().compile()
        self.index: RatIndex = self.physics.index
        self.standing_ctrl = standing_ctrl(self.physics.model)
        self.action_size = self.model.nu
        self.episode = np.full(num_worlds, -1)
        self.arenas: Arenas
        self.progress: Any = None
        self.world_arenas: list[Arena] = []
        self._camera: Any = None
        if camera:
            from vrodent.simulation.camera import EgocentricCamera

            self._camera = EgocentricCamera(self, shadows=shadows, num_threads=num_threads)

    def reset(self, mask: np.ndarray | None = None) -> Observation:
        """Start new episodes.

        Args:
            mask: (world,) bool, which worlds; None for all. The first call must reset all.

        Returns:
            The observation of all worlds.

        Raises:
            ValueError: the mask has another shape or type, or leaves out a world that has not started.
        """
        ids = reset_ids(mask, self.num_worlds)
        self.episode[ids] += 1
        return self.reset_to(ids, [self.draw(int(world), int(self.episode[world])) for world in ids])

    def draw(self, world: int, episode: int) -> Arena:
        """The arena of a world's episode: the same for the same seed, world and episode."""
        return draw_arena(self.task, self.model, self.seed, world, episode)

    def reset_to(self, ids: np.ndarray, arenas: list[Arena]) -> Observation:
        """Start episodes in given arenas, in the worlds `ids` (ascending). Returns the observation of all worlds."""
        started = bool(self.world_arenas)
        if not started:
            if len(ids) != self.num_worlds:
                raise ValueError("The first reset must start every world.")
            self.world_arenas = list(arenas)
            self.arenas = stack_arenas(arenas)
        for world, arena in zip(ids, arenas, strict=True):
            self.world_arenas[world] = arena
            for name, rows in zip(Arenas._fields, self.arenas, strict=True):
                rows[world] = getattr(arena, name)
        fresh = self.task.start(self.arenas, np)
        _, targets = self.task.before_step(fresh, self.arenas, np)
        if targets is not None:  # to be seen from the start
            self.physics.place_targets(targets, ids)
        self.physics.reset(ids, arenas)
        mask = np.isin(np.arange(self.num_worlds), ids)
        self.progress = select(mask, fresh, self.progress, np) if started else fresh
        return self.observe()

    def step(self, action: np.ndarray) -> Step:
        """Advance every world by 0.02 s.

        Args:
            action: (world, 38) in [-1, 1]: MuJoCo's control of each actuator.

        Raises:
            ValueError: wrong shape, or a value that is not finite.
            RuntimeError: `reset` has not been called.
        """
        action = self._checked(action)
        progress, targets = self.task.before_step(self.progress, self.arenas, np)
        if targets is not None:
            self.physics.place_targets(targets)
        touched, substep_time = self.physics.step(action)
        diverged = self.physics.diverged
        outcome = self.task.step(progress, self.physics.fields, touched, substep_time, self.arenas, self.index, np)
        self.progress = outcome.progress
        self.physics.refresh(outcome.refresh)
        time = self.physics.fields.time.copy()
        terminated = outcome.terminated | diverged
        reward = np.where(diverged, 0.0, outcome.reward)
        info = StepInfo(
            events=outcome.events,
            discount=np.where(diverged, 0.0, outcome.discount),
            reward=reward,
            diverged=diverged.copy(),
            time=time,
        )
        return Step(self.observe(), reward.astype(np.float32), terminated, ~terminated & (time >= self.task.time_limit), info)

    def render(self, world: int = 0, **options: Any) -> np.ndarray:
        """A picture of one world from outside, with skin: see `vrodent.simulation.camera`."""
        from vrodent.simulation.camera import render

        return render(self, world, **options)

    def close(self) -> None:
        """Free the graphics contexts of the rat's eyes and of `render`."""
        from vrodent.simulation.camera import close_bystander

        close_bystander(self)
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _checked(self, action: np.ndarray) -> np.ndarray:
        if self.progress is None:
            raise RuntimeError("Call reset() before step().")
        action = np.asarray(action)
        expected = (self.num_worlds, self.action_size)
        if action.shape != expected:
            raise ValueError(f"action must have shape {expected} (world, actuator), got {action.shape}.")
        if not np.isfinite(action).all():
            world, actuator = np.argwhere(~np.isfinite(action))[0]
            raise ValueError(f"action is {action[world, actuator]} at world {world}, actuator {self.index.actuator_names[actuator]}.")
        return action

    def observe(self) -> Observation:
        """The senses of the present moment: what the last reset or step gave, or, after `physics.fields` was written and its `forward`
        called, what the rat feels and sees there."""
        felt = proprioception(self.physics.fields, self.index).astype(np.float32)
        if self.physics.diverged.any():
            felt[self.physics.diverged] = 0.0
        observation = {"proprioception": felt}
        if self._camera is not None:
            observation["egocentric"] = self._camera.frames()
        return observation


def draw_arena(task: Task, model: mujoco.MjModel, seed: int, world: int, episode: int) -> Arena:
    """The arena of a world's episode, whatever the other worlds do and wherever they are simulated."""
    sequence = np.random.SeedSequence(seed, spawn_key=(world, episode))
    return task.draw(np.random.default_rng(sequence), model)


def reset_ids(mask: Any, num_worlds: int) -> np.ndarray:
    """The worlds that a reset's mask names.

    Raises:
        ValueError: the mask has another shape or type.
    """
    if mask is None:
        return np.arange(num_worlds)
    mask = np.asarray(mask)
    if mask.shape != (num_worlds,) or mask.dtype != bool:
        raise ValueError(f"mask must be bool of shape ({num_worlds},), got {mask.dtype} of shape {mask.shape}.")
    return np.flatnonzero(mask)
