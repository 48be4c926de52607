"""What a session refuses and what it tells; files written by the real writer, then damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest
from tests.analysis.synthetic import make_session, write_session

from vrodent.analysis import Series, SessionError, Trials, load_session

NONE = Trials(**dict.fromkeys(("start", "stop", "total_reward", "terminated", "truncated", "seed", "arena_seed"), np.zeros(0, int)))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    session = make_session((120, 40, 60), {"core": 4, "policy0": 3}, events=[("fall", 119), ("fall", 120)])
    return write_session(tmp_path_factory.mktemp("session"), session)


@pytest.fixture
def copy(written, tmp_path) -> Path:
    return Path(shutil.copy(written, tmp_path / "session.nwb"))


def test_trials_cut_every_series_at_the_same_frames():
    session = make_session((120, 40, 60))
    assert [session.frames(i) for i in range(3)] == [slice(0, 120), slice(120, 160), slice(160, 220)]
    pieces = session.split(session.activity("core"))
    assert [len(piece) for piece in pieces] == [120, 40, 60]
    assert np.array_equal(np.concatenate(pieces), session.activity("core"))
    assert np.array_equal(np.bincount(session.trial_of_frame), [120, 40, 60])
    assert session.time[-1] == pytest.approx(219 * 0.02)


def test_events_know_their_trial(written):
    events = load_session(written).events
    assert list(events.trial) == [0, 1]
    assert list(events.frames("fall")) == [119, 120]
    assert list(events.frames("never")) == []


def test_planted_activity_comes_back(tmp_path):
    planted = np.sin(np.arange(200)[:, None] * 0.02 * 2 * np.pi * np.array([1.0, 3.0])).astype(np.float32)
    session = make_session((100, 100), {"core": 2}, planted={"activity_core_c": planted})
    assert np.array_equal(load_session(write_session(tmp_path, session)).activity("core", "c"), planted)


def test_a_folder_or_its_file(written):
    assert load_session(written.parent).identifier == load_session(str(written)).identifier


def test_only_some_series(written):
    session = load_session(written, only=("activity_policy0_h", "joint_angles"))
    assert set(session.series) == {"activity_policy0_h", "joint_angles"}
    assert session.layers == ("policy0",)
    with pytest.raises(SessionError, match="nonsense"):
        load_session(written, only=("nonsense",))


def test_arrays_are_read_only(written):
    with pytest.raises(ValueError, match="read-only"):
        load_session(written).get("reward")[0] = 1.0


def test_names_of_units_joints_and_keypoints(written):
    session = load_session(written)
    assert session.unit_ids("core") == ("core:0", "core:1", "core:2", "core:3") == session.series["activity_core_h"].columns
    assert session.series["joint_angles"].columns[:2] == ("joint0", "joint1")
    assert session.keypoint("nose").shape == (220, 3)
    with pytest.raises(SessionError, match=r"no keypoint 'wing'.*nose"):
        session.keypoint("wing")


def test_missing(tmp_path):
    with pytest.raises(SessionError, match=r"does not exist.*vrodent record"):
        load_session(tmp_path / "nowhere")
    with pytest.raises(SessionError, match=r"holds no session\.nwb"):
        load_session(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_truncated(copy, share):
    whole = copy.read_bytes()
    copy.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SessionError, match="truncated, damaged or not NWB"):
        load_session(copy)


def test_not_nwb(tmp_path):
    (tmp_path / "session.nwb").write_text("never mind")
    with pytest.raises(SessionError, match="not NWB"):
        load_session(tmp_path)


def test_an_nwb_file_of_something_else(tmp_path):
    other = pynwb.NWBFile(session_description="mouse", identifier="m", session_start_time=datetime(2020, 1, 1, tzinfo=UTC))
    with pynwb.NWBHDF5IO(str(tmp_path / "session.nwb"), "w") as io:
        io.write(other)
    with pytest.raises(SessionError, match="not a session recorded by vrodent"):
        load_session(tmp_path)


def test_a_missing_layer_or_series(written):
    session = load_session(written)
    with pytest.raises(SessionError, match=r"no layer 'policy2'.*core, policy0"):
        session.activity("policy2")
    with pytest.raises(SessionError, match="no series 'smell'"):
        session.get("smell")


def test_no_trials(copy):
    with h5py.File(copy, "a") as file:
        del file["intervals/trials"]
    with pytest.raises(SessionError, match="no trials"):
        load_session(copy)
    with pytest.raises(SessionError, match="no trials"):
        replace(make_session((60,)), trials=NONE)


def test_edited_trials(copy):
    with h5py.File(copy, "a") as file:
        file["intervals/trials/start_time"][1] += 1.0
    with pytest.raises(SessionError, match="do not follow one another"):
        load_session(copy)


def test_a_series_of_another_length(copy):
    with h5py.File(copy, "a") as file:
        kept = file["acquisition/reward/data"][:-7]
        attributes = dict(file["acquisition/reward/data"].attrs)
        del file["acquisition/reward/data"]
        file["acquisition/reward/data"] = kept
        file["acquisition/reward/data"].attrs.update(attributes)
    with pytest.raises(SessionError, match="'reward' has 213 frames, its trials 220"):
        load_session(copy)


def test_frames_with_missing_values_are_stated(copy):
    with h5py.File(copy, "a") as file:
        file["processing/behavior/BehavioralTimeSeries/joint_angles/data"][121:124, 3] = np.nan
        file["processing/behavior/PoseEstimation/nose/data"][0, 0] = np.inf
    remarks = " ".join(load_session(copy).remarks)
    assert "joint_angles: 3 of 220 frames have missing values (trials 1)" in remarks
    assert "keypoints: 1 of 220 frames have missing values (trials 0)" in remarks


def test_a_short_trial_is_stated(written):
    assert load_session(written).remarks == ("1 trials are shorter than 1 s: 1.",)


def test_a_session_without_fault_has_no_remarks():
    assert make_session((120, 60)).remarks == ()


def test_column_names_must_fit():
    with pytest.raises(SessionError, match="2 column names"):
        Series(name="x", data=np.zeros((5, 3)), columns=("a", "b"))


def test_control_step_must_be_positive():
    with pytest.raises(SessionError, match="control_step"):
        replace(make_session((60,)), control_step=0.0)


def test_lineage_is_json(written):
    assert json.loads(load_session(written).lineage) == {}


def test_reading_needs_neither_jax_nor_mujoco(written):
    code = (
        "import sys, vrodent.analysis; vrodent.analysis.load_session(sys.argv[1]);"
        "print([m for m in ('jax', 'mujoco', 'equinox', 'torch') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code, str(written)], capture_output=True, text=True, timeout=120, check=True)
    assert child.stdout.strip() == "[]"
