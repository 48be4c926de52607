"""Slopes practised with the onlooker's eyes bound, and as the task begins them."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.training.checkpoint import load_agent
from vrodent.training.teachers.blindfolded import Blindfolded
from vrodent.training.teachers.grounds import make_grounds
from vrodent.training.teachers.guidance import pose
from vrodent.training.teachers.guides import terrain_heights
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import TOLD, observe
from vrodent.training.teachers.skills import Role, equipped
from vrodent.training.teachers.slopes import Slopes
from vrodent.training.teachers.store import find_teacher, load_teacher
from vrodent.training.teachers.task_teacher import lies

CONFIG = PracticeConfig(
    num_worlds=(0, 0, 6, 0, 0), action_scale=1.0, onlooker="four-tasks", blindfold=True, levels=(1.0, 1.0), second_chances=0.5,
    episode_steps=60, top_speed=(0.9, 0.9), patience=0.1, physics="reference",
)  # fmt: skip


@pytest.fixture(scope="module", name="agent")
def _agent():
    return load_agent("four-tasks")


@pytest.fixture(name="ground")
def _ground():
    (ground,) = make_grounds(CONFIG, seed=4)
    assert isinstance(ground, Slopes)
    yield ground
    ground.env.close()


def test_its_skill_does_as_that_of_an_agent_with_a_true_compass(ground, agent):
    """Told what the onlooker tells, the teacher does what the equipped agent's skill does, and where a rat lies its skill to rise has it.
    Reference physics, for which a motor takes the last control from activations. Both compute in single precision, in another order: 1e-4
    of an action whose unit is all control."""
    teacher = load_teacher(find_teacher("slopes")).teacher
    motor = equipped(agent, Role.CLIMB, teacher, compass=True).motor
    before, lain = np.zeros((6, 159), np.float32), []
    for _ in range(25):
        told = ground.observe()[:, : TOLD.stop]
        mean = np.asarray(teacher.act(jnp.asarray(told))[0])
        felt = ground.env.observe()["proprioception"].astype(np.float32)
        lying = lies(ground.env)
        asked = 10.0 * np.eye(len(Role), dtype=np.float32)[np.where(lying, Role.RISE, Role.CLIMB)]
        noise = np.random.default_rng(1).normal(size=(6, TOLD.stop - TOLD.start)).astype(np.float32)
        noise[:, 2] = 0.5  # of all that the policy tells, only the speed matters
        way = ground.observe()[:, TOLD.stop :][:, TOLD][:, :2]
        given = jnp.concatenate([asked, noise], axis=1)
        expected, _ = motor(jnp.asarray(felt), jnp.asarray(before), given, agent.stance, (), jnp.asarray(way))
        np.testing.assert_allclose(ground.onlooker.moved(mean), np.asarray(expected), atol=1e-4)
        ground.step(mean)
        before = np.concatenate([felt, np.ones((6, 1), np.float32)], axis=1)
        lain.append(lying)
    assert 0.05 < np.mean(lain) < 0.95, "all lie or none does: the test shows nothing"


def test_some_begin_as_the_task_does_and_are_judged_once_they_are_up(ground):
    """Thrown: within 10 cm of the centre, on no legs; the others stand up to half of the radius away. Who is not up cannot fall, nor stand
    for too long; patience is a tenth of a second here."""
    thrown = np.zeros(6, bool)
    for _ in range(12):
        ground.reset(np.arange(6))
        thrown = ~ground.practised
        away = np.linalg.norm(ground.env.physics.fields.qpos[:, :2], axis=1)
        assert (away[thrown] < 0.1).all() and (away[~thrown] <= 3.0).all() and (ground.steps[thrown] == 0).all()
        if 0 < thrown.sum() < 6 and lies(ground.env)[thrown].any():
            break
    waited, ended = np.zeros(6, int), np.zeros(6, bool)
    for _ in range(50):
        last = ground.step(np.zeros((6, 38)))
        assert not (last.terminated & ~last.practised).any()
        waited += ~last.practised
        ended |= last.terminated
    assert (waited[~thrown] == 0).all() and (waited[thrown] > 0).all() and ended[~thrown].all()


def test_the_course_is_onward_and_who_is_faster_is_right(ground):
    fields = ground.env.physics.fields
    np.testing.assert_array_equal(ground._along.speed, 0.9)
    at = pose(fields, ground.env.index)
    ahead = at.position[:, :2] + 0.5 * np.stack([np.cos(at.yaw), np.sin(at.yaw)], axis=1)
    np.testing.assert_allclose(ground._along.heading, np.arctan2(ahead[:, 1], ahead[:, 0]))
    told, truth = np.split(ground.observe(), 2, axis=1)
    guide = ground.guide_of()
    np.testing.assert_array_equal(truth, observe(ground.env, guide, guide.guide(ground.env), 1.0))
    np.testing.assert_array_equal(told[:, TOLD][:, :2], truth[:, TOLD][:, :2])
    np.testing.assert_array_equal(told[:, TOLD][:, 2], 0.5)
    np.testing.assert_array_equal(truth[:, TOLD][:, 2], np.float32(0.9))
    assert ground.hurried


def test_each_rat_is_felt_by_itself(agent):
    """Some begin anew while the others go on."""
    (ground,) = make_grounds(replace(CONFIG, second_chances=0.0), seed=1)
    together = ground.onlooker
    assert isinstance(together, Blindfolded)
    alone = Blindfolded(agent, ground.env, Role.CLIMB)
    alone.look(ground.env.observe(), np.arange(6), fresh=True)
    for _ in range(3):
        ground.step(np.full((6, 38), 0.2))
        alone.look(ground.env.observe(), np.arange(6), fresh=False)
    truth = np.zeros((6, TOLD.stop), np.float32)
    np.testing.assert_array_equal(together.told(truth), alone.told(truth))
    once = together.told(truth)
    together.look(ground.env.observe(), np.array([2]), fresh=True)
    same = np.array([0, 1, 3, 4, 5])
    np.testing.assert_array_equal(together.told(truth)[same], once[same])
    assert not np.array_equal(together.told(truth)[2], once[2])
    ground.env.close()


def test_in_hollows_rats_are_dropped_out_to_beyond_the_ridge_and_rise_by_the_skill_that_rises(agent):
    """Over 4 m times the difficulty, uniformly, at least where the ground is: none is in it by more than a step of the terrain's grid
    (6 cm) can rise. The skill has them all the time."""
    (ground,) = make_grounds(replace(CONFIG, num_worlds=(0, 0, 0, 40, 0), levels=(0.0, 1.0)), seed=6)
    fields = ground.env.physics.fields
    away = np.linalg.norm(fields.qpos[:, :2], axis=1)
    assert away[0] < 0.1 and (away < 4.0 * ground.difficulty + 1e-9).all() and away.max() > 2.5
    assert abs(away.mean() - 1.0) < 3 * 0.88 / 40**0.5  # three standard errors: a uniform share of 4 m times a uniform difficulty
    below = terrain_heights(ground.env, fields.qpos[:, None, :2])[:, 0]
    assert (fields.qpos[:, 2] > below).all()
    nose = pose(fields, ground.env.index).rotation[:, 2, 0]
    # Half of those thrown far have it up by 50 to 140 degrees, sine above 0.64; of directions that are uniform on a sphere 18 % have.
    assert 0.4 < (nose[1:] > 0.64).mean() < 0.8  # 59 % expected, two and a half standard deviations of 39 draws
    told = ground.observe()[:, : TOLD.stop]
    rise = agent.motor.skills[Role.RISE]
    np.testing.assert_array_equal(told[:, TOLD][:, :3], np.tile(np.asarray(rise.constant[:3]), (40, 1)))
    np.testing.assert_array_equal(ground.onlooker.share, 1.0)
    np.testing.assert_allclose(ground.onlooker.rest, 0.0, atol=1e-20)  # of the others, which are as good as not asked for
    ground.env.close()
