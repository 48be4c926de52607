"""Convolutions in bfloat16: what is rounded, what is not, and gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig, in_precision
from vrodent.agent.half import convolve, multiply

CONFIG = AgentConfig(
    core_size=8, policy_size=6, proprioception_layers=(12,), image_channels=(4, 6), image_blocks=(0, 1), image_features=8, value_layers=(8,)
)  # fmt: skip


def _whole(rng: np.random.Generator, *shape: int) -> jax.Array:
    """Whole numbers, which bfloat16 holds exactly, and so does float32 every sum of their products here."""
    return jnp.asarray(rng.integers(-4, 5, shape), jnp.float32)


@pytest.mark.parametrize("case", ["product", "convolution"])
def test_of_numbers_that_need_no_rounding_results_and_gradients_are_exact(case: str) -> None:
    rng = np.random.default_rng(0)
    if case == "product":
        ours, plain, arguments = multiply, jnp.matmul, (_whole(rng, 2, 5, 3, 7), _whole(rng, 7, 4))
    else:

        def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

        ours, arguments = convolve, (_whole(rng, 2, 6, 5, 3), _whole(rng, 3, 3, 3, 4))
    (result, back), (expected, expected_back) = jax.vjp(ours, *arguments), jax.vjp(plain, *arguments)
    gradient = _whole(rng, *expected.shape)
    for got, wanted in zip((result, *back(gradient)), (expected, *expected_back(gradient)), strict=True):
        assert got.dtype == jnp.float32 and np.abs(wanted).max() > 9
        np.testing.assert_array_equal(got, wanted)


def test_arguments_are_rounded_and_sums_are_not() -> None:
    """1 + 2^-9 is no bfloat16, 1 + 2^-9 * 128 is summed from ones and 2^-9."""
    assert float(multiply(jnp.full((1, 1), 1 + 2**-9), jnp.ones((1, 1)))[0, 0]) == 1.0
    x = jnp.concatenate([jnp.ones((1, 1)), jnp.full((1, 128), 2.0**-9)], axis=1)
    assert float(multiply(x, jnp.ones((129, 1)))[0, 0]) == 1.25
    assert float(multiply(x[:, :2], jnp.ones((2, 1)))[0, 0]) == 1 + 2**-9


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)


def _inputs(worlds: int = 3, time: int = 4) -> tuple[dict[str, jax.Array], jax.Array]:
    rng = np.random.default_rng(1)
    image = jnp.asarray(rng.integers(0, 256, (time, worlds, 64, 64, 3), dtype=np.uint8))
    felt = jnp.asarray(rng.standard_normal((time, worlds, 158)), jnp.float32)
    return {"proprioception": felt, "egocentric": image}, jnp.zeros((time, worlds), bool)


def _gradient_program(agent: Agent, precision: Any) -> Counter[str]:
    """The operations, forward and back, that have to do with bfloat16; all others have nothing of it."""
    observation, reset = _inputs()

    def loss(agent: Agent) -> jax.Array:
        output, _ = in_precision(agent, precision).unroll(observation, agent.initial_memory(3), reset)
        return sum(jnp.sum(part) for part in jax.tree.leaves(output))  # pyright: ignore

    found: Counter[str] = Counter()
    for equation in _equations(jax.make_jaxpr(jax.grad(loss))(agent).jaxpr):
        types = [[getattr(v.aval, "dtype", None) for v in side] for side in (equation.invars, equation.outvars)]
        name = equation.primitive.name
        if jnp.bfloat16 in types[0] and name in ("dot_general", "conv_general_dilated"):
            assert set(types[0]) == {jnp.dtype(jnp.bfloat16)} and types[1] == [jnp.float32], equation
            found[name] += 1
        elif jnp.bfloat16 in types[0] + types[1]:
            assert name in ("convert_element_type", "reshape", "transpose", "rev", "copy", "jit", "pjit") or "call" in name, name
    return found


def test_convolutions_alone_are_rounded_and_all_that_leaves_them_is_float32() -> None:
    """Two strided ones, of which the first has no gradient to an image, and two of a residual block, each forward and twice back."""
    agent = Agent(CONFIG, seed=3)
    assert _gradient_program(agent, "float32") == {}
    found = _gradient_program(agent, "bfloat16")
    assert found == {"dot_general": 2 * 3, "conv_general_dilated": 2 * 3}


def test_the_default_is_the_agent_itself_and_parameters_stay_what_they_are() -> None:
    agent = Agent(CONFIG, seed=3)
    assert in_precision(agent, "float32") is agent
    rounding = in_precision(agent, "bfloat16")
    assert all(a is b for a, b in zip(jax.tree.leaves(agent), jax.tree.leaves(rounding), strict=True))
    with pytest.raises(ValueError, match="not in 'float16'"):
        in_precision(agent, "float16")  # pyright: ignore


def test_gradients_point_where_those_of_float32_do() -> None:
    """A unit of a relu that is within a rounding, 2^-8 of its size, of zero may open or close: some four in a thousand, and as large a
    part of the squared length of a gradient behind them; products' own roundings are a tenth of that. So 1 - cosine is some thousandths,
    0.0047 at most here. Were it not the same gradient (a formula wrong, a kernel not mirrored), it would be of order 1."""
    agent = Agent(CONFIG, seed=3)
    observation, reset = _inputs()
    weights = jax.tree.map(lambda x: np.random.default_rng(2).standard_normal(x.shape), (np.zeros((4, 3, 38)), np.zeros((4, 3, 1))))

    @eqx.filter_jit
    def gradient(agent: Agent, precision: Any) -> jax.Array:
        def loss(agent: Agent) -> jax.Array:
            output, _ = in_precision(agent, precision).unroll(observation, agent.initial_memory(3), reset)
            return jnp.sum(weights[0] * output.mean) + jnp.sum(weights[1] * output.value)

        return eqx.filter_grad(loss)(agent).image_encoder

    exact, rounded = gradient(agent, "float32"), gradient(agent, "bfloat16")
    for ours, theirs in zip(jax.tree.leaves(rounded), jax.tree.leaves(exact), strict=True):
        length = np.linalg.norm(ours) * np.linalg.norm(theirs)
        assert length > 0 and np.vdot(ours, theirs) / length > 0.99
        assert not np.array_equal(ours, theirs)
