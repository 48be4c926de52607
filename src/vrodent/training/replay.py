"""Replay of unrolls: a ring of fixed memory, in RAM or in files.

In files (`*.npy`, memory-mapped), the ring has more slots than it samples from. The surplus is what may be inserted between two
checkpoints: nothing that the last checkpoint could sample is overwritten before the next one, so a run that is killed goes on from its
checkpoint with exactly the replay it had, and no checkpoint copies a replay.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vrodent.training.unroll import Unroll

_RESERVE = 256 * 2**20  # bytes left free for everything else


class ReplayError(RuntimeError):
    """A replay cannot be made, filled or read as asked; the message says why and what to do."""


class Replay:
    """The last unrolls of one task.

    Args:
        template: one unroll's shapes and types (arrays, or anything with `shape` and `dtype`), without a world axis.
        capacity: unrolls that are sampled from.
        surplus: further slots, used with a directory: unrolls that may be inserted between two calls of `mark`.
        directory: where to keep the files; None keeps everything in RAM.

    Attributes:
        inserted, sampled: unrolls since the beginning of the run.

    Raises:
        ReplayError: no room for a single unroll, or not enough memory or disk for all of them.
    """

    def __init__(self, template: Unroll, capacity: int, *, surplus: int = 0, directory: Path | None = None) -> None:
        if capacity < 1:
            raise ReplayError(f"A replay must hold at least one unroll, but its capacity is {capacity}.")
        self.capacity = capacity
        self.surplus = surplus if directory is not None else 0
        self.inserted = self.sampled = 0
        self._marked = 0
        self._lock = threading.Lock()
        leaves, self._structure = jax.tree.flatten(template)
        slots = capacity + self.surplus
        self.nbytes = slots * sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
        names = _names(template)
        if directory is None:
            check_memory(self.nbytes, f"A replay of {capacity} unrolls")
            self._arrays = [np.zeros((slots, *leaf.shape), leaf.dtype) for leaf in leaves]
        else:
            directory.mkdir(parents=True, exist_ok=True)
            files = [directory / f"{name}.npy" for name in names]
            _check_disk(self.nbytes - sum(file.stat().st_size for file in files if file.exists()), directory)
            self._arrays = [_open(file, (slots, *leaf.shape), leaf.dtype) for file, leaf in zip(files, leaves, strict=True)]

    def __len__(self) -> int:
        """Unrolls that can be sampled now."""
        return min(self.inserted, self.capacity)

    @property
    def room(self) -> int:
        """Unrolls that may be inserted before the next `mark`; without files there is no end to them."""
        return self.surplus - (self.inserted - self._marked) if self.surplus else 2**62

    def insert(self, unrolls: Unroll) -> None:
        """Append unrolls, the oldest making room.

        Args:
            unrolls: of arrays with the world axis first, one unroll a world.

        Raises:
            ReplayError: more unrolls since the last `mark` than the surplus holds.
        """
        leaves = jax.tree.leaves(unrolls)
        count, slots = leaves[0].shape[0], self.capacity + self.surplus
        with self._lock:
            if self.surplus and self.inserted + count - self._marked > self.surplus:
                raise ReplayError(
                    f"{self.inserted + count - self._marked} unrolls since the last checkpoint exceed the replay's surplus of "
                    f"{self.surplus}: an exact resume would be lost. Checkpoint more often, or raise the surplus."
                )
            where = np.arange(self.inserted, self.inserted + count) % slots
            for array, leaf in zip(self._arrays, leaves, strict=True):
                array[where] = leaf
            self.inserted += count

    def sample(self, rng: np.random.Generator, count: int) -> Unroll:
        """Draw unrolls uniformly, with replacement.

        Returns:
            arrays with the world axis first, copied out of the ring.

        Raises:
            ReplayError: nothing has been inserted.
        """
        with self._lock:
            if not self.inserted:
                raise ReplayError("The replay is empty; collect before learning.")
            newest = rng.integers(len(self), size=count)
            slot = (self.inserted - 1 - newest) % (self.capacity + self.surplus)
            self.sampled += count
            return jax.tree.unflatten(self._structure, [array[slot] for array in self._arrays])

    def latest(self, count: int) -> Unroll:
        """The last `count` unrolls, or as many as there are, without counting them as sampled; the world axis first."""
        with self._lock:
            return jax.tree.unflatten(self._structure, [array[self._newest(count)] for array in self._arrays])

    def felt(self) -> np.ndarray:
        """(unroll, time + 1, 158): the proprioception of all that can be sampled."""
        with self._lock:
            return jax.tree.unflatten(self._structure, self._arrays).proprioception[self._newest(len(self))]

    def _newest(self, count: int) -> np.ndarray:
        """Slots of the last unrolls."""
        return (self.inserted - 1 - np.arange(min(count, len(self)))) % (self.capacity + self.surplus)

    def flush(self) -> None:
        """Hand the files to the disk, before a checkpoint is made that relies on them."""
        with self._lock:
            for array in self._arrays:
                if isinstance(array, np.memmap):
                    array.flush()

    def mark(self, inserted: int) -> None:
        """A checkpoint holds this count: keep what it can sample until the next one."""
        self._marked = inserted

    def rewind(self, inserted: int, sampled: int) -> None:
        """Go back to the counts of a checkpoint, after the files were opened again."""
        self.inserted, self.sampled, self._marked = inserted, sampled, inserted


def unroll_capacity(steps: int, unroll_length: int, what: str) -> int:
    """How many whole unrolls a replay of so many steps holds.

    Raises:
        ReplayError: not one.
    """
    if steps < unroll_length:
        raise ReplayError(
            f"A replay of {steps} steps for {what} is smaller than one unroll of {unroll_length} steps. "
            "Raise replay_steps or shorten unroll_length."
        )
    return steps // unroll_length


def check_memory(nbytes: int, what: str) -> None:
    """Refuse what does not fit into the memory that is free now.

    Raises:
        ReplayError: with both sizes.
    """
    free = available_memory()
    if nbytes + _RESERVE > free:
        raise ReplayError(
            f"{what} needs {nbytes / 2**30:.2f} GiB of memory, but only {free / 2**30:.2f} GiB are free. "
            "Use fewer worlds or a smaller replay."
        )


def available_memory() -> int:
    """Bytes of memory that this machine could give now."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _check_disk(nbytes: int, directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if nbytes + _RESERVE > free:
        raise ReplayError(
            f"The replay needs {nbytes / 2**30:.2f} GiB more on the disk of {directory}, which has {free / 2**30:.2f} GiB free. "
            "Choose another place for the run or a smaller replay."
        )


def _open(file: Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The file as an array; made, and its blocks reserved, if it is not there."""
    if not file.exists():
        made = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        del made
        with file.open("r+b") as handle:
            try:
                os.posix_fallocate(handle.fileno(), 0, max(file.stat().st_size, 1))
            except OSError as error:
                raise ReplayError(f"No room for the replay in {file.parent}: {error.strerror}.") from error
    array = np.lib.format.open_memmap(file, mode="r+")
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ReplayError(
            f"{file} holds {array.dtype} {array.shape}, but this run needs {np.dtype(dtype)} {shape}: it belongs to a run with another "
            "config. Choose another directory, or resume with the config saved there."
        )
    return array


def _names(template: Unroll) -> list[str]:
    paths = jax.tree_util.tree_flatten_with_path(template)[0]
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
