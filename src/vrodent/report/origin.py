"""What is said of where the agent comes from: read from the sessions' lineage, never guessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_STEPS = ("steps", "control_steps", "environment_steps", "learner_steps")
"""Keys under which a lineage may count training; the first one present is quoted under its own name."""

_COUNTED = {
    "steps": "training steps",
    "control_steps": "control steps",
    "environment_steps": "control steps",
    "learner_steps": "learner updates",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an agent comes from.

    Attributes:
        trained: False if the lineage counts 0 steps, None if it does not say.
        sentence: for the reader.
        written: the lineage, as indented JSON.
        version: of the package that recorded the session.
    """

    trained: bool | None
    sentence: str
    written: str
    version: str

    @classmethod
    def of(cls, lineage: str) -> Origin:
        """Read a session's lineage text."""
        try:
            whole = json.loads(lineage)
        except json.JSONDecodeError:
            whole = {}
        whole = whole if isinstance(whole, dict) else {"lineage": whole}
        own = whole.get("agent_lineage", whole)
        own = own if isinstance(own, dict) else {"lineage": own}
        trained, sentence = _judge(own)
        return cls(
            trained=trained,
            sentence=sentence,
            written=json.dumps(whole, indent=2, ensure_ascii=False),
            version=str(whole.get("vrodent", "")),
        )


_BESIDE = {
    "tap_clock": " And the time between two taps is kept by a clock beside the network, which starts when a palm comes to where the "
    "network believes the orb to be: what units tell of that time they need not have brought about.",
    "compass": " And in the bowl the course is reckoned by a compass beside the network, from turns and speed: what units tell of which "
    "way the rat faces, or of how far it has come there, they need not have brought about.",
}
"""What else is to be known of an agent with parts that reckon for it, by what its lineage says."""


def _judge(lineage: dict[str, Any]) -> tuple[bool | None, str]:
    key = next((key for key in _STEPS if isinstance(lineage.get(key), (int, float))), None)
    if key is None:
        return None, "The recording does not say how long this agent was trained; take nothing here as evidence of learning."
    steps = lineage[key]
    if steps == 0:
        return False, (
            "This network is untrained: its weights are random. The page shows that the whole way from body to figure works, and what an "
            "untrained network does. It is no evidence about learned behaviour or learned representations."
        )
    count = f"{steps:,}".replace(",", "\u202f")
    return True, (
        f"This network was trained for {count} {_COUNTED[key]}. How well it does each task stands beside the task’s video: judge every "
        "figure by that first. One network is one animal: intervals here are over its trials, and say nothing of other networks."
    ) + _limbs(lineage)


def _limbs(lineage: dict[str, Any]) -> str:
    """What else is to be known of an agent whose policy does not move its actuators."""
    skills = lineage.get("skills", 0)
    if not isinstance(skills, int) or skills < 1:
        return ""
    return (
        f" Its limbs are moved by {skills} skills, small networks copied from teachers, whose units are not among those recorded: the last "
        "policy layer says which of them acts and what it is told. So the finding of the paper that policy layers reflect fast movement is "
        "not put to a fair test here: how a limb moves in detail is in the skills."
    ) + "".join(says for key, says in _BESIDE.items() if lineage.get(key) is True)
