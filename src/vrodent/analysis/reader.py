"""An NWB file, as `vrodent.recording` writes it, to a `Session`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import ndx_pose  # noqa: F401  registers PoseEstimation with pynwb
import numpy as np
from pynwb import NWBHDF5IO

from vrodent.analysis.errors import SessionError
from vrodent.analysis.session import Events, Series, Session, Trials

FILE_NAME = "session.nwb"
_SI = {"meters": "m"}  # NWB wants the word for positions
_TRIAL_COLUMNS = ("start_time", "stop_time", "total_reward", "terminated", "truncated", "seed", "arena_seed")


def session_file(path: str | Path) -> Path:
    """The NWB file meant by a path: the file itself, or the folder that a recording made.

    Raises:
        SessionError: there is no such file.
    """
    path = Path(path)
    found = path / FILE_NAME if path.is_dir() else path
    if found.is_file():
        return found
    inside = f"the folder {path} holds no {FILE_NAME}" if path.is_dir() else f"{path} does not exist"
    raise SessionError(f"No session: {inside}. Make one with: vrodent record AGENT --task TASK --out {path}.")


def load_session(path: str | Path, only: Collection[str] | None = None) -> Session:
    """Read a session into memory.

    Args:
        path: the folder a recording made, or its `session.nwb`.
        only: names of the series to read, as `("activity_core_h", "joint_angles")`; None reads all (about 20 MB a minute).

    Returns:
        The session, its arrays read-only. Frames with missing values are kept and stated in `remarks`.

    Raises:
        SessionError: the file is missing, truncated or no session of ours, has no trials, or lacks a series of `only`.
    """
    file = session_file(path)
    try:
        with NWBHDF5IO(str(file), mode="r") as io:
            return _read(io.read(), file, only)
    except SessionError:
        raise
    except Exception as error:  # h5py and hdmf raise nearly every kind on a damaged file
        raise SessionError(
            f"{file} ({file.stat().st_size} bytes) cannot be read as a session: it is truncated, damaged or not NWB. Record it again. "
            f"Reader's words: {type(error).__name__}: {error}"
        ) from error


def _read(nwb: Any, file: Path, only: Collection[str] | None) -> Session:
    notes = _notes(nwb, file)
    trials, rate = _trials(nwb, file)
    columns = _columns(nwb)
    series = dict(_series(nwb, columns, only))
    missing = sorted(set(only or ()) - set(series))
    if missing:
        have = ", ".join(sorted(name for name, _ in _sources(nwb)))
        raise SessionError(f"{file} has no series {', '.join(map(repr, missing))}. It has: {have}.")
    layers = tuple(layer for layer in notes["layers"] if any(name.startswith(f"activity_{layer}_") for name in series))
    return Session(
        identifier=str(nwb.identifier),
        task=notes["task"],
        agent=notes["agent"],
        control_step=1.0 / rate,
        layers=layers,
        series=series,
        trials=trials,
        events=_events(nwb, trials, rate),
        lineage=json.dumps(notes["lineage"]),
        remarks=tuple(_remarks(series, trials, rate)),
        path=file,
    )


def _notes(nwb: Any, file: Path) -> dict[str, Any]:
    try:
        notes = json.loads(nwb.notes or "")
        if not {"task", "agent", "layers", "lineage"} <= set(notes):
            raise ValueError
    except (ValueError, TypeError):
        raise SessionError(
            f"{file} is an NWB file, but not a session recorded by vrodent: its notes do not name a task and an agent."
        ) from None
    return notes


def _trials(nwb: Any, file: Path) -> tuple[Trials, float]:
    rates = {float(series.rate) for name, series in _sources(nwb) if not isinstance(series, tuple)}
    if len(rates) != 1:
        raise SessionError(f"{file} has series at {sorted(rates) or 'no'} Hz; a session has one clock.")
    rate = rates.pop()
    if nwb.trials is None or len(nwb.trials) == 0:
        raise SessionError(f"{file} holds no trials; record it again with --trials of 1 or more.")
    table = {name: np.asarray(nwb.trials[name][:]) for name in nwb.trials.colnames}
    lacking = [name for name in _TRIAL_COLUMNS if name not in table]
    if lacking:
        raise SessionError(f"{file}: its table of trials lacks {', '.join(lacking)}; it was not recorded by vrodent, or was edited.")
    start = np.rint(table["start_time"] * rate).astype(np.int64)
    stop = np.rint(table["stop_time"] * rate).astype(np.int64) + 1
    if start[0] != 0 or np.any(stop[:-1] != start[1:]) or np.any(stop <= start):
        raise SessionError(f"{file}: its trials do not follow one another on one clock; the file was edited.")
    return Trials(
        start=start,
        stop=stop,
        total_reward=table["total_reward"],
        terminated=table["terminated"].astype(bool),
        truncated=table["truncated"].astype(bool),
        seed=table["seed"],
        arena_seed=table["arena_seed"].astype(str),
        measures={name: values for name, values in table.items() if name not in _TRIAL_COLUMNS},
    ), rate


def _columns(nwb: Any) -> dict[str, tuple[str, ...]]:
    columns: dict[str, list[str]] = {}
    tables = nwb.processing["misc"].data_interfaces if "misc" in nwb.processing else {}
    if "series_columns" in tables:
        table = tables["series_columns"]
        for series, label in zip(table["series"][:], table["label"][:], strict=True):
            columns.setdefault(str(series), []).append(str(label))
    if "network_units" in tables:
        table = tables["network_units"]
        for unit, layer in zip(table["unit_id"][:], table["layer"][:], strict=True):
            for variable in "hc":
                columns.setdefault(f"activity_{layer}_{variable}", []).append(str(unit))
    return {name: tuple(labels) for name, labels in columns.items()}


def _sources(nwb: Any) -> Iterator[tuple[str, Any]]:
    """Every series of a file; the keypoints are a tuple of one series each."""
    yield from ((name, series) for name, series in nwb.acquisition.items() if getattr(series, "external_file", None) is None)
    if "behavior" not in nwb.processing:
        return
    for container in nwb.processing["behavior"].data_interfaces.values():
        if container.neurodata_type == "PoseEstimation":
            nodes = container.nodes[:] if container.skeleton is None else container.skeleton.nodes[:]
            yield "keypoints", tuple(container.pose_estimation_series[str(name)] for name in nodes)
        for held in ("time_series", "spatial_series"):
            yield from getattr(container, held, {}).items()


def _series(nwb: Any, columns: dict[str, tuple[str, ...]], only: Collection[str] | None) -> Iterator[tuple[str, Series]]:
    for name, source in _sources(nwb):
        if only is not None and name not in only:
            continue
        if isinstance(source, tuple):
            data = np.stack([point.data[:] for point in source], axis=1)
            labels, first = tuple(point.name for point in source), source[0]
        else:
            data, labels, first = np.asarray(source.data[:]), columns.get(name, ()), source
        data.flags.writeable = False
        unit = _SI.get(str(first.unit), str(first.unit))
        yield name, Series(name=name, data=data, unit=unit, columns=labels, description=str(first.description))


def _events(nwb: Any, trials: Trials, rate: float) -> Events:
    table = nwb.events["task_events"] if "task_events" in (nwb.events or {}) else None
    if table is None:
        return Events(name=np.array([], str), frame=np.array([], np.int64), trial=np.array([], np.int64))
    frame = np.rint(np.asarray(table["timestamp"][:]) * rate).astype(np.int64)
    return Events(
        name=np.asarray(table["event"][:]).astype(str),
        frame=frame,
        trial=np.searchsorted(trials.stop, frame, side="right").astype(np.int64),
    )


def _remarks(series: dict[str, Series], trials: Trials, rate: float) -> Iterator[str]:
    for name, one in series.items():
        bad = np.logical_not(np.isfinite(one.data.reshape(len(one.data), -1)).all(axis=1))
        if np.any(bad):
            hit = [i for i in range(len(trials)) if np.any(bad[int(trials.start[i]) : int(trials.stop[i])])]
            yield f"{name}: {np.count_nonzero(bad)} of {len(bad)} frames have missing values (trials {', '.join(map(str, hit))})."
    short = np.flatnonzero((trials.stop - trials.start) < rate).tolist()
    if short:
        yield f"{len(short)} trials are shorter than 1 s: {', '.join(map(str, short))}."
