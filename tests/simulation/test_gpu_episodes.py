"""Whole stretches of episodes on both simulators: the same in distribution, and a simulator that is not the same is told from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.episodes import RESOLUTION, compare, compare_episodes, corrected, judge, play
from tests.simulation.gpu_pair import actions, pair

WORLDS, STEPS = 14, 25


@pytest.fixture(scope="module", name="thrashing")
def _thrashing() -> tuple[Any, np.ndarray]:
    both = pair("two_tap", worlds=WORLDS)
    return both, np.stack([actions(both.cpu, step, spread=0.15) for step in range(STEPS)])


@pytest.mark.slow
def test_the_simulators_are_alike_and_one_of_other_gravity_is_found_out(thrashing: tuple[Any, np.ndarray]) -> None:
    """Fourteen worlds for half a second: sixteen tests, corrected for their number. With a third more gravity, a rat that fidgets is
    lower, in all worlds or all but one."""
    both, taken = thrashing
    rows = compare_episodes(both.gpu, both.cpu, taken, seed=3)
    assert judge(rows) == [], "alike"
    found = {row["number"]: row for row in rows}
    assert found["steps"]["cpu"] == STEPS and found["way"]["cpu"] > 0.005 and 0.05 < found["paws"]["cpu"] < 0.95
    gravity = both.gpu.physics.warp_model.opt.gravity
    usual = gravity.numpy().copy()
    gravity.assign(usual * 4 / 3)
    try:
        rows = compare_episodes(both.gpu, both.cpu, taken, seed=3)
    finally:
        gravity.assign(usual)
    differing = {row["number"]: row["difference"] for row in judge(rows)}
    assert differing.get("height", 0.0) < -5e-4, rows


def test_numbers_of_an_episode_are_what_they_say(thrashing: tuple[Any, np.ndarray]) -> None:
    """On the CPU's simulator, of which one world ends early by the task's rule and one never moves on."""
    both, taken = thrashing
    cpu, original = both.cpu, type(both.cpu).step

    def ending(self: Any, action: Any) -> Any:
        result = original(self, action)
        self.count = getattr(self, "count", 0) + 1
        terminated = np.arange(WORLDS) == (1 if self.count >= 5 else WORLDS)
        return result._replace(terminated=terminated, reward=np.arange(WORLDS) + 1.0)

    cpu.step = ending.__get__(cpu)
    try:
        found = play(cpu, taken[:10], seed=3)
    finally:
        del cpu.step, cpu.count
    assert "step" not in vars(cpu.physics), "the simulator is as it was"
    expected = np.where(np.arange(WORLDS) == 1, 5, 10)
    np.testing.assert_array_equal(found["steps"], expected)
    np.testing.assert_array_equal(found["return"], expected * (np.arange(WORLDS) + 1.0))
    np.testing.assert_array_equal(found["ended"], np.arange(WORLDS) == 1)
    assert ((found["height"] > 0.03) & (found["height"] < 0.15)).all() and set(found) == set(RESOLUTION)


@pytest.mark.parametrize("kind", ["mean", "distribution"])
def test_what_is_planted_is_found_and_chance_is_not_mistaken(kind: str) -> None:
    """Correlated pairs of 24 worlds. Without a difference, tests at 0.1 raise an alarm in one of ten runs; a planted one of the mean, or
    of the spread alone, has hardly a chance to hide."""
    rng = np.random.default_rng(0)
    alarms, found = [], []
    for _ in range(200):
        common = rng.normal(size=24)
        a, b = common + rng.normal(size=24), common + rng.normal(size=24)
        other = a + 1.5 if kind == "mean" else 8.0 * a
        alarms.append(compare(a, b, 1e-3, rng, 199)[f"p_{kind}"] <= 0.1)
        found.append(compare(other, b, 1e-3, rng, 199)[f"p_{kind}"] <= 0.1)
    spread = np.sqrt(200 * 0.1 * 0.9)
    assert abs(sum(alarms) - 20) < 3.5 * spread
    assert sum(found) > 180


def test_differences_below_the_resolution_are_not_looked_for() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 5, 24) * 1e-3
    result = compare(values + 1e-7, values, 1e-3, rng)
    assert result["p_mean"] == result["p_distribution"] == 1.0 and result["difference"] == pytest.approx(1e-7)
    assert compare(values + 2e-3, values, 1e-3, rng)["p_mean"] < 1e-3


def test_probabilities_are_corrected_by_hand() -> None:
    np.testing.assert_allclose(corrected([0.01, 0.5, 0.02, 0.04]), [0.04, 0.5, 0.06, 0.08])
    np.testing.assert_allclose(corrected([0.6, 0.6]), [1.0, 1.0])
