"""An agent's recurrent weights as plain arrays, with what its layers received in its sessions: for analyses that know no agent.

Sessions hold the activity of units, not what the encoders made of the senses, so that is computed anew from what was felt and seen. Whether
it was computed right is seen from the activity: one step from each frame's memory must give the next frame's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent, LSTMMemory, Memory
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import TASK_ORDER, usable
from vrodent.analysis.fixed_point_tables import FARTHEST, NETWORK, Condition, Layer, network_result
from vrodent.analysis.lstm import step
from vrodent.analysis.perturbation import behaviour_signals
from vrodent.analysis.reader import load_session
from vrodent.analysis.result import Result
from vrodent.analysis.session import Session
from vrodent.analysis.vision import FOLDER
from vrodent.behaviour import BEHAVIOURS, detect
from vrodent.experiment.plan import check_session
from vrodent.recording.video import read_video

TASK_FRAMES = 240
"""Frames of a task, evenly spread over its trials, whose mean input stands for the task."""
BEHAVIOUR_FRAMES = 60
"""Frames of a behaviour in a task, evenly spread over those in which it goes on."""
LEAST_FRAMES = 30
"""Of a behaviour over all tasks, else it is left out."""
_AT_ONCE = 60


class _Frames(NamedTuple):
    """Frames of one task: of each its number in the session, and names of the conditions it belongs to."""

    task: str
    members: dict[str, np.ndarray]
    drive: tuple[np.ndarray, ...]
    before: tuple[tuple[np.ndarray, np.ndarray], ...]


def export_network(agent: Agent, sessions: Sequence[Path], out: Path, lineage: str) -> Path:
    """Leave an agent's recurrent weights, and its layers' mean inputs by task and behaviour, for `vrodent.analysis.analyze` in `out`.

    Args:
        agent: that was recorded.
        sessions: folders of its sessions, with the videos of what it saw.
        out: folder of the results.
        lineage: JSON text on where the agent comes from, as of the sessions.

    Returns:
        Path of the json file; one that is there and holds the same is left.

    Raises:
        AnalysisError: a session of another agent, without videos, or one that these weights do not reproduce.
        SessionError: a session cannot be read.
    """
    loaded = [load_session(path) for path in sessions]
    identifiers = tuple(session.identifier for session in loaded)
    path = out / f"{NETWORK}.json"
    if path.is_file() and (found := Result.load(path)).parameters.get("sessions") == identifiers and found.parameters["agent"] == lineage:
        return path
    parts = []
    for session in sorted(loaded, key=_order):
        check_session(session, agent, lineage, session.task)
        if (part := _frames(agent, session)) is not None:
            parts.append(part)
    if not parts:
        raise AnalysisError("No session has a usable trial to take inputs from; record more, or longer trials.")
    layers = [
        Layer(name=name, weight_hidden=np.asarray(lstm.weight_hidden), conditions=_conditions(parts, i))
        for i, (name, lstm) in enumerate(zip(loaded[0].layers, (agent.core, *agent.policy), strict=True))
    ]
    return network_result(layers, identifiers, lineage).save(out)


def _order(session: Session) -> tuple[int, str]:
    return TASK_ORDER.index(session.task) if session.task in TASK_ORDER else len(TASK_ORDER), session.task


def _frames(agent: Agent, session: Session) -> _Frames | None:
    """Chosen frames of a session with each layer's drive in them, and its memory before; None if no trial can be used."""
    names = [f"activity_{layer}_{variable}" for layer in session.layers for variable in "hc"]
    use, _ = usable(session, 2, [*names, "proprioception"])
    if not use.any():
        return None
    members = _chosen(session, np.flatnonzero(use).tolist())
    frames = np.unique(np.concatenate(list(members.values())))
    activity = [[session.activity(layer, "h"), session.activity(layer, "c")] for layer in session.layers]
    drive = _drives(agent, session, frames, [[part[frames] for part in layer] for layer in activity])
    before = tuple((h[frames - 1], c[frames - 1]) for h, c in activity)
    for name, lstm, (h, c), given, (h_after, _) in zip(session.layers, (agent.core, *agent.policy), before, drive, activity, strict=True):
        off = np.abs(step(np.asarray(lstm.weight_hidden), given, h, c)[0] - h_after[frames]).max()
        if off > FARTHEST:
            raise AnalysisError(
                f"The weights of {name} do not give the activity of session {session.identifier!r} ({session.task}): the step from a "
                f"frame to the next is off by {off:.2g}. It was recorded from another agent, or its videos are not those that it saw."
            )
    return _Frames(session.task, {name: np.searchsorted(frames, at) for name, at in members.items()}, drive, before)


def _chosen(session: Session, used: Sequence[int]) -> dict[str, np.ndarray]:
    """Frames of the task (under ``) and of each behaviour, none the first of its trial."""
    every: list[np.ndarray] = []
    going_on: list[np.ndarray] = []
    for trial in used:
        at = session.frames(trial)
        every.append(np.arange(at.start + 1, at.stop))
        going_on.append(detect(behaviour_signals(session, trial))[1][1:])
    frames, told = np.concatenate(every), np.concatenate(going_on)
    out = {"": _spread(frames, TASK_FRAMES)}
    return out | {name: _spread(frames[told[:, i]], BEHAVIOUR_FRAMES) for i, name in enumerate(BEHAVIOURS) if told[:, i].any()}


def _spread(items: np.ndarray, most: int) -> np.ndarray:
    return items[np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]


def _drives(agent: Agent, session: Session, frames: np.ndarray, activity: Sequence[Sequence[np.ndarray]]) -> tuple[np.ndarray, ...]:
    """(frame, 4 unit) of each layer."""
    pictures = _pictures(session, frames)
    felt = session.get("proprioception")[frames]
    parts = []
    for start in range(0, len(frames), _AT_ONCE):
        # Every batch is of one size, so that one compilation serves all.
        rows = np.minimum(np.arange(start, start + _AT_ONCE), len(frames) - 1)
        seen = {"proprioception": jnp.asarray(felt[rows], jnp.float32), "egocentric": jnp.asarray(pictures[rows])}
        held = [LSTMMemory(*(jnp.asarray(part[rows], jnp.float32) for part in layer)) for layer in activity]
        parts.append([np.asarray(one) for one in _compiled_drives(agent, seen, Memory(held[0], tuple(held[1:])))])
    return tuple(np.concatenate(layer)[: len(frames)] for layer in zip(*parts, strict=True))


_compiled_drives = eqx.filter_jit(Agent.drives)


def _pictures(session: Session, frames: np.ndarray) -> np.ndarray:
    """(frame, height, width, 3) bytes, what was seen in some frames of a session."""
    folder = session.path.parent / FOLDER if session.path else None
    found = []
    for trial in np.unique(session.trial_of_frame[frames]).tolist():
        path = folder / f"trial_{trial:03d}.mkv" if folder else None
        if path is None or not path.is_file():
            raise AnalysisError(f"session {session.identifier!r} ({session.task}) has no video of what the animal saw in trial {trial}.")
        at = session.frames(trial)
        wanted = set((frames[(frames >= at.start) & (frames < at.stop)] - at.start).tolist())
        kept = [picture for number, picture in enumerate(read_video(path)) if number in wanted]
        if len(kept) != len(wanted):
            raise AnalysisError(f"{path} has fewer pictures than its trial has frames; record the session again.")
        found += kept
    return np.stack(found)


def _conditions(parts: Sequence[_Frames], layer: int) -> list[Condition]:
    """Mean input and states of one layer, by task and, over all tasks, by behaviour."""
    out = [_condition(part.task, False, [(part, part.members[""])], layer) for part in parts]
    for name in BEHAVIOURS:
        held = [(part, part.members[name]) for part in parts if name in part.members]
        if sum(len(rows) for _, rows in held) >= LEAST_FRAMES:
            out.append(_condition(name, True, held, layer))
    return out


def _condition(name: str, behaviour: bool, held: Sequence[tuple[_Frames, np.ndarray]], layer: int) -> Condition:
    drive = np.concatenate([part.drive[layer][rows] for part, rows in held])
    h, c = (np.concatenate([part.before[layer][i][rows] for part, rows in held]) for i in (0, 1))
    return Condition(name=name, behaviour=behaviour, drive=drive.mean(axis=0), h=h, c=c)
