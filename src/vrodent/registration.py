"""The four tasks' names in Gymnasium. Nothing of the simulator is imported before an environment is made."""

from __future__ import annotations

GYMNASIUM_IDS = {
    "vrodent/Gaps-v0": "gaps",
    "vrodent/Forage-v0": "forage",
    "vrodent/Bowl-v0": "bowl",
    "vrodent/TwoTap-v0": "two_tap",
}
"""Gymnasium's id of each task."""


def register_environments() -> None:
    """Make `gymnasium.make` and `gymnasium.make_vec` know the four tasks."""
    import gymnasium

    for name, task in GYMNASIUM_IDS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="vrodent.simulation.gymnasium_env:RodentEnv",
                vector_entry_point="vrodent.simulation.gymnasium_env:RodentVectorEnv",
                kwargs={"task": task},
            )
