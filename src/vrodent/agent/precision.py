"""An agent whose eyes compute less exactly, for speed. Its parameters are the same arrays of float32."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax

from vrodent.agent.encoders import ImageEncoder
from vrodent.agent.network import Agent

Precision = Literal["float32", "bfloat16"]


class RoundingImageEncoder(eqx.Module):
    """An image encoder whose convolutions multiply in bfloat16, see `vrodent.agent.half`; biases, activations, the dense layer after
    them and all that comes out are float32."""

    encoder: ImageEncoder

    def __call__(self, image: jax.Array) -> jax.Array:
        """(image, 64, 64, 3) uint8 -> (image, features)."""
        return self.encoder(image, half=True)


def in_precision(agent: Agent, precision: Precision) -> Agent:
    """The agent that computes its image encoder's convolutions in a precision. Checkpoints know nothing of it: what is loaded from one
    computes in float32.

    Raises:
        ValueError: neither float32 nor bfloat16.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"An agent computes in float32 or bfloat16, not in {precision!r}.")
    if precision == "float32":
        return agent
    return eqx.tree_at(lambda a: a.image_encoder, agent, RoundingImageEncoder(agent.image_encoder))
