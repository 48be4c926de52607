"""The checkpoints of one run: the last few and the best are kept."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vrodent.agent import Agent
from vrodent.training.checkpoint import CheckpointError, read_numbers, save_checkpoint, verify_checkpoint
from vrodent.training.lineage import Stage

_SCORE = "score"


class CheckpointStore:
    """A folder of checkpoints `step-000001234`.

    Args:
        folder: where; made when the first one is saved.
        keep: how many of the newest are kept, at least 1; the one with the highest score is kept besides.

    Raises:
        ValueError: keep is less than 1.
    """

    def __init__(self, folder: str | Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}: a run without its last checkpoint cannot go on")
        self.folder = Path(folder).absolute()
        self.keep = keep

    def save(
        self,
        step: int,
        agent: Agent,
        *,
        lineage: Sequence[Stage],
        trees: Mapping[str, Any] | None = None,
        numbers: Mapping[str, float | int | str] | None = None,
        score: float | None = None,
    ) -> Path:
        """Write the checkpoint of a step, then drop those that are neither new nor best.

        Args:
            step: counter by which checkpoints are ordered, not negative.
            agent, lineage, trees, numbers: see `save_checkpoint`.
            score: of this agent, higher is better; None if it was not evaluated.

        Raises:
            CheckpointError: it could not be written; all older ones are still there.
        """
        if step < 0:
            raise ValueError(f"step must not be negative, got {step}")
        extra = {"step": step} if score is None else {"step": step, _SCORE: float(score)}
        path = self.folder / f"step-{step:012d}"
        save_checkpoint(path, agent, lineage=lineage, trees=trees, numbers={**(numbers or {}), **extra})
        self._prune()
        return path

    def paths(self) -> list[Path]:
        """All checkpoints, oldest first."""
        found = (path for path in self.folder.glob("step-*") if re.fullmatch(r"step-\d{12}", path.name))
        return sorted(found)

    def latest(self) -> Path | None:
        """The newest whole checkpoint; None if there is none at all.

        Raises:
            CheckpointError: there are some, and all are damaged; says what ails the newest.
        """
        first: CheckpointError | None = None
        for path in reversed(self.paths()):
            try:
                verify_checkpoint(path)
                return path
            except CheckpointError as error:
                first = first or error
        if first is not None:
            raise CheckpointError(f"no checkpoint in {self.folder} is whole; of the newest: {first}")
        return None

    def best(self) -> Path | None:
        """The checkpoint with the highest score; the newer one of equals; None if none was scored."""
        scored = [(score, path) for path in self.paths() if (score := _score(path)) is not None]
        return max(scored)[1] if scored else None

    def _prune(self) -> None:
        best, paths = self.best(), self.paths()
        for path in paths[: -self.keep]:
            if path != best:
                # Hidden first: a removal that is cut short must not leave half a checkpoint under its name.
                hidden = path.with_name(f".{path.name}.removed")
                with contextlib.suppress(OSError):
                    path.rename(hidden)
        for leftover in [*self.folder.glob(".step-*.removed"), *self.folder.glob(".step-*.new-*")]:
            shutil.rmtree(leftover, ignore_errors=True)


def _score(path: Path) -> float | None:
    try:
        score = read_numbers(path).get(_SCORE)
    except CheckpointError:
        return None
    return float(score) if isinstance(score, (int, float)) else None
