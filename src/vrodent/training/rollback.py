"""Telling that learning has diverged, and saying how."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from vrodent.training.learner import Learned, UpdateReport


class TrainingDiverged(RuntimeError):
    """Learning went back to good checkpoints as often as allowed and diverged again; the message says how."""


@dataclass(frozen=True, kw_only=True)
class DivergenceConfig:
    """When a run counts as diverged.

    Attributes:
        most_skipped: of the updates looked at together, this part may have been left out for a loss or gradient that was not finite.
        critic_growth: the critic's normalised loss may grow to so many times its running median.
        least_critic_loss: and below this loss, 1 being that of a critic that knows only the mean, growth does not matter.
        most_rollbacks: times that a run goes back to its last good checkpoint before it gives up.
    """

    most_skipped: float = 0.05
    critic_growth: float = 20.0
    least_critic_loss: float = 20.0
    most_rollbacks: int = 3

    def __post_init__(self) -> None:
        if not 0.0 <= self.most_skipped <= 1.0:
            raise ValueError(f"divergence.most_skipped must be in [0, 1], but is {self.most_skipped}.")
        for name in ("critic_growth", "least_critic_loss"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"divergence.{name} must be positive, but is {getattr(self, name)}.")
        if self.most_rollbacks < 0:
            raise ValueError(f"divergence.most_rollbacks must not be negative, but is {self.most_rollbacks}.")


class DivergenceWatch:
    """Looks at the reports of some updates at a time."""

    def __init__(self, config: DivergenceConfig, tasks: Sequence[str]) -> None:
        self.config = config
        self.tasks = tuple(tasks)
        self._critic: deque[float] = deque(maxlen=200)

    def look(self, reports: Sequence[UpdateReport], now: Learned) -> str | None:
        """Whether learning has diverged.

        Args:
            reports: of consecutive updates, as NumPy arrays.
            now: what was learned by them.

        Returns:
            what is wrong, in a sentence or two, or None.
        """
        broken = not_finite(now)
        if broken:
            return f"Parameters are no longer finite: {', '.join(broken[:4])}."
        if not reports:
            return None
        skipped = [report for report in reports if report.skipped > 0.0]
        if len(skipped) > self.config.most_skipped * len(reports):
            return f"{len(skipped)} of {len(reports)} updates had a loss or gradient that is not finite. {self._explain(skipped[0])}"
        kept = [report for report in reports if report.skipped == 0.0]
        if not kept:
            return None
        critic = float(np.median([report.loss.value for report in kept]))
        usual = float(np.median(self._critic)) if self._critic else critic
        if critic > max(self.config.critic_growth * usual, self.config.least_critic_loss):
            explained = kept[-1].loss.explained
            worst = self.tasks[int(np.argmin(np.where(np.isfinite(explained), explained, np.inf)))]
            return f"The critic's loss is {critic:.3g}, usually {usual:.3g}; it is worst in {worst}."
        self._critic.append(critic)
        return None

    def _explain(self, report: UpdateReport) -> str:
        terms = ("value", "policy", "temperature", "penalty", "dual", "teaching")
        bad = [name for name in terms if not np.isfinite(getattr(report.loss, name))]
        if not bad:
            return "All terms of the loss are finite, their gradient is not."
        tasks = [name for name, reward in zip(self.tasks, report.loss.mean_reward, strict=True) if np.isinf(reward)]
        tasks += [name for name, value in zip(self.tasks, report.loss.mean_value, strict=True) if np.isinf(value)]
        where = f" in {', '.join(dict.fromkeys(tasks))}" if tasks else ""
        return f"Not finite: the loss term{'s' if len(bad) > 1 else ''} {', '.join(bad)}{where}."


def not_finite(now: Learned) -> list[str]:
    """Names of the arrays of agent, duals and statistics that hold a number that is not finite."""
    named, _ = jax.tree_util.tree_flatten_with_path({"agent": now.agent, "duals": now.duals, "statistics": now.statistics})
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, leaf in named if not np.isfinite(np.asarray(leaf)).all()]
