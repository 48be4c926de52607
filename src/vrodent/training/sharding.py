"""The learner on several devices of one machine: a batch's worlds are divided between them, what is learned lies whole on each.

An unroll of the agent knows no other world, so each device does its part of the worlds by itself, forward and back. All else (V-trace,
rankings, means, statistics) sees the whole batch: the losses are those of one device, up to the order of their sums.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vrodent.agent import Agent, Memory

_AXIS = "world"


class ShardedAgent(eqx.Module):
    """An agent whose unrolls are computed by several devices, each its part of the worlds. All else is the agent's own.

    Attributes:
        agent: whose parameters lie on each device.
        mesh: the devices.
    """

    agent: Agent
    mesh: Mesh = eqx.field(static=True)

    def unroll(self, observation: Any, memory: Memory, reset: jax.Array) -> Any:
        """As `Agent.unroll`; the number of worlds must be a multiple of that of the devices."""
        rows, worlds = PartitionSpec(None, _AXIS), PartitionSpec(_AXIS)

        def part(agent: Agent, *arguments: Any) -> Any:
            # Told to vary, its gradient is summed over the devices once, at the end, and not at each step of an LSTM.
            return jax.lax.pcast(agent, _AXIS, to="varying").unroll(*arguments)

        apart = jax.shard_map(
            part,
            mesh=self.mesh,
            in_specs=(PartitionSpec(), rows, worlds, rows),
            out_specs=(rows, worlds),
        )
        return apart(self.agent, observation, memory, reset)

    def __getattr__(self, name: str) -> Any:
        """What this class lacks, it takes from the agent."""
        if name in ("agent", "mesh"):
            raise AttributeError(name)
        return getattr(self.agent, name)


def learner_mesh(wanted: int | None, batch: int, first: Any = None) -> Mesh | None:
    """The devices of a learner.

    Args:
        wanted: how many; None takes all there are of the first one's kind.
        batch: unrolls in an update.
        first: where experience is collected, of JAX; it is the first of the mesh. None is JAX's default device.

    Returns:
        the devices; None for a single one, which needs no mesh.

    Raises:
        ValueError: there are fewer, or the batch cannot be divided evenly between them.
    """
    first = jax.devices()[0] if first is None else first
    present = [first, *(device for device in jax.local_devices(backend=first.platform) if device != first)]
    if wanted is not None and not 1 <= wanted <= len(present):
        raise ValueError(f"learner.num_devices is {wanted}, but JAX sees {len(present)} of the kind {first.device_kind} here.")
    count = len(present) if wanted is None else wanted
    if batch % count:
        some = "all that JAX sees here" if wanted is None else "learner.num_devices"
        raise ValueError(
            f"batch_unrolls {batch} cannot be divided evenly between {count} devices ({some}). Make it {max(batch // count, 1) * count}, "
            "or choose another learner.num_devices."
        )
    return None if count == 1 else Mesh(np.array(present[:count]), (_AXIS,))


def on_each(mesh: Mesh) -> NamedSharding:
    """Whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_world(mesh: Mesh) -> NamedSharding:
    """Divided along the first axis."""
    return NamedSharding(mesh, PartitionSpec(_AXIS))
