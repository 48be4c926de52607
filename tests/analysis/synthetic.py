"""Sessions with planted contents, for tests: straight to a `Session`, or to an NWB file through the real writer.

session = make_session([300, 200], {"core": 8, "policy0": 6}, planted={"activity_core_h": data}, events=[("first_tap", 10)])
write_session(folder, session)      # the same session as a file
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vrodent.analysis import Events, Series, Session, Trials

CONTROL_STEP = 0.02
BODY_COLUMNS: dict[str, tuple[str, ...]] = {
    "joint": tuple(f"joint{i}" for i in range(30)),
    "actuator": tuple(f"actuator{i}" for i in range(38)),
    "tendon": tuple(f"tendon{i}" for i in range(8)),
    "qpos": tuple(f"qpos{i}" for i in range(74)),
    "qvel": tuple(f"qvel{i}" for i in range(73)),
    "head": ("value0",),
}


def make_session(
    trial_lengths: Sequence[int] = (300, 200, 250),
    layers: Mapping[str, int] | None = None,
    *,
    planted: Mapping[str, np.ndarray] | None = None,
    events: Sequence[tuple[str, int]] = (),
    measures: Mapping[str, Sequence[float]] | None = None,
    task: str = "gaps",
    agent: str = "synthetic",
    seed: int = 0,
) -> Session:
    """A session of independent Gaussian noise in every series of the schema, except for what is planted.

    Args:
        trial_lengths: frames of each trial.
        layers: units of each layer; `{"core": 8, "policy0": 6}` by default.
        planted: arrays (time, ...) that replace the noise, by series name; the first axis runs over all trials.
        events: name and frame in the session of each event.
        measures: success measures, one value a trial.
        task: name of the task.
        agent: name of the agent.
        seed: of the noise.
    """
    from vrodent.recording.trial import SessionInfo

    layers = dict(layers or {"core": 8, "policy0": 6})
    ends = np.cumsum(trial_lengths)
    rng = np.random.default_rng(seed)
    info = _info(SessionInfo, layers, task, agent)
    series = {}
    for spec in info.specs():
        shape = (int(ends[-1]), *info.frame_shape(spec))
        noise = rng.standard_normal(shape).astype(np.float32)
        data = np.asarray((planted or {}).get(spec.name, noise))
        series[spec.name] = Series(name=spec.name, data=data, unit=spec.unit, columns=info.column_names(spec), description=spec.description)
    unknown = set(planted or ()) - set(series)
    assert not unknown, f"planted series that the schema lacks: {unknown}"
    frames = np.array([frame for _, frame in events], np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    return Session(
        identifier=f"synthetic-{seed}",
        task=task,
        agent=agent,
        control_step=CONTROL_STEP,
        layers=tuple(layers),
        series=series,
        trials=_trials(starts, ends, series["reward"].data, measures, seed),
        events=Events(
            name=np.array([name for name, _ in events], str),
            frame=frames,
            trial=np.searchsorted(ends, frames, side="right").astype(np.int64),
        ),
    )


def _info(kind, layers, task, agent):
    return kind(identifier="synthetic", task=task, agent=agent, start=datetime(2026, 1, 1, tzinfo=UTC), layers=layers, columns=BODY_COLUMNS)


def _trials(starts, ends, reward, measures, seed) -> Trials:
    n = len(starts)
    return Trials(
        start=starts,
        stop=ends,
        total_reward=np.array([reward[a:b].sum(dtype=np.float64) for a, b in zip(starts, ends, strict=True)]),
        terminated=np.zeros(n, bool),
        truncated=np.ones(n, bool),
        seed=np.full(n, seed),
        arena_seed=np.array([f"{seed}/{i}/0" for i in range(n)]),
        measures={name: np.asarray(values) for name, values in (measures or {}).items()},
    )


def write_session(folder: Path, session: Session) -> Path:
    """Write a session made here as `folder/session.nwb`, without video, by the writer that recordings use."""
    from vrodent.recording.trial import SessionInfo, TrialData
    from vrodent.recording.writer import write_nwb

    layers = {layer: session.activity(layer).shape[1] for layer in session.layers}
    trials = tuple(
        TrialData(
            data={name: series.data[session.frames(i)] for name, series in session.series.items()},
            terminated=bool(session.trials.terminated[i]),
            truncated=bool(session.trials.truncated[i]),
            seed=int(session.trials.seed[i]),
            arena_seed=str(session.trials.arena_seed[i]),
            measures={name: values[i].item() for name, values in session.trials.measures.items()},
            events=tuple(
                (str(name), int(frame - session.trials.start[i]))
                for name, frame, trial in zip(session.events.name, session.events.frame, session.events.trial, strict=True)
                if trial == i
            ),
        )
        for i in range(session.num_trials)
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_nwb(folder / "session.nwb", _info(SessionInfo, layers, session.task, session.agent), trials)
    return folder / "session.nwb"
