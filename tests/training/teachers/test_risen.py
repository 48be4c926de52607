"""Slopes practised from where a teacher brought rats to their feet."""

from dataclasses import replace

import numpy as np
import pytest

from vrodent.training.teachers import grounds
from vrodent.training.teachers import risen as risen_module
from vrodent.training.teachers.bowl_path import BowlPath
from vrodent.training.teachers.grounds import Slopes, make_grounds
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.risen import risen
from vrodent.training.teachers.store import find_teacher, load_teacher
from vrodent.training.teachers.task_teacher import lies

CONFIG = PracticeConfig(num_worlds=(0, 0, 6, 0, 0), second_chances=0.5, righting="righting", levels=(0.5, 0.5))


@pytest.fixture
def slopes(monkeypatch):
    monkeypatch.setattr(grounds, "_RISEN", 6)
    (ground,) = make_grounds(CONFIG, seed=2)
    assert isinstance(ground, Slopes)
    yield ground
    ground.env.close()


def test_episodes_begin_on_the_feet_at_the_bottom_of_the_bowl_where_second_chances_say(slopes):
    """Each of 200 episodes begins so with probability 0.5: 100 of them, and a deviation of 7; the bound is at 3.3 of these."""
    count, terrains = 0, {moment.arena.hfield.tobytes() for moment in slopes.moments._kept}
    for _ in range(34):
        slopes.reset(np.arange(6))
        again = slopes.second_chance
        count += int(again.sum())
        assert not lies(slopes.env)[again].any()
        position = slopes.env.physics.fields.xpos[:, slopes.env.index.torso]
        assert np.all(np.linalg.norm(position[again, :2], axis=1) < 0.6)
        for world in np.flatnonzero(again):
            arena = slopes.env.world_arenas[world]
            assert arena.hfield.tobytes() in terrains
            way = BowlPath(arena.hfield * slopes.env.task.height, slopes.env.task.radius)
            heading = way.heading(position[world : world + 1, :2])
            np.testing.assert_array_equal(slopes.guide_of().guide(slopes.env).heading[world], heading[0])
    assert abs(count - 102) < 3.3 * 7.2
    assert len(terrains) > 1


def test_what_begins_at_the_bottom_says_nothing_of_how_far_out_a_world_may_begin(slopes):
    slopes.second_chance[:] = True
    slopes.tracking_sum[:], slopes.lived[:] = 100.0, 100
    slopes.grow(0, fell=False)
    assert slopes.difficulty[0] == 0.5
    slopes.second_chance[:] = False
    slopes.grow(0, fell=False)
    assert slopes.difficulty[0] > 0.5


def test_moments_are_those_of_the_seed():
    righter = load_teacher(find_teacher("righting")).teacher
    one, other, third = (risen(righter, 5, seed, 1.0) for seed in (4, 4, 5))
    assert len(one) == 5
    np.testing.assert_array_equal([m.arena.qpos for m in one._kept], [m.arena.qpos for m in other._kept])
    assert not np.array_equal(one._kept[0].arena.qpos, third._kept[0].arena.qpos)


def test_a_teacher_that_rights_nobody_and_a_share_of_nothing_are_refused(monkeypatch):
    monkeypatch.setattr(risen_module, "lies", lambda env: np.ones(env.num_worlds, bool))
    monkeypatch.setattr(risen_module, "_STEPS", 2)
    with pytest.raises(RuntimeError, match="brought none of 4 to its feet"):
        risen(load_teacher(find_teacher("righting")).teacher, 2, 0, 1.0)
    with pytest.raises(ValueError, match="second_chances is 0"):
        replace(CONFIG, second_chances=0.0)
