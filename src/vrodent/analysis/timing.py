"""Two-tap timing: when the second tap comes, and what in each layer tells it beforehand. A result to be stored and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data, Prepared
from vrodent.analysis.decoding import held_out, ratio_interval, trial_sums
from vrodent.analysis.flow import leading_axes
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import jackknife_interval, null_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

TASK = "two_tap"
SECOND = {"second_tap": "in time", "second_tap_too_soon": "too soon", "second_tap_too_late": "none in time"}
"""What ends a wait, by the name of its event."""


@dataclass(frozen=True, kw_only=True)
class TimingConfig:
    """How the next tap is foretold.

    Attributes:
        last_lag, step: s after the first tap; activity at 0, step, 2 step ... is looked at.
        num_components: leading principal components of a layer.
        ridge: penalty, as a share of their mean variance.
        folds: of trials.
        least: pairs of taps, in two trials or more, else only their intervals are shown.
        num_null: exchanges of intervals between pairs.
    """

    last_lag: float = 0.6
    step: float = 0.1
    num_components: int = 10
    ridge: float = 0.1
    folds: int = 5
    least: int = 20
    num_null: int = 100

    def __post_init__(self) -> None:
        for name in ("last_lag", "step", "ridge"):
            if not getattr(self, name) > 0:
                raise AnalysisError(f"TimingConfig.{name} must be positive, got {getattr(self, name)}.")
        for name, least in (("num_components", 1), ("folds", 2), ("least", 4), ("num_null", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"TimingConfig.{name} must be at least {least}, got {getattr(self, name)}.")


TIMING_CLAIMS = (
    Claim(claim="Activity foretells the second tap (asked here, not in the paper)", expected=1, section="timing",
          statistic="share of held-out variance of the interval explained, above the null",
          null="intervals exchanged between pairs of taps"),
)  # fmt: skip


class Waits(NamedTuple):
    """What followed every first tap.

    Attributes:
        trial: (wait,) number among the used trials.
        frame: (wait,) of the first tap, in its trial.
        length: (wait,) frames until the wait ended.
        tapped: (wait,) bool, a second tap ended it.
        outcome: (wait,) str, see `SECOND`.
    """

    trial: np.ndarray
    frame: np.ndarray
    length: np.ndarray
    tapped: np.ndarray
    outcome: np.ndarray


def waits(session: Prepared) -> Waits:
    """Every first tap of the used trials and what ended its wait; one that the trial's end cut short is left out."""
    place = {int(trial): i for i, trial in enumerate(session.used_trials)}
    order = np.lexsort((session.events.frame, session.events.trial))
    rows, opened = [], None
    for i in order.tolist():
        name, trial, frame = str(session.events.name[i]), int(session.events.trial[i]), int(session.events.frame[i])
        if trial not in place:
            continue
        if name == "first_tap":
            opened = (trial, frame)
        elif name in SECOND and opened and opened[0] == trial:
            begin = opened[1] - int(session.trials.start[trial])
            rows.append((place[trial], begin, frame - opened[1], name != "second_tap_too_late", SECOND[name]))
            opened = None
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    kinds = (int, int, int, bool, str)
    return Waits(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))


def timing(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Distribution of the intervals between taps, and how well each layer foretells them at each time after the first tap.

    Raises:
        AnalysisError: no two-tap session with two usable trials, or no wait in it that ended.
    """
    session = next((s for s in data.analysable if s.task == TASK), None)
    if session is None:
        raise AnalysisError("two-tap timing needs a session of two_tap with two usable trials; there is none.")
    found = waits(session)
    if len(found.trial) == 0:
        raise AnalysisError("two-tap timing: the orb was never tapped in a usable trial, or the trial ended before anything followed.")
    settings, notes = config.timing, []
    pairs, trials = int(found.tapped.sum()), len(np.unique(found.trial[found.tapped]))
    arrays = _intervals(found, data.rate)
    shape = (len(data.layers), int(settings.last_lag / settings.step + 1e-9) + 1)
    scores, null, used = np.full((4, *shape), np.nan), np.full((*shape, settings.num_null), np.nan), np.zeros(shape[1], int)
    if pairs >= settings.least and trials >= 2:
        for i, layer in enumerate(data.layers):
            activity = [trial[layer] for trial in session.activity]
            mean, axes, _ = leading_axes(activity, min(settings.num_components, activity[0].shape[1]), every=2)
            low = [(trial - mean) @ axes for trial in activity]
            for j in range(shape[1]):
                scores[:, i, j], null[i, j], used[j] = _foretold(low, found, round(j * settings.step * data.rate), data.rate, config, rng)
            tick()
    else:
        notes.append(f"{pairs} pairs of taps in {trials} trial(s); {settings.least} in 2 needed to foretell the second tap.")
    arrays |= _score_arrays(scores, null, settings) | {
        "layer": text(data.layers, "layer"),
        "pairs": Quantity(values=used, axes=("lag",), meaning="pairs of taps further apart than the lag"),
    }
    return Result(name="timing", kind="timing", arrays=arrays, notes=tuple(notes))


def _intervals(found: Waits, rate: float) -> dict[str, Quantity]:
    interval = found.length[found.tapped] / rate
    trial = found.trial[found.tapped]
    numbers = np.full((2, 3), np.nan)
    if len(np.unique(trial)) > 1:
        left_out = np.array([[interval[trial != t].mean(), interval[trial != t].std()] for t in np.unique(trial)])
        numbers = np.stack(jackknife_interval(np.array([interval.mean(), interval.std()]), left_out), axis=1)
    elif len(interval):
        numbers[:, 0] = interval.mean(), interval.std()
    return {
        "outcome": text(found.outcome.tolist(), "wait", "what ended the wait after a first tap"),
        "wait": Quantity(values=found.length / rate, axes=("wait",), unit="s", meaning="from the first tap to what ended the wait"),
        "wait_trial": Quantity(values=found.trial, axes=("wait",), meaning="number among the used trials"),
        "interval_mean": Quantity(values=numbers[0], axes=("bound",), unit="s", meaning="between taps; value, low, high by jackknife"),
        "interval_sd": Quantity(values=numbers[1], axes=("bound",), unit="s", meaning="between taps; value, low, high by jackknife"),
    }


def _foretold(
    low: Sequence[np.ndarray], found: Waits, lag: int, rate: float, config: AnalysisConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Value, limits and p-value of the held-out share explained at a lag; its null; pairs used."""
    settings = config.timing
    chosen = np.flatnonzero(found.tapped & (found.length > lag))
    trials = np.unique(found.trial[chosen])
    empty = np.full(4, np.nan), np.full(settings.num_null, np.nan), len(chosen)
    if len(chosen) < settings.least or len(trials) < 2:
        return empty
    x = np.stack([low[found.trial[i]][found.frame[i] + lag] for i in chosen])
    y = found.length[chosen] / rate
    groups = [np.flatnonzero(found.trial[chosen] == t) for t in trials]
    fold = rng.permutation(len(groups)) % min(settings.folds, len(groups))

    def score(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = trial_sums([x[group] for group in groups], [values[group][:, None] for group in groups])
        out = held_out(sums, fold, settings.ridge)
        return out.error[:, 0], out.spread[:, 0]

    error, around = score(y)
    if around.sum() <= 1e-9 * len(y):
        return empty  # every interval is the same: nothing to foretell
    value = np.array([float(part) for part in ratio_interval(error, around, rng, num=config.num_bootstrap)])
    drawn = [score(rng.permutation(y)) for _ in range(settings.num_null)]
    null = np.array([1 - a.sum() / b.sum() for a, b in drawn])
    return np.array([*value, float(null_p_value(value[0], null))]), null, len(chosen)


def _score_arrays(scores: np.ndarray, null: np.ndarray, config: TimingConfig) -> dict[str, Quantity]:
    axes = ("layer", "lag")
    meaning = "share of held-out variance of the interval explained by activity at a time after the first tap"
    suffixes = ("", "_low", "_high", "_p")
    out = {f"foretold{suffix}": Quantity(values=scores[i], axes=axes, meaning=meaning) for i, suffix in enumerate(suffixes)}
    out["foretold_null"] = Quantity(values=null.mean(axis=2), axes=axes, meaning="mean with intervals exchanged between pairs")
    out["foretold_null_high"] = Quantity(values=np.quantile(null, 0.95, axis=2), axes=axes, meaning="what a twentieth of those exceed")
    return out | {"lag": Quantity(values=np.arange(scores.shape[2]) * config.step, axes=("lag",), unit="s", meaning="after the first tap")}


JUDGED_LAG = 0.4
"""s, half of the interval that the task asks for; chosen beforehand."""


def judge_timing(result: Result) -> list[Finding]:
    """The last layer, half-way to the second tap."""
    at = int(np.argmin(np.abs(result["lag"] - JUDGED_LAG)))
    value, low, high, null, p = (float(result[f"foretold{part}"][-1, at]) for part in ("", "_low", "_high", "_null", "_p"))
    if not np.isfinite(value):
        return []
    says = f"{result['layer'][-1]}, {result['lag'][at]:g} s after the first tap: {TIMING_CLAIMS[0].statistic}"
    return [TIMING_CLAIMS[0].measured(value - null, low - null, high - null, min(1.0, 2 * p), null_value=0.0, statistic=says)]
