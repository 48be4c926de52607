"""What is told a little wrong: against the heights of a step, reckoned by hand, and the truth that nothing else changes."""

from typing import cast

import numpy as np
import pytest

from vrodent.simulation import CpuSimulation
from vrodent.training.teachers.grounds import Corridor, make_grounds
from vrodent.training.teachers.misjudgement import Misjudgement, misjudged
from vrodent.training.teachers.practice import PracticeConfig
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, TOLD

NO_ENV = cast(CpuSimulation, None)  # the heights of `_step` are of no simulation


def _step(env, points):
    """A pit from x = 1 m on."""
    return -1.0 * (points[:, :, 0] >= 1.0)


def test_a_pit_is_told_too_near_by_the_error_and_not_sharp():
    judgement = Misjudgement(np.random.default_rng(0), (1, 2), 0.02)
    judgement.error[:] = 0.03, 0.06
    x = np.array([0.90, 0.925, 0.945, 0.985, 1.0])  # the last is the rat's own place: at the edge, and known to be there
    told = misjudged(_step, judgement)(NO_ENV, np.stack([x, np.zeros(5)], axis=1)[None])
    # moved by 0.03 + 0.06 * distance / 0.3: to 0.95, 0.97, 0.986, 1.018; then 0.02 to either side
    np.testing.assert_allclose(told, [[0.0, 0.0, -1 / 3, -2 / 3, -1.0]])


def test_without_error_nothing_is_drawn_and_the_truth_is_told():
    rng = np.random.default_rng(0)
    judgement = Misjudgement(rng, (3, 2), 0.0)
    judgement.advance()
    assert rng.random() == np.random.default_rng(0).random()
    points = np.random.default_rng(1).uniform(0.0, 2.0, (3, 7, 2))
    np.testing.assert_array_equal(misjudged(_step, judgement)(NO_ENV, points), _step(NO_ENV, points))


def test_edges_are_misjudged_in_corridors_and_nothing_else_is():
    """The rat near its first edge: with errors of 5 cm what is told of the ground ahead differs from the truth, all else is the same."""
    seen = []
    for blur in (0.0, 0.05):
        (ground,) = make_grounds(PracticeConfig(num_worlds=(0, 4, 0, 0, 0), blur=blur, posture_noise=0.0, levels=(1.0, 1.0)), seed=5)
        assert isinstance(ground, Corridor)
        arenas = list(ground.env.world_arenas)
        if not seen:
            kept = arenas
        for arena in kept:
            arena.qpos[0] = arena.geom_pos[1, 0] + arena.geom_size[1, 0] - 0.15
        ground.env.reset_to(np.arange(4), kept)
        ground._along.speed[:] = 0.5
        seen.append(ground.observe())
        ground.env.close()
    scan = np.zeros(OBSERVATION_SIZE, bool)
    scan[TOLD.start + 3 : TOLD.start + 42] = True
    np.testing.assert_array_equal(seen[0][:, ~scan], seen[1][:, ~scan])
    assert np.abs(seen[0][:, scan] - seen[1][:, scan]).max() > 0.1


def test_an_error_wanders_and_keeps_its_deviation():
    """4000 errors: their deviation is good to 1.1 %, so 4 %; two steps apart 0.98 ** 2 of one is left, good to 1 / sqrt(4000)."""
    judgement = Misjudgement(np.random.default_rng(3), (4000, 1), 0.02)
    for _ in range(100):
        judgement.advance()
    before = judgement.error
    judgement.advance()
    judgement.advance()
    assert judgement.error.std() == pytest.approx(0.02, rel=0.04)
    assert np.corrcoef(before[:, 0], judgement.error[:, 0])[0, 1] == pytest.approx(0.98**2, abs=0.01)
