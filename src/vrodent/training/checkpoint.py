"""Checkpoints: self-describing folders that are whole or not there.

    four-tasks/
      config.json      format and code version, the agent's config, lineage, numbers, and of every file its size, SHA-256 and leaves
      agent.npz        the agent's arrays
      optimiser.npz    and any other tree the trainer saved
      COMPLETE         SHA-256 of config.json; a folder without it is not a checkpoint

A checkpoint is written under a hidden name, handed to the disk, and renamed. Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vrodent.agent import Agent, AgentConfig
from vrodent.training.lineage import Stage, stage_from_json
from vrodent.training.tree_file import TreeMismatch, describe, read_npz, rebuild, write_npz, write_text
from vrodent.version import __version__

FORMAT = 1
"""Version of the folder's layout. A reader refuses any other."""

PACKAGED = Path(__file__).resolve().parents[1] / "agents"
"""Where the agents that come with the package lie."""

_CONFIG, _MARKER, _AGENT = "config.json", "COMPLETE", "agent"
Tree = TypeVar("Tree")


class CheckpointError(Exception):
    """A checkpoint cannot be written or read; the message says what is wrong, where, and what to do."""


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
        return _read_tree(self.path, _read_config(self.path), name, like)

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
    path, trees = Path(path).absolute(), {_AGENT: agent, **(trees or {})}
    for name in trees:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError(f"a checkpoint's tree must be named by lower-case letters, digits, - and _, not {name!r}")
    described = {name: describe(tree) for name, tree in trees.items()}
    hidden = path.with_name(f".{path.name}.new-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(hidden)
        hidden.mkdir()
        files = {}
        for name, (entries, arrays) in described.items():
            file = hidden / f"{name}.npz"
            write_npz(file, arrays)
            files[name] = {"sha256": _sha256(file), "bytes": file.stat().st_size, "leaves": entries}
        text = json.dumps(_config(agent, lineage, numbers or {}, files), indent=1) + "\n"
        write_text(hidden / _CONFIG, text)
        write_text(hidden / _MARKER, _sha256(hidden / _CONFIG) + "\n")
        _flush_folder(hidden)
        _swap(hidden, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            _remove(hidden)
        raise CheckpointError(
            f"cannot write the checkpoint {path}: {error.strerror or error}. What was there before is untouched. "
            "Free some space, or choose a folder that can be written to."
        ) from error
    return path


def load_checkpoint(path: str | Path, expect: AgentConfig | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the folder.
        expect: the architecture it must have; any when not given.

    Raises:
        CheckpointError: nothing there, no checkpoint, not whole, of another format or architecture.
    """
    path = _located(Path(path).absolute())
    config = _read_config(path)
    try:
        architecture = AgentConfig.from_dict(config["agent"])
        lineage = tuple(stage_from_json(stage) for stage in config["lineage"])
        numbers, code, names = dict(config["numbers"]), str(config["code_version"]), tuple(config["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path / _CONFIG} describes no agent of this version of vrodent ({__version__}): {error}. Load it with the version that "
            f"wrote it ({config.get('code_version', 'not said')}), or train anew."
        ) from error
    if expect is not None and expect != architecture:
        differences = _differences(architecture, expect)
        raise CheckpointError(f"{path} holds an agent of another architecture: {differences}. Start a new run instead.")
    agent = _read_tree(path, config, _AGENT, Agent(architecture))
    others = tuple(name for name in names if name != _AGENT)
    return Checkpoint(path=path, agent=agent, lineage=lineage, numbers=numbers, code_version=code, trees=others)


def packaged_agents() -> tuple[str, ...]:
    """Names of the trained agents that come with the package."""
    return tuple(sorted(marker.parent.name for marker in PACKAGED.glob(f"*/{_MARKER}")))


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
    return _read_config(_located(Path(path).absolute())).get("numbers", {})


def verify_checkpoint(path: str | Path) -> None:
    """Read every file of a checkpoint and compare its SHA-256.

    Raises:
        CheckpointError: something is missing or damaged.
    """
    path = _located(Path(path).absolute())
    config = _read_config(path)
    for name in config["files"]:
        _check_file(path, config, name)


def _config(agent: Agent, lineage: Sequence[Stage], numbers: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "code_version": __version__,
        "agent": json.loads(agent.config.to_json()),
        "lineage": [dataclasses.asdict(stage) for stage in lineage],
        "numbers": dict(numbers),
        "files": files,
    }


def _located(path: Path) -> Path:
    aside = _aside(path)
    if not path.exists() and (aside / _MARKER).is_file():
        return aside  # the process died between the two renames of `_swap`
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint at {path}. Check the path.")
    if not path.is_dir():
        raise CheckpointError(f"{path} is a file; a checkpoint is a folder with {_CONFIG} in it. Give the folder.")
    return path


def _read_config(path: Path) -> dict[str, Any]:
    marker, file = path / _MARKER, path / _CONFIG
    if not file.is_file():
        inside = sorted(child.parent.name for child in path.glob(f"*/{_MARKER}"))
        hint = f" Inside it are checkpoints; the newest is {path / inside[-1]}." if inside else " Give the folder that holds config.json."
        raise CheckpointError(f"{path} is no checkpoint: it has no {_CONFIG}.{hint}")
    if not marker.is_file():
        raise CheckpointError(f"{path} is not whole: its {_MARKER} is missing, so its writing was never finished. Take another checkpoint.")
    if marker.read_text(errors="replace").strip() != _sha256(file):
        raise CheckpointError(f"{file} is damaged or was edited: its SHA-256 is not the one in {_MARKER}. Take another checkpoint.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON: {error}. Take another checkpoint.") from error
    if not isinstance(config, dict) or not isinstance(config.get("files"), dict) or _AGENT not in config["files"]:
        raise CheckpointError(f"{file} is not a vrodent checkpoint's: it lists no files. Take another folder.")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {config.get('format')!r}; this vrodent ({__version__}) reads format {FORMAT}. "
            f"Load it with the version that wrote it: vrodent {config.get('code_version', '(not said)')}."
        )
    return config


def _check_file(path: Path, config: Mapping[str, Any], name: str) -> Path:
    file, entry = path / f"{name}.npz", config["files"][name]
    if not file.is_file():
        raise CheckpointError(f"{file} is missing. Copy the whole folder, or take another checkpoint.")
    size = file.stat().st_size
    if size != entry["bytes"]:
        raise CheckpointError(f"{file} has {size} bytes, not {entry['bytes']}: it was cut short or replaced. Take another checkpoint.")
    if _sha256(file) != entry["sha256"]:
        raise CheckpointError(f"{file} is damaged: its SHA-256 is not the one in {_CONFIG}. Take another checkpoint.")
    return file


def _read_tree(path: Path, config: Mapping[str, Any], name: str, like: Tree) -> Tree:
    file = _check_file(path, config, name)
    try:
        return rebuild(like, config["files"][name]["leaves"], read_npz(file))
    except TreeMismatch as error:
        raise CheckpointError(
            f"{file} is of another architecture or setting than asked for: {error}. Use the settings in {path / _CONFIG}, or start anew."
        ) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file} cannot be read: {error}. Take another checkpoint.") from error


def _differences(found: AgentConfig, expected: AgentConfig) -> str:
    a, b = dataclasses.asdict(found), dataclasses.asdict(expected)
    return "; ".join(f"{name} is {a[name]} instead of {b[name]}" for name in a if a[name] != b[name])


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _swap(new: Path, path: Path) -> None:
    """Put a finished folder in its place. A folder cannot be renamed over another: the older one steps aside, where a reader still
    finds it if this process dies between the two renames."""
    aside = _aside(path)
    if path.exists():
        _remove(aside)
        path.rename(aside)
    try:
        new.rename(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise
    _flush_folder(path.parent)
    with contextlib.suppress(OSError):
        _remove(aside)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
