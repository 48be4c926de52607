"""A rat and its mirror image: MuJoCo moves both, and what one observes is the reflection of what the other does."""

import numpy as np
import pytest

from vrodent.simulation import make
from vrodent.task.two_tap import TwoTap
from vrodent.training.teachers.guides import TwoTapGuide
from vrodent.training.teachers.mirror import Mirror
from vrodent.training.teachers.privileged import OBSERVATION_SIZE, observe


def _reflected_qpos(env, qpos):
    """The posture in a mirror along x: by the axes of MuJoCo's own joints, not by their names."""
    model, found = env.model, qpos.copy()
    found[1], found[4], found[6] = -qpos[1], -qpos[4], -qpos[6]  # y; a rotation about x or z turns the other way
    reflection = np.diag([1.0, -1.0, 1.0])
    fields = env.physics.fields
    for joint in range(1, model.njnt):
        name = model.joint(joint).name
        other = name.replace("_L", "_*").replace("_R", "_L").replace("_*", "_R")
        twin = model.joint(other).id
        # At qpos0, where it stands upright along x: an axis a turned by t is seen as the axis of its reflection turned by -t.
        axis, twin_axis = _axis(env, fields, joint), _axis(env, fields, twin)
        agreement = float(twin_axis @ reflection @ axis)
        assert abs(agreement) == pytest.approx(1.0, abs=0.02)
        found[model.jnt_qposadr[twin]] = -agreement / abs(agreement) * qpos[model.jnt_qposadr[joint]]
    return found


def _axis(env, fields, joint):
    body = int(env.model.jnt_bodyid[joint])
    return fields.xmat[0, body].reshape(3, 3) @ env.model.jnt_axis[joint]


@pytest.fixture(scope="module")
def twins():
    """Two worlds: the rat in a random posture with a random twist beside an orb, and its mirror image."""
    env = make(TwoTap(), 2, seed=0, physics="training", camera=False, num_threads=1)
    rng = np.random.default_rng(1)
    base = env.task.draw(rng, env.model)
    env.reset_to(np.arange(2), [base, base])
    qpos = env.model.qpos0.copy()
    qpos[7:] += rng.normal(0.0, 0.05, len(qpos) - 7)
    qpos[2] += 0.02
    targets = base.targets.copy()
    targets[:, :2] = rng.uniform(-0.3, 0.3, (len(targets), 2))
    flipped = targets * [1.0, -1.0, 1.0]
    image = _reflected_qpos(env, qpos)
    values = {name: getattr(base, name) for name in base.__dataclass_fields__}
    kind = type(base)
    env.reset_to(
        np.arange(2), [kind(**{**values, "qpos": qpos, "targets": targets}), kind(**{**values, "qpos": image, "targets": flipped})]
    )
    return env


class _Tilted(TwoTapGuide):
    """Ground that rises to the rat's left, or to the right of its image."""

    def heights(self, env, points):
        return np.array([0.05, -0.05])[:, None] * points[..., 1] + 0.03 * points[..., 0]


def test_observations_of_a_rat_and_its_image_are_reflections(twins):
    """For 0.12 s of random actions. The rat's two sides differ by 7e-6 m (measured here); once a paw of one lands a physics step before its
    image's they part."""
    env, mirror, rng = twins, Mirror.of(twins.index), np.random.default_rng(2)
    guide = _Tilted()
    for step in range(7):
        seen = observe(env, guide, guide.guide(env), 1.0)
        allowed = 1e-4 if step == 0 else 1e-2 * (1.0 + np.abs(seen[1]))
        assert (np.abs(mirror.observation(seen[0]) - seen[1]) <= allowed).all(), f"step {step}: {_worst(mirror, seen)}"
        ctrl = np.clip(env.standing_ctrl + rng.normal(0.0, 0.2, 38), -1.0, 1.0)
        env.step(np.stack([ctrl, mirror.action(ctrl)]))
    assert np.abs(env.physics.fields.qvel[:, 6:]).mean() > 1.0  # rad/s: they have moved, and fast


def _worst(mirror, seen):
    off = np.abs(mirror.observation(seen[0]) - seen[1])
    return [(int(i), float(off[i])) for i in np.argsort(off)[-5:]]


def test_the_stance_is_its_own_image(twins):
    np.testing.assert_allclose(Mirror.of(twins.index).action(twins.standing_ctrl), twins.standing_ctrl, atol=1e-9)


def test_the_image_of_the_image_is_the_original(twins):
    mirror, rng = Mirror.of(twins.index), np.random.default_rng(3)
    observation, action = rng.normal(size=(4, OBSERVATION_SIZE)), rng.normal(size=(4, 38))
    np.testing.assert_array_equal(mirror.observation(mirror.observation(observation)), observation)
    np.testing.assert_array_equal(mirror.action(mirror.action(action)), action)
    assert (mirror.observation(observation) != observation).any(axis=0).sum() > 150  # most of it has a side
