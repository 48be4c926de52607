"""`vrodent train`: an agent by a preset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from vrodent.config import save_resolved, usage
from vrodent.training.preset import PRESETS
from vrodent.training.settings import TrainConfig
from vrodent.training.train import train

_SUMMARIES = {
    "tiny": "seconds: shows that everything runs, learns nothing",
    "laptop": "two cores: reinforcement in reference physics",
    "distil": "two cores: from teachers, the critic from the first step",
    "gpu": "one device that learns, and a workstation's cores that collect",
    "paper": "the paper's recipe, for a cluster's budget of steps",
}
_Preset = tyro.extras.subcommand_type_from_defaults(
    {name: make() for name, make in PRESETS.items()}, {name: _SUMMARIES.get(name, "") for name in PRESETS}, prefix_names=False
)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Train an agent by a preset; every setting of it can be changed by an option. OUT holds checkpoints, the settings (config.json), a
    table of progress (CSV) and TensorBoard's files. Ctrl-C writes a checkpoint; --resume goes on from the last one with the run's own
    settings.

    example: vrodent train tiny --out runs/tiny
    """

    config: _Preset  # type: ignore[valid-type]
    """The preset."""
    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on with the run that is in OUT."""
    start: Path | None = None
    """A checkpoint's folder to start from, instead of fresh weights."""
    json: bool = False
    """Print where the last checkpoint is as one JSON object."""

    def run(self) -> int:
        """Train and say where the last checkpoint is."""
        config: TrainConfig | None = None if self.resume else self.config
        with usage():
            path = train(config, self.out, resume=self.resume, start=self.start)
        save_resolved(self.out / "settings.json", "train", {"resume": self.resume, "start": self.start, "config": self.config})
        print(json.dumps({"checkpoint": str(path)}) if self.json else f"checkpoint: {path}")
        return 0
