"""`vrodent teach`: a privileged teacher, from which students are kickstarted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from vrodent.config import save_resolved, usage
from vrodent.training.teachers.teach import Schooling, TeachConfig


@dataclass(frozen=True, kw_only=True)
class Command:
    """Train a teacher: one network that walks as it is told on open ground, in corridors with gaps and on bumpy slopes, rights itself and
    taps orbs. It sees what no student does: the terrain around it, where to go, where the orb is. OUT/teacher is the teacher, stored every
    two minutes; OUT/progress.csv tells how each ground goes. Ctrl-C or SIGTERM saves everything, replay included; --resume goes on.

    example: vrodent teach --out runs/teacher --steps 4000000
    """

    config: TeachConfig = field(default_factory=TeachConfig)
    """The settings."""
    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on with the run that is in OUT, with its own settings."""
    start: Path | None = None
    """A teacher's folder to start from, instead of fresh weights."""
    json: bool = False
    """Print where the teacher is as one JSON object."""

    def run(self) -> int:
        """Train and say where the teacher is."""
        with usage():
            schooling = Schooling(self.config, self.out, resume=self.resume, start=self.start)
        save_resolved(self.out / "settings.json", "teach", self)
        try:
            schooling.run()
        except KeyboardInterrupt:
            print(f"stopped; go on with: vrodent teach --out {self.out} --resume")
        where = self.out / "teacher"
        print(json.dumps({"teacher": str(where), "steps": schooling.steps}) if self.json else f"teacher: {where}")
        return 0
