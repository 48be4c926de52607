"""What the rat sees on a GPU is what it sees on the CPU, but for mipmaps, skin and the near clipping plane."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import warp as wp
from tests.simulation.gpu_pair import pair

from vrodent.simulation import CpuSimulation
from vrodent.simulation.gpu import GpuSimulation


def _blocks(frames: np.ndarray) -> np.ndarray:
    """Means over blocks of 8x8 pixels, which grains of a texture without mipmaps do not touch."""
    return frames.astype(float).reshape(len(frames), 8, 8, 8, 8, 3).mean(axis=(2, 4))


def _pictures(task: str, arenas: list[Any] | None = None) -> tuple[GpuSimulation, np.ndarray, np.ndarray]:
    """A simulation on Warp's CPU device, its pictures at the start, and the CPU's."""
    gpu = GpuSimulation(task, 2, seed=3, physics="training", warp_device="cpu")
    cpu = CpuSimulation(task, 2, seed=3, physics="training", num_threads=1)
    every = np.arange(2)
    drawn = arenas or [gpu.draw(world, 0) for world in every]
    ours, theirs = (np.asarray(simulation.reset_to(every, drawn)["egocentric"]).copy() for simulation in (gpu, cpu))
    cpu.close()
    return gpu, ours, theirs


def _assert_same_scene(ours: np.ndarray, theirs: np.ndarray) -> None:
    # Measured: 7 to 10 levels a pixel, 2 to 7 a block and at most 26, mostly of grass that mipmaps would smooth.
    assert ours.shape == theirs.shape == (2, 64, 64, 3) and ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - theirs).mean(axis=(1, 2, 3)).max() < 14
    difference = np.abs(_blocks(ours) - _blocks(theirs))
    assert difference.mean(axis=(1, 2, 3)).max() < 10 and difference.max() < 40


def test_a_maze_its_orbs_and_walls_and_an_orb_that_vanishes() -> None:
    gpu, ours, theirs = _pictures("forage")
    _assert_same_scene(ours, theirs)
    assert np.abs(_blocks(ours) - _blocks(theirs[::-1])).max() > 60, "the worlds look different"

    def orb(frames: np.ndarray) -> np.ndarray:
        red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
        return ((blue > 60) & (red < 40) & (green < 40)).sum(axis=(1, 2))

    seen = orb(ours)
    np.testing.assert_allclose(seen, orb(theirs), atol=25)
    assert (seen > 50).all()
    gpu.progress = gpu.progress._replace(taken=jnp.zeros_like(gpu.progress.taken).at[1].set(True))
    after = orb(np.asarray(gpu.eye.frames()))
    assert after[0] == seen[0] and after[1] == 0


def test_each_world_sees_its_own_hills() -> None:
    """The trap: the renderer draws the height field of the model on the host, for all worlds. The rats float above their bowls."""
    task = pair("bowl").cpu
    qpos = task.model.qpos0.copy()
    qpos[2], qpos[3:7] = 0.3, (np.cos(0.2), 0, np.sin(0.2), 0)
    arenas = [replace(task.draw(world, 0), qpos=qpos) for world in (0, 1)]
    arenas[1] = replace(arenas[1], hfield=np.asarray(arenas[1].hfield)[::-1] * np.float32(0.3))
    _, ours, theirs = _pictures("bowl", arenas)
    # Grass seen from above is brighter than on the CPU by a third; the horizon and the hills are where they should be.
    for world in (0, 1):
        same, other = (np.abs(_blocks(ours[world : world + 1]) - _blocks(theirs[[w]])).mean() for w in (world, 1 - world))
        assert same < 30 and same < other
        assert np.corrcoef(_blocks(ours)[world].ravel(), _blocks(theirs)[world].ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_a_corridor() -> None:
    _, ours, theirs = _pictures("gaps")
    _assert_same_scene(ours, theirs)


def test_the_orb_shows_its_touches() -> None:
    """Each world's material has the texture that the task says: green, yellow, blue."""
    both = pair("two_tap")
    both.restart()
    gpu, column = both.gpu, both.gpu.model.material("target_0_0/target_sphere_init").id
    names = []
    for touched, twice in ((False, False), (True, False), (True, True)):
        flags = [jnp.array([flag, False]) for flag in (touched, twice)]
        gpu.progress = gpu.progress._replace(touched=flags[0], touched_twice=flags[1])
        gpu.physics.arenas.write_textures(wp.from_jax(gpu.look().material_texture))
        ids = gpu.physics.warp_model.mat_texid.numpy()[:, column, 1]
        names.append([gpu.model.texture(int(i)).name.removeprefix("target_0_0/target_sphere_") for i in ids])
    assert names == [["init", "init"], ["inter", "init"], ["final", "init"]]
