"""A run of a teacher: takes steps, saves, resumes, refuses what it cannot take up."""

import dataclasses

import jax
import numpy as np
import pytest

from vrodent.simulation import make
from vrodent.task.two_tap import CORRECT, TAPPED
from vrodent.training.teachers.mirror import Mirror
from vrodent.training.teachers.network import Critic, Teacher
from vrodent.training.teachers.normaliser import RunningMoments
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import PREVIOUS_ACTION
from vrodent.training.teachers.reach import critic_with_reach, teacher_with_reach
from vrodent.training.teachers.sac import SacMetrics
from vrodent.training.teachers.store import find_teacher, load_teacher
from vrodent.training.teachers.task_teacher import approaching_teacher, righting_teacher, task_teachers
from vrodent.training.teachers.teach import Schooling, TeachConfig, config_from_json
from vrodent.training.teachers.transitions import ReplayConfig
from vrodent.training.tree_folder import CheckpointError

TINY = TeachConfig(
    steps=160, updates=2, batch_size=8, warm_up=16, random_steps=40, actor_width=16, critic_width=16,
    practice=PracticeConfig(num_worlds=(2, 1, 0, 0, 1), episode_steps=30), replay=ReplayConfig(capacity=200),
)  # fmt: skip

_NO_METRICS = SacMetrics(*np.zeros(4))


def test_running_moments_are_those_of_all_rows():
    rows = np.random.default_rng(0).normal(3.0, [1.0, 10.0], size=(1000, 2))
    moments = RunningMoments(2)
    for part in np.split(rows, [1, 7, 300]):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, rows.var(axis=0), rtol=1e-12)


def test_a_run_goes_on_from_where_it_was(tmp_path):
    lines = []
    run = Schooling(TINY, tmp_path)
    run.run(lines.append)
    assert run.steps == 160 and run.replay.size > 100
    with pytest.raises(FileExistsError, match="--resume"):
        Schooling(TINY, tmp_path)
    again = Schooling(TINY, tmp_path, resume=True)
    assert again.config == TINY and again.steps == run.steps
    for one, other in zip(jax.tree.leaves(run.variables), jax.tree.leaves(again.variables), strict=True):
        if not jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.moments.mean, run.moments.mean)
    for name, array in run.replay.arrays().items():
        np.testing.assert_array_equal(array, again.replay.arrays()[name])
    stored = load_teacher(tmp_path / "teacher")
    assert stored.numbers["steps"] == 160 and stored.lineage[0].steps == 160


def test_learning_changes_the_actor_and_the_same_seed_gives_the_same_one(tmp_path):
    runs = [Schooling(TINY, tmp_path / name) for name in ("one", "two")]
    before = np.asarray(runs[0].variables.actor.net.inlet.weight).copy()
    for run in runs:
        run.run(lambda _: None)
    one, two = (np.asarray(run.variables.actor.net.inlet.weight) for run in runs)
    assert np.isfinite(one).all() and not np.array_equal(one, before)
    np.testing.assert_array_equal(one, two)


def test_calm_worlds_act_by_the_mean_and_the_others_explore(tmp_path):
    """A half of four worlds, spread: the second and the fourth."""
    run = Schooling(dataclasses.replace(TINY, calm=0.5, random_steps=0), tmp_path)
    observation = run.classroom.observe()
    mean = np.tanh(np.asarray(run.variables.actor(run._normalised(observation))[0]))
    off = np.abs(run._choose(observation) - mean).max(axis=1)
    assert (off[[1, 3]] < 1e-6).all() and (off[[0, 2]] > 1e-3).all()
    with pytest.raises(ValueError, match="calm must be a share"):
        TeachConfig(calm=1.0)


def test_half_of_what_a_mirrored_run_learns_from_is_seen_in_a_mirror(tmp_path, monkeypatch):
    """All that is learned from is in the replay: the first four of eight rows once they are reflected back, the others as they are."""
    run = Schooling(dataclasses.replace(TINY, mirror=True), tmp_path)
    run.run(lambda _: None)
    mirror, held = Mirror.of(run.classroom.grounds[0].env.index), run.replay.arrays()
    learned = []
    monkeypatch.setattr(run.learner, "update", lambda variables, batch: (variables, learned.append(batch) or _NO_METRICS))
    monkeypatch.setattr(run, "_normalised", lambda observation: observation)
    run._learn()
    (batch,) = learned
    actions = {float(action) for action in held["action"].astype(np.float32).sum(axis=1)}
    for row in range(8):
        seen, acted = batch.observation[0, 1, row], batch.action[0, 1, row]
        reflected = float(mirror.action(acted).sum())
        assert any(abs((reflected if row < 4 else float(acted.sum())) - action) < 1e-4 for action in actions)
        original = mirror.observation(seen) if row < 4 else seen
        assert (np.abs(held["observation"].astype(np.float32) - original).max(axis=1) < 1e-6).any()


def test_a_stored_teacher_drives_the_tasks(tmp_path):
    run = Schooling(TINY, tmp_path)
    run.run(lambda _: None)
    teachers = task_teachers(load_teacher(tmp_path / "teacher").teacher, {"gaps": 0.5, "two_tap": 0.3})
    for task, teacher in teachers.items():
        env = make(task, num_worlds=2, camera=False, physics="training")
        env.reset()
        ctrl = teacher.ctrl(env)
        assert ctrl.shape == (2, 38) and np.abs(ctrl).max() <= 1
        env.step(ctrl)
    with pytest.raises(ValueError, match="no guide for 'swim'"):
        task_teachers(run.teacher(), {"swim": 1.0})


def test_what_cannot_be_taken_up(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run"):
        Schooling(TINY, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_teacher(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no settings"):
        config_from_json('{"seed": 0}')
    with pytest.raises(ValueError, match="updates must be even"):
        TeachConfig(updates=3)
    with pytest.raises(ValueError, match="capacity"):
        TeachConfig(replay=ReplayConfig(capacity=100))


def test_a_run_starts_from_a_stored_teacher(tmp_path):
    first = Schooling(TINY, tmp_path / "first")
    first.run(lambda _: None)
    second = Schooling(TINY, tmp_path / "second", start=tmp_path / "first" / "teacher")
    for part in ("actor", "critic"):
        for one, other in zip(
            jax.tree.leaves(getattr(first.variables, part)), jax.tree.leaves(getattr(second.variables, part)), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    second.run(lambda _: None)
    assert [stage.steps for stage in second.lineage()] == [160, 160]
    assert Schooling(TINY, tmp_path / "second", resume=True).lineage() == second.lineage()


def test_the_packaged_teacher_walks_without_falling():
    """Told 0.5 m/s along the corridor: eight rats are upright and half a metre on after two seconds."""
    teacher = task_teachers(load_teacher(find_teacher("locomotion")).teacher, {"gaps": 0.5})["gaps"]
    env = make("gaps", num_worlds=8, seed=3, camera=False, physics="training")
    env.reset()
    for _ in range(100):
        env.step(teacher.ctrl(env))
    fields = env.physics.fields
    assert (fields.xmat[:, env.index.torso, 8] > 0.5).all()
    assert (fields.qpos[:, 0] - 5.0 > 0.5).all()


def test_an_unknown_teacher_says_how_to_make_one():
    with pytest.raises(CheckpointError, match="vrodent teach"):
        find_teacher("nobody")


def test_each_task_may_have_a_teacher_of_its_own():
    """In the same moment of the same task two teachers say two things, and each task is labelled by its own."""
    walker = load_teacher(find_teacher("locomotion")).teacher
    other = Teacher(jax.random.key(5), walker.config)
    teachers = task_teachers({"gaps": walker, "two_tap": other}, {"gaps": 0.5, "two_tap": 0.4})
    seen = np.random.default_rng(0).normal(size=(3, walker.config.observation_size)).astype(np.float32)
    for task, network in (("gaps", walker), ("two_tap", other)):
        np.testing.assert_allclose(teachers[task].act(seen)[0], np.asarray(network.act(seen)[0]), atol=1e-6)
    assert np.abs(teachers["gaps"].act(seen)[0] - teachers["two_tap"].act(seen)[0]).max() > 0.1


def test_a_lying_rat_is_righted_and_a_standing_one_walked():
    """Each world's action is the one of the teacher for its posture, the righter's in units of the walker's narrower reach."""
    walker = load_teacher(find_teacher("locomotion")).teacher
    righter = Teacher(jax.random.key(5), dataclasses.replace(walker.config, action_scale=1.0))
    both = righting_teacher(walker, righter, speed=0.4)
    env = make("bowl", num_worlds=2, seed=1, camera=False, physics="training")
    env.reset()
    env.physics.fields.qpos[:, 3:7] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]  # on its feet; on its back
    env.physics.fields.forward()
    mean, log_std = both.act(both.observe(env))
    standing, lying = both.usual.act(both.usual.observe(env)), both.special.act(both.special.observe(env))
    np.testing.assert_allclose(mean, [standing[0][0], lying[0][1]], rtol=1e-5)
    np.testing.assert_allclose(log_std, [standing[1][0], lying[1][1]], rtol=1e-5)
    plain = np.asarray(righter.act(both.special.observe(env))[0])[1]
    expected = np.clip(env.standing_ctrl + np.stack([0.5 * standing[0][0], plain]), -1.0, 1.0)
    np.testing.assert_allclose(both.ctrl(env), expected, rtol=1e-4, atol=1e-6)


def test_the_walker_has_the_rat_until_the_orb_is_near():
    walker = load_teacher(find_teacher("locomotion")).teacher
    both = approaching_teacher(walker, Teacher(jax.random.key(5), walker.config), speed=0.4)
    env = make("two_tap", num_worlds=2, seed=1, camera=False, physics="training")
    env.reset()
    env.physics.fields.qpos[:, :2] = env.arenas.targets[:, 0, :2] - [[0.5, 0.0], [0.1, 0.0]]
    env.physics.fields.forward()
    mean, _ = both.act(both.observe(env))
    far, near = both.usual.act(both.usual.observe(env))[0], both.special.act(both.special.observe(env))[0]
    np.testing.assert_allclose(mean, [far[0], near[1]], rtol=1e-5)
    env.physics.fields.qpos[:, 3:7] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    env.physics.fields.forward()
    assert both.hopeless(env).tolist() == [False, True]


def test_exploration_noise_lasts_as_long_as_it_is_told_to(tmp_path):
    """An AR(1) process: the correlation of neighbours is the given one; of 4,000 x 152 numbers it is estimated to within 0.002."""
    run = Schooling(dataclasses.replace(TINY, noise_correlation=0.8), tmp_path)
    run._act = lambda actor, observation, noise: noise
    run.steps = 10_000
    observation = run.classroom.observe()
    noise = np.stack([run._choose(observation) for _ in range(4000)])
    np.testing.assert_allclose(np.mean(noise[1:] * noise[:-1]) / np.mean(noise**2), 0.8, atol=0.008)
    np.testing.assert_allclose(noise.std(), 1.0, atol=0.02)


def test_a_teacher_of_another_reach_moves_the_rat_alike():
    """What it wants, in control units, is the same before the squash, whatever the scale of actions; and so is a critic's opinion."""
    rng = np.random.default_rng(0)
    walker = load_teacher(find_teacher("locomotion")).teacher
    wide = teacher_with_reach(walker, 1.0)
    seen = rng.normal(size=(5, walker.config.observation_size)).astype(np.float32)
    same = seen.copy()
    same[:, PREVIOUS_ACTION] *= walker.config.action_scale
    mean, wide_mean = walker.actor(walker.normalise(seen))[0], wide.actor(wide.normalise(same))[0]
    # the floor under the variance, 1e-3, shifts the view of previous actions by less than 1 %
    np.testing.assert_allclose(wide_mean, walker.config.action_scale * mean, atol=0.03)
    fresh = Teacher(jax.random.key(2), walker.config)  # its deviations are in the middle of their range, where nothing bends them
    spreads = [np.asarray(t.actor(fresh.normalise(seen))[1]) for t in (fresh, teacher_with_reach(fresh, 1.0))]
    np.testing.assert_allclose(spreads[1] - spreads[0], np.log(walker.config.action_scale), atol=0.15)
    critic = Critic(jax.random.key(1), walker.config)
    action = rng.uniform(-1, 1, (5, 38)).astype(np.float32)
    before, after = critic(seen, action), critic_with_reach(critic, 0.5, 1.0)(seen, 0.5 * action)
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-6)


def test_a_run_takes_a_teacher_to_its_reach_and_its_physics(tmp_path):
    practice = dataclasses.replace(TINY.practice, action_scale=1.0, physics="reference", levels=(0.4, 0.4))
    walker = load_teacher(find_teacher("locomotion")).teacher
    sizes = {"actor_width": walker.config.actor_width, "critic_width": walker.config.critic_width}
    run = Schooling(dataclasses.replace(TINY, practice=practice, **sizes), tmp_path, start=find_teacher("locomotion"))
    expected = teacher_with_reach(walker, 1.0)
    for ours, theirs in zip(jax.tree.leaves(run.teacher()), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert all(ground.env.physics.model.opt.timestep == 0.001 for ground in run.classroom.grounds)
    assert all((ground.difficulty == 0.4).all() for ground in run.classroom.grounds)
    assert "reference physics" in run.lineage()[-1].method


def test_a_rat_that_toppled_on_its_way_to_the_orb_is_righted():
    """Standing far off, standing near, lying far off, and lying near: walker, tapper, righter, righter."""
    walker = load_teacher(find_teacher("locomotion")).teacher
    tapper, righter = (Teacher(jax.random.key(seed), walker.config) for seed in (5, 6))
    all_three = approaching_teacher(walker, tapper, 0.4, righter)
    env = make("two_tap", num_worlds=4, seed=1, camera=False, physics="training")
    env.reset()
    env.physics.fields.qpos[:, :2] = env.arenas.targets[:, 0, :2] - [[0.5, 0.0], [0.1, 0.0], [0.5, 0.0], [0.1, 0.0]]
    env.physics.fields.qpos[2:, 3:7] = [0.0, 1.0, 0.0, 0.0]
    env.physics.fields.forward()
    mean, _ = all_three.act(all_three.observe(env))
    both = all_three.usual
    far, near, lying = (part.act(part.observe(env))[0] for part in (both.usual, both.special, all_three.special))
    np.testing.assert_allclose(mean, [far[0], near[1], lying[2], lying[3]], rtol=1e-5)
    assert not all_three.hopeless(env).any()


def test_an_orb_that_has_not_been_tapped_in_time_is_given_up():
    """The timer of world 0 says 21 s without a tap; world 1's 19 s; world 2 waits 21 s after its first tap, world 3 for the next orb."""
    walker = load_teacher(find_teacher("locomotion")).teacher
    env = make("two_tap", num_worlds=4, seed=1, camera=False, physics="training")
    env.reset()
    env.physics.fields.time[:] = 28.0
    times = {"last_time": np.array([7.0, 9.0, 7.0, 7.0]), "first_time": np.full(4, 7.0)}
    env.progress = env.progress._replace(phase=np.array([0, 0, TAPPED, CORRECT]), **times)
    for righter in (None, walker):
        assert approaching_teacher(walker, walker, 0.4, righter).hopeless(env).tolist() == [True, False, False, False]
