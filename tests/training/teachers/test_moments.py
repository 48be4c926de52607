"""Moments lived through again: what the rat is, feels and is told there, and how it goes on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vrodent.simulation import make
from vrodent.task.two_tap import CORRECT, TAPPED
from vrodent.training.teachers.grounds import Orbs, make_grounds
from vrodent.training.teachers.guides import TwoTapGuide
from vrodent.training.teachers.moments import Moments
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import observe
from vrodent.training.teachers.shaping import shape


def _unchanged(world, arena):
    return arena


def _first_tap():
    """Two worlds, the first just after a first tap, for its orb was put at the palm, and the action to stand."""
    env = make("two_tap", num_worlds=2, seed=4, camera=False)
    env.reset()
    palm = env.physics.fields.xpos[0, env.index.hands[0]]
    arena = env.world_arenas[0]
    near = dataclasses.replace(arena, targets=np.tile(palm, (len(arena.targets), 1)))
    env.reset_to(np.arange(2), [near, env.world_arenas[1]])
    stand = np.tile(env.standing_ctrl, (2, 1))
    while int(env.step(stand).info.events.tap[0]) != 1:
        assert env.physics.fields.time[0] < 0.2
    return env, stand


def test_a_moment_lived_again_goes_on_as_it_did():
    """The way on is the same within 0.1 mm and mrad over four steps: only the solver's warm start differs."""
    env, stand = _first_tap()
    moments = Moments()
    for _ in range(5):
        env.step(stand)
    moments.keep(env, 0, np.full(38, 0.25))
    before, told = {name: getattr(env.physics.fields, name)[0].copy() for name in ("qpos", "qvel")}, TwoTapGuide().guide(env)
    action = moments.relive(env, np.array([1]), np.random.default_rng(0), _unchanged)
    np.testing.assert_array_equal(action, np.full((1, 38), 0.25))
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(env.physics.fields, name)[1], value)
    again = TwoTapGuide().guide(env)
    assert again.phase[1] == told.phase[0] == TAPPED
    np.testing.assert_allclose(again.timer[1], told.timer[0], atol=1e-9)
    np.testing.assert_array_equal(again.target[1], told.target[0])
    for _ in range(4):
        env.step(stand)
    np.testing.assert_allclose(env.physics.fields.qpos[1], env.physics.fields.qpos[0], atol=1e-4)
    assert env.progress.phase[0] == env.progress.phase[1]


def test_a_sequence_lived_again_is_judged_by_its_own_clock():
    """The palm stays at the orb: a second tap counts as soon as the orb feels again, which is too soon, in both worlds alike."""
    env, stand = _first_tap()
    moments = Moments()
    moments.keep(env, 0, np.zeros(38))
    moments.relive(env, np.array([1]), np.random.default_rng(0), _unchanged)
    steps = [0, 0]
    for step in range(60):
        for world in np.flatnonzero(env.step(stand).info.events.tap > 1):
            steps[world] = step
    assert steps[0] == steps[1] > 0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="second_chances must be a share"):
        PracticeConfig(second_chances=share)


def test_orbs_begin_after_first_taps_as_often_as_told():
    """Of 400 restarts within 3.3 standard deviations of half; with no moment kept, none."""
    (ground,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 0, 0, 4), second_chances=0.5, physics="training"), seed=1)
    everyone = np.arange(4)
    ground.reset(everyone)
    assert (ground.env.progress.phase != TAPPED).all()
    ground.env.progress.phase[0] = TAPPED
    ground.moments.keep(ground.env, 0, np.zeros(38))
    count = 0
    for _ in range(100):
        ground.reset(everyone)
        begun = ground.env.progress.phase == TAPPED
        assert (ground.steps[begun] == ground.limit - 60).all()
        count += int(begun.sum())
    assert abs(count - 200) < 3.3 * 10
    assert CORRECT not in ground.env.progress.phase


def test_where_orbs_are_told_to_be_errs_for_a_second_or_so_and_what_is_paid_does_not(monkeypatch):
    """48 errors of 300 steps, of which some 48 x 3 are independent: their deviation is good to 6 %, hence 20 %; after 50 steps 0.98 ** 50
    of an error is left, a correlation of 0.36."""
    config = PracticeConfig(num_worlds=(0, 0, 0, 0, 16), blur=0.02, physics="training")
    (ground,) = make_grounds(config, seed=1)
    assert isinstance(ground, Orbs)
    judged, errors, seen = [], [], []

    def shaping(env, kind, guidance, *rest):
        judged.append(guidance.target)
        return shape(env, kind, guidance, *rest)

    monkeypatch.setattr("vrodent.training.teachers.practice.shape", shaping)
    for _ in range(300):
        guidance = ground.guide_of().guide(ground.env)
        true = np.array(guidance.target)
        errors.append(ground.told(guidance).target - true)
        told = observe(ground.env, ground.guide_of(), guidance._replace(target=true + errors[-1]))
        seen.append(np.abs(ground.observe() - told).max())
        ground.restart(ground.step(np.zeros((16, 38))))
        np.testing.assert_array_equal(judged[-1], true)
    errors = np.array(errors).reshape(300, -1)
    assert max(seen) == 0.0
    assert errors.std() == pytest.approx(0.02, rel=0.2)
    assert np.mean(errors[50:] * errors[:-50]) / np.mean(errors**2) == pytest.approx(0.36, abs=0.2)
    with pytest.raises(ValueError, match="blur must be a distance"):
        PracticeConfig(blur=0.2)


def _corridor(num_worlds=2, second_chances=0.5):
    (ground,) = make_grounds(PracticeConfig(num_worlds=(0, num_worlds, 0, 0, 0), second_chances=second_chances, levels=(0.5, 0.5)), seed=3)
    return ground


def _running(ground, before, speed):
    """The arena of world 0, the rat `before` m from the edge of the platform after the first, at a speed."""
    arena = ground.env.world_arenas[0]
    edge = arena.geom_pos[1, 0] + arena.geom_size[1, 0]
    qpos, qvel = ground.env.model.qpos0.copy(), np.zeros(ground.env.model.nv)
    qpos[0], qvel[0] = edge - before, speed
    return dataclasses.replace(arena, qpos=qpos, qvel=qvel)


def test_who_runs_up_to_a_gap_is_kept_once():
    """One moment of the rat that runs, 0.2 m before the edge; none of the one that stands there."""
    ground = _corridor()
    ground.env.reset_to(np.arange(2), [_running(ground, 0.2, 0.6), _running(ground, 0.2, 0.0)])
    fields = ground.env.physics.fields
    kept = None
    for _ in range(4):
        ground.step(np.zeros((2, 38)))
        if kept is None and len(ground.moments):
            kept = fields.qpos[0].copy(), fields.qvel[0].copy()
    assert len(ground.moments) == 1
    assert kept is not None
    ground.moments.relive(ground.env, np.array([1]), np.random.default_rng(0), _unchanged)
    np.testing.assert_array_equal(fields.qpos[1], kept[0])
    np.testing.assert_array_equal(fields.qvel[1], kept[1])


def test_a_run_up_lived_again_comes_to_gaps_of_the_worlds_own_width():
    """What is behind the rat and under it is as it was, and so are the platforms' lengths; every gap ahead is of the world's difficulty."""
    ground = _corridor()
    old = _running(ground, 0.2, 0.6)
    ground.difficulty[:] = 1.0
    widths = []
    for _ in range(50):
        new = ground.again(0, old)
        used = int((new.geom_rgba[:, 3] > 0).sum())
        np.testing.assert_array_equal(new.geom_pos[:2], old.geom_pos[:2])
        np.testing.assert_array_equal(new.geom_pos[used:], old.geom_pos[used:])
        np.testing.assert_array_equal(new.geom_size, old.geom_size)
        np.testing.assert_array_equal(new.qpos, old.qpos)
        start, end = new.geom_pos[1:used, 0] - new.geom_size[1:used, 0], new.geom_pos[1:used, 0] + new.geom_size[1:used, 0]
        widths += list(start[1:] - end[:-1])
    assert 0.05 * 0.9 - 1e-9 <= min(widths) < 0.05
    assert 0.19 < max(widths) <= 0.2 + 1e-9


@pytest.mark.parametrize(("crossed", "fell", "change"), [(1, False, 0.01), (0, False, 0.0), (1, True, -0.02), (0, True, -0.02)])
def test_one_leap_changes_the_width_a_little(crossed, fell, change):
    ground = _corridor()
    ground.second_chance[0], ground._crossed_before[0] = True, 3
    ground.env.progress.gaps_crossed[0] = 3 + crossed
    ground.grow(0, fell)
    assert ground.difficulty[0] == pytest.approx(0.5 + change)
