"""`vrodent perturb`: what becomes of behaviour when units are silenced or driven."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vrodent.analysis import Result, Session, load_session
from vrodent.commands.animals import Animal, find_animal
from vrodent.commands.progress import recording_bar
from vrodent.config import TaskName, UsageError, save_resolved, usage, writable_folder


@dataclass(frozen=True, kw_only=True)
class Command:
    """Silence or drive units of an agent while it behaves, and compare it with itself intact: the same arenas, the same noise.

    Units are ranked by how much an event or a behaviour modulates them in a recorded session; the top, the bottom and random ones of each
    layer are held at their mean (or at zero, or made noisy), from one unit to all. With `--mode activate` they are driven with their
    average time course in the behaviour instead, and it is counted how often that elicits it. Changes act before the action is computed.
    An experiment that was interrupted goes on when the command is given again.

    example: vrodent perturb four-tasks --task forage --trials 5 --ks 16 128 --out perturbed/first
    """

    agent: Annotated[str, tyro.conf.Positional]
    """A packaged agent's name, a checkpoint's folder, or `untrained`."""
    task: TaskName
    """Which task."""
    session: Path | None = None
    """A session of that agent in that task, to rank units in; recorded first into OUT/session unless given."""
    study: Path | None = None
    """A study, as `vrodent study` makes it: its session is used, and the result joins its results and its page."""
    out: Path | None = None
    """Folder of the experiment; perturbed/AGENT-TASK unless given."""
    overwrite: bool = False
    """Replace another experiment that is there."""
    mode: Literal["inactivate", "activate"] = "inactivate"
    """Hold units, or drive them with their time course."""
    to: Literal["mean", "zero", "noise"] = "mean"
    """What units are held at: their mean in the session, or zero; or noise is added to them."""
    noise: float = 1.0
    """Of added noise, in standard deviations of each unit."""
    event: str | None = None
    """Event or behaviour that ranks the units and is counted: first_tap, orb_taken, gap_crossed, rear, run, turn_left, turn_right, jump,
    stride, topple. Chosen by the task and by what happened in the session unless given."""
    layers: tuple[str, ...] = ()
    """Layers whose units are perturbed, one layer at a time; all unless given."""
    ks: tuple[int, ...] = ()
    """How many units; 1, 4, 16, ... and all unless given."""
    selections: tuple[Literal["top", "bottom", "random"], ...] = ("top", "bottom", "random")
    """Which units: the most modulated, the least, random ones."""
    variable: Literal["h", "c"] | None = None
    """Overwrite output h or cell state c; h to inactivate and c to activate unless given."""
    trials: int = 10
    """Trials of every condition."""
    seed: int = 1
    """Of arenas, noise and choices."""
    after: str | None = None
    """Perturb only after this event or behaviour, rather than in the whole trial."""
    first_only: bool = False
    """Only after the first of these in a trial."""
    times: tuple[float, ...] = ()
    """Seconds after that, or after the trial's start, at which the perturbation sets in."""
    duration: float | None = None
    """Seconds that it lasts; to the end of the trial unless given."""
    until: tuple[str, ...] = ()
    """Events or behaviours that end it."""
    lead: float = 0.3
    """Seconds of the time course before the event or behaviour that units are driven with."""
    course: float = 1.0
    """Seconds of it after that."""
    success_at: float | None = None
    """How much of the task's measure makes a trial a success: 1 gap, 1 orb, 2 m, 1 double tap unless given."""
    deterministic: bool = False
    """Take the mean of the policy instead of a sample."""
    physics: Literal["reference", "training"] = "reference"
    """`reference` is the paper's; `training` is coarser and several times as fast."""
    num_worlds: int = 0
    """Trials run at once; 0 takes up to 16."""
    num_threads: int = 0
    """Threads of the simulation; 0 takes one per core."""
    time_limit: float | None = None
    """Seconds of simulated time after which a trial is cut short; the task's own limit unless given."""
    films: bool = False
    """Film the first trial intact and with most units of each layer perturbed, side by side."""
    json: bool = False
    """Print the result's path and every condition as one JSON object."""

    def run(self) -> int:
        """Run the experiment, and say what came of it.

        Raises:
            UsageError: an option that cannot be, or two that exclude each other.
        """
        from vrodent.experiment import add_to_study, perturb, plan
        from vrodent.experiment.run import FILMS
        from vrodent.report import write_report

        if self.session is not None and self.study is not None:
            raise UsageError("give --session or --study, not both: a study has a session of its own.")
        with usage():
            config = self._config()
        animal = find_animal(self.agent)
        out = writable_folder(self.out or Path("perturbed") / f"{animal.name}-{config.name.removeprefix('perturbation_')}")
        session = self._session(animal, out, config.trials)
        with usage():
            planned = plan(animal.agent, session, config, out / FILMS if config.films else None)
        longest = len(planned.jobs) * config.loop.seconds / 60
        print(
            f"{len(planned.k)} conditions of {config.trials} trials, {longest:.1f} min of simulated time at most; units ranked by "
            f"{planned.event}, which happened {planned.happened} times", file=sys.stderr,
        )  # fmt: skip
        with recording_bar(f"perturbing {animal.name} in {self.task}") as progress:
            path = perturb(animal.agent, session, config, out, lineage=animal.lineage, planned=planned, progress=progress,
                           overwrite=self.overwrite)  # fmt: skip
        save_resolved(out / "settings.json", "perturb", self)
        if self.study is not None:
            add_to_study(path, self.study / "results")
            print(f"page: {write_report(self.study)}", file=sys.stderr)
        result = Result.load(path)
        print(json.dumps({"result": str(path), "conditions": conditions(result)}) if self.json else f"{table(result)}\nresult: {path}")
        return 0

    def _config(self) -> Any:
        from vrodent.experiment import PerturbConfig
        from vrodent.recording import Window

        window = None
        if self.after is not None or self.times or self.duration is not None or self.until or self.first_only:
            window = Window(after=self.after, first_only=self.first_only, times=self.times or (0.0,), duration=self.duration,
                            until=self.until)  # fmt: skip
        return PerturbConfig(
            task=self.task, mode=self.mode, to=self.to, noise=self.noise, event=self.event, layers=self.layers, ks=self.ks,
            selections=self.selections, variable=self.variable, trials=self.trials, seed=self.seed, window=window, lead=self.lead,
            course=self.course, success_at=self.success_at, deterministic=self.deterministic, physics=self.physics,
            num_worlds=self.num_worlds, num_threads=self.num_threads, time_limit=self.time_limit, films=self.films,
        )  # fmt: skip

    def _session(self, animal: Animal, out: Path, trials: int) -> Session:
        """The session to rank units in; recorded now if there is none."""
        from vrodent.experiment import check_session
        from vrodent.recording import VideoConfig, record

        path = self.session
        if self.study is not None:
            if not (self.study / "results" / "findings.json").is_file():
                raise UsageError(f"{self.study} holds no analysed study; make one: vrodent study {self.agent} --out {self.study}")
            path = self.study / "sessions" / f"{animal.name}-{self.task}"
        if path is None:
            path = out / "session"
            if not path.exists():
                with recording_bar(f"recording {animal.name} in {self.task}, intact") as progress:
                    record(animal.agent, self.task, trials, deterministic=self.deterministic, out=path, physics=self.physics,
                           progress=progress, video=VideoConfig(egocentric=False, third_person_trials=0), agent_name=animal.name,
                           lineage=animal.lineage, num_threads=self.num_threads, time_limit=self.time_limit)  # fmt: skip
        session = load_session(path)
        check_session(session, animal.agent, animal.lineage, self.task)
        return session


def conditions(result: Result) -> list[dict[str, Any]]:
    """Every condition as plain values: layer, selection, k, share of trials that succeeded with its interval, means of the measures."""
    names = result["measure"].tolist()
    shares = ("success_share", "success_share_low", "success_share_high", "elicited_share", "elicited_share_low", "elicited_share_high")
    return [
        {
            "layer": str(result["condition_layer"][i]), "selection": str(result["condition_selection"][i]), "k": int(k),
            **{name: _finite(result[name][i]) for name in shares},
            "mean": {name: _finite(value) for name, value in zip(names, result["mean"][i], strict=True)},
        }
        for i, k in enumerate(result["condition_k"])
    ]  # fmt: skip


def _finite(value: Any) -> float | None:
    return float(value) if value == value else None


def table(result: Result) -> str:
    """Every condition as text to read."""
    activation = result.parameters["mode"] == "activate"
    share = "elicited_share" if activation else "success_share"
    rows = [("layer", "units", "k", "elicited" if activation else "succeeded", "95 % interval",
             str(result.parameters["success_measure"]), "speed on feet (m/s)")]  # fmt: skip
    for one in conditions(result):
        low, high = one[f"{share}_low"], one[f"{share}_high"]
        interval = "" if low is None else f"{low:.2f} to {high:.2f}"
        rows.append((one["layer"] or "intact", one["selection"] if one["k"] else "", str(one["k"]),
                     "" if one[share] is None else f"{one[share]:.2f}", interval, f"{one['mean']['success']:.3g}",
                     f"{one['mean']['upright_speed']:.3g}"))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
