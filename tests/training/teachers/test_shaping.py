"""What the shaped reward prefers: looking at what is touched, and leaping where there is a gap."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vrodent.simulation import make
from vrodent.training.teachers.guidance import Ground, Guidance, facing_eye, no_target
from vrodent.training.teachers.shaping import ShapingConfig, shape


def _postures(num_worlds: int, seed: int):
    """Rats in random postures anywhere."""
    env = make("two_tap", num_worlds=num_worlds, camera=False)
    env.reset()
    rng = np.random.default_rng(seed)
    fields = env.physics.fields
    fields.qpos[:, :3] = rng.uniform(-1.0, 1.0, (num_worlds, 3))
    quat = rng.normal(size=(num_worlds, 4))
    fields.qpos[:, 3:7] = quat / np.linalg.norm(quat, axis=1, keepdims=True)
    fields.qpos[:, 7:] += rng.uniform(-0.3, 0.3, fields.qpos[:, 7:].shape)
    fields.forward()
    return env, rng


def test_the_eye_is_where_mujoco_has_the_camera():
    """The same cosine as with the camera frame that MuJoCo computes: both are double precision."""
    env, rng = _postures(6, seed=1)
    target = env.physics.fields.qpos[:, :3] + rng.uniform(-0.2, 0.2, (6, 3))
    found = facing_eye(env, target)
    data, camera = mujoco.MjData(env.model), env.index.camera
    for world in range(6):
        data.qpos[:] = env.physics.fields.qpos[world]
        mujoco.mj_kinematics(env.model, data)
        mujoco.mj_camlight(env.model, data)
        offset = target[world] - data.cam_xpos[camera]
        axis = -data.cam_xmat[camera].reshape(3, 3)[:, 2]  # a camera of MuJoCo looks along its negative z
        assert found[world] == pytest.approx(axis @ offset / np.linalg.norm(offset), abs=1e-9)


@pytest.mark.parametrize(("phase", "tap"), [(0, 0), (1, 0), (2, 0), (1, 1), (2, 2)])
def test_an_orb_that_is_seen_is_worth_more_than_one_behind_the_head(phase, tap):
    """Behind the head that share of reaching and touching is lost, straight ahead nothing; awaiting the next orb is paid in any case."""
    env, _ = _postures(2, seed=2)
    fields, camera = env.physics.fields, env.index.camera
    body = int(env.model.cam_bodyid[camera])
    eye, rotation = fields.xpos[:, body], fields.xmat[:, body].reshape(2, 3, 3)
    inward = np.zeros(9)
    mujoco.mju_quat2Mat(inward, env.model.cam_quat[camera])
    along = -rotation @ inward.reshape(3, 3)[:, 2]
    eye = eye + rotation @ env.model.cam_pos[camera]
    target = eye + 0.05 * along * np.array([[1.0], [-1.0]])
    told = Guidance(np.zeros(2), np.zeros(2), target, np.full(2, phase), np.zeros(2))
    unmoved = np.zeros((2, 38))

    def reward(tap: int, **weights: float) -> np.ndarray:
        return shape(env, Ground.TAP, told, unmoved, np.full(2, tap), ShapingConfig(tap=8.0, second_tap=16.0, **weights)).reward

    lost = reward(tap) - reward(tap, gaze=0.75)
    assert lost[0] == pytest.approx(0.0, abs=1e-6)
    paid = reward(tap)[1] - reward(0)[1]
    reaching = reward(0)[1] - reward(0, gaze=1.0)[1]
    assert paid == pytest.approx({0: 0.0, 1: 8.0, 2: 16.0}[tap])
    assert (reaching > 0.01) == (phase != 2)
    assert lost[1] == pytest.approx(0.75 * (paid + reaching))


def test_who_presses_is_drawn_into_the_orb_and_then_out_of_it():
    """A palm at the orb's centre against one 4 cm off: better while pressing, worse from then until 0.4 s, better again for the second."""
    env, _ = _postures(2, seed=3)
    fields = env.physics.fields
    palms = fields.geom_xpos[:, env.index.palm_geoms]
    outward = palms[:, 0] - palms[:, 1]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)

    def reward(target: np.ndarray, time: float, press: float) -> np.ndarray:
        told = Guidance(np.zeros(2), np.zeros(2), target, np.ones(2, int), np.full(2, time))
        return shape(env, Ground.TAP, told, np.zeros((2, 38)), np.zeros(2, int), ShapingConfig(press=press)).reward

    def advantage(time: float, press: float) -> float:
        return float((reward(palms[:, 0], time, press) - reward(palms[:, 0] + 0.04 * outward, time, press)).min())

    assert advantage(0.1, press=0.16) > 1.0
    assert advantage(0.1, press=0.0) < 0.0
    assert advantage(0.2, press=0.16) < 0.0
    assert advantage(0.6, press=0.16) > 0.2


@pytest.mark.parametrize(
    ("time", "retreat", "off_is_better"), [(0.3, 0.0, False), (0.3, 0.08, True), (0.5, 0.0, False), (0.5, 0.08, True), (0.65, 0.08, False)]
)
def test_who_retreats_waits_far_from_the_orb_and_comes_back_in_time(time, retreat, off_is_better):
    """A palm 8 cm from the orb against one at 4.5 cm; 15 cm is too far in any case. `hand_distance` is that of the nearer palm."""
    env, _ = _postures(2, seed=3)
    palms = env.physics.fields.geom_xpos[:, env.index.palm_geoms]
    outward = palms[:, 0] - palms[:, 1]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)

    def reward(distance: float) -> np.ndarray:
        target = palms[:, 0] + distance * outward
        told = Guidance(np.zeros(2), np.zeros(2), target, np.ones(2, int), np.full(2, time))
        return shape(env, Ground.TAP, told, np.zeros((2, 38)), np.zeros(2, int), ShapingConfig(press=0.1, retreat=retreat)).reward

    assert ((reward(0.08) > reward(0.045) + 0.05) == off_is_better).all()
    assert (reward(0.08) > reward(0.14) + 0.02).all()


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="gaze must be a share"):
        ShapingConfig(gaze=1.5)
    with pytest.raises(ValueError, match="press must be a time"):
        ShapingConfig(press=0.25)
    for retreat in (-0.1, 0.03, 0.3):
        with pytest.raises(ValueError, match="retreat must be 0, or a distance"):
            ShapingConfig(retreat=retreat)


@pytest.mark.parametrize(("ground", "worth"), [(Ground.GAPS, True), (Ground.FLAT, False)])
def test_who_is_faster_than_told_is_right_only_before_gaps(ground, worth):
    env = make("two_tap", num_worlds=2, camera=False)
    env.reset()
    fields = env.physics.fields
    fields.qpos[:, :7] = [0, 0, 0, 1, 0, 0, 0]
    fields.qvel[:] = 0.0
    fields.qvel[:, 0] = 0.5, 0.8
    fields.forward()
    told = Guidance(np.zeros(2), np.full(2, 0.5), *no_target(2))
    tracking = shape(env, ground, told, np.zeros((2, 38)), np.zeros(2, int), ShapingConfig()).tracking
    assert tracking[0] > 0.9
    assert (tracking[1] == pytest.approx(tracking[0])) == worth
