"""How far tasks overlap in what the body does, by feature set and timescale, as a result to be stored and judged."""

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
from vrodent.analysis.scaling import classical_mds, energy_distance
from vrodent.analysis.sharing import Decoding, decode_label
from vrodent.analysis.statistics import bootstrap_interval, sign_flip_p_value
from vrodent.analysis.tables import text
from vrodent.analysis.verdicts import Claim, Finding

if TYPE_CHECKING:
    from vrodent.analysis.pipeline import AnalysisConfig


@dataclass(frozen=True, kw_only=True)
class OverlapConfig:
    """How the overlap of tasks is judged.

    Attributes:
        num_components: leading principal components of a feature set that are looked at: the same for every set, so that sets compare.
        frames: of each trial, from which the task is read and distances are taken.
        shown: frames of each task that are drawn.
        folds: of trials.
        num_null: exchanges of tasks between trials.
    """

    num_components: int = 10
    frames: int = 60
    shown: int = 150
    folds: int = 5
    num_null: int = 100

    def __post_init__(self) -> None:
        for name, least in (("num_components", 2), ("frames", 2), ("shown", 1), ("folds", 2), ("num_null", 1)):
            if getattr(self, name) < least:
                raise AnalysisError(f"OverlapConfig.{name} must be at least {least}, got {getattr(self, name)}.")


LOW, SLOW = ("forces", "joint_speed"), "pose_slow"
SETS = (*LOW, "joint_angles", "pose_fast", "pose_medium", SLOW)
"""Low-level features first, then kinematics; those that every session has are looked at."""

OVERLAP_CLAIMS = (
    Claim(claim="Forces and joint speeds overlap across tasks more than slow kinematics do", expected=1, section="overlap",
          statistic="overlap of tasks: mean of forces and joint speed, less pose, slow", null="signs of the trials' differences flipped"),
    Claim(claim="Slow kinematics separate the tasks", expected=1, section="overlap",
          statistic="share of held-out frames whose task is read from pose, slow, less that with tasks exchanged",
          null="tasks exchanged between trials"),
)  # fmt: skip


def overlap(data: Data, config: AnalysisConfig, rng: np.random.Generator, tick: Callable[[], None]) -> Result:
    """Overlap of tasks by feature set: how badly the task is read from a frame; clouds in principal components; maps of trials.

    Raises:
        AnalysisError: fewer than two tasks with two usable trials.
    """
    trials, settings = pooled(data), config.overlap
    if len(trials.tasks) < 2:
        raise AnalysisError(f"overlap needs two tasks with two usable trials each; there is only {', '.join(trials.tasks)}.")
    sets = [name for name in SETS if name in trials.features[0] or name == "joint_speed"]
    found, clouds, shares, maps, map_shares = [], [], [], [], []
    for name in sets:
        low, share = _reduced(trials, name, settings)
        found.append(decode_label(low, trials.task.tolist(), rng, folds=settings.folds, frames=settings.frames, num_null=settings.num_null))
        clouds.append(_cloud(low, trials, settings, rng))
        shares.append(share[:2])
        points, map_share = classical_mds(energy_distance([_spread(trial, settings.frames) for trial in low]), 2)
        maps.append(points)
        map_shares.append(map_share)
        tick()
    arrays = _scores(found, trials, sets, config, rng) | {
        "set": text(sets, "set"), "task": text(trials.tasks, "task"),
        "trial_task": Quantity(values=trials.task, axes=("trial",), meaning="index of the trial's task"),
        "cloud": Quantity(values=np.stack(clouds), axes=("set", "task", "frame", "component"),
                          meaning="frames in the set's first two principal components; NaN beyond the task's frames"),
        "cloud_share": Quantity(values=np.stack(shares), axes=("set", "component"), meaning="of the set's variance"),
        "map": Quantity(values=np.stack(maps), axes=("set", "trial", "component"),
                        meaning="trials, classical scaling of the root of the energy distance between their frames"),
        "map_share": Quantity(values=np.stack(map_shares), axes=("set", "component"), meaning="of the map's eigenvalues"),
    }  # fmt: skip
    return Result(name="overlap", kind="overlap", arrays=arrays)


def _reduced(trials: Pooled, name: str, config: OverlapConfig) -> tuple[list[np.ndarray], np.ndarray]:
    """Leading principal components of a set in every trial, and their shares. Joint speed is the size of the joints' velocities."""
    values = [np.abs(t["joint_velocities"]) if name == "joint_speed" else t[name] for t in trials.features]
    mean, axes, share = leading_axes(values, config.num_components, every=2)
    return [(trial - mean) @ axes for trial in values], share


def _spread(trial: np.ndarray, num: int) -> np.ndarray:
    return trial[np.linspace(0, len(trial) - 1, min(num, len(trial))).round().astype(int)]


def _cloud(low: Sequence[np.ndarray], trials: Pooled, config: OverlapConfig, rng: np.random.Generator) -> np.ndarray:
    out = np.full((len(trials.tasks), config.shown, 2), np.nan, np.float32)
    for t in range(len(trials.tasks)):
        frames = np.concatenate([low[i][:, :2] for i in np.flatnonzero(trials.task == t).tolist()])
        chosen = rng.choice(len(frames), size=min(config.shown, len(frames)), replace=False)
        out[t, : len(chosen)] = frames[np.sort(chosen)]
    return out


def _scores(
    found: Sequence[Decoding], trials: Pooled, sets: list[str], config: AnalysisConfig, rng: np.random.Generator
) -> dict[str, Quantity]:
    chance = 1 / len(trials.tasks)
    counts = np.bincount(trials.task)
    weight = len(trials.task) / (len(counts) * counts[trials.task])  # tasks weigh the same, whatever their number of trials
    right = np.stack([f.by_trial * weight for f in found])
    overlaps = (weight - right) / (1 - chance)
    values = np.array([bootstrap_interval(row, rng, num=config.num_bootstrap) for row in overlaps])
    null = np.array([(1 - f.null) / (1 - chance) for f in found])
    out = {
        f"overlap{suffix}": Quantity(values=values[:, i], axes=("set",),
                                     meaning="share of frames whose task is misread, over that at chance: 1 where tasks are alike")
        for i, suffix in enumerate(("", "_low", "_high"))
    }  # fmt: skip
    out |= {
        "overlap_null": Quantity(values=null.mean(axis=1), axes=("set",), meaning="mean with tasks exchanged between trials"),
        "overlap_null_low": Quantity(values=np.quantile(null, 0.05, axis=1), axes=("set",), meaning="below it a twentieth of those lie"),
        "overlap_p": Quantity(values=np.array([f.p_value for f in found]), axes=("set",), meaning="that tasks are alike, one-sided"),
        "confusion": Quantity(values=np.stack([f.confusion for f in found]), axes=("set", "task", "called"),
                              meaning="share of a task's held-out frames"),
    }  # fmt: skip
    contrast, separated = np.full(4, np.nan), np.full(5, np.nan)
    if SLOW in sets and set(LOW) <= set(sets):
        slow = sets.index(SLOW)
        paired = np.mean([overlaps[sets.index(name)] for name in LOW], axis=0) - overlaps[slow]
        contrast[:] = *(float(x) for x in bootstrap_interval(paired, rng, num=config.num_bootstrap)), sign_flip_p_value(paired, rng)
        drawn = found[slow].null
        interval = bootstrap_interval(right[slow], rng, num=config.num_bootstrap)
        separated[:] = *(float(x) - drawn.mean() for x in interval), min(1.0, 2 * found[slow].p_value), drawn.mean()
    suffixes = ("", "_low", "_high", "_p", "_null")
    out |= {f"contrast{s}": Quantity(values=np.array(contrast[i]), meaning="overlap of low-level features less pose, slow")
            for i, s in enumerate(suffixes[:4])}  # fmt: skip
    meaning = "share of frames whose task is read from pose, slow, less that with tasks exchanged"
    return out | {f"separated{s}": Quantity(values=np.array(separated[i]), meaning=meaning) for i, s in enumerate(suffixes)}


def judge_overlap(result: Result) -> list[Finding]:
    """Low-level features against slow kinematics, and whether slow kinematics separate tasks at all."""
    if not np.isfinite(result["contrast"]):
        return []
    contrast = [float(result[f"contrast{part}"]) for part in ("", "_low", "_high", "_p")]
    separated = [float(result[f"separated{part}"]) for part in ("", "_low", "_high", "_p")]
    return [OVERLAP_CLAIMS[0].measured(*contrast), OVERLAP_CLAIMS[1].measured(*separated, null_value=0.0)]
