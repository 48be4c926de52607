"""The simulator on a GPU: thousands of worlds of one task, in MuJoCo Warp, with JAX arrays going in and coming out.

The same task code as on the CPU judges the episodes, on arrays of JAX. Physics is in single precision. Time is not: worlds count their
steps, and the tasks are given the time that MuJoCo's clock shows on the CPU after so many, in double precision, so that time limits
and the window of the second tap open and close at the same step.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import warp as wp

from vrodent.body import RatIndex, proprioception, standing_ctrl
from vrodent.simulation.cpu import Step, StepInfo, draw_arena, reset_ids
from vrodent.simulation.physics import Variant
from vrodent.simulation.warp_physics import WarpPhysics, clock_table
from vrodent.task import CONTROL_STEP, Arena, Arenas, Look, Task, get_task, select, stack_arenas

Observation = dict[str, jax.Array]
# JAX would take three quarters of the GPU's memory for itself when it first uses it; Warp needs some.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
_READ = ("qpos", "qvel", "act", "xpos", "xmat", "site_xpos", "sensordata", "ten_length", "ten_velocity")


class NoGpuError(RuntimeError):
    """There is no GPU here, or JAX cannot use it."""


def gpu_devices(warp_device: str | None) -> tuple[Any, Any]:
    """Warp's and JAX's names of one device.

    Args:
        warp_device: such as "cuda:0"; "cpu" for tests; None takes the first GPU.

    Raises:
        NoGpuError: there is no such GPU, or JAX cannot use it.
    """
    wp.init()
    if warp_device is None and not wp.is_cuda_available():
        raise NoGpuError(
            "No CUDA device is to be seen here (nvidia-smi should list one), so there is nothing for device='gpu' to run on."
            " Use device='cpu'."
        )
    device: Any = wp.get_device(warp_device or "cuda:0")
    if not device.is_cuda:
        return device, jax.devices("cpu")[0]
    try:
        return device, jax.devices("cuda")[device.ordinal]
    except (RuntimeError, IndexError) as error:
        raise NoGpuError(
            f"Warp sees {device.name}, but JAX does not: {error}. Install its CUDA plug-in: pip install 'vrodent[gpu]'."
        ) from error


class GpuSimulation:
    """Many worlds of one task on a GPU. As `vrodent.simulation.CpuSimulation`, but for these:

    Arrays that go in and come out are JAX's and stay on the device; floats are of 32 bits, whole numbers too. `reset` alone reads its mask
    on the host, where arenas are drawn. Each world's arena is the CPU's for the same seed. The rat does not see its own skin.

    Args:
        task: one of `TASK_NAMES`, or any `Task`.
        num_worlds: at least 1; a GPU wants thousands.
        seed: of all arenas and starts.
        physics: "reference", the paper's, or the faster "training".
        camera: whether the rat sees.
        shadows: whether it sees shadows.
        warp_device: such as "cuda:1"; None takes the first GPU; "cpu" is slow and for tests.
        capacity: contacts and constraint rows to make room for in each world; None takes what the task has been seen to need, doubled.

    Attributes:
        task, physics, model, index, arenas (stacked), progress: what is going on, to be read.
        placed: (world, target, 3) m, where targets that move are, or None.
        eye: the `WarpCamera`, or None.

    Raises:
        ValueError: an argument is out of range.
        NoGpuError: there is no GPU, or JAX cannot use it.
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
        shadows: bool = False,
        warp_device: str | None = None,
        capacity: tuple[int, int] | None = None,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}.")
        self.task: Task = get_task(task) if isinstance(task, str) else task
        self.device, self.jax_device = gpu_devices(warp_device)
        self.model = self.task.spec().compile()
        self.physics = WarpPhysics(self.task, copy.copy(self.model), num_worlds, physics, self.device, capacity)
        self.variant: Variant = physics
        self.num_worlds, self.seed = num_worlds, seed
        self.index: RatIndex = self.physics.index
        self.standing_ctrl = standing_ctrl(self.model)
        self.action_size = self.model.nu
        self.episode = np.full(num_worlds, -1)
        self.arenas: Arenas
        self.progress: Any = None
        self.world_arenas: list[Arena] = []
        self.placed: jax.Array | None = None
        self._clock = jnp.zeros(num_worlds, jnp.int32, device=self.jax_device)
        self._pure = PureParts(self.task, self.index, self.physics.substeps, float(self.physics.model.opt.timestep))
        self.eye: Any = None
        if camera:
            from vrodent.simulation.warp_camera import WarpCamera

            self.eye = WarpCamera(self, shadows=shadows)

    def reset(self, mask: Any = None) -> Observation:
        """Start new episodes.

        Args:
            mask: (world,) bool, which worlds; None for all. The first call must reset all.

        Returns:
            The observation of all worlds.

        Raises:
            ValueError: the mask has another shape or type, or leaves out a world that has not started.
            RuntimeError: contacts found no room in the last step.
        """
        ids = reset_ids(mask, self.num_worlds)
        self.episode[ids] += 1
        return self.reset_to(ids, [self.draw(int(world), int(self.episode[world])) for world in ids])

    def draw(self, world: int, episode: int) -> Arena:
        """The arena of a world's episode: the same for the same seed, world and episode, as on the CPU."""
        return draw_arena(self.task, self.model, self.seed, world, episode)

    def reset_to(self, ids: np.ndarray, arenas: list[Arena]) -> Observation:
        """Start episodes in given arenas, in the worlds `ids` (ascending). Returns the observation of all worlds."""
        started = bool(self.world_arenas)
        if not started and len(ids) != self.num_worlds:
            raise ValueError("The first reset must start every world.")
        if not len(ids):
            return self._observe()
        self.physics.check_room()
        if not started:
            self.world_arenas = list(arenas)
        for world, arena in zip(ids, arenas, strict=True):
            self.world_arenas[world] = arena
        mask = np.isin(np.arange(self.num_worlds), ids)
        with jax.default_device(self.jax_device):
            rows = _single(stack_arenas(arenas))
            self.arenas = self._pure.set_rows(self.arenas, *_padded(ids, rows)) if started else jax.tree.map(jnp.asarray, rows)
            old = (self.progress, self._clock, self.placed) if started else None
            self.progress, self._clock, targets = self._pure.begin(jnp.asarray(mask), self.arenas, old)
        self._place(targets)
        self.physics.reset(ids, arenas)
        if self.eye is not None:
            self.eye.arenas_changed(ids)
        return self._observe()

    def step(self, action: Any) -> Step:
        """Advance every world by 0.02 s.

        Args:
            action: (world, 38) in [-1, 1]: MuJoCo's control of each actuator.

        Raises:
            ValueError: wrong shape, or a value that is not finite.
            RuntimeError: `reset` has not been called, or contacts found no room in the step before.
        """
        action = self._checked(action)
        self.physics.check_room()
        progress, targets = self._pure.before(self.progress, self.arenas)
        self._place(targets)
        touched = self.physics.step(action)
        physics = self.physics
        judged = self._pure.judge(progress, physics.fields.read(_READ), touched, self._clock, self.arenas, physics.diverged)
        physics.wait_for(judged)
        self.progress, self._clock, refresh, step = judged
        physics.refresh(refresh)
        return step._replace(observation=self._observe())

    def render(self, world: int = 0, **options: Any) -> np.ndarray:
        """A picture of one world from outside, with skin, drawn by the CPU's renderer: see `vrodent.simulation.camera.render`."""
        from vrodent.simulation.camera import render
        from vrodent.simulation.gpu_twin import twin

        one = twin(self, world)
        try:
            return render(one, 0, **options)
        finally:
            one.close()

    def look(self) -> Look:
        """What the eyes see of the episodes' progress: int32 and bool."""
        return self._pure.look(self.progress, self.arenas)

    def seconds(self, world: int) -> float:
        """Simulated time since the start of a world's episode, s."""
        return self._pure.seconds(int(self._clock[world]))

    @property
    def times(self) -> np.ndarray:
        """(world,) s of simulated time since the start of every world's episode, on the host."""
        return np.array([self._pure.seconds(int(steps)) for steps in np.asarray(self._clock)])

    def close(self) -> None:
        """Nothing is held but memory of the device, which goes when the simulation does."""
        self.eye = None

    def _place(self, targets: jax.Array | None) -> None:
        if targets is not None:
            self.physics.place_targets(targets)
            self.placed = targets

    def _checked(self, action: Any) -> jax.Array:
        if self.progress is None:
            raise RuntimeError("Call reset() before step().")
        expected = (self.num_worlds, self.action_size)
        if np.shape(action) != expected:
            raise ValueError(f"action must have shape {expected} (world, actuator), got {np.shape(action)}.")
        action = jax.device_put(jnp.asarray(action, jnp.float32), self.jax_device)
        if not bool(self._pure.finite(action)):
            world, actuator = np.argwhere(~np.isfinite(np.asarray(action)))[0]
            raise ValueError(f"action is {action[world, actuator]} at world {world}, actuator {self.index.actuator_names[actuator]}.")
        return action

    def _observe(self) -> Observation:
        felt = self._pure.feel(self.physics.fields.read(_READ), self.physics.diverged)
        observation = {"proprioception": felt}
        self.physics.wait_for(felt)
        if self.eye is not None:
            observation["egocentric"] = self.eye.frames()
            self.physics.wait_for(observation)
        return observation


class PureParts:
    """What is computed by JAX: compiled functions of arrays, for one task and one number of worlds. Tasks compute in double precision.

    Args:
        task: whose rules.
        index: where the rat's parts lie in the fields.
        substeps: physics steps per control step.
        timestep: s, of a physics step.
    """

    def __init__(self, task: Task, index: RatIndex, substeps: int, timestep: float) -> None:
        self._task, self._index, self._substeps, self._timestep = task, index, substeps, timestep
        self._table = clock_table(timestep, 2 * task.time_limit)
        self.begin = _double(self._begin)
        self.before = _double(self._before)
        self.judge = _double(self._judge)
        self.look = _double(lambda progress, arenas: jax.tree.map(_public, task.look(progress, arenas, jnp)))
        self.feel: Callable[[Any, Any], jax.Array] = jax.jit(self._feel)
        self.set_rows: Callable[[Any, Any, Any], Any] = jax.jit(
            lambda old, ids, rows: jax.tree.map(lambda a, b: a.at[ids].set(b), old, rows)
        )
        self.finite: Callable[[jax.Array], jax.Array] = jax.jit(lambda action: jnp.isfinite(action).all())

    def _begin(self, mask: Any, arenas: Arenas, old: Any) -> Any:
        """Progress, clock and targets with new episodes in the worlds of a mask."""
        fresh = self._task.start(arenas, jnp)
        _, targets = self._task.before_step(fresh, arenas, jnp)
        targets = None if targets is None else targets.astype(jnp.float32)
        zero = jnp.zeros(mask.shape, jnp.int32)
        if old is None:
            return fresh, zero, targets
        progress, clock, placed = old
        where = None if targets is None else jnp.where(mask[:, None, None], targets, placed)
        return select(mask, fresh, progress, jnp), jnp.where(mask, zero, clock), where

    def _before(self, progress: Any, arenas: Arenas) -> Any:
        progress, targets = self._task.before_step(progress, arenas, jnp)
        return progress, None if targets is None else targets.astype(jnp.float32)

    def _time(self, steps: jax.Array) -> jax.Array:
        """s, after a number of physics steps."""
        last = len(self._table) - 1
        return jnp.where(steps <= last, jnp.asarray(self._table)[jnp.minimum(steps, last)], steps * self._timestep)

    def seconds(self, control_steps: int) -> float:
        """s, after a number of control steps."""
        steps = control_steps * self._substeps
        return float(self._table[steps]) if steps < len(self._table) else steps * self._timestep

    def _judge(self, progress: Any, fields: dict[str, jax.Array], touched: Any, clock: Any, arenas: Arenas, diverged: Any) -> Any:
        """Progress, clock, which worlds to refresh, and the step but for its observation."""
        task = self._task
        substep_time = self._time((clock * self._substeps)[:, None] + jnp.arange(1, self._substeps + 1, dtype=jnp.int32))
        time: Any = substep_time[:, -1]
        outcome = task.step(progress, SimpleNamespace(**fields, time=time), touched, substep_time, arenas, self._index, jnp)
        terminated = outcome.terminated | diverged
        reward: Any = jnp.where(diverged, 0.0, outcome.reward)
        discount: Any = jnp.where(diverged, 0.0, outcome.discount)
        info = StepInfo(outcome.events, discount, reward, diverged | False, time)
        step = Step({}, reward, terminated, ~terminated & (time >= task.time_limit), info)
        return outcome.progress, clock + 1, outcome.refresh & ~diverged, jax.tree.map(_public, step)

    def _feel(self, fields: dict[str, jax.Array], diverged: Any) -> jax.Array:
        felt = proprioception(SimpleNamespace(**fields), self._index, jnp)
        return jnp.where(diverged[:, None], 0.0, felt)


def _double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function whose arrays are of 64 bits where nothing says otherwise."""
    compiled = jax.jit(function)

    def call(*arguments: Any) -> Any:
        with jax.enable_x64(True):
            return compiled(*arguments)

    return call


def _public(array: jax.Array) -> jax.Array:
    """What leaves the simulation has 32 bits, as JAX's arrays usually have."""
    if array.dtype == jnp.float64:
        return array.astype(jnp.float32)
    return array.astype(jnp.int32) if array.dtype == jnp.int64 else array


def _single(arenas: Arenas) -> Arenas:
    return Arenas(*(rows.astype(np.int32 if rows.dtype.kind in "iu" else np.float32) for rows in map(np.asarray, arenas)))


def _padded(ids: np.ndarray, rows: Arenas) -> tuple[np.ndarray, Arenas]:
    """Repeat the last world up to a power of two, so that few sizes are compiled."""
    size = 1 << (len(ids) - 1).bit_length()
    order = np.minimum(np.arange(size), len(ids) - 1)
    return ids[order].astype(np.int32), Arenas(*(row[order] for row in rows))
