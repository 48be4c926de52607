"""Runs a planned experiment, and keeps what came of it.

out/perturbation_TASK.npz, .json     the result: see `vrodent.analysis.perturbation_table`
out/trials.jsonl                     every trial as it ended: an interrupted experiment goes on where it was
out/films/LAYER-K.mp4                the intact animal and the perturbed one side by side, where films were asked for
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vrodent.analysis.perturbation_claims import is_experiment, summarise
from vrodent.analysis.perturbation_table import MEASURES, Account, Conditions, Outcomes, perturbation_result
from vrodent.analysis.pipeline import judge
from vrodent.analysis.result import Parameter, Result, load_results
from vrodent.analysis.session import Session
from vrodent.experiment.plan import PerturbConfig, Plan, check_session, plan, resolved
from vrodent.recording.beside import side_by_side
from vrodent.recording.closed_loop import LoopTrial, closed_loop
from vrodent.recording.errors import RecordingError
from vrodent.recording.mind import ActingAgent
from vrodent.recording.rollout import Listener
from vrodent.recording.schema import RATE
from vrodent.version import __version__

LEDGER = "trials.jsonl"
FILMS = "films"


def perturb(
    agent: ActingAgent,
    session: Session,
    config: PerturbConfig,
    out: Path,
    *,
    lineage: str = "{}",
    planned: Plan | None = None,
    progress: Listener | None = None,
    overwrite: bool = False,
) -> Path:
    """Run an experiment. One that was interrupted in the same folder goes on, if nothing was changed.

    Args:
        agent: an `Agent`, or anything with its methods.
        session: recorded from that agent, intact, in that task.
        config: settings.
        out: folder for the result.
        lineage: JSON text on where the agent comes from, the same as of the session.
        planned: what `plan` gave for these, if it is there already.
        progress: told how far it is.
        overwrite: replace another experiment that is there.

    Returns:
        Path of the result's json file.

    Raises:
        AnalysisError: a session of another agent or task, an unknown layer or event, k larger than a layer; before anything runs.
        RecordingError: another experiment is in the folder.
        OSError: the folder cannot be written.
    """
    check_session(session, agent, lineage, config.task)
    planned = planned or plan(agent, session, config, out / FILMS if config.films else None)
    out.mkdir(parents=True, exist_ok=True)
    mark = _fingerprint(config, session, lineage)
    kept = _read(out / LEDGER, mark)
    if kept is None:
        if not overwrite:
            raise RecordingError(f"{out} holds another experiment, or one with other settings; give another --out, or --overwrite.")
        kept = {}
    if config.films:
        (out / FILMS).mkdir(exist_ok=True)
        # A film is made while its trial runs: one that is missing has to run again.
        kept = {n: trial for n, trial in kept.items() if (film := planned.jobs[n].film) is None or film.is_file()}
    trials = _run(agent, planned, config, out / LEDGER, mark, kept, progress)
    films = _films(planned, out) if config.films else {}
    result = _result(planned, trials, config, films, session)
    return dataclasses.replace(result, fingerprint=mark, version=__version__).save(out)


def add_to_study(path: Path, results: Path) -> None:
    """Put an experiment's result among a study's, with the findings that follow from all its experiments.

    Args:
        path: json file of the result.
        results: the study's folder of results, as `vrodent.analysis.analyze` leaves it.

    Raises:
        ResultError: a result there is damaged, or the study has not been analysed.
    """
    Result.load(path).save(results)
    films = path.parent / FILMS
    if films.is_dir():
        shutil.copytree(films, results / FILMS, dirs_exist_ok=True)
    experiments = [result for result in load_results(results).values() if is_experiment(result)]
    mark = hashlib.sha256("\n".join(one.fingerprint for one in experiments).encode()).hexdigest()
    summary = summarise(experiments, np.random.default_rng(0))
    dataclasses.replace(summary, fingerprint=mark, version=__version__, parameters={"seed": 0}).save(results)
    judge(results)


def _run(
    agent: ActingAgent, planned: Plan, config: PerturbConfig, ledger: Path, mark: str, kept: Mapping[int, LoopTrial],
    progress: Listener | None,
) -> list[LoopTrial]:  # fmt: skip
    """Run the jobs that are not kept, entering each in the ledger as it ends."""
    left = [number for number in range(len(planned.jobs)) if number not in kept]
    loop = dataclasses.replace(config.loop, num_worlds=config.loop.worlds(len(planned.jobs)))
    part = ledger.with_name(ledger.name + ".part")
    part.write_text("".join([json.dumps({"experiment": mark}) + "\n", *(_line(number, trial) for number, trial in kept.items())]))
    part.replace(ledger)
    ran: list[LoopTrial] = []
    if left:
        with ledger.open("a") as stream:

            def enter(number: int, trial: LoopTrial) -> None:
                stream.write(_line(left[number], trial))
                stream.flush()

            ran = closed_loop(agent, [planned.jobs[number] for number in left], loop, progress=progress, finished=enter)
    every = dict(kept) | dict(zip(left, ran, strict=True))
    return [every[number] for number in range(len(planned.jobs))]


def _line(number: int, trial: LoopTrial) -> str:
    fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial) if field.name != "traces"}
    return json.dumps({"job": number, **fields}) + "\n"


def _read(ledger: Path, mark: str) -> dict[int, LoopTrial] | None:
    """Trials of this very experiment that have ended before; a line that was cut off is not one. None if the ledger is another's."""
    if not ledger.is_file():
        return {}
    lines = ledger.read_text().splitlines()
    if not lines or lines[0] != json.dumps({"experiment": mark}):
        return None
    kept = {}
    for line in lines[1:]:
        try:
            said = json.loads(line)
            number = said.pop("job")
            events = tuple((str(name), int(frame)) for name, frame in said.pop("events"))
            kept[number] = LoopTrial(**(said | {"events": events, "openings": tuple(said["openings"])}))
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _fingerprint(config: PerturbConfig, session: Session, lineage: str) -> str:
    parts = [__version__, json.dumps(resolved(config), sort_keys=True, default=str), session.identifier, lineage]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _films(planned: Plan, out: Path) -> dict[int, str]:
    """Films of the intact animal and a perturbed one side by side, by condition."""
    filmed = {int(planned.condition[i]): job.film for i, job in enumerate(planned.jobs) if job.film is not None}
    films = {}
    for condition, film in filmed.items():
        if condition:
            name = f"beside-{film.name}"
            side_by_side(filmed[0], film, out / FILMS / name, RATE / 2)
            films[condition] = f"{FILMS}/{name}"
    return films


def _result(planned: Plan, trials: Sequence[LoopTrial], config: PerturbConfig, films: Mapping[int, str], session: Session) -> Result:
    measure, least = config.success
    shape = (len(planned.k), config.trials)
    horizon = round(((config.driven if config.mode == "activate" else 0.0) + config.within) * RATE)
    values = {name: np.zeros(shape) for name in MEASURES}
    success, openings, elicited = np.zeros(shape, bool), np.zeros(shape, int), np.zeros(shape, int)
    for condition, job, trial in zip(planned.condition.tolist(), planned.jobs, trials, strict=True):
        at = condition, job.trial
        reached = float(trial.measures[measure])
        when = np.array([frame for name, frame in trial.events if name == planned.event])
        numbers = {"success": reached, "return": trial.total_reward, "duration": trial.frames / RATE, **trial.motion,
                   "event_rate": len(when) / (trial.frames / RATE)}  # fmt: skip
        for name, array in values.items():
            array[at] = numbers[name]
        success[at] = reached >= least
        openings[at] = len(trial.openings)
        elicited[at] = sum(bool(((when > frame) & (when <= frame + horizon)).any()) for frame in trial.openings)
    failed = sum(trial.diverged for trial in trials)
    notes = (*planned.notes, *((f"The physics failed in {failed} of {len(trials)} trials, which ended there.",) if failed else ()))
    account = Account(
        name=config.name, layers=planned.layers, ranking=planned.ranking, notes=notes, films=films,
        parameters=_flat(resolved(config)) | {"agent": session.agent, "session": session.identifier, "ranked_by": planned.event,
                                              "ranked_by_times": planned.happened},
    )  # fmt: skip
    conditions = Conditions(layer=planned.layer, selection=planned.selection, k=planned.k)
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(2,)))
    outcomes = Outcomes(values=values, success=success, openings=openings, elicited=elicited)
    return perturbation_result(conditions, outcomes, account, rng, num_bootstrap=config.num_bootstrap)


def _flat(values: Mapping[str, Any]) -> dict[str, Parameter]:
    flat: dict[str, Parameter] = {}
    for key, value in values.items():
        flat |= {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {key: value}
    return flat
