"""Kinematic features of motions whose answer is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.analysis.signals import red_noise, sine
from tests.analysis.synthetic import make_session

from vrodent.analysis import SessionError
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.features import MOVEMENT, FeatureConfig, feature_sets, movement, pose, rotation_matrices, session_signals

RATE = 50.0


def w_first(rotation: Rotation) -> np.ndarray:
    return np.roll(rotation.as_quat(), 1, axis=-1)


def test_rotation_matrices_are_scipys() -> None:
    rotation = Rotation.random(20, random_state=0)
    np.testing.assert_allclose(rotation_matrices(w_first(rotation)), rotation.as_matrix(), atol=1e-12)


def test_pose_is_unchanged_when_the_animal_is_carried_and_turned() -> None:
    rng = np.random.default_rng(0)
    keypoints, torso = rng.normal(size=(30, 7, 3)), rng.normal(size=(30, 3))
    facing = Rotation.random(30, random_state=1)
    turn, carry = Rotation.from_euler("zyx", [0.4, 0.2, -1.0]), np.array([3.0, -2.0, 0.5])
    moved = np.stack([turn.apply(frame) for frame in keypoints]) + carry
    before = pose(keypoints, torso, w_first(facing))
    after = pose(moved, turn.apply(torso) + carry, w_first(turn * facing))
    np.testing.assert_allclose(before, after, atol=1e-12)
    expected = facing.inv()[3].apply(keypoints[3] - torso[3])
    np.testing.assert_allclose(before[3].reshape(7, 3), expected, atol=1e-12)


def test_running_in_a_circle() -> None:
    speed, turning, height = 0.5, 2.0, 0.06
    time = np.arange(200) / RATE
    heading = turning * time
    torso = np.column_stack([speed / turning * np.sin(heading), -speed / turning * np.cos(heading), np.full(200, height)])
    velocity = speed * np.column_stack([np.cos(heading), np.sin(heading), np.zeros(200)])
    values = movement(velocity, w_first(Rotation.from_euler("z", heading[:, None])), torso, torso + np.array([0, 0, 0.02]), RATE)
    inner = dict(zip(MOVEMENT, values[2:-2].T, strict=True))
    np.testing.assert_allclose(inner["forward"], speed)
    np.testing.assert_allclose(inner["turning"], turning)
    np.testing.assert_allclose(inner["height"], height)
    np.testing.assert_allclose(inner["head_speed"], speed, rtol=1e-3)
    for still in ("sideways", "upward", "pitch", "roll"):
        np.testing.assert_allclose(inner[still], 0, atol=1e-9)


def test_rearing_is_pitch_up_and_leaning_left_side_up_is_roll() -> None:
    still = np.zeros((5, 3))
    up = movement(still, np.tile(w_first(Rotation.from_euler("y", -0.7)), (5, 1)), still, still, RATE)
    np.testing.assert_allclose(up[:, MOVEMENT.index("pitch")], 0.7)
    lean = movement(still, np.tile(w_first(Rotation.from_euler("x", 0.3)), (5, 1)), still, still, RATE)
    np.testing.assert_allclose(lean[:, MOVEMENT.index("roll")], 0.3)


def test_timescales_hear_their_own_frequencies() -> None:
    """Two trials, one oscillating at 10 Hz and one at 0.7 Hz: the fast set is large in the one, the slow set in the other."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=4)
    trials = [{"pose": sine(1000, f)[:, None] * weights + 0.01 * rng.normal(size=(1000, 4))} for f in (10.0, 0.7)]
    config = FeatureConfig(num_components=1, num_frequencies=3)
    quick, slow = feature_sets(trials, RATE, config)
    assert (quick["pose_fast"].mean(axis=0) > slow["pose_fast"].mean(axis=0)).all()
    assert quick["pose_slow"].mean() < slow["pose_slow"].mean()
    assert quick["pose_fast"].shape == (1000, 3)


def test_every_column_is_standardised_over_all_trials_and_constants_are_left_out() -> None:
    rng = np.random.default_rng(3)
    forces = [np.column_stack([red_noise(rng, n, 3, 0.1) * 50 + 7, np.full(n, 2.0)]) for n in (400, 300)]
    trials = [{"forces": values, "reward": np.zeros((len(values), 1))} for values in forces]
    sets = feature_sets(trials, RATE)
    joined = np.concatenate([trial["forces"] for trial in sets])
    assert joined.shape == (700, 3)
    np.testing.assert_allclose(joined.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(joined.std(axis=0), 1, atol=1e-5)
    assert "reward" not in sets[0]


def test_sets_of_a_session() -> None:
    session = make_session((220, 250), measures={})
    signals = session_signals(session, [1])
    assert {name: values.shape for name, values in signals[0].items()} == {
        "forces": (250, 38), "joint_angles": (250, 30), "joint_velocities": (250, 30), "pose": (250, 75), "movement": (250, 9),
        "value": (250, 1), "reward": (250, 1),
    }  # fmt: skip
    sets = feature_sets(signals, 1 / session.control_step)
    assert {name for name in sets[0] if "_fast" in name or "_medium" in name or "_slow" in name} == {
        f"{signal}_{band}" for signal in ("joint_angles", "joint_velocities", "pose") for band in ("fast", "medium", "slow")
    }
    assert sets[0]["pose_slow"].shape == (250, 40)


def test_refuses() -> None:
    short = make_session((100, 250))
    with pytest.raises(AnalysisError, match="100 frames, at least 167"):
        feature_sets(session_signals(short, [0]), RATE)
    broken = make_session((200,), planted={"actuator_forces": np.full((200, 38), np.nan)})
    with pytest.raises(AnalysisError, match="forces, trial 0: 200 of 200 frames hold NaN"):
        feature_sets(session_signals(broken, [0]), RATE)
    with pytest.raises(AnalysisError, match="0 trial"):
        feature_sets([], RATE)
    with pytest.raises(AnalysisError, match=r"min_duration must be at least 3.33 s"):
        FeatureConfig(min_duration=1.0)
    session = make_session((200,))
    object.__setattr__(session, "series", {k: v for k, v in session.series.items() if k != "joint_angles"})
    with pytest.raises(SessionError, match="joint_angles"):
        session_signals(session, [0])
