"""`vrodent study`: from an agent to a page."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vrodent.commands.animals import UNTRAINED, default_agent, find_animal
from vrodent.commands.progress import analysis_bar, recording_bar
from vrodent.config import TaskName, save_resolved, usage, writable_folder


@dataclass(frozen=True, kw_only=True)
class Command:
    """Record an agent in the tasks, analyse the sessions, and make one web page of it all. What is already there and still fits is not
    made again. The settings and versions are left in OUT/study.json.

    example: vrodent study --quick --out study
    """

    agent: Annotated[str | None, tyro.conf.Positional] = None
    """A packaged agent's name, a checkpoint's folder, or `untrained`; the packaged `four-tasks` unless given, `untrained` while none is
    packaged."""
    out: Path = Path("study")
    """Folder of the study."""
    quick: bool = False
    """A minute or two on two cores: four trials a task."""
    tasks: tuple[TaskName, ...] = ("gaps", "forage", "bowl", "two_tap")
    """Which tasks."""
    trials: int | None = None
    """Trials a task; 25, or 4 with --quick."""
    seed: int = 0
    """Of arenas, actions' noise and analyses; the same seed gives the same study."""
    deterministic: bool = False
    """Take the mean of the policy instead of a sample."""
    num_threads: int = 0
    """Threads of the simulation; 0 takes one per core."""
    json: bool = False
    """Print the paths as one JSON object."""

    def run(self) -> int:
        """Make the study and print the page's path."""
        from vrodent.study import StudyConfig, quick, study

        base = quick() if self.quick else StudyConfig()
        with usage():
            config = dataclasses.replace(
                base, tasks=self.tasks, trials=base.trials if self.trials is None else self.trials, seed=self.seed,
                deterministic=self.deterministic, num_threads=self.num_threads,
            )  # fmt: skip
        out = writable_folder(self.out)
        animal = find_animal(self.agent or default_agent())
        started = time.monotonic()
        page = study(
            animal.agent, out, config, agent_name=animal.name, lineage=animal.lineage, recording_bar=recording_bar,
            analysis_bar=analysis_bar,
        )  # fmt: skip
        save_resolved(out / "study.json", "study", {"agent": animal.name, "lineage": json.loads(animal.lineage), "study": config})
        if self.json:
            print(json.dumps({"page": str(page), "sessions": str(out / "sessions"), "results": str(out / "results"), "agent": animal.name}))
            return 0
        if animal.name == UNTRAINED:
            print("No trained agent was named: this animal's weights are random, and the page says so.")
        print(f"{time.monotonic() - started:.0f} s. Open this page in a browser:\n{page.resolve()}")
        return 0
