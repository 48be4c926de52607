"""Representational similarity of layers and feature sets by task, with nulls, as a result to be stored and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from vrodent.analysis.cka import null_orders
from vrodent.analysis.data import Data
from vrodent.analysis.pooled import Pooled, pooled
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.rsa import RsaConfig, clusters, kernel_cka, kernels, membership
from vrodent.analysis.statistics import jackknife_interval, max_corrected, null_p_value
from vrodent.analysis.tables import ALL, text
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig

_SHIFTS = "activity paired with clusters shifted against it"

RSA_CLAIMS = (
    Claim(claim="Over clusters of behaviour, policy layers reflect fast movement more than the core does", expected=1, section="rsa",
          statistic="similarity over 50 clusters of joint angles, fast: last layer less first", null=_SHIFTS),
    Claim(claim="Over clusters of behaviour, the core reflects slow movement more than policy layers do", expected=-1, section="rsa",
          statistic="similarity over 50 clusters of pose, slow: last layer less first", null=_SHIFTS),
    Claim(claim="No layer encodes forces strongly", expected=-1, section="rsa",
          statistic="similarity over clusters, the layer that reflects them most: forces less joint angles, fast", null=_SHIFTS),
)  # fmt: skip


class Cells(NamedTuple):
    """Sums over the frames of a cluster in a trial.

    Attributes:
        layer: (layer) -> (trial, cluster, unit).
        feature: (trial, cluster, column).
        counts: (trial, cluster), frames.
    """

    layer: list[np.ndarray]
    feature: np.ndarray
    counts: np.ndarray


def rsa(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Similarity of every layer with every feature set over clusters of that set, by task and over all tasks.

    Raises:
        AnalysisError: fewer frames than clusters.
    """
    trials, settings = pooled(data), config.rsa
    activity = [np.concatenate([trial[layer][:: settings.every] for trial in trials.activity]) for layer in trials.layers]
    lengths = [len(trial[trials.layers[0]][:: settings.every]) for trial in trials.activity]
    of_trial = np.repeat(np.arange(len(lengths)), lengths)
    sets = list(trials.features[0])
    labels, cells = [], []
    for name in sets:
        features = [trial[name][:: settings.every] for trial in trials.features]
        labels.append(clusters(features, settings, int(rng.integers(2**31))))
        cells.append(_cells(activity, np.concatenate(features).astype(float), labels[-1], of_trial, len(lengths), settings))
        tick()
    groups = [trials.task == t for t in range(len(trials.tasks))] + [np.ones(len(lengths), bool)]
    orders = _orders(trials, lengths, config, rng)
    null_sums = _null_sums(activity, labels, trials.task[of_trial], orders, len(trials.tasks), settings)
    arrays = _compared(cells, null_sums, groups, settings)
    arrays |= {"task": text([*trials.tasks, ALL], "task"), "layer": text(trials.layers, "layer"), "set": text(sets, "set")}
    arrays |= _matrices(cells, sets, settings)
    return Result(name="rsa", kind="rsa", arrays=arrays, parameters={"rsa.null_kinds": _kinds(trials, config)})


def _kinds(trials: Pooled, config: AnalysisConfig) -> tuple[str, ...]:
    return tuple(config.encoding.kind(int((trials.task == t).sum())) for t in range(len(trials.tasks)))


def _cells(
    activity: Sequence[np.ndarray], features: np.ndarray, label: np.ndarray, of_trial: np.ndarray, num_trials: int, config: RsaConfig
) -> Cells:
    rows = of_trial * config.num_clusters + label
    size = num_trials * config.num_clusters
    member = membership(rows, size)

    def summed(frames: np.ndarray) -> np.ndarray:
        return np.asarray(member @ frames).reshape(num_trials, config.num_clusters, -1)

    counts = np.bincount(rows, minlength=size).reshape(num_trials, config.num_clusters)
    return Cells([summed(layer) for layer in activity], summed(features), counts)


def _orders(trials: Pooled, lengths: Sequence[int], config: AnalysisConfig, rng: np.random.Generator) -> list[np.ndarray]:
    """Reorderings of the joined, thinned frames, each within its task."""
    parts, start = [], 0
    for t, kind in enumerate(_kinds(trials, config)):
        own = [lengths[i] for i in np.flatnonzero(trials.task == t).tolist()]
        shift = int(config.encoding.min_shift * trials.rate / config.rsa.every)
        drawn = null_orders(own, "trial" if kind == "trial" else "circular", config.rsa.num_null, rng, min_shift=shift)
        parts.append([order + start for order in drawn])
        start += sum(own)
    return [np.concatenate(drawn) for drawn in zip(*parts, strict=True)]


def _null_sums(
    activity: Sequence[np.ndarray], labels: Sequence[np.ndarray], of_task: np.ndarray, orders: Sequence[np.ndarray], num_tasks: int,
    config: RsaConfig,
) -> list[np.ndarray]:  # fmt: skip
    """(layer) -> (draw, set, task, cluster, unit) sums under shifted pairings."""
    rows = [of_task * config.num_clusters + label for label in labels]
    member = sparse.vstack([membership(row, num_tasks * config.num_clusters) for row in rows]).tocsr()
    shape = (len(labels), num_tasks, config.num_clusters, -1)
    return [np.stack([np.asarray(member @ layer[order]).reshape(shape).astype(np.float32) for order in orders]) for layer in activity]


def _compared(
    cells: Sequence[Cells], null_sums: Sequence[np.ndarray], groups: Sequence[np.ndarray], config: RsaConfig
) -> dict[str, Quantity]:
    shape = (len(groups), len(null_sums), len(cells))
    num_null = len(null_sums[0])
    value, low, high, contrast, contrast_low, contrast_high = (np.full(shape, np.nan) for _ in range(6))
    null = np.full((len(groups), num_null, *shape[1:]), np.nan)
    items = np.zeros((len(groups), len(cells)), int)
    for g, group in enumerate(groups):
        for s, cell in enumerate(cells):
            found = [_with_left_out(cell, i, group, config) for i in range(shape[1])]
            items[g, s] = (cell.counts[group].sum(axis=0) >= config.least).sum()
            for i, values in enumerate(found):
                value[g, i, s], low[g, i, s], high[g, i, s] = jackknife_interval(values[0], values[1:])
                against = values - found[0]
                contrast[g, i, s], contrast_low[g, i, s], contrast_high[g, i, s] = jackknife_interval(against[0], against[1:])
                sums = null_sums[i][:, s].sum(axis=1) if g == len(groups) - 1 else null_sums[i][:, s, g]
                null[g, :, i, s] = _null_cka(cell, sums.astype(float), group, config)
    axes = ("task", "layer", "set")
    p = np.where(np.isnan(value), np.nan, np.stack([null_p_value(value[g], null[g]) for g in range(len(groups))]))
    quantities = {
        "rsa": (value, "debiased CKA of the similarity matrices of activity and features over clusters"),
        "low": (low, "95 % interval, jackknife over trials"), "high": (high, "95 % interval, jackknife over trials"),
        "null_mean": (null.mean(axis=1), "mean of shifted pairings"),
        "null_high": (np.quantile(null, 0.95, axis=1), "what a twentieth of the shifted pairings exceed"),
        "p_value": (p, "one-sided"),
        "p_corrected": (np.stack([max_corrected(value[g], null[g]) for g in range(len(groups))]), "corrected for layers and sets"),
        "contrast": (contrast, "less the first layer"), "contrast_low": (contrast_low, "its 95 % interval"),
        "contrast_high": (contrast_high, "its 95 % interval"),
    }  # fmt: skip
    out = {name: Quantity(values=values, axes=axes, meaning=meaning) for name, (values, meaning) in quantities.items()}
    out["null"] = Quantity(values=null, axes=("task", "draw", "layer", "set"), meaning="of shifted pairings")
    return out | {"items": Quantity(values=items, axes=("task", "set"), meaning="clusters with enough frames")}


def _with_left_out(cell: Cells, layer: int, group: np.ndarray, config: RsaConfig) -> np.ndarray:
    """(1 + trial,) CKA over the group's trials, then without each in turn."""
    sums = [_and_left_out(part[group]) for part in (cell.layer[layer], cell.feature, cell.counts)]
    left, valid = kernels(sums[0], sums[2], config.least)
    right, _ = kernels(sums[1], sums[2], config.least)
    return kernel_cka(left, right, valid)


def _and_left_out(parts: np.ndarray) -> np.ndarray:
    total = parts.sum(axis=0)
    return np.concatenate([total[None], total[None] - parts])


def _null_cka(cell: Cells, sums: np.ndarray, group: np.ndarray, config: RsaConfig) -> np.ndarray:
    """(draw,) CKA of shifted activity with the features themselves."""
    counts = cell.counts[group].sum(axis=0)
    right, valid = kernels(cell.feature[group].sum(axis=0), counts, config.least)
    left, _ = kernels(sums, np.broadcast_to(counts, sums.shape[:2]), config.least)
    return kernel_cka(left, right[None], valid[None])


SHOWN = ("pose_medium", "joint_angles_medium", "joint_angles")
"""The first of these sets that is there has its similarity matrices kept, to be looked at."""


def _matrices(cells: Sequence[Cells], sets: list[str], config: RsaConfig) -> dict[str, Quantity]:
    name = next((name for name in SHOWN if name in sets), sets[0])
    cell = cells[sets.index(name)]
    counts = cell.counts.sum(axis=0)
    order = np.flatnonzero(counts >= config.least)
    found = []
    for sums in (cell.feature, *cell.layer):
        means = sums.sum(axis=0)[order] / counts[order, None]
        found.append(np.corrcoef(means - means.mean(axis=0)))
    order = np.argsort(np.linalg.eigh(found[0])[1][:, -1], kind="stable") if len(order) > 1 else np.arange(len(order))
    matrices = np.stack([matrix[np.ix_(order, order)] for matrix in found]).astype(np.float32)
    says = f"correlation of cluster means, of {name} first, then of each layer; clusters sorted by the leading eigenvector of {name}"
    return {"matrix": Quantity(values=matrices, axes=("what", "cluster", "cluster_again"), meaning=says), "matrix_set": text([name], "one")}


def judge_rsa(result: Result) -> list[Finding]:
    """Over all tasks: fast and slow movement, last policy layer against the core; forces against joint angles."""
    layers, sets = result["layer"].tolist(), result["set"].tolist()
    out = []
    for claim, name in zip(RSA_CLAIMS[:2], ("joint_angles_fast", "pose_slow"), strict=True):
        if name not in sets or len(layers) < 2:
            continue
        s = sets.index(name)
        value, low, high = (float(result[f"contrast{part}"][-1, -1, s]) for part in ("", "_low", "_high"))
        null = result["null"][-1, :, -1, s] - result["null"][-1, :, 0, s]
        p = float(null_p_value(np.asarray(value), null, "two-sided"))
        says = claim.statistic.replace("last layer less first", f"{layers[-1]} less {layers[0]}")
        out.append(claim.measured(value, low, high, p, null_value=float(null.mean()), statistic=says))
    seen = {name for name in ("forces", "joint_angles_fast") if name in sets and np.isfinite(result["rsa"][-1, :, sets.index(name)]).any()}
    if len(seen) == 2:
        out.append(_forces(result, sets.index("forces"), sets.index("joint_angles_fast")))
    return out


def _forces(result: Result, forces: int, joints: int) -> Finding:
    """The two intervals are added in quadrature, as if they were independent."""
    best = [int(np.nanargmax(result["rsa"][-1, :, s])) for s in (forces, joints)]
    numbers = [[float(result[part][-1, i, s]) for part in ("rsa", "low", "high")] for i, s in zip(best, (forces, joints), strict=True)]
    (a, a_low, a_high), (b, b_low, b_high) = numbers
    value, below, above = a - b, np.hypot(a - a_low, b_high - b), np.hypot(a_high - a, b - b_low)
    null = result["null"][-1, :, best[0], forces] - result["null"][-1, :, best[1], joints]
    p = float(null_p_value(np.asarray(value), null, "two-sided"))
    return RSA_CLAIMS[2].measured(value, value - below, value + above, p, null_value=float(null.mean()))
