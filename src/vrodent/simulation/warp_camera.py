"""What the rats see, ray-traced for all worlds at once by MuJoCo Warp.

As the CPU's camera without its skin: the renderer has none. Textures are sampled without mipmaps, so that distant grass is grainier.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import mujoco
import mujoco_warp as mjw
import numpy as np
import warp as wp

from vrodent.simulation import warp_kernels as kernels

if TYPE_CHECKING:
    from vrodent.simulation.gpu import GpuSimulation

EYE_SIZE = 64
"""Pixels along either side of what the rat sees."""
_SEEN_GROUPS = [0]  # the rat's own geoms are in groups 1 and 2; MuJoCo draws no higher ones


class WarpCamera:
    """The eyes of all worlds' rats.

    Args:
        simulation: whose worlds.
        shadows: cast a ray from each point seen to each light.
    """

    def __init__(self, simulation: GpuSimulation, *, shadows: bool = False) -> None:
        self._simulation = weakref.proxy(simulation)
        physics, task, model = simulation.physics, simulation.task, simulation.model
        self._columns: Any = None
        with wp.ScopedDevice(physics.device):
            self._context = mjw.create_render_context(
                model, nworld=physics.num_worlds, cam_res=(EYE_SIZE, EYE_SIZE), cam_active=[simulation.index.camera], render_rgb=True,
                render_depth=False, render_seg=False, use_shadows=shadows, render_skybox=True, enabled_geom_groups=_SEEN_GROUPS,
            )  # fmt: skip
            if set(task.target_geoms) & set(task.movable_geoms):
                self._columns = wp.array([model.geom(name).id for name in task.target_geoms], dtype=int)
            self._terrain = WarpTerrain(model, physics, self._context) if model.nhfield else None
        self._unpack = jax.jit(_unpack)

    def arenas_changed(self, ids: np.ndarray) -> None:
        """Look at the terrain of some worlds anew."""
        if self._terrain is not None:
            self._terrain.update(ids)

    def frames(self) -> jax.Array:
        """What every rat sees now.

        Returns:
            (world, 64, 64, 3) uint8, top row first; black for a world whose physics has diverged.
        """
        simulation = self._simulation
        physics, look = simulation.physics, simulation.look()
        jax.block_until_ready(look)
        with wp.ScopedDevice(physics.device):
            physics.arenas.write_textures(wp.from_jax(look.material_texture))
            if self._columns is not None:
                visible = wp.from_jax(look.target_visible)
                wp.launch(kernels.show, visible.shape, inputs=[visible, self._columns], outputs=[physics.warp_model.geom_rgba])
            mjw.refit_bvh(physics.warp_model, physics.data, self._context)
            mjw.render(physics.warp_model, physics.data, self._context)
            if physics.device.is_cuda:
                wp.synchronize_device(physics.device)
        return self._unpack(wp.to_jax(self._context.rgb_data), physics.diverged)


def _unpack(packed: jax.Array, diverged: jax.Array) -> jax.Array:
    """(world, pixel) uint32 of alpha, red, green, blue to bytes."""
    channels = jnp.stack([(packed >> shift) & 0xFF for shift in (16, 8, 0)], axis=-1).astype(jnp.uint8)
    frames = channels.reshape(-1, EYE_SIZE, EYE_SIZE, 3)
    return jnp.where(diverged[:, None, None, None], jnp.uint8(0), frames)


class WarpTerrain:
    """Triangle meshes of the worlds' height fields, for the renderer.

    The renderer draws the height fields of the model on the host, one each; here every world is given a mesh of its own, some 5 MB.

    Args:
        model: on the host.
        physics: whose worlds.
        context: the renderer's, changed.
    """

    def __init__(self, model: mujoco.MjModel, physics: Any, context: Any) -> None:
        rows, columns = int(model.hfield_nrow[0]), int(model.hfield_ncol[0])
        radius_x, radius_y, height, _ = model.hfield_size[0].tolist()
        self._heights, self._height, self._cells = physics.warp_model.hfield_data, height, rows * columns
        x, y = np.meshgrid(np.linspace(-radius_x, radius_x, columns), np.linspace(-radius_y, radius_y, rows))
        points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
        corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
        # The diagonal runs as in MuJoCo's collisions and pictures.
        triangles = corner + np.array([0, columns + 1, columns, 0, 1, columns + 1])
        indices = wp.array(triangles.reshape(-1), dtype=int)
        constructor = "lbvh" if physics.device.is_cuda else "sah"
        self._meshes = [
            wp.Mesh(points=wp.array(points, dtype=wp.vec3), indices=indices, bvh_constructor=constructor) for _ in range(physics.num_worlds)
        ]
        context.hfield_bvh_id = wp.array([mesh.id for mesh in self._meshes], dtype=wp.uint64)
        context.hfield_bounds_size = wp.full(physics.num_worlds, wp.vec3(radius_x, radius_y, height / 2), dtype=wp.vec3)
        self._device = physics.device

    def update(self, ids: np.ndarray) -> None:
        """Raise the meshes of some worlds to their height fields."""
        with wp.ScopedDevice(self._device):
            for world in ids:
                mesh = self._meshes[world]
                inputs = [self._heights, int(world) * self._cells, self._height]
                wp.launch(kernels.raise_points, self._cells, inputs=inputs, outputs=[mesh.points])
                mesh.refit()
