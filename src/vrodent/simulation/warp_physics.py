"""Many worlds of one task stepped together by MuJoCo Warp.

A control step is one CUDA graph: its physics steps, the touches judged after each, and the senses at its end. Arrays are shared with JAX
and never copied to the host. On Warp's CPU device, which is there for tests, the same kernels run one after another without a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import mujoco
import mujoco_warp as mjw
import numpy as np
import warp as wp

from vrodent.body import RatIndex
from vrodent.simulation import warp_kernels as kernels
from vrodent.simulation.physics import Variant
from vrodent.simulation.warp_arenas import WarpArenas
from vrodent.task import CONTROL_STEP, Arena, Task

FIELDS = ("qpos", "qvel", "act", "xpos", "xmat", "site_xpos", "geom_xpos", "sensordata", "ten_length", "ten_velocity")
"""The fields that tasks and senses may read. `actuator_force`, `qfrc_actuator` and any other of `mujoco_warp.Data` can be read as well."""
_VISIBLE = ("sensordata", "actuator_force", "qfrc_actuator")
_FATAL = int(mjw.OverflowType.NEFC | mjw.OverflowType.NJMAX_NNZ | mjw.OverflowType.NVMAX)
_CROWDED = int(mjw.OverflowType.BROADPHASE | mjw.OverflowType.NARROWPHASE | mjw.OverflowType.CCD)


def default_capacity(task: Task) -> tuple[int, int]:
    """Contacts and constraint rows to make room for in each world. The bowl has reached 138 and 414, the other tasks 51 and 204."""
    return (256, 1024) if task.name == "bowl" else (128, 512)


def training_model(model: mujoco.MjModel) -> None:
    """Give a compiled model the training physics of `vrodent.simulation.physics.physics_model`, in place."""
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model.opt.timestep = 0.004
    model.opt.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    model.opt.noslip_iterations = 0


def clock_table(timestep: float, seconds: float) -> np.ndarray:
    """Simulated time after each number of physics steps, s, added up step by step in double precision as MuJoCo does on the CPU.

    A clock that is added up in single precision, as Warp's is, goes wrong by milliseconds in an episode.
    """
    steps = np.full(round(seconds / timestep) + 1, timestep)
    steps[0] = 0.0
    return np.cumsum(steps)  # cumsum adds one by one


def _distance_errors(model: mujoco.MjModel, targets: np.ndarray) -> np.ndarray:
    """(target, geom) m, by how much the distances of contacts with targets are too small.

    MuJoCo Warp's general convex collision, which it uses for ellipsoids, takes a sphere for its centre where the margin is as negative as a
    target's, and then adds the margin to the distance: it should add the radius taken off. Spheres, capsules, cylinders and
    boxes meet spheres in closed form.
    """
    convex = np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_MESH))
    return np.where(convex, -(model.geom_margin[targets] + model.geom_size[targets, 0])[:, None], 0.0)


class WarpFields:
    """MuJoCo's batched fields as JAX arrays that share Warp's memory: (world, ...), float32.

    An array shows what the fields were when it was read, and is good until the next step or reset.
    """

    def __init__(self, data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> jax.Array:
        value = getattr(self._data, name, None)
        if not isinstance(value, wp.array):
            raise AttributeError(f"MuJoCo Warp's data have no array named {name!r}.")
        array = wp.to_jax(value)
        return array.reshape(*array.shape[:-2], 9) if array.shape[-2:] == (3, 3) and array.ndim == 4 else array

    def read(self, names: Sequence[str]) -> dict[str, jax.Array]:
        """Some of the fields, by name."""
        return {name: getattr(self, name) for name in names}


class WarpPhysics:
    """Worlds of one task on one device.

    Args:
        task: gives the model's names of what moves.
        model: compiled from the task's spec, with textures; its options are changed.
        num_worlds: at least 1.
        variant: "reference" or "training", see `physics_model`.
        device: a Warp device, "cuda:0" or, for tests, "cpu".
        capacity: contacts and constraint rows to make room for in each world; None takes `default_capacity`.

    Attributes:
        fields: the batched fields, to be read.
        data, warp_model: MuJoCo Warp's own. Their arrays may be written and must not be replaced: a captured graph would not notice.
        substeps: physics steps per control step.
        diverged: (world,) bool, whether the last step met an unstable world or one whose constraints outgrew their room.

    Raises:
        ValueError: num_worlds or variant is out of range.
    """

    def __init__(
        self, task: Task, model: mujoco.MjModel, num_worlds: int, variant: Variant, device: Any, capacity: tuple[int, int] | None = None
    ) -> None:
        if num_worlds < 1:
            raise ValueError(f"num_worlds must be at least 1, got {num_worlds}.")
        if variant not in ("reference", "training"):
            raise ValueError(f"physics must be 'reference' or 'training', got {variant!r}.")
        if variant == "training":
            training_model(model)
        self.model, self.num_worlds, self.index = model, num_worlds, RatIndex.of(model)
        self.substeps = round(CONTROL_STEP / model.opt.timestep)
        self.device = wp.get_device(device)
        self._capacity = capacity or default_capacity(task)
        self._always = task.refresh == "always" and variant == "reference"
        self._refreshes = task.refresh == "outcome" and variant == "reference"
        self._graphs: dict[str, Any] = {}
        self._readers: Any = None
        with wp.ScopedDevice(self.device):
            self.arenas = WarpArenas(task, model, num_worlds)
            self.warp_model = mjw.put_model(model, batch_sizes=self.arenas.batch_sizes)
            self.warp_model.opt.warn_overflow = 0  # looked at once a step, below
            contacts, rows = self._capacity
            self.data = mjw.make_data(model, num_worlds, nconmax=contacts, njmax=rows)
            self.arenas.attach(self.warp_model, self.data)
            self._make_buffers(task)
        self.fields = WarpFields(self.data)

    def _make_buffers(self, task: Task) -> None:
        model, worlds = self.model, self.num_worlds
        targets = np.array([model.geom(name).id for name in task.target_geoms], dtype=int)
        # A moved target is felt by bodies of one geom alone, of the hands' the palms: see `BatchPhysics.place_targets`.
        moves = bool(len(targets)) and not set(task.target_geoms) & set(task.movable_geoms)
        hands = self.index.palm_geoms if moves else self.index.hand_geoms
        touching = hands if task.touching == "hands" else self.index.rat_geoms
        target_of = np.full(model.ngeom, -1)
        target_of[targets] = np.arange(len(targets))
        self._target_of, self._targets = wp.array(target_of, dtype=int), wp.array(targets, dtype=int)
        self._touching = wp.array(np.isin(np.arange(model.ngeom), touching), dtype=bool)
        self._off = wp.array(_distance_errors(model, targets), dtype=float)
        self._touched = wp.zeros((worlds, self.substeps, len(targets)), dtype=bool)
        self._diverged = wp.zeros(worlds, dtype=bool)
        self._mask = wp.zeros(worlds, dtype=bool)
        self._kept = {name: wp.zeros_like(getattr(self.data, name)) for name in _VISIBLE}

    @property
    def diverged(self) -> jax.Array:
        """(world,) bool."""
        return wp.to_jax(self._diverged)

    @property
    def crowded(self) -> jax.Array:
        """(world,) int32, not 0 where contacts of the last step found no room."""
        return wp.to_jax(self.data.overflow) & _CROWDED

    def wait_for(self, readers: Any) -> None:
        """Name the JAX arrays that are computed from the fields: no kernel writes before they are there."""
        self._readers = readers

    def check_room(self) -> None:
        """Raise if contacts found no room in the last step.

        Raises:
            RuntimeError: they did not; which worlds missed some is not known.
        """
        self._settle()
        if bool(self.crowded.any()):
            raise RuntimeError(
                f"There is room for {self._capacity[0]} contacts a world, and together the worlds had more than {self.num_worlds} times"
                f" that. Make more: GpuSimulation(..., capacity=({2 * self._capacity[0]}, {2 * self._capacity[1]}))."
            )

    def reset(self, ids: np.ndarray, arenas: Sequence[Arena]) -> None:
        """Start episodes in some worlds; nothing that can be seen of the others changes.

        As on the CPU, the senses at the start come from a forward pass with the actuators off.

        Args:
            ids: the worlds.
            arenas: one for each of them.
        """
        if not len(ids):
            return
        self._settle()
        with wp.ScopedDevice(self.device):
            self.arenas.write(ids, arenas)
            mask = np.zeros(self.num_worlds, bool)
            mask[ids] = True
            self._mask.assign(mask)
            self._keep()
            mjw.reset_data(self.warp_model, self.data, self._mask)
            worlds = wp.array(ids, dtype=int)
            for name, width in (("qpos", self.model.nq), ("qvel", self.model.nv), ("act", self.model.na)):
                values = [getattr(arena, name) for arena in arenas]
                rows = wp.array(np.stack([np.zeros(width) if value is None else value for value in values]), dtype=float)
                columns = wp.array(np.arange(width), dtype=int)
                wp.launch(kernels.scatter, rows.shape, inputs=[rows, worlds, columns], outputs=[getattr(self.data, name)])
            self._run("start", self._start)
        self._finish()

    def place_targets(self, positions: jax.Array) -> None:
        """Move target geoms in the middle of an episode: (world, target, 3) m, float32."""
        self._settle(positions)
        rows = wp.from_jax(positions)
        wp.launch(kernels.place, positions.shape[:2], inputs=[rows, self._targets], outputs=[self.data.geom_xpos], device=self.device)

    def step(self, ctrl: jax.Array) -> jax.Array:
        """Advance every world by one control step.

        Args:
            ctrl: (world, actuator) float32, MuJoCo's control.

        Returns:
            (world, substep, target) bool, whether the rat touched each target after each physics step; good until the next step.
        """
        self._settle(ctrl)
        with wp.ScopedDevice(self.device):
            wp.copy(self.data.ctrl, wp.from_jax(ctrl))
            self._run("step", self._advance)
        self._finish()
        # An empty array has no memory that could be shared.
        return wp.to_jax(self._touched) if self._touched.size else jax.numpy.zeros(self._touched.shape, bool)

    def refresh(self, mask: jax.Array) -> None:
        """Do what `mj_forward` does in the worlds of a mask (world,), where the original does. Nothing in training physics."""
        if not self._refreshes or not bool(mask.any()):
            return
        self._settle(mask)
        with wp.ScopedDevice(self.device):
            wp.copy(self._mask, wp.from_jax(mask))
            self._keep()
            self._run("refresh", self._forward_again)
        self._finish()

    def _settle(self, *arrays: Any) -> None:
        jax.block_until_ready((self._readers, arrays))
        self._readers = None

    def _finish(self) -> None:
        """Wait for Warp, for JAX runs on streams of its own."""
        if self.device.is_cuda:
            wp.synchronize_device(self.device)

    def _run(self, name: str, work: Callable[[], None]) -> None:
        """Do some work; on a GPU the first time by itself, which loads its kernels, and from the second on as one graph.

        Whatever is written to the model's options at that time is in the graph.
        """
        if not self.device.is_cuda:
            work()
        elif name not in self._graphs:
            work()
            self._graphs[name] = None
        else:
            if self._graphs[name] is None:
                wp.synchronize_device(self.device)
                with wp.ScopedCapture(self.device) as capture:
                    work()
                self._graphs[name] = capture.graph
            wp.capture_launch(self._graphs[name])

    def _advance(self) -> None:
        """The control step: forces and integration, then positions and velocities of what came out, as dm_control has it."""
        model, data = self.warp_model, self.data
        self._touched.zero_()
        self._diverged.zero_()
        data.overflow.zero_()
        for substep in range(self.substeps):
            last = substep == self.substeps - 1
            self._accelerate()
            if last and not self._always:
                self._feel_accelerations()
            self._integrate()
            mjw.fwd_position(model, data, factorize=False)
            self._judge_touches(substep)
            mjw.fwd_velocity(model, data)
        if self._always:
            self._accelerate()
            self._feel_accelerations()
            wp.copy(data.qacc_warmstart, data.qacc)
        self._feel_motion()

    def _start(self) -> None:
        """The forward pass of a reset, in the worlds of the mask."""
        model, data, off = self.warp_model, self.data, int(mjw.DisableBit.ACTUATION)
        model.opt.disableflags |= off
        mjw.forward(model, data)
        model.opt.disableflags &= ~off
        self._put_back()
        wp.launch(kernels.clear_where, self.num_worlds, inputs=[self._mask], outputs=[self._diverged])

    def _forward_again(self) -> None:
        """`mj_forward` in the worlds of the mask."""
        self._accelerate()
        self._feel_accelerations()
        self._feel_motion()
        self._put_back()

    def _keep(self) -> None:
        for name, kept in self._kept.items():
            wp.copy(kept, getattr(self.data, name))

    def _put_back(self) -> None:
        """Outside the mask, put back what could be seen of it; inside, start the next step's solver from this pass's result."""
        data = self.data
        for name, kept in self._kept.items():
            wp.launch(kernels.copy_unless, kept.shape, inputs=[self._mask, kept], outputs=[getattr(data, name)])
        wp.launch(kernels.copy_where, data.qacc.shape, inputs=[self._mask, data.qacc], outputs=[data.qacc_warmstart])

    def _accelerate(self) -> None:
        mjw.fwd_actuation(self.warp_model, self.data)
        mjw.fwd_acceleration(self.warp_model, self.data, factorize=True)
        mjw.solve(self.warp_model, self.data)

    def _feel_accelerations(self) -> None:
        """Forces and accelerations are added up in sensors, which must be empty; what they leave of other senses comes after."""
        self.data.sensordata.zero_()
        mjw.rne_postconstraint(self.warp_model, self.data)
        mjw.sensor_acc(self.warp_model, self.data, skip_rne_postconstraint=True)

    def _feel_motion(self) -> None:
        mjw.sensor_pos(self.warp_model, self.data)
        mjw.sensor_vel(self.warp_model, self.data)

    def _integrate(self) -> None:
        model, data = self.warp_model, self.data
        if self.model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER:
            mjw.euler(model, data)
        else:
            mjw.implicit(model, data)
        outputs = [data.qpos, data.qvel, data.act, data.qacc_warmstart, self._diverged]
        wp.launch(kernels.catch_failures, self.num_worlds, inputs=[model.qpos0, data.overflow, _FATAL], outputs=outputs)

    def _judge_touches(self, substep: int) -> None:
        data = self.data
        if self._touched.size:
            contact = data.contact
            inputs = [data.nacon, contact.geom, contact.worldid, contact.dist, self._target_of, self._touching, self._off, substep]
            wp.launch(kernels.judge_touches, data.naconmax, inputs=inputs, outputs=[self._touched])
