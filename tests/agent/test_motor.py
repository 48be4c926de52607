"""Skills under a policy: what is commanded, what is remembered, what learns."""

from __future__ import annotations

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agent.conftest import SMALL
from vrodent.agent import Agent, AgentConfig, forget, learned
from vrodent.agent.motor import Motor

SKILLED = dataclasses.replace(SMALL, skill_widths=(6, 4), told_size=3, body_size=9, num_estimates=4)


@pytest.fixture(name="skilled")
def _skilled() -> Agent:
    """Two skills of random weights, and inputs that all matter."""
    agent = Agent(SKILLED, seed=1, stance=jnp.linspace(-0.5, 0.5, 5))
    assert agent.motor is not None
    motor = eqx.tree_at(
        lambda m: (m.gain, m.bounded, m.estimated, m.height, m.activation, m.decay),
        agent.motor,
        (jnp.arange(1.0, 8.0), jnp.eye(7)[6], jnp.asarray([1, 5, 7, 8]), jnp.asarray(1), jnp.arange(5), jnp.asarray(0.6)),
    )
    motor = eqx.tree_at(lambda m: [skill.level for skill in m.skills], motor, [jnp.asarray([0.0, 1.0, 0.0])] * 2)
    return eqx.tree_at(lambda a: a.motor, agent, motor)


def test_an_unroll_is_what_acting_step_by_step_is_across_a_new_trial(skilled, observation):
    """The step before is remembered from act to act, and taken from the unroll within it. Single precision: 1e-5."""
    reset = np.zeros((9, 3), bool)
    reset[0], reset[4, 1] = True, True
    output, last = skilled.unroll(observation, skilled.initial_memory(3), jnp.asarray(reset))
    memory = skilled.initial_memory(3)
    for row in range(9):
        seen = {name: value[row] for name, value in observation.items()}
        acted, memory = skilled.act(seen, forget(memory, jnp.asarray(reset[row])))
        np.testing.assert_allclose(acted.mean, output.mean[row], atol=1e-5)
    for one, two in zip(jax.tree.leaves(last), jax.tree.leaves(memory), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert output.command is not None
    assert [part.shape for part in output.command] == [(9, 3, 4), (9, 3, 2), (9, 3, 3)]


def test_unrolls_go_on_from_one_another(skilled, observation):
    """Two halves are the whole, which they are only if what was felt before the second half is remembered."""
    reset = jnp.zeros((9, 3), bool)
    whole, _ = skilled.unroll(observation, skilled.initial_memory(3), reset)
    first, between = skilled.unroll({k: v[:4] for k, v in observation.items()}, skilled.initial_memory(3), reset[:4])
    second, _ = skilled.unroll({k: v[4:] for k, v in observation.items()}, between, reset[4:])
    np.testing.assert_allclose(jnp.concatenate([first.mean, second.mean]), whole.mean, atol=1e-5)


def test_a_skill_asked_for_alone_acts_alone_and_others_mix_in_by_their_share(skilled):
    motor, (felt, before) = skilled.motor, _felt()
    alone = [_done(motor, felt, before, asked, skilled.stance) for asked in ((50.0, -50.0), (-50.0, 50.0))]
    mixed = _done(motor, felt, before, (np.log(3.0), 0.0), skilled.stance)
    assert np.abs(alone[0] - alone[1]).max() > 0.05
    np.testing.assert_allclose(mixed, 0.75 * alone[0] + 0.25 * alone[1], atol=1e-5)


def test_the_more_decided_an_agent_is_the_less_do_skills_mix(skilled):
    """Asked for as three to one, with a sharpness of 3: 27 to one."""
    decided = _of(dataclasses.replace(SKILLED, skill_sharpness=3.0), skilled)
    felt, before = _felt()
    alone = [_done(decided, felt, before, asked, skilled.stance) for asked in ((50.0, -50.0), (-50.0, 50.0))]
    mixed = _done(decided, felt, before, (np.log(3.0), 0.0), skilled.stance)
    np.testing.assert_allclose(mixed, (27.0 * alone[0] + alone[1]) / 28.0, atol=1e-5)


def test_a_direction_is_told_with_a_length_of_one_unless_there_is_none(skilled):
    """Whatever its length; and slopes stay finite where it has none. Single precision, an order apart: 1e-5."""
    directed = _of(dataclasses.replace(SKILLED, told_direction=(0, 2)), skilled)
    felt, before = _felt()

    def act(motor: Motor, *told: float) -> np.ndarray:
        return np.asarray(motor(felt, before, jnp.asarray([50.0, -50.0, *told]), skilled.stance)[0])

    exact = act(skilled.motor, 0.6, -0.8, 0.4)
    for length in (0.1, 1.0, 3.0):
        np.testing.assert_allclose(act(directed, 0.6 * length, -0.8 * length, 0.4), exact, atol=1e-5)
    assert np.abs(act(skilled.motor, 0.06, -0.08, 0.4) - exact).max() > 0.01
    assert np.abs(act(directed, -0.6, -0.8, 0.4) - exact).max() > 0.01
    slope = jax.grad(lambda told: jnp.sum(directed(felt, before, jnp.concatenate([jnp.zeros(2), told]), skilled.stance)[0]))(jnp.zeros(3))
    assert np.isfinite(slope).all()


def test_a_skill_by_hand(skilled):
    """The first skill, all its inputs computed number by number with NumPy."""
    motor, (felt, before), stance = skilled.motor, _felt(), np.asarray(skilled.stance)
    _, command = motor(felt, before, jnp.asarray([50.0, -50.0, 0.3, -0.2, 0.9]), skilled.stance)
    estimates = np.asarray(command.estimates)
    scaled = np.asarray(felt) * np.arange(1.0, 8.0)
    body = np.array([scaled[0], estimates[0], *scaled[2:5], estimates[1], np.tanh(scaled[6]), *estimates[2:]])
    control = np.clip((np.asarray(felt)[:5] - 0.6 * np.asarray(before)[:5]) / 0.4, -1.0, 1.0)
    skill = motor.skills[0]
    told = np.array([0.3, -0.2 + body[1], 0.9])
    x = np.concatenate([body, (control - stance) / SKILLED.action_scale, told])
    y = x @ np.asarray(skill.inlet.weight)
    y = y + np.maximum(_normed(y) @ np.asarray(skill.widen.weight), 0.0) @ np.asarray(skill.narrow.weight)
    expected = SKILLED.action_scale * np.tanh(_normed(y) @ np.asarray(skill.outlet.weight))
    np.testing.assert_allclose(_done(motor, felt, before, (50.0, -50.0), skilled.stance), expected, atol=1e-5)


def test_a_case_that_is_told_inexactly_is_told_and_all_else_stays_as_it_is(skilled):
    """Shares of a case that is told 0.7 more than the other differ from ones and zeros by exp(-12 * 0.7), 2e-4; slopes are of order one."""
    decided = _of(dataclasses.replace(SKILLED, told_cases=(1, 3)), skilled)
    felt, before = _felt()

    def act(motor: Motor, *told: float) -> np.ndarray:
        acted, command = motor(felt, before, jnp.asarray([50.0, -50.0, *told]), skilled.stance)
        np.testing.assert_array_equal(command.told, np.float32(told))
        return np.asarray(acted)

    exact = act(skilled.motor, 0.3, 1.0, 0.0)
    np.testing.assert_allclose(act(decided, 0.3, 0.85, 0.15), exact, atol=1e-3)
    assert np.abs(act(skilled.motor, 0.3, 0.85, 0.15) - exact).max() > 0.02
    np.testing.assert_allclose(act(decided, 0.3, 0.2, 0.9), act(skilled.motor, 0.3, 0.0, 1.0), atol=1e-3)
    assert np.abs(act(decided, 0.5, 0.85, 0.15) - exact).max() > 0.02


def test_with_no_step_before_the_last_control_is_the_stance(skilled):
    """And what stands in the memory of before makes no difference: its mark says that it means nothing."""
    motor, (felt, _) = skilled.motor, _felt()
    unknown = jnp.zeros(8)
    other = unknown.at[5].set(9.0)
    one, two = (_done(motor, felt, before, (0.0, 0.0), skilled.stance) for before in (unknown, other))
    np.testing.assert_array_equal(one, two)


def test_skills_are_never_learned_but_what_commands_them_is(skilled, observation):
    mask = learned(skilled)
    assert not any(jax.tree.leaves((mask.motor.skills, mask.motor.gain, mask.motor.decay, mask.stance)))
    assert all(jax.tree.leaves((mask.motor.hidden, mask.motor.estimates, mask.mean_head, mask.policy)))

    def moved(agent: Agent) -> jax.Array:
        return jnp.sum(agent.unroll(observation, agent.initial_memory(3), jnp.zeros((9, 3), bool))[0].mean ** 2)

    gradient = eqx.filter_grad(moved)(skilled)
    for part in (gradient.mean_head, gradient.policy[0], gradient.motor.hidden[0], gradient.motor.estimates):
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(part)) > 0.0
    assert all(float(jnp.abs(leaf).max()) == 0.0 for leaf in jax.tree.leaves(gradient.core))


def test_a_config_from_before_there_were_skills_is_of_an_agent_without():
    fields = json.loads(SMALL.to_json())
    for name in set(fields) & {"skill_sharpness", "tapping_skill", "body_size", "num_estimates"} | {n for n in fields if n[:4] == "told"}:
        del fields[name]
    del fields["skill_widths"]
    assert AgentConfig.from_dict(fields) == SMALL
    assert AgentConfig.from_json(SKILLED.to_json()) == SKILLED
    assert SMALL.with_skills_of(SKILLED) == SKILLED and SKILLED.with_skills_of(SMALL).skill_widths == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"skill_widths": (4, 0)}, "skill_widths"), ({"body_size": 6}, "must hold proprioception's 7"), ({"told_size": 0}, "told_size"),
     ({"num_estimates": 10}, "num_estimates 10"), ({"told_cases": (2, 4)}, "told_cases must be a part of the 3 numbers told"),
     ({"told_direction": (-1, 1)}, "told_direction must be a part"), ({"skill_sharpness": 0.0}, "skill_sharpness must be positive")],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SKILLED, **change)


def test_an_agent_without_skills_is_none_the_wiser(agent):
    assert agent.motor is None and agent.initial_memory(2).felt == ()
    assert agent.mean_head.weight.shape == (10, 5)


def _of(config: AgentConfig, agent: Agent) -> Motor:
    """The agent's motor as another config has it."""
    motor: Motor = jax.tree.unflatten(jax.tree.structure(Agent(config).motor), jax.tree.leaves(agent.motor))
    return motor


def _felt() -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(5)
    felt, before = rng.normal(0.0, 0.3, (2, 7))
    return jnp.asarray(felt, jnp.float32), jnp.asarray([*before, 1.0], jnp.float32)


def _done(motor: Motor, felt: jax.Array, before: jax.Array, asked: tuple[float, float], stance: jax.Array) -> np.ndarray:
    return np.asarray(motor(felt, before, jnp.asarray([*asked, 0.3, -0.2, 0.9]), stance)[0])


def _normed(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)
