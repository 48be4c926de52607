"""Series of the body against MuJoCo's own named access, in a posture with nothing at zero."""

from __future__ import annotations

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from vrodent.body import PROPRIOCEPTION_SIZE, proprioception
from vrodent.recording.body import BodyReader
from vrodent.recording.schema import BODY_SERIES, KEYPOINT_NAMES, KEYPOINTS, SENSE_COLUMNS
from vrodent.task import get_task


@pytest.fixture(scope="module")
def moving():
    """Two worlds: the second a rat in mid-air, turning, its actuators driven."""
    model = get_task("two_tap").spec().compile()
    rng = np.random.default_rng(0)
    worlds = []
    for scale in (0.0, 1.0):
        data = mujoco.MjData(model)
        data.qpos[2] += scale
        data.qvel[:] = scale * rng.normal(size=model.nv)
        data.ctrl[:] = scale * rng.uniform(-1, 1, model.nu)
        for _ in range(5):
            mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        worlds.append(data)
    names = ("qpos", "qvel", "act", "xpos", "xmat", "xquat", "site_xpos", "geom_xpos", "sensordata", "ten_length", "ten_velocity",
             "actuator_force", "qfrc_actuator")  # fmt: skip
    fields = SimpleNamespace(**{name: np.stack([getattr(data, name) for data in worlds]) for name in names})
    return model, worlds[1], fields, BodyReader.of(model)


def test_it_reads_every_series_of_the_schema(moving):
    _, _, fields, reader = moving
    series = reader.read(fields)
    assert set(series) | {"proprioception"} == {spec.name for spec in BODY_SERIES}
    assert all(len(values) == 2 for values in series.values())


@pytest.mark.parametrize("name", ["knee_L", "elbow_R", "mandible"])
def test_joints(moving, name):
    _, data, fields, reader = moving
    series, column = reader.read(fields), reader.columns["joint"].index(name)
    joint = data.joint("walker/" + name)
    assert series["joint_angles"][1, column] == joint.qpos[0]
    assert series["joint_velocities"][1, column] == joint.qvel[0]
    assert series["joint_torques"][1, column] == joint.qfrc_actuator[0] != 0.0
    assert series["qpos"][1, reader.columns["qpos"].index(name)] == joint.qpos[0]
    assert series["qvel"][1, reader.columns["qvel"].index(name)] == joint.qvel[0]


def test_actuators_and_tendons(moving):
    _, data, fields, reader = moving
    series = reader.read(fields)
    for i, name in enumerate(reader.columns["actuator"]):
        assert series["actuator_forces"][1, i] == data.actuator("walker/" + name).force[0]
    for i, name in enumerate(reader.columns["tendon"]):
        assert series["tendon_lengths"][1, i] == data.tendon("walker/" + name).length[0]


def test_vestibular_and_torso(moving):
    _, data, fields, reader = moving
    series = reader.read(fields)
    for ours, theirs in (("accelerometer",) * 2, ("gyro",) * 2, ("velocimeter",) * 2, ("torso_velocity", "torso")):
        assert np.array_equal(series[ours][1], data.sensor("walker/" + theirs).data)
    assert np.array_equal(series["torso_position"][1], data.body("walker/torso").xpos)
    assert np.array_equal(series["torso_orientation"][1], data.body("walker/torso").xquat)


def test_torso_velocity_is_that_of_the_whole_body(moving):
    """Its name in the model does not say so: momentum over mass, the rat being the only thing that moves."""
    model, data, fields, reader = moving
    mujoco.mj_subtreeVel(model, data)
    torso = data.body("walker/torso").id
    assert np.allclose(reader.read(fields)["torso_velocity"][1], data.subtree_linvel[torso])


def test_keypoints_are_the_named_parts(moving):
    _, data, fields, reader = moving
    points = reader.read(fields)["keypoints"][1]
    for i, (_, kind, part) in enumerate(KEYPOINTS):
        found = getattr(data, kind)("walker/" + part)
        assert np.array_equal(points[i], found.xpos), part


def test_keypoints_of_a_standing_rat(moving):
    """Nose in front of the torso, tail tip behind, paws near the ground, left on the left."""
    _, _, fields, reader = moving
    points = dict(zip(KEYPOINT_NAMES, reader.read(fields)["keypoints"][0], strict=True))
    assert points["nose"][0] > points["head"][0] > points["torso"][0] > points["pelvis"][0] > points["tail_base"][0] > points["tail_tip"][0]
    for paw in ("forepaw", "hindpaw"):
        assert points[f"{paw}_L"][1] > 0 > points[f"{paw}_R"][1]
        assert abs(points[f"{paw}_L"][2]) < 0.015 < points["torso"][2]


def test_sense_columns_find_their_values(moving):
    _, data, fields, reader = moving
    felt = proprioception(fields, reader.index)[1]
    assert felt.shape == (PROPRIOCEPTION_SIZE,)
    names = [name for name, _ in SENSE_COLUMNS]
    assert felt[names.index("body_height")] == data.body("walker/torso").xpos[2]
    assert felt[names.index("sensors_gyro:1")] == data.sensor("walker/gyro").data[1]
