"""Teachers' networks as skills that a student commands, and what it has to find out to command them as its teachers were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent, AgentConfig
from vrodent.agent.compass import Compass
from vrodent.agent.motor import Motor, Skill
from vrodent.agent.tapping import TapClock
from vrodent.body import sense_slices
from vrodent.task import CONTROL_STEP
from vrodent.training.teachers.guidance import Ground
from vrodent.training.teachers.network import VARIANCE_FLOOR, Teacher
from vrodent.training.teachers.palms import palm_chains
from vrodent.training.teachers.privileged import BODY, OBSERVATION_SIZE, SPIN_GAIN, STANDING_HEIGHT, TOLD, not_felt, sense_gains
from vrodent.training.teachers.strikes import DWELL, REFRACTORY, STRIKE, TOUCH

_COURSE, _SCAN, _KIND = slice(0, 3), slice(3, 42), slice(42, 46)  # of what is told: heading and speed; the ground; the situation
_TARGET = slice(46, TOLD.stop - TOLD.start)  # where the orb is, the phase, the timer
_PHASE, _DIRECTION = (50, 53), (0, 2)
_DECIDED = 6.0  # asked for two skills as three to one, the rat does what the one would by 0.9986
_MOMENTS = 256
_STREAM = 0x5354414B  # of the seed
_DECAY = (1.0 - 0.001 / 0.04) ** 20  # of an activation in a control step of reference physics, whose filters last 0.04 s
_SCAN_GAIN, _HEIGHT_GAIN = 8.0, 10.0  # per m, of the scan and of the body's height in a privileged observation


class Role(IntEnum):
    """What a teacher is for; the number of its skill."""

    WALK = 0
    JUMP = 1
    CLIMB = 2
    TAP = 3
    RISE = 4


_GROUNDS: Mapping[Role, Ground] = {
    Role.WALK: Ground.FLAT, Role.JUMP: Ground.GAPS, Role.CLIMB: Ground.FLAT, Role.TAP: Ground.TAP, Role.RISE: Ground.BOWL,
}  # fmt: skip

HINT_SIZE = len(not_felt()) + len(Role) + TOLD.stop - TOLD.start
"""Numbers in a hint: what of the body is not felt, who has the rat, and what is told."""


def hint_of(observation: np.ndarray, role: np.ndarray, told: np.ndarray) -> np.ndarray:
    """(world, HINT_SIZE): a hint, of a privileged observation (world, n) of the moment, the role (world,) int of the teacher that has the
    rat, and what is told (world, told)."""
    return np.concatenate([observation[:, not_felt()], np.eye(len(Role))[role], told], axis=1, dtype=np.float32)


def with_skills(agent: Agent, teachers: Mapping[Role, Teacher], seed: int = 0, strike: float = STRIKE) -> Agent:
    """An agent that commands teachers' networks, with the senses, memory and values of one that moved its actuators itself.

    Args:
        agent: keeps all that it is made of; one that has skills already keeps its command and its estimator as well.
        teachers: one for each role.
        seed: of what an agent without skills lacks.
        strike: m from an orb within which a palm that stays strikes it, see `strikes`.

    Raises:
        ValueError: a role without a teacher, or the teachers' networks are not of one residual block.
    """
    missing = [role.name.lower() for role in Role if role not in teachers]
    if missing:
        raise ValueError(f"a student with skills needs a teacher for each of them; there is none to {', '.join(missing)}.")
    config = skilled(agent.config, teachers)
    fresh = Agent(config, seed=seed, stance=np.asarray(agent.stance))
    kept = ["image_encoder", "proprioception_encoder", "core", "value_head", "policy", "log_std_head", "normaliser"]
    if agent.motor is not None:
        kept += ["mean_head"]
    fresh = eqx.tree_at(lambda a: [getattr(a, name) for name in kept], fresh, [getattr(agent, name) for name in kept])
    assert fresh.motor is not None
    motor = _wired(fresh.motor, strike)
    if agent.motor is not None:
        motor = eqx.tree_at(lambda m: (m.hidden, m.estimates), motor, (agent.motor.hidden, agent.motor.estimates))
    skills = tuple(_taught(motor.skills[role], teachers[role], role) for role in Role)
    return eqx.tree_at(lambda a: a.motor, fresh, eqx.tree_at(lambda m: m.skills, motor, skills))


def equipped(agent: Agent, role: Role, teacher: Teacher, *, compass: bool = False) -> Agent:
    """An agent with one of its skills exchanged for a teacher's network. All else is as it was, what it tells that skill too.

    Args:
        agent: that commands skills.
        role: which.
        teacher: of the same width.
        compass: that skill is to hear the course that a compass reckons, see `vrodent.agent.compass`, as `blindfolded` tells its teacher.

    Raises:
        ValueError: the agent commands no skills, or the teacher is of another size.
    """
    if agent.motor is None:
        raise ValueError("this agent has no skills: teach it to command some by `vrodent train distil --skills`.")
    skill, width = agent.motor.skills[role], teacher.config.actor_width
    if skill.inlet.bias.size != width:
        raise ValueError(f"the skill to {role.name.lower()} is {skill.inlet.bias.size} units wide, and this teacher {width}.")
    if compass and agent.config.homing_skill != role:
        agent = _with_compass(agent, role)
    return eqx.tree_at(lambda a: a.motor.skills[role], agent, _taught(skill, teacher, role))


def _with_compass(agent: Agent, role: Role) -> Agent:
    """All as it was, but one skill gets its course from a compass."""
    fresh = Agent(replace(agent.config, homing_skill=int(role)), stance=np.asarray(agent.stance))
    names = [name for name in vars(agent) if name not in ("config", "motor")]
    fresh = eqx.tree_at(lambda a: [getattr(a, name) for name in names], fresh, [getattr(agent, name) for name in names])
    compass = _reckoning(Compass(int(role), _DIRECTION[0]))
    motor = eqx.tree_at(lambda m: m.compass, agent.motor, compass, is_leaf=lambda leaf: leaf is None or isinstance(leaf, Compass))
    return eqx.tree_at(lambda a: a.motor, fresh, motor)


def _reckoning(compass: Compass) -> Compass:
    """Which of the senses and estimates is which."""
    after = sense_slices()["sensors_touch"].stop  # come the pelvis' up-vector, the velocity and the angular velocity, by threes
    numbers = not_felt()
    parts = (
        np.arange(158)[sense_slices()["world_zaxis"]], np.flatnonzero(numbers >= after + 6),
        np.flatnonzero((numbers >= after + 3) & (numbers < after + 5)), 1.0 / SPIN_GAIN, CONTROL_STEP,
    )  # fmt: skip
    return eqx.tree_at(lambda c: (c.up, c.spin, c.velocity, c.unit, c.step), compass, tuple(jnp.asarray(part) for part in parts))


def skilled(config: AgentConfig, teachers: Mapping[Role, Teacher]) -> AgentConfig:
    """The architecture of an agent with those skills."""
    widths = tuple(teachers[role].config.actor_width for role in Role)
    sizes = {"told_size": TOLD.stop - TOLD.start, "body_size": BODY.stop, "num_estimates": len(not_felt())}
    kinds = {"told_cases": _PHASE, "told_direction": _DIRECTION, "told_target": _TARGET.start, "tapping_skill": int(Role.TAP)}
    return replace(config, skill_widths=widths, skill_sharpness=_DECIDED, **kinds, **sizes)


def stakes(agent: Agent, seed: int = 0) -> np.ndarray:
    """How much depends on what an agent's skills are told.

    Args:
        agent: that commands skills.
        seed: of the moments looked at, drawn from what each skill's teacher observed (independent normal distributions).

    Returns:
        (skills, told): mean square, over actuators and moments, of the derivative of what a skill does, in units of the agent's action, by
        each number that it is told. Of cases, that of the change if one is told in another's place, half of it for each of the two.
        Nothing depends on what is reckoned.
    """
    motor = agent.motor
    assert motor is not None
    rng = np.random.default_rng([seed, _STREAM])
    found = np.stack([np.asarray(_stakes(motor, skill, rng)) for skill in motor.skills]) / agent.config.action_scale**2
    if motor.clock is not None:
        found[:, motor.clock.reckoned] = 0.0
    if motor.compass is not None:
        found[motor.compass.skill, motor.compass.reckoned] = 0.0
    return found


def _stakes(motor: Motor, skill: Skill, rng: np.random.Generator) -> jax.Array:
    told_size, actions = skill.keep.size, skill.outlet.bias.size
    observed = skill.mean + jnp.asarray(rng.standard_normal((_MOMENTS, skill.mean.size)), jnp.float32) / skill.scale
    body, last, told = jnp.split(observed, (observed.shape[1] - told_size - actions, observed.shape[1] - told_size), axis=1)
    first, end = motor.cases
    case = rng.integers(end - first, size=_MOMENTS)
    told = told.at[:, first:end].set(jnp.eye(end - first)[case])

    def act(told: jax.Array, body: jax.Array, last: jax.Array) -> jax.Array:
        return skill(body, skill.reach * last, told, body[motor.height])

    slope = jnp.mean(jax.vmap(jax.jacfwd(act))(told, body, last) ** 2, axis=(0, 1))
    for one in range(end - first):
        flipped = told.at[:, first:end].set(jnp.eye(end - first)[one])
        change = jnp.mean((jax.vmap(act)(flipped, body, last) - jax.vmap(act)(told, body, last)) ** 2, axis=1)
        slope = slope.at[first + one].set(0.5 * jnp.sum(change) / max(np.sum(case != one), 1))
    return slope


def _wired(motor: Motor, strike: float) -> Motor:
    """Which of the senses is which, and the clock set."""
    assert motor.clock is not None
    clock = _set(motor.clock, strike)
    if motor.compass is not None:
        motor = eqx.tree_at(lambda m: m.compass, motor, _reckoning(motor.compass))
    where, every = sense_slices(), np.arange(BODY.stop)
    bounded = np.zeros(len(sense_gains()))
    bounded[where["sensors_accelerometer"]] = 1.0
    parts = (
        jnp.asarray(sense_gains(), jnp.float32), jnp.asarray(bounded, jnp.float32), jnp.asarray(not_felt()),
        jnp.asarray(every[where["body_height"]][0]), jnp.asarray(every[where["actuator_activation"]]), jnp.asarray(_DECAY),
    )  # fmt: skip
    return eqx.tree_at(lambda m: (m.gain, m.bounded, m.estimated, m.height, m.activation, m.decay, m.clock), motor, (*parts, clock))


def _set(clock: TapClock, strike: float) -> TapClock:
    chain, senses = palm_chains()
    times = (jnp.asarray(number) for number in (strike, TOUCH, DWELL, REFRACTORY, CONTROL_STEP))
    return eqx.tree_at(
        lambda c: (c.chain, c.senses, c.strike, c.touch, c.dwell, c.refractory, c.step), clock, (chain, jnp.asarray(senses), *times)
    )


def _taught(skill: Skill, teacher: Teacher, role: Role) -> Skill:
    """A teacher's actor as a skill: its mean, not its deviation."""
    net, actions = teacher.actor.net, teacher.config.action_size
    if len(net.blocks) != 1 or teacher.config.observation_size != OBSERVATION_SIZE:
        raise ValueError(
            f"a skill is a teacher of one residual block that observes {OBSERVATION_SIZE} numbers; the one to {role.name.lower()} has "
            f"{len(net.blocks)} and observes {teacher.config.observation_size}."
        )
    (widen, narrow), outlet = net.blocks[0], net.outlet
    arrays = (
        net.inlet.weight, net.inlet.bias, widen.weight, widen.bias, narrow.weight, narrow.bias,
        outlet.weight[:, :actions], outlet.bias[:actions],
        teacher.observation_mean, (teacher.observation_variance + VARIANCE_FLOOR) ** -0.5,
        *(jnp.asarray(part, jnp.float32) for part in _instruction(role)), jnp.asarray(teacher.config.action_scale),
    )  # fmt: skip
    return eqx.tree_at(
        lambda s: (
            s.inlet.weight, s.inlet.bias, s.widen.weight, s.widen.bias, s.narrow.weight, s.narrow.bias, s.outlet.weight, s.outlet.bias,
            s.mean, s.scale, s.keep, s.constant, s.level, s.reach,
        ), skill, arrays,
    )  # fmt: skip


def _instruction(role: Role) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`keep`, `constant` and `level` of a skill (told,): it heeds what its teacher heeded, and is told as a matter of course what that was.

    Ground that is level lies as far below the feet as the torso is higher than when it stands.
    """
    keep, constant, level = (np.zeros(TOLD.stop - TOLD.start) for _ in range(3))
    constant[_KIND] = np.eye(len(Ground))[_GROUNDS[role]]
    if role is Role.RISE:
        constant[0] = 1.0  # whichever way it faces is right
    else:
        keep[_COURSE] = 1.0
    if role is Role.TAP:
        keep[_TARGET] = 1.0
    if role is Role.JUMP:
        keep[_SCAN] = 1.0
    else:
        constant[_SCAN], level[_SCAN] = _SCAN_GAIN * STANDING_HEIGHT, -_SCAN_GAIN / _HEIGHT_GAIN
    return keep, constant, level
