"""Checkpoints: self-describing folders that are whole or not there.

    four-tasks/
      config.json      format and code version, the agent's config, lineage, numbers, and of every file its size, SHA-256 and leaves
      agent.npz        the agent's arrays
      optimiser.npz    and any other tree the trainer saved
      COMPLETE         SHA-256 of config.json; a folder without it is not a checkpoint

A checkpoint is written under a hidden name, handed to the disk, and renamed. Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vrodent.agent import Agent, AgentConfig
from vrodent.training.lineage import Stage, stage_from_json
from vrodent.training.tree_folder import MARKER, CheckpointError, check_file, located, read_config, read_tree, write_folder
from vrodent.version import __version__

PACKAGED = Path(__file__).resolve().parents[1] / "agents"
"""Where the agents that come with the package lie."""

_CONFIG, _AGENT = "config.json", "agent"
Tree = TypeVar("Tree")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes:
        path: the folder.
        agent: as it was saved, to the last bit.
        lineage: what it was trained from, oldest stage first.
        numbers: whatever numbers and texts the trainer saved beside it.
        code_version: of the vrodent that wrote it.
        trees: names of the other trees it holds.
    """

    path: Path
    agent: Agent
    lineage: tuple[Stage, ...]
    numbers: Mapping[str, float | int | str]
    code_version: str
    trees: tuple[str, ...]

    def tree(self, name: str, like: Tree) -> Tree:
        """Another tree that was saved.

        Args:
            name: one of `trees`.
            like: a tree of the same structure, shapes and types; its values are not used.

        Raises:
            CheckpointError: there is no such tree, or it is shaped otherwise.
        """
        if name not in self.trees:
            raise CheckpointError(f"{self.path} holds no {name!r}, only {', '.join(self.trees) or 'the agent'}. Was it made for resuming?")
        return read_tree(self.path, read_config(self.path), name, like)

    def lineage_json(self) -> str:
        """Lineage, code version and numbers as one JSON text, for a session's notes."""
        stages = [dataclasses.asdict(stage) for stage in self.lineage]
        return json.dumps({"agent": self.path.name, "code_version": self.code_version, "numbers": dict(self.numbers), "stages": stages})


def save_checkpoint(
    path: str | Path,
    agent: Agent,
    *,
    lineage: Sequence[Stage],
    trees: Mapping[str, Any] | None = None,
    numbers: Mapping[str, float | int | str] | None = None,
) -> Path:
    """Write a checkpoint. An older one at the same place stays whole until the new one is.

    Args:
        path: the folder to make or replace.
        agent: what to save.
        lineage: the stages that made it, oldest first.
        trees: anything else by name, such as the optimiser's arrays, JAX keys, counters, the state of a NumPy generator.
        numbers: JSON numbers and texts for a reader, such as steps and scores.

    Raises:
        CheckpointError: the disk is full or the place not writable; nothing has changed then.
        ValueError: a tree has no usable name.
        TypeError: a leaf of a tree is neither array, key, number nor text.
    """
    about = {
        "agent": json.loads(agent.config.to_json()),
        "lineage": [dataclasses.asdict(stage) for stage in lineage],
        "numbers": dict(numbers or {}),
    }
    return write_folder(path, about, {_AGENT: agent, **(trees or {})})


def load_checkpoint(path: str | Path, expect: AgentConfig | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the folder.
        expect: the architecture it must have; any when not given.

    Raises:
        CheckpointError: nothing there, no checkpoint, not whole, of another format or architecture.
    """
    path = located(Path(path).absolute())
    config = read_config(path)
    try:
        architecture = AgentConfig.from_dict(config["agent"])
        lineage = tuple(stage_from_json(stage) for stage in config["lineage"])
        numbers, code, names = dict(config["numbers"]), str(config["code_version"]), tuple(config["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path / _CONFIG} describes no agent of this version of vrodent ({__version__}): {error}. Load it with the version that "
            f"wrote it ({config.get('code_version', 'not said')}), or train anew."
        ) from error
    if expect is not None:
        check_architecture(path, architecture, expect)
    agent = read_tree(path, config, _AGENT, Agent(architecture))
    others = tuple(name for name in names if name != _AGENT)
    return Checkpoint(path=path, agent=agent, lineage=lineage, numbers=numbers, code_version=code, trees=others)


def check_architecture(path: Path, found: AgentConfig, expected: AgentConfig) -> None:
    """Refuse a checkpoint's architecture if it is another.

    Raises:
        CheckpointError: says in what it differs.
    """
    if found != expected:
        raise CheckpointError(f"{path} holds an agent of another architecture: {_differences(found, expected)}. Start a new run instead.")


def packaged_agents() -> tuple[str, ...]:
    """Names of the trained agents that come with the package."""
    return tuple(sorted(marker.parent.name for marker in PACKAGED.glob(f"*/{MARKER}")))


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The folder of a packaged agent's name or of a path; a packaged name wins.

    Raises:
        CheckpointError: neither; lists the packaged agents and says how to make one.
    """
    if str(name_or_path) in packaged_agents():
        return PACKAGED / str(name_or_path)
    if Path(name_or_path).exists():
        return Path(name_or_path)
    names = packaged_agents()
    there = f"The agents that come with vrodent are: {', '.join(names)}." if names else "No trained agent comes with this version."
    raise CheckpointError(
        f"there is no agent {str(name_or_path)!r}: no packaged one and no folder. {there} To make one: save one with "
        "vrodent.training.save_checkpoint (an untrained vrodent.agent.Agent will do), then load its folder."
    )


def load_agent(name_or_path: str | Path) -> Agent:
    """A trained agent: `load_agent("four-tasks")`, or a checkpoint's folder.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    return load_checkpoint(find_checkpoint(name_or_path)).agent


def read_numbers(path: str | Path) -> Mapping[str, float | int | str]:
    """The numbers saved in a checkpoint, without reading its arrays.

    Raises:
        CheckpointError: nothing there, no checkpoint, or not whole.
    """
    return read_config(located(Path(path).absolute())).get("numbers", {})


def verify_checkpoint(path: str | Path) -> None:
    """Read every file of a checkpoint and compare its SHA-256.

    Raises:
        CheckpointError: something is missing or damaged.
    """
    path = located(Path(path).absolute())
    config = read_config(path)
    for name in config["files"]:
        check_file(path, config, name)


def _differences(found: AgentConfig, expected: AgentConfig) -> str:
    a, b = dataclasses.asdict(found), dataclasses.asdict(expected)
    return "; ".join(f"{name} is {a[name]} instead of {b[name]}" for name in a if a[name] != b[name])
