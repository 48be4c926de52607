from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig, Memory, RandomAgent, StandingAgent, clamp, forget, gaussian, learned
from vrodent.agent.network import ActorOutput, UnrollOutput

from .conftest import SMALL, random_senses

Senses = dict[str, jax.Array]

# Compiled: one network's calls share one compilation, and only compiled calls are bit-comparable.
_act = eqx.filter_jit(Agent.act)
_unroll = eqx.filter_jit(Agent.unroll)


def _at(observation: Senses, time: int) -> Senses:
    return {name: value[time] for name, value in observation.items()}


def _act_one_by_one(agent: Agent, observation: Senses, memory: Memory, reset: np.ndarray) -> tuple[list[ActorOutput], Memory]:
    outputs = []
    for time in range(len(reset)):
        output, memory = _act(agent, _at(observation, time), forget(memory, jnp.asarray(reset[time])))
        outputs.append(output)
    return outputs, memory


@pytest.mark.parametrize(("layers", "skip"), [(1, False), (2, True), (3, True), (3, False)])
def test_act_and_unroll_agree_across_resets(config: AgentConfig, observation: Senses, layers: int, skip: bool) -> None:
    agent = Agent(dataclasses.replace(config, num_policy_layers=layers, skip=skip), seed=2)
    memory = jax.tree.map(lambda x: jax.random.normal(jax.random.key(x.size), x.shape), agent.initial_memory(3))
    reset = np.zeros((9, 3), bool)
    reset[0, 2] = reset[4, 0] = reset[8, 1] = True
    outputs, last = _act_one_by_one(agent, observation, memory, reset)
    unrolled, last_unrolled = _unroll(agent, observation, memory, jnp.asarray(reset))
    for name in ("mean", "log_std", "value"):
        np.testing.assert_allclose(getattr(unrolled, name), np.stack([getattr(o, name) for o in outputs]), atol=2e-6)
    for a, b in zip(jax.tree.leaves(last), jax.tree.leaves(last_unrolled), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_reset_cuts_one_world_from_its_past_and_no_other(agent: Agent, observation: Senses) -> None:
    reset = jnp.zeros((9, 3), bool).at[5, 1].set(True)
    first, second = agent.initial_memory(3), jax.tree.map(lambda x: x + 0.5, agent.initial_memory(3))
    a, _ = _unroll(agent, observation, first, reset)
    b, _ = _unroll(agent, observation, second, reset)
    np.testing.assert_array_equal(a.mean[5:, 1], b.mean[5:, 1])
    assert bool(jnp.all(jnp.any(a.mean[:5] != b.mean[:5], axis=-1)))
    assert bool(jnp.all(jnp.any(a.mean[5:, ::2] != b.mean[5:, ::2], axis=-1)))


def _gradient(agent: Agent, observation: Senses, loss: Callable[[UnrollOutput], jax.Array]) -> Agent:
    reset = jnp.zeros((9, 3), bool).at[4].set(True)

    def total(agent: Agent) -> jax.Array:
        return loss(agent.unroll(observation, agent.initial_memory(3), reset)[0])

    return eqx.filter_jit(eqx.filter_grad(total))(agent)


def _policy_loss(output: UnrollOutput) -> jax.Array:
    return jnp.mean(gaussian.log_prob(jnp.ones_like(output.mean), output.mean, output.log_std))


def _value_loss(output: UnrollOutput) -> jax.Array:
    return jnp.mean((output.value - 1.0) ** 2)


def _all_zero(tree: object) -> bool:
    return all(bool(jnp.all(x == 0.0)) for x in jax.tree.leaves(tree))


def _none_zero(tree: object) -> bool:
    return all(bool(jnp.any(x != 0.0)) for x in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def gradients() -> tuple[Agent, Agent]:
    """Of the policy loss and of the value loss, for the paper's rule."""
    agent = Agent(SMALL, seed=1, stance=np.linspace(-0.9, 0.9, 5))
    senses = random_senses()
    return _gradient(agent, senses, _policy_loss), _gradient(agent, senses, _value_loss)


def test_policy_loss_has_exactly_zero_gradient_on_core_encoders_and_value(gradients: tuple[Agent, Agent]) -> None:
    gradient, _ = gradients
    assert _all_zero((gradient.core, gradient.value_head, gradient.image_encoder, gradient.proprioception_encoder))
    assert _none_zero((gradient.policy, gradient.mean_head, gradient.log_std_head))


def test_value_loss_trains_core_and_encoders_and_not_the_policy(gradients: tuple[Agent, Agent]) -> None:
    _, gradient = gradients
    assert _all_zero((gradient.policy, gradient.mean_head, gradient.log_std_head))
    assert _none_zero((gradient.core, gradient.value_head, gradient.image_encoder, gradient.proprioception_encoder))


def test_neither_loss_moves_stance_or_normaliser(agent: Agent, gradients: tuple[Agent, Agent]) -> None:
    for gradient in gradients:
        assert _all_zero((gradient.normaliser, gradient.stance))
    mask = learned(agent)
    assert not any(jax.tree.leaves((mask.normaliser, mask.stance)))
    assert all(jax.tree.leaves((mask.core, mask.policy, mask.image_encoder, mask.value_head)))


def test_policy_loss_reaches_encoders_by_choice_and_the_core_never(config: AgentConfig, observation: Senses) -> None:
    agent = Agent(dataclasses.replace(config, policy_trains_encoders=True), seed=1)
    gradient = _gradient(agent, observation, _policy_loss)
    assert _all_zero((gradient.core, gradient.value_head))
    assert _none_zero((gradient.policy, gradient.image_encoder.dense, gradient.proprioception_encoder))


def test_unroll_gradient_is_the_finite_difference(config: AgentConfig, observation: Senses) -> None:
    with jax.enable_x64(True):
        agent = Agent(config, seed=3)
        agent = jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_array(x) else x, agent)
        senses = {"proprioception": observation["proprioception"].astype(jnp.float64)[:4], "egocentric": observation["egocentric"][:4]}
        memory = jax.tree.map(lambda x: x.astype(jnp.float64), agent.initial_memory(3))
        reset = jnp.zeros((4, 3), bool).at[2, 0].set(True)
        params, static = eqx.partition(agent.policy, eqx.is_array)

        def loss(params: object) -> jax.Array:
            changed = eqx.tree_at(lambda a: a.policy, agent, eqx.combine(params, static))
            return _policy_loss(changed.unroll(senses, memory, reset)[0])

        direction = jax.tree.map(lambda x: jax.random.normal(jax.random.key(x.size), x.shape, x.dtype), params)
        step = 1e-5
        loss, slope_of = jax.jit(loss), jax.jit(jax.grad(loss))
        ahead, behind = (loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction)) for s in (step, -step))
        slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(slope_of(params)), jax.tree.leaves(direction), strict=True))
        np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-5)


def test_no_key_gives_the_mean_and_a_key_the_same_draw_again(agent: Agent, observation: Senses) -> None:
    senses, memory = _at(observation, 0), agent.initial_memory(3)
    still, _ = _act(agent, senses, memory)
    np.testing.assert_array_equal(still.action, still.mean)
    drawn, _ = _act(agent, senses, memory, jax.random.key(5))
    again, _ = _act(agent, senses, memory, jax.random.key(5))
    other, _ = _act(agent, senses, memory, jax.random.key(6))
    np.testing.assert_array_equal(drawn.action, again.action)
    assert bool(jnp.all(drawn.action != other.action))
    np.testing.assert_allclose(drawn.log_prob, gaussian.log_prob(drawn.action, drawn.mean, drawn.log_std), rtol=1e-6)


def test_an_untrained_agent_stands(config: AgentConfig, agent: Agent, observation: Senses) -> None:
    output, _ = _act(agent, _at(observation, 0), agent.initial_memory(3))
    assert float(jnp.max(jnp.abs(agent.ctrl(output.mean) - agent.stance))) < 0.05
    np.testing.assert_allclose(jnp.exp(output.log_std), config.initial_std, rtol=0.2)


def test_ctrl_is_centred_scaled_and_clipped(agent: Agent) -> None:
    np.testing.assert_array_equal(agent.ctrl(jnp.zeros(5)), agent.stance)
    np.testing.assert_allclose(agent.ctrl(jnp.full(5, 0.1)), agent.stance + 0.05, rtol=1e-6)
    np.testing.assert_array_equal(agent.ctrl(jnp.array([9.0, -9.0, 9.0, -9.0, 9.0])), [1.0, -1.0, 1.0, -1.0, 1.0])


def test_log_std_stays_within_its_bounds(agent: Agent, config: AgentConfig, observation: Senses) -> None:
    wild = eqx.tree_at(lambda a: a.log_std_head.weight, agent, agent.log_std_head.weight * 1e4)
    output, _ = _act(wild, _at(observation, 0), jax.tree.map(lambda x: x + 1.0, wild.initial_memory(3)))
    std = jnp.exp(output.log_std)
    assert float(jnp.min(std)) >= config.min_std * 0.999
    assert float(jnp.max(std)) <= config.max_std * 1.001


@pytest.mark.parametrize(("stance", "said"), [(jnp.zeros(4), "shape"), (jnp.full(5, 1.5), "1.5"), (jnp.full(5, jnp.nan), "nan")])
def test_a_wrong_stance_is_refused(config: AgentConfig, stance: jax.Array, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Agent(config, stance=stance)


def test_one_seed_gives_one_agent(config: AgentConfig) -> None:
    a, b, c = (jax.tree.leaves(eqx.filter(Agent(config, seed=seed), eqx.is_array)) for seed in (4, 4, 5))
    assert all(bool(jnp.all(x == y)) for x, y in zip(a, b, strict=True))
    assert any(bool(jnp.any(x != z)) for x, z in zip(a, c, strict=True))


def test_identity_perturbation_changes_no_bit(agent: Agent, observation: Senses) -> None:
    memory, key = jax.tree.map(lambda x: x + 0.1, agent.initial_memory(3)), jax.random.key(0)
    plain = _act(agent, _at(observation, 0), memory, key)
    for identity in (lambda memory: memory, clamp(agent.config, {})):
        perturbed = _act(agent, _at(observation, 0), memory, key, identity)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(perturbed), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("variable", ["h", "c"])
@pytest.mark.parametrize(("layer", "index"), [("core", 0), ("policy0", 1), ("policy1", 2), ("policy2", 3)])
def test_a_clamp_acts_downstream_in_the_same_step_and_never_upstream(
    agent: Agent, observation: Senses, layer: str, index: int, variable: str
) -> None:
    senses, memory = _at(observation, 0), jax.tree.map(lambda x: x + 0.1, agent.initial_memory(3))
    plain, after = _act(agent, senses, memory)
    held, after_held = _act(agent, senses, memory, None, clamp(agent.config, {f"{layer}:3": 0.9}, variable))
    assert bool(jnp.all(held.mean != plain.mean))
    for i, (a, b) in enumerate(zip((after.core, *after.policy), (after_held.core, *after_held.policy), strict=True)):
        changed = jnp.any(a.h != b.h, axis=0)
        if i < index:
            assert not bool(jnp.any(changed)) and bool(jnp.all(a.c == b.c))
        elif i == index:
            assert changed.tolist() == [unit == 3 for unit in range(changed.shape[0])]
            np.testing.assert_array_equal(getattr(b, variable)[:, 3], np.float32(0.9))
        else:
            assert bool(jnp.any(changed))
    value_moves = bool(jnp.any(held.value != plain.value))
    assert value_moves == (layer == "core")


def test_an_overwritten_cell_state_acts_through_the_output_gate(agent: Agent, observation: Senses) -> None:
    senses, memory = _at(observation, 0), agent.initial_memory(3)
    _, plain = _act(agent, senses, memory)
    _, held = _act(agent, senses, memory, None, clamp(agent.config, {"policy2:0": 0.7}, "c"))
    gate = plain.policy[2].h[:, 0] / jnp.tanh(plain.policy[2].c[:, 0])
    np.testing.assert_allclose(held.policy[2].h[:, 0], gate * np.tanh(0.7), rtol=1e-4)


@pytest.mark.parametrize("unit", ["policy3:0", "core:12", "core", "core:-1", "core:x"])
def test_a_clamp_of_an_unknown_unit_names_the_known(config: AgentConfig, unit: str) -> None:
    with pytest.raises(ValueError, match="core:0 to core:11, policy0:0 to policy0:9"):
        clamp(config, {unit: 0.0})


def test_memory_layers_are_found_by_name(agent: Agent) -> None:
    memory = agent.initial_memory(2)
    assert memory.layer("policy1") is memory.policy[1]
    with pytest.raises(ValueError, match="policy7"):
        memory.layer("policy7")
    with pytest.raises(ValueError, match="num_worlds"):
        agent.initial_memory(0)


def test_baselines_answer_as_an_agent_does(observation: Senses) -> None:
    senses, stance = _at(observation, 0), jnp.linspace(-0.5, 0.5, 38)
    standing = StandingAgent(stance)
    output, _ = standing.act(senses, standing.initial_memory(3))
    np.testing.assert_array_equal(standing.ctrl(output.action), np.tile(stance, (3, 1)))
    random = RandomAgent()
    output, _ = random.act(senses, random.initial_memory(3), jax.random.key(0))
    ctrl = random.ctrl(output.action)
    assert ctrl.shape == (3, 38) and float(jnp.min(ctrl)) >= -1.0 and float(jnp.max(ctrl)) <= 1.0
    assert len(np.unique(np.asarray(ctrl))) > 100
    with pytest.raises(ValueError, match="key"):
        random.act(senses, ())
