"""Folders of trees that are whole or not there: the common form of agents' and teachers' checkpoints.

A folder is written under a hidden name, handed to the disk, and renamed. Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from vrodent.training.tree_file import TreeMismatch, describe, read_npz, rebuild, write_npz, write_text
from vrodent.version import __version__

FORMAT = 1
"""Version of the folder's layout. A reader refuses any other."""

MARKER = "COMPLETE"
"""Holds the SHA-256 of `config.json`; a folder without it is not a checkpoint."""

_CONFIG = "config.json"
Tree = TypeVar("Tree")


class CheckpointError(Exception):
    """A checkpoint cannot be written or read; the message says what is wrong, where, and what to do."""


def write_folder(path: str | Path, about: Mapping[str, Any], trees: Mapping[str, Any]) -> Path:
    """Write a folder of trees. An older one at the same place stays whole until the new one is.

    Args:
        path: the folder to make or replace.
        about: what `config.json` says beside the format, the code version and the files.
        trees: by name.

    Raises:
        CheckpointError: the disk is full or the place not writable; nothing has changed then.
        ValueError: a tree has no usable name.
        TypeError: a leaf of a tree is neither array, key, number nor text.
    """
    path = Path(path).absolute()
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
        text = json.dumps({"format": FORMAT, "code_version": __version__, **about, "files": files}, indent=1) + "\n"
        write_text(hidden / _CONFIG, text)
        write_text(hidden / MARKER, _sha256(hidden / _CONFIG) + "\n")
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


def located(path: Path) -> Path:
    """The folder at a path, or the one that stepped aside for it.

    Raises:
        CheckpointError: there is none.
    """
    aside = _aside(path)
    if not path.exists() and (aside / MARKER).is_file():
        return aside  # the process died between the two renames of `_swap`
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint at {path}. Check the path.")
    if not path.is_dir():
        raise CheckpointError(f"{path} is a file; a checkpoint is a folder with {_CONFIG} in it. Give the folder.")
    return path


def read_config(path: Path) -> dict[str, Any]:
    """A folder's `config.json`, once the folder is known to be whole.

    Raises:
        CheckpointError: it is not, or is of another format.
    """
    marker, file = path / MARKER, path / _CONFIG
    if not file.is_file():
        inside = sorted(child.parent.name for child in path.glob(f"*/{MARKER}"))
        hint = f" Inside it are checkpoints; the newest is {path / inside[-1]}." if inside else " Give the folder that holds config.json."
        raise CheckpointError(f"{path} is no checkpoint: it has no {_CONFIG}.{hint}")
    if not marker.is_file():
        raise CheckpointError(f"{path} is not whole: its {MARKER} is missing, so its writing was never finished. Take another checkpoint.")
    if marker.read_text(errors="replace").strip() != _sha256(file):
        raise CheckpointError(f"{file} is damaged or was edited: its SHA-256 is not the one in {MARKER}. Take another checkpoint.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON: {error}. Take another checkpoint.") from error
    if not isinstance(config, dict) or not isinstance(config.get("files"), dict):
        raise CheckpointError(f"{file} is not a vrodent checkpoint's: it lists no files. Take another folder.")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {config.get('format')!r}; this vrodent ({__version__}) reads format {FORMAT}. "
            f"Load it with the version that wrote it: vrodent {config.get('code_version', '(not said)')}."
        )
    return config


def check_file(path: Path, config: Mapping[str, Any], name: str) -> Path:
    """The file of a tree, after comparing size and SHA-256.

    Raises:
        CheckpointError: missing or damaged.
    """
    file, entry = path / f"{name}.npz", config["files"][name]
    if not file.is_file():
        raise CheckpointError(f"{file} is missing. Copy the whole folder, or take another checkpoint.")
    size = file.stat().st_size
    if size != entry["bytes"]:
        raise CheckpointError(f"{file} has {size} bytes, not {entry['bytes']}: it was cut short or replaced. Take another checkpoint.")
    if _sha256(file) != entry["sha256"]:
        raise CheckpointError(f"{file} is damaged: its SHA-256 is not the one in {_CONFIG}. Take another checkpoint.")
    return file


def read_tree(path: Path, config: Mapping[str, Any], name: str, like: Tree) -> Tree:
    """A tree of the structure of `like`, with the stored leaves.

    Raises:
        CheckpointError: it is damaged, or shaped otherwise.
    """
    file = check_file(path, config, name)
    try:
        return rebuild(like, config["files"][name]["leaves"], read_npz(file))
    except TreeMismatch as error:
        raise CheckpointError(
            f"{file} is of another architecture or setting than asked for: {error}. Use the settings in {path / _CONFIG}, or start anew."
        ) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file} cannot be read: {error}. Take another checkpoint.") from error


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
