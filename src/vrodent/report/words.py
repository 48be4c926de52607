"""The words of the page that do not depend on numbers: names of things, rules of the tasks, methods."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TASKS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "gaps": ("Gaps", "Run along a corridor over gaps of 5 to 20 cm. Rewarded for moving at 1 m/s; a fall ends the trial."),
    "forage": ("Forage", "Find the blue orbs in a maze drawn afresh in every trial. 50 for each orb; the last one ends the trial."),
    "bowl": ("Bowl", "Climb out of a bumpy bowl. Rewarded by distance of the head from the centre times uprightness."),
    "two_tap": ("Two-tap", "Touch an orb with a forepaw, and again 0.8 ± 0.1 s later. 25 for each right touch; after a wrong interval a "
                "new orb comes late."),
    "all": ("All tasks", "The trials of every task together."),
})  # fmt: skip
"""Title and rule by task."""

MOST_RETURN: Mapping[str, float] = MappingProxyType({"gaps": 1500.0, "bowl": 1000.0})
"""Greatest return that a task's rules allow in one trial, where they set one."""

_SIGNALS = {"joint_angles": "joint angles", "joint_velocities": "joint velocities", "pose": "pose"}
SETS: Mapping[str, str] = MappingProxyType(
    {
        "forces": "actuator forces",
        "vision": "vision",
        "joint_speed": "joint speed",
        **_SIGNALS,
        "movement": "movement of the body",
        "value": "value estimate",
        "reward": "reward",
    }
    | {f"{key}_{band}": f"{name}, {band}" for key, name in _SIGNALS.items() for band in ("fast", "medium", "slow")}
)
"""Feature sets as they are written."""

MEASURES: Mapping[str, str] = MappingProxyType({
    "return": "return", "duration": "duration", "forward speed": "forward speed", "torso height": "torso height",
    "gaps_crossed": "gaps crossed", "fell": "fell (share of trials)", "orbs_taken": "orbs taken", "orbs_left": "orbs left",
    "farthest": "farthest from the centre (m)", "taps": "double taps", "diverged": "physics failed (share of trials)",
})  # fmt: skip
"""Success measures as they are written."""


def task_title(task: str) -> str:
    """A task's name for people."""
    return TASKS[task][0] if task in TASKS else task.replace("_", " ").capitalize()


def layer_title(layer: str) -> str:
    """A layer's name for people: `policy0` is the first policy layer."""
    number = layer.removeprefix("policy")
    return f"policy {int(number) + 1}" if layer.startswith("policy") and number.isdigit() else layer


def set_title(name: str) -> str:
    """A feature set's name for people."""
    return SETS.get(name, name.replace("_", " "))


def measure_title(name: str) -> str:
    """A measure's name for people."""
    return MEASURES.get(name, name.replace("_", " "))
