"""Practice and the privileged observation: symmetries, determinism, and what the shaped reward prefers."""

from dataclasses import replace

import numpy as np
import pytest

from vrodent.simulation import make
from vrodent.training.teachers.bowl_path import BowlPath
from vrodent.training.teachers.grounds import make_grounds
from vrodent.training.teachers.guidance import Ground, Guidance, no_target
from vrodent.training.teachers.guides import HeldCommands, TwoTapGuide
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, observe
from vrodent.training.teachers.shaping import ShapingConfig, shape

SMALL = PracticeConfig(num_worlds=(2, 2, 2, 2, 2), episode_steps=40)


def standing(yaws: np.ndarray, speed: float):
    # Reference physics: the friction pyramids of training physics have corners that point north.
    env = make("two_tap", num_worlds=len(yaws), camera=False)
    env.reset()
    fields = env.physics.fields
    fields.qpos[:, :7] = 0.0
    fields.qpos[:, 3], fields.qpos[:, 6] = np.cos(yaws / 2), np.sin(yaws / 2)
    fields.forward()
    guidance = Guidance(yaws + 0.5, np.full(len(yaws), speed), *no_target(len(yaws)))
    return env, guidance


def test_observation_does_not_know_which_way_is_north():
    env, guidance = standing(np.array([0.0, 1.0, 2.5, -3.0]), 0.5)
    commands = HeldCommands(np.random.default_rng(0), 4)
    seen = observe(env, commands, guidance)
    assert seen.shape == (4, OBSERVATION_SIZE)
    # The same posture turned: equal but for rounding, magnified by the constraint solver in the accelerometer.
    np.testing.assert_allclose(seen, np.tile(seen[:1], (4, 1)), atol=1e-4)


def test_standing_is_right_only_when_told_to_stand():
    rewards = []
    for speed in (0.0, 0.5):
        env, guidance = standing(np.zeros(2), speed)
        guidance = guidance._replace(heading=np.zeros(2))
        judged = shape(env, Ground.FLAT, guidance, np.zeros((2, 38)), np.zeros(2, int), ShapingConfig())
        assert not judged.fallen.any()
        rewards.append(judged.reward[0])
    assert rewards[0] > 0.9 and rewards[1] < 0.2


def test_same_seed_same_bytes_and_another_seed_differs():
    def run(seed: int) -> list[bytes]:
        rng = np.random.default_rng(9)
        seen = []
        for ground in make_grounds(SMALL, seed):
            for _ in range(45):  # past the end of every episode
                last = ground.step(rng.uniform(-0.3, 0.3, (2, 38)))
                seen += [last.reward.tobytes(), ground.restart(last).tobytes()]
        return seen

    once, twice, other = run(0), run(0), run(1)
    assert once == twice
    assert once != other


def test_who_is_told_to_go_on_and_stands_has_lost_in_time():
    """The stance held: the share of the told speed stays near 0, so that what it has done of late decays from 1 to 0.05 in the patience
    given: 0.4 s are 20 steps, and a rat that sways as it settles takes a step or two more. On open ground it may stand for ever."""
    config = PracticeConfig(num_worlds=(2, 2, 0, 0, 0), episode_steps=4000, posture_noise=0.0, patience=0.4)
    for ground in make_grounds(config, 0):
        ground.steps[:] = 0
        ended = [int(ground.step(np.zeros((2, 38))).terminated.sum()) for _ in range(30)]
        if ground.leads_on:
            assert ended[:19] == [0] * 19 and ended[-1] == 2
        else:
            assert sum(ended) == 0
    with pytest.raises(ValueError, match="patience"):
        PracticeConfig(patience=-1.0)


def test_speed_is_asked_by_what_was_reached_in_the_steps_of_the_episode():
    """The clock of an episode begins anywhere in its first half: 200 steps at 0.6 of the told speed are 0.6, whatever it says."""
    (ground,) = make_grounds(PracticeConfig(num_worlds=(1, 0, 0, 0, 0)), 0)
    last = ground.step(np.zeros((1, 38)))
    ground.steps[0], ground.lived[0], ground.tracking_sum[0], before = 449, 200, 120.0, ground.top_speed[0]
    ground.restart(replace(last, truncated=np.ones(1, bool)))
    assert ground.top_speed[0] == before + 0.04 and ground.lived[0] == 0


def test_corridors_grow_with_success_and_shrink_with_falls():
    (corridor,) = make_grounds(PracticeConfig(num_worlds=(0, 1, 0, 0, 0)), 0)
    before = corridor.difficulty[0]
    corridor.env.progress = corridor.env.progress._replace(gaps_crossed=np.array([6]))
    corridor.grow(0, fell=True)
    grown = corridor.difficulty[0]
    assert grown > before
    corridor.env.progress = corridor.env.progress._replace(gaps_crossed=np.array([0]))
    corridor.grow(0, fell=True)
    assert corridor.difficulty[0] < grown
    corridor.difficulty[0] = 1.0
    widths = [np.diff(_edges(corridor.arena(0))) for _ in range(20)]
    widest = max(width.max() for width in widths)
    assert 0.17 < widest <= 0.2 + 1e-9


def test_slopes_rise_to_the_task_and_then_the_rat_begins_farther_out():
    """Terrain of a fifth of the task's height at first, of all of it from half the difficulty on; starts within 1.2 m, then within 3 m."""
    (slopes,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 1, 0, 0)), 0)
    found = {}
    for level in (0.0, 0.6, 1.0):
        slopes.difficulty[0] = level
        arenas = [slopes.arena(0) for _ in range(25)]
        found[level] = np.mean([a.hfield.max() for a in arenas]), max(np.linalg.norm(a.qpos[:2]) for a in arenas)
    np.testing.assert_allclose(found[0.0][0], 0.2 * found[1.0][0], rtol=0.02)  # the mean of 25 maxima of bumps drawn anew
    np.testing.assert_allclose(found[0.6][0], found[1.0][0], rtol=0.02)
    assert found[0.0][1] <= 1.2 < found[1.0][1] <= 3.0


def test_slopes_rise_under_a_rat_that_walked_long_and_sink_under_one_that_fell_soon():
    """To the end as told; as told to a fall near the end; to a fall soon; as told to a fall soon; to the end, but not as told."""
    (slopes,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 1, 0, 0)), 0)
    changes = []
    for steps, share, fell in ((500, 0.7, False), (400, 0.7, True), (50, 0.2, True), (50, 0.7, True), (500, 0.2, False)):
        slopes.lived[0], slopes.tracking_sum[0], slopes.difficulty[0] = steps, share * steps, 0.5
        slopes.grow(0, fell=fell)
        changes.append(slopes.difficulty[0] - 0.5)
    np.testing.assert_allclose(changes, [0.06, 0.048 - 0.004, -0.018, 0.006 - 0.018, 0.0], atol=1e-12)


def test_the_rat_is_told_the_easiest_way_from_where_it_stands_on_a_slope():
    """At full difficulty terrains have the task's height, so the way is that of the ground the rat stands on."""
    (slopes,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 12, 0, 0), levels=(1.0, 1.0)), 0)
    told = slopes.guide_of().guide(slopes.env)
    torso = slopes.env.physics.fields.xpos[:, slopes.env.index.torso, :2]
    for world, arena in enumerate(slopes.env.world_arenas):
        task = slopes.env.task
        path = BowlPath(np.asarray(arena.hfield) * task.height, task.radius)
        assert told.heading[world] == pytest.approx(path.heading(torso[world][None])[0], abs=1e-6)
    assert len({arena.hfield.tobytes() for arena in slopes.env.world_arenas}) > 6  # not all on one of the 64 terrains


def test_orbs_grow_with_second_taps():
    (orbs,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 0, 0, 1)), 0)
    orbs.difficulty[0] = 0.5
    for touched, twice, change in ((2, 0, 0.0), (2, 1, 0.06), (3, 2, 0.12), (0, 0, -0.015), (6, 0, 0.06)):
        before = orbs.difficulty[0]
        orbs.touched[0], orbs.touched_twice[0] = touched, twice
        orbs.grow(0, fell=False)
        np.testing.assert_allclose(orbs.difficulty[0] - before, change)
    assert orbs.touched[0] == orbs.touched_twice[0] == 0


def test_in_the_hollow_standing_anywhere_is_right_and_lying_is_not():
    (hollow,) = make_grounds(PracticeConfig(num_worlds=(0, 0, 0, 2, 0)), 0)
    fields = hollow.env.physics.fields
    fields.qpos[:, 3:7] = [[np.cos(1.0), 0.0, 0.0, np.sin(1.0)], [0.0, 1.0, 0.0, 0.0]]  # on its feet facing 2 rad; on its back
    fields.qvel[:] = 0.0
    fields.forward()
    hollow.advance()
    told = hollow.guide_of().guide(hollow.env)
    judged = shape(hollow.env, hollow.ground, told, np.zeros((2, 38)), np.zeros(2, int), ShapingConfig())
    assert judged.reward[0] > 0.9 and judged.reward[1] < 0.05
    assert not judged.fallen.any()


def _edges(arena) -> np.ndarray:
    used = arena.geom_rgba[1:, 3] > 0
    left = arena.geom_pos[1:, 0][used] - arena.geom_size[1:, 0][used]
    right = arena.geom_pos[1:, 0][used] + arena.geom_size[1:, 0][used]
    # pairs (end of one platform, start of the next): every second difference is a gap
    return np.stack([right[:-1], left[1:]], axis=1)


def test_bad_settings():
    with pytest.raises(ValueError, match="num_worlds"):
        PracticeConfig(num_worlds=(0, 0, 0, 0, 0))


def test_a_teacher_is_not_told_of_times_that_it_never_met():
    """Trials last 30 s, practice 10; what matters happens within 2 s of a touch."""
    env, guidance = standing(np.zeros(3), 0.5)
    guidance = guidance._replace(timer=np.array([1.5, 2.0, 29.0]))
    seen = observe(env, TwoTapGuide(), guidance)
    np.testing.assert_allclose(seen[:, -1], [1.5, 2.0, 2.0])
