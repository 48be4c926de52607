"""The layers of the network. All take leading batch axes: `(..., size)` or `(image, row, column, channel)`."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn.initializers import he_normal, lecun_normal, orthogonal

from vrodent.agent.memory import LSTMMemory


class Linear(eqx.Module):
    """`x @ weight + bias`, with `weight` (in, out)."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, size_in: int, size_out: int, key: jax.Array, scale: float = 1.0) -> None:
        self.weight = scale * lecun_normal()(key, (size_in, size_out))
        self.bias = jnp.zeros(size_out)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.weight + self.bias


class NormedLayer(eqx.Module):
    """A linear layer, layer normalisation, ELU."""

    linear: Linear
    gain: jax.Array
    shift: jax.Array

    def __init__(self, size_in: int, size_out: int, key: jax.Array) -> None:
        self.linear = Linear(size_in, size_out, key)
        self.gain, self.shift = jnp.ones(size_out), jnp.zeros(size_out)

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

    def __init__(self, side: int, channels_in: int, channels_out: int, key: jax.Array) -> None:
        self.weight = he_normal(in_axis=(0, 1, 2), out_axis=3)(key, (side, side, channels_in, channels_out))
        self.bias = jnp.zeros(channels_out)

    def __call__(self, x: jax.Array) -> jax.Array:
        side, _, channels_in, channels_out = self.weight.shape
        count, rows, columns = x.shape[0], x.shape[1] // side, x.shape[2] // side
        patches = x.reshape(count, rows, side, columns, side, channels_in).transpose(0, 1, 3, 2, 4, 5)
        return patches.reshape(count, rows, columns, -1) @ self.weight.reshape(-1, channels_out) + self.bias


class ResidualBlock(eqx.Module):
    """x + convolution(relu(convolution(relu(x)))), both 3x3 at full resolution."""

    first: jax.Array
    second: jax.Array
    first_bias: jax.Array
    second_bias: jax.Array

    def __init__(self, channels: int, key: jax.Array) -> None:
        shape, keys = (3, 3, channels, channels), jax.random.split(key)
        draw = he_normal(in_axis=(0, 1, 2), out_axis=3)
        self.first, self.second = draw(keys[0], shape), 0.5 * draw(keys[1], shape)
        self.first_bias, self.second_bias = jnp.zeros(channels), jnp.zeros(channels)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = _convolve(jax.nn.relu(x), self.first) + self.first_bias
        return x + _convolve(jax.nn.relu(y), self.second) + self.second_bias


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

    def __init__(self, size_in: int, units: int, key: jax.Array) -> None:
        keys = jax.random.split(key, 5)
        self.weight_input = lecun_normal()(keys[0], (size_in, 4 * units))
        self.weight_hidden = jnp.concatenate([orthogonal()(k, (units, units)) for k in keys[1:]], axis=1)
        self.bias = jnp.zeros(4 * units).at[units : 2 * units].set(1.0)

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
