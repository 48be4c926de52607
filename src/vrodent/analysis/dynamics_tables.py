"""Rotations, trajectories and flow of population activity by behaviour and task, as a result to be stored and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.dynamics import NULLS, RotationTest, jpca, rotation_test
from vrodent.analysis.events import Event
from vrodent.analysis.flow import flow_field, leading_axes, task_share
from vrodent.analysis.pooled import Pooled, pooled
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.sequence_tables import usable_events
from vrodent.analysis.statistics import jackknife_interval, label_permutation_p_value, null_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.threads import one_thread
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig


@dataclass(frozen=True, kw_only=True)
class DynamicsConfig:
    """How population dynamics are looked at.

    Attributes:
        num_components: principal components in which rotations are fitted, even.
        most_conditions: trials of a behaviour, or windows of a task, that are used, evenly spread.
        num_null: draws of each control.
        every: frames; principal axes and flow use every n-th.
        grid: cells of the flow field along each axis.
        least_visits: frames in a cell, else it has no flow.
    """

    num_components: int = 6
    most_conditions: int = 24
    num_null: int = 50
    every: int = 2
    grid: int = 12
    least_visits: int = 10

    def __post_init__(self) -> None:
        if self.num_components < 2 or self.num_components % 2:
            raise AnalysisError(f"DynamicsConfig.num_components must be even and 2 or more, got {self.num_components}.")
        for name, least in (("most_conditions", 2), ("num_null", 1), ("every", 1), ("grid", 2), ("least_visits", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"DynamicsConfig.{name} must be at least {least}, got {getattr(self, name)}.")


DYNAMICS_CLAIMS = (
    Claim(claim="Each behaviour has a rotation of its own", expected=1, section="dynamics",
          statistic="share of velocities that rotation explains, above the control that explains most",
          null="three controls: units shifted, sequences, maximal entropy; the largest p"),
    Claim(claim="Rotations of behaviours differ in speed", expected=1, section="dynamics", unit="Hz",
          statistic="spread over behaviours of the fastest rotation's frequency, above the null",
          null="trials exchanged between behaviours"),
    Claim(claim="The core switches by task more than policy layers do", expected=1, section="dynamics",
          statistic="share of units' variance that lies between tasks: first layer less last", null="layers of units permuted"),
)  # fmt: skip


class Conditions(NamedTuple):
    """Time courses of a behaviour or task: events and windows by condition, each a list of windows to be averaged."""

    name: str
    groups: list[list[Event]]


@one_thread
def dynamics(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Rotations by behaviour and by task in every layer, with controls; trajectories, flow, and the share of variance between tasks.

    Raises:
        AnalysisError: too few events and too little data for any.
    """
    trials = pooled(data)
    settings, window = config.dynamics, (config.sequences.before, config.sequences.after)
    first, last = (round(part * data.rate) for part in window)
    try:
        events, _, notes = usable_events(data, trials, config)
    except AnalysisError as error:
        events, notes = {}, [f"No behaviour: {error}"]
    rows = [_by_trial(kind, found, settings) for kind, found in events.items()]
    rows += [_by_task(trials, t, first, last, settings) for t in range(len(trials.tasks))]
    rows = [row for row in rows if len(row.groups) >= 2]
    tests, intervals = [], []
    for row in rows:
        averages = [_averages(trials.layer(layer), row.groups, first, last) for layer in data.layers]
        fits = [_rotation(average, data.rate, settings, rng) for average in averages]
        tests.append(fits)
        intervals.append([_interval(average, fit, data.rate, settings) for average, fit in zip(averages, fits, strict=True)])
        tick()
    arrays = _rotation_arrays(rows, tests, intervals, data)
    behaviours = [row for row in rows if not row.name.startswith(TASK)]
    arrays |= _speed_contrast(behaviours, trials, data, (first, last), settings, rng)
    arrays |= _space(trials, behaviours, data, (first, last), settings)
    arrays |= _task_shares(trials, settings, rng)
    return Result(name="dynamics", kind="dynamics", arrays=arrays, notes=tuple(notes))


TASK = "task:"
"""Prefix of the rows that are tasks and not behaviours."""


def _by_trial(kind: str, events: Sequence[Event], config: DynamicsConfig) -> Conditions:
    """One condition a trial: the average over its events."""
    groups: dict[int, list[Event]] = {}
    for event in events:
        groups.setdefault(event[0], []).append(event)
    return Conditions(kind, _spread(list(groups.values()), config.most_conditions))


def _by_task(trials: Pooled, task: int, first: int, last: int, config: DynamicsConfig) -> Conditions:
    """One condition a window, windows one after another in the task's trials, evenly thinned."""
    groups = [
        [(trial, frame)]
        for trial in np.flatnonzero(trials.task == task).tolist()
        for frame in range(first, trials.lengths[trial] - last, first + last + 1)
    ]
    return Conditions(TASK + trials.tasks[task], _spread(groups, config.most_conditions))


def _spread(items: list, most: int) -> list:
    return [items[i] for i in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)] if items else []


def _averages(activity: list[np.ndarray], groups: list[list[Event]], first: int, last: int) -> np.ndarray:
    """(condition, time, unit)."""
    return np.stack([np.mean([activity[i][f - first : f + last + 1] for i, f in group], axis=0) for group in groups])


def _rotation(average: np.ndarray, rate: float, config: DynamicsConfig, rng: np.random.Generator) -> RotationTest | None:
    """None where the activity spans too few dimensions."""
    try:
        return rotation_test(average, rate, rng, num_components=config.num_components, num_null=config.num_null, subtract_mean=False)
    except AnalysisError:
        return None


_FITTED = ("frequency", "r2_skew", "r2_full", "ratio")


def _interval(average: np.ndarray, fit: RotationTest | None, rate: float, config: DynamicsConfig) -> np.ndarray:
    """(3, fitted) estimates and 95 % limits of frequency and shares, jackknife over conditions."""
    if fit is None:
        return np.full((3, len(_FITTED)), np.nan)

    def numbers(data: np.ndarray) -> np.ndarray:
        try:
            rotation = jpca(data, rate, num_components=config.num_components, subtract_mean=False)
        except AnalysisError:  # without one condition the rest spans too few dimensions: no interval
            return np.full(len(_FITTED), np.nan)
        return np.array([rotation.frequency[0], rotation.r2_skew, rotation.r2_full, rotation.ratio])

    left_out = np.stack([numbers(np.delete(average, i, axis=0)) for i in range(len(average))])
    return np.stack(jackknife_interval(numbers(average), left_out))


def _rotation_arrays(rows: Sequence[Conditions], tests: list, intervals: list, data: Data) -> dict[str, Quantity]:
    axes = ("row", "layer")
    shape = (len(rows), len(data.layers))
    arrays = {
        "row": text([row.name for row in rows], "row", f"kind of event, or {TASK!r} and the task"),
        "layer": text(data.layers, "layer"),
        "num_conditions": Quantity(values=np.array([len(row.groups) for row in rows], int), axes=("row",),
                                   meaning="trials (behaviours) or windows (tasks)"),
    }  # fmt: skip
    values = np.array(intervals, dtype=float).reshape(*shape, 3, len(_FITTED))
    for i, name in enumerate(_FITTED):
        unit = "Hz" if name == "frequency" else "1"
        for k, suffix in enumerate(("", "_low", "_high")):
            arrays[name + suffix] = Quantity(values=values[:, :, k, i], axes=axes, unit=unit, meaning="of the fitted rotation" + suffix)
    variance = [[np.nan if test is None else test.rotation.variance for test in row] for row in tests]
    arrays["variance"] = Quantity(values=np.array(variance, float).reshape(shape), axes=axes, meaning="of activity in the components kept")
    for name in NULLS:
        null = [[np.full(1, np.nan) if test is None else test.null[name] for test in row] for row in tests]
        mean, high = (np.array([[f(x) for x in row] for row in null], float).reshape(shape) for f in (np.mean, _upper))
        p = np.array([[np.nan if test is None else test.p_value[name] for test in row] for row in tests], float).reshape(shape)
        arrays[f"null_{name}"] = Quantity(values=mean, axes=axes, meaning="mean r2_skew of the control")
        arrays[f"null_{name}_high"] = Quantity(values=high, axes=axes, meaning="r2_skew that a twentieth of the control's draws exceed")
        arrays[f"p_{name}"] = Quantity(values=p, axes=axes, meaning="of r2_skew against the control, one-sided")
    # fmax leaves NaN only where every control has it.
    high, p = (np.fmax.reduce([arrays[part.format(name)].values for name in NULLS]) for part in ("null_{}_high", "p_{}"))
    arrays["null_high"] = Quantity(values=high, axes=axes, meaning="upper end of the control that reaches highest")
    arrays["p_value"] = Quantity(values=p, axes=axes, meaning="largest of the controls' p-values")
    return arrays


def _upper(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.95))


def _speed_contrast(
    rows: Sequence[Conditions], trials: Pooled, data: Data, span: tuple[int, int], config: DynamicsConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    """Spread over behaviours of the last layer's fastest rotation, less what exchanging trials between behaviours gives."""
    numbers = np.full(5, np.nan)
    if len(rows) >= 2:
        averages = [_averages(trials.layer(data.layers[-1]), row.groups, *span) for row in rows]
        places = [np.array([group[0][0] for group in row.groups]) for row in rows]
        numbers = _spread_of_speeds(averages, places, data.rate, config, rng)
    names = ("speed_spread", "speed_spread_low", "speed_spread_high", "speed_spread_null", "speed_spread_p")
    meaning = "standard deviation over behaviours of the fastest rotation's frequency in the last layer, less the null's mean"
    return {name: Quantity(values=np.array(numbers[i]), unit="Hz" if i < 4 else "1", meaning=meaning) for i, name in enumerate(names)}


def _spread_of_speeds(
    averages: list[np.ndarray], places: list[np.ndarray], rate: float, config: DynamicsConfig, rng: np.random.Generator
) -> np.ndarray:
    def spread(parts: Sequence[np.ndarray]) -> float:
        try:
            fits = [jpca(part, rate, num_components=config.num_components, subtract_mean=False) for part in parts]
        except AnalysisError:
            return float("nan")
        return float(np.std([fit.frequency[0] for fit in fits]))

    observed = spread(averages)
    left_out = np.array([
        spread([part[place != trial] for part, place in zip(averages, places, strict=True)])
        for trial in np.unique(np.concatenate(places))
        if all((place != trial).sum() >= 2 for place in places)
    ])  # fmt: skip
    joined, cuts = np.concatenate(averages), np.cumsum([len(part) for part in averages])[:-1]
    null = np.array([spread(np.split(joined[rng.permutation(len(joined))], cuts)) for _ in range(config.num_null)])
    if len(left_out) < 2 or not np.isfinite([observed, *left_out, *null]).all():
        return np.full(5, np.nan)
    interval = jackknife_interval(np.asarray(observed), left_out)
    p = float(null_p_value(np.asarray(observed), null, "two-sided"))
    return np.array([*(float(x) - null.mean() for x in interval), null.mean(), p])


def _space(trials: Pooled, rows: Sequence[Conditions], data: Data, span: tuple[int, int], config: DynamicsConfig) -> dict[str, Quantity]:
    """Trajectories and flow of every layer in its own leading principal components."""
    paths, fields, edges, shares = [], [], [], []
    for layer in data.layers:
        activity = trials.layer(layer)
        mean, axes, share = leading_axes(activity, 3, every=config.every)
        shares.append(share)
        projected = [(trial - mean) @ axes for trial in activity]
        paths.append([_averages(projected, row.groups, *span).mean(axis=0) for row in rows])
        field, edge = flow_field([path[:, :2] for path in projected], data.rate, config.grid, config.least_visits)
        fields.append(field)
        edges.append(edge)
    return {
        "behaviour": text([row.name for row in rows], "behaviour", "kind of event"),
        "path": Quantity(values=np.array(paths).reshape(len(data.layers), len(rows), sum(span) + 1, 3),
                         axes=("layer", "behaviour", "time", "component"), meaning="mean trajectory in the layer's principal components"),
        "component_share": Quantity(values=np.array(shares), axes=("layer", "component"), meaning="of the layer's variance"),
        "flow": Quantity(values=np.array(fields), axes=("layer", "x", "y", "component"), unit="1/s",
                         meaning="mean velocity in a cell of the first two components; NaN where seldom visited"),
        "flow_edge": Quantity(values=np.array(edges), axes=("layer", "component", "edge"), meaning="limits of the cells"),
    }  # fmt: skip


def _task_shares(trials: Pooled, config: DynamicsConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    """Share of variance between tasks by layer, with interval, and the first layer's less the last's."""
    meaning = "share of units' variance that lies between tasks, less the mean of exchanged tasks; mean over units"
    values, contrast = np.full((len(trials.layers), 4), np.nan), np.full(4, np.nan)
    if len(trials.tasks) > 1:
        found = [task_share(trials.layer(layer), trials.task, rng, num_null=config.num_null) for layer in trials.layers]
        for i, share in enumerate(found):
            interval = jackknife_interval(np.asarray(np.nanmean(share.unit)), share.left_out)
            values[i] = *(float(x) - share.null.mean() for x in interval), null_p_value(np.asarray(np.nanmean(share.unit)), share.null)
        if len(found) > 1:
            first, last = found[0], found[-1]
            base = first.null.mean() - last.null.mean()
            interval = jackknife_interval(np.asarray(np.nanmean(first.unit) - np.nanmean(last.unit)), first.left_out - last.left_out)
            ours, theirs = (part.unit[np.isfinite(part.unit)] - part.null.mean() for part in (first, last))
            contrast = np.array([*(float(x) - base for x in interval), label_permutation_p_value(ours, theirs, rng)])
    arrays = {f"task_share{suffix}": Quantity(values=values[:, i], axes=("layer",), meaning=meaning)
              for i, suffix in enumerate(("", "_low", "_high", "_p"))}  # fmt: skip
    return arrays | {
        f"task_share_contrast{suffix}": Quantity(values=np.array(contrast[i]), meaning="first layer less last")
        for i, suffix in enumerate(("", "_low", "_high", "_p"))
    }


def judge_dynamics(result: Result) -> list[Finding]:
    """The behaviour with the most conditions in the last layer; speeds over behaviours; the share between tasks."""
    out, rows, layers = [], result["row"].tolist(), result["layer"].tolist()
    behaviours = [i for i, name in enumerate(rows) if not name.startswith(TASK)]
    if behaviours:
        at = max(behaviours, key=lambda i: int(result["num_conditions"][i]))
        nulls = [float(result[f"null_{name}"][at, -1]) for name in NULLS]
        p = min(1.0, 2 * max(float(result[f"p_{name}"][at, -1]) for name in NULLS))
        value, low, high = (float(result[f"r2_skew{part}"][at, -1]) - max(nulls) for part in ("", "_low", "_high"))
        says = f"{layers[-1]}, around {rows[at]}s: {DYNAMICS_CLAIMS[0].statistic}"
        out.append(DYNAMICS_CLAIMS[0].measured(value, low, high, p, null_value=0.0, statistic=says))
    if np.isfinite(result["speed_spread"]):
        numbers = [float(result[f"speed_spread{part}"]) for part in ("", "_low", "_high", "_p")]
        out.append(DYNAMICS_CLAIMS[1].measured(*numbers, null_value=0.0, statistic=f"{layers[-1]}: {DYNAMICS_CLAIMS[1].statistic}"))
    if np.isfinite(result["task_share_contrast"]):
        numbers = [float(result[f"task_share_contrast{part}"]) for part in ("", "_low", "_high", "_p")]
        says = f"share of variance between tasks: {layers[0]} less {layers[-1]}"
        out.append(DYNAMICS_CLAIMS[2].measured(*numbers, null_value=0.0, statistic=says))
    return out
