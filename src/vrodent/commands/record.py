"""`vrodent record`: an agent's trials in one task as a session."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vrodent.commands.animals import find_animal
from vrodent.commands.progress import recording_bar
from vrodent.config import TaskName, usage, writable_folder


@dataclass(frozen=True, kw_only=True)
class Command:
    """Run an agent through trials of one task and write a session: one NWB file with everything the rat sensed and did and the activity
    of every unit, the videos, and the settings (session.json). The folder appears when it is whole, or not at all.

    example: vrodent record untrained --task two_tap --trials 5 --out sessions/first
    """

    agent: Annotated[str, tyro.conf.Positional]
    """A packaged agent's name, a checkpoint's folder, or `untrained`."""
    task: TaskName
    """Which task."""
    trials: int = 25
    """How many trials."""
    seed: int = 0
    """Of the arenas and of the actions' noise; the same seed gives the same session."""
    deterministic: bool = False
    """Take the mean of the policy instead of a sample."""
    out: Path | None = None
    """Folder of the session; sessions/AGENT-TASK unless given."""
    overwrite: bool = False
    """Replace a session that is there."""
    num_worlds: int = 0
    """Trials run at once; 0 chooses."""
    num_threads: int = 0
    """Threads of the simulation; 0 takes one per core."""
    time_limit: float | None = None
    """Seconds of simulated time after which a trial is cut short; the task's own limit unless given."""
    films: int = 2
    """How many trials are also filmed from outside."""
    physics: Literal["reference", "training"] = "reference"
    """`reference` is the paper's; `training` is coarser and several times as fast."""
    json: bool = False
    """Print where the session is as one JSON object."""

    def run(self) -> int:
        """Record, and say where."""
        from vrodent.recording import RecordConfig, VideoConfig, record

        with usage():
            video = VideoConfig(third_person_trials=self.films)
            RecordConfig(
                task=self.task, trials=self.trials, seed=self.seed, num_worlds=self.num_worlds, num_threads=self.num_threads,
                time_limit=self.time_limit, video=video,
            )  # fmt: skip
        if self.out is not None:
            writable_folder(self.out.parent)
        animal = find_animal(self.agent)
        with recording_bar(f"{animal.name} in {self.task}") as progress:
            path = record(
                animal.agent, self.task, self.trials, self.seed, self.deterministic, None, self.out, self.num_worlds, self.physics,
                progress, video=video, agent_name=animal.name, lineage=animal.lineage, num_threads=self.num_threads,
                time_limit=self.time_limit, overwrite=self.overwrite,
            )  # fmt: skip
        print(json.dumps({"session": str(path), "trials": self.trials, "task": self.task}) if self.json else f"session: {path}")
        return 0
