"""Linear decoding of every feature set from every layer, by task and across tasks, as a result to be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vrodent.analysis.cka import null_orders
from vrodent.analysis.data import Data
from vrodent.analysis.decoding import DecodingConfig, Sums, grouped, held_out, ratio_interval, transferred, trial_sums
from vrodent.analysis.pooled import Pooled, pooled
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.statistics import max_corrected, null_p_value
from vrodent.analysis.tables import ALL, text

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig


def decodings(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Share of held-out variance of every feature set that a linear map from every layer explains, and how maps carry from task to task."""
    trials, settings = pooled(data), config.decoding
    sets = list(trials.features[0])
    columns = np.cumsum([trials.features[0][name].shape[1] for name in sets])[:-1]
    y = [np.concatenate([trial[name][:: settings.every] for name in sets], axis=1) for trial in trials.features]
    groups = [np.flatnonzero(trials.task == t) for t in range(len(trials.tasks))] + [np.arange(len(trials.task))]
    folds = [_folds(trials.task, group, settings.folds, rng) for group in groups]
    orders = _orders(trials, [len(trial) for trial in y], config, rng)
    shape = (len(groups), len(trials.layers), len(sets))
    value, low, high, null = (np.full((*extra, *shape), np.nan) for extra in ((), (), (), (settings.num_null,)))
    transfer = np.full((len(trials.layers), len(trials.tasks), len(trials.tasks), len(sets)), np.nan)
    for i, layer in enumerate(trials.layers):
        x = _scaled([trial[layer][:: settings.every] for trial in trials.activity])
        sums = trial_sums(x, y)
        for g, fold in enumerate(folds):
            out = held_out(sums, fold, settings.ridge)
            above, below = (_by_set(part[fold >= 0], columns) for part in out)
            value[g, i], low[g, i], high[g, i] = ratio_interval(above, below, rng, num=config.num_bootstrap)
        transfer[i] = _transfer(sums, groups[:-1], columns, value[:-1, i], settings)
        null[:, :, i] = _null(x, y, sums, orders, folds, columns, settings)
        tick()
    arrays = _arrays(value, low, high, null) | {
        "task": text([*trials.tasks, ALL], "task"), "layer": text(trials.layers, "layer"), "set": text(sets, "set"),
        "train": text(trials.tasks, "train"), "test": text(trials.tasks, "test"),
        "transfer": Quantity(values=transfer, axes=("layer", "train", "test", "set"),
                             meaning="share of variance in `test` that a map fitted in `train` explains, a constant offset forgiven; "
                                     "on the diagonal on held-out trials of the same task"),
    }  # fmt: skip
    return Result(name="decoding", kind="decoding", arrays=arrays)


def _arrays(value: np.ndarray, low: np.ndarray, high: np.ndarray, null: np.ndarray) -> dict[str, Quantity]:
    axes = ("task", "layer", "set")
    corrected = np.stack([max_corrected(value[g], null[:, g]) for g in range(len(value))])
    quantities = {
        "r2": (value, "share of held-out variance explained, cross-validated by trial"),
        "low": (low, "95 % interval, bootstrap over trials"), "high": (high, "95 % interval, bootstrap over trials"),
        "null_mean": (null.mean(axis=0), "mean of shifted pairings"),
        "null_high": (np.quantile(null, 0.95, axis=0), "what a twentieth of the shifted pairings exceed"),
        "p_value": (null_p_value(value, null), "one-sided"), "p_corrected": (corrected, "corrected for layers and sets"),
    }  # fmt: skip
    return {name: Quantity(values=values, axes=axes, meaning=meaning) for name, (values, meaning) in quantities.items()}


def _folds(task: np.ndarray, group: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """(trial,) fold, -1 outside the group; the trials of every task are spread over the folds."""
    fold = np.full(len(task), -1)
    num = min(num, *(int((task[group] == t).sum()) for t in np.unique(task[group])))
    for t in np.unique(task[group]):
        own = rng.permutation(group[task[group] == t])
        fold[own] = np.arange(len(own)) % num
    return fold


def _scaled(trials: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Units of variance 1 over all frames, as float32; silent ones 0."""
    joined = np.concatenate(trials)
    mean, scale = joined.mean(axis=0), joined.std(axis=0)
    return [((trial - mean) / np.where(scale > 1e-9, scale, np.inf)).astype(np.float32) for trial in trials]


def _by_set(columns: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(group, set) sums over the columns of each set."""
    return np.stack([part.sum(axis=1) for part in np.split(columns, cuts, axis=1)], axis=1)


def _transfer(sums: Sums, groups: Sequence[np.ndarray], cuts: np.ndarray, within: np.ndarray, config: DecodingConfig) -> np.ndarray:
    """(train, test, set), columns of a set weighing the same; the diagonal is what cross-validation gave."""
    out = np.full((len(groups), len(groups), len(cuts) + 1), np.nan)
    for a, train in enumerate(groups):
        for b, test in enumerate(groups):
            if a == b:
                out[a, b] = within[a]
                continue
            explained = np.split(transferred(sums, train, test, config.ridge), cuts)
            out[a, b] = [np.nanmean(part) if np.isfinite(part).any() else np.nan for part in explained]
    return out


def _orders(trials: Pooled, lengths: Sequence[int], config: AnalysisConfig, rng: np.random.Generator) -> list[np.ndarray]:
    """Reorderings of the joined, thinned frames, each within its task."""
    parts, start = [], 0
    for t in range(len(trials.tasks)):
        own = [lengths[i] for i in np.flatnonzero(trials.task == t).tolist()]
        shift = int(config.encoding.min_shift * trials.rate / config.decoding.every)
        drawn = null_orders(own, config.encoding.kind(len(own)), config.decoding.num_null, rng, min_shift=shift)
        parts.append([order + start for order in drawn])
        start += sum(own)
    return [np.concatenate(drawn) for drawn in zip(*parts, strict=True)]


def _null(
    x: Sequence[np.ndarray], y: Sequence[np.ndarray], sums: Sums, orders: Sequence[np.ndarray], folds: Sequence[np.ndarray],
    cuts: np.ndarray, config: DecodingConfig,
) -> np.ndarray:  # fmt: skip
    """(draw, group of tasks, set), features shifted against activity and fitted anew."""
    joined = np.concatenate(y)
    ends = np.cumsum([len(trial) for trial in y])[:-1]
    wide = [np.column_stack([trial, np.ones(len(trial), np.float32)]) for trial in x]
    out = np.full((len(orders), len(folds), len(cuts) + 1), np.nan)
    for d, order in enumerate(orders):
        moved = np.split(joined[order], ends)
        xy = np.stack([a.T @ b for a, b in zip(wide, moved, strict=True)]).astype(float)
        drawn = Sums(sums.xx, xy, np.stack([(trial**2).sum(axis=0, dtype=float) for trial in moved]))
        for g, fold in enumerate(folds):
            num = int(fold.max()) + 1
            found = held_out(grouped(drawn, fold, num), np.arange(num), config.ridge)
            above, below = (_by_set(part, cuts).sum(axis=0) for part in found)
            out[d, g] = 1 - above / np.maximum(below, 1e-300)
    return out
