"""Trials to one NWB file: all trials one after another on one 50 Hz clock. Where each thing lies: `schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import ndx_pose
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import BehavioralTimeSeries, Position, SpatialSeries
from pynwb.event import EventsTable, TimestampVectorData
from pynwb.file import Subject
from pynwb.image import ImageSeries

from vrodent.recording.schema import (
    COLUMNS_TABLE,
    EVENTS_TABLE,
    KEYPOINT_NAMES,
    RATE,
    SKELETON,
    UNITS_TABLE,
    VIDEO_SERIES,
    SeriesSpec,
    column_unit,
)
from vrodent.recording.storage import PatientFile
from vrodent.recording.trial import Measure, SessionInfo, TrialData
from vrodent.version import __version__

_CHUNK_BYTES = 512 * 1024
_SKELETON = "rat"
_SPATIAL_UNIT = {"m": "meters"}  # NWB wants the word for positions, and only there
_FIXED_TRIAL_COLUMNS = {
    "total_reward": "sum of the trial's rewards",
    "terminated": "the task ended the trial by its own rule, or the physics failed (then diverged is true)",
    "truncated": "the time limit ended the trial",
    "seed": "seed of the session",
    "arena_seed": "what the arena was drawn from: seed/world/episode",
}


def _compressed(data: np.ndarray) -> H5DataIO:
    row = max(1, data[0].nbytes)
    chunk = (max(1, min(len(data), _CHUNK_BYTES // row)), *data.shape[1:])
    return H5DataIO(data=data, compression="gzip", compression_opts=4, shuffle=True, chunks=chunk)


def _joined(trials: tuple[TrialData, ...], name: str) -> np.ndarray:
    return np.concatenate([np.asarray(trial.data[name], np.float32) for trial in trials])


def _starts(trials: tuple[TrialData, ...]) -> list[int]:
    return np.cumsum([0] + [trial.num_frames for trial in trials]).tolist()


def _add_series(nwb: NWBFile, info: SessionInfo, trials: tuple[TrialData, ...]) -> None:
    behavior = nwb.create_processing_module("behavior", "what the body did and felt")
    body, position = BehavioralTimeSeries(), Position()
    for container in (body, position):
        behavior.add(container)
    for spec in info.specs():
        data = _joined(trials, spec.name)
        if spec.place == "pose":
            _add_pose(behavior, spec, data)
            continue
        named = f" Columns: see {COLUMNS_TABLE}." if spec.axis else ""
        common = dict(
            name=spec.name,
            data=_compressed(data),
            unit=spec.unit,
            rate=RATE,
            starting_time=0.0,
            description=f"{spec.description}.{named}",
        )
        if spec.place == "position":
            common["unit"] = _SPATIAL_UNIT[spec.unit]
            position.add_spatial_series(SpatialSeries(**common, reference_frame="origin and axes of the simulated world, z up"))
        elif spec.place == "behavior":
            body.add_timeseries(TimeSeries(**common))
        else:
            nwb.add_acquisition(TimeSeries(**common))


def _add_pose(behavior: Any, spec: SeriesSpec, data: np.ndarray) -> None:
    number = {name: i for i, name in enumerate(KEYPOINT_NAMES)}
    edges = np.array([(number[a], number[b]) for a, b in SKELETON], np.uint8)
    skeleton = ndx_pose.Skeleton(name=_SKELETON, nodes=list(KEYPOINT_NAMES), edges=edges)
    points = [
        ndx_pose.PoseEstimationSeries(
            name=name,
            description=f"{name} of the body",
            data=_compressed(data[:, i]),
            confidence=H5DataIO(data=np.ones(len(data), np.float32), compression="gzip", shuffle=True),
            confidence_definition="1: taken from the simulation, not estimated",
            reference_frame="origin and axes of the simulated world, z up",
            unit=_SPATIAL_UNIT[spec.unit],
            rate=RATE,
            starting_time=0.0,
        )
        for i, name in enumerate(KEYPOINT_NAMES)
    ]
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    behavior.add(
        ndx_pose.PoseEstimation(
            name="PoseEstimation", pose_estimation_series=points, description=spec.description, skeleton=skeleton, source_software="vrodent"
        )
    )


def _add_identity_tables(nwb: NWBFile, info: SessionInfo) -> None:
    units = DynamicTable(name=UNITS_TABLE, description="The artificial neurons whose activity was recorded.")
    for name, text in (("unit_id", "stable name"), ("layer", "layer of the network"), ("column", "column in activity_<layer>_h and _c")):
        units.add_column(name, text)
    columns = DynamicTable(name=COLUMNS_TABLE, description="Names and units of the columns of every series with named columns.")
    for name, text in (("series", "name of the series"), ("column", "its column"), ("label", "its name"), ("si_unit", "its unit")):
        columns.add_column(name, text)
    for spec in info.specs():
        for number, label in enumerate(info.column_names(spec)):
            if spec.axis == "unit" and spec.name.endswith("_h"):
                units.add_row(unit_id=label, layer=label.split(":")[0], column=number)
            elif spec.axis not in ("unit", "keypoint"):
                columns.add_row(series=spec.name, column=number, label=label, si_unit=column_unit(spec, number))
    module = nwb.create_processing_module("misc", "which column is what")
    module.add(units)
    module.add(columns)


def _small(value: Measure) -> Measure | np.uint8:
    """Counts as bytes: an inspector takes a wider column of zeros and ones for badly stored truth values."""
    return np.uint8(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256 else value


def _add_trials(nwb: NWBFile, trials: tuple[TrialData, ...], descriptions: dict[str, str]) -> None:
    for name, text in _FIXED_TRIAL_COLUMNS.items():
        nwb.add_trial_column(name, text)
    for name in trials[0].measures:
        nwb.add_trial_column(name, descriptions.get(name, f"{name.replace('_', ' ')} in the trial"))
    for start, trial in zip(_starts(trials), trials, strict=False):
        nwb.add_trial(
            start_time=start / RATE,
            stop_time=(start + trial.num_frames - 1) / RATE,
            total_reward=trial.total_reward,
            terminated=trial.terminated,
            truncated=trial.truncated,
            seed=trial.seed,
            arena_seed=trial.arena_seed,
            **{name: _small(value) for name, value in trial.measures.items()},
        )


def _add_events(nwb: NWBFile, trials: tuple[TrialData, ...]) -> None:
    rows = [
        ((start + frame) / RATE, name)
        for start, trial in zip(_starts(trials), trials, strict=False)
        for name, frame in sorted(trial.events, key=lambda event: event[1])
    ]
    if not rows:
        return
    times, names = zip(*rows, strict=True)
    table = EventsTable(
        name=EVENTS_TABLE,
        description="What happened in the task, stamped with the frame of the control step during which it happened.",
        source_description="rules of the task, judged on every physics step",
        columns=[TimestampVectorData(name="timestamp", description="start of the control step", data=list(times), resolution=1 / RATE)],
    )
    table.add_column("event", "what happened", data=list(names))
    nwb.add_events_table(table)


def _add_video(nwb: NWBFile, info: SessionInfo, trials: tuple[TrialData, ...], folder: Path) -> None:
    videos = [trial.video for trial in trials]
    if any(video is None for video in videos):
        return
    starts = _starts(trials)
    nwb.add_acquisition(
        ImageSeries(
            name=VIDEO_SERIES,
            description="What the animal sees: RGB, one file a trial, one picture a frame, compressed without loss.",
            external_file=[str(video.relative_to(folder)) for video in videos if video is not None],
            starting_frame=starts[:-1],
            num_samples=starts[-1],
            format="external",
            rate=RATE,
            starting_time=0.0,
            dimension=[info.frame_size[1], info.frame_size[0]],
            unit="1",
        )
    )


def _new_file(info: SessionInfo) -> NWBFile:
    notes = {
        "vrodent": __version__,
        "task": info.task,
        "agent": info.agent,
        "layers": dict(info.layers),
        "lineage": json.loads(info.lineage),
    }
    return NWBFile(
        session_description=f"SIMULATED: the agent {info.agent} in the body of a virtual rat, in the task {info.task}.",
        identifier=info.identifier,
        session_start_time=info.start,
        session_id=f"{info.agent}-{info.task}".replace("_", "-"),
        experiment_description="Virtual rodent: a recurrent network moves a simulated rat; nothing here was measured from an animal.",
        experimenter=["vrodent, simulated"],
        institution="none: simulation",
        keywords=["simulation", "virtual rodent", "MuJoCo", "recurrent neural network", info.task],
        notes=json.dumps(notes),
        was_generated_by=[["vrodent", __version__]],
        source_script="vrodent.recording.record",
        source_script_file_name="src/vrodent/recording/record.py",
        subject=Subject(
            subject_id=f"SIMULATED-{info.agent}",
            species="Rattus norvegicus",
            sex="U",
            age="P90D",
            description="SIMULATED: a physical model of an adult rat moved by an artificial neural network. Age nominal, sex none.",
        ),
    )


def write_nwb(
    path: Path,
    info: SessionInfo,
    trials: tuple[TrialData, ...],
    measure_descriptions: dict[str, str] | None = None,
) -> None:
    """Write a session. Atomicity is the caller's: see `storage.whole_folder`.

    Args:
        path: the file to be made; videos are named relative to its folder.
        info: what the trials share.
        trials: the trials in order; they abut on the clock: one frame lies between the last of a trial and the first of the next.
        measure_descriptions: what each success measure means, for the table of trials.

    Raises:
        RecordingError: a series is missing or has another shape than its spec.
        OSError: the disk is full or not writable.
    """
    info.check(trials)
    nwb = _new_file(info)
    _add_series(nwb, info, trials)
    _add_identity_tables(nwb, info)
    _add_trials(nwb, trials, measure_descriptions or {})
    _add_events(nwb, trials)
    _add_video(nwb, info, trials, path.parent)
    with PatientFile(path) as disk:
        try:
            with h5py.File(disk, "w") as file, NWBHDF5IO(file=file, mode="w") as io:
                io.write(nwb)
        except Exception:
            if disk.error is None:  # else HDF5 stumbled over what was not written
                raise
        if disk.error is not None:
            raise disk.error
