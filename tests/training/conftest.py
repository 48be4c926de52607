"""A small agent, a batch of made-up unrolls, and compilation for tests that do little else."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.training.unroll import Unroll, empty_unroll, unroll_shapes

TIME = 6


def _small_config(**changes) -> AgentConfig:
    sizes = {"core_size": 8, "policy_size": 6, "proprioception_layers": (12,), "image_stem": 16, "image_channels": (4,)}
    return AgentConfig(**(sizes | {"image_blocks": (1,), "image_features": 8, "value_layers": (8,), "num_value_heads": 2} | changes))


@pytest.fixture(name="agent")
def _agent() -> Agent:
    return Agent(_small_config(), seed=3)


@pytest.fixture(name="small_config")
def _small() -> Callable[..., AgentConfig]:
    return _small_config


@pytest.fixture(name="make_unrolls")
def _unrolls() -> Callable[..., Unroll]:
    return _make_unrolls


def _make_unrolls(config: AgentConfig, seed: int = 0, time: int = TIME, taught: bool = True) -> Unroll:
    """Random unrolls, the world axis first, with an episode that ends in world 1: row 2 is its final observation."""
    rng = np.random.default_rng(seed)
    unroll = empty_unroll(unroll_shapes(config, time, taught), 4)
    unroll = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), unroll)
    unroll = unroll._replace(
        egocentric=rng.integers(0, 256, unroll.egocentric.shape, dtype=np.uint8),
        reset=np.zeros_like(unroll.reset),
        acted=np.ones_like(unroll.acted),
        discount=np.ones_like(unroll.discount),
        behaviour_mean=0.1 * unroll.behaviour_mean,
        behaviour_log_std=-1.2 + 0.1 * unroll.behaviour_log_std,
    )
    noise = rng.normal(size=unroll.action.shape).astype(np.float32)
    unroll.action[:] = unroll.behaviour_mean + np.exp(unroll.behaviour_log_std) * noise
    unroll.acted[1, 2], unroll.discount[1, 2], unroll.reward[1, 2], unroll.reset[1, 3] = 0.0, 0.0, 0.0, 1.0
    return unroll


@pytest.fixture(scope="module")
def quick_compilation():
    """Compiling is nearly all these tests do; XLA's optimisations would treble it and change nothing that is tested."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
