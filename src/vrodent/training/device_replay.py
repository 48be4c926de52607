"""Replay of unrolls in the memory of the device that collects and learns: nothing of it ever comes to the host."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vrodent.training.replay import ReplayError, check_memory
from vrodent.training.unroll import Unroll

_RESERVE = 2**30  # bytes left free on a GPU for updates


class DeviceReplay:
    """The last unrolls of one task, as `vrodent.training.replay.Replay`, but of JAX arrays on one device.

    Frames stay bytes. Inserting writes into the ring in place: its buffers are given up to the compiled function and come back. A run that
    was killed finds its ring empty; see `rewind`.

    Args:
        template: one unroll's shapes and types, without a world axis.
        capacity: unrolls.
        device: of JAX.

    Attributes:
        inserted, sampled: unrolls since the beginning of the run.

    Raises:
        ReplayError: no room for a single unroll, or not enough memory for all of them.
    """

    surplus = 0
    room = 2**62  # nothing that is overwritten would be needed again

    def __init__(self, template: Unroll, capacity: int, device: Any) -> None:
        if capacity < 1:
            raise ReplayError(f"A replay must hold at least one unroll, but its capacity is {capacity}.")
        self.capacity = capacity
        self.inserted = self.sampled = 0
        self._held = self._next = 0
        self.nbytes = capacity * sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(template))
        _check_room(self.nbytes, device, capacity)
        self._ring = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype, device=device), template)

    def __len__(self) -> int:
        """Unrolls that can be sampled now."""
        return self._held

    def insert(self, unrolls: Unroll) -> None:
        """Append unrolls, the oldest making room.

        Args:
            unrolls: of arrays on the device with the world axis first, one unroll a world.

        Raises:
            ReplayError: more of them than there are slots.
        """
        count = unrolls.reward.shape[0]
        if count > self.capacity:
            raise ReplayError(f"{count} unrolls at once do not fit into a replay of {self.capacity}. Raise replay_steps.")
        self._ring = _write(self._ring, unrolls, self._next)
        self._next = (self._next + count) % self.capacity
        self._held = min(self._held + count, self.capacity)
        self.inserted += count

    def sample(self, key: jax.Array, count: int) -> Unroll:
        """Draw unrolls uniformly, with replacement.

        Args:
            key: a JAX key; the same one draws the same slots.
            count: how many.

        Returns:
            arrays with the world axis first, on the device.

        Raises:
            ReplayError: nothing has been inserted since the run began or went on.
        """
        if not self._held:
            raise ReplayError("The replay is empty; collect before learning.")
        self.sampled += count
        return _draw(self._ring, key, self._held, count)

    def felt(self) -> jax.Array:
        """(unroll, time + 1, 158): the proprioception of all that can be sampled, in any order."""
        return self._ring.proprioception[: self._held]

    def flush(self) -> None:
        """Nothing of it is on a disk."""

    def mark(self, inserted: int) -> None:
        """A checkpoint holds this count; nothing needs to be kept for it."""

    def rewind(self, inserted: int, sampled: int) -> None:
        """Go back to the counts of a checkpoint. What was inserted is gone: the ring is empty and wants to be warmed up again."""
        self.inserted, self.sampled = inserted, sampled
        self._held = self._next = 0


@partial(jax.jit, donate_argnums=0)
def _write(ring: Unroll, unrolls: Unroll, first: Any) -> Unroll:
    """The ring with unrolls written over the slots from `first` on, around its end."""

    def into(old: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[(first + jnp.arange(new.shape[0])) % old.shape[0]].set(new)

    return jax.tree.map(into, ring, unrolls)


@partial(jax.jit, static_argnums=3)
def _draw(ring: Unroll, key: jax.Array, held: Any, count: int) -> Unroll:
    slot = jax.random.randint(key, (count,), 0, held)
    return jax.tree.map(lambda leaf: leaf[slot], ring)


def _check_room(nbytes: int, device: Any, capacity: int) -> None:
    what = f"A replay of {capacity} unrolls"
    if device.platform == "cpu":
        check_memory(nbytes, what)
        return
    memory = device.memory_stats() or {}
    free = memory.get("bytes_limit", 2**62) - memory.get("bytes_in_use", 0)
    if nbytes + _RESERVE > free:
        raise ReplayError(
            f"{what} needs {nbytes / 2**30:.2f} GiB on {device.device_kind}, but only {free / 2**30:.2f} GiB are free for JAX. "
            "Use a smaller replay_steps."
        )
