"""From raw senses to features."""

from __future__ import annotations

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent.config import IMAGE_SIZE, AgentConfig
from vrodent.agent.layers import Linear, NormedLayer, PatchConvolution, ResidualBlock

_CLIP = 10.0  # standard deviations; an accelerometer's spike at a landing would drown everything else


class Normaliser(eqx.Module):
    """Centres and scales proprioception. Its arrays, (158,) each, are measured and set by the trainer and never learned."""

    mean: jax.Array
    std: jax.Array

    def __init__(self, size: int) -> None:
        self.mean, self.std = jnp.asarray(np.zeros(size, np.float32)), jnp.asarray(np.ones(size, np.float32))

    def __call__(self, proprioception: jax.Array) -> jax.Array:
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        return jnp.clip((proprioception - mean) / std, -_CLIP, _CLIP)


class ProprioceptionEncoder(eqx.Module):
    """A small multi-layer perceptron."""

    layers: tuple[NormedLayer, ...]

    def __init__(self, config: AgentConfig, rng: np.random.Generator) -> None:
        sizes = (config.proprioception_size, *config.proprioception_layers)
        self.layers = tuple(NormedLayer(a, b, rng) for a, b in pairwise(sizes))

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return x


class ImageEncoder(eqx.Module):
    """A small residual convolutional network: per stage one strided convolution and some residual blocks, then one dense layer.

    By default 4x4 patches at stride 4 to 16x16x16, then 8x8x32 and 4x4x32 with one residual block each. A residual block at 16x16 would
    double the arithmetic and, on two cores, cost five times the learner's rate.
    """

    stages: tuple[tuple[PatchConvolution, tuple[ResidualBlock, ...]], ...]
    dense: NormedLayer

    def __init__(self, config: AgentConfig, rng: np.random.Generator) -> None:
        stages, channels_in, side, size = [], 3, config.image_stem, IMAGE_SIZE
        for channels, blocks in zip(config.image_channels, config.image_blocks, strict=True):
            convolution = PatchConvolution(side, channels_in, channels, rng)
            stages.append((convolution, tuple(ResidualBlock(channels, rng) for _ in range(blocks))))
            size, channels_in, side = size // side, channels, 2
        self.stages = tuple(stages)
        self.dense = NormedLayer(size * size * channels_in, config.image_features, rng)

    def __call__(self, image: jax.Array, half: bool = False) -> jax.Array:
        """(image, 64, 64, 3) uint8 -> (image, features). Half: the convolutions multiply in bfloat16, see `vrodent.agent.half`."""
        x = image.astype(jnp.float32) / 255.0 - 0.5
        for i, (convolution, blocks) in enumerate(self.stages):
            x = convolution(x if i == 0 else jax.nn.relu(x), half)
            for block in blocks:
                x = block(x, half)
        return self.dense(jax.nn.relu(x).reshape(x.shape[0], -1))


def image_encoder_flops(config: AgentConfig) -> int:
    """Multiplications and additions of the image encoder's matrix products and convolutions for one frame, forward."""
    total, channels_in, side, size = 0, 3, config.image_stem, IMAGE_SIZE
    for channels, blocks in zip(config.image_channels, config.image_blocks, strict=True):
        size //= side
        total += 2 * size * size * side * side * channels_in * channels
        total += blocks * 2 * (2 * size * size * 9 * channels * channels)
        channels_in, side = channels, 2
    return total + 2 * size * size * channels_in * config.image_features


class ValueHead(eqx.Module):
    """From the core's output to the values.

    A scalar a head, not a distribution over returns: V-trace is defined on expectations, PopArt takes care of scale by rewriting the
    last layer (`output`, one column a head), and a distribution would need a support chosen for each of four reward scales.
    """

    hidden: tuple[NormedLayer, ...]
    output: Linear

    def __init__(self, config: AgentConfig, rng: np.random.Generator) -> None:
        sizes = (config.core_size, *config.value_layers)
        self.hidden = tuple(NormedLayer(a, b, rng) for a, b in pairwise(sizes))
        self.output = Linear(sizes[-1], config.num_value_heads, rng, scale=0.1)

    def __call__(self, core: jax.Array) -> jax.Array:
        """(..., core units) -> (..., heads)."""
        for layer in self.hidden:
            core = layer(core)
        return self.output(core)
