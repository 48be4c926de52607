"""Strikes: what is remembered and told of them, and that nothing that is judged changes by it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from vrodent.commands.teachers import SPEEDS, find_teachers
from vrodent.simulation import make
from vrodent.task import TASK_NAMES, Task
from vrodent.task.two_tap import TAPPED, TOO_SOON, WAITING, TwoTap
from vrodent.training.collection import task_for
from vrodent.training.snapshot import restore, snapshot
from vrodent.training.teachers.guidance import hand_distance, pose
from vrodent.training.teachers.guides import TwoTapGuide
from vrodent.training.teachers.network import Teacher, TeacherConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE
from vrodent.training.teachers.skills import Role
from vrodent.training.teachers.strikes import StruckTwoTap, told_of
from vrodent.training.teachers.task_teacher import approaching_teacher, task_teachers

_NEAR: Task = StruckTwoTap(strike=0.045)  # type: ignore[assignment]  # frozen, as all tasks are


def _standing(off: float, worlds: int = 1):
    """Worlds whose rats stand still, with an orb now put so many m in front of a palm, the next far away; and the action to stand."""
    env = make(_NEAR, num_worlds=worlds, seed=4, camera=False)
    env.reset()
    far = [dataclasses.replace(arena, targets=np.full_like(arena.targets, 1.5)) for arena in env.world_arenas]
    env.reset_to(np.arange(worlds), far)
    stand = np.tile(env.standing_ctrl, (worlds, 1))
    for _ in range(100):
        env.step(stand)
    fields = env.physics.fields
    palm = fields.geom_xpos[:, env.index.palm_geoms[0]]
    ahead = palm - fields.xpos[:, env.index.torso]
    ahead[:, 2] = 0.0
    env.arenas.targets[:, 0] = palm + off * ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    return env, stand


def test_the_task_is_the_same_to_the_last_bit():
    """Rewards, events and motion of 60 steps of noise among orbs that are touched, second taps too soon among them."""
    plain, struck = (make(task, num_worlds=2, seed=3, camera=False, physics="training") for task in ("two_tap", _NEAR))
    taps = []
    for env in (plain, struck):
        env.reset()
        palm = env.physics.fields.geom_xpos[:, env.index.palm_geoms[0]]
        arenas = [dataclasses.replace(a, targets=np.tile(p, (len(a.targets), 1))) for a, p in zip(env.world_arenas, palm, strict=True)]
        env.reset_to(np.arange(2), arenas)
    noise = np.random.default_rng(0)
    for _ in range(60):
        ctrl = np.clip(plain.standing_ctrl + noise.normal(0, 0.1, (2, 38)), -1, 1)
        one, other = plain.step(ctrl), struck.step(ctrl)
        np.testing.assert_array_equal(one.info.reward, other.info.reward)
        for name, value in one.info.events._asdict().items():
            np.testing.assert_array_equal(value, getattr(other.info.events, name))
        taps.append(one.info.events.tap.max())
    np.testing.assert_array_equal(plain.physics.fields.qpos, struck.physics.fields.qpos)
    assert {1, 3} <= set(taps)


def test_a_palm_that_stays_near_has_struck_and_strikes_again_when_a_second_tap_would_be_late():
    """The orb is 3.6 cm from a palm that holds still and never touches it: told after 0.2 s, and every 0.96 s from then on."""
    env, stand = _standing(0.036)
    guide, strikes = TwoTapGuide(), []
    assert guide.guide(env).phase[0] == WAITING
    for step in range(120):
        env.step(stand)
        told, time = guide.guide(env), env.physics.fields.time[0]
        distance = hand_distance(env.physics.fields, env.index, told.target)[0]
        assert 0.03 < distance < 0.045 and env.progress.phase[0] == WAITING
        assert told.phase[0] == (WAITING if step < 10 else TAPPED)
        if step >= 10:
            np.testing.assert_allclose(told.timer[0], time - env.progress.strike_time[0])
            strikes.append(float(env.progress.strike_time[0]))
    np.testing.assert_allclose(np.unique(strikes), [2.22, 3.18, 4.14], atol=1e-9)


def test_a_touch_is_a_strike_at_once_and_at_any_time():
    """Struck by staying near, then the orb put into the palm 0.1 s later: the told timer begins anew."""
    env, stand = _standing(0.036)
    guide = TwoTapGuide()
    for _ in range(16):
        env.step(stand)
    np.testing.assert_allclose(guide.guide(env).timer[0], 0.1, atol=1e-9)
    env.arenas.targets[:, 0] = env.physics.fields.geom_xpos[:, env.index.palm_geoms[0]] + [0.0, 0.0, 0.01]
    env.step(stand)
    assert env.progress.phase[0] == TAPPED
    np.testing.assert_allclose(env.progress.strike_time[0], env.progress.first_time[0], atol=1e-9)
    assert guide.guide(env).timer[0] < 0.03


def test_an_orb_out_of_reach_is_not_struck():
    env, stand = _standing(0.06)
    for _ in range(20):
        env.step(stand)
    assert TwoTapGuide().guide(env).phase[0] == WAITING
    assert env.progress.strike_time[0] < 0


def test_a_failed_second_tap_is_not_told_and_a_new_orb_has_not_been_struck():
    """The palm rests in the orb: touched at once, tapped too soon when it feels again, told as struck all the same."""
    env, stand = _standing(0.0)
    guide, seen = TwoTapGuide(), []
    for _ in range(100):
        env.step(stand)
        seen.append((int(env.progress.orb[0]), int(env.progress.phase[0]), int(guide.guide(env).phase[0])))
    assert {told for orb, phase, told in seen if phase == TOO_SOON} == {TAPPED}
    assert seen[-1] == (1, WAITING, WAITING)
    assert env.progress.strike_time[0] < 0


def test_once_a_second_tap_would_be_late_a_strike_is_forgotten():
    """Struck, then the orb taken 1 m away: the told timer runs to 0.94 s and the rat is told to reach again."""
    env, stand = _standing(0.036)
    for _ in range(11):
        env.step(stand)
    env.arenas.targets[:, 0, 0] += 1.0
    guide, told = TwoTapGuide(), []
    for _ in range(50):
        env.step(stand)
        told.append((int(guide.guide(env).phase[0]), round(float(guide.guide(env).timer[0]), 2)))
    assert told[46] == (TAPPED, 0.94) and told[47][0] == WAITING


def test_an_orb_was_last_seen_when_it_was_last_ahead_and_neither_overhead_nor_too_far():
    """Put about a standing rat by bearing and distance, for a step each; seen at 0.5 rad to either side, 0.3 and 2.8 m off."""
    env, stand = _standing(0.5)
    places = [(0.5, 0.3), (-0.5, 2.8), (0.7, 1.0), (-0.7, 1.0), (3.1, 1.0), (0.0, 0.15), (0.0, 3.2), (0.3, 1.0)]
    seen = []
    for bearing, distance in places:
        at = pose(env.physics.fields, env.index)
        angle = at.yaw[0] + bearing
        env.arenas.targets[0, 0, :2] = at.position[0, :2] + distance * np.array([np.cos(angle), np.sin(angle)])
        env.step(stand)
        seen.append(env.progress.seen_time[0] == env.physics.fields.time[0])
    assert seen == [True, True, False, False, False, False, False, True]
    env.step(stand)
    env.reset()
    np.testing.assert_array_equal(env.progress.seen_time, 0.0)


def test_an_orb_overhead_that_was_not_seen_for_long_is_lost_and_looked_for():
    """Above a rat that stands: told to walk in a circle after 6 s without a strike; once it is ahead, to go to it."""
    env, stand = _standing(0.5)
    walker, tapper = (Teacher(jax.random.key(i), TeacherConfig(observation_size=OBSERVATION_SIZE, actor_width=8)) for i in range(2))
    guide, teacher = TwoTapGuide(speed=0.4, sight=0.6), approaching_teacher(walker, tapper, 0.4, strike=0.045)
    at = pose(env.physics.fields, env.index)
    env.arenas.targets[0, 0] = at.position[0] + [0.0, 0.05, 0.15]
    for seconds, lost, turn in ((5.9, False, None), (6.1, True, 0.4), (12.0, True, 0.4)):
        env.progress = env.progress._replace(seen_time=env.physics.fields.time - seconds)
        told, yaw = guide.guide(env), pose(env.physics.fields, env.index).yaw
        assert guide.lost(env) == [lost] and told.speed == [0.6 if lost else 0.0]
        assert teacher.roles(teacher.observe(env)) == [int(Role.WALK if lost else Role.TAP)]
        if turn is not None:
            np.testing.assert_allclose(told.heading - yaw, turn, atol=1e-6)
    env.arenas.targets[0, 0, :2] = at.position[0, :2] - [np.cos(at.yaw[0]), np.sin(at.yaw[0])]
    for seconds, turn, speed in ((2.4, 1.2, 0.4), (2.6, 0.4, 0.6)):  # behind it: around once on the spot, then likewise
        env.progress = env.progress._replace(seen_time=env.physics.fields.time - seconds)
        np.testing.assert_allclose(guide.guide(env).heading - pose(env.physics.fields, env.index).yaw, turn, atol=1e-6)
        assert guide.guide(env).speed == [speed]
    env.arenas.targets[0, 0] = at.position[0] + [0.0, 0.05, 0.15]
    assert TwoTapGuide(speed=0.4).guide(env).speed == [0.0]  # who sees all around has lost nothing
    struck = env.progress._replace(strike_time=env.physics.fields.time - 0.5)
    env.progress = struck
    assert guide.lost(env) == [False]
    env.progress = struck._replace(strike_time=struck.strike_time - 1.0)
    env.arenas.targets[0, 0, :2] = at.position[0, :2] + 0.5 * np.array([np.cos(at.yaw[0]), np.sin(at.yaw[0])])
    env.step(stand)
    assert guide.lost(env) == [False]
    np.testing.assert_allclose(guide.guide(env).heading, pose(env.physics.fields, env.index).yaw, atol=0.02)


def test_strikes_go_on_after_a_resume():
    env, stand = _standing(0.036, worlds=2)
    for _ in range(14):
        env.step(stand)
    again = make(_NEAR, num_worlds=2, seed=4, camera=False)
    again.reset()
    restore(again, snapshot(env))
    again.arenas.targets[:] = env.arenas.targets  # the arena was put up by hand
    for _ in range(40):
        for one in (env, again):
            one.step(stand)
        np.testing.assert_array_equal(again.progress.strike_time, env.progress.strike_time)
        np.testing.assert_array_equal(again.progress.near_time, env.progress.near_time)
        np.testing.assert_array_equal(again.progress.seen_time, env.progress.seen_time)
    assert (env.progress.strike_time > 2.0).all()


def test_worlds_remember_strikes_for_the_teacher_that_is_told_of_them():
    walker, tapper = (Teacher(jax.random.key(i), TeacherConfig(observation_size=OBSERVATION_SIZE, actor_width=8)) for i in range(2))
    for righter in (None, walker):
        assert task_for("two_tap", approaching_teacher(walker, tapper, 0.4, righter, strike=0.04)) == StruckTwoTap(strike=0.04)
    assert task_for("two_tap", approaching_teacher(walker, tapper, 0.4)) == TwoTap()
    assert task_for("gaps", task_teachers(tapper, {"gaps": 0.4})["gaps"]) == "gaps"
    assert task_for("two_tap", None) == TwoTap()


@pytest.mark.parametrize("strike", [0.0, 0.05])
def test_orbs_may_be_kept_near_the_middle(strike):
    """4 worlds of hundreds of orbs each: uniform within 0.4 m to either side, hence a mean distance along x of 0.2 m."""
    env = make(told_of("two_tap", strike, orb_area=0.4), num_worlds=4, seed=3, camera=False)
    env.reset()
    away = np.abs(env.arenas.targets[..., :2])
    assert away.max() <= 0.4
    error = 0.4 / np.sqrt(12 * away[..., 0].size)
    np.testing.assert_allclose(away.mean(axis=(0, 1)), 0.2, atol=4 * error)
    usual = make("two_tap", num_worlds=4, seed=3, camera=False)
    usual.reset()
    np.testing.assert_allclose(env.arenas.targets[..., :2] * 1.5 / 0.4, usual.arenas.targets[..., :2], rtol=1e-12)
    np.testing.assert_array_equal(env.arenas.targets[..., 2], usual.arenas.targets[..., 2])


@pytest.mark.parametrize("approach", [None, Path("locomotion")])
def test_the_command_tells_the_tapper_alone(approach):
    found = find_teachers((Path("locomotion"),), Path("righting"), approach, SPEEDS, TASK_NAMES, strike=0.05)
    assert {name: found[name].strike for name in TASK_NAMES} == {"gaps": 0.0, "forage": 0.0, "bowl": 0.0, "two_tap": 0.05}


def test_who_walks_and_who_taps_are_as_calm_as_asked():
    """Told by what a teacher sees: the rat 1 m from the orb, under it, and fallen."""
    found = find_teachers((Path("locomotion"),), Path("righting"), Path("locomotion"), SPEEDS, TASK_NAMES, calmness=(0.3, 0.6))
    env = make("two_tap", num_worlds=3, seed=4, physics="training", camera=False)
    env.reset()
    position = env.physics.fields.qpos[:, :2].copy()
    env.arenas.targets[:, :, :2] = position[:, None]
    env.arenas.targets[0, :, 0] += 1.0
    env.physics.fields.qpos[2, 3:7] = [0.0, 1.0, 0.0, 0.0]
    env.physics.fields.forward()
    for task, expected in {"two_tap": [0.3, 0.6, 0.0], "forage": [0.3, 0.3, 0.3], "gaps": [0.3, 0.3, 0.3]}.items():
        seen = found["two_tap"].observe(env) if task == "two_tap" else np.zeros((3, OBSERVATION_SIZE), np.float32)
        np.testing.assert_array_equal(found[task].calm(seen), expected)
    with pytest.raises(ValueError, match="calmness must be a share"):
        find_teachers((Path("locomotion"),), None, None, SPEEDS, TASK_NAMES, calmness=(1.0, 0.0))


@pytest.mark.parametrize("strike", [0.01, 0.2, -1.0, float("nan")])
def test_a_distance_that_is_none_is_refused(strike):
    with pytest.raises(ValueError, match="strike must be a distance"):
        find_teachers((Path("locomotion"),), None, None, SPEEDS, TASK_NAMES, strike=strike)
