from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig, RandomAgent, StandingAgent
from vrodent.agent.baselines import BaselineOutput
from vrodent.simulation import Step, StepInfo, make
from vrodent.task import get_task
from vrodent.task.bowl import BowlEvents
from vrodent.task.gaps import GapsEvents
from vrodent.task.two_tap import TwoTapEvents
from vrodent.training import evaluation as module
from vrodent.training.evaluation import TrialResult, evaluate, summarise
from vrodent.training.intervals import mean_estimate, proportion_estimate


class _ScriptedTask:
    def __init__(self, name: str) -> None:
        self.name, self.time_limit = name, 0.1


class _ScriptedEnv:
    """Plays back written steps instead of physics, and records what it was asked to do."""

    def __init__(
        self, task: str, rewards: np.ndarray, events: list[Any], terminated: np.ndarray, diverged: np.ndarray | None = None
    ) -> None:
        self.task, self.num_worlds = _ScriptedTask(task), rewards.shape[1]
        self._rewards, self._events, self._terminated = rewards, events, terminated
        self._diverged = np.zeros_like(terminated) if diverged is None else diverged
        self._time, self.actions, self.resets = 0, [], 0

    def reset(self) -> dict[str, np.ndarray]:
        self._time, self.resets = 0, self.resets + 1
        return self._observation()

    def _observation(self) -> dict[str, np.ndarray]:
        return {"proprioception": np.full((self.num_worlds, 158), self._time, np.float32)}

    def step(self, action: np.ndarray) -> Step:
        t = self._time
        self._time, worlds = t + 1, self.num_worlds
        self.actions.append(action)
        time = np.full(worlds, (t + 1) * 0.02)
        info = StepInfo(
            events=self._events[t], discount=np.ones(worlds), reward=self._rewards[t], diverged=self._diverged[t], time=time
        )
        last = np.full(worlds, t + 1 == len(self._rewards))
        return Step(self._observation(), self._rewards[t].astype(np.float32), self._terminated[t], last & ~self._terminated[t], info)

    def close(self) -> None:
        self.closed = True


class _Counter(eqx.Module):
    """Its memory counts its steps and is its action."""

    def initial_memory(self, num_worlds: int) -> jax.Array:
        return jnp.zeros((num_worlds, 1))

    def act(self, observation: Any, memory: jax.Array, key: Any = None) -> tuple[BaselineOutput, jax.Array]:
        memory = memory + 1.0
        return BaselineOutput(jnp.tile(memory, (1, 38))), memory

    def ctrl(self, action: jax.Array) -> jax.Array:
        return action / 100.0


def _scripted(monkeypatch: pytest.MonkeyPatch, env: _ScriptedEnv) -> None:
    monkeypatch.setattr(module, "make", lambda *_, **__: env)


def test_only_what_happened_before_a_trial_ended_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards = np.array([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0], [4.0, 40.0, 400.0]])
    events = [GapsEvents(np.array([t, 2 * t, 3 * t]), np.zeros(3, bool)) for t in (1, 2, 3)]
    terminated = np.array([[False, False, True], [True, False, False], [False, False, False]])
    diverged = np.array([[False, False, True], [False, False, False], [False, False, False]])
    env = _ScriptedEnv("gaps", rewards, events, terminated, diverged)
    _scripted(monkeypatch, env)
    result = evaluate(_Counter(), ["gaps"], trials=3).task("gaps")
    assert [(t.number, t.total_reward, t.measure, t.ended) for t in result.trials] == [
        (0, 3.0, 2.0, "rule"),
        (1, 70.0, 6.0, "time"),
        (2, 100.0, 3.0, "physics"),
    ]
    np.testing.assert_allclose([t.seconds for t in result.trials], [0.04, 0.06, 0.02])
    assert result.estimate("gaps_crossed").value == pytest.approx(11 / 3)
    assert result.estimate("trials_with_a_fall").value == pytest.approx(1 / 3)
    assert result.estimate("trials_whose_physics_failed").value == pytest.approx(1 / 3)
    # The memory is carried from step to step; a world whose trial is over is sent zeros.
    np.testing.assert_allclose([a[:, 0] for a in env.actions], [[0.01, 0.01, 0.01], [0.02, 0.02, 0.0], [0.0, 0.03, 0.0]], rtol=1e-6)
    assert env.closed


def test_more_trials_than_worlds_run_in_rounds_with_fresh_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards, terminated = np.array([[1.0, 2.0], [1.0, 2.0]]), np.zeros((2, 2), bool)
    events = [BowlEvents(np.full(2, 0.5), np.array([0.5, 0.75]), np.ones(2))] * 2
    env = _ScriptedEnv("bowl", rewards, events, terminated)
    _scripted(monkeypatch, env)
    heard = []
    result = evaluate(_Counter(), ["bowl"], trials=3, listener=lambda task, share: heard.append((task, share))).task("bowl")
    assert env.resets == 2
    assert [(t.number, t.total_reward, t.measure) for t in result.trials] == [(0, 2.0, 0.5), (1, 4.0, 0.75), (2, 2.0, 0.5)]
    np.testing.assert_allclose([a[0, 0] for a in env.actions], [0.01, 0.02, 0.01, 0.02], rtol=1e-6)
    assert heard[-1] == ("bowl", 1.0)


def test_intervals_of_taps_are_kept_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = np.nan
    seen = [([1, 1], [nan, nan], [0, 0]), ([2, 3], [0.8, 0.4], [1, 0]), ([2, 4], [0.75, nan], [2, 0])]
    events = [TwoTapEvents(np.array(tap), np.array(interval), np.array(taps), np.zeros((2, 3))) for tap, interval, taps in seen]
    env = _ScriptedEnv("two_tap", np.zeros((3, 2)), events, np.zeros((3, 2), bool))
    _scripted(monkeypatch, env)
    result = evaluate(_Counter(), ["two_tap"], trials=2).task("two_tap")
    assert [t.intervals for t in result.trials] == [(0.8, 0.75), (0.4,)]
    assert result.estimate("correct_taps").value == 1.0
    assert result.estimate("trials_with_a_correct_double_tap").value == 0.5


@contextlib.contextmanager
def _shortened(seconds: float) -> Iterator[None]:
    """The real tasks, of fewer seconds."""

    def short(name: str, *rest: Any, **options: Any) -> Any:
        task: Any = get_task(name)
        return make(dataclasses.replace(task, time_limit=seconds), *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "make", short)
        yield


def test_a_trial_is_the_same_however_many_are_run() -> None:
    """Trial i of a seed: one arena, one start, one noise-free agent, hence one result; another seed gives others."""
    stance = jnp.asarray(make("bowl", camera=False).standing_ctrl)
    with _shortened(0.3):
        few = evaluate(StandingAgent(stance), ["bowl"], trials=2, seed=7, camera=False, deterministic=True).task("bowl").trials
        more = evaluate(StandingAgent(stance), ["bowl"], trials=4, seed=7, camera=False, deterministic=True).task("bowl").trials
        other = evaluate(StandingAgent(stance), ["bowl"], trials=2, seed=8, camera=False, deterministic=True).task("bowl").trials
    assert few == more[:2]
    assert few[0].total_reward != few[1].total_reward
    assert few[0].total_reward != other[0].total_reward
    assert all(trial.ended == "time" and trial.seconds == pytest.approx(0.3) for trial in more)


def test_a_driver_is_scored_as_an_agent_that_does_the_same() -> None:
    class Stander:
        def ctrl(self, env: Any) -> np.ndarray:
            return np.tile(env.standing_ctrl, (env.num_worlds, 1))

    with _shortened(0.4):
        stance = jnp.asarray(make("bowl", camera=False).standing_ctrl)
        agent = evaluate(StandingAgent(stance), ["bowl"], trials=2, seed=7, camera=False, deterministic=True).task("bowl")
        driver = evaluate({"bowl": Stander()}, ["bowl"], trials=2, seed=7, camera=False).task("bowl")
    for one, other in zip(agent.trials, driver.trials, strict=True):
        assert one.measure == pytest.approx(other.measure, rel=1e-5)  # the agent's control is float32
        assert one.seconds == other.seconds


@pytest.mark.parametrize("task", ["gaps", "forage", "bowl", "two_tap"])
def test_a_recurrent_agent_is_scored_in_every_task(task: str) -> None:
    config = AgentConfig(num_policy_layers=1, core_size=4, policy_size=4, image_channels=(2,), image_blocks=(0,), image_features=4)
    with _shortened(0.06):
        result = evaluate(Agent(config), [task], trials=2, seed=3)
        again = evaluate(Agent(config), [task], trials=2, seed=3)
        other = evaluate(Agent(config), [task], trials=2, seed=3, deterministic=True)
    assert result.tasks == again.tasks
    # Three steps take no orb, whatever the noise.
    assert (result.tasks == other.tasks) == (task == "forage")
    loaded = json.loads(result.to_json())
    assert loaded["tasks"][0]["task"] == task and len(loaded["tasks"][0]["trials"]) == 2
    assert task in result.table() and "return" in result.table()


def test_bad_questions_are_refused_before_anything_is_compiled() -> None:
    with pytest.raises(ValueError, match=r"no task 'gap'.*gaps, forage, bowl, two_tap"):
        evaluate(RandomAgent(), ["bowl", "gap"])
    for tasks in ([], ["gaps", "gaps"]):
        with pytest.raises(ValueError, match="at least one task and none twice"):
            evaluate(RandomAgent(), tasks)
    with pytest.raises(ValueError, match="trials"):
        evaluate(RandomAgent(), ["gaps"], trials=0)


def test_unknown_measures_name_the_known() -> None:
    result = summarise("forage", [TrialResult(number=0, total_reward=50.0, seconds=30.0, ended="time", measure=1.0)])
    assert result.estimate("orbs_taken").low is None
    with pytest.raises(KeyError, match="return, orbs_taken"):
        result.estimate("orbs")


def test_wilson_interval_is_the_root_of_its_definition() -> None:
    """Wilson's bounds are the p whose z-test of the observed proportion gives exactly 1.96."""
    estimate = proportion_estimate("hits", 3, 25)
    assert estimate.low is not None and estimate.high is not None
    for p in (estimate.low, estimate.high):
        assert abs(3 / 25 - p) / (p * (1 - p) / 25) ** 0.5 == pytest.approx(1.959964, rel=1e-6)
    none = proportion_estimate("hits", 0, 25)
    assert none.low == 0.0 and none.high == pytest.approx(1.959964**2 / (25 + 1.959964**2), rel=1e-6)
    with pytest.raises(ValueError, match="3 of 2"):
        proportion_estimate("hits", 3, 2)


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        estimate = mean_estimate("x", "1", rng.exponential(2.0, 60))
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= 2.0 <= estimate.high
    assert 0.88 < covered / 200 < 0.99
    constant = mean_estimate("x", "1", np.full(5, 3.0))
    assert (constant.low, constant.value, constant.high, constant.method) == (3.0, 3.0, 3.0, "all trials equal")
    with pytest.raises(ValueError, match="no trial"):
        mean_estimate("x", "1", np.array([]))
