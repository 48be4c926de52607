"""Analyses of prepared sessions as results to be stored: the sessions themselves, spectra, encoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.encoding import Encoding, encoding, session_moments
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.spectra import Spectra, layer_mean, unit_spectra
from vrodent.analysis.statistics import benjamini_hochberg, bootstrap_interval, label_permutation_p_value, sign_flip_p_value

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

ALL = "all"
"""Name of the pseudo-task that holds the trials of every task."""


def text(values: Sequence[str], axis: str, meaning: str = "") -> Quantity:
    """A labelled axis."""
    return Quantity(values=np.array(list(values), dtype=str), axes=(axis,), unit="", meaning=meaning)


def sessions(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """What was recorded: every trial, and each session's success measures with intervals over trials."""
    rows = [_measures(session, data.rate, config, rng) for session in data.sessions]
    measures = [(session.task, *row) for session, part in zip(data.sessions, rows, strict=True) for row in part]
    trial_of = [np.full(len(session.trials), i) for i, session in enumerate(data.sessions)]
    joined = {
        name: np.concatenate([np.asarray(getattr(s.trials, name), dtype) for s in data.sessions])
        for name, dtype in (("total_reward", float), ("terminated", bool), ("truncated", bool), ("arena_seed", str))
    }
    duration = np.concatenate([(s.trials.stop - s.trials.start) / data.rate for s in data.sessions])
    events = [(s.task, str(name), float(len(s.events.frames(str(name))))) for s in data.sessions for name in np.unique(s.events.name)]
    numbers = np.array([row[4:7] for row in measures], dtype=float).reshape(-1, 3)
    arrays = {
        "task": text([s.task for s in data.sessions], "session"),
        "agent": text([s.agent for s in data.sessions], "session"),
        "identifier": text([s.identifier for s in data.sessions], "session"),
        "folder": text([s.folder for s in data.sessions], "session", "folder that holds the session and its videos"),
        "lineage": text([s.lineage for s in data.sessions], "session", "JSON: the agent's origin and the recording's settings"),
        "layer": text(data.layers, "layer"),
        "layer_size": Quantity(values=_layer_sizes(data), axes=("layer",), meaning="number of units"),
        "trial_session": Quantity(values=np.concatenate(trial_of), axes=("trial",), meaning="index of the trial's session"),
        "trial_number": Quantity(values=np.concatenate([np.arange(len(s.trials)) for s in data.sessions]), axes=("trial",)),
        "trial_duration": Quantity(values=duration, axes=("trial",), unit="s"),
        "trial_total_reward": Quantity(values=joined["total_reward"], axes=("trial",)),
        "trial_terminated": Quantity(values=joined["terminated"], axes=("trial",), meaning="the task ended it by its own rule"),
        "trial_truncated": Quantity(values=joined["truncated"], axes=("trial",), meaning="the time limit ended it"),
        "trial_arena_seed": text(joined["arena_seed"].tolist(), "trial"),
        "trial_used": Quantity(values=np.concatenate([s.used for s in data.sessions]), axes=("trial",)),
        "measure_task": text([row[0] for row in measures], "measure"),
        "measure_name": text([row[1] for row in measures], "measure"),
        "measure_unit": text([row[2] for row in measures], "measure"),
        "measure_trials": Quantity(values=np.array([row[3] for row in measures], int), axes=("measure",), meaning="trials it rests on"),
        "measure_mean": Quantity(values=numbers[:, 0], axes=("measure",), meaning="mean over trials"),
        "measure_low": Quantity(values=numbers[:, 1], axes=("measure",), meaning="95 % interval; NaN for one trial"),
        "measure_high": Quantity(values=numbers[:, 2], axes=("measure",), meaning="95 % interval; NaN for one trial"),
        "event_task": text([row[0] for row in events], "event"),
        "event_name": text([row[1] for row in events], "event"),
        "event_count": Quantity(values=np.array([row[2] for row in events]), axes=("event",), meaning="times in the session"),
    }  # fmt: skip
    tick()
    return Result(name="sessions", kind="sessions", arrays=arrays, notes=tuple(note for s in data.sessions for note in s.notes))


def _layer_sizes(data: Data) -> np.ndarray:
    first = data.sessions[0].activity
    return np.array([first[0][name].shape[1] if first else 0 for name in data.layers])


def _measures(session: Prepared, rate: float, config: AnalysisConfig, rng: np.random.Generator) -> list[tuple]:
    table = session.trials
    duration = (table.stop - table.start) / rate
    columns = {"return": ("1", np.asarray(table.total_reward, float)), "duration": ("s", duration)}
    columns |= {name: ("1", np.asarray(values, float)) for name, values in table.measures.items()}
    speed = [trial["movement"][:, 0].mean() for trial in session.signals]
    height = [trial["movement"][:, 4].mean() for trial in session.signals]
    if speed:
        columns |= {"forward speed": ("m/s", np.array(speed)), "torso height": ("m", np.array(height))}
    rows = []
    for name, (unit, values) in columns.items():
        if len(values) > 1 and np.isfinite(values).all():
            rows.append((name, unit, len(values), *bootstrap_interval(values, rng, num=config.num_bootstrap)))
        else:
            rows.append((name, unit, len(values), float(np.mean(values)), np.nan, np.nan))
    return rows


def segment_frames(data: Data, wanted: float) -> int:
    """Frames of a Welch segment: as wanted, or the longest of 8, 4 and 2 s that half of every session's used trials reach."""
    if wanted > 0:
        return round(wanted * data.rate)
    for seconds in (8.0, 4.0, 2.0):
        frames = round(seconds * data.rate)
        lengths = [np.array([len(next(iter(trial.values()))) for trial in s.activity]) for s in data.analysable]
        if all((part >= frames).sum() >= max(2, len(part) / 2) for part in lengths):
            return frames
    raise AnalysisError("spectra: a session has fewer than two trials of 2 s; record longer trials.")


def spectra(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Power spectra of every layer by task and over all tasks, with the layers compared."""
    segment = segment_frames(data, config.segment)
    by_task: dict[str, dict[str, Spectra]] = {}
    notes = []
    for session in data.analysable:
        long = [trial for trial in session.activity if len(trial[data.layers[0]]) >= segment]
        if len(long) < 2:
            notes.append(f"{session.task}: fewer than two trials of {segment / data.rate:g} s; no spectra.")
            continue
        if len(long) < len(session.activity):
            missing = len(session.activity) - len(long)
            notes.append(f"{session.task}: {missing} trial(s) shorter than {segment / data.rate:g} s are left out of the spectra.")
        by_task[session.task] = {layer: unit_spectra([trial[layer] for trial in long], data.rate, segment=segment) for layer in data.layers}
        tick()
    if not by_task:
        raise AnalysisError(f"spectra: no session has two trials of {segment / data.rate:g} s; choose a shorter segment.")
    by_task[ALL] = {layer: _joined([part[layer] for part in by_task.values()]) for layer in data.layers}
    silent = {(task, layer): int(np.isnan(s.centroid).all(axis=0).sum()) for task, row in by_task.items() for layer, s in row.items()}
    notes += [f"{task}: {count} silent unit(s) of {layer} are left out." for (task, layer), count in silent.items() if count]
    arrays = _spectra_arrays(by_task, data.layers, config, rng)
    parameters = {"spectra.segment_s": segment / data.rate, "spectra.window": "Hann, half overlapping", "spectra.layers": data.layers}
    return Result(name="spectra", kind="spectra", arrays=arrays, parameters=parameters, notes=tuple(notes))


def _joined(parts: Sequence[Spectra]) -> Spectra:
    return Spectra(parts[0].frequency, *(np.concatenate([getattr(p, name) for p in parts]) for name in Spectra._fields[1:]))


def _spectra_arrays(
    by_task: dict[str, dict[str, Spectra]], layers: Sequence[str], config: AnalysisConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    grid = [[row[layer] for layer in layers] for row in by_task.values()]
    arrays = {
        "task": text(list(by_task), "task", f"{ALL!r} joins the trials of every task"),
        "layer": text(layers, "layer"),
        "num_trials": Quantity(values=np.array([len(row[0].power) for row in grid]), axes=("task",)),
        "frequency": Quantity(values=grid[0][0].frequency, axes=("frequency",), unit="Hz"),
    }
    quantities = {
        "power": ("1/Hz", "mean over trials and units of each unit's share of power", ("frequency",), lambda s: s.power),
        "centroid": ("Hz", "mean over trials and units of the spectral centroid", (), lambda s: s.centroid),
        "autocorrelation_time": ("s", "mean over trials and units of the autocorrelation time", (), lambda s: s.autocorrelation_time),
    }
    for name, (unit, meaning, axes, get) in quantities.items():
        values = [[bootstrap_interval(layer_mean(get(s)), rng, num=config.num_bootstrap) for s in row] for row in grid]
        for suffix, pick in (("", 0), ("_low", 1), ("_high", 2)):
            stacked = np.array([[interval[pick] for interval in row] for row in values])
            says = meaning + suffix.replace("_", ", 95 % ")
            arrays[name + suffix] = Quantity(values=stacked, axes=("task", "layer", *axes), unit=unit, meaning=says)
    arrays |= _layer_contrasts(grid, rng, config) | _policy_contrast(grid, rng, config)
    unit_layer = np.concatenate([np.full(s.centroid.shape[1], i) for i, s in enumerate(grid[-1])])
    arrays["unit_layer"] = Quantity(values=unit_layer, axes=("unit",), meaning="index of the unit's layer")
    for name in ("centroid", "autocorrelation_time"):
        per_unit = np.stack([np.concatenate([layer_mean(getattr(s, name).T) for s in row]) for row in grid])
        says = "mean over trials, NaN if silent"
        arrays[f"unit_{name}"] = Quantity(values=per_unit, axes=("task", "unit"), unit=quantities[name][0], meaning=says)
    return arrays


def _layer_contrasts(grid: list[list[Spectra]], rng: np.random.Generator, config: AnalysisConfig) -> dict[str, Quantity]:
    """Each layer's centroid and autocorrelation time against the first layer's (the core), paired by trial."""
    out: dict[str, Quantity] = {}
    for name, unit in (("centroid", "Hz"), ("autocorrelation_time", "s")):
        shape = (len(grid), len(grid[0]))
        value, low, high, p_trial, p_unit = (np.full(shape, np.nan) for _ in range(5))
        for i, row in enumerate(grid):
            reference = getattr(row[0], name)
            for j, other in enumerate(row[1:], start=1):
                values = getattr(other, name)
                paired = layer_mean(values) - layer_mean(reference)
                if not np.isfinite(paired).all():
                    continue
                value[i, j], low[i, j], high[i, j] = bootstrap_interval(paired, rng, num=config.num_bootstrap)
                p_trial[i, j] = sign_flip_p_value(paired, rng)
                p_unit[i, j] = label_permutation_p_value(_unit_means(values), _unit_means(reference), rng)
        meaning = f"{name} of the layer less that of the first layer, mean over trials"
        for suffix, values, says in (
            ("", value, ""), ("_low", low, ", 95 % low"), ("_high", high, ", 95 % high"),
            ("_p_trial", p_trial, ": p-value by flipping signs over trials"),
            ("_p_unit", p_unit, ": p-value by permuting layer labels over units"),
        ):  # fmt: skip
            of = "1" if suffix.startswith("_p") else unit
            out[f"{name}_contrast{suffix}"] = Quantity(values=values, axes=("task", "layer"), unit=of, meaning=meaning + says)
        q = np.where(np.isnan(p_trial), np.nan, 1.0)
        q[~np.isnan(p_trial)] = benjamini_hochberg(p_trial[~np.isnan(p_trial)])
        out[f"{name}_contrast_q"] = Quantity(values=q, axes=("task", "layer"), meaning="p-values over trials, corrected for their number")
    return out


def _policy_contrast(grid: list[list[Spectra]], rng: np.random.Generator, config: AnalysisConfig) -> dict[str, Quantity]:
    """Centroid of the last policy layer less that of the first policy layer, paired by trial; NaN with fewer than two policy layers."""
    values = np.full((4, len(grid)), np.nan)
    for i, row in enumerate(grid):
        paired = layer_mean(row[-1].centroid) - layer_mean(row[1].centroid) if len(row) > 2 else np.array([np.nan])
        if np.isfinite(paired).all():
            values[:, i] = *(float(x) for x in bootstrap_interval(paired, rng, num=config.num_bootstrap)), sign_flip_p_value(paired, rng)
    meaning = "centroid of the last policy layer less that of the first policy layer, mean over trials"
    return {
        f"policy_contrast{suffix}": Quantity(values=part, axes=("task",), unit="1" if suffix == "_p" else "Hz", meaning=meaning)
        for suffix, part in zip(("", "_low", "_high", "_p"), values, strict=True)
    }


def _unit_means(values: np.ndarray) -> np.ndarray:
    """(unit,) mean over trials of units that were ever active."""
    means = layer_mean(values.T)
    return means[np.isfinite(means)]


def encodings(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Debiased CKA of layers and feature sets, by task and over all tasks."""
    moments = {s.task: session_moments(s.activity, s.features, config.encoding, rng, data.rate, tick) for s in data.analysable}
    found = {task: encoding([part], level=config.encoding.level) for task, part in moments.items()}
    found[ALL] = encoding(list(moments.values()), level=config.encoding.level)
    first = data.analysable[0].features[0]
    sets, counts = list(first), [int(s.used.sum()) for s in data.analysable]
    arrays = {
        "task": text(list(found), "task", f"{ALL!r} joins the frames of every task; its null shifts frames within tasks"),
        "layer": text(data.layers, "layer"),
        "set": text(sets, "set"),
        "set_size": Quantity(values=np.array([first[name].shape[1] for name in sets]), axes=("set",), meaning="columns"),
        "num_trials": Quantity(values=np.array([*counts, sum(counts)]), axes=("task",)),
    }  # fmt: skip
    meanings = {
        "cka": "debiased linear CKA", "low": "95 % interval, jackknife over trials", "high": "95 % interval, jackknife over trials",
        "null": "CKA of shifted pairings", "null_mean": "mean CKA of shifted pairings",
        "null_high": "CKA that a twentieth of the shifted pairings exceed", "p_value": "one-sided, against the shifted pairings",
        "p_corrected": "corrected for the number of layers and sets in the task by the largest standardised value (Westfall & Young)",
        "contrast": "CKA less the first layer's", "contrast_low": "its 95 % interval", "contrast_high": "its 95 % interval",
    }  # fmt: skip
    for name in Encoding._fields:
        axes = ("task", "draw", "layer", "set") if name == "null" else ("task", "layer", "set")
        arrays[name] = Quantity(values=np.stack([getattr(e, name) for e in found.values()]), axes=axes, meaning=meanings[name])
    kinds = tuple(config.encoding.kind(len(s.activity)) for s in data.analysable)
    notes = tuple(f"{s.task} has fewer than two usable trials; no encoding." for s in data.sessions if s not in data.analysable)
    return Result(name="encoding", kind="encoding", arrays=arrays, parameters={"encoding.null_kinds": kinds}, notes=notes)
