"""PyTrees as files: arrays in NumPy's `npz`, everything else as JSON. Nothing is ever pickled or unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

Entry = dict[str, Any]
"""How one leaf is stored: `kind` "jax", "numpy", "key", "int", "float", "bool" or "str", and what that kind needs."""


class TreeMismatch(ValueError):
    """The stored tree is not shaped as the one asked for; the message says where."""


def describe(tree: Any) -> tuple[dict[str, Entry], dict[str, np.ndarray]]:
    """Split a tree into what JSON holds and what `npz` holds.

    Args:
        tree: leaves may be JAX arrays, JAX keys, NumPy arrays and scalars, Python numbers, texts.

    Returns:
        entries and arrays by leaf path, `agent/core/bias`.

    Raises:
        TypeError: a leaf of another type; names its path.
    """
    entries, arrays = {}, {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "value"
        if isinstance(leaf, (bool, int, float, str)) and not isinstance(leaf, np.generic):
            entries[name] = {"kind": type(leaf).__name__, "value": leaf}
        elif isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            arrays[name] = np.asarray(jax.random.key_data(leaf))
            entries[name] = {"kind": "key", "implementation": str(jax.random.key_impl(leaf)), **_form(arrays[name])}
        elif isinstance(leaf, (jax.Array, np.ndarray, np.generic)) and np.asarray(leaf).dtype != object:
            array = np.asarray(leaf)
            entries[name] = {"kind": "jax" if isinstance(leaf, jax.Array) else "numpy", **_form(array)}
            arrays[name] = array.view(np.uint8 if array.itemsize == 1 else np.uint16) if array.dtype.kind == "V" else array
        else:
            raise TypeError(f"a checkpoint cannot hold the {type(leaf).__name__} at {name!r}: only arrays, JAX keys, numbers and texts")
    return entries, arrays


def rebuild(like: Any, entries: Mapping[str, Entry], arrays: Mapping[str, np.ndarray]) -> Any:
    """A tree of the structure of `like` with the stored leaves.

    Raises:
        TreeMismatch: leaves are missing, left over, of another kind, shape or type.
    """
    wanted, _ = describe(like)
    _compare(wanted, entries)
    leaves = [_leaf(entries[name], arrays.get(name)) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, and hand them to the disk before returning."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
        file.flush()
        os.fsync(file.fileno())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read arrays.

    Raises:
        ValueError: the file holds pickled objects.
        OSError, zipfile.BadZipFile: it cannot be read, or is no `npz`.
    """
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_text(path: Path, text: str) -> None:
    """Write text, and hand it to the disk before returning."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _form(array: np.ndarray) -> Entry:
    return {"dtype": str(array.dtype), "shape": list(array.shape)}


def _compare(wanted: Mapping[str, Entry], stored: Mapping[str, Entry]) -> None:
    missing, left_over = [n for n in wanted if n not in stored], [n for n in stored if n not in wanted]
    if missing or left_over:
        raise TreeMismatch(f"missing {_some(missing)}; left over {_some(left_over)}")
    for name, entry in wanted.items():
        for what in ("kind", "shape", "dtype", "implementation"):
            if entry.get(what) != stored[name].get(what):
                raise TreeMismatch(f"{name} has {what} {json.dumps(stored[name].get(what))}, but needs {json.dumps(entry.get(what))}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") if names else "nothing"


def _leaf(entry: Entry, array: np.ndarray | None) -> Any:
    if array is None:
        return entry["value"]
    if entry["kind"] == "key":
        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=entry["implementation"])
    dtype = jax.numpy.dtype(entry["dtype"])
    array = array.view(dtype) if array.dtype != dtype else array
    return jax.numpy.asarray(array) if entry["kind"] == "jax" else array
