"""The GPU simulator does what the CPU's does: parity, seeds, masks, endings, failures. Run on Warp's CPU device."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.simulation.gpu_pair import FIELDS, Pair, actions, pair

from vrodent.simulation import CpuSimulation, make
from vrodent.simulation.gpu import GpuSimulation, NoGpuError, PureParts
from vrodent.simulation.warp_physics import clock_table
from vrodent.task import TASK_NAMES, get_task, stack_arenas

LEVEL = ("two_tap", "gaps", "forage")  # tasks whose ground is of planes and boxes; the bowl's has tests of its own

# Single precision rounds to 6e-8 of a value. A stiff contact (time constant 5 ms, toes of a gram) turns a rounding into 1e-5 rad within
# 20 reference steps, and where the solver's cones slip or stick into some 1e-4; the five steps of training physics into 1e-6. A wrong
# force, order of operations or arena shows as 1e-2 and more within one step.
TOLERANCE = {"reference": {"qpos": 1e-3, "qvel": 5e-2, "xpos": 1e-4}, "training": {"qpos": 5e-5, "qvel": 2e-3, "xpos": 5e-6}}


def state(simulation: Any, world: int) -> dict[str, bytes]:
    """Everything of one world of the GPU simulator, as bytes."""
    names = (*FIELDS, "qacc_warmstart", "actuator_force", "qfrc_actuator")
    found = {name: np.asarray(getattr(simulation.physics.fields, name)[world]).tobytes() for name in names}
    for kind, arrays in (("arena", simulation.arenas), ("progress", simulation.progress)):
        for name, array in arrays._asdict().items():
            found[f"{kind}.{name}"] = np.asarray(array[world]).tobytes()
    return found


@pytest.mark.parametrize(("task", "physics"), [("two_tap", "reference"), ("gaps", "reference"), *((task, "training") for task in LEVEL)])
def test_a_control_step_is_the_cpus(task: str, physics: str) -> None:
    """After a reset the senses are the same; after a control step from the same start, fields, senses and rewards."""
    both = pair(task, physics)
    both.restart()
    start = [np.asarray(seen["proprioception"]) for seen in (both.cpu.observe(), both.gpu._observe())]
    np.testing.assert_allclose(start[1], start[0], atol=2e-5)
    action = actions(both.cpu, 0)
    ours, theirs = both.gpu.step(action), both.cpu.step(action)
    assert {name: found for name, most in TOLERANCE[physics].items() if (found := both.difference(name)) > most} == {}
    felt, expected = np.asarray(ours.observation["proprioception"]), theirs.observation["proprioception"]
    acceleration = slice(151, 154)  # m/s^2, thousand times a velocity's rounding
    np.testing.assert_allclose(np.delete(felt, acceleration, 1), np.delete(expected, acceleration, 1), atol=TOLERANCE[physics]["qvel"])
    np.testing.assert_allclose(felt[:, acceleration], expected[:, acceleration], atol=0.1)
    np.testing.assert_allclose(ours.reward, theirs.reward, atol=1e-4)
    np.testing.assert_allclose(ours.info.time, theirs.info.time, rtol=1e-7)
    for name in ("terminated", "truncated"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_array_equal(ours.info.discount, theirs.info.discount)


def test_above_the_bowl_a_control_step_is_the_cpus() -> None:
    """In the air: where it touches the terrain, MuJoCo Warp keeps four contacts of a geom where MuJoCo keeps up to fifty."""
    both = pair("bowl")
    both.restart()
    qpos = both.cpu.model.qpos0.copy()
    qpos[2] = 0.3
    both.reset_to([replace(arena, qpos=qpos) for arena in both.cpu.world_arenas])
    action = actions(both.cpu, 0)
    ours, theirs = both.gpu.step(action), both.cpu.step(action)
    assert {name: found for name, most in TOLERANCE["training"].items() if (found := both.difference(name)) > most} == {}
    np.testing.assert_allclose(ours.reward, theirs.reward, atol=1e-6)
    for name, value in theirs.info.events._asdict().items():
        np.testing.assert_allclose(getattr(ours.info.events, name), value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("task", ["two_tap", "forage"])
def test_touches_after_each_physics_step_are_the_cpus(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets at the palms, or all around; one control step of thrashing from each start.

    The CPU judges the very postures that the GPU's simulator had after each physics step, in double precision: every touch is the same.
    """
    both, rng, total, changing = pair(task), np.random.default_rng(1), 0, 0
    both.restart()
    palms = both.cpu.physics.fields.geom_xpos[:, both.cpu.index.palm_geoms, :].copy() - both.cpu.physics.fields.qpos[:, None, :3]
    for _ in range(8):
        arenas = []
        for world in range(2):
            arena = both.cpu.draw(world, 0)
            where = palms[world, :1] if task == "two_tap" else np.array([[0.05, 0.0, 0.03]])
            spread = 0.025 if task == "two_tap" else 0.1
            targets = arena.targets.copy()
            targets[:3] = arena.qpos[:3] + where + rng.uniform(-spread, spread, size=(3, 3))
            places = arena.geom_pos.copy()
            if task == "forage":
                places[-len(targets) :] = targets
            arenas.append(replace(arena, targets=targets, geom_pos=places))
        both.reset_to(arenas)
        action = np.clip(both.cpu.standing_ctrl + rng.standard_normal((2, 38)), -1, 1).astype(np.float32)
        postures = watched(both.gpu.physics, monkeypatch)
        touched = np.asarray(both.gpu.physics.step(jnp.asarray(action)))
        assert len(postures) == 5
        expected = np.zeros_like(touched)
        for world, substep in np.ndindex(2, 5):
            expected[world, substep] = both.cpu.physics._finder._contacts(both.cpu.physics.models[world], postures[substep][world])
        np.testing.assert_array_equal(touched, expected)
        total += int(expected.sum())
        changing += int((expected.any(axis=1) & ~expected.all(axis=1)).sum())
    assert total > 10 and changing > 0


def watched(physics: Any, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The postures (world, 74), in which touches are judged from now on."""
    postures, judge = [], type(physics)._judge_touches

    def watching(substep: int) -> None:
        postures.append(physics.data.qpos.numpy().astype(float))
        judge(physics, substep)

    monkeypatch.setattr(physics, "_judge_touches", watching)
    return postures


@pytest.mark.parametrize("task", TASK_NAMES)
def test_arenas_are_the_cpus_and_differ_between_worlds(task: str) -> None:
    both = pair(task)
    both.restart(seed=7)
    for ours, theirs in zip(both.gpu.arenas, both.cpu.arenas, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    geoms = [both.gpu.model.geom(name).id for name in both.gpu.task.movable_geoms]
    shown = np.asarray(both.gpu.physics.fields.geom_xpos)[:, geoms]
    np.testing.assert_allclose(shown, both.cpu.physics.fields.geom_xpos[:, geoms], atol=3e-6)
    one, other = both.gpu.world_arenas
    differing = {"gaps": "geom_pos", "forage": "geom_pos", "bowl": "hfield", "two_tap": "targets"}[task]
    assert not np.array_equal(getattr(one, differing), getattr(other, differing))
    if task in ("gaps", "forage"):
        assert not np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("task", ["gaps", "two_tap"])
def test_a_masked_reset_changes_nothing_elsewhere_and_draws_the_cpus_next_arena(task: str) -> None:
    both = pair(task)
    both.restart()
    for step in range(2):
        both.gpu.step(actions(both.gpu, step))
        both.cpu.step(actions(both.cpu, step))
    before = state(both.gpu, 0)
    mask = np.array([False, True])
    observation = both.gpu.reset(jnp.asarray(mask))
    expected = both.cpu.reset(mask)
    assert state(both.gpu, 0) == before
    np.testing.assert_allclose(observation["proprioception"][1], expected["proprioception"][1], atol=2e-5)
    undisturbed = actions(both.gpu, 5)
    both.gpu.step(undisturbed)
    after = state(both.gpu, 0)
    both.restart()
    for step in range(2):
        both.gpu.step(actions(both.gpu, step))
    both.gpu.step(undisturbed)
    assert state(both.gpu, 0) == after, "world 0 went on as if the other had not been reset"
    assert both.gpu.episode.tolist() == [0, 0]


def test_one_seed_twice_gives_the_same_bytes() -> None:
    """On Warp's CPU device, which runs its threads in order. A GPU adds contacts in any order."""
    both, runs = pair("two_tap"), []
    for seed in (3, 3, 4):
        both.restart(seed)
        both.gpu.step(actions(both.gpu, 0))
        runs.append([state(both.gpu, world) for world in (0, 1)])
    assert runs[0] == runs[1] and runs[0] != runs[2]


@pytest.mark.parametrize("task", ["two_tap", "gaps"])
def test_a_failing_world_ends_its_own_trial_and_no_other(task: str) -> None:
    both = pair(task)
    ends = []
    for broken in (False, True):
        both.restart()
        both.gpu.step(actions(both.gpu, 0))
        if broken:
            both.gpu.physics.data.qvel.numpy()[1, 9] = np.nan
        ends.append([both.gpu.step(actions(both.gpu, k)) for k in (1, 2)])
        after = state(both.gpu, 0)
        ends[-1].append(after)
    (whole, _, undisturbed), (failed, next_, disturbed) = ends
    assert undisturbed == disturbed
    np.testing.assert_array_equal(whole.info.diverged, [False, False])
    np.testing.assert_array_equal(failed.info.diverged, [False, True])
    np.testing.assert_array_equal(failed.terminated, [False, True])
    assert failed.reward[1] == 0 and failed.info.discount[1] == 0 and whole.info.discount[1] == 1
    assert not np.asarray(failed.observation["proprioception"][1]).any()
    for step in (failed, next_):  # what follows without a reset means nothing, but it is finite
        assert all(np.isfinite(x).all() for x in jax.tree.leaves((step.observation, step.reward, step.info.discount)))
    observation = both.gpu.reset(np.array([False, True]))
    assert np.asarray(observation["proprioception"][1]).any() and not np.asarray(both.gpu.physics.diverged).any()


@pytest.mark.parametrize("task_name", ["two_tap", "forage"])
def test_rewards_windows_and_time_limits_are_those_of_double_precision(task_name: str) -> None:
    """A whole episode of scripted touches, judged by JAX and by NumPy with MuJoCo's own clock: the same at every step."""
    cpu, worlds = pair(task_name).cpu, 24
    task, model = cpu.task, cpu.model
    arenas = stack_arenas([cpu.draw(world, 0) for world in range(worlds)])
    single = jax.tree.map(lambda rows: jnp.asarray(rows, jnp.int32 if rows.dtype.kind in "iu" else jnp.float32), arenas)
    parts = PureParts(task, cpu.index, 5, 0.004)
    fields = {"xpos": np.zeros((worlds, model.nbody, 3)), "sensordata": np.zeros((worlds, model.nsensordata))}
    fields_of_32_bits = {name: jnp.asarray(value, jnp.float32) for name, value in fields.items()}
    ours, clock, _ = parts.begin(jnp.ones(worlds, bool), single, None)
    theirs, time = task.start(arenas, np), 0.0
    happened = np.zeros(5, int)
    for touched in _script(task_name, worlds):
        substep_time = [time := time + 0.004 for _ in range(5)]
        theirs, _ = task.before_step(theirs, arenas, np)
        expected = task.step(
            theirs, SimpleNamespace(**fields), touched, np.tile(substep_time, (worlds, 1)), arenas, cpu.index, np
        )  # fmt: skip
        theirs = expected.progress
        ours, _ = parts.before(ours, single)
        ours, clock, refresh, got = parts.judge(ours, fields_of_32_bits, touched, clock, single, np.zeros(worlds, bool))
        np.testing.assert_allclose(got.reward, expected.reward, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(got.terminated, expected.terminated)
        np.testing.assert_array_equal(got.truncated, ~expected.terminated & (time >= task.time_limit))
        np.testing.assert_array_equal(refresh, expected.refresh)
        for name, value in expected.events._asdict().items():
            np.testing.assert_allclose(getattr(got.info.events, name), value, rtol=1e-6, err_msg=name)
        happened += np.bincount(expected.events.tap if task_name == "two_tap" else expected.events.orbs_taken > 3, minlength=5)
    assert (happened[1:] > 5).all() if task_name == "two_tap" else happened[1], "the script lets everything happen"


def _script(task: str, worlds: int) -> np.ndarray:
    """Touches (step, world, substep, target) at random, rare in some worlds and frequent in others."""
    rate = np.geomspace(3e-4, 3e-2, worlds)[:, None, None]
    return np.random.default_rng(8).random((1510, worlds, 5, len(get_task(task).target_geoms))) < rate


@pytest.mark.parametrize("timestep", [0.001, 0.004])
def test_the_clock_is_mujocos_and_a_clock_of_single_precision_is_not(timestep: float) -> None:
    table, clock = clock_table(timestep, 30.0), 0.0
    for shown in table[1:]:
        clock += timestep
        assert shown == clock
    single = np.cumsum(np.full(len(table) - 1, timestep, np.float32), dtype=np.float32)
    assert np.abs(single - table[1:]).max() > 5e-4


def test_without_a_gpu_it_says_so() -> None:
    from vrodent.simulation import gpu

    if gpu.wp.is_cuda_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(NoGpuError, match=r"No CUDA device is to be seen here.*device='cpu'"):
        make("gaps", device="gpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "gap"}, "no task 'gap'; the tasks are gaps, forage, bowl, two_tap"),
        ({"num_worlds": 0}, "num_worlds must be at least 1, got 0"),
        ({"physics": "fast"}, "physics must be 'reference' or 'training', got 'fast'"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_bad_arguments(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        GpuSimulation(**{"task": "two_tap", "camera": False, "warp_device": "cpu", **change})


def test_bad_actions_and_masks() -> None:
    simulation = GpuSimulation("two_tap", 2, physics="training", camera=False, warp_device="cpu")
    still = np.zeros((2, 38))
    with pytest.raises(RuntimeError, match=r"reset\(\) before step"):
        simulation.step(still)
    with pytest.raises(ValueError, match="first reset must start every world"):
        simulation.reset(np.array([True, False]))
    simulation.reset()
    before = [state(simulation, world) for world in (0, 1)]
    with pytest.raises(ValueError, match=r"shape \(2, 38\).*got \(38,\)"):
        simulation.step(still[0])
    for bad in (np.nan, np.inf):
        action = still.copy()
        action[1, 3] = bad
        with pytest.raises(ValueError, match=f"action is {bad} at world 1, actuator"):
            simulation.step(action)
    with pytest.raises(ValueError, match=r"mask must be bool of shape \(2,\)"):
        simulation.reset(np.array([0, 1]))
    assert [state(simulation, world) for world in (0, 1)] == before


def test_what_comes_out_is_of_jax_and_of_32_bits() -> None:
    both: Pair = pair("two_tap")
    both.restart()
    step = both.gpu.step(jnp.asarray(actions(both.gpu, 0)))
    for array in jax.tree.leaves(step):
        assert isinstance(array, jax.Array) and array.dtype in (jnp.float32, jnp.int32, jnp.bool_, jnp.uint8)
    assert isinstance(both.cpu, CpuSimulation) and type(step) is type(both.cpu.step(actions(both.cpu, 0)))
