"""`vrodent analyze`: from sessions to results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from vrodent.analysis import AnalysisConfig, analyze
from vrodent.commands.progress import analysis_bar
from vrodent.config import save_resolved, usage, writable_folder

PREFIXES = True
"""Options of parts are called `--behaviour.map.sample` and the like."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Analyse the sessions of one agent: what it did, how fast its units fluctuate, and which layers resemble which features of behaviour.
    Results that fit the same sessions and settings are kept. The settings and versions are left beside OUT, in OUT-settings.json.

    example: vrodent analyze sessions/untrained-gaps sessions/untrained-bowl --out results
    """

    sessions: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Session folders or their NWB files, at most one a task."""
    agent: str | None = None
    """The agent that was recorded, a packaged one's name, a checkpoint's folder or `untrained`: its weights are then looked at too, for
    fixed points. The sessions must hold the videos of what it saw."""
    out: Path = Path("results")
    """Folder of the results."""
    analysis: Annotated[AnalysisConfig, tyro.conf.arg(name="")] = field(default_factory=AnalysisConfig)
    """Settings."""
    json: bool = False
    """Print the paths of the results as one JSON list."""

    def run(self) -> int:
        """Analyse and say where the results are."""
        out = writable_folder(self.out)
        if self.agent is not None:
            self._export(self.agent, out)
        with analysis_bar("analysing") as listener:
            paths = analyze(self.sessions, out, self.analysis, listener)
        settings = {"sessions": self.sessions, "agent": self.agent, "analysis": self.analysis}
        save_resolved(out.parent / f"{out.name}-settings.json", "analyze", settings)
        print(json.dumps([str(path) for path in paths]) if self.json else "\n".join(["results:", *(f"  {path}" for path in paths)]))
        return 0

    def _export(self, agent: str, out: Path) -> None:
        """Leave the agent's weights among the results. Only this needs a network, so it is not imported before."""
        from vrodent.commands.animals import find_animal
        from vrodent.experiment.network import export_network

        animal = find_animal(agent)
        with usage():
            export_network(animal.agent, self.sessions, out, animal.lineage)
