"""Many worlds of one task stepped together on all cores.

Each world runs on a MuJoCo model of its own, a copy without textures and skin (0.2 MB), into which an arena is written. A world's
arithmetic is that of a loop over `mj_step` for it alone, to the last bit, whatever the number of worlds and threads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from vrodent.body import RatIndex
from vrodent.simulation.arena_writer import ArenaWriter
from vrodent.simulation.touch import TouchFinder
from vrodent.task import CONTROL_STEP, Arena, Task

Variant = Literal["reference", "training"]
_BOUND = (
    "xpos", "xquat", "xmat", "site_xpos", "geom_xpos", "sensordata", "ten_length", "ten_velocity", "actuator_force", "qfrc_actuator",
    "subtree_com", "subtree_linvel", "ncon",
)  # fmt: skip
_VEL, _ACC, _NONE = (stage.value for stage in (mujoco.mjtStage.mjSTAGE_VEL, mujoco.mjtStage.mjSTAGE_ACC, mujoco.mjtStage.mjSTAGE_NONE))

_TIME_QPOS = int(mujoco.mjtState.mjSTATE_TIME | mujoco.mjtState.mjSTATE_QPOS)


def physics_model(spec: mujoco.MjSpec, variant: Variant) -> mujoco.MjModel:
    """Compile a task's spec for physics alone: no textures, no skin, same ids of everything else. The spec is changed.

    Args:
        spec: from `Task.spec()`.
        variant: "reference" keeps the spec's physics; "training" takes implicit steps of 4 ms, pyramidal friction cones and no
            no-slip iterations: several times faster, not the paper's.
    """
    for texture in list(spec.textures):
        spec.delete(texture)
    for material in spec.materials:
        material.textures = [""] * len(material.textures)
    for skin in list(spec.skins):
        spec.delete(skin)
    if variant == "training":
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.timestep = 0.004
        spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
        spec.option.noslip_iterations = 0
    elif variant != "reference":
        raise ValueError(f"physics must be 'reference' or 'training', got {variant!r}.")
    return spec.compile()


class BatchPhysics:
    """Worlds of one task, stepped together.

    Args:
        task: gives the model and names what moves.
        num_worlds: at least 1.
        num_threads: 0 takes one per core.
        variant: see `physics_model`.

    Attributes:
        fields: live batched MuJoCo fields (`fields.qpos` is (world, 74), ...). Positions, velocities and their sensors are those of
            now; forces and acceleration sensors those of the last physics step. `qpos qvel act ctrl time` may be written. A derived field
            that is read for the first time is zero until the next reset or step; those that tasks and senses read are there from the start.
        model: the model before any arena was written into it.
        models: one model per world.
        substeps: physics steps per control step.
        diverged: (world,) whether the last step met an unstable or failed simulation; such a world's fields mean nothing until reset.

    Raises:
        ValueError: num_worlds or variant is out of range.
        KeyError: the task names a geom that its model has not.
    """

    def __init__(self, task: Task, num_worlds: int, num_threads: int = 0, variant: Variant = "reference") -> None:
        if num_worlds < 1:
            raise ValueError(f"num_worlds must be at least 1, got {num_worlds}.")
        if num_threads < 0:
            raise ValueError(f"num_threads must be 0 (all cores) or more, got {num_threads}.")
        self.model = physics_model(task.spec(), variant)
        self.index = RatIndex.of(self.model)
        self.substeps = round(CONTROL_STEP / self.model.opt.timestep)
        self.num_worlds = num_worlds
        self.diverged = np.zeros(num_worlds, bool)
        self.models = [copy.copy(self.model) for _ in range(num_worlds)]
        self._writer = ArenaWriter(self.model, task.movable_geoms)
        self._targets = np.array([self.model.geom(name).id for name in task.target_geoms], dtype=int)
        touching = self.index.hand_geoms if task.touching == "hands" else self.index.rat_geoms
        self._finder = TouchFinder(self.model, touching, self._targets)
        sizes: dict[Any, tuple[int, ...]] = {}
        if self._targets.size:
            sizes = {_TIME_QPOS: (1 + self.model.nq,), "geom_xpos": (self.model.ngeom, 3)}
        self._records = {name: np.zeros((num_worlds, self.substeps - 1, *size)) for name, size in sizes.items()}
        self._rows = {name: np.zeros((num_worlds, self.substeps, *size)) for name, size in sizes.items()}
        self._placed = np.full((num_worlds, self._targets.size, 3), np.nan)
        self._stage = _ACC if task.refresh == "always" and variant == "reference" else _VEL
        self._refresh = task.refresh == "outcome" and variant == "reference"
        self.fields: Any = Batch(self.model, num_worlds, num_threads, persistent=True)
        self.fields.set_models(self.models)
        for name in _BOUND:
            self.fields.bind(name)

    def reset(self, ids: Sequence[int] | np.ndarray, arenas: Sequence[Arena]) -> None:
        """Start episodes in some worlds; the others do not change by a bit.

        As in the original, the senses at the start come from a forward pass with the actuators off.

        Args:
            ids: the worlds, ascending.
            arenas: one for each of them.
        """
        ids = np.asarray(ids, dtype=np.int32)
        if not ids.size:
            return
        batch = self.fields
        for i, arena in zip(ids, arenas, strict=True):
            self._writer.write(self.models[i], arena)
            self.models[i].opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        batch.set_models(self.models)
        batch.reset(ids, stage=_NONE)
        for i, arena in zip(ids, arenas, strict=True):
            batch.qpos[i] = arena.qpos
            for name in ("qvel", "act"):
                value = getattr(arena, name)
                getattr(batch, name)[i] = 0.0 if value is None else value
        batch.forward(ids)
        for i in ids:
            self.models[i].opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        batch.set_models(self.models)
        self.diverged[ids] = False

    def place_targets(self, positions: np.ndarray, worlds: np.ndarray | None = None) -> None:
        """Move target geoms in the middle of an episode.

        As in the original, which writes `geom_pos` of the compiled model, the boxes of the mid-phase stay where the compiler put them: a
        target that moves is felt only by bodies with a single geom.

        Args:
            positions: (world, target, 3) m.
            worlds: ids of those to be placed; None for all.
        """
        moved = np.flatnonzero((positions != self._placed).any(axis=(1, 2)))
        if worlds is not None:
            moved = np.intersect1d(moved, worlds)
        for world in moved:
            model = self.models[world]
            model.geom_pos[self._targets] = positions[world]
            model.geom_sameframe[self._targets] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
        if moved.size:
            self._placed[moved] = positions[moved]
            self.fields.set_models(self.models)

    def step(self, ctrl: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every world by one control step.

        Args:
            ctrl: (world, actuator), MuJoCo's control.

        Returns:
            touched (world, substep, target) bool, whether the rat touched each target after each physics step; and the time (world,
            substep) of these. Both without substeps for a task without targets.
        """
        batch = self.fields
        warnings = batch.warning[..., 1].copy()
        self.diverged[:] = False
        batch.ctrl[:] = ctrl
        if self._targets.size:
            result = self._step_touching()
        else:
            self._advance(None, self.substeps, self._stage)
            result = np.zeros((self.num_worlds, 0, 0), bool), np.zeros((self.num_worlds, 0))
        self.diverged |= (batch.warning[..., 1] > warnings).any(axis=1)
        self.diverged |= ~(np.isfinite(batch.qpos).all(axis=1) & np.isfinite(batch.qvel).all(axis=1))
        return result

    def refresh(self, mask: np.ndarray) -> None:
        """Run `mj_forward` in the worlds of a mask (world,), where the original does. Nothing in training physics."""
        if self._refresh and mask.any():
            self._guard(lambda: self.fields.forward(mask & ~self.diverged))

    def _step_touching(self) -> tuple[np.ndarray, np.ndarray]:
        """One control step, with the postures on the way recorded and searched for touches."""
        batch, rows, last = self.fields, self._rows, self.substeps - 1
        # A record holds the state after each physics step, but geom_xpos as it was before it.
        self._guard(lambda: batch.rollout(last, record=tuple(self._records), out=self._records))
        self._advance(~self.diverged if self.diverged.any() else None, 1, self._stage)
        row, positions = rows[_TIME_QPOS], rows["geom_xpos"]
        row[:, :last] = self._records[_TIME_QPOS]
        row[:, last, 0], row[:, last, 1:] = batch.time, batch.qpos
        positions[:, : last - 1] = self._records["geom_xpos"][:, 1:]
        positions[:, last] = batch.geom_xpos
        targets = batch.geom_xpos[:, self._targets]
        return self._finder.find(self.models, row[..., 1:], positions, targets), row[..., 0].copy()

    def _advance(self, ids: np.ndarray | None, nstep: int, stage: int) -> None:
        self._guard(lambda: self.fields.step(ids, nstep, stage))

    def _guard(self, call: Any) -> None:
        """Call, and mark the worlds in which MuJoCo raised; the others ran to completion."""
        try:
            call()
        except SimulationError as error:
            self.diverged[error.ids] = True
