"""What MuJoCo Warp does silently otherwise than MuJoCo, each shown, and that the simulator on the GPU has a way around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import pytest
import warp as wp
from tests.simulation.gpu_pair import actions, pair

from vrodent.simulation.gpu import GpuSimulation
from vrodent.simulation.warp_arenas import half_extents, radii
from vrodent.simulation.warp_physics import default_capacity
from vrodent.task import get_task


def _stand(simulation: Any, steps: int) -> list[Any]:
    """Hold the standing posture."""
    still = np.tile(simulation.standing_ctrl, (simulation.num_worlds, 1))
    return [simulation.step(still) for _ in range(steps)]


def test_positions_of_geoms_on_the_world_are_not_looked_at_again() -> None:
    """The trap: an edited `geom_pos` moves nothing. The way around it: the rat stands where its world has a platform, and falls where it
    has none, though both start at the same place in the same model."""
    both = pair("gaps")
    both.restart()
    gpu, data = both.gpu, both.gpu.physics.data
    platform = gpu.model.geom("floor_3").id
    before = data.geom_xpos.numpy()[:, platform].copy()
    edited = wp.array(np.tile(gpu.model.geom_pos + 1.0, (2, 1, 1)), dtype=wp.vec3)
    kept, gpu.physics.warp_model.geom_pos = gpu.physics.warp_model.geom_pos, edited
    mjw.kinematics(gpu.physics.warp_model, data)
    gpu.physics.warp_model.geom_pos = kept
    np.testing.assert_array_equal(data.geom_xpos.numpy()[:, platform], before)

    lengths = np.tile([0.6, 0.2], (gpu.task.max_platforms - 1, 1))  # type: ignore[attr-defined]
    firm = gpu.task.arena(lengths, gpu.model)  # type: ignore[attr-defined]
    places = firm.geom_pos.copy()
    places[:, 0] += 6.0  # the first platform now begins in front of the rat
    both.reset_to([firm, replace(firm, geom_pos=places)])
    before_height = np.asarray(gpu.physics.fields.xpos)[:, gpu.index.torso, 2].copy()
    steps, expected = _stand(gpu, 12), _stand(both.cpu, 12)
    height = np.asarray(gpu.physics.fields.xpos)[:, gpu.index.torso, 2].copy()
    assert abs(height[0] - before_height[0]) < 0.02
    fallen = 0.5 * 9.81 * (12 * 0.02) ** 2
    assert height[1] < before_height[1] - 0.8 * fallen
    steps, expected = steps + _stand(gpu, 8), expected + _stand(both.cpu, 8)
    for ours, theirs in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(ours.terminated, theirs.terminated)
        np.testing.assert_array_equal(ours.info.discount, theirs.info.discount)
        np.testing.assert_array_equal(ours.info.events.fell, theirs.info.events.fell)
    assert np.asarray(steps[-1].terminated).tolist() == [False, True] and not np.asarray(steps[0].terminated).any()


@pytest.mark.parametrize("task", ["gaps", "forage"])
def test_sizes_go_with_the_radius_and_box_of_the_broad_phase(task: str) -> None:
    """Every world's bounds are those that the CPU's worlds have, which the compiler would have found."""
    both = pair(task)
    both.restart(seed=11)
    model = both.gpu.physics.warp_model
    for world, compiled in enumerate(both.cpu.physics.models):
        for name, width in (("geom_size", 3), ("geom_rbound", 1), ("geom_aabb", 6)):
            ours = getattr(model, name).numpy()[world].reshape(compiled.ngeom, width)
            theirs = getattr(compiled, name).reshape(compiled.ngeom, width)
            planes = (compiled.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (name == "geom_aabb")  # nobody looks at a plane's box
            np.testing.assert_allclose(ours[~planes], theirs[~planes], rtol=1e-6, atol=1e-7, err_msg=name)
    assert not np.array_equal(model.geom_rbound.numpy()[0], model.geom_rbound.numpy()[1])


SHAPES = {
    "sphere": (0.2, 0, 0), "capsule": (0.1, 0.3, 0), "cylinder": (0.1, 0.3, 0), "ellipsoid": (0.1, 0.3, 0.2), "box": (0.1, 0.2, 0.3),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "size"), SHAPES.items())
def test_bounds_are_the_compilers(kind: str, size: tuple[float, ...]) -> None:
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"), size=size)
    model = spec.compile()
    np.testing.assert_allclose(radii(model.geom_type, model.geom_size[None])[0], model.geom_rbound)
    np.testing.assert_allclose(half_extents(model.geom_type, model.geom_size[None])[0], model.geom_aabb[:, 3:])


def test_each_world_has_a_height_field_of_its_own() -> None:
    """The trap: `hfield_data` has no axis of worlds. The way around it: one rat stands on a plateau, the other on low ground."""
    both = pair("bowl")
    both.restart()
    assert mjw.Model.__dataclass_fields__["hfield_data"].type.ndim == 1
    gpu = both.gpu
    stored = gpu.physics.warp_model.hfield_data.numpy().reshape(2, 201, 201)
    for heights, arena in zip(stored, gpu.world_arenas, strict=True):
        np.testing.assert_array_equal(heights, arena.hfield)
    arena = gpu.world_arenas[0]
    qpos = gpu.model.qpos0.copy()
    high, low = np.full((201, 201), 0.5, np.float32), np.zeros((201, 201), np.float32)
    level = 0.5 * 0.5 - 0.01  # m, of the plateau
    both.reset_to([replace(arena, qpos=np.concatenate([qpos[:2], [z], qpos[3:]]), hfield=h) for z, h in ((level, high), (0.0, low))])
    _stand(gpu, 15)
    torso = np.asarray(gpu.physics.fields.xpos)[:, gpu.index.torso, 2].copy()
    assert abs(torso[0] - level - torso[1]) < 0.02
    assert 0.03 < torso[1] < 0.08


def test_a_dense_jacobian_is_refused() -> None:
    model = get_task("two_tap").spec().compile()
    model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    with pytest.raises(ValueError, match="Dense is unsupported for nv > 60"):
        mjw.put_model(model)
    assert pair("two_tap").gpu.model.opt.jacobian == mujoco.mjtJacobian.mjJAC_AUTO


@pytest.mark.parametrize("task", ["gaps", "bowl"])
def test_no_array_is_ever_replaced(task: str) -> None:
    """A captured graph keeps the addresses that it has seen: a replaced array would be ignored without a word."""
    both = pair(task)
    both.restart()

    def addresses() -> dict[str, int]:
        holders = {"model": both.gpu.physics.warp_model, "data": both.gpu.physics.data, "contact": both.gpu.physics.data.contact}
        return {
            f"{holder}.{name}": value.ptr
            for holder, of in (holders | {"efc": both.gpu.physics.data.efc}).items()
            for name, value in vars(of).items()
            if isinstance(value, wp.array) and value.size
        }

    before = addresses()
    both.gpu.step(actions(both.gpu, 0))
    both.gpu.reset(np.array([True, False]))
    both.gpu.step(actions(both.gpu, 1))
    both.restart(seed=4)
    assert len(before) > 200 and addresses() == before


def test_acceleration_sensors_outlive_the_second_half_of_a_step() -> None:
    """The trap: `step1` empties all sensors, so that after `step2` and `step1` the rat would feel no touch and no acceleration."""
    both = pair("two_tap")
    both.restart()
    _stand(both.gpu, 6)
    _stand(both.cpu, 6)
    index, felt = both.gpu.index, np.asarray(both.gpu.physics.fields.sensordata)
    assert (felt[:, index.touch] > 0).any() and np.abs(felt[:, index.accelerometer]).max() > 5
    np.testing.assert_allclose(felt[:, index.accelerometer], both.cpu.physics.fields.sensordata[:, index.accelerometer], atol=0.5)
    mjw.step1(both.gpu.physics.warp_model, both.gpu.physics.data)
    emptied = both.gpu.physics.data.sensordata.numpy()
    assert not emptied[:, index.touch].any() and not emptied[:, index.accelerometer].any()


def test_the_bowl_has_room_for_its_contacts_and_want_of_room_is_told() -> None:
    assert default_capacity(get_task("bowl")) == (256, 1024)
    short = GpuSimulation("two_tap", 2, physics="training", camera=False, warp_device="cpu", capacity=(4, 512))
    short.reset()
    _stand(short, 1)
    with pytest.raises(RuntimeError, match=r"room for 4 contacts a world.*capacity=\(8, 1024\)"):
        _stand(short, 3)
    few = GpuSimulation("two_tap", 2, physics="training", camera=False, warp_device="cpu", capacity=(128, 3))
    few.reset()
    ends = _stand(few, 4)
    assert any(np.asarray(step.info.diverged).any() for step in ends), "constraints that find no room end the trial"
