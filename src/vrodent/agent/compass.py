"""Where a trial began, by dead reckoning: a course away from there that need not be foretold.

    turning, and which way is up -> which way it faced when the trial began;  speed -> where it was;  both -> which way leads onward

A gerbil in the dark keeps account of its turns and steps and walks straight home (Mittelstaedt and Mittelstaedt 1980,
doi:10.1007/BF00450672); cells of a rat's brain say which way it faces (Taube et al. 1990, doi:10.1523/JNEUROSCI.10-02-00436.1990). An agent
taught to tell its skill which way leads out of the bowl told it to go straight ahead: right where it had not yet turned, and 0.5 rad off,
in the median, two metres out. There it turned at bumps and falls, and 23 % of the time that it moved was inward.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

COMPASS_SIZE = 5
"""Numbers that are remembered, see `Compass`."""

_ONWARD = 0.5  # m ahead, of the place that the course leads through, seen from where the trial began
_SHORT = 1e-3  # length of a vector, below which it has no direction


class Compass(eqx.Module):
    """Tells a skill the course from where the trial began toward the place half a metre ahead.

    At the start that is the way the rat faces, far out straight outward. Its memory (..., 5) is a unit vector in the torso's frame along
    the level direction that the rat faced when the trial began, and how many m it has come along that direction and to the left of it. It
    is zero at the start of a trial.

    Attributes:
        up: (3,) int, which numbers of proprioception are the vertical in the torso's frame.
        spin: (3,) int, which estimates are its angular velocity in that frame, in units of `unit` rad/s.
        velocity: (2,) int, which are its velocity forward and to the left, m/s.
        unit, step: see there; s of a control step.
        skill: number of the one that is told; the others get the policy's course.
        first: where in what is told the course begins, its cosine and sine to where the torso faces.
    """

    up: jax.Array
    spin: jax.Array
    velocity: jax.Array
    unit: jax.Array
    step: jax.Array
    skill: int = eqx.field(static=True)
    first: int = eqx.field(static=True)

    def __init__(self, skill: int, first: int) -> None:
        self.skill, self.first = skill, first
        self.up, self.spin, self.velocity = jnp.arange(3), jnp.arange(3), jnp.arange(2)
        self.unit, self.step = jnp.asarray(0.0), jnp.asarray(0.0)

    @property
    def reckoned(self) -> slice:
        """What of all that is told is the course."""
        return slice(self.first, self.first + 2)

    def tick(self, memory: jax.Array, felt: jax.Array, estimates: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One control step.

        Args:
            memory: (..., 5), see above.
            felt: (..., 158), proprioception in its own units.
            estimates: (..., n), of the body.

        Returns:
            the memory, and the course (..., 2), a unit vector.
        """
        up = _unit(felt[..., self.up])
        began = jnp.sum(memory[..., :3] ** 2, axis=-1, keepdims=True) < 0.5
        turned = _rotated(memory[..., :3], -self.step * self.unit * estimates[..., self.spin])
        ahead = jnp.zeros_like(up).at[..., 0].set(1.0)
        north = jnp.where(began, ahead, turned)
        north = _unit(north - jnp.sum(north * up, axis=-1, keepdims=True) * up)
        west = jnp.cross(up, north)
        faced = _unit(jnp.stack([north[..., 0], west[..., 0]], axis=-1))
        place = memory[..., 3:] + jnp.where(began, 0.0, self.step) * _turned(faced, estimates[..., self.velocity])
        toward = _unit(place + _ONWARD * faced)
        back = faced * jnp.asarray([1.0, -1.0])
        return jnp.concatenate([north, place], axis=-1), _turned(back, toward)


def initial_compass(num_worlds: int) -> jax.Array:
    """(world, 5), of a trial that begins."""
    return jnp.asarray(np.zeros((num_worlds, COMPASS_SIZE), np.float32))


def _unit(vector: jax.Array) -> jax.Array:
    """Of length 1, or shorter where it has hardly any."""
    return vector * jax.lax.rsqrt(jnp.maximum(jnp.sum(vector**2, axis=-1, keepdims=True), _SHORT**2))


def _turned(angle: jax.Array, vector: jax.Array) -> jax.Array:
    """Vectors (..., 2) turned by angles given as cosine and sine (..., 2)."""
    cos, sin, x, y = angle[..., 0], angle[..., 1], vector[..., 0], vector[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _rotated(vector: jax.Array, by: jax.Array) -> jax.Array:
    """Vectors (..., 3) turned by rotation vectors (..., 3) rad: Rodrigues' formula."""
    angle = jnp.sqrt(jnp.sum(by**2, axis=-1, keepdims=True) + 1e-12)
    axis = by / angle
    along = jnp.sum(axis * vector, axis=-1, keepdims=True) * axis
    return jnp.cos(angle) * vector + jnp.sin(angle) * jnp.cross(axis, vector) + (1.0 - jnp.cos(angle)) * along
