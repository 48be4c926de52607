"""`vrodent equip`: one of an agent's skills is exchanged for a teacher's network."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vrodent.config import save_resolved, usage, writable_folder
from vrodent.training.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from vrodent.training.lineage import Stage
from vrodent.training.teachers.skills import Role, equipped
from vrodent.training.teachers.store import find_teacher, load_teacher


@dataclass(frozen=True, kw_only=True)
class Command:
    """Give an agent that commands skills a better one: the network of a teacher that has learned on, such as by `vrodent teach --onlooker`.
    What the agent sees, remembers and tells its skills stays as it is. OUT/agent is the agent.

    example: vrodent equip four-tasks --skill jump --teacher runs/told/teacher --out runs/equipped
    """

    agent: Annotated[str, tyro.conf.Positional]
    """A packaged agent's name or a checkpoint's folder."""
    skill: Literal["walk", "jump", "climb", "tap", "rise"]
    """Which skill."""
    teacher: Path
    """A teacher's folder or a packaged one's name."""
    out: Path
    """Folder for the agent and the settings."""
    compass: bool = False
    """The skill is to get its course from dead reckoning, not from the policy: for a teacher from `--blindfold`."""
    json: bool = False
    """Print where the agent is as one JSON object."""

    def run(self) -> int:
        """Exchange and save."""
        role = Role[self.skill.upper()]
        with usage():
            checkpoint = load_checkpoint(find_checkpoint(self.agent))
            stored = load_teacher(find_teacher(self.teacher))
            agent = equipped(checkpoint.agent, role, stored.teacher, compass=self.compass)
            out = writable_folder(self.out)
        save_resolved(out / "settings.json", "equip", self)
        lineage = (*checkpoint.lineage, self._stage(stored.lineage[-1]))
        where = save_checkpoint(out / "agent", agent, lineage=lineage, numbers=checkpoint.numbers)
        print(json.dumps({"agent": str(where)}) if self.json else f"agent: {where}")
        return 0

    def _stage(self, last: Stage) -> Stage:
        return replace(last, method=f"its skill to {self.skill} exchanged for a teacher's, whose last stage was: {last.method}")
