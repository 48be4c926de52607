"""What a run of training keeps on disk, and how it is taken up again.

    DIR/
        config.json          the resolved config, with the worlds of each task as allotted
        metrics.csv          one row a progress line; events.out.tfevents.* hold the same for TensorBoard
        replay/TASK/*.npy    the replays' rings, memory-mapped
        checkpoints/step-*/  an agent each, which `load_agent` reads, with the trees `learner`, `counts` and, for a deterministic run,
                             `actors`
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from vrodent.training.checkpoint_store import CheckpointStore
from vrodent.training.settings import TrainConfig

_ADDED = {"CollectionConfig": {"device", "warp_device"}, "LearnerConfig": {"num_devices", "image_precision"}}
_ROOM = 256 * 2**20  # bytes: checkpoints, logs


class ResumeError(RuntimeError):
    """A run cannot be started or taken up in a directory; the message says why and what to do."""


class RunStore:
    """The directory of a run.

    Args:
        directory: of the run; made if it is not there.
        keep: checkpoints to keep.

    Raises:
        ResumeError: it cannot be written to, or its disk is full.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory = directory
        self.replay = directory / "replay"
        self.checkpoints = CheckpointStore(directory / "checkpoints", keep)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            probe = directory / f".probe-{os.getpid()}"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
            free = shutil.disk_usage(directory).free
        except OSError as error:
            raise ResumeError(f"Nothing can be written to {directory}: {error.strerror}.") from error
        if free < _ROOM:
            need = f"a run needs {_ROOM / 2**20:.0f} beside its replay"
            raise ResumeError(f"The disk of {directory} has only {free / 2**20:.0f} MiB free; {need}.")

    @property
    def begun(self) -> bool:
        """Whether a run has begun here."""
        return (self.directory / "config.json").exists()

    def clear(self) -> None:
        """Remove what a run left that never began.

        Raises:
            ResumeError: there is a run.
        """
        if self.begun:
            raise ResumeError(f"{self.directory} already holds a run. Go on with it (resume), or choose another directory.")
        shutil.rmtree(self.replay, ignore_errors=True)

    def begin(self, config: TrainConfig) -> None:
        """Write the config of a new run."""
        temporary = self.directory / ".config.json"
        temporary.write_text(to_json(config))
        temporary.replace(self.directory / "config.json")

    def config(self, asked: TrainConfig | None) -> TrainConfig:
        """The config of the run that is here.

        Args:
            asked: what the caller wants, to be compared with it; None takes what is here.

        Raises:
            ResumeError: there is no run, its config cannot be read, or the caller wants another one.
        """
        if not self.begun:
            raise ResumeError(f"{self.directory} holds no run to resume.")
        config = from_json((self.directory / "config.json").read_text())
        if asked is not None:
            if not asked.collection.worlds:
                asked = dataclasses.replace(asked, collection=dataclasses.replace(asked.collection, worlds=config.collection.worlds))
            differing = _differences(dataclasses.asdict(asked), dataclasses.asdict(config))
            if differing:
                raise ResumeError(
                    f"The run in {self.directory} has another config than asked for: {'; '.join(differing)}. Resume without a config, "
                    "or start a new run from its agent."
                )
        return config


def to_json(config: TrainConfig) -> str:
    """A config as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=1) + "\n"


def from_json(text: str) -> TrainConfig:
    """The config that `to_json` wrote.

    Raises:
        ResumeError: not JSON, or of a version with other fields.
    """
    try:
        return _build(TrainConfig, json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ResumeError(f"The run's config.json cannot be read: {error}. Was it written by another version?") from error


def _build(kind: Any, value: Any) -> Any:
    """A value decoded from JSON, as the dataclass or tuple that its type says."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        names = {field.name for field in dataclasses.fields(kind)}
        # What was added later is missing in older files; its default is what was done then.
        if set(value) - names or names - set(value) - _ADDED.get(kind.__name__, set()):
            raise ValueError(f"{kind.__name__} differs in the fields {', '.join(sorted(names ^ set(value)))}")
        return kind(**{name: _build(hints[name], entry) for name, entry in value.items()})
    if get_origin(kind) is tuple:
        return tuple(_build(get_args(kind)[0], entry) for entry in value)
    return value


def _differences(asked: dict[str, Any], found: dict[str, Any], at: str = "") -> list[str]:
    differing = []
    for name, value in asked.items():
        if isinstance(value, dict):
            differing += _differences(value, found[name], f"{at}{name}.")
        elif value != found[name]:
            differing.append(f"{at}{name} is {found[name]} and not {value}")
    return differing
