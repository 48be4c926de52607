"""How fast the network runs here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import gaussian
from vrodent.agent.config import IMAGE_SIZE, AgentConfig
from vrodent.agent.encoders import image_encoder_flops
from vrodent.agent.memory import Memory
from vrodent.agent.network import Agent, Observation, num_parameters


@dataclass(frozen=True, kw_only=True)
class AgentThroughput:
    """Frames (world x control step) a second, medians over `repeats`.

    Attributes:
        act: acting, one control step of all worlds a call.
        unroll: unrolling, forward only.
        learn: unrolling with the gradients of a value and a policy loss.
        image_encoder_flops: additions and multiplications of the image encoder a frame, forward.
        device: JAX's name of what ran it.
    """

    act: float
    unroll: float
    learn: float
    num_parameters: int
    image_encoder_flops: int
    num_worlds: int
    num_steps: int
    repeats: int
    device: str


def benchmark_agent(config: AgentConfig | None = None, num_worlds: int = 32, num_steps: int = 20, repeats: int = 7) -> AgentThroughput:
    """Time the three uses of the network on random senses.

    Args:
        config: the network; the default one when not given.
        num_worlds: worlds acted in at once, and unrolls a batch.
        num_steps: control steps of an unroll.
        repeats: timed calls of each, after one that compiles.
    """
    config = config or AgentConfig()
    agent = Agent(config)
    observation = _random_observation(config, num_steps, num_worlds)
    first = {name: value[0] for name, value in observation.items()}
    memory, reset = agent.initial_memory(num_worlds), jnp.zeros((num_steps, num_worlds), bool)
    act = _seconds(eqx.filter_jit(Agent.act), repeats, agent, first, memory, jax.random.key(0))
    unroll = _seconds(eqx.filter_jit(Agent.unroll), repeats, agent, observation, memory, reset)
    learn = _seconds(eqx.filter_jit(eqx.filter_grad(_loss)), repeats, agent, observation, memory, reset)
    return AgentThroughput(
        act=num_worlds / act,
        unroll=num_worlds * num_steps / unroll,
        learn=num_worlds * num_steps / learn,
        num_parameters=num_parameters(agent),
        image_encoder_flops=image_encoder_flops(config),
        num_worlds=num_worlds,
        num_steps=num_steps,
        repeats=repeats,
        device=str(jax.devices()[0].device_kind),
    )


def _random_observation(config: AgentConfig, num_steps: int, num_worlds: int) -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (num_steps, num_worlds, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    proprioception = rng.standard_normal((num_steps, num_worlds, config.proprioception_size), dtype=np.float32)
    return {"proprioception": jnp.asarray(proprioception), "egocentric": jnp.asarray(image)}


def _loss(agent: Agent, observation: Observation, memory: Memory, reset: jax.Array) -> jax.Array:
    output, _ = agent.unroll(observation, memory, reset)
    action = jnp.ones_like(output.mean)
    return jnp.mean(output.value**2) - jnp.mean(gaussian.log_prob(action, output.mean, output.log_std))


def _seconds(function: Callable[..., Any], repeats: int, *arguments: Any) -> float:
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return float(np.median(times))
