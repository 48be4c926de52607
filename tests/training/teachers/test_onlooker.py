"""A skill practised as its student tells it: told by the student, its teacher does what the student's skill does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent, AgentConfig, forget
from vrodent.commands.teachers import find_skills
from vrodent.simulation import make
from vrodent.task.gaps import Gaps
from vrodent.training.teachers import grounds
from vrodent.training.teachers.grounds import make_grounds
from vrodent.training.teachers.guidance import Ground
from vrodent.training.teachers.guides import BowlGuide, GapsGuide
from vrodent.training.teachers.mirror import Mirror
from vrodent.training.teachers.onlooker import Onlooker
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import BODY, PREVIOUS_ACTION, TOLD, not_felt, observe
from vrodent.training.teachers.skills import Role, with_skills
from vrodent.training.teachers.teach import Schooling, TeachConfig

SMALL = AgentConfig(
    num_policy_layers=1, core_size=8, policy_size=6, proprioception_layers=(12,), image_stem=16, image_channels=(4,), image_blocks=(0,),
    image_features=8, value_layers=(8,), num_value_heads=4,
)  # fmt: skip
SKILLS = tuple(Path(name) for name in ("gaps", "locomotion", "slopes", "tapping"))
CONFIG = PracticeConfig(num_worlds=(0, 3, 0, 0, 0), action_scale=1.0, onlooker="four-tasks", levels=(1.0, 1.0))


@pytest.fixture(scope="module", name="skills")
def _skills():
    return find_skills(SKILLS, Path("righting"), Path("locomotion"))


@pytest.fixture(scope="module", name="agent")
def _agent(skills):
    """That sees, remembers and tells at random, in whatever task, and asks for the skill that jumps alone."""
    env = make("gaps", camera=False)
    agent = with_skills(Agent(SMALL, seed=3, stance=env.standing_ctrl), skills)
    head = agent.mean_head
    count = len(Role)
    asked = jnp.zeros(count).at[Role.JUMP].set(100.0)
    weight, bias = 20.0 * head.weight.at[:, :count].set(0.0), head.bias.at[:count].set(asked)
    return eqx.tree_at(lambda a: (a.mean_head.weight, a.mean_head.bias), agent, (weight, bias))


def test_told_by_the_student_a_teacher_does_as_the_students_skill(agent, skills):
    """In corridors and the release's physics, through a restart of one world. The student takes the last control from activations; both
    compute in single precision, in another order: 1e-4 of an action whose unit is half of all control."""
    env = make(Gaps(corridor_length=16.0), 3, seed=1)
    onlooker, guide, teacher = Onlooker(agent, 3, Role.JUMP), GapsGuide(speed=0.8), skills[Role.JUMP]
    act = eqx.filter_jit(lambda senses, memory, reset: agent.act(senses, forget(memory, reset)))
    senses, memory, fresh = env.reset(), agent.initial_memory(3), np.ones(3, bool)
    said = []
    for step in range(12):
        output, memory = act(senses, memory, fresh)
        for begins in (False, True):
            if (fresh == begins).any():
                onlooker.look(senses, np.flatnonzero(fresh == begins), fresh=begins)
        truth = observe(env, guide, guide.guide(env), 1.0)
        heard = onlooker.told(truth)
        expected = np.asarray(teacher.act(jnp.asarray(heard))[0]) / agent.config.action_scale
        np.testing.assert_allclose(np.asarray(output.mean), expected, atol=1e-4)
        said.append(heard[:, TOLD])
        senses = env.step(np.asarray(agent.ctrl(output.mean), float)).observation
        fresh = np.array([False, step == 5, False])
        if fresh.any():
            senses = env.reset(fresh)
    assert np.std(said, axis=0).max() > 0.01, "it tells the same whatever it sees: the test shows nothing"


def test_the_rat_moves_as_that_of_an_agent_with_the_skill_practised(skills):
    """Whatever share of the rat it gives to that skill and to others. Tolerances as above."""
    env = make("bowl", 4, seed=2)
    agent = with_skills(Agent(SMALL, seed=3, stance=env.standing_ctrl), skills)
    agent = eqx.tree_at(lambda a: a.mean_head.weight, agent, 2.0 * agent.mean_head.weight)
    onlooker, senses, memory, shares = Onlooker(agent, 4, Role.CLIMB), env.reset(), agent.initial_memory(4), []
    for step in range(6):
        output, memory = agent.act(senses, memory)
        onlooker.look(senses, np.arange(4), fresh=step == 0)
        guide = BowlGuide(speed=0.5, ground=Ground.FLAT)
        heard = onlooker.told(observe(env, guide, guide.guide(env), 1.0))
        skill = np.asarray(skills[Role.CLIMB].act(jnp.asarray(heard))[0])
        np.testing.assert_allclose(agent.config.action_scale * np.asarray(output.mean), onlooker.moved(skill), atol=1e-4)
        shares.append(onlooker.share.copy())
        senses = env.step(np.asarray(agent.ctrl(output.mean), float)).observation
    assert np.min(shares) > 0.05 and np.max(shares) < 0.95, "one skill has it all: the test shows nothing"


def test_what_is_felt_stays_the_truth_and_the_rest_does_not(agent):
    onlooker = Onlooker(agent, 2, Role.JUMP)
    truth = np.random.default_rng(0).normal(size=(2, TOLD.stop)).astype(np.float32)
    before = truth.copy()
    heard = onlooker.told(truth)
    felt = np.setdiff1d(np.arange(BODY.stop), not_felt())
    np.testing.assert_array_equal(heard[:, felt], truth[:, felt])
    np.testing.assert_array_equal(heard[:, PREVIOUS_ACTION], truth[:, PREVIOUS_ACTION])
    assert not np.any(heard[:, not_felt()] == truth[:, not_felt()]) and not np.any(heard[:, TOLD] == truth[:, TOLD])
    np.testing.assert_array_equal(truth, before)


def test_many_rats_are_looked_at_as_each_alone(agent):
    """More than are looked at together after a restart, and some that are not: they remember what they did."""
    rng = np.random.default_rng(1)
    senses = [_senses(rng, 11) for _ in range(3)]
    together, ids = Onlooker(agent, 11, Role.JUMP), np.arange(11)
    together.look(senses[0], ids, fresh=True)
    together.look(senses[1], ids, fresh=False)
    again = np.array([0, 1, 2, 3, 4, 6, 7, 8, 10])
    together.look(senses[2], again, fresh=True)
    truth = np.zeros((11, TOLD.stop), np.float32)
    for world in range(11):
        alone, here = Onlooker(agent, 1, Role.JUMP), np.zeros(1, int)
        mine = [{name: rows[world : world + 1] for name, rows in moment.items()} for moment in senses]
        if world in again:
            alone.look(mine[2], here, fresh=True)
        else:
            alone.look(mine[0], here, fresh=True)
            alone.look(mine[1], here, fresh=False)
        # products of other shapes are summed in another order, in single precision
        np.testing.assert_allclose(together.told(truth)[world], alone.told(truth[:1])[0], atol=2e-5)
        for one, other in zip(jax.tree.leaves(together.memory), jax.tree.leaves(alone.memory), strict=True):
            np.testing.assert_allclose(one[world], other[0], atol=2e-5)


def _senses(rng: np.random.Generator, worlds: int) -> dict[str, np.ndarray]:
    pictures = rng.integers(0, 256, (worlds, 64, 64, 3), dtype=np.uint8)
    return {"proprioception": rng.normal(size=(worlds, 158)).astype(np.float32), "egocentric": pictures}


@pytest.fixture(name="corridors")
def _corridors(monkeypatch, agent):
    monkeypatch.setattr(grounds, "load_agent", lambda name: agent)
    (ground,) = make_grounds(CONFIG, seed=5)
    yield ground
    ground.env.close()


def test_practice_advances_the_onlooker_once_a_step_and_forgets_with_each_episode(corridors, agent):
    """Beside it an onlooker that is shown by hand what there was to see. Observed is what it tells, and then the truth."""
    beside = Onlooker(agent, 3, Role.JUMP)
    beside.look(corridors.env.observe(), np.arange(3), fresh=True)

    def check(observation: np.ndarray) -> None:
        told, truth = np.split(observation, 2, axis=1)
        guide = corridors.guide_of()
        np.testing.assert_array_equal(truth, observe(corridors.env, guide, guide.guide(corridors.env), 1.0))
        np.testing.assert_allclose(told, beside.told(truth), atol=2e-5)

    check(corridors.observe())
    for step in range(4):
        last = corridors.step(np.full((3, 38), 0.1 * step))
        beside.look(corridors.env.observe(), np.arange(3), fresh=False)
        check(last.observation)
        ends = np.array([step == 1, False, step == 2])
        following = corridors.restart(replace(last, terminated=ends, truncated=np.zeros(3, bool)))
        if ends.any():
            beside.look(corridors.env.observe(), np.flatnonzero(ends), fresh=True)
        check(following)


def test_who_cannot_tell_is_refused(monkeypatch, agent):
    monkeypatch.setattr(grounds, "load_agent", lambda name: agent)
    with pytest.raises(ValueError, match="not in 2 worlds of OpenGround"):
        make_grounds(replace(CONFIG, num_worlds=(2, 1, 0, 0, 0)), seed=0)
    with pytest.raises(ValueError, match="with an onlooker second_chances are thrown starts on slopes, without righting"):
        replace(CONFIG, second_chances=0.3)
    with pytest.raises(ValueError, match="with an onlooker blur must be 0"):
        replace(CONFIG, blur=0.01)
    with pytest.raises(ValueError, match="blindfold is for an onlooker on slopes and in hollows"):
        replace(CONFIG, blindfold=True)
    with pytest.raises(ValueError, match="commands no skills"):
        Onlooker(Agent(SMALL), 2, Role.JUMP)


def test_a_run_acts_on_what_is_told_and_its_critics_judge_by_the_truth(tmp_path, monkeypatch, agent):
    """The half of an observation that is not theirs may be anything; so may, for a mirror image, the side."""
    monkeypatch.setattr(grounds, "load_agent", lambda name: agent)
    config = TeachConfig(steps=60, updates=2, batch_size=8, warm_up=16, actor_width=16, critic_width=16, mirror=True, practice=CONFIG)
    run = Schooling(replace(config, random_steps=0, calm=0.9), tmp_path)
    run.run(lambda line: None)
    assert run.steps == 60 and run.replay.arrays()["observation"].shape[1] == 2 * TOLD.stop
    observation = run.classroom.observe()
    told, truth = np.split(observation, 2, axis=1)
    run._calm = np.ones(3, bool)
    chosen = run._choose(observation)
    np.testing.assert_array_equal(chosen, run._choose(np.concatenate([told, 0.0 * truth], axis=1)))
    assert not np.array_equal(chosen, run._choose(np.concatenate([0.0 * told, truth], axis=1)))
    batch = run.replay.sample(np.random.default_rng(0), (8,))
    wrong = batch._replace(observation=np.concatenate([0.0 * batch.observation[:, : TOLD.stop], batch.observation[:, TOLD.stop :]], axis=1))
    one, other = (run.learner.update_critic(run.variables, some)[1] for some in (batch, wrong))
    assert float(one) == float(other)
    seen = batch.observation.copy()
    run._reflect(batch, 4)
    mirror = Mirror.of(run.classroom.grounds[0].env.index)
    for half in (slice(None, TOLD.stop), slice(TOLD.stop, None)):
        np.testing.assert_array_equal(batch.observation[:4, half], mirror.observation(seen[:4, half]))
    np.testing.assert_array_equal(batch.observation[4:], seen[4:])


def test_the_critics_alone_learn_at_first(tmp_path):
    practice = PracticeConfig(num_worlds=(4, 0, 0, 0, 0))
    config = TeachConfig(
        steps=160, updates=2, batch_size=8, warm_up=16, random_steps=0, actor_width=16, critic_width=16, actor_from=80, practice=practice
    )
    run = Schooling(config, tmp_path)
    first, critic = (jax.tree.map(np.array, part) for part in (run.variables.actor, run.variables.critic))
    temperature = float(run.variables.log_temperature)
    run.config = replace(config, steps=80)
    run.run(lambda line: None)
    assert run.steps == 80 and _equal(run.variables.actor, first) and not _equal(run.variables.critic, critic)
    assert float(run.variables.log_temperature) == temperature
    run.config = config
    run.run(lambda line: None)
    assert not _equal(run.variables.actor, first) and float(run.variables.log_temperature) != temperature


def _equal(one: object, other: object) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
