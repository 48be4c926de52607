"""The plan of a perturbation experiment: units ranked in a recorded session, conditions, and every trial with what is done in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.perturbation import (
    Modulation,
    Occurrences,
    Selection,
    counts,
    default_ks,
    layer_trials,
    modulation,
    occurrences,
    select_units,
    time_course,
)
from vrodent.analysis.session import Session
from vrodent.behaviour import BEHAVIOURS
from vrodent.recording.closed_loop import Job, LoopConfig
from vrodent.recording.intervention import Intervention, layer_sizes_of
from vrodent.recording.mind import ActingAgent
from vrodent.recording.schedule import Window
from vrodent.recording.schema import RATE

Mode = Literal["inactivate", "activate"]

SUCCESS = {"gaps": ("gaps_crossed", 1.0), "forage": ("orbs_taken", 1.0), "bowl": ("farthest", 2.0), "two_tap": ("taps", 1.0)}
"""The success measure of each task, and how much of it makes a trial a success."""

PREFERRED = {
    "gaps": ("jump", "gap_crossed", "run", "stride"),
    "forage": ("orb_taken", "run", "turn_left", "stride"),
    "bowl": ("rear", "run", "turn_left", "stride"),
    "two_tap": ("first_tap", "turn_left", "turn_right", "rear", "stride"),
}
"""By which event or behaviour units are ranked if nothing else is said: the first of these that happened often enough."""

_OFTEN = 5


@dataclass(frozen=True, kw_only=True)
class PerturbConfig:
    """Settings of one experiment.

    Attributes:
        task: `gaps`, `forage`, `bowl` or `two_tap`.
        mode: `inactivate` holds units at a value; `activate` drives them with their average time course in a behaviour.
        to: what inactivated units are held at: their `mean` in the session, or `zero`; or `noise` is added to them.
        noise: of added noise, in standard deviations of each unit in the session.
        event: event or behaviour by which units are ranked, whose time course drives them, and which is counted. None takes the first of
            `PREFERRED` that happened at least five times in the session.
        layers: whose units are perturbed, one layer at a time; none for all.
        ks: how many units; none for 1, 4, 16, ... and all.
        selections: which: the most modulated, the least, random ones (others in every trial).
        variable: `h` (output) or `c` (cell state); None takes `h` to inactivate and `c` to activate.
        trials: of every condition, each in an arena of its own.
        seed: of arenas, actions' noise and choices. Sessions are recorded with 0 by default: another seed makes other arenas.
        window: when units are perturbed; None for the whole trial, or, to activate, from 2 s on every 3 s.
        lead, course: s before and after the event: units are driven with that part of their average time course. A behaviour is told only
            once it has held for a while; its beginning lies in the lead.
        within: s after an opening of the window in which the behaviour counts as elicited, beyond the time that units are driven.
        success_at: how much of the task's measure makes a trial a success; None for that of `SUCCESS`.
        num_null: shifts of the windows in ranking.
        num_bootstrap: resamples for intervals.
        deterministic, physics, num_worlds, num_threads, time_limit: as in `vrodent.recording.LoopConfig`.
        films: film the first trial, intact and with most units of every layer perturbed.
    """

    task: Literal["gaps", "forage", "bowl", "two_tap"]
    mode: Mode = "inactivate"
    to: Literal["mean", "zero", "noise"] = "mean"
    noise: float = 1.0
    event: str | None = None
    layers: tuple[str, ...] = ()
    ks: tuple[int, ...] = ()
    selections: tuple[Selection, ...] = ("top", "bottom", "random")
    variable: Literal["h", "c"] | None = None
    trials: int = 10
    seed: int = 1
    window: Window | None = None
    lead: float = 0.3
    course: float = 1.0
    within: float = 0.5
    success_at: float | None = None
    num_null: int = 200
    num_bootstrap: int = 2000
    deterministic: bool = False
    physics: Literal["reference", "training"] = "reference"
    num_worlds: int = 0
    num_threads: int = 0
    time_limit: float | None = None
    films: bool = False

    def __post_init__(self) -> None:
        loop = self.loop
        for name, least in (("trials", 1), ("num_null", 20), ("num_bootstrap", 100)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if self.lead < 0:
            raise ValueError(f"lead must not be negative, got {self.lead}.")
        for name in ("noise", "course", "within"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")
        for name in ("layers", "ks", "selections"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice: {getattr(self, name)}.")
        if not self.selections:
            raise ValueError("selections must name at least one of top, bottom and random.")
        if self.mode == "activate" and self.to != "mean":
            raise ValueError(f"activation drives units with their time course; leave to={self.to!r} out.")
        if loop.window.times[0] >= loop.seconds:
            raise ValueError(f"the window opens at {loop.window.times[0]:g} s, but trials last at most {loop.seconds:g} s.")

    @property
    def loop(self) -> LoopConfig:
        """Settings of the simulation."""
        loop = LoopConfig(
            task=self.task, seed=self.seed, deterministic=self.deterministic, physics=self.physics, num_worlds=self.num_worlds,
            num_threads=self.num_threads, time_limit=self.time_limit, variable=self.overwritten, window=self.window or Window(),
        )  # fmt: skip
        if self.window is None and self.mode == "activate":
            times = np.arange(2.0, max(loop.seconds - self.driven, 2.01), 3.0)
            window = Window(times=tuple(float(time) for time in times), duration=self.driven)
            return dataclasses.replace(loop, window=window)
        return loop

    @property
    def driven(self) -> float:
        """s that units are driven when activating."""
        return self.lead + self.course

    @property
    def overwritten(self) -> Literal["h", "c"]:
        """Output or cell state."""
        return self.variable or ("c" if self.mode == "activate" else "h")

    @property
    def success(self) -> tuple[str, float]:
        """The task's measure, and how much of it makes a trial a success."""
        measure, least = SUCCESS[self.task]
        return measure, least if self.success_at is None else self.success_at

    @property
    def name(self) -> str:
        """Of the result."""
        return f"perturbation_{self.task}" + ("_activation" if self.mode == "activate" else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What will be done.

    Attributes:
        layer, selection, k: of each condition, the intact animal first.
        jobs: all trials; trial i of all conditions, then trial i + 1.
        condition: of each job.
        layers: of the agent, core first.
        event: by which units are ranked.
        happened: how often that happened in the session.
        ranking: by layer.
        notes: what a reader must know.
    """

    layer: tuple[str, ...]
    selection: tuple[str, ...]
    k: tuple[int, ...]
    jobs: tuple[Job, ...]
    condition: np.ndarray
    layers: tuple[str, ...]
    event: str
    happened: int
    ranking: dict[str, Modulation] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def check_session(session: Session, agent: ActingAgent, lineage: str, task: str) -> None:
    """See that a session was recorded from this agent, unperturbed, in this task.

    Args:
        session: the session.
        agent: to be perturbed.
        lineage: JSON text on where the agent comes from, as `record` was given it.
        task: name of the task.

    Raises:
        AnalysisError: it was not; says what differs.
    """
    where = f"session {session.identifier!r}"
    if session.task != task:
        raise AnalysisError(f"{where} was recorded in {session.task}, the experiment is in {task}; give a session of that task.")
    sizes = {layer: session.activity(layer).shape[1] for layer in session.layers}
    if sizes != layer_sizes_of(agent):
        raise AnalysisError(f"{where} was recorded from another agent: its layers are {sizes}, this agent's {layer_sizes_of(agent)}.")
    try:
        said = json.loads(session.lineage)
    except ValueError:
        said = {}
    if not isinstance(said, dict) or said.get("agent_lineage") != json.loads(lineage):
        raise AnalysisError(f"{where} was recorded from another agent ({session.agent}), or another state of its learning; record it anew.")
    if said.get("perturbation") is not None:
        raise AnalysisError(f"{where} was itself perturbed ({said['perturbation']}); rank units in a session of the intact animal.")


def plan(agent: ActingAgent, session: Session, config: PerturbConfig, films: Path | None = None) -> Plan:
    """Rank the units and lay out every trial; nothing runs yet.

    Args:
        agent: to be perturbed.
        session: of that agent, intact, in that task; see `check_session`.
        config: settings.
        films: folder for films.

    Raises:
        AnalysisError: a layer that does not exist, k larger than a layer, an event that is unknown or never happened.
    """
    sizes = layer_sizes_of(agent)
    layers = _layers(config, sizes)
    found = occurrences(session, config.event or _preferred(session, config), config.overwritten)
    if config.event is None:
        found = found._replace(notes=(*found.notes, f"Units were ranked by {found.name!r}, which happened {len(found.events)} times."))
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0,)))
    activity = {layer: layer_trials(session, layer, found.used, config.overwritten) for layer in layers}
    ranking = {layer: modulation(trials, found.inside, rng, num_null=config.num_null) for layer, trials in activity.items()}
    conditions: list[tuple[str, str, int]] = [("", "none", 0)]
    for layer in layers:
        for k in config.ks or default_ks(sizes[layer]):
            # All units are the same units however they are chosen.
            chosen = config.selections if k < sizes[layer] else config.selections[:1]
            conditions += [(layer, selection, k) for selection in chosen]
    values = {layer: _values(trials, found, config) for layer, trials in activity.items()}
    jobs, which = [], []
    for trial in range(config.trials):
        for i, (layer, selection, k) in enumerate(conditions):
            film = films / f"{layer or 'intact'}-{k}.mp4" if films and trial == 0 and _is_filmed(conditions, i) else None
            acts = (_intervention(config, layer, selection, k, trial, ranking[layer].score, values[layer]),) if layer else ()
            jobs.append(Job(trial=trial, interventions=acts, film=film))
            which.append(i)
    names, selections, ks = zip(*conditions, strict=True)
    return Plan(
        layer=names, selection=selections, k=ks, jobs=tuple(jobs), condition=np.array(which), layers=tuple(sizes), event=found.name,
        happened=len(found.events), ranking=ranking, notes=found.notes,
    )  # fmt: skip


def _layers(config: PerturbConfig, sizes: dict[str, int]) -> tuple[str, ...]:
    layers = config.layers or tuple(sizes)
    for layer in layers:
        if layer not in sizes:
            raise AnalysisError(f"there is no layer {layer!r}; this agent has {', '.join(sizes)}.")
        for k in config.ks:
            if not 1 <= k <= sizes[layer]:
                raise AnalysisError(f"k must lie between 1 and {sizes[layer]}, the units of {layer}; got {k}.")
    return layers


def _preferred(session: Session, config: PerturbConfig) -> str:
    happened = counts(session)
    # What happens in the task depends on where the animal is; only movements can be elicited anywhere.
    preferred = [name for name in PREFERRED[config.task] if config.mode == "inactivate" or name in BEHAVIOURS]
    for name in preferred:
        if happened.get(name, 0) >= _OFTEN:
            return name
    listed = ", ".join(f"{name} {count}" for name, count in happened.items() if count) or "nothing"
    raise AnalysisError(
        f"None of {', '.join(preferred)} happened at least {_OFTEN} times in session {session.identifier!r}. What happened there: "
        f"{listed}. Name one with --event, or record more trials."
    )


def _is_filmed(conditions: Sequence[tuple[str, str, int]], index: int) -> bool:
    layer, _, k = conditions[index]
    same = [(other[2], -i) for i, other in enumerate(conditions) if other[0] == layer]
    return not layer or (k, -index) == max(same)


def _values(trials: Sequence[np.ndarray], found: Occurrences, config: PerturbConfig) -> tuple[np.ndarray, np.ndarray]:
    """Course (frame, unit) and noise (unit,) of every unit of a layer."""
    joined = np.concatenate(trials)
    nothing = np.zeros(joined.shape[1])
    if config.mode == "activate":
        return time_course(trials, found.events, RATE, config.lead, config.course), nothing
    if config.to == "noise":
        return nothing[None], config.noise * joined.std(axis=0)
    return (joined.mean(axis=0) if config.to == "mean" else nothing)[None], nothing


def _intervention(
    config: PerturbConfig, layer: str, selection: str, k: int, trial: int, score: np.ndarray, values: tuple[np.ndarray, np.ndarray]
) -> Intervention:
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(1, trial, *layer.encode())))
    units = select_units(score, k, selection, rng)
    course, noise = values
    return Intervention(layer=layer, units=units, course=course[:, units], noise=noise[units], add=config.to == "noise")


def resolved(config: PerturbConfig) -> dict[str, Any]:
    """The settings with defaults filled in, as plain values."""
    loop, (measure, least) = config.loop, config.success
    return dataclasses.asdict(config) | {
        "window": dataclasses.asdict(loop.window), "variable": config.overwritten, "success_measure": measure, "success_at": least,
        "time_limit": loop.seconds,
    }  # fmt: skip
