"""A program of its own, for JAX must be told before it starts how many devices the host pretends to be.

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m tests.training.several_devices updates 4
    XLA_FLAGS=--xla_force_host_platform_device_count=2 python -m tests.training.several_devices train FOLDER

The first makes the same updates by one device and by several, and prints JSON: the largest relative difference of every part. The second
makes a short run, which collects and keeps on one device and learns on both, with eyes of bfloat16.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.training.conftest import _make_unrolls, _small_config
from vrodent.agent import Agent
from vrodent.training.learner import LearnerConfig, copy_of, initial_learned, make_update
from vrodent.training.losses import LossConfig
from vrodent.training.sharding import learner_mesh
from vrodent.training.teachers.privileged import TOUCHED_ONCE

UPDATES = 3
TASK = np.array([0, 0, 1, 1, 1, 0, 1, 1])
SKILLS = {"skill_widths": (5, 4), "told_size": 3, "body_size": 160, "num_estimates": 2}  # so that every number of the report is one
HINTS = 2 + 2 + 3
CONFIG = LearnerConfig(learning_rate=1e-2, warmup_updates=0, anchor_period=2, loss=LossConfig(hint_weight=0.1, command_weight=0.1))


def batches(agent: Agent) -> list[Any]:
    """Eight worlds each. Two of them hardly count, so that devices have unlike numbers of rows and a mean of their means is another."""
    found = []
    for update in range(UPDATES):
        parts = [_make_unrolls(agent.config, seed=2 * update + part) for part in (0, 1)]
        batch = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        batch.acted[:2, 1:] = 0.0
        batch.discount[:2, 1:] = 0.0
        batch.reward[4:] *= 5.0
        batch = batch._replace(hint=np.random.default_rng(update).standard_normal((*batch.reward.shape, HINTS)))
        batch.hint[..., 2:4] = np.eye(2)[update % 2]  # which of the two skills
        batch.hint[:, 0, TOUCHED_ONCE] = 1.0  # in a row that counts in all worlds, so that every number of the report is one
        found.append(jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == np.float32 else leaf, batch))
    return found


def _in_double(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


def learn(devices: int) -> tuple[Any, list[Any]]:
    """What is learned, and every update's report, in double precision."""
    agent = _in_double(Agent(_small_config(policy_trains_encoders=True, **SKILLS), seed=3))
    mesh = learner_mesh(devices, len(TASK))
    now, update, reports = initial_learned(CONFIG, agent, 2, UPDATES, hint_size=HINTS), make_update(CONFIG, UPDATES, mesh), []
    now = _in_double(now)
    for batch in batches(agent):
        now, report = update(now, batch, TASK)
        reports.append(jax.tree.map(np.asarray, report))
    for leaf in jax.tree.leaves(now):
        assert len(leaf.sharding.device_set) == devices and leaf.sharding.is_fully_replicated
    home = jax.devices()[1]
    assert all(leaf.devices() == {home} for leaf in jax.tree.leaves(copy_of(now.agent, home)))
    return jax.tree.map(np.asarray, now), reports


def difference(ours: Any, theirs: Any) -> float:
    """The largest over a tree's leaves, relative to the leaf's largest value."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    found = [np.max(np.abs(a - b), initial=0.0) / max(np.max(np.abs(b), initial=0.0), 1e-6) for a, b in pairs]
    return float(np.max(found))


def compare(devices: int) -> None:
    """One device and several; and that a batch which cannot be divided between them is refused."""
    jax.config.update("jax_enable_x64", True)
    alone, told = learn(1)
    moved = difference(alone.agent, alone.anchor)
    ours, reports = learn(devices)
    names = ("agent", "anchor", "duals", "statistics", "optimiser", "hint_head")
    found = {name: difference(getattr(ours, name), getattr(alone, name)) for name in names}
    found |= {f"report {i}": difference(a, b) for i, (a, b) in enumerate(zip(reports, told, strict=True))}
    try:
        refused = str(learner_mesh(None, len(TASK) + 2))
    except ValueError as error:
        refused = str(error)
    told = {"devices": jax.device_count(), "moved": moved, "skipped": int(alone.skipped), "found": found, "refused": refused}
    print(json.dumps(told))


def run(out: Path) -> None:
    """Train to the end."""
    from tests.training.test_device_training import _config
    from vrodent.training.train import train

    config, said = _config(), []
    last = train(replace(config, learner=replace(config.learner, num_devices=2, image_precision="bfloat16")), out, say=said.append)
    print(json.dumps({"last": str(last), "said": said}))


def main() -> None:
    """Do what is asked."""
    jax.config.update("jax_disable_most_optimizations", True)
    what, argument = sys.argv[1:]
    if what == "train":
        run(Path(argument))
    else:
        compare(int(argument))


if __name__ == "__main__":
    main()
