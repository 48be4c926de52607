"""Sessions made ready for analysis: which trials are used and why others are not, activity by layer, features on one scale."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.features import FeatureConfig, feature_sets, session_signals
from vrodent.analysis.reader import load_session
from vrodent.analysis.result import Result
from vrodent.analysis.session import Events, Session, Trials, Variable
from vrodent.analysis.vision import session_vision

Trial = dict[str, np.ndarray]

NEEDED = ("actuator_forces", "joint_angles", "joint_velocities", "keypoints", "torso_position", "torso_orientation", "torso_velocity",
          "reward")  # fmt: skip
OPTIONAL = ("value",)
RAW = ("keypoints", "torso_position", "torso_orientation", "touch", "distance", "upright", "orb_pos")
"""Series kept as they were recorded, for analyses of events and behaviour; a session need not have all of them."""

TASK_ORDER = ("gaps", "forage", "bowl", "two_tap")
"""Sessions of these tasks come in this order, others after them by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One session, ready.

    Attributes:
        task, agent, identifier, lineage: the session's.
        folder: name of the folder its file lies in, or "" for a session made in memory.
        trials: the session's table of trials, whole.
        events: the session's events, whole.
        used: (trial,) bool, whether a trial takes part in analyses of activity and kinematics.
        notes: why trials were left out, and the session's own remarks.
        activity: of each used trial, layer -> (time, unit).
        signals: of each used trial, set -> (time, column), in SI units.
        raw: of each used trial, name -> (time, ...), those series of `RAW` that the session has, finite in that trial.
        keypoint_names: of the points of `raw`'s keypoints, and of each three columns of the signal `pose`.
        features: of each used trial, set -> (time, column) float32, standardised over all used trials of all sessions.
    """

    task: str
    agent: str
    identifier: str
    lineage: str
    folder: str
    trials: Trials
    events: Events
    used: np.ndarray
    notes: tuple[str, ...]
    activity: list[Trial]
    signals: list[Trial]
    features: list[Trial]
    raw: list[Trial] = field(default_factory=list)
    keypoint_names: tuple[str, ...] = ()

    @property
    def used_trials(self) -> np.ndarray:
        """Numbers of the used trials."""
        return np.flatnonzero(self.used)


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """All sessions of one agent.

    Attributes:
        sessions: in the order given.
        rate: frames a second, Hz.
        layers: names of the layers, core first.
        network: the agent's weights, as `vrodent.analysis.fixed_point_tables.network_result` keeps them, if they are known.
    """

    sessions: tuple[Prepared, ...]
    rate: float
    layers: tuple[str, ...]
    network: Result | None = None

    @property
    def analysable(self) -> tuple[Prepared, ...]:
        """Sessions with at least two used trials; the others can be shown but have no intervals over trials."""
        return tuple(session for session in self.sessions if session.used.sum() >= 2)


def usable(session: Session, min_frames: int, series: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which trials can be analysed, and a sentence for each that cannot."""
    used = np.ones(session.num_trials, bool)
    notes = []
    for trial in range(session.num_trials):
        at = session.frames(trial)
        where = f"{session.task}, trial {trial}"
        broken = [name for name in series if not np.isfinite(session.get(name)[at]).all()]
        if at.stop - at.start < min_frames:
            lasts, needed = ((frames * session.control_step) for frames in (at.stop - at.start, min_frames))
            notes.append(f"{where} is left out: {lasts:.2f} s long, {needed:g} s needed.")
        elif broken:
            notes.append(f"{where} is left out: values missing in {', '.join(broken)}.")
        else:
            continue
        used[trial] = False
    return used, tuple(notes)


def load(paths: Sequence[Path], variable: Variable, tick: Callable[[], None] = lambda: None) -> list[Session]:
    """Read what the analyses need of each session, in `TASK_ORDER`.

    Args:
        paths: session folders or files.
        variable: LSTM output `h` or cell state `c`.
        tick: called once a session.

    Raises:
        SessionError: a file is missing, damaged or lacks a series.
    """
    sessions = []
    for path in paths:
        tick()
        whole = load_session(path)
        keep = {*NEEDED, *OPTIONAL, *RAW, *(f"activity_{layer}_{variable}" for layer in whole.layers)}
        sessions.append(_lighter(whole, keep))
    return sorted(sessions, key=lambda s: (TASK_ORDER.index(s.task) if s.task in TASK_ORDER else len(TASK_ORDER), s.task))


def _lighter(session: Session, keep: set[str]) -> Session:
    series = {name: value for name, value in session.series.items() if name in keep}
    names = ("identifier", "task", "agent", "control_step", "layers", "trials", "events", "lineage", "remarks", "path")
    return Session(series=series, **{name: getattr(session, name) for name in names})


def prepare(
    sessions: Sequence[Session], variable: Variable = "h", config: FeatureConfig | None = None, tick: Callable[[], None] = lambda: None
) -> Data:
    """Make sessions of one agent ready to be analysed together.

    Args:
        sessions: at most one a task.
        variable: LSTM output `h` or cell state `c`.
        config: of the features.
        tick: called once a used trial.

    Raises:
        AnalysisError: no session, sessions of different agents, layers or rates, two of one task, or no session with two usable trials.
        SessionError: a session lacks a layer or a series.
    """
    config = config or FeatureConfig()
    _check_together(sessions, variable)
    rate = 1 / sessions[0].control_step
    layers = sessions[0].layers
    names = [f"activity_{layer}_{variable}" for layer in layers]
    series = [*NEEDED, *names]
    chosen = [usable(session, int(np.ceil(config.min_duration * rate)), series) for session in sessions]
    if all(used.sum() < 2 for used, _ in chosen):
        reasons = " ".join(note for _, notes in chosen for note in notes[:3])
        raise AnalysisError(f"No session has two usable trials; record more or longer trials. {reasons}")
    signals = [session_signals(session, np.flatnonzero(used).tolist()) for session, (used, _) in zip(sessions, chosen, strict=True)]
    unseen = _add_vision(sessions, chosen, signals)
    features = feature_sets([trial for part in signals for trial in part], rate, config, tick)
    bounds = np.cumsum([0] + [len(part) for part in signals])
    prepared = tuple(
        _prepared(session, used, notes + unseen.get(session.task, ()), layers, names, part, features[a:b])
        for session, (used, notes), part, a, b in zip(sessions, chosen, signals, bounds[:-1], bounds[1:], strict=True)
    )
    return Data(sessions=prepared, rate=rate, layers=layers)


def _add_vision(
    sessions: Sequence[Session], chosen: Sequence[tuple[np.ndarray, tuple[str, ...]]], signals: Sequence[list[Trial]]
) -> dict[str, tuple[str, ...]]:
    """Adds what was seen to every trial's signals, or to none, and then says why by task."""
    seen, reasons = [], {}
    for session, (used, _), part in zip(sessions, chosen, signals, strict=True):
        folder = session.path.parent if session.path else None
        found, reason = session_vision(folder, np.flatnonzero(used).tolist(), [len(trial["movement"]) for trial in part])
        seen.append(found)
        if found is None:
            reasons[session.task] = (f"{session.task}: {reason}; vision is no feature set of any session.",)
    for found, part in zip(seen, signals, strict=True):
        for trial, cells in zip(part, found or [] if not reasons else [], strict=False):
            trial["vision"] = cells
    return reasons


def _prepared(
    session: Session, used: np.ndarray, notes: tuple[str, ...], layers: Sequence[str], names: Sequence[str], signals: list[Trial],
    features: list[Trial],
) -> Prepared:  # fmt: skip
    activity = [
        {layer: np.asarray(session.get(name)[session.frames(trial)], dtype=float) for layer, name in zip(layers, names, strict=True)}
        for trial in np.flatnonzero(used).tolist()
    ]
    raw = [
        {name: cut for name in RAW if name in session.series and np.isfinite(cut := session.get(name)[session.frames(trial)]).all()}
        for trial in np.flatnonzero(used).tolist()
    ]
    return Prepared(
        task=session.task, agent=session.agent, identifier=session.identifier, lineage=session.lineage,
        folder=session.path.parent.name if session.path else "", trials=session.trials, events=session.events, used=used,
        notes=notes + session.remarks, activity=activity, signals=signals, features=features, raw=raw,
        keypoint_names=session.series["keypoints"].columns,
    )  # fmt: skip


def _check_together(sessions: Sequence[Session], variable: Variable) -> None:
    if not sessions:
        raise AnalysisError("No session given; record one with: vrodent record AGENT --task TASK.")
    first = sessions[0]
    if not first.layers:
        raise AnalysisError(f"Session {first.identifier!r} holds no layer's activity; record it again with this version.")
    sizes = {layer: first.activity(layer, variable).shape[1] for layer in first.layers}
    for session in sessions[1:]:
        if session.agent != first.agent:
            raise AnalysisError(f"Sessions of different agents mixed: {first.agent!r} and {session.agent!r}; analyse one agent at a time.")
        if session.layers != first.layers or {layer: session.activity(layer, variable).shape[1] for layer in session.layers} != sizes:
            raise AnalysisError(f"Sessions with different layers mixed: {first.identifier!r} has {sizes}, {session.identifier!r} has not.")
        if not np.isclose(session.control_step, first.control_step):
            raise AnalysisError(f"Sessions with different control steps mixed: {first.control_step} s and {session.control_step} s.")
    tasks = [session.task for session in sessions]
    if len(set(tasks)) < len(tasks):
        raise AnalysisError(f"Two sessions of one task given: {', '.join(tasks)}; give one session a task.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
