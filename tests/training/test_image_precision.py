"""Learning with eyes of bfloat16: importance ratios, the update, what is published, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, in_precision
from vrodent.agent.gaussian import log_prob
from vrodent.agent.precision import RoundingImageEncoder
from vrodent.training import losses
from vrodent.training.checkpoint import load_agent
from vrodent.training.learner import LearnerConfig, initial_learned, make_update
from vrodent.training.preset import gpu, laptop
from vrodent.training.run_store import from_json, to_json
from vrodent.training.train import _Run

pytestmark = pytest.mark.usefixtures("quick_compilation")
TASK = np.array([0, 0, 1, 1])


def _seen(agent: Agent, time: int, worlds: int) -> tuple[dict[str, jax.Array], jax.Array]:
    """Images of a few coloured fields, as the rat sees, senses as they are distributed, and standard normal noise."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (time, worlds, 8, 8, 3)).repeat(8, axis=2).repeat(8, axis=3)
    felt = np.asarray(agent.normaliser.mean) + np.asarray(agent.normaliser.std) * rng.standard_normal((time, worlds, 158))
    noise = jnp.asarray(rng.standard_normal((time, worlds, 38)), jnp.float32)
    return {"proprioception": jnp.asarray(felt, jnp.float32), "egocentric": jnp.asarray(coarse, jnp.uint8)}, noise


@eqx.filter_jit
def _acted(agent: Agent, observation: dict[str, jax.Array], noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Actions and their log densities as an actor takes them, one step after the other."""
    memory, taken = agent.initial_memory(noise.shape[1]), []
    for step in range(noise.shape[0]):
        output, memory = agent.act({name: rows[step] for name, rows in observation.items()}, memory)
        action = output.mean + jnp.exp(output.log_std) * noise[step]
        taken.append((action, log_prob(action, output.mean, output.log_std)))
    action, density = zip(*taken, strict=True)
    return jnp.stack(action), jnp.stack(density)


def test_ratios_stay_true_where_actor_and_learner_round_alike() -> None:
    """The packaged agent, four worlds. The learner's unroll may sum in another order than the actor's steps: in float32 1e-5 of a log
    density. Under bfloat16 a sum that this carries over the border between two roundings differs by 2^-9 of its size; one in some ten
    thousand does, where all do when the actor computes in float32. That mixture is off by some 0.1, a tenth of a ratio: so the bound for
    two that round alike is a tenth of it, and what is seen is 1e-5.
    """
    agent = load_agent("four-tasks")
    observation, noise = _seen(agent, 6, 4)
    unroll = eqx.filter_jit(lambda agent: agent.unroll(observation, agent.initial_memory(4), jnp.zeros((6, 4), bool))[0])
    found: dict[Any, float] = {}
    for acting, learning in (("float32", "float32"), ("bfloat16", "bfloat16"), ("float32", "bfloat16")):
        action, density = _acted(in_precision(agent, acting), observation, noise)
        output = unroll(in_precision(agent, learning))
        found[acting, learning] = float(np.abs(log_prob(action, output.mean, output.log_std) - density).max())
    assert found["float32", "float32"] < 1e-3
    assert found["bfloat16", "bfloat16"] < 1e-2
    assert found["float32", "bfloat16"] > 5 * found["bfloat16", "bfloat16"]


def test_an_update_gives_float32_to_v_trace_and_keeps_parameters_float32(agent, make_unrolls, monkeypatch) -> None:
    seen, original = [], losses.vtrace_targets

    def watching(*arguments: Any, **options: Any) -> Any:
        seen.extend(argument.dtype for argument in arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(losses, "vtrace_targets", watching)
    config = LearnerConfig(image_precision="bfloat16", warmup_updates=0, loss=losses.LossConfig(policy_weight=0.0))
    update, before = make_update(config, 2), initial_learned(config, agent, 2, 2)
    assert "bf16" in str(jax.make_jaxpr(update)(before, make_unrolls(agent.config), TASK))
    now, _ = update(before, make_unrolls(agent.config), TASK)
    assert isinstance(now.agent.image_encoder, type(agent.image_encoder)) and int(now.skipped) == 0
    assert {leaf.dtype for leaf in jax.tree.leaves(now)} == {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
    assert len(seen) >= 5 and set(seen) == {jnp.dtype(jnp.float32)}


def test_actors_round_as_the_learner_does_and_checkpoints_know_nothing_of_it(agent) -> None:
    run: Any = object.__new__(_Run)
    run._home, run.config = None, replace(gpu(), learner=LearnerConfig(image_precision="bfloat16"))
    assert isinstance(run._acting(agent).image_encoder, RoundingImageEncoder)
    run.config = gpu()
    assert isinstance(run._acting(agent).image_encoder, type(agent.image_encoder))
    old = json.loads(to_json(gpu()))
    del old["learner"]["image_precision"]
    assert from_json(json.dumps(old)) == gpu()


def test_it_needs_the_gpu_path() -> None:
    with pytest.raises(ValueError, match=r"image_precision 'bfloat16' needs collection.device gpu"):
        replace(laptop(), learner=LearnerConfig(image_precision="bfloat16"))
    with pytest.raises(ValueError, match="must be float32 or bfloat16, but is 'half'"):
        LearnerConfig(image_precision="half")  # pyright: ignore
