"""A motor system: skills that were learned before, and which the policy commands instead of moving every actuator itself.

    last policy LSTM -> command: which skill, and what it is told, of which some is reckoned from the rest (`vrodent.agent.tapping`)
    proprioception, now and a step ago -> estimates of what the skills were given beside it
    skills(proprioception, estimates, last control, command) -> mean action of each; the mean of the policy is their mixture

The skills are networks of teachers, copied and frozen; everything that commands them is learned. What a teacher was told by an oracle, the
agent has to find out by its camera and memory. Source: Kumar et al. 2021, arXiv:2107.04034 (RMA: a frozen policy, and its privileged
input estimated from what is sensed); Merel et al. 2019, arXiv:1811.11711 (a motor module of many experts under a policy).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent.compass import Compass
from vrodent.agent.config import AgentConfig
from vrodent.agent.layers import Linear, NormedLayer
from vrodent.agent.tapping import TapClock

_WIDTH = 256  # of the estimator's hidden layers
_CLIP = 8.0  # standard deviations, of a skill's inputs, as its teacher had them
_EPSILON = 1e-5  # of its layer norm, likewise
# Logits per unit of a case that is told: told 0.75 and 0.25, a skill gets 0.998 and 0.002.
_SHARPNESS = 12.0
_SHORT = 1e-2  # length of a direction, below which none is told


class Command(NamedTuple):
    """What is commanded, and what is estimated beside it; arrays (..., n).

    Attributes:
        estimates: numbers of the body that do not follow from proprioception by scaling.
        asked: logits of the skills.
        told: what they are told.
    """

    estimates: jax.Array
    asked: jax.Array
    told: jax.Array


class Skill(eqx.Module):
    """One skill: a residual perceptron of layer norms over the body, the last control and what it is told.

    Attributes:
        inlet, widen, narrow, outlet: `y = inlet(x); y += narrow(relu(widen(norm(y)))); mean = tanh(outlet(norm(y)))`.
        mean, scale: (input,), of its inputs: `(x - mean) * scale`.
        keep, constant, level: (told,): it is told `keep * command + constant + level * height`, so that what it has no use for, or what
            never varied where it was learned, is as it was there.
        reach: control per unit of its own action.
    """

    inlet: Linear
    widen: Linear
    narrow: Linear
    outlet: Linear
    mean: jax.Array
    scale: jax.Array
    keep: jax.Array
    constant: jax.Array
    level: jax.Array
    reach: jax.Array

    def __init__(self, config: AgentConfig, width: int, rng: np.random.Generator) -> None:
        size = config.body_size + config.action_size + config.told_size
        self.inlet, self.outlet = Linear(size, width, rng), Linear(width, config.action_size, rng, scale=0.1)
        self.widen, self.narrow = Linear(width, 2 * width, rng), Linear(2 * width, width, rng, scale=0.3)
        self.mean, self.scale = jnp.zeros(size), jnp.ones(size)
        self.keep, self.constant, self.level = jnp.ones(config.told_size), jnp.zeros(config.told_size), jnp.zeros(config.told_size)
        self.reach = jnp.asarray(config.action_scale)

    def __call__(self, body: jax.Array, deflection: jax.Array, told: jax.Array, height: jax.Array) -> jax.Array:
        """Control around the stance, (..., 38), of the body (..., body), the last control around the stance (..., 38), what is told
        (..., told), and the height (...,)."""
        told = self.heard(told, height)
        x = jnp.concatenate([body, deflection / self.reach, told], axis=-1)
        y = self.inlet(jnp.clip((x - self.mean) * self.scale, -_CLIP, _CLIP))
        y = y + self.narrow(jax.nn.relu(self.widen(_standardised(y))))
        return self.reach * jnp.tanh(self.outlet(_standardised(y)))

    def heard(self, told: jax.Array, height: jax.Array) -> jax.Array:
        """What it hears (..., told) of what is told (..., told), at a height (...,)."""
        return self.keep * told + self.constant + self.level * height[..., None]


class Motor(eqx.Module):
    """All skills, and what they share.

    Attributes:
        skills: to be commanded.
        hidden, estimates: the estimator, the one part that goes on learning.
        gain: (158,), scale of each sense.
        bounded: (158,), 1 for senses that go through a hyperbolic tangent after scaling.
        estimated: (estimates,) int, which numbers of the body are estimates. The body is all senses, scaled, and numbers more.
        height: () int, which number of the body is the height above the ground.
        activation: (38,) int, which senses are the actuators' activations.
        decay: part of an activation that is left after a control step; by it the last control follows from two activations.
        cases: which of what is told are cases, see `AgentConfig.told_cases`. Their teachers only ever met zeros and ones of them, one case
            often so rarely that in units of its deviation a foretold 0.02 is another world than 0.
        direction: which of it is a direction, see `AgentConfig.told_direction`. Who cannot decide between two foretells their mean, which
            is shorter than any that a teacher met: told to turn left with a length of 0.8 and, by a quarter, to rear, a rat stood still.
        sharpness: see `AgentConfig.skill_sharpness`.
        clock: reckons what the skill that taps is told beside the orb's place; None where that is foretold.
        compass: reckons the course of one skill; None where all courses are foretold.
    """

    skills: tuple[Skill, ...]
    hidden: tuple[NormedLayer, NormedLayer]
    estimates: Linear
    gain: jax.Array
    bounded: jax.Array
    estimated: jax.Array
    height: jax.Array
    activation: jax.Array
    decay: jax.Array
    clock: TapClock | None
    compass: Compass | None
    cases: tuple[int, int] = eqx.field(static=True)
    direction: tuple[int, int] = eqx.field(static=True)
    sharpness: float = eqx.field(static=True)

    def __init__(self, config: AgentConfig, rng: np.random.Generator) -> None:
        self.cases, self.direction, self.sharpness = config.told_cases, config.told_direction, config.skill_sharpness
        senses = config.proprioception_size
        self.skills = tuple(Skill(config, width, rng) for width in config.skill_widths)
        self.hidden = NormedLayer(2 * senses + 1, _WIDTH, rng), NormedLayer(_WIDTH, _WIDTH, rng)
        self.estimates = Linear(_WIDTH, config.num_estimates, rng, scale=0.1)
        self.gain, self.bounded = jnp.ones(senses), jnp.zeros(senses)
        self.estimated = config.body_size - config.num_estimates + jnp.arange(config.num_estimates)
        self.height, self.activation = jnp.zeros((), int), jnp.arange(config.action_size)
        self.decay = jnp.asarray(0.0)
        self.clock = TapClock(config.tapping_skill, config.told_target) if config.tapping_skill >= 0 else None
        self.compass = Compass(config.homing_skill, config.told_direction[0]) if config.homing_skill >= 0 else None

    def __call__(
        self,
        felt: jax.Array,
        before: jax.Array,
        given: jax.Array,
        stance: jax.Array,
        reckoned: jax.Array | tuple[()] = (),
        course: jax.Array | tuple[()] = (),
    ) -> tuple[jax.Array, Command]:
        """What the skills do.

        Args:
            felt: (..., 158), proprioception in its own units.
            before: (..., 159), that of the step before and 1; zeros where no step was before.
            given: (..., skills + told), how strongly each skill is asked for (logits), and what all are told.
            stance: (38,), the control on which actions are centred.
            reckoned: (..., 5), of `tick` or `tick_along`, told in place of what is given; empty without a clock.
            course: (..., 2), of `home` or `home_along`, told one skill in place of what is given; empty without a compass.

        Returns:
            control around the stance (..., 38), and what was commanded.
        """
        senses, known = self._scaled(felt), before[..., -1:]
        estimates = self.estimated_of(felt, before)
        missing = jnp.zeros((*senses.shape[:-1], self._body_size - senses.shape[-1]))
        body = jnp.concatenate([senses, missing], axis=-1).at[..., self.estimated].set(estimates)
        rise = felt[..., self.activation] - self.decay * before[..., self.activation]
        deflection = known * (jnp.clip(rise / (1.0 - self.decay), -1.0, 1.0) - stance)
        command = Command(estimates, given[..., : len(self.skills)], given[..., len(self.skills) :])
        height = body[..., self.height]
        share, told = self.shares(command.asked), self._rounded(self._directed(command.told))
        if self.clock is not None and not isinstance(reckoned, tuple):
            told = told.at[..., self.clock.reckoned].set(reckoned)
        tells = [told] * len(self.skills)
        if self.compass is not None and not isinstance(course, tuple):
            tells[self.compass.skill] = told.at[..., self.compass.reckoned].set(course)
        acts = jnp.stack([skill(body, deflection, heard, height) for skill, heard in zip(self.skills, tells, strict=True)], axis=-1)
        return jnp.sum(acts * share[..., None, :], axis=-1), command

    def estimated_of(self, felt: jax.Array, before: jax.Array) -> jax.Array:
        """Estimates of the body (..., estimates), of proprioception now (..., 158) and, with 1 behind it, a step ago (..., 159)."""
        known = before[..., -1:]
        x = jnp.concatenate([self._scaled(felt), known * self._scaled(before[..., :-1]), known], axis=-1)
        return self.estimates(self.hidden[1](self.hidden[0](x)))

    def heard(self, skill: int, command: Command) -> jax.Array:
        """What a skill hears of a command, (..., told), but for what a clock or a compass reckons."""
        height = command.estimates[..., jnp.argmax(self.estimated == self.height)]
        return self.skills[skill].heard(self._rounded(self._directed(command.told)), height)

    def _rounded(self, told: jax.Array) -> jax.Array:
        """What is told, its cases close to ones and zeros that sum to 1."""
        first, end = self.cases
        if first == end:
            return told
        return told.at[..., first:end].set(jax.nn.softmax(_SHARPNESS * told[..., first:end], axis=-1))

    def tick(
        self, felt: jax.Array, given: jax.Array, remembered: jax.Array | tuple[()]
    ) -> tuple[jax.Array | tuple[()], jax.Array | tuple[()]]:
        """A control step of the clock: its memory (..., 2), now and a step ago, and what is reckoned, (..., 5); empty without a clock."""
        if self.clock is None or isinstance(remembered, tuple):
            return remembered, ()
        return self.clock.tick(remembered, *self._tapping(felt, given))

    def tick_along(
        self, felt: jax.Array, given: jax.Array, remembered: jax.Array | tuple[()], reset: jax.Array
    ) -> tuple[jax.Array | tuple[()], jax.Array | tuple[()]]:
        """`tick` for (time, world, ...) arrays, its memory zeroed before a step where `reset` (time, world) is true."""
        clock = self.clock
        if clock is None or isinstance(remembered, tuple):
            return remembered, ()

        def tick(memory: jax.Array, row: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
            return clock.tick(jnp.where(row[2][:, None], 0.0, memory), row[0], row[1])

        return jax.lax.scan(tick, remembered, (*self._tapping(felt, given), reset))

    def home(
        self, felt: jax.Array, before: jax.Array, remembered: jax.Array | tuple[()]
    ) -> tuple[jax.Array | tuple[()], jax.Array | tuple[()]]:
        """A control step of the compass: its memory (..., 5), now and a step ago, and the course (..., 2); empty without a compass."""
        if self.compass is None or isinstance(remembered, tuple):
            return remembered, ()
        return self.compass.tick(remembered, felt, self.estimated_of(felt, before))

    def home_along(
        self, felt: jax.Array, before: jax.Array, remembered: jax.Array | tuple[()], reset: jax.Array
    ) -> tuple[jax.Array | tuple[()], jax.Array | tuple[()]]:
        """`home` for (time, world, ...) arrays, its memory zeroed before a step where `reset` (time, world) is true."""
        compass = self.compass
        if compass is None or isinstance(remembered, tuple):
            return remembered, ()

        def home(memory: jax.Array, row: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
            return compass.tick(jnp.where(row[2][:, None], 0.0, memory), row[0], row[1])

        return jax.lax.scan(home, remembered, (felt, self.estimated_of(felt, before), reset))

    def _tapping(self, felt: jax.Array, given: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(...,) m from a palm to where the orb is told to be; (...,) bool, whether the skill that taps has the rat."""
        assert self.clock is not None
        asked, told = given[..., : len(self.skills)], given[..., len(self.skills) :]
        return self.clock.distance(felt, told), self.shares(asked)[..., self.clock.skill] > 0.5

    def shares(self, asked: jax.Array) -> jax.Array:
        """How the rat is shared among the skills, (..., skills), by logits (..., skills)."""
        return jax.nn.softmax(self.sharpness * asked, axis=-1)

    def _directed(self, told: jax.Array) -> jax.Array:
        """What is told, its direction of length 1."""
        first, end = self.direction
        if first == end:
            return told
        squared = jnp.sum(told[..., first:end] ** 2, axis=-1, keepdims=True)
        return told.at[..., first:end].multiply(jax.lax.rsqrt(jnp.maximum(squared, _SHORT**2)))

    def _scaled(self, felt: jax.Array) -> jax.Array:
        scaled = felt * self.gain
        return jnp.where(self.bounded > 0.0, jnp.tanh(scaled), scaled)

    @property
    def heeded(self) -> jax.Array:
        """(skills, told): 1 for what a skill heeds of what the policy tells it."""
        heeded = jnp.stack([skill.keep for skill in self.skills])
        if self.clock is not None:
            heeded = heeded.at[:, self.clock.reckoned].set(0.0)
        return heeded if self.compass is None else heeded.at[self.compass.skill, self.compass.reckoned].set(0.0)

    @property
    def _body_size(self) -> int:
        skill = self.skills[0]
        return skill.mean.size - skill.keep.size - self.activation.size


def _standardised(x: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(x.var(-1, keepdims=True) + _EPSILON)
