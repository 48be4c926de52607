"""What a run reports: a CSV file and TensorBoard event files, both cut back to the checkpoint on resuming."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from vrodent.training.collection import Episode
from vrodent.training.learner import UpdateReport
from vrodent.training.losses import LOSS_TERMS

BY_TASK = (
    "importance_ratio", "explained", "mean_value", "mean_reward", "kl_mean", "kl_covariance", "teaching_distance", "deviation",
    "hint_distance", "touched_distance", "command_distance",
)  # fmt: skip
SPEED = ("seconds", "updates_per_second", "steps_per_second", "samples_per_insert", "skipped_updates", "rollbacks", "gradient_norm")
EPISODE = ("return", "length", "episodes", "terminated", "diverged", "own_distance")


def columns(tasks: Sequence[str]) -> list[str]:
    """Names of a row's columns, in order."""
    names = ["update", "step", *SPEED, *(f"loss/{term}" for term in LOSS_TERMS)]
    names += [f"{name}/{task}" for name in BY_TASK for task in tasks]
    names += [f"episode_{name}/{task}" for name in EPISODE for task in tasks]
    return names + [f"evaluation/{task}" for task in tasks]


def summarise(reports: Sequence[UpdateReport], episodes: Sequence[Episode], tasks: Sequence[str]) -> dict[str, float]:
    """Means over some updates and some finished episodes. What there is no value of is left out, never 0.

    `teaching_distance` is over replayed steps, the teacher's among them, learned from before; `episode_own_distance`, root mean square in
    units of action, over those the student took itself, before they were learned from. Far apart, the student learns its replay by heart.
    """
    row: dict[str, float] = {}
    if reports:
        row["gradient_norm"] = float(np.mean([report.gradient_norm for report in reports]))
        row |= {f"loss/{term}": float(np.mean([getattr(report.loss, term) for report in reports])) for term in LOSS_TERMS}
        for name in BY_TASK:
            values = np.array([getattr(report.loss, name) for report in reports])
            for index, task in enumerate(tasks):
                known = values[~np.isnan(values[:, index]), index]
                if known.size:
                    row[f"{name}/{task}"] = float(known.mean())
    for index, task in enumerate(tasks):
        own = [episode for episode in episodes if episode.task == index]
        row[f"episode_episodes/{task}"] = len(own)
        if own:
            row[f"episode_return/{task}"] = float(np.mean([episode.reward for episode in own]))
            row[f"episode_length/{task}"] = float(np.mean([episode.length for episode in own]))
            row[f"episode_terminated/{task}"] = float(np.mean([episode.terminated for episode in own]))
            row[f"episode_diverged/{task}"] = sum(episode.diverged for episode in own)
        if steps := sum(episode.own_steps for episode in own):
            row[f"episode_own_distance/{task}"] = math.sqrt(sum(episode.own_error for episode in own) / steps)
    return row


class MetricsLog:
    """Appends rows to `metrics.csv` and to TensorBoard's event files, which `tensorboard --logdir DIR` shows.

    Args:
        directory: of the run.
        tasks: name the columns.
        update: rows after this update are cut off: they are of a future that a kill has undone.
    """

    def __init__(self, directory: Path, tasks: Sequence[str], update: int = 0) -> None:
        self._names = columns(tasks)
        self._path = directory / "metrics.csv"
        rows = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["update"] and float(row["update"]) <= update]
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._names, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        self._events = SummaryWriter(str(directory), purge_step=update + 1 if rows else None, flush_secs=15)

    def write(self, row: Mapping[str, float]) -> None:
        """Append a row; it must hold "update" and "step". A missing column stays empty.

        Raises:
            KeyError: a name that is not a column.
        """
        unknown = row.keys() - set(self._names)
        if unknown:
            raise KeyError(f"metrics.csv has no column {sorted(unknown)[0]!r}.")
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._names, restval="").writerow(row)
        for name, value in row.items():
            if name != "update" and math.isfinite(value):
                self._events.add_scalar(name, value, int(row["update"]))

    def close(self) -> None:
        """Flush the event files."""
        self._events.close()
