"""When a palm has tapped: what follows from where a rat believes an orb is, and so need not be foretold.

    joints -> where the palms are;  command -> where the orb is believed to be;  both -> how near, whether struck, how long ago

A skill that taps twice is told how near a palm is to the orb, whether it has just struck it and how long ago that was. All three follow
from where the orb is, if the rat knows where its own palms are and counts. Foretold each by itself they contradict one another: an agent
told its skill the same 0.7 s of every moment after a tap, and that the palm was off an orb that it was in. Told by this clock, with the
orb believed to be 1.5 cm off along each axis (standard deviation), a teacher tapped twice in time after 19 of 43 first taps; told the
truth of taps, after 25 of 48.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

LIMBS, JOINTS = 2, 7
"""Forelimbs, and the hinges of each, from scapula to wrist."""

CLOCK_SIZE = 2
"""Numbers that are remembered, see `TapClock`."""

_SCALE = 4.0  # of the orb's place as skills are told it, per m
_NEARNESS = 10.0  # per m, of the hyperbolic tangent that tells how near a palm is
_LONG_AGO = 2.0  # s, told where nothing was struck lately


class Chain(NamedTuple):
    """Chains of hinges from the torso to the palms, arrays (limb, hinge, ...).

    Attributes:
        offset: (..., 3) m, where the body of a hinge begins in the frame of the one before; 0 if that hinge is of the same body.
        turn: (..., 3, 3), likewise its orientation; the identity if of the same body.
        axis: (..., 3), unit vectors in the frame of the body.
        anchor: (..., 3) m, of a hinge in its body.
        rest: (...,) rad, the angle at which a body is as `turn` says.
        end: (limb, 3) m, the palm in the last body.
    """

    offset: jax.Array
    turn: jax.Array
    axis: jax.Array
    anchor: jax.Array
    rest: jax.Array
    end: jax.Array


class TapClock(eqx.Module):
    """Tells a skill of an orb all that follows from where it is.

    Its memory (..., 2) is for how long a palm has been close, and how long until the next strike can be told of, both in s and 0 where
    there is no such thing, as at the start of a trial.

    Attributes:
        chain: of the forelimbs.
        senses: (limb, hinge) int, which number of proprioception is the angle of each hinge.
        strike, touch: m from a palm to the orb's centre; a palm strikes that stays within the one for `dwell`, within the other at once.
        dwell, refractory, step: s; how long a palm stays until it has struck, how long a strike is told of, and the control step.
        skill: number of the one that taps; strikes are its alone.
        first: where in what is told the orb's place begins; it is followed by nearness, three cases and the time.
    """

    chain: Chain
    senses: jax.Array
    strike: jax.Array
    touch: jax.Array
    dwell: jax.Array
    refractory: jax.Array
    step: jax.Array
    skill: int = eqx.field(static=True)
    first: int = eqx.field(static=True)

    def __init__(self, skill: int, first: int) -> None:
        self.skill, self.first = skill, first
        hinges = (LIMBS, JOINTS)
        place, unit = jnp.zeros((*hinges, 3)), jnp.zeros((*hinges, 3)).at[..., 0].set(1.0)
        self.chain = Chain(place, jnp.tile(jnp.eye(3), (*hinges, 1, 1)), unit, place, jnp.zeros(hinges), jnp.zeros((LIMBS, 3)))
        self.senses = jnp.zeros(hinges, int)
        self.strike, self.touch, self.dwell, self.refractory, self.step = (jnp.asarray(0.0) for _ in range(5))

    @property
    def reckoned(self) -> slice:
        """What of all that is told follows from the orb's place."""
        return slice(self.first + 3, self.first + 8)

    def palms(self, felt: jax.Array) -> jax.Array:
        """(..., limb, 3) m, the palms in the torso's frame, of proprioception (..., 158) in its own units."""
        return palm_places(self.chain, felt[..., self.senses])

    def distance(self, felt: jax.Array, told: jax.Array) -> jax.Array:
        """(...,) m from the nearer palm to where the orb is told to be."""
        offset = self.palms(felt) - told[..., None, self.first : self.first + 3] / _SCALE
        return jnp.sqrt(jnp.min(jnp.sum(offset**2, axis=-1), axis=-1) + 1e-12)

    def tick(self, clock: jax.Array, distance: jax.Array, tapping: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One control step.

        Args:
            clock: (..., 2), see above.
            distance: (...,) m.
            tapping: (...,) bool, whether the skill that taps has the rat.

        Returns:
            the clock, and what is reckoned: (..., 5), nearness, the cases, the time.
        """
        left = jnp.maximum(clock[..., 1] - self.step, 0.0)
        left = jnp.where(left < 0.01 * self.step, 0.0, left)
        close = jnp.where(tapping & (distance < self.strike), clock[..., 0] + self.step, 0.0)
        strikes = tapping & (left == 0.0) & ((distance < self.touch) | (close >= self.dwell + self.step))
        left = jnp.where(strikes, self.refractory, left)
        struck = (left > 0.0).astype(distance.dtype)
        since = jnp.where(left > 0.0, self.refractory - left, _LONG_AGO)
        near = jnp.tanh(_NEARNESS * distance)
        return jnp.stack([close, left], axis=-1), jnp.stack([near, 1.0 - struck, struck, jnp.zeros_like(near), since], axis=-1)


def palm_places(chain: Chain, angles: jax.Array) -> jax.Array:
    """(..., limb, 3) m, the ends of chains of hinges in the frame that they begin in, of angles (..., limb, hinge) rad.

    As MuJoCo has it: a hinge turns its body about an anchor, which stays where it is.
    """
    place = jnp.zeros((*angles.shape[:-1], 3))
    turn = jnp.broadcast_to(jnp.eye(3), (*angles.shape[:-1], 3, 3))
    for hinge in range(angles.shape[-1]):
        place = place + _turned(turn, chain.offset[:, hinge])
        turn = turn @ chain.turn[:, hinge]
        held = place + _turned(turn, chain.anchor[:, hinge])
        turn = turn @ _rotation(chain.axis[:, hinge], angles[..., hinge] - chain.rest[:, hinge])
        place = held - _turned(turn, chain.anchor[:, hinge])
    return place + _turned(turn, chain.end)


def initial_clock(num_worlds: int) -> jax.Array:
    """(world, 2), of a trial that begins."""
    return jnp.asarray(np.zeros((num_worlds, CLOCK_SIZE), np.float32))


def _turned(turn: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.squeeze(turn @ vector[..., None], axis=-1)


def _rotation(axis: jax.Array, angle: jax.Array) -> jax.Array:
    """(..., 3, 3), about unit vectors (..., 3) by angles (...): Rodrigues' formula."""
    x, y, z = axis[..., 0], axis[..., 1], axis[..., 2]
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*axis.shape[:-1], 3, 3)
    sin, cos = jnp.sin(angle)[..., None, None], jnp.cos(angle)[..., None, None]
    return jnp.eye(3) + sin * cross + (1.0 - cos) * (cross @ cross)
