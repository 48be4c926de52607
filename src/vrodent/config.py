"""What is common to the commands: errors in what was asked for, and the record that is left beside every output."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from vrodent.version import __version__

TaskName = Literal["gaps", "forage", "bowl", "two_tap"]
"""The tasks, as the command line offers them; the same names as `vrodent.task.TASK_NAMES`."""

_REPORTED = ("mujoco", "dm_control", "numpy", "jax", "equinox", "pynwb")


class UsageError(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


@contextmanager
def usage() -> Iterator[None]:
    """Within this block a ValueError is the user's, not the program's: turn it into a `UsageError`. Keep the block small.

    Raises:
        UsageError: with the message of the ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def as_json(value: Any) -> Any:
    """A configuration as what JSON can hold: dataclasses as objects, paths as text, tuples as lists.

    Raises:
        TypeError: the value holds something that is none of these.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a configuration cannot hold {value!r} of type {type(value).__name__}")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what the numbers depend on."""
    found = {"vrodent": __version__, "python": platform.python_version()}
    for name in _REPORTED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def writable_folder(path: Path) -> Path:
    """Make a folder for output, and find out now rather than after an hour that nothing can be written there.

    Raises:
        UsageError: it is a file, or cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".vrodent-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}. Choose another folder with --out.") from error
    return path


def save_resolved(path: Path, command: str, config: Any) -> Path:
    """Leave what a command was told, and the versions it ran on, beside its output. Written whole or not at all.

    Args:
        path: the file to write; an older one is replaced.
        command: name of the command.
        config: the dataclass it ran with, defaults resolved.
    """
    record = {
        "command": f"vrodent {command}",
        "config": as_json(config),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(record, indent=2) + "\n")
    part.replace(path)
    return path
