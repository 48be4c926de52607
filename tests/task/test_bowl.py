"""Bowl: a terrain from a seed, a reward for distance and uprightness, no ending of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy import ndimage

from vrodent.body import RatIndex
from vrodent.simulation import CpuSimulation
from vrodent.task import get_task, stack_arenas
from vrodent.task.bowl import Bowl

TASK = Bowl()


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return TASK.spec().compile()


def test_one_seed_twice_gives_the_same_bytes_and_two_seeds_differ(model: mujoco.MjModel) -> None:
    first, again, other = (TASK.draw(np.random.default_rng(seed), model) for seed in (1, 1, 2))
    assert first.hfield.tobytes() == again.hfield.tobytes() and first.qpos.tobytes() == again.qpos.tobytes()
    assert (first.hfield != other.hfield).any() and (first.qpos != other.qpos).any()


def test_a_smooth_bowl_is_one_period_of_a_cosine_from_the_centre_to_the_rim() -> None:
    smooth = Bowl(smoothness=1.0).terrain(np.random.default_rng(0))
    x = np.linspace(-6, 6, 201)
    radius = np.hypot(x[:, None], x[None, :]) / 6
    inside = radius < 0.1
    np.testing.assert_allclose(smooth[inside], (1 - np.cos(0.2 * np.pi)) / 2, atol=1e-6)
    ring = (radius >= 0.1) & (radius <= 1)
    np.testing.assert_allclose(smooth[ring], np.sin(np.pi * radius[ring]) ** 2, atol=1e-6)
    np.testing.assert_allclose(smooth[radius > 1], 0, atol=1e-6)


def test_bumps_take_away_up_to_half_of_the_height_at_the_scale_of_bumps() -> None:
    terrain = TASK.terrain(np.random.default_rng(3))
    smooth = Bowl(smoothness=1.0).terrain(np.random.default_rng(3))
    high = smooth > 0.2
    share = terrain[high] / smooth[high]
    assert 0.65 < share.mean() < 0.85 and share.min() < 0.55 and share.max() > 0.95
    assert share.min() > 0.2 and share.max() < 1.3, "splines overshoot a little"
    row = (terrain / np.maximum(smooth, 1e-9))[50, 20:180] - 0.75
    spectrum = np.abs(np.fft.rfft(row)) ** 2
    wavelength = 160 * 12 / 201 / np.maximum((spectrum * np.arange(len(spectrum))).sum() / spectrum.sum(), 1e-9)
    assert 0.2 < wavelength < 3.0, "bumps are decimetres wide"


@pytest.mark.parametrize("seed", range(6))
def test_the_rat_starts_at_the_least_height_that_touches_nothing(model: mujoco.MjModel, seed: int) -> None:
    arena = TASK.draw(np.random.default_rng(seed), model)
    data = mujoco.MjData(model)
    contacts = []
    for lift in (0.0, -0.01):
        data.qpos[:] = arena.qpos
        data.qpos[2] += lift
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        contacts.append(data.ncon)
    assert contacts[0] == 0 and contacts[1] > 0
    assert np.linalg.norm(arena.qpos[3:7]) == pytest.approx(1)
    np.testing.assert_array_equal(arena.qpos[:2], 0)
    np.testing.assert_array_equal(arena.qpos[7:], model.qpos0[7:])


def _fields(model: mujoco.MjModel, index: RatIndex, head: list[list[float]], torso: list[float], pelvis: list[float]) -> Any:
    worlds = len(head)
    fields = SimpleNamespace(site_xpos=np.zeros((worlds, model.nsite, 3)), xmat=np.zeros((worlds, model.nbody, 9)))
    fields.site_xpos[:, index.head_site] = head
    fields.xmat[:, index.torso, 8], fields.xmat[:, index.pelvis, 8] = torso, pelvis
    return fields


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_reward_is_distance_times_the_lesser_uprightness(model: mujoco.MjModel, xp: Any) -> None:
    index = RatIndex.of(model)
    cos = np.cos(np.deg2rad(30))
    cases = [  # head, up of torso, up of pelvis, reward
        ([0, 0, 0], 1, 1, 0.0),
        ([3, 0, 0], 1, 1, 0.5),
        ([0, -1.8, 2.4], 1, 1, 0.5),  # distance in three dimensions
        ([6, 0, 0], 1, 1, 1.0),
        ([9, 9, 0], cos, cos, 1.0),
        ([6, 0, 0], -1, 1, 0.0),
        ([6, 0, 0], 1, -1, 0.0),
        ([3, 0, 0], 0, 1, 0.5 / (1 + cos)),
        ([6, 0, 0], 0.5, 0.1, 1.1 / (1 + cos)),
    ]
    head, torso, pelvis, reward = (list(column) for column in zip(*cases, strict=True))
    arenas = stack_arenas([TASK.draw(np.random.default_rng(0), model)] * len(cases))
    fields = _fields(model, index, head, torso, pelvis)
    fields.site_xpos, fields.xmat = xp.asarray(fields.site_xpos), xp.asarray(fields.xmat)
    outcome = TASK.step(TASK.start(arenas, xp), fields, None, None, arenas, index, xp)
    np.testing.assert_allclose(outcome.reward, reward, atol=1e-6 if xp is jnp else 1e-15)
    assert not np.asarray(outcome.terminated).any() and (np.asarray(outcome.discount) == 1).all()
    np.testing.assert_allclose(outcome.events.distance, np.linalg.norm(head, axis=1), atol=1e-6)


def test_the_farthest_distance_is_remembered(model: mujoco.MjModel) -> None:
    index = RatIndex.of(model)
    arenas = stack_arenas([TASK.draw(np.random.default_rng(0), model)])
    progress = TASK.start(arenas, np)
    seen = []
    for distance in (1.0, 3.0, 2.0):
        outcome = TASK.step(progress, _fields(model, index, [[distance, 0, 0]], [1], [1]), None, None, arenas, index, np)
        progress = outcome.progress
        seen.append((outcome.events.distance[0], outcome.events.farthest[0]))
    assert seen == [(1, 1), (3, 3), (2, 3)]


def _ground(heights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Height of a terrain under points (k, 3), m."""
    cell = 12 / 200
    return ndimage.map_coordinates(heights.astype(float), (points[:, 1::-1].T + 6) / cell, order=1) * 0.5 - 0.01


def test_each_world_lies_on_its_own_terrain() -> None:
    """Rats released over the ridge touch their own terrain, not another's, nor the compiled flat one."""
    worlds = 3
    simulation = CpuSimulation("bowl", worlds, seed=2, camera=False)
    simulation.reset()
    fields = simulation.physics.fields
    qpos = np.tile(simulation.model.qpos0, (worlds, 1))
    qpos[:, :3] = 2.4, 0.0, 0.6
    fields.qpos[:], fields.qvel[:] = qpos, 0.0
    fields.forward()
    terrain = simulation.physics.model.geom("terrain").id
    own: list[list[float]] = [[] for _ in range(worlds)]
    others: list[float] = []
    for _ in range(25):
        simulation.step(np.tile(simulation.standing_ctrl, (worlds, 1)))
        for world, gaps in enumerate(own):
            contact = fields.get_data(world).contact
            points = contact.pos[(contact.geom == terrain).any(axis=1)]
            for other, arena in enumerate(simulation.world_arenas):
                (gaps if other == world else others).extend(points[:, 2] - _ground(arena.hfield, points))
    assert min(map(len, own)) >= 5, "contacts with the terrain in every world"
    deep, away = np.median(np.abs(np.concatenate(own))), np.median(np.abs(others))
    # Landing presses the rat some millimetres into a slope, which is more when measured vertically.
    assert deep < 0.005 and away > 0.025, (deep, away)


def test_time_is_the_only_end() -> None:
    short = Bowl(time_limit=0.1)
    simulation = CpuSimulation(short, 2, seed=0, camera=False)
    simulation.reset()
    ends = []
    for _ in range(5):
        step = simulation.step(np.zeros((2, 38)))
        ends.append((bool(step.terminated.any()), bool(step.truncated.all())))
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_a_reset_never_compiles_and_changes_only_its_world(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = CpuSimulation("bowl", 2, seed=0, camera=False)

    def refuse(self: Bowl) -> mujoco.MjSpec:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Bowl, "spec", refuse)
    simulation.reset()
    simulation.step(np.zeros((2, 38)))
    before = simulation.physics.fields.qpos[0].copy(), simulation.world_arenas[0]
    heights = simulation.physics.models[0].hfield_data.copy()
    simulation.reset(np.array([False, True]))
    np.testing.assert_array_equal(simulation.physics.fields.qpos[0], before[0])
    np.testing.assert_array_equal(simulation.physics.models[0].hfield_data, heights)
    assert simulation.world_arenas[0] is before[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"smoothness": 1.5}, r"smoothness must lie in \[0, 1\], got 1.5"), ({"bump_scale": 0.0}, "bump_scale must lie in .* got 0.0")],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bowl(**settings)


def test_get_task() -> None:
    assert get_task("bowl") == TASK
