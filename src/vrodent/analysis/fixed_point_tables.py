"""Where an agent's layers would come to rest if their inputs stood still, as a result to be stored and judged.

The weights do not come from sessions: `vrodent.experiment.network.export_network` leaves them among the results, as plain arrays, with each
layer's mean input in every task and behaviour. Each layer is then a map of its own memory: its fixed points and their eigenvalues are found
from states that it was recorded in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.lstm import SearchConfig, Slowest, cells_at_rest, fixed_points, modes, rotation_frequency, run, slowest, time_constant
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import jackknife_interval, null_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.threads import one_thread
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

NETWORK = "network"
"""Name of the result that holds the weights."""
FARTHEST = 1e-3
"""Largest difference between an output recorded and one that the weights give."""
TASK = "task:"
"""Prefix of conditions that are tasks and not behaviours."""
_STARTS = 48
_NULL_SECONDS = 4.0
_OVER = 1e-9
"""Modes with smaller eigenvalues leave nothing after a step."""


@dataclass(frozen=True, kw_only=True)
class FixedPointConfig:
    """How fixed points are looked for.

    Attributes:
        starts: recorded states from which they are searched, evenly spread, in each condition.
        seconds: for which the layer runs by itself from each of these to see whether it comes to rest, about a trial's length.
        longest: s for which it runs on; the search is then repeated from where it came, each cell having been let go where it tends to,
            since cells that hardly forget take minutes.
        settled: largest change of any output in a control step of a layer that has come to rest.
        shown: least share of a mode in the outputs for its time constant to count.
        num_null: layers with shuffled weights.
        search: of one search.
    """

    starts: int = 8
    seconds: float = 30.0
    longest: float = 100.0
    settled: float = 1e-4
    shown: float = 0.01
    num_null: int = 40
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.starts <= _STARTS:
            raise AnalysisError(f"FixedPointConfig.starts must lie between 1 and {_STARTS}, got {self.starts}.")
        for name, least in (("seconds", 0.02), ("longest", self.seconds), ("settled", 0.0), ("num_null", 1)):
            if not getattr(self, name) >= least:
                raise AnalysisError(f"FixedPointConfig.{name} must be at least {least:g}, got {getattr(self, name)}.")


FIXED_POINT_CLAIMS = (
    Claim(claim="Left to itself, its input held, the core settles more slowly than policy layers do", expected=1, section="rest",
          statistic="slowest time constant at the stable fixed point nearest to what was recorded, decades: first layer less last",
          null="weights shuffled within each gate of both layers"),
)  # fmt: skip
_REMARK = "the paper shows no fixed points; the claim is what its timescales would lead one to expect. The interval is over conditions"


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """One layer in one task or behaviour.

    Attributes:
        name: of the task or behaviour.
        behaviour: which of the two.
        drive: (4 unit,) mean over its frames of what input and bias contribute to the gates.
        h, c: (frame, unit) output and cell state in its frames.
    """

    name: str
    behaviour: bool
    drive: np.ndarray
    h: np.ndarray
    c: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One layer: its recurrent weights (unit, 4 unit), and its conditions."""

    name: str
    weight_hidden: np.ndarray
    conditions: Sequence[Condition]


def network_result(layers: Sequence[Layer], sessions: tuple[str, ...], agent: str) -> Result:
    """The weights and inputs as they are kept.

    Args:
        layers: core first, all with the same conditions.
        sessions: identifiers of the sessions that the inputs and states are from.
        agent: its lineage, JSON text.
    """
    rows = [(TASK if one.behaviour is False else "") + one.name for one in layers[0].conditions]
    arrays = {
        "layer": text([layer.name for layer in layers], "layer"),
        "row": text(rows, "row", f"{TASK!r} and the task, or a behaviour"),
        "num_frames": Quantity(values=np.array([len(one.h) for one in layers[0].conditions]), axes=("row",), meaning="frames averaged"),
    }
    for layer in layers:
        states = [_thinned(np.stack([one.h, one.c])) for one in layer.conditions]
        spread = [np.sqrt((one.h.var(axis=0).mean() + np.tanh(one.c).var(axis=0).mean()) / 2) for one in layer.conditions]
        arrays |= {
            f"weight_hidden_{layer.name}": Quantity(values=np.asarray(layer.weight_hidden, np.float32), axes=("unit", "gate")),
            f"drive_{layer.name}": Quantity(values=np.array([one.drive for one in layer.conditions], np.float32), axes=("row", "gate"),
                                            meaning="mean of what input and bias contribute to the gates"),
            f"start_{layer.name}": Quantity(values=np.array(states, np.float32), axes=("row", "variable", "start", "unit"),
                                            meaning="recorded output and cell state; NaN past the last"),
            f"middle_{layer.name}": Quantity(values=np.array([[one.h.mean(axis=0), one.c.mean(axis=0)] for one in layer.conditions]),
                                             axes=("row", "variable", "unit"), meaning="mean recorded output and cell state"),
            f"spread_{layer.name}": Quantity(values=np.array(spread), axes=("row",),
                                             meaning="of recorded h and tanh(c) about their means, root mean square"),
        }  # fmt: skip
    return Result(name=NETWORK, kind=NETWORK, arrays=arrays, parameters={"sessions": sessions, "agent": agent})


def _thinned(states: np.ndarray) -> np.ndarray:
    """(variable, start, unit): as many frames as there is room for, evenly spread."""
    at = np.linspace(0, states.shape[1] - 1, min(_STARTS, states.shape[1])).round().astype(int)
    out = np.full((2, _STARTS, states.shape[2]), np.nan)
    out[:, : len(at)] = states[:, at]
    return out


_NUMBERS = (
    ("num_points", "1", "distinct fixed points found"),
    ("num_stable", "1", "of these, stable"),
    ("time_constant", "s", "slowest that shows in the outputs, at the stable fixed point nearest to the mean recorded state"),
    ("rotation", "Hz", "frequency of the slowest mode that turns and shows there"),
    ("rotation_time", "s", "in which that mode fades"),
    ("distance", "1", "of that point from the mean recorded state, in root mean square deviations of what was recorded"),
    ("settled", "1", "share of recorded states from which the layer's outputs come to rest by themselves within the time it runs"),
    ("least_speed", "1", "slowest that any search ended, largest change of a value in a control step"),
    ("unstable_modes", "1", "modes that grow at the fixed point of any kind nearest to the mean recorded state"),
)


@one_thread
def fixed_point_table(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Fixed points of every layer under its mean input in every task and behaviour.

    Raises:
        AnalysisError: no weights are among the results, or those of an agent in other sessions.
    """
    network = _network(data)
    layers, rows = network["layer"].tolist(), network["row"].tolist()
    units = {layer: len(network[f"weight_hidden_{layer}"]) for layer in layers}
    numbers = np.full((len(layers), len(rows), len(_NUMBERS)), np.nan)
    spectrum = np.full((len(layers), len(rows), 2 * max(units.values()), 2), np.nan)
    for i, layer in enumerate(layers):
        for j in range(len(rows)):
            numbers[i, j], found = _look(network, layer, j, data.rate, config.fixed_points)
            spectrum[i, j, : len(found)] = np.stack([np.real(found), np.imag(found)], axis=1)
        tick()
    mode = spectrum[..., 0] + 1j * spectrum[..., 1]
    mode[~(np.abs(mode) > np.exp(-1))] = np.nan  # what fades within a step is not shown one by one
    arrays = {
        "layer": text(layers, "layer"), "row": text(rows, "row", f"{TASK!r} and the task, or a behaviour"),
        "num_frames": network.arrays["num_frames"],
        "eigenvalues": Quantity(values=spectrum, axes=("layer", "row", "mode", "part"),
                                meaning="real and imaginary part of modes that show in the outputs, at the point of `time_constant`"),
        "mode_time": Quantity(values=time_constant(mode, data.rate), axes=("layer", "row", "mode"), unit="s",
                              meaning="to fade to 1/e; NaN for modes that do so within a control step"),
        "mode_frequency": Quantity(values=rotation_frequency(mode, data.rate), axes=("layer", "row", "mode"), unit="Hz"),
    }  # fmt: skip
    arrays |= {name: Quantity(values=numbers[:, :, k], axes=("layer", "row"), unit=unit, meaning=meaning)
               for k, (name, unit, meaning) in enumerate(_NUMBERS)}  # fmt: skip
    arrays |= _contrast(network, arrays["time_constant"].values, data.rate, config.fixed_points, rng)
    return Result(name="fixed_points", kind="fixed_points", arrays=arrays, notes=_notes(layers, rows, arrays))


def _network(data: Data) -> Result:
    if data.network is None:
        raise AnalysisError(
            "Sessions hold the activity of units and not the weights between them; name the agent that was recorded to have them looked "
            "at: vrodent analyze SESSIONS --agent AGENT."
        )
    known, asked = data.network.parameters["sessions"], tuple(session.identifier for session in data.sessions)
    if not isinstance(known, tuple) or set(known) != set(asked):
        raise AnalysisError(
            "The weights among the results go with other sessions; name the agent again: vrodent analyze SESSIONS --agent AGENT."
        )
    return data.network


def _look(network: Result, layer: str, row: int, rate: float, config: FixedPointConfig) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of one layer in one condition, and the eigenvalues at its stable point (mode,), none where it has none."""
    weight, drive = (np.asarray(values, float) for values in (network[f"weight_hidden_{layer}"], network[f"drive_{layer}"][row]))
    recorded = np.asarray(network[f"start_{layer}"][row], float)
    recorded = recorded[:, np.isfinite(recorded[0, :, 0])]
    h, c = recorded[:, np.linspace(0, recorded.shape[1] - 1, min(config.starts, recorded.shape[1])).round().astype(int)]
    h_end, c_end, speed = run(weight, drive, h, c, round(config.seconds * rate))
    h_end, c_end, _ = run(weight, drive, h_end, c_end, round((config.longest - config.seconds) * rate))
    h_rest, c_rest = cells_at_rest(weight, drive, h_end)
    # Those with cells let go come first: of two states alike in what shows they are nearer to a fixed point.
    h_far, c_far = _distinct(np.concatenate([h_rest, h_end]), np.concatenate([c_rest, c_end]), config.search.distinct)
    points, ends = fixed_points(weight, drive, np.concatenate([h, h_far]), np.concatenate([c, c_far]), config.search)
    middle = network[f"middle_{layer}"][row]
    away = points.nearest(*middle)
    settled, least = float((speed <= config.settled).mean()), float(ends.min())
    growing = float((np.abs(points.eigenvalues[away.argmin()]) >= 1).sum()) if len(away) else np.nan
    if not points.stable.any():
        nothing = [np.nan] * 4
        return np.array([len(away), 0, *nothing, settled, least, growing]), np.zeros(0, complex)
    at = int(np.where(points.stable, away, np.inf).argmin())
    seen = points.eigenvalues[at][points.shown[at] >= config.shown]
    spread = float(network[f"spread_{layer}"][row])
    numbers = [_slowest(seen, rate), *_turning(seen, rate), float(away[at]) / spread if spread > 0 else np.nan]
    return np.array([len(away), points.stable.sum(), *numbers, settled, least, growing]), seen


def _distinct(h: np.ndarray, c: np.ndarray, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """States without those that look like an earlier one, full cells counting as alike."""
    kept: list[int] = []
    for i in range(len(h)):
        if not any(np.abs(np.tanh(c[i]) - np.tanh(c[j])).max() < apart and np.abs(h[i] - h[j]).max() < apart for j in kept):
            kept.append(i)
    return h[kept], c[kept]


def _slowest(found: np.ndarray, rate: float) -> float:
    """s; NaN where every mode is over within a step."""
    return float(time_constant(found[0], rate)) if len(found) and abs(found[0]) > _OVER else np.nan


def _turning(found: np.ndarray, rate: float) -> tuple[float, float]:
    """Frequency and time constant of the slowest mode that turns; NaN where none does."""
    turning = found[np.imag(found) > _OVER]
    if not len(turning):
        return np.nan, np.nan
    return float(rotation_frequency(turning[0], rate)), float(time_constant(turning[0], rate))


def _contrast(network: Result, slow: np.ndarray, rate: float, config: FixedPointConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    """Decades between the slowest time constants of the first layer and the last, over the tasks in which both have one."""
    rows, layers = network["row"].tolist(), network["layer"].tolist()
    tasks = [j for j, row in enumerate(rows) if row.startswith(TASK)]
    numbers = np.full(5, np.nan)
    decades = np.log10(slow[0, tasks]) - np.log10(slow[-1, tasks])
    known = np.isfinite(decades)
    if len(layers) > 1 and known.sum() >= 2:
        decades = decades[known]
        null = np.array([_shuffled(network, layers, tasks, rate, config, rng) for _ in range(config.num_null)])
        null = null[np.isfinite(null)]
        left_out = np.array([np.delete(decades, i).mean() for i in range(len(decades))])
        interval = [float(part) for part in jackknife_interval(np.asarray(decades.mean()), left_out)]
        if 2 * len(null) >= config.num_null:
            numbers = np.array([*interval, null.mean(), float(null_p_value(np.asarray(decades.mean()), null, "two-sided"))])
    meaning = "log10 of the slowest time constant at a stable fixed point, first layer less last, mean over tasks"
    names = ("contrast", "contrast_low", "contrast_high", "contrast_null", "contrast_p")
    return {name: Quantity(values=np.array(numbers[k]), meaning=meaning) for k, name in enumerate(names)}


def _shuffled(
    network: Result, layers: list[str], tasks: Sequence[int], rate: float, config: FixedPointConfig, rng: np.random.Generator
) -> float:
    """The same with both layers' weights exchanged within each gate; NaN where no task has a stable fixed point in both."""
    out = []
    for layer in (layers[0], layers[-1]):
        parts = np.split(np.asarray(network[f"weight_hidden_{layer}"], float), 4, axis=1)
        weight = np.concatenate([rng.permutation(part.ravel()).reshape(part.shape) for part in parts], axis=1)
        drives = np.asarray(network[f"drive_{layer}"], float)[tasks]
        middle = np.asarray(network[f"middle_{layer}"])[tasks]
        h, c, _ = run(weight, drives, middle[:, 0], middle[:, 1], round(_NULL_SECONDS * rate))
        ends = [slowest(weight, *one, config.search) for one in zip(drives, h, c, strict=True)]
        out.append([_decades(weight, drive, end, rate, config) for drive, end in zip(drives, ends, strict=True)])
    decades = np.array(out[0]) - np.array(out[1])
    return float(np.nanmean(decades)) if np.isfinite(decades).any() else np.nan


def _decades(weight: np.ndarray, drive: np.ndarray, end: Slowest, rate: float, config: FixedPointConfig) -> float:
    """log10 of the slowest time constant where a search ended; NaN if that is no stable fixed point."""
    found, shown = modes(weight, drive, end.h, end.c)
    if end.speed > config.search.tolerance or abs(found[0]) >= 1:
        return np.nan
    return float(np.log10(_slowest(found[shown >= config.shown], rate)))


def _notes(layers: list[str], rows: list[str], arrays: dict[str, Quantity]) -> tuple[str, ...]:
    notes = []
    for i, layer in enumerate(layers):
        none = [row for j, row in enumerate(rows) if not arrays["num_points"].values[i, j]]
        loose = [row for j, row in enumerate(rows) if arrays["num_points"].values[i, j] and not arrays["num_stable"].values[i, j]]
        if none:
            notes.append(f"{layer}: no fixed point was found in {', '.join(none)}: every search ended where the layer still moves.")
        if loose:
            notes.append(f"{layer}: the fixed points found in {', '.join(loose)} are all unstable.")
    return tuple(notes)


def judge_fixed_points(result: Result) -> list[Finding]:
    """The slowest time constants of the first layer against the last."""
    if not np.isfinite(result["contrast"]):
        return [FIXED_POINT_CLAIMS[0].not_measured("not measured: fewer than two tasks in which both layers have a stable fixed point")]
    value, low, high, null, p = (float(result[f"contrast{part}"]) for part in ("", "_low", "_high", "_null", "_p"))
    return [FIXED_POINT_CLAIMS[0].measured(value, low, high, p, null_value=null, remark=_REMARK)]
