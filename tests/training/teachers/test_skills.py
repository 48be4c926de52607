"""Teachers as skills: told what their teachers are told, they do what their teachers do."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig
from vrodent.agent.motor import Command, Motor
from vrodent.body import proprioception
from vrodent.commands.teachers import SPEEDS, find_skills, find_teachers
from vrodent.simulation import make
from vrodent.task import TASK_NAMES
from vrodent.training.checkpoint import load_agent
from vrodent.training.collection import task_for
from vrodent.training.hints import command_error
from vrodent.training.kickstart import TeachingConfig
from vrodent.training.learner import LearnerConfig, initial_learned, make_update
from vrodent.training.losses import LossConfig, unroll_loss
from vrodent.training.popart import initial_statistics
from vrodent.training.preset import tiny
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.skills import HINT_SIZE, Role, stakes, with_skills
from vrodent.training.teachers.strikes import STRIKE
from vrodent.training.train import train
from vrodent.training.tree_folder import CheckpointError
from vrodent.training.unroll import Unroll, empty_unroll, unroll_shapes
from vrodent.training.vmpo import initial_duals

WORDS = tuple(Path(name) for name in ("gaps", "locomotion", "slopes", "tapping"))
SMALL = AgentConfig(
    num_policy_layers=1, core_size=8, policy_size=6, proprioception_layers=(12,), image_stem=16, image_channels=(4,), image_blocks=(0,),
    image_features=8, value_layers=(8,), num_value_heads=4,
)  # fmt: skip
ESTIMATES = HINT_SIZE - len(Role) - 54


@pytest.fixture(scope="module", name="skills")
def _skills() -> dict[Role, Teacher]:
    return find_skills(WORDS, Path("righting"), Path("locomotion"))


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_skill_that_is_told_what_its_teacher_is_does_as_its_teacher(task, skills):
    """In the task itself: so the last control follows from activations, what a skill has no use for is as it was in practice, and hints
    tell all there is to tell. Both compute in single precision, in another order: 1e-4 of an action whose unit is half of all control."""
    teacher = find_teachers(WORDS, Path("righting"), Path("locomotion"), SPEEDS, TASK_NAMES, strike=0.05)[task]
    env = make(task_for(task, teacher), num_worlds=2, seed=3, camera=False)
    stance = jnp.asarray(env.standing_ctrl, jnp.float32)
    motor = with_skills(Agent(SMALL, stance=stance), skills).motor
    assert motor is not None
    env.reset()
    before, roles = np.zeros((2, 159), np.float32), set()
    for _ in range(25):
        seen = teacher.observe(env)
        expected, _ = teacher.act(seen)
        felt = proprioception(env.physics.fields, env.index).astype(np.float32)
        acted = _as_told(motor, felt, before, teacher.hint(seen), stance)
        np.testing.assert_allclose(np.asarray(acted) / teacher.unit, expected, atol=1e-4)
        roles |= set(teacher.roles(seen).tolist())
        before = np.concatenate([felt, np.ones((2, 1), np.float32)], axis=1)
        env.step(np.clip(env.standing_ctrl + teacher.unit * expected, -1.0, 1.0))
    assert roles <= {"gaps": {Role.JUMP}, "forage": {Role.WALK}, "bowl": {Role.CLIMB, Role.RISE}}.get(task, set(Role))


@eqx.filter_jit
def _as_told(motor: Motor, felt: jax.Array, before: jax.Array, hint: jax.Array, stance: jax.Array) -> jax.Array:
    """What is done with estimates that are right and a skill that is asked for alone."""

    def one(felt: jax.Array, before: jax.Array, hint: jax.Array) -> jax.Array:
        weight = jnp.zeros_like(motor.estimates.weight)
        knowing = eqx.tree_at(lambda m: (m.estimates.weight, m.estimates.bias), motor, (weight, hint[:ESTIMATES]))
        role, told = hint[ESTIMATES : ESTIMATES + len(Role)], hint[ESTIMATES + len(Role) :]
        return knowing(felt, before, jnp.concatenate([100.0 * role, told]), stance)[0]

    return jax.vmap(one)(felt, before, hint)


def test_an_agent_keeps_what_it_is_and_at_another_time_its_command_as_well(skills):
    first = Agent(SMALL, seed=4)
    once = with_skills(first, skills, seed=1)
    for name in ("image_encoder", "proprioception_encoder", "core", "value_head", "policy", "log_std_head", "normaliser"):
        _same(getattr(once, name), getattr(first, name))
    assert once.config == replace(
        SMALL, skill_widths=(256, 256, 256, 256, 128), skill_sharpness=6.0, told_cases=(50, 53), told_direction=(0, 2), told_target=46,
        tapping_skill=int(Role.TAP),
    )
    for strike in (STRIKE, 0.05):
        clock = with_skills(first, skills, strike=strike).motor.clock
        assert [float(x) for x in (clock.strike, clock.dwell, clock.refractory, clock.step)] == pytest.approx([strike, 0.19, 0.95, 0.02])
    stronger = skills | {Role.JUMP: eqx.tree_at(lambda t: t.observation_mean, skills[Role.JUMP], jnp.ones(259))}
    twice = with_skills(once, stronger, seed=2)
    _same((twice.mean_head, twice.motor.hidden, twice.motor.estimates), (once.mean_head, once.motor.hidden, once.motor.estimates))
    _same(twice.motor.skills[Role.WALK], once.motor.skills[Role.WALK])
    np.testing.assert_array_equal(twice.motor.skills[Role.JUMP].mean, np.ones(259))


def test_the_error_of_a_command_by_hand():
    command = Command(estimates=jnp.asarray([1.0, 2.0]), asked=jnp.asarray([0.0, np.log(3.0)]), told=jnp.asarray([0.5, 0.0, -1.0]))
    hint, heeded = jnp.asarray([0.0, 2.0, 0.0, 1.0, 0.5, 2.0, 4.0]), jnp.asarray([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    error, told = command_error(command, hint, heeded)
    assert float(error) == pytest.approx(0.5 * (1.0 + 4.0) - np.log(0.75), rel=1e-6)
    assert float(told) == pytest.approx(4.0 / 3.0, rel=1e-6)
    weighted, told = command_error(command, hint, jnp.asarray([[1.0, 1.0, 1.0], [1.0, 3.0, 0.0]]))
    assert float(weighted - error) == pytest.approx(0.5 * 2.0 * 4.0, rel=1e-6)
    assert float(told) == pytest.approx(4.0 / 3.0, rel=1e-6)
    with pytest.raises(ValueError, match="needs hints of 7 numbers, but its teachers give 6"):
        command_error(command, jnp.zeros(6), heeded)


def test_what_is_at_stake_is_how_far_actions_move_per_unit_of_what_is_told(skills):
    """By finite differences in other moments than those looked at: means over 256 and 400 of them agree to 30 %."""
    reckoning = with_skills(Agent(SMALL), skills)
    agent = eqx.tree_at(lambda a: a.motor.clock, reckoning, replace=None)
    found, rng = stakes(agent), np.random.default_rng(8)
    assert agent.motor is not None and found.shape == (len(Role), 54)
    for role, numbers in ((Role.WALK, (0, 2)), (Role.JUMP, (1, 20)), (Role.TAP, (46, 48, 49, 53))):
        skill = agent.motor.skills[role]
        seen = np.asarray(skill.mean) + rng.standard_normal((400, 259)) / np.asarray(skill.scale)
        seen[:, 255:258] = np.eye(3)[rng.integers(3, size=400)]
        for number in numbers:
            moved = [_alone(agent.motor, role, seen, number, step) for step in (0.0, 0.01)]
            slope = np.mean(((moved[1] - moved[0]) / 0.01 / SMALL.action_scale) ** 2)
            assert found[role, number] == pytest.approx(slope, rel=0.3)
    assert (found[Role.RISE] == 0.0).all() and (found[Role.WALK, 3:] == 0.0).all() and (found[Role.JUMP, 46:] == 0.0).all()
    phases = [_alone(agent.motor, Role.TAP, _phase(seen, case), 0, 0.0) for case in range(3)]
    change = [[np.mean((one - two) ** 2) for one in phases] for two in phases]
    expected = [np.sum(row) / 2 / 2 / SMALL.action_scale**2 for row in change]
    np.testing.assert_allclose(found[Role.TAP, 50:53], expected, rtol=0.3)
    found[:, 49:] = 0.0
    np.testing.assert_array_equal(stakes(reckoning), found)  # nothing depends on what is reckoned


def _phase(seen: np.ndarray, case: int) -> np.ndarray:
    seen = seen.copy()
    seen[:, 255:258] = np.eye(3)[case]
    return seen


def _alone(motor: Motor, role: Role, seen: np.ndarray, number: int, step: float) -> np.ndarray:
    """What one skill does if it observes (moment, 259), one number that it is told being greater by `step`."""
    skill, seen = motor.skills[role], seen.copy()
    seen[:, 205 + number] += step
    body, last, told = (jnp.asarray(part, jnp.float32) for part in np.split(seen, (167, 205), axis=1))
    return np.asarray(jax.vmap(skill)(body, skill.reach * last, told, body[:, motor.height]))


def test_errors_of_what_is_told_weigh_by_what_is_at_stake(skills):
    """The whole loss: of two equal errors of what the hinted skill is told, the one with three times as much at stake counts four times."""
    agent = with_skills(Agent(SMALL), skills)
    batch = empty_unroll(unroll_shapes(agent.config, 1, True, HINT_SIZE), 1)
    batch.acted[:] = 1.0
    batch.hint[..., ESTIMATES + Role.TAP] = 1.0
    rows = Unroll(*(np.swapaxes(leaf, 0, 1) for leaf in batch[:-1]), memory=batch.memory)
    seen = {"proprioception": rows.proprioception, "egocentric": rows.egocentric}
    command = agent.unroll(seen, batch.memory, rows.reset > 0.0)[0].command
    assert command is not None
    rows.hint[..., -54:] = command.told[:1]
    at_stake = np.zeros((len(Role), 54), np.float32)
    at_stake[Role.TAP, 47] = 3.0
    loss = LossConfig(policy_weight=0.0, critic_policy="behaviour", command_weight=1.0)

    def term(number: int) -> float:
        hint = rows.hint.copy()
        hint[..., number - 54] += 2.0
        arguments = initial_duals(loss.vmpo, 4), initial_statistics(4), rows._replace(hint=hint), np.zeros(1, int), 0, None, at_stake
        return float(unroll_loss(loss, agent, None, *arguments)[1].report.command)

    assert term(47) - term(46) == pytest.approx(0.5 * 3.0 * 2.0**2, rel=1e-4)


def test_what_makes_no_skill_is_refused(skills):
    with pytest.raises(ValueError, match="there is none to rise"):
        with_skills(Agent(SMALL), {role: teacher for role, teacher in skills.items() if role is not Role.RISE})
    deep = Teacher(jax.random.key(0), TeacherConfig(observation_size=259, blocks=2))
    with pytest.raises(ValueError, match="the one to jump has 2"):
        with_skills(Agent(SMALL), skills | {Role.JUMP: deep})
    for words, righting, approach in ((WORDS[:1], "righting", "locomotion"), (WORDS, None, "locomotion"), (WORDS, "righting", None)):
        named = (None if name is None else Path(name) for name in (righting, approach))
        with pytest.raises(ValueError, match="needs a --teacher for each of the four tasks"):
            find_skills(words, *named)
    with pytest.raises(ValueError, match="knows one way to walk"):
        find_skills(WORDS, Path("righting"), Path("slopes"))


def test_learning_changes_the_command_and_the_estimates_and_no_skill(skills):
    """On one batch the error of the command falls; skills stay as they are to the bit."""
    agent = with_skills(Agent(SMALL), skills)
    rng, shapes = np.random.default_rng(0), unroll_shapes(agent.config, 5, True, HINT_SIZE)
    batch = empty_unroll(shapes, 8)
    batch.proprioception[:], batch.acted[:] = rng.normal(0.0, 0.3, batch.proprioception.shape), 1.0
    batch.hint[:, :, ESTIMATES + Role.TAP] = 1.0
    batch.hint[:, :, ESTIMATES + len(Role) :] = rng.normal(0.0, 0.5, 54)
    untaught = TeachingConfig(weight=0.0, final_weight=0.0)  # labels are made up, and not what the hint would ask for
    loss = LossConfig(policy_weight=0.0, critic_policy="behaviour", command_weight=1.0, teaching=untaught)
    config = LearnerConfig(learning_rate=3e-2, warmup_updates=0, loss=loss)
    learned, update = initial_learned(config, agent, 4, 100, hint_size=HINT_SIZE), make_update(config, 100)
    errors = []
    for _ in range(100):
        learned, report = update(learned, batch, np.zeros(8, int))
        errors.append(float(report.loss.command))
    assert errors[-1] < 0.2 * errors[0]
    assert learned.agent.motor is not None and agent.motor is not None
    _same(learned.agent.motor.skills, agent.motor.skills)
    assert not np.array_equal(learned.agent.motor.estimates.weight, agent.motor.estimates.weight)


def test_a_run_makes_and_keeps_a_student_with_skills(tmp_path, skills):
    loss = LossConfig(policy_weight=0.0, critic_policy="behaviour", hint_weight=1.0, command_weight=1.0)
    config = replace(tiny(), total_steps=100, learner=LearnerConfig(warmup_updates=0, loss=loss))
    teachers = _teachers()
    path = train(config, tmp_path / "one", teachers=teachers, skills=skills, say=_silent)
    made = load_agent(path)
    expected = with_skills(Agent(config.agent, stance=made.stance), skills)
    _same(made.motor.skills, expected.motor.skills)
    assert float(made.motor.clock.strike) == pytest.approx(0.05)  # as its teacher is told
    rows = list(csv.DictReader((tmp_path / "one" / "metrics.csv").open()))
    assert float(rows[-1]["loss/command"]) > 0.0 and float(rows[-1]["command_distance/two_tap"]) > 0.0
    again = load_agent(train(config, tmp_path / "two", teachers=teachers, start=path, say=_silent))
    assert again.config == made.config
    _same(again.motor.skills, made.motor.skills)
    with pytest.raises(CheckpointError, match="another architecture"):
        train(replace(config, agent=replace(config.agent, core_size=9)), tmp_path / "three", teachers=teachers, start=path, say=_silent)


def _teachers() -> Mapping:
    found = find_teachers(WORDS, Path("righting"), Path("locomotion"), SPEEDS, TASK_NAMES, strike=0.05)
    return {task: found[task] for task in tiny().tasks}


def _same(one: object, two: object) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def _silent(line: str) -> None:
    pass
