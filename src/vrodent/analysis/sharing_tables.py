"""What layers share across tasks, as a result to be stored and judged: geometry over clusters of behaviour, and decoding of the task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vrodent.analysis.checks import AnalysisError
from vrodent.analysis.data import Data
from vrodent.analysis.flow import leading_axes
from vrodent.analysis.pooled import Pooled, pooled
from vrodent.analysis.result import Quantity, Result
from vrodent.analysis.rsa import RsaConfig, clusters, kernel_cka, kernels, membership
from vrodent.analysis.scaling import classical_mds
from vrodent.analysis.sharing import Decoding, decode_label
from vrodent.analysis.statistics import bootstrap_interval, jackknife_interval, null_p_value, sign_flip_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig


@dataclass(frozen=True, kw_only=True)
class SharingConfig:
    """How tasks are compared.

    Attributes:
        cluster_set: feature set whose clusters are behaviours that tasks may share; the first set where a session lacks it.
        num_components: leading principal components of a layer from which the task is read.
        frames: of each trial, from which it is read.
        folds: of trials.
        num_null: draws of each null.
    """

    cluster_set: str = "pose_medium"
    num_components: int = 20
    frames: int = 50
    folds: int = 5
    num_null: int = 100

    def __post_init__(self) -> None:
        for name, least in (("num_components", 1), ("frames", 1), ("folds", 2), ("num_null", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"SharingConfig.{name} must be at least {least}, got {getattr(self, name)}.")


SHARING_CLAIMS = (
    Claim(claim="Policy layers are shared across tasks, the core is specific to them", expected=1, section="sharing",
          statistic="likeness of tasks over shared clusters of behaviour: last layer less first",
          null="units exchanged between the two layers"),
    Claim(claim="The core tells the tasks apart better than policy layers do", expected=1, section="sharing",
          statistic="share of held-out frames whose task is read rightly: first layer less last",
          null="signs of the trials' differences flipped"),
    Claim(claim="Fewer layers share more across tasks", expected=-1, section="sharing",
          statistic="likeness of tasks against the number of policy layers"),
)  # fmt: skip
_ONE_AGENT = "not measured: needs agents with different numbers of layers, and this is one agent"


def sharing(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Likeness of tasks in every layer, with nulls; all layers and tasks in one map; the task read from every layer.

    Raises:
        AnalysisError: fewer than two tasks with two usable trials.
    """
    trials = pooled(data)
    if len(trials.tasks) < 2:
        raise AnalysisError(f"sharing needs two tasks with two usable trials each; there is only {', '.join(trials.tasks)}.")
    settings = config.sharing
    sums, counts, name = _cluster_sums(trials, config, rng)
    tick()
    arrays = _likeness(sums, counts, trials, config, rng)
    arrays |= _map(sums, counts, trials, config.rsa)
    arrays |= {"task": text(trials.tasks, "task"), "layer": text(trials.layers, "layer"), "cluster_set": text([name], "one")}
    found = []
    for layer in trials.layers:
        mean, axes, _ = leading_axes(trials.layer(layer), min(settings.num_components, trials.activity[0][layer].shape[1]), every=5)
        low = [(trial - mean) @ axes for trial in trials.layer(layer)]
        found.append(decode_label(low, trials.task.tolist(), rng, folds=settings.folds, frames=settings.frames, num_null=settings.num_null))
        tick()
    arrays |= _decoding(found, trials, config, rng) | _contrasts(arrays, found, config, rng)
    return Result(name="sharing", kind="sharing", arrays=arrays)


def _cluster_sums(trials: Pooled, config: AnalysisConfig, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray, str]:
    """(layer) -> (trial, cluster, unit) sums, units of a layer scaled as one; (trial, cluster) frames; the set that was cut."""
    settings = config.rsa
    name = config.sharing.cluster_set if config.sharing.cluster_set in trials.features[0] else next(iter(trials.features[0]))
    features = [trial[name][:: settings.every] for trial in trials.features]
    label = clusters(features, settings, int(rng.integers(2**31)))
    num, size = len(features), len(features) * settings.num_clusters
    rows = np.repeat(np.arange(num), [len(trial) for trial in features]) * settings.num_clusters + label
    member = membership(rows, size)
    sums = []
    for layer in trials.layers:
        x = np.concatenate([trial[:: settings.every] for trial in trials.layer(layer)])
        x = x / max(float(np.sqrt(x.var(axis=0).sum())), 1e-12)
        sums.append(np.asarray(member @ x).reshape(num, settings.num_clusters, -1))
    return sums, np.bincount(rows, minlength=size).reshape(num, settings.num_clusters), name


def _pairs(num: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(num) for b in range(a + 1, num)]


def _of_tasks(part: np.ndarray, task: np.ndarray, num: int) -> np.ndarray:
    """(task, 1 + trial, ...) sums over each task's trials, then without each trial in turn."""
    totals = np.stack([part[task == t].sum(axis=0) for t in range(num)])
    out = np.repeat(totals[:, None], len(task) + 1, axis=1)
    for trial, t in enumerate(task):
        out[t, trial + 1] -= part[trial]
    return out


def _pair_cka(sums: np.ndarray, counts: np.ndarray, least: int) -> np.ndarray:
    """(pair, ...) CKA of every pair of tasks over clusters both visit, from (task, ..., cluster, unit) sums and (task, ..., cluster)."""
    found = []
    for a, b in _pairs(len(sums)):
        both = np.where((counts[a] >= least) & (counts[b] >= least), 1, 0)
        left, valid = kernels(sums[a], counts[a] * both, least)
        right, _ = kernels(sums[b], counts[b] * both, least)
        found.append(kernel_cka(left, right, valid))
    return np.stack(found)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis, without pairs that share too few clusters in any entry."""
    use = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return values[use].mean(axis=0) if use.any() else np.full(values.shape[1:], np.nan)


def _likeness(
    sums: Sequence[np.ndarray], counts: np.ndarray, trials: Pooled, config: AnalysisConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    num, least, draws = len(trials.tasks), config.rsa.least, config.sharing.num_null
    counted = _of_tasks(counts, trials.task, num)
    matrix, shared = np.full((len(sums), num, num), np.nan), np.zeros((num, num), int)
    values, left_out = np.full((len(sums), 4), np.nan), np.full((len(sums), len(trials.task)), np.nan)
    null = np.full((len(sums), draws), np.nan)
    whole = counted[:, 0] >= least
    for a in range(num):
        shared[a] = (whole[a] & whole).sum(axis=1)
    orders = [[rng.permutation(counts.shape[1]) for _ in range(draws)] for _ in range(num)]
    for i, part in enumerate(sums):
        of_tasks = _of_tasks(part, trials.task, num)
        found = _pair_cka(of_tasks, counted, least)
        for (a, b), value in zip(_pairs(num), found[:, 0], strict=True):
            matrix[i, a, b] = matrix[i, b, a] = value
        matrix[i, np.arange(num), np.arange(num)] = 1.0
        mean = _mean(found)
        values[i, :3] = jackknife_interval(mean[0], mean[1:])
        left_out[i] = mean[1:]
        # The null breaks which cluster of one task is which of another, and keeps each task's own geometry.
        drawn = [np.stack([task[order] for order in own]) for task, own in zip(of_tasks[:, 0], orders, strict=True)]
        moved = [np.stack([task[order] for order in own]) for task, own in zip(counted[:, 0], orders, strict=True)]
        null[i] = _mean(_pair_cka(np.stack(drawn), np.stack(moved), least))
        values[i, 3] = null_p_value(values[i, 0], null[i]) if np.isfinite(values[i, 0]) else np.nan
    names = {"likeness": 0, "likeness_low": 1, "likeness_high": 2, "likeness_p": 3}
    meaning = "mean over pairs of tasks of the debiased CKA of mean activity over clusters of behaviour that both visit"
    out = {name: Quantity(values=values[:, k], axes=("layer",), meaning=meaning) for name, k in names.items()}
    return out | {
        "likeness_left_out": Quantity(values=left_out, axes=("layer", "trial"), meaning="likeness without one trial"),
        "likeness_null": Quantity(values=null.mean(axis=1), axes=("layer",), meaning="mean with the clusters of tasks exchanged"),
        "likeness_null_high": Quantity(values=_high(null), axes=("layer",), meaning="what a twentieth of those exceed"),
        "likeness_matrix": Quantity(values=matrix, axes=("layer", "task", "task_again"), meaning="debiased CKA by pair of tasks"),
        "shared_clusters": Quantity(values=shared, axes=("task", "task_again"), meaning="clusters that both tasks visit"),
        **_exchanged(sums, counted[:, 0], trials, least, draws, rng),
    }


def _high(null: np.ndarray) -> np.ndarray:
    return np.quantile(null, 0.95, axis=1)


def _exchanged(
    sums: Sequence[np.ndarray], counts: np.ndarray, trials: Pooled, least: int, draws: int, rng: np.random.Generator
) -> dict[str, Quantity]:
    """Likeness of the last layer less the first's, with units of the two exchanged at random."""
    of_tasks = [np.stack([part[trials.task == t].sum(axis=0) for t in range(len(trials.tasks))]) for part in (sums[-1], sums[0])]
    both = np.concatenate(of_tasks, axis=-1)
    size = of_tasks[0].shape[-1]
    null = np.full(draws, np.nan)
    for d in range(draws if len(sums) > 1 else 0):
        order = rng.permutation(both.shape[-1])
        one, other = (_mean(_pair_cka(both[..., part], counts, least)) for part in (order[:size], order[size:]))
        null[d] = float(one - other)
    meaning = "likeness of the last layer less the first's, units exchanged between the two"
    return {"exchanged": Quantity(values=null, axes=("draw",), meaning=meaning)}


def _map(sums: Sequence[np.ndarray], counts: np.ndarray, trials: Pooled, config: RsaConfig) -> dict[str, Quantity]:
    """Every layer in every task as a point: layers and tasks that arrange behaviours alike lie together."""
    num = len(trials.tasks)
    counted = np.stack([counts[trials.task == t].sum(axis=0) for t in range(num)])
    made = [kernels(np.stack([part[trials.task == t].sum(axis=0) for t in range(num)]), counted, config.least) for part in sums]
    nodes = [(kernel[t], valid[t]) for kernel, valid in made for t in range(num)]
    likeness = np.eye(len(nodes))
    for a, b in _pairs(len(nodes)):
        likeness[a, b] = likeness[b, a] = kernel_cka(nodes[a][0], nodes[b][0], nodes[a][1] & nodes[b][1])
    distance = np.sqrt(np.clip(1 - np.nan_to_num(likeness, nan=0.0), 0, None))
    points, share = classical_mds(distance, 2)
    says = "of a map in which distance is the root of 1 - CKA"
    return {
        "map": Quantity(values=points.reshape(len(sums), num, 2), axes=("layer", "task", "component"), meaning="place " + says),
        "map_share": Quantity(values=share, axes=("component",), meaning="share of the positive eigenvalues " + says),
        "map_likeness": Quantity(values=likeness, axes=("node", "node_again"), meaning="debiased CKA; layers, and tasks within them"),
    }


def _decoding(found: Sequence[Decoding], trials: Pooled, config: AnalysisConfig, rng: np.random.Generator) -> dict[str, Quantity]:
    by_task = [np.stack([f.by_trial[trials.task == t].mean() for t in range(len(trials.tasks))]) for f in found]
    intervals = [bootstrap_interval(_balanced(f.by_trial, trials.task), rng, num=config.num_bootstrap) for f in found]
    columns = {
        "task_accuracy": [f.accuracy for f in found], "task_accuracy_low": [float(i.low) for i in intervals],
        "task_accuracy_high": [float(i.high) for i in intervals], "task_accuracy_null": [float(f.null.mean()) for f in found],
        "task_accuracy_null_high": [float(np.quantile(f.null, 0.95)) for f in found], "task_accuracy_p": [f.p_value for f in found],
    }  # fmt: skip
    meaning = "share of held-out frames whose task is read rightly by linear discriminants, mean over tasks"
    out = {name: Quantity(values=np.array(values), axes=("layer",), meaning=meaning) for name, values in columns.items()}
    out["task_accuracy_by_task"] = Quantity(values=np.array(by_task), axes=("layer", "task"), meaning=meaning)
    confusion = np.stack([f.confusion for f in found])
    out["confusion"] = Quantity(values=confusion, axes=("layer", "task", "called"), meaning="share of a task's held-out frames")
    return out


def _balanced(by_trial: np.ndarray, task: np.ndarray) -> np.ndarray:
    """(trial,) values weighed so that their mean is the mean over tasks."""
    counts = np.bincount(task)
    return by_trial * len(task) / (len(counts) * counts[task])


def _contrasts(
    arrays: dict[str, Quantity], found: Sequence[Decoding], config: AnalysisConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    likeness, accuracy = np.full(5, np.nan), np.full(4, np.nan)
    if len(found) > 1:
        value = arrays["likeness"].values
        left_out, null = arrays["likeness_left_out"].values, arrays["exchanged"].values
        interval = jackknife_interval(value[-1] - value[0], left_out[-1] - left_out[0])
        likeness[:3] = [float(x) for x in interval]
        if np.isfinite(likeness[:3]).all() and np.isfinite(null).all():
            likeness[3:] = null_p_value(interval.estimate, null, "two-sided"), null.mean()
        paired = found[0].by_trial - found[-1].by_trial
        accuracy[:3] = [float(x) for x in bootstrap_interval(paired, rng, num=config.num_bootstrap)]
        accuracy[3] = sign_flip_p_value(paired, rng)
    suffixes = ("", "_low", "_high", "_p", "_null")
    out = {f"likeness_contrast{s}": Quantity(values=np.array(likeness[i]), meaning="last layer less first") for i, s in enumerate(suffixes)}
    return out | {
        f"accuracy_contrast{s}": Quantity(values=np.array(accuracy[i]), meaning="first layer less last") for i, s in enumerate(suffixes[:4])
    }


def judge_sharing(result: Result) -> list[Finding]:
    """Likeness of tasks and decoding of the task, last policy layer against the core."""
    layers, out = result["layer"].tolist(), [SHARING_CLAIMS[2].not_measured(_ONE_AGENT)]
    if len(layers) < 2:
        return out
    value, low, high, p, null = (float(result[f"likeness_contrast{part}"]) for part in ("", "_low", "_high", "_p", "_null"))
    says = f"likeness of tasks over clusters of {result['cluster_set'][0]}: {layers[-1]} less {layers[0]}"
    out.append(SHARING_CLAIMS[0].measured(value, low, high, p, null_value=null, statistic=says))
    numbers = [float(result[f"accuracy_contrast{part}"]) for part in ("", "_low", "_high", "_p")]
    says = f"share of held-out frames whose task is read rightly: {layers[0]} less {layers[-1]}"
    out.append(SHARING_CLAIMS[1].measured(*numbers, statistic=says))
    return out
