"""What a task is: geometry and a start drawn from a seed, a reward, an ending; pure functions of batched arrays.

A task compiles one model. Every episode of every world is that model with other numbers in it: an `Arena` says which.
`xp` is the array namespace, `numpy` or `jax.numpy`, so that one code serves simulators on the CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import mujoco
import numpy as np

from vrodent.body import RatIndex

CONTROL_STEP = 0.02
"""Seconds between two actions, in every task."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """The drawn geometry and start of one world's episode. Lengths in m, angles in rad.

    The geom arrays follow `task.movable_geoms`, the material arrays `task.movable_materials`. A spare geom that an episode does not
    use is transparent (rgba alpha 0) and parked where the rat cannot come.

    Attributes:
        geom_pos: (geom, 3) position in the body that holds the geom.
        geom_quat: (geom, 4) orientation, as MuJoCo's quaternions (w, x, y, z).
        geom_size: (geom, 3) MuJoCo's size of the geom's type.
        geom_rgba: (geom, 4); a value other than (.5, .5, .5, 1) overrides the material's colour.
        material_texture: (material,) id of the colour texture.
        material_texrepeat: (material, 2) how often the texture repeats.
        hfield: (row, column) heights in [0, 1], or None for a task without a height field.
        qpos, qvel, act: the start; velocity and activation are zero unless given.
        targets: (target, 3) positions of what the rat is to touch; a task says in which order and how it pads them.
        num_targets: how many rows of `targets` are meant.
        extent: MuJoCo's `stat.extent` of this arena as the original compiles it; scales the camera's clipping planes. None: as compiled.
    """

    qpos: np.ndarray
    geom_pos: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    geom_quat: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    geom_size: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    geom_rgba: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    material_texture: np.ndarray = field(default_factory=lambda: np.zeros((0,)))
    material_texrepeat: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    hfield: np.ndarray | None = None
    qvel: np.ndarray | None = None
    act: np.ndarray | None = None
    targets: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    num_targets: int = 0
    extent: float | None = None


class Arenas(NamedTuple):
    """The arenas of all worlds, stacked: what a task may read of them, each (world, ...). Shapes as in `Arena`."""

    geom_pos: Any
    geom_quat: Any
    geom_size: Any
    geom_rgba: Any
    material_texture: Any
    material_texrepeat: Any
    qpos: Any
    targets: Any
    num_targets: Any


def stack_arenas(arenas: Sequence[Arena]) -> Arenas:
    """Stack one arena per world."""
    return Arenas(**{name: np.stack([np.asarray(getattr(arena, name)) for arena in arenas]) for name in Arenas._fields})


class Look(NamedTuple):
    """What the eye sees change within an episode.

    Attributes:
        material_texture: (world, material) id of the colour texture, for `task.movable_materials`.
        target_visible: (world, target) False where a target has vanished, for `task.target_geoms`.
    """

    material_texture: Any
    target_visible: Any


class Outcome(NamedTuple):
    """What one control step brought.

    Attributes:
        progress: the task's own memory of the episode, a NamedTuple of (world, ...) arrays.
        reward: (world,) float64.
        terminated: (world,) True where the task ended by its own rule. Time limits are the simulation's to judge.
        discount: (world,) float64, the original's discount at this step.
        refresh: (world,) True where the original happens to call `mj_forward` after the step, which makes acceleration sensors those of
            the new state and warm-starts the next step from it. See `Task.refresh`.
        events: the task's events, a NamedTuple of (world,) arrays.
    """

    progress: Any
    reward: Any
    terminated: Any
    discount: Any
    refresh: Any
    events: Any


class Task(Protocol):
    """One task. An instance holds settings only and may be shared by any number of simulations.

    Attributes:
        name: as in `vrodent.task.TASK_NAMES` for the four of the paper.
        time_limit: s of simulated time after which an episode is truncated.
        movable_geoms: names of the geoms that an `Arena` places, in its order.
        movable_materials: names of the materials that an `Arena` textures, in its order.
        target_geoms: names of the spheres whose touches are judged after every physics step.
        touching: which of the rat's geoms count as touching.
        refresh: "always" if the original calls `mj_forward` after every control step (dm_control does so whenever an action is written
            through `physics.bind(actuators).ctrl` and a derived field is then read), "outcome" where `Outcome.refresh` says.
    """

    name: str
    time_limit: float
    movable_geoms: tuple[str, ...]
    movable_materials: tuple[str, ...]
    target_geoms: tuple[str, ...]
    touching: Literal["rat", "hands"]
    refresh: Literal["always", "outcome"]

    def spec(self) -> mujoco.MjSpec:
        """The model, to be compiled once."""
        ...

    def draw(self, rng: np.random.Generator, model: mujoco.MjModel) -> Arena:
        """One episode's arena and start. `model` is compiled from `spec()`."""
        ...

    def start(self, arenas: Arenas, xp: ModuleType) -> Any:
        """Progress at the start of an episode, for all worlds."""
        ...

    def before_step(self, progress: Any, arenas: Arenas, xp: ModuleType) -> tuple[Any, Any]:
        """Called before the physics of a control step.

        Returns:
            progress, and the positions (world, target, 3) of the target geoms in this step, or None if they never move.
        """
        ...

    def step(self, progress: Any, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType) -> Outcome:
        """Called after the physics of a control step.

        Args:
            progress: as `before_step` returned it.
            fields: batched MuJoCo fields, positions and velocities at the end of the step.
            touched: (world, substep, target) whether the rat touched the target after each physics step.
            substep_time: (world, substep) s, simulated time after each physics step.
            arenas: stacked arenas.
            index: where the rat's parts lie in the fields.
            xp: array namespace.
        """
        ...

    def look(self, progress: Any, arenas: Arenas, xp: ModuleType) -> Look:
        """What the eye sees of the progress."""
        ...


T = TypeVar("T")


def select(mask: Any, new: T, old: T, xp: ModuleType) -> T:
    """Take `new` where mask (world,) is True, else `old`, in every array of a NamedTuple of (world, ...) arrays, nested or not."""
    if isinstance(new, tuple):
        return type(new)(*(select(mask, a, b, xp) for a, b in zip(new, old, strict=True)))  # type: ignore[arg-type]
    shape = mask.shape + (1,) * (new.ndim - 1)  # type: ignore[attr-defined]
    return xp.where(mask.reshape(shape), new, old)
