"""Where an agent comes from: the stages of its training, written into every checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of training.

    Attributes:
        method: what was done, in a few words a reader understands ("kickstarted by four teachers").
        trained_from: what the stage started from: another agent's name, or "initial weights, seed 0".
        tasks: trained on.
        steps: control steps of 0.02 s collected in this stage, over all worlds.
        wall_clock_hours: h it took.
        machine: what it ran on, in words.
        date: ISO 8601, when it ended; None if not known.
    """

    method: str
    trained_from: str
    tasks: tuple[str, ...]
    steps: int
    wall_clock_hours: float
    machine: str
    date: str | None = None

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.wall_clock_hours >= 0.0:
            raise ValueError(f"a Stage cannot have taken {self.steps!r} steps in {self.wall_clock_hours!r} hours")
        object.__setattr__(self, "tasks", tuple(self.tasks))


def stage_from_json(fields: object) -> Stage:
    """A stage from decoded JSON.

    Raises:
        ValueError: not an object with exactly a stage's fields, or of wrong types.
    """
    names = {field.name for field in dataclasses.fields(Stage)}
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ValueError(f"a stage of lineage must have the fields {sorted(names)}, not {fields!r}")
    texts = all(isinstance(fields[name], str) for name in ("method", "trained_from", "machine"))
    tasks = isinstance(fields["tasks"], list) and all(isinstance(task, str) for task in fields["tasks"])
    numbers = isinstance(fields["steps"], int) and isinstance(fields["wall_clock_hours"], (int, float))
    if not (texts and tasks and numbers and isinstance(fields["date"], (str, type(None)))):
        raise ValueError(f"a stage of lineage has a value of a wrong type: {fields!r}")
    return Stage(**fields)
