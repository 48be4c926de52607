"""A model with an arena written into it collides as a model compiled with that arena."""

from __future__ import annotations

import copy

import mujoco
import numpy as np
import pytest

from vrodent.simulation import CpuSimulation
from vrodent.simulation.arena_writer import ArenaWriter
from vrodent.task import Arena
from vrodent.task.gaps import Gaps


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return Gaps().spec().compile()


@pytest.fixture(scope="module")
def arena(model: mujoco.MjModel) -> Arena:
    return Gaps().draw(np.random.default_rng(5), model)


def _compiled_with(arena: Arena) -> mujoco.MjModel:
    spec = Gaps().spec()
    for name, pos, size in zip(Gaps().movable_geoms, arena.geom_pos, arena.geom_size, strict=True):
        geom = spec.geom(name)
        geom.pos, geom.size = pos, size
    return spec.compile()


def _postures(model: mujoco.MjModel, arena: Arena) -> np.ndarray:
    """The rat on every platform and across every edge, somewhat sunk in, turned every way."""
    rng = np.random.default_rng(0)
    x = np.concatenate([arena.geom_pos[:, 0], arena.geom_pos[:, 0] + arena.geom_size[:, 0]])
    x = x[x < 41]
    qpos = np.tile(model.qpos0, (len(x), 1))
    qpos[:, 0], qpos[:, 1], qpos[:, 2] = x, rng.uniform(-0.9, 0.9, len(x)), rng.uniform(-0.02, 0.0, len(x))
    turn = rng.uniform(0, 2 * np.pi, len(x))
    qpos[:, 3], qpos[:, 6] = np.cos(turn / 2), np.sin(turn / 2)
    return qpos


def _contacts(model: mujoco.MjModel, qpos: np.ndarray) -> list[tuple[str, str, float]]:
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    return [(model.geom(c.geom1).name, model.geom(c.geom2).name, c.dist) for c in data.contact]


def test_contacts_equal_those_of_a_freshly_compiled_model(model: mujoco.MjModel, arena: Arena) -> None:
    written = copy.copy(model)
    ArenaWriter(model, Gaps().movable_geoms).write(written, arena)
    fresh = _compiled_with(arena)
    postures = _postures(model, arena)
    assert len(postures) > 80
    for qpos in postures:
        expected = _contacts(fresh, qpos)
        assert any("floor" in name for pair in expected for name in pair[:2]), qpos[:3]
        assert _contacts(written, qpos) == expected


def test_the_trap_is_there_without_new_boxes(model: mujoco.MjModel, arena: Arena) -> None:
    """Writing the geoms alone loses contacts: this is what the writer is for."""
    stale = copy.copy(model)
    ids = [model.geom(name).id for name in Gaps().movable_geoms]
    stale.geom_pos[ids], stale.geom_size[ids] = arena.geom_pos, arena.geom_size
    fresh = _compiled_with(arena)
    assert any(_contacts(stale, qpos) != _contacts(fresh, qpos) for qpos in _postures(model, arena))


def test_bounds_equal_the_compilers(model: mujoco.MjModel, arena: Arena) -> None:
    written, fresh = copy.copy(model), _compiled_with(arena)
    ArenaWriter(model, Gaps().movable_geoms).write(written, arena)
    ids = [model.geom(name).id for name in Gaps().movable_geoms]
    np.testing.assert_array_equal(written.geom_rbound[ids], fresh.geom_rbound[ids])
    np.testing.assert_allclose(written.geom_aabb[ids], fresh.geom_aabb[ids], atol=1e-12)


def test_the_rat_stands_on_every_platform() -> None:
    spare = Gaps().draw(np.random.default_rng(7), Gaps().spec().compile())
    used = np.flatnonzero(spare.geom_pos[:, 0] < 45)
    simulation = CpuSimulation("gaps", num_worlds=len(used), camera=False, physics="training")
    arenas = []
    for platform in used:
        qpos = spare.qpos.copy()
        qpos[0] = spare.geom_pos[platform, 0]
        arenas.append(Arena(**{**vars(spare), "qpos": qpos}))
    simulation.reset_to(np.arange(len(used)), arenas)
    for _ in range(20):
        simulation.step(np.tile(simulation.standing_ctrl, (len(used), 1)))
    torso = simulation.physics.fields.xpos[:, simulation.index.torso]
    assert len(used) > 35
    np.testing.assert_allclose(torso[:, 2], 0.061, atol=0.004)


def test_an_arena_of_the_wrong_size_is_refused(model: mujoco.MjModel, arena: Arena) -> None:
    wrong = Arena(**{**vars(arena), "geom_pos": arena.geom_pos[:3]})
    with pytest.raises(ValueError, match=r"geom_pos must have shape \(77, 3\), got \(3, 3\)"):
        ArenaWriter(model, Gaps().movable_geoms).write(copy.copy(model), wrong)


def test_an_unknown_geom_is_named(model: mujoco.MjModel) -> None:
    with pytest.raises(KeyError, match="no geom named 'nowhere'"):
        ArenaWriter(model, ("start_floor", "nowhere"))
