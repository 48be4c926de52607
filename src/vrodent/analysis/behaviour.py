"""The behaviour map of an agent's sessions, its ethogram and its regions, as a result to be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vrodent.analysis.behaviour_bouts import Bouts, bouts, spread_out
from vrodent.analysis.behaviour_map import BehaviourMap, MapConfig, Structure, behaviour_map, structure
from vrodent.analysis.behaviour_names import KINEMATICS, kinematics, suggest_name, summary
from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import bootstrap_interval
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class BehaviourConfig:
    """How behaviours are found.

    Attributes:
        map: of the map.
        held_out: one trial of so many of a task has no part in making the map and is placed in it afterwards; 0 for none.
        every: place every so-manieth frame; frames between take the region of the placed frame before them.
        least_bout: s, shortest bout of the ethogram.
    """

    map: MapConfig = field(default_factory=MapConfig)
    held_out: int = 5
    every: int = 2
    least_bout: float = 0.1

    def __post_init__(self) -> None:
        if self.every < 1 or self.held_out < 0 or self.held_out == 1:
            raise AnalysisError(f"BehaviourConfig needs every >= 1 and held_out 0 or >= 2, got {self.every} and {self.held_out}.")
        if not self.least_bout >= 0:
            raise AnalysisError(f"BehaviourConfig.least_bout must not be negative, got {self.least_bout} s.")


class Frames(NamedTuple):
    """One trial in the map: (placed, 2) places, its bouts, and its kinematics by name, (time,) each."""

    places: np.ndarray
    ethogram: Bouts
    moves: dict[str, np.ndarray]


class Exemplar(NamedTuple):
    """The stretch of a trial that best shows a region: frames from `start` to `stop`, and the mean density there, for ranking."""

    region: int
    trial: int
    start: int
    stop: int
    score: float


BEHAVIOUR_CLAIMS = (
    Claim(claim="Movements fall into distinct behaviours", expected=1, section="behaviour",
          statistic="variance between kinds of movement within a trial, less that of its phase-randomised copies",
          null="the same movement with the phases of every channel drawn anew"),
)  # fmt: skip


def judge_behaviour(result: Result) -> list[Finding]:
    """Whether movement comes in kinds, over trials."""
    value, low, high, p = (float(result[f"kinds{part}"]) for part in ("", "_low", "_high", "_p"))
    names = sorted({name.split(" ")[0] for name in result["region_name"].tolist()})
    remark = f"{len(result['region_name'])} regions; names suggested: {', '.join(names)}"
    return [BEHAVIOUR_CLAIMS[0].measured(value, low, high, p, null_value=0.0, remark=remark)]


def held_out_trials(num: int, one_of: int) -> np.ndarray:
    """(trial,) bool, trials of a task that the map is not made from: the last of every `one_of`, or of all if these are 3 or more."""
    out = np.zeros(num, bool)
    if one_of and num >= 3:
        step = min(one_of, num)
        out[step - 1 :: step] = True
    return out


def behaviours(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Tick) -> Result:
    """Map, ethogram, names of regions, occupancy by task, and stretches that show each region.

    Raises:
        AnalysisError: too few frames for a map, or a session without keypoints, position or orientation of the trunk.
    """
    settings = config.behaviour
    rows = [(s, i) for s, session in enumerate(data.sessions) for i in range(len(session.signals))]
    signals = [data.sessions[s].signals[i] for s, i in rows]
    out = np.concatenate([held_out_trials(len(session.signals), settings.held_out) for session in data.sessions])
    tasks = [data.sessions[s].task for s, _ in rows]
    inside = np.flatnonzero(~out).tolist()
    made_from, groups = [signals[i] for i in inside], [tasks[i] for i in inside]
    found = behaviour_map(made_from, groups, data.rate, settings.map, seed=config.seed, tick=tick)
    kinds = structure(made_from, groups, data.rate, settings.map, rng, seed=config.seed, tick=tick)
    frames = []
    for (s, i), signal in zip(rows, signals, strict=True):
        session = data.sessions[s]
        moves = kinematics(signal, session.raw[i], session.keypoint_names, data.rate)
        frames.append(_frames(found, signal, moves, settings))
        tick()
    trial_session = np.array([s for s, _ in rows])
    numbers = np.concatenate([session.used_trials for session in data.sessions])
    arrays = {
        "task": _text([session.task for session in data.sessions], "session"),
        "folder": _text([session.folder for session in data.sessions], "session", "folder that holds the session and its videos"),
        "trial_session": Quantity(values=trial_session, axes=("trial",), meaning="index of the trial's session"),
        "trial_number": Quantity(values=numbers, axes=("trial",), meaning="number in the session"),
        "trial_held_out": Quantity(values=out, axes=("trial",), meaning="the map was made without it"),
        "trial_frames": Quantity(values=np.array([len(f.moves["speed"]) for f in frames]), axes=("trial",)),
        **_map_arrays(found), **_place_arrays(found, frames), **_bout_arrays(frames), **_region_arrays(found, frames),
        **_occupancy_arrays(found, frames, trial_session, len(data.sessions), config, rng), **_kinds_arrays(kinds, config, rng),
        **_exemplar_arrays(found, frames, settings),
    }  # fmt: skip
    parameters = {"behaviour.frames_laid_out": len(found.sample), "behaviour.rate": data.rate}
    notes = tuple(f"{session.task}: no usable trial, so none in the map." for session in data.sessions if not session.signals)
    return Result(name="behaviour", kind="behaviour", arrays=arrays, parameters=parameters, notes=notes)


def _frames(found: BehaviourMap, signal: dict[str, np.ndarray], moves: dict[str, np.ndarray], settings: BehaviourConfig) -> Frames:
    places = found.embed(signal, settings.every)
    labels = np.repeat(found.region(places), settings.every)[: len(moves["speed"])]
    return Frames(places, bouts(labels, max(1, round(settings.least_bout * found.rate))), moves)


def _text(values: Sequence[str], axis: str, meaning: str = "") -> Quantity:
    return Quantity(values=np.array(list(values), dtype=str), axes=(axis,), unit="", meaning=meaning)


def _map_arrays(found: BehaviourMap) -> dict[str, Quantity]:
    peak = found.grid.low + (found.regions.peak[:, ::-1] + 0.5) * found.grid.cell
    return {
        "density": Quantity(values=found.density.astype(np.float32), axes=("row", "column"), meaning="integral 1 over the plane"),
        "region_of_cell": Quantity(values=found.regions.labels.astype(np.int16), axes=("row", "column"), meaning="-1: empty"),
        "map_x": Quantity(values=found.grid.centres(0), axes=("column",), meaning="middle of the cell, in the layout's own unit"),
        "map_y": Quantity(values=found.grid.centres(1), axes=("row",), meaning="middle of the cell, in the layout's own unit"),
        "region_mass": Quantity(values=found.regions.mass, axes=("region",), meaning="share of the density"),
        "region_saddle": Quantity(values=found.regions.saddle, axes=("region",), meaning="highest pass to another, as a share of its peak"),
        "region_peak": Quantity(values=peak, axes=("region", "xy"), meaning="place of its peak"),
        "separation": Quantity(values=np.array(found.regions.separation), meaning="mean over mass of 1 less the saddle"),
    }  # fmt: skip


def _place_arrays(found: BehaviourMap, frames: Sequence[Frames]) -> dict[str, Quantity]:
    places = np.concatenate([f.places for f in frames]).astype(np.float32)
    trial = np.repeat(np.arange(len(frames)), [len(f.places) for f in frames])
    return {
        "place": Quantity(values=places, axes=("placed", "xy"), meaning="where a frame lies in the map"),
        "place_trial": Quantity(values=trial, axes=("placed",), meaning="index of its trial"),
    }


def _bout_arrays(frames: Sequence[Frames]) -> dict[str, Quantity]:
    trial = np.repeat(np.arange(len(frames)), [len(f.ethogram.start) for f in frames])
    joined = {name: np.concatenate([getattr(f.ethogram, name) for f in frames]) for name in Bouts._fields}
    return {
        "bout_trial": Quantity(values=trial, axes=("bout",), meaning="index of its trial"),
        "bout_start": Quantity(values=joined["start"], axes=("bout",), meaning="first frame, in its trial"),
        "bout_stop": Quantity(values=joined["stop"], axes=("bout",), meaning="one past the last frame"),
        "bout_region": Quantity(values=joined["label"], axes=("bout",)),
    }


def _region_arrays(found: BehaviourMap, frames: Sequence[Frames]) -> dict[str, Quantity]:
    labels = np.concatenate([spread_out(f.ethogram) for f in frames])
    joined = {name: np.concatenate([f.moves[name] for f in frames]) for name in KINEMATICS}
    names, numbers = [], np.full((len(found.regions.mass), len(KINEMATICS)), np.nan)
    for region in range(len(found.regions.mass)):
        own = {name: values[labels == region] for name, values in joined.items()}
        if not len(own["speed"]):
            names.append("never for long")  # only in stretches shorter than a bout
            continue
        names.append(suggest_name(own))
        numbers[region] = list(summary(own).values())
    return {
        "region_name": _text(names, "region", "suggested by the kinematics"),
        "kinematic": _text(list(KINEMATICS), "kinematic"),
        "kinematic_unit": _text(list(KINEMATICS.values()), "kinematic"),
        "region_kinematics": Quantity(values=numbers, axes=("region", "kinematic"), meaning="median over frames; of flight the mean"),
    }


def _occupancy_arrays(
    found: BehaviourMap, frames: Sequence[Frames], trial_session: np.ndarray, num_sessions: int, config: AnalysisConfig,
    rng: np.random.Generator,
) -> dict[str, Quantity]:  # fmt: skip
    num = len(found.regions.mass)
    shares = np.array([np.bincount(spread_out(f.ethogram), minlength=num) / len(f.moves["speed"]) for f in frames]).reshape(-1, num)
    mean, low, high = (np.full((num_sessions, num), np.nan) for _ in range(3))
    likeness = np.full(len(frames), np.nan)
    for session in range(num_sessions):
        own = np.flatnonzero(trial_session == session)
        if len(own):
            mean[session] = shares[own].mean(axis=0)
        if len(own) > 1:
            mean[session], low[session], high[session] = bootstrap_interval(shares[own], rng, num=config.num_bootstrap)
            others = (shares[own].sum(axis=0) - shares[own]) / (len(own) - 1)
            likeness[own] = np.minimum(shares[own], others).sum(axis=1)
    meaning = "share of frames in the region, mean over the task's trials"
    return {
        "trial_occupancy": Quantity(values=shares, axes=("trial", "region"), meaning="share of the trial's frames"),
        "occupancy": Quantity(values=mean, axes=("session", "region"), meaning=meaning),
        "occupancy_low": Quantity(values=low, axes=("session", "region"), meaning=meaning + ", 95 % low; NaN for one trial"),
        "occupancy_high": Quantity(values=high, axes=("session", "region"), meaning=meaning + ", 95 % high; NaN for one trial"),
        "likeness": Quantity(values=likeness, axes=("trial",), meaning="overlap of its occupancy with the mean of its task's other trials"),
    }


def _kinds_arrays(kinds: Structure, config: AnalysisConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    enough = len(kinds.by_trial) > 1 and np.isfinite(kinds.by_trial).all()
    interval = bootstrap_interval(kinds.by_trial, rng, num=config.num_bootstrap) if enough else (np.nan, np.nan, np.nan)
    meaning = "variance between kinds of movement, of the square roots of distributions"
    return {
        "spread": Quantity(values=np.array(kinds.spread), meaning=meaning),
        "spread_null": Quantity(values=kinds.null, axes=("draw",), meaning=meaning + ", phase-randomised"),
        "kinds": Quantity(values=np.array(float(interval[0])), meaning=meaning + ", within a trial, less its null; mean over trials"),
        "kinds_low": Quantity(values=np.array(float(interval[1])), meaning="its 95 % interval over trials"),
        "kinds_high": Quantity(values=np.array(float(interval[2])), meaning="its 95 % interval over trials"),
        "kinds_p": Quantity(values=np.array(kinds.p_value), meaning="two-sided, of the spread against its null"),
    }


def _exemplar_arrays(found: BehaviourMap, frames: Sequence[Frames], settings: BehaviourConfig) -> dict[str, Quantity]:
    rows = [row for trial, part in enumerate(frames) for row in _exemplars(found, trial, part, settings.every)]
    rows.sort(key=lambda row: (row.region, -row.score, row.trial))
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in Exemplar._fields}
    meanings = {
        "region": "region that it shows",
        "trial": "index of its trial",
        "start": "first frame, in its trial",
        "stop": "one past the last frame",
        "score": "mean density over the bout, as a share of the region's peak, times its seconds up to 1",
    }
    return {f"exemplar_{name}": Quantity(values=columns[name], axes=("exemplar",), meaning=meanings[name]) for name in columns}


def _exemplars(found: BehaviourMap, trial: int, part: Frames, every: int) -> list[Exemplar]:
    """Of each region, the trial's best bout: long, and near the peak."""
    here = np.repeat(found.density[tuple(found.grid.cells(part.places).T)], every)[: len(part.moves["speed"])]
    total = np.concatenate([[0.0], np.cumsum(here)])
    best: dict[int, Exemplar] = {}
    for start, stop, region in zip(*(column.tolist() for column in part.ethogram), strict=True):
        peak = found.density[tuple(found.regions.peak[region])]
        score = float((total[stop] - total[start]) / (stop - start) / peak * min(1.0, (stop - start) / found.rate))
        if region not in best or score > best[region].score:
            best[region] = Exemplar(region, trial, start, stop, score)
    return list(best.values())
