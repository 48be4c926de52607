"""A small network and random senses for it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig

SMALL = AgentConfig(
    core_size=12,
    policy_size=10,
    proprioception_size=7,
    action_size=5,
    proprioception_layers=(9, 8),
    image_channels=(4, 6),
    image_blocks=(0, 1),
    image_stem=8,
    image_features=11,
    value_layers=(6,),
    num_value_heads=2,
)


@pytest.fixture
def config() -> AgentConfig:
    return SMALL


@pytest.fixture
def agent(config: AgentConfig) -> Agent:
    return Agent(config, seed=1, stance=jnp.linspace(-0.9, 0.9, 5))


def random_senses() -> dict[str, jax.Array]:
    """9 steps of 3 worlds."""
    rng = np.random.default_rng(0)
    return {
        "proprioception": jnp.asarray(rng.standard_normal((9, 3, 7)), jnp.float32),
        "egocentric": jnp.asarray(rng.integers(0, 256, (9, 3, 64, 64, 3), dtype=np.uint8)),
    }


@pytest.fixture
def observation() -> dict[str, jax.Array]:
    return random_senses()
