"""The layers of the network. All take leading batch axes: `(..., size)` or `(image, row, column, channel)`.

Initial weights are drawn with NumPy: the same seed gives the same network whatever the version of JAX, and drawing compiles nothing.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent.half import convolve, multiply
from vrodent.agent.memory import LSTMMemory


def _normal(rng: np.random.Generator, shape: tuple[int, ...], variance: float) -> jax.Array:
    return jnp.asarray(rng.normal(0.0, variance**0.5, shape), jnp.float32)


class Linear(eqx.Module):
    """`x @ weight + bias`, with `weight` (in, out)."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, size_in: int, size_out: int, rng: np.random.Generator, scale: float = 1.0) -> None:
        self.weight = _normal(rng, (size_in, size_out), scale**2 / size_in)
        self.bias = jnp.asarray(np.zeros(size_out, np.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.weight + self.bias


class NormedLayer(eqx.Module):
    """A linear layer, layer normalisation, ELU."""

    linear: Linear
    gain: jax.Array
    shift: jax.Array

    def __init__(self, size_in: int, size_out: int, rng: np.random.Generator) -> None:
        self.linear = Linear(size_in, size_out, rng)
        self.gain, self.shift = jnp.asarray(np.ones(size_out, np.float32)), jnp.asarray(np.zeros(size_out, np.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.linear(x)
        y = y - jnp.mean(y, axis=-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + 1e-6)
        return jax.nn.elu(y * self.gain + self.shift)


class PatchConvolution(eqx.Module):
    """A convolution whose stride equals its kernel's side. It is one matrix product over the patches, and on the CPU much faster that
    way than through XLA's general convolution."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, side: int, channels_in: int, channels_out: int, rng: np.random.Generator) -> None:
        self.weight = _normal(rng, (side, side, channels_in, channels_out), 2.0 / (side * side * channels_in))
        self.bias = jnp.asarray(np.zeros(channels_out, np.float32))

    def __call__(self, x: jax.Array, half: bool = False) -> jax.Array:
        side, _, channels_in, channels_out = self.weight.shape
        count, rows, columns = x.shape[0], x.shape[1] // side, x.shape[2] // side
        patches = x.reshape(count, rows, side, columns, side, channels_in).transpose(0, 1, 3, 2, 4, 5)
        product = multiply if half else jnp.matmul
        return product(patches.reshape(count, rows, columns, -1), self.weight.reshape(-1, channels_out)) + self.bias


class ResidualBlock(eqx.Module):
    """x + convolution(relu(convolution(relu(x)))), both 3x3 at full resolution."""

    first: jax.Array
    second: jax.Array
    first_bias: jax.Array
    second_bias: jax.Array

    def __init__(self, channels: int, rng: np.random.Generator) -> None:
        shape, variance = (3, 3, channels, channels), 2.0 / (9 * channels)
        self.first, self.second = _normal(rng, shape, variance), _normal(rng, shape, variance / 4.0)
        self.first_bias = self.second_bias = jnp.asarray(np.zeros(channels, np.float32))

    def __call__(self, x: jax.Array, half: bool = False) -> jax.Array:
        product = convolve if half else _convolve
        y = product(jax.nn.relu(x), self.first) + self.first_bias
        return x + product(jax.nn.relu(y), self.second) + self.second_bias


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


class LSTM(eqx.Module):
    """A long short-term memory layer; gates in the order input, forget, cell, output, as in `equinox.nn.LSTMCell`.

    Attributes:
        weight_input: (in, 4 units).
        weight_hidden: (units, 4 units).
        bias: (4 units,); starts at 1 for the forget gate, so that memory lasts from the start.
    """

    weight_input: jax.Array
    weight_hidden: jax.Array
    bias: jax.Array

    def __init__(self, size_in: int, units: int, rng: np.random.Generator) -> None:
        self.weight_input = _normal(rng, (size_in, 4 * units), 1.0 / size_in)
        self.weight_hidden = _normal(rng, (units, 4 * units), 1.0 / units)
        self.bias = jnp.asarray(np.repeat([0.0, 1.0, 0.0, 0.0], units), jnp.float32)

    def drive(self, x: jax.Array) -> jax.Array:
        """What the input contributes to the gates, (..., in) -> (..., 4 units). No step depends on another here, so an unroll does it in
        one matrix product."""
        return x @ self.weight_input + self.bias

    def update(self, drive: jax.Array, memory: LSTMMemory) -> tuple[LSTMMemory, jax.Array]:
        """One step from (world, 4 units) and the memory.

        Returns:
            the new memory, and the output gate (world, units), for `h = gate * tanh(c)`.
        """
        gates = drive + memory.h @ self.weight_hidden
        gate_in, gate_forget, cell, gate_out = jnp.split(gates, 4, axis=-1)
        gate_out = jax.nn.sigmoid(gate_out)
        c = jax.nn.sigmoid(gate_forget) * memory.c + jax.nn.sigmoid(gate_in) * jnp.tanh(cell)
        return LSTMMemory(gate_out * jnp.tanh(c), c), gate_out

    def unroll(self, x: jax.Array, memory: LSTMMemory, reset: jax.Array) -> tuple[jax.Array, LSTMMemory]:
        """Many steps.

        Args:
            x: (time, world, in).
            memory: before the first step.
            reset: (time, world) bool; where true, memory is zeroed before that step.

        Returns:
            `h` (time, world, units) and the memory after the last step.
        """

        def step(memory: LSTMMemory, inputs: tuple[jax.Array, jax.Array]) -> tuple[LSTMMemory, jax.Array]:
            drive, keep = inputs
            after, _ = self.update(drive, LSTMMemory(memory.h * keep, memory.c * keep))
            return after, after.h

        keep = jnp.logical_not(reset)[..., None].astype(x.dtype)
        last, h = jax.lax.scan(step, memory, (self.drive(x), keep))
        return h, last
