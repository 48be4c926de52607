"""Which animal a command means: the word on the command line becomes an agent with a name and a lineage."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrodent.config import UsageError

PACKAGED = Path(__file__).resolve().parents[1] / "agents"
UNTRAINED = "untrained"


@dataclass(frozen=True, kw_only=True, eq=False)
class Animal:
    """An agent as a command needs it.

    Attributes:
        name: letters, digits, `.`, `_`, `-`: it becomes part of file names.
        agent: what acts.
        lineage: JSON text on where it comes from.
    """

    name: str
    agent: Any
    lineage: str


def packaged_agents() -> tuple[str, ...]:
    """Names of the trained agents that come with the package."""
    return tuple(sorted(path.parent.name for path in PACKAGED.glob("*/config.json")))


def find_animal(word: str, seed: int = 0) -> Animal:
    """The agent that a word on the command line names.

    Args:
        word: a packaged agent's name, a checkpoint's folder, or `untrained`: fresh weights from `seed`.
        seed: of the fresh weights.

    Raises:
        UsageError: it is none of these; the message lists what there is.
        CheckpointError: the folder is no checkpoint, or a damaged one.
    """
    if word == UNTRAINED:
        return _untrained(seed)
    if word not in packaged_agents() and not Path(word).exists():
        there = ", ".join((*packaged_agents(), UNTRAINED))
        raise UsageError(f"there is no agent {word!r}: no such folder here, and the named ones are {there}.")
    from vrodent.training import load_agent

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(word).resolve().name if Path(word).exists() else word).lstrip(".-_") or "agent"
    return Animal(name=name, agent=load_agent(word), lineage=json.dumps({"agent": name}))


def _untrained(seed: int) -> Animal:
    import jax.numpy as jnp

    from vrodent.agent import Agent, AgentConfig
    from vrodent.body import standing_ctrl
    from vrodent.task import get_task

    stance = standing_ctrl(get_task("two_tap").spec().compile())
    agent = Agent(AgentConfig(), seed, stance=jnp.asarray(stance))
    return Animal(name=UNTRAINED, agent=agent, lineage=json.dumps({"agent": UNTRAINED, "steps": 0, "seed_of_weights": seed}))
