"""Results on disk: named arrays with units beside the parameters that made them, reread without recomputing.

    <folder>/<name>.npz    the arrays, no pickle
    <folder>/<name>.json   name, version, parameters, seed, fingerprint, description of each array, SHA-256 of the npz

The json is written last and names the npz by its hash: a pair that does not match was interrupted, and is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

FORMAT = "vrodent result 1"

Parameter = str | int | float | bool | None | tuple[str, ...] | tuple[int, ...] | tuple[float, ...]


class ResultError(ValueError):
    """A stored result is missing, damaged or of another format; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantity:
    """One array of a result.

    Attributes:
        values: numbers, bools or strings; never objects.
        axes: name of each axis, as ("trial", "frequency").
        unit: SI unit of a value, "1" for a pure number, "" for strings.
        meaning: what a person should know of it.
    """

    values: np.ndarray
    axes: tuple[str, ...] = ()
    unit: str = "1"
    meaning: str = ""

    def __post_init__(self) -> None:
        if self.values.dtype.hasobject:
            raise ResultError(f"A result's array may not hold Python objects, got dtype {self.values.dtype} for {self.meaning!r}.")
        if len(self.axes) != self.values.ndim:
            raise ResultError(f"An array of shape {self.values.shape} was described by the axes {self.axes}: {self.meaning!r}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What one analysis found.

    Attributes:
        name: file name without suffix, as `spectra_bowl`.
        kind: which analysis, as `spectra`.
        arrays: by name.
        parameters: everything that was chosen.
        notes: sentences a reader must know: exclusions, fallbacks.
        fingerprint: identifies inputs, parameters and code; equal fingerprints need no recomputing.
        version: of the package that made it.
    """

    name: str
    kind: str
    arrays: Mapping[str, Quantity]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if not self.name or any(c in self.name for c in "/\\"):
            raise ResultError(f"A result's name becomes a file name, got {self.name!r}.")
        object.__setattr__(self, "arrays", MappingProxyType(dict(self.arrays)))

    def __getitem__(self, array: str) -> np.ndarray:
        """Values of an array.

        Raises:
            ResultError: there is none of that name; the message lists those there are.
        """
        if array not in self.arrays:
            raise ResultError(f"Result {self.name!r} has no array {array!r}. It has: {', '.join(self.arrays)}.")
        return self.arrays[array].values

    @property
    def present(self) -> bool:
        """False for an analysis that the sessions could not carry; then `notes` say why."""
        return bool(self.arrays)

    def save(self, folder: Path) -> Path:
        """Write both files, each whole or not at all, and return the json's path. Equal results make equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **{key: quantity.values for key, quantity in self.arrays.items()})
        arrays = buffer.getvalue()
        described = {
            key: {"axes": list(q.axes), "unit": q.unit, "meaning": q.meaning, "shape": list(q.values.shape), "dtype": q.values.dtype.str}
            for key, q in self.arrays.items()
        }
        head = {
            "format": FORMAT, "name": self.name, "kind": self.kind, "version": self.version, "fingerprint": self.fingerprint,
            "parameters": dict(self.parameters), "notes": list(self.notes), "arrays": described,
            "sha256": hashlib.sha256(arrays).hexdigest(),
        }  # fmt: skip
        _write(folder / f"{self.name}.npz", arrays)
        path = folder / f"{self.name}.json"
        _write(path, (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode())
        return path

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read a result from its json (or npz) path.

        Raises:
            ResultError: missing, truncated, interrupted between the two files, or of another format.
        """
        head = read_head(path)
        npz = path.with_suffix(".npz")
        if not npz.is_file():
            raise ResultError(f"{npz} is missing beside its json; run the analysis again.")
        raw = npz.read_bytes()
        if hashlib.sha256(raw).hexdigest() != head.get("sha256"):
            raise ResultError(f"{npz} does not match the SHA-256 in its json: interrupted or edited; run the analysis again.")
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise ResultError(f"{npz} cannot be read ({error}); run the analysis again.") from error
        described = head["arrays"]
        quantities = {
            key: Quantity(values=values, axes=tuple(described[key]["axes"]), unit=described[key]["unit"], meaning=described[key]["meaning"])
            for key, values in arrays.items()
        }
        parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in head["parameters"].items()}
        return cls(
            name=head["name"], kind=head["kind"], arrays=quantities, parameters=parameters, notes=tuple(head["notes"]),
            fingerprint=head["fingerprint"], version=head["version"],
        )  # fmt: skip


def absent(name: str, reason: str) -> Result:
    """The result of an analysis that the sessions cannot carry: no arrays, and the reason."""
    return Result(name=name, kind=name, arrays={}, notes=(reason,))


def read_head(path: Path) -> dict:
    """The json of a result.

    Raises:
        ResultError: missing, not JSON, or of another format.
    """
    path = path.with_suffix(".json")
    if not path.is_file():
        raise ResultError(f"There is no result at {path}; run the analysis first.")
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultError(f"{path} is not whole JSON ({error}); run the analysis again.") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ResultError(f"{path} is not a {FORMAT!r} file; run the analysis again with this version.")
    return head


def load_results(folder: Path) -> dict[str, Result]:
    """Every result in a folder, by name, in name order.

    Raises:
        ResultError: the folder is missing, or one of its results is damaged.
    """
    if not folder.is_dir():
        raise ResultError(f"There is no folder of results at {folder}; run the analysis first.")
    return {result.name: result for result in (Result.load(path) for path in sorted(folder.glob("*.json")))}


def _write(path: Path, content: bytes) -> None:
    """Write to a neighbour, flush to disk, rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
