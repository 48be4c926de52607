"""The gaps task: geometry, reward, ending, without physics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from vrodent.task import Arena, Outcome, get_task, stack_arenas
from vrodent.task.gaps import Gaps

_INDEX = SimpleNamespace(torso_linvel=slice(0, 3), end_effectors=np.array([1, 2, 3, 4]), torso=0)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return Gaps().spec().compile()


def _spans(arena: Arena) -> np.ndarray:
    """(platform, [begin, end]) m of the platforms in use."""
    used = arena.geom_rgba[:, 3] > 0
    x, half = arena.geom_pos[used, 0], arena.geom_size[used, 0]
    return np.stack([x - half, x + half], axis=1)


def test_platforms_and_gaps_are_those_of_the_release(model: mujoco.MjModel) -> None:
    lengths, gaps, counts = [], [], []
    for seed in range(100):
        arena = Gaps().draw(np.random.default_rng(seed), model)
        spans = _spans(arena)
        np.testing.assert_allclose(spans[:2].reshape(-1)[:3], [0.0, 6.0, 6.0])
        assert spans[-1, 0] < 40 <= spans[-1, 1] + 0.2
        lengths += np.diff(spans[1:], axis=1)[:, 0].tolist()
        gaps += (spans[2:, 0] - spans[1:-1, 1]).tolist()
        counts.append(len(spans))
        spare = arena.geom_rgba[:, 3] == 0
        assert (arena.geom_pos[spare, 0] - arena.geom_size[spare, 0] > 42).all(), "spares wait behind the wall at the far end"
        np.testing.assert_allclose(arena.geom_pos[:, 2] + arena.geom_size[:, 2], 0.0)
    for values, low, high in ((lengths, 0.4, 0.8), (gaps, 0.05, 0.2)):
        assert low <= min(values) + 1e-9 and max(values) <= high + 1e-9
        assert np.histogram(values, bins=5, range=(low, high))[0].min() > 0.17 * len(values)
    assert max(counts) <= Gaps().max_platforms and len(set(counts)) > 3


def test_the_shortest_platforms_and_gaps_fit(model: mujoco.MjModel) -> None:
    task = Gaps()
    arena = task.arena(np.tile([0.4, 0.05], (task.max_platforms - 1, 1)), model)
    assert len(_spans(arena)) == task.max_platforms and _spans(arena)[-1, 1] >= 40 - 0.05


def _outcome(
    model: mujoco.MjModel, *, velocity: float = 0.0, torso: tuple[float, float] = (5.0, 0.06), paw: float = 0.0, xp: Any = np
) -> Outcome:
    """What the task makes of one world in which the torso and the third paw are somewhere."""
    task = Gaps()
    arenas = stack_arenas([task.draw(np.random.default_rng(0), model)])
    xpos = np.zeros((1, 5, 3))
    xpos[0, 0, 0], xpos[0, 0, 2], xpos[0, 3, 2] = *torso, paw
    fields = SimpleNamespace(sensordata=xp.asarray([[velocity, 9.0, 9.0]]), xpos=xp.asarray(xpos))
    return task.step(task.start(arenas, xp), fields, None, None, arenas, _INDEX, xp)  # type: ignore[arg-type]


@pytest.mark.parametrize(("velocity", "reward"), [(-1.0, 0.0), (0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (7.0, 0.0)])
def test_reward_is_a_triangle_around_the_target_velocity(model: mujoco.MjModel, velocity: float, reward: float) -> None:
    assert _outcome(model, velocity=velocity).reward[0] == pytest.approx(reward, abs=1e-15)


@pytest.mark.parametrize(("paw", "fell"), [(0.0, False), (-0.3, False), (-0.30001, True)])
def test_a_paw_below_30_cm_ends_the_episode(model: mujoco.MjModel, paw: float, fell: bool) -> None:
    outcome = _outcome(model, paw=paw)
    assert (bool(outcome.terminated[0]), float(outcome.discount[0])) == (fell, 0.0 if fell else 1.0)


def test_gaps_crossed_counts_gaps_behind_the_torso(model: mujoco.MjModel) -> None:
    spans = _spans(Gaps().draw(np.random.default_rng(0), model))
    for platform in (0, 1, 2, 3, len(spans) - 1):
        crossed = _outcome(model, torso=(spans[platform].mean(), 0.06)).events.gaps_crossed[0]
        assert crossed == max(platform - 1, 0), "the first two platforms touch"
    assert _outcome(model, torso=(spans[5].mean(), -0.2)).events.gaps_crossed[0] == 0, "falling past is not crossing"


def test_jax_agrees_with_numpy(model: mujoco.MjModel) -> None:
    for velocity, x, paw in ((0.7, 5.0, 0.0), (1.4, 9.0, -0.1), (-0.2, 20.0, -0.4)):
        ours, other = (_outcome(model, velocity=velocity, torso=(x, 0.06), paw=paw, xp=xp) for xp in (np, jnp))
        np.testing.assert_allclose(ours.reward, other.reward, rtol=1e-6)
        for one, two in zip((*ours.events, ours.terminated, ours.discount), (*other.events, other.terminated, other.discount), strict=True):
            np.testing.assert_array_equal(one, two)


def test_bad_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"platform_length.*\(0\.8, 0\.4\)"):
        Gaps(platform_length=(0.8, 0.4))
    with pytest.raises(ValueError, match="corridor_length must exceed"):
        Gaps(corridor_length=6.0)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="no task 'run'; the tasks are gaps, forage, bowl, two_tap"):
        get_task("run")
