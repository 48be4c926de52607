"""Touches found afterwards, from recorded postures, are those in MuJoCo's contacts after each physics step."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from vrodent.simulation import CpuSimulation


def _stepwise(simulation: CpuSimulation, action: np.ndarray) -> np.ndarray:
    """(world, substep, target) from the contacts that each world's own `MjData` holds after each physics step."""
    physics, task = simulation.physics, simulation.task
    targets = [physics.model.geom(name).id for name in task.target_geoms]
    touching = set((simulation.index.hand_geoms if task.touching == "hands" else simulation.index.rat_geoms).tolist())
    touched = np.zeros((simulation.num_worlds, physics.substeps, len(targets)), bool)
    physics.fields.ctrl[:] = action
    for k in range(physics.substeps):
        physics.fields.step(stage=mujoco.mjtStage.mjSTAGE_VEL.value)
        for world in range(simulation.num_worlds):
            for contact in physics.fields.get_data(world).contact:
                pair = {contact.geom1, contact.geom2}
                for t, target in enumerate(targets):
                    touched[world, k, t] |= target in pair and bool(pair & touching)
    return touched


@pytest.mark.parametrize(("task", "physics"), [("two_tap", "reference"), ("forage", "reference"), ("two_tap", "training")])
def test_touches_equal_the_contacts_after_each_physics_step(task: str, physics: str) -> None:
    """The rat thrashes beside targets that hang around it, so that touches come and go within control steps."""
    both = [CpuSimulation(task, num_worlds=4, seed=3, camera=False, physics=physics) for _ in range(2)]  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    arenas = []
    for world in range(4):
        arena = both[0].draw(world, 0)
        offset = rng.uniform([0.06, -0.05, 0.0], [0.12, 0.05, 0.07], size=(len(arena.targets), 3)) + arena.qpos[:3]
        geoms = arena.geom_pos.copy()
        if task == "forage":
            geoms[-len(offset) :] = offset
        qpos = arena.qpos.copy()
        qpos[3:7] = 1, 0, 0, 0
        arenas.append(replace(arena, targets=offset, geom_pos=geoms, qpos=qpos))
    for simulation in both:
        simulation.reset_to(np.arange(4), arenas)
    ours, theirs = both
    total = changing = 0
    for _ in range(12 if task == "two_tap" else 6):
        action = np.clip(ours.standing_ctrl + rng.standard_normal((4, 38)), -1, 1)
        if task == "two_tap":
            for simulation in both:
                simulation.physics.place_targets(simulation.arenas.targets[:, :1])
        touched, time = ours.physics.step(action)
        expected = _stepwise(theirs, action)
        np.testing.assert_array_equal(touched, expected)
        np.testing.assert_array_equal(ours.physics.fields.qpos, theirs.physics.fields.qpos)
        np.testing.assert_array_equal(time[:, -1], ours.physics.fields.time)
        assert (np.diff(time, axis=1) > 0).all()
        total += touched.sum()
        changing += (touched.any(axis=1) & ~touched.all(axis=1)).sum()
    assert total > 30 and changing > (3 if task == "two_tap" else 0)
