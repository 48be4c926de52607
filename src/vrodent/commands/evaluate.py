"""`vrodent evaluate`: how good an agent is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vrodent.commands.animals import find_animal
from vrodent.commands.progress import share_bar
from vrodent.config import TaskName, save_resolved, usage, writable_folder


@dataclass(frozen=True, kw_only=True)
class Command:
    """Score an agent in the tasks: trials in arenas drawn from held-out seeds, the release's rewards and time limits, 95 % intervals over
    trials. `random` acts at random and `standing` does nothing, to compare with.

    example: vrodent evaluate standing --tasks gaps two_tap --trials 5 --json
    """

    agent: Annotated[str, tyro.conf.Positional]
    """A packaged agent's name, a checkpoint's folder, `untrained`, `random`, `standing`, or `teacher`: the ones that --teacher names."""
    tasks: tuple[TaskName, ...] = ("gaps", "forage", "bowl", "two_tap")
    """Which tasks."""
    trials: int = 25
    """Trials of each."""
    seed: int = 1000
    """Of arenas, starts and the actions' noise."""
    deterministic: bool = False
    """Take the mean of the policy instead of a sample."""
    physics: Literal["reference", "training"] = "reference"
    """`reference` is the paper's; `training` is coarser and several times as fast."""
    num_threads: int = 0
    """Threads of the simulation; 0 takes one per core."""
    teacher: tuple[Path, ...] = (Path("locomotion"),)
    """With `teacher`: folders or names of privileged teachers, one for all tasks or one for each of gaps, forage, bowl, two_tap."""
    righting: Path | None = None
    """With `teacher`: the one that brings the rat to its feet in the bowl and, with --approach, in two_tap."""
    approach: Path | None = None
    """With `teacher`: the one that walks to the orb of two_tap."""
    speeds: tuple[float, float, float, float] = (0.8, 0.5, 0.5, 0.4)
    """With `teacher`: m/s that it walks at in gaps, forage, bowl and two_tap."""
    out: Path | None = None
    """Folder for the result (evaluation.json) with the settings beside it; nothing is written unless given."""
    json: bool = False
    """Print everything, trial by trial, as one JSON object."""

    def run(self) -> int:
        """Evaluate and print the table."""
        from vrodent.training.evaluation import evaluate

        with usage():
            if self.trials < 1:
                raise ValueError(f"trials must be at least 1, not {self.trials}.")
        agent, looks = self._agent()
        out = None if self.out is None else writable_folder(self.out)
        with share_bar(f"evaluating {self.agent}", self.tasks) as listener:
            evaluation = evaluate(
                agent, self.tasks, self.trials, self.seed, self.physics, deterministic=self.deterministic, camera=looks,
                num_threads=self.num_threads, listener=listener,
            )  # fmt: skip
        if out is not None:
            (out / "evaluation.json").write_text(evaluation.to_json() + "\n")
            save_resolved(out / "settings.json", "evaluate", self)
        if self.json:
            print(json.dumps({"agent": self.agent, **json.loads(evaluation.to_json())}))
        else:
            print(evaluation.table())
        return 0

    def _agent(self) -> tuple[Any, bool]:
        """What acts, and whether it looks."""
        if self.agent == "random":
            from vrodent.agent import RandomAgent

            with usage():
                if self.deterministic:
                    raise ValueError("a random agent has no deterministic action; leave --deterministic out.")
            return RandomAgent(), False
        if self.agent == "standing":
            import jax.numpy as jnp

            from vrodent.agent import StandingAgent
            from vrodent.commands.animals import stance

            return StandingAgent(jnp.asarray(stance())), False
        if self.agent == "teacher":
            from vrodent.commands.teachers import find_teachers

            with usage():
                return find_teachers(self.teacher, self.righting, self.approach, self.speeds, self.tasks), False
        return find_animal(self.agent).agent, True
