"""`vrodent look`: an agent's eyes learn to see orbs."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import equinox as eqx
import tyro

from vrodent.agent import Agent
from vrodent.config import save_resolved, usage, writable_folder
from vrodent.task import TASK_NAMES
from vrodent.training.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from vrodent.training.lineage import Stage
from vrodent.training.teachers.eyes import EyesConfig, EyesReport, learn_to_see, met, postures, take_pictures
from vrodent.training.teachers.store import find_teacher, load_teacher


@dataclass(frozen=True, kw_only=True)
class Command:
    """Teach an agent's image encoder where the orb of two_tap is, from pictures with the rat put down near it; of what the agent meets in
    its tasks the encoder goes on to say what it said before. An orb a metre away is two pixels wide, and imitation alone hardly learns to
    see it. OUT/agent is the agent with the new eyes: go on by `vrodent train distil --start OUT/agent`.

    example: vrodent look four-tasks --out runs/eyes
    """

    agent: Annotated[str, tyro.conf.Positional]
    """A packaged agent's name or a checkpoint's folder."""
    out: Path
    """Folder for the agent and the settings."""
    config: EyesConfig = field(default_factory=EyesConfig)
    """The settings."""
    walker: Path = Path("locomotion")
    """A teacher's folder or a packaged one's name: the rats in the pictures stand as it walks."""
    met_steps: int = 400
    """Control steps in 8 worlds of each task from which it is taken what the agent meets."""
    json: bool = False
    """Print where the agent is and how well it sees as one JSON object."""

    def run(self) -> int:
        """Take pictures, learn, save."""
        begun = time.monotonic()
        with usage():
            checkpoint = load_checkpoint(find_checkpoint(self.agent))
            walker = load_teacher(find_teacher(self.walker)).teacher
            if self.met_steps < 4:
                raise ValueError(f"met_steps must be at least 4, but is {self.met_steps}.")
            out = writable_folder(self.out)
        save_resolved(out / "settings.json", "look", self)
        kept = met(checkpoint.agent, TASK_NAMES, self.met_steps, self.config.seed)
        pictures = take_pictures(postures(walker, self.config.walked, self.config.seed), self.config)
        encoder, report = learn_to_see(checkpoint.agent.image_encoder, pictures, kept, self.config)
        agent: Agent = eqx.tree_at(lambda a: a.image_encoder, checkpoint.agent, encoder)
        stage = self._stage((time.monotonic() - begun) / 3600)
        where = save_checkpoint(out / "agent", agent, lineage=(*checkpoint.lineage, stage), numbers=report._asdict())
        self._say(where, report)
        return 0

    def _stage(self, hours: float) -> Stage:
        return Stage(
            method=f"eyes taught where orbs are by {self.config.num_pictures} pictures",
            trained_from=Path(self.agent).name,
            tasks=("two_tap",),
            steps=0,
            wall_clock_hours=hours,
            machine=f"{os.cpu_count()} cores, {platform.machine()}",
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _say(self, where: Path, report: EyesReport) -> None:
        if self.json:
            print(json.dumps({"agent": str(where), **report._asdict()}))
        else:
            print(f"agent: {where}")
            print(f"squared error {report.error:.3f} (of the mean {report.constant:.3f}), features moved by {report.moved:.3f}")
