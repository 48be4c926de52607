"""Seeds, masks, endings, failures and bad input of the simulation on the CPU."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from vrodent.simulation import CpuSimulation, Step, make
from vrodent.task import TASK_NAMES
from vrodent.task.gaps import Gaps


def _actions(simulation: CpuSimulation, step: int, worlds: int) -> np.ndarray:
    """(world, 38): world w's action depends on the step and on w alone."""
    rngs = [np.random.default_rng((step, world)) for world in range(worlds)]
    return np.clip(simulation.standing_ctrl + 0.4 * np.stack([rng.standard_normal(38) for rng in rngs]), -1, 1)


def _play(simulation: CpuSimulation, steps: int, first: int = 0) -> list[Step]:
    return [simulation.step(_actions(simulation, first + k, simulation.num_worlds)) for k in range(steps)]


def _state(simulation: CpuSimulation, worlds: Any = slice(None)) -> dict[str, bytes]:
    """Everything of some worlds, as bytes."""
    fields = simulation.physics.fields
    names = ("time", "qpos", "qvel", "act", "qacc_warmstart", "sensordata", "xpos")
    found = {name: np.ascontiguousarray(getattr(fields, name)[worlds]).tobytes() for name in names}
    for kind, arrays in (("arena", simulation.arenas), ("progress", simulation.progress)):
        for name, array in arrays._asdict().items():
            found[f"{kind}.{name}"] = np.ascontiguousarray(array[worlds]).tobytes()
    return found


@pytest.mark.parametrize("task", TASK_NAMES)
def test_one_seed_twice_gives_the_same_bytes_and_another_seed_others(task: str) -> None:
    runs = []
    for seed, threads in ((3, 1), (3, 2), (4, 2)):
        simulation = make(task, num_worlds=2, seed=seed, camera=False, num_threads=threads)
        observations = [simulation.reset()["proprioception"].tobytes()]
        observations += [step.observation["proprioception"].tobytes() for step in _play(simulation, 3)]
        simulation.reset(np.array([False, True]))
        runs.append((observations, [_state(simulation, [w]) for w in (0, 1)], [arena.hfield for arena in simulation.world_arenas]))
    (one, state, heights), (again, state_again, heights_again), (_, state_other, heights_other) = runs
    assert one == again and state == state_again
    assert state[0] != state_other[0] and state[1] != state_other[1] and state[0] != state[1]
    if task == "bowl":
        np.testing.assert_array_equal(np.stack(heights), np.stack(heights_again))
        assert not np.array_equal(np.stack(heights), np.stack(heights_other))


@pytest.mark.parametrize("task", TASK_NAMES)
def test_anothers_reset_changes_nothing_here(task: str) -> None:
    undisturbed, disturbed = (make(task, num_worlds=3, seed=1, camera=False) for _ in range(2))
    for simulation in (undisturbed, disturbed):
        simulation.reset()
    for k in range(3):
        _play(undisturbed, 1, k)
        _play(disturbed, 1, k)
        disturbed.reset(np.array([True, False, k == 1]))
        assert _state(undisturbed, [1]) == _state(disturbed, [1])
    assert _state(undisturbed, [0]) != _state(disturbed, [0])


def test_the_number_of_worlds_does_not_change_a_worlds_bits() -> None:
    few, many = (make("two_tap", num_worlds=n, seed=2, camera=False) for n in (1, 4))
    for simulation in (few, many):
        simulation.reset()
        _play(simulation, 4)
    assert _state(few, [0]) == _state(many, [0])


def test_successive_episodes_differ_and_do_not_depend_on_when_they_begin() -> None:
    early, late = (make("gaps", num_worlds=2, seed=5, camera=False) for _ in range(2))
    early.reset()
    first = early.arenas.geom_pos.copy()
    early.reset(np.array([True, False]))
    late.reset()
    _play(late, 2)
    late.reset(np.array([True, False]))
    assert not np.array_equal(first[0], early.arenas.geom_pos[0])
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(early.arenas.geom_pos, late.arenas.geom_pos)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_reset_never_compiles(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = make(task, num_worlds=2, camera=False)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model is compiled")

    for owner, name in ((mujoco.MjSpec, "compile"), (mujoco.MjSpec, "recompile"), (mujoco.MjModel, "from_xml_string")):
        monkeypatch.setattr(owner, name, refuse)
    for _ in range(3):
        simulation.reset()
    simulation.reset(np.array([False, True]))


def test_the_time_limit_truncates_and_a_fall_terminates() -> None:
    simulation = CpuSimulation(Gaps(time_limit=0.1), num_worlds=2, camera=False, physics="training")
    simulation.reset()
    simulation.physics.fields.qpos[1, 2] = -1.0  # below the platforms, where it falls
    steps = _play(simulation, 5)
    assert [step.truncated.tolist() for step in steps] == [[False, False]] * 4 + [[True, False]]
    assert [step.terminated.tolist() for step in steps] == [[False, True]] * 5
    assert steps[-1].info.discount.tolist() == [1.0, 0.0]
    assert steps[-1].info.events.fell.tolist() == [False, True]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["gaps", "two_tap"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12])
def test_a_world_whose_physics_fails_ends_alone_and_restarts_clean(task: str, poison: float) -> None:
    healthy, sick = (make(task, num_worlds=3, seed=1, camera=False) for _ in range(2))
    for simulation in (healthy, sick):
        simulation.reset()
        _play(simulation, 1)
    sick.physics.fields.qvel[1, 10] = poison
    step, expected = _play(sick, 1, 1)[0], _play(healthy, 1, 1)[0]
    assert step.info.diverged.tolist() == [False, True, False]
    assert (step.terminated[1], step.truncated[1], step.reward[1], step.info.discount[1]) == (True, False, 0.0, 0.0)
    assert np.isfinite(step.observation["proprioception"]).all()
    np.testing.assert_array_equal(step.reward[[0, 2]], expected.reward[[0, 2]])
    assert _state(sick, [0, 2]) == _state(healthy, [0, 2])

    for simulation in (healthy, sick):
        simulation.reset(np.array([False, True, False]))
        assert not _play(simulation, 2, 2)[-1].info.diverged.any()
    assert _state(sick) == _state(healthy)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_first_observation_is_that_of_the_start(task: str) -> None:
    simulation = make(task, num_worlds=2, camera=False)
    observation = simulation.reset()
    assert observation["proprioception"].shape == (2, 158) and observation["proprioception"].dtype == np.float32
    assert (simulation.physics.fields.time == 0).all()
    np.testing.assert_array_equal(simulation.physics.fields.qpos, simulation.arenas.qpos)


def test_a_start_with_velocity_and_activation() -> None:
    simulation = make("two_tap", num_worlds=1, camera=False)
    base = simulation.draw(0, 0)
    arena = type(base)(**{**vars(base), "qvel": np.full(73, 0.1), "act": np.full(38, 0.2)})
    simulation.reset_to(np.arange(1), [arena])
    assert (simulation.physics.fields.qvel == 0.1).all() and (simulation.physics.fields.act == 0.2).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "gap"}, "no task 'gap'; the tasks are gaps, forage, bowl, two_tap"),
        ({"num_worlds": 0}, "num_worlds must be at least 1, got 0"),
        ({"num_threads": -1}, "num_threads must be 0"),
        ({"physics": "fast"}, "physics must be 'reference' or 'training', got 'fast'"),
        ({"device": "tpu"}, "device must be 'cpu' or 'gpu', got 'tpu'"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_bad_arguments(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        make(**{"task": "gaps", "camera": False, **change})


def test_bad_actions_and_masks() -> None:
    simulation = make("gaps", num_worlds=2, camera=False)
    still = np.zeros((2, 38))
    with pytest.raises(RuntimeError, match=r"reset\(\) before step"):
        simulation.step(still)
    with pytest.raises(ValueError, match="first reset must start every world"):
        simulation.reset(np.array([True, False]))
    simulation.reset()
    before = _state(simulation)
    with pytest.raises(ValueError, match=r"shape \(2, 38\).*got \(38,\)"):
        simulation.step(still[0])
    for bad in (np.nan, np.inf):
        action = still.copy()
        action[1, 3] = bad
        with pytest.raises(ValueError, match=f"action is {bad} at world 1, actuator"):
            simulation.step(action)
    with pytest.raises(ValueError, match=r"mask must be bool of shape \(2,\)"):
        simulation.reset(np.array([0, 1]))
    assert _state(simulation) == before
