"""Sequences of units around every kind of event, as a result to be stored and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.events import Event, all_events, thinned, whole
from vrodent.analysis.pooled import Pooled, pooled
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.sequences import SequenceScore, sequence
from vrodent.analysis.statistics import jackknife_interval, label_permutation_p_value, null_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig


@dataclass(frozen=True, kw_only=True)
class SequenceConfig:
    """Windows around events.

    Attributes:
        before, after: s.
        width: s on either side of a peak that count as its own.
        least_events: with whole windows, else a kind of event is left out.
        most_events: of a kind that are used, evenly spread over all.
        num_null: draws of random times.
    """

    before: float = 0.5
    after: float = 0.5
    width: float = 0.1
    least_events: int = 20
    most_events: int = 200
    num_null: int = 100

    def __post_init__(self) -> None:
        for name in ("before", "after", "width"):
            if not getattr(self, name) > 0:
                raise AnalysisError(f"SequenceConfig.{name} must be positive, got {getattr(self, name)}.")
        if not 4 <= self.least_events <= self.most_events:
            raise AnalysisError(f"SequenceConfig needs 4 <= least_events <= most_events, got {self.least_events} and {self.most_events}.")
        if self.num_null < 1:
            raise AnalysisError(f"SequenceConfig.num_null must be at least 1, got {self.num_null}.")


SEQUENCE_CLAIMS = (
    Claim(claim="Units tile time around a behaviour: sequential activity", expected=1, section="sequences",
          statistic="activity near a unit's peak less that elsewhere, on held-out events, above the null",
          null="random times in place of events"),
    Claim(claim="Sequential activity is strongest in policy layers", expected=1, section="sequences",
          statistic="the same: last layer less first", null="layers of units permuted"),
)  # fmt: skip


def usable_events(data: Data, all_trials: Pooled, config: AnalysisConfig) -> tuple[dict[str, list[Event]], dict[str, int], list[str]]:
    """Events by kind that are frequent enough and lie in two trials or more, thinned; how many there were; what was left out and why.

    Raises:
        AnalysisError: no kind is frequent enough.
    """
    settings = config.sequences
    first, last = round(settings.before * data.rate), round(settings.after * data.rate)
    found, notes = all_events(data, config.events)
    used, counts = {}, {}
    for kind, events in found.items():
        complete = whole(events, all_trials.lengths, first, last)
        trials = len({trial for trial, _ in complete})
        if len(complete) < settings.least_events or trials < 2:
            notes.append(f"{kind}: {len(complete)} events with whole windows in {trials} trial(s), {settings.least_events} in 2 needed.")
            continue
        if len(complete) < len(events):
            notes.append(f"{kind}: {len(events) - len(complete)} events too near an end of their trial are left out.")
        if len(complete) > settings.most_events:
            notes.append(f"{kind}: {settings.most_events} of {len(complete)} events are used, evenly spread.")
        used[kind], counts[kind] = thinned(complete, settings.most_events), len(complete)
    if not used:
        raise AnalysisError("no kind of event is frequent enough: " + (" ".join(notes) or "none occurred."))
    return used, counts, notes


def sequences(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Sequence scores of every layer around every kind of event, over all tasks.

    Raises:
        AnalysisError: no kind of event is frequent enough.
    """
    trials = pooled(data)
    events, counts, notes = usable_events(data, trials, config)
    settings = config.sequences
    scores: list[list[SequenceScore]] = []
    for chosen in events.values():
        scores.append([
            sequence(trials.layer(layer), chosen, data.rate, settings.before, settings.after, rng, num_null=settings.num_null,
                     width=settings.width)
            for layer in data.layers
        ])  # fmt: skip
        tick()
    arrays = _arrays(scores, data, settings, rng)
    arrays["kind"] = text(list(events), "kind", "of event")
    arrays["count"] = Quantity(values=np.array(list(counts.values())), axes=("kind",), meaning="events with whole windows")
    return Result(name="sequences", kind="sequences", arrays=arrays, notes=tuple(notes))


_MEANINGS = {
    "ridge": "activity near peaks over activity elsewhere, even events",
    "sequentiality": "square root of peak entropy times temporal sparsity, even events",
    "tiling": "scaled activity near a unit's peak less that elsewhere, mean over units, even events",
    "tiling_low": "95 % interval, jackknife over trials",
    "tiling_high": "95 % interval, jackknife over trials",
    "p_value": "of the ridge, one-sided",
    "p_sequentiality": "one-sided",
    "p_tiling": "one-sided",
    "num_events": "events used",
    "num_trials": "trials they lie in",
}


def _arrays(scores: list[list[SequenceScore]], data: Data, config: SequenceConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    size = max(score.average.shape[1] for row in scores for score in row)
    arrays = {
        "layer": text(data.layers, "layer"),
        "time": Quantity(values=(np.arange(len(scores[0][0].average)) - round(config.before * data.rate)) / data.rate, axes=("time",),
                         unit="s", meaning="from the event"),
    }  # fmt: skip
    for name, meaning in _MEANINGS.items():
        values = np.array([[getattr(score, name) for score in row] for row in scores], dtype=float)
        arrays[name] = Quantity(values=values, axes=("kind", "layer"), meaning=meaning)
    for name in ("ridge", "sequentiality", "tiling"):
        null = np.array([[getattr(score, f"null_{name}") for score in row] for row in scores])
        arrays[f"null_{name}"] = Quantity(values=null, axes=("kind", "layer", "draw"), meaning="at random times instead of events")
        arrays[f"null_{name}_mean"] = Quantity(values=null.mean(axis=2), axes=("kind", "layer"), meaning="mean at random times")
        high = np.quantile(null, 0.95, axis=2)
        arrays[f"null_{name}_high"] = Quantity(values=high, axes=("kind", "layer"), meaning="what a twentieth of random times exceed")
    average = np.full((len(scores), len(scores[0]), len(scores[0][0].average), size), np.nan, np.float32)
    order = np.full((len(scores), len(scores[0]), size), -1)
    for i, row in enumerate(scores):
        for j, score in enumerate(row):
            average[i, j, :, : score.average.shape[1]] = score.average
            order[i, j, : len(score.order)] = score.order
    says = "even events' average, scaled by the odd ones' range"
    arrays["average"] = Quantity(values=average, axes=("kind", "layer", "time", "place"), meaning=says)
    arrays["order"] = Quantity(
        values=order, axes=("kind", "layer", "place"), meaning="unit at each place, sorted by its peak in odd events"
    )
    return arrays | _contrasts(scores, rng)


def _contrasts(scores: list[list[SequenceScore]], rng: np.random.Generator) -> dict[str, Quantity]:
    """Tiling of the last layer less that of the first, with a jackknife over trials and layers permuted over units."""
    values = np.full((len(scores), 4), np.nan)
    for i, row in enumerate(scores):
        last, first = row[-1], row[0]
        if len(row) < 2 or len(first.left_out) < 2:
            continue
        interval = jackknife_interval(np.asarray(last.tiling - first.tiling), last.left_out - first.left_out)
        ours, theirs = (score.unit_tiling[np.isfinite(score.unit_tiling)] for score in (last, first))
        values[i] = *interval, label_permutation_p_value(ours, theirs, rng)
    names = ("contrast", "contrast_low", "contrast_high", "contrast_p")
    meaning = "tiling of the last layer less that of the first"
    return {name: Quantity(values=values[:, i], axes=("kind",), meaning=meaning) for i, name in enumerate(names)}


def judge_sequences(result: Result) -> list[Finding]:
    """Around the kind of event that happened most often, which is chosen without a look at activity."""
    at = int(np.argmax(result["count"]))
    kind, layers = str(result["kind"][at]), result["layer"].tolist()
    null = result["null_tiling"][at, -1]
    value, low, high = (float(result[name][at, -1] - null.mean()) for name in ("tiling", "tiling_low", "tiling_high"))
    p = float(null_p_value(np.asarray(value), null - null.mean(), "two-sided"))
    says = f"{layers[-1]}, around {kind}s (the most frequent event): {SEQUENCE_CLAIMS[0].statistic}"
    out = [SEQUENCE_CLAIMS[0].measured(value, low, high, p, null_value=0.0, statistic=says)]
    if len(layers) > 1:
        numbers = [float(result[name][at]) for name in ("contrast", "contrast_low", "contrast_high", "contrast_p")]
        out.append(SEQUENCE_CLAIMS[1].measured(*numbers, statistic=f"tiling around {kind}s: {layers[-1]} less {layers[0]}"))
    return out
