"""`vrodent bench`: how fast the tasks run here, beside dm_control's original and the limit that MuJoCo sets."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass

from vrodent.config import TaskName, usage


@dataclass(frozen=True, kw_only=True)
class Command:
    """Measure control steps a second with and without camera: ours, dm_control's original, and a bare loop over mj_step, by turns.

    Takes some six minutes; --quick less than one. Anything else that runs on the machine disturbs the numbers.

    example: vrodent bench --quick
    """

    tasks: tuple[TaskName, ...] = ("gaps", "forage", "bowl", "two_tap")
    """Which tasks."""
    quick: bool = False
    """A look, in under a minute; the other settings keep their defaults."""
    num_worlds: int = 16
    """Worlds of ours that are stepped together."""
    cores: int = 0
    """Cores to use; 0 for all."""
    turns: int = 5
    """Turns of each contestant."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Measure and print."""
        from vrodent.simulation import benchmark

        with usage():
            config = benchmark.BenchConfig(tasks=self.tasks, num_worlds=self.num_worlds, cores=self.cores, turns=self.turns)
            if self.quick:
                config = dataclasses.replace(benchmark.quick(), tasks=self.tasks, cores=self.cores)
        result = benchmark.run_bench(config, progress=lambda text: print(text, file=sys.stderr, flush=True))
        print(result.to_json() if self.json else result.table())
        return 0
