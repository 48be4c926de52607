"""Which animal a command means: the word on the command line becomes an agent with a name and a lineage."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

UNTRAINED = "untrained"


@dataclass(frozen=True, kw_only=True, eq=False)
class Animal:
    """An agent as a command needs it.

    Attributes:
        name: letters, digits, `.`, `_`, `-`: it becomes part of file names.
        agent: what acts.
        lineage: JSON text on where it comes from; `steps` counts its training in control steps, `skills` the networks copied from
            teachers that move its limbs.
    """

    name: str
    agent: Any
    lineage: str


def find_animal(word: str, seed: int = 0) -> Animal:
    """The agent that a word on the command line names.

    Args:
        word: a packaged agent's name, a checkpoint's folder, or `untrained`: fresh weights from `seed`.
        seed: of the fresh weights.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    from vrodent.training.checkpoint import find_checkpoint, load_checkpoint

    if word == UNTRAINED:
        return _untrained(seed)
    checkpoint = load_checkpoint(find_checkpoint(word))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", checkpoint.path.name).lstrip(".-_") or "agent"
    lineage = json.loads(checkpoint.lineage_json())
    lineage["steps"] = sum(stage.steps for stage in checkpoint.lineage)
    lineage["skills"] = len(checkpoint.agent.config.skill_widths)
    lineage["tap_clock"] = checkpoint.agent.config.tapping_skill >= 0
    lineage["compass"] = checkpoint.agent.config.homing_skill >= 0
    lineage["sha256_of_config"] = (checkpoint.path / "COMPLETE").read_text().strip()
    return Animal(name=name, agent=checkpoint.agent, lineage=json.dumps(lineage))


def default_agent() -> str:
    """The agent of a study that names none: the shipped one, or `untrained` while none is shipped."""
    from vrodent.training.checkpoint import packaged_agents

    there = packaged_agents()
    return "four-tasks" if "four-tasks" in there else (there[0] if there else UNTRAINED)


def stance() -> np.ndarray:
    """(38,), the control that holds the rat standing."""
    from vrodent.body import add_rat, arena_spec, standing_ctrl

    spec = arena_spec()
    add_rat(spec)
    return standing_ctrl(spec.compile())


def _untrained(seed: int) -> Animal:
    import jax.numpy as jnp

    from vrodent.agent import Agent, AgentConfig

    agent = Agent(AgentConfig(), seed, stance=jnp.asarray(stance()))
    return Animal(name=UNTRAINED, agent=agent, lineage=json.dumps({"agent": UNTRAINED, "steps": 0, "seed_of_weights": seed}))
