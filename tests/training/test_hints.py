"""Foretelling what a teacher is told: what it is, what it trains, and that it makes a core remember."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent import Agent
from vrodent.simulation import make
from vrodent.training.collection import ActorConfig, ActorRun
from vrodent.training.hints import HintHead, hint_error, hint_size, hint_weight
from vrodent.training.learner import LearnerConfig, initial_learned, make_update
from vrodent.training.losses import LossConfig, unroll_loss
from vrodent.training.popart import initial_statistics
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.skills import HINT_SIZE, Role
from vrodent.training.teachers.store import find_teacher, load_teacher
from vrodent.training.teachers.task_teacher import approaching_teacher
from vrodent.training.unroll import Unroll, empty_unroll, unroll_shapes
from vrodent.training.vmpo import initial_duals

pytestmark = pytest.mark.usefixtures("quick_compilation")

TASK = np.array([0, 0, 1, 1])


def test_error_by_hand():
    head = HintHead(4, 3, seed=0)
    core, hint = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), np.ones((5, 3), np.float32)
    expected = [0.5 * sum((float(a) - b) ** 2 for a, b in zip(row, (1, 1, 1), strict=True)) for row in head(jnp.asarray(core))]
    np.testing.assert_allclose(hint_error(head, jnp.asarray(core), jnp.asarray(hint)), expected, rtol=1e-5)
    weight = np.random.default_rng(1).uniform(size=(5, 3)).astype(np.float32)
    expected = [0.5 * np.sum(w * (np.asarray(head(row)) - 1.0) ** 2) for w, row in zip(weight, core, strict=True)]
    np.testing.assert_allclose(hint_error(head, jnp.asarray(core), jnp.asarray(hint), jnp.asarray(weight)), expected, rtol=1e-5)


def test_what_is_told_weighs_more_by_what_is_at_stake_in_the_skill_that_is_hinted():
    stakes = jnp.asarray([[0.0, 5.0, 1.0], [2.0, 0.0, 7.0]])
    hint = jnp.asarray([[9.0, 1.0, 0.0, 8.0, 8.0, 8.0], [9.0, 0.0, 1.0, 8.0, 8.0, 8.0]])
    np.testing.assert_array_equal(hint_weight(hint, stakes), [[1, 1, 1, 1, 6, 2], [1, 1, 1, 3, 1, 8]])


def test_it_trains_core_encoders_and_head_and_no_policy(agent, make_unrolls):
    batch = _with_hints(make_unrolls(agent.config, taught=False), 3)
    head = HintHead(agent.config.core_size, 3, seed=0)
    config = LossConfig(value_weight=0.0, policy_weight=0.0, hint_weight=2.0)
    duals, statistics = initial_duals(config.vmpo, 2), initial_statistics(2)

    def loss(trained: tuple[Agent, HintHead]) -> jax.Array:
        return unroll_loss(config, trained[0], None, duals, statistics, _time_first(batch), TASK, 0, trained[1])[0]

    gradient, by_head = jax.jit(jax.grad(loss))((agent, head))
    for part in (gradient.core, gradient.image_encoder, gradient.proprioception_encoder, by_head):
        assert _largest(part) > 0.0
    for part in (*gradient.policy, gradient.mean_head, gradient.log_std_head, gradient.value_head):
        assert _largest(part) == 0.0


def test_rows_that_do_not_count_are_left_out(agent, make_unrolls):
    """What was told at a final observation and before the burn-in is of no consequence."""
    batch = _with_hints(make_unrolls(agent.config, taught=False), 3)
    head, config = HintHead(agent.config.core_size, 3, seed=0), LossConfig(policy_weight=0.0, hint_weight=1.0, burn_in=1)

    def term(hint: np.ndarray) -> float:
        arguments = initial_duals(config.vmpo, 2), initial_statistics(2), _time_first(batch._replace(hint=hint)), TASK, 0, head
        return float(unroll_loss(config, agent, None, *arguments)[1].report.hint)

    other, changed = batch.hint.copy(), batch.hint.copy()
    other[1, 2], other[:, 0] = 99.0, 99.0
    changed[1, 3] += 1.0
    assert term(other) == term(batch.hint) != term(changed)


@pytest.mark.parametrize("weight", [1.0, 7.0])
def test_rows_after_a_first_touch_count_as_often_as_told(agent, make_unrolls, weight):
    """Against a sum over rows by hand, in which such a row occurs `weight` times; single precision, hence 1e-5."""
    batch = make_unrolls(agent.config)
    touched = (np.arange(batch.acted.size).reshape(batch.acted.shape) % 3 == 0).astype(np.float32)
    batch = batch._replace(hint=np.stack([touched, 1.0 - touched, np.zeros_like(touched)], axis=-1).astype(np.float32))
    head, config = HintHead(agent.config.core_size, 3, seed=0), LossConfig(policy_weight=0.0, hint_weight=1.0, touched_weight=weight)
    rows = _time_first(batch)
    report = unroll_loss(config, agent, None, initial_duals(config.vmpo, 2), initial_statistics(2), rows, TASK, 0, head)[1].report
    output, _ = agent.unroll({"proprioception": rows.proprioception, "egocentric": rows.egocentric}, rows.memory, rows.reset > 0.0)
    spread, foretold = config.teaching.spread, np.asarray(head(output.core[:-1]))
    taught, hinted, squared = [], [], []
    for time, world in zip(*np.nonzero(np.asarray(rows.acted)), strict=True):
        times = weight if rows.hint[time, world, 0] else 1.0
        off = np.asarray(output.mean[time, world] - rows.teacher_mean[time, world])
        width = np.asarray(output.log_std[time, world]) - np.log(spread)
        taught.append((times, 0.5 * np.sum((off / spread) ** 2 + width**2)))
        hinted.append((times, 0.5 * np.sum((foretold[time, world] - rows.hint[time, world]) ** 2)))
        if rows.hint[time, world, 0]:
            squared.append((int(TASK[world]), np.mean(off**2)))
    for found, pairs in ((report.teaching, taught), (report.hint, hinted)):
        np.testing.assert_allclose(found, sum(t * x for t, x in pairs) / sum(t for t, _ in pairs), rtol=1e-5)
    expected = [np.sqrt(np.mean([x for task, x in squared if task == number])) for number in (0, 1)]
    np.testing.assert_allclose(report.touched_distance, expected, rtol=1e-5)


def test_a_core_learns_to_remember_what_was_told_when_it_could_be_seen(small_config):
    """A sign is seen in the first row only and must be foretold in all: who remembers nothing cannot do better than 1 from row 1 on."""
    agent, rng = Agent(small_config(), seed=3), np.random.default_rng(0)

    def batches():
        while True:
            unroll = empty_unroll(unroll_shapes(agent.config, 6, False, 1), 4)
            sign = rng.choice([-1.0, 1.0], size=4)
            unroll.proprioception[:, 0, 0] = 3.0 * sign
            unroll.hint[:] = sign[:, None, None]
            yield unroll._replace(acted=np.ones_like(unroll.acted))

    loss = LossConfig(policy_weight=0.0, critic_policy="behaviour", burn_in=1, hint_weight=1.0)
    config = LearnerConfig(learning_rate=1e-2, warmup_updates=5, loss=loss)
    now, update = initial_learned(config, agent, 2, 300, hint_size=1, seed=1), make_update(config, 300)
    reports = []
    for batch in itertools.islice(batches(), 300):
        now, report = update(now, batch, TASK)
        reports.append(np.asarray(report.loss.hint_distance))
    assert np.mean(reports[:10]) > 0.8
    assert np.mean(reports[-30:]) < 0.2


class Telling:
    """A teacher that is told what the rat's observation says of world, episode and step."""

    hint_size = 3

    def observe(self, env):
        return env.felt

    def act(self, observation):
        return np.zeros((2, 38)), np.full((2, 38), -3.0)

    def hint(self, observation):
        return observation[:, :3]


class Counting:
    """Two worlds whose proprioception says world and step; no episode ends."""

    num_worlds = 2
    episode = np.zeros(2, int)

    def __init__(self):
        self.felt = np.zeros((2, 158), np.float32)

    def reset(self, mask=None):
        self.felt[:, 0], self.felt[:, 1] = [0, 1], 0
        return self._observe()

    def step(self, control):
        self.felt[:, 1] += 1
        zero, no = np.zeros(2, np.float32), np.zeros(2, bool)
        info = type("Info", (), {"discount": zero + 1, "diverged": no})
        return type("Step", (), {"observation": self._observe(), "reward": zero, "terminated": no, "truncated": no, "info": info})

    def _observe(self):
        return {"proprioception": self.felt.copy(), "egocentric": np.zeros((2, 64, 64, 3), np.uint8)}


def test_a_hint_is_of_the_moment_that_its_row_shows(agent):
    run = ActorRun(ActorConfig(task=0, unroll_length=4, seed=0), agent, Counting(), Telling())  # pyright: ignore[reportArgumentType]
    for _ in range(2):
        unroll = run.collect(agent)
        np.testing.assert_array_equal(unroll.hint, unroll.proprioception[:, :-1, :3])
    assert unroll.hint[1, -1].tolist() == [1.0, 7.0, 0.0]


def test_teachers_with_hints_of_different_sizes_cannot_teach_one_student():
    assert hint_size({}) == 0
    assert hint_size({"gaps": Telling(), "bowl": Telling()}) == 3
    with pytest.raises(ValueError, match="'gaps': 3, 'bowl': 0"):
        hint_size({"gaps": Telling(), "bowl": object()})


def test_what_is_told_of_an_orb_does_not_change_with_the_teacher_that_has_the_rat():
    """Left of the rat, behind it, and below its nose. An orb out of sight and of reach of whiskers is to be looked for 1.2 rad to the left;
    the bearing of the last is 0. The situation is tapping throughout, whoever has the rat: the walker twice, then the tapper."""
    walker = load_teacher(find_teacher("locomotion")).teacher
    teacher = approaching_teacher(walker, Teacher(jax.random.key(5), walker.config), 0.4, walker)
    env = make("two_tap", num_worlds=3, seed=1, camera=False, physics="training")
    env.reset()
    env.physics.fields.qpos[:, 3:7] = [1.0, 0.0, 0.0, 0.0]
    env.physics.fields.forward()
    torso = env.physics.fields.xpos[:, env.index.torso, :2] - env.physics.fields.qpos[:, :2]
    offset = np.array([[0.0, 0.8], [-0.5, 0.0], [0.1, 0.0]])
    env.physics.fields.qpos[:, :2] = env.arenas.targets[:, 0, :2] - torso - offset
    env.physics.fields.forward()
    hint = teacher.hint(teacher.observe(env))
    assert hint.shape == (3, teacher.hint_size) == (3, HINT_SIZE)
    roles, told = hint[:, HINT_SIZE - 54 - len(Role) : HINT_SIZE - 54], hint[:, HINT_SIZE - 54 :]
    assert roles.argmax(axis=1).tolist() == [Role.WALK, Role.WALK, Role.TAP]
    search = [np.cos(1.2), np.sin(1.2)]
    np.testing.assert_allclose(told[:, :2], [search, search, [1.0, 0.0]], atol=1e-5)
    assert (told[:, 42:46] == [0.0, 0.0, 0.0, 1.0]).all()
    ahead = env.physics.fields.xpos[:, env.index.torso, :2] + offset
    np.testing.assert_allclose(ahead, env.arenas.targets[:, 0, :2], atol=1e-9)


def _with_hints(batch: Unroll, size: int) -> Unroll:
    return batch._replace(hint=np.random.default_rng(5).normal(size=(*batch.acted.shape, size)).astype(np.float32))


def _time_first(batch: Unroll) -> Unroll:
    return Unroll(*(np.swapaxes(leaf, 0, 1) for leaf in batch[:-1]), memory=batch.memory)


def _largest(tree) -> float:
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
