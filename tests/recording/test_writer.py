"""The file itself, read with other libraries than ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import h5py
import ndx_pose  # noqa: F401
import numpy as np
import pynapple
import pynwb
import pytest
from nwbinspector import inspect_nwbfile, load_config
from tests.analysis.synthetic import make_session, write_session

from vrodent.analysis import load_session
from vrodent.recording import RecordingError
from vrodent.recording.schema import KEYPOINT_NAMES
from vrodent.recording.trial import SessionInfo

LENGTHS = (300, 200, 250)
EVENTS = (("gap_crossed", 10), ("gap_crossed", 250), ("fall", 499))


@pytest.fixture(scope="module")
def session():
    return make_session(LENGTHS, {"core": 8, "policy0": 6}, events=EVENTS, measures={"gaps_crossed": [1, 2, 0]})


@pytest.fixture(scope="module")
def file(session, tmp_path_factory):
    return write_session(tmp_path_factory.mktemp("written"), session)


def test_validators_find_nothing(file):
    assert pynwb.validate(path=str(file)) == []
    assert list(inspect_nwbfile(nwbfile_path=file)) == []
    assert list(inspect_nwbfile(nwbfile_path=file, config=load_config("dandi"))) == []


def test_validator_does_find_a_fault(file, tmp_path):
    """The test above can fail."""
    broken = tmp_path / "broken.nwb"
    broken.write_bytes(file.read_bytes())
    with h5py.File(broken, "a") as data:
        del data["acquisition/reward/data"].attrs["unit"]
        del data["general/subject/species"]
    assert len(pynwb.validate(path=str(broken))) > 0
    assert len(list(inspect_nwbfile(nwbfile_path=broken, config=load_config("dandi")))) > 0


def test_values_units_and_times(session, file):
    with pynwb.NWBHDF5IO(str(file), "r") as io:
        nwb = io.read()
        for name in ("reward", "ctrl", "activity_core_h", "activity_policy0_c"):
            series = nwb.acquisition[name]
            assert np.array_equal(series.data[:], session.series[name].data)
            assert (series.unit, series.rate, series.starting_time) == (session.series[name].unit, 50.0, 0.0)
        behavior = nwb.processing["behavior"]
        angles = behavior["BehavioralTimeSeries"]["joint_angles"]
        assert np.array_equal(angles.data[:], session.get("joint_angles"))
        assert angles.unit == "rad"
        assert np.array_equal(behavior["Position"]["torso_position"].data[:], session.get("torso_position"))
        for i, name in enumerate(KEYPOINT_NAMES):
            assert np.array_equal(behavior["PoseEstimation"][name].data[:], session.get("keypoints")[:, i])
        assert list(behavior["Skeletons"]["rat"].nodes[:]) == list(KEYPOINT_NAMES)
        trials = nwb.trials.to_dataframe()
        assert np.allclose(trials.start_time, [0.0, 6.0, 10.0])
        assert np.allclose(trials.stop_time, [5.98, 9.98, 14.98])
        assert np.allclose(trials.total_reward, [r.sum(dtype=float) for r in session.split(session.get("reward"))])
        assert list(trials.gaps_crossed) == [1, 2, 0]
        events = nwb.events["task_events"].to_dataframe()
        assert list(events.event) == [name for name, _ in EVENTS]
        assert np.allclose(events.timestamp, [frame * 0.02 for _, frame in EVENTS])


def test_units_and_columns_are_named(file):
    with pynwb.NWBHDF5IO(str(file), "r") as io:
        misc = io.read().processing["misc"]
        assert list(misc["network_units"]["unit_id"][:]) == [f"core:{i}" for i in range(8)] + [f"policy0:{i}" for i in range(6)]
        columns = misc["series_columns"].to_dataframe()
        senses = columns[columns.series == "proprioception"]
        assert list(senses.column) == list(range(158))
        assert senses.label.iloc[157] == "sensors_touch:3"
        assert senses.si_unit.iloc[151] == "m/s^2"


def test_it_says_that_nothing_was_measured_from_an_animal(file):
    with pynwb.NWBHDF5IO(str(file), "r") as io:
        nwb = io.read()
        assert "SIMULATED" in nwb.session_description
        assert "SIMULATED" in nwb.subject.description
        assert nwb.subject.species == "Rattus norvegicus"


def test_data_are_compressed_in_chunks(file):
    with h5py.File(file) as data:
        stored = data["acquisition/activity_core_h/data"]
        assert (stored.compression, stored.shuffle) == ("gzip", True)
        assert stored.chunks is not None and "timestamps" not in data["acquisition/activity_core_h"]


def test_pynapple_reads_it(session, file):
    loaded = pynapple.load_file(str(file))
    assert np.allclose(loaded["trials"].start, [0.0, 6.0, 10.0])
    activity = loaded["activity_core_h"]
    assert np.array_equal(np.asarray(activity.values), session.activity("core"))
    second = activity.restrict(loaded["trials"][1])
    assert np.array_equal(np.asarray(second.values), session.activity("core")[300:500])


def test_the_reader_returns_what_was_written(session, file):
    again = load_session(file)
    assert again.layers == session.layers
    assert again.control_step == session.control_step
    for name, series in session.series.items():
        other = again.series[name]
        assert np.array_equal(other.data, series.data), name
        assert (other.unit, other.columns) == (series.unit, series.columns), name
    for name in ("start", "stop", "total_reward", "terminated", "truncated", "seed", "arena_seed"):
        assert np.array_equal(getattr(again.trials, name), getattr(session.trials, name)), name
    for name in ("name", "frame", "trial"):
        assert np.array_equal(getattr(again.events, name), getattr(session.events, name)), name


def _info(**changes) -> SessionInfo:
    base = dict(identifier="x", task="gaps", agent="a", start=datetime.now().astimezone(), layers={"core": 2}, columns={})
    return SessionInfo(**(base | changes))


def test_a_start_without_time_zone():
    with pytest.raises(RecordingError, match="time zone"):
        _info(start=datetime(2026, 1, 1))


def test_no_trials():
    with pytest.raises(RecordingError, match="at least one trial"):
        _info().check(())


def test_missing_and_misshapen_series(session, tmp_path):
    lacking = dict(session.series)
    del lacking["reward"]
    with pytest.raises((RecordingError, KeyError), match="reward"):
        write_session(tmp_path / "a", replace(session, series=lacking))
    thin = dict(session.series) | {"gyro": replace(session.series["gyro"], data=session.get("gyro")[:, :2], columns=())}
    with pytest.raises(RecordingError, match="gyro"):
        write_session(tmp_path / "b", replace(session, series=thin))


_FULL = """
import resource, sys
from pathlib import Path
from tests.analysis.synthetic import make_session, write_session
from vrodent.recording.storage import whole_folder
session = make_session((3000,))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
with whole_folder(Path(sys.argv[1])) as folder:
    write_session(folder, session)
"""


def test_a_disk_that_fills_while_the_file_is_written_leaves_nothing(tmp_path, request):
    command = [sys.executable, "-c", _FULL, str(tmp_path / "session")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=request.config.rootpath, check=False)
    assert child.returncode == 1
    assert "No room to write" in child.stderr
    assert list(tmp_path.iterdir()) == []
