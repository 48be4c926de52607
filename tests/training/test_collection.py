"""Actors against a simulation that is scripted: where episodes end, what is a final observation, who acts."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent
from vrodent.training.collection import ActorConfig, ActorRun, teachers_steps
from vrodent.training.gaussian import Gaussian, log_prob
from vrodent.training.settings import CollectionConfig

WORLDS = 2


class Scripted:
    """World w's episode k lasts `lengths[w][k]` steps; an observation says its world, episode and step; the reward is the step."""

    num_worlds = WORLDS

    def __init__(self, lengths, terminates: bool, final_discount: float = 0.0, diverges: tuple[int, int, int] | None = None):
        self.lengths, self.terminates, self.final_discount, self.diverges = lengths, terminates, final_discount, diverges
        self.episode, self.time = np.full(WORLDS, -1), np.zeros(WORLDS, int)
        self.controls: list[np.ndarray] = []

    def reset(self, mask=None):
        mask = np.ones(WORLDS, bool) if mask is None else mask
        self.episode[mask] += 1
        self.time[mask] = 0
        return self._observe()

    def step(self, control):
        self.controls.append(control)
        self.time += 1
        over = np.array([self.time[w] >= self.lengths[w][self.episode[w]] for w in range(WORLDS)])
        diverged = np.array([self.diverges == (w, self.episode[w], self.time[w]) for w in range(WORLDS)])
        terminated = (over & self.terminates) | diverged
        info = SimpleNamespace(discount=np.where(over, self.final_discount, 1.0), diverged=diverged)
        return SimpleNamespace(
            observation=self._observe(), reward=self.time.astype(np.float32), terminated=terminated, truncated=over & ~terminated, info=info
        )

    def _observe(self):
        felt = np.zeros((WORLDS, 158), np.float32)
        felt[:, 0], felt[:, 1], felt[:, 2] = np.arange(WORLDS), self.episode, self.time
        image = np.broadcast_to(self.time.astype(np.uint8)[:, None, None, None], (WORLDS, 64, 64, 3))
        return {"proprioception": felt, "egocentric": image.copy()}


class Constant:
    """A teacher who always says 0.25."""

    def observe(self, env):
        return np.zeros((WORLDS, 1))

    def act(self, observation):
        return np.full((WORLDS, 38), 0.25), np.full((WORLDS, 38), -3.0)


def _run(agent: Agent, simulation: Scripted, length: int, teacher=None) -> ActorRun:
    return ActorRun(ActorConfig(task=0, unroll_length=length, seed=5), agent, simulation, teacher)  # pyright: ignore


def test_a_truncated_episode_takes_a_row_for_its_final_observation(agent):
    run = _run(agent, Scripted([[3, 99], [99]], terminates=False), 6)
    unroll = run.collect(agent)
    np.testing.assert_array_equal(unroll.proprioception[0, :, 1], [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(unroll.proprioception[0, :, 2], [0, 1, 2, 3, 0, 1, 2])
    np.testing.assert_array_equal(unroll.egocentric[0, :, 0, 0, 0], [0, 1, 2, 3, 0, 1, 2])
    np.testing.assert_array_equal(unroll.acted[0], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(unroll.reward[0], [1, 2, 3, 0, 1, 2])
    np.testing.assert_array_equal(unroll.discount[0], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(unroll.reset[0], [1, 0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(unroll.acted[1], 1.0)
    np.testing.assert_array_equal(unroll.proprioception[1, :, 2], range(7))
    (episode,) = run.drain()
    assert (episode.reward, episode.length, episode.terminated) == (6.0, 3, False)
    assert run.drain() == []


@pytest.mark.parametrize("final_discount", [0.0, 1.0], ids=["fell", "took every orb"])
def test_a_terminated_episode_carries_the_tasks_own_discount(agent, final_discount):
    unroll = _run(agent, Scripted([[2, 99], [99]], terminates=True, final_discount=final_discount), 5).collect(agent)
    np.testing.assert_array_equal(unroll.discount[0], [1, final_discount, 0, 1, 1])
    np.testing.assert_array_equal(unroll.acted[0], [1, 1, 0, 1, 1])


def test_nothing_is_learned_from_a_step_that_diverged(agent):
    run = _run(agent, Scripted([[99, 99], [99]], terminates=False, diverges=(0, 0, 2)), 5)
    np.testing.assert_array_equal(run.collect(agent).acted[0], [1, 0, 0, 1, 1])
    assert run.drain()[0].diverged


def test_unrolls_continue_each_other_and_replaying_them_gives_the_same_policy(agent):
    """The stored memory, resets and observations are enough to compute again what the actor computed."""
    run = _run(agent, Scripted([[4, 99], [6, 99]], terminates=False), 5)
    first, second = run.collect(agent), run.collect(agent)
    np.testing.assert_array_equal(first.proprioception[:, -1], second.proprioception[:, 0])
    assert np.any(second.memory.core.h != 0.0)
    for unroll in (first, second):
        observation = {name: jnp.swapaxes(getattr(unroll, name), 0, 1) for name in ("proprioception", "egocentric")}
        output, _ = jax.jit(Agent.unroll)(agent, observation, unroll.memory, jnp.swapaxes(unroll.reset, 0, 1) > 0.0)
        np.testing.assert_allclose(np.swapaxes(output.mean, 0, 1)[:, :-1], unroll.behaviour_mean, atol=1e-5)
        np.testing.assert_allclose(np.swapaxes(output.log_std, 0, 1)[:, :-1], unroll.behaviour_log_std, atol=1e-5)


def test_controls_are_centred_on_the_stance_and_clipped(small_config):
    agent = Agent(small_config(), seed=1, stance=jnp.full(38, 0.9))
    simulation = Scripted([[99], [99]], terminates=False)
    unroll = _run(agent, simulation, 4).collect(agent)
    expected = np.clip(0.9 + agent.config.action_scale * unroll.action, -1.0, 1.0)
    np.testing.assert_allclose(np.stack(simulation.controls, axis=1), expected, rtol=1e-6)


def test_a_teacher_labels_every_row_and_its_actions_carry_its_own_likelihood(agent):
    run = _run(agent, Scripted([[99], [99]], terminates=False), 25, Constant())
    unroll = run.collect(agent, teacher_share=1.0)
    np.testing.assert_array_equal(unroll.teacher_mean, np.float32(0.25))
    np.testing.assert_array_equal(unroll.behaviour_mean, np.float32(0.25))
    likelihood = log_prob(Gaussian(unroll.behaviour_mean, unroll.behaviour_log_std), unroll.action)
    entropy = 38 * (0.5 * (1.0 + np.log(2.0 * np.pi)) - 3.0)
    assert float(likelihood.mean()) == pytest.approx(-entropy, abs=4.0 * np.sqrt(19.0 / 50))
    own = run.collect(agent, teacher_share=0.0)
    np.testing.assert_array_equal(own.teacher_mean, np.float32(0.25))
    assert np.all(own.behaviour_mean != np.float32(0.25))


class Calm(Constant):
    """A teacher who says a tenth of the number of the step, which is what it sees, and goes on from what it said by three quarters."""

    def observe(self, env):
        return env.time[:, None] / 10.0

    def act(self, observation):
        return np.repeat(observation, 38, axis=1), np.full((WORLDS, 38), -30.0)

    def calm(self, observation):
        return np.full(WORLDS, 0.75)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_calm_teacher_goes_on_from_what_it_said_before(agent, share):
    """A first-order filter of the steps' numbers, begun anew in each episode, whoever acts; it goes on from unroll to unroll."""
    run = _run(agent, Scripted([[6, 99], [6, 99]], terminates=False), 7, Calm())
    labels = np.concatenate([run.collect(agent, share).teacher_mean for _ in range(2)], axis=1)
    expected, numbers = [], [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]
    for number in numbers:
        expected.append(number / 10.0 if number == 0 else 0.75 * expected[-1] + 0.25 * number / 10.0)
    np.testing.assert_allclose(labels, np.broadcast_to(np.array(expected)[None, :, None], labels.shape), rtol=1e-5)


def test_a_half_share_splits_episodes_and_no_episode(agent):
    """Episodes of four steps take five rows, as two unrolls do: both unrolls of each are driven, or neither is. 120 episodes: 60 +- 5.5."""
    run = _run(agent, Scripted([[4] * 99, [4] * 99], terminates=False), 5, Constant())
    driven = np.array([(run.collect(agent, 0.5).behaviour_mean[:, :, 0] == np.float32(0.25)).mean(axis=1) for _ in range(60)])
    assert set(np.unique(driven)) == {0.0, 1.0}
    assert 38 < driven.sum() < 82
    halves = _run(agent, Scripted([[999], [999]], terminates=False), 5, Constant())
    whole = np.array([(halves.collect(agent, 0.5).behaviour_mean[:, 0, 0] == np.float32(0.25)) for _ in range(20)])
    assert (whole == whole[0]).all()


def test_the_student_acts_in_the_share_of_lapses_for_half_a_second_on_average():
    """A chain of two states: 64 worlds of 2,000 steps, of which a share 0.3 is the student's, in runs of 25 steps on average.

    Runs are about 1,500, their lengths geometric, so that their mean's standard error is 0.65 steps; the share's is below 0.01.
    """
    config = ActorConfig(task=0, unroll_length=2000, seed=5, lapses=0.3)
    turn = np.arange(64) < 60
    student = ~teachers_steps(config, turn, 7)
    assert student[60:].all()
    lapses = student[:60]
    assert lapses.mean() == pytest.approx(0.3, abs=0.04)
    assert lapses[:, 0].mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 60))
    begins = (lapses[:, 1:] & ~lapses[:, :-1]).sum()
    assert lapses[:, 1:].sum() / begins == pytest.approx(25.0, abs=3.0)
    np.testing.assert_array_equal(student, ~teachers_steps(config, turn, 7))
    assert np.any(student != ~teachers_steps(config, turn, 8))
    none = teachers_steps(dataclasses.replace(config, lapses=0.0), turn, 7)
    np.testing.assert_array_equal(none, np.broadcast_to(turn[:, None], none.shape))
    with pytest.raises(ValueError, match="lapses must be in"):
        CollectionConfig(lapses=1.0)


def test_what_the_student_does_in_a_lapse_is_its_own_and_its_distance_is_counted(agent):
    """Labels are 0.25 everywhere, so that steps of the student are those with another mean; its distance is summed by hand."""
    config = ActorConfig(task=0, unroll_length=40, seed=5, lapses=0.5)
    run = ActorRun(config, agent, Scripted([[60, 999], [60, 999]], terminates=False), Constant())  # pyright: ignore
    unrolls = [run.collect(agent, teacher_share=1.0) for _ in range(2)]
    mean, acted = (np.concatenate([getattr(unroll, name) for unroll in unrolls], axis=1) for name in ("behaviour_mean", "acted"))
    itself = np.any(mean != np.float32(0.25), axis=2)[:, :60]
    assert 0 < itself.sum() < itself.size
    error = ((mean[:, :60] - 0.25) ** 2).mean(axis=2)
    episodes = run.drain()
    assert [episode.own_steps for episode in episodes] == list(itself.sum(axis=1))
    np.testing.assert_allclose([episode.own_error for episode in episodes], (error * itself).sum(axis=1), rtol=1e-5)
    assert acted[:, :60].all()


def test_same_seed_same_unroll(agent):
    one, two = (_run(agent, Scripted([[3, 9], [9]], terminates=False), 5).collect(agent) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, two)


class Counting(Agent):
    """Counts how often its action is traced, which is once for each program that is compiled of it."""

    traced = 0

    def act(self, *arguments, **named):
        Counting.traced += 1
        return super().act(*arguments, **named)


def test_the_rows_of_unrolls_share_one_program(small_config):
    agent = Counting(small_config(), seed=3)
    run = _run(agent, Scripted([[3, 99], [99]], terminates=False), 6)
    run.collect(agent)
    run.collect(agent)
    assert Counting.traced == 1


class Doubtful(Constant):
    """Gives world 0 up from the third step of an episode on."""

    def hopeless(self, env):
        return np.array([env.time[0] >= 3, False])


def test_an_episode_the_teacher_gives_up_is_truncated(agent):
    """Two worlds without an end of their own: the one given up starts anew and keeps its discount, the other goes on."""
    run = _run(agent, Scripted([[99, 99, 99], [99]], terminates=True), 6, Doubtful())
    unroll = run.collect(agent)
    np.testing.assert_array_equal(unroll.proprioception[0, :, 1], [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(unroll.discount[0], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(unroll.acted[0], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(unroll.proprioception[1, :, 2], range(7))
    assert [episode.terminated for episode in run.drain()] == [False]


def test_frozen_eyes_act_alike_and_their_unrolls_hold_what_was_seen(agent):
    script = [[3, 99], [99]]
    seeing = _run(agent, Scripted(script, terminates=False), 6).collect(agent)
    config = ActorConfig(task=0, unroll_length=6, seed=5, frozen_eyes=True)
    frozen = ActorRun(config, agent, Scripted(script, terminates=False)).collect(agent)  # pyright: ignore
    features = np.asarray(agent.see(jnp.asarray(seeing.egocentric)))
    np.testing.assert_allclose(frozen.egocentric, features, atol=1e-5)  # float32, compiled for another batch
    np.testing.assert_allclose(frozen.action, seeing.action, atol=1e-5)
    np.testing.assert_array_equal(frozen.reset, seeing.reset)
