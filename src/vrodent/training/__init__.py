"""Learning and what it makes: losses, replay, collection, the learner, teachers, checkpoints, evaluation.

Each name is imported when it is first used, so that loading an agent needs no simulator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrodent.training.checkpoint import (
        Checkpoint,
        CheckpointError,
        find_checkpoint,
        load_agent,
        load_checkpoint,
        packaged_agents,
        save_checkpoint,
        verify_checkpoint,
    )
    from vrodent.training.checkpoint_store import CheckpointStore
    from vrodent.training.evaluation import Evaluation, TaskResult, TrialResult, evaluate
    from vrodent.training.intervals import Estimate, mean_estimate, proportion_estimate
    from vrodent.training.lineage import Stage

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "Estimate",
    "Evaluation",
    "Stage",
    "TaskResult",
    "TrialResult",
    "evaluate",
    "find_checkpoint",
    "load_agent",
    "load_checkpoint",
    "mean_estimate",
    "packaged_agents",
    "proportion_estimate",
    "save_checkpoint",
    "verify_checkpoint",
]

_MODULE_OF = {
    **dict.fromkeys(("Evaluation", "TaskResult", "TrialResult", "evaluate"), "evaluation"),
    **dict.fromkeys(("Estimate", "mean_estimate", "proportion_estimate"), "intervals"),
    "CheckpointStore": "checkpoint_store",
    "Stage": "lineage",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module 'vrodent.training' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"vrodent.training.{_MODULE_OF.get(name, 'checkpoint')}"), name)
